//! The main job, end to end: bytes in at HTTP, the simulated world out.

use pushbox::simulator::{Action, Fault, Service};
use serde_json::json;

use crate::support::app::{CHAT, PARTNER, SHOP, SPREADSHEET, TestApp, order, status_push};

const AT: i64 = 1_790_000_200;

impl TestApp {
    /// The order reaches this state at Shopee, which tells us.
    async fn changes(&self, order_sn: &str, status: &str, at: i64) {
        let (detail, escrow) = order(order_sn, status, at);
        self.simulator.put_order(SHOP, detail, escrow);
        self.push(&status_push(order_sn, status, at)).await;
    }

    /// One column of a tab, row by row.
    fn column(&self, tab: &str, header: &str) -> Vec<String> {
        let rows = self.simulator.sheet_rows(SPREADSHEET, tab);
        rows.iter().map(|row| row.get(header).cloned().unwrap_or_default()).collect()
    }

    fn messages(&self, topic: &str) -> Vec<String> {
        self.simulator.messages_in_topic(CHAT, topic).into_iter().map(|message| message.text).collect()
    }
}

#[tokio::test]
async fn an_order_goes_into_the_sheet_and_into_its_topic() {
    let app = TestApp::start().await;
    app.changes("A1", "READY_TO_SHIP", AT).await;
    app.push(&status_push("A1", "READY_TO_SHIP", AT)).await;
    app.drain().await;
    assert_eq!(app.column("Orders", "Order"), ["A1"]);
    assert_eq!(app.column("Orders", "Status"), ["READY_TO_SHIP"]);
    assert_eq!(app.column("Items", "Item"), ["Tea pot", "Cup"]);
    let net: f64 =
        app.column("Items", "Net income").iter().map(|text| text.parse::<f64>().expect("a number")).sum();
    assert!((net - 25.01).abs() < 1e-9, "the lines add up to the payout: {net}");
    let messages = app.messages("Order status (3)");
    assert_eq!(messages.len(), 1, "a redelivery is not announced: {messages:?}");
    for part in ["A1", "READY_TO_SHIP", "Tea pot", "30.50"] {
        assert!(messages[0].contains(part), "{part} is missing: {}", messages[0]);
    }
    app.finish().await;
}

#[tokio::test]
async fn a_row_follows_its_order_and_never_goes_back() {
    let app = TestApp::start().await;
    app.changes("A1", "UNPAID", AT).await;
    app.drain().await;
    assert_eq!(app.column("Orders", "Order"), Vec::<String>::new(), "UNPAID gets no row");
    for (step, status) in (1..).zip(["READY_TO_SHIP", "SHIPPED", "COMPLETED"]) {
        app.changes("A1", status, AT + step * 100).await;
        app.drain().await;
        assert_eq!(app.column("Orders", "Status"), [status]);
    }
    // A late push of an older state: the API shows the newest all the same.
    app.push(&status_push("A1", "PROCESSED", AT + 150)).await;
    app.drain().await;
    assert_eq!(app.column("Orders", "Status"), ["COMPLETED"]);
    assert_eq!(app.messages("Order status (3)").len(), 5, "every event is announced");
    app.finish().await;
}

#[tokio::test]
async fn other_codes_are_announced_in_topics_of_their_own() {
    let app = TestApp::start().await;
    app.changes("A1", "READY_TO_SHIP", AT).await;
    let label = json!({"data": {"ordersn": "A1", "package_number": "OFG1", "status": "READY"},
                       "shop_id": SHOP, "code": 15, "timestamp": AT});
    let unknown =
        json!({"data": {"weather": "<b>fine</b> & warm"}, "shop_id": SHOP, "code": 99, "timestamp": AT});
    app.push(&label).await;
    app.push(&unknown).await;
    app.push_bytes("not JSON at all").await;
    app.drain().await;
    assert!(app.messages("Shipping document (15)")[0].contains("OFG1"));
    assert!(app.messages("Code 99 (99)")[0].contains("<b>fine</b> & warm"), "shown as text, not as markup");
    assert_eq!(app.simulator.messages(CHAT).len(), 4);
    assert_eq!(app.count("SELECT count(*) FROM pushbox.orders").await, 1);
    app.finish().await;
}

#[tokio::test]
async fn a_lost_push_is_recovered_and_a_lost_copy_of_a_known_one_is_absorbed() {
    let app = TestApp::start_with(&[("LOST_PUSH_INTERVAL", "1s")]).await;
    app.changes("A1", "READY_TO_SHIP", AT).await;
    app.drain().await;
    for (order_sn, known) in [("A1", true), ("A2", false)] {
        let (detail, escrow) = order(order_sn, "READY_TO_SHIP", AT);
        if !known {
            app.simulator.put_order(SHOP, detail, escrow);
        }
        let push = status_push(order_sn, "READY_TO_SHIP", AT).to_string();
        app.simulator.lose_push(PARTNER, Some(SHOP), 3, &push);
    }
    app.until("SELECT count(*) FROM pushbox.events WHERE via = 'lost_push'").await;
    app.drain().await;
    assert_eq!(app.column("Orders", "Order"), ["A1", "A2"]);
    assert_eq!(app.messages("Order status (3)").len(), 2);
    app.until("SELECT (last_result->>'recovered' = '0')::int::bigint FROM pushbox.schedules WHERE name = 'lost_pushes'").await;
    assert_eq!(app.simulator.lost_pushes(), 0, "confirmed after they were stored");
    app.finish().await;
}

