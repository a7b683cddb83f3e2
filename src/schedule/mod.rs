//! Scheduled tasks: one driver, one file per task.
//!
//! A tick is claimed in Postgres, so that with any number of replicas it runs once; missed ticks collapse
//! into one run. The process that runs it keeps extending a short lease, so that the run of a process that
//! vanished is taken over soon, and a run that lost its lease ends where it stands. A task takes no input, is
//! safe at any time and safe to run twice, and leaves its last run, its result and its next run in
//! `pushbox.schedules`. Tasks do not live in `jobs`: they would only repeat what their row says.
//!
//! After an outage of ours (nobody ran anything, or the database was away) the tasks that bring in what was
//! missed run at once.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use serde_json::Value;
use sqlx::PgPool;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::clients::shopee::ShopeeClient;
use crate::observability::metrics;
use crate::store::schedules::{
    ask_run, claim_tick, ensure, finish_run, keep_run, nobody_ran_for, prune_runs,
};
use crate::store::shops::OfApp;

pub mod alerts;
pub mod authorizations;
pub mod each_app;
pub mod lost_pushes;
pub mod maintain;
pub mod payloads;
pub mod poll_orders;
pub mod push_health;
pub mod reconcile;
pub mod refresh_tokens;
pub mod shop_calls;
pub mod subscriptions;
pub mod watch;
pub mod watch_replays;

/// How often the driver looks for due ticks.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Runs that are remembered, per task.
const RUNS_KEPT: i64 = 500;
/// Some task is due every few seconds; when none began for so long, nobody was there.
const OUTAGE: Duration = Duration::from_mins(2);

/// The shops of a client's app.
fn of_app(client: &ShopeeClient) -> OfApp {
    OfApp { partner_id: client.partner_id(), is_first: client.is_first() }
}

/// Something to be done every so often.
#[async_trait]
pub trait Task: Send + Sync {
    /// Its name in `schedules`.
    fn name(&self) -> &'static str;
    /// Its interval.
    fn every(&self) -> Duration;
    /// A run whose process was silent for so long counts as abandoned, and another process may begin.
    fn lease(&self) -> Duration {
        Duration::from_secs(30)
    }
    /// Whether it brings in what was missed while we were away.
    fn after_outage(&self) -> bool {
        false
    }
    /// Does it once and says what came of it, in counts. May be dropped at any point.
    async fn run(&self) -> anyhow::Result<Value>;
}

/// Runs due tasks of one process.
pub struct Driver {
    pool: PgPool,
    tasks: Vec<Arc<dyn Task>>,
    ensured: bool,
    /// The database was away.
    outage: bool,
}

impl Driver {
    /// A driver for these tasks.
    pub fn new(pool: PgPool, tasks: Vec<Arc<dyn Task>>) -> Self {
        Self { pool, tasks, ensured: false, outage: false }
    }

    /// Runs until `stop` is cancelled, then lets running tasks end within the given time.
    pub async fn run(mut self, stop: CancellationToken, limit: Duration) {
        let mut running = JoinSet::new();
        let mut look = tokio::time::interval(LOOK_EVERY);
        look.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = stop.cancelled() => break,
                _ = look.tick() => {}
            }
            if let Err(error) = self.look(&mut running).await {
                tracing::warn!(%error, "cannot look for due tasks; trying again");
                self.outage = true;
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

    /// Runs every task that is due now, to its end; returns the names of those that ran. For tests and for
    /// commands that do not stay.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn run_due(&mut self) -> Result<Vec<&'static str>, sqlx::Error> {
        let mut running = JoinSet::new();
        let started = self.look(&mut running).await?;
        while running.join_next().await.is_some() {}
        Ok(started)
    }

    async fn look(&mut self, running: &mut JoinSet<()>) -> Result<Vec<&'static str>, sqlx::Error> {
        let mut connection = self.pool.acquire().await?;
        if !self.ensured {
            // Asked before the tasks are there: a first start ever is no outage.
            self.outage |= nobody_ran_for(&mut connection, OUTAGE).await?;
            for task in &self.tasks {
                ensure(&mut connection, task.name(), task.every()).await?;
            }
            self.ensured = true;
        }
        if self.outage {
            for task in self.tasks.iter().filter(|task| task.after_outage()) {
                ask_run(&mut connection, task.name()).await?;
            }
            self.outage = false;
        }
        let mut started = Vec::new();
        for task in &self.tasks {
            if let Some(run) = claim_tick(&mut connection, task.name(), task.lease()).await? {
                started.push(task.name());
                running.spawn(run_task(self.pool.clone(), task.clone(), run));
            }
        }
        Ok(started)
    }
}

async fn run_task(pool: PgPool, task: Arc<dyn Task>, run: i64) {
    let name = task.name();
    let begun = tokio::time::Instant::now();
    let outcome = tokio::select! {
        outcome = task.run() => outcome,
        () = lose_lease(&pool, &*task, run) => {
            tracing::warn!(task = name, "scheduled task {name} was taken over by another process; stopped here");
            metrics::schedule_ran(name, "taken_over", begun.elapsed());
            return;
        }
    };
    metrics::schedule_ran(name, if outcome.is_ok() { "ok" } else { "failed" }, begun.elapsed());
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

/// Extends the lease of a run until it is lost. A database that is away for a moment loses it only when
/// somebody else has it afterwards.
async fn lose_lease(pool: &PgPool, task: &dyn Task, run: i64) {
    loop {
        tokio::time::sleep(task.lease() / 3).await;
        let kept = async {
            let mut connection = pool.acquire().await?;
            keep_run(&mut connection, run, task.name(), task.lease()).await
        };
        if matches!(kept.await, Ok(false)) {
            return;
        }
    }
}
