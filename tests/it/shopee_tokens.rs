//! Tokens that never burn: whatever happens to whoever refreshes them.

use std::sync::Arc;
use std::time::{Duration, Instant};

use pushbox::clients::shopee::ShopeeClient;
use pushbox::clock;
use pushbox::domain::seal::{Sealer, token_place};
use pushbox::queue::Waker;
use pushbox::schedule::Task;
use pushbox::schedule::refresh_tokens::RefreshTokens;
use pushbox::simulator::{Action, Fault, Service, Simulator, SimulatorOptions};
use pushbox::store::shops::{find_shop, import_shop};
use secrecy::ExposeSecret;

use crate::support::app::{PARTNER, SHOP, TestApp, config, order, simulated_world, status_push};
use crate::support::crash::{Moment, dies_at};
use crate::support::database::{TestDatabase, database};

const AT: i64 = 1_790_000_200;

/// How often Shopee was asked for a new pair.
fn refreshes(simulator: &Simulator) -> u64 {
    let asked = |world: &pushbox::simulator::World| {
        let calls = world.calls.iter().filter(|(call, _)| call.ends_with("auth/access_token/get"));
        calls.map(|(_, times)| times).sum()
    };
    simulator.read(asked)
}

/// One shop whose pair is in the database, and a refresher.
struct World {
    simulator: Simulator,
    database: TestDatabase,
    sealer: Sealer,
    task: RefreshTokens,
}

impl World {
    async fn new(refresh_grace: bool) -> Self {
        let simulator =
            simulated_world(SimulatorOptions { refresh_grace, ..SimulatorOptions::default() }).await;
        let database = database().await;
        let config = config(&simulator, &database.url);
        let sealer = Sealer::new(config.encryption_key.as_ref()).expect("a key");
        let task = RefreshTokens {
            pool: database.pool.clone(),
            client: Arc::new(ShopeeClient::new(&config.shopee, clock::system()).expect("a client")),
            sealer: sealer.clone(),
            waker: Waker::default(),
            at_once: 1,
        };
        let world = Self { simulator, database, sealer, task };
        world.import(SHOP).await;
        world
    }

    async fn import(&self, shop: i64) {
        let pair = self.simulator.shop_tokens(shop).expect("a pair");
        let id = shop.to_string();
        let seal = |token: &str, which| self.sealer.seal(&token.into(), &token_place("shopee", &id, which));
        let (access, refresh) = (seal(&pair.access_token, "access"), seal(&pair.refresh_token, "refresh"));
        let mut connection = self.database.pool.acquire().await.expect("a connection");
        import_shop(&mut connection, "shopee", &id, None, &access, Some(&refresh)).await.expect("imported");
    }

    /// A process that refreshes and dies at its n-th await point; true: it had fewer and did not die.
    async fn refresher_dies(&self, n: usize, moment: Moment) -> bool {
        let pool = self.database.lone_pool().await;
        let victim = RefreshTokens {
            pool: pool.clone(),
            client: self.task.client.clone(),
            sealer: self.sealer.clone(),
            waker: Waker::default(),
            at_once: 1,
        };
        let ended = dies_at(n, moment, victim.run()).await;
        self.database.bury(pool).await;
        ended.is_some()
    }

    async fn execute(&self, sql: &'static str) {
        sqlx::query(sql).execute(&self.database.pool).await.expect(sql);
    }

    async fn count(&self, sql: &'static str) -> i64 {
        sqlx::query_scalar(sql).fetch_one(&self.database.pool).await.expect(sql)
    }

    fn refreshes(&self) -> u64 {
        refreshes(&self.simulator)
    }

    /// The token ends soon, and whoever was at it is gone for good.
    async fn time_passes(&self) {
        self.execute(
            "UPDATE pushbox.shops SET access_expires_at = now(), refresh_after = NULL,
                    refresh_lease_until = now() - interval '1 second'",
        )
        .await;
    }

