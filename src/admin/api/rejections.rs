//! Refused pushes: why, what would have matched, and accepting one after the configuration was mended.

use axum::extract::State;
use axum::{Extension, Json};
use chrono::{DateTime, Utc};
use secrecy::ExposeSecret as _;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use crate::admin::AdminState;
use crate::admin::error::{ApiError, ChangeRefusals, Conflicts, Missing, Refusals, Unusable};
use crate::admin::extract::{Path, Query, page_size, said};
use crate::admin::frame::RequestId;
use crate::domain::event::Via;
use crate::domain::privacy;
use crate::domain::push::{Arrival, ParsedPush, sha256};
use crate::domain::seal::rejection_place;
use crate::domain::sources::{Admitted, KeptRequest, Pushed, Source};
use crate::queue::{Accepted, intake};
use crate::store::admin_actions::{AdminAction, insert_admin_action};
use crate::store::begin;
use crate::store::rejections::{self, RejectionFilter, RejectionRow};

/// Characters of a body that are shown.
const SHOWN: usize = 4000;

/// A refused push.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct RejectionView {
    /// Its number.
    pub id: i64,
    /// Name of the source it claimed to be from.
    pub source: String,
    /// `missing`, `wrong`, `expired_secret`, `stale`, `account` or `network`.
    pub cause: String,
    /// What was found out about it; none when there were too many to look at.
    pub reason: Option<String>,
    /// Whether the sender holds a key that is known here: then the configuration is more likely wrong than the
    /// sender.
    pub near_miss: bool,
    /// Where it came from.
    pub address: Option<String>,
    /// The account in the path.
    pub account: Option<String>,
    /// Length of the body.
    pub body_bytes: i32,
    /// When it was first refused.
    pub refused_at: DateTime<Utc>,
    /// When the same request was last refused.
    pub last_seen_at: DateTime<Utc>,
    /// How often the same request was refused.
    pub times: i32,
    /// Until when it can be verified again; none: no more.
    pub kept_until: Option<DateTime<Utc>>,
    /// When a person accepted it.
    pub accepted_at: Option<DateTime<Utc>>,
    /// The event it became.
    pub event_id: Option<Uuid>,
}

impl From<&RejectionRow> for RejectionView {
    fn from(row: &RejectionRow) -> Self {
        Self {
            id: row.id,
            source: row.source.clone(),
            cause: row.cause.clone(),
            reason: row.reason.clone(),
            near_miss: row.near_miss,
            address: row.address.clone(),
            account: row.account.clone(),
            body_bytes: row.body_bytes,
            refused_at: row.refused_at,
            last_seen_at: row.last_seen_at,
            times: row.times,
            kept_until: row.sealed_until,
            accepted_at: row.accepted_at,
            event_id: row.event_id,
        }
    }
}

impl RejectionView {
    fn example() -> serde_json::Value {
        json!({
            "id": 12, "source": "shopee", "cause": "wrong",
            "reason": "it matches callback URL \"https://hooks.example.com/webhook/shopee/\" and body with WEBHOOK_PARTNER_KEY",
            "near_miss": true, "address": "203.0.113.5", "account": null, "body_bytes": 212,
            "refused_at": "2026-11-21T05:00:00Z", "last_seen_at": "2026-11-21T05:05:00Z", "times": 2,
            "kept_until": "2026-11-24T05:00:00Z", "accepted_at": null, "event_id": null,
        })
    }
}

/// A refused push, looked at again with the configuration of now.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct RejectionDetail {
    /// The refusal.
    pub rejection: RejectionView,
    /// Whether it would be accepted now.
    pub acceptable: bool,
    /// If not, why not.
    pub why_not: Option<String>,
    /// SHA-256 of the body, in hexadecimal.
    pub body_sha256: String,
    /// Headers on the source's allow-list; never the proof.
    pub headers: serde_json::Value,
    /// The beginning of the body, buyers masked; none of one that is no JSON, in which nobody can tell them. Nobody
    /// vouches for it.
    pub body: Option<String>,
}

