//! Writes how claims ended, many at a time.

use std::collections::HashMap;
use std::time::Duration;

use tokio::sync::mpsc;

use super::settle::{Claim, Done, Moved, Returned, Verdict, complete, give_back};
use super::shared::Shared;
use crate::observability::metrics::{JobMove, jobs_moved};
use crate::store::hang_up;

/// How the claims of one batch ended.
#[derive(Debug, Default)]
pub(crate) struct Settled {
    pub done: Vec<Done>,
    pub returned: Vec<Returned>,
    /// Completed by the handler already.
    pub committed: Vec<Claim>,
}

pub(crate) struct Settler {
    shared: Shared,
    settlements: mpsc::Receiver<Settled>,
}

/// A write that fails is repeated for so long as the lease could still be ours; afterwards somebody else has
/// the jobs and the write would change nothing.
const PAUSE_AFTER_FAILURE: Duration = Duration::from_millis(200);

impl Settler {
    pub(crate) fn new(shared: Shared, settlements: mpsc::Receiver<Settled>) -> Self {
        Self { shared, settlements }
    }

    /// Ends when every sender is gone and everything is written.
    pub(crate) async fn run(mut self) {
        let mut received = Vec::new();
        while self.settlements.recv_many(&mut received, 512).await > 0 {
            let mut all = Settled::default();
            for one in received.drain(..) {
                all.done.extend(one.done);
                all.returned.extend(one.returned);
                all.committed.extend(one.committed);
            }
            self.shared.held.remove(all.committed.iter().copied());
            if !all.done.is_empty() {
                self.complete_all(&all.done).await;
            }
            if !all.returned.is_empty() {
                self.return_all(&all.returned).await;
            }
            // A batch key or a key may be free again, and a job may be ready again.
            self.shared.waker.wake();
        }
    }

    async fn complete_all(&self, done: &[Done]) {
        let written = self.insist(Write::Done(done)).await.ok();
        count(written.iter().flatten(), &[]);
        if let Some(written) = written
            && written.len() < done.len()
        {
            tracing::warn!(
                lost = done.len() - written.len(),
                "jobs ended after their lease was lost; they run again"
            );
        }
        self.shared.held.remove(done.iter().map(|one| one.claim));
    }

    async fn return_all(&self, returned: &[Returned]) {
        let mut requeued = self.insist(Write::Returned(returned)).await;
        if matches!(requeued, Err(GaveUp::Refused)) && returned.len() > 1 {
            // One statement cannot merge two jobs into one row: then each goes by itself.
            let mut singly = Vec::new();
            for one in returned {
                singly.extend(
                    self.insist(Write::Returned(std::slice::from_ref(one))).await.unwrap_or_default(),
                );
            }
            requeued = Ok(singly);
        }
        count(requeued.iter().flatten(), returned);
        if let Ok(requeued) = &requeued
            && requeued.len() < returned.len()
        {
            let lost = returned.len() - requeued.len();
            tracing::warn!(lost, "jobs were given back after their lease was lost; whoever has them goes on");
        }
        for job in requeued.iter().flatten().filter(|job| job.state == "dead") {
            tracing::error!(
                job = job.id,
                "job {} is dead; read last_error in pushbox.jobs and retry it",
                job.id
            );
        }
        self.shared.held.remove(returned.iter().map(|one| one.claim));
    }

    /// Repeats while the database is away.
    async fn insist(&self, write: Write<'_>) -> Result<Vec<Moved>, GaveUp> {
        let begun = std::time::Instant::now();
        loop {
            let error = match self.attempt(&write).await {
                Ok(written) => return Ok(written),
                Err(error) => error,
            };
            let refused = matches!(&error, sqlx::Error::Database(refusal) if !is_passing(refusal.as_ref()));
            tracing::warn!(%error, refused, "cannot write how jobs ended");
            if refused {
                return Err(GaveUp::Refused);
            }
            if begun.elapsed() > self.shared.lease * 2 {
                return Err(GaveUp::TooLate);
            }
            tokio::time::sleep(PAUSE_AFTER_FAILURE).await;
        }
    }

    async fn attempt(&self, write: &Write<'_>) -> Result<Vec<Moved>, sqlx::Error> {
        let mut connection = self.shared.pool.acquire().await?;
        let written = async {
            match write {
                Write::Done(done) => complete(&mut connection, done).await,
                Write::Returned(returned) => give_back(&mut connection, returned).await,
            }
        };
        match tokio::time::timeout(self.shared.lease, written).await {
            Ok(written) => written,
            Err(_) => Err(hang_up(connection)),
        }
    }
}

/// Tells the metrics what was written, as it was written. What was never begun made no move.
fn count<'a>(moved: impl Iterator<Item = &'a Moved>, returned: &[Returned]) {
    let verdicts: HashMap<i64, &Verdict> =
        returned.iter().map(|one| (one.claim.job_id, &one.verdict)).collect();
    for job in moved {
        let outcome = match (job.state.as_str(), verdicts.get(&job.id)) {
            ("done", _) => JobMove::Completed,
            ("dead", _) => JobMove::Dead,
            (_, Some(Verdict::Retry { .. })) => JobMove::Retried,
            (_, Some(Verdict::Wait { .. } | Verdict::Keep { .. })) => JobMove::Waiting,
            _ => continue,
        };
        jobs_moved(&job.queue, outcome, 1);
    }
}

/// Why a write was given up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum GaveUp {
    /// The database refuses the statement itself.
    Refused,
    /// The leases are over by now.
    TooLate,
}

/// What is to be written.
enum Write<'a> {
    Done(&'a [Done]),
    Returned(&'a [Returned]),
}

/// Refusals that pass: shutdown and start of the server, deadlocks, time-outs, too many connections.
fn is_passing(refusal: &dyn sqlx::error::DatabaseError) -> bool {
    refusal
        .code()
        .is_some_and(|code| ["57", "53", "40", "08", "55"].iter().any(|class| code.starts_with(class)))
}
