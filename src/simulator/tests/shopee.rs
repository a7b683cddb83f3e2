//! Shopee over HTTP.

use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::routing::post;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use super::{PARTNER, SHOP, world, world_with};
use crate::simulator::{SimulatorOptions, base_url};

#[tokio::test]
async fn shopee_checks_signature_clock_and_token() {
    let world = world().await;
    world.put_orders(1);
    let path = "/api/v2/order/get_order_detail";
    let right = world.signed(path, Some(&world.tokens.access_token), "order_sn_list=SN000");
    let answer = world.get(&right).await;
    assert_eq!(answer["error"], "");
    let order = &answer["response"]["order_list"][0];
    assert_eq!(order["order_sn"], "SN000");
    assert!(order.get("total_amount").is_none(), "not asked, not returned");

    let wrong = async |url: String| world.get(&url).await["error"].as_str().unwrap().to_owned();
    assert_eq!(wrong(right.replace("&sign=", "&sign=0")).await, "error_sign");
    assert_eq!(wrong(right.replace("&timestamp=", "&timestamp=9")).await, "error_param");
    assert_eq!(wrong(right.replace("access_token=", "other=")).await, "error_param");
    assert_eq!(wrong(right.replace("partner_id=2", "partner_id=3")).await, "invalid_partner_id");
    let other_token = world.signed(path, Some("guess"), "order_sn_list=SN000");
    assert_eq!(wrong(other_token).await, "invalid_acceess_token");
    let public = world.signed("/api/v2/public/get_shops_by_partner", None, "page_size=10&page_no=1");
    assert_eq!(world.get(&public).await["authed_shop_list"][0]["shop_id"], SHOP);
    assert!(world.sim.unknown_calls().is_empty());
    world.get(&world.signed("/api/v2/order/cancel_everything", None, "")).await;
    assert_eq!(world.sim.unknown_calls().len(), 1);
}

#[tokio::test]
async fn a_refresh_token_works_once_and_the_old_access_token_five_minutes() {
    let world = world().await;
    let next = world.refresh(&world.tokens.refresh_token).await;
    assert_eq!(next["error"], "");
    assert_eq!(next["expire_in"], 14_400);
    let spent = world.refresh(&world.tokens.refresh_token).await;
    assert_eq!(
        (spent["error"].as_str(), spent["message"].as_str()),
        (Some("error_auth"), Some("Invalid refresh_token."))
    );
    let path = "/api/v2/shop/get_shop_info";
    assert_eq!(world.shop_get(path, "").await["region"], "SG");
    world.sim.advance(Duration::from_secs(301));
    assert_eq!(world.shop_get(path, "").await["error"], "invalid_acceess_token");
    let new = world.signed(path, next["access_token"].as_str(), "");
    assert_eq!(world.get(&new).await["error"], "");
    let code = world.sim.issue_code(PARTNER, SHOP);
    let body = json!({"code": code, "partner_id": PARTNER, "shop_id": SHOP});
    assert_eq!(world.public_post("/api/v2/auth/token/get", body.clone()).await["error"], "");
    assert_eq!(world.public_post("/api/v2/auth/token/get", body).await["error"], "invalid_code");
}

#[tokio::test]
async fn a_spent_refresh_token_is_honoured_where_the_world_says_so() {
    let world = world_with(SimulatorOptions { refresh_grace: true, ..SimulatorOptions::default() }).await;
    let first = world.refresh(&world.tokens.refresh_token).await;
    let again = world.refresh(&world.tokens.refresh_token).await;
    assert_eq!(first["refresh_token"], again["refresh_token"]);
    world.refresh(first["refresh_token"].as_str().unwrap()).await;
    assert_eq!(world.refresh(&world.tokens.refresh_token).await["error"], "error_auth");
}

