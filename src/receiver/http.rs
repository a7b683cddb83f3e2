//! Routes and answers.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{ConnectInfo, Path, Request, State};
use axum::http::header::{CONTENT_ENCODING, RETRY_AFTER};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use ipnet::IpNet;
use sqlx::PgPool;
use tracing::Instrument as _;
use uuid::Uuid;

use super::committer::Committer;
use super::recorder::Recorder;
use super::throttle::{Throttle, Verdict, client_address};
use crate::clock::SharedClock;
use crate::domain::event::Via;
use crate::domain::push::{Arrival, ParsedPush, sha256};
use crate::domain::sources::{Admitted, Header, Headers, Pushed, Refusal, Source};
use crate::observability::metrics::{PushOutcome, push_answered};
use crate::observability::trace;
use crate::queue::{Accepted, SharedPlan};
use crate::store::health::ping;

/// How long a health check waits for the database.
const HEALTH_LIMIT: Duration = Duration::from_secs(1);

/// What the public listener needs.
#[derive(Debug)]
pub struct Receiver {
    /// Who may push.
    pub sources: Vec<Source>,
    /// Stores them.
    pub committer: Committer,
    /// Which jobs they ask for.
    pub plan: SharedPlan,
    /// For health.
    pub pool: PgPool,
    /// When a push reached us.
    pub clock: SharedClock,
    /// Longest body, in bytes.
    pub body_limit: usize,
    /// Holds down who sends proofs that do not match.
    pub throttle: Throttle,
    /// Keeps a sample of what is refused.
    pub recorder: Recorder,
    /// Peers that may say for whom they speak.
    pub trusted_proxies: Vec<IpNet>,
    /// Counts answers.
    pub answers: Arc<super::Answers>,
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
    answer(&receiver, &source, None, request).await
}

async fn webhook_of_account(
    receiver: State<Arc<Receiver>>,
    Path((source, account)): Path<(String, String)>,
    request: Request,
) -> Response {
    answer(&receiver, &source, Some(&account), request).await
}

async fn answer(receiver: &Receiver, source: &str, account: Option<&str>, request: Request) -> Response {
    // Only a name that we know goes into the log.
    let named =
        receiver.sources.iter().find(|one| one.name == source).map_or("unknown", |one| one.name.as_str());
    let span = trace::request(&request_id(request.headers()), named);
    answered(receiver, source, account, request).instrument(span).await
}

/// The id that a proxy chose, when it is harmless in a log; else a new one.
fn request_id(headers: &HeaderMap) -> String {
    let given = headers.get("x-request-id").and_then(|id| id.to_str().ok());
    given.filter(|id| trace::is_harmless_id(id)).map_or_else(|| Uuid::new_v4().to_string(), str::to_owned)
}

async fn answered(receiver: &Receiver, source: &str, account: Option<&str>, request: Request) -> Response {
    let Some(source) = receiver.sources.iter().find(|one| one.name == source) else {
        push_answered("unknown", PushOutcome::NotFound);
        return (StatusCode::NOT_FOUND, "unknown source\n").into_response();
    };
    if request.method() != Method::POST {
        push_answered(&source.name, PushOutcome::NotFound);
        return (StatusCode::METHOD_NOT_ALLOWED, [("allow", "POST")], "a push is a POST\n").into_response();
    }
    let (parts, body) = request.into_parts();
    let peer = parts.extensions.get::<ConnectInfo<SocketAddr>>().map(|peer| peer.0.ip());
    let peer = peer.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED));
    let address = client_address(peer, &parts.headers, &receiver.trusted_proxies);
    let outcome = match body_within(body, source.body_limit.unwrap_or(receiver.body_limit)).await {
        Ok(body) => {
            let headers = RequestHeaders(&parts.headers);
            let at = receiver.clock.now();
            let push = Pushed { headers: &headers, account, body: &body, at, address: Some(address) };
            receive(receiver, source, &parts.headers, push).await
        }
        Err(refusal) => refusal,
    };
    push_answered(&source.name, outcome.counted);
    receiver.answers.count(&source.name, outcome.status);
    outcome.into_response()
}

/// The headers of a request, as a source looks them up.
struct RequestHeaders<'a>(&'a HeaderMap);

impl Headers for RequestHeaders<'_> {
    fn find(&self, name: &str) -> Header<'_> {
        let mut values = self.0.get_all(name).iter();
        match (values.next(), values.next()) {
            (None, _) => Header::Absent,
            (Some(value), None) => Header::One(value.as_bytes()),
            (Some(_), Some(_)) => Header::Several,
        }
    }
}

/// An answer and how it is counted.
struct Outcome {
    status: StatusCode,
    counted: PushOutcome,
    text: String,
}

impl Outcome {
    /// Stored now or before: as the source wants to hear it.
    fn stored(source: &Source, counted: PushOutcome) -> Self {
        Self { status: status(source.ack.ok, StatusCode::OK), counted, text: source.ack.body.clone() }
    }

