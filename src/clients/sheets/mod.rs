//! Google Sheets, v4, as a service account.
//!
//! google-sheets4 makes the calls; this module keeps its traps away from everyone else (7.0):
//!
//! * every call names its scope, because the crate's default is the whole of Drive;
//! * every call has a time-out, because the crate has none;
//! * no range ever goes into a path, because the crate does not escape it there;
//! * no null is ever sent, because the crate drops it from lists ([`cell`](Cell) says what that would do);
//! * every refusal is an [`SheetsError`], because the crate calls them all "bad request".
//!
//! A write is one call that is done as a whole or not at all. When nobody knows which,
//! [`SheetsError::Unclear`] says so, and the caller reads back before it writes again. Nothing is repeated here,
//! except once after Google has refused a token, when nothing was done.

mod auth;
mod cell;
mod error;
mod request;

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use google_sheets4::api::{BatchUpdateSpreadsheetRequest, Request, Scope, SheetProperties};
use google_sheets4::common::{self, Delegate, Retry};
use google_sheets4::{Error, Sheets};
use hyper_rustls::HttpsConnectorBuilder;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};

use crate::clients::http;
use crate::clients::sheets::auth::{Connector, Tokens};
use crate::clients::sheets::error::{Kind, Refusal, classify};
use crate::config::SheetsSettings;

pub use cell::{Cell, CellValue, a1_range, column_letters, shown_text};
pub use error::SheetsError;
pub use request::{FormatKind, SheetRequest};

/// A connection that is not there by then will not come.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// For a call that reads, token included.
const READ_TIMEOUT: Duration = Duration::from_mins(1);
/// For a call that writes, token included. Large spreadsheets take Google their time (at most 180 s).
const WRITE_TIMEOUT: Duration = Duration::from_mins(2);

const INFO_FIELDS: &str = "properties(title,locale,timeZone),sheets.properties(sheetId,title,gridProperties)";

/// What a spreadsheet is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SpreadsheetInfo {
    /// Its title.
    pub title: String,
    /// How it shows numbers, for example `en_US`.
    pub locale: String,
    /// In which time zone its dates are, for example `Asia/Singapore`.
    pub time_zone: String,
    /// Its tabs, from left to right.
    pub tabs: Vec<Tab>,
}

/// A tab of a spreadsheet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tab {
    /// Stays the same when the tab is renamed.
    pub sheet_id: i32,
    /// The name on the tab.
    pub title: String,
    /// Rows there are, empty ones included.
    pub row_count: i32,
    /// Columns there are, empty ones included.
    pub column_count: i32,
    /// Rows that stay in sight.
    pub frozen_rows: i32,
}

/// In which direction the lists of a read run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Major {
    /// One list per row.
    Rows,
    /// One list per column.
    Columns,
}

/// The first row of what a read by [`Major::Columns`] gave: the header, when a header and a key column are read in
/// one call.
pub fn first_row(columns: &[Vec<CellValue>]) -> Vec<CellValue> {
    columns.iter().map(|column| column.first().cloned().unwrap_or(CellValue::Empty)).collect()
}

/// Google Sheets for one service account. Share it behind an `Arc`; it keeps connections and the token.
pub struct SheetsClient {
    hub: Sheets<Connector>,
    tokens: Tokens,
    client_email: String,
}

impl std::fmt::Debug for SheetsClient {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SheetsClient").field("client_email", &self.client_email).finish_non_exhaustive()
    }
}

type Called<'a, T> = Pin<Box<dyn Future<Output = common::Result<(common::Response, T)>> + Send + 'a>>;

impl SheetsClient {
    /// A client for the configured account. Nothing is sent yet. Plain http only if the settings say so.
    pub async fn new(settings: &SheetsSettings) -> Result<Self, SheetsError> {
        let key = auth::parse_key(&settings.credentials)?;
        let client_email = key.client_email.clone();
        let plain = settings.api_url.as_ref().is_some_and(|url| url.scheme() == "http");
        let connector = connector(plain)?;
        let tokens = Tokens::new(key, connector.clone()).await?;
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .build::<_, common::Body>(connector);
        let mut hub = Sheets::new(client, tokens.clone());
        hub.user_agent(http::USER_AGENT.to_owned());
        if let Some(url) = &settings.api_url {
            let url = format!("{}/", url.as_str().trim_end_matches('/'));
            hub.base_url(url.clone());
            hub.root_url(url);
        }
        Ok(Self { hub, tokens, client_email })
    }

