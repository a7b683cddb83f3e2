//! The seller's own service, to which pushbox forwards: any path, `POST` with the headers of Standard Webhooks.
//!
//! It answers 204 to what is signed with a key of its own, 401 to anything else, and keeps both.

use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use crate::simulator::shared::Shared;
use crate::simulator::state::Change;
use crate::simulator::state::forward::{ForwardChange, Post};

/// The standard's reference libraries allow five minutes.
const TOLERANCE_SECONDS: i64 = 300;

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
    if method == Method::OPTIONS {
        return StatusCode::NO_CONTENT.into_response();
    }
    if method != Method::POST {
        shared.record(Change::Unknown { call: format!("forward {method} {}", uri.path()) });
        return StatusCode::METHOD_NOT_ALLOWED.into_response();
    }
    let header =
        |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned();
    let (id, timestamp, signature) =
        (header("webhook-id"), header("webhook-timestamp"), header("webhook-signature"));
    let secrets = shared.read(|world| world.forward.secrets.clone());
    let signed = format!("{id}.{timestamp}.");
    let expected: Vec<String> = secrets.iter().filter_map(|secret| sign(secret, &signed, &body)).collect();
    let valid = signature.split(' ').filter(|one| expected.iter().any(|expected| expected == one)).count();
    let fresh =
        timestamp.parse::<i64>().is_ok_and(|sent| (shared.now_ms() / 1000 - sent).abs() <= TOLERANCE_SECONDS);
    let path = uri.path_and_query().map(ToString::to_string).unwrap_or_default();
    let body = String::from_utf8_lossy(&body).into_owned();
    let complete = !id.is_empty() && !id.contains('.');
    shared.record(ForwardChange::Received(Post { path, id, timestamp, signature, body, valid }));
    if complete && fresh && (secrets.is_empty() || valid > 0) {
        StatusCode::NO_CONTENT.into_response()
    } else {
        (StatusCode::UNAUTHORIZED, "signature or time is wrong").into_response()
    }
}

fn sign(secret: &str, signed: &str, body: &[u8]) -> Option<String> {
    let key = STANDARD.decode(secret.trim_start_matches("whsec_")).ok()?;
    let mut mac = Hmac::<Sha256>::new_from_slice(&key).ok()?;
    mac.update(signed.as_bytes());
    mac.update(body);
    Some(format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes())))
}
