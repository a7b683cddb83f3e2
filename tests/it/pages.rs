//! The pages of shops, destinations, push settings and comparisons: what they show, what their forms do, and that
//! what others wrote stays text.

use axum::http::StatusCode;
use pushbox::admin::AdminState;
use pushbox::simulator::state::shopee::ShopeeChange;
use serde_json::json;

use crate::admin::{FULL_TOKEN, READ_TOKEN, get, online_state};
use crate::dashboard::{hidden_fields, page, press, sign_in};
use crate::support::app::{CALLBACK, PARTNER, SHOP, TestApp};

const HOSTILE: &str = r#"<b>&"'"#;
/// The same as a form sends it.
const SENT: &str = "%3Cb%3E%26%22%27";
/// The same as a page shows it.
const SHOWN: &str = "&lt;b&gt;&amp;&quot;'";

const PAGES: [&str; 4] =
    ["/dashboard/shops", "/dashboard/destinations", "/dashboard/shopee", "/dashboard/reconciliations"];

/// A shop, a destination and a comparison, all of a name that wants to be markup.
async fn hostile_state() -> AdminState {
    let state = online_state().await;
    for sql in [
        "INSERT INTO pushbox.shops (platform, shop_id, state, state_reason, region, access_token, refresh_token,
                                    refresh_failures, refresh_error, access_expires_at)
         VALUES ('shopee', $1, 'active', $1, $1, 'v1:a', 'v1:b', 3, $1, now() + interval '3 hours')",
        "INSERT INTO pushbox.destinations (kind, name, state, reason, last_error) VALUES ('forward', $1, 'open', $1, $1)",
        "INSERT INTO pushbox.reconciliations (platform, shop_id, kind, what, time_from, time_to, state, error)
         VALUES ('shopee', $1, 'manual', 'orders', now() - interval '1 day', now(), 'failed', $1)",
    ] {
        sqlx::query(sql).bind(HOSTILE).execute(&state.pool).await.expect(sql);
    }
    state
}

#[tokio::test]
async fn names_that_others_chose_are_text_and_can_be_acted_on() {
    let state = hostile_state().await;
    let cookie = sign_in(&state, FULL_TOKEN).await;
    for path in [
        "/dashboard/shops",
        "/dashboard/destinations",
        "/dashboard/queues",
        "/dashboard/reconciliations",
        "/dashboard/reconciliations/1",
    ] {
        let shown = page(&state, &cookie, path).await;
        assert!(shown.contains(SHOWN) && !shown.contains("<b>&"), "{path}: {shown}");
    }
    let destination = format!("kind=forward&name={SENT}&reason={SENT}&next=/dashboard/queues");
    for (path, body, back) in [
        ("/dashboard/destinations/pause", destination.as_str(), "/dashboard/queues"),
        ("/dashboard/destinations/reset", &destination, "/dashboard/queues"),
        ("/dashboard/destinations/resume", &destination, "/dashboard/queues"),
        ("/dashboard/shops/refresh", &format!("shop_id={SENT}"), "/dashboard/shops"),
        ("/dashboard/shops/disable", &format!("shop_id={SENT}&reason={SENT}"), "/dashboard/shops"),
        ("/dashboard/shops/enable", &format!("shop_id={SENT}"), "/dashboard/shops"),
    ] {
        // There is no task of that name before a scheduler ran, and the refresh is noted all the same.
        let done = press(&state, &cookie, path, body).await;
        assert_eq!(done.status, StatusCode::SEE_OTHER, "{path}: {}", done.body);
        assert_eq!(done.headers["location"], back, "{path}");
        let after = page(&state, &cookie, back).await;
        assert!(!after.contains("<b>&"), "{path}: {after}");
        match path {
            "/dashboard/destinations/pause" => {
                assert!(after.contains("action=\"/dashboard/destinations/resume\""));
            }
            "/dashboard/shops/disable" => assert!(after.contains("action=\"/dashboard/shops/enable\"")),
            _ => {}
        }
    }
    let actions = get(&state, "/api/v1/admin-actions").await.json();
    let of_all = actions["actions"].as_array().expect("a list");
    assert_eq!(of_all.len(), 6, "{actions}");
    assert!(of_all.iter().all(|one| one["actor"] == "ADMIN_TOKEN, dashboard"), "{actions}");
}

