//! Changing many jobs at once, in the background.

use axum::extract::State;
use axum::http::StatusCode;
use axum::{Extension, Json};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use super::jobs::checked;
use crate::admin::AdminState;
use crate::admin::error::{ApiError, ChangeRefusals, Conflicts, Missing, Refusals, Unusable};
use crate::admin::extract::{Json as Body, Path, Query, said};
use crate::admin::frame::RequestId;
use crate::admin::page::Window;
use crate::queue::bulk::{self, Action, Operation};
use crate::store;
use crate::store::admin_actions::{self, AdminAction, insert_admin_action};
use crate::store::job_reads::{JobFilter, count_jobs};

/// What is done to the jobs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum BulkAction {
    /// Dead jobs become ready with all of their attempts.
    Retry,
    /// Ready jobs end without being done.
    Cancel,
    /// Dead jobs are given up for good; the history keeps them.
    Delete,
}

impl From<BulkAction> for Action {
    fn from(action: BulkAction) -> Self {
        match action {
            BulkAction::Retry => Self::Retry,
            BulkAction::Cancel => Self::Cancel,
            BulkAction::Delete => Self::Delete,
        }
    }
}

/// Which jobs; what is left out does not restrict. The action says the state.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct BulkFilter {
    /// The queue.
    pub queue: Option<String>,
    /// The kind's stable name.
    pub kind: Option<String>,
    /// The shop of the order that they are about.
    pub shop: Option<String>,
    /// The number of the order that they are about.
    pub order_sn: Option<String>,
    /// A part of the last error, in any case.
    pub error: Option<String>,
    /// The last error as a group of dead jobs shows it.
    pub error_group: Option<String>,
    /// Asked for then or later.
    pub since: Option<DateTime<Utc>>,
    /// Asked for before.
    pub until: Option<DateTime<Utc>>,
}

impl BulkFilter {
    fn is_empty(&self) -> bool {
        let texts = [&self.queue, &self.kind, &self.shop, &self.order_sn, &self.error, &self.error_group];
        texts.into_iter().all(Option::is_none) && self.since.is_none() && self.until.is_none()
    }
}

impl From<BulkFilter> for JobFilter {
    fn from(filter: BulkFilter) -> Self {
        let BulkFilter { queue, kind, shop, order_sn, error, error_group, since, until } = filter;
        let said = [queue, kind, shop, order_sn, error, error_group].map(said);
        let [queue, kind, shop, order_sn, error, error_group] = said;
        Self { queue, kind, shop, order_sn, error, error_group, since, until, ..Self::default() }
    }
}

/// A change of many jobs.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct BulkRequest {
    /// What to do.
    pub action: BulkAction,
    /// To which jobs.
    #[serde(default)]
    pub filter: BulkFilter,
    /// Has to be set when the filter restricts nothing.
    #[serde(default)]
    pub all: bool,
    /// Only count.
    #[serde(default)]
    pub dry_run: bool,
    /// Any UUID of your own: asking again with the same one does nothing twice.
    pub id: Option<Uuid>,
}

/// A change of many jobs as it stands.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct BulkView {
    /// Its id; none when it was only counted.
    pub id: Option<Uuid>,
    /// `retry`, `cancel` or `delete`.
    pub action: String,
    /// Which jobs.
    pub filter: serde_json::Value,
    /// `waiting`, `running`, `done`, `cancelled` or `failed`; `dry_run` when it was only counted.
    pub state: String,
    /// Jobs that matched when it was asked for.
    pub matched: i64,
    /// Jobs changed so far. Fewer than matched at the end: some were changed by others meanwhile.
    pub changed: i64,
    /// Who asked.
    pub requested_by: String,
    /// When.
    pub requested_at: DateTime<Utc>,
    /// When it ended.
    pub finished_at: Option<DateTime<Utc>>,
    /// Why it failed.
    pub error: Option<String>,
}

impl From<Operation> for BulkView {
    fn from(operation: Operation) -> Self {
        Self {
            id: Some(operation.id),
            action: operation.action,
            filter: json!(operation.filter.0),
            state: operation.state,
            matched: operation.matched,
            changed: operation.changed,
            requested_by: operation.requested_by,
            requested_at: operation.requested_at,
            finished_at: operation.finished_at,
            error: operation.error,
        }
    }
}