    fn refused(status: StatusCode, counted: PushOutcome, text: &str) -> Self {
        Self { status, counted, text: text.to_owned() }
    }

    fn bad_request(text: &str) -> Self {
        Self::refused(StatusCode::BAD_REQUEST, PushOutcome::BadRequest, text)
    }
}

impl IntoResponse for Outcome {
    fn into_response(self) -> Response {
        let again = matches!(self.counted, PushOutcome::Unavailable | PushOutcome::Throttled);
        // Platforms count a push as received only when the answer has no body; then it has no type either.
        let mut response = if self.text.is_empty() {
            self.status.into_response()
        } else {
            (self.status, self.text).into_response()
        };
        if again {
            response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("5"));
        }
        response
    }
}

fn status(number: u16, else_this: StatusCode) -> StatusCode {
    StatusCode::from_u16(number).unwrap_or(else_this)
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

/// From a whole request to its answer.
async fn receive(receiver: &Receiver, source: &Source, headers: &HeaderMap, push: Pushed<'_>) -> Outcome {
    if headers.contains_key(CONTENT_ENCODING) {
        return Outcome::bad_request(
            "a content encoding is not supported: what is signed is the body as sent\n",
        );
    }
    if push.headers.find(&source.auth.header) == Header::Several {
        return Outcome::bad_request("two headers with a signature\n");
    }
    match source.admit(&push) {
        Ok(Admitted::Probe) => {
            tracing::info!(source = source.name, "answered the verification probe of {}", source.name);
            Outcome::stored(source, PushOutcome::Probe)
        }
        Ok(Admitted::Push(parsed, proof)) => {
            receiver.recorder.proved(source, proof, push.at);
            store(receiver, source, *parsed, &push).await
        }
        Err(refusal) => refuse(receiver, source, refusal, &push),
    }
}

fn refuse(receiver: &Receiver, source: &Source, refusal: Refusal, push: &Pushed<'_>) -> Outcome {
    if refusal == Refusal::TwoHeaders {
        return Outcome::bad_request("a signed header occurs twice\n");
    }
    let address = push.address.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED));
    let found = match receiver.throttle.failed(address, push.at) {
        Verdict::TooMany => {
            let text = "too many signatures that do not match\n";
            return Outcome::refused(StatusCode::TOO_MANY_REQUESTS, PushOutcome::Throttled, text);
        }
        Verdict::Refuse => None,
        Verdict::Explain { untold } => {
            let found = source.diagnose(refusal, push);
            let reason = found.text.as_str();
            tracing::warn!(source = source.name, cause = refusal.as_str(), reason, %address, untold,
                bytes = push.body.len(), "refused a push: {reason}");
            Some(found)
        }
    };
    receiver.recorder.refused(source, refusal, found, push);
    if refusal == Refusal::Network {
        let text = "this address may not push here\n";
        return Outcome::refused(StatusCode::FORBIDDEN, PushOutcome::Unauthorized, text);
    }
    let status = status(source.ack.bad_auth, StatusCode::UNAUTHORIZED);
    Outcome::refused(status, PushOutcome::Unauthorized, "the signature does not match\n")
}

async fn store(receiver: &Receiver, source: &Source, parsed: ParsedPush, push: &Pushed<'_>) -> Outcome {
    let intake = receiver.plan.load().intake(
        parsed,
        Arrival {
            source: source.name.clone(),
            body_sha256: sha256(push.body),
            headers: source.kept_headers(push.headers),
            received_at: push.at,
            via: Via::Push,
        },
    );
    let id = intake.event.id;
    let committed = receiver.committer.commit(intake).instrument(trace::storing(id));
    let committed = match patience(source) {
        None => committed.await,
        Some(patience) => {
            tokio::time::timeout(patience, committed).await.unwrap_or(Err(super::CommitError::Late))
        }
    };
    match committed {
        Ok(Accepted::New(id)) => {
            tracing::debug!(event.ids = %id, "stored: a new event");
            Outcome::stored(source, PushOutcome::Stored)
        }
        Ok(Accepted::Redelivery(id)) => {
            tracing::debug!(event.ids = %id, "counted: the event is known");
            Outcome::stored(source, PushOutcome::Duplicate)
        }
        Err(error) => {
            tracing::warn!(source = source.name, %error, "answered 503: {error}");
            Outcome::refused(
                status(source.ack.unavailable, StatusCode::SERVICE_UNAVAILABLE),
                PushOutcome::Unavailable,
                "cannot store it now, send it again\n",
            )
        }
    }
}

/// A source that waits less than `COMMIT_DEADLINE` can allow for is answered in time all the same.
fn patience(source: &Source) -> Option<Duration> {
    const COVERED: Duration = Duration::from_millis(2500);
    source.deadline.filter(|deadline| *deadline < COVERED).map(|deadline| deadline * 4 / 5)
}
