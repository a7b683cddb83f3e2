//! Comparing with what the platform says: what no push told of is found, once, whatever happens meanwhile.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use pushbox::clients::shopee::Apps;
use pushbox::clock;
use pushbox::domain::job::Queue;
use pushbox::domain::route::Routes;
use pushbox::domain::seal::{Sealer, token_place};
use pushbox::queue::{Plan, Waker};
use pushbox::schedule::Task;
use pushbox::schedule::reconcile::{Kind, Reconcile};
use pushbox::schedule::shop_calls::ShopCalls;
use pushbox::simulator::state::shopee::{OrderTruth, ShopeeChange};
use pushbox::simulator::traffic::{
    Action, Expectation, Plan as Traffics, Progress, Traffic, TrafficOptions, scenario,
};
use pushbox::simulator::{Action as Reply, Fault, FaultProfile, Service, Simulator, SimulatorOptions};
use pushbox::store::reconciliation_lists::{Range, ask};
use pushbox::store::shops::import_shop;
use reqwest::StatusCode;
use serde_json::{Value, json};
use sqlx::PgPool;

use crate::support::app::{
    CHAT, PARTNER, SHOP, SPREADSHEET, TestApp, config, order, simulated_world, status_push,
};
use crate::support::crash::{Moment, dies_at};
use crate::support::database::{TestDatabase, database};

const AT: i64 = 1_790_000_200;

fn now() -> i64 {
    clock::system().now().timestamp()
}

fn time(seconds: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(seconds, 0).expect("a time")
}