    /// State, and whether the stored pair is the one that Shopee takes.
    async fn shop(&self) -> (String, bool) {
        let mut connection = self.database.pool.acquire().await.expect("a connection");
        let shop =
            find_shop(&mut connection, "shopee", &SHOP.to_string()).await.expect("asked").expect("a shop");
        let open = |sealed: Option<String>, which| {
            let place = token_place("shopee", &SHOP.to_string(), which);
            self.sealer.open(&sealed.expect("a token"), &place).expect("opened").expose_secret().to_owned()
        };
        let (access, refresh) = (open(shop.access_token, "access"), open(shop.refresh_token, "refresh"));
        let pair = self.simulator.shop_tokens(SHOP);
        let usable = pair.is_some_and(|pair| pair.access_token == access && pair.refresh_token == refresh);
        (shop.state, usable)
    }
}

/// Kills the refresher at each of its await points in turn; how many there were, and at how many of them the
/// token was spent and the new pair was not stored.
async fn die_everywhere(
    world: &World,
    moment: Moment,
    mut after: impl AsyncFnMut(&World, bool),
) -> (usize, usize) {
    let mut unstored = 0;
    for n in 1.. {
        world.time_passes().await;
        let ended = world.refresher_dies(n, moment).await;
        let lost = !world.shop().await.1;
        unstored += usize::from(lost);
        world.execute("UPDATE pushbox.shops SET refresh_after = NULL, refresh_lease_until = now() - interval '1 second'").await;
        world.task.run().await.expect("the run after");
        after(world, lost).await;
        if ended {
            return (n, unstored);
        }
    }
    unreachable!("a run ends")
}

#[tokio::test]
async fn a_refresher_that_dies_anywhere_leaves_a_usable_pair() {
    let world = World::new(true).await;
    for moment in [Moment::Asleep, Moment::Woken] {
        let (points, unstored) = die_everywhere(&world, moment, async |world, lost| {
            let (state, usable) = world.shop().await;
            assert!(usable && state == "active", "{moment:?}: {state}, the pair was lost: {lost}");
            let left = "SELECT count(*) FROM pushbox.shops WHERE refresh_intent_at IS NOT NULL OR refresh_lease IS NOT NULL";
            assert_eq!(world.count(left).await, 0, "nothing is left over");
        })
        .await;
        assert!(points >= 4, "{moment:?}: {points} points");
        assert!(
            unstored > 0 || moment == Moment::Asleep,
            "{moment:?}: never died with the pair in its hands"
        );
    }
    assert_eq!(world.count("SELECT count(*) FROM pushbox.alerts").await, 0, "nobody was alarmed");
}

#[tokio::test]
async fn without_grace_a_pair_that_was_lost_is_told_once_and_nothing_else_is_lost() {
    let world = World::new(false).await;
    let mut asked_again = 0;
    let (_, unstored) = die_everywhere(&world, Moment::Woken, async |world, lost| {
        let (state, usable) = world.shop().await;
        if state == "reauthorize" {
            assert!(lost, "a pair that was there was given up");
            asked_again += 1;
            world.task.run().await.expect("another run");
            let open =
                "SELECT count(*) FROM pushbox.alerts WHERE resolved_at IS NULL AND severity = 'critical'";
            assert_eq!(world.count(open).await, 1, "told once");
            world.execute("DELETE FROM pushbox.shops").await;
            world.execute("UPDATE pushbox.alerts SET resolved_at = now()").await;
            world.import(SHOP).await;
        } else {
            assert!(usable, "{state}, the pair was lost: {lost}");
        }
    })
    .await;
    assert!(asked_again > 0 && asked_again <= unstored, "{asked_again} of {unstored}");
}

#[tokio::test]
async fn two_refreshers_at_once_spend_each_token_once() {
    let world = World::new(false).await;
    for round in 1..=20 {
        world.time_passes().await;
        let (one, other) = tokio::join!(world.task.run(), world.task.run());
        one.expect("a run");
        other.expect("a run");
        assert_eq!(world.refreshes(), round);
        assert_eq!(world.shop().await, ("active".to_owned(), true));
    }
}

