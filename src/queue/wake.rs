//! Wakes workers as soon as work was committed: those of this process at once, those of others by the
//! [`super::bell`]; polling is the net under both.

use std::sync::Arc;

use tokio::sync::Notify;

/// Cheap to clone; every clone wakes the same workers.
#[derive(Debug, Clone, Default)]
pub struct Waker(Arc<Ears>);

#[derive(Debug, Default)]
struct Ears {
    here: Notify,
    elsewhere: Notify,
}

impl Waker {
    /// Says that jobs may be ready. Call it after the commit, not before: a woken worker that finds nothing
    /// goes back to sleep until the next poll.
    pub fn wake(&self) {
        self.0.here.notify_one();
        self.0.elsewhere.notify_one();
    }

    /// Wakes the workers of this process only: somebody else said that jobs may be ready.
    pub(crate) fn wake_here(&self) {
        self.0.here.notify_one();
    }

    /// Waits until somebody called [`Waker::wake`] since the last wait.
    pub(crate) async fn woken(&self) {
        self.0.here.notified().await;
    }

    /// The same, for whoever tells other processes.
    pub(crate) async fn asked_to_tell(&self) {
        self.0.elsewhere.notified().await;
    }
}
