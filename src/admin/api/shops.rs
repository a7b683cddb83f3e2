//! Shops: what state their authorization is in, authorizing them, refreshing, switching off and on.

use axum::extract::State;
use axum::http::StatusCode;
use axum::{Extension, Json};
use chrono::{DateTime, Utc};
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sqlx::PgConnection;
use url::Url;
use utoipa::ToSchema;

use super::queues::PauseRequest;
use crate::admin::AdminState;
use crate::admin::error::{ApiError, ChangeRefusals, Conflicts, Missing, Outside, Refusals, Unusable};
use crate::admin::extract::{Json as Body, Path, said};
use crate::admin::frame::RequestId;
use crate::admin::operations::AuthorizedAccount;
use crate::domain::job::Queue;
use crate::domain::shopee::push::PLATFORM;
use crate::queue::waiting::let_go;
use crate::store;
use crate::store::admin_actions::{AdminAction, insert_admin_action};
use crate::store::schedules;
use crate::store::shop_lists::{self, ShopListRow};

/// A shop that we may call the platform for. Its tokens are never shown.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct ShopView {
    /// Its platform.
    pub platform: String,
    /// The platform's shop id.
    pub shop_id: String,
    /// The app that its tokens belong to; none: that of `PARTNER_ID`.
    pub partner_id: Option<i64>,
    /// `active`, `reauthorize` (its seller has to authorize again) or `disabled` (by a person).
    pub state: String,
    /// Why it is not active.
    pub state_reason: Option<String>,
    /// Its market.
    pub region: Option<String>,
    /// How its tokens are kept: `sealed`, `plain` (`ENCRYPTION_KEY` was not set) or `none`.
    pub tokens: String,
    /// When the access token ends; none: not known, so that it is refreshed at once.
    pub access_expires_at: Option<DateTime<Utc>>,
    /// When the tokens were last renewed.
    pub refreshed_at: Option<DateTime<Utc>>,
    /// Failed refreshes since the last that succeeded.
    pub refresh_failures: i32,
    /// Why the last refresh failed; none: it did not.
    pub refresh_error: Option<String>,
    /// When the seller authorized.
    pub authorized_at: Option<DateTime<Utc>>,
    /// When that ends, as the platform says.
    pub authorization_expires_at: Option<DateTime<Utc>>,
    /// Jobs that wait for the shop.
    pub waiting_jobs: i64,
}

impl From<ShopListRow> for ShopView {
    fn from(row: ShopListRow) -> Self {
        Self {
            platform: row.platform,
            shop_id: row.shop_id,
            partner_id: row.partner_id,
            state: row.state,
            state_reason: row.state_reason,
            region: row.region,
            tokens: row.tokens,
            access_expires_at: row.access_expires_at,
            refreshed_at: row.refreshed_at,
            refresh_failures: row.refresh_failures,
            refresh_error: row.refresh_error,
            authorized_at: row.authorized_at,
            authorization_expires_at: row.authorization_expires_at,
            waiting_jobs: row.waiting_jobs,
        }
    }
}

/// All shops.
#[derive(Debug, Serialize, ToSchema)]
pub struct ShopList {
    /// By platform and id.
    pub shops: Vec<ShopView>,
}

/// A shop under its name.
#[derive(Debug, Serialize, ToSchema)]
pub struct ShopEnvelope {
    /// The shop.
    pub shop: ShopView,
}

/// Where a seller is to be sent on.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct LinkRequest {
    /// The app; that of `PARTNER_ID` when left out.
    pub partner_id: Option<i64>,
    /// Where Shopee sends the seller on; `SHOPEE_REDIRECT_URL` when left out. Its domain is the app's Redirect URL
    /// Domain.
    pub redirect_url: Option<String>,
    /// Comes back with the seller; not with the older form.
    pub state: Option<String>,
    /// The older, signed form, which ends after five minutes.
    #[serde(default)]
    pub legacy: bool,
}

/// Where a seller authorizes the app.
#[derive(Debug, Serialize, ToSchema)]
pub struct LinkAnswer {
    /// The link; for the seller alone to open.
    pub link: String,
    /// When it ends; none: it does not.
    pub expires_at: Option<DateTime<Utc>>,
}

/// What came back with the seller. Exactly one of the accounts.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ExchangeRequest {
    /// The app that was authorized; that of `PARTNER_ID` when left out.
    pub partner_id: Option<i64>,
    /// The code; works once, for ten minutes.
    #[schema(value_type = String)]
    pub code: SecretString,
    /// The shop that came with it.
    pub shop_id: Option<i64>,
    /// The main account that came with it: all its shops are authorized.
    pub main_account_id: Option<i64>,
}

/// Shops that are authorized now.
#[derive(Debug, Serialize, ToSchema)]
pub struct ExchangeAnswer {
    /// Their ids.
    pub shop_ids: Vec<String>,
}

