//! Scheduled tasks: when they ran, what came of it, and running them by hand.

use axum::extract::State;
use axum::http::StatusCode;
use axum::{Extension, Json};
use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::json;
use sqlx::PgConnection;
use utoipa::ToSchema;

use super::queues::PauseRequest;
use crate::admin::AdminState;
use crate::admin::error::{ApiError, ChangeRefusals, Missing, Refusals, Unusable};
use crate::admin::extract::{Json as Body, Path};
use crate::admin::frame::RequestId;
use crate::store;
use crate::store::admin_actions::{AdminAction, insert_admin_action};
use crate::store::schedules::{self, RunRow, ScheduleRow};

/// Runs that are shown with a task.
const RUNS_SHOWN: u16 = 50;

/// One scheduled task, over all processes.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct ScheduleView {
    /// Its name.
    pub name: String,
    /// Seconds between two runs.
    pub every_s: i32,
    /// When the next run is due; while it is paused it does not take place.
    pub next_run_at: DateTime<Utc>,
    /// Whether it runs now.
    pub running: bool,
    /// Whether a person paused it.
    pub paused: bool,
    /// Why.
    pub paused_reason: Option<String>,
    /// Since when somebody waits for a run at once.
    pub run_asked_at: Option<DateTime<Utc>>,
    /// When it last began.
    pub last_started_at: Option<DateTime<Utc>>,
    /// When it last ended well.
    pub last_success_at: Option<DateTime<Utc>>,
    /// Counts of the last run that ended well.
    pub last_result: Option<serde_json::Value>,
    /// Why the last run failed; none when it ended well.
    pub last_error: Option<String>,
}

impl From<ScheduleRow> for ScheduleView {
    fn from(row: ScheduleRow) -> Self {
        Self {
            name: row.name,
            every_s: row.every_seconds,
            next_run_at: row.next_run_at,
            running: row.running,
            paused: row.paused_at.is_some(),
            paused_reason: row.paused_reason,
            run_asked_at: row.run_asked_at,
            last_started_at: row.last_started_at,
            last_success_at: row.last_success_at,
            last_result: row.last_result,
            last_error: row.last_error,
        }
    }
}

impl ScheduleView {
    /// A task as the documentation shows it.
    fn example() -> serde_json::Value {
        json!({
            "name": "lost_pushes", "every_s": 900, "next_run_at": "2026-11-21T05:15:00Z", "running": false,
            "paused": false, "paused_reason": null, "run_asked_at": null,
            "last_started_at": "2026-11-21T05:00:00Z", "last_success_at": "2026-11-21T05:00:01Z",
            "last_result": {"pages": 1, "found": 3, "recovered": 2}, "last_error": null,
        })
    }
}

/// One run of a task.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct ScheduleRunView {
    /// Its number.
    pub id: i64,
    /// When it began.
    pub started_at: DateTime<Utc>,
    /// When it ended; none while it runs, or when its process vanished.
    pub finished_at: Option<DateTime<Utc>>,
    /// Whether it was asked for, and not due by the clock.
    pub asked: bool,
    /// Counts.
    pub result: Option<serde_json::Value>,
    /// Why it failed.
    pub error: Option<String>,
}

impl From<RunRow> for ScheduleRunView {
    fn from(row: RunRow) -> Self {
        let RunRow { id, started_at, finished_at, asked, result, error } = row;
        Self { id, started_at, finished_at, asked, result, error }
    }
}

/// All scheduled tasks.
#[derive(Debug, Serialize, ToSchema)]
pub struct ScheduleList {
    /// By name.
    pub schedules: Vec<ScheduleView>,
}

/// A task under its name.
#[derive(Debug, Serialize, ToSchema)]
pub struct ScheduleEnvelope {
    /// The task.
    pub schedule: ScheduleView,
}

/// A task with its last runs.
#[derive(Debug, Serialize, ToSchema)]
pub struct ScheduleDetail {
    /// The task.
    pub schedule: ScheduleView,
    /// Its last runs, newest first.
    pub runs: Vec<ScheduleRunView>,
}

/// List the scheduled tasks
#[utoipa::path(
    get, path = "/schedules", operation_id = "list_schedules", tag = "schedules",
    responses(
        (status = 200, description = "The tasks", body = ScheduleList,
            example = json!({"schedules": [ScheduleView::example()]})),
        Refusals,
    ),
)]
pub async fn list_schedules(State(state): State<AdminState>) -> Result<Json<ScheduleList>, ApiError> {
    let schedules = read(&state).await?;
    Ok(Json(ScheduleList { schedules }))
}

/// All tasks, as the API shows them.
pub async fn read(state: &AdminState) -> Result<Vec<ScheduleView>, ApiError> {
    let found = schedules::list_schedules(&state.pool, None).await?;
    Ok(found.into_iter().map(ScheduleView::from).collect())
}

