//! The data of buyers: hidden unless somebody asks and is put on record, erased for good, emptied when its time is over.

use pushbox::simulator::{Action, Fault, Service};
use reqwest::StatusCode;
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, PgPool};

use crate::support::app::{CALLBACK, SHOP, SPREADSHEET, TestApp, order, status_push};

/// Everything of the buyer that the tests' orders and pushes carry.
const PERSONAL: [&str; 4] = ["jolly_buyer", "please hurry", "Block 12", "+65 9123"];

async fn app_with_a_buyer(overrides: &[(&str, &str)]) -> TestApp {
    let app = TestApp::start_with(overrides).await;
    buy(&app).await;
    app
}

/// An order with a buyer, its push, and a message of the buyer that names no order.
async fn buy(app: &TestApp) {
    put(app, "READY_TO_SHIP", 1_790_000_200);
    app.push(&push("READY_TO_SHIP", 1_790_000_200)).await;
    let chat = json!({"code": 10, "shop_id": SHOP, "timestamp": 1_790_000_300, "data": {
        "type": "message", "content": {"message_id": "m1", "from_user_name": "jolly_buyer",
        "content": {"text": "ring +65 9123"}}}});
    app.push(&chat).await;
    app.drain().await;
}

fn put(app: &TestApp, status: &str, update_time: i64) {
    let (mut detail, escrow) = order("P1", status, update_time);
    detail["recipient_address"] =
        json!({"name": "Jolly B.", "phone": "+65 9123", "full_address": "Block 12, Somewhere"});
    app.simulator.put_order(SHOP, detail, escrow);
}

fn push(status: &str, update_time: i64) -> Value {
    let mut push = status_push("P1", status, update_time);
    push["data"]["buyer_username"] = "jolly_buyer".into();
    push
}

async fn forget_watermarks(pool: &PgPool) {
    sqlx::query("DELETE FROM pushbox.watermarks").execute(pool).await.expect("from the beginning");
}

async fn event_of(app: &TestApp, query: &str) -> String {
    let events = app.admin(&format!("/events?{query}")).await;
    events["events"][0]["id"].as_str().expect("an event").to_owned()
}

/// The tables, with the rows of them that have this text anywhere.
async fn tables_with(pool: &PgPool, text: &str) -> Vec<String> {
    let tables: Vec<String> = sqlx::query_scalar(
        "SELECT c.relname::text FROM pg_class c
         WHERE c.relnamespace = 'pushbox'::regnamespace AND c.relkind IN ('r', 'p') AND NOT c.relispartition",
    )
    .fetch_all(pool)
    .await
    .expect("tables");
    assert!(tables.len() > 20, "{tables:?}");
    let mut found = Vec::new();
    for table in tables {
        let sql = format!("SELECT count(*) FROM pushbox.{table} t WHERE strpos(t::text, $1) > 0");
        let rows: i64 =
            sqlx::query_scalar(AssertSqlSafe(sql)).bind(text).fetch_one(pool).await.expect("rows");
        if rows > 0 {
            found.push(table);
        }
    }
    found
}