/// List the shops
#[utoipa::path(
    get, path = "/shops", operation_id = "list_shops", tag = "shops",
    responses(
        (status = 200, description = "The shops", body = ShopList, example = json!({"shops": [example()]})),
        Refusals,
    ),
)]
pub async fn list_shops(State(state): State<AdminState>) -> Result<Json<ShopList>, ApiError> {
    let shops = shop_lists::list(&state.pool, None).await?;
    Ok(Json(ShopList { shops: shops.into_iter().map(ShopView::from).collect() }))
}

/// Get a shop
#[utoipa::path(
    get, path = "/shops/{shop_id}", operation_id = "get_shop", tag = "shops",
    params(("shop_id" = String, Path, description = "The platform's shop id")),
    responses(
        (status = 200, description = "The shop", body = ShopEnvelope, example = json!({"shop": example()})),
        Missing, Refusals,
    ),
)]
pub async fn get_shop(
    State(state): State<AdminState>,
    Path(shop_id): Path<String>,
) -> Result<Json<ShopEnvelope>, ApiError> {
    Ok(Json(ShopEnvelope { shop: find(&state, &shop_id).await? }))
}

/// Make the link at which a seller authorizes the app
#[utoipa::path(
    post, path = "/shops/authorization-link", operation_id = "make_authorization_link", tag = "shops",
    request_body(content = LinkRequest, example = json!({"redirect_url": "https://hooks.example.com/authorized"})),
    responses(
        (status = 200, description = "The link", body = LinkAnswer, example = json!({
            "link": "https://open.shopee.com/auth?partner_id=2000001&auth_type=seller&redirect_uri=https%3A%2F%2Fhooks.example.com%2Fauthorized&response_type=code",
            "expires_at": null})),
        Unusable, Outside, ChangeRefusals, Refusals,
    ),
)]
pub async fn make_authorization_link(
    State(state): State<AdminState>,
    Body(request): Body<LinkRequest>,
) -> Result<Json<LinkAnswer>, ApiError> {
    let redirect = said(request.redirect_url)
        .map(|url| Url::parse(&url))
        .transpose()
        .ok()
        .filter(|url| url.as_ref().is_none_or(|url| ["https", "http"].contains(&url.scheme())))
        .ok_or_else(|| ApiError::bad_request("redirect_url: must be an http or https URL"))?;
    let legacy = request.legacy;
    let link = state.shopee()?.authorization_link(
        request.partner_id,
        redirect.as_ref(),
        said(request.state).as_deref(),
        legacy,
    )?;
    let expires_at = legacy.then(|| state.clock.now() + chrono::TimeDelta::minutes(5));
    Ok(Json(LinkAnswer { link: link.into(), expires_at }))
}

/// Exchange the code of an authorization
///
/// The tokens are kept sealed and never shown; jobs that waited for the shops go on.
#[utoipa::path(
    post, path = "/shops/exchange", operation_id = "exchange_code", tag = "shops",
    request_body(content = ExchangeRequest, example = json!({"code": "5a4f...", "shop_id": 10_000_001})),
    responses(
        (status = 200, description = "The shops", body = ExchangeAnswer, example = json!({"shop_ids": ["10000001"]})),
        Unusable, Outside, ChangeRefusals, Refusals,
    ),
)]
pub async fn exchange_code(
    State(state): State<AdminState>,
    Extension(request_id): Extension<RequestId>,
    Body(request): Body<ExchangeRequest>,
) -> Result<Json<ExchangeAnswer>, ApiError> {
    let account = match (request.shop_id, request.main_account_id) {
        (Some(id), None) => AuthorizedAccount::Shop(id),
        (None, Some(id)) => AuthorizedAccount::Main(id),
        _ => {
            return Err(ApiError::bad_request(
                "shop_id: give it or main_account_id, as it came with the code",
            ));
        }
    };
    let shop_ids = state.shopee()?.exchange(request.partner_id, &request.code, account).await?;
    let shop_ids: Vec<String> = shop_ids.iter().map(ToString::to_string).collect();
    let mut connection = state.pool.acquire().await?;
    let detail = json!({"main_account_id": request.main_account_id, "partner_id": request.partner_id});
    for shop_id in &shop_ids {
        record(&mut connection, &request_id, "exchange_code", shop_id, detail.clone()).await?;
    }
    Ok(Json(ExchangeAnswer { shop_ids }))
}

