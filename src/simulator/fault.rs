//! Faults: scripted ones, for tests, and random ones at a rate, for the demo.
//!
//! A fault strikes a call before its handler (nothing happened) or after (it happened, and the caller
//! does not learn it). Every firing is counted.

use std::collections::BTreeMap;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use http_body_util::BodyExt;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde_json::json;

use crate::simulator::google;
use crate::simulator::shared::Shared;

/// Which of the services.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Service {
    /// Shopee's Open Platform.
    Shopee,
    /// The Telegram Bot API.
    Telegram,
    /// Google Sheets and its token endpoint.
    Google,
    /// The seller's own service.
    Forward,
}

impl Service {
    /// The name, as in the log of calls.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Shopee => "shopee",
            Self::Telegram => "telegram",
            Self::Google => "google",
            Self::Forward => "forward",
        }
    }
}

/// Which calls a fault strikes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// The service.
    pub service: Service,
    /// A part of the method or path, without regard to case; empty: every call.
    pub call: String,
}

/// Whether the call takes effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum When {
    /// It does not.
    Before,
    /// It does, and then the reply is lost or replaced.
    After,
}

/// What the caller gets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// This status with this body, as JSON.
    Status {
        /// HTTP status.
        code: u16,
        /// The body.
        body: String,
    },
    /// HTTP 200 with Shopee's error envelope.
    ShopeeError {
        /// The error's code.
        error: String,
        /// The text.
        message: String,
    },
    /// A page of a gateway, with this status.
    Html(u16),
    /// Nothing for so long, then the connection is cut.
    Hang(Duration),
    /// The connection is cut in the middle of the body.
    Cut,
    /// The service's own words for "too many calls", with the seconds to wait.
    RetryAfter(u32),
    /// The right answer, so much later.
    Slow(Duration),
}

/// One scripted fault.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// Which calls.
    pub target: Target,
    /// Before or after they take effect.
    pub when: When,
    /// What the caller gets.
    pub action: Action,
    /// How often it strikes.
    pub times: u32,
    /// How many matching calls pass before it begins.
    pub skip: u32,
}

impl Fault {
    /// A fault that strikes the next matching call, before it takes effect.
    pub fn once(service: Service, call: &str, action: Action) -> Self {
        let target = Target { service, call: call.to_owned() };
        Self { target, when: When::Before, action, times: 1, skip: 0 }
    }

    /// The same, but the call takes effect.
    #[must_use]
    pub fn after(mut self) -> Self {
        self.when = When::After;
        self
    }

    /// The same, `times` times.
    #[must_use]
    pub fn times(mut self, times: u32) -> Self {
        self.times = times;
        self
    }

    /// The same, after `skip` calls that pass.
    #[must_use]
    pub fn skip(mut self, skip: u32) -> Self {
        self.skip = skip;
        self
    }
}

/// How many random faults there are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum FaultProfile {
    /// None.
    #[default]
    None,
    /// About what a month of the real services shows: one call in a hundred.
    Realistic,
    /// One call in fifteen.
    Harsh,
}

impl FromStr for FaultProfile {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "none" => Ok(Self::None),
            "realistic" => Ok(Self::Realistic),
            "harsh" => Ok(Self::Harsh),
            other => Err(format!("{other}: expected none, realistic or harsh")),
        }
    }
}

impl std::fmt::Display for FaultProfile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::None => "none",
            Self::Realistic => "realistic",
            Self::Harsh => "harsh",
        })
    }
}

/// The faults that wait, and how often each struck.
#[derive(Debug)]
pub struct FaultBook {
    queue: Vec<Fault>,
    profile: FaultProfile,
    random: StdRng,
    fired: BTreeMap<String, u64>,
}

impl FaultBook {
    pub(super) fn new(seed: u64) -> Self {
        let random = StdRng::seed_from_u64(seed);
        Self { queue: Vec::new(), profile: FaultProfile::None, random, fired: BTreeMap::new() }
    }

    pub(super) fn push(&mut self, fault: Fault) {
        self.queue.push(fault);
    }

    pub(super) fn set_profile(&mut self, profile: FaultProfile) {
        self.profile = profile;
    }

    /// Firings by service, call and action.
    pub fn fired(&self) -> &BTreeMap<String, u64> {
        &self.fired
    }

    /// Scripted faults that have not struck as often as they should.
    pub fn waiting(&self) -> &[Fault] {
        &self.queue
    }

    fn strike(&mut self, service: Service, call: &str) -> Option<(When, Action)> {
        let (when, action) = self.scripted(service, call).or_else(|| self.random_fault(service))?;
        let name = match &action {
            Action::Status { code, .. } => format!("status {code}"),
            Action::ShopeeError { error, .. } => error.clone(),
            Action::Html(code) => format!("page {code}"),
            Action::Hang(_) => "hang".to_owned(),
            Action::Cut => "cut".to_owned(),
            Action::RetryAfter(_) => "too many".to_owned(),
            Action::Slow(_) => "slow".to_owned(),
        };
        let when_name = if when == When::After { "after" } else { "before" };
        *self.fired.entry(format!("{} {call}: {name} ({when_name})", service.as_str())).or_default() += 1;
        Some((when, action))
    }

