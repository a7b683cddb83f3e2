//! How Shopee delivers pushes: watched, shown, changed.

use pushbox::simulator::state::shopee::ShopeeChange;
use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::support::app::{CALLBACK, PARTNER, TestApp};

impl TestApp {
    fn configure(&self, callback_url: Option<&str>, off: &[i32]) {
        self.simulator.change(ShopeeChange::PushConfigured {
            partner_id: PARTNER,
            callback_url: callback_url.map(str::to_owned),
            on: vec![],
            off: off.to_vec(),
            blocked_shops: None,
        });
    }

    fn push_status(&self, status: &str) {
        self.simulator.change(ShopeeChange::PushStatus { partner_id: PARTNER, status: status.into() });
    }

    /// The keys of the open alerts whose key begins so, behind the prefix.
    async fn open(&self, prefix: &str) -> Vec<String> {
        let (_, list) = self.api("GET", "/alerts?open=true&limit=500", None).await;
        let keys = list["alerts"].as_array().expect("alerts").iter().filter_map(|one| one["key"].as_str());
        let mut keys: Vec<String> =
            keys.filter_map(|key| key.strip_prefix(prefix)).map(str::to_owned).collect();
        keys.sort();
        keys
    }

    async fn looked(&self) -> (Vec<String>, Value) {
        let run = self.run_schedule("push_health").await;
        (self.open("pushes:shopee:settings:").await, run["runs"][0]["result"].clone())
    }
}

#[tokio::test]
async fn each_change_of_the_push_settings_is_told_once_and_when_it_is_over() {
    let app = TestApp::start().await;
    assert_eq!(app.looked().await.0, Vec::<String>::new());
    app.push_status("Warning");
    let (open, result) = app.looked().await;
    assert_eq!((open, &result["raised"]), (vec!["warning".to_owned()], &json!(1)));
    assert_eq!(app.looked().await.1["raised"], 0, "told once");
    app.push_status("suspended");
    assert_eq!(app.looked().await.0, ["suspended", "warning"], "what became worse is not over");
    app.push_status("Normal");
    let (open, result) = app.looked().await;
    assert_eq!((open, &result["resolved"]), (Vec::new(), &json!(2)));

    app.configure(Some("https://elsewhere.example.com/"), &[4]);
    assert_eq!(app.looked().await.0, ["callback:https://elsewhere.example.com/", "off:4"]);
    app.configure(Some("https://hooks.example.com/webhook/shopee/"), &[]);
    let (open, result) = app.looked().await;
    assert_eq!(open, ["callback:https://hooks.example.com/webhook/shopee/", "off:4"], "another one is news");
    assert_eq!((&result["raised"], &result["resolved"]), (&json!(1), &json!(1)));
    app.configure(Some(CALLBACK), &[]);
    assert_eq!(app.looked().await.0, ["off:4"]);
    app.finish().await;
}

#[tokio::test]
async fn push_settings_are_shown_and_changed_through_the_api_and_put_on_record() {
    let app = TestApp::start().await;
    app.until(
        "SELECT count(*) FROM pushbox.schedules WHERE name = 'push_health' AND last_success_at IS NOT NULL",
    )
    .await;
    app.configure(None, &[4]);
    let (status, shown) = app.api("GET", "/shopee/push-config", None).await;
    assert_eq!(status, StatusCode::OK, "{shown}");
    let shown = &shown["push_config"];
    assert_eq!((&shown["callback_url"], &shown["status"]), (&json!(CALLBACK), &json!("Normal")));
    assert!(shown["findings"][0].as_str().is_some_and(|text| text.contains("code 4")), "{shown}");

    let delivered = || app.simulator.read(|world| world.shopee.apps[&PARTNER].push_on.contains(&4));
    let change = |write: bool| json!({"on": [3, 4], "write": write});
    let (_, answer) = app.api("PUT", "/shopee/push-config", Some(&change(false))).await;
    assert_eq!(answer, json!({"difference": ["code 4  off -> on"], "written": false}));
    assert!(!delivered(), "nothing is written without `write`");
    let (_, answer) = app.api("PUT", "/shopee/push-config", Some(&change(true))).await;
    assert_eq!(answer["written"], true, "{answer}");
    assert!(delivered());
    let (_, answer) = app.api("PUT", "/shopee/push-config", Some(&change(true))).await;
    assert_eq!(answer, json!({"difference": [], "written": false}), "nothing to change");
    let recorded = "SELECT count(*) FROM pushbox.admin_actions WHERE action = 'set_push_config'";
    assert_eq!(app.count(recorded).await, 1);

    for (change, expected) in [
        (json!({"on": [99], "write": true}), StatusCode::BAD_REQUEST),
        (json!({"on": [4], "off": [4]}), StatusCode::BAD_REQUEST),
        (json!({"callback_url": "ftp://x", "write": true}), StatusCode::BAD_REQUEST),
        (json!({"blocked_shop_ids": vec![1; 501], "write": true}), StatusCode::OK),
    ] {
        let (status, answer) = app.api("PUT", "/shopee/push-config", Some(&change)).await;
        let refused_by_type = status == StatusCode::UNPROCESSABLE_ENTITY;
        assert!(status == expected || refused_by_type, "{change}: {status} {answer}");
    }
    app.finish().await;
}

#[tokio::test]
async fn without_an_app_the_api_says_what_is_missing() {
    let app = TestApp::start_with_toml(
        &[
            ("PARTNER_ID", ""),
            ("PARTNER_KEY", ""),
            ("WEBHOOK_PARTNER_KEY", ""),
            ("CALLBACK_URL", ""),
            ("SHOP_ID", ""),
            ("ACCESS_TOKEN", ""),
            ("REFRESH_TOKEN", ""),
        ],
        r#"
[[sources]]
name = "erp"
auth = { kind = "hmac", header = "X-Erp-Signature", encoding = "hex", base = ["body"], secrets = ["a-secret-of-the-erp"] }
event.source = ["json:/kind"]
id.source = ["json:/id"]
"#,
    )
    .await;
    let (status, answer) = app.api("GET", "/shopee/push-config", None).await;
    assert_eq!(status, StatusCode::CONFLICT, "{answer}");
    assert!(answer["error"]["message"].as_str().is_some_and(|text| text.contains("PARTNER_ID")), "{answer}");
    app.finish().await;
}
