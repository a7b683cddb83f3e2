//! Changing settings while pushbox runs.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::entries::{ChatEntry, ForwardEntry, SpreadsheetEntry, raw_chats, raw_forwards, raw_spreadsheets};
use crate::admin::AdminState;
use crate::admin::changed::{self, ChangedError, is_secret};
use crate::admin::error::ApiError;
use crate::admin::frame::RequestId;
use crate::config::{Config, LISTS, ListEntries, Origin, Stored, settings};
use crate::store;
use crate::store::admin_actions::{AdminAction, actor, insert_admin_action};
use crate::store::settings::{begin_change, delete_setting, list_settings};

/// What is to be different.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SettingsChange {
    /// Values by the name of their setting.
    #[serde(default)]
    pub values: BTreeMap<String, String>,
    /// The chats beside `TELEGRAM_CHAT_ID`, all of them; left out: they stay.
    pub chats: Option<Vec<ChatEntry>>,
    /// The spreadsheets beside `SPREADSHEET_ID`, all of them; left out: they stay.
    pub spreadsheets: Option<Vec<SpreadsheetEntry>>,
    /// The services beside `FORWARD_URL`, all of them; left out: they stay.
    pub forwards: Option<Vec<ForwardEntry>>,
    /// Settings, and `chats`, `spreadsheets`, `forwards`, whose change is taken back: what `pushbox.toml` says, or the
    /// default, is in force again.
    #[serde(default)]
    pub reset: Vec<String>,
    /// Only say what would change.
    #[serde(default)]
    pub dry_run: bool,
}

/// One difference.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct SettingChange {
    /// The setting or list.
    pub name: String,
    /// What it was; of a secret `(secret)`; none: not set.
    pub before: Option<String>,
    /// What it is.
    pub after: Option<String>,
}

/// What changed.
#[derive(Debug, Serialize, ToSchema)]
pub struct SettingsChanged {
    /// Whether it was only asked what would change.
    pub dry_run: bool,
    /// The version of the settings.
    pub version: i64,
    /// What is different; empty: nothing.
    pub changes: Vec<SettingChange>,
    /// What a person should know although it is not wrong.
    pub notes: Vec<String>,
}

/// What stands for a secret.
const SECRET: &str = "(secret)";

/// Checks a change with everything else, keeps it, and tells this process.
pub async fn change(
    state: &AdminState,
    RequestId(request_id): &RequestId,
    asked: SettingsChange,
) -> Result<SettingsChanged, ApiError> {
    let mut transaction = store::begin(&state.pool).await?;
    let version = begin_change(&mut transaction).await?;
    let rows = list_settings(&mut *transaction).await?;
    let dry_run = asked.dry_run;
    let sealer = &state.sealer;
    // A value that nobody can open any more can be taken back, and nothing else be done.
    let readable: Vec<_> = rows.iter().filter(|row| !asked.reset.contains(&row.name)).cloned().collect();
    let mut stored = changed::open(&readable, sealer).map_err(unreadable)?;
    stored.0.extend(
        rows.iter()
            .filter(|row| asked.reset.contains(&row.name))
            .map(|row| (row.name.clone(), String::new())),
    );
    // Of this moment, whatever this process works with.
    let running = state.config.load_full();
    let before =
        running.with_stored(stored.clone()).map_or_else(|_| (*running).clone(), |loaded| loaded.config);
    let wanted = wanted(&asked, &before, &stored)?;
    let loaded =
        running.with_stored(wanted.clone()).map_err(|faults| ApiError::bad_request(faults.to_string()))?;

    let names: BTreeSet<&String> = stored.0.keys().chain(wanted.0.keys()).collect();
    let differs = |name: &&String| stored.0.get(*name) != wanted.0.get(*name);
    let different: Vec<&String> = names.into_iter().filter(differs).collect();
    let mut changes = Vec::new();
    for name in different {
        let change = SettingChange {
            name: name.clone(),
            before: shown(&before, name),
            after: shown(&loaded.config, name),
        };
        match wanted.0.get(name) {
            Some(text) => changed::write(&mut transaction, sealer, name, text, &actor().name).await?,
            None => delete_setting(&mut transaction, name).await?,
        }
        let detail = json!({ "before": change.before, "after": change.after });
        let action = AdminAction { request_id, action: "change_settings", subject: name, detail };
        insert_admin_action(&mut *transaction, &action).await?;
        changes.push(change);
    }
    let notes = loaded.notes;
    if dry_run || changes.is_empty() {
        transaction.rollback().await?;
        return Ok(SettingsChanged { dry_run, version: version - 1, changes, notes });
    }
    transaction.commit().await?;
    state.settings_changed.wake();
    Ok(SettingsChanged { dry_run, version, changes, notes })
}