    fn scripted(&mut self, service: Service, call: &str) -> Option<(When, Action)> {
        let call = call.to_lowercase();
        let matches = |fault: &Fault| {
            fault.target.service == service && call.contains(&fault.target.call.to_lowercase())
        };
        let at = self.queue.iter().position(matches)?;
        let fault = &mut self.queue[at];
        if fault.skip > 0 {
            fault.skip -= 1;
            return None;
        }
        fault.times = fault.times.saturating_sub(1);
        let struck = (fault.when, fault.action.clone());
        if fault.times == 0 {
            self.queue.remove(at);
        }
        Some(struck)
    }

    fn random_fault(&mut self, service: Service) -> Option<(When, Action)> {
        let rate = match self.profile {
            FaultProfile::None => return None,
            FaultProfile::Realistic => 0.01,
            FaultProfile::Harsh => 0.065,
        };
        if !self.random.random_bool(rate) {
            return None;
        }
        let shopee = |error: &str, message: &str| Action::ShopeeError {
            error: error.to_owned(),
            message: message.to_owned(),
        };
        let slow = Action::Slow(Duration::from_millis(self.random.random_range(200..1500)));
        Some(match (service, self.random.random_range(0..8)) {
            (Service::Shopee, 0 | 1) => {
                (When::Before, shopee("error_server", "Something wrong. Please try later."))
            }
            (Service::Shopee, 2) => (When::Before, shopee("error_network", "Inner http call failed")),
            (Service::Shopee | Service::Forward, 3)
            | (Service::Telegram, 0..=4)
            | (Service::Google, 0 | 1) => (When::Before, Action::RetryAfter(1)),
            (Service::Google, 2) => (When::After, Action::Html(503)),
            // Telegram has no such page here: its client library pauses 10 s on every 5xx.
            (Service::Shopee | Service::Google | Service::Forward, 4) => (When::Before, Action::Html(502)),
            (_, 5) => (When::After, Action::Cut),
            _ => (When::Before, slow),
        })
    }
}

/// What the fault layer of one server knows.
#[derive(Debug, Clone)]
pub struct FaultLayer {
    /// The world.
    pub shared: Arc<Shared>,
    /// Whose server it is.
    pub service: Service,
}

/// Counts the call, strikes it if a fault says so, and passes it on otherwise.
pub async fn strike(State(layer): State<FaultLayer>, request: Request, next: Next) -> Response {
    let call = call_name(layer.service, request.method().as_str(), request.uri().path());
    let name = format!("{} {call}", layer.service.as_str());
    layer.shared.record(crate::simulator::state::Change::Called { call: name });
    match layer.shared.faults(|book| book.strike(layer.service, &call)) {
        None => next.run(request).await,
        Some((When::Before, Action::Slow(time))) => {
            tokio::time::sleep(time).await;
            next.run(request).await
        }
        Some((When::Before, action)) => replace(layer.service, action, None).await,
        Some((When::After, action)) => {
            let reply = next.run(request).await;
            replace(layer.service, action, Some(reply)).await
        }
    }
}

/// A call's name without secrets: the bot token is left out.
pub fn call_name(service: Service, method: &str, path: &str) -> String {
    match service {
        Service::Telegram => path.rsplit('/').next().unwrap_or_default().to_lowercase(),
        Service::Shopee | Service::Google | Service::Forward => format!("{method} {path}"),
    }
}

async fn replace(service: Service, action: Action, reply: Option<Response>) -> Response {
    match action {
        Action::Status { code, body } => json_text(status(code), body),
        Action::ShopeeError { error, message } => json_text(
            StatusCode::OK,
            json!({"error": error, "message": message, "request_id": "fault"}).to_string(),
        ),
        Action::Html(code) => {
            let page = format!("<html><head><title>{code}</title></head><body>{code}</body></html>");
            (status(code), [(header::CONTENT_TYPE, "text/html")], page).into_response()
        }
        Action::Hang(time) => {
            tokio::time::sleep(time).await;
            cut(reply).await
        }
        Action::Cut => cut(reply).await,
        Action::RetryAfter(seconds) => too_many(service, seconds),
        Action::Slow(time) => {
            tokio::time::sleep(time).await;
            reply.unwrap_or_default()
        }
    }
}

fn status(code: u16) -> StatusCode {
    StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
}

fn json_text(status: StatusCode, body: String) -> Response {
    (status, [(header::CONTENT_TYPE, "application/json")], body).into_response()
}

/// "Too many calls" in the words of the service.
pub fn too_many(service: Service, seconds: u32) -> Response {
    let body = match service {
        Service::Shopee => {
            json!({"error": "error_rate_limit", "message": "Too many requests, please try later.",
            "request_id": "limit"})
        }
        Service::Telegram => json!({"ok": false, "error_code": 429,
            "description": format!("Too Many Requests: retry after {seconds}"),
            "parameters": {"retry_after": seconds}}),
        Service::Google => return google::exhausted("Write"),
        Service::Forward => json!({"error": "too many requests"}),
    };
    let mut reply = json_text(StatusCode::TOO_MANY_REQUESTS, body.to_string());
    reply.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    reply
}

/// Sends the head and half of the body, then breaks the connection.
async fn cut(reply: Option<Response>) -> Response {
    let (mut parts, body) = reply.unwrap_or_default().into_parts();
    let whole = body.collect().await.map(http_body_util::Collected::to_bytes).unwrap_or_default();
    let half = if whole.is_empty() { Bytes::from_static(b"{") } else { whole.slice(..whole.len() / 2) };
    parts.headers.insert(header::CONTENT_LENGTH, HeaderValue::from(whole.len().max(2)));
    let pieces = [Ok(half), Err(std::io::Error::other("cut by a fault"))];
    Response::from_parts(parts, Body::from_stream(stream::iter(pieces)))
}
