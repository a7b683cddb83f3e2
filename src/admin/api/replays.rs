//! Replays: doing the work of events again, or that of jobs.

use axum::extract::State;
use axum::http::StatusCode;
use axum::{Extension, Json};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use crate::admin::AdminState;
use crate::admin::error::{ApiError, ChangeRefusals, Conflicts, Missing, Refusals, Unusable};
use crate::admin::extract::{Json as Body, Path, Query};
use crate::admin::frame::RequestId;
use crate::admin::page::Window;
use crate::queue::replay::{self, NewReplay, Replay};
pub use crate::queue::replay::{ReplayFilter, Target};
use crate::store;
use crate::store::admin_actions::{self, AdminAction, insert_admin_action};

/// The rate when nobody says: slow enough that live pushes are not held up by what the work calls.
pub const USUAL_RATE: i32 = 50;

/// The highest rate.
pub const HIGHEST_RATE: i32 = 10_000;

/// A replay to be.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ReplayRequest {
    /// `events`, `dead_jobs` or `finished_jobs`.
    pub target: Target,
    /// Which of them; a part that the target does not know is refused.
    #[serde(default)]
    pub filter: ReplayFilter,
    /// Has to be set when the filter restricts nothing.
    #[serde(default)]
    pub all: bool,
    /// Only count.
    #[serde(default)]
    pub dry_run: bool,
    /// At most so many events or jobs per second, 1 to 10000; 50 when left out.
    #[schema(minimum = 1, maximum = 10000)]
    pub per_second: Option<i32>,
    /// Any UUID of your own: asking again with the same one does nothing twice.
    pub id: Option<Uuid>,
}

/// A replay as it stands.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct ReplayView {
    /// Its number; none when it was only counted.
    pub id: Option<i64>,
    /// `events`, `dead_jobs` or `finished_jobs`.
    pub target: String,
    /// Which of them.
    pub filter: ReplayFilter,
    /// `waiting`, `running`, `done` or `cancelled`; `dry_run` when it was only counted.
    pub state: String,
    /// At most so many per second.
    pub per_second: i32,
    /// How many matched when it began; none: not counted yet.
    pub total: Option<i64>,
    /// How many it went through.
    pub seen: i64,
    /// Jobs it made ready.
    pub enqueued: i64,
    /// Events and jobs that asked for nothing, or were gone when their turn came.
    pub skipped: i64,
    /// Who asked for it.
    pub requested_by: String,
    /// Why the last page failed; it is tried again.
    pub last_error: Option<String>,
    /// When it was asked for.
    pub created_at: DateTime<Utc>,
    /// When it began.
    pub started_at: Option<DateTime<Utc>>,
    /// When it was done or cancelled.
    pub finished_at: Option<DateTime<Utc>>,
}

impl From<Replay> for ReplayView {
    fn from(replay: Replay) -> Self {
        Self {
            id: Some(replay.id),
            target: replay.target,
            filter: replay.filter.0,
            state: replay.state,
            per_second: replay.per_second,
            total: replay.total,
            seen: replay.seen,
            enqueued: replay.enqueued,
            skipped: replay.skipped,
            requested_by: replay.requested_by,
            last_error: replay.last_error,
            created_at: replay.created_at,
            started_at: replay.started_at,
            finished_at: replay.finished_at,
        }
    }
}

impl ReplayView {
    fn example() -> serde_json::Value {
        json!({
            "id": 12, "target": "events", "filter": {"source": "shopee", "code": "3"}, "state": "running",
            "per_second": 50, "total": 1200, "seen": 400, "enqueued": 398, "skipped": 2,
            "requested_by": "ADMIN_TOKEN", "last_error": null, "created_at": "2026-11-21T05:00:00Z",
            "started_at": "2026-11-21T05:00:01Z", "finished_at": null,
        })
    }

    /// Whether it is not over.
    pub fn is_open(&self) -> bool {
        matches!(self.state.as_str(), "waiting" | "running")
    }
}

