//! The apalis side: a [`Backend`] that hands out the batches the runtime has claimed.
//!
//! It never answers with an error: apalis would cancel the handlers that run. Whatever goes wrong with the
//! database is retried by the runtime's own tasks, behind this.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};

use apalis_core::backend::finalize::Ephemeral;
use apalis_core::backend::{Backend, BackendConfig};
use apalis_core::task::Task;
use apalis_core::task::builder::TaskBuilder;
use apalis_core::task::task_id::TaskId;
use apalis_core::worker::context::WorkerContext;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, mpsc};
use tokio_util::sync::PollSemaphore;
use tower::layer::util::Identity;
use uuid::Uuid;

use super::claim::ClaimedRow;

/// Jobs of one batch key under one claim, on their way to a handler.
#[derive(Debug)]
pub struct ReadyBatch {
    pub(crate) batch_key: String,
    pub(crate) claim_id: Uuid,
    pub(crate) rows: Vec<ClaimedRow>,
    /// The run slot, from the moment a worker takes the batch until it is handled.
    pub(crate) slot: Option<OwnedSemaphorePermit>,
}

/// Nothing can go wrong here; see the module's doc.
#[derive(Debug, thiserror::Error)]
pub enum Never {}

/// What the fetcher and the backend of one queue share.
#[derive(Debug, Default)]
pub(crate) struct Buffer {
    /// Batches claimed and not yet taken by a worker.
    pub waiting: AtomicUsize,
    /// A batch was taken: there is room for more.
    pub taken: Notify,
}

/// Batches of one queue as an apalis backend.
#[derive(Debug)]
pub struct QueueBackend {
    claimed: mpsc::UnboundedReceiver<ReadyBatch>,
    slots: PollSemaphore,
    slot: Option<OwnedSemaphorePermit>,
    buffer: Arc<Buffer>,
    unstarted: mpsc::UnboundedSender<ReadyBatch>,
}

impl QueueBackend {
    /// `concurrency` batches run at once. At shutdown, batches that no worker took go to `unstarted`.
    pub(crate) fn new(
        claimed: mpsc::UnboundedReceiver<ReadyBatch>,
        concurrency: usize,
        buffer: Arc<Buffer>,
        unstarted: mpsc::UnboundedSender<ReadyBatch>,
    ) -> Self {
        let slots = PollSemaphore::new(Arc::new(Semaphore::new(concurrency)));
        Self { claimed, slots, slot: None, buffer, unstarted }
    }
}

impl Backend for QueueBackend {
    type Task = Task<ReadyBatch>;
    type Error = Never;

    fn poll_ready(&mut self, cx: &mut Context<'_>, _: &WorkerContext) -> Poll<Result<(), Never>> {
        if self.slot.is_none() {
            // The semaphore is never closed, so there always is a permit in the end.
            self.slot = ready!(self.slots.poll_acquire(cx));
        }
        Poll::Ready(Ok(()))
    }

    fn poll_next(
        &mut self,
        cx: &mut Context<'_>,
        _: &WorkerContext,
    ) -> Poll<Option<Result<Task<ReadyBatch>, Never>>> {
        let Some(mut batch) = ready!(self.claimed.poll_recv(cx)) else { return Poll::Ready(None) };
        self.buffer.waiting.fetch_sub(1, Ordering::AcqRel);
        self.buffer.taken.notify_one();
        batch.slot = self.slot.take();
        let id = TaskId::from_string(batch.claim_id.to_string());
        Poll::Ready(Some(Ok(TaskBuilder::new(batch).task_id(id).build())))
    }

    fn poll_close(&mut self, cx: &mut Context<'_>, _: &WorkerContext) -> Poll<Result<(), Never>> {
        // The fetcher closes the channel when it ends, so nothing it claims is overlooked.
        while let Some(batch) = ready!(self.claimed.poll_recv(cx)) {
            // The receiver outlives the workers; were it gone, the lease would bring the jobs back.
            let _ = self.unstarted.send(batch);
        }
        Poll::Ready(Ok(()))
    }
}

impl BackendConfig for QueueBackend {
    type Args = ReadyBatch;
    type Id = String;
    type Kind = Ephemeral;
    type Config = ();
    type Layer = Identity;

    fn config(&self) -> &() {
        &()
    }

    fn middleware(&mut self, _: &mut WorkerContext) -> Identity {
        Identity::new()
    }
}