/// Refresh a shop's tokens now
///
/// A scheduler does it within seconds. A refresh that is under way is not disturbed.
#[utoipa::path(
    post, path = "/shops/{shop_id}/refresh", operation_id = "refresh_shop", tag = "shops",
    params(("shop_id" = String, Path, description = "The platform's shop id")),
    responses(
        (status = 202, description = "It is refreshed as soon as a scheduler looks", body = ShopEnvelope,
            example = json!({"shop": example()})),
        Missing, Conflicts, ChangeRefusals, Refusals,
    ),
)]
pub async fn refresh_shop(
    State(state): State<AdminState>,
    Extension(request_id): Extension<RequestId>,
    Path(shop_id): Path<String>,
) -> Result<(StatusCode, Json<ShopEnvelope>), ApiError> {
    let mut transaction = store::begin(&state.pool).await?;
    if !shop_lists::ask_refresh(&mut transaction, PLATFORM, &shop_id).await? {
        find(&state, &shop_id).await?;
        return Err(ApiError::conflict("only an active shop with a refresh token can be refreshed"));
    }
    schedules::ask_run(&mut transaction, "refresh_tokens").await?;
    record(&mut transaction, &request_id, "refresh_shop", &shop_id, json!({})).await?;
    transaction.commit().await?;
    Ok((StatusCode::ACCEPTED, Json(ShopEnvelope { shop: find(&state, &shop_id).await? })))
}

/// Switch a shop off
///
/// The platform is not called for it any more; its pushes are still stored, and its jobs wait without losing
/// attempts. Its tokens end when nobody refreshes them for a month.
#[utoipa::path(
    post, path = "/shops/{shop_id}/disable", operation_id = "disable_shop", tag = "shops",
    params(("shop_id" = String, Path, description = "The platform's shop id")),
    request_body(content = PauseRequest, example = json!({"reason": "sold"})),
    responses(
        (status = 200, description = "The shop, switched off", body = ShopEnvelope,
            example = json!({"shop": example()})),
        Missing, Unusable, ChangeRefusals, Refusals,
    ),
)]
pub async fn disable_shop(
    State(state): State<AdminState>,
    Extension(request_id): Extension<RequestId>,
    Path(shop_id): Path<String>,
    Body(request): Body<PauseRequest>,
) -> Result<Json<ShopEnvelope>, ApiError> {
    if request.reason.chars().count() > 200 {
        return Err(ApiError::bad_request("reason: at most 200 characters"));
    }
    let mut transaction = store::begin(&state.pool).await?;
    if shop_lists::disable(&mut transaction, PLATFORM, &shop_id, &request.reason).await? {
        let detail = json!({"reason": request.reason});
        record(&mut transaction, &request_id, "disable_shop", &shop_id, detail).await?;
    }
    transaction.commit().await?;
    Ok(Json(ShopEnvelope { shop: find(&state, &shop_id).await? }))
}

/// Switch a shop on again
///
/// Its jobs go on. Whether its authorization still holds, the next call finds out.
#[utoipa::path(
    post, path = "/shops/{shop_id}/enable", operation_id = "enable_shop", tag = "shops",
    params(("shop_id" = String, Path, description = "The platform's shop id")),
    responses(
        (status = 200, description = "The shop, switched on", body = ShopEnvelope,
            example = json!({"shop": example()})),
        Missing, ChangeRefusals, Refusals,
    ),
)]
pub async fn enable_shop(
    State(state): State<AdminState>,
    Extension(request_id): Extension<RequestId>,
    Path(shop_id): Path<String>,
) -> Result<Json<ShopEnvelope>, ApiError> {
    let mut transaction = store::begin(&state.pool).await?;
    let enabled = shop_lists::enable(&mut transaction, PLATFORM, &shop_id).await?;
    if enabled {
        let_go(&mut transaction, Queue::Enrich, &format!("{PLATFORM}:{shop_id}")).await?;
        record(&mut transaction, &request_id, "enable_shop", &shop_id, json!({})).await?;
    }
    transaction.commit().await?;
    state.waker.wake();
    Ok(Json(ShopEnvelope { shop: find(&state, &shop_id).await? }))
}

async fn find(state: &AdminState, shop_id: &str) -> Result<ShopView, ApiError> {
    let found = shop_lists::list(&state.pool, Some(shop_id)).await?.pop();
    found.map(ShopView::from).ok_or_else(|| ApiError::not_found("shop"))
}

async fn record(
    connection: &mut PgConnection,
    request_id: &RequestId,
    action: &'static str,
    shop_id: &str,
    detail: Value,
) -> Result<(), sqlx::Error> {
    let subject = format!("shop {shop_id}");
    let action = AdminAction { request_id: &request_id.0, action, subject: &subject, detail };
    insert_admin_action(connection, &action).await
}

fn example() -> Value {
    json!({
        "platform": "shopee", "shop_id": "10000001", "state": "active", "state_reason": null, "region": "SG",
        "tokens": "sealed", "access_expires_at": "2026-11-21T09:00:00Z", "refreshed_at": "2026-11-21T05:00:00Z",
        "refresh_failures": 0, "refresh_error": null, "authorized_at": "2026-02-01T08:00:00Z",
        "authorization_expires_at": "2027-02-01T08:00:00Z", "waiting_jobs": 0,
    })
}
