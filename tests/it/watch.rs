//! What pushbox tells people of by itself: silence, answers, dead jobs, late queues, authorizations that end.

use std::time::Duration;

use pushbox::simulator::state::shopee::ShopeeChange;
use reqwest::StatusCode;
use serde_json::json;

use crate::support::app::{PARTNER, SHOP, TestApp, order, status_push};

const AT: i64 = 1_790_000_200;

impl TestApp {
    async fn execute(&self, sql: &'static str) {
        sqlx::query(sql).execute(&self.pool).await.expect(sql);
    }

    /// Everything that came in is old enough to be read.
    async fn events_age(&self) {
        self.drain().await;
        self.execute("UPDATE pushbox.events SET received_at = received_at - interval '1 minute'").await;
        self.execute("UPDATE pushbox.watermarks SET at = at - interval '1 hour'").await;
    }

    async fn alerts(&self, open: bool) -> Vec<(String, String)> {
        let sql = if open {
            "SELECT key, title FROM pushbox.alerts WHERE key LIKE 'watch:%' AND resolved_at IS NULL ORDER BY key"
        } else {
            "SELECT key, title FROM pushbox.alerts WHERE key LIKE 'watch:%' ORDER BY id"
        };
        sqlx::query_as(sql).fetch_all(&self.pool).await.expect("alerts")
    }

    async fn watched(&self) -> Vec<String> {
        self.run_schedule("watch").await;
        self.alerts(true).await.into_iter().map(|(key, _)| key).collect()
    }
}

#[tokio::test]
async fn silence_is_told_once_and_is_over_with_the_next_push() {
    let app = TestApp::start().await;
    app.push(&json!({"code": 5, "shop_id": SHOP, "timestamp": AT, "data": {"n": 1}})).await;
    app.push(&json!({"code": 5, "shop_id": SHOP, "timestamp": AT, "data": {"n": 2}})).await;
    app.watched().await;
    app.events_age().await;
    assert_eq!(app.watched().await, Vec::<String>::new());
    let learned = "SELECT events FROM pushbox.push_rhythms WHERE account = '' AND source = 'shopee'";
    assert_eq!(app.count(learned).await, 2);
    assert_eq!(app.count("SELECT count(*) FROM pushbox.push_rhythms WHERE code = '5'").await, 1);

    app.execute("UPDATE pushbox.push_rhythms SET last_at = now() - interval '2 hours', first_at = now() - interval '9 days'").await;
    // Nobody watched: what was silent then may have been us.
    assert_eq!(app.watched().await, Vec::<String>::new());
    app.execute("UPDATE pushbox.watermarks SET at = now() - interval '3 hours' WHERE name LIKE '%since'")
        .await;
    assert_eq!(app.watched().await, ["watch:silence:shopee"]);
    assert_eq!(app.watched().await.len(), 1);
    app.push(&json!({"code": 5, "shop_id": SHOP, "timestamp": AT, "data": {"n": 3}})).await;
    app.drain().await;
    app.execute("UPDATE pushbox.events SET received_at = now() - interval '20 seconds' WHERE payload->'data'->>'n' = '3'").await;
    app.execute(
        "UPDATE pushbox.watermarks SET at = now() - interval '30 seconds' WHERE name = 'push_rhythms'",
    )
    .await;
    assert_eq!(app.watched().await, Vec::<String>::new(), "over");
    assert_eq!(app.alerts(false).await.len(), 1, "one alert in all");
    let gap = app.count("SELECT (max(value::float8) > 7000)::int::bigint FROM pushbox.push_rhythms r, jsonb_each_text(r.longest_gaps) WHERE account = ''").await;
    assert_eq!(gap, 1, "from now on such a wait is usual");
    app.finish().await;
}

#[tokio::test]
async fn pushes_that_are_refused_are_counted_and_told_of() {
    let app = TestApp::start_with(&[("FAILED_SIGNATURES_PER_MINUTE", "1000")]).await;
    for n in 0..10 {
        app.push(&json!({"code": 5, "shop_id": SHOP, "timestamp": AT, "data": {"n": n}})).await;
        let refused = app.webhook().header("authorization", "wrong").body(format!("{n}")).send().await;
        assert_eq!(refused.expect("an answer").status(), StatusCode::UNAUTHORIZED);
    }
    app.until("SELECT (coalesce(sum(accepted), 0) = 10 AND sum(refused) = 10)::int::bigint FROM pushbox.push_answers")
        .await;
    assert_eq!(app.watched().await, ["watch:answers:shopee"]);
    let title = app.alerts(true).await.remove(0).1;
    assert!(title.contains("Only 50 %") && title.contains("10 of 20 were refused"), "{title}");
    app.execute("UPDATE pushbox.push_answers SET accepted = 2000").await;
    assert_eq!(app.watched().await, Vec::<String>::new(), "over");
    app.finish().await;
}

