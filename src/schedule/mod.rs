//! Scheduled tasks: one driver, one file per task.
//!
//! A tick is claimed in Postgres, so that with any number of replicas it runs once; missed ticks collapse
//! into one run. A task takes no input, is safe at any time and safe to run twice, and leaves its last run,
//! its result and its next run in `pushbox.schedules`. Tasks do not live in `jobs`: they would only repeat
//! what their row says.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use serde_json::Value;
use sqlx::PgPool;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::store::schedules::{claim_tick, ensure, finish_run, prune_runs};

pub mod lost_pushes;
pub mod maintain;
pub mod refresh_tokens;

/// How often the driver looks for due ticks.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Runs that are remembered, per task.
const RUNS_KEPT: i64 = 500;

/// Something to be done every so often.
#[async_trait]
pub trait Task: Send + Sync {
    /// Its name in `schedules`.
    fn name(&self) -> &'static str;
    /// Its interval.
    fn every(&self) -> Duration;
    /// A run that takes longer than this counts as abandoned, and another process may begin.
    fn lease(&self) -> Duration {
        Duration::from_mins(10)
    }
    /// Does it once and says what came of it, in counts.
    async fn run(&self) -> anyhow::Result<Value>;
}

/// Runs due tasks of one process.
pub struct Driver {
    pool: PgPool,
    tasks: Vec<Arc<dyn Task>>,
}

impl Driver {
    /// A driver for these tasks.
    pub fn new(pool: PgPool, tasks: Vec<Arc<dyn Task>>) -> Self {
        Self { pool, tasks }
    }

    /// Runs until `stop` is cancelled, then lets running tasks end within the given time.
    pub async fn run(self, stop: CancellationToken, limit: Duration) {
        let mut running = JoinSet::new();
        let mut ensured = false;
        let mut look = tokio::time::interval(LOOK_EVERY);
        look.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = stop.cancelled() => break,
                _ = look.tick() => {}
            }
            if let Err(error) = self.look(&mut running, &mut ensured).await {
                tracing::warn!(%error, "cannot look for due tasks; trying again");
            }
            while let Some(ended) = running.try_join_next() {
                if let Err(error) = ended {
                    tracing::error!(%error, "a scheduled task broke; it runs again when its lease is over");
                }
            }
        }
        let ended = async { while running.join_next().await.is_some() {} };
        if tokio::time::timeout(limit, ended).await.is_err() {
            tracing::warn!("a scheduled task did not end in time; it runs again when its lease is over");
        }
    }

    async fn look(&self, running: &mut JoinSet<()>, ensured: &mut bool) -> Result<(), sqlx::Error> {
        let mut connection = self.pool.acquire().await?;
        if !*ensured {
            for task in &self.tasks {
                ensure(&mut connection, task.name(), task.every()).await?;
            }
            *ensured = true;
        }
        for task in &self.tasks {
            if let Some(run) = claim_tick(&mut connection, task.name(), task.lease()).await? {
                running.spawn(run_task(self.pool.clone(), task.clone(), run));
            }
        }
        Ok(())
    }
}

async fn run_task(pool: PgPool, task: Arc<dyn Task>, run: i64) {
    let name = task.name();
    let outcome = task.run().await;
    match &outcome {
        Ok(result) => tracing::debug!(task = name, %result, "scheduled task {name} ran"),
        Err(error) => tracing::error!(task = name, "scheduled task {name} failed: {error:#}"),
    }
    let noted = async {
        let mut connection = pool.acquire().await?;
        let error = outcome.as_ref().err().map(|error| format!("{error:#}"));
        let outcome = outcome.as_ref().map_err(|_| error.as_deref().unwrap_or_default());
        finish_run(&mut connection, run, outcome).await?;
        prune_runs(&mut connection, name, RUNS_KEPT).await
    };
    if let Err(error) = noted.await {
        tracing::warn!(task = name, %error, "cannot note how a task ended; it runs again when its lease is over");
    }
}
