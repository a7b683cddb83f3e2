//! What is refused is seen, and accepted once the configuration was mended: once, and only with a proof.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::support::app::{CALLBACK, PUSH_KEY, TestApp};

const EVENTS: &str = "SELECT count(*) FROM pushbox.events";
const REFUSALS: &str = "SELECT count(*) FROM pushbox.rejections";

/// The run at the start is over, so that one that is asked for is one of its own.
const FIRST_RUN: &str =
    "SELECT count(*) FROM pushbox.schedules WHERE name = 'watch_replays' AND last_success_at IS NOT NULL";

/// Nothing but the receiver and its tables.
const QUIET: [(&str, &str); 6] = [
    ("SPREADSHEET_ID", ""),
    ("GOOGLE_CREDENTIALS_JSON", ""),
    ("GOOGLE_SHEETS_URL", ""),
    ("TELEGRAM_BOT_TOKEN", ""),
    ("TELEGRAM_CHAT_ID", ""),
    ("TELEGRAM_API_URL", ""),
];

fn quiet_with<'a>(more: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    QUIET.iter().chain(more).copied().collect()
}

fn signed(key: &str, url: &str, body: &str) -> String {
    hex::encode(pushbox::domain::shopee::signature::url_body(key, url, body.as_bytes()))
}

fn body(n: u32) -> String {
    json!({"code": 99, "shop_id": 5, "data": {"n": n}, "timestamp": 1_790_000_000}).to_string()
}

impl TestApp {
    async fn refuse(&self, proof: &str, body: String, from: &str) -> StatusCode {
        let request = self.webhook().header("authorization", proof).header("x-forwarded-for", from);
        request.body(body).send().await.expect("an answer").status()
    }

