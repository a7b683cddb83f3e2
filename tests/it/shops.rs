//! Shops through the admin API, and changing the key that seals their tokens.

use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::support::app::{PARTNER, SHOP, TestApp, order, status_push};

const AT: i64 = 1_790_000_200;
const OLD_KEY: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
const NEW_KEY: &str = "ICEiIyQlJicoKSorLC0uLzAxMjM0NTY3ODk6Ozw9Pj8=";

impl TestApp {
    async fn shop(&self, shop_id: i64) -> Value {
        let (status, answer) = self.api("GET", &format!("/shops/{shop_id}"), None).await;
        assert_eq!(status, StatusCode::OK, "{answer}");
        answer["shop"].clone()
    }

    async fn refreshed(&self) {
        self.until("SELECT count(*) FROM pushbox.shops WHERE access_expires_at > now()").await;
    }
}

#[tokio::test]
async fn shops_are_shown_without_their_tokens_refreshed_and_switched() {
    let app = TestApp::start().await;
    app.refreshed().await;
    let (_, list) = app.api("GET", "/shops", None).await;
    let shop = &list["shops"][0];
    assert_eq!(
        (&shop["shop_id"], &shop["state"], &shop["tokens"]),
        (&json!("10000001"), &json!("active"), &json!("sealed"))
    );
    let pair = app.simulator.shop_tokens(SHOP).expect("a pair");
    let text = list.to_string();
    assert!(
        !text.contains(&pair.access_token) && !text.contains(&pair.refresh_token) && !text.contains("v1:")
    );

    let before = app.shop(SHOP).await["refreshed_at"].clone();
    let (status, _) = app.api("POST", "/shops/10000001/refresh", None).await;
    assert_eq!(status, StatusCode::ACCEPTED);
    let begun = std::time::Instant::now();
    while app.shop(SHOP).await["refreshed_at"] == before {
        assert!(begun.elapsed().as_secs() < 20, "never refreshed");
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }

    let (status, off) = app.api("POST", "/shops/10000001/disable", Some(&json!({"reason": "sold"}))).await;
    assert_eq!((status, &off["shop"]["state"]), (StatusCode::OK, &json!("disabled")), "{off}");
    let (status, _) = app.api("POST", "/shops/10000001/refresh", None).await;
    assert_eq!(status, StatusCode::CONFLICT);
    let (detail, escrow) = order("A1", "READY_TO_SHIP", AT);
    app.simulator.put_order(SHOP, detail, escrow);
    app.push(&status_push("A1", "READY_TO_SHIP", AT)).await;
    app.until("SELECT count(*) FROM pushbox.jobs WHERE waiting_on LIKE '%sold%' AND attempt = 0").await;
    assert_eq!(app.shop(SHOP).await["waiting_jobs"], 1);
    let (_, on) = app.api("POST", "/shops/10000001/enable", None).await;
    assert_eq!(on["shop"]["state"], "active", "{on}");
    app.drain().await;
    assert_eq!(app.count("SELECT count(*) FROM pushbox.orders").await, 1);

    for (method, path) in
        [("GET", "/shops/999"), ("POST", "/shops/999/refresh"), ("POST", "/shops/999/enable")]
    {
        assert_eq!(app.api(method, path, None).await.0, StatusCode::NOT_FOUND, "{path}");
    }
    let recorded = "SELECT count(*) FROM pushbox.admin_actions WHERE subject = 'shop 10000001'";
    assert_eq!(app.count(recorded).await, 3);
    app.finish().await;
}

