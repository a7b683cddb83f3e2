//! Breakers of the outside services, from a push at HTTP to what the admin API says of the destination.

use std::time::Duration;

use pushbox::simulator::{Action, Fault, Service};
use pushbox::store::begin;
use pushbox::store::breakers::{self, Admission, Prober};
use pushbox::store::destinations::{slow_down, take_budget};
use serde_json::{Value, json};

use crate::support::app::{SHOP, SPREADSHEET, TestApp, order, status_push};
use crate::support::database::database;

const AT: i64 = 1_790_000_200;

impl TestApp {
    async fn destination_named(&self, kind: &str, name: &str) -> Value {
        let found = self.admin("/destinations").await;
        let list = found["destinations"].as_array().expect("a list").clone();
        list.into_iter().find(|one| one["kind"] == kind && one["name"] == name).unwrap_or(Value::Null)
    }
}

/// A sick service is left alone by all, no job dies of it, and when it is well everything arrives.
#[tokio::test]
async fn a_sick_service_is_left_alone_and_nothing_is_lost() {
    let shop = SHOP.to_string();
    for (service, call, kind, name) in [
        (Service::Shopee, "get_order_detail", "shopee", shop.as_str()),
        (Service::Google, ":batchUpdate", "sheet", SPREADSHEET),
    ] {
        let app = TestApp::start_with(&[("MAX_ATTEMPTS", "6")]).await;
        let (detail, escrow) = order("A1", "READY_TO_SHIP", AT);
        app.simulator.put_order(SHOP, detail, escrow);
        app.simulator.script(Fault::once(service, call, Action::Html(503)).times(5));
        app.push(&status_push("A1", "READY_TO_SHIP", AT)).await;
        app.until("SELECT count(*) FROM pushbox.destinations WHERE state = 'open'").await;
        app.until("SELECT count(*) FROM pushbox.jobs WHERE waiting_on IS NOT NULL AND attempt = 4").await;
        let open = app.destination_named(kind, name).await;
        assert_eq!((&open["state"], &open["failures"]), (&json!("open"), &json!(5)), "{open}");

        // Trying it again does not cost the job its last attempts, however long it takes.
        for opens in 2..=4 {
            app.simulator.script(Fault::once(service, call, Action::Html(503)));
            for sql in [
                "UPDATE pushbox.destinations SET paused_until = now()",
                "UPDATE pushbox.jobs SET run_at = now()",
            ] {
                sqlx::query(sql).execute(&app.pool).await.expect("time passes");
            }
            app.app.wake();
            while app.count("SELECT max(opens)::bigint FROM pushbox.destinations").await < opens {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            app.until("SELECT count(*) FROM pushbox.jobs WHERE waiting_on IS NOT NULL").await;
        }
        assert_eq!(app.count("SELECT max(attempt)::bigint FROM pushbox.jobs").await, 4);
        app.api("POST", &format!("/destinations/{kind}/{name}/reset"), None).await;
        app.drain().await;
        assert_eq!(app.simulator.sheet_rows(SPREADSHEET, "Orders").len(), 1);
        assert_eq!(app.destination_named(kind, name).await["state"], "closed");
        app.finish().await;
    }
}

/// It did not work; for how long it is left alone now.
async fn fail(pool: &sqlx::PgPool, kind: &str, name: &str, error: &str) -> Option<Duration> {
    let mut transaction = begin(pool).await.expect("begun");
    let open = breakers::fail(&mut transaction, kind, name, error).await.expect("noted");
    transaction.commit().await.expect("committed");
    open
}

/// A job that does not run.
fn nobody() -> Prober {
    Prober { job_id: 0, claim_id: uuid::Uuid::nil() }
}

async fn running_jobs(pool: &sqlx::PgPool, number: i32) -> Vec<Prober> {
    let rows: Vec<(i64, uuid::Uuid)> = sqlx::query_as(
        "INSERT INTO pushbox.jobs (queue, kind, payload, state, claim_id, max_attempts, lease_until)
         SELECT 'sheet', 'probe', '{}', 'running', gen_random_uuid(), 3, now() + interval '1 hour'
         FROM generate_series(1, $1) RETURNING id, claim_id",
    )
    .bind(number)
    .fetch_all(pool)
    .await
    .expect("jobs");
    rows.into_iter().map(|(job_id, claim_id)| Prober { job_id, claim_id }).collect()
}

#[tokio::test]
async fn of_many_that_ask_one_tries() {
    let db = database().await;
    let mut connection = db.pool.acquire().await.expect("a connection");
    assert_eq!(
        breakers::admit(&mut connection, "x", "y", nobody()).await.expect("an answer"),
        Admission::Free
    );
    for n in 1..=5 {
        let open = fail(&db.pool, "x", "y", "down").await;
        assert_eq!(open.is_some(), n == 5, "after {n}");
    }
    assert!(matches!(breakers::admit(&mut connection, "x", "y", nobody()).await, Ok(Admission::Paused(_))));
    sqlx::query("UPDATE pushbox.destinations SET paused_until = now()")
        .execute(&db.pool)
        .await
        .expect("time");
    let running = running_jobs(&db.pool, 8).await;
    let ask = |prober: Prober| {
        let pool = &db.pool;
        async move {
            let mut connection = pool.acquire().await.expect("a connection");
            breakers::admit(&mut connection, "x", "y", prober).await.expect("an answer")
        }
    };
    let answers = futures_util::future::join_all(running.iter().map(|prober| ask(*prober))).await;
    assert_eq!(answers.iter().filter(|answer| **answer == Admission::Probe).count(), 1, "{answers:?}");
    assert!(answers.iter().all(|answer| *answer != Admission::Free));
    // Whoever tried it ended without a word, or vanished: the next one tries.
    let trying = answers.iter().position(|answer| *answer == Admission::Probe).expect("one");
    let next = running[(trying + 1) % running.len()];
    sqlx::query("DELETE FROM pushbox.jobs WHERE id = $1")
        .bind(running[trying].job_id)
        .execute(&db.pool)
        .await
        .expect("end");
    assert_eq!(ask(next).await, Admission::Probe);
    assert!(matches!(ask(next).await, Admission::Paused(_)));
    // It takes longer than anything may.
    sqlx::query("UPDATE pushbox.destinations SET probe_until = now()").execute(&db.pool).await.expect("time");
    assert_eq!(ask(next).await, Admission::Probe);
    let second = fail(&db.pool, "x", "y", "down").await.expect("open");
    assert!(second > Duration::from_secs(20), "twice as long: {second:?}");
    assert!(breakers::succeed(&db.pool, "x", "y").await.expect("noted"));
    assert!(!breakers::succeed(&db.pool, "x", "y").await.expect("noted"), "once");
    assert_eq!(ask(nobody()).await, Admission::Free);
}

#[tokio::test]
async fn a_budget_that_was_refused_is_slower_for_a_while() {
    let db = database().await;
    let mut connection = db.pool.acquire().await.expect("a connection");
    let interval = Duration::from_millis(1);
    take_budget(&mut connection, "google", "a", interval, 10).await.expect("the budget");
    for _ in 0..6 {
        slow_down(&mut connection, "google", "a", interval, 10).await.expect("slower");
    }
    let pace: f32 = sqlx::query_scalar("SELECT pace FROM pushbox.destinations")
        .fetch_one(&db.pool)
        .await
        .expect("a pace");
    assert!((pace - 16.0).abs() < 0.01, "at most sixteen times: {pace}");
    let mut taken = 0;
    while taken < 100 {
        match take_budget(&mut connection, "google", "a", interval, 10).await.expect("the budget") {
            None => taken += 1,
            Some(wait) => tokio::time::sleep(wait).await,
        }
    }
    let pace: f32 = sqlx::query_scalar("SELECT pace FROM pushbox.destinations")
        .fetch_one(&db.pool)
        .await
        .expect("a pace");
    assert!((pace - 1.0).abs() < 0.01, "it is as fast as it was again: {pace}");
}

/// However often it opens again: one alert, and one word when it is over.
#[tokio::test]
async fn an_open_breaker_is_told_once_and_so_is_its_end() {
    let db = database().await;
    for _ in 0..9 {
        fail(&db.pool, "sheet", "s", "HTTP 503").await;
    }
    let fault = breakers::Fault { problem: "it is not shared", remedy: "share it" };
    let five_minutes = Duration::from_mins(5);
    let mut transaction = begin(&db.pool).await.expect("begun");
    breakers::trip(&mut transaction, "sheet", "s", five_minutes, &fault).await.expect("noted");
    transaction.commit().await.expect("committed");
    let alerts: Vec<(String, String, String, bool)> =
        sqlx::query_as("SELECT severity, title, remedy, resolved_at IS NULL FROM pushbox.alerts")
            .fetch_all(&db.pool)
            .await
            .expect("alerts");
    let title = "sheet s is out of use: it is not shared";
    assert_eq!(alerts, [("critical".into(), title.into(), "share it".into(), true)]);
    breakers::succeed(&db.pool, "sheet", "s").await.expect("noted");
    let open: i64 = sqlx::query_scalar("SELECT count(*) FROM pushbox.alerts WHERE resolved_at IS NULL")
        .fetch_one(&db.pool)
        .await
        .expect("alerts");
    assert_eq!(open, 0);
}

/// As if the process ended between the two: whoever writes the alert dies of it, and the breaker is as it was.
#[tokio::test]
async fn a_breaker_and_its_alert_change_together_or_not_at_all() {
    let db = database().await;
    let sql = async |sql: &'static str| sqlx::query(sql).execute(&db.pool).await.expect(sql);
    let stands = async || -> (String, i64) {
        sqlx::query_as(
            "SELECT coalesce((SELECT state FROM pushbox.destinations WHERE kind = 'x'), 'none'),
                    (SELECT count(*) FROM pushbox.alerts WHERE key = 'destination:x:y' AND resolved_at IS NULL)",
        )
        .fetch_one(&db.pool)
        .await
        .expect("how it stands")
    };
    let fault = breakers::Fault { problem: "it is not shared", remedy: "share it" };
    for _ in 0..4 {
        fail(&db.pool, "x", "y", "down").await;
    }

    sql("ALTER TABLE pushbox.alerts ADD CONSTRAINT none CHECK (false) NOT VALID").await;
    for tripped in [false, true] {
        let mut transaction = begin(&db.pool).await.expect("begun");
        let told = if tripped {
            breakers::trip(&mut transaction, "x", "y", Duration::from_mins(5), &fault).await.map(|()| None)
        } else {
            breakers::fail(&mut transaction, "x", "y", "down").await
        };
        assert!(told.is_err(), "an alert that cannot be written: {told:?}");
        drop(transaction);
        assert_eq!(stands().await, ("closed".to_owned(), 0), "what is not told does not open");
    }
    sql("ALTER TABLE pushbox.alerts DROP CONSTRAINT none").await;
    assert!(fail(&db.pool, "x", "y", "down").await.is_some());
    assert_eq!(stands().await, ("open".to_owned(), 1));

    sql("ALTER TABLE pushbox.alerts ADD CONSTRAINT none CHECK (resolved_at IS NULL)").await;
    assert!(breakers::succeed(&db.pool, "x", "y").await.is_err());
    assert_eq!(stands().await, ("open".to_owned(), 1), "what is not told to be over is not over");
    let mut transaction = begin(&db.pool).await.expect("begun");
    assert!(breakers::reset(&mut transaction, "x", "y").await.is_err());
    drop(transaction);
    assert_eq!(stands().await, ("open".to_owned(), 1));
    sql("ALTER TABLE pushbox.alerts DROP CONSTRAINT none").await;
    assert!(breakers::succeed(&db.pool, "x", "y").await.expect("noted"));
    assert_eq!(stands().await, ("closed".to_owned(), 0));
}
