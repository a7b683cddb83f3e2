//! Forwarding, from a push at HTTP to the seller's own service, and what its breaker does.

use std::collections::BTreeSet;

use pushbox::simulator::state::forward::Post;
use pushbox::simulator::{Action, Fault, Service};
use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::support::app::{SHOP, TestApp, order, status_push};

const AT: i64 = 1_790_000_200;
const NEW: &str = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
const OLD: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const SETTINGS: &[(&str, &str)] = &[
    ("FORWARD_URL", "{forward}hook?token=hush"),
    ("FORWARD_SECRET", NEW),
    ("FORWARD_ALLOW_PRIVATE", "true"),
];

async fn forwarding() -> TestApp {
    let app = TestApp::start_with(SETTINGS).await;
    app.simulator.set_forward_secrets(&[NEW]);
    app
}

/// A push that is about no order.
fn chat_push(n: i64) -> Value {
    json!({"code": 10, "shop_id": SHOP, "timestamp": AT + n,
           "data": {"type": "message", "content": {"message_id": n.to_string(), "text": "<b>=1+1\u{202e}😀"}}})
}

fn ids(posts: &[Post]) -> BTreeSet<&str> {
    posts.iter().map(|post| post.id.as_str()).collect()
}

impl TestApp {
    async fn order_changes(&self, order_sn: &str) {
        let (detail, escrow) = order(order_sn, "READY_TO_SHIP", AT);
        self.simulator.put_order(SHOP, detail, escrow);
        self.push(&status_push(order_sn, "READY_TO_SHIP", AT)).await;
    }

    async fn reset(&self) -> (StatusCode, Value) {
        self.api("POST", "/destinations/forward/default/reset", None).await
    }

    async fn destination(&self, kind: &str) -> Value {
        let found = self.admin("/destinations").await;
        let list = found["destinations"].as_array().expect("a list");
        list.iter().find(|one| one["kind"] == kind).unwrap_or(&Value::Null).clone()
    }
}

#[tokio::test]
async fn an_event_is_forwarded_signed_with_its_order() {
    let app = forwarding().await;
    app.order_changes("A1").await;
    app.push(&status_push("A1", "READY_TO_SHIP", AT)).await;
    app.push(&chat_push(1)).await;
    app.drain().await;
    let posts = app.simulator.forwarded();
    assert_eq!(posts.len(), 2, "a redelivery is not forwarded: {posts:?}");
    assert!(posts.iter().all(|post| post.valid == 1 && post.path == "/hook?token=hush"));
    let about_order = posts.iter().find(|post| post.json()["type"] == "shopee.order_status").expect("a post");
    let data = &about_order.json()["data"];
    assert_eq!(data["event"]["id"], about_order.id.as_str());
    assert_eq!(data["event"]["push"]["data"]["ordersn"], "A1");
    assert_eq!(data["order"]["status"], "READY_TO_SHIP");
    assert_eq!(data["order"]["total_amount"], "30.5");
    assert_eq!(data["order"]["items"].as_array().map(Vec::len), Some(2));
    assert_eq!(data["order"]["income"]["escrow_amount"], "25.01");
    let chat = posts.iter().find(|post| post.json()["type"] == "shopee.webchat").expect("a post");
    assert_eq!(chat.json()["data"]["order"], Value::Null);
    let content = &chat.json()["data"]["event"]["push"]["data"]["content"]["text"];
    assert_eq!(content, "<b>=1+1\u{202e}😀");

    let listed = app.admin(&format!("/deliveries?event_id={}", chat.id)).await;
    let delivery = &listed["deliveries"][0];
    assert_eq!((&delivery["state"], &delivery["status"]), (&json!("delivered"), &json!(204)));
    assert_eq!(delivery["target"], "default");
    app.finish().await;
}

#[tokio::test]
async fn what_failed_is_sent_again_under_the_same_id() {
    let app = forwarding().await;
    let busy = |code| Fault::once(Service::Forward, "hook", Action::Html(code));
    app.simulator.script(busy(503).after());
    app.simulator.script(busy(400).after());
    app.simulator.script(Fault::once(Service::Forward, "hook", Action::Cut).after());
    app.push(&chat_push(1)).await;
    app.drain().await;
    let posts = app.simulator.forwarded();
    assert!(posts.len() >= 3, "{posts:?}");
    assert_eq!(ids(&posts).len(), 1, "one webhook-id over all attempts");
    let listed = app.admin("/deliveries?state=delivered").await;
    assert_eq!(listed["deliveries"][0]["attempts"], json!(posts.len()));
    app.finish().await;
}