/// A replay under its name.
#[derive(Debug, Serialize, ToSchema)]
pub struct ReplayEnvelope {
    /// The replay.
    pub replay: ReplayView,
}

/// Which replays to list.
#[derive(Debug, Default, Clone, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ReplayQuery {
    /// `next` of the page before.
    #[param(pattern = r"^([0-9]{1,18})?$")]
    pub cursor: Option<String>,
    /// How many at most, 1 to 500; 50 when left out.
    #[param(minimum = 1, maximum = 500)]
    pub limit: Option<u16>,
}

/// A page of replays.
#[derive(Debug, Serialize, ToSchema)]
pub struct ReplayList {
    /// The replays, newest first.
    pub replays: Vec<ReplayView>,
    /// What to pass as `cursor` for the next page; none on the last.
    pub next: Option<String>,
}

/// List replays
#[utoipa::path(
    get, path = "/replays", operation_id = "list_replays", tag = "replays", params(ReplayQuery),
    responses(
        (status = 200, description = "A page of replays, newest first", body = ReplayList,
            example = json!({"replays": [ReplayView::example()], "next": null})),
        Unusable, Refusals,
    ),
)]
pub async fn list_replays(
    State(state): State<AdminState>,
    Query(query): Query<ReplayQuery>,
) -> Result<Json<ReplayList>, ApiError> {
    list(&state, query).await.map(Json)
}

/// The page of replays that `query` asks for.
pub async fn list(state: &AdminState, query: ReplayQuery) -> Result<ReplayList, ApiError> {
    let window = Window::<i64>::new(query.limit, query.cursor)?;
    let mut connection = state.pool.acquire().await?;
    let found = replay::list(&mut connection, window.after, window.fetch().into()).await?;
    let (replays, next) = window.cut(found, |one| one.id);
    Ok(ReplayList { replays, next })
}

/// Replay events or jobs
///
/// With `dry_run` it only counts. Otherwise a worker goes through everything that matches, at the given rate and
/// behind live pushes; look at the replay for its progress. What comes later is left alone. Effects that were had
/// already are not had twice: rows are written over, announcements stay, a forwarded event keeps its id.
#[utoipa::path(
    post, path = "/replays", operation_id = "start_replay", tag = "replays",
    request_body(content = ReplayRequest, example = json!({"target": "events",
        "filter": {"source": "shopee", "code": "3", "since": "2026-11-21T00:00:00Z"}, "dry_run": true})),
    responses(
        (status = 200, description = "How many it would go through", body = ReplayEnvelope,
            example = json!({"replay": ReplayView::example()})),
        (status = 202, description = "It is under way", body = ReplayEnvelope,
            example = json!({"replay": ReplayView::example()})),
        Unusable, ChangeRefusals, Refusals,
    ),
)]
pub async fn start_replay(
    State(state): State<AdminState>,
    Extension(request_id): Extension<RequestId>,
    Body(request): Body<ReplayRequest>,
) -> Result<(StatusCode, Json<ReplayEnvelope>), ApiError> {
    let status = if request.dry_run { StatusCode::OK } else { StatusCode::ACCEPTED };
    let replay = start(&state, &request_id, request).await?;
    Ok((status, Json(ReplayEnvelope { replay })))
}

/// Counts, or asks for the replay.
pub async fn start(
    state: &AdminState,
    request_id: &RequestId,
    request: ReplayRequest,
) -> Result<ReplayView, ApiError> {
    let ReplayRequest { target, filter, all, dry_run, per_second, id } = request;
    if let Some(part) = filter.unknown_to(target) {
        return Err(ApiError::bad_request(format!("filter.{part}: says nothing about {}", target.as_str())));
    }
    if filter.is_empty() && !all {
        return Err(ApiError::bad_request("filter: restricts nothing; set `all` if everything is meant"));
    }
    let per_second = per_second.unwrap_or(USUAL_RATE);
    if !(1..=HIGHEST_RATE).contains(&per_second) {
        return Err(ApiError::bad_request(format!("per_second: must be from 1 to {HIGHEST_RATE}")));
    }
    let new = NewReplay { target, filter, per_second, requested_by: admin_actions::actor().name };
    if dry_run {
        return count(state, new).await;
    }
    let mut transaction = store::begin(&state.pool).await?;
    let request = id.unwrap_or_else(Uuid::new_v4);
    let (number, is_new) = replay::create_once(&mut transaction, request, &new).await?;
    if is_new {
        let record = AdminAction {
            request_id: &request_id.0,
            action: "start_replay",
            subject: &format!("replay {number}"),
            detail: json!({"target": target, "filter": new.filter, "per_second": per_second}),
        };
        insert_admin_action(&mut *transaction, &record).await?;
    }
    let found = replay::find(&mut transaction, number).await?.ok_or_else(ApiError::internal)?;
    transaction.commit().await?;
    Ok(found.into())
}

