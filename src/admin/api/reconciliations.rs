//! Comparisons with what the platform says: what they came to, and asking for one.

use axum::extract::State;
use axum::http::StatusCode;
use axum::{Extension, Json};
use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::{IntoParams, ToSchema};

use crate::admin::AdminState;
use crate::admin::error::{ApiError, ChangeRefusals, Conflicts, Missing, Refusals, Unusable};
use crate::admin::extract::{Json as Body, Path, Query, page_size, said};
use crate::admin::frame::RequestId;
use crate::domain::shopee::push::PLATFORM;
use crate::store;
use crate::store::admin_actions::{AdminAction, insert_admin_action};
use crate::store::reconciliation_lists::{self as lists, Range, ReconciliationFilter, ReconciliationRow};
use crate::store::{schedules, shops};

/// The task that does what was asked for.
const TASK: &str = "reconcile";
/// No platform lists what is older.
const LONGEST: TimeDelta = TimeDelta::days(366);

/// Which comparisons to list.
#[derive(Debug, Default, Clone, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ReconciliationQuery {
    /// Of this shop.
    pub shop_id: Option<String>,
    /// `orders` (since the last), `deep` (once more over days), `income` (money that was released) or `manual`.
    pub kind: Option<String>,
    /// `asked`, `running`, `done` or `failed`.
    pub state: Option<String>,
    /// `next` of the page before.
    pub cursor: Option<String>,
    /// How many at most, 1 to 500; 50 when left out.
    #[param(minimum = 1, maximum = 500)]
    pub limit: Option<u16>,
}

/// One comparison of one shop with what the platform says.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct ReconciliationView {
    /// Its number.
    pub id: i64,
    /// The shop.
    pub shop_id: String,
    /// `orders`, `deep`, `income` or `manual`.
    pub kind: String,
    /// What is compared: `orders` that changed in the range, or `income` that was released in it.
    pub what: String,
    /// From this time on.
    pub from: DateTime<Utc>,
    /// Up to this time.
    pub to: DateTime<Utc>,
    /// `asked`, `running`, `done` or `failed`.
    pub state: String,
    /// Everything before was compared.
    pub covered_to: Option<DateTime<Utc>>,
    /// Orders that the platform listed.
    pub listed: i32,
    /// Changes that we had not heard of; each became an event.
    pub found: i32,
    /// Orders read again without an event: newer details, or released income.
    pub refreshed: i32,
    /// Orders that were as we had them.
    pub known: i32,
    /// Why it failed, or why it waits.
    pub error: Option<String>,
    /// When it was asked for.
    pub asked_at: DateTime<Utc>,
    /// When it began.
    pub started_at: Option<DateTime<Utc>>,
    /// When it ended.
    pub finished_at: Option<DateTime<Utc>>,
}

impl From<ReconciliationRow> for ReconciliationView {
    fn from(row: ReconciliationRow) -> Self {
        Self {
            id: row.id,
            shop_id: row.shop_id,
            kind: row.kind,
            what: row.what,
            from: row.time_from,
            to: row.time_to,
            state: row.state,
            covered_to: row.covered_to,
            listed: row.listed,
            found: row.found,
            refreshed: row.refreshed,
            known: row.known,
            error: row.error,
            asked_at: row.asked_at,
            started_at: row.started_at,
            finished_at: row.finished_at,
        }
    }
}

/// A page of comparisons.
#[derive(Debug, Serialize, ToSchema)]
pub struct ReconciliationList {
    /// Newest first.
    pub reconciliations: Vec<ReconciliationView>,
    /// What to pass as `cursor` for the next page; none on the last.
    pub next: Option<String>,
}

/// A comparison under its name.
#[derive(Debug, Serialize, ToSchema)]
pub struct ReconciliationEnvelope {
    /// The comparison.
    pub reconciliation: ReconciliationView,
}

/// What to compare.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ReconciliationRequest {
    /// Changes from this time on.
    pub from: DateTime<Utc>,
    /// Changes up to this time; left out: up to now.
    pub to: Option<DateTime<Utc>>,
    /// The shop; left out: every active one.
    pub shop_id: Option<String>,
    /// `orders` that changed in the range, or `income` that was released in it; `orders` when left out.
    pub what: Option<String>,
}

/// List comparisons
#[utoipa::path(
    get, path = "/reconciliations", operation_id = "list_reconciliations", tag = "reconciliations",
    params(ReconciliationQuery),
    responses(
        (status = 200, description = "A page of comparisons, newest first", body = ReconciliationList,
            example = json!({"reconciliations": [example()], "next": null})),
        Unusable, Refusals,
    ),
)]
pub async fn list_reconciliations(
    State(state): State<AdminState>,
    Query(query): Query<ReconciliationQuery>,
) -> Result<Json<ReconciliationList>, ApiError> {
    let limit = page_size(query.limit)?;
    let strange = |_| ApiError::bad_request("cursor: must be `next` of a page of reconciliations");
    let before = said(query.cursor).map(|cursor| cursor.parse()).transpose().map_err(strange)?;
    let filter = ReconciliationFilter {
        shop_id: said(query.shop_id),
        kind: one_of("kind", said(query.kind), &["orders", "deep", "income", "manual"])?,
        state: one_of("state", said(query.state), &["asked", "running", "done", "failed"])?,
    };
    let mut found = lists::list(&state.pool, &filter, before, limit + 1).await?;
    let more = found.len() > usize::from(limit);
    found.truncate(usize::from(limit));
    let next = found.last().filter(|_| more).map(|last| last.id.to_string());
    let reconciliations = found.into_iter().map(ReconciliationView::from).collect();
    Ok(Json(ReconciliationList { reconciliations, next }))
}

