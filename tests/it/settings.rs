//! Settings that people change while pushbox runs: by the API and the pages, in force in every process, and trying
//! out what is configured.

use axum::http::StatusCode;
use pushbox::app::App;
use serde_json::{Value, json};

use crate::support::app::{CHAT, SHOP, SPREADSHEET, TestApp, order, status_push};

const OTHER_CHAT: i64 = -1_001_000_000_002;
const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

/// Settings that the tests' world gives by the environment, as a file instead, so that they can be changed.
async fn start(overrides: &[(&str, &str)], toml: &str) -> TestApp {
    let given = format!("telegram_chat_id = {CHAT}\nspreadsheet_id = '{SPREADSHEET}'\n{toml}");
    let unset = [("TELEGRAM_CHAT_ID", ""), ("SPREADSHEET_ID", "")];
    TestApp::start_with_toml(&[&unset, overrides].concat(), &given).await
}

async fn change(app: &TestApp, change: Value) -> Value {
    let (status, answer) = app.api("PATCH", "/settings", Some(&change)).await;
    assert_eq!(status, StatusCode::OK, "{answer}");
    in_force(app, answer["version"].as_i64().expect("a version")).await;
    answer
}

/// Waits until every process works with this version.
async fn in_force(app: &TestApp, version: i64) {
    let (done, begun) = (json!(version), std::time::Instant::now());
    loop {
        let workers = app.admin("/workers").await["workers"].as_array().expect("a list").clone();
        let alive: Vec<&Value> = workers.iter().filter(|one| one["alive"] == true).collect();
        if !alive.is_empty() && alive.iter().all(|one| one["settings_version"] == done) {
            return;
        }
        assert!(begun.elapsed().as_secs() < 20, "version {version} is not in force: {alive:?}");
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
}

async fn refused(app: &TestApp, change: Value) -> (StatusCode, String) {
    let (status, answer) = app.api("PATCH", "/settings", Some(&change)).await;
    assert!(status.is_client_error(), "{answer}");
    (status, answer["error"]["message"].as_str().unwrap_or_default().to_owned())
}

async fn setting(app: &TestApp, name: &str) -> Value {
    let all = app.admin("/settings").await;
    let found = all["settings"].as_array().expect("a list").iter().find(|one| one["name"] == name).cloned();
    found.unwrap_or_else(|| panic!("no {name}"))
}

/// A push of an order that Shopee has, and all that follows from it.
async fn order_comes(app: &TestApp, number: &str) {
    let (detail, income) = order(number, "READY_TO_SHIP", 1_790_000_200);
    app.simulator.put_order(SHOP, detail, income);
    app.push(&status_push(number, "READY_TO_SHIP", 1_790_000_200)).await;
    app.drain().await;
}

fn rows(app: &TestApp) -> usize {
    app.simulator.sheet_rows(SPREADSHEET, "Orders").len()
}

#[tokio::test]
async fn codes_and_chats_are_changed_in_every_process_while_pushes_come() {
    let app = start(&[], "").await;
    app.simulator.add_group(OTHER_CHAT, "Returns");
    let replica: App = app.replica().await;
    order_comes(&app, "2611260000001").await;
    assert_eq!(rows(&app), 1);

    let done = change(&app, json!({"values": {"ORDER_EVENT_CODES": "4"}})).await;
    let difference = json!([{"name": "ORDER_EVENT_CODES", "before": "3,4", "after": "4"}]);
    assert_eq!((&done["changes"], &done["version"]), (&difference, &json!(1)));
    order_comes(&app, "2611260000002").await;
    assert_eq!(rows(&app), 1, "code 3 is only announced now, whichever process had the work");

    change(
        &app,
        json!({"reset": ["ORDER_EVENT_CODES"], "chats": [{"chat_id": OTHER_CHAT, "codes": ["29"]}]}),
    )
    .await;
    order_comes(&app, "2611260000003").await;
    assert_eq!(rows(&app), 2, "the default is in force again");
    app.push(&json!({"code": 29, "shop_id": SHOP, "timestamp": 1_790_000_300,
        "data": {"order_sn": "2611260000003", "return_sn": "R1", "update_time": 1_790_000_300}}))
        .await;
    app.drain().await;
    assert_eq!(app.simulator.messages(OTHER_CHAT).len(), 1, "the return, and nothing else");
    let all = app.admin("/settings").await;
    assert_eq!(
        (&all["chats"]["origin"], &all["chats"]["entries"][0]["codes"]),
        (&json!("changed"), &json!(["29"]))
    );

    // A new process begins with what was changed.
    replica.stop().await;
    let app = app.restart().await;
    in_force(&app, 2).await;
    assert_eq!(app.admin("/settings").await["chats"]["entries"][0]["chat_id"], OTHER_CHAT);
    app.finish().await;
}

#[tokio::test]
async fn a_sink_is_switched_off_and_on() {
    let app = start(&[], "").await;
    change(&app, json!({"values": {"TELEGRAM_ENABLED": "false", "SHEETS_ENABLED": "false"}})).await;
    order_comes(&app, "2611260000001").await;
    assert_eq!((rows(&app), app.simulator.messages(CHAT).len()), (0, 0));
    change(&app, json!({"reset": ["TELEGRAM_ENABLED", "SHEETS_ENABLED"]})).await;
    order_comes(&app, "2611260000002").await;
    assert_eq!((rows(&app), app.simulator.messages(CHAT).len()), (1, 1));
    app.finish().await;
}

#[tokio::test]
async fn services_are_added_without_their_secrets_ever_being_shown() {
    let app = start(&[("FORWARD_ALLOW_PRIVATE", "true")], "").await;
    app.simulator.set_forward_secrets(&[SECRET]);
    let url = format!("{}?token=hush", app.simulator.forward_url());
    change(&app, json!({"forwards": [{"name": "erp", "url": url, "secret": SECRET}]})).await;
    order_comes(&app, "2611260000001").await;
    assert_eq!(app.simulator.forwarded().len(), 1);

    // As it is shown it can be sent back: what is not shown stays.
    let mut shown = app.admin("/settings").await["forwards"]["entries"].clone();
    assert_eq!((&shown[0]["name"], &shown[0]["has_secret"]), (&json!("erp"), &json!(true)));
    shown[0].as_object_mut().expect("an entry").remove("has_secret");
    shown[0]["codes"] = json!(["3"]);
    change(&app, json!({"forwards": shown})).await;
    order_comes(&app, "2611260000002").await;
    assert_eq!(app.simulator.forwarded().len(), 2);

    let stored: Vec<(String, String)> = sqlx::query_as("SELECT name, value FROM pushbox.settings")
        .fetch_all(&app.pool)
        .await
        .expect("settings");
    let told = format!("{} {} {stored:?}", app.admin("/settings").await, app.admin("/admin-actions").await);
    assert!(!told.contains("hush") && !told.contains(SECRET), "{told}");
    let actions = app.admin("/admin-actions?action=change_settings").await;
    assert_eq!(actions["actions"].as_array().expect("a list").len(), 2);
    assert!(actions["actions"][0]["detail"]["after"].as_str().expect("text").contains("(secret)"));
    // With the next key they are sealed anew, like tokens.
    let keys = "ICEiIyQlJicoKSorLC0uLzAxMjM0NTY3ODk6Ozw9Pj8=,AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
    let app = app.restart_with(&[("ENCRYPTION_KEY", keys)]).await;
    app.command(&["reseal"]).await;
    let app = app.restart_with(&[("ENCRYPTION_KEY", keys.split(',').next().expect("a key"))]).await;
    order_comes(&app, "2611260000003").await;
    assert_eq!(app.simulator.forwarded().len(), 3);
    app.finish().await;
}

#[tokio::test]
async fn what_cannot_be_is_refused_with_its_reason_and_changes_nothing() {
    let app = start(&[("MAX_ATTEMPTS", "7")], "").await;
    for (asked, status, reason) in [
        (json!({"values": {"MAX_ATTEMPTS": "9"}}), 409, "pinned by the variable MAX_ATTEMPTS"),
        (json!({"values": {"LISTEN": "0.0.0.0:1"}}), 400, "LISTEN cannot be changed while pushbox runs"),
        (json!({"values": {"ORDER_CODES": "3"}}), 400, "there is no setting ORDER_CODES"),
        (json!({"reset": ["ORDER_CODES"]}), 400, "there is no setting ORDER_CODES"),
        (json!({"values": {"ORDER_EVENT_CODES": "three"}}), 400, "ORDER_EVENT_CODES: "),
        (json!({"values": {"TELEGRAM_MODE": " "}}), 400, "TELEGRAM_MODE: is empty"),
        (json!({"values": {"RETRY_MAX": "20ms"}}), 400, "RETRY_MAX: shorter than RETRY_BASE"),
        (json!({"chats": [{"chat_id": CHAT}]}), 400, "chats 1: listed twice"),
        (json!({"chats": [{"chat_id": 1, "code": ["3"]}]}), 400, "unknown field"),
        (
            json!({"spreadsheets": [{"spreadsheet_id": "s", "months": ["2026-13"]}]}),
            400,
            "spreadsheets 1 months",
        ),
        (
            json!({"forwards": [{"url": "http://10.0.0.1/x", "secret": SECRET}]}),
            400,
            "forwards 1 url: is plain http",
        ),
        (json!({"values": {"ORDER_EVENT_CODES": "3"}, "chats": [{"chat_id": CHAT}]}), 400, "listed twice"),
    ] {
        let (found, message) = refused(&app, asked.clone()).await;
        assert_eq!(found.as_u16(), status, "{asked}: {message}");
        assert!(message.contains(reason), "{asked}: {message}");
    }
    let before = app.admin("/settings").await;
    let asked = json!({"values": {"ORDER_EVENT_CODES": "3"}, "dry_run": true});
    let (_, counted) = app.api("PATCH", "/settings", Some(&asked)).await;
    assert_eq!((&counted["dry_run"], &counted["changes"][0]["after"]), (&json!(true), &json!("3")));
    let same = json!({"values": {"ORDER_EVENT_CODES": "3,4"}, "reset": ["chats"]});
    let (_, same) = app.api("PATCH", "/settings", Some(&same)).await;
    assert_eq!(same["changes"].as_array().map(Vec::len), Some(1), "said here, it is pinned to it: {same}");
    change(&app, json!({"reset": ["ORDER_EVENT_CODES"]})).await;
    let after = app.admin("/settings").await;
    assert_eq!((&before["version"], &after["version"]), (&json!(0), &json!(2)));
    let pinned = setting(&app, "MAX_ATTEMPTS").await;
    assert_eq!(
        (&pinned["origin"], &pinned["changeable"], &pinned["variable"]),
        (&json!("environment"), &json!(false), &json!("MAX_ATTEMPTS"))
    );
    let token = setting(&app, "TELEGRAM_BOT_TOKEN").await;
    assert_eq!((&token["value"], &token["is_set"]), (&Value::Null, &json!(true)));
    app.finish().await;
}

#[tokio::test]
async fn settings_that_cannot_be_used_are_told_and_those_of_before_go_on() {
    let app = start(&[], "").await;
    let broken = "INSERT INTO pushbox.settings (name, value, changed_by) VALUES ('ORDER_EVENT_CODES', 'three', 'somebody')";
    sqlx::query(broken).execute(&app.pool).await.expect("written by hand");
    sqlx::query("UPDATE pushbox.settings_version SET version = version + 1")
        .execute(&app.pool)
        .await
        .expect("counted");
    in_force(&app, 1).await;
    let error = app.admin("/workers").await["workers"][0]["settings_error"].clone();
    assert!(error.as_str().is_some_and(|error| error.contains("ORDER_EVENT_CODES")), "{error}");
    order_comes(&app, "2611260000001").await;
    assert_eq!(rows(&app), 1);
    // A process that starts over them does the same.
    let app = app.restart().await;
    order_comes(&app, "2611260000002").await;
    assert_eq!(rows(&app), 2);
    change(&app, json!({"reset": ["ORDER_EVENT_CODES"]})).await;
    assert_eq!(app.admin("/workers").await["workers"][0]["settings_error"], Value::Null);
    app.finish().await;
}

#[tokio::test]
async fn what_is_configured_is_tried_out_for_real() {
    let app = TestApp::start().await;
    let post = async |path: &str, body: Value| app.api("POST", path, Some(&body)).await;
    let (status, sent) = post("/trials/message", json!({})).await;
    assert_eq!((status, &sent["chat_id"]), (StatusCode::OK, &json!(CHAT)), "{sent}");
    assert!(app.simulator.messages(CHAT)[0].text.contains("test message"));
    let (status, other) = post("/trials/message", json!({"chat_id": 5})).await;
    assert_eq!(
        (status, &other["error"]["message"]),
        (StatusCode::BAD_REQUEST, &json!("chat_id: 5 is not configured"))
    );

    for _ in 0..2 {
        let (status, row) = post("/trials/row", json!({})).await;
        assert_eq!((status, &row["spreadsheet_id"]), (StatusCode::ACCEPTED, &json!(SPREADSHEET)), "{row}");
        app.drain().await;
    }
    let written = app.simulator.sheet_rows(SPREADSHEET, "Orders");
    assert_eq!((written.len(), written[0]["Order"].as_str()), (1, "TEST"), "one row, however often");
    assert_eq!(app.command(&["sheet", "check"]).await.lines().count(), 2, "the test row is nobody's order");

    // Without an order it is only announced; with one it goes the whole way.
    let (status, notice) = post("/trials/push", json!({})).await;
    assert_eq!(
        (status, &notice["code"], &notice["status"]),
        (StatusCode::OK, &json!("5"), &json!(200)),
        "{notice}"
    );
    app.drain().await;
    order_comes(&app, "2611260000001").await;
    let before = app.simulator.messages(CHAT).len();
    let (_, tried) = post("/trials/push", json!({"source": "shopee"})).await;
    assert_eq!((&tried["code"], &tried["order_sn"]), (&json!("4"), &json!("2611260000001")), "{tried}");
    app.drain().await;
    let event = tried["event_id"].as_str().expect("an event");
    let detail = app.admin(&format!("/events/{event}")).await;
    assert_eq!(detail["event"]["state"], "done", "{detail}");
    assert_eq!(app.simulator.messages(CHAT).len(), before + 1);
    let actions = app.admin("/admin-actions?action=try_push").await;
    assert_eq!(actions["actions"].as_array().map(Vec::len), Some(2));
    app.finish().await;
}

#[tokio::test]
async fn a_trial_says_what_is_wrong() {
    let app = start(&[("SHOPEE_NETWORKS", "203.0.113.0/24")], "").await;
    app.simulator.unshare_spreadsheet(SPREADSHEET);
    let (_, tried) = app.api("POST", "/trials/push", Some(&json!({}))).await;
    assert_eq!((&tried["status"], &tried["event_id"]), (&json!(403), &Value::Null), "{tried}");
    let (status, none) = app.api("POST", "/trials/push", Some(&json!({"source": "erp"}))).await;
    assert_eq!(status, StatusCode::BAD_REQUEST, "{none}");
    change(&app, json!({"chats": [{"chat_id": -1_009_999_999_999_i64}]})).await;
    let (status, lost) =
        app.api("POST", "/trials/message", Some(&json!({"chat_id": -1_009_999_999_999_i64}))).await;
    assert_eq!(status, StatusCode::BAD_GATEWAY, "{lost}");
    assert!(lost["error"]["message"].as_str().is_some_and(|text| text.contains("chat not found")), "{lost}");
    app.app.stop().await;
}
