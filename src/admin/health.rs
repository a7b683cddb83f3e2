//! Is this process alive, can it work, and what does it measure.

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::json;
use utoipa::ToSchema;

use super::AdminState;
use super::api::queues::QueueView;
use super::error::{ApiError, Refusals};
use crate::observability::metrics;
use crate::store;

/// How long the database may take to answer before this process counts as not ready.
const DATABASE_LIMIT: Duration = Duration::from_secs(1);

/// The state of one process.
#[derive(Debug, Serialize, ToSchema)]
pub struct HealthView {
    /// `ok`, or `unavailable` when the database does not answer.
    pub status: &'static str,
    /// The version of pushbox.
    pub version: &'static str,
    /// When this process started.
    pub started_at: DateTime<Utc>,
    /// Since how many seconds it runs.
    pub uptime_s: i64,
    /// What this process does.
    pub roles: Vec<String>,
    /// The database.
    pub database: DatabaseHealth,
    /// The queues, of all processes; empty when the database does not answer.
    pub queues: Vec<QueueView>,
}

/// The state of the database as seen from this process.
#[derive(Debug, Serialize, ToSchema)]
pub struct DatabaseHealth {
    /// Whether it answered in time.
    pub ok: bool,
    /// How long that took, in milliseconds.
    pub latency_ms: Option<f64>,
}

/// One word on the state.
#[derive(Debug, Serialize, ToSchema)]
pub struct StatusView {
    /// `alive` or `ready`.
    #[schema(example = "ready")]
    pub status: &'static str,
}

/// The state in full
///
/// 503 with the same body when the database does not answer within a second.
#[utoipa::path(
    get, path = "/health", operation_id = "get_health", tag = "health", security(()),
    responses(
        (status = 200, description = "All is well", body = HealthView, example = json!(example(true))),
        (status = 503, description = "The database does not answer", body = HealthView,
            example = json!(example(false))),
    ),
)]
pub async fn get_health(State(state): State<AdminState>) -> (StatusCode, Json<HealthView>) {
    let view = read(&state).await;
    let status = if view.database.ok { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(view))
}

/// The state of this process, as `/health` shows it.
pub async fn read(state: &AdminState) -> HealthView {
    let ping = store::health::ping(&state.pool, DATABASE_LIMIT).await;
    let queues = match &ping {
        Ok(_) => tokio::time::timeout(DATABASE_LIMIT, store::stats::list_queues(&state.pool)).await,
        Err(_) => Ok(Ok(Vec::new())),
    };
    let now = state.clock.now();
    HealthView {
        status: if ping.is_ok() { "ok" } else { "unavailable" },
        version: env!("CARGO_PKG_VERSION"),
        started_at: state.started_at,
        uptime_s: (now - state.started_at).num_seconds(),
        roles: state.roles.clone(),
        database: DatabaseHealth {
            ok: ping.is_ok(),
            latency_ms: ping.ok().map(|latency| latency.as_secs_f64() * 1000.0),
        },
        queues: queues
            .ok()
            .and_then(Result::ok)
            .unwrap_or_default()
            .into_iter()
            .map(QueueView::from)
            .collect(),
    }
}

fn example(ok: bool) -> serde_json::Value {
    json!({
        "status": if ok { "ok" } else { "unavailable" },
        "version": "0.1.0",
        "started_at": "2026-11-21T04:00:00Z",
        "uptime_s": 3600,
        "roles": ["receiver", "worker", "scheduler", "admin"],
        "database": {"ok": ok, "latency_ms": ok.then_some(0.4)},
        "queues": if ok { json!([QueueView::example()]) } else { json!([]) },
    })
}

/// The process runs
///
/// Does not look at the database: restarting this process would not repair that.
#[utoipa::path(
    get, path = "/health/live", operation_id = "get_liveness", tag = "health", security(()),
    responses((status = 200, description = "It runs", body = StatusView, example = json!({"status": "alive"}))),
)]
pub async fn get_liveness() -> Json<StatusView> {
    Json(StatusView { status: "alive" })
}

/// The process can work
#[utoipa::path(
    get, path = "/health/ready", operation_id = "get_readiness", tag = "health", security(()),
    responses(
        (status = 200, description = "It can", body = StatusView, example = json!({"status": "ready"})),
        (status = 503, description = "The database does not answer within a second",
            body = super::error::ErrorEnvelope, example = json!({"error": {"code": "database_unavailable",
            "message": "the database does not answer", "request_id": "3f0a2f6e-6a54-4d0e-8f5c-2f1a0f9b7c11"}})),
    ),
)]
pub async fn get_readiness(State(state): State<AdminState>) -> Result<Json<StatusView>, ApiError> {
    store::health::ping(&state.pool, DATABASE_LIMIT).await.map_err(|error| {
        tracing::warn!(error = &error as &dyn std::error::Error, "not ready");
        ApiError::database_unavailable()
    })?;
    Ok(Json(StatusView { status: "ready" }))
}

async fn observe(state: &AdminState) -> Result<(), sqlx::Error> {
    for (kind, breaker, count) in store::health::count_destinations(&state.pool).await? {
        metrics::destinations(&kind, &breaker, count);
    }
    for (severity, count) in store::health::count_open_alerts(&state.pool).await? {
        metrics::open_alerts(&severity, count);
    }
    Ok(())
}

/// Metrics of this process in Prometheus's text format
///
/// The gauges of queues, destinations and alerts are read from the database at the scrape and are the same in every
/// process.
#[utoipa::path(
    get, path = "/metrics", operation_id = "get_metrics", tag = "health",
    responses(
        (status = 200, description = "Metrics", body = String, content_type = "text/plain",
            example = "pushbox_pushes_total{source=\"shopee\",outcome=\"stored\"} 12"),
        Refusals,
    ),
)]
pub async fn get_metrics(State(state): State<AdminState>) -> impl IntoResponse {
    let health = read(&state).await;
    metrics::database_up(health.database.ok);
    for queue in &health.queues {
        queue.observe();
    }
    if health.database.ok
        && let Err(error) = tokio::time::timeout(DATABASE_LIMIT, observe(&state)).await.unwrap_or(Ok(()))
    {
        tracing::warn!(%error, "the gauges of destinations and alerts could not be read");
    }
    let idle = u32::try_from(state.pool.num_idle()).unwrap_or(u32::MAX);
    metrics::database_connections(state.pool.size(), idle);
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], state.metrics.render())
}