async fn count(state: &AdminState, new: NewReplay) -> Result<ReplayView, ApiError> {
    let mut connection = state.pool.acquire().await?;
    let total = replay::count(&mut connection, new.target, &new.filter).await?;
    Ok(ReplayView {
        id: None,
        target: new.target.as_str().to_owned(),
        filter: new.filter,
        state: "dry_run".to_owned(),
        per_second: new.per_second,
        total: Some(total),
        seen: 0,
        enqueued: 0,
        skipped: 0,
        requested_by: new.requested_by,
        last_error: None,
        created_at: state.clock.now(),
        started_at: None,
        finished_at: None,
    })
}

/// Get a replay
#[utoipa::path(
    get, path = "/replays/{id}", operation_id = "get_replay", tag = "replays",
    params(("id" = i64, Path, description = "The replay's number")),
    responses(
        (status = 200, description = "The replay", body = ReplayEnvelope,
            example = json!({"replay": ReplayView::example()})),
        Missing, Unusable, Refusals,
    ),
)]
pub async fn get_replay(
    State(state): State<AdminState>,
    Path(id): Path<i64>,
) -> Result<Json<ReplayEnvelope>, ApiError> {
    read(&state, id).await.map(|replay| Json(ReplayEnvelope { replay }))
}

/// The replay with this number.
pub async fn read(state: &AdminState, id: i64) -> Result<ReplayView, ApiError> {
    let mut connection = state.pool.acquire().await?;
    let found = replay::find(&mut connection, id).await?;
    found.map(ReplayView::from).ok_or_else(|| ApiError::not_found("replay"))
}

/// Stop a replay
///
/// What it asked for already is done.
#[utoipa::path(
    post, path = "/replays/{id}/cancel", operation_id = "cancel_replay", tag = "replays",
    params(("id" = i64, Path, description = "The replay's number")),
    responses(
        (status = 200, description = "The replay, stopped", body = ReplayEnvelope,
            example = json!({"replay": ReplayView::example()})),
        Missing, Unusable, Conflicts, ChangeRefusals, Refusals,
    ),
)]
pub async fn cancel_replay(
    State(state): State<AdminState>,
    Extension(request_id): Extension<RequestId>,
    Path(id): Path<i64>,
) -> Result<Json<ReplayEnvelope>, ApiError> {
    cancel(&state, &request_id, id).await.map(|replay| Json(ReplayEnvelope { replay }))
}

/// Stops a replay.
pub async fn cancel(state: &AdminState, request_id: &RequestId, id: i64) -> Result<ReplayView, ApiError> {
    let mut transaction = store::begin(&state.pool).await?;
    let stopped = replay::cancel(&mut transaction, id).await?;
    let found = replay::find(&mut transaction, id).await?.ok_or_else(|| ApiError::not_found("replay"))?;
    if !stopped {
        return Err(ApiError::conflict(format!("it is not under way any more but {}", found.state)));
    }
    let record = AdminAction {
        request_id: &request_id.0,
        action: "cancel_replay",
        subject: &format!("replay {id}"),
        detail: json!({"seen": found.seen}),
    };
    insert_admin_action(&mut *transaction, &record).await?;
    transaction.commit().await?;
    Ok(found.into())
}
