//! `pushbox.toml` as flat texts; what the texts mean is decided where environment values are read, too.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::config::fault::Fault;
use crate::config::{parse, settings};

/// One table: its keys with their values as text (lists joined by commas), and its name for faults.
#[derive(Default)]
pub(super) struct Entry {
    /// For example `pushbox.toml [[shops]] 2`.
    pub(super) label: String,
    /// The values by key.
    pub(super) values: BTreeMap<String, String>,
}

/// The file, with every key known and every value a text.
#[derive(Default)]
pub(super) struct TomlFile {
    /// Where its relative paths begin.
    pub(super) directory: PathBuf,
    /// The settings, by lower-case name, with `_env` and `_file` for secrets.
    pub(super) settings: Entry,
    /// `[[partners]]`.
    pub(super) partners: Vec<Entry>,
    /// `[[shops]]`.
    pub(super) shops: Vec<Entry>,
    /// `[[chats]]`.
    pub(super) chats: Vec<Entry>,
    /// `[[spreadsheets]]`.
    pub(super) spreadsheets: Vec<Entry>,
    /// `[[forwards]]`.
    pub(super) forwards: Vec<Entry>,
    /// `[[sources]]`, each with its name for faults: they have tables within.
    pub(super) sources: Vec<(String, toml::Table)>,
}

const PARTNER_KEYS: &[&str] = &[
    "partner_id",
    "partner_key",
    "partner_key_env",
    "partner_key_file",
    "webhook_partner_key",
    "webhook_partner_key_env",
    "webhook_partner_key_file",
];
const SHOP_KEYS: &[&str] = &[
    "shop_id",
    "partner_id",
    "access_token",
    "access_token_env",
    "access_token_file",
    "refresh_token",
    "refresh_token_env",
    "refresh_token_file",
];
const CHAT_KEYS: &[&str] = &["chat_id", "sources", "shops", "codes"];
const FORWARD_KEYS: &[&str] = &[
    "url",
    "url_env",
    "url_file",
    "name",
    "secret",
    "secret_env",
    "secret_file",
    "sources",
    "shops",
    "codes",
];
const SPREADSHEET_KEYS: &[&str] = &["spreadsheet_id", "sources", "shops", "codes", "months"];

impl TomlFile {
    /// Reads the text; adds what is wrong to `faults`, without repeating any value.
    pub(super) fn parse(path: &Path, text: &str, faults: &mut Vec<Fault>) -> Self {
        let label = path.display().to_string();
        let directory = path.parent().map(Path::to_owned).unwrap_or_default();
        let mut table = match text.parse::<toml::Table>() {
            Ok(table) => table,
            Err(error) => {
                let line =
                    error.span().map_or(0, |span| text[..span.start.min(text.len())].matches('\n').count());
                faults.push(Fault {
                    setting: label,
                    problem: format!("line {} is not TOML: {}", line + 1, error.message()),
                    remedy: "Correct the line; texts stand in quotes, lists in [ ].".into(),
                });
                return Self { directory, ..Self::default() };
            }
        };
        let sources = table.remove("sources");
        let sources =
            sources.map_or_else(Vec::new, |value| tables(&format!("{label} [[sources]]"), value, faults));
        let mut list = |key: &str, keys: &[&str]| match table.remove(key) {
            None => Vec::new(),
            Some(value) => entries(&format!("{label} [[{key}]]"), value, keys, faults),
        };
        let partners = list("partners", PARTNER_KEYS);
        let (shops, chats, spreadsheets) =
            (list("shops", SHOP_KEYS), list("chats", CHAT_KEYS), list("spreadsheets", SPREADSHEET_KEYS));
        let forwards = list("forwards", FORWARD_KEYS);
        let keys = setting_keys();
        let lists = ["partners", "shops", "chats", "spreadsheets", "forwards", "sources"];
        let keys: Vec<_> = keys.iter().map(String::as_str).chain(lists).collect();
        let settings = entry(label, table, &keys, faults);
        Self { directory, settings, partners, shops, chats, spreadsheets, forwards, sources }
    }
}

