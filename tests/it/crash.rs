//! Crashes under load: processes and Postgres are killed at random while signed pushes stream in, and at the end
//! everything that was answered 200 must be where it belongs, once.
//!
//! The real program runs as several processes (two receivers, two workers, a scheduler) on a Postgres of its own beside
//! the simulated world. What is random comes from a seed that is printed when a test fails. By hand, for longer:
//!
//! ```text
//! PUSHBOX_CRASH_MINUTES=15 PUSHBOX_CRASH_SEED=7 cargo test --test it crash::everything -- --nocapture
//! ```
//!
//! `town` is what runs, `chaos` what is done to it, `load` who pushes, `check` what must hold.

mod chaos;
mod check;
mod load;
mod town;

use std::time::{Duration, Instant};

use pushbox::simulator::fault::{Action, Fault, Service};
use pushbox::simulator::traffic::{Traffic, scenario};
use reqwest::StatusCode;

use crate::support::app::{TestApp, order, status_push};
use crate::support::knob;
use town::{Role, Town};

/// How long pushes are sent when nobody says otherwise.
const QUICK: Duration = Duration::from_secs(12);
/// Pushes that are planned per second.
const RATE: usize = 60;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everything_that_was_accepted_survives() {
    let seed = knob("PUSHBOX_CRASH_SEED").unwrap_or_else(|| u64::from(rand::random::<u32>()));
    let during = knob("PUSHBOX_CRASH_MINUTES").map_or(QUICK, Duration::from_mins);
    say(&format!("crash test, seed {seed}, {} s", during.as_secs()));
    let pushes = usize::try_from(during.as_secs()).expect("a short time") * RATE;
    let plan = scenario(seed, pushes, 3);
    let mut town = Town::start(&plan).await;
    // Every order is where it will be at the end; the pushes tell of what led there, and so are never ahead of it.
    Traffic::put_orders(&town.simulator, &plan);

    for role in [Role::Receiver(0), Role::Receiver(1), Role::Worker(0), Role::Worker(1), Role::Scheduler] {
        town.start_process(role);
    }
    let sending = tokio::spawn(load::Load::new(&town, plan.clone(), RATE, seed).send_all());
    let mut deeds = chaos::Deeds::default();
    let sent = chaos::until_done(&mut town, seed, sending, &mut deeds).await;
    say(&format!("{deeds}; {} pushes answered 200, {} tries failed", sent.accepted.len(), sent.failed));
    let findings = check::check(&mut town, &plan, &sent, &deeds).await;
    say(&findings.summary);
    assert!(findings.problems.is_empty(), "seed {seed}, {deeds}:\n{}", findings.problems.join("\n"));
    town.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_that_was_frozen_longer_than_its_lease_changes_nothing() {
    let plan = scenario(1, 1, 1);
    let mut town = Town::start(&plan).await;
    Traffic::put_orders(&town.simulator, &plan);
    // The first worker is waiting for this answer when it is frozen.
    let slow = Action::Slow(Duration::from_secs(2));
    town.simulator.script(Fault::once(Service::Shopee, "get_order_detail", slow));
    town.start_process(Role::Receiver(0));
    town.start_process(Role::Worker(0));
    let shop = plan.shops[0].shop_id;
    let order_sn = town.first_order(shop);
    let mut push = status_push(&order_sn, "READY_TO_SHIP", 1_700_000_000);
    push["shop_id"] = shop.into();
    town.push_until_accepted(&push.to_string()).await;
    let running = "SELECT count(*) FROM pushbox.jobs WHERE kind = 'enrich_order' AND state = 'running'";
    town.wait_for(running, |count| count == 1).await;
    town.signal(Role::Worker(0), "STOP");
    let frozen: String = town.text("SELECT worker FROM pushbox.jobs WHERE kind = 'enrich_order'").await;
    town.start_process(Role::Worker(1));
    let done = "SELECT count(*) FROM pushbox.job_history WHERE kind = 'enrich_order' AND outcome = 'done'";
    town.wait_for(done, |count| count == 1).await;
    town.signal(Role::Worker(0), "CONT");
    town.wait_for_log(Role::Worker(0), "lease").await;

    town.wait_for("SELECT count(*) FROM pushbox.jobs", |count| count == 0).await;
    assert_eq!(town.count(done).await, 1);
    let by: String = town.text("SELECT worker FROM pushbox.job_history WHERE kind = 'enrich_order'").await;
    assert_ne!(by, frozen, "the frozen worker finished it");
    assert_eq!(town.count("SELECT count(*) FROM pushbox.job_history WHERE outcome = 'merged'").await, 0);
    assert!(town.audit().is_empty());
    town.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pushes_are_refused_fast_while_postgres_is_down_and_accepted_soon_after() {
    let mut town = Town::start(&scenario(1, 1, 1)).await;
    town.start_process(Role::Receiver(0));
    let push = |n: i32| status_push(&format!("D{n}"), "READY_TO_SHIP", 1_790_000_200).to_string();
    town.push_until_accepted(&push(0)).await;
    for (round, kill) in [(1, false), (2, true)] {
        town.crash_postgres(kill).await;
        for n in 0..5 {
            let begun = Instant::now();
            let status = town.push(0, &push(10 * round + n)).await.expect("an answer");
            let took = begun.elapsed();
            assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
            assert!(took < Duration::from_secs(1), "round {round}, push {n}: 503 after {took:?}");
        }
        town.restart_postgres().await;
        let back = Instant::now();
        town.push_until_accepted(&push(100 + round)).await;
        assert!(back.elapsed() < Duration::from_secs(5), "receiving again after {:?}", back.elapsed());
    }
    assert_eq!(town.count("SELECT count(*) FROM pushbox.events").await, 3, "what was refused is not stored");
    town.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_storm_of_one_push_is_one_event() {
    const COPIES: usize = 5_000;
    let app = std::sync::Arc::new(TestApp::start().await);
    let (detail, escrow) = order("STORM", "READY_TO_SHIP", 1_790_000_200);
    app.simulator.put_order(crate::support::app::SHOP, detail, escrow);
    let body = status_push("STORM", "READY_TO_SHIP", 1_790_000_200).to_string();
    let slots = std::sync::Arc::new(tokio::sync::Semaphore::new(500));
    let mut senders = tokio::task::JoinSet::new();
    for _ in 0..COPIES {
        let (app, body, slots) = (app.clone(), body.clone(), slots.clone());
        senders.spawn(async move {
            let _slot = slots.acquire_owned().await.expect("the slots are open");
            loop {
                match app.push_bytes(body.clone()).await.status() {
                    StatusCode::OK => return,
                    StatusCode::SERVICE_UNAVAILABLE => {}
                    other => panic!("answered {other}"),
                }
            }
        });
    }
    while let Some(sent) = senders.join_next().await {
        sent.expect("a sender");
    }
    app.drain().await;
    assert_eq!(app.count("SELECT count(*) FROM pushbox.events").await, 1);
    let redeliveries = app.count("SELECT redeliveries::bigint FROM pushbox.event_keys").await;
    assert!(redeliveries >= i64::try_from(COPIES).expect("few") - 1, "{redeliveries}");
    let jobs = "SELECT count(*) FROM pushbox.job_history WHERE kind = 'enrich_order'";
    assert_eq!(app.count(jobs).await, 1);
    std::sync::Arc::into_inner(app).expect("the senders have ended").finish().await;
}

/// For who runs it by hand with `--nocapture`.
#[expect(clippy::print_stdout, reason = "the long form reports what it did")]
fn say(text: &str) {
    println!("{text}");
}
