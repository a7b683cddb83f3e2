//! `pushbox doctor`: what is wrong, and what to do about it.

use pushbox::simulator::state::shopee::ShopeeChange;
use serde_json::Value;

use crate::support::app::{PARTNER, TestApp};

impl TestApp {
    /// The result of each check that is not well, and whether the doctor is content.
    async fn doctor(&self) -> (bool, Vec<String>) {
        let (content, text) = self.try_command(&["doctor", "--json"]).await;
        let document: Value = serde_json::from_str(&text).expect("one JSON document");
        let checks = document["checks"].as_array().expect("checks");
        let ill = checks.iter().filter(|check| check["result"] != "ok");
        assert!(ill.clone().all(|check| check["remedy"].as_str().is_some_and(|text| !text.is_empty())));
        (content, ill.map(|check| format!("{}: {}", check["result"], check["finding"])).collect())
    }
}

#[tokio::test]
async fn the_doctor_finds_what_is_wrong_and_nothing_else() {
    let app = TestApp::start().await;
    app.simulator.change(ShopeeChange::PushConfigured {
        partner_id: PARTNER,
        callback_url: None,
        on: vec![],
        off: vec![4],
        blocked_shops: None,
    });
    let (content, ill) = app.doctor().await;
    assert!(!content && ill.len() == 1 && ill[0].contains("code 4 is in ORDER_EVENT_CODES"), "{ill:?}");
    app.command(&["shopee", "push-config", "set", "--on", "4", "--yes"]).await;
    assert_eq!(app.doctor().await, (true, Vec::new()));
    app.simulator.change(ShopeeChange::PushStatus { partner_id: PARTNER, status: "warning".into() });
    let (content, ill) = app.doctor().await;
    assert!(content && ill.len() == 1 && ill[0].contains("under 70 %"), "a warning is no failure: {ill:?}");
    app.simulator.add_app(PARTNER, "another-key", "push", "https://elsewhere.example.com/");
    let (content, ill) = app.doctor().await;
    assert!(!content && ill.len() == 1 && ill[0].contains("error_sign"), "{ill:?}");
    app.app.stop().await;
}