/// An app whose first comparison is over: what is done from here on is the test's.
async fn settled_app() -> TestApp {
    let app = TestApp::start().await;
    app.until("SELECT count(*) FROM pushbox.shops WHERE access_expires_at > now()").await;
    for kind in ["orders", "deep", "income"] {
        let begun = std::time::Instant::now();
        loop {
            let (_, list) = app.api("GET", &format!("/reconciliations?kind={kind}&state=done"), None).await;
            if list["reconciliations"].as_array().is_some_and(|list| !list.is_empty()) {
                break;
            }
            assert!(begun.elapsed() < Duration::from_secs(30), "{kind}: {list}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
    app
}

impl TestApp {
    fn put(&self, order_sn: &str, status: &str, at: i64) {
        let (detail, escrow) = order(order_sn, status, at);
        self.simulator.put_order(SHOP, detail, escrow);
    }

    async fn compare(&self, arguments: &[&str]) -> Value {
        let mut all = vec!["shopee", "reconcile", "--wait", "--json"];
        all.extend(arguments);
        let answer: Value = serde_json::from_str(&self.command(&all).await).expect("JSON");
        answer["reconciliations"][0].clone()
    }

    fn status_of(&self, order_sn: &str) -> Option<String> {
        let rows = self.simulator.sheet_rows(SPREADSHEET, "Orders");
        rows.into_iter().find(|row| row["Order"] == order_sn).map(|row| row["Status"].clone())
    }

    fn told_of(&self, order_sn: &str) -> usize {
        let messages = self.simulator.messages(CHAT);
        messages.iter().filter(|message| message.text.contains(order_sn)).count()
    }
}

fn counts(row: &Value) -> [i64; 4] {
    ["listed", "found", "refreshed", "known"].map(|name| row[name].as_i64().expect("a count"))
}

#[tokio::test]
async fn what_no_push_told_of_is_announced_once_although_the_push_comes_after_all() {
    let app = settled_app().await;
    let at = now() - 300;
    app.put("R1", "READY_TO_SHIP", at);
    let row = app.compare(&["--from", "1h"]).await;
    assert_eq!((counts(&row), row["state"].as_str()), ([1, 1, 0, 0], Some("done")), "{row}");
    app.drain().await;
    assert_eq!(app.status_of("R1").as_deref(), Some("READY_TO_SHIP"));
    assert_eq!(app.told_of("R1"), 1);
    assert_eq!(
        app.count("SELECT count(*) FROM pushbox.events WHERE via = 'reconcile' AND code = '3'").await,
        1
    );

    // The push was late, and then its copy comes out of the lost queue.
    let late = status_push("R1", "READY_TO_SHIP", at);
    app.push(&late).await;
    app.simulator.lose_push(PARTNER, Some(SHOP), 3, &late.to_string());
    app.run_schedule("lost_pushes").await;
    let row = app.compare(&["--from", "1h"]).await;
    assert_eq!(counts(&row), [1, 0, 0, 1], "known now: {row}");
    app.drain().await;
    assert_eq!(app.count("SELECT count(*) FROM pushbox.events").await, 1);
    assert_eq!(app.count("SELECT sum(redeliveries)::bigint FROM pushbox.event_keys").await, 2);
    assert_eq!(app.told_of("R1"), 1, "told once");
    app.finish().await;
}

#[tokio::test]
async fn newer_details_and_released_income_reach_the_sheet_without_a_word() {
    let app = settled_app().await;
    let at = now() - 900;
    app.put("R1", "SHIPPED", at);
    app.push(&status_push("R1", "SHIPPED", at)).await;
    app.drain().await;
    let (mut detail, mut escrow) = order("R1", "SHIPPED", at + 60);
    detail.insert("note".into(), "leave it at the door".into());
    app.simulator.put_order(SHOP, detail.clone(), escrow.clone());
    let row = app.compare(&["--from", "1h"]).await;
    assert_eq!(counts(&row), [1, 0, 1, 0], "{row}");
    app.drain().await;
    let newer = "SELECT count(*) FROM pushbox.orders WHERE note = 'leave it at the door'";
    assert_eq!(app.count(newer).await, 1);

    // The payout is another one than was expected, and nothing else changed.
    escrow["order_income"]["escrow_amount"] = json!(24.01);
    // Shopee's times are whole seconds: this one is later than what we fetched, and past already.
    app.until(
        "SELECT (date_trunc('second', now()) > max(fetched_at))::int::bigint FROM pushbox.order_income",
    )
    .await;
    let released_at = Some(now());
    let order = OrderTruth { detail, escrow, released_at };
    app.simulator.change(ShopeeChange::OrderPut { shop_id: SHOP, order });
    let (other, escrow) = self::order("NEVER_HEARD_OF", "COMPLETED", at - 90 * 86_400);
    let order = OrderTruth { detail: other, escrow, released_at };
    app.simulator.change(ShopeeChange::OrderPut { shop_id: SHOP, order });
    let row = app.compare(&["--from", "1h", "--what", "income", "--shop", &SHOP.to_string()]).await;
    assert_eq!(counts(&row), [2, 0, 1, 0], "only what is in the sheet already: {row}");
    app.drain().await;
    let rows = app.simulator.sheet_rows(SPREADSHEET, "Orders");
    assert_eq!(rows.len(), 1);
    assert!(rows[0].values().any(|cell| cell.contains("24.01")), "{:?}", rows[0]);
    assert_eq!(app.told_of("R1"), 1, "nobody hears of it");
    assert_eq!(app.count("SELECT count(*) FROM pushbox.events").await, 1);
    let row = app.compare(&["--from", "1h", "--what", "income"]).await;
    assert_eq!(counts(&row), [2, 0, 0, 1], "{row}");
    app.finish().await;
}

#[tokio::test]
async fn a_long_range_goes_in_parts_and_the_api_shows_and_refuses() {
    let app = settled_app().await;
    for n in 0..250 {
        app.put(&format!("L{n:03}"), "COMPLETED", AT + n * 6 * 3_600);
    }
    let request = json!({"from": time(AT), "to": time(AT + 250 * 6 * 3_600), "shop_id": SHOP.to_string()});
    let (status, answer) = app.api("POST", "/reconciliations", Some(&request)).await;
    assert_eq!(status, StatusCode::ACCEPTED, "{answer}");
    let id = answer["reconciliations"][0]["id"].as_i64().expect("a number");
    app.until("SELECT count(*) FROM pushbox.reconciliations WHERE kind = 'manual' AND state = 'done'").await;
    let (_, one) = app.api("GET", &format!("/reconciliations/{id}"), None).await;
    assert_eq!(counts(&one["reconciliation"]), [250, 250, 0, 0], "{one}");
    app.drain().await;
    assert_eq!(app.count("SELECT count(*) FROM pushbox.orders").await, 250);
    let (_, list) = app.api("GET", "/reconciliations?kind=manual&state=done&limit=1", None).await;
    assert_eq!(list["reconciliations"][0]["id"].as_i64(), Some(id), "{list}");
    let shown = app.command(&["shopee", "reconcile", "--list"]).await;
    assert!(shown.contains("manual") && shown.contains("250"), "{shown}");

    for (request, expected) in [
        (json!({"from": "2026-01-01T00:00:00Z", "to": "2025-01-01T00:00:00Z"}), StatusCode::BAD_REQUEST),
        (json!({"from": "2020-01-01T00:00:00Z"}), StatusCode::BAD_REQUEST),
        (json!({"from": "2099-01-01T00:00:00Z", "to": "2099-02-01T00:00:00Z"}), StatusCode::BAD_REQUEST),
        (json!({"from": time(AT), "what": "everything"}), StatusCode::BAD_REQUEST),
        (json!({"from": time(AT), "shop_id": "999"}), StatusCode::BAD_REQUEST),
        (json!({"from": "yesterday"}), StatusCode::BAD_REQUEST),
    ] {
        let (status, answer) = app.api("POST", "/reconciliations", Some(&request)).await;
        let unprocessable = status == StatusCode::UNPROCESSABLE_ENTITY && expected == StatusCode::BAD_REQUEST;
        assert!(status == expected || unprocessable, "{request}: {status} {answer}");
    }
    let (status, _) = app.api("GET", "/reconciliations/999999", None).await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    let (status, _) = app.api("GET", "/reconciliations?kind=x", None).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    app.finish().await;
}

#[tokio::test]
async fn a_shop_that_is_back_is_compared_from_where_it_was_lost() {
    let app = settled_app().await;
    // The last success is days ago; the shop was lost meanwhile, and orders went on.
    sqlx::query(
        "UPDATE pushbox.reconciliations SET time_to = now() - interval '4 days', asked_at = now() - interval '4 days'
         WHERE kind = 'orders'",
    )
    .execute(&app.pool)
    .await
    .expect("the past");
    sqlx::query("UPDATE pushbox.shops SET created_at = now() - interval '30 days'")
        .execute(&app.pool)
        .await
        .expect("the past");
    app.put("OLD", "COMPLETED", now() - 6 * 86_400);
    app.put("MISSED", "SHIPPED", now() - 3 * 86_400);
    app.put("FRESH", "SHIPPED", now());
    app.simulator.unlink_shop(SHOP);
    let failed = app.run_schedule("reconcile").await;
    assert_eq!(failed["runs"][0]["result"]["put_off"], 1, "{failed}");
    app.until("SELECT count(*) FROM pushbox.shops WHERE state = 'reauthorize'").await;
    let idle = app.run_schedule("reconcile").await;
    assert_eq!(idle["runs"][0]["result"]["compared"], 0, "it waits: {idle}");

    app.simulator.add_shop(PARTNER, SHOP, "SG");
    let code = app.simulator.issue_code(PARTNER, SHOP);
    app.command(&["shopee", "authorize", "--code", &code, "--shop-id", &SHOP.to_string()]).await;
    sqlx::query("UPDATE pushbox.reconciliations SET lease_until = now() WHERE state = 'running'")
        .execute(&app.pool)
        .await
        .expect("due");
    let done = app.run_schedule("reconcile").await;
    assert_eq!(
        done["runs"][0]["result"]["found"], 1,
        "what changed since, and not what is on its way: {done}"
    );
    app.drain().await;
    assert_eq!(app.status_of("MISSED").as_deref(), Some("SHIPPED"));
    app.finish().await;
}

#[tokio::test]
async fn a_token_that_ends_and_a_platform_that_fails_are_waited_for() {
    let app = settled_app().await;
    for n in 0..120 {
        app.put(&format!("F{n:03}"), "SHIPPED", AT + n);
    }
    app.simulator.revoke_access(SHOP);
    let shopee = |call: &str, reply: Reply| Fault::once(Service::Shopee, call, reply);
    let system = Reply::ShopeeError { error: "error_server".into(), message: "Something wrong".into() };
    app.simulator.script(shopee("get_order_list", Reply::RetryAfter(1)).skip(1));
    app.simulator.script(shopee("get_order_detail", Reply::Html(502)));
    app.simulator.script(shopee("get_order_detail", system).skip(1));
    app.simulator.script(shopee("get_order_list", Reply::Hang(Duration::from_millis(300))).skip(1));
    app.simulator.script(shopee("get_order_list", Reply::Html(200)).skip(1));
    let from = time(AT - 1).to_rfc3339();
    let row = app.compare(&["--from", &from, "--to", &time(AT + 1_000).to_rfc3339()]).await;
    assert_eq!(counts(&row), [120, 120, 0, 0], "{row}");
    assert_eq!(app.simulator.faults_waiting(), Vec::new(), "each fault struck");
    app.finish().await;
}

/// A comparison without the rest of a process.
struct World {
    simulator: Simulator,
    database: TestDatabase,
    apps: Apps,
    sealer: Sealer,
}

impl World {
    async fn new() -> Self {
        let simulator = simulated_world(SimulatorOptions::default()).await;
        let database = database().await;
        let config = config(&simulator, &database.url);
        let apps = Apps::new(&config.shopee, &clock::system(), |client| client).expect("a client");
        let sealer = Sealer::new(config.encryption_key.as_ref()).expect("a key");
        let pair = simulator.shop_tokens(SHOP).expect("a pair");
        let id = SHOP.to_string();
        let access = sealer.seal(&pair.access_token.into(), &token_place("shopee", &id, "access"));
        let mut connection = database.pool.acquire().await.expect("a connection");
        import_shop(&mut connection, "shopee", &id, None, &access, None).await.expect("imported");
        drop(connection);
        Self { simulator, database, apps, sealer }
    }

    fn task(&self, pool: PgPool) -> Reconcile {
        let (apps, sealer) = (self.apps.clone(), self.sealer.clone());
        Reconcile {
            shops: Arc::new(ShopCalls { pool: pool.clone(), apps, sealer }),
            pool,
            clock: clock::system(),
            plan: Plan {
                routes: Routes { order_event_codes: vec![3], ..Routes::default() },
                max_attempts: 3,
            },
            waker: Waker::default(),
            kind: Kind::Orders,
            every: Duration::from_mins(15),
            at_once: 1,
        }
    }

    /// 101 orders that changed, on two pages, and somebody wants that second range compared.
    async fn change(&self, round: i64) {
        let begin = AT + round * 1_000;
        for n in 0..101 {
            let (detail, escrow) = order(&format!("C{round}-{n}"), "SHIPPED", begin + n);
            self.simulator.put_order(SHOP, detail, escrow);
        }
        let range = Range { shop_id: None, what: "orders", from: time(begin), to: time(begin + 200) };
        let mut connection = self.database.pool.acquire().await.expect("a connection");
        ask(&mut connection, "shopee", &range).await.expect("asked");
    }

    async fn execute(&self, sql: &'static str) {
        sqlx::query(sql).execute(&self.database.pool).await.expect(sql);
    }

    async fn count(&self, sql: &'static str) -> i64 {
        sqlx::query_scalar(sql).fetch_one(&self.database.pool).await.expect(sql)
    }

    /// What a process that died had asked for is done, or not, before its session ends.
    async fn until_gone(&self, pid: i32) {
        let there = || {
            sqlx::query_scalar::<_, i64>("SELECT count(*) FROM pg_stat_activity WHERE pid = $1")
                .bind(pid)
                .fetch_one(&self.database.pool)
        };
        while there().await.expect("asked") > 0 {
            tokio::task::yield_now().await;
        }
    }

    async fn check(&self, rounds: i64, what: &str) {
        let found = "SELECT count(*) FROM pushbox.events WHERE via = 'reconcile'";
        assert_eq!(self.count(found).await, 101 * rounds, "{what}: each once");
        let jobs = "SELECT count(*) FROM pushbox.jobs WHERE queue = 'enrich' AND event_id IS NOT NULL";
        assert_eq!(self.count(jobs).await, 101 * rounds, "{what}: each with its job in {:?}", Queue::Enrich);
        let whole = "SELECT count(*) FROM pushbox.reconciliations
                     WHERE kind = 'manual' AND state = 'done' AND listed = 101 AND found = 101";
        assert_eq!(self.count(whole).await, rounds, "{what}: the counts are exact");
    }
}

#[tokio::test]
async fn a_comparison_that_dies_anywhere_goes_on_behind_its_last_page() {
    let world = World::new().await;
    let mut rounds = 0;
    for moment in [Moment::Asleep, Moment::Woken] {
        let mut points = 0;
        for n in 1.. {
            world.change(rounds).await;
            rounds += 1;
            let pool = world.database.lone_pool().await;
            let pid: i32 =
                sqlx::query_scalar("SELECT pg_backend_pid()").fetch_one(&pool).await.expect("a session");
            let ended = dies_at(n, moment, world.task(pool.clone()).run()).await;
            pool.close().await;
            world.until_gone(pid).await;
            world.execute("UPDATE pushbox.reconciliations SET lease_until = now() - interval '1 second' WHERE lease IS NOT NULL").await;
            world.task(world.database.pool.clone()).run().await.expect("the run after");
            world.check(rounds, &format!("{moment:?} {n}")).await;
            if ended.is_some() {
                points = n;
                break;
            }
        }
        assert!(points >= 10, "{moment:?}: {points} points");
    }
}

#[tokio::test]
async fn two_replicas_share_the_comparisons_and_find_everything_once() {
    let world = World::new().await;
    for round in 0..6 {
        world.change(round).await;
    }
    let tasks = [world.task(world.database.pool.clone()), world.task(world.database.pool.clone())];
    let (one, other) = tokio::join!(tasks[0].run(), tasks[1].run());
    one.expect("a run");
    other.expect("a run");
    // Whoever found nothing free has gone; what is left is done by the next tick.
    tasks[0].run().await.expect("a run");
    world.check(6, "two at once").await;
}

#[tokio::test]
async fn what_shopee_refuses_fails_and_says_why_and_a_daily_quota_puts_off() {
    let world = World::new().await;
    world.change(0).await;
    let refuse = |error: &str| Reply::ShopeeError { error: error.into(), message: "No.".into() };
    world.simulator.script(Fault::once(Service::Shopee, "get_order_list", refuse("error_param")));
    let result = world.task(world.database.pool.clone()).run().await.expect("a run");
    assert_eq!((&result["failed"], &result["compared"]), (&json!(1), &json!(1)), "{result}");
    let failed =
        "SELECT count(*) FROM pushbox.reconciliations WHERE state = 'failed' AND error LIKE '%error_param%'";
    assert_eq!(world.count(failed).await, 1);

    world.change(1).await;
    world.simulator.script(Fault::once(Service::Shopee, "get_order_list", refuse("error_limit")));
    let result = world.task(world.database.pool.clone()).run().await.expect("a run");
    assert_eq!((&result["put_off"], &result["found"]), (&json!(1), &json!(0)), "{result}");
    let waits =
        "SELECT count(*) FROM pushbox.reconciliations WHERE state = 'running' AND lease_until > now()";
    assert_eq!(world.count(waits).await, 1);
    // A page that Shopee has forgotten: the part begins again.
    world.execute("UPDATE pushbox.reconciliations SET lease_until = now(), cursor = 'forgotten' WHERE state = 'running'").await;
    world.task(world.database.pool.clone()).run().await.expect("a run");
    let whole = "SELECT count(*) FROM pushbox.reconciliations WHERE kind = 'manual' AND state = 'done' AND found = 101";
    assert_eq!(world.count(whole).await, 1);
}

/// Of ten pushes one never arrives (half of these are kept in the lost queue), and another comes twice. Returns how
/// many nobody hears of.
fn lose_and_repeat(plan: &mut Traffics) -> usize {
    let mut silent = 0;
    plan.actions = std::mem::take(&mut plan.actions)
        .into_iter()
        .enumerate()
        .flat_map(|(index, action)| match (index % 20, action) {
            (4, Action::Send { .. }) => {
                silent += 1;
                vec![]
            }
            (14, Action::Send { push, .. }) => vec![Action::Lose { push }],
            (7 | 17, Action::Send { push, repeated }) => {
                vec![Action::Send { push, repeated }, Action::Send { push, repeated: true }]
            }
            (_, action) => vec![action],
        })
        .collect();
    silent
}

/// Plays the plan against the app, whose shops are those of the plan, to its end.
async fn play(app: &TestApp, plan: &Arc<Traffics>) {
    let shops = Traffic::install(&app.simulator, plan, PARTNER);
    let mut connection = app.pool.acquire().await.expect("a connection");
    for (shop_id, pair) in shops.iter().filter(|(shop_id, _)| **shop_id != SHOP) {
        let unsealed = |token: &str| format!("plain:{token}");
        let (access, refresh) = (unsealed(&pair.access_token), unsealed(&pair.refresh_token));
        import_shop(&mut connection, "shopee", &shop_id.to_string(), None, &access, Some(&refresh))
            .await
            .expect("imported");
    }
    drop(connection);
    let deliver_to = format!("http://{}/webhook/shopee", app.app.public_address().expect("a receiver"));
    let options = TrafficOptions {
        partner_id: PARTNER,
        deliver_to: Some(deliver_to.parse().expect("a URL")),
        rate: 0,
        faults: FaultProfile::None,
        concurrency: 8,
    };
    Traffic::run(&app.simulator, plan, &options, &Arc::new(Progress::default())).await.expect("played");
    app.drain().await;
}

/// Status, clock and money of every order are the platform's.
async fn every_order_is_the_truth(app: &TestApp) {
    let truths = app.simulator.read(|world| {
        let orders = world.shopee.shops.values().flat_map(|shop| shop.orders.values());
        orders.map(|order| (order.order_sn().to_owned(), order.clone())).collect::<Vec<_>>()
    });
    for (order_sn, truth) in truths {
        let row: Option<(String, DateTime<Utc>, Option<f64>)> = sqlx::query_as(
            "SELECT status, update_time, total_amount::float8 FROM pushbox.orders WHERE order_sn = $1",
        )
        .bind(&order_sn)
        .fetch_optional(&app.pool)
        .await
        .expect("asked");
        let (status, update_time, total) = row.unwrap_or_else(|| panic!("{order_sn} is not stored"));
        assert_eq!(
            (status.as_str(), update_time.timestamp()),
            (truth.status(), truth.integer("update_time"))
        );
        assert_eq!(total, truth.detail.get("total_amount").and_then(Value::as_f64), "{order_sn}");
    }
    let behind =
        "SELECT count(*) FROM pushbox.sheet_rows r JOIN pushbox.orders o USING (platform, shop_id, order_sn)
                  WHERE r.update_time < o.update_time";
    assert_eq!(app.count(behind).await, 0);
}

#[tokio::test]
async fn with_lost_and_repeated_pushes_every_order_in_the_sheet_ends_as_the_truth() {
    let app = TestApp::start_with(&[("LOST_PUSH_INTERVAL", "24h"), ("RECONCILE_INTERVAL", "24h")]).await;
    app.until(
        "SELECT count(*) FROM pushbox.schedules WHERE name = 'lost_pushes' AND last_success_at IS NOT NULL",
    )
    .await;
    let mut plan = scenario(4, 600, 2);
    assert!(lose_and_repeat(&mut plan) > 20);
    let plan = Arc::new(plan);
    play(&app, &plan).await;

    app.run_schedule("lost_pushes").await;
    let from = (clock::system().now() - TimeDelta::days(10)).to_rfc3339();
    app.compare(&["--from", &from]).await;
    app.until("SELECT (count(*) = 0)::int::bigint FROM pushbox.reconciliations WHERE state <> 'done'").await;
    app.drain().await;
    let rows = app.simulator.sheet_rows(SPREADSHEET, "Orders");
    let problems = Expectation::of(&plan).problems(&rows, "Order", "Status", &["UNPAID"]);
    assert_eq!(problems, Vec::<String>::new());
    every_order_is_the_truth(&app).await;
    assert!(app.count("SELECT count(*) FROM pushbox.events WHERE via = 'lost_push'").await > 20);
    assert!(app.count("SELECT count(*) FROM pushbox.events WHERE via = 'reconcile'").await > 5);
    // Once more: nothing is left to be found.
    let row = app.compare(&["--from", &from]).await;
    assert_eq!((counts(&row)[1], counts(&row)[2]), (0, 0), "{row}");
    app.finish().await;
}
