//! Reads the settings of Telegram and Google Sheets, and what goes where.

use chrono_tz::Tz;
use secrecy::SecretString;
use url::Url;

use crate::config::fault::Refusal;
use crate::config::lookup::Lookup;
use crate::config::roles::{Role, Roles};
use crate::config::settings::{self as set, Setting};
use crate::config::toml_file::Entry;
use crate::config::{AnnouncementSettings, SheetsSettings, TelegramSettings, parse};
use crate::domain::route::{ChatRoute, Filter, SpreadsheetRoute};

/// Telegram, and where events are announced.
pub(super) fn telegram(lookup: &mut Lookup<'_>, roles: &Roles) -> (Option<TelegramSettings>, Vec<ChatRoute>) {
    let enabled = lookup.value(&set::TELEGRAM_ENABLED, parse::boolean);
    let token = lookup.optional(&set::TELEGRAM_BOT_TOKEN, bot_token);
    let api_url = lookup.http_url(&set::TELEGRAM_API_URL).unwrap_or_else(|| {
        Url::parse(set::TELEGRAM_API_URL.default.unwrap_or_default()).expect("the declared default is a URL")
    });
    let chat_per_second = lookup.value(&set::TELEGRAM_CHAT_PER_SECOND, |text| parse::number(text, 1, 1_000));
    let chat_per_minute = lookup.value(&set::TELEGRAM_CHAT_PER_MINUTE, |text| parse::number(text, 1, 60_000));
    let announcements = AnnouncementSettings {
        edit: lookup.value(&set::TELEGRAM_MODE, |text| parse::one_of(text, "message", "edit")),
        show_buyer: lookup.value(&set::TELEGRAM_SHOW_BUYER, parse::boolean),
        hold_uncertain: lookup.value(&set::TELEGRAM_UNCERTAIN, |text| parse::one_of(text, "resend", "hold")),
    };

    let mut chats: Vec<ChatRoute> = Vec::new();
    if let Some(chat_id) = lookup.optional(&set::TELEGRAM_CHAT_ID, parse::chat_id) {
        chats.push(ChatRoute { chat_id, filter: Filter::default() });
    }
    let ops_chat_id = lookup.optional(&set::TELEGRAM_OPS_CHAT_ID, parse::chat_id);
    let entries = std::mem::take(&mut lookup.file.chats);
    let named = lookup.is_given(&set::TELEGRAM_CHAT_ID) || !entries.is_empty();
    let ops = lookup.is_given(&set::TELEGRAM_OPS_CHAT_ID);
    if ops && !lookup.is_given(&set::TELEGRAM_BOT_TOKEN) && roles.has(Role::Scheduler) {
        lookup.fault(
            set::TELEGRAM_BOT_TOKEN.name,
            "not set, but TELEGRAM_OPS_CHAT_ID is",
            "Set it; to tell nobody of alerts, remove TELEGRAM_OPS_CHAT_ID.",
        );
    }
    for entry in entries {
        let id = lookup.required(&entry, "chat_id").and_then(|found| lookup.parsed(found, parse::chat_id));
        let Some(chat_id) = id else { continue };
        if chats.iter().any(|chat| chat.chat_id == chat_id) {
            lookup.twice(&entry);
        } else {
            chats.push(ChatRoute { chat_id, filter: filter(&entry) });
        }
    }
    // A bot that only tells of alerts is complete.
    if named || !ops {
        pair(lookup, roles, &set::TELEGRAM_BOT_TOKEN, &set::TELEGRAM_CHAT_ID, named, ("Telegram", "chats"));
    }
    let settings = token.map(|bot_token| TelegramSettings {
        bot_token,
        ops_chat_id,
        api_url,
        chat_per_second,
        chat_per_minute,
        announcements,
    });
    (settings, if enabled { chats } else { Vec::new() })
}

fn bot_token(text: &str) -> Result<SecretString, Refusal> {
    let shaped = text.split_once(':').is_some_and(|(id, secret)| {
        !id.is_empty()
            && id.bytes().all(|byte| byte.is_ascii_digit())
            && !secret.is_empty()
            && secret.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'))
    });
    if shaped {
        Ok(SecretString::from(text))
    } else {
        Err(Refusal::new(
            "is not a bot's token",
            "Copy it from BotFather: digits, a colon, then letters; no `bot` in front.",
        ))
    }
}

