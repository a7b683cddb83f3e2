//! Scheduled tasks: once per tick for any number of replicas, by hand, paused, taken over.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use pushbox::schedule::{Driver, Task};
use pushbox::store::schedules::{claim_tick, finish_run, keep_run};
use reqwest::StatusCode;
use serde_json::{Value, json};
use sqlx::PgPool;

use crate::support::app::TestApp;
use crate::support::database::database;

/// Counts its runs.
struct Counter {
    name: &'static str,
    runs: AtomicUsize,
    after_outage: bool,
}

impl Counter {
    fn new(name: &'static str, after_outage: bool) -> Arc<Self> {
        Arc::new(Self { name, runs: AtomicUsize::new(0), after_outage })
    }

    fn runs(&self) -> usize {
        self.runs.load(Ordering::SeqCst)
    }
}

#[async_trait]
impl Task for Counter {
    fn name(&self) -> &'static str {
        self.name
    }

    fn every(&self) -> Duration {
        Duration::from_hours(1)
    }

    fn after_outage(&self) -> bool {
        self.after_outage
    }

    async fn run(&self) -> anyhow::Result<Value> {
        self.runs.fetch_add(1, Ordering::SeqCst);
        Ok(json!({ "ran": 1 }))
    }
}

async fn execute(pool: &PgPool, sql: &'static str) {
    sqlx::query(sql).execute(pool).await.expect(sql);
}

#[tokio::test]
async fn a_tick_runs_once_for_any_number_of_replicas_and_missed_ones_collapse() {
    let database = database().await;
    let task = Counter::new("counted", false);
    let driver = || Driver::new(database.pool.clone(), vec![task.clone() as Arc<dyn Task>]);
    let mut replicas = [driver(), driver(), driver(), driver()];
    for round in 1..=5 {
        let [a, b, c, d] = &mut replicas;
        let (a, b, c, d) = tokio::join!(a.run_due(), b.run_due(), c.run_due(), d.run_due());
        let ran: usize = [a, b, c, d].into_iter().map(|ran| ran.expect("looked").len()).sum();
        assert_eq!((ran, task.runs()), (1, round), "one replica ran it");
        // A day of ticks is missed: one run makes up for all.
        execute(&database.pool, "UPDATE pushbox.schedules SET next_run_at = now() - interval '1 day'").await;
    }
    let next: bool = sqlx::query_scalar("SELECT every_seconds = 3600 FROM pushbox.schedules")
        .fetch_one(&database.pool)
        .await
        .expect("a schedule");
    assert!(next);
}

#[tokio::test]
async fn a_run_whose_process_vanished_is_taken_over_and_cannot_end_the_newer_one() {
    let database = database().await;
    let task = Counter::new("counted", false);
    let mut driver = Driver::new(database.pool.clone(), vec![task.clone() as Arc<dyn Task>]);
    driver.run_due().await.expect("ran");
    execute(&database.pool, "UPDATE pushbox.schedules SET next_run_at = now()").await;
    let mut connection = database.pool.acquire().await.expect("a connection");
    let lease = Duration::from_mins(1);
    let vanished = claim_tick(&mut connection, "counted", lease).await.expect("asked").expect("due");
    execute(&database.pool, "UPDATE pushbox.schedules SET next_run_at = now()").await;
    assert_eq!(driver.run_due().await.expect("looked").len(), 0, "its lease is not over");
    execute(&database.pool, "UPDATE pushbox.schedules SET running_until = now() - interval '1 second'").await;
    let newer = claim_tick(&mut connection, "counted", lease).await.expect("asked").expect("taken over");
    assert!(!keep_run(&mut connection, vanished, "counted", lease).await.expect("asked"));
    assert!(keep_run(&mut connection, newer, "counted", lease).await.expect("asked"));
    finish_run(&mut connection, vanished, Ok(&json!({"late": true}))).await.expect("noted");
    let running: bool = sqlx::query_scalar("SELECT current_run = $1 FROM pushbox.schedules")
        .bind(newer)
        .fetch_one(&database.pool)
        .await
        .expect("a schedule");
    assert!(running, "the late one did not end the newer one");
}

#[tokio::test]
async fn after_an_outage_what_was_missed_is_brought_in_at_once() {
    let database = database().await;
    let (missed, other) = (Counter::new("missed", true), Counter::new("other", false));
    let tasks = || vec![missed.clone() as Arc<dyn Task>, other.clone() as Arc<dyn Task>];
    Driver::new(database.pool.clone(), tasks()).run_due().await.expect("ran");
    Driver::new(database.pool.clone(), tasks()).run_due().await.expect("ran");
    assert_eq!((missed.runs(), other.runs()), (1, 1), "a quick restart is no outage");
    execute(
        &database.pool,
        "UPDATE pushbox.schedules SET last_started_at = last_started_at - interval '10 minutes'",
    )
    .await;
    Driver::new(database.pool.clone(), tasks()).run_due().await.expect("ran");
    assert_eq!((missed.runs(), other.runs()), (2, 1));
}

#[tokio::test]
async fn a_person_sees_runs_pauses_and_runs_by_hand() {
    let app = TestApp::start().await;
    app.until(
        "SELECT count(*) FROM pushbox.schedules WHERE name = 'lost_pushes' AND last_success_at IS NOT NULL",
    )
    .await;
    let (status, paused) =
        app.api("POST", "/schedules/lost_pushes/pause", Some(&json!({"reason": "moving house"}))).await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(
        (&paused["schedule"]["paused"], &paused["schedule"]["paused_reason"]),
        (&json!(true), &json!("moving house"))
    );
    execute(&app.pool, "UPDATE pushbox.schedules SET next_run_at = now() WHERE name = 'lost_pushes'").await;
    let after = app.run_schedule("lost_pushes").await;
    assert_eq!(after["schedule"]["paused"], true, "by hand it runs all the same, and stays paused");
    assert_eq!(after["runs"][0]["result"]["found"], 0, "{after}");
    let asked = |runs: &Value| {
        runs["runs"].as_array().map(|runs| runs.iter().filter(|run| run["asked"] == false).count())
    };
    let clock_runs = asked(&after);
    app.run_schedule("alerts").await;
    let (_, still) = app.api("GET", "/schedules/lost_pushes", None).await;
    assert_eq!(asked(&still), clock_runs, "the clock does not run it while it is paused");
    let (_, resumed) = app.api("POST", "/schedules/lost_pushes/resume", None).await;
    assert_eq!(resumed["schedule"]["paused"], false);
    app.until("SELECT (next_run_at > now())::int::bigint FROM pushbox.schedules WHERE name = 'lost_pushes'")
        .await;
    let (status, _) = app.api("POST", "/schedules/nothing/run", None).await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    assert_eq!(
        app.count("SELECT count(*) FROM pushbox.admin_actions WHERE subject = 'schedule lost_pushes'").await,
        3
    );
    app.finish().await;
}