#[tokio::test]
async fn buyers_are_masked_until_somebody_asks_and_that_is_recorded() {
    let app = app_with_a_buyer(&[]).await;
    let (event, chat) = (event_of(&app, "subject=P1").await, event_of(&app, "code=10").await);
    let order = format!("/orders/shopee/{SHOP}/P1");
    for path in [format!("/events/{event}"), format!("/events/{chat}"), order.clone()] {
        let shown = app.admin(&path).await.to_string();
        assert!(
            PERSONAL.iter().all(|text| !shown.contains(text)) && shown.contains("\"masked\":true"),
            "{shown}"
        );
    }
    let buyer = &app.admin(&order).await["order"]["buyer"];
    assert_eq!((&buyer["username"], &buyer["address"]), (&json!("j***r"), &json!("***")));
    assert_eq!(app.count("SELECT count(*) FROM pushbox.admin_actions").await, 0);

    for path in
        [format!("/events/{event}/unmask"), format!("/events/{chat}/unmask"), format!("{order}/unmask")]
    {
        let (status, shown) = app.api("POST", &path, None).await;
        assert_eq!(status, StatusCode::OK, "{shown}");
        assert!(shown.to_string().contains("jolly_buyer"), "{shown}");
    }
    let recorded = app.admin("/admin-actions").await;
    let actions: Vec<&str> = recorded["actions"]
        .as_array()
        .expect("actions")
        .iter()
        .filter_map(|one| one["action"].as_str())
        .collect();
    assert_eq!(actions, ["unmask_order", "unmask_event", "unmask_event"]);
    assert!(!recorded.to_string().contains("jolly_buyer"), "{recorded}");

    // What is not there is not recorded either.
    let (status, _) = app.api("POST", &format!("/orders/shopee/{SHOP}/P2/unmask"), None).await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    assert_eq!(app.count("SELECT count(*) FROM pushbox.admin_actions").await, 3);
    app.finish().await;
}

/// Besides the buyer's order and messages: a dead job about it, a bulk operation, a replay, and refused pushes, one of
/// which holds a key of ours and one of which is no JSON.
async fn app_with_everything() -> TestApp {
    let app = TestApp::start_with(&[("CALLBACK_URL", &format!("{CALLBACK}/"))]).await;
    for body in [
        push("UNPAID", 1_790_000_100).to_string(),
        "no JSON, and jolly_buyer at Block 12 is in it".to_owned(),
    ] {
        assert_eq!(
            app.push_bytes(body).await.status(),
            StatusCode::UNAUTHORIZED,
            "signed for another address"
        );
    }
    app.until("SELECT (count(*) = 2)::int::bigint FROM pushbox.rejections WHERE near_miss").await;
    let app = app.restart_with(&[("CALLBACK_URL", CALLBACK)]).await;
    let refusal = json!({"ok": false, "error_code": 400, "description": "Bad Request: something new"});
    let refusal = Action::Status { code: 400, body: refusal.to_string() };
    app.simulator.script(Fault::once(Service::Telegram, "sendmessage", refusal));
    buy(&app).await;
    app.until("SELECT count(*) FROM pushbox.jobs WHERE state = 'dead'").await;
    let events = json!({"target": "events", "filter": {"subject": "P1"}, "per_second": 1000});
    let jobs = json!({"action": "retry", "filter": {"queue": "sheet"}});
    for (path, body) in [("/replays", &events), ("/bulk-operations", &jobs)] {
        let (status, answer) = app.api("POST", path, Some(body)).await;
        assert!(status.is_success(), "{path}: {answer}");
    }
    let (event, chat) = (event_of(&app, "subject=P1").await, event_of(&app, "code=10").await);
    for path in [format!("/events/{event}/unmask"), format!("/events/{chat}/unmask")] {
        assert_eq!(
            app.api("POST", &path, None).await.0,
            StatusCode::OK,
            "what is on record shows nobody either"
        );
    }
    app.drain().await;
    app
}