/// Get a scheduled task with its last runs
#[utoipa::path(
    get, path = "/schedules/{name}", operation_id = "get_schedule", tag = "schedules",
    params(("name" = String, Path, description = "The task's name")),
    responses(
        (status = 200, description = "The task", body = ScheduleDetail, example = json!({
            "schedule": ScheduleView::example(),
            "runs": [{"id": 4711, "started_at": "2026-11-21T05:00:00Z", "finished_at": "2026-11-21T05:00:01Z",
                "asked": false, "result": {"pages": 1, "found": 3, "recovered": 2}, "error": null}]})),
        Missing, Refusals,
    ),
)]
pub async fn get_schedule(
    State(state): State<AdminState>,
    Path(name): Path<String>,
) -> Result<Json<ScheduleDetail>, ApiError> {
    let schedule = find(&state, &name).await?;
    let runs = schedules::list_runs(&state.pool, &name, RUNS_SHOWN).await?;
    Ok(Json(ScheduleDetail { schedule, runs: runs.into_iter().map(ScheduleRunView::from).collect() }))
}

/// Run a scheduled task now
///
/// A scheduler begins within about a second, also when the task is paused; a run that is under way ends first.
#[utoipa::path(
    post, path = "/schedules/{name}/run", operation_id = "run_schedule", tag = "schedules",
    params(("name" = String, Path, description = "The task's name")),
    responses(
        (status = 202, description = "It runs as soon as a scheduler looks", body = ScheduleEnvelope,
            example = json!({"schedule": ScheduleView::example()})),
        Missing, ChangeRefusals, Refusals,
    ),
)]
pub async fn run_schedule(
    State(state): State<AdminState>,
    Extension(request_id): Extension<RequestId>,
    Path(name): Path<String>,
) -> Result<(StatusCode, Json<ScheduleEnvelope>), ApiError> {
    let mut transaction = store::begin(&state.pool).await?;
    if schedules::ask_run(&mut transaction, &name).await? {
        record(&mut transaction, &request_id, "run_schedule", &name, json!({})).await?;
    }
    transaction.commit().await?;
    let schedule = find(&state, &name).await?;
    Ok((StatusCode::ACCEPTED, Json(ScheduleEnvelope { schedule })))
}

/// Pause a scheduled task
///
/// It does not run by the clock any more; a run that is under way ends. It can still be run by hand.
#[utoipa::path(
    post, path = "/schedules/{name}/pause", operation_id = "pause_schedule", tag = "schedules",
    params(("name" = String, Path, description = "The task's name")),
    request_body(content = PauseRequest, example = json!({"reason": "Shopee asked us to"})),
    responses(
        (status = 200, description = "The task, paused", body = ScheduleEnvelope,
            example = json!({"schedule": ScheduleView::example()})),
        Missing, Unusable, ChangeRefusals, Refusals,
    ),
)]
pub async fn pause_schedule(
    State(state): State<AdminState>,
    Extension(request_id): Extension<RequestId>,
    Path(name): Path<String>,
    Body(pause): Body<PauseRequest>,
) -> Result<Json<ScheduleEnvelope>, ApiError> {
    if pause.reason.chars().count() > 200 {
        return Err(ApiError::bad_request("reason: at most 200 characters"));
    }
    let mut transaction = store::begin(&state.pool).await?;
    if schedules::pause(&mut transaction, &name, &pause.reason).await? {
        let detail = json!({"reason": pause.reason});
        record(&mut transaction, &request_id, "pause_schedule", &name, detail).await?;
    }
    transaction.commit().await?;
    Ok(Json(ScheduleEnvelope { schedule: find(&state, &name).await? }))
}

/// Resume a scheduled task
#[utoipa::path(
    post, path = "/schedules/{name}/resume", operation_id = "resume_schedule", tag = "schedules",
    params(("name" = String, Path, description = "The task's name")),
    responses(
        (status = 200, description = "The task, at work", body = ScheduleEnvelope,
            example = json!({"schedule": ScheduleView::example()})),
        Missing, ChangeRefusals, Refusals,
    ),
)]
pub async fn resume_schedule(
    State(state): State<AdminState>,
    Extension(request_id): Extension<RequestId>,
    Path(name): Path<String>,
) -> Result<Json<ScheduleEnvelope>, ApiError> {
    let mut transaction = store::begin(&state.pool).await?;
    if schedules::resume(&mut transaction, &name).await? {
        record(&mut transaction, &request_id, "resume_schedule", &name, json!({})).await?;
    }
    transaction.commit().await?;
    Ok(Json(ScheduleEnvelope { schedule: find(&state, &name).await? }))
}

async fn record(
    connection: &mut PgConnection,
    request_id: &RequestId,
    action: &'static str,
    name: &str,
    detail: serde_json::Value,
) -> Result<(), sqlx::Error> {
    let subject = format!("schedule {name}");
    let action = AdminAction { request_id: &request_id.0, action, subject: &subject, detail };
    insert_admin_action(connection, &action).await
}

async fn find(state: &AdminState, name: &str) -> Result<ScheduleView, ApiError> {
    let found = schedules::list_schedules(&state.pool, Some(name)).await?.pop();
    found.map(ScheduleView::from).ok_or_else(|| ApiError::not_found("schedule"))
}
