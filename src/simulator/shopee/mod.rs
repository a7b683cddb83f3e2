//! Shopee's Open Platform, API v2.
//!
//! Failing calls are HTTP 200 with an `error`, as there. Common parameters are checked before a handler
//! runs: the signature over exactly what the reference names, the clock, the token.

mod access;
mod orders;
mod payment;
pub mod push;
pub(in crate::simulator) mod tokens;

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value, json};

use crate::simulator::shared::{Shared, Tx};
use crate::simulator::state::Change;

pub use access::sign_call;

/// Why a call is refused: the code and the text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Refusal {
    error: &'static str,
    message: String,
}

impl Refusal {
    fn new(error: &'static str, message: impl Into<String>) -> Self {
        Self { error, message: message.into() }
    }

    fn param(message: impl Into<String>) -> Self {
        Self::new("error_param", message)
    }
}

/// What a handler answers.
enum Answer {
    /// Under `response`.
    Wrapped(Value),
    /// Under `response`, with warnings.
    Warned(Value, Vec<String>),
    /// Beside the envelope's own fields.
    Flat(Map<String, Value>),
}

type Outcome = Result<Answer, Refusal>;

/// A call whose common parameters are right.
struct Call {
    query: BTreeMap<String, String>,
    body: Value,
    partner_id: i64,
    /// The shop; 0 for calls without one.
    shop_id: i64,
}

