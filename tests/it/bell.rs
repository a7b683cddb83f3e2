//! What the processes of one database know of each other.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use pushbox::config::QueueSettings;
use pushbox::domain::job::{JobPayload, Queue};
use pushbox::queue::{
    Batch, BatchHandler, Bell, NewJob, Outcome, Presence, QueueSpec, Runtime, Waker, enqueue,
};
use pushbox::store;
use serde::{Deserialize, Serialize};
use sqlx::PgPool;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::support::database::database;

const LIMIT: Duration = Duration::from_secs(20);

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Probe {}

impl JobPayload for Probe {
    const KIND: &'static str = "probe";
    const QUEUE: Queue = Queue::Forward;
}

struct Tell(mpsc::UnboundedSender<usize>);

#[async_trait]
impl BatchHandler<Probe> for Tell {
    async fn handle(&self, batch: Batch<Probe>) -> HashMap<i64, Outcome> {
        let _ = self.0.send(batch.jobs.len());
        batch.jobs.iter().map(|job| (job.claim.job_id, Outcome::DONE)).collect()
    }
}

/// Polls so seldom that only the bell can be what wakes it.
fn settings() -> QueueSettings {
    QueueSettings {
        max_attempts: 3,
        concurrency: 1,
        lease: Duration::from_mins(10),
        poll_interval: Duration::from_mins(10),
        retry_base: Duration::from_secs(1),
        retry_max: Duration::from_secs(1),
        shutdown_timeout: Duration::from_secs(5),
    }
}

fn process(
    url: &str,
    name: &str,
    waker: &Waker,
    stop: &CancellationToken,
) -> (PgPool, tokio::task::JoinHandle<()>) {
    let pool = store::pool(&url.to_owned().into(), 4, name, store::Sessions::Own).expect("a pool");
    let presence = Presence { worker: name.into(), roles: vec!["worker".into()], sessions: true };
    let bell = Bell::new(&pool, waker.clone(), presence);
    (pool, tokio::spawn(bell.run(stop.clone())))
}

async fn until(pool: &PgPool, sql: &'static str) {
    let reached = async {
        while sqlx::query_scalar::<_, i64>(sql).fetch_one(pool).await.expect(sql) == 0 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(LIMIT, reached).await.unwrap_or_else(|_| panic!("never: {sql}"));
}

#[tokio::test]
async fn work_that_one_process_enqueues_starts_at_once_in_another() {
    let db = database().await;
    let stop = CancellationToken::new();
    let (here, there) = (Waker::default(), Waker::default());
    let (working, second_bell) = process(&db.url, "there", &there, &stop);
    let (_, first_bell) = process(&db.url, "here", &here, &stop);
    until(&db.pool, "SELECT count(*) FROM pushbox.workers HAVING count(*) = 2 UNION ALL SELECT 0 LIMIT 1")
        .await;
    let (told, mut heard) = mpsc::unbounded_channel();
    let spec = QueueSpec::new(Arc::new(Tell(told)), 10, 1, Duration::from_secs(10));
    let runtime = Runtime::new(working, &settings(), "there", there, vec![spec]);
    let running = tokio::spawn(runtime.run(stop.clone()));
    // The first look at the others may still be ahead of it: then it rings for nobody. Hence ask until heard.
    let ring = async {
        loop {
            let mut connection = db.pool.acquire().await.expect("connection");
            enqueue(&mut connection, vec![NewJob::new(&Probe {}, 3).batch_key("a").key("k")])
                .await
                .expect("enqueue");
            drop(connection);
            here.wake();
            tokio::select! {
                jobs = heard.recv() => return jobs,
                () = tokio::time::sleep(Duration::from_millis(300)) => {}
            }
        }
    };
    let jobs = tokio::time::timeout(LIMIT, ring).await.expect("the other process never heard of it");
    assert_eq!(jobs, Some(1));
    stop.cancel();
    running.await.expect("the runtime");
    first_bell.await.expect("the bell");
    second_bell.await.expect("the bell");
    let rows: i64 =
        sqlx::query_scalar("SELECT count(*) FROM pushbox.workers").fetch_one(&db.pool).await.expect("rows");
    assert_eq!(rows, 0, "a process that stops takes its row along");
}

#[tokio::test]
async fn the_jobs_of_a_process_that_vanished_come_back_long_before_their_leases_end() {
    let db = database().await;
    // The ghost: a row, a running job with an hour's lease, and no connection.
    sqlx::raw_sql(
        "INSERT INTO pushbox.workers (id, host, pid, version, roles, present) VALUES
             ('ghost', '', 1, '', '{worker}', true), ('pooled', '', 1, '', '{worker}', false);
         INSERT INTO pushbox.jobs (queue, kind, payload, max_attempts, state, worker, claim_id, lease_until)
         SELECT 'forward', 'probe', '{}', 3, 'running', w, gen_random_uuid(), now() + interval '1 hour'
         FROM unnest(ARRAY['ghost', 'pooled', 'alive']) AS w",
    )
    .execute(&db.pool)
    .await
    .expect("a ghost");
    let stop = CancellationToken::new();
    let (_, alive) = process(&db.url, "alive", &Waker::default(), &stop);
    let (_, other) = process(&db.url, "other", &Waker::default(), &stop);
    until(&db.pool, "SELECT count(*) FROM pushbox.jobs WHERE state = 'ready'").await;
    let jobs: Vec<(String, String, i32, i16)> =
        sqlx::query_as("SELECT worker, state, attempt, crashes FROM pushbox.jobs ORDER BY worker")
            .fetch_all(&db.pool)
            .await
            .expect("jobs");
    let running = |worker: &str| (worker.to_owned(), "running".to_owned(), 0, 0);
    assert_eq!(jobs, [running("alive"), ("ghost".into(), "ready".into(), 0, 1), running("pooled")]);
    stop.cancel();
    alive.await.expect("the bell");
    other.await.expect("the bell");
}
