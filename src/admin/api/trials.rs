//! Trying out what is configured: a message, a row, a push.

use axum::extract::State;
use axum::http::StatusCode;
use axum::{Extension, Json};
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::admin::AdminState;
use crate::admin::error::{ApiError, ChangeRefusals, Outside, Refusals, Unusable};
use crate::admin::extract::Json as Body;
use crate::admin::frame::RequestId;
use crate::store::admin_actions::{AdminAction, insert_admin_action};

/// To which chat.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct MessageTrial {
    /// A chat that is configured; the first one when left out.
    pub chat_id: Option<i64>,
}

/// The message.
#[derive(Debug, Serialize, ToSchema)]
pub struct MessageTried {
    /// Where it is.
    pub chat_id: i64,
    /// Its number there.
    pub message_id: i32,
}

/// Into which spreadsheet.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RowTrial {
    /// A spreadsheet that is configured; the first one when left out.
    pub spreadsheet_id: Option<String>,
}

/// The row.
#[derive(Debug, Serialize, ToSchema)]
pub struct RowTried {
    /// Where it will be.
    pub spreadsheet_id: String,
    /// The number of the test order: its page shows when the row is there, and what keeps it.
    pub order_sn: String,
}

/// Which push.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PushTrial {
    /// The source; Shopee, or the first that can be signed for, when left out.
    pub source: Option<String>,
    /// An order that is known; the newest of Shopee when left out. Without any it is a push that is only announced.
    pub order_sn: Option<String>,
}

/// The push.
#[derive(Debug, Serialize, ToSchema)]
pub struct PushTried {
    /// Where it was posted.
    pub url: String,
    /// Its source.
    pub source: String,
    /// Its code.
    pub code: String,
    /// The order that it is about.
    pub order_sn: Option<String>,
    /// The receiver's answer.
    pub status: u16,
    /// After how many milliseconds.
    pub elapsed_ms: u64,
    /// The event that it became: its page shows what comes of it. None: it was refused.
    pub event_id: Option<Uuid>,
}

async fn record(
    state: &AdminState,
    RequestId(request_id): &RequestId,
    action: &'static str,
    subject: &str,
) -> Result<(), ApiError> {
    let action = AdminAction { request_id, action, subject, detail: json!({}) };
    Ok(insert_admin_action(&state.pool, &action).await?)
}

/// Send a test message
#[utoipa::path(
    post, path = "/trials/message", operation_id = "try_message", tag = "trials",
    request_body(content = MessageTrial, example = json!({"chat_id": -1_001_234_567_890_i64})),
    responses(
        (status = 200, description = "The message is in the chat", body = MessageTried,
            example = json!({"chat_id": -1_001_234_567_890_i64, "message_id": 4711})),
        Unusable, Outside, ChangeRefusals, Refusals,
    ),
)]
pub async fn try_message(
    State(state): State<AdminState>,
    Extension(request_id): Extension<RequestId>,
    Body(trial): Body<MessageTrial>,
) -> Result<Json<MessageTried>, ApiError> {
    let (chat_id, message_id) = state.trials.message(trial.chat_id).await?;
    record(&state, &request_id, "try_message", &chat_id.to_string()).await?;
    Ok(Json(MessageTried { chat_id, message_id }))
}

/// Write a test row
///
/// The row of an order `TEST` is written by the workers, the same way as every other; it stays until somebody deletes
/// it in the spreadsheet.
#[utoipa::path(
    post, path = "/trials/row", operation_id = "try_row", tag = "trials",
    request_body(content = RowTrial, example = json!({"spreadsheet_id": "1AbCdEfGhIjKlMnOp"})),
    responses(
        (status = 202, description = "The row is asked for", body = RowTried,
            example = json!({"spreadsheet_id": "1AbCdEfGhIjKlMnOp", "order_sn": "TEST"})),
        Unusable, Outside, ChangeRefusals, Refusals,
    ),
)]
pub async fn try_row(
    State(state): State<AdminState>,
    Extension(request_id): Extension<RequestId>,
    Body(trial): Body<RowTrial>,
) -> Result<(StatusCode, Json<RowTried>), ApiError> {
    let spreadsheet_id = state.trials.row(trial.spreadsheet_id.as_deref()).await?;
    record(&state, &request_id, "try_row", &spreadsheet_id).await?;
    Ok((StatusCode::ACCEPTED, Json(RowTried { spreadsheet_id, order_sn: "TEST".to_owned() })))
}

/// Send a test push
///
/// It is signed as its platform would, posted to the receiver and goes the whole way: verified, stored, fetched,
/// written, announced, forwarded.
#[utoipa::path(
    post, path = "/trials/push", operation_id = "try_push", tag = "trials",
    request_body(content = PushTrial, example = json!({"source": "shopee"})),
    responses(
        (status = 200, description = "What the receiver answered", body = PushTried, example = json!({
            "url": "http://127.0.0.1:8000/webhook/shopee", "source": "shopee", "code": "4",
            "order_sn": "2611210ABCDEF1", "status": 200, "elapsed_ms": 4,
            "event_id": "0198c2f0-5d3e-7c37-9f0e-0a7d3c1b2e4f"})),
        Unusable, Outside, ChangeRefusals, Refusals,
    ),
)]
pub async fn try_push(
    State(state): State<AdminState>,
    Extension(request_id): Extension<RequestId>,
    Body(trial): Body<PushTrial>,
) -> Result<Json<PushTried>, ApiError> {
    let tried = state.trials.push(trial.source.as_deref(), trial.order_sn.as_deref()).await?;
    record(&state, &request_id, "try_push", &tried.source).await?;
    Ok(Json(PushTried {
        url: tried.url,
        source: tried.source,
        code: tried.code,
        order_sn: tried.order_sn,
        status: tried.status,
        elapsed_ms: tried.elapsed_ms,
        event_id: tried.event_id,
    }))
}
