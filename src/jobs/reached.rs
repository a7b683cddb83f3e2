//! What is told, in the log and as a metric, of events that have reached a destination.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use crate::domain::event::received_at_of;
use crate::observability::metrics::delivered;
use crate::observability::trace::Ids;

/// These events have reached `destination` at `now`; `place` says where: a spreadsheet, a chat, a target.
pub(super) fn reached(destination: &'static str, place: &str, events: &[Uuid], now: DateTime<Utc>) {
    if events.is_empty() {
        return;
    }
    tracing::debug!(event.ids = %Ids(events), destination, place, "reached: {destination} {place}");
    for received_at in events.iter().filter_map(|id| received_at_of(*id)) {
        // A clock that was set back meanwhile is no reason for a latency below zero.
        delivered(destination, (now - received_at).to_std().unwrap_or_default());
    }
}