#[tokio::test]
async fn an_answer_that_was_lost_is_taken_up_and_one_that_never_came_is_asked_for_again() {
    let world = World::new(true).await;
    for fault in [
        Fault::once(Service::Shopee, "access_token/get", Action::Cut).after(),
        Fault::once(Service::Shopee, "access_token/get", Action::Html(502)).after(),
        Fault::once(Service::Shopee, "access_token/get", Action::Html(502)),
        Fault::once(Service::Shopee, "access_token/get", Action::Cut),
        Fault::once(Service::Shopee, "access_token/get", Action::Hang(Duration::from_millis(200))),
        Fault::once(Service::Shopee, "access_token/get", Action::RetryAfter(1)),
        Fault::once(
            Service::Shopee,
            "access_token/get",
            Action::ShopeeError { error: "error_server".into(), message: "Something wrong".into() },
        ),
    ] {
        world.time_passes().await;
        world.simulator.script(fault.clone());
        world.task.run().await.expect("a run");
        assert_eq!(world.shop().await.0, "active", "{fault:?}");
        world.execute("UPDATE pushbox.shops SET refresh_after = NULL").await;
        world.task.run().await.expect("the run after");
        assert_eq!(world.shop().await, ("active".to_owned(), true), "{fault:?}");
    }
    assert_eq!(world.simulator.faults_waiting(), Vec::new());
}

#[tokio::test]
async fn a_spent_token_of_somebody_else_is_final_and_new_tokens_are_not_overwritten() {
    let world = World::new(true).await;
    world.time_passes().await;
    world.simulator.revoke_refresh(SHOP);
    world.task.run().await.expect("a run");
    assert_eq!(world.shop().await.0, "reauthorize");
    let calls = world.refreshes();
    world.time_passes().await;
    world.task.run().await.expect("a run");
    assert_eq!(world.refreshes(), calls, "a refused token is not offered again");
    assert_eq!(world.count("SELECT count(*) FROM pushbox.alerts WHERE resolved_at IS NULL").await, 1);
}

#[tokio::test]
async fn a_shop_to_be_authorized_again_holds_its_jobs_without_charging_them() {
    let app = TestApp::start_with(&[("TELEGRAM_OPS_CHAT_ID", "-1001000000009")]).await;
    app.simulator.add_forum(-1_001_000_000_009, "Operations");
    app.until("SELECT count(*) FROM pushbox.shops WHERE access_expires_at > now()").await;
    app.simulator.unlink_shop(SHOP);
    let (detail, escrow) = order("A1", "READY_TO_SHIP", AT);
    app.simulator.put_order(SHOP, detail, escrow);
    app.push(&status_push("A1", "READY_TO_SHIP", AT)).await;
    app.until("SELECT count(*) FROM pushbox.jobs WHERE waiting_on IS NOT NULL AND attempt = 0").await;
    app.until("SELECT count(*) FROM pushbox.alerts WHERE raised_told_at IS NOT NULL").await;
    let told = app.simulator.messages_in_topic(-1_001_000_000_009, "Alerts");
    assert_eq!(told.len(), 1);
    assert!(told[0].text.contains("has to be authorized again"), "{}", told[0].text);
    assert!(told[0].text.contains("pushbox shopee authorize"), "{}", told[0].text);

    // The seller follows the link, and a person exchanges the code.
    let link = app.command(&["shopee", "authorize", "--redirect", "https://hooks.example.com/done"]).await;
    assert!(link.contains("auth_type=seller") && link.contains("partner_id=2000001"), "{link}");
    let signed = ["shopee", "authorize", "--legacy", "--redirect", "https://hooks.example.com/done"];
    let signed = app.command(&signed).await;
    assert!(signed.contains("/api/v2/shop/auth_partner?") && signed.contains("sign="), "{signed}");
    app.simulator.add_shop(PARTNER, SHOP, "SG");
    let code = app.simulator.issue_code(PARTNER, SHOP);
    let shop = SHOP.to_string();
    let said = app.command(&["shopee", "authorize", "--code", &code, "--shop-id", &shop]).await;
    assert_eq!(said, format!("shop {SHOP} is authorized\n"));
    app.drain().await;
    assert_eq!(app.count("SELECT count(*) FROM pushbox.orders").await, 1, "its job went on");
    let attempts = "SELECT sum(attempt) FROM pushbox.job_history WHERE kind = 'enrich_order'";
    assert_eq!(app.count(attempts).await, 1, "waiting charged nothing");
    app.until("SELECT count(*) FROM pushbox.alerts WHERE resolved_told_at IS NOT NULL").await;
    assert_eq!(
        app.simulator.messages_in_topic(-1_001_000_000_009, "Alerts").len(),
        2,
        "told when it is over"
    );
    app.finish().await;
}

