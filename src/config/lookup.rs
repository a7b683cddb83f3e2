//! Finds the text of a setting, wherever it is given, and keeps the list of what is wrong.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use url::Url;

use crate::config::fault::{Fault, Refusal};
use crate::config::inputs::{Inputs, Stored};
use crate::config::parse;
use crate::config::settings::{self, Setting};
use crate::config::toml_file::{self, Entry, TomlFile};

/// Where a value comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// This variable. Nothing else can change it.
    Environment(String),
    /// People changed it while pushbox ran.
    Changed,
    /// `pushbox.toml`.
    File,
    /// It is declared so.
    Default,
    /// Nowhere: it is not set and has no default.
    Unset,
}

/// A text and where it was found.
pub(super) struct Found {
    pub(super) text: String,
    pub(super) label: String,
}

/// The inputs, and what was found out about them so far.
pub(super) struct Lookup<'a> {
    environment: &'a BTreeMap<String, String>,
    stored: &'a Stored,
    /// `pushbox.toml`, with the lists as people changed them.
    pub(super) file: TomlFile,
    given: BTreeSet<&'static str>,
    /// What is wrong, so far.
    pub(super) faults: Vec<Fault>,
    /// What a person should know although it is not wrong.
    pub(super) notes: Vec<String>,
}

impl<'a> Lookup<'a> {
    pub(super) fn new(inputs: &'a Inputs) -> Self {
        let mut faults = Vec::new();
        let mut file = inputs
            .toml
            .as_ref()
            .map(|(path, text)| TomlFile::parse(path, text, &mut faults))
            .unwrap_or_default();
        let mut replace = |list: &mut Vec<Entry>, name: &str| {
            if let Some(json) = inputs.stored.0.get(name) {
                *list = toml_file::stored_entries(name, json, &mut faults);
            }
        };
        replace(&mut file.chats, "chats");
        replace(&mut file.spreadsheets, "spreadsheets");
        replace(&mut file.forwards, "forwards");
        let notes = near_misses(&inputs.environment);
        Self {
            environment: &inputs.environment,
            stored: &inputs.stored,
            file,
            given: BTreeSet::new(),
            faults,
            notes,
        }
    }