/// Get a comparison
#[utoipa::path(
    get, path = "/reconciliations/{id}", operation_id = "get_reconciliation", tag = "reconciliations",
    params(("id" = i64, Path, description = "The comparison's number")),
    responses(
        (status = 200, description = "The comparison", body = ReconciliationEnvelope,
            example = json!({"reconciliation": example()})),
        Missing, Unusable, Refusals,
    ),
)]
pub async fn get_reconciliation(
    State(state): State<AdminState>,
    Path(id): Path<i64>,
) -> Result<Json<ReconciliationEnvelope>, ApiError> {
    let found = lists::find(&state.pool, id).await?.ok_or_else(|| ApiError::not_found("reconciliation"))?;
    Ok(Json(ReconciliationEnvelope { reconciliation: found.into() }))
}

/// Compare a range of time
///
/// One comparison for each shop. A scheduler begins within about a second; a range may be long, it is gone through
/// in parts. What was compared before may be compared again: only what nobody heard of becomes an event.
#[utoipa::path(
    post, path = "/reconciliations", operation_id = "start_reconciliation", tag = "reconciliations",
    request_body(content = ReconciliationRequest,
        example = json!({"from": "2026-11-20T00:00:00Z", "to": "2026-11-21T00:00:00Z", "shop_id": "10000001"})),
    responses(
        (status = 202, description = "They begin as soon as a scheduler looks", body = ReconciliationList,
            example = json!({"reconciliations": [example()], "next": null})),
        Unusable, Conflicts, ChangeRefusals, Refusals,
    ),
)]
pub async fn start_reconciliation(
    State(state): State<AdminState>,
    Extension(request_id): Extension<RequestId>,
    Body(request): Body<ReconciliationRequest>,
) -> Result<(StatusCode, Json<ReconciliationList>), ApiError> {
    let now = state.clock.now();
    let to = request.to.unwrap_or(now);
    if request.from >= to || request.from > now {
        return Err(ApiError::bad_request("from: must be before `to`, and not in the future"));
    }
    if to - request.from > LONGEST {
        return Err(ApiError::bad_request("from: a range has at most 366 days"));
    }
    let what = one_of("what", said(request.what), &["orders", "income"])?;
    let shop_id = said(request.shop_id);
    let range = Range {
        shop_id: shop_id.as_deref(),
        what: what.as_deref().unwrap_or("orders"),
        from: request.from,
        to: to.min(now),
    };
    let mut transaction = store::begin(&state.pool).await?;
    let asked = lists::ask(&mut transaction, PLATFORM, &range).await?;
    if asked.is_empty() {
        return Err(match &shop_id {
            Some(id) if shops::find_shop(&mut transaction, PLATFORM, id).await?.is_none() => {
                ApiError::bad_request("shop_id: there is no such shop")
            }
            Some(_) => ApiError::conflict("the shop is not active: authorize or enable it first"),
            None => ApiError::conflict("there is no active shop to compare"),
        });
    }
    if !schedules::ask_run(&mut transaction, TASK).await? {
        return Err(ApiError::conflict("no scheduler with Shopee's API ever ran here; start one first"));
    }
    let detail = json!({"from": range.from, "to": range.to, "what": range.what, "shops": asked.len()});
    let subject = shop_id.as_ref().map_or_else(|| "all shops".to_owned(), |id| format!("shop {id}"));
    let action =
        AdminAction { request_id: &request_id.0, action: "start_reconciliation", subject: &subject, detail };
    insert_admin_action(&mut *transaction, &action).await?;
    transaction.commit().await?;
    let reconciliations = asked.into_iter().map(ReconciliationView::from).collect();
    Ok((StatusCode::ACCEPTED, Json(ReconciliationList { reconciliations, next: None })))
}

fn one_of(name: &str, value: Option<String>, known: &[&str]) -> Result<Option<String>, ApiError> {
    match value {
        Some(value) if !known.contains(&value.as_str()) => {
            Err(ApiError::bad_request(format!("{name}: must be one of {}", known.join(", "))))
        }
        value => Ok(value),
    }
}

fn example() -> serde_json::Value {
    json!({
        "id": 42, "shop_id": "10000001", "kind": "orders", "what": "orders", "from": "2026-11-21T04:48:00Z",
        "to": "2026-11-21T05:03:00Z", "state": "done", "covered_to": "2026-11-21T05:03:00Z", "listed": 12,
        "found": 1, "refreshed": 2, "known": 9, "error": null, "asked_at": "2026-11-21T05:05:00Z",
        "started_at": "2026-11-21T05:05:00Z", "finished_at": "2026-11-21T05:05:02Z",
    })
}
