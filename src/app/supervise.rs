//! Parts of a process that have to live as long as it does. One that ends by itself would leave a process
//! that looks healthy and does half of its work; so the whole process stops, and whatever runs it starts it
//! again.

use std::future::Future;
use std::panic::AssertUnwindSafe;

use futures_util::FutureExt;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// Parts that are stopped together.
pub(super) struct Supervised {
    parts: JoinSet<()>,
    stop: CancellationToken,
    broken: CancellationToken,
}

impl Supervised {
    /// Cancels `broken` when a part ends before it was told to.
    pub(super) fn new(broken: CancellationToken) -> Self {
        Self { parts: JoinSet::new(), stop: CancellationToken::new(), broken }
    }

    /// The parts end after this is cancelled.
    pub(super) fn stop_token(&self) -> CancellationToken {
        self.stop.clone()
    }

    pub(super) fn spawn(&mut self, name: &'static str, part: impl Future<Output = ()> + Send + 'static) {
        let (stop, broken) = (self.stop.clone(), self.broken.clone());
        self.parts.spawn(async move {
            let panicked = AssertUnwindSafe(part).catch_unwind().await.is_err();
            if panicked || !stop.is_cancelled() {
                tracing::error!(part = name, panicked, "{name} ended by itself; stopping the process");
                broken.cancel();
            }
        });
    }

    /// Tells the parts to end and waits until they have.
    pub(super) async fn stop(&mut self) {
        self.stop.cancel();
        while self.parts.join_next().await.is_some() {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn notices_a_part_that_ends_or_panics_by_itself_and_no_other() {
        let broken = CancellationToken::new();
        let mut parts = Supervised::new(broken.clone());
        parts.spawn("the one that waits", parts.stop_token().cancelled_owned());
        parts.stop().await;
        assert!(!broken.is_cancelled());

        for name in ["the one that ends", "the one that panics"] {
            let broken = CancellationToken::new();
            let mut parts = Supervised::new(broken.clone());
            parts.spawn(name, async move { assert!(name != "the one that panics", "asked to panic") });
            broken.cancelled().await;
            parts.stop().await;
        }
    }
}
