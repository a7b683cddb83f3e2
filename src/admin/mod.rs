//! The admin listener: the API over what pushbox has stored, its documentation, health and metrics.
//!
//! A resource of the API is one file in [`api`] with its views, its handlers and their documentation; the
//! route, the OpenAPI document and the test that nobody gets in without a token follow from its `routes!`.
//! Everything under `/api` and `/metrics` stands behind `auth`; every answer goes through `frame`.
//!
//! The API reads through [`crate::store`] and changes jobs through [`crate::queue`] alone; it has no SQL and
//! never calls an outside service; what people ask of one is a trait of `operations`. Serve the router with connection info (`SocketAddr`): without it no peer
//! counts as local.

pub mod api;
pub mod auth;
pub mod changed;
mod docs;
pub mod error;
pub mod exports;
pub mod extract;
pub mod frame;
pub mod health;
pub mod operations;
pub mod page;

use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware::{from_fn, from_fn_with_state};
use chrono::{DateTime, Utc};
use sqlx::PgPool;
use tokio_util::sync::CancellationToken;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::clock::SharedClock;
use crate::config::SharedConfig;
use crate::domain::seal::Sealer;
use crate::domain::sources::Source;
use crate::observability::metrics::MetricsHandle;
use crate::queue::{SharedPlan, Waker};
use error::ApiError;
use operations::ShopeeOperations;

pub use crate::config::AdminSettings;

/// No request to the admin listener has a reason to be longer, in bytes.
const BODY_LIMIT: usize = 64 * 1024;

/// What the admin listener works with.
#[derive(Debug)]
pub struct AdminContext {
    /// The database.
    pub pool: PgPool,
    /// Address and tokens.
    pub settings: AdminSettings,
    /// The roles of this process, for example `receiver`.
    pub roles: Vec<String>,
    /// When this process started.
    pub started_at: DateTime<Utc>,
    /// Tells the time.
    pub clock: SharedClock,
    /// Wakes the workers of this process when a change made work for them.
    pub waker: Waker,
    /// Wakes whoever does what was asked for in the background.
    pub errands: Waker,
    /// Cancelled when this process stops: what streams ends then.
    pub stopping: CancellationToken,
    /// Who may push.
    pub sources: Vec<Source>,
    /// Opens refused pushes.
    pub sealer: Sealer,
    /// Which jobs a push asks for, now or again.
    pub plan: SharedPlan,
    /// The settings of this process, as they are now.
    pub config: SharedConfig,
    /// Wakes whoever looks whether settings were changed.
    pub settings_changed: Waker,
    /// Subscriptions that people ask for.
    pub subscriptions: Arc<dyn operations::SubscriptionOperations>,
    /// Tries out what is configured.
    pub trials: Arc<dyn operations::TrialOperations>,
    /// Makes files of orders.
    pub exports: Arc<dyn exports::OrderExports>,
    /// What `/metrics` shows.
    pub metrics: MetricsHandle,
    /// Calls of Shopee that people ask for; none: no app is configured.
    pub shopee: Option<Arc<dyn ShopeeOperations>>,
}

impl AdminContext {
    /// Calls of Shopee, or why there are none.
    fn shopee(&self) -> Result<&dyn ShopeeOperations, ApiError> {
        self.shopee
            .as_deref()
            .ok_or_else(|| ApiError::conflict("Shopee is not configured: set PARTNER_ID and PARTNER_KEY"))
    }
}

/// [`AdminContext`], shared by all requests.
pub type AdminState = Arc<AdminContext>;

/// Everything: API, documentation, health, metrics, and `pages` (the dashboard) beside them.
pub fn router(state: AdminState, pages: Router) -> Router {
    let guarded = guarded().layer(from_fn_with_state(Arc::clone(&state), auth::require));
    let all = OpenApiRouter::with_openapi(docs::preamble()).merge(guarded).merge(public());
    let (router, document) = all.with_state(state).split_for_parts();
    framed(router.merge(docs::router(document)).merge(pages))
}

/// The API alone and without asking who calls: for a caller in this process, such as a command. Never serve it.
pub fn console(state: AdminState) -> Router {
    let api = OpenApiRouter::new().nest("/api/v1", api::routes().fallback(frame::not_found));
    framed(api.with_state(state).into())
}

/// Health and metrics only: for a process without the role `admin`.
pub fn health_router(state: AdminState) -> Router {
    let metrics = metrics().layer(from_fn_with_state(Arc::clone(&state), auth::require));
    framed(metrics.merge(public()).with_state(state).into())
}

/// The OpenAPI document of [`router`].
pub fn openapi() -> utoipa::openapi::OpenApi {
    OpenApiRouter::with_openapi(docs::preamble()).merge(guarded()).merge(public()).into_openapi()
}

/// [`openapi`] as text: what `pushbox openapi` prints and `openapi/admin.json` holds.
pub fn openapi_json() -> String {
    let text = serde_json::to_string_pretty(&openapi()).expect("the document has no keys but strings");
    text + "\n"
}

/// What needs a token.
fn guarded() -> OpenApiRouter<AdminState> {
    OpenApiRouter::new().nest("/api/v1", api::routes().fallback(frame::not_found)).merge(metrics())
}

fn metrics() -> OpenApiRouter<AdminState> {
    OpenApiRouter::new().routes(routes!(health::get_metrics))
}

/// What needs none. Whoever adds to it adds to the list in `tests/it/openapi.rs` too.
fn public() -> OpenApiRouter<AdminState> {
    OpenApiRouter::new()
        .routes(routes!(health::get_health))
        .routes(routes!(health::get_liveness))
        .routes(routes!(health::get_readiness))
}

fn framed(router: Router) -> Router {
    router
        .fallback(frame::not_found)
        .method_not_allowed_fallback(frame::method_not_allowed)
        .layer(DefaultBodyLimit::max(BODY_LIMIT))
        .layer(from_fn(frame::frame))
}
