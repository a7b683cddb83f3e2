//! What the fetcher, the settler, the keeper and the workers of one process share.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use sqlx::PgPool;

use super::policy::Backoff;
use super::settle::Claim;
use super::wake::Waker;

/// Claims that this process holds.
#[derive(Debug, Default)]
pub(crate) struct Held(Mutex<HashMap<i64, (Claim, Instant)>>);

impl Held {
    pub(crate) fn add(&self, claims: impl Iterator<Item = Claim>) {
        let now = Instant::now();
        self.lock().extend(claims.map(|claim| (claim.job_id, (claim, now))));
    }

    pub(crate) fn remove(&self, claims: impl Iterator<Item = Claim>) {
        let mut held = self.lock();
        for claim in claims {
            // A job may have come back to us under a newer claim.
            if held.get(&claim.job_id).is_some_and(|(ours, _)| *ours == claim) {
                held.remove(&claim.job_id);
            }
        }
    }

    pub(crate) fn all(&self) -> Vec<Claim> {
        self.lock().values().map(|(claim, _)| *claim).collect()
    }

    /// Those that were claimed at least so long ago. The others end before their first heartbeat, as most do.
    pub(crate) fn older_than(&self, age: Duration) -> Vec<Claim> {
        let now = Instant::now();
        let held = self.lock();
        held.values()
            .filter(|(_, since)| now.duration_since(*since) >= age)
            .map(|(claim, _)| *claim)
            .collect()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<i64, (Claim, Instant)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What the tasks of one process share.
#[derive(Clone)]
pub(crate) struct Shared {
    pub pool: PgPool,
    /// For leases alone: they must not wait behind handlers that use up the pool.
    pub keeper_pool: PgPool,
    pub waker: Waker,
    pub held: Arc<Held>,
    pub worker: Arc<str>,
    pub lease: Duration,
    pub poll_interval: Duration,
    pub backoff: Backoff,
}