#[tokio::test]
async fn orders_are_listed_in_pages_and_windows() {
    let world = world().await;
    world.put_orders(25);
    let (mut cursor, mut seen) = (String::new(), Vec::new());
    loop {
        let query =
            format!("time_range_field=update_time&time_from=1000&time_to=1019&page_size=8&cursor={cursor}");
        let answer = world.shop_get("/api/v2/order/get_order_list", &query).await;
        let list = answer["response"]["order_list"].as_array().unwrap();
        seen.extend(list.iter().map(|one| one["order_sn"].as_str().unwrap().to_owned()));
        cursor = answer["response"]["next_cursor"].as_str().unwrap().to_owned();
        if answer["response"]["more"] == false {
            break;
        }
    }
    assert_eq!(seen.len(), 20);
    let wide = "time_range_field=update_time&time_from=0&time_to=1296001&page_size=8";
    let answer = world.shop_get("/api/v2/order/get_order_list", wide).await;
    assert_eq!(answer["error"], "order.order_list_invalid_time");
    let query = "order_sn_list=SN001,NONE&response_optional_fields=item_list,total_amount";
    let answer = world.shop_get("/api/v2/order/get_order_detail", query).await;
    assert_eq!(answer["response"]["order_list"][0]["total_amount"], 12.5);
    assert!(answer["warning"][0].as_str().unwrap().contains("NONE"));
    let answer = world.shop_get("/api/v2/order/get_order_detail", "order_sn_list=NONE").await;
    assert_eq!(answer["error"], "error_not_found");
    let url = world.signed("/api/v2/payment/get_escrow_detail_batch", Some(&world.tokens.access_token), "");
    let body = json!({"order_sn_list": ["SN000", "NONE", "SN002"]});
    let answer: Value = world.http.post(url).json(&body).send().await.unwrap().json().await.unwrap();
    assert_eq!(answer["response"].as_array().unwrap().len(), 2);
    assert_eq!(answer["response"][1]["escrow_detail"]["order_sn"], "SN002");
}

#[tokio::test]
async fn lost_pushes_come_a_page_at_a_time_until_confirmed() {
    let world = world().await;
    for at in 0..130 {
        world.sim.lose_push(PARTNER, Some(SHOP), 3, &format!(r#"{{"code":3,"n":{at}}}"#));
    }
    let url = || world.signed("/api/v2/push/get_lost_push_message", None, "");
    let page = world.get(&url()).await["response"].clone();
    assert_eq!(page["push_message_list"].as_array().unwrap().len(), 100);
    assert_eq!(page["has_next_page"], true);
    assert_eq!(page, world.get(&url()).await["response"], "unconfirmed pages stay");
    let confirm = json!({"last_message_id": page["last_message_id"]});
    let path = "/api/v2/push/confirm_consumed_lost_push_message";
    assert_eq!(world.public_post(path, confirm).await["error"], "");
    let page = world.get(&url()).await["response"].clone();
    assert_eq!(page["push_message_list"][0]["data"], r#"{"code":3,"n":100}"#);
    assert_eq!(
        (page["push_message_list"].as_array().unwrap().len(), &page["has_next_page"]),
        (30, &json!(false))
    );
}

#[tokio::test]
async fn a_callback_is_saved_only_if_it_answers_the_probe() {
    let world = world().await;
    let body = |url: &str| json!({"callback_url": url, "set_push_config_on": [3, 4]});
    let path = "/api/v2/push/set_app_push_config";
    let nobody = world.public_post(path, body("http://127.0.0.1:1/")).await;
    assert_eq!(nobody["error"], "error_param");
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = base_url(listener.local_addr().unwrap());
    let router = Router::new().fallback(post(|body: Bytes| async move {
        let probe: Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(probe["code"], 0);
    }));
    tokio::spawn(async move { axum::serve(listener, router).await });
    assert_eq!(world.public_post(path, body(url.as_str())).await["response"]["result"], "success");
    let config = world.get(&world.signed("/api/v2/push/get_app_push_config", None, "")).await;
    assert_eq!(config["response"]["callback_url"], url.as_str());
}
