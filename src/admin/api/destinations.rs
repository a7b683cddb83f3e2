//! The outside destinations: which are out of use, and why.

use axum::extract::State;
use axum::{Extension, Json};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::json;
use sqlx::PgConnection;
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use crate::admin::AdminState;
use crate::admin::error::{ApiError, ChangeRefusals, Missing, Refusals, Unusable};
use crate::admin::extract::{Path, Query, page_size, said};
use crate::admin::frame::RequestId;
use crate::admin::page::cut_between_events;
use crate::domain::job::Queue;
use crate::domain::route::Routes;
use crate::queue::control;
use crate::store;
use crate::store::admin_actions::{AdminAction, insert_admin_action};
use crate::store::breakers;
use crate::store::call_budget::APP;
use crate::store::deliveries::{self, Delivery, DeliveryFilter};
use crate::store::destination_lists::{self, Destination, Place};

/// One destination, over all processes.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(example = json!(DestinationView::example()))]
pub struct DestinationView {
    /// A platform, `sheet`, `telegram`, `google` (the account's quota) or `forward`.
    pub kind: String,
    /// Shop, spreadsheet, chat (with its topic), name of a forward.
    pub name: String,
    /// The breaker: `closed` (in use), `open` (not used before `paused_until`), `half_open` (being tried).
    pub state: String,
    /// Failures in a row.
    pub failures: i32,
    /// Since when it is out of use.
    pub opened_at: Option<DateTime<Utc>>,
    /// Not used before, because of how it answered.
    pub paused_until: Option<DateTime<Utc>>,
    /// Why it is not used before then, and what to do about it.
    pub reason: Option<String>,
    /// Since when a person has it paused: not used before it is resumed, whatever the breaker says.
    pub paused_at: Option<DateTime<Utc>>,
    /// Why that person paused it.
    pub paused_reason: Option<String>,
    /// Jobs that wait for it. Those of a topic are its chat's; calls of an app or account have no jobs of their own.
    pub waiting_jobs: i64,
    /// Its rate budget is spent up to this time; none: there is some.
    pub spent_until: Option<DateTime<Utc>>,
    /// How many times slower than set it is used, because it said "too many requests".
    pub pace: f32,
    /// How it failed last.
    pub last_error: Option<String>,
    /// When it failed last.
    pub last_failure_at: Option<DateTime<Utc>>,
    /// When it last worked after a failure.
    pub last_success_at: Option<DateTime<Utc>>,
}

impl From<Destination> for DestinationView {
    fn from(found: Destination) -> Self {
        Self {
            kind: found.kind,
            name: found.name,
            state: found.state,
            failures: found.failures,
            opened_at: found.opened_at,
            paused_until: found.paused_until,
            reason: found.reason,
            paused_at: found.paused_at,
            paused_reason: found.paused_reason,
            waiting_jobs: found.waiting_jobs,
            spent_until: found.spent_until,
            pace: found.pace,
            last_error: found.last_error,
            last_failure_at: found.last_failure_at,
            last_success_at: found.last_success_at,
        }
    }
}

impl DestinationView {
    pub(super) fn example() -> serde_json::Value {
        json!({
            "kind": "sheet", "name": "1AbC", "state": "open", "failures": 1,
            "opened_at": "2026-11-21T05:00:00Z", "paused_until": "2026-11-21T05:05:00Z",
            "reason": "The caller does not have permission; share the spreadsheet as Editor with bot@example.com",
            "paused_at": null, "paused_reason": null, "waiting_jobs": 12, "spent_until": null, "pace": 1.0, "last_error": "The caller does not have permission",
            "last_failure_at": "2026-11-21T05:00:00Z", "last_success_at": null,
        })
    }
}

/// All destinations.
#[derive(Debug, Serialize, ToSchema)]
pub struct DestinationList {
    /// Those in trouble first.
    pub destinations: Vec<DestinationView>,
}

/// List the outside destinations
///
/// Every shop, spreadsheet, chat and service that is configured here, or was ever limited, paused or failed; those
/// that are paused or in trouble first.
#[utoipa::path(
    get, path = "/destinations", operation_id = "list_destinations", tag = "destinations",
    responses(
        (status = 200, description = "The destinations", body = DestinationList,
            example = json!({"destinations": [DestinationView::example()]})),
        Refusals,
    ),
)]
pub async fn list_destinations(State(state): State<AdminState>) -> Result<Json<DestinationList>, ApiError> {
    read(&state).await.map(|destinations| Json(DestinationList { destinations }))
}

