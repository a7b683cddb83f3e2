//! What every answer of the admin listener has, whoever made it: a request id, the error envelope, a time
//! limit, headers that keep browsers careful, a line in the log, a count.

use std::panic::AssertUnwindSafe;
use std::time::{Duration, Instant};

use axum::Json;
use axum::extract::Request;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use futures_util::FutureExt;
use tracing::Instrument;
use uuid::Uuid;

use super::error::{ApiError, ErrorBody, ErrorEnvelope};
use crate::observability::metrics;
use crate::observability::trace::is_harmless_id;

/// How long an answer may take.
const TIME_LIMIT: Duration = Duration::from_secs(30);

/// The header that carries the request's id, both ways.
pub const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The policy of answers that are not pages; a page brings its own.
const NO_CONTENT_POLICY: HeaderValue = HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'");

/// Headers of every answer.
const ALWAYS: [(HeaderName, HeaderValue); 5] = [
    (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    (header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY")),
    // Not `no-referrer`: browsers would then send our own forms with `Origin: null`.
    (header::REFERRER_POLICY, HeaderValue::from_static("same-origin")),
    (HeaderName::from_static("cross-origin-opener-policy"), HeaderValue::from_static("same-origin")),
    (HeaderName::from_static("cross-origin-resource-policy"), HeaderValue::from_static("same-origin")),
];

/// The id of a request, for handlers that want to keep it.
#[derive(Debug, Clone)]
pub struct RequestId(pub String);

/// Runs a request inside the frame.
pub async fn frame(mut request: Request, next: Next) -> Response {
    let id = request_id(&request);
    let span = tracing::info_span!(
        "admin_request",
        http.method = %request.method(),
        http.path = request.uri().path(),
        request.id = id,
    );
    request.extensions_mut().insert(RequestId(id.clone()));
    let handled = tokio::time::timeout(TIME_LIMIT, AssertUnwindSafe(next.run(request)).catch_unwind());
    let begun = Instant::now();
    let response = match handled.instrument(span.clone()).await {
        Ok(Ok(response)) => response,
        // The panic itself is in the log already, written by the hook.
        Ok(Err(_)) => ApiError::internal().into_response(),
        Err(_) => ApiError::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "timeout",
            format!("no answer within {} s", TIME_LIMIT.as_secs()),
        )
        .into_response(),
    };
    let _entered = span.entered();
    let duration_ms = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
    if response.status().is_server_error() {
        tracing::warn!(http.status = response.status().as_u16(), duration_ms, "admin request failed");
    } else {
        tracing::debug!(http.status = response.status().as_u16(), duration_ms, "admin request answered");
    }
    metrics::admin_request(response.status().as_u16());
    with_headers(with_envelope(response, &id), &id)
}

/// The id that the client or a proxy chose, when it is harmless in a log; else a new one.
fn request_id(request: &Request) -> String {
    let given = request.headers().get(REQUEST_ID).and_then(|id| id.to_str().ok());
    let given = given.filter(|id| is_harmless_id(id));
    given.map_or_else(|| Uuid::new_v4().to_string(), str::to_owned)
}

fn with_envelope(mut response: Response, id: &str) -> Response {
    let Some(error) = response.extensions_mut().remove::<ApiError>() else {
        return response;
    };
    let body = ErrorBody { code: error.code.to_owned(), message: error.message, request_id: id.to_owned() };
    let (mut parts, _) = response.into_parts();
    parts.headers.remove(header::CONTENT_LENGTH);
    parts.headers.remove(header::CONTENT_TYPE);
    (parts, Json(ErrorEnvelope { error: body })).into_response()
}

fn with_headers(mut response: Response, id: &str) -> Response {
    let headers = response.headers_mut();
    for (name, value) in ALWAYS {
        headers.insert(name, value);
    }
    headers.entry(header::CONTENT_SECURITY_POLICY).or_insert(NO_CONTENT_POLICY);
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    if let Ok(id) = HeaderValue::from_str(id) {
        headers.insert(REQUEST_ID, id);
    }
    response
}

/// What an unknown path gets.
pub async fn not_found() -> ApiError {
    ApiError::not_found("page or resource")
}

/// What a known path gets for a method that it does not have.
pub async fn method_not_allowed() -> ApiError {
    ApiError::new(
        StatusCode::METHOD_NOT_ALLOWED,
        "method_not_allowed",
        "this resource does not have that method; see the header `Allow`",
    )
}