#[tokio::test]
async fn push_settings_are_shown_and_changed_only_when_meant() {
    let app = TestApp::start_with(&[("LOST_PUSH_INTERVAL", "24h")]).await;
    let shown = app.command(&["shopee", "push-config", "show"]).await;
    assert!(
        shown.contains("https://hooks.example.com/webhook/shopee") && shown.contains("Normal"),
        "{shown}"
    );
    let on = || app.simulator.read(|world| world.shopee.apps[&PARTNER].push_on.contains(&9));
    let set = app.command(&["shopee", "push-config", "set", "--on", "3,9"]).await;
    assert!(set.contains("code 9  off -> on") && !set.contains("code 3"), "{set}");
    assert!(!on(), "nothing is written without --yes");
    app.command(&["shopee", "push-config", "set", "--on", "3,9", "--yes"]).await;
    assert!(on());
    app.until(
        "SELECT count(*) FROM pushbox.schedules WHERE name = 'lost_pushes' AND last_success_at IS NOT NULL",
    )
    .await;
    app.simulator.lose_push(PARTNER, Some(SHOP), 3, &status_push("L1", "SHIPPED", AT).to_string());
    let networks = app.command(&["shopee", "networks"]).await;
    assert_eq!(networks, "SHOPEE_NETWORKS=127.0.0.0/8,::1/128\n");
    let lost = app.command(&["shopee", "lost"]).await;
    assert!(lost.contains("L1") && lost.contains("1 lost pushes wait"), "{lost}");
    assert_eq!(app.simulator.lost_pushes(), 1, "looking confirms nothing");
    app.finish().await;
}

#[tokio::test]
async fn a_thousand_shops_are_refreshed_once_each_within_the_budget_by_two_replicas() {
    let app = TestApp::start_with(&[("SHOPEE_CALLS_PER_SECOND", "150"), ("LOST_PUSH_INTERVAL", "24h")]).await;
    let replica = app.replica().await;
    app.until("SELECT count(*) FROM pushbox.shops WHERE access_expires_at > now()").await;
    let before = refreshes(&app.simulator);
    let mut transaction = app.pool.begin().await.expect("a transaction");
    for shop in 1..=1_000 {
        let pair = app.simulator.add_shop(PARTNER, SHOP + shop, "SG");
        let plain = |token: &str| format!("plain:{token}");
        let id = (SHOP + shop).to_string();
        import_shop(
            &mut transaction,
            "shopee",
            &id,
            None,
            &plain(&pair.access_token),
            Some(&plain(&pair.refresh_token)),
        )
        .await
        .expect("imported");
    }
    transaction.commit().await.expect("committed");
    let begun = Instant::now();
    app.api("POST", "/schedules/refresh_tokens/run", None).await;
    app.until("SELECT (count(*) = 1001)::int::bigint FROM pushbox.shops WHERE access_expires_at > now()")
        .await;
    let took = begun.elapsed();
    let calls = refreshes(&app.simulator);
    assert_eq!(calls - before, 1_000, "once each");
    // A second's worth may go at once, and the rest at the rate.
    assert!(took >= Duration::from_secs_f64(850.0 / 150.0 * 0.95), "{took:?}");
    let busiest = app
        .count(
            "SELECT max(n) FROM (SELECT count(*) OVER (ORDER BY refreshed_at
                 RANGE BETWEEN interval '1 second' PRECEDING AND CURRENT ROW) AS n FROM pushbox.shops) AS seconds",
        )
        .await;
    assert!(busiest <= 2 * 150 + 30, "{busiest} in a second");
    let sealed = "SELECT count(*) FROM pushbox.shops WHERE access_token NOT LIKE 'v1:%'";
    assert_eq!(app.count(sealed).await, 0, "what was plain is sealed now");
    replica.stop().await;
    app.finish().await;
}