/// Every page that links lead to from the first one, and what only forms lead to.
#[tokio::test]
async fn pages_show_no_buyer() {
    let app = app_with_everything().await;
    let mut pages: Vec<String> = [
        "/dashboard",
        "/dashboard/bulk/preview?action=retry&queue=notify",
        "/dashboard/replays/preview?target=events&hours=24",
        "/dashboard/orders?order_sn=P1",
        "/dashboard/events?subject=P1",
    ]
    .map(str::to_owned)
    .to_vec();
    let mut seen = 0;
    while let Some(page) = pages.get(seen).cloned() {
        seen += 1;
        let url = format!("http://{}{page}", app.app.admin_address());
        let answer = reqwest::get(url).await.expect("a page");
        assert_eq!(answer.status(), StatusCode::OK, "{page}");
        let shown = answer.text().await.expect("text");
        for text in PERSONAL {
            assert!(!shown.contains(text), "{text} is on {page}: {shown}");
        }
        for link in shown.split("href=\"").skip(1).filter_map(|rest| rest.split('"').next()) {
            let link = link.replace("&amp;", "&");
            if link.starts_with("/dashboard") && !pages.contains(&link) {
                pages.push(link);
            }
        }
        assert!(pages.len() < 500, "links without end: {pages:?}");
    }
    let job: i64 = app.count("SELECT id FROM pushbox.jobs WHERE state = 'dead'").await;
    for visited in [
        &format!("/dashboard/orders/shopee/{SHOP}/P1"),
        &format!("/dashboard/events/{}", event_of(&app, "subject=P1").await),
        &format!("/dashboard/events/{}", event_of(&app, "code=10").await),
        &format!("/dashboard/jobs/{job}"),
        "/dashboard/orders",
        "/dashboard/rejections",
        "/dashboard/replays",
        "/dashboard/bulk",
        "/dashboard/actions",
        "/dashboard/schedules",
    ] {
        assert!(pages.iter().any(|page| page == visited), "no link leads to {visited}: {pages:?}");
    }
    for one_of in ["/dashboard/rejections/", "/dashboard/replays/", "/dashboard/bulk/"] {
        let found = pages.iter().any(|page| page.starts_with(one_of) && !page.contains("preview"));
        assert!(found, "no link leads to one of {one_of}: {pages:?}");
    }
    app.app.stop().await;
}

/// Everything that can be read of the API, by its own document; an operation that is added is read, too.
#[tokio::test]
async fn what_is_read_of_the_api_shows_no_buyer() {
    let app = app_with_everything().await;
    let document: Value = serde_json::from_str(&pushbox::admin::openapi_json()).expect("the document");
    let event = event_of(&app, "subject=P1").await;
    let first =
        async |list: &str, name: &str| app.admin(list).await[name][0]["id"].to_string().replace('"', "");
    let ids = [
        ("/events/{id}", vec![event, event_of(&app, "code=10").await]),
        ("/jobs/{id}", vec![app.count("SELECT id FROM pushbox.jobs WHERE state = 'dead'").await.to_string()]),
        ("/bulk-operations/{id}", vec![first("/bulk-operations", "operations").await]),
        ("/replays/{id}", vec![first("/replays", "replays").await]),
        ("/rejections/{id}", vec![first("/rejections", "rejections").await]),
        ("/reconciliations/{id}", vec!["1".to_owned()]),
        ("/orders/{platform}/{shop_id}/{order_sn}", vec![format!("shopee/{SHOP}/P1")]),
        ("/shops/{shop_id}", vec![SHOP.to_string()]),
        ("/schedules/{name}", vec!["reconcile".to_owned(), "alerts".to_owned()]),
    ];
    let mut read = 0;
    for (path, operations) in document["paths"].as_object().expect("paths") {
        let Some(path) = path.strip_prefix("/api/v1").filter(|_| operations.get("get").is_some()) else {
            continue;
        };
        let addresses = match path.split_once('{') {
            None => vec![path.to_owned()],
            Some((stem, _)) => {
                let (_, ids) =
                    ids.iter().find(|(known, _)| *known == path).unwrap_or_else(|| panic!("which {path}?"));
                ids.iter().map(|id| format!("{stem}{id}")).collect()
            }
        };
        for address in addresses {
            let asked =
                if path == "/exports/orders" { format!("{address}?from=2026-09-01") } else { address };
            let url = format!("http://{}/api/v1{asked}", app.app.admin_address());
            let answer = reqwest::get(url).await.expect("an answer");
            let (status, shown) = (answer.status(), answer.text().await.expect("text"));
            let is_there = status == StatusCode::OK || path == "/reconciliations/{id}";
            assert!(is_there, "{asked}: {status} {shown}");
            for text in PERSONAL {
                assert!(!shown.contains(text), "{text} is in {asked}: {shown}");
            }
            read += 1;
        }
    }
    assert!(read > 25, "only {read} were read");
    app.app.stop().await;
}

