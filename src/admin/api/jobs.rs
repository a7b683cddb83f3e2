//! Jobs: what is done about events. Changing them is in `job_changes` and `bulk_operations`.

use axum::Json;
use axum::extract::State;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use crate::admin::AdminState;
use crate::admin::error::{ApiError, Missing, Refusals, Unusable};
use crate::admin::extract::{Path, Query, said};
use crate::admin::page::Window;
use crate::store::job_reads::{self, JobFilter, JobRecord};

/// Which jobs to list; what is left out does not restrict.
#[derive(Debug, Default, Clone, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct JobQuery {
    /// The queue.
    #[param(example = "sheet")]
    pub queue: Option<String>,
    /// `ready`, `running` or `dead`.
    #[param(example = "dead", pattern = r"^(ready|running|dead)?$")]
    pub state: Option<String>,
    /// The kind's stable name.
    #[param(example = "upsert_sheet_row")]
    pub kind: Option<String>,
    /// The coalescing key.
    pub key: Option<String>,
    /// The shop of the order that it is about.
    #[param(example = "1001")]
    pub shop: Option<String>,
    /// The number of the order that it is about.
    #[param(example = "250101ABCDEF01")]
    pub order_sn: Option<String>,
    /// The event that asked for it first.
    pub event_id: Option<Uuid>,
    /// A part of its last error, in any case.
    #[param(example = "chat not found")]
    pub error: Option<String>,
    /// Its last error as a group of dead jobs shows it.
    pub error_group: Option<String>,
    /// Asked for then or later.
    pub since: Option<DateTime<Utc>>,
    /// Asked for before.
    pub until: Option<DateTime<Utc>>,
    /// `next` of the page before.
    #[param(pattern = r"^([0-9]{1,18})?$")]
    pub cursor: Option<String>,
    /// How many at most, 1 to 500; 50 when left out.
    #[param(minimum = 1, maximum = 500)]
    pub limit: Option<u16>,
}

/// A job, alive or ended.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct JobView {
    /// Its number.
    pub id: i64,
    /// The queue.
    pub queue: String,
    /// The kind's stable name.
    pub kind: String,
    /// The coalescing key.
    pub key: Option<String>,
    /// `ready`, `running`, `dead`; or how it ended: `done`, `cancelled`, `merged`.
    pub state: String,
    /// Attempts so far.
    pub attempt: i32,
    /// After so many attempts it is dead; none once it ended.
    pub max_attempts: Option<i32>,
    /// Not before this time; none once it ended.
    pub run_at: Option<DateTime<Utc>>,
    /// What it waits for without losing attempts: a quota, a pause, an authorization.
    pub waiting_on: Option<String>,
    /// The process that has or had it.
    pub worker: Option<String>,
    /// The event that asked for it first.
    pub event_id: Option<Uuid>,
    /// What it is asked to do.
    pub payload: serde_json::Value,
    /// Why the last attempt failed.
    pub last_error: Option<String>,
    /// All failures.
    pub errors: serde_json::Value,
    /// When it was asked for.
    pub created_at: DateTime<Utc>,
    /// When the last attempt began.
    pub started_at: Option<DateTime<Utc>>,
    /// When it ended.
    pub finished_at: Option<DateTime<Utc>>,
    /// What the worker said about its end.
    pub note: Option<String>,
}

impl From<JobRecord> for JobView {
    fn from(job: JobRecord) -> Self {
        Self {
            id: job.id,
            queue: job.queue,
            kind: job.kind,
            key: job.key,
            state: job.state,
            attempt: job.attempt,
            max_attempts: job.max_attempts,
            run_at: job.run_at,
            waiting_on: job.waiting_on,
            worker: job.worker,
            event_id: job.event_id,
            payload: job.payload,
            last_error: job.last_error,
            errors: job.errors,
            created_at: job.created_at,
            started_at: job.started_at,
            finished_at: job.finished_at,
            note: job.note,
        }
    }
}