/// A change of many jobs under its name.
#[derive(Debug, Serialize, ToSchema)]
pub struct BulkEnvelope {
    /// The operation.
    pub operation: BulkView,
}

/// Which operations to list.
#[derive(Debug, Default, Clone, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct BulkQuery {
    /// `next` of the page before.
    #[param(pattern = r"^([0-9]{1,16}-[0-9a-f]{32})?$")]
    pub cursor: Option<String>,
    /// How many at most, 1 to 500; 50 when left out.
    #[param(minimum = 1, maximum = 500)]
    pub limit: Option<u16>,
}

/// A page of changes of many jobs.
#[derive(Debug, Serialize, ToSchema)]
pub struct BulkList {
    /// The operations, newest first.
    pub operations: Vec<BulkView>,
    /// What to pass as `cursor` for the next page; none on the last.
    pub next: Option<String>,
}

/// List the changes of many jobs
#[utoipa::path(
    get, path = "/bulk-operations", operation_id = "list_bulk_operations", tag = "jobs", params(BulkQuery),
    responses(
        (status = 200, description = "A page of operations, newest first", body = BulkList,
            example = json!({"operations": [example()], "next": null})),
        Unusable, Refusals,
    ),
)]
pub async fn list_bulk_operations(
    State(state): State<AdminState>,
    Query(query): Query<BulkQuery>,
) -> Result<Json<BulkList>, ApiError> {
    list(&state, query).await.map(Json)
}

/// The page of operations that `query` asks for.
pub async fn list(state: &AdminState, query: BulkQuery) -> Result<BulkList, ApiError> {
    let window = Window::<(DateTime<Utc>, Uuid)>::new(query.limit, query.cursor)?;
    let found = bulk::list(&state.pool, window.after, window.fetch()).await?;
    let (operations, next) = window.cut(found, |one| (one.requested_at, one.id));
    Ok(BulkList { operations, next })
}

/// Retry, cancel or delete many jobs
///
/// With `dry_run` it only counts. Otherwise the work is done in the background, in parts; look at the operation
/// for its progress. Jobs that come later are left alone.
#[utoipa::path(
    post, path = "/bulk-operations", operation_id = "start_bulk_operation", tag = "jobs",
    request_body(content = BulkRequest, example = json!({"action": "retry",
        "filter": {"queue": "notify", "error": "chat not found"}, "dry_run": true})),
    responses(
        (status = 200, description = "How many jobs it would change", body = BulkEnvelope,
            example = json!({"operation": example()})),
        (status = 202, description = "It is under way", body = BulkEnvelope,
            example = json!({"operation": example()})),
        Unusable, ChangeRefusals, Refusals,
    ),
)]
pub async fn start_bulk_operation(
    State(state): State<AdminState>,
    Extension(request_id): Extension<RequestId>,
    Body(request): Body<BulkRequest>,
) -> Result<(StatusCode, Json<BulkEnvelope>), ApiError> {
    let status = if request.dry_run { StatusCode::OK } else { StatusCode::ACCEPTED };
    let operation = start(&state, &request_id, request).await?;
    Ok((status, Json(BulkEnvelope { operation })))
}

/// Counts, or asks for the work.
pub async fn start(
    state: &AdminState,
    request_id: &RequestId,
    request: BulkRequest,
) -> Result<BulkView, ApiError> {
    if request.filter.is_empty() && !request.all {
        return Err(ApiError::bad_request("filter: restricts nothing; set `all` if every job is meant"));
    }
    let action = Action::from(request.action);
    let filter = checked(request.filter.into())?;
    if request.dry_run {
        return count(state, action, filter).await;
    }
    let id = request.id.unwrap_or_else(Uuid::new_v4);
    let mut transaction = store::begin(&state.pool).await?;
    let new = bulk::ask(&mut transaction, id, action, &filter, &admin_actions::actor().name).await?;
    let operation = bulk::find(&mut *transaction, id).await?.ok_or_else(ApiError::internal)?;
    if new {
        let subject = format!("bulk operation {id}");
        let detail = json!({"action": action.as_str(), "filter": filter, "matched": operation.matched});
        let record = AdminAction {
            request_id: &request_id.0,
            action: "start_bulk_operation",
            subject: &subject,
            detail,
        };
        insert_admin_action(&mut *transaction, &record).await?;
    }
    transaction.commit().await?;
    state.errands.wake();
    Ok(operation.into())
}

