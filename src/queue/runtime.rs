//! The workers of one process: one fetcher, one settler, one lease keeper, and an apalis worker per queue.

use std::collections::HashMap;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use apalis_core::worker::builder::WorkerBuilder;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use sqlx::PgPool;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;
use uuid::Uuid;

use super::backend::{Buffer, QueueBackend, ReadyBatch};
use super::claim::ClaimedRow;
use super::fetcher::{Fetcher, Source};
use super::handler::{Outcome, RunBatch};
use super::keeper::Keeper;
use super::policy::{Backoff, is_suspect};
use super::settle::{Claim, Done, Returned, Verdict, begin_suspect};
use super::settler::{Settled, Settler};
use super::shared::Shared;
use super::spec::QueueSpec;
use super::wake::Waker;
use crate::config::QueueSettings;
use crate::domain::job::Queue;
use crate::store;

/// Ended batches that may wait to be written.
const SETTLEMENTS: usize = 64;

/// The workers of one process.
pub struct Runtime {
    shared: Shared,
    shutdown_timeout: Duration,
    specs: Vec<QueueSpec>,
}

impl Runtime {
    /// Workers for these queues. `worker` names the process in `jobs.worker`; it must be new with each start.
    pub fn new(
        pool: PgPool,
        settings: &QueueSettings,
        worker: &str,
        waker: Waker,
        specs: Vec<QueueSpec>,
    ) -> Self {
        let shared = Shared {
            keeper_pool: store::lone_connection(&pool),
            pool,
            waker,
            held: Arc::default(),
            worker: worker.into(),
            lease: settings.lease,
            poll_interval: settings.poll_interval,
            backoff: Backoff { base: settings.retry_base, max: settings.retry_max },
        };
        Self { shared, shutdown_timeout: settings.shutdown_timeout, specs }
    }

    /// Works until `stop` is cancelled, then claims nothing more, lets what runs end within
    /// `SHUTDOWN_TIMEOUT`, and gives the rest back without charging an attempt. Returns earlier, in the same
    /// order, when one of its tasks ended by itself, which none should.
    pub async fn run(self, stop: CancellationToken) {
        let Self { shared, shutdown_timeout, specs } = self;
        let stop = stop.child_token();
        // Bounded: when the database is slow to take the ends, batches keep their slots and nothing more is claimed.
        let (settled, settlements) = mpsc::channel(SETTLEMENTS);
        let (unstarted, mut given_up) = mpsc::unbounded_channel();
        let mut settler = tokio::spawn(Settler::new(shared.clone(), settlements).run());
        let keeper_stop = CancellationToken::new();
        let mut keeper = tokio::spawn(Keeper::new(shared.clone()).run(keeper_stop.clone()));

        let mut workers = JoinSet::new();
        let mut sources = Vec::new();
        for spec in specs {
            let (claimed, batches) = mpsc::unbounded_channel();
            let buffer = Arc::new(Buffer::default());
            let backend = QueueBackend::new(batches, spec.concurrency, buffer.clone(), unstarted.clone());
            workers.spawn(work(
                spec.queue,
                backend,
                spec.handler.clone(),
                shared.clone(),
                settled.clone(),
                stop.clone(),
            ));
            sources.push(Source::new(&spec, claimed, buffer));
        }
        drop(unstarted);
        let fetcher = Fetcher::new(shared.clone(), sources).run(stop.clone());
        let mut fetcher = AbortOnDropHandle::new(tokio::spawn(fetcher));

        let ended = tokio::select! {
            () = stop.cancelled() => None,
            _ = &mut settler => Some("settler"),
            _ = &mut fetcher => Some("fetcher"),
            _ = &mut keeper => Some("keeper"),
            Some(_) = workers.join_next() => Some("worker"),
        };
        if let Some(task) = ended {
            tracing::error!(task, "a task of the queue ended by itself");
            stop.cancel();
        }
        // A handle that was polled to its end must not be awaited again.
        let fetcher = (ended != Some("fetcher")).then_some(fetcher);
        finish(fetcher, &mut workers, shutdown_timeout).await;
        while let Ok(batch) = given_up.try_recv() {
            let _ = settled.send(Settled::released(batch.claim_id, &batch.rows)).await;
        }
        drop(settled);
        if ended != Some("settler") {
            let _ = settler.await;
        }
        keeper_stop.cancel();
        if ended != Some("keeper") {
            let _ = keeper.await;
        }
        release_rest(&shared).await;
    }
}

/// Waits until nothing more is claimed and what runs has ended, or the limit is reached.
async fn finish(fetcher: Option<AbortOnDropHandle<()>>, workers: &mut JoinSet<()>, limit: Duration) {
    let ended = async {
        if let Some(fetcher) = fetcher {
            let _ = fetcher.await;
        }
        while workers.join_next().await.is_some() {}
    };
    if tokio::time::timeout(limit, ended).await.is_err() {
        tracing::warn!(seconds = limit.as_secs(), "handlers did not end in time; their jobs go back");
        workers.shutdown().await;
    }
}

/// Gives back what is still held: jobs of handlers that did not end in time.
async fn release_rest(shared: &Shared) {
    let rest: Vec<Returned> =
        shared.held.all().into_iter().map(|claim| Returned { claim, verdict: Verdict::Release }).collect();
    if rest.is_empty() {
        return;
    }
    let given_back = async {
        let mut connection = shared.pool.acquire().await?;
        super::settle::give_back(&mut connection, &rest).await
    };
    if let Err(error) = given_back.await {
        tracing::warn!(%error, jobs = rest.len(), "could not give jobs back; they run again when their lease is over");
    }
}