#[tokio::test]
async fn an_order_that_shopee_shows_late_is_read_again() {
    let app = TestApp::start().await;
    let (detail, escrow) = order("A1", "UNPAID", AT - 100);
    app.simulator.put_order(SHOP, detail, escrow);
    app.push(&status_push("A1", "READY_TO_SHIP", AT)).await;
    app.until("SELECT count(*) FROM pushbox.jobs WHERE attempt = 1 AND last_error LIKE '%the push is of%'")
        .await;
    let (detail, escrow) = order("A1", "READY_TO_SHIP", AT);
    app.simulator.put_order(SHOP, detail, escrow);
    app.drain().await;
    assert_eq!(app.column("Orders", "Status"), ["READY_TO_SHIP"]);
    app.finish().await;
}

#[tokio::test]
async fn an_unknown_order_in_a_batch_does_not_hurt_its_neighbours() {
    let app = TestApp::start_with(&[("MAX_ATTEMPTS", "2")]).await;
    for n in 0..10 {
        app.changes(&format!("A{n}"), "READY_TO_SHIP", AT).await;
    }
    app.push(&status_push("NOBODY", "READY_TO_SHIP", AT)).await;
    app.drain().await;
    assert_eq!(app.column("Orders", "Order").len(), 10);
    let dead: String = sqlx::query_scalar("SELECT last_error FROM pushbox.jobs WHERE state = 'dead'")
        .fetch_one(&app.pool)
        .await
        .expect("one dead job");
    assert!(dead.contains("not found"), "{dead}");
    app.app.stop().await;
}

#[tokio::test]
async fn faults_of_every_service_end_well() {
    let app = TestApp::start().await;
    let faults = [
        Fault::once(Service::Shopee, "get_order_detail", Action::Html(502)),
        Fault::once(Service::Shopee, "get_order_detail", Action::Cut),
        Fault::once(
            Service::Shopee,
            "get_escrow_detail_batch",
            Action::Status { code: 500, body: "{}".into() },
        ),
        Fault::once(Service::Google, "batchUpdate", Action::Cut).after(),
        Fault::once(Service::Google, "values:batchGet", Action::Html(503)),
        Fault::once(Service::Telegram, "createForumTopic", Action::RetryAfter(1)),
    ];
    let scripted = faults.len();
    for fault in faults {
        app.simulator.script(fault);
    }
    for n in 0..5 {
        app.changes(&format!("A{n}"), "READY_TO_SHIP", AT).await;
    }
    app.drain().await;
    assert_eq!(app.simulator.faults_fired().values().sum::<u64>(), scripted as u64);
    let mut orders = app.column("Orders", "Order");
    orders.sort();
    assert_eq!(orders, ["A0", "A1", "A2", "A3", "A4"], "one row each, whatever was lost on the way");
    app.finish().await;
}

#[tokio::test]
async fn an_expired_access_token_is_refreshed_and_nothing_is_charged() {
    let app = TestApp::start().await;
    // The first refresh comes at once, because the life of an imported token is unknown.
    app.until("SELECT count(*) FROM pushbox.shops WHERE access_expires_at > now()").await;
    app.simulator.revoke_access(SHOP);
    app.changes("A1", "READY_TO_SHIP", AT).await;
    app.drain().await;
    assert_eq!(app.column("Orders", "Order"), ["A1"]);
    assert_eq!(
        app.count("SELECT sum(attempt) FROM pushbox.job_history WHERE kind = 'enrich_order'").await,
        1
    );
    let sealed: String = sqlx::query_scalar("SELECT access_token FROM pushbox.shops")
        .fetch_one(&app.pool)
        .await
        .expect("a shop");
    assert!(sealed.starts_with("v1:"), "tokens are sealed at rest");
    app.finish().await;
}

#[tokio::test]
async fn a_restart_goes_on_where_it_stopped() {
    let app = TestApp::start().await;
    for n in 0..20 {
        app.changes(&format!("A{n}"), "READY_TO_SHIP", AT).await;
    }
    let app = app.restart().await;
    app.push(&status_push("A0", "READY_TO_SHIP", AT)).await;
    app.drain().await;
    assert_eq!(app.column("Orders", "Order").len(), 20);
    assert_eq!(app.count("SELECT count(*) FROM pushbox.events").await, 20);
    assert_eq!(
        app.count("SELECT redeliveries::bigint FROM pushbox.event_keys WHERE redeliveries > 0").await,
        1
    );
    app.finish().await;
}