/// Which refusals to list; what is left out does not restrict.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(default, deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct RejectionQuery {
    /// The source's name.
    pub source: Option<String>,
    /// `missing`, `wrong`, `expired_secret`, `stale`, `account` or `network`.
    pub cause: Option<String>,
    /// Where it came from.
    pub address: Option<String>,
    /// `true`: only those whose sender holds a key that is known here.
    pub near_miss: Option<bool>,
    /// `true`: only those that a person has accepted; `false`: only the others.
    pub accepted: Option<bool>,
    /// `next` of the page before.
    pub cursor: Option<i64>,
    /// How many at most, 1 to 500; 50 when left out.
    #[param(minimum = 1, maximum = 500)]
    pub limit: Option<u16>,
}

/// A page of refusals, newest first.
#[derive(Debug, Serialize, ToSchema)]
pub struct RejectionList {
    /// The refusals.
    pub rejections: Vec<RejectionView>,
    /// What to pass as `cursor` for the next page; none on the last.
    pub next: Option<i64>,
}

/// List refused pushes
///
/// A sample: so many a minute, so many per source. The metric `pushbox_pushes_total` counts them all.
#[utoipa::path(
    get, path = "/rejections", operation_id = "list_rejections", tag = "sources", params(RejectionQuery),
    responses(
        (status = 200, description = "The refusals", body = RejectionList,
            example = json!({"rejections": [RejectionView::example()], "next": null})),
        Unusable, Refusals,
    ),
)]
pub async fn list_rejections(
    State(state): State<AdminState>,
    Query(query): Query<RejectionQuery>,
) -> Result<Json<RejectionList>, ApiError> {
    let limit = page_size(query.limit)?;
    let filter = RejectionFilter {
        source: said(query.source),
        cause: said(query.cause),
        address: said(query.address),
        near_miss: query.near_miss,
        accepted: query.accepted,
    };
    let found = rejections::list(&state.pool, &filter, query.cursor, limit).await?;
    let next = found.last().filter(|_| found.len() == usize::from(limit)).map(|row| row.id);
    Ok(Json(RejectionList { rejections: found.iter().map(RejectionView::from).collect(), next }))
}

/// Get a refused push, verified again
///
/// Verified with the configuration of now, as of the time it came; nothing is changed.
#[utoipa::path(
    get, path = "/rejections/{id}", operation_id = "get_rejection", tag = "sources",
    params(("id" = i64, Path, description = "The refusal's number")),
    responses(
        (status = 200, description = "The refusal", body = RejectionDetail, example = json!({
            "rejection": RejectionView::example(), "acceptable": true, "why_not": null,
            "body_sha256": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
            "headers": {"content-type": "application/json"}, "body": "{\"code\":3}"})),
        Missing, Unusable, Refusals,
    ),
)]
pub async fn get_rejection(
    State(state): State<AdminState>,
    Path(id): Path<i64>,
) -> Result<Json<RejectionDetail>, ApiError> {
    let row = rejections::find(&state.pool, id).await?.ok_or_else(|| ApiError::not_found("rejection"))?;
    let request = kept(&state, &row);
    let body = request.as_ref().ok();
    let body = body.and_then(|request| request.look(|push: &Pushed<'_>| shown(push.body)).ok().flatten());
    let verdict = request.and_then(|request| admitted(&state, &row, &request));
    let why_not = verdict.as_ref().err().cloned();
    Ok(Json(RejectionDetail {
        rejection: RejectionView::from(&row),
        acceptable: verdict.is_ok(),
        why_not,
        body_sha256: hex::encode(&row.body_sha256),
        headers: row.headers,
        body,
    }))
}

/// The beginning of a JSON document: byte for byte, or written anew where it tells of a buyer, who is masked.
fn shown(body: &[u8]) -> Option<String> {
    let told: Value = serde_json::from_slice(body).ok().filter(|told: &Value| !told.is_string())?;
    let mut masked = told.clone();
    privacy::mask(&mut masked);
    let text = if masked == told { String::from_utf8_lossy(body) } else { masked.to_string().into() };
    Some(text.chars().take(SHOWN).collect())
}

/// What became of it.
#[derive(Debug, Serialize, ToSchema)]
pub struct AcceptedView {
    /// The event.
    pub event_id: Uuid,
    /// Whether it is new; `false` when the platform sent it again in the meantime.
    pub new: bool,
}

/// Accept a refused push
///
/// Only when it proves itself with the configuration of now. It goes the way of every push: one key, one event,
/// its jobs, in one transaction; a retry of it that came in the meantime is the same event.
#[utoipa::path(
    post, path = "/rejections/{id}/accept", operation_id = "accept_rejection", tag = "sources",
    params(("id" = i64, Path, description = "The refusal's number")),
    responses(
        (status = 200, description = "Stored", body = AcceptedView,
            example = json!({"event_id": "0198c2f0-5d3e-7c37-9f0e-0a7d3c1b2e4f", "new": true})),
        Missing, Unusable, Conflicts, ChangeRefusals, Refusals,
    ),
)]
pub async fn accept_rejection(
    State(state): State<AdminState>,
    Extension(request_id): Extension<RequestId>,
    Path(id): Path<i64>,
) -> Result<Json<AcceptedView>, ApiError> {
    let mut transaction = begin(&state.pool).await?;
    let row = rejections::lock(&mut transaction, id).await?;
    let row = row.ok_or_else(|| ApiError::not_found("rejection"))?;
    let request = kept(&state, &row).map_err(ApiError::conflict)?;
    let (push, arrival) = admitted(&state, &row, &request).map_err(ApiError::conflict)?;
    let accepted =
        intake::accept_all(&mut transaction, vec![state.plan.load().intake(push, arrival)]).await?;
    let Some(accepted) = accepted.into_iter().next() else { return Err(ApiError::internal()) };
    rejections::accept(&mut transaction, id, accepted.event_id()).await?;
    let action = AdminAction {
        request_id: &request_id.0,
        action: "accept_rejection",
        subject: &format!("rejection {id}"),
        detail: json!({"source": row.source, "event_id": accepted.event_id()}),
    };
    insert_admin_action(&mut *transaction, &action).await?;
    transaction.commit().await?;
    state.waker.wake();
    let new = matches!(accepted, Accepted::New(_));
    Ok(Json(AcceptedView { event_id: accepted.event_id(), new }))
}

