//! Doing the work of one event again.

use axum::extract::State;
use axum::{Extension, Json};
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::admin::AdminState;
use crate::admin::error::{ApiError, ChangeRefusals, Missing, Refusals, Unusable};
use crate::admin::extract::{Json as Body, Path};
use crate::admin::frame::RequestId;
use crate::queue::{NewJob, replay};
use crate::store;
use crate::store::admin_actions::{AdminAction, insert_admin_action};

/// Whether to do it.
#[derive(Debug, Default, Clone, Copy, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct EventReplayRequest {
    /// Only tell what it would ask for.
    #[serde(default)]
    pub dry_run: bool,
}

/// A job that is asked for.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct AskedJob {
    /// The queue.
    pub queue: String,
    /// The kind's stable name.
    pub kind: String,
    /// The coalescing key.
    pub key: Option<String>,
}

impl From<NewJob> for AskedJob {
    fn from(job: NewJob) -> Self {
        let (queue, kind, key) = job.outline();
        Self { queue: queue.as_str().to_owned(), kind: kind.to_owned(), key: key.map(ToOwned::to_owned) }
    }
}

/// What replaying one event asks for.
#[derive(Debug, Serialize, ToSchema)]
pub struct EventReplay {
    /// Whether it was only told.
    pub dry_run: bool,
    /// The first jobs; more follow when an order was fetched.
    pub jobs: Vec<AskedJob>,
}

/// Replay one event
///
/// The jobs that it leads to today are asked for again, whatever became of the first ones: routes and codes may
/// have changed since it came.
#[utoipa::path(
    post, path = "/events/{id}/replay", operation_id = "replay_event", tag = "replays",
    params(("id" = Uuid, Path, description = "The event's id")),
    request_body(content = EventReplayRequest, example = json!({"dry_run": true})),
    responses(
        (status = 200, description = "The jobs", body = EventReplay, example = json!({"dry_run": true, "jobs": [
            {"queue": "enrich", "kind": "enrich_order", "key": "shopee:1001:250101ABCDEF01"}]})),
        Missing, Unusable, ChangeRefusals, Refusals,
    ),
)]
pub async fn replay_event(
    State(state): State<AdminState>,
    Extension(request_id): Extension<RequestId>,
    Path(id): Path<Uuid>,
    Body(request): Body<EventReplayRequest>,
) -> Result<Json<EventReplay>, ApiError> {
    let jobs =
        if request.dry_run { preview(&state, id).await? } else { start(&state, &request_id, id).await? };
    Ok(Json(EventReplay { dry_run: request.dry_run, jobs }))
}

/// What replaying this event would ask for.
pub async fn preview(state: &AdminState, id: Uuid) -> Result<Vec<AskedJob>, ApiError> {
    let mut connection = state.pool.acquire().await?;
    let jobs = replay::preview(&mut connection, &state.plan.load(), id).await?;
    let jobs = jobs.ok_or_else(|| ApiError::not_found("event"))?;
    Ok(jobs.into_iter().map(AskedJob::from).collect())
}

/// Replays this event.
pub async fn start(state: &AdminState, request_id: &RequestId, id: Uuid) -> Result<Vec<AskedJob>, ApiError> {
    let jobs = preview(state, id).await?;
    let mut transaction = store::begin(&state.pool).await?;
    let asked = replay::event(&mut transaction, &state.plan.load(), id).await?;
    let asked = asked.ok_or_else(|| ApiError::not_found("event"))?;
    let record = AdminAction {
        request_id: &request_id.0,
        action: "replay_event",
        subject: &format!("event {id}"),
        detail: json!({"jobs": asked}),
    };
    insert_admin_action(&mut *transaction, &record).await?;
    transaction.commit().await?;
    state.waker.wake();
    Ok(jobs)
}