#[tokio::test]
async fn who_may_only_read_sees_them_without_anything_to_press() {
    let state = hostile_state().await;
    let cookie = sign_in(&state, READ_TOKEN).await;
    for path in PAGES {
        let shown = page(&state, &cookie, path).await;
        assert!(shown.contains("read only"), "{path}");
        assert_eq!(shown.matches("method=\"post\"").count(), 1, "only the sign-out: {path}: {shown}");
    }
    for path in [
        "/dashboard/shops/disable",
        "/dashboard/shops/exchange",
        "/dashboard/shops/authorization-link",
        "/dashboard/shopee",
        "/dashboard/reconciliations",
        "/dashboard/destinations/pause",
    ] {
        let refused = press(&state, &cookie, path, "shop_id=1&code=1&kind=forward&name=1&from=x").await;
        assert_eq!(refused.status, StatusCode::FORBIDDEN, "{path}: {}", refused.body);
    }
}

#[tokio::test]
async fn an_empty_page_says_what_to_do_and_an_error_is_a_page() {
    let state = online_state().await;
    let cookie = sign_in(&state, FULL_TOKEN).await;
    for (path, words) in PAGES.iter().zip([
        "Set PARTNER_ID and PARTNER_KEY, then authorize a shop here.",
        "set SHOP_ID, SPREADSHEET_ID, TELEGRAM_CHAT_ID or FORWARD_URL",
        "No app is configured: set PARTNER_ID and PARTNER_KEY",
        "then it begins by itself",
    ]) {
        let shown = page(&state, &cookie, path).await;
        assert!(shown.contains(words), "{path}: {shown}");
    }
    for (path, body, status) in [
        ("/dashboard/shops/refresh", "shop_id=77", StatusCode::NOT_FOUND),
        ("/dashboard/shops/explode", "shop_id=77", StatusCode::NOT_FOUND),
        ("/dashboard/shops/exchange", "code=1&shop_id=seven", StatusCode::BAD_REQUEST),
        ("/dashboard/shops/exchange", "code=1&shop_id=7", StatusCode::CONFLICT),
        ("/dashboard/shops/authorization-link", "redirect_url=javascript:1", StatusCode::BAD_REQUEST),
        ("/dashboard/shopee", "on=three", StatusCode::BAD_REQUEST),
        ("/dashboard/shopee", "on=3", StatusCode::CONFLICT),
        ("/dashboard/reconciliations", "from=yesterday", StatusCode::BAD_REQUEST),
        ("/dashboard/reconciliations", "from=2026-11-20T05:00&shop_id=77", StatusCode::BAD_REQUEST),
        ("/dashboard/destinations/pause", "kind=sheet&name=none&reason=x", StatusCode::NOT_FOUND),
        ("/dashboard/destinations/explode", "kind=sheet&name=none", StatusCode::NOT_FOUND),
    ] {
        let refused = press(&state, &cookie, path, body).await;
        assert_eq!(refused.status, status, "{path} {body}: {}", refused.body);
        assert!(refused.body.contains("<html"), "people get a page: {}", refused.body);
    }
}

