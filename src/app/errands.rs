//! What every process does beside its roles: what people asked for in the background. The tables say what is to be
//! done, so it does not matter which process does it.

use std::time::Duration;

use sqlx::PgPool;
use tokio_util::sync::CancellationToken;

use super::Parts;
use crate::queue::{Waker, bulk};

/// How often to look for what other processes were asked for.
const EVERY: Duration = Duration::from_secs(5);

/// The errands of one process.
pub(super) struct Errands {
    pool: PgPool,
    wanted: Waker,
    workers: Waker,
}

impl Errands {
    pub(super) fn new(parts: &Parts) -> Self {
        Self { pool: parts.pool.clone(), wanted: parts.errands.clone(), workers: parts.waker.clone() }
    }

    /// Changes many jobs at once, part by part, until `stop`. A database that is away is waited for.
    pub(super) async fn run(self, stop: CancellationToken) {
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
