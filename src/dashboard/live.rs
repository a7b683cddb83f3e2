//! Tells open pages that something changed, so that they fetch what is new: a stream of events that carry
//! nothing but that.

use std::convert::Infallible;
use std::time::Duration;

use axum::extract::State;
use axum::response::IntoResponse;
use axum::response::sse::{Event, KeepAlive, Sse};
use futures_util::stream;

use crate::admin::AdminState;
use crate::admin::api::stats;

/// How often a stream looks. People see a change within this time.
const EVERY: Duration = Duration::from_secs(2);

pub(super) async fn stream(State(state): State<AdminState>) -> impl IntoResponse {
    let changes = stream::unfold((state, None::<String>), |(state, mut seen)| async move {
        loop {
            // What cannot be read now is no change; the next look may tell.
            if let Ok(now) = stats::fingerprint(&state).await
                && seen.as_ref() != Some(&now)
            {
                let first = seen.replace(now).is_none();
                let name = if first { "ready" } else { "changed" };
                // Browsers pass over an event whose data are empty.
                return Some((Ok::<_, Infallible>(Event::default().event(name).data(name)), (state, seen)));
            }
            tokio::select! {
                // Open pages must not hold up the stop of the process.
                () = state.stopping.cancelled() => return None,
                () = tokio::time::sleep(EVERY) => {}
            }
        }
    });
    Sse::new(changes).keep_alive(KeepAlive::default())
}