fn unreadable(error: ChangedError) -> ApiError {
    match error {
        ChangedError::Database(error) => error.into(),
        error @ ChangedError::CannotOpen(_) => ApiError::conflict(error.to_string()),
    }
}

/// What the database is to hold afterwards.
fn wanted(asked: &SettingsChange, before: &Config, stored: &Stored) -> Result<Stored, ApiError> {
    let mut wanted = stored.clone();
    for name in &asked.reset {
        if settings::find(name).is_none() && !LISTS.contains(&name.as_str()) {
            return Err(unknown("reset", name));
        }
        wanted.0.remove(name);
    }
    let in_force = before.in_force();
    for (name, text) in &asked.values {
        let Some(one) = in_force.iter().find(|one| one.setting.name == name) else {
            return Err(unknown("values", name));
        };
        if !one.setting.live {
            let problem = "cannot be changed while pushbox runs: set it in the environment or in pushbox.toml, and restart";
            return Err(ApiError::bad_request(format!("{name} {problem}")));
        }
        if let Origin::Environment(variable) = &one.origin {
            let remedy = "take it out there, restart, and change it here";
            return Err(ApiError::conflict(format!("{name} is pinned by the variable {variable}: {remedy}")));
        }
        if text.trim().is_empty() {
            return Err(ApiError::bad_request(format!(
                "{name}: is empty; to take a change back name it in reset"
            )));
        }
        wanted.0.insert(name.clone(), text.trim().to_owned());
    }
    let mut put = |name: &str, entries: Option<ListEntries>| {
        if let Some(entries) = entries {
            wanted.0.insert(name.to_owned(), json!(entries).to_string());
        }
    };
    put("chats", asked.chats.as_deref().map(raw_chats));
    put("spreadsheets", asked.spreadsheets.as_deref().map(raw_spreadsheets));
    put("forwards", asked.forwards.as_deref().map(|entries| raw_forwards(entries, before)));
    Ok(wanted)
}

fn unknown(place: &str, name: &str) -> ApiError {
    ApiError::bad_request(format!("{place}: there is no setting {name}; GET /api/v1/settings lists all"))
}

/// A value as it may be seen.
fn shown(config: &Config, name: &str) -> Option<String> {
    if LISTS.contains(&name) {
        let (origin, entries) = config.list(name);
        let masked = |entry: &BTreeMap<String, String>| -> Value {
            let mask = |(key, value): (&String, &String)| {
                let hidden = is_secret(name) && (key.starts_with("secret") || key.starts_with("url"));
                (key.clone(), json!(if hidden { SECRET } else { value }))
            };
            Value::Object(entry.iter().map(mask).collect())
        };
        let text = Value::Array(entries.iter().map(masked).collect()).to_string();
        return (origin != Origin::Unset).then_some(text);
    }
    let one = config.in_force().into_iter().find(|one| one.setting.name == name)?;
    match one.value {
        _ if one.setting.secret && one.origin != Origin::Unset => Some(SECRET.to_owned()),
        value => value,
    }
}
