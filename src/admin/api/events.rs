//! Events: what came in, and what became of it.

use axum::extract::State;
use axum::{Extension, Json};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use super::jobs::JobView;
use crate::admin::AdminState;
use crate::admin::error::{ApiError, ChangeRefusals, Missing, Refusals, Unusable};
use crate::admin::extract::{Path, Query, said};
use crate::admin::frame::RequestId;
use crate::admin::page::Window;
use crate::domain::privacy;
use crate::store::admin_actions::{AdminAction, insert_admin_action};
use crate::store::event_reads::{self, EventFilter, EventPlace, EventSummary, WorkState};
use crate::store::job_reads;

/// Which events to list; what is left out does not restrict.
#[derive(Debug, Default, Clone, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct EventQuery {
    /// The source's name.
    #[param(example = "shopee")]
    pub source: Option<String>,
    /// The platform's event code.
    #[param(example = "3")]
    pub code: Option<String>,
    /// The shop or account.
    #[param(example = "1001")]
    pub account: Option<String>,
    /// What it is about: an order number, a return number, an item id.
    #[param(example = "250101ABCDEF01")]
    pub subject: Option<String>,
    /// `push`, `lost_push`, `reconcile` or `manual`.
    pub via: Option<String>,
    /// Where its work stands: `done`, `pending` or `dead`.
    #[param(example = "dead", pattern = r"^(done|pending|dead)?$")]
    pub state: Option<String>,
    /// A part of the last error of one of its jobs that wait or were given up, in any case.
    #[param(example = "chat not found")]
    pub error: Option<String>,
    /// Received then or later.
    pub since: Option<DateTime<Utc>>,
    /// Received before.
    pub until: Option<DateTime<Utc>>,
    /// `next` of the page before.
    #[param(pattern = r"^([0-9]{1,16}-[0-9a-f]{32})?$")]
    pub cursor: Option<String>,
    /// How many at most, 1 to 500; 50 when left out.
    #[param(minimum = 1, maximum = 500)]
    pub limit: Option<u16>,
}

/// An event in a list.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct EventView {
    /// The event's id: a version 7 UUID of the instant of receipt.
    pub id: Uuid,
    /// The source's name.
    pub source: String,
    /// The shop or account; none for events of the partner.
    pub account: Option<String>,
    /// The platform's event code.
    pub code: String,
    /// Our name of that code.
    pub kind: String,
    /// What it is about: an order number, a return number, an item id.
    pub subject: Option<String>,
    /// How it came: `push`, `lost_push`, `reconcile` or `manual`.
    pub via: String,
    /// When it happened by the platform's clock.
    pub occurred_at: Option<DateTime<Utc>>,
    /// When it reached us.
    pub received_at: DateTime<Utc>,
    /// How often it came again.
    pub redeliveries: i32,
    /// Where its work stands.
    pub state: EventState,
}

/// Where the work that an event asked for stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum EventState {
    /// No job of it is left.
    Done,
    /// Jobs of it wait or run.
    Pending,
    /// A job of it was given up.
    Dead,
}

impl From<EventSummary> for EventView {
    fn from(event: EventSummary) -> Self {
        let state = match (event.jobs_dead, event.jobs_alive) {
            (1.., _) => EventState::Dead,
            (_, 1..) => EventState::Pending,
            _ => EventState::Done,
        };
        Self {
            id: event.id,
            source: event.source,
            account: event.account,
            code: event.code,
            kind: event.kind,
            subject: event.subject,
            via: event.via,
            occurred_at: event.occurred_at,
            received_at: event.received_at,
            redeliveries: event.redeliveries,
            state,
        }
    }
}

/// A page of events, newest first.
#[derive(Debug, Serialize, ToSchema)]
pub struct EventList {
    /// The events.
    pub events: Vec<EventView>,
    /// What to pass as `cursor` for the next page; none on the last.
    pub next: Option<String>,
}

/// An event with everything that is known of it.
#[derive(Debug, Serialize, ToSchema)]
pub struct EventDetail {
    /// The event.
    #[serde(flatten)]
    pub event: EventView,
    /// The envelope as sent, with `***` in the place of what belongs to a person while `masked`; none when it is
    /// not storable as JSON, see `body_base64`.
    pub payload: Option<serde_json::Value>,
    /// The bytes as received, when they are not storable as JSON; never while `masked`, because nobody can tell
    /// what in them belongs to a person.
    pub body_base64: Option<String>,
    /// Whether the data of people is hidden; `POST /events/{id}/unmask` shows it.
    pub masked: bool,
    /// When the data of people was taken out for good.
    pub erased_at: Option<DateTime<Utc>>,
    /// Why they are not.
    pub parse_error: Option<String>,
    /// SHA-256 of the bytes as received, in hex.
    pub body_sha256: String,
    /// The request headers that are kept.
    pub headers: serde_json::Value,
    /// When it last came again.
    pub last_seen_at: Option<DateTime<Utc>>,
    /// The jobs that it asked for or shares, in order; of finished ones those within retention.
    pub jobs: Vec<JobView>,
}

/// An event under its name.
#[derive(Debug, Serialize, ToSchema)]
pub struct EventEnvelope {
    /// The event.
    pub event: EventDetail,
}

/// List events
#[utoipa::path(
    get, path = "/events", operation_id = "list_events", tag = "events", params(EventQuery),
    responses(
        (status = 200, description = "A page of events, newest first", body = EventList,
            example = json!({"events": [event_example()], "next": null})),
        Unusable, Refusals,
    ),
)]
pub async fn list_events(
    State(state): State<AdminState>,
    Query(query): Query<EventQuery>,
) -> Result<Json<EventList>, ApiError> {
    list(&state, query).await.map(Json)
}

