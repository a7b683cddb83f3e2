//! The numbers that tell at a glance whether all is well.

use axum::Json;
use axum::extract::State;
use chrono::{DateTime, TimeDelta, Utc};
use serde::Serialize;
use utoipa::ToSchema;

use super::queues::QueueView;
use crate::admin::AdminState;
use crate::admin::error::{ApiError, Refusals};
use crate::store;

/// Counts and delays.
#[derive(Debug, Serialize, ToSchema)]
pub struct StatsView {
    /// The instant that the windows end at.
    pub at: DateTime<Utc>,
    /// Over all sources.
    pub totals: Totals,
    /// The same by source and code, most first; codes without an event in the last day are left out.
    pub events: Vec<EventCountView>,
    /// The queues.
    pub queues: Vec<QueueView>,
    /// Delays of what was finished in the last hour, by kind of job.
    pub latency: Vec<LatencyView>,
}

/// Counts over all sources.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Totals {
    /// Events received in the last hour.
    pub last_hour: i64,
    /// Events received in the last 24 hours.
    pub last_day: i64,
    /// Deliveries of events that were stored before, for events seen again in the last 24 hours.
    pub redeliveries_last_day: i64,
}

/// Events of one source and code.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct EventCountView {
    /// The source's name.
    pub source: String,
    /// The platform's event code.
    pub code: String,
    /// Our name of that code.
    pub kind: String,
    /// Received in the last hour.
    pub last_hour: i64,
    /// Received in the last 24 hours.
    pub last_day: i64,
}

/// How long it took from an event's receipt until a job it caused was done.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct LatencyView {
    /// The kind of job.
    pub kind: String,
    /// How many were finished.
    pub jobs: i64,
    /// Half of them took at most so many milliseconds. All delays are right within a fifth.
    pub p50_ms: f64,
    /// 95 of 100 took at most so many.
    pub p95_ms: f64,
    /// 99 of 100 took at most so many.
    pub p99_ms: f64,
}

/// Counts of events, the queues, and how long things take
///
/// Events and delays are counted every few seconds; the queues are as they are now.
#[utoipa::path(
    get, path = "/stats", operation_id = "get_stats", tag = "stats",
    responses(
        (status = 200, description = "The numbers as of now", body = StatsView, example = json!({
            "at": "2026-11-21T05:00:00Z",
            "totals": {"last_hour": 120, "last_day": 2890, "redeliveries_last_day": 17},
            "events": [{"source": "shopee", "code": "3", "kind": "order_status",
                "last_hour": 80, "last_day": 1904}],
            "queues": [QueueView::example()],
            "latency": [{"kind": "upsert_sheet_row", "jobs": 80, "p50_ms": 1450.0, "p95_ms": 2900.0,
                "p99_ms": 4100.0}],
        })),
        Refusals,
    ),
)]
pub async fn get_stats(State(state): State<AdminState>) -> Result<Json<StatsView>, ApiError> {
    read(&state).await.map(Json)
}

/// A text that changes whenever something happened that a page shows.
pub async fn fingerprint(state: &AdminState) -> Result<String, ApiError> {
    Ok(store::stats::fingerprint(&state.pool).await?)
}

/// The numbers as of now.
pub async fn read(state: &AdminState) -> Result<StatsView, ApiError> {
    let at = state.clock.now();
    let (hour_ago, day_ago) = (at - TimeDelta::hours(1), at - TimeDelta::days(1));
    let events = store::stats::count_events(&state.pool, hour_ago, day_ago).await?;
    let totals = Totals {
        last_hour: events.iter().map(|one| one.last_hour).sum(),
        last_day: events.iter().map(|one| one.last_day).sum(),
        redeliveries_last_day: store::stats::count_redeliveries(&state.pool, day_ago).await?,
    };
    let latency = store::stats::list_latencies(&state.pool, hour_ago).await?;
    Ok(StatsView {
        at,
        totals,
        events: events.into_iter().map(EventCountView::from).collect(),
        queues: super::queues::read(state).await?,
        latency: latency.into_iter().map(LatencyView::from).collect(),
    })
}

impl From<store::stats::EventCount> for EventCountView {
    fn from(count: store::stats::EventCount) -> Self {
        let store::stats::EventCount { source, code, kind, last_hour, last_day } = count;
        Self { source, code, kind, last_hour, last_day }
    }
}

impl From<store::stats::Latency> for LatencyView {
    fn from(latency: store::stats::Latency) -> Self {
        let store::stats::Latency { kind, jobs, p50_ms, p95_ms, p99_ms } = latency;
        Self { kind, jobs, p50_ms, p95_ms, p99_ms }
    }
}
