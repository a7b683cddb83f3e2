//! Google Sheets v4 with its token endpoint: real grids, atomic batches, quotas, sharing.
//!
//! Formulas are kept but not computed.

pub mod a1;
pub mod batch;
mod cells;
mod dimensions;
pub mod mask;
pub mod render;
mod sheets;
pub mod token;
pub mod values;

use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use crate::simulator::shared::{Shared, Tx};
use crate::simulator::state::Change;
use crate::simulator::state::google::{GoogleChange, Spreadsheet};

const ROOT: &str = "/v4/spreadsheets/";
/// Reads, and writes, per minute and user.
const PER_MINUTE: u32 = 60;

/// Why a call is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// 400, `INVALID_ARGUMENT`.
    Invalid(String),
    /// 400, and the call itself is not known to the simulator.
    Unknown(String),
    /// 401, `UNAUTHENTICATED`.
    Unauthenticated,
    /// 403, `PERMISSION_DENIED`.
    Denied(&'static str),
    /// 404, `NOT_FOUND`.
    NotFound,
    /// 429, `RESOURCE_EXHAUSTED`: of reads, or of writes.
    Exhausted(&'static str),
}

impl Refusal {
    pub(super) fn invalid(text: impl Into<String>) -> Self {
        Self::Invalid(text.into())
    }
}

type Outcome = Result<Value, Refusal>;

/// A call by a known account for a spreadsheet.
struct Call<'a> {
    user: String,
    id: String,
    query: Vec<(String, String)>,
    body: &'a Bytes,
}