    /// The account's address: the spreadsheet has to be shared with it.
    pub fn client_email(&self) -> &str {
        &self.client_email
    }

    /// The spreadsheet's properties and tabs.
    pub async fn spreadsheet(&self, id: &str) -> Result<SpreadsheetInfo, SheetsError> {
        check_id(id)?;
        let found = self
            .call(Kind::Read, |hub, notes| {
                let id = id.to_owned();
                Box::pin(async move {
                    let call = hub.spreadsheets().get(&id).param("fields", INFO_FIELDS);
                    call.add_scope(Scope::Spreadsheet).delegate(notes).doit().await
                })
            })
            .await?;
        let properties = found.properties.unwrap_or_default();
        Ok(SpreadsheetInfo {
            title: properties.title.unwrap_or_default(),
            locale: properties.locale.unwrap_or_default(),
            time_zone: properties.time_zone.unwrap_or_default(),
            tabs: found
                .sheets
                .unwrap_or_default()
                .into_iter()
                .filter_map(|sheet| sheet.properties)
                .map(tab)
                .collect(),
        })
    }

    /// The values of each range, in the order asked for: lists along `major`, without the blanks at their ends.
    /// Numbers and dates come as numbers, independent of the locale. One call, whatever the number of ranges.
    pub async fn read_ranges(
        &self,
        id: &str,
        ranges: &[String],
        major: Major,
    ) -> Result<Vec<Vec<Vec<CellValue>>>, SheetsError> {
        check_id(id)?;
        let dimension = match major {
            Major::Rows => "ROWS",
            Major::Columns => "COLUMNS",
        };
        let found = self
            .call(Kind::Read, |hub, notes| {
                let (id, ranges) = (id.to_owned(), ranges.to_vec());
                Box::pin(async move {
                    let mut call = hub.spreadsheets().values_batch_get(&id);
                    for range in &ranges {
                        call = call.add_ranges(range);
                    }
                    call.major_dimension(dimension)
                        .value_render_option("UNFORMATTED_VALUE")
                        .add_scope(Scope::Spreadsheet)
                        .delegate(notes)
                        .doit()
                        .await
                })
            })
            .await?;
        let found = found.value_ranges.unwrap_or_default();
        if found.len() != ranges.len() {
            let message = format!("{} ranges were asked for and {} came", ranges.len(), found.len());
            return Err(SheetsError::Unavailable { message });
        }
        let values = |lists: Vec<Vec<serde_json::Value>>| {
            lists.into_iter().map(|list| list.into_iter().map(CellValue::from_google).collect()).collect()
        };
        Ok(found.into_iter().map(|range| values(range.values.unwrap_or_default())).collect())
    }

    /// The values of each range, of which each is one column wide, from its top to its last value.
    pub async fn read_columns(
        &self,
        id: &str,
        ranges: &[String],
    ) -> Result<Vec<Vec<CellValue>>, SheetsError> {
        let found = self.read_ranges(id, ranges, Major::Columns).await?;
        Ok(found.into_iter().map(|columns| columns.into_iter().next().unwrap_or_default()).collect())
    }

    /// Makes all changes in one call, all or none. Returns the tabs that were added or copied, in order.
    pub async fn batch_update(&self, id: &str, requests: Vec<SheetRequest>) -> Result<Vec<Tab>, SheetsError> {
        check_id(id)?;
        if requests.is_empty() {
            return Ok(Vec::new());
        }
        let requests: Vec<Request> = requests.into_iter().map(SheetRequest::into_google).collect();
        let done = self
            .call(Kind::Write, |hub, notes| {
                let id = id.to_owned();
                let request =
                    BatchUpdateSpreadsheetRequest { requests: Some(requests.clone()), ..Default::default() };
                Box::pin(async move {
                    let call = hub.spreadsheets().batch_update(request, &id);
                    call.add_scope(Scope::Spreadsheet).delegate(notes).doit().await
                })
            })
            .await?;
        let made = done.replies.unwrap_or_default().into_iter().filter_map(|reply| {
            let copied = reply.duplicate_sheet.and_then(|copied| copied.properties);
            reply.add_sheet.and_then(|added| added.properties).or(copied)
        });
        Ok(made.map(tab).collect())
    }

