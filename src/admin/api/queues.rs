//! The queues: how much waits, since when, and whether work goes on.

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use serde_json::json;
use utoipa::ToSchema;

use crate::admin::AdminState;
use crate::admin::error::{ApiError, Refusals};
use crate::observability::metrics;
use crate::store::stats::QueueDepth;

/// One queue, over all processes.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(example = json!(QueueView::example()))]
pub struct QueueView {
    /// `enrich`, `sheet`, `notify` or `forward`.
    pub queue: String,
    /// Whether a person paused it.
    pub paused: bool,
    /// Jobs that are due and wait for a worker.
    pub ready: i64,
    /// Jobs that are due later: delayed, or backing off after a failure.
    pub scheduled: i64,
    /// Jobs that wait for their destination (breaker, quota, a shop to be authorized again).
    pub waiting: i64,
    /// Jobs at work.
    pub running: i64,
    /// Jobs that were given up and wait for a person.
    pub dead: i64,
    /// Since how many seconds the oldest due job has been due; none when none is.
    pub oldest_ready_s: Option<i64>,
}

impl From<QueueDepth> for QueueView {
    fn from(depth: QueueDepth) -> Self {
        Self {
            queue: depth.queue,
            paused: depth.paused,
            ready: depth.ready,
            scheduled: depth.scheduled,
            waiting: depth.waiting,
            running: depth.running,
            dead: depth.dead,
            oldest_ready_s: depth.oldest_ready_s,
        }
    }
}

impl QueueView {
    /// A queue as the documentation shows it.
    pub(in crate::admin) fn example() -> serde_json::Value {
        json!({
            "queue": "sheet", "paused": false, "ready": 12, "scheduled": 3, "waiting": 0, "running": 1,
            "dead": 0, "oldest_ready_s": 2,
        })
    }

    /// Tells the metrics.
    pub(in crate::admin) fn observe(&self) {
        let states = [
            ("ready", self.ready),
            ("scheduled", self.scheduled),
            ("waiting", self.waiting),
            ("running", self.running),
            ("dead", self.dead),
        ];
        for (state, jobs) in states {
            metrics::queue_jobs(&self.queue, state, jobs);
        }
        let age = u64::try_from(self.oldest_ready_s.unwrap_or(0)).unwrap_or(0);
        metrics::queue_oldest_ready(&self.queue, Duration::from_secs(age));
    }
}

/// All queues.
#[derive(Debug, Serialize, ToSchema)]
pub struct QueueList {
    /// One entry for each queue there is.
    pub queues: Vec<QueueView>,
}

/// List the queues
#[utoipa::path(
    get, path = "/queues", operation_id = "list_queues", tag = "queues",
    responses(
        (status = 200, description = "The queues", body = QueueList,
            example = json!({"queues": [QueueView::example()]})),
        Refusals,
    ),
)]
pub async fn list_queues(State(state): State<AdminState>) -> Result<Json<QueueList>, ApiError> {
    read(&state).await.map(|queues| Json(QueueList { queues }))
}

/// All queues, as the API shows them.
pub async fn read(state: &AdminState) -> Result<Vec<QueueView>, ApiError> {
    let queues = crate::store::stats::list_queues(&state.pool).await?;
    Ok(queues.into_iter().map(QueueView::from).collect())
}
