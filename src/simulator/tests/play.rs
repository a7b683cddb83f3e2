//! Journal, faults and traffic.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::http::HeaderMap;
use axum::routing::post;
use serde_json::json;
use tokio::net::TcpListener;
use url::Url;

use super::{BOT, CHAT, PARTNER, SPREADSHEET, world, world_with};
use crate::simulator::shopee::push::sign_push;
use crate::simulator::traffic::{Expectation, Progress, Traffic, TrafficOptions, scenario};
use crate::simulator::{Action, Fault, FaultProfile, Service, Simulator, SimulatorOptions, base_url};

#[tokio::test]
async fn a_journal_brings_the_same_world_back() {
    let folder = tempfile::tempdir().unwrap();
    let journal = folder.path().join("journal.jsonl");
    let options = SimulatorOptions { journal: Some(journal.clone()), ..SimulatorOptions::default() };
    let world = world_with(options.clone()).await;
    world.put_orders(2);
    world.refresh(&world.tokens.refresh_token).await;
    world.telegram("createForumTopic", json!({"chat_id": CHAT, "name": "T"})).await;
    world.telegram("sendMessage", json!({"chat_id": CHAT, "text": "x"})).await;
    let token = world.google_token(|_| ()).await.unwrap();
    let requests = json!({"requests": [{"addSheet": {"properties": {"title": "Orders"}}},
        {"appendCells": {"sheetId": 0, "fields": "*", "rows": [{"values": [
            {"userEnteredValue": {"numberValue": 46_347.123_456_789_01}}]}]}}]});
    world.google(&token, &format!("{SPREADSHEET}:batchUpdate"), Some(requests)).await;
    world.google(&token, "none", None).await;
    let before = world.sim.read(Clone::clone);
    world.sim.clone().shutdown().await;

    let mut torn = std::fs::read(&journal).unwrap();
    torn.extend_from_slice(b"{\"telegram\":{\"mess");
    std::fs::write(&journal, torn).unwrap();
    let again = Simulator::start(options).await.unwrap();
    assert!(again.read(Clone::clone) == before, "the replayed world differs");
    assert!(std::fs::read(&journal).unwrap().ends_with(b"\n"));
    again.add_bot("1:x", "other");
    assert!(std::fs::read_to_string(&journal).unwrap().lines().last().unwrap().contains("bot_added"));
}

#[tokio::test]
async fn faults_strike_before_or_after_and_are_counted() {
    let world = world().await;
    let message = || json!({"chat_id": CHAT, "text": "x"});
    let url = format!("{}bot{BOT}/sendMessage", world.sim.telegram_url());
    world.sim.script(Fault::once(Service::Telegram, "sendMessage", Action::RetryAfter(3)).skip(1));
    assert_eq!(world.telegram("sendMessage", message()).await.0, 200);
    assert_eq!(world.telegram("sendMessage", message()).await.1["parameters"]["retry_after"], 3);
    assert_eq!(world.sim.messages(CHAT).len(), 1);
    world.sim.script(Fault::once(Service::Telegram, "sendMessage", Action::Cut).after());
    let answer = world.http.post(&url).json(&message()).send().await;
    let body = match answer {
        Ok(answer) => answer.bytes().await.map(|_| ()),
        Err(error) => Err(error),
    };
    assert!(body.is_err(), "the connection is cut");
    assert_eq!(world.sim.messages(CHAT).len(), 2, "but the message is there");
    let error = Action::ShopeeError { error: "error_server".to_owned(), message: "later".to_owned() };
    world.sim.script(Fault::once(Service::Shopee, "get_shop_info", error).times(2));
    for expected in ["error_server", "error_server", ""] {
        assert_eq!(world.shop_get("/api/v2/shop/get_shop_info", "").await["error"], expected);
    }
    assert!(world.sim.faults_waiting().is_empty());
    assert_eq!(world.sim.faults_fired()["telegram sendmessage: cut (after)"], 1);
    assert_eq!(world.sim.faults_fired()["shopee GET /api/v2/shop/get_shop_info: error_server (before)"], 2);
}

#[tokio::test]
async fn a_call_takes_effect_before_its_slow_answer() {
    let world = world().await;
    let slow = Action::Slow(Duration::from_hours(1));
    world.sim.script(Fault::once(Service::Telegram, "sendMessage", slow).after());
    let sent = async {
        while world.sim.messages(CHAT).is_empty() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::select! {
        _ = world.telegram("sendMessage", json!({"chat_id": CHAT, "text": "x"})) => panic!("answered at once"),
        sent = tokio::time::timeout(Duration::from_secs(20), sent) => sent.expect("the effect"),
    }
}

/// A receiver that checks signatures and keeps what it accepted.
async fn receiver(accepted: &Arc<Mutex<Vec<String>>>) -> Url {
    let accepted = Arc::clone(accepted);
    let handler = move |headers: HeaderMap, body: Bytes| async move {
        let callback = "https://hooks.example.com/shopee";
        let right = sign_push("push key", callback, &body);
        if headers["authorization"] != right.as_str() {
            return axum::http::StatusCode::UNAUTHORIZED;
        }
        let mut accepted = accepted.lock().unwrap();
        accepted.push(String::from_utf8(body.to_vec()).unwrap());
        // Every tenth time it is "down" once: the platform comes again.
        if accepted.len() % 10 == 9 {
            accepted.pop();
            accepted.insert(0, String::new());
            return axum::http::StatusCode::SERVICE_UNAVAILABLE;
        }
        axum::http::StatusCode::OK
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = base_url(listener.local_addr().unwrap());
    let router = Router::new().fallback(post(handler));
    tokio::spawn(async move { axum::serve(listener, router).await });
    url
}

#[tokio::test]
async fn a_plan_is_played_once_and_goes_on_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let journal = Some(folder.path().join("journal.jsonl"));
    let options = SimulatorOptions { journal, ..SimulatorOptions::default() };
    let world = world_with(options.clone()).await;
    let plan = Arc::new(scenario(11, 200, 3));
    let expected = Expectation::of(&plan);
    Traffic::install(&world.sim, &plan, PARTNER);
    let accepted = Arc::new(Mutex::new(Vec::new()));
    let traffic = TrafficOptions {
        partner_id: PARTNER,
        deliver_to: Some(receiver(&accepted).await),
        rate: 0,
        faults: FaultProfile::None,
        concurrency: 8,
    };
    let progress = Arc::new(Progress::default());
    Traffic::run(&world.sim, &plan, &traffic, &progress).await.unwrap();
    let counted = progress.snapshot();
    assert_eq!(counted.done, counted.total);
    assert_eq!(counted.accepted + counted.lost, expected.events as u64);
    assert_eq!(
        (counted.repeated, counted.forged_refused),
        (expected.repeated as u64, expected.forged as u64)
    );
    assert_eq!((counted.forged_accepted, counted.given_up), (0, 0));
    assert!(counted.retries > 0 && counted.p99 >= counted.p50);
    assert_eq!(world.sim.lost_pushes(), expected.lost);
    for (order_sn, order) in &expected.orders {
        let truth =
            world.sim.read(|world| world.shopee.shops[&order.shop_id].orders[order_sn].status().to_owned());
        assert_eq!(truth, order.status);
    }
    world.sim.clone().shutdown().await;

    let again = Simulator::start(options).await.unwrap();
    let progress = Arc::new(Progress::default());
    Traffic::run(&again, &plan, &traffic, &progress).await.unwrap();
    assert_eq!(progress.snapshot().sent, 0, "nothing is left to be sent");
    assert_eq!(progress.snapshot().accepted, counted.accepted);
}