    /// One call in time; once more with a new token if Google refuses the one we have.
    async fn call<T>(
        &self,
        kind: Kind,
        call: impl for<'n> Fn(Sheets<Connector>, &'n mut Notes) -> Called<'n, T>,
    ) -> Result<T, SheetsError> {
        let limit = match kind {
            Kind::Read => READ_TIMEOUT,
            Kind::Write => WRITE_TIMEOUT,
        };
        let mut refreshed = false;
        loop {
            let mut notes = Notes::default();
            let result = tokio::time::timeout(limit, call(self.hub.clone(), &mut notes)).await;
            match result {
                Ok(Ok((_, done))) => return Ok(done),
                Ok(Err(_)) if notes.status == 401 && !refreshed => {
                    refreshed = true;
                    self.tokens.refresh().await?;
                }
                Ok(Err(error)) => return Err(self.meaning(error, &notes, kind)),
                Err(_) => return Err(kind.unclear("no answer in time")),
            }
        }
    }

    fn meaning(&self, error: Error, notes: &Notes, kind: Kind) -> SheetsError {
        match error {
            Error::MissingToken(error) => match error.downcast::<SheetsError>() {
                Ok(error) => *error,
                Err(_) => SheetsError::Unavailable { message: "no access token".to_owned() },
            },
            Error::HttpError(error) if error.is_connect() => {
                SheetsError::Unavailable { message: format!("cannot connect: {}", http::chain(&error)) }
            }
            Error::HttpError(error) => kind.unclear(format!("the connection broke: {}", http::chain(&error))),
            // A body that broke off in transit looks the same: the crate reads it as an empty one.
            Error::JsonDecodeError(_, error) => {
                kind.unclear(format!("the answer was not understood ({:?} error)", error.classify()))
            }
            Error::BadRequest(body) => {
                let text = |field: &str| body["error"][field].as_str().unwrap_or_default();
                self.refused(notes, text("status"), text("message"), kind)
            }
            Error::Failure(_) => self.refused(notes, "", "", kind),
            error => SheetsError::Rejected { message: error.to_string() },
        }
    }

    fn refused(&self, notes: &Notes, status: &str, message: &str, kind: Kind) -> SheetsError {
        let refusal = Refusal { http: notes.status, status, message, retry_after: notes.retry_after };
        classify(refusal, kind, &self.client_email)
    }
}

/// What the crate's errors leave out of a refusal.
#[derive(Debug, Default)]
struct Notes {
    status: u16,
    retry_after: Option<Duration>,
}

impl Delegate for Notes {
    fn http_failure(&mut self, response: &common::Response, _: Option<&serde_json::Value>) -> Retry {
        self.status = response.status().as_u16();
        let header = response.headers().get("retry-after").and_then(|value| value.to_str().ok());
        self.retry_after = header.and_then(|value| value.trim().parse().ok()).map(Duration::from_secs);
        Retry::Abort
    }
}

fn connector(plain: bool) -> Result<Connector, SheetsError> {
    let mut tcp = HttpConnector::new();
    tcp.enforce_http(false);
    tcp.set_connect_timeout(Some(CONNECT_TIMEOUT));
    tcp.set_nodelay(true);
    let builder = HttpsConnectorBuilder::new()
        .with_provider_and_webpki_roots(rustls::crypto::ring::default_provider())
        .map_err(|error| SheetsError::Unavailable { message: format!("TLS cannot be set up: {error}") })?;
    let builder = if plain { builder.https_or_http() } else { builder.https_only() };
    Ok(builder.enable_http1().enable_http2().wrap_connector(tcp))
}

fn tab(properties: SheetProperties) -> Tab {
    let grid = properties.grid_properties.unwrap_or_default();
    Tab {
        sheet_id: properties.sheet_id.unwrap_or(0),
        title: properties.title.unwrap_or_default(),
        row_count: grid.row_count.unwrap_or(0),
        column_count: grid.column_count.unwrap_or(0),
        frozen_rows: grid.frozen_row_count.unwrap_or(0),
    }
}

/// The id goes into the path as it is.
fn check_id(id: &str) -> Result<(), SheetsError> {
    if !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_')) {
        return Ok(());
    }
    Err(SheetsError::Configuration {
        message: "the spreadsheet id has characters that no id has".to_owned(),
        remedy: "set SPREADSHEET_ID to the part of the spreadsheet's address between /d/ and /edit"
            .to_owned(),
    })
}

#[cfg(test)]
mod tests;