/// One apalis worker.
fn work(
    queue: Queue,
    backend: QueueBackend,
    handler: Arc<dyn RunBatch>,
    shared: Shared,
    settled: mpsc::Sender<Settled>,
    stop: CancellationToken,
) -> BoxFuture<'static, ()> {
    let service = move |batch: ReadyBatch| run_batch(batch, handler.clone(), shared.clone(), settled.clone());
    let worker = WorkerBuilder::new(queue.as_str()).backend(backend).build(service);
    let signal = stop.cancelled_owned().map(|()| Ok::<(), std::io::Error>(()));
    let running: BoxFuture<'static, _> = Box::pin(worker.run_until(signal));
    Box::pin(running.map(move |ended| {
        if let Err(error) = ended {
            // Its backend and its service never fail; were it to happen, the leases bring the jobs back.
            tracing::error!(queue = queue.as_str(), %error, "an apalis worker ended");
        }
    }))
}

/// Runs one batch on a task of its own, so that the handlers of one queue use all cores.
fn run_batch(
    batch: ReadyBatch,
    handler: Arc<dyn RunBatch>,
    shared: Shared,
    settled: mpsc::Sender<Settled>,
) -> impl Future<Output = ()> + Send {
    let ReadyBatch { batch_key, claim_id, rows, slot } = batch;
    let claims: Vec<Claim> = rows.iter().map(|row| Claim { job_id: row.id, claim_id }).collect();
    let held = shared.held.clone();
    let task = async move {
        for rows in suspects_alone(rows) {
            let settlement = run_part(&batch_key, claim_id, rows, handler.as_ref(), &shared).await;
            let _ = settled.send(settlement).await;
        }
        drop(slot);
    };
    // Aborted with the worker, so that a stop that cannot wait leaves nothing running.
    let running = AbortOnDropHandle::new(tokio::spawn(task));
    async move {
        if let Err(error) = running.await {
            tracing::error!(%error, "a batch ended without a settlement; its lease brings it back");
            // What is held is extended for ever.
            held.remove(claims.into_iter());
        }
    }
}

/// Cuts a batch so that each suspect is run by itself, in its place: a crash is then blamed on the right job
/// in an exclusive queue too, where a batch key has one batch at a time.
fn suspects_alone(rows: Vec<ClaimedRow>) -> Vec<Vec<ClaimedRow>> {
    let mut parts: Vec<Vec<ClaimedRow>> = Vec::new();
    for row in rows {
        match parts.last_mut() {
            Some(part) if !is_suspect(row.crashes) && !is_suspect(part[0].crashes) => part.push(row),
            _ => parts.push(vec![row]),
        }
    }
    parts
}

/// Runs jobs that may run together and says how they ended.
async fn run_part(
    batch_key: &str,
    claim_id: Uuid,
    rows: Vec<ClaimedRow>,
    handler: &dyn RunBatch,
    shared: &Shared,
) -> Settled {
    let begun = std::time::Instant::now();
    if let [row] = rows.as_slice()
        && is_suspect(row.crashes)
        && !begin(shared, Claim { job_id: row.id, claim_id }).await
    {
        return Settled::released(claim_id, &rows);
    }
    let attempts: HashMap<i64, i32> = rows.iter().map(|row| (row.id, row.attempt + 1)).collect();
    let outcomes = handler.run(batch_key.to_owned(), claim_id, rows).await;
    let mut result = Settled::default();
    for (job_id, outcome) in outcomes {
        let Some(attempt) = attempts.get(&job_id) else { continue };
        result.add(Claim { job_id, claim_id }, outcome, *attempt, begun.elapsed(), &shared.backoff);
    }
    result
}

/// Notes that a suspect is begun; false when it is not ours any more, or that could not be noted.
async fn begin(shared: &Shared, claim: Claim) -> bool {
    let begun = async {
        let mut connection = shared.pool.acquire().await?;
        begin_suspect(&mut connection, claim).await
    };
    match begun.await {
        Ok(ours) => ours,
        Err(error) => {
            tracing::warn!(%error, job = claim.job_id, "cannot note the start of a suspect; it goes back");
            false
        }
    }
}

impl Settled {
    fn released(claim_id: Uuid, rows: &[ClaimedRow]) -> Self {
        let returned = rows
            .iter()
            .map(|row| Returned { claim: Claim { job_id: row.id, claim_id }, verdict: Verdict::Release })
            .collect();
        Self { returned, ..Self::default() }
    }

    fn add(&mut self, claim: Claim, outcome: Outcome, attempt: i32, ran: Duration, backoff: &Backoff) {
        let verdict = match outcome {
            Outcome::Done { note } => {
                self.done.push(Done { claim, ran, note });
                return;
            }
            Outcome::Committed => {
                self.committed.push(claim);
                return;
            }
            Outcome::Retry { error } => {
                Verdict::Retry { error, after: backoff.delay(attempt, rand::random()) }
            }
            Outcome::RetryAfter { error, after } => Verdict::Retry { error, after },
            Outcome::Wait { on, after } => Verdict::Wait { on, after },
            Outcome::Keep { on } => Verdict::Keep { on },
            Outcome::Dead { error } => Verdict::Dead { error },
        };
        self.returned.push(Returned { claim, verdict });
    }
}
