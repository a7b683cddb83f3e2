//! Claims for all queues of a process, a queue at a time, as long as workers have room.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use sqlx::PgPool;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::backend::{Buffer, ReadyBatch};
use super::claim::{ClaimRequest, ClaimedRow, Place, claim, look};
use super::policy::is_suspect;
use super::rotation::Rotation;
use super::settle::Claim;
use super::shared::{Held, Shared};
use super::spec::QueueSpec;
use crate::domain::job::Queue;
use crate::observability::metrics::{JobMove, jobs_moved};
use crate::store::{Engaged, hang_up};

/// Lanes in one answer of a look.
const LANES_AT_ONCE: i64 = 1000;
/// Looks may take one part in so many of the time: a look at lanes full of dead rows is slow and stays rare.
const LOOK_SHARE: u32 = 20;
/// The cost of a look is the least of so many: one hiccup of the machine is not a reason to wait.
const LOOKS_COMPARED: usize = 4;
/// While claims come back full, a look is only for those who came new or were left behind.
const CLAIMS_PER_LOOK: u32 = 32;

/// One queue as the fetcher sees it.
pub(crate) struct Source {
    queue: Queue,
    batch: usize,
    concurrency: usize,
    claims_per_batch_key: Option<i32>,
    claimed: mpsc::UnboundedSender<ReadyBatch>,
    buffer: Arc<Buffer>,
    rotation: Rotation,
    /// Known lanes that were asked since something may have changed, and have nothing more.
    exhausted: usize,
    /// Jobs may be ready that no known lane leads to.
    wants_look: bool,
    claims_since_look: u32,
    /// What the last looks took.
    looks: VecDeque<Duration>,
    /// Not before this instant.
    next_look: Option<Instant>,
    /// When the first job that is not due yet will be.
    next_due: Option<Instant>,
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
            claims_per_batch_key: spec.claims_per_batch_key,
            claimed,
            buffer,
            rotation: Rotation::new(rand::random()),
            exhausted: 0,
            wants_look: true,
            claims_since_look: 0,
            looks: VecDeque::with_capacity(LOOKS_COMPARED),
            next_look: None,
            next_due: None,
        }
    }

    /// How many jobs to claim: as many as fill the batches that may wait for a worker.
    fn room(&self) -> usize {
        let waiting = self.buffer.waiting.load(Ordering::Acquire);
        self.concurrency.saturating_sub(waiting) * self.batch
    }

    /// Whether a known lane may have something.
    fn may_claim(&self) -> bool {
        self.exhausted < self.rotation.lanes()
    }

    /// Whether it is worth while, and not too soon, to look for lanes. Those that are known come first: a shop that
    /// had work lately gets its next job by one statement.
    fn look_is_due(&self) -> bool {
        self.next_look.is_none_or(|at| at <= Instant::now())
            && ((self.wants_look && !self.may_claim()) || self.claims_since_look >= CLAIMS_PER_LOOK)
    }

    /// When there is something to do here without being woken.
    fn next(&self, now: Instant) -> Option<Instant> {
        if self.room() == 0 {
            return None;
        }
        let wanted = if self.wants_look { Some(now) } else { self.next_due };
        wanted.map(|at| self.next_look.map_or(at, |allowed| at.max(allowed)))
    }

    async fn look(&mut self, pool: &PgPool, limit: Duration) -> Result<(), sqlx::Error> {
        let mut connection = pool.acquire().await?;
        let begun = Instant::now();
        let mut heads = Vec::new();
        loop {
            let after = heads.last().map(|head: &super::claim::Head| head.lane.clone());
            let asked = look(&mut connection, self.queue, after.as_ref(), LANES_AT_ONCE);
            let Ok(some) = tokio::time::timeout(limit, asked).await else {
                return Err(hang_up(connection));
            };
            let some = some?;
            let more = i64::try_from(some.len()).is_ok_and(|found| found == LANES_AT_ONCE);
            heads.extend(some);
            if !more {
                break;
            }
        }
        let now = Instant::now();
        let (due, ahead): (Vec<_>, Vec<_>) = heads.into_iter().partition(|head| head.due_in <= 0.0);
        let ahead = ahead.iter().map(|head| head.due_in).min_by(f64::total_cmp);
        self.next_due = ahead.map(|seconds| now + Duration::from_secs_f64(seconds.min(3600.0)));
        self.rotation.found(&due, now);
        self.exhausted = if due.is_empty() { self.rotation.lanes() } else { 0 };
        self.wants_look = false;
        self.claims_since_look = 0;
        self.looks.truncate(LOOKS_COMPARED - 1);
        self.looks.push_front(now - begun);
        // The first ones prepare their statement and warm the caches; they say nothing about those to come.
        let cost = self.looks.iter().min().filter(|_| self.looks.len() == LOOKS_COMPARED);
        self.next_look = cost.map(|cost| now + *cost * (LOOK_SHARE - 1));
        Ok(())
    }

    /// One claim.
    async fn claim(&mut self, shared: &Shared) -> Result<(), sqlx::Error> {
        let (room, mut lanes) = (self.room(), self.rotation.next());
        let exclusive = self.claims_per_batch_key.is_some();
        if exclusive {
            // What kept its place comes before what was claimed last.
            let first = Place { run_at: chrono::DateTime::UNIX_EPOCH, id: 0 };
            for (_, place) in &mut lanes {
                *place = first;
            }
        }
        let fair = if exclusive { self.batch } else { (room / self.rotation.keys().max(1)).max(self.batch) };
        let claim_id = Uuid::now_v7();
        let request = ClaimRequest {
            queue: self.queue,
            lanes: &lanes,
            limit: i64::try_from(room).unwrap_or(i64::MAX),
            per_lane: i64::try_from(fair).unwrap_or(i64::MAX),
            claims_per_batch_key: self.claims_per_batch_key,
            worker: &shared.worker,
            claim_id,
            lease_seconds: shared.lease.as_secs_f64(),
        };
        let mut engaged = Engaged::acquire(&shared.pool).await?;
        // A claim that comes after its lease is of no use; a host that vanished never answers.
        let asked = claim(engaged.connection(), &request);
        let Ok(rows) = tokio::time::timeout(shared.lease, asked).await else {
            return Err(sqlx::Error::Io(std::io::ErrorKind::TimedOut.into()));
        };
        let rows = rows?;
        engaged.free();
        let full = rows.len() >= room;
        self.claims_since_look += 1;
        self.rotation.claimed(&lanes, &rows, full, Instant::now());
        self.exhausted = if full { 0 } else { self.exhausted + lanes.len() };
        // They had less than there was room for: there may be others.
        self.wants_look |= !full && !rows.is_empty();
        if !rows.is_empty() {
            jobs_moved(self.queue.as_str(), JobMove::Claimed, rows.len());
        }
        shared.held.add(rows.iter().map(|row| Claim { job_id: row.id, claim_id }));
        hand_out(self, claim_id, rows, &shared.held);
        Ok(())
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
                self.idle(&stop, failing).await;
            }
        }
    }

    /// One claim per queue with room; whether another round is worth while at once.
    async fn round(&mut self) -> Result<bool, sqlx::Error> {
        let mut again = false;
        for source in &mut self.sources {
            if source.room() == 0 {
                continue;
            }
            if source.look_is_due() {
                source.look(&self.shared.pool, self.shared.lease).await?;
            }
            if source.may_claim() {
                source.claim(&self.shared).await?;
            }
            again |= source.room() > 0 && (source.may_claim() || source.look_is_due());
        }
        Ok(again)
    }

    /// Waits until something may have changed.
    async fn idle(&mut self, stop: &CancellationToken, failing: bool) {
        let jitter = 0.9 + rand::random::<f64>() / 5.0;
        let now = Instant::now();
        let poll = now + self.shared.poll_interval.mul_f64(jitter).max(Duration::from_millis(1));
        let next = self.sources.iter().filter_map(|source| source.next(now)).min();
        let next = next.filter(|_| !failing);
        let until = next.map_or(poll, |next| next.min(poll));
        let taken = self.sources.iter().map(|source| Box::pin(source.buffer.taken.notified()));
        let woken = tokio::select! {
            () = stop.cancelled() => false,
            () = self.shared.waker.woken() => true,
            _ = futures_util::future::select_all(taken) => false,
            () = tokio::time::sleep_until(until.into()) => true,
        };
        if woken {
            for source in &mut self.sources {
                source.wants_look = true;
                source.exhausted = 0;
            }
        }
    }
}

/// Groups rows, which come sorted by batch key, into batches. A suspect goes alone, so that a crash is
/// blamed on the right job.
fn hand_out(source: &Source, claim_id: Uuid, rows: Vec<ClaimedRow>, held: &Held) {
    let exclusive = source.claims_per_batch_key.is_some();
    let limit = if exclusive { usize::MAX } else { source.batch };
    let mut batches: Vec<Vec<ClaimedRow>> = Vec::new();
    let mut suspects: Vec<Vec<ClaimedRow>> = Vec::new();
    for row in rows {
        if is_suspect(row.crashes) && !exclusive {
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
