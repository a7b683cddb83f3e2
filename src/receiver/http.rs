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
use serde_json::json;
use sqlx::PgPool;

use super::committer::Committer;
use super::throttle::{Throttle, Verdict, client_address};
use crate::clock::SharedClock;
use crate::domain::event::Via;
use crate::domain::push::{Arrival, ParsedPush, sha256};
use crate::domain::sources::{Header, Headers, Pushed, Reading, Refusal, Rules, Source};
use crate::observability::metrics::{PushOutcome, push_answered};
use crate::queue::{Accepted, Plan};
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
    pub plan: Plan,
    /// For health.
    pub pool: PgPool,
    /// When a push reached us.
    pub clock: SharedClock,
    /// Longest body, in bytes.
    pub body_limit: usize,
    /// Holds down who sends proofs that do not match.
    pub throttle: Throttle,
    /// Peers that may say for whom they speak.
    pub trusted_proxies: Vec<IpNet>,
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
            let push = Pushed { headers: &headers, account, body: &body, at: receiver.clock.now() };
            receive(receiver, source, &parts.headers, push, address).await
        }
        Err(refusal) => refusal,
    };
    push_answered(&source.name, outcome.counted);
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
async fn receive(
    receiver: &Receiver,
    source: &Source,
    headers: &HeaderMap,
    push: Pushed<'_>,
    address: IpAddr,
) -> Outcome {
    if headers.contains_key(CONTENT_ENCODING) {
        return Outcome::bad_request(
            "a content encoding is not supported: what is signed is the body as sent\n",
        );
    }
    if push.headers.find(&source.auth.header) == Header::Several {
        return Outcome::bad_request("two headers with a signature\n");
    }
    // Only Shopee's probe has to be known before anything is verified: the console saves a callback URL only
    // if its probe is answered, before there is a push key.
    let early = (source.rules == Rules::Shopee).then(|| source.read(&push));
    if early == Some(Reading::Probe) {
        tracing::info!(source = source.name, "answered the verification probe of {}", source.name);
        return Outcome::stored(source, PushOutcome::Probe);
    }
    if let Err(refusal) = source.verify(&push) {
        return refuse(receiver, source, refusal, &push, address);
    }
    let Reading::Push(parsed) = early.unwrap_or_else(|| source.read(&push)) else {
        return Outcome::stored(source, PushOutcome::Probe);
    };
    if let Err(refusal) = source.check_account(&push, parsed.account.as_deref()) {
        return refuse(receiver, source, refusal, &push, address);
    }
    store(receiver, source, headers, *parsed, &push).await
}

fn refuse(
    receiver: &Receiver,
    source: &Source,
    refusal: Refusal,
    push: &Pushed<'_>,
    address: IpAddr,
) -> Outcome {
    if refusal == Refusal::TwoHeaders {
        return Outcome::bad_request("a signed header occurs twice\n");
    }
    match receiver.throttle.failed(address, push.at) {
        Verdict::TooMany => {
            let text = "too many signatures that do not match\n";
            return Outcome::refused(StatusCode::TOO_MANY_REQUESTS, PushOutcome::Throttled, text);
        }
        Verdict::Refuse => {}
        Verdict::Explain { untold } => {
            let reason = match refusal {
                Refusal::Missing | Refusal::Wrong => source.explain(push),
                other => other.to_string(),
            };
            tracing::warn!(source = source.name, cause = refusal.as_str(), reason, %address, untold,
                bytes = push.body.len(), "refused a push: {reason}");
        }
    }
    let status = status(source.ack.bad_auth, StatusCode::UNAUTHORIZED);
    Outcome::refused(status, PushOutcome::Unauthorized, "the signature does not match\n")
}

async fn store(
    receiver: &Receiver,
    source: &Source,
    headers: &HeaderMap,
    parsed: ParsedPush,
    push: &Pushed<'_>,
) -> Outcome {
    let intake = receiver.plan.intake(
        parsed,
        Arrival {
            source: source.name.clone(),
            body_sha256: sha256(push.body),
            headers: kept_headers(source, headers),
            received_at: push.at,
            via: Via::Push,
        },
    );
    let committed = receiver.committer.commit(intake);
    let committed = match patience(source) {
        None => committed.await,
        Some(patience) => {
            tokio::time::timeout(patience, committed).await.unwrap_or(Err(super::CommitError::Late))
        }
    };
    match committed {
        Ok(Accepted::New(_)) => Outcome::stored(source, PushOutcome::Stored),
        Ok(Accepted::Redelivery(_)) => Outcome::stored(source, PushOutcome::Duplicate),
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

/// Headers that help to understand a push later; never the signature, never a cookie.
fn kept_headers(source: &Source, headers: &HeaderMap) -> serde_json::Value {
    let names =
        ["content-type", "user-agent"].into_iter().chain(source.keep_headers.iter().map(String::as_str));
    let kept = names.filter(|name| *name != source.auth.header && *name != "cookie").filter_map(|name| {
        Some((name.to_owned(), json!(headers.get(name)?.to_str().ok()?.replace('\0', ""))))
    });
    kept.collect::<serde_json::Map<_, _>>().into()
}
