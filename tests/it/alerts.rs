//! Alerts: raised once, told once, told again when they are over.

use pushbox::simulator::{Action, Fault, Service};
use pushbox::store::alerts::{Alert, Severity, raise, resolve};
use reqwest::StatusCode;

use crate::support::app::TestApp;

const OPS: i64 = -1_001_000_000_009;

fn alert(key: &str) -> Alert<'_> {
    Alert { key, severity: Severity::Critical, title: "Shop <1> is gone", remedy: "Open the link" }
}

async fn app_with_ops_chat() -> TestApp {
    let app = TestApp::start_with(&[("TELEGRAM_OPS_CHAT_ID", "-1001000000009")]).await;
    app.simulator.add_forum(OPS, "Operations");
    app
}

impl TestApp {
    fn told(&self) -> Vec<String> {
        self.simulator.messages_in_topic(OPS, "Alerts").into_iter().map(|one| one.text).collect()
    }

    async fn raise(&self, key: &str) -> bool {
        let mut connection = self.pool.acquire().await.expect("a connection");
        raise(&mut connection, &alert(key)).await.expect("raised")
    }

    async fn resolve(&self, key: &str) -> bool {
        let mut connection = self.pool.acquire().await.expect("a connection");
        resolve(&mut connection, key).await.expect("resolved")
    }
}

#[tokio::test]
async fn an_alert_is_told_once_and_once_more_when_it_is_over() {
    let app = app_with_ops_chat().await;
    assert!(app.raise("a").await);
    assert!(!app.raise("a").await, "it is open already");
    app.run_schedule("alerts").await;
    assert!(!app.raise("a").await);
    app.run_schedule("alerts").await;
    assert_eq!(app.told().len(), 1, "{:?}", app.told());
    assert!(app.told()[0].contains("Shop <1> is gone") && app.told()[0].contains("Open the link"));

    let (status, list) = app.api("GET", "/alerts?open=true", None).await;
    assert_eq!((status, list["alerts"][0]["key"].as_str()), (StatusCode::OK, Some("a")), "{list}");
    assert!(app.resolve("a").await);
    assert!(!app.resolve("a").await, "it is over already");
    app.run_schedule("alerts").await;
    app.run_schedule("alerts").await;
    assert_eq!(app.told().len(), 2, "{:?}", app.told());
    assert!(app.told()[1].contains("Over: Shop <1> is gone"));
    let (_, list) = app.api("GET", "/alerts?open=true", None).await;
    assert_eq!(list["alerts"].as_array().map(Vec::len), Some(0), "{list}");

    assert!(app.raise("a").await, "the same again is a new alert");
    app.run_schedule("alerts").await;
    assert_eq!(app.told().len(), 3);
    app.finish().await;
}

#[tokio::test]
async fn many_alerts_are_one_message_and_what_was_over_at_once_is_none() {
    let app = app_with_ops_chat().await;
    // Its first run is over, the next is seconds away: nothing is told before all of it is there.
    app.until("SELECT count(*) FROM pushbox.schedules WHERE name = 'alerts' AND last_success_at IS NOT NULL")
        .await;
    app.api("POST", "/schedules/alerts/pause", Some(&serde_json::json!({"reason": "a test"}))).await;
    for n in 0..20 {
        app.raise(&format!("k{n}")).await;
    }
    app.raise("brief").await;
    app.resolve("brief").await;
    app.run_schedule("alerts").await;
    assert_eq!(app.told().len(), 1, "{:?}", app.told());
    assert_eq!(app.told()[0].matches("is gone").count(), 20);
    app.finish().await;
}

#[tokio::test]
async fn a_failed_message_is_sent_later_and_an_uncertain_one_once_more() {
    let app = app_with_ops_chat().await;
    app.simulator.script(Fault::once(Service::Telegram, "sendMessage", Action::RetryAfter(1)));
    app.raise("a").await;
    app.until("SELECT count(*) FROM pushbox.alerts WHERE raised_told_at IS NOT NULL").await;
    assert_eq!(app.told().len(), 1);
    // Arrived, but the answers are lost: told twice, and not for ever.
    app.simulator.script(Fault::once(Service::Telegram, "sendMessage", Action::Cut).after().times(2));
    app.raise("b").await;
    app.until("SELECT count(*) FROM pushbox.alerts WHERE key = 'b' AND raised_told_at IS NOT NULL").await;
    assert_eq!(app.told().len(), 3, "{:?}", app.told());
    app.finish().await;
}

#[tokio::test]
async fn a_page_of_alerts_leads_to_the_next() {
    let app = TestApp::start().await;
    for n in 0..3 {
        app.raise(&format!("k{n}")).await;
    }
    let (_, first) = app.api("GET", "/alerts?limit=2", None).await;
    assert_eq!(first["alerts"][0]["key"], "k2");
    let next = first["next"].as_str().expect("another page");
    let (_, second) = app.api("GET", &format!("/alerts?limit=2&cursor={next}"), None).await;
    assert_eq!(
        (second["alerts"][0]["key"].as_str(), &second["next"]),
        (Some("k0"), &serde_json::Value::Null)
    );
    let (status, _) = app.api("GET", "/alerts?cursor=x", None).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    app.finish().await;
}
