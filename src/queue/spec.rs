//! How a queue is worked: what its author's handler is, how many jobs it takes at once.

use std::sync::Arc;
use std::time::Duration;

use super::handler::{BatchHandler, RunBatch, Typed};
use crate::domain::job::{JobPayload, Queue};

/// How one queue is worked.
pub struct QueueSpec {
    pub(crate) queue: Queue,
    pub(crate) batch: usize,
    pub(crate) concurrency: usize,
    pub(crate) claims_per_batch_key: Option<i32>,
    pub(crate) handler: Arc<dyn RunBatch>,
}

impl QueueSpec {
    /// Up to `batch` jobs of one batch key at once, up to `concurrency` batches at once; a batch that takes
    /// longer than `timeout` counts as failed.
    pub fn new<J: JobPayload + Clone>(
        handler: Arc<impl BatchHandler<J>>,
        batch: usize,
        concurrency: usize,
        timeout: Duration,
    ) -> Self {
        let handler = Arc::new(Typed { handler, timeout, payload: std::marker::PhantomData });
        Self {
            queue: J::QUEUE,
            batch: batch.max(1),
            concurrency: concurrency.max(1),
            claims_per_batch_key: None,
            handler,
        }
    }

    /// Never two batches of one batch key at once, over all processes. A batch may then hold more than the
    /// limit when it has jobs of several priorities.
    #[must_use]
    pub fn exclusive(self) -> Self {
        self.at_most_per_batch_key(1)
    }

    /// Never more than `claims` batches of one batch key at once, over all processes: the concurrency that its
    /// destination bears.
    #[must_use]
    pub fn at_most_per_batch_key(mut self, claims: u16) -> Self {
        self.claims_per_batch_key = Some(i32::from(claims.max(1)));
        self
    }
}
