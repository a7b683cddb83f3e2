//! Wakes the workers of this process as soon as work was committed. Other processes find it by polling.

use std::sync::Arc;

use tokio::sync::Notify;

/// Cheap to clone; every clone wakes the same workers.
#[derive(Debug, Clone, Default)]
pub struct Waker(Arc<Notify>);

impl Waker {
    /// Says that jobs may be ready. Call it after the commit, not before: a woken worker that finds nothing
    /// goes back to sleep until the next poll.
    pub fn wake(&self) {
        self.0.notify_one();
    }

    /// Waits until somebody called [`Waker::wake`] since the last wait.
    pub(crate) async fn woken(&self) {
        self.0.notified().await;
    }
}
