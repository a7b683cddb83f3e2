//! What the client makes of whole answers.

use std::sync::Arc;

use chrono::DateTime;
use serde_json::json;

use super::*;
use crate::clients::stub::{Said, Seen, Stub, ok};
use crate::clock::ManualClock;

fn client(url: &Url) -> ShopeeClient {
    let settings = ShopeeSettings {
        networks: Vec::new(),
        api_url: url.clone(),
        auth_url: Url::parse("https://open.shopee.com/auth").unwrap(),
        redirect_url: None,
        calls_per_second: 10,
        shop_concurrency: 4,
        partner_id: Some(2_000_001),
        partner_key: Some("partner-key".into()),
        push_keys: Vec::new(),
        callback_url: None,
        signatures: Vec::new(),
        shops: Vec::new(),
        further_apps: Vec::new(),
    };
    let now = DateTime::from_timestamp(1_790_000_000, 0).unwrap();
    ShopeeClient::new(&settings, Arc::new(ManualClock::new(now))).unwrap()
}

fn shop() -> Credentials {
    Credentials { shop_id: 42, partner_id: None, access_token: "the-token".into() }
}

fn order(order_sn: &str) -> serde_json::Value {
    json!({"order_sn": order_sn, "order_status": "SHIPPED", "create_time": 1, "update_time": 2})
}

fn asked(seen: &Seen) -> Vec<String> {
    seen.query["order_sn_list"].split(',').map(str::to_owned).collect()
}

fn envelope(response: &serde_json::Value) -> Said {
    ok(json!({"error": "", "message": "", "request_id": "r", "response": response}))
}

fn failure(status: u16, code: &str, message: &str) -> Said {
    (status, None, json!({"error": code, "message": message, "request_id": "r"}).to_string())
}

fn names<T>(answers: &Answers<T>) -> Vec<&str> {
    answers.failed.iter().map(|(order_sn, _)| order_sn.as_str()).collect()
}

#[tokio::test]
async fn a_shops_call_is_signed_and_asks_for_everything() {
    let stub = Stub::start(|_| envelope(&json!({"order_list": [order("A")]}))).await;
    let base = stub.url.join("prefix").unwrap();
    client(&base).order_detail(&shop(), &["A"]).await.unwrap();
    let seen = &stub.seen()[0];
    assert_eq!(seen.path, "/prefix/api/v2/order/get_order_detail");
    let base = "2000001/api/v2/order/get_order_detail1790000000the-token42";
    assert_eq!(seen.query["sign"], sign::signature(&"partner-key".into(), base));
    assert_eq!(seen.query["timestamp"], "1790000000");
    assert_eq!(seen.query["shop_id"], "42");
    assert_eq!(seen.query["request_order_status_pending"], "true");
    assert!(seen.query["response_optional_fields"].split(',').all(|field| !field.contains(' ')));
}

#[tokio::test]
async fn missing_and_unreadable_orders_fail_alone() {
    let stub = Stub::start(|_| {
        envelope(&json!({"order_list": [order("A"), {"order_sn": "B", "order_status": "SHIPPED"}]}))
    })
    .await;
    let answers = client(&stub.url).order_detail(&shop(), &["A", "B", "C"]).await.unwrap();
    assert_eq!(answers.found[0].reference.order_sn, "A");
    let [(b, unreadable), (c, missing)] = &answers.failed[..] else { panic!("{answers:?}") };
    assert_eq!((b.as_str(), c.as_str()), ("B", "C"));
    assert!(matches!(unreadable, ClientError::Malformed { .. }));
    assert!(matches!(missing, ClientError::NotFound { .. }));
}

#[tokio::test]
async fn one_refused_order_does_not_hold_up_its_neighbours() {
    let stub = Stub::start(|seen| {
        let orders = asked(seen);
        if orders.iter().any(|one| one == "BAD") {
            return failure(200, "error_not_found", "the order is not found");
        }
        envelope(&json!({"order_list": orders.iter().map(|one| order(one)).collect::<Vec<_>>()}))
    })
    .await;
    let answers = client(&stub.url).order_detail(&shop(), &["A", "B", "BAD", "C", "D"]).await.unwrap();
    assert_eq!(answers.found.len(), 4);
    assert_eq!(names(&answers), ["BAD"]);
}

#[tokio::test]
async fn a_bad_token_is_an_error_of_the_whole_call_whatever_the_status() {
    for status in [200, 403] {
        let stub = Stub::start(move |_| failure(status, "error_auth", "Invalid access_token.")).await;
        let error = client(&stub.url).order_detail(&shop(), &["A", "B"]).await.unwrap_err();
        assert!(error.needs_refresh(), "{error}");
        assert_eq!(stub.seen().len(), 1);
    }
}