#[tokio::test]
async fn a_seller_authorizes_one_shop_and_a_main_account_all_of_its_own() {
    let app = TestApp::start().await;
    app.refreshed().await;
    let (status, answer) = app.api("POST", "/shops/authorization-link", Some(&json!({}))).await;
    assert_eq!(status, StatusCode::BAD_REQUEST, "where to? {answer}");
    let request = json!({"redirect_url": "https://hooks.example.com/done", "state": "s1"});
    let (_, link) = app.api("POST", "/shops/authorization-link", Some(&request)).await;
    let text = link["link"].as_str().expect("a link");
    assert!(
        text.contains("partner_id=2000001") && text.contains("state=s1") && link["expires_at"].is_null(),
        "{link}"
    );
    let request = json!({"redirect_url": "https://hooks.example.com/done", "legacy": true});
    let (_, link) = app.api("POST", "/shops/authorization-link", Some(&request)).await;
    assert!(
        link["link"].as_str().is_some_and(|text| text.contains("auth_partner?") && text.contains("sign="))
    );
    let (status, _) =
        app.api("POST", "/shops/authorization-link", Some(&json!({"redirect_url": "javascript:1"}))).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);

    app.simulator.add_shop(PARTNER, SHOP + 1, "SG");
    let code = app.simulator.issue_code(PARTNER, SHOP + 1);
    let request = json!({"code": code, "shop_id": SHOP + 1});
    let (status, answer) = app.api("POST", "/shops/exchange", Some(&request)).await;
    assert_eq!((status, &answer["shop_ids"]), (StatusCode::OK, &json!(["10000002"])), "{answer}");
    let (status, answer) = app.api("POST", "/shops/exchange", Some(&request)).await;
    assert_eq!(status, StatusCode::BAD_REQUEST, "a code works once: {answer}");
    assert!(!answer.to_string().contains(&code), "the code is not shown: {answer}");
    let (status, _) = app.api("POST", "/shops/exchange", Some(&json!({"code": "x"}))).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);

    let shops = [SHOP + 2, SHOP + 3];
    for shop in shops {
        app.simulator.add_shop(PARTNER, shop, "MY");
    }
    let code = app.simulator.issue_main_code(PARTNER, 50_001, &shops);
    let request = json!({"code": code, "main_account_id": 50_001});
    let (_, answer) = app.api("POST", "/shops/exchange", Some(&request)).await;
    assert_eq!(answer["shop_ids"], json!(["10000003", "10000004"]), "{answer}");
    // The first pair is shared; the first refresh of each gives it a pair of its own.
    for shop in shops {
        app.api("POST", &format!("/shops/{shop}/refresh"), None).await;
    }
    app.until("SELECT (count(*) = 2)::int::bigint FROM pushbox.shops WHERE token_version >= 1 AND shop_id IN ('10000003', '10000004')").await;
    let (_, all) = app.api("GET", "/shops", None).await;
    let all_active = all["shops"].as_array().expect("shops").iter().all(|shop| shop["state"] == "active");
    assert!(all_active && all["shops"].as_array().map(Vec::len) == Some(4), "{all}");
    assert_eq!(
        app.count("SELECT count(*) FROM pushbox.admin_actions WHERE action = 'exchange_code'").await,
        3
    );
    let leaked =
        app.count("SELECT count(*) FROM pushbox.admin_actions WHERE detail::text LIKE '%code\":%'").await;
    assert_eq!(leaked, 0);
    app.finish().await;
}

#[tokio::test]
async fn the_key_is_changed_without_a_moment_in_which_a_token_cannot_be_read() {
    let app = TestApp::start_with(&[("ENCRYPTION_KEY", OLD_KEY)]).await;
    app.refreshed().await;
    let sealed = "SELECT string_agg(access_token, ',') FROM pushbox.shops";
    let tokens = async |app: &TestApp| -> String {
        sqlx::query_scalar(sealed).fetch_one(&app.pool).await.expect("tokens")
    };
    let before = tokens(&app).await;
    let both = format!("{NEW_KEY},{OLD_KEY}");
    let app = app.restart_with(&[("ENCRYPTION_KEY", &both)]).await;
    assert_eq!(app.command(&["reseal"]).await, "1 shops sealed anew, 0 were already\n");
    assert_ne!(tokens(&app).await, before);
    assert_eq!(app.command(&["reseal"]).await, "0 shops sealed anew, 1 were already\n");
    assert!(
        app.command(&["doctor", "--json"])
            .await
            .contains("\"finding\":\"ENCRYPTION_KEY lists keys of before")
    );

    let app = app.restart_with(&[("ENCRYPTION_KEY", NEW_KEY)]).await;
    let (detail, escrow) = order("A1", "READY_TO_SHIP", AT);
    app.simulator.put_order(SHOP, detail, escrow);
    app.push(&status_push("A1", "READY_TO_SHIP", AT)).await;
    app.drain().await;
    assert_eq!(app.count("SELECT count(*) FROM pushbox.orders").await, 1, "the new key opens the tokens");

    // A key that is gone too early: said, and nothing is harmed.
    let app = app.restart_with(&[("ENCRYPTION_KEY", OLD_KEY)]).await;
    let (done, _) = app.try_command(&["reseal"]).await;
    assert!(!done);
    let (content, text) = app.try_command(&["doctor", "--json"]).await;
    assert!(!content && text.contains("cannot be opened"), "{text}");
    let app = app.restart_with(&[("ENCRYPTION_KEY", NEW_KEY)]).await;
    assert_eq!(app.command(&["reseal"]).await, "0 shops sealed anew, 1 were already\n");
    app.finish().await;
}
