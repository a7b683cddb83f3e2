//! Doing work again: everything that matches, at a rate, once, whatever is killed meanwhile.

use std::time::Duration;

use pushbox::domain::job::{JobPayload, Queue};
use pushbox::queue::claim::{ClaimRequest, claim, look};
use pushbox::queue::replay::{self, NewReplay, Replay, ReplayFilter, Replayer, Target};
use pushbox::queue::settle::{Claim, Done, Returned, Verdict, complete, give_back};
use pushbox::queue::{NewJob, Plan, Waker, enqueue};
use serde::{Deserialize, Serialize};
use sqlx::PgPool;
use uuid::Uuid;

use crate::support::app::{CHAT, SHOP, SPREADSHEET, TestApp, order, status_push};
use crate::support::database::database;

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Probe {
    n: i64,
}

impl JobPayload for Probe {
    const KIND: &'static str = "probe";
    const QUEUE: Queue = Queue::Forward;
}

async fn ask(pool: &PgPool, target: Target, filter: ReplayFilter, per_second: i32) -> i64 {
    let mut connection = pool.acquire().await.expect("connection");
    let replay = NewReplay { target, filter, per_second, requested_by: "test".into() };
    replay::create(&mut connection, &replay).await.expect("create")
}

async fn found(pool: &PgPool, id: i64) -> Replay {
    let mut connection = pool.acquire().await.expect("connection");
    replay::find(&mut connection, id).await.expect("find").expect("the replay")
}

async fn count(pool: &PgPool, sql: &'static str) -> i64 {
    sqlx::query_scalar(sql).fetch_one(pool).await.expect(sql)
}

fn replayer(pool: &PgPool, worker: &str) -> Replayer {
    let plan = Plan { max_attempts: 3, ..Plan::default() };
    Replayer { pool: pool.clone(), plan, waker: Waker::default(), worker: worker.into() }
}

/// Jobs 1 to `jobs`, each ended by the verdict, or done.
async fn ended(pool: &PgPool, jobs: i64, verdict: impl Fn(i64) -> Option<Verdict>) {
    let mut connection = pool.acquire().await.expect("connection");
    let new = (1..=jobs).map(|n| NewJob::new(&Probe { n }, 3).batch_key("a").key(n.to_string())).collect();
    enqueue(&mut connection, new).await.expect("enqueue");
    let heads = look(&mut connection, Queue::Forward, None, 10).await.expect("look");
    let lanes: Vec<_> = heads.into_iter().map(|head| (head.lane, head.place)).collect();
    let claim_id = Uuid::now_v7();
    let request = ClaimRequest {
        queue: Queue::Forward,
        lanes: &lanes,
        limit: jobs,
        per_lane: jobs,
        claims_per_batch_key: None,
        worker: "test",
        claim_id,
        lease_seconds: 60.0,
    };
    let (mut done, mut returned) = (Vec::new(), Vec::new());
    for row in claim(&mut connection, &request).await.expect("claim") {
        let n = serde_json::from_str::<Probe>(row.payload.0.get()).expect("a probe").n;
        let claim = Claim { job_id: row.id, claim_id };
        match verdict(n) {
            Some(verdict) => returned.push(Returned { claim, verdict }),
            None => done.push(Done { claim, ran: Duration::ZERO, note: None }),
        }
    }
    complete(&mut connection, &done).await.expect("complete");
    give_back(&mut connection, &returned).await.expect("give back");
}

fn dead(error: &str) -> Verdict {
    Verdict::Dead { error: error.into() }
}

#[tokio::test]
async fn events_replayed_do_their_work_again_and_repeat_no_effect() {
    let app = TestApp::start().await;
    for n in 0..3 {
        let (detail, escrow) = order(&format!("A{n}"), "READY_TO_SHIP", 1_790_000_200);
        app.simulator.put_order(SHOP, detail, escrow);
        app.push(&status_push(&format!("A{n}"), "READY_TO_SHIP", 1_790_000_200)).await;
    }
    app.drain().await;
    let filter =
        ReplayFilter { source: Some("shopee".into()), code: Some("3".into()), ..ReplayFilter::default() };
    let mut connection = app.pool.acquire().await.expect("connection");
    assert_eq!(replay::count(&mut connection, Target::Events, &filter).await.expect("count"), 3);
    let id = ask(&app.pool, Target::Events, filter, 100).await;
    app.until("SELECT count(*) FROM pushbox.replays WHERE state = 'done'").await;
    app.drain().await;
    let replay = found(&app.pool, id).await;
    assert_eq!((replay.total, replay.seen, replay.enqueued, replay.skipped), (Some(3), 3, 3, 0));
    let enriched =
        "SELECT count(*) FROM pushbox.job_history WHERE kind = 'enrich_order' AND outcome = 'done'";
    assert_eq!(app.count(enriched).await, 6, "each order was fetched again");
    assert_eq!(app.count("SELECT count(*) FROM pushbox.events").await, 3);
    assert_eq!(app.count("SELECT coalesce(sum(redeliveries), 0)::bigint FROM pushbox.event_keys").await, 0);
    assert_eq!(app.simulator.sheet_rows(SPREADSHEET, "Orders").len(), 3);
    assert_eq!(
        app.simulator.messages_in_topic(CHAT, "Order status (3)").len(),
        3,
        "announced once all the same"
    );

    // One event, by its id; and one that is not there.
    let event: Uuid = sqlx::query_scalar("SELECT id FROM pushbox.events WHERE subject = 'A1'")
        .fetch_one(&app.pool)
        .await
        .expect("the event");
    let plan = Plan { max_attempts: 3, ..Plan::default() };
    assert_eq!(replay::event(&mut connection, &plan, Uuid::now_v7()).await.expect("replay"), None);
    assert_eq!(
        replay::event(&mut connection, &plan, event).await.expect("replay"),
        Some(0),
        "no route, no job"
    );
    app.finish().await;
}

