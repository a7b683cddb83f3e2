//! The settings: what is in force and where it comes from, and changing it while pushbox runs.

mod change;
mod entries;

use std::collections::HashMap;

use axum::extract::State;
use axum::{Extension, Json};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;

use crate::admin::AdminState;
use crate::admin::changed;
use crate::admin::error::{ApiError, ChangeRefusals, Conflicts, Refusals, Unusable};
use crate::admin::extract::Json as Body;
use crate::admin::frame::RequestId;
use crate::config::settings::Section;
use crate::config::{Config, InForce, LISTS, Origin};
use crate::store::settings::{SettingRow, list_settings, version};

pub use change::{SettingChange, SettingsChange, SettingsChanged, change};
pub use entries::{ChatEntry, ForwardEntry, ForwardView, SpreadsheetEntry};

/// Where a value comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum OriginView {
    /// A variable of the environment, or `.env`: it is pinned there.
    Environment,
    /// It was changed while pushbox ran.
    Changed,
    /// `pushbox.toml`.
    File,
    /// The value that it has when nobody sets it.
    Default,
    /// It is not set and has no default.
    Unset,
}

impl From<&Origin> for OriginView {
    fn from(origin: &Origin) -> Self {
        match origin {
            Origin::Environment(_) => Self::Environment,
            Origin::Changed => Self::Changed,
            Origin::File => Self::File,
            Origin::Default => Self::Default,
            Origin::Unset => Self::Unset,
        }
    }
}

/// One setting.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct SettingView {
    /// Its name, as in the environment.
    pub name: String,
    /// What it belongs to.
    pub section: String,
    /// What it means, in Markdown.
    pub doc: String,
    /// The value in force, as text; of a secret none, of a URL that may hold one the part before the query.
    pub value: Option<String>,
    /// Whether it has a value.
    pub is_set: bool,
    /// Whether the value must not be seen.
    pub secret: bool,
    /// The value when nobody sets it.
    pub default: Option<String>,
    /// Where the value comes from.
    pub origin: OriginView,
    /// The variable that pins it.
    pub variable: Option<String>,
    /// Whether it can be changed here: others take a restart, and what the environment sets is pinned.
    pub changeable: bool,
    /// When it was changed here.
    pub changed_at: Option<DateTime<Utc>>,
    /// By whom.
    pub changed_by: Option<String>,
}

/// A list of `pushbox.toml`, which can be replaced as a whole.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct ListView<T> {
    /// Where the list comes from: `changed`, `file` or `unset`.
    pub origin: OriginView,
    /// When it was changed here.
    pub changed_at: Option<DateTime<Utc>>,
    /// By whom.
    pub changed_by: Option<String>,
    /// What is listed.
    pub entries: Vec<T>,
}

/// The section to which a list belongs.
pub fn section_of(list: &str) -> &'static str {
    match list {
        "chats" => Section::Telegram.title(),
        "spreadsheets" => Section::Sheets.title(),
        _ => Section::Forwarding.title(),
    }
}

/// All settings.
#[derive(Debug, Serialize, ToSchema)]
pub struct SettingsView {
    /// Goes up with each change; a process says in `workers` which it works with.
    pub version: i64,
    /// Every setting, by section.
    pub settings: Vec<SettingView>,
    /// Chats beside `TELEGRAM_CHAT_ID`, each with what it hears of.
    pub chats: ListView<ChatEntry>,
    /// Spreadsheets beside `SPREADSHEET_ID`, each with what it holds.
    pub spreadsheets: ListView<SpreadsheetEntry>,
    /// Services beside `FORWARD_URL`, each with what it gets.
    pub forwards: ListView<ForwardView>,
}

fn example() -> serde_json::Value {
    let nobody = json!({"origin": "unset", "changed_at": null, "changed_by": null, "entries": []});
    json!({
        "version": 7,
        "settings": [{"name": "ORDER_EVENT_CODES", "section": "Events and orders",
            "doc": "Push codes whose order is fetched in full.", "value": "3,4,29", "is_set": true, "secret": false,
            "default": "3,4", "origin": "changed", "variable": null, "changeable": true,
            "changed_at": "2026-11-21T06:00:00Z", "changed_by": "ADMIN_TOKEN"}],
        "chats": {"origin": "changed", "changed_at": "2026-11-21T06:00:00Z", "changed_by": "ADMIN_TOKEN",
            "entries": [{"chat_id": -1_001_234_567_891_i64, "sources": [], "shops": [], "codes": ["29"]}]},
        "spreadsheets": nobody, "forwards": nobody,
    })
}