#[tokio::test]
async fn both_keys_sign_while_they_are_rotated() {
    let both = format!("{NEW},{OLD}");
    let settings = [SETTINGS[0], ("FORWARD_SECRET", &both), SETTINGS[2]];
    let app = TestApp::start_with(&settings).await;
    for known in [OLD, NEW] {
        app.simulator.set_forward_secrets(&[known]);
        app.push(&chat_push(i64::try_from(known.len()).expect("short"))).await;
        app.drain().await;
    }
    let posts = app.simulator.forwarded();
    assert_eq!(posts.iter().map(|post| post.valid).collect::<Vec<_>>(), [1, 1]);
    app.finish().await;
}

#[tokio::test]
async fn each_target_gets_what_it_asked_for() {
    let toml = format!(
        "[[forwards]]\nurl = '{{forward}}orders'\ncodes = [3]\n
         [[forwards]]\nname = 'chats'\nurl = '{{forward}}chats'\nsources = ['shopee']\ncodes = [10]\nsecret = '{OLD}'\n
         [[forwards]]\nurl = '{{forward}}others'\nshops = [1]\n"
    );
    let app = TestApp::start_with_toml(&SETTINGS[1..], &toml).await;
    app.simulator.set_forward_secrets(&[NEW, OLD]);
    app.order_changes("A1").await;
    app.push(&chat_push(1)).await;
    app.drain().await;
    let mut got: Vec<(String, String)> = app
        .simulator
        .forwarded()
        .iter()
        .map(|post| {
            (post.path.clone(), post.json()["data"]["event"]["code"].as_str().expect("a code").to_owned())
        })
        .collect();
    got.sort();
    assert_eq!(got, [("/chats".into(), "10".into()), ("/orders".into(), "3".into())]);
    app.finish().await;
}

#[tokio::test]
async fn a_breaker_opens_for_all_costs_no_attempts_and_closes_after_one_probe() {
    let app = forwarding().await;
    app.simulator.script(Fault::once(Service::Forward, "hook", Action::Html(503)).times(5));
    app.push(&chat_push(0)).await;
    app.until("SELECT count(*) FROM pushbox.destinations WHERE kind = 'forward' AND state = 'open'").await;
    for n in 1..20 {
        app.push(&chat_push(n)).await;
    }
    app.until(
        "SELECT (count(*) = 20)::int::bigint FROM pushbox.jobs WHERE waiting_on IS NOT NULL OR attempt > 0",
    )
    .await;
    let open = app.destination("forward").await;
    assert_eq!((&open["state"], &open["reason"]), (&json!("open"), &json!("HTTP 503")));
    assert_eq!(app.count("SELECT sum(attempt)::bigint FROM pushbox.jobs").await, 5, "only what was posted");
    assert_eq!(app.simulator.forwarded(), []);

    assert_eq!(app.api("POST", "/destinations/forward/nobody/reset", None).await.0, 404);
    // The pause is over, but the service is still down: one probe, and the others wait on.
    app.simulator.script(Fault::once(Service::Forward, "hook", Action::Html(503)));
    sqlx::query("UPDATE pushbox.destinations SET paused_until = now()")
        .execute(&app.pool)
        .await
        .expect("time");
    sqlx::query("UPDATE pushbox.jobs SET run_at = now()").execute(&app.pool).await.expect("time");
    app.app.wake();
    app.until("SELECT count(*) FROM pushbox.destinations WHERE kind = 'forward' AND opens = 2").await;
    // The breaker opens while the job runs; its attempt is charged when it ends.
    app.until("SELECT (count(*) = 0)::int::bigint FROM pushbox.jobs WHERE state = 'running'").await;
    assert_eq!(app.count("SELECT sum(attempt)::bigint FROM pushbox.jobs").await, 6, "one probe");
    let left =
        "SELECT (extract(epoch FROM max(paused_until) - now()) > 20)::int::bigint FROM pushbox.destinations";
    assert_eq!(app.count(left).await, 1, "it waits for longer the second time");

    let (status, answer) = app.reset().await;
    assert_eq!((status.as_u16(), &answer["reset"]), (200, &json!(true)));
    app.drain().await;
    let posts = app.simulator.forwarded();
    assert_eq!((posts.len(), ids(&posts).len()), (20, 20), "each once");
    assert_eq!(app.destination("forward").await["state"], "closed");
    app.finish().await;
}