impl Call<'_> {
    fn query(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.query.iter().filter(move |(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    fn body<'a, T: Deserialize<'a>>(&'a self) -> Result<T, Refusal> {
        serde_json::from_slice(self.body)
            .map_err(|error| Refusal::invalid(format!("Invalid JSON payload received. {error}")))
    }

    fn spreadsheet<'a>(&self, tx: &'a Tx<'_>) -> Result<&'a Spreadsheet, Refusal> {
        tx.google.spreadsheets.get(&self.id).ok_or(Refusal::NotFound)
    }
}

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
    if uri.path() == "/token" && method == Method::POST {
        return shared.update(|tx| token::issue(tx, &headers, &body));
    }
    match shared.update(|tx| handle(tx, &method, &uri, &headers, &body)) {
        Ok(value) => axum::Json(value).into_response(),
        Err(refusal) => {
            if let Refusal::Unknown(what) = &refusal {
                shared.record(Change::Unknown { call: format!("google {method} {}: {what}", uri.path()) });
            }
            refuse(&refusal)
        }
    }
}

fn refuse(refusal: &Refusal) -> Response {
    let (code, status, message) = match refusal {
        Refusal::Invalid(text) | Refusal::Unknown(text) => (400, "INVALID_ARGUMENT", text.as_str()),
        Refusal::Unauthenticated => (
            401,
            "UNAUTHENTICATED",
            "Request had invalid authentication credentials. Expected OAuth 2 access token, login cookie or \
             other valid authentication credential.",
        ),
        Refusal::Denied(text) => (403, "PERMISSION_DENIED", *text),
        Refusal::NotFound => (404, "NOT_FOUND", "Requested entity was not found."),
        Refusal::Exhausted(kind) => return exhausted(kind),
    };
    let body = json!({"error": {"code": code, "message": message, "status": status}});
    (StatusCode::from_u16(code).unwrap_or(StatusCode::BAD_REQUEST), axum::Json(body)).into_response()
}

/// "Too many calls" in Google's words; `kind` is `Read` or `Write`. There is no `Retry-After`.
pub(super) fn exhausted(kind: &str) -> Response {
    let message = format!(
        "Quota exceeded for quota metric '{kind} requests' and limit '{kind} requests per minute per user' of \
         service 'sheets.googleapis.com' for consumer 'project_number:1'."
    );
    let body = json!({"error": {"code": 429, "message": message, "status": "RESOURCE_EXHAUSTED",
        "details": [{"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "RATE_LIMIT_EXCEEDED"}]}});
    (StatusCode::TOO_MANY_REQUESTS, axum::Json(body)).into_response()
}

/// What the path asks for.
enum Operation {
    Get,
    Batch,
    ValuesGet(String),
    ValuesPut(String),
    ValuesAppend(String),
    ValuesClear(String),
    ValuesBatchGet,
    ValuesBatchUpdate,
}

impl Operation {
    fn writes(&self) -> bool {
        !matches!(self, Self::Get | Self::ValuesGet(_) | Self::ValuesBatchGet)
    }
}

/// The spreadsheet and the operation that a path names.
fn operation(method: &Method, path: &str) -> Option<(String, Operation)> {
    let rest = path.strip_prefix(ROOT)?;
    let post = method == Method::POST;
    let get = method == Method::GET;
    let Some((id, values)) = rest.split_once('/') else {
        return Some(match rest.split_once(':') {
            None if get => (rest.to_owned(), Operation::Get),
            Some((id, "batchUpdate")) if post => (id.to_owned(), Operation::Batch),
            _ => return None,
        });
    };
    let operation = match values {
        "values:batchGet" if get => Operation::ValuesBatchGet,
        "values:batchUpdate" if post => Operation::ValuesBatchUpdate,
        _ => {
            let range = a1::percent_decoded(values.strip_prefix("values/")?);
            match (method, range.strip_suffix(":append"), range.strip_suffix(":clear")) {
                (&Method::GET, None, None) => Operation::ValuesGet(range),
                (&Method::PUT, None, None) => Operation::ValuesPut(range),
                (&Method::POST, Some(range), None) => Operation::ValuesAppend(range.to_owned()),
                (&Method::POST, None, Some(range)) => Operation::ValuesClear(range.to_owned()),
                _ => return None,
            }
        }
    };
    Some((id.to_owned(), operation))
}

fn handle(tx: &mut Tx<'_>, method: &Method, uri: &Uri, headers: &HeaderMap, body: &Bytes) -> Outcome {
    let (id, operation) =
        operation(method, uri.path()).ok_or_else(|| Refusal::Unknown("Not found".into()))?;
    let user = allowed(tx, headers, &operation)?;
    count(tx, &user, operation.writes())?;
    let spreadsheet = tx.google.spreadsheets.get(&id).ok_or(Refusal::NotFound)?;
    let may_write = spreadsheet.shared_with.contains(&user);
    if !may_write && (operation.writes() || !spreadsheet.readers.contains(&user)) {
        return Err(Refusal::Denied("The caller does not have permission"));
    }
    let query =
        url::form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes()).into_owned().collect();
    let call = Call { user, id, query, body };
    match operation {
        Operation::Get => get(&call, tx),
        Operation::Batch => batch_update(&call, tx),
        Operation::ValuesGet(range) => values::get(&call, tx, &range),
        Operation::ValuesPut(range) => values::put(&call, tx, &range),
        Operation::ValuesAppend(range) => values::append(&call, tx, &range),
        Operation::ValuesClear(range) => values::clear(&call, tx, &range),
        Operation::ValuesBatchGet => values::batch_get(&call, tx),
        Operation::ValuesBatchUpdate => values::batch_update(&call, tx),
    }
}

/// The account behind the bearer token, if its scope allows the operation.
fn allowed(tx: &Tx<'_>, headers: &HeaderMap, operation: &Operation) -> Result<String, Refusal> {
    let bearer = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let token = bearer.and_then(|value| value.strip_prefix("Bearer ")).ok_or(Refusal::Unauthenticated)?;
    let known = tx.google.tokens.get(token).filter(|known| tx.now_ms < known.until_ms);
    let known = known.ok_or(Refusal::Unauthenticated)?;
    let enough = known.scope.split(' ').any(|scope| match scope.strip_prefix(token::SCOPE_ROOT) {
        Some("spreadsheets" | "drive" | "drive.file") => true,
        Some("spreadsheets.readonly" | "drive.readonly") => !operation.writes(),
        _ => false,
    });
    if enough {
        Ok(known.email.clone())
    } else {
        Err(Refusal::Denied("Request had insufficient authentication scopes."))
    }
}

fn count(tx: &mut Tx<'_>, user: &str, write: bool) -> Result<(), Refusal> {
    let window = tx.now_ms / tx.shared.quota_ms(60);
    let current = tx.google.quota.get(user).filter(|quota| quota.window == window);
    let calls = current.map_or(0, |quota| if write { quota.writes } else { quota.reads });
    if calls >= PER_MINUTE {
        return Err(Refusal::Exhausted(if write { "Write" } else { "Read" }));
    }
    tx.record(GoogleChange::Counted { user: user.to_owned(), window, write });
    Ok(())
}

fn get(call: &Call<'_>, tx: &mut Tx<'_>) -> Outcome {
    let spreadsheet = call.spreadsheet(tx)?;
    let sheets: Vec<Value> =
        spreadsheet.sheets.iter().enumerate().map(|(index, sheet)| sheets::view(index, sheet)).collect();
    let whole = json!({
        "spreadsheetId": call.id,
        "properties": {"title": spreadsheet.title, "locale": spreadsheet.locale, "autoRecalc": "ON_CHANGE",
            "timeZone": spreadsheet.time_zone},
        "sheets": sheets,
        "spreadsheetUrl": format!("https://docs.google.com/spreadsheets/d/{}/edit", call.id),
    });
    match call.query("fields") {
        None => Ok(whole),
        Some(fields) => {
            let mask = mask::Mask::parse(fields).map_err(Refusal::Invalid)?;
            let known = [
                "*",
                "spreadsheetId",
                "properties",
                "sheets",
                "spreadsheetUrl",
                "namedRanges",
                "developerMetadata",
            ];
            if let Some(wrong) = mask.names().find(|name| !known.contains(name)) {
                return Err(Refusal::invalid(format!("Invalid field selection {wrong}")));
            }
            Ok(mask.select(&whole))
        }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct BatchBody {
    requests: Box<RawValue>,
    #[serde(default)]
    include_spreadsheet_in_response: bool,
    #[serde(default, rename = "responseRanges")]
    _response_ranges: Vec<String>,
    #[serde(default, rename = "responseIncludeGridData")]
    _response_include_grid_data: bool,
}

fn batch_update(call: &Call<'_>, tx: &mut Tx<'_>) -> Outcome {
    let body: BatchBody = call.body()?;
    if body.include_spreadsheet_in_response {
        return Err(Refusal::Unknown("includeSpreadsheetInResponse".into()));
    }
    let salt = tx.random();
    // All or nothing: tried on a copy, whose rows are shared until written to.
    let mut copy = call.spreadsheet(tx)?.clone();
    let replies = batch::run(&mut copy, &call.user, &body.requests, salt)?;
    drop(copy);
    let (id, user) = (call.id.clone(), call.user.clone());
    tx.record(GoogleChange::Batch { id, user, requests: body.requests, salt });
    Ok(json!({"spreadsheetId": call.id, "replies": replies}))
}