impl JobView {
    /// A job as the documentation shows it.
    pub(super) fn example() -> serde_json::Value {
        json!({
            "id": 4711, "queue": "sheet", "kind": "upsert_sheet_row",
            "key": "1AbC:shopee:1001:250101ABCDEF01", "state": "done", "attempt": 1, "max_attempts": null,
            "run_at": null, "waiting_on": null, "worker": "host-1:4242",
            "event_id": "0198c2f0-5d3e-7c37-9f0e-0a7d3c1b2e4f",
            "payload": {"spreadsheet_id": "1AbC", "platform": "shopee", "shop_id": "1001",
                "order_sn": "250101ABCDEF01"},
            "last_error": null, "errors": [], "created_at": "2026-11-21T05:00:01.900Z",
            "started_at": "2026-11-21T05:00:02.100Z", "finished_at": "2026-11-21T05:00:02.900Z", "note": null,
        })
    }
}

/// A page of jobs, newest first.
#[derive(Debug, Serialize, ToSchema)]
pub struct JobList {
    /// The jobs.
    pub jobs: Vec<JobView>,
    /// What to pass as `cursor` for the next page; none on the last.
    pub next: Option<String>,
}

/// A job under its name.
#[derive(Debug, Serialize, ToSchema)]
pub struct JobEnvelope {
    /// The job.
    pub job: JobView,
}

/// List the jobs that are alive
///
/// Jobs that ended are found by their number, or with their event.
#[utoipa::path(
    get, path = "/jobs", operation_id = "list_jobs", tag = "jobs", params(JobQuery),
    responses(
        (status = 200, description = "A page of jobs, newest first", body = JobList,
            example = json!({"jobs": [JobView::example()], "next": null})),
        Unusable, Refusals,
    ),
)]
pub async fn list_jobs(
    State(state): State<AdminState>,
    Query(query): Query<JobQuery>,
) -> Result<Json<JobList>, ApiError> {
    list(&state, query).await.map(Json)
}

/// The page of jobs that `query` asks for.
pub async fn list(state: &AdminState, query: JobQuery) -> Result<JobList, ApiError> {
    let window = Window::<i64>::new(query.limit, query.cursor)?;
    let filter = checked(JobFilter {
        queue: said(query.queue),
        state: said(query.state),
        kind: said(query.kind),
        key: said(query.key),
        shop: said(query.shop),
        order_sn: said(query.order_sn),
        event_id: query.event_id,
        error: said(query.error),
        error_group: said(query.error_group),
        since: query.since,
        until: query.until,
    })?;
    let found = job_reads::list_jobs(&state.pool, &filter, window.after, window.fetch()).await?;
    let (jobs, next) = window.cut(found, |job| job.id);
    Ok(JobList { jobs, next })
}

/// A filter whose state is one that there is.
pub(super) fn checked(filter: JobFilter) -> Result<JobFilter, ApiError> {
    if filter.state.as_ref().is_some_and(|state| !["ready", "running", "dead"].contains(&state.as_str())) {
        return Err(ApiError::bad_request("state: must be ready, running or dead"));
    }
    Ok(filter)
}

/// Get a job, alive or ended
#[utoipa::path(
    get, path = "/jobs/{id}", operation_id = "get_job", tag = "jobs",
    params(("id" = i64, Path, description = "The job's number")),
    responses(
        (status = 200, description = "The job", body = JobEnvelope, example = json!({"job": JobView::example()})),
        Missing, Unusable, Refusals,
    ),
)]
pub async fn get_job(
    State(state): State<AdminState>,
    Path(id): Path<i64>,
) -> Result<Json<JobEnvelope>, ApiError> {
    read(&state, id).await.map(|job| Json(JobEnvelope { job }))
}

/// The job with this number.
pub async fn read(state: &AdminState, id: i64) -> Result<JobView, ApiError> {
    let job = job_reads::find_job(&state.pool, id).await?.ok_or_else(|| ApiError::not_found("job"))?;
    Ok(job.into())
}