/// Bytes that are no JSON cannot be looked into: they are shown to who asks only.
#[tokio::test]
async fn a_body_that_is_no_json_is_hidden_and_erased_as_a_whole() {
    let app = TestApp::start().await;
    let body = "not JSON, and jolly_buyer is in it: P1";
    assert_eq!(app.push_bytes(body).await.status(), StatusCode::OK);
    app.drain().await;
    let event = event_of(&app, "").await;
    let shown = &app.admin(&format!("/events/{event}")).await["event"];
    assert_eq!((&shown["body_base64"], &shown["masked"]), (&Value::Null, &json!(true)));
    let (_, shown) = app.api("POST", &format!("/events/{event}/unmask"), None).await;
    assert!(shown["event"]["body_base64"].is_string(), "{shown}");

    app.command(&["privacy", "erase", "--buyer", "jolly_buyer", "--yes"]).await;
    assert_eq!(tables_with(&app.pool, "jolly_buyer").await, Vec::<String>::new());
    assert_eq!(
        app.count("SELECT count(*) FROM pushbox.events WHERE body = '' AND erased_at IS NOT NULL").await,
        1
    );
    // The hash of it is kept: the same push is known.
    assert_eq!(app.push_bytes(body).await.status(), StatusCode::OK);
    assert_eq!(app.count("SELECT count(*) FROM pushbox.events").await, 1);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_erased_buyer_is_gone_and_stays_gone() {
    let app = app_with_a_buyer(&[]).await;
    let buyer_in_sheet = |app: &TestApp| {
        format!("{:?}", app.simulator.sheet_rows(SPREADSHEET, "Orders")).contains("jolly_buyer")
    };
    assert!(buyer_in_sheet(&app));
    assert_eq!(tables_with(&app.pool, "jolly_buyer").await.len(), 3, "events, orders, income");

    // A starred name is refused, and nothing happens without a yes or to somebody unknown.
    for (arguments, works) in [
        (vec!["--buyer", "j***r", "--yes"], false),
        (vec!["--buyer", "jolly_buyer"], false),
        (vec!["--buyer", "jolly", "--yes"], false),
        (vec!["--order", "P1", "--buyer", "jolly_buyer", "--yes"], false),
        (vec!["--order", "P1", "--shop", "1", "--yes"], false),
    ] {
        let arguments: Vec<&str> = ["privacy", "erase"].into_iter().chain(arguments).collect();
        assert_eq!(app.try_command(&arguments).await.0, works, "{arguments:?}");
    }
    assert_eq!(app.count("SELECT count(*) FROM pushbox.admin_actions").await, 0);

    let said = app.command(&["privacy", "erase", "--buyer", "jolly_buyer", "--yes", "--json"]).await;
    let erased: Value = serde_json::from_str(&said).expect("a document");
    let erased = &erased["erased"];
    assert_eq!(
        (&erased["orders"], &erased["events"], &erased["sheet_rows"]),
        (&json!(1), &json!(2), &json!(1))
    );
    assert_eq!(erased["telegram_messages"].as_array().map(Vec::len), Some(2), "{erased}");
    app.drain().await;
    for text in PERSONAL {
        assert_eq!(tables_with(&app.pool, text).await, Vec::<String>::new(), "{text}");
    }
    assert!(!buyer_in_sheet(&app), "the row was written anew");
    assert_eq!(app.simulator.sheet_rows(SPREADSHEET, "Orders").len(), 1);

    // The same push is a repetition; a new one does not bring the buyer back.
    app.push(&push("READY_TO_SHIP", 1_790_000_200)).await;
    assert_eq!(app.count("SELECT count(*) FROM pushbox.events").await, 2);
    put(&app, "SHIPPED", 1_790_000_900);
    app.push(&status_push("P1", "SHIPPED", 1_790_000_900)).await;
    app.drain().await;
    for text in PERSONAL {
        assert_eq!(tables_with(&app.pool, text).await, Vec::<String>::new(), "{text}");
    }
    assert!(!buyer_in_sheet(&app));
    let shown = &app.admin(&format!("/orders/shopee/{SHOP}/P1")).await["order"];
    assert_eq!((&shown["status"], &shown["buyer"]["username"]), (&json!("SHIPPED"), &Value::Null));
    assert!(shown["erased_at"].is_string());

    let actions = app.admin("/admin-actions?action=erase_buyer").await;
    assert_eq!(actions["actions"][0]["subject"], "buyer j***r", "{actions}");
    let audited = app.command(&["audit"]).await;
    assert!(!audited.contains("BROKEN"), "{audited}");
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_buyer_of_one_order_is_erased_by_its_number() {
    let app = app_with_a_buyer(&[]).await;
    let said = app.command(&["privacy", "erase", "--order", "P1", "--yes"]).await;
    assert!(said.contains("1 orders, 1 events; 1 sheet rows"), "{said}");
    app.drain().await;
    // What the buyer wrote elsewhere is not about this order.
    assert_eq!(tables_with(&app.pool, "jolly_buyer").await, ["events"]);
    assert_eq!(tables_with(&app.pool, "please hurry").await, Vec::<String>::new());
    let (done, _) = app.try_command(&["privacy", "erase", "--order", "P9", "--yes"]).await;
    assert!(!done);
    app.finish().await;
}

#[tokio::test]
async fn payloads_are_emptied_when_their_time_is_over() {
    let app = app_with_a_buyer(&[("PAYLOAD_RETENTION_DAYS", "7")]).await;
    // Two events of ten days ago; a job may still need one of them.
    for (id, subject) in
        [("0198c2f0-0000-7000-8000-000000000001", "OLD1"), ("0198c2f0-0000-7000-8000-000000000002", "OLD2")]
    {
        sqlx::query(
            "INSERT INTO pushbox.events (id, source, code, kind, subject, payload, body_sha256, headers, received_at, via)
             VALUES ($1::uuid, 'shopee', '3', 'order_status', $2, '{\"buyer_username\": \"jolly_buyer\"}', '', '{\"a\": \"b\"}',
                     now() - interval '10 days', 'push')",
        )
        .bind(id)
        .bind(subject)
        .execute(&app.pool)
        .await
        .expect("an old event");
    }
    let hold = "INSERT INTO pushbox.jobs (queue, kind, batch_key, payload, state, max_attempts, event_id, last_error)
                VALUES ('notify', 'notify_event', 'x', '{}', 'dead', 1, '0198c2f0-0000-7000-8000-000000000002', 'x')";
    sqlx::query(hold).execute(&app.pool).await.expect("a dead job");

    // It ran at the start and found that all of that time was done.
    forget_watermarks(&app.pool).await;
    let emptied = "SELECT count(*) FROM pushbox.events WHERE payload = '{}' AND headers = '{}' AND erased_at IS NOT NULL";
    let run = app.run_schedule("payload_retention").await;
    assert_eq!(run["runs"][0]["result"]["events_emptied"], 1, "{run}");
    assert_eq!(app.count(emptied).await, 1);
    assert_eq!(
        app.count("SELECT count(*) FROM pushbox.events WHERE payload <> '{}'").await,
        3,
        "young, or held"
    );

    // The one that was held up is not forgotten, although the others before and behind it are done.
    sqlx::query("DELETE FROM pushbox.jobs WHERE state = 'dead'")
        .execute(&app.pool)
        .await
        .expect("no dead job");
    app.run_schedule("payload_retention").await;
    assert_eq!(app.count(emptied).await, 2);

    sqlx::query("UPDATE pushbox.orders SET update_time = now() - interval '8 days'")
        .execute(&app.pool)
        .await
        .expect("an old order");
    forget_watermarks(&app.pool).await;
    app.run_schedule("payload_retention").await;
    for (table, full) in [
        ("orders", "SELECT count(*) FROM pushbox.orders WHERE snapshot <> '{}' OR recipient IS NOT NULL"),
        ("income", "SELECT count(*) FROM pushbox.order_income WHERE snapshot <> '{}'"),
    ] {
        assert_eq!(app.count(full).await, 0, "{table}");
    }
    app.finish().await;
}
