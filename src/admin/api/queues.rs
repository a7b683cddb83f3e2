//! The queues: how much waits, since when, and whether work goes on.

use std::time::Duration;

use axum::extract::State;
use axum::{Extension, Json};
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;

use crate::admin::AdminState;
use crate::admin::error::{ApiError, ChangeRefusals, Missing, Refusals, Unusable};
use crate::admin::extract::{Json as Body, Path};
use crate::admin::frame::RequestId;
use crate::domain::job::Queue;
use crate::observability::metrics;
use crate::queue::control;
use crate::store;
use crate::store::admin_actions::{AdminAction, insert_admin_action};
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

/// Why a queue is paused.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PauseRequest {
    /// For whoever finds it paused; at most 200 characters.
    #[schema(example = "moving to a new spreadsheet", max_length = 200)]
    pub reason: String,
}

/// A queue under its name.
#[derive(Debug, Serialize, ToSchema)]
pub struct QueueEnvelope {
    /// The queue.
    pub queue: QueueView,
}

/// Pause a queue
///
/// Nothing more is claimed from it; what runs, ends. Pausing a paused queue changes nothing.
#[utoipa::path(
    post, path = "/queues/{queue}/pause", operation_id = "pause_queue", tag = "queues",
    params(("queue" = String, Path, description = "`enrich`, `sheet`, `notify` or `forward`")),
    request_body(content = PauseRequest, example = json!({"reason": "moving to a new spreadsheet"})),
    responses(
        (status = 200, description = "The queue, paused", body = QueueEnvelope,
            example = json!({"queue": QueueView::example()})),
        Missing, Unusable, ChangeRefusals, Refusals,
    ),
)]
pub async fn pause_queue(
    State(state): State<AdminState>,
    Extension(request_id): Extension<RequestId>,
    Path(name): Path<String>,
    Body(pause): Body<PauseRequest>,
) -> Result<Json<QueueEnvelope>, ApiError> {
    if pause.reason.chars().count() > 200 {
        return Err(ApiError::bad_request("reason: at most 200 characters"));
    }
    let queue = named(&name)?;
    let mut transaction = store::begin(&state.pool).await?;
    if control::pause(&mut transaction, queue, &pause.reason).await? {
        let detail = json!({"reason": pause.reason});
        let action = AdminAction {
            request_id: &request_id.0,
            action: "pause_queue",
            subject: &subject(queue),
            detail,
        };
        insert_admin_action(&mut *transaction, &action).await?;
    }
    transaction.commit().await?;
    one(&state, queue).await
}

/// Resume a queue
///
/// Resuming a queue that is not paused changes nothing.
#[utoipa::path(
    post, path = "/queues/{queue}/resume", operation_id = "resume_queue", tag = "queues",
    params(("queue" = String, Path, description = "`enrich`, `sheet`, `notify` or `forward`")),
    responses(
        (status = 200, description = "The queue, at work", body = QueueEnvelope,
            example = json!({"queue": QueueView::example()})),
        Missing, ChangeRefusals, Refusals,
    ),
)]
pub async fn resume_queue(
    State(state): State<AdminState>,
    Extension(request_id): Extension<RequestId>,
    Path(name): Path<String>,
) -> Result<Json<QueueEnvelope>, ApiError> {
    let queue = named(&name)?;
    let mut transaction = store::begin(&state.pool).await?;
    if control::resume(&mut transaction, queue).await? {
        let action = AdminAction {
            request_id: &request_id.0,
            action: "resume_queue",
            subject: &subject(queue),
            detail: json!({}),
        };
        insert_admin_action(&mut *transaction, &action).await?;
    }
    transaction.commit().await?;
    state.waker.wake();
    one(&state, queue).await
}

fn named(name: &str) -> Result<Queue, ApiError> {
    Queue::ALL.into_iter().find(|queue| queue.as_str() == name).ok_or_else(|| ApiError::not_found("queue"))
}

fn subject(queue: Queue) -> String {
    format!("queue {}", queue.as_str())
}

async fn one(state: &AdminState, queue: Queue) -> Result<Json<QueueEnvelope>, ApiError> {
    let found = read(state).await?.into_iter().find(|one| one.queue == queue.as_str());
    Ok(Json(QueueEnvelope { queue: found.ok_or_else(|| ApiError::not_found("queue"))? }))
}
