//! The lists as people see and change them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::config::{Config, ListEntries};

type Raw = BTreeMap<String, String>;

/// A chat and what it hears of. An empty list means all.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ChatEntry {
    /// Telegram's chat id; a supergroup's begins with -100.
    #[schema(example = -1_001_234_567_891_i64)]
    pub chat_id: i64,
    /// Names of sources.
    #[serde(default)]
    pub sources: Vec<String>,
    /// Shop ids.
    #[serde(default)]
    pub shops: Vec<String>,
    /// Event codes.
    #[serde(default)]
    pub codes: Vec<String>,
}

/// A spreadsheet and what it holds. An empty list means all.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SpreadsheetEntry {
    /// Google's id, or the address in the browser.
    #[schema(example = "1AbCdEfGhIjKlMnOp")]
    pub spreadsheet_id: String,
    /// Names of sources.
    #[serde(default)]
    pub sources: Vec<String>,
    /// Shop ids.
    #[serde(default)]
    pub shops: Vec<String>,
    /// Months in which an order was placed, as `2026-11`.
    #[serde(default)]
    pub months: Vec<String>,
}

/// A service and what it gets, to be kept. An empty list means all.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ForwardEntry {
    /// What it is called in tables and logs; left out: its address without the query.
    pub name: Option<String>,
    /// Its address. Left out, or as it is shown: stays as the service of this name has it.
    pub url: Option<String>,
    /// Signs what it gets, `whsec_…`; left out: stays, or `FORWARD_SECRET` signs.
    pub secret: Option<String>,
    /// Names of sources.
    #[serde(default)]
    pub sources: Vec<String>,
    /// Shop ids.
    #[serde(default)]
    pub shops: Vec<String>,
    /// Event codes.
    #[serde(default)]
    pub codes: Vec<String>,
}

/// A service and what it gets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct ForwardView {
    /// What it is called in tables and logs.
    pub name: String,
    /// Its address, without the query, which may hold a secret.
    pub url: String,
    /// Whether it has a secret of its own; otherwise `FORWARD_SECRET` signs.
    pub has_secret: bool,
    /// Names of sources.
    pub sources: Vec<String>,
    /// Shop ids.
    pub shops: Vec<String>,
    /// Event codes.
    pub codes: Vec<String>,
}

fn items(raw: &Raw, key: &str) -> Vec<String> {
    let text = raw.get(key).map(String::as_str).unwrap_or_default();
    let words = text.split(',').map(str::trim);
    words.filter(|word| !word.is_empty() && *word != "none").map(str::to_owned).collect()
}

/// Sets a key, unless there is nothing to say.
fn put(raw: &mut Raw, key: &str, items: &[String]) {
    let words: Vec<&str> = items.iter().map(|item| item.trim()).filter(|item| !item.is_empty()).collect();
    if !words.is_empty() {
        raw.insert(key.to_owned(), words.join(","));
    }
}

pub(super) fn chats(config: &Config) -> Vec<ChatEntry> {
    let entry = |raw: &Raw| ChatEntry {
        chat_id: raw.get("chat_id").and_then(|id| id.trim().parse().ok()).unwrap_or_default(),
        sources: items(raw, "sources"),
        shops: items(raw, "shops"),
        codes: items(raw, "codes"),
    };
    config.list("chats").1.iter().map(entry).collect()
}

pub(super) fn spreadsheets(config: &Config) -> Vec<SpreadsheetEntry> {
    let entry = |raw: &Raw| SpreadsheetEntry {
        spreadsheet_id: raw.get("spreadsheet_id").cloned().unwrap_or_default(),
        sources: items(raw, "sources"),
        shops: items(raw, "shops"),
        months: items(raw, "months"),
    };
    config.list("spreadsheets").1.iter().map(entry).collect()
}

