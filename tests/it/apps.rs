//! Several apps of Shopee in one pushbox: each shop is called for, and each lost queue drained, by its own app.

use pushbox::simulator::state::shopee::ShopeeChange;
use pushbox::simulator::{Action, Fault, Service};
use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::support::app::{CALLBACK, PARTNER, SHOP, TestApp, order, status_push};

const OTHER: i64 = 2_000_002;
const OTHER_SHOP: i64 = 10_000_002;
const AT: i64 = 1_790_000_200;

/// A second app, with the same callback URL and a push key of its own; its shop authorizes it through the API.
async fn two_apps() -> TestApp {
    let toml = format!(
        "[[partners]]\npartner_id = {OTHER}\npartner_key = 'other-api-key'\nwebhook_partner_key = 'other-push-key'\n"
    );
    let app = TestApp::start_with_toml(&[("LOST_PUSH_INTERVAL", "24h")], &toml).await;
    app.simulator.add_app(OTHER, "other-api-key", "other-push-key", CALLBACK);
    app.simulator.add_shop(OTHER, OTHER_SHOP, "MY");
    let code = app.simulator.issue_code(OTHER, OTHER_SHOP);
    let request = json!({"partner_id": OTHER, "code": code, "shop_id": OTHER_SHOP});
    let (status, answer) = app.api("POST", "/shops/exchange", Some(&request)).await;
    assert_eq!((status, answer), (StatusCode::OK, json!({"shop_ids": [OTHER_SHOP.to_string()]})));
    app
}

fn push_of(shop: i64, order_sn: &str) -> Value {
    let mut push = status_push(order_sn, "READY_TO_SHIP", AT);
    push["shop_id"] = shop.into();
    push
}

impl TestApp {
    fn put_ready(&self, shop: i64, order_sn: &str) {
        let (detail, escrow) = order(order_sn, "READY_TO_SHIP", AT);
        self.simulator.put_order(shop, detail, escrow);
    }

    async fn open_keys(&self) -> Vec<String> {
        let (_, list) = self.api("GET", "/alerts?open=true", None).await;
        let alerts = list["alerts"].as_array().expect("alerts");
        alerts.iter().filter_map(|one| one["key"].as_str()).map(str::to_owned).collect()
    }
}

#[tokio::test]
async fn each_shop_is_called_for_by_the_app_that_it_has_authorized() {
    let app = two_apps().await;
    app.put_ready(SHOP, "A1");
    app.put_ready(OTHER_SHOP, "B1");
    app.put_ready(OTHER_SHOP, "B2");
    app.push(&push_of(SHOP, "A1")).await;
    let body = push_of(OTHER_SHOP, "B1").to_string();
    let signature = app.simulator.sign_push(OTHER, body.as_bytes()).expect("the app is known");
    let answer = app.webhook().header("authorization", signature).body(body).send().await.expect("an answer");
    assert_eq!(answer.status(), StatusCode::OK);
    // The run at the start may have met an app that nobody knew yet, and is tried again until one succeeds.
    app.run_schedule("lost_pushes").await;
    app.simulator.lose_push(OTHER, Some(OTHER_SHOP), 3, &push_of(OTHER_SHOP, "B2").to_string());
    let run = app.run_schedule("lost_pushes").await;
    let result = &run["runs"][0]["result"];
    assert_eq!(
        (&result["found"], &result["partners"][OTHER.to_string()]["recovered"]),
        (&json!(0), &json!(1))
    );
    app.drain().await;
    assert_eq!(app.count("SELECT count(*) FROM pushbox.orders").await, 3);

    // Each token is renewed by the app that it was made for: the simulator refuses any other.
    for shop in [SHOP, OTHER_SHOP] {
        let (status, _) = app.api("POST", &format!("/shops/{shop}/refresh"), None).await;
        assert_eq!(status, StatusCode::ACCEPTED);
    }
    app.until("SELECT (count(*) = 2)::int::bigint FROM pushbox.shops WHERE state = 'active' AND access_expires_at > now()").await;
    let shops = app.admin("/shops").await;
    let partners: Vec<_> =
        shops["shops"].as_array().expect("shops").iter().map(|one| &one["partner_id"]).collect();
    assert_eq!(partners, [&json!(PARTNER), &json!(OTHER)]);
    let authorizations = app.run_schedule("authorizations").await;
    assert_eq!(authorizations["schedule"]["last_error"], Value::Null, "{authorizations}");
    assert_eq!(
        app.count("SELECT count(*) FROM pushbox.shops WHERE state = 'active'").await,
        2,
        "neither is taken from the other"
    );
    let compared = app
        .command(&[
            "shopee",
            "reconcile",
            "--from",
            "1h",
            "--shop",
            &OTHER_SHOP.to_string(),
            "--wait",
            "--json",
        ])
        .await;
    assert!(compared.contains("\"done\""), "{compared}");
    app.finish().await;
}