#[tokio::test]
async fn a_burst_limit_halves_the_rate_and_a_daily_quota_stops_all_calls_until_it_returns() {
    let app = TestApp::start().await;
    app.until("SELECT count(*) FROM pushbox.shops WHERE access_expires_at > now()").await;
    app.simulator.script(Fault::once(Service::Shopee, "get_order_detail", Action::RetryAfter(1)));
    let (detail, escrow) = order("A1", "READY_TO_SHIP", AT);
    app.simulator.put_order(SHOP, detail, escrow);
    app.push(&status_push("A1", "READY_TO_SHIP", AT)).await;
    app.drain().await;
    let factor: f64 = sqlx::query_scalar("SELECT rate_factor FROM pushbox.destinations WHERE name = 'app'")
        .fetch_one(&app.pool)
        .await
        .expect("a rate");
    assert!((factor - 0.5).abs() < 1e-9, "{factor}");

    let quota = Action::ShopeeError { error: "error_limit".into(), message: "daily limit".into() };
    app.simulator.script(Fault::once(Service::Shopee, "get_order_detail", quota));
    app.push(&status_push("A1", "SHIPPED", AT + 10)).await;
    app.until("SELECT count(*) FROM pushbox.alerts WHERE key = 'shopee:app' AND resolved_at IS NULL").await;
    let until: chrono::DateTime<chrono::Utc> =
        sqlx::query_scalar("SELECT paused_until FROM pushbox.destinations WHERE name = 'app'")
            .fetch_one(&app.pool)
            .await
            .expect("a pause");
    let midnight = (until + chrono::TimeDelta::hours(8)).timestamp() % 86_400;
    assert!(midnight <= 2 || midnight >= 86_398, "the quota returns at midnight at UTC+8: {until}");
    let calls = || app.simulator.read(|world| world.calls.values().sum::<u64>());
    app.run_schedule("alerts").await;
    let before = calls();
    let failed = app.run_schedule("lost_pushes").await;
    assert!(
        failed["schedule"]["last_error"].as_str().is_some_and(|text| text.contains("too many calls")),
        "{failed}"
    );
    assert_eq!(calls(), before, "nothing is asked while the quota is used up");
    let waits =
        app.count("SELECT count(*) FROM pushbox.jobs WHERE waiting_on IS NOT NULL AND attempt = 0").await;
    assert_eq!(waits, 1, "its job waits and is not charged");
    // The quota is back.
    sqlx::query("UPDATE pushbox.destinations SET paused_until = now() WHERE name = 'app'")
        .execute(&app.pool)
        .await
        .expect("over");
    sqlx::query("UPDATE pushbox.jobs SET run_at = now()").execute(&app.pool).await.expect("due");
    app.drain().await;
    app.until("SELECT count(*) FROM pushbox.alerts WHERE key = 'shopee:app' AND resolved_at IS NOT NULL")
        .await;
    app.finish().await;
}