#[tokio::test]
async fn waits_are_told() {
    let stub = Stub::start(|_| (429, Some(7), "slow down".to_owned())).await;
    let error = client(&stub.url).order_detail(&shop(), &["A"]).await.unwrap_err();
    assert_eq!(error.retry_after(), Some(Duration::from_secs(7)));
    let stub = Stub::start(|_| failure(200, "error_limit", "")).await;
    let error = client(&stub.url).order_detail(&shop(), &["A"]).await.unwrap_err();
    let reset = classify::until_quota_reset(DateTime::from_timestamp(1_790_000_000, 0).unwrap());
    assert_eq!(error.retry_after(), Some(reset));
}

#[tokio::test]
async fn pages_of_the_edge_are_not_taken_for_answers() {
    let stub = Stub::start(|_| ok("<html>maintenance</html>")).await;
    let error = client(&stub.url).order_detail(&shop(), &["A"]).await.unwrap_err();
    assert!(matches!(error, ClientError::Malformed { .. }), "{error}");
    let stub = Stub::start(|_| (502, None, "<html>".to_owned())).await;
    let error = client(&stub.url).order_detail(&shop(), &["A"]).await.unwrap_err();
    assert!(error.is_transient() && error.may_have_happened(), "{error}");
}

#[tokio::test]
async fn a_wrong_address_is_for_a_person_to_set_right() {
    let stub = Stub::start(|_| (404, None, "<html>nginx</html>".to_owned())).await;
    let error = client(&stub.url).order_detail(&shop(), &["A", "B"]).await.unwrap_err();
    assert!(error.needs_a_person(), "{error}");
}

fn escrow(order_sn: &str) -> serde_json::Value {
    json!({"order_sn": order_sn, "order_income": {"escrow_amount": 10.5, "items": []}})
}

#[tokio::test]
async fn income_comes_in_one_call() {
    let stub = Stub::start(|seen| {
        assert_eq!(seen.json(), json!({"order_sn_list": ["A", "B"]}));
        envelope(&json!([{"escrow_detail": escrow("A")}]))
    })
    .await;
    let answers = client(&stub.url).escrow_batch(&shop(), &["A", "B"]).await.unwrap();
    assert_eq!(answers.found[0].escrow_amount, "10.5".parse().unwrap());
    assert_eq!(names(&answers), ["B"]);
}

#[tokio::test]
async fn income_is_asked_order_by_order_where_the_batch_is_refused() {
    for refusal in [
        (405, None, String::new()),
        failure(200, "error_param", "wrong method"),
        ok("{\"error\": \"\", \"response\": {\"list\": []}}"),
    ] {
        let stub = Stub::start(move |seen| {
            if seen.path.ends_with("_batch") {
                refusal.clone()
            } else {
                envelope(&escrow(&seen.query["order_sn"]))
            }
        })
        .await;
        let client = client(&stub.url);
        for calls in [3, 5] {
            let answers = client.escrow_batch(&shop(), &["A", "B"]).await.unwrap();
            assert_eq!((answers.found.len(), answers.failed.len()), (2, 0));
            // The second time nobody asks the batch endpoint again.
            assert_eq!(stub.seen().len(), calls);
        }
    }
}

#[tokio::test]
async fn a_refused_order_does_not_give_up_the_batch_for_good() {
    let stub = Stub::start(|seen| match (seen.path.ends_with("_batch"), seen.body.contains("BAD")) {
        (true, true) => failure(200, "error_param", "bad order"),
        (true, false) => envelope(&json!([{"escrow_detail": escrow("A")}])),
        _ if seen.query["order_sn"] == "BAD" => failure(200, "order_not_found", ""),
        _ => envelope(&escrow("A")),
    })
    .await;
    let client = client(&stub.url);
    let answers = client.escrow_batch(&shop(), &["A", "BAD"]).await.unwrap();
    assert_eq!((answers.found.len(), names(&answers)), (1, vec!["BAD"]));
    assert_eq!(client.escrow_batch(&shop(), &["A"]).await.unwrap().found.len(), 1);
    assert!(stub.seen().last().unwrap().path.ends_with("_batch"));
}

