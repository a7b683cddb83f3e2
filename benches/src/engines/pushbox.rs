//! pushbox's own queue.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use pushbox::config::QueueSettings;
use pushbox::domain::job::{JobPayload, Queue};
use pushbox::queue::{Batch, BatchHandler, NewJob, Outcome, QueueSpec, Runtime, Waker, enqueue};
use serde::{Deserialize, Serialize};
use sqlx::PgPool;
use tokio_util::sync::CancellationToken;

use super::{Engine, Seen};

pub struct Pushbox;

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Noop {
    pub n: usize,
    pub text: String,
}

impl JobPayload for Noop {
    const KIND: &'static str = "noop";
    const QUEUE: Queue = Queue::Forward;
}

struct Handler(Arc<Seen>);

#[async_trait]
impl BatchHandler<Noop> for Handler {
    async fn handle(&self, batch: Batch<Noop>) -> HashMap<i64, Outcome> {
        self.0.job(batch.jobs.len() as u64);
        batch.jobs.iter().map(|job| (job.claim.job_id, Outcome::DONE)).collect()
    }
}

pub fn job(n: usize) -> NewJob {
    NewJob::new(&Noop { n, text: "x".repeat(210) }, 25).batch_key(format!("shop-{}", n % 50))
}

pub fn settings() -> QueueSettings {
    QueueSettings {
        max_attempts: 25,
        concurrency: 4,
        lease: Duration::from_secs(15),
        poll_interval: Duration::from_millis(200),
        retry_base: Duration::from_secs(5),
        retry_max: Duration::from_secs(600),
        shutdown_timeout: Duration::from_secs(10),
    }
}

#[async_trait]
impl Engine for Pushbox {
    fn name(&self) -> &'static str {
        "pushbox"
    }

    async fn prepare(&self, url: &str) -> anyhow::Result<()> {
        use sqlx::Connection;
        pushbox::store::migrate(&mut sqlx::PgConnection::connect(url).await?).await?;
        Ok(())
    }

    async fn fill(&self, pool: &PgPool, jobs: usize) -> anyhow::Result<()> {
        for start in (0..jobs).step_by(1000) {
            let mut connection = pool.acquire().await?;
            enqueue(&mut connection, (start..jobs.min(start + 1000)).map(job).collect()).await?;
        }
        Ok(())
    }

    async fn work(&self, url: &str, seen: Arc<Seen>, stop: CancellationToken) -> anyhow::Result<()> {
        let pool = crate::cluster::pool(url, 8).await?;
        let spec = QueueSpec::new(Arc::new(Handler(seen)), 100, 4, Duration::from_secs(60));
        Runtime::new(pool, &settings(), &uuid::Uuid::new_v4().to_string(), Waker::default(), vec![spec])
            .run(stop)
            .await;
        Ok(())
    }

    async fn is_empty(&self, pool: &PgPool) -> anyhow::Result<bool> {
        Ok(sqlx::query_scalar("SELECT NOT EXISTS (SELECT FROM pushbox.jobs)").fetch_one(pool).await?)
    }
}

struct Stopwatch {
    started: std::sync::Mutex<Vec<std::time::Instant>>,
    waits: std::sync::Mutex<Vec<Duration>>,
}

#[async_trait]
impl BatchHandler<Noop> for Stopwatch {
    async fn handle(&self, batch: Batch<Noop>) -> HashMap<i64, Outcome> {
        let now = std::time::Instant::now();
        let started = self.started.lock().expect("stopwatch");
        let mut waits = self.waits.lock().expect("stopwatch");
        waits.extend(batch.jobs.iter().map(|job| now.saturating_duration_since(started[job.payload.n])));
        batch.jobs.iter().map(|job| (job.claim.job_id, Outcome::DONE)).collect()
    }
}

/// What a job waits for, measured from before its insert.
pub struct Waits {
    /// Until its handler has it.
    pub starts: Vec<Duration>,
    /// Until its insert is on disk: no queue can be faster.
    pub inserts: Vec<Duration>,
}

/// Enqueues `count` jobs, one per commit, `gap` apart, and returns how long each waited for its handler,
/// its own insert included.
pub async fn latency(pool: &PgPool, gap: Duration, count: usize) -> anyhow::Result<Waits> {
    let now = std::time::Instant::now();
    let watch = Arc::new(Stopwatch { started: vec![now; count].into(), waits: Default::default() });
    let waker = Waker::default();
    let spec = QueueSpec::new(watch.clone(), 100, 4, Duration::from_secs(60));
    let stop = CancellationToken::new();
    let runtime = Runtime::new(pool.clone(), &settings(), "latency", waker.clone(), vec![spec]);
    let running = tokio::spawn(runtime.run(stop.clone()));
    let mut tick = tokio::time::interval(gap);
    let mut writers = tokio::task::JoinSet::new();
    for n in 0..count {
        tick.tick().await;
        let (pool, waker, watch) = (pool.clone(), waker.clone(), watch.clone());
        writers.spawn(async move {
            let mut connection = pool.acquire().await?;
            let begun = std::time::Instant::now();
            watch.started.lock().expect("stopwatch")[n] = begun;
            enqueue(&mut connection, vec![job(n)]).await?;
            waker.wake();
            anyhow::Ok(begun.elapsed())
        });
    }
    let mut inserts = Vec::with_capacity(count);
    while let Some(written) = writers.join_next().await {
        inserts.push(written??);
    }
    let begun = std::time::Instant::now();
    while watch.waits.lock().expect("stopwatch").len() < count {
        anyhow::ensure!(begun.elapsed() < Duration::from_secs(30), "jobs do not start");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    stop.cancel();
    running.await?;
    let starts = std::mem::take(&mut *watch.waits.lock().expect("stopwatch"));
    Ok(Waits { starts, inserts })
}