/// List the settings
///
/// Every setting as it is in force, within seconds after a change, with where its value comes from; what the environment
/// says is that of the process that answers.
#[utoipa::path(
    get, path = "/settings", operation_id = "list_settings", tag = "settings",
    responses(
        (status = 200, description = "The settings, secrets masked", body = SettingsView, example = json!(example())),
        Refusals,
    ),
)]
pub async fn get_settings(State(state): State<AdminState>) -> Result<Json<SettingsView>, ApiError> {
    read(&state).await.map(Json)
}

/// All settings, as the API shows them.
pub async fn read(state: &AdminState) -> Result<SettingsView, ApiError> {
    let mut connection = state.pool.acquire().await?;
    let version = version(&mut *connection).await?;
    let rows = list_settings(&mut *connection).await?;
    drop(connection);
    // What is kept, also in the moment before this process works with it; what cannot be used is not in force.
    let running = state.config.load();
    let kept = changed::open(&rows, &state.sealer).ok().and_then(|stored| running.with_stored(stored).ok());
    let config = kept.map_or_else(|| (**running).clone(), |loaded| loaded.config);
    let rows: HashMap<&str, &SettingRow> = rows.iter().map(|row| (row.name.as_str(), row)).collect();
    let settings = config.in_force().into_iter().map(|one| view(one, &rows)).collect();
    Ok(SettingsView {
        version,
        settings,
        chats: list(&config, "chats", &rows, entries::chats(&config)),
        spreadsheets: list(&config, "spreadsheets", &rows, entries::spreadsheets(&config)),
        forwards: list(&config, "forwards", &rows, entries::forwards(&config)),
    })
}

fn view(one: InForce, rows: &HashMap<&str, &SettingRow>) -> SettingView {
    let InForce { setting, origin, value } = one;
    let variable = match &origin {
        Origin::Environment(name) => Some(name.clone()),
        _ => None,
    };
    let row = rows.get(setting.name).filter(|_| origin == Origin::Changed);
    SettingView {
        name: setting.name.to_owned(),
        section: setting.section.title().to_owned(),
        doc: setting.doc.to_owned(),
        value,
        is_set: origin != Origin::Unset,
        secret: setting.secret,
        default: setting.default.map(str::to_owned),
        changeable: setting.live && variable.is_none(),
        origin: (&origin).into(),
        variable,
        changed_at: row.map(|row| row.changed_at),
        changed_by: row.map(|row| row.changed_by.clone()),
    }
}

fn list<T>(config: &Config, name: &str, rows: &HashMap<&str, &SettingRow>, entries: Vec<T>) -> ListView<T> {
    debug_assert!(LISTS.contains(&name));
    let (origin, _) = config.list(name);
    let row = rows.get(name).filter(|_| origin == Origin::Changed);
    ListView {
        origin: (&origin).into(),
        changed_at: row.map(|row| row.changed_at),
        changed_by: row.map(|row| row.changed_by.clone()),
        entries,
    }
}

/// Change settings
///
/// Everything that is asked for is checked as a whole, with all other settings, and kept as a whole; it is in force in
/// every process within seconds. What the environment sets is pinned there: 409. With `dry_run` nothing is changed.
#[utoipa::path(
    patch, path = "/settings", operation_id = "change_settings", tag = "settings",
    request_body(content = SettingsChange, example = json!({
        "values": {"ORDER_EVENT_CODES": "3,4,29"},
        "chats": [{"chat_id": -1_001_234_567_891_i64, "codes": ["29"]}]})),
    responses(
        (status = 200, description = "What changed", body = SettingsChanged, example = json!({
            "dry_run": false, "version": 7, "notes": [],
            "changes": [{"name": "ORDER_EVENT_CODES", "before": "3,4", "after": "3,4,29"}]})),
        Unusable, Conflicts, ChangeRefusals, Refusals,
    ),
)]
pub async fn change_settings(
    State(state): State<AdminState>,
    Extension(request_id): Extension<RequestId>,
    Body(asked): Body<SettingsChange>,
) -> Result<Json<SettingsChanged>, ApiError> {
    change(&state, &request_id, asked).await.map(Json)
}