    /// The refusals, once there are so many of them.
    async fn refusals(&self, query: &str, count: usize) -> Vec<Value> {
        for _ in 0..200 {
            let found = self.admin(&format!("/rejections?{query}")).await;
            let found = found["rejections"].as_array().expect("a list");
            if found.len() >= count {
                return found.clone();
            }
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
        panic!("never {count} refusals with {query}")
    }
}

#[tokio::test]
async fn a_refused_push_is_accepted_once_after_the_configuration_was_mended() {
    let app = TestApp::start_with(&QUIET).await;
    let slashed = format!("{CALLBACK}/");
    for n in [1, 2] {
        let proof = signed(PUSH_KEY, &slashed, &body(n));
        for _ in 0..2 {
            assert_eq!(app.refuse(&proof, body(n), "-").await, StatusCode::UNAUTHORIZED);
        }
    }
    let guessed = app.refuse(&"0".repeat(64), body(3), "-").await;
    assert_eq!(guessed, StatusCode::UNAUTHORIZED);
    app.until("SELECT count(*) FROM (SELECT FROM pushbox.rejections HAVING count(*) = 3 AND sum(times) = 5) all_seen").await;
    let near = app.refusals("near_miss=true", 2).await;
    assert!(near[0]["reason"].as_str().is_some_and(|reason| reason.contains("webhook/shopee/")), "{near:?}");
    let secret = "SELECT count(*) FROM pushbox.rejections r WHERE r::text LIKE '%push-key-of%' OR sealed LIKE 'plain%'";
    assert_eq!(app.count(secret).await, 0);
    let number = |one: &Value| one["id"].as_i64().expect("a number");
    let (second, first) = (number(&near[0]), number(&near[1]));
    let detail = app.admin(&format!("/rejections/{first}")).await;
    assert_eq!((&detail["acceptable"], &detail["body"]), (&json!(false), &json!(body(1))), "{detail}");
    let accept = format!("/rejections/{first}/accept");
    assert_eq!(app.api("POST", &accept, None).await.0, StatusCode::CONFLICT, "not before it is mended");
    assert_eq!(app.count(EVENTS).await, 0);

    let app = app.restart_with(&[("CALLBACK_URL", &slashed)]).await;
    assert_eq!(app.admin(&format!("/rejections/{first}")).await["acceptable"], true);
    let (one, other) = tokio::join!(app.api("POST", &accept, None), app.api("POST", &accept, None));
    let statuses = [one.0, other.0];
    assert!(statuses.contains(&StatusCode::OK) && statuses.contains(&StatusCode::CONFLICT), "{statuses:?}");
    assert_eq!(app.count("SELECT count(*) FROM pushbox.events WHERE via = 'manual'").await, 1);
    // The platform was patient enough to send the other one again itself.
    assert_eq!(app.refuse(&signed(PUSH_KEY, &slashed, &body(2)), body(2), "-").await, StatusCode::OK);
    let (status, answer) = app.api("POST", &format!("/rejections/{second}/accept"), None).await;
    assert_eq!((status, &answer["new"]), (StatusCode::OK, &json!(false)), "{answer}");
    assert_eq!(app.refuse(&signed(PUSH_KEY, &slashed, &body(1)), body(1), "-").await, StatusCode::OK);
    assert_eq!(app.count(EVENTS).await, 2);
    let actions = "SELECT count(*) FROM pushbox.admin_actions WHERE action = 'accept_rejection'";
    assert_eq!(app.count(actions).await, 2);
    // What was guessed stays outside, whoever asks.
    let told = app.command(&["rejections", "accept", "--all", "--yes"]).await;
    assert!(told.starts_with("0 accepted, 0 had come again already, 1 still refused"), "{told}");
    assert!(app.command(&["rejections"]).await.contains("no configured secret"));
    assert_eq!(app.count(EVENTS).await, 2);
    app.app.stop().await;
}

#[tokio::test]
async fn a_flood_of_guesses_is_kept_small_and_pushes_out_no_near_miss() {
    let settings = quiet_with(&[("TRUSTED_PROXIES", "127.0.0.0/8"), ("REJECTIONS_KEPT", "5")]);
    let app = TestApp::start_with(&settings).await;
    let near = signed(PUSH_KEY, "http://hooks.example.com/webhook/shopee", &body(0));
    assert_eq!(app.refuse(&near, body(0), "198.51.100.1").await, StatusCode::UNAUTHORIZED);
    app.refusals("near_miss=true", 1).await;
    for n in 0..300 {
        let from = format!("203.0.113.{}", n % 250);
        assert_eq!(app.refuse(&format!("{n:064x}"), body(n), &from).await, StatusCode::UNAUTHORIZED);
        if n % 60 == 0 {
            // A valid one in between is stored as ever.
            app.push(&json!({"code": 98, "shop_id": 5, "data": {"n": n}})).await;
        }
    }
    assert_eq!(app.count(EVENTS).await, 5);
    app.until("SELECT count(*) FROM pushbox.rejections WHERE NOT near_miss").await;
    app.until(FIRST_RUN).await;
    let done = app.run_schedule("watch_replays").await;
    assert!(done["schedule"]["last_error"].is_null(), "{done}");
    assert_eq!(app.refusals("near_miss=true", 1).await.len(), 1);
    assert!(app.count(REFUSALS).await <= 5 + 1 + 64, "between two cuts it may have grown by one batch");
    let told = app.admin("/sources").await;
    let lines: Vec<i64> = told["sources"]
        .as_array()
        .expect("a list")
        .iter()
        .filter_map(|one| one["refused_last_day"].as_i64())
        .collect();
    assert!(lines.iter().sum::<i64>() > 0, "{told}");
    app.app.stop().await;
}

#[tokio::test]
async fn without_a_key_no_request_is_kept_and_none_without_a_proof() {
    let app = TestApp::start_with(&quiet_with(&[("ENCRYPTION_KEY", "")])).await;
    let near = signed(PUSH_KEY, &format!("{CALLBACK}/"), &body(1));
    assert_eq!(app.refuse(&near, body(1), "-").await, StatusCode::UNAUTHORIZED);
    let bare = app.webhook().body(body(2)).send().await.expect("an answer");
    assert_eq!(bare.status(), StatusCode::UNAUTHORIZED);
    let found = app.refusals("", 2).await;
    assert!(found.iter().all(|one| one["kept_until"].is_null()), "{found:?}");
    let path = format!("/rejections/{}/accept", found[1]["id"]);
    let (status, told) = app.api("POST", &path, None).await;
    assert_eq!(status, StatusCode::CONFLICT);
    assert!(told["error"]["message"].as_str().is_some_and(|text| text.contains("ENCRYPTION_KEY")), "{told}");
    assert_eq!(app.api("POST", "/rejections/99999/accept", None).await.0, StatusCode::NOT_FOUND);
    app.app.stop().await;
}

#[tokio::test]
async fn a_push_from_outside_of_the_sources_networks_is_refused_and_can_be_let_in() {
    let settings = quiet_with(&[("TRUSTED_PROXIES", "127.0.0.0/8"), ("SHOPEE_NETWORKS", "198.51.100.0/24")]);
    let app = TestApp::start_with(&settings).await;
    let proof = signed(PUSH_KEY, CALLBACK, &body(1));
    assert_eq!(app.refuse(&proof, body(1), "203.0.113.5").await, StatusCode::FORBIDDEN);
    let probe = app.webhook().header("x-forwarded-for", "203.0.113.5").body("{\"code\":0}");
    assert_eq!(probe.send().await.expect("an answer").status(), StatusCode::FORBIDDEN, "no probe either");
    assert_eq!(app.refuse(&proof, body(1), "198.51.100.7").await, StatusCode::OK);
    let found = app.refusals("cause=network&near_miss=true", 1).await;
    assert_eq!(found[0]["address"], "203.0.113.5");
    let app = app.restart_with(&[("SHOPEE_NETWORKS", "198.51.100.0/24,203.0.113.5")]).await;
    let (status, told) = app.api("POST", &format!("/rejections/{}/accept", found[0]["id"]), None).await;
    assert_eq!((status, &told["new"]), (StatusCode::OK, &json!(false)), "{told}");
    app.app.stop().await;
}

#[tokio::test]
async fn the_last_use_of_an_old_key_is_told() {
    let keys = format!("new-key,{PUSH_KEY},unused-key");
    let app = TestApp::start_with(&quiet_with(&[("WEBHOOK_PARTNER_KEY", &keys)])).await;
    app.push(&json!({"code": 99, "shop_id": 5, "data": {}})).await;
    app.until("SELECT count(*) FROM pushbox.source_keys").await;
    let told = app.admin("/sources").await;
    let used: Vec<bool> = told["sources"][0]["keys"]
        .as_array()
        .expect("keys")
        .iter()
        .map(|key| !key["last_used_at"].is_null())
        .collect();
    assert_eq!(used, [false, true, false], "{told}");
    let (_, text) = app.try_command(&["doctor"]).await;
    assert!(text.contains("(number 2), an old one, last proved a push at"), "{text}");
    assert!(text.contains("(number 3), an old one, proved no push yet"), "{text}");
    let listed = app.command(&["sources", "--json"]).await;
    assert!(!listed.contains(PUSH_KEY) && listed.contains("WEBHOOK_PARTNER_KEY (number 2)"), "{listed}");
    app.app.stop().await;
}

#[tokio::test]
async fn a_body_under_another_unsigned_id_is_stored_and_flagged() {
    let toml = "[[sources]]\npreset = 'shoplazza'\nauth.secrets = ['spz']\n\
                [[sources]]\npreset = 'shopery'\nauth.secrets = ['shy']\n";
    let app = TestApp::start_with_toml(&QUIET, toml).await;
    let body = r#"{"product":{"id":"1","updated_at":"2026-02-03T04:05:06Z"}}"#;
    let proof = "qwy9bT9cF1Rk7u7c6U7nyh1cUmbR0z3cJ7Q2JwqfQ0k=";
    let send = async |id: &str, body: &str, proof: &str| {
        let request = app.request(Method::POST, "/webhook/shoplazza");
        let request = request
            .header("x-shoplazza-hmac-sha256", proof)
            .header("x-shoplazza-topic", "products/update")
            .header("x-shoplazza-shop-domain", "demo.myshoplaza.com")
            .header("x-shoplazza-deduplication-id", id);
        request.body(body.to_owned()).send().await.expect("an answer").status()
    };
    assert_eq!(send("a", body, proof).await, StatusCode::UNAUTHORIZED, "a made-up proof");
    let proof = {
        use base64::Engine as _;
        let digest = pushbox::domain::shopee::signature::body_only("spz", body.as_bytes());
        base64::engine::general_purpose::STANDARD.encode(digest)
    };
    for id in ["a", "a", "b", "c"] {
        assert_eq!(send(id, body, &proof).await, StatusCode::OK);
    }
    assert_eq!(app.count("SELECT count(*) FROM pushbox.events WHERE source = 'shoplazza'").await, 3);
    app.until(FIRST_RUN).await;
    for _ in 0..2 {
        app.run_schedule("watch_replays").await;
    }
    assert_eq!(app.count("SELECT count(*) FROM pushbox.possible_replays").await, 2, "flagged once each");
    let told = app.admin("/sources").await;
    let shoplazza = told["sources"].as_array().expect("a list").iter().find(|one| one["name"] == "shoplazza");
    assert_eq!(shoplazza.expect("listed")["possible_replays_last_day"], 2, "{told}");
    assert_eq!(shoplazza.expect("listed")["id_is_signed"], false);
    let alerts = app.admin("/alerts").await.to_string();
    assert!(alerts.contains("replays:shoplazza"), "{alerts}");
    app.app.stop().await;
}
