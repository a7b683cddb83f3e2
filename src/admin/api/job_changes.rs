//! Changing one job: retry, cancel, delete.

use axum::extract::State;
use axum::{Extension, Json};
use serde_json::json;

use super::jobs::{JobEnvelope, JobView};
use crate::admin::AdminState;
use crate::admin::error::{ApiError, ChangeRefusals, Conflicts, Missing, Refusals, Unusable};
use crate::admin::extract::Path;
use crate::admin::frame::RequestId;
use crate::queue::control;
pub use crate::queue::control::Idle;
use crate::store;
use crate::store::admin_actions::{AdminAction, insert_admin_action};
use crate::store::job_reads;

/// Retry a dead job
///
/// It becomes ready with all of its attempts; where a ready job with the same key exists, it merges into
/// that one and ends as `merged`. The answer shows where it went.
#[utoipa::path(
    post, path = "/jobs/{id}/retry", operation_id = "retry_job", tag = "jobs",
    params(("id" = i64, Path, description = "The job's number")),
    responses(
        (status = 200, description = "The job as it is now", body = JobEnvelope,
            example = json!({"job": JobView::example()})),
        Missing, Unusable, Conflicts, ChangeRefusals, Refusals,
    ),
)]
pub async fn retry_job(
    State(state): State<AdminState>,
    Extension(request_id): Extension<RequestId>,
    Path(id): Path<i64>,
) -> Result<Json<JobEnvelope>, ApiError> {
    retry(&state, &request_id, id).await.map(|job| Json(JobEnvelope { job }))
}

/// Retries a dead job and shows where it went.
pub async fn retry(state: &AdminState, request_id: &RequestId, id: i64) -> Result<JobView, ApiError> {
    let mut transaction = store::begin(&state.pool).await?;
    let retried = control::retry_dead(&mut transaction, id).await?;
    let job = job_reads::find_job(&mut *transaction, id).await?.ok_or_else(|| ApiError::not_found("job"))?;
    if !retried {
        let message = format!("only a dead job can be retried; this one is {}", job.state);
        return Err(ApiError::conflict(message));
    }
    let (subject, detail) = (format!("job {id}"), json!({"kind": job.kind, "last_error": job.last_error}));
    let action = AdminAction { request_id: &request_id.0, action: "retry_job", subject: &subject, detail };
    insert_admin_action(&mut *transaction, &action).await?;
    transaction.commit().await?;
    state.waker.wake();
    Ok(job.into())
}

/// Cancel a job that waits
///
/// It ends without being done, and stays in the history as `cancelled`. What runs cannot be stopped halfway.
#[utoipa::path(
    post, path = "/jobs/{id}/cancel", operation_id = "cancel_job", tag = "jobs",
    params(("id" = i64, Path, description = "The job's number")),
    responses(
        (status = 200, description = "The job as it is now", body = JobEnvelope,
            example = json!({"job": JobView::example()})),
        Missing, Unusable, Conflicts, ChangeRefusals, Refusals,
    ),
)]
pub async fn cancel_job(
    State(state): State<AdminState>,
    Extension(request_id): Extension<RequestId>,
    Path(id): Path<i64>,
) -> Result<Json<JobEnvelope>, ApiError> {
    end(&state, &request_id, id, Idle::Ready).await.map(|job| Json(JobEnvelope { job }))
}

/// Delete a dead job
///
/// It is given up for good: nobody is reminded of it any more. The history keeps it as `cancelled` until its
/// retention is over.
#[utoipa::path(
    delete, path = "/jobs/{id}", operation_id = "delete_job", tag = "jobs",
    params(("id" = i64, Path, description = "The job's number")),
    responses(
        (status = 200, description = "The job as it is now", body = JobEnvelope,
            example = json!({"job": JobView::example()})),
        Missing, Unusable, Conflicts, ChangeRefusals, Refusals,
    ),
)]
pub async fn delete_job(
    State(state): State<AdminState>,
    Extension(request_id): Extension<RequestId>,
    Path(id): Path<i64>,
) -> Result<Json<JobEnvelope>, ApiError> {
    end(&state, &request_id, id, Idle::Dead).await.map(|job| Json(JobEnvelope { job }))
}

/// Cancels a ready job, or deletes a dead one.
pub async fn end(
    state: &AdminState,
    request_id: &RequestId,
    id: i64,
    from: Idle,
) -> Result<JobView, ApiError> {
    let (name, done) = match from {
        Idle::Ready => ("cancel_job", "cancelled"),
        Idle::Dead => ("delete_job", "deleted"),
    };
    let mut transaction = store::begin(&state.pool).await?;
    let note = format!("{done} by a person");
    let ended = control::cancel(&mut transaction, &[id], from, &note).await?;
    let job = job_reads::find_job(&mut *transaction, id).await?.ok_or_else(|| ApiError::not_found("job"))?;
    if ended.is_empty() {
        let message = format!("only a {} job can be {done}; this one is {}", from.as_str(), job.state);
        return Err(ApiError::conflict(message));
    }
    let (subject, detail) = (format!("job {id}"), json!({"kind": job.kind, "before": from.as_str()}));
    let action = AdminAction { request_id: &request_id.0, action: name, subject: &subject, detail };
    insert_admin_action(&mut *transaction, &action).await?;
    transaction.commit().await?;
    Ok(job.into())
}