#[tokio::test]
async fn a_service_that_is_busy_or_gone_is_left_alone_as_it_asks() {
    let app = forwarding().await;
    app.simulator.script(Fault::once(Service::Forward, "hook", Action::RetryAfter(40)));
    app.push(&chat_push(1)).await;
    app.until("SELECT count(*) FROM pushbox.jobs WHERE waiting_on LIKE '%too many%' AND run_at > now() + interval '30 s'").await;
    assert_eq!(app.destination("forward").await["state"], "closed", "busy is not broken");
    app.simulator.script(Fault::once(Service::Forward, "hook", Action::Html(410)));
    app.reset().await;
    app.until("SELECT count(*) FROM pushbox.jobs WHERE waiting_on LIKE '%410 Gone%' AND attempt = 0").await;
    let gone = app.destination("forward").await;
    assert_eq!(gone["state"], "open");
    assert!(gone["reason"].as_str().is_some_and(|reason| reason.contains("reset its breaker")), "{gone}");
    app.reset().await;
    app.drain().await;
    assert_eq!(app.simulator.forwarded().len(), 1);
    app.finish().await;
}

#[tokio::test]
async fn what_fails_for_too_long_is_given_up_and_can_be_sent_by_hand() {
    let mut settings = SETTINGS.to_vec();
    settings.push(("FORWARD_RETRY_FOR", "1s"));
    let app = TestApp::start_with(&settings).await;
    app.simulator.set_forward_secrets(&[NEW]);
    // A refusal of this one event, which says nothing of the others.
    app.simulator.script(Fault::once(Service::Forward, "hook", Action::Html(422)).times(1000));
    app.push(&chat_push(1)).await;
    app.until("SELECT count(*) FROM pushbox.jobs WHERE state = 'dead' AND last_error LIKE 'given up after%HTTP 422'").await;
    assert_eq!(app.admin("/deliveries").await["deliveries"][0]["state"], "given_up");
    assert_eq!(app.destination("forward").await["state"], "closed", "the breaker stays out of it");
    let dead = app.count("SELECT id FROM pushbox.jobs").await;
    let struck: u64 = app.simulator.faults_fired().values().sum();
    assert!((2..1000).contains(&struck), "{struck} attempts");
    app.simulator.script(Fault::once(Service::Forward, "never", Action::Html(500)));
    let restarted = app.api("POST", &format!("/jobs/{dead}/retry"), None).await;
    assert_eq!(restarted.0, 200);
    app.until("SELECT count(*) FROM pushbox.deliveries WHERE state = 'retrying'").await;
    app.until("SELECT count(*) FROM pushbox.jobs WHERE state = 'dead'").await;
    app.simulator.shutdown().await;
    app.app.stop().await;
}

#[tokio::test]
async fn private_networks_are_refused_with_the_remedy() {
    let settings = [("FORWARD_SECRET", NEW), ("TELEGRAM_BOT_TOKEN", ""), ("TELEGRAM_CHAT_ID", "")];
    let toml = "[[forwards]]\nurl = 'https://localhost:1/hook'";
    let app = TestApp::start_with_toml(&settings, toml).await;
    app.push(&chat_push(1)).await;
    app.until(
        "SELECT count(*) FROM pushbox.jobs WHERE waiting_on LIKE '%FORWARD_ALLOW_PRIVATE%' AND attempt = 0",
    )
    .await;
    let destination = app.destination("forward").await;
    assert_eq!(
        (&destination["state"], &destination["name"]),
        (&json!("open"), &json!("https://localhost:1/hook"))
    );
    let name: String = url::form_urlencoded::byte_serialize(b"https://localhost:1/hook").collect();
    let (status, answer) = app.api("POST", &format!("/destinations/forward/{name}/reset"), None).await;
    assert_eq!((status.as_u16(), &answer), (200, &json!({"reset": true, "jobs": 1})));
    app.app.stop().await;
    app.simulator.shutdown().await;
}
