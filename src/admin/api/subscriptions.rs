//! Subscriptions at platforms that have an API for them.

use axum::extract::State;
use axum::{Extension, Json};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;

use crate::admin::AdminState;
use crate::admin::error::{ApiError, ChangeRefusals, Conflicts, Missing, Refusals, Unusable};
use crate::admin::extract::{Json as Body, Path};
use crate::admin::frame::RequestId;
use crate::admin::operations::OperationError;
use crate::store::admin_actions::{AdminAction, insert_admin_action};
use crate::store::begin;
use crate::store::subscriptions::{self, SubscriptionRow};

/// What a source should be subscribed to, and whether it is.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct SubscriptionView {
    /// Name of the source.
    pub source: String,
    /// The event.
    pub topic: String,
    /// Where the platform pushes it.
    pub address: String,
    /// `active`; `missing`; `unknown`: made by pushbox at a platform that cannot be asked.
    pub state: String,
    /// Id at the platform.
    pub platform_id: Option<String>,
    /// Why it could not be looked at or made.
    pub error: Option<String>,
    /// When it was last looked at.
    pub checked_at: DateTime<Utc>,
    /// When pushbox made it.
    pub created_at: Option<DateTime<Utc>>,
}

impl From<SubscriptionRow> for SubscriptionView {
    fn from(row: SubscriptionRow) -> Self {
        let SubscriptionRow { source, topic, address, state, platform_id, error, checked_at, created_at } =
            row;
        Self { source, topic, address, state, platform_id, error, checked_at, created_at }
    }
}

impl SubscriptionView {
    fn example() -> serde_json::Value {
        json!({
            "source": "shoplazza", "topic": "orders/create", "address": "https://hooks.example.com/webhook/shoplazza",
            "state": "active", "platform_id": "0b8f6a52-9c0e-4a4b-8a51-2f1f3c1d0001", "error": null,
            "checked_at": "2026-11-21T05:00:00Z", "created_at": null,
        })
    }
}

/// Subscriptions, by source and topic.
#[derive(Debug, Serialize, ToSchema)]
pub struct SubscriptionList {
    /// As they were last seen.
    pub subscriptions: Vec<SubscriptionView>,
}

/// List the subscriptions
///
/// As they were last seen; the scheduled task `watch_subscriptions` looks.
#[utoipa::path(
    get, path = "/subscriptions", operation_id = "list_subscriptions", tag = "sources",
    responses(
        (status = 200, description = "The subscriptions", body = SubscriptionList,
            example = json!({"subscriptions": [SubscriptionView::example()]})),
        Refusals,
    ),
)]
pub async fn list_subscriptions(State(state): State<AdminState>) -> Result<Json<SubscriptionList>, ApiError> {
    let found = subscriptions::list(&state.pool, None).await?;
    Ok(Json(SubscriptionList { subscriptions: found.into_iter().map(SubscriptionView::from).collect() }))
}

/// What was done.
#[derive(Debug, Serialize, ToSchema)]
pub struct EnsuredView {
    /// Subscriptions that were made.
    pub created: usize,
    /// All of the source, as they are now.
    pub subscriptions: Vec<SubscriptionView>,
}

/// Subscribe a source to what it should be subscribed to
///
/// Asks the platform what is there and makes what is missing. What is there already is left alone.
#[utoipa::path(
    post, path = "/subscriptions/{source}/ensure", operation_id = "ensure_subscriptions", tag = "sources",
    params(("source" = String, Path, description = "Name of the source")),
    responses(
        (status = 200, description = "Done, or what was not and why", body = EnsuredView,
            example = json!({"created": 1, "subscriptions": [SubscriptionView::example()]})),
        Missing, Conflicts, ChangeRefusals, Refusals,
    ),
)]
pub async fn ensure_subscriptions(
    State(state): State<AdminState>,
    Extension(request_id): Extension<RequestId>,
    Path(source): Path<String>,
) -> Result<Json<EnsuredView>, ApiError> {
    let created = state.subscriptions.ensure_subscriptions(&source).await.map_err(refused)?;
    done(&state, &request_id, "ensure_subscriptions", &source, json!({"created": created}), created).await
}

/// What to subscribe to.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SubscriptionRequest {
    /// Name of the source.
    pub source: String,
    /// The event, as the platform spells it.
    pub topic: String,
}

/// Subscribe a source to one topic
///
/// For a topic beside those that the source should be subscribed to; at the address of the source. One that is
/// there already is left alone.
#[utoipa::path(
    post, path = "/subscriptions", operation_id = "create_subscription", tag = "sources",
    request_body(content = SubscriptionRequest, example = json!({"source": "shoplazza", "topic": "products/update"})),
    responses(
        (status = 200, description = "It is there", body = EnsuredView,
            example = json!({"created": 1, "subscriptions": [SubscriptionView::example()]})),
        Unusable, Conflicts, ChangeRefusals, Refusals,
    ),
)]
pub async fn create_subscription(
    State(state): State<AdminState>,
    Extension(request_id): Extension<RequestId>,
    Body(wanted): Body<SubscriptionRequest>,
) -> Result<Json<EnsuredView>, ApiError> {
    let SubscriptionRequest { source, topic } = wanted;
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '/' | '_' | '-' | '.' | ':');
    if !(1..=100).contains(&topic.len()) || !topic.chars().all(plain) {
        return Err(ApiError::bad_request("topic: letters, digits and / _ - . : only, at most 100"));
    }
    let made =
        state.subscriptions.create_subscription(&source, &topic).await.map_err(|error| match error {
            // The source stands in the body, not in the address.
            OperationError::Missing(what) => {
                ApiError::bad_request(format!("source: there is no such {what}"))
            }
            refusal => refused(refusal),
        })?;
    let detail = json!({"topic": topic, "created": made});
    done(&state, &request_id, "create_subscription", &source, detail, usize::from(made)).await
}

fn refused(error: OperationError) -> ApiError {
    match error {
        OperationError::Missing(what) => ApiError::not_found(what),
        OperationError::Failed(why) | OperationError::Unusable(why) => ApiError::conflict(why),
    }
}

/// Notes what a person did, and shows the source's subscriptions.
async fn done(
    state: &AdminState,
    request_id: &RequestId,
    action: &'static str,
    source: &str,
    detail: serde_json::Value,
    created: usize,
) -> Result<Json<EnsuredView>, ApiError> {
    let mut transaction = begin(&state.pool).await?;
    let subject = &format!("source {source}");
    let action = AdminAction { request_id: &request_id.0, action, subject, detail };
    insert_admin_action(&mut *transaction, &action).await?;
    transaction.commit().await?;
    let found = subscriptions::list(&state.pool, Some(source)).await?;
    let subscriptions = found.into_iter().map(SubscriptionView::from).collect();
    Ok(Json(EnsuredView { created, subscriptions }))
}
