//! What every process does beside its roles: it counts for the statistics, writes down how it answered pushes, and
//! does what people asked for in the background. The tables say what is to be done, so it does not matter which process does it.

use std::sync::Arc;
use std::time::Duration;

use sqlx::PgPool;
use tokio_util::sync::CancellationToken;

use super::Parts;
use crate::queue::{Waker, bulk};
use crate::receiver::Answers;
use crate::store::{push_rhythms, roll_up};

/// How often to count, and to look for what other processes were asked for.
const EVERY: Duration = Duration::from_secs(5);

/// The errands of one process.
pub(super) struct Errands {
    pool: PgPool,
    wanted: Waker,
    workers: Waker,
    answers: Arc<Answers>,
}

impl Errands {
    pub(super) fn new(parts: &Parts) -> Self {
        Self {
            pool: parts.pool.clone(),
            wanted: parts.errands.clone(),
            workers: parts.waker.clone(),
            answers: parts.answers.clone(),
        }
    }

    /// Does them until `stop`. A database that is away is waited for.
    pub(super) async fn run(self, stop: CancellationToken) {
        tokio::join!(self.change_many_jobs(&stop), self.count(&stop));
        self.write_answers_down().await;
    }

    async fn count(&self, stop: &CancellationToken) {
        while !stop.is_cancelled() {
            match roll_up::roll_up(&self.pool).await {
                Ok(false) => continue,
                Ok(true) => {}
                Err(error) => {
                    tracing::warn!(
                        error = &error as &dyn std::error::Error,
                        "statistics wait for the database"
                    );
                }
            }
            self.write_answers_down().await;
            tokio::select! {
                () = stop.cancelled() => {}
                () = tokio::time::sleep(EVERY) => {}
            }
        }
    }

    /// What cannot be written down is counted until it can.
    async fn write_answers_down(&self) {
        let answers = self.answers.take();
        if answers.is_empty() {
            return;
        }
        if let Err(error) = push_rhythms::add_answers(&self.pool, &answers).await {
            tracing::debug!(%error, "answers are counted later");
            self.answers.give_back(answers);
        }
    }

    /// Part by part.
    async fn change_many_jobs(&self, stop: &CancellationToken) {
        while !stop.is_cancelled() {
            match bulk::advance(&self.pool).await {
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
}
