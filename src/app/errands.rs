//! What every process does beside its roles: it says that it runs, and does what people asked for in the
//! background. The tables say what is to be done, so it does not matter which process does it.

use std::time::Duration;

use chrono::{DateTime, Utc};
use sqlx::PgPool;
use tokio_util::sync::CancellationToken;

use super::Parts;
use crate::config::Roles;
use crate::queue::{Waker, bulk};
use crate::store::processes;

/// How often a process says that it runs, and looks for what other processes were asked for.
const EVERY: Duration = Duration::from_secs(5);

/// The errands of one process.
pub(super) struct Errands {
    pool: PgPool,
    wanted: Waker,
    workers: Waker,
    name: String,
    roles: Vec<String>,
    started_at: DateTime<Utc>,
}

impl Errands {
    pub(super) fn new(parts: &Parts, roles: &Roles) -> Self {
        Self {
            pool: parts.pool.clone(),
            wanted: parts.errands.clone(),
            workers: parts.waker.clone(),
            name: parts.worker.clone(),
            roles: roles.iter().map(|role| role.as_str().to_owned()).collect(),
            started_at: parts.clock.now(),
        }
    }

    /// Does them until `stop`. A database that is away is waited for.
    pub(super) async fn run(self, stop: CancellationToken) {
        tokio::join!(self.say_that_it_runs(&stop), self.change_many_jobs(&stop));
        if let Err(error) = processes::leave(&self.pool, &self.name).await {
            tracing::debug!(error = &error as &dyn std::error::Error, "left without a word");
        }
    }

    async fn say_that_it_runs(&self, stop: &CancellationToken) {
        while !stop.is_cancelled() {
            if let Err(error) = processes::beat(&self.pool, &self.name, &self.roles, self.started_at).await {
                tracing::warn!(error = &error as &dyn std::error::Error, "cannot say that this process runs");
            }
            tokio::select! {
                () = stop.cancelled() => {}
                () = tokio::time::sleep(EVERY) => {}
            }
        }
    }

    async fn change_many_jobs(&self, stop: &CancellationToken) {
        while !stop.is_cancelled() {
            match self.next_part().await {
                Ok(true) => {
                    self.workers.wake();
                    continue;
                }
                Ok(false) => {}
                Err(error) => {
                    tracing::warn!(
                        error = &error as &dyn std::error::Error,
                        "bulk operations wait for the database"
                    );
                }
            }
            tokio::select! {
                () = stop.cancelled() => {}
                () = self.wanted.woken() => {}
                () = tokio::time::sleep(EVERY) => {}
            }
        }
    }

    async fn next_part(&self) -> Result<bool, sqlx::Error> {
        let mut connection = self.pool.acquire().await?;
        bulk::advance(&mut connection).await
    }
}