#[tokio::test]
async fn a_seller_is_authorized_from_the_page() {
    let app = TestApp::start().await;
    app.until("SELECT count(*) FROM pushbox.shops WHERE access_expires_at > now()").await;
    let (_, shops) = app.page("/shops").await;
    assert!(
        shops.contains(&SHOP.to_string())
            && shops.contains(&format!("app <span class=\"id\">{PARTNER}</span>")),
        "{shops}"
    );
    let asked = [("redirect_url", "https://hooks.example.com/done"), ("state", "s1")];
    let (status, link) = app.press("/shops/authorization-link", &asked).await;
    assert_eq!(status, StatusCode::OK, "{link}");
    assert!(link.contains("partner_id=2000001&amp;") && link.contains("state=s1"), "{link}");
    app.simulator.add_shop(PARTNER, SHOP + 1, "SG");
    let code = app.simulator.issue_code(PARTNER, SHOP + 1);
    let came_back = format!("https://hooks.example.com/done?code={code}&shop_id={}", SHOP + 1);
    let (status, done) = app.press("/shops/exchange", &[("code", &came_back), ("shop_id", "")]).await;
    assert_eq!(status, StatusCode::OK, "{done}");
    assert!(done.contains("10000002") && !done.contains(&code), "{done}");
    let (status, again) = app.press("/shops/exchange", &[("code", &came_back)]).await;
    assert_eq!(status, StatusCode::BAD_REQUEST, "a code works once: {again}");
    assert!(again.contains("<html") && !again.contains(&code), "{again}");
    app.finish().await;
}

#[tokio::test]
async fn push_settings_are_shown_changed_after_a_preview_and_never_by_it() {
    let app = TestApp::start().await;
    app.simulator.change(ShopeeChange::PushStatus { partner_id: PARTNER, status: "Warning".into() });
    let (_, shown) = app.page("/shopee").await;
    assert!(shown.contains(CALLBACK) && shown.contains("under 70 %"), "{shown}");
    let settings = app.admin("/shopee/push-config").await["push_config"].clone();
    let on = settings["on"].as_array().expect("codes").clone();
    assert!(on.contains(&json!(4)), "{settings}");
    // All boxes stay checked but that of code 4, and a shop is blocked.
    let boxes = on.iter().filter(|code| **code != json!(4)).map(|code| format!("&code={code}"));
    let boxes = boxes.collect::<Vec<_>>().concat();
    let form = format!("/shopee/preview?partner_id={PARTNER}&callback_url={CALLBACK}{boxes}&blocked={SHOP}");
    let (_, preview) = app.page(&form).await;
    assert!(
        preview.contains("code 4  on -&gt; off") && preview.contains("delivered -&gt; blocked"),
        "{preview}"
    );
    assert_eq!(app.admin("/shopee/push-config").await["push_config"], settings, "a look changes nothing");
    let fields = hidden_fields(&preview, "/dashboard/shopee");
    let fields: Vec<(String, String)> = url::form_urlencoded::parse(fields.as_bytes()).into_owned().collect();
    let fields: Vec<(&str, &str)> =
        fields.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let (status, after) = app.press("/shopee", &fields).await;
    assert_eq!(status, StatusCode::OK, "{after}");
    let now = app.admin("/shopee/push-config").await["push_config"].clone();
    assert!(now["off"].as_array().expect("codes").contains(&json!(4)), "{now}");
    assert_eq!(now["blocked_shop_ids"], json!([SHOP]));
    let (_, nothing) = app.page(&form).await;
    assert!(nothing.contains("Nothing would change"), "{nothing}");
    let recorded = "SELECT count(*) FROM pushbox.admin_actions WHERE action = 'set_push_config'";
    assert_eq!(app.count(recorded).await, 1);
    app.finish().await;
}

#[tokio::test]
async fn a_range_is_compared_from_the_page() {
    let app = TestApp::start().await;
    app.until("SELECT count(*) FROM pushbox.schedules WHERE name = 'reconcile'").await;
    let asked = [
        ("from", "2026-09-20T00:00"),
        ("to", "2026-09-21T00:00"),
        ("shop_id", "10000001"),
        ("what", "orders"),
    ];
    let (status, shown) = app.press("/reconciliations", &asked).await;
    assert_eq!(status, StatusCode::OK, "{shown}");
    assert!(shown.contains("Comparison ") && shown.contains("2026-09-20 00:00:00 UTC"), "{shown}");
    app.until("SELECT count(*) FROM pushbox.reconciliations WHERE kind = 'manual' AND state = 'done'").await;
    let (_, list) = app.page("/reconciliations?kind=manual&state=&shop_id=").await;
    assert!(list.contains("done") && list.contains("1 d until"), "{list}");
    app.finish().await;
}