impl Call {
    fn text(&self, name: &str) -> Option<&str> {
        self.query.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    fn integer(&self, name: &str) -> Result<Option<i64>, Refusal> {
        let bad = |_| Refusal::param(format!("Invalid parameter: {name} must be an integer."));
        self.text(name).map(str::parse).transpose().map_err(bad)
    }

    fn required(&self, name: &str) -> Result<i64, Refusal> {
        self.integer(name)?.ok_or_else(|| Refusal::param(format!("Missing required parameter: {name}.")))
    }

    /// A page size: required or with a default, within `1..=100`.
    fn page_size(&self, default: Option<i64>) -> Result<usize, Refusal> {
        let size = match default {
            Some(default) => self.integer("page_size")?.unwrap_or(default),
            None => self.required("page_size")?,
        };
        if !(1..=100).contains(&size) {
            return Err(Refusal::param("Invalid parameter: page_size must be between 1 and 100."));
        }
        Ok(usize::try_from(size).unwrap_or(100))
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Signed with partner, path and time.
    Public,
    /// Signed with the access token and the shop, too.
    Shop,
}

struct Api {
    method: Method,
    path: &'static str,
    kind: Kind,
    run: fn(&Call, &mut Tx<'_>) -> Outcome,
}

const fn api(method: Method, path: &'static str, kind: Kind, run: fn(&Call, &mut Tx<'_>) -> Outcome) -> Api {
    Api { method, path, kind, run }
}

static APIS: [Api; 14] = [
    api(Method::POST, "/api/v2/auth/token/get", Kind::Public, tokens::exchange_code),
    api(Method::POST, "/api/v2/auth/access_token/get", Kind::Public, tokens::refresh),
    api(Method::GET, "/api/v2/public/get_shops_by_partner", Kind::Public, tokens::shops_by_partner),
    api(Method::GET, "/api/v2/public/get_shopee_ip_ranges", Kind::Public, tokens::ip_ranges),
    api(Method::GET, "/api/v2/shop/get_shop_info", Kind::Shop, tokens::shop_info),
    api(Method::GET, "/api/v2/order/get_order_detail", Kind::Shop, orders::detail),
    api(Method::GET, "/api/v2/order/get_order_list", Kind::Shop, orders::list),
    api(Method::GET, "/api/v2/payment/get_escrow_detail", Kind::Shop, payment::escrow),
    api(Method::POST, "/api/v2/payment/get_escrow_detail_batch", Kind::Shop, payment::escrow_batch),
    api(Method::GET, "/api/v2/payment/get_escrow_list", Kind::Shop, payment::escrow_list),
    api(Method::GET, "/api/v2/push/get_lost_push_message", Kind::Public, push::lost),
    api(Method::POST, "/api/v2/push/confirm_consumed_lost_push_message", Kind::Public, push::confirm),
    api(Method::GET, "/api/v2/push/get_app_push_config", Kind::Public, push::config),
    api(Method::POST, push::SET_CONFIG, Kind::Public, push::set_config),
];

pub(super) fn router(shared: &Arc<Shared>) -> Router {
    Router::new().fallback(answer).with_state(Arc::clone(shared))
}

async fn answer(
    State(shared): State<Arc<Shared>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let Some(api) = APIS.iter().find(|api| api.path == uri.path()) else {
        shared.record(Change::Unknown { call: format!("shopee {method} {}", uri.path()) });
        let body = envelope("unknown", "error_not_found", "The API path does not exist.");
        return (StatusCode::NOT_FOUND, axum::Json(Value::Object(body))).into_response();
    };
    let outcome = match check(&shared, api, &method, &uri, &headers, &body) {
        Err(refusal) => Err(refusal),
        Ok(call) => match probe(&shared, api, &call).await {
            Err(refusal) => Err(refusal),
            Ok(()) => shared.update(|tx| (api.run)(&call, tx)),
        },
    };
    let request_id = shared.update(|tx| tx.token(16));
    axum::Json(Value::Object(render(&request_id, outcome))).into_response()
}

fn check(
    shared: &Shared,
    api: &Api,
    method: &Method,
    uri: &Uri,
    headers: &HeaderMap,
    body: &Bytes,
) -> Result<Call, Refusal> {
    let query: BTreeMap<String, String> =
        url::form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes()).into_owned().collect();
    let now_ms = shared.now_ms();
    let (partner_id, shop_id) =
        shared.read(|world| access::check(&world.shopee, api.kind, api.path, &query, now_ms))?;
    if api.method != *method {
        return Err(Refusal::param(format!("Wrong method: this API takes {}.", api.method)));
    }
    let body = if *method == Method::POST { json_body(headers, body)? } else { Value::Null };
    Ok(Call { query, body, partner_id, shop_id })
}

fn json_body(headers: &HeaderMap, body: &Bytes) -> Result<Value, Refusal> {
    let content_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    if !content_type.is_some_and(|value| value.starts_with("application/json")) {
        return Err(Refusal::param("Content-Type must be application/json."));
    }
    match serde_json::from_slice(body) {
        Ok(body @ Value::Object(_)) => Ok(body),
        _ => Err(Refusal::param("The request body is not a JSON object.")),
    }
}

/// A callback URL is saved only after it answered a test push.
async fn probe(shared: &Shared, api: &Api, call: &Call) -> Result<(), Refusal> {
    match call.body.get("callback_url") {
        Some(url) if api.path == push::SET_CONFIG => {
            push::verify_callback(shared, call.partner_id, url).await
        }
        _ => Ok(()),
    }
}

fn envelope(request_id: &str, error: &str, message: &str) -> Map<String, Value> {
    let Value::Object(map) = json!({"error": error, "message": message, "request_id": request_id}) else {
        unreachable!("the macro was given an object")
    };
    map
}

fn render(request_id: &str, outcome: Outcome) -> Map<String, Value> {
    match outcome {
        Err(refusal) => envelope(request_id, refusal.error, &refusal.message),
        Ok(Answer::Wrapped(response)) => {
            let mut map = envelope(request_id, "", "");
            map.insert("response".into(), response);
            map
        }
        Ok(Answer::Warned(response, warnings)) => {
            let mut map = envelope(request_id, "", "");
            map.insert("response".into(), response);
            map.insert("warning".into(), warnings.into());
            map
        }
        Ok(Answer::Flat(fields)) => {
            let mut map = envelope(request_id, "", "");
            map.extend(fields);
            map
        }
    }
}