/// The keys of the lists that can be changed while pushbox runs.
fn list_keys(name: &str) -> &'static [&'static str] {
    match name {
        "chats" => CHAT_KEYS,
        "spreadsheets" => SPREADSHEET_KEYS,
        _ => FORWARD_KEYS,
    }
}

/// A list as people changed it: JSON, a table for each entry.
pub(super) fn stored_entries(name: &str, json: &str, faults: &mut Vec<Fault>) -> Vec<Entry> {
    let read: Result<toml::Value, _> = serde_json::from_str(json);
    match read {
        Ok(value) => entries(name, value, list_keys(name), faults),
        Err(error) => {
            faults.push(Fault {
                setting: name.to_owned(),
                problem: format!("is not JSON at column {}", error.column()),
                remedy: "Change the list anew, or take the change back.".into(),
            });
            Vec::new()
        }
    }
}

fn setting_keys() -> Vec<String> {
    settings::ALL
        .iter()
        .flat_map(|setting| {
            let suffixes: &[&str] = if setting.secret { &["", "_env", "_file"] } else { &[""] };
            suffixes.iter().map(|suffix| setting.key() + suffix)
        })
        .collect()
}

fn entries(label: &str, value: toml::Value, keys: &[&str], faults: &mut Vec<Fault>) -> Vec<Entry> {
    tables(label, value, faults).into_iter().map(|(label, table)| entry(label, table, keys, faults)).collect()
}

/// The tables of a list, each with its number.
fn tables(label: &str, value: toml::Value, faults: &mut Vec<Fault>) -> Vec<(String, toml::Table)> {
    let tables: Option<Vec<_>> = match value {
        toml::Value::Array(values) => {
            values.into_iter().map(|value| value.try_into::<toml::Table>().ok()).collect()
        }
        _ => None,
    };
    let Some(tables) = tables else {
        faults.push(Fault {
            setting: label.to_owned(),
            problem: "is not a list of tables".into(),
            remedy: "Write the heading with two brackets, once for each.".into(),
        });
        return Vec::new();
    };
    tables.into_iter().enumerate().map(|(index, table)| (format!("{label} {}", index + 1), table)).collect()
}

fn entry(label: String, table: toml::Table, keys: &[&str], faults: &mut Vec<Fault>) -> Entry {
    let mut values = BTreeMap::new();
    for (key, value) in table {
        let setting = format!("{label} {key}");
        if !keys.contains(&key.as_str()) {
            let lower = key.to_ascii_lowercase();
            let meant = keys
                .iter()
                .copied()
                .find(|known| *known == lower)
                .or_else(|| parse::nearest(&lower, keys.iter().copied()));
            let remedy = meant.map_or_else(
                || "Remove it, or see the table of settings in README.".to_owned(),
                |name| format!("Did you mean `{name}`?"),
            );
            faults.push(Fault { setting, problem: "unknown".into(), remedy });
        } else if let Some(text) = text(&value) {
            values.insert(key, text);
        } else {
            let problem = format!("is a {}", value.type_str());
            faults.push(Fault {
                setting,
                problem,
                remedy: "Write a text, a whole number, or a list of them.".into(),
            });
        }
    }
    Entry { label, values }
}

/// A text, a whole number, or a list of them as text.
fn text(value: &toml::Value) -> Option<String> {
    match value {
        toml::Value::String(text) => Some(text.clone()),
        toml::Value::Integer(number) => Some(number.to_string()),
        toml::Value::Array(items) if items.is_empty() => Some("none".to_owned()),
        toml::Value::Array(items) => {
            let items: Option<Vec<_>> =
                items.iter().map(|item| text(item).filter(|_| !item.is_array())).collect();
            items.map(|items| items.join(","))
        }
        _ => None,
    }
}
