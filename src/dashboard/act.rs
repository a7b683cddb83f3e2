//! The buttons of the pages: each does what the API's operation does, and shows the page again.
//!
//! `session::require` lets in only who may change things, and only from a page of ours.

use axum::Extension;
use axum::extract::State;
use axum::response::Redirect;
use serde::Deserialize;
use uuid::Uuid;

use super::replays::ReplayForm;
use super::sign_in::destination;
use crate::admin::AdminState;
use crate::admin::api::bulk_operations::{self, BulkAction, BulkFilter, BulkRequest};
use crate::admin::api::job_changes::Idle;
use crate::admin::api::queues::{self, PauseRequest};
use crate::admin::api::{event_replays, job_changes, replays, schedules};
use crate::admin::error::ApiError;
use crate::admin::extract::{Form, Json as Body, Path, said};
use crate::admin::frame::RequestId;

/// Where to go afterwards, and what was said.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Said {
    next: Option<String>,
    #[serde(default)]
    reason: String,
}

type Acted = Result<Redirect, ApiError>;

fn back(said: Said) -> Redirect {
    Redirect::to(&destination(said.next))
}

/// `retry`, `cancel` or `delete` of one job.
pub(super) async fn job(
    State(state): State<AdminState>,
    Extension(request_id): Extension<RequestId>,
    Path((id, action)): Path<(i64, String)>,
    Form(said): Form<Said>,
) -> Acted {
    match action.as_str() {
        "retry" => job_changes::retry(&state, &request_id, id).await?,
        "cancel" => job_changes::end(&state, &request_id, id, Idle::Ready).await?,
        "delete" => job_changes::end(&state, &request_id, id, Idle::Dead).await?,
        _ => return Err(ApiError::not_found("action")),
    };
    Ok(back(said))
}

/// `pause` or `resume` of a queue.
pub(super) async fn queue(
    State(state): State<AdminState>,
    Extension(request_id): Extension<RequestId>,
    Path((name, action)): Path<(String, String)>,
    Form(said): Form<Said>,
) -> Acted {
    let (state, request_id, name) = (State(state), Extension(request_id), Path(name));
    match action.as_str() {
        "pause" => {
            let pause = PauseRequest { reason: said.reason.clone() };
            drop(queues::pause_queue(state, request_id, name, Body(pause)).await?);
        }
        "resume" => drop(queues::resume_queue(state, request_id, name).await?),
        _ => return Err(ApiError::not_found("action")),
    }
    Ok(back(said))
}

/// `run`, `pause` or `resume` of a scheduled task.
pub(super) async fn schedule(
    State(state): State<AdminState>,
    Extension(request_id): Extension<RequestId>,
    Path((name, action)): Path<(String, String)>,
    Form(said): Form<Said>,
) -> Acted {
    let (state, request_id, name) = (State(state), Extension(request_id), Path(name));
    match action.as_str() {
        "run" => drop(schedules::run_schedule(state, request_id, name).await?),
        "pause" => {
            let pause = PauseRequest { reason: said.reason.clone() };
            drop(schedules::pause_schedule(state, request_id, name, Body(pause)).await?);
        }
        "resume" => drop(schedules::resume_schedule(state, request_id, name).await?),
        _ => return Err(ApiError::not_found("action")),
    }
    Ok(back(said))
}

/// Which jobs, as the form of the preview carries it.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct BulkForm {
    pub(super) action: BulkAction,
    /// Chosen when the form was made, so that a second click does nothing twice.
    pub(super) id: Option<Uuid>,
    pub(super) queue: Option<String>,
    pub(super) kind: Option<String>,
    pub(super) shop: Option<String>,
    pub(super) order_sn: Option<String>,
    pub(super) error: Option<String>,
    pub(super) error_group: Option<String>,
    #[serde(default)]
    pub(super) all: bool,
}

impl BulkForm {
    pub(super) fn request(self, dry_run: bool) -> BulkRequest {
        let filter = BulkFilter {
            queue: said(self.queue),
            kind: said(self.kind),
            shop: said(self.shop),
            order_sn: said(self.order_sn),
            error: said(self.error),
            error_group: said(self.error_group),
            ..BulkFilter::default()
        };
        BulkRequest { action: self.action, filter, all: self.all, dry_run, id: self.id }
    }
}

/// Begins a change of many jobs and shows how it goes on.
pub(super) async fn start_bulk(
    State(state): State<AdminState>,
    Extension(request_id): Extension<RequestId>,
    Form(form): Form<BulkForm>,
) -> Acted {
    let operation = bulk_operations::start(&state, &request_id, form.request(false)).await?;
    let id = operation.id.ok_or_else(ApiError::internal)?;
    Ok(Redirect::to(&format!("/dashboard/bulk/{id}")))
}

/// Stops a change of many jobs.
pub(super) async fn cancel_bulk(
    State(state): State<AdminState>,
    Extension(request_id): Extension<RequestId>,
    Path(id): Path<Uuid>,
) -> Acted {
    bulk_operations::cancel(&state, &request_id, id).await?;
    Ok(Redirect::to(&format!("/dashboard/bulk/{id}")))
}

/// Begins a replay of everything that matches and shows how it goes on.
pub(super) async fn start_replay(
    State(state): State<AdminState>,
    Extension(request_id): Extension<RequestId>,
    Form(form): Form<ReplayForm>,
) -> Acted {
    let replay = replays::start(&state, &request_id, form.request(false)).await?;
    let id = replay.id.ok_or_else(ApiError::internal)?;
    Ok(Redirect::to(&format!("/dashboard/replays/{id}")))
}

/// Stops a replay.
pub(super) async fn cancel_replay(
    State(state): State<AdminState>,
    Extension(request_id): Extension<RequestId>,
    Path(id): Path<i64>,
) -> Acted {
    replays::cancel(&state, &request_id, id).await?;
    Ok(Redirect::to(&format!("/dashboard/replays/{id}")))
}

/// Does the work of one event again.
pub(super) async fn replay_event(
    State(state): State<AdminState>,
    Extension(request_id): Extension<RequestId>,
    Path(id): Path<Uuid>,
) -> Acted {
    event_replays::start(&state, &request_id, id).await?;
    Ok(Redirect::to(&format!("/dashboard/events/{id}")))
}