/// The request, or why there is none any more.
fn kept(state: &AdminState, row: &RejectionRow) -> Result<KeptRequest, String> {
    if let Some(event) = row.event_id {
        return Err(format!("it was accepted already, as event {event}"));
    }
    let Some(sealed) = &row.sealed else {
        let because = if state.sealer.has_key() {
            "its time is over, it has no proof, or it is too long"
        } else {
            "requests are kept with ENCRYPTION_KEY only"
        };
        return Err(format!("the request is not kept: {because}"));
    };
    let place = rejection_place(&row.source, &row.fingerprint);
    let text = state.sealer.open(sealed, &place).map_err(|error| error.to_string())?;
    serde_json::from_str(text.expose_secret()).map_err(|_| "the kept request is damaged".to_owned())
}

/// The push, if the configuration of now accepts it.
fn admitted(
    state: &AdminState,
    row: &RejectionRow,
    request: &KeptRequest,
) -> Result<(ParsedPush, Arrival), String> {
    let source = state.sources.iter().find(|source| source.name == row.source);
    let source = source.ok_or_else(|| format!("there is no source {} here any more", row.source))?;
    let now = state.clock.now();
    request.look(|push| admit(source, push, now)).map_err(|error| error.to_string())?
}

fn admit(source: &Source, push: &Pushed<'_>, now: DateTime<Utc>) -> Result<(ParsedPush, Arrival), String> {
    match source.admit(push) {
        Ok(Admitted::Push(parsed, _)) => {
            let arrival = Arrival {
                source: source.name.clone(),
                body_sha256: sha256(push.body),
                headers: source.kept_headers(push.headers),
                received_at: now,
                via: Via::Manual,
            };
            Ok((*parsed, arrival))
        }
        Ok(Admitted::Probe) => Err("it is a verification probe: there is nothing to store".to_owned()),
        Err(refusal) => Err(source.diagnose(refusal, push).text),
    }
}

#[cfg(test)]
mod tests {
    use super::shown;

    #[test]
    fn a_buyer_is_masked_and_everything_else_shown_as_it_came() {
        assert_eq!(shown(b"{ \"code\":3 }").as_deref(), Some("{ \"code\":3 }"));
        assert_eq!(
            (shown(b"no JSON of jolly_buyer"), shown(b"\"jolly_buyer\""), shown(b"")),
            (None, None, None)
        );
        let masked = shown(br#"{"data":{"buyer_username":"jolly_buyer","ordersn":"A1"}}"#).expect("a text");
        assert!(masked.contains("A1") && !masked.contains("jolly"), "{masked}");
    }
}