/// Google Sheets, and which spreadsheet holds which orders.
pub(super) fn sheets(
    lookup: &mut Lookup<'_>,
    roles: &Roles,
    zone: Tz,
) -> (Option<SheetsSettings>, Vec<SpreadsheetRoute>) {
    let enabled = lookup.value(&set::SHEETS_ENABLED, parse::boolean);
    let credentials = lookup.optional(&set::GOOGLE_CREDENTIALS_JSON, google_credentials);
    let api_url = lookup.http_url(&set::GOOGLE_SHEETS_URL);
    let calls_per_minute = lookup.value(&set::SHEETS_CALLS_PER_MINUTE, |text| parse::number(text, 1, 60_000));
    let mut spreadsheets: Vec<SpreadsheetRoute> = Vec::new();
    if let Some(spreadsheet_id) = lookup.optional(&set::SPREADSHEET_ID, parse::spreadsheet_id) {
        spreadsheets.push(SpreadsheetRoute { spreadsheet_id, months: Vec::new(), filter: Filter::default() });
    }
    let entries = std::mem::take(&mut lookup.file.spreadsheets);
    let named = lookup.is_given(&set::SPREADSHEET_ID) || !entries.is_empty();
    for entry in entries {
        let id = lookup
            .required(&entry, "spreadsheet_id")
            .and_then(|found| lookup.parsed(found, parse::spreadsheet_id));
        let Some(spreadsheet_id) = id else { continue };
        if spreadsheets.iter().any(|one| one.spreadsheet_id == spreadsheet_id) {
            lookup.twice(&entry);
        } else {
            let months = entry.values.get("months").map(String::as_str).unwrap_or_default();
            match parse::months(months, zone) {
                Ok(months) => {
                    spreadsheets.push(SpreadsheetRoute { spreadsheet_id, months, filter: filter(&entry) });
                }
                Err(refusal) => {
                    lookup.fault(format!("{} months", entry.label), refusal.problem, refusal.remedy);
                }
            }
        }
    }
    pair(
        lookup,
        roles,
        &set::GOOGLE_CREDENTIALS_JSON,
        &set::SPREADSHEET_ID,
        named,
        ("Google Sheets", "spreadsheets"),
    );
    let settings = credentials.map(|credentials| SheetsSettings { credentials, api_url, calls_per_minute });
    (settings, if enabled { spreadsheets } else { Vec::new() })
}

/// A destination needs the credential where jobs run. A credential without a destination waits for one that people add
/// while pushbox runs. Neither: the sink is off. A note says so.
fn pair(
    lookup: &mut Lookup<'_>,
    roles: &Roles,
    credential: &Setting,
    destination: &Setting,
    named: bool,
    (sink, list): (&str, &str),
) {
    match (lookup.is_given(credential), named) {
        (true, false) => lookup.note(format!(
            "{sink} has nowhere to go: set {}, list [[{list}]], or add one on the dashboard",
            destination.name
        )),
        (false, true) if roles.has(Role::Worker) => lookup.fault(
            credential.name,
            format!("not set, but {} or [[{list}]] is", destination.name),
            format!("Set it; to switch {sink} off, remove {} and [[{list}]].", destination.name),
        ),
        (false, false) if roles.has(Role::Worker) || roles.has(Role::Receiver) => {
            lookup.note(format!("{sink} is off: set {} and {}", credential.name, destination.name));
        }
        _ => {}
    }
}

pub(super) fn filter(entry: &Entry) -> Filter {
    let list = |key: &str| {
        let text = entry.values.get(key).map(String::as_str).unwrap_or_default();
        parse::items(text).into_iter().map(str::to_owned).collect()
    };
    Filter { sources: list("sources"), shops: list("shops"), codes: list("codes") }
}

/// The key of a service account: JSON, or the path of a file that holds it.
fn google_credentials(text: &str) -> Result<SecretString, Refusal> {
    let remedy = "Use the JSON file that the Google Cloud console made for the service account's key.";
    let json = if text.starts_with('{') {
        text.to_owned()
    } else {
        std::fs::read_to_string(text).map_err(|error| {
            // A long text is no path but a piece of a key.
            let shown = if text.len() < 200 && !text.contains("PRIVATE KEY") { text } else { "the value" };
            Refusal::new(format!("is no JSON, and no file {shown} can be read: {error}"), remedy)
        })?
    };
    let key: serde_json::Value = serde_json::from_str(&json).map_err(|error| {
        // serde_json's own text can repeat what it read; the place is enough.
        Refusal::new(format!("is not JSON at line {} column {}", error.line(), error.column()), remedy)
    })?;
    let lacking: Vec<_> = ["client_email", "private_key", "token_uri"]
        .into_iter()
        .filter(|name| key[name].as_str().is_none_or(str::is_empty))
        .collect();
    if lacking.is_empty() {
        Ok(SecretString::from(json))
    } else {
        Err(Refusal::new(format!("lacks {}", lacking.join(", ")), remedy))
    }
}
