//! The admin listener, over HTTP.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, Request, StatusCode};
use http_body_util::BodyExt;
use pushbox::admin::{AdminContext, AdminState};
use pushbox::clock::ManualClock;
use pushbox::config::AdminSettings;
use serde_json::Value;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use tower::ServiceExt;

pub const FULL_TOKEN: &str = "full-token-of-the-tests";
pub const READ_TOKEN: &str = "read-token-of-the-tests";

/// The state of a listener whose database cannot be reached.
fn offline_state() -> AdminState {
    let nobody = PgConnectOptions::new_without_pgpass().host("127.0.0.1").port(1);
    let start = "2026-11-21T05:00:00Z".parse().unwrap();
    Arc::new(AdminContext {
        pool: PgPoolOptions::new().acquire_timeout(Duration::from_millis(50)).connect_lazy_with(nobody),
        settings: AdminSettings {
            listen: "127.0.0.1:0".parse().unwrap(),
            token: Some(FULL_TOKEN.into()),
            read_token: Some(READ_TOKEN.into()),
        },
        roles: vec!["admin".to_owned()],
        started_at: start,
        clock: Arc::new(ManualClock::new(start)),
        metrics: pushbox::observability::metrics::install(),
    })
}

/// The listener without a database.
pub fn offline_router() -> Router {
    pushbox::admin::router(offline_state(), Router::new())
}

struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: String,
}

impl Answer {
    fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.body))
    }
}

async fn send(router: Router, request: Request<Body>) -> Answer {
    let answer = router.oneshot(request).await.unwrap();
    let (parts, body) = answer.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    Answer { status: parts.status, headers: parts.headers, body: String::from_utf8(body.to_vec()).unwrap() }
}

fn request(method: &str, uri: &str) -> Request<Body> {
    let token = format!("Bearer {FULL_TOKEN}");
    Request::builder().method(method).uri(uri).header("authorization", token).body(Body::empty()).unwrap()
}

#[tokio::test]
async fn every_error_has_the_envelope_and_the_request_id() {
    let cases = [
        ("GET", "/nothing", StatusCode::NOT_FOUND, "not_found"),
        ("GET", "/api/v1/nothing", StatusCode::NOT_FOUND, "not_found"),
        ("DELETE", "/api/v1/stats", StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed"),
        ("GET", "/api/v1/stats", StatusCode::SERVICE_UNAVAILABLE, "database_unavailable"),
        ("GET", "/health/ready", StatusCode::SERVICE_UNAVAILABLE, "database_unavailable"),
    ];
    for (method, uri, status, code) in cases {
        let answer = send(offline_router(), request(method, uri)).await;
        assert_eq!(answer.status, status, "{method} {uri}: {}", answer.body);
        let error = &answer.json()["error"];
        assert_eq!(error["code"], code, "{method} {uri}");
        assert_eq!(error["request_id"], answer.headers["x-request-id"].to_str().unwrap(), "{method} {uri}");
        assert_eq!(answer.headers["cache-control"], "no-store", "{method} {uri}");
        assert_eq!(answer.headers["x-content-type-options"], "nosniff", "{method} {uri}");
    }
}

#[tokio::test]
async fn a_harmless_request_id_is_kept_and_a_strange_one_is_not() {
    for (given, kept) in [("trace-0001", true), ("short", false), ("with space and \"quotes\"", false)] {
        let mut request = request("GET", "/health/live");
        request.headers_mut().insert("x-request-id", given.parse().unwrap());
        let answer = send(offline_router(), request).await;
        assert_eq!(answer.headers["x-request-id"] == given, kept, "{given}");
    }
}

#[tokio::test]
async fn without_a_database_it_is_alive_but_not_ready() {
    let live = send(offline_router(), request("GET", "/health/live")).await;
    assert_eq!((live.status, live.json()["status"].as_str()), (StatusCode::OK, Some("alive")));
    let health = send(offline_router(), request("GET", "/health")).await;
    assert_eq!(health.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(health.json()["database"]["ok"], false);
    let metrics = send(offline_router(), request("GET", "/metrics")).await;
    assert_eq!(metrics.status, StatusCode::OK, "metrics tell of a dead database, so they survive it");
    assert!(metrics.body.contains("pushbox_database_up 0"), "{}", metrics.body);
}

#[tokio::test]
async fn a_process_without_the_admin_role_has_health_and_metrics_only() {
    let cases = [
        ("/health/live", StatusCode::OK),
        ("/metrics", StatusCode::OK),
        ("/api/v1/stats", StatusCode::NOT_FOUND),
        ("/docs/", StatusCode::NOT_FOUND),
        ("/dashboard", StatusCode::NOT_FOUND),
    ];
    for (uri, status) in cases {
        let router = pushbox::admin::health_router(offline_state());
        assert_eq!(send(router, request("GET", uri)).await.status, status, "{uri}");
    }
    let bare = Request::builder().uri("/metrics").body(Body::empty()).unwrap();
    let router = pushbox::admin::health_router(offline_state());
    assert_eq!(send(router, bare).await.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn the_documentation_comes_whole_from_the_binary() {
    let document = send(offline_router(), request("GET", "/openapi.json")).await;
    assert_eq!(document.json()["info"]["title"], "pushbox admin API");
    let page = send(offline_router(), request("GET", "/docs/")).await;
    assert_eq!(page.status, StatusCode::OK);
    assert!(!page.body.contains("http"), "no reference to another host: {}", page.body);
    let policy = page.headers["content-security-policy"].to_str().unwrap();
    assert!(policy.contains("script-src 'self'"), "{policy}");
    for asset in ["swagger-ui-bundle.js", "swagger-ui.css", "swagger-initializer.js"] {
        let asset = send(offline_router(), request("GET", &format!("/docs/{asset}"))).await;
        assert_eq!(asset.status, StatusCode::OK);
    }
}