    /// Without any input: for what is built in.
    pub(super) fn new_for_presets() -> Lookup<'static> {
        static NOTHING: BTreeMap<String, String> = BTreeMap::new();
        static UNCHANGED: Stored = Stored(BTreeMap::new());
        Lookup {
            environment: &NOTHING,
            stored: &UNCHANGED,
            file: TomlFile::default(),
            given: BTreeSet::new(),
            faults: Vec::new(),
            notes: Vec::new(),
        }
    }

    /// The value of a setting that has a default. After a fault the default stands in, so that the
    /// other settings can be checked, too.
    pub(super) fn value<T>(
        &mut self,
        setting: &'static Setting,
        parse: impl Fn(&str) -> Result<T, Refusal>,
    ) -> T {
        self.optional(setting, &parse).unwrap_or_else(|| {
            let default = setting.default.expect("a setting read as a value declares a default");
            parse(default).expect("the declared defaults parse, which a test checks")
        })
    }

    /// The value of a setting, if it is given and there is nothing wrong with it.
    pub(super) fn optional<T>(
        &mut self,
        setting: &'static Setting,
        parse: impl Fn(&str) -> Result<T, Refusal>,
    ) -> Option<T> {
        let found = self.found(setting)?;
        self.parsed(found, parse)
    }

    /// Reads a found text; a refusal becomes a fault.
    pub(super) fn parsed<T>(
        &mut self,
        found: Found,
        parse: impl Fn(&str) -> Result<T, Refusal>,
    ) -> Option<T> {
        match parse(&found.text) {
            Ok(value) => Some(value),
            Err(refusal) => {
                self.fault(found.label, refusal.problem, refusal.remedy);
                None
            }
        }
    }

    /// Whether a setting that was looked up is given, rightly or wrongly.
    pub(super) fn is_given(&self, setting: &Setting) -> bool {
        self.given.contains(setting.name)
    }

    /// Adds a fault unless the setting, which was looked up, is given.
    pub(super) fn require(&mut self, setting: &Setting, who: &str, remedy: &str) {
        if !self.is_given(setting) {
            self.fault(setting.name, format!("not set; {who}"), remedy);
        }
    }

    /// Adds a fault.
    pub(super) fn fault(
        &mut self,
        setting: impl Into<String>,
        problem: impl Into<String>,
        remedy: impl Into<String>,
    ) {
        self.faults.push(Fault { setting: setting.into(), problem: problem.into(), remedy: remedy.into() });
    }

    /// Adds a note.
    pub(super) fn note(&mut self, note: impl Into<String>) {
        self.notes.push(note.into());
    }

    /// The text of a setting: of the environment by name, by alias, by `NAME_FILE`, or else of the file.
    /// Empty counts as not set, because container tools pass unset variables so.
    fn found(&mut self, setting: &'static Setting) -> Option<Found> {
        let before = self.faults.len();
        let found = self.in_environment(setting);
        // Given wrongly is given.
        let found = if self.faults.len() > before { None } else { found.or_else(|| self.changed(setting)) };
        let found =
            if found.is_some() || self.faults.len() > before { found } else { self.in_file_of(setting) };
        if found.is_some() || self.faults.len() > before {
            self.given.insert(setting.name);
        }
        found
    }

    /// The text of a setting and where it comes from; none when it is given nowhere.
    pub(super) fn origin(&mut self, setting: &'static Setting) -> Option<(Origin, String)> {
        if let Some(found) = self.in_environment(setting) {
            return Some((Origin::Environment(found.label), found.text));
        }
        if let Some(found) = self.changed(setting) {
            return Some((Origin::Changed, found.text));
        }
        self.in_file_of(setting).map(|found| (Origin::File, found.text))
    }

    /// The text that people gave it while pushbox ran.
    fn changed(&mut self, setting: &'static Setting) -> Option<Found> {
        let text = self.stored.0.get(setting.name).filter(|text| setting.live && !text.trim().is_empty())?;
        self.tidied(setting.name.to_owned(), text)
    }

    fn in_file_of(&mut self, setting: &'static Setting) -> Option<Found> {
        let entry = std::mem::take(&mut self.file.settings);
        let found = self.in_entry(&entry, &setting.key(), setting.secret);
        self.file.settings = entry;
        found
    }

    fn in_environment(&mut self, setting: &'static Setting) -> Option<Found> {
        let environment = self.environment;
        let mut names = [setting.name].into_iter().chain(setting.aliases.iter().copied());
        let direct = names
            .find_map(|name| Some((name, environment.get(name).filter(|value| !value.trim().is_empty())?)));
        let file_name = format!("{}_FILE", setting.name);
        let path = environment.get(&file_name).filter(|path| setting.secret && !path.trim().is_empty());
        match (direct, path) {
            (Some(_), Some(_)) => {
                let problem = format!("given twice, directly and as {file_name}");
                self.fault(setting.name, problem, "Remove one of the two.");
                None
            }
            (Some((name, value)), None) => self.tidied(name.to_owned(), value),
            (None, Some(path)) => self.in_file(file_name, Path::new(path.trim())),
            (None, None) => None,
        }
    }

    /// The text of a key in a table of the file; that of a secret perhaps by `_env` or `_file`.
    pub(super) fn in_entry(&mut self, entry: &Entry, key: &str, secret: bool) -> Option<Found> {
        let suffixes: &[&str] = if secret { &["", "_env", "_file"] } else { &[""] };
        let mut given = suffixes
            .iter()
            .filter_map(|suffix| Some((*suffix, entry.values.get(&format!("{key}{suffix}"))?)))
            .filter(|(_, value)| !value.trim().is_empty());
        let (suffix, value) = given.next()?;
        let label = format!("{} {key}{suffix}", entry.label);
        if let Some((other, _)) = given.next() {
            self.fault(label, format!("given twice, also as {key}{other}"), "Keep one of them.");
            return None;
        }
        match suffix {
            "_env" => {
                let values: Option<Vec<_>> = parse::items(value)
                    .into_iter()
                    .map(|name| {
                        let value = self.environment.get(name).filter(|value| !value.trim().is_empty());
                        if value.is_none() {
                            let problem = format!("the variable {name} is not set");
                            self.fault(label.clone(), problem, "Set it, or correct its name.");
                        }
                        value.cloned()
                    })
                    .collect();
                self.tidied(label, &values?.join(","))
            }
            "_file" => {
                let path = self.file.directory.join(value);
                self.in_file(label, &path)
            }
            _ => self.tidied(label, value),
        }
    }

    /// The value of a variable that the file names.
    pub(super) fn variable(&mut self, label: &str, name: &str) -> Option<String> {
        let value = self.environment.get(name).filter(|value| !value.trim().is_empty()).cloned();
        if value.is_none() {
            self.fault(label, format!("the variable {name} is not set"), "Set it, or correct its name.");
        }
        self.tidied(format!("{label} {name}"), &value?).map(|found| found.text)
    }

    /// The secret in a file that the file names.
    pub(super) fn secret_in_file(&mut self, label: &str, path: &str) -> Option<String> {
        let path = self.file.directory.join(path);
        self.in_file(label.to_owned(), &path).map(|found| found.text)
    }

    /// Says that a table has a key that nobody knows, and which was meant.
    pub(super) fn unknown(&mut self, label: &str, key: &str, known: &[&str]) {
        let separator = if label.ends_with('.') { "" } else { " " };
        let lower = key.to_ascii_lowercase();
        let meant = known
            .iter()
            .copied()
            .find(|one| *one == lower)
            .or_else(|| parse::nearest(&lower, known.iter().copied()));
        let remedy = meant.map_or_else(
            || format!("Remove it; known are {}.", known.join(", ")),
            |name| format!("Did you mean `{name}`?"),
        );
        self.fault(format!("{}{separator}{key}", label.trim_end()), "unknown", remedy);
    }

    /// The base address of an API. Plain http carries the keys in the open, so it is worth a note.
    pub(super) fn http_url(&mut self, setting: &'static Setting) -> Option<Url> {
        let url = self.optional(setting, parse::base_url)?;
        let loopback = match url.host() {
            Some(url::Host::Ipv4(address)) => address.is_loopback(),
            Some(url::Host::Ipv6(address)) => address.is_loopback(),
            Some(url::Host::Domain(name)) => name == "localhost",
            None => false,
        };
        if url.scheme() == "http" && !loopback {
            self.note(format!("{} is plain http: keys and tokens travel readable", setting.name));
        }
        Some(url)
    }

    /// The text of a key that a table must have.
    pub(super) fn required(&mut self, entry: &Entry, name: &str) -> Option<Found> {
        let found = self.in_entry(entry, name, false);
        if found.is_none() {
            self.missing(entry, name);
        }
        found
    }

    /// Says that a table lacks a key.
    pub(super) fn missing(&mut self, entry: &Entry, name: &str) {
        self.fault(format!("{} {name}", entry.label), "not set", "Add it, or remove the whole table.");
    }

    /// Says that a table is about something that another is about, too.
    pub(super) fn twice(&mut self, entry: &Entry) {
        self.fault(entry.label.clone(), "listed twice", "Keep one of them, with all that belongs to it.");
    }

    fn in_file(&mut self, label: String, path: &Path) -> Option<Found> {
        match std::fs::read_to_string(path) {
            Ok(text) if text.trim().is_empty() => {
                self.fault(label, format!("{} is empty", path.display()), "Put the secret into the file.");
                None
            }
            Ok(text) => self.tidied(label, text.trim_end_matches(['\r', '\n'])),
            Err(error) => {
                let problem = format!("{} cannot be read: {error}", path.display());
                self.fault(label, problem, "Check the path and that this user may read it.");
                None
            }
        }
    }

    /// Removes spaces and quotes around a value, as they come with copying, and says so.
    fn tidied(&mut self, label: String, value: &str) -> Option<Found> {
        let outside = |c: char| c.is_whitespace() || matches!(c, '\u{feff}' | '\u{200b}');
        let mut text = value.trim_matches(outside);
        for (open, close) in [('"', '"'), ('\'', '\''), ('“', '”')] {
            if let Some(inner) = text.strip_prefix(open).and_then(|rest| rest.strip_suffix(close)) {
                text = inner.trim_matches(outside);
                break;
            }
        }
        if text != value {
            self.note(format!("{label}: spaces or quotes around the value were removed"));
        }
        (!text.is_empty()).then(|| Found { text: text.to_owned(), label })
    }
}

/// Notes on variables that look like a setting of ours with a slip of the finger.
fn near_misses(environment: &BTreeMap<String, String>) -> Vec<String> {
    let names: Vec<_> = settings::ALL
        .iter()
        .flat_map(|one| [one.name].into_iter().chain(one.aliases.iter().copied()))
        .collect();
    environment
        .keys()
        // Pairs such as DATABASE_URL_FILE are ours; short names of other programs are near to anything.
        .filter(|name| name.len() >= 6 && !names.contains(&name.as_str()))
        .filter_map(|name| {
            let meant = parse::nearest(name, names.iter().copied()).filter(|meant| meant.len() >= 6)?;
            Some(format!("{name} is not a setting of pushbox; did you mean {meant}?"))
        })
        .collect()
}