#[tokio::test]
async fn jobs_that_were_given_up_and_queues_that_are_late_are_told_of() {
    let app = TestApp::start_with(&[("MAX_ATTEMPTS", "1")]).await;
    app.push(&status_push("UNKNOWN", "SHIPPED", AT)).await;
    app.until("SELECT count(*) FROM pushbox.jobs WHERE state = 'dead'").await;
    // Nobody forwards here.
    app.execute(
        "INSERT INTO pushbox.jobs (queue, kind, key, batch_key, payload, priority, run_at, max_attempts)
         VALUES ('forward', 'forward_event', 'k', 'k', '{}', 0, now() - interval '1 hour', 1)",
    )
    .await;
    assert_eq!(app.watched().await, ["watch:dead:enrich", "watch:late:forward"]);
    app.execute("DELETE FROM pushbox.jobs").await;
    assert_eq!(app.watched().await, Vec::<String>::new());
    assert_eq!(app.alerts(false).await.len(), 2);
    app.finish().await;
}

#[tokio::test]
async fn a_cancelled_authorization_stops_the_shop_and_its_jobs_wait() {
    let app = TestApp::start().await;
    app.until(
        "SELECT count(*) FROM pushbox.shops WHERE authorization_expires_at > now() + interval '300 days'",
    )
    .await;
    assert_eq!(app.count("SELECT count(*) FROM pushbox.shops WHERE region = 'SG'").await, 1);
    app.simulator.unlink_shop(SHOP);
    // The official sample of a plain cancellation names no shop.
    let push = json!({"code": 2, "partner_id": PARTNER, "timestamp": AT, "data": {
        "authorize_type": "user cancel shop authorization", "extra": "shop id 10000001 (SG) ...", "success": 1}});
    app.push(&push).await;
    app.watched().await;
    app.events_age().await;
    app.run_schedule("watch").await;
    app.until("SELECT count(*) FROM pushbox.shops WHERE state = 'reauthorize'").await;
    let told = "SELECT count(*) FROM pushbox.alerts WHERE key = 'shop:shopee:10000001:authorization' AND severity = 'critical'";
    assert_eq!(app.count(told).await, 1);
    let (detail, escrow) = order("A1", "READY_TO_SHIP", AT);
    app.simulator.put_order(SHOP, detail, escrow);
    app.push(&status_push("A1", "READY_TO_SHIP", AT)).await;
    app.until("SELECT count(*) FROM pushbox.jobs WHERE waiting_on IS NOT NULL AND attempt = 0").await;

    app.simulator.add_shop(PARTNER, SHOP, "SG");
    let code = app.simulator.issue_code(PARTNER, SHOP);
    app.command(&["shopee", "authorize", "--code", &code, "--shop-id", &SHOP.to_string()]).await;
    app.drain().await;
    app.run_schedule("authorizations").await;
    assert_eq!(app.count("SELECT count(*) FROM pushbox.shops WHERE state = 'active'").await, 1);
    app.finish().await;
}

#[tokio::test]
async fn an_authorization_that_ends_soon_is_told_of_until_it_is_renewed() {
    let app = TestApp::start().await;
    let until = |days: u64| {
        let now = pushbox::clock::system().now().timestamp();
        let expire_time = now + i64::try_from(Duration::from_hours(24 * days).as_secs()).expect("seconds");
        app.simulator.change(ShopeeChange::ShopAdded {
            shop_id: SHOP,
            partner_id: PARTNER,
            region: "SG".into(),
            name: "Shop".into(),
            auth_time: now,
            expire_time,
        });
    };
    let open = "SELECT count(*) FROM pushbox.alerts WHERE key LIKE 'authorization:%' AND resolved_at IS NULL";
    app.run_schedule("authorizations").await;
    assert_eq!(app.count(open).await, 0);
    until(5);
    app.run_schedule("authorizations").await;
    let again = app.run_schedule("authorizations").await;
    assert_eq!(again["runs"][0]["result"]["expiring"], 1, "{again}");
    assert_eq!(app.count("SELECT count(*) FROM pushbox.alerts WHERE key LIKE 'authorization:%'").await, 1);
    until(200);
    app.run_schedule("authorizations").await;
    assert_eq!(app.count(open).await, 0, "renewed");
    app.finish().await;
}
