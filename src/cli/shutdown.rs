//! Stop signals.

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// A token that is cancelled by the first SIGINT or SIGTERM. The second one ends the process at once: who
/// asks twice does not want to wait for running jobs, and their leases bring them back.
///
/// Must be called on the runtime; fails if the signals cannot be watched.
pub(super) fn on_signal() -> std::io::Result<CancellationToken> {
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    let token = CancellationToken::new();
    let stop = token.clone();
    tokio::spawn(async move {
        for asked_before in [false, true] {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
            if asked_before {
                tracing::warn!("asked to stop again: stopping at once");
                std::process::exit(1);
            }
            tracing::info!("asked to stop: finishing what runs");
            stop.cancel();
        }
    });
    Ok(token)
}