/// All destinations, as the API shows them.
pub async fn read(state: &AdminState) -> Result<Vec<DestinationView>, ApiError> {
    let found = destination_lists::list(&state.pool, &configured(&state.plan.load().routes), None).await?;
    Ok(found.into_iter().map(DestinationView::from).collect())
}

/// One destination, as the API shows it.
pub(super) async fn find(state: &AdminState, kind: &str, name: &str) -> Result<DestinationView, ApiError> {
    let configured = configured(&state.plan.load().routes);
    let found = destination_lists::list(&state.pool, &configured, Some((kind, name))).await?.pop();
    found.map(DestinationView::from).ok_or_else(|| ApiError::not_found("destination"))
}

/// What the settings name as destinations.
fn configured(routes: &Routes) -> Vec<Place> {
    let place = |kind: &str, name: String| (kind.to_owned(), name);
    let sheets = routes.spreadsheets.iter().map(|one| place("sheet", one.spreadsheet_id.clone()));
    let chats = routes.chats.iter().map(|one| place("telegram", one.chat_id.to_string()));
    let forwards = routes.forwards.iter().map(|one| place("forward", one.target.clone()));
    sheets.chain(chats).chain(forwards).collect()
}

/// What a reset did.
#[derive(Debug, Serialize, ToSchema)]
pub struct ResetView {
    /// Whether there was a pause or an open breaker to end.
    pub reset: bool,
    /// Jobs that waited and are due now.
    pub jobs: i64,
}

/// Put a destination back into use
///
/// Closes its breaker, ends the pause that came of failures, and makes the jobs that wait for it due at once. If it
/// still does not work, its breaker opens again. A pause that a person made stays; `resume` ends it.
#[utoipa::path(
    post, path = "/destinations/{kind}/{name}/reset", operation_id = "reset_destination", tag = "destinations",
    params(
        ("kind" = String, Path, description = "As the list has it"),
        ("name" = String, Path, description = "As the list has it, percent-encoded: a URL has slashes"),
    ),
    responses(
        (status = 200, description = "It is in use again", body = ResetView,
            example = json!({"reset": true, "jobs": 12})),
        Missing, ChangeRefusals, Refusals,
    ),
)]
pub async fn reset_destination(
    State(state): State<AdminState>,
    Extension(request_id): Extension<RequestId>,
    Path((kind, name)): Path<(String, String)>,
) -> Result<Json<ResetView>, ApiError> {
    let mut transaction = store::begin(&state.pool).await?;
    let reset = breakers::reset(&mut transaction, &kind, &name).await?;
    let reset = reset.ok_or_else(|| ApiError::not_found("destination"))?;
    let jobs = let_go(&mut transaction, &kind, &name).await?;
    let action = AdminAction {
        request_id: &request_id.0,
        action: "reset_destination",
        subject: &format!("{kind} {name}"),
        detail: json!({"jobs": jobs}),
    };
    insert_admin_action(&mut *transaction, &action).await?;
    transaction.commit().await?;
    state.waker.wake();
    Ok(Json(ResetView { reset, jobs: i64::try_from(jobs).unwrap_or(i64::MAX) }))
}

/// Makes the jobs that wait for a destination due at once; returns how many.
pub(super) async fn let_go(
    connection: &mut PgConnection,
    kind: &str,
    name: &str,
) -> Result<u64, sqlx::Error> {
    let (queue, batch_key) = work_for(kind, name);
    control::hasten(connection, queue, batch_key.as_deref()).await
}

/// Where the jobs are that wait for a destination: under a batch key, or all over the queue.
fn work_for(kind: &str, name: &str) -> (Queue, Option<String>) {
    match kind {
        "sheet" => (Queue::Sheet, Some(name.to_owned())),
        "google" => (Queue::Sheet, None),
        // A topic's name follows its chat's.
        "telegram" => (Queue::Notify, Some(name.split(':').next().unwrap_or(name).to_owned())),
        "forward" => (Queue::Forward, Some(name.to_owned())),
        _ if name.starts_with(APP) => (Queue::Enrich, None),
        platform => (Queue::Enrich, Some(format!("{platform}:{name}"))),
    }
}

