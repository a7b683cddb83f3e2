//! Dead jobs by what they died of.

use axum::Json;
use axum::extract::State;
use chrono::{DateTime, Utc};
use serde::Serialize;
use utoipa::ToSchema;

use crate::admin::AdminState;
use crate::admin::error::{ApiError, Refusals};
use crate::store::job_reads::{self, DeadGroup};

/// Dead jobs that failed for the same reason.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct DeadGroupView {
    /// The queue.
    pub queue: String,
    /// The kind's stable name.
    pub kind: String,
    /// The error, with `#` for digits, so that ids do not keep equal errors apart.
    pub error: String,
    /// How many.
    pub jobs: i64,
    /// When the oldest of them was asked for.
    pub oldest_created_at: DateTime<Utc>,
}

/// The groups.
#[derive(Debug, Serialize, ToSchema)]
pub struct DeadGroupList {
    /// Most jobs first, at most 100 groups.
    pub groups: Vec<DeadGroupView>,
    /// Only so many of the newest dead jobs were looked at; more are not counted here.
    pub looked_at_most: i64,
}

/// List what dead jobs died of
///
/// Pass `queue`, `kind` and the error as `error_group` to list or change the jobs of a group.
#[utoipa::path(
    get, path = "/dead-groups", operation_id = "list_dead_groups", tag = "jobs",
    responses(
        (status = 200, description = "The groups", body = DeadGroupList, example = json!({
            "groups": [{"queue": "notify", "kind": "notify_event", "error": "chat -# was not found",
                "jobs": 12, "oldest_created_at": "2026-11-21T05:00:00Z"}], "looked_at_most": 20000})),
        Refusals,
    ),
)]
pub async fn list_dead_groups(State(state): State<AdminState>) -> Result<Json<DeadGroupList>, ApiError> {
    let groups = read(&state).await?;
    Ok(Json(DeadGroupList { groups, looked_at_most: job_reads::GROUPED }))
}

/// The dead jobs by what they died of, most first.
pub async fn read(state: &AdminState) -> Result<Vec<DeadGroupView>, ApiError> {
    let groups = job_reads::list_dead_groups(&state.pool).await?;
    let view = |DeadGroup { queue, kind, error, jobs, oldest_created_at }| DeadGroupView {
        queue,
        kind,
        error,
        jobs,
        oldest_created_at,
    };
    Ok(groups.into_iter().map(view).collect())
}