#[tokio::test]
async fn tokens_are_refreshed_without_a_token() {
    let stub = Stub::start(|_| {
        ok(json!({"error": "", "access_token": "new", "refresh_token": "next", "expire_in": 14400}))
    })
    .await;
    let pair = client(&stub.url).refresh_token(42, &"old".into()).await.unwrap();
    assert_eq!((pair.access_token.expose_secret(), pair.refresh_token.expose_secret()), ("new", "next"));
    assert_eq!(pair.expires_at.timestamp(), 1_790_014_400);
    let seen = &stub.seen()[0];
    assert_eq!(seen.json(), json!({"refresh_token": "old", "partner_id": 2_000_001, "shop_id": 42}));
    let base = "2000001/api/v2/auth/access_token/get1790000000";
    assert_eq!(seen.query["sign"], sign::signature(&"partner-key".into(), base));
    assert!(!format!("{pair:?}").contains("next"));
}

#[tokio::test]
async fn a_spent_refresh_token_needs_the_seller_and_a_garbled_answer_does_not_say_so() {
    let stub = Stub::start(|_| failure(403, "error_auth", "Invalid refresh_token.")).await;
    let error = client(&stub.url).refresh_token(42, &"old".into()).await.unwrap_err();
    assert!(error.needs_authorization(), "{error}");
    let stub = Stub::start(|_| ok(r#"{"error": "", "access_token": "hush"}"#)).await;
    let error = client(&stub.url).refresh_token(42, &"old".into()).await.unwrap_err();
    assert!(error.may_have_happened() && !error.needs_authorization(), "{error}");
    assert!(!error.to_string().contains("hush"));
}

#[tokio::test]
async fn a_main_accounts_code_opens_its_shops() {
    let stub = Stub::start(|_| {
        ok(json!({"access_token": "a", "refresh_token": "r", "expire_in": 1, "shop_id_list": [1, 2]}))
    })
    .await;
    let authorized = client(&stub.url).exchange_code(&"code".into(), Account::Main(9)).await.unwrap();
    assert_eq!(authorized.shop_ids, [1, 2]);
    assert_eq!(stub.seen()[0].json(), json!({"code": "code", "partner_id": 2_000_001, "main_account_id": 9}));
}

#[tokio::test]
async fn the_lost_queue_is_read_and_confirmed_with_a_dash_for_no_error() {
    let stub = Stub::start(|seen| match seen.path.as_str() {
        "/api/v2/push/get_lost_push_message" => ok(json!({"error": "-", "response": {
            "push_message_list": [{"shop_id": 1, "code": 3, "timestamp": 5, "data": "{\"code\":3}"}],
            "has_next_page": true, "last_message_id": 176_610}})),
        _ => ok(json!({"error": "-", "message": "-"})),
    })
    .await;
    let client = client(&stub.url);
    let page = client.lost_pushes().await.unwrap();
    assert_eq!((page.pushes.len(), page.has_next_page, page.last_message_id), (1, true, Some(176_610)));
    client.confirm_lost(176_610).await.unwrap();
    assert_eq!(stub.seen()[1].json(), json!({"last_message_id": 176_610}));
    assert!(!stub.seen()[1].query.contains_key("access_token"));
}

#[tokio::test]
async fn an_empty_lost_page_cannot_be_confirmed() {
    let stub = Stub::start(|_| {
        envelope(&json!({"push_message_list": [], "has_next_page": false, "last_message_id": 0}))
    })
    .await;
    assert_eq!(client(&stub.url).lost_pushes().await.unwrap().last_message_id, None);
}

#[tokio::test]
async fn push_settings_are_read() {
    let stub = Stub::start(|_| {
        envelope(&json!({"callback_url": "https://x/", "live_push_status": "suspended",
            "push_config_on_list": [3, 4], "blocked_shop_id": null}))
    })
    .await;
    let config = client(&stub.url).push_config().await.unwrap();
    assert!(config.is_suspended() && config.blocked_shop_ids.is_empty());
    assert_eq!(config.push_config_on_list, [3, 4]);
}

#[test]
fn calls_can_be_spawned() {
    fn spawnable<T: Send>(_: &T) {}
    let (client, shop) = (client(&Url::parse("http://127.0.0.1:1/").unwrap()), shop());
    spawnable(&client.order_detail(&shop, &["A"]));
    spawnable(&client.escrow_batch(&shop, &["A"]));
    spawnable(&client.lost_pushes());
    spawnable(&async move {
        let order_sns = ["A".to_owned()];
        let order_sns: Vec<&str> = order_sns.iter().map(String::as_str).collect();
        client.order_detail(&shop, &order_sns).await
    });
}

#[test]
fn secrets_do_not_show() {
    let client = client(&Url::parse("http://127.0.0.1:1/").unwrap());
    let shown = format!("{client:?} {:?}", shop());
    assert!(!shown.contains("partner-key") && !shown.contains("the-token"), "{shown}");
}
