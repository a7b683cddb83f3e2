//! A process that dies at an await point.
//!
//! Between two points at which a future gives up control nothing outside of it can change, so a process that
//! dies anywhere leaves the world as one that dies at such a point. [`dies_at`] runs a future to its n-th and
//! drops it: whatever it had sent may have taken effect, and it never learns. Going through all n is going
//! through every instant at which a process can die.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;

/// Where at an await point.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Moment {
    /// As soon as it waits: what it asked for may or may not be done.
    Asleep,
    /// What it waits for has come about, and it has not seen it.
    Woken,
}

/// Runs `work` to its n-th await point at which it has to wait, counted from 1, and drops it there; its
/// output, if it has fewer.
pub(crate) async fn dies_at<T>(n: usize, moment: Moment, work: impl Future<Output = T>) -> Option<T> {
    let mut work = pin!(work);
    let mut waits = 0;
    poll_fn(|context| {
        if waits == n {
            return Poll::Ready(None);
        }
        match work.as_mut().poll(context) {
            Poll::Ready(output) => Poll::Ready(Some(output)),
            Poll::Pending => {
                waits += 1;
                if waits == n && moment == Moment::Asleep { Poll::Ready(None) } else { Poll::Pending }
            }
        }
    })
    .await
}
