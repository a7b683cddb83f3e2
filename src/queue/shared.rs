//! What the fetcher, the settler, the keeper and the workers of one process share.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use sqlx::PgPool;

use super::policy::Backoff;
use super::settle::Claim;
use super::wake::Waker;

/// Claims that this process holds.
#[derive(Debug, Default)]
pub(crate) struct Held(Mutex<HashMap<i64, Claim>>);

impl Held {
    pub(crate) fn add(&self, claims: impl Iterator<Item = Claim>) {
        self.lock().extend(claims.map(|claim| (claim.job_id, claim)));
    }

    pub(crate) fn remove(&self, claims: impl Iterator<Item = Claim>) {
        let mut held = self.lock();
        for claim in claims {
            // A job may have come back to us under a newer claim.
            if held.get(&claim.job_id) == Some(&claim) {
                held.remove(&claim.job_id);
            }
        }
    }

    pub(crate) fn all(&self) -> Vec<Claim> {
        self.lock().values().copied().collect()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<i64, Claim>> {
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
