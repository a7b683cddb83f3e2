//! Routes and answers.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Path, Request, State};
use axum::http::header::{AUTHORIZATION, CONTENT_ENCODING, RETRY_AFTER};
use axum::http::{HeaderMap, Method, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use serde_json::json;
use sqlx::PgPool;

use super::committer::Committer;
use super::shopee::ShopeeVerifier;
use crate::clock::SharedClock;
use crate::domain::event::Via;
use crate::domain::push::{Arrival, sha256};
use crate::domain::shopee::{ShopeeBody, push::PLATFORM, read};
use crate::observability::metrics::{PushOutcome, push_answered};
use crate::queue::{Accepted, Plan};
use crate::store::health::ping;

/// How long a health check waits for the database.
const HEALTH_LIMIT: Duration = Duration::from_secs(1);

/// What the public listener needs.
#[derive(Debug)]
pub struct Receiver {
    /// Verifies Shopee's pushes.
    pub shopee: ShopeeVerifier,
    /// Stores them.
    pub committer: Committer,
    /// Which jobs they ask for.
    pub plan: Plan,
    /// For health.
    pub pool: PgPool,
    /// When a push reached us.
    pub clock: SharedClock,
    /// Longest body, in bytes.
    pub body_limit: usize,
}

/// The public routes: webhooks and health, nothing else.
pub fn router(receiver: Arc<Receiver>) -> Router {
    Router::new()
        .route("/webhook/{source}", any(webhook))
        .route("/webhook/{source}/{account}", any(webhook_of_account))
        .route("/health/live", get(|| async { "live\n" }))
        .route("/health/ready", get(ready))
        .route("/health", get(ready))
        .with_state(receiver)
}

async fn ready(State(receiver): State<Arc<Receiver>>) -> Response {
    match ping(&receiver.pool, HEALTH_LIMIT).await {
        Ok(_) => "ready\n".into_response(),
        Err(error) => {
            tracing::warn!(%error, "not ready");
            (
                StatusCode::SERVICE_UNAVAILABLE,
                [(RETRY_AFTER, "5")],
                "not ready: the database does not answer\n",
            )
                .into_response()
        }
    }
}

async fn webhook(receiver: State<Arc<Receiver>>, Path(source): Path<String>, request: Request) -> Response {
    answer(&receiver, &source, request).await
}

async fn webhook_of_account(
    receiver: State<Arc<Receiver>>,
    Path((source, _account)): Path<(String, String)>,
    request: Request,
) -> Response {
    answer(&receiver, &source, request).await
}

async fn answer(receiver: &Receiver, source: &str, request: Request) -> Response {
    if source != PLATFORM {
        push_answered("unknown", PushOutcome::NotFound);
        return (StatusCode::NOT_FOUND, "unknown source\n").into_response();
    }
    if request.method() != Method::POST {
        push_answered(source, PushOutcome::NotFound);
        return (StatusCode::METHOD_NOT_ALLOWED, [("allow", "POST")], "a push is a POST\n").into_response();
    }
    let (parts, body) = request.into_parts();
    let outcome = match body_within(body, receiver.body_limit).await {
        Ok(body) => receive(receiver, &parts.headers, &body).await,
        Err(refusal) => refusal,
    };
    push_answered(source, outcome.counted);
    outcome.into_response()
}

/// An answer and how it is counted.
struct Outcome {
    status: StatusCode,
    counted: PushOutcome,
    text: &'static str,
}

impl Outcome {
    fn stored(counted: PushOutcome) -> Self {
        Self { status: StatusCode::OK, counted, text: "" }
    }

    fn refused(status: StatusCode, counted: PushOutcome, text: &'static str) -> Self {
        Self { status, counted, text }
    }
}

impl IntoResponse for Outcome {
    fn into_response(self) -> Response {
        match self.status {
            // Shopee counts a push as received only when the answer has no body.
            StatusCode::OK => StatusCode::OK.into_response(),
            StatusCode::SERVICE_UNAVAILABLE => (self.status, [(RETRY_AFTER, "5")], self.text).into_response(),
            status => (status, self.text).into_response(),
        }
    }
}

async fn body_within(body: Body, limit: usize) -> Result<Bytes, Outcome> {
    match Limited::new(body, limit).collect().await {
        Ok(collected) => Ok(collected.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Err(Outcome::refused(
            StatusCode::PAYLOAD_TOO_LARGE,
            PushOutcome::TooLarge,
            "the body is too large\n",
        )),
        Err(_) => {
            Err(Outcome::refused(StatusCode::BAD_REQUEST, PushOutcome::BadRequest, "the body broke off\n"))
        }
    }
}

async fn receive(receiver: &Receiver, headers: &HeaderMap, body: &Bytes) -> Outcome {
    let bad_request = |text| Outcome::refused(StatusCode::BAD_REQUEST, PushOutcome::BadRequest, text);
    if headers.contains_key(CONTENT_ENCODING) {
        return bad_request("a content encoding is not supported: what is signed is the body as sent\n");
    }
    if headers.get_all(AUTHORIZATION).iter().count() > 1 {
        return bad_request("two Authorization headers\n");
    }
    let read = read(body);
    let ShopeeBody::Push(push) = read else {
        // The console saves a callback URL only if its probe is answered, before there is a push key.
        tracing::info!("answered Shopee's verification probe");
        return Outcome::stored(PushOutcome::Probe);
    };
    let signature = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok()).map(str::trim);
    if !signature.is_some_and(|signature| receiver.shopee.accepts(signature, body)) {
        let reason = receiver.shopee.explain(signature, body);
        tracing::warn!(reason, bytes = body.len(), code = push.code, "refused a push: {reason}");
        return Outcome::refused(
            StatusCode::UNAUTHORIZED,
            PushOutcome::Unauthorized,
            "the signature does not match\n",
        );
    }
    let intake = receiver.plan.intake(
        *push,
        Arrival {
            source: PLATFORM.to_owned(),
            body_sha256: sha256(body),
            headers: kept_headers(headers),
            received_at: receiver.clock.now(),
            via: Via::Push,
        },
    );
    match receiver.committer.commit(intake).await {
        Ok(Accepted::New(_)) => Outcome::stored(PushOutcome::Stored),
        Ok(Accepted::Redelivery(_)) => Outcome::stored(PushOutcome::Duplicate),
        Err(error) => {
            tracing::warn!(%error, "answered 503: {error}");
            Outcome::refused(
                StatusCode::SERVICE_UNAVAILABLE,
                PushOutcome::Unavailable,
                "cannot store it now, send it again\n",
            )
        }
    }
}

/// Headers that help to understand a push later; never the signature, never a cookie.
fn kept_headers(headers: &HeaderMap) -> serde_json::Value {
    let kept = ["content-type", "user-agent"].iter().filter_map(|name| {
        Some(((*name).to_owned(), json!(headers.get(*name)?.to_str().ok()?.replace('\0', ""))))
    });
    kept.collect::<serde_json::Map<_, _>>().into()
}
