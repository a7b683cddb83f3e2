//! Claims for all queues of a process, a queue at a time, as long as workers have room.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::backend::{Buffer, ReadyBatch};
use super::claim::{ClaimRequest, ClaimedRow, claim};
use super::settle::Claim;
use super::shared::{Held, Shared};
use super::spec::QueueSpec;
use crate::domain::job::Queue;
use crate::observability::metrics::{JobMove, jobs_moved};
use crate::store::hang_up;

/// One queue as the fetcher sees it.
pub(crate) struct Source {
    queue: Queue,
    batch: usize,
    concurrency: usize,
    exclusive: bool,
    claimed: mpsc::UnboundedSender<ReadyBatch>,
    buffer: Arc<Buffer>,
    /// Behind this batch key the next claim begins.
    after: Option<String>,
}

impl Source {
    pub(crate) fn new(
        spec: &QueueSpec,
        claimed: mpsc::UnboundedSender<ReadyBatch>,
        buffer: Arc<Buffer>,
    ) -> Self {
        Self {
            queue: spec.queue,
            batch: spec.batch,
            concurrency: spec.concurrency,
            exclusive: spec.exclusive,
            claimed,
            buffer,
            after: None,
        }
    }

    /// How many jobs to claim: as many as fill the batches that may wait for a worker.
    fn room(&self) -> usize {
        let waiting = self.buffer.waiting.load(Ordering::Acquire);
        self.concurrency.saturating_sub(waiting) * self.batch
    }
}

pub(crate) struct Fetcher {
    shared: Shared,
    sources: Vec<Source>,
}

impl Fetcher {
    pub(crate) fn new(shared: Shared, sources: Vec<Source>) -> Self {
        Self { shared, sources }
    }

    pub(crate) async fn run(mut self, stop: CancellationToken) {
        if self.sources.is_empty() {
            return stop.cancelled().await;
        }
        let mut failing = false;
        while !stop.is_cancelled() {
            let again = match self.round().await {
                Ok(found) => {
                    if std::mem::take(&mut failing) {
                        tracing::info!("claiming works again");
                    }
                    found
                }
                Err(error) => {
                    if !std::mem::replace(&mut failing, true) {
                        tracing::warn!(%error, "cannot claim jobs; trying again");
                    }
                    false
                }
            };
            if !again {
                self.idle(&stop).await;
            }
        }
    }

    /// One claim per queue with room; whether another round is worth while at once.
    async fn round(&mut self) -> Result<bool, sqlx::Error> {
        let mut again = false;
        for source in &mut self.sources {
            let room = source.room();
            if room == 0 {
                continue;
            }
            let claim_id = Uuid::now_v7();
            let request = ClaimRequest {
                queue: source.queue,
                limit: i64::try_from(room).unwrap_or(i64::MAX),
                per_batch_key: i64::try_from(if source.exclusive { source.batch } else { room })
                    .unwrap_or(i64::MAX),
                after: source.after.as_deref(),
                exclusive: source.exclusive,
                worker: &self.shared.worker,
                claim_id,
                lease_seconds: self.shared.lease.as_secs_f64(),
            };
            let mut connection = self.shared.pool.acquire().await?;
            // A claim that comes after its lease is of no use; a host that vanished never answers.
            let asked = claim(&mut connection, &request);
            let Ok(rows) = tokio::time::timeout(self.shared.lease, asked).await else {
                return Err(hang_up(connection));
            };
            let rows = rows?;
            drop(connection);
            // The round has come to its end when there was less than asked for: begin anew at the first key.
            let wrapped = rows.len() < room && source.after.is_some();
            source.after =
                if rows.len() < room { None } else { rows.last().map(|row| row.batch_key.clone()) };
            again |= wrapped || !rows.is_empty();
            if !rows.is_empty() {
                jobs_moved(source.queue.as_str(), JobMove::Claimed, rows.len());
            }
            self.shared.held.add(rows.iter().map(|row| Claim { job_id: row.id, claim_id }));
            hand_out(source, claim_id, rows, &self.shared.held);
        }
        Ok(again)
    }

    async fn idle(&self, stop: &CancellationToken) {
        let jitter = 0.9 + rand::random::<f64>() / 5.0;
        let taken = self.sources.iter().map(|source| Box::pin(source.buffer.taken.notified()));
        tokio::select! {
            () = stop.cancelled() => {}
            () = self.shared.waker.woken() => {}
            _ = futures_util::future::select_all(taken) => {}
            () = tokio::time::sleep(self.shared.poll_interval.mul_f64(jitter).max(Duration::from_millis(1))) => {}
        }
    }
}

/// Groups rows, which come sorted by batch key, into batches. A suspect goes alone, so that a crash is
/// blamed on the right job.
fn hand_out(source: &Source, claim_id: Uuid, rows: Vec<ClaimedRow>, held: &Held) {
    let limit = if source.exclusive { usize::MAX } else { source.batch };
    let mut batches: Vec<Vec<ClaimedRow>> = Vec::new();
    let mut suspects: Vec<Vec<ClaimedRow>> = Vec::new();
    for row in rows {
        if row.crashes > 0 && !source.exclusive {
            suspects.push(vec![row]);
            continue;
        }
        match batches.last_mut() {
            Some(batch) if batch.len() < limit && batch[0].batch_key == row.batch_key => batch.push(row),
            _ => batches.push(vec![row]),
        }
    }
    for rows in batches.into_iter().chain(suspects) {
        let batch = ReadyBatch { batch_key: rows[0].batch_key.clone(), claim_id, rows, slot: None };
        source.buffer.waiting.fetch_add(1, Ordering::AcqRel);
        // The worker lives as long as the fetcher; were it gone, the leases would bring the jobs back.
        if let Err(unsent) = source.claimed.send(batch) {
            held.remove(unsent.0.rows.iter().map(|row| Claim { job_id: row.id, claim_id }));
        }
    }
}
