//! How Shopee delivers the app's pushes.

use axum::extract::State;
use axum::{Extension, Json};
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::{IntoParams, ToSchema};

use crate::admin::AdminState;
use crate::admin::error::{ApiError, ChangeRefusals, Outside, Refusals, Unusable};
use crate::admin::extract::{Json as Body, Query};
use crate::admin::frame::RequestId;
use crate::admin::operations::{PushSettings, PushSettingsChange};
use crate::domain::shopee::codes;
use crate::store;
use crate::store::admin_actions::{AdminAction, insert_admin_action};
use crate::store::schedules;

/// The push settings of the app at Shopee.
#[derive(Debug, Serialize, ToSchema)]
pub struct PushConfigView {
    /// Where pushes go.
    pub callback_url: String,
    /// `Normal`, `Warning` (under 70 % of the pushes succeed) or `Suspended` (nothing is delivered).
    pub status: String,
    /// Codes that are delivered.
    pub on: Vec<i64>,
    /// Codes that are not, of those that the API speaks of; the others are in the console alone.
    pub off: Vec<i64>,
    /// Shops whose pushes are not delivered.
    pub blocked_shop_ids: Vec<i64>,
    /// What is not as our own settings want it.
    pub findings: Vec<String>,
}

impl From<PushSettings> for PushConfigView {
    fn from(settings: PushSettings) -> Self {
        let PushSettings { callback_url, status, on, off, blocked_shop_ids, findings } = settings;
        Self { callback_url, status, on, off, blocked_shop_ids, findings }
    }
}

/// The push settings under their name.
#[derive(Debug, Serialize, ToSchema)]
pub struct PushConfigEnvelope {
    /// The settings.
    pub push_config: PushConfigView,
}

/// Which app is meant.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct AppQuery {
    /// The app; that of `PARTNER_ID` when left out
    pub partner_id: Option<i64>,
}

/// What is to be different about the push settings; what is left out stays.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PushConfigRequest {
    /// The app; that of `PARTNER_ID` when left out.
    pub partner_id: Option<i64>,
    /// Deliver to this URL; Shopee probes it first.
    pub callback_url: Option<String>,
    /// Codes to deliver; only 1 to 13 can be switched here.
    #[serde(default)]
    pub on: Vec<i64>,
    /// Codes not to deliver.
    #[serde(default)]
    pub off: Vec<i64>,
    /// Shops whose pushes are not delivered: all of them, at most 500.
    pub blocked_shop_ids: Option<Vec<i64>>,
    /// Write it; otherwise it is only shown what would change.
    #[serde(default)]
    pub write: bool,
}

/// What changes.
#[derive(Debug, Serialize, ToSchema)]
pub struct PushConfigChanged {
    /// What is different afterwards, a line each; empty: nothing.
    pub difference: Vec<String>,
    /// Whether it was written.
    pub written: bool,
}

/// The apps there are, that of `PARTNER_ID` first; empty: Shopee is not configured.
pub fn partner_ids(state: &AdminState) -> Vec<i64> {
    state.shopee.as_ref().map(|shopee| shopee.partner_ids()).unwrap_or_default()
}

/// What people read for a code.
pub fn title(code: i64) -> String {
    codes::title(code)
}

/// Get the push settings
#[utoipa::path(
    get, path = "/shopee/push-config", operation_id = "get_push_config", tag = "shopee",
    params(AppQuery),
    responses(
        (status = 200, description = "The settings as Shopee has them", body = PushConfigEnvelope,
            example = json!({"push_config": {"callback_url": "https://hooks.example.com/webhook/shopee",
                "status": "Normal", "on": [1, 2, 3, 4, 12], "off": [9], "blocked_shop_ids": [], "findings": []}})),
        Unusable, Outside, Refusals,
    ),
)]
pub async fn get_push_config(
    State(state): State<AdminState>,
    Query(query): Query<AppQuery>,
) -> Result<Json<PushConfigEnvelope>, ApiError> {
    let settings = state.shopee()?.push_settings(query.partner_id).await?;
    Ok(Json(PushConfigEnvelope { push_config: settings.into() }))
}

/// Change the push settings
///
/// Without `write` nothing is changed: the answer says what would be.
#[utoipa::path(
    put, path = "/shopee/push-config", operation_id = "set_push_config", tag = "shopee",
    request_body(content = PushConfigRequest, example = json!({"on": [3, 4], "write": true})),
    responses(
        (status = 200, description = "What changes", body = PushConfigChanged,
            example = json!({"difference": ["code 4  off -> on"], "written": true})),
        Unusable, Outside, ChangeRefusals, Refusals,
    ),
)]
pub async fn set_push_config(
    State(state): State<AdminState>,
    Extension(request_id): Extension<RequestId>,
    Body(request): Body<PushConfigRequest>,
) -> Result<Json<PushConfigChanged>, ApiError> {
    let write = request.write;
    let change = PushSettingsChange {
        callback_url: request.callback_url,
        on: request.on,
        off: request.off,
        blocked_shop_ids: request.blocked_shop_ids,
    };
    if change.on.iter().any(|code| change.off.contains(code)) {
        return Err(ApiError::bad_request("on: a code cannot be switched on and off at once"));
    }
    let difference = state.shopee()?.change_push_settings(request.partner_id, &change, write).await?;
    let written = write && !difference.is_empty();
    if written {
        let mut transaction = store::begin(&state.pool).await?;
        // Alerts about the settings are looked at again.
        schedules::ask_run(&mut transaction, "push_health").await?;
        let detail = json!({ "difference": difference, "partner_id": request.partner_id });
        let action = AdminAction {
            request_id: &request_id.0,
            action: "set_push_config",
            subject: "shopee push settings",
            detail,
        };
        insert_admin_action(&mut *transaction, &action).await?;
        transaction.commit().await?;
    }
    Ok(Json(PushConfigChanged { difference, written }))
}