/// One event and one service it is forwarded to.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(example = json!(DeliveryView::example()))]
pub struct DeliveryView {
    /// Name of the target.
    pub target: String,
    /// The event; also its `webhook-id`.
    pub event_id: Uuid,
    /// `retrying`, `delivered` or `given_up`.
    pub state: String,
    /// How often it was posted.
    pub attempts: i32,
    /// HTTP status of the last answer.
    pub status: Option<i32>,
    /// The beginning of the last answer's body.
    pub response: Option<String>,
    /// Why the last attempt failed.
    pub error: Option<String>,
    /// How long the last attempt took, in milliseconds.
    pub duration_ms: Option<i32>,
    /// When it was first posted.
    pub first_tried_at: DateTime<Utc>,
    /// When it was last posted.
    pub last_tried_at: DateTime<Utc>,
    /// When the service accepted it.
    pub delivered_at: Option<DateTime<Utc>>,
}

impl From<Delivery> for DeliveryView {
    fn from(found: Delivery) -> Self {
        Self {
            target: found.target,
            event_id: found.event_id,
            state: found.state,
            attempts: found.attempts,
            status: found.status,
            response: found.response,
            error: found.error,
            duration_ms: found.duration_ms,
            first_tried_at: found.first_tried_at,
            last_tried_at: found.last_tried_at,
            delivered_at: found.delivered_at,
        }
    }
}

impl DeliveryView {
    fn example() -> serde_json::Value {
        json!({
            "target": "https://erp.example.com/hooks/pushbox",
            "event_id": "0198c2f0-5d3e-7c37-9f0e-0a7d3c1b2e4f", "state": "retrying", "attempts": 3, "status": 503,
            "response": "upstream is down", "error": "HTTP 503", "duration_ms": 41,
            "first_tried_at": "2026-11-21T05:00:00Z", "last_tried_at": "2026-11-21T05:01:00Z", "delivered_at": null,
        })
    }
}

/// Which deliveries.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(default, deny_unknown_fields)]
pub struct DeliveryQuery {
    /// Name of the target.
    pub target: Option<String>,
    /// The event.
    pub event_id: Option<Uuid>,
    /// `retrying`, `delivered` or `given_up`.
    #[param(pattern = r"^(retrying|delivered|given_up)?$")]
    pub state: Option<String>,
    /// `next` of the page before.
    pub cursor: Option<Uuid>,
    /// Deliveries on the page: 1 to 500, else 50.
    #[param(minimum = 1, maximum = 500)]
    pub limit: Option<u16>,
}

/// A page of deliveries, newest events first.
#[derive(Debug, Serialize, ToSchema)]
pub struct DeliveryList {
    /// The deliveries.
    pub deliveries: Vec<DeliveryView>,
    /// What to pass as `cursor` for the next page; none on the last.
    pub next: Option<Uuid>,
}

/// List what was forwarded
///
/// One entry for each event and target that was tried. With several targets ask for one, or for one event:
/// a page ends between events.
#[utoipa::path(
    get, path = "/deliveries", operation_id = "list_deliveries", tag = "destinations", params(DeliveryQuery),
    responses(
        (status = 200, description = "A page of deliveries, newest events first", body = DeliveryList,
            example = json!({"deliveries": [DeliveryView::example()], "next": null})),
        Unusable, Refusals,
    ),
)]
pub async fn list_deliveries(
    State(state): State<AdminState>,
    Query(query): Query<DeliveryQuery>,
) -> Result<Json<DeliveryList>, ApiError> {
    let limit = page_size(query.limit)?;
    let filter = DeliveryFilter {
        target: said(query.target),
        event_id: query.event_id,
        state: said(query.state),
        before: query.cursor,
    };
    let states = ["retrying", "delivered", "given_up"];
    if filter.state.as_ref().is_some_and(|state| !states.contains(&state.as_str())) {
        return Err(ApiError::bad_request("state: must be retrying, delivered or given_up"));
    }
    let found = deliveries::list_deliveries(&state.pool, &filter, limit + 1).await?;
    let (found, next) = cut_between_events(found, limit, |one| one.event_id);
    Ok(Json(DeliveryList { deliveries: found.into_iter().map(DeliveryView::from).collect(), next }))
}