/// The page of events that `query` asks for.
pub async fn list(state: &AdminState, query: EventQuery) -> Result<EventList, ApiError> {
    let window = Window::<(DateTime<Utc>, Uuid)>::new(query.limit, query.cursor)?;
    let after = window.after.map(|(received_at, id)| EventPlace { received_at, id });
    let filter = EventFilter {
        source: said(query.source),
        code: said(query.code),
        account: said(query.account),
        subject: said(query.subject),
        via: said(query.via),
        state: said(query.state).map(|state| work_state(&state)).transpose()?,
        error: said(query.error),
        since: query.since,
        until: query.until,
    };
    let found = event_reads::list_events(&state.pool, &filter, after, window.fetch()).await?;
    let (events, next) = window.cut(found, |event| (event.received_at, event.id));
    Ok(EventList { events, next })
}

fn work_state(name: &str) -> Result<WorkState, ApiError> {
    match name {
        "done" => Ok(WorkState::Done),
        "pending" => Ok(WorkState::Pending),
        "dead" => Ok(WorkState::Dead),
        _ => Err(ApiError::bad_request("state: must be done, pending or dead")),
    }
}

/// Get an event with its payload and its jobs
#[utoipa::path(
    get, path = "/events/{id}", operation_id = "get_event", tag = "events",
    params(("id" = Uuid, Path, description = "The event's id")),
    responses(
        (status = 200, description = "The event", body = EventEnvelope, example = json!({"event": detail_example()})),
        Missing, Unusable, Refusals,
    ),
)]
pub async fn get_event(
    State(state): State<AdminState>,
    Path(id): Path<Uuid>,
) -> Result<Json<EventEnvelope>, ApiError> {
    read(&state, id).await.map(|event| Json(EventEnvelope { event }))
}

/// Show an event with the data of people
///
/// Names, addresses, numbers and messages are shown as they were sent. That they were shown, and to whom, is put
/// on record in `admin-actions` before the answer.
#[utoipa::path(
    post, path = "/events/{id}/unmask", operation_id = "unmask_event", tag = "events",
    params(("id" = Uuid, Path, description = "The event's id")),
    responses(
        (status = 200, description = "The event, as it was sent", body = EventEnvelope,
            example = json!({"event": detail_example()})),
        Missing, Unusable, ChangeRefusals, Refusals,
    ),
)]
pub async fn unmask_event(
    State(state): State<AdminState>,
    Extension(request_id): Extension<RequestId>,
    Path(id): Path<Uuid>,
) -> Result<Json<EventEnvelope>, ApiError> {
    unmask(&state, &request_id, id).await.map(|event| Json(EventEnvelope { event }))
}

/// The event with this id and the data of people; puts that on record.
pub async fn unmask(state: &AdminState, request_id: &RequestId, id: Uuid) -> Result<EventDetail, ApiError> {
    let detail = in_full(state, id).await?;
    let subject = format!("event {id}");
    let action = AdminAction {
        request_id: &request_id.0,
        action: "unmask_event",
        subject: &subject,
        detail: json!({}),
    };
    insert_admin_action(&state.pool, &action).await?;
    Ok(detail)
}

/// The event with this id; the data of people is masked.
pub async fn read(state: &AdminState, id: Uuid) -> Result<EventDetail, ApiError> {
    let mut detail = in_full(state, id).await?;
    if let Some(payload) = &mut detail.payload {
        privacy::mask(payload);
    }
    Ok(EventDetail { body_base64: None, masked: true, ..detail })
}

async fn in_full(state: &AdminState, id: Uuid) -> Result<EventDetail, ApiError> {
    let missing = || ApiError::not_found("event");
    let event = event_reads::find_event(&state.pool, id).await?.ok_or_else(missing)?;
    let content = event_reads::find_event_content(&state.pool, id).await?.ok_or_else(missing)?;
    let jobs = job_reads::list_jobs_of_event(&state.pool, id).await?;
    Ok(EventDetail {
        event: event.into(),
        payload: content.payload,
        body_base64: content.body.map(|body| STANDARD.encode(body)),
        masked: false,
        erased_at: content.erased_at,
        parse_error: content.parse_error,
        body_sha256: hex::encode(content.body_sha256),
        headers: content.headers,
        last_seen_at: content.last_seen_at,
        jobs: jobs.into_iter().map(JobView::from).collect(),
    })
}

fn event_example() -> serde_json::Value {
    json!({
        "id": "0198c2f0-5d3e-7c37-9f0e-0a7d3c1b2e4f", "source": "shopee", "account": "1001", "code": "3",
        "kind": "order_status", "subject": "250101ABCDEF01", "via": "push",
        "occurred_at": "2026-11-21T05:00:00Z", "received_at": "2026-11-21T05:00:01.250Z",
        "redeliveries": 0, "state": "done",
    })
}

fn detail_example() -> serde_json::Value {
    let mut detail = event_example();
    let more = json!({
        "payload": {"code": 3, "shop_id": 1001, "timestamp": 1_795_237_200,
            "data": {"ordersn": "250101ABCDEF01", "status": "READY_TO_SHIP"}},
        "body_base64": null, "masked": true, "erased_at": null, "parse_error": null,
        "body_sha256": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
        "headers": {"user-agent": "Shopee"}, "last_seen_at": null, "jobs": [JobView::example()],
    });
    if let (Some(detail), serde_json::Value::Object(more)) = (detail.as_object_mut(), more) {
        detail.extend(more);
    }
    detail
}
