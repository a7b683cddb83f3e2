//! Pausing a destination by hand, and resuming it.

use axum::extract::State;
use axum::{Extension, Json};
use serde::Serialize;
use serde_json::{Value, json};
use sqlx::PgConnection;
use utoipa::ToSchema;

use super::destinations::{DestinationView, find, let_go};
use super::queues::PauseRequest;
use crate::admin::AdminState;
use crate::admin::error::{ApiError, ChangeRefusals, Missing, Refusals, Unusable};
use crate::admin::extract::{Json as Body, Path};
use crate::admin::frame::RequestId;
use crate::store;
use crate::store::admin_actions::{AdminAction, insert_admin_action};
use crate::store::destination_lists::{pause_by_hand, resume};

/// A destination under its name.
#[derive(Debug, Serialize, ToSchema)]
pub struct DestinationEnvelope {
    /// The destination.
    pub destination: DestinationView,
}

/// Pause a destination
///
/// No process calls it any more until it is resumed: not to try whether it works again either, and no success and no
/// reset ends the pause. A call that is under way ends. Jobs for it wait without losing attempts; pushes are stored
/// as always. Pausing one that is paused changes nothing.
#[utoipa::path(
    post, path = "/destinations/{kind}/{name}/pause", operation_id = "pause_destination", tag = "destinations",
    params(
        ("kind" = String, Path, description = "As the list has it"),
        ("name" = String, Path, description = "As the list has it, percent-encoded: a URL has slashes"),
    ),
    request_body(content = PauseRequest, example = json!({"reason": "the ERP is being moved"})),
    responses(
        (status = 200, description = "The destination, paused", body = DestinationEnvelope,
            example = json!({"destination": example(true)})),
        Missing, Unusable, ChangeRefusals, Refusals,
    ),
)]
pub async fn pause_destination(
    State(state): State<AdminState>,
    Extension(request_id): Extension<RequestId>,
    Path((kind, name)): Path<(String, String)>,
    Body(pause): Body<PauseRequest>,
) -> Result<Json<DestinationEnvelope>, ApiError> {
    let reason = pause.reason.trim();
    if reason.is_empty() || reason.chars().count() > 200 {
        return Err(ApiError::bad_request("reason: say why, in at most 200 characters"));
    }
    find(&state, &kind, &name).await?;
    let mut transaction = store::begin(&state.pool).await?;
    if pause_by_hand(&mut transaction, &kind, &name, reason).await? {
        let detail = json!({ "reason": reason });
        record(&mut transaction, &request_id, "pause_destination", (&kind, &name), detail).await?;
    }
    transaction.commit().await?;
    Ok(Json(DestinationEnvelope { destination: find(&state, &kind, &name).await? }))
}

/// Resume a destination
///
/// The jobs that wait for it are due at once. Its breaker stays as it is: what did not work before the pause is tried
/// again first. Resuming one that nobody paused changes nothing.
#[utoipa::path(
    post, path = "/destinations/{kind}/{name}/resume", operation_id = "resume_destination", tag = "destinations",
    params(
        ("kind" = String, Path, description = "As the list has it"),
        ("name" = String, Path, description = "As the list has it, percent-encoded: a URL has slashes"),
    ),
    responses(
        (status = 200, description = "The destination, no longer paused by a person", body = DestinationEnvelope,
            example = json!({"destination": example(false)})),
        Missing, ChangeRefusals, Refusals,
    ),
)]
pub async fn resume_destination(
    State(state): State<AdminState>,
    Extension(request_id): Extension<RequestId>,
    Path((kind, name)): Path<(String, String)>,
) -> Result<Json<DestinationEnvelope>, ApiError> {
    let mut transaction = store::begin(&state.pool).await?;
    if resume(&mut transaction, &kind, &name).await? {
        let jobs = let_go(&mut transaction, &kind, &name).await?;
        let detail = json!({ "jobs": jobs });
        record(&mut transaction, &request_id, "resume_destination", (&kind, &name), detail).await?;
    }
    transaction.commit().await?;
    state.waker.wake();
    Ok(Json(DestinationEnvelope { destination: find(&state, &kind, &name).await? }))
}

async fn record(
    connection: &mut PgConnection,
    request_id: &RequestId,
    action: &'static str,
    (kind, name): (&str, &str),
    detail: Value,
) -> Result<(), sqlx::Error> {
    let subject = format!("{kind} {name}");
    let action = AdminAction { request_id: &request_id.0, action, subject: &subject, detail };
    insert_admin_action(connection, &action).await
}

fn example(paused: bool) -> Value {
    let mut example = DestinationView::example();
    let changes = json!({
        "state": "closed", "failures": 0, "opened_at": null, "paused_until": null, "reason": null,
        "paused_at": paused.then_some("2026-11-21T05:00:00Z"),
        "paused_reason": paused.then_some("the ERP is being moved"),
        "waiting_jobs": 0,
    });
    for (name, value) in changes.as_object().into_iter().flatten() {
        example[name] = value.clone();
    }
    example
}
