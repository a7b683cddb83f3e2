//! `pushbox doctor`: what is wrong, and what to do about it.

use pushbox::simulator::state::google::GoogleChange;
use pushbox::simulator::state::shopee::ShopeeChange;
use pushbox::simulator::state::telegram::Rights;
use serde_json::value::to_raw_value;
use serde_json::{Value, json};

use crate::support::app::{CHAT, PARTNER, SPREADSHEET, TestApp};

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

#[tokio::test]
async fn the_doctor_looks_at_every_place_that_things_are_delivered_to() {
    let forwarding = [
        ("FORWARD_URL", "{forward}"),
        ("FORWARD_SECRET", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"),
        ("FORWARD_ALLOW_PRIVATE", "true"),
    ];
    let app = TestApp::start_with(&forwarding).await;
    assert_eq!(app.doctor().await, (true, Vec::new()));
    assert!(app.simulator.messages(CHAT).is_empty(), "it only looks");
    assert!(app.simulator.sheet(SPREADSHEET, "Orders").is_none(), "it only looks");

    app.simulator.set_rights(CHAT, Rights { can_manage_topics: false, ..Rights::FULL });
    let (content, ill) = app.doctor().await;
    assert!(!content && ill.len() == 1 && ill[0].contains("may not manage topics"), "{ill:?}");
    app.simulator.set_rights(CHAT, Rights { member: false, ..Rights::FULL });
    let (content, ill) = app.doctor().await;
    assert!(!content && ill.len() == 1 && ill[0].contains("kicked"), "{ill:?}");
    app.simulator.set_rights(CHAT, Rights::FULL);

    let tab = json!([{"addSheet": {"properties": {"title": "Orders"}}}]);
    app.simulator.change(GoogleChange::Batch {
        id: SPREADSHEET.to_owned(),
        user: "person@example.com".to_owned(),
        requests: to_raw_value(&tab).expect("JSON"),
        salt: 1,
    });
    app.simulator.change(GoogleChange::ValuesWritten {
        id: SPREADSHEET.to_owned(),
        user: "person@example.com".to_owned(),
        data: to_raw_value(&json!([{"range": "'Orders'!A1", "values": [["Bestellung"]]}])).expect("JSON"),
        entered: true,
    });
    let (content, ill) = app.doctor().await;
    assert!(!content && ill.len() == 1 && ill[0].contains("no column named Order"), "{ill:?}");
    app.simulator.unshare_spreadsheet(SPREADSHEET);
    let (content, ill) = app.doctor().await;
    assert!(!content && ill.len() == 1 && ill[0].contains("does not have permission"), "{ill:?}");
    app.app.stop().await;
}

#[tokio::test]
async fn the_doctor_tells_what_the_workers_found_and_which_addresses_are_of_no_use() {
    let settings = [
        ("FORWARD_URL", "https://127.0.0.1:9/hook?token=hush"),
        ("FORWARD_SECRET", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"),
        ("TELEGRAM_CHAT_ID", "-100777"),
    ];
    let app = TestApp::start_with(&settings).await;
    sqlx::query(
        "INSERT INTO pushbox.destinations (kind, name, state, reason)
         VALUES ('sheet', 'x', 'open', 'it is full; start a new one')",
    )
    .execute(&app.pool)
    .await
    .expect("a breaker");
    let (content, ill) = app.doctor().await;
    assert!(!content);
    for expected in ["sheet x is open: it is full", "chat -100777: ", "not an address of the public internet"]
    {
        assert!(ill.iter().any(|one| one.contains(expected)), "{expected}: {ill:?}");
    }
    assert!(!ill.concat().contains("hush"), "{ill:?}");
    app.app.stop().await;
}