#[tokio::test]
async fn a_replay_goes_on_where_it_was_killed_and_does_nothing_twice() {
    let db = database().await;
    ended(&db.pool, 25, |n| Some(dead(if n % 5 == 0 { "quota <b>" } else { "not found" }))).await;
    let filter = ReplayFilter { error: Some("NOT FOUND".into()), ..ReplayFilter::default() };
    let id = ask(&db.pool, Target::DeadJobs, filter, 6).await;
    let (first, second) = (replayer(&db.pool, "first"), replayer(&db.pool, "second"));
    let pause = first.step().await.expect("step").expect("there is one");
    assert!(pause > Duration::from_millis(500), "six at six per second take a second: {pause:?}");
    assert!(second.step().await.expect("step").is_none(), "it is in the first one's hands");
    // The first process is gone.
    sqlx::query("UPDATE pushbox.replays SET lease_until = now() - interval '1 s'")
        .execute(&db.pool)
        .await
        .expect("expire");
    while second.step().await.expect("step").is_some() {}
    let replay = found(&db.pool, id).await;
    assert_eq!(
        (replay.state.as_str(), replay.total, replay.seen, replay.enqueued),
        ("done", Some(20), 20, 20)
    );
    assert_eq!(
        count(&db.pool, "SELECT count(*) FROM pushbox.jobs WHERE state = 'ready' AND attempt = 0").await,
        20
    );
    assert_eq!(count(&db.pool, "SELECT count(*) FROM pushbox.jobs WHERE state = 'dead'").await, 5);
}

#[tokio::test]
async fn a_page_that_fails_is_undone_said_and_tried_again() {
    let db = database().await;
    ended(&db.pool, 4, |_| Some(dead("x"))).await;
    let id = ask(&db.pool, Target::DeadJobs, ReplayFilter::default(), 100).await;
    sqlx::raw_sql("ALTER TABLE pushbox.jobs ADD CONSTRAINT broken CHECK (state <> 'ready' OR key <> '3')")
        .execute(&db.pool)
        .await
        .expect("sabotage");
    let replayer = replayer(&db.pool, "w");
    replayer.step().await.expect_err("it cannot be written");
    let replay = found(&db.pool, id).await;
    assert!(replay.last_error.is_some_and(|error| error.contains("broken")));
    assert_eq!(
        count(&db.pool, "SELECT count(*) FROM pushbox.jobs WHERE state = 'dead'").await,
        4,
        "all or nothing"
    );
    sqlx::raw_sql("ALTER TABLE pushbox.jobs DROP CONSTRAINT broken").execute(&db.pool).await.expect("repair");
    while replayer.step().await.expect("step").is_some() {}
    let replay = found(&db.pool, id).await;
    assert_eq!((replay.state.as_str(), replay.enqueued, replay.last_error), ("done", 4, None));
}

#[tokio::test]
async fn finished_jobs_run_again_behind_live_ones_and_merge_with_ready_twins() {
    let db = database().await;
    ended(&db.pool, 3, |_| None).await;
    let mut connection = db.pool.acquire().await.expect("connection");
    enqueue(&mut connection, vec![NewJob::new(&Probe { n: 2 }, 3).batch_key("a").key("2")])
        .await
        .expect("enqueue");
    let filter = ReplayFilter { kind: Some("probe".into()), ..ReplayFilter::default() };
    let id = ask(&db.pool, Target::FinishedJobs, filter, 100).await;
    let replayer = replayer(&db.pool, "w");
    while replayer.step().await.expect("step").is_some() {}
    assert_eq!(found(&db.pool, id).await.enqueued, 3);
    let ready: Vec<(String, i16)> = sqlx::query_as("SELECT key, priority FROM pushbox.jobs ORDER BY key")
        .fetch_all(&db.pool)
        .await
        .expect("jobs");
    assert_eq!(ready, [("1".into(), 10), ("2".into(), 0), ("3".into(), 10)]);
    // One job by its number, whether it is dead or ended.
    let ended_id: i64 = sqlx::query_scalar("SELECT id FROM pushbox.job_history WHERE key = '3'")
        .fetch_one(&db.pool)
        .await
        .expect("the job");
    assert!(replay::job(&mut connection, ended_id, 3).await.expect("again"));
    assert!(!replay::job(&mut connection, 999_999, 3).await.expect("again"));
    assert_eq!(
        count(&db.pool, "SELECT count(*) FROM pushbox.jobs").await,
        3,
        "it merged with the one that is ready"
    );
}

#[tokio::test]
async fn a_cancelled_replay_does_no_more() {
    let db = database().await;
    ended(&db.pool, 10, |_| Some(dead("x"))).await;
    let id = ask(&db.pool, Target::DeadJobs, ReplayFilter::default(), 3).await;
    let replayer = replayer(&db.pool, "w");
    replayer.step().await.expect("step").expect("there is one");
    let mut connection = db.pool.acquire().await.expect("connection");
    assert!(replay::cancel(&mut connection, id).await.expect("cancel"));
    assert!(!replay::cancel(&mut connection, id).await.expect("cancel"));
    assert!(replayer.step().await.expect("step").is_none());
    assert_eq!(count(&db.pool, "SELECT count(*) FROM pushbox.jobs WHERE state = 'ready'").await, 3);
    let listed = replay::list(&mut connection, None, 10).await.expect("list");
    assert_eq!(
        listed.iter().map(|one| (one.id, one.state.as_str())).collect::<Vec<_>>(),
        [(id, "cancelled")]
    );
}
