//! What was announced on Telegram, and of what nobody knows whether it arrived.

use axum::Json;
use axum::extract::State;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use crate::admin::AdminState;
use crate::admin::error::{ApiError, Refusals, Unusable};
use crate::admin::extract::{Query, page_size};
use crate::admin::page::cut_between_events;
use crate::store::telegram_orders::{self, AnnouncementFilter, AnnouncementPart};

/// One part of the announcement of one event in one chat.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(example = json!(AnnouncementView::example()))]
pub struct AnnouncementView {
    /// The chat as it is set.
    pub chat_id: i64,
    /// The event.
    pub event_id: Uuid,
    /// Number of the part, from 0.
    pub part: i16,
    /// How many parts there are.
    pub parts: i16,
    /// `intended` (about to be sent), `sent`, or `uncertain` (nobody knows whether it arrived).
    pub state: String,
    /// Uncertain, and left to a person: retry its dead job to send it again.
    pub held: bool,
    /// The topic it went to.
    pub thread_id: Option<i32>,
    /// Telegram's id of the message; events of one digest share it.
    pub message_id: Option<i32>,
    /// How often it was handed to Telegram.
    pub attempts: i16,
    /// When it was first about to be sent.
    pub intended_at: DateTime<Utc>,
    /// When Telegram confirmed it.
    pub sent_at: Option<DateTime<Utc>>,
}

impl From<AnnouncementPart> for AnnouncementView {
    fn from(found: AnnouncementPart) -> Self {
        Self {
            chat_id: found.chat_id,
            event_id: found.event_id,
            part: found.part,
            parts: found.parts,
            state: found.state,
            held: found.held,
            thread_id: found.thread_id,
            message_id: found.message_id,
            attempts: found.attempts,
            intended_at: found.intended_at,
            sent_at: found.sent_at,
        }
    }
}

impl AnnouncementView {
    fn example() -> serde_json::Value {
        json!({
            "chat_id": -1_001_234_567_890_i64, "event_id": "0198c2f0-5d3e-7c37-9f0e-0a7d3c1b2e4f", "part": 0,
            "parts": 1, "state": "uncertain", "held": false, "thread_id": 17, "message_id": null, "attempts": 1,
            "intended_at": "2026-11-21T05:00:00Z", "sent_at": null,
        })
    }
}

/// Which announcements.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(default, deny_unknown_fields)]
pub struct AnnouncementQuery {
    /// The event.
    pub event_id: Option<Uuid>,
    /// `true`: only those that are not certainly sent.
    pub unsettled: Option<bool>,
    /// `next` of the page before.
    pub cursor: Option<Uuid>,
    /// Parts on the page: 1 to 500, else 50. A page ends between events.
    #[param(minimum = 1, maximum = 500)]
    pub limit: Option<u16>,
}

/// A page of announcements, newest events first.
#[derive(Debug, Serialize, ToSchema)]
pub struct AnnouncementList {
    /// The parts of the announcements.
    pub announcements: Vec<AnnouncementView>,
    /// What to pass as `cursor` for the next page; none on the last.
    pub next: Option<Uuid>,
}

/// List what was announced on Telegram
///
/// `unsettled=true` shows what nobody knows the fate of.
#[utoipa::path(
    get, path = "/announcements", operation_id = "list_announcements", tag = "destinations",
    params(AnnouncementQuery),
    responses(
        (status = 200, description = "A page of announcements, newest events first", body = AnnouncementList,
            example = json!({"announcements": [AnnouncementView::example()], "next": null})),
        Unusable, Refusals,
    ),
)]
pub async fn list_announcements(
    State(state): State<AdminState>,
    Query(query): Query<AnnouncementQuery>,
) -> Result<Json<AnnouncementList>, ApiError> {
    let limit = page_size(query.limit)?;
    let filter = AnnouncementFilter {
        event_id: query.event_id,
        unsettled: query.unsettled.unwrap_or(false),
        before: query.cursor,
    };
    let found = telegram_orders::list_announcements(&state.pool, &filter, limit + 1).await?;
    let (found, next) = cut_between_events(found, limit, |one| one.event_id);
    Ok(Json(AnnouncementList {
        announcements: found.into_iter().map(AnnouncementView::from).collect(),
        next,
    }))
}