/// The services of the list with their names and addresses: the targets that come of it stand last among all, in its
/// order.
fn named(config: &Config) -> Vec<(String, String, Raw)> {
    let (_, entries) = config.list("forwards");
    let targets = config.forward.as_ref().map(|one| one.targets.as_slice()).unwrap_or_default();
    let of_list = &targets[targets.len().saturating_sub(entries.len())..];
    let shown = |url: &url::Url| {
        let mut url = url.clone();
        url.set_query(None);
        url.to_string()
    };
    of_list.iter().zip(entries).map(|(target, raw)| (target.name.clone(), shown(&target.url), raw)).collect()
}

pub(super) fn forwards(config: &Config) -> Vec<ForwardView> {
    let view = |(name, url, raw): (String, String, Raw)| ForwardView {
        name,
        url,
        has_secret: raw.keys().any(|key| key.starts_with("secret")),
        sources: items(&raw, "sources"),
        shops: items(&raw, "shops"),
        codes: items(&raw, "codes"),
    };
    named(config).into_iter().map(view).collect()
}

pub(super) fn raw_chats(entries: &[ChatEntry]) -> ListEntries {
    let raw = |entry: &ChatEntry| {
        let mut raw = Raw::from([("chat_id".to_owned(), entry.chat_id.to_string())]);
        put(&mut raw, "sources", &entry.sources);
        put(&mut raw, "shops", &entry.shops);
        put(&mut raw, "codes", &entry.codes);
        raw
    };
    entries.iter().map(raw).collect()
}

pub(super) fn raw_spreadsheets(entries: &[SpreadsheetEntry]) -> ListEntries {
    let raw = |entry: &SpreadsheetEntry| {
        let mut raw = Raw::from([("spreadsheet_id".to_owned(), entry.spreadsheet_id.trim().to_owned())]);
        put(&mut raw, "sources", &entry.sources);
        put(&mut raw, "shops", &entry.shops);
        put(&mut raw, "months", &entry.months);
        raw
    };
    entries.iter().map(raw).collect()
}

/// Fills in what is not said again from the services that are in force.
pub(super) fn raw_forwards(entries: &[ForwardEntry], config: &Config) -> ListEntries {
    let known = named(config);
    entries.iter().map(|entry| raw_forward(entry, &known)).collect()
}

fn raw_forward(entry: &ForwardEntry, known: &[(String, String, Raw)]) -> Raw {
    let said = |text: &Option<String>| {
        text.as_deref().map(str::trim).filter(|text| !text.is_empty()).map(str::to_owned)
    };
    let (name, url, secret) = (said(&entry.name), said(&entry.url), said(&entry.secret));
    let key = name.clone().or_else(|| url.clone());
    let before = key.and_then(|key| known.iter().find(|(name, _, _)| *name == key));
    let mut raw = Raw::new();
    let mut keep = |prefix: &str| {
        let kept = before.into_iter().flat_map(|(_, _, raw)| raw).filter(|(key, _)| key.starts_with(prefix));
        raw.extend(kept.map(|(key, value)| (key.clone(), value.clone())));
    };
    // The address as it is shown lacks its query.
    let same = before.is_some_and(|(_, shown, _)| url.as_ref().is_none_or(|url| url == shown));
    if same {
        keep("url");
    }
    if secret.is_none() {
        keep("secret");
    }
    if let (false, Some(url)) = (same, url) {
        raw.insert("url".to_owned(), url);
    }
    if let Some(secret) = secret {
        raw.insert("secret".to_owned(), secret);
    }
    // A name that is only the address is not written down: it would stay when the address changes.
    if let Some(name) =
        name.filter(|name| !before.is_some_and(|(_, shown, raw)| name == shown && !raw.contains_key("name")))
    {
        raw.insert("name".to_owned(), name);
    }
    put(&mut raw, "sources", &entry.sources);
    put(&mut raw, "shops", &entry.shops);
    put(&mut raw, "codes", &entry.codes);
    raw
}
