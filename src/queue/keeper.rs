//! Keeps the leases of this process alive and brings back the jobs of processes that vanished.

use tokio_util::sync::CancellationToken;

use super::settle::{extend, reap};
use super::shared::Shared;
use crate::observability::metrics::{JobMove, jobs_moved};
use crate::store::hang_up;

/// So many jobs of vanished workers are brought back per statement.
const REAP_AT_ONCE: i64 = 1000;

pub(crate) struct Keeper {
    shared: Shared,
}

impl Keeper {
    pub(crate) fn new(shared: Shared) -> Self {
        Self { shared }
    }

    /// Beats three times per lease, so that two beats may fail.
    pub(crate) async fn run(self, stop: CancellationToken) {
        let mut beat = tokio::time::interval(self.shared.lease / 3);
        beat.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                _ = beat.tick() => {}
            }
            if let Err(error) = self.beat().await {
                tracing::warn!(%error, "cannot extend leases; trying again");
            }
        }
    }

    async fn beat(&self) -> Result<(), sqlx::Error> {
        // Half a beat: what is claimed right after one is extended by the next but one, with a beat to spare.
        let held = self.shared.held.older_than(self.shared.lease / 6);
        if !held.is_empty() {
            let mut connection = self.shared.keeper_pool.acquire().await?;
            let asked = extend(&mut connection, &held, self.shared.lease.as_secs_f64());
            let Ok(ours) = tokio::time::timeout(self.shared.lease / 3, asked).await else {
                return Err(hang_up(connection));
            };
            let ours = ours?;
            drop(connection);
            if ours.len() < held.len() {
                let ours: std::collections::HashSet<i64> = ours.into_iter().collect();
                // Either just settled or lost; both are nothing to extend. Those lost find out when they end.
                self.shared.held.remove(held.iter().copied().filter(|claim| !ours.contains(&claim.job_id)));
            }
        }
        loop {
            let mut connection = self.shared.keeper_pool.acquire().await?;
            let asked = reap(&mut connection, REAP_AT_ONCE, self.shared.lease);
            let Ok(back) = tokio::time::timeout(self.shared.lease, asked).await else {
                return Err(hang_up(connection));
            };
            let back = back?;
            drop(connection);
            if back.is_empty() {
                return Ok(());
            }
            tracing::warn!(jobs = back.len(), "brought back jobs whose worker vanished");
            for job in back.iter().filter(|job| job.state == "dead") {
                jobs_moved(&job.queue, JobMove::Dead, 1);
            }
            self.shared.waker.wake();
            if i64::try_from(back.len()).unwrap_or(REAP_AT_ONCE) < REAP_AT_ONCE {
                return Ok(());
            }
        }
    }
}