async fn count(state: &AdminState, action: Action, filter: JobFilter) -> Result<BulkView, ApiError> {
    let (matched, _) = count_jobs(&state.pool, &bulk::scope(action, filter.clone())).await?;
    Ok(BulkView {
        id: None,
        action: action.as_str().to_owned(),
        filter: json!(filter),
        state: "dry_run".to_owned(),
        matched,
        changed: 0,
        requested_by: admin_actions::actor().name,
        requested_at: state.clock.now(),
        finished_at: None,
        error: None,
    })
}

/// Get a change of many jobs
#[utoipa::path(
    get, path = "/bulk-operations/{id}", operation_id = "get_bulk_operation", tag = "jobs",
    params(("id" = Uuid, Path, description = "The operation's id")),
    responses(
        (status = 200, description = "The operation", body = BulkEnvelope, example = json!({"operation": example()})),
        Missing, Unusable, Refusals,
    ),
)]
pub async fn get_bulk_operation(
    State(state): State<AdminState>,
    Path(id): Path<Uuid>,
) -> Result<Json<BulkEnvelope>, ApiError> {
    read(&state, id).await.map(|operation| Json(BulkEnvelope { operation }))
}

/// The operation with this id.
pub async fn read(state: &AdminState, id: Uuid) -> Result<BulkView, ApiError> {
    let found = bulk::find(&state.pool, id).await?;
    found.map(BulkView::from).ok_or_else(|| ApiError::not_found("bulk operation"))
}

/// Stop a change of many jobs
///
/// What was changed stays changed.
#[utoipa::path(
    post, path = "/bulk-operations/{id}/cancel", operation_id = "cancel_bulk_operation", tag = "jobs",
    params(("id" = Uuid, Path, description = "The operation's id")),
    responses(
        (status = 200, description = "The operation, stopped", body = BulkEnvelope,
            example = json!({"operation": example()})),
        Missing, Unusable, Conflicts, ChangeRefusals, Refusals,
    ),
)]
pub async fn cancel_bulk_operation(
    State(state): State<AdminState>,
    Extension(request_id): Extension<RequestId>,
    Path(id): Path<Uuid>,
) -> Result<Json<BulkEnvelope>, ApiError> {
    cancel(&state, &request_id, id).await.map(|operation| Json(BulkEnvelope { operation }))
}

/// Stops an operation.
pub async fn cancel(state: &AdminState, request_id: &RequestId, id: Uuid) -> Result<BulkView, ApiError> {
    let mut transaction = store::begin(&state.pool).await?;
    let stopped = bulk::stop(&mut transaction, id).await?;
    let operation = bulk::find(&mut *transaction, id).await?;
    let operation = operation.ok_or_else(|| ApiError::not_found("bulk operation"))?;
    if !stopped {
        return Err(ApiError::conflict(format!("it is not under way any more but {}", operation.state)));
    }
    let (subject, detail) = (format!("bulk operation {id}"), json!({"changed": operation.changed}));
    let record =
        AdminAction { request_id: &request_id.0, action: "cancel_bulk_operation", subject: &subject, detail };
    insert_admin_action(&mut *transaction, &record).await?;
    transaction.commit().await?;
    Ok(operation.into())
}

fn example() -> serde_json::Value {
    json!({
        "id": "0198c2f0-5d3e-4c37-9f0e-0a7d3c1b2e4f", "action": "retry",
        "filter": {"queue": "notify", "state": "dead", "error": "chat not found"}, "state": "running",
        "matched": 1200, "changed": 400, "requested_by": "ADMIN_TOKEN",
        "requested_at": "2026-11-21T05:00:00Z", "finished_at": null, "error": null,
    })
}