#[tokio::test]
async fn links_and_push_settings_are_those_of_the_app_that_was_named() {
    let app = two_apps().await;
    let ids = json!({"partner_id": 7});
    for (method, path, request) in [
        (
            "POST",
            "/shops/authorization-link",
            Some(json!({"partner_id": 7, "redirect_url": "https://h.example.com/a"})),
        ),
        ("GET", "/shopee/push-config?partner_id=7", None),
        ("PUT", "/shopee/push-config", Some(ids)),
    ] {
        let (status, answer) = app.api(method, path, request.as_ref()).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{path}: {answer}");
        assert!(answer.to_string().contains("there is no app 7"), "{answer}");
    }
    let request = json!({"partner_id": OTHER, "redirect_url": "https://h.example.com/a"});
    let (_, answer) = app.api("POST", "/shops/authorization-link", Some(&request)).await;
    assert!(answer["link"].as_str().is_some_and(|link| link.contains("partner_id=2000002")), "{answer}");

    let off = |partner_id| ShopeeChange::PushConfigured {
        partner_id,
        callback_url: None,
        on: vec![],
        off: vec![4],
        blocked_shops: None,
    };
    app.simulator.change(off(OTHER));
    app.run_schedule("push_health").await;
    assert_eq!(app.open_keys().await, ["pushes:shopee/2000002:settings:off:4"]);
    let config = app.admin(&format!("/shopee/push-config?partner_id={OTHER}")).await;
    assert_eq!(config["push_config"]["off"][0], 4);
    let request = json!({"partner_id": OTHER, "on": [4], "write": true});
    let (_, answer) = app.api("PUT", "/shopee/push-config", Some(&request)).await;
    assert_eq!(answer["written"], true, "{answer}");
    app.run_schedule("push_health").await;
    assert_eq!(app.open_keys().await, Vec::<String>::new());
    app.finish().await;
}

#[tokio::test]
async fn a_quota_or_an_app_that_is_gone_holds_its_own_shops_alone() {
    let app = two_apps().await;
    let quota = Action::ShopeeError { error: "error_limit".into(), message: "daily limit".into() };
    app.simulator.script(Fault::once(Service::Shopee, "get_order_detail", quota));
    app.put_ready(OTHER_SHOP, "B1");
    app.put_ready(SHOP, "A1");
    app.push(&push_of(OTHER_SHOP, "B1")).await;
    app.until(
        "SELECT count(*) FROM pushbox.destinations WHERE name = 'app/2000002' AND paused_until > now()",
    )
    .await;
    app.push(&push_of(SHOP, "A1")).await;
    app.until("SELECT count(*) FROM pushbox.orders WHERE order_sn = 'A1'").await;
    assert_eq!(app.open_keys().await, ["shopee:app/2000002"]);
    assert_eq!(app.count("SELECT count(*) FROM pushbox.orders WHERE order_sn = 'B1'").await, 0);
    for sql in [
        "UPDATE pushbox.destinations SET paused_until = now() WHERE name = 'app/2000002'",
        "UPDATE pushbox.jobs SET run_at = now()",
    ] {
        sqlx::query(sql).execute(&app.pool).await.expect(sql);
    }
    app.drain().await;
    assert_eq!(app.count("SELECT count(*) FROM pushbox.orders WHERE order_sn = 'B1'").await, 1);

    // An app that is taken out of the settings: its shop waits, and says for what.
    sqlx::query("UPDATE pushbox.shops SET partner_id = 7 WHERE shop_id = '10000002'")
        .execute(&app.pool)
        .await
        .expect("changed");
    app.put_ready(OTHER_SHOP, "B3");
    app.push(&push_of(OTHER_SHOP, "B3")).await;
    app.until(
        "SELECT count(*) FROM pushbox.jobs WHERE waiting_on LIKE '%there is no app 7%' AND attempt = 0",
    )
    .await;
    sqlx::query("UPDATE pushbox.shops SET partner_id = 2000002 WHERE shop_id = '10000002'")
        .execute(&app.pool)
        .await
        .expect("changed");
    sqlx::query("UPDATE pushbox.jobs SET run_at = now()").execute(&app.pool).await.expect("due");
    app.finish().await;
}
