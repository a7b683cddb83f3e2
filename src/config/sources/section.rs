//! One table of a source, read key by key; what nobody asked for is a fault.

use toml::{Table, Value};

use crate::config::fault::Refusal;
use crate::config::lookup::Lookup;

/// A table and what was asked of it.
pub(super) struct Section {
    /// For faults: the source's label.
    label: String,
    /// The table's name with a dot, or nothing.
    prefix: String,
    table: Table,
    asked: Vec<String>,
}

impl Section {
    pub(super) fn new(label: &str, prefix: &str, table: Table) -> Self {
        Self { label: label.to_owned(), prefix: prefix.to_owned(), table, asked: Vec::new() }
    }

    fn take(&mut self, key: &str) -> Option<Value> {
        self.asked.push(key.to_owned());
        self.table.remove(key)
    }

    /// Whether the key is still there.
    pub(super) fn has(&self, key: &str) -> bool {
        self.table.contains_key(key)
    }

    /// The place of a key, for faults.
    pub(super) fn place(&self, key: &str) -> String {
        format!("{} {}{key}", self.label, self.prefix)
    }

    pub(super) fn fault(&self, lookup: &mut Lookup<'_>, key: &str, refusal: Refusal) {
        lookup.fault(self.place(key), refusal.problem, refusal.remedy);
    }

    fn wrong_type(&self, lookup: &mut Lookup<'_>, key: &str, value: &Value, wanted: &str) {
        let problem = format!("is a {}", value.type_str());
        self.fault(lookup, key, Refusal::new(problem, format!("Write {wanted}.")));
    }

    /// A text.
    pub(super) fn text(&mut self, lookup: &mut Lookup<'_>, key: &str) -> Option<String> {
        match self.take(key)? {
            Value::String(text) => Some(text),
            Value::Integer(number) => Some(number.to_string()),
            other => {
                self.wrong_type(lookup, key, &other, "a text");
                None
            }
        }
    }

    /// A text that means something.
    pub(super) fn parsed<T>(
        &mut self,
        lookup: &mut Lookup<'_>,
        key: &str,
        parse: impl Fn(&str) -> Result<T, Refusal>,
    ) -> Option<T> {
        let text = self.text(lookup, key)?;
        parse(&text).map_err(|refusal| self.fault(lookup, key, refusal)).ok()
    }

    /// True or false.
    pub(super) fn flag(&mut self, lookup: &mut Lookup<'_>, key: &str) -> bool {
        match self.take(key) {
            Some(Value::Boolean(flag)) => flag,
            None => false,
            Some(other) => {
                self.wrong_type(lookup, key, &other, "true or false");
                false
            }
        }
    }

    /// One of some words.
    pub(super) fn choice<T: Copy>(
        &mut self,
        lookup: &mut Lookup<'_>,
        key: &str,
        choices: &[(&str, T)],
    ) -> Option<T> {
        self.parsed(lookup, key, |text| {
            let found = choices.iter().find(|(name, _)| *name == text).map(|(_, value)| *value);
            found.ok_or_else(|| {
                let names: Vec<&str> = choices.iter().map(|(name, _)| *name).collect();
                Refusal::new(format!("`{text}` is unknown"), format!("Choose from {}.", names.join(", ")))
            })
        })
    }

    /// A whole number in a range.
    pub(super) fn number(
        &mut self,
        lookup: &mut Lookup<'_>,
        key: &str,
        least: u64,
        most: u64,
    ) -> Option<u64> {
        match self.take(key)? {
            Value::Integer(number) if u64::try_from(number).is_ok_and(|n| (least..=most).contains(&n)) => {
                u64::try_from(number).ok()
            }
            Value::String(text) if text == "none" => None,
            _ => {
                let refusal = Refusal::new(
                    format!("is not a whole number from {least} to {most}"),
                    format!("Write a number from {least} to {most}."),
                );
                self.fault(lookup, key, refusal);
                None
            }
        }
    }

    /// A text, or a list of texts, each read.
    pub(super) fn list<T>(
        &mut self,
        lookup: &mut Lookup<'_>,
        key: &str,
        parse: impl Fn(&str) -> Result<T, String>,
    ) -> Vec<T> {
        let values = match self.take(key) {
            None => return Vec::new(),
            Some(Value::Array(values)) => values,
            Some(value) => vec![value],
        };
        let mut read = Vec::new();
        for value in values {
            let text = match &value {
                Value::String(text) => text.clone(),
                Value::Integer(number) => number.to_string(),
                other => {
                    self.wrong_type(lookup, key, other, "a list of texts");
                    continue;
                }
            };
            match parse(&text) {
                Ok(value) => read.push(value),
                Err(problem) => {
                    let remedy = "Correct it; README's section on sources shows the spelling.";
                    self.fault(lookup, key, Refusal::new(problem, remedy));
                }
            }
        }
        read
    }

    /// The values of a list as they are; a single value is a list of one.
    pub(super) fn values(&mut self, key: &str) -> Vec<Value> {
        match self.take(key) {
            None => Vec::new(),
            Some(Value::Array(values)) => values,
            Some(value) => vec![value],
        }
    }

    /// Names with texts, if the value is a table.
    pub(super) fn map_if_table(
        &mut self,
        lookup: &mut Lookup<'_>,
        key: &str,
    ) -> Option<Vec<(String, String)>> {
        if !self.table.get(key).is_some_and(Value::is_table) {
            return None;
        }
        let Some(Value::Table(table)) = self.take(key) else { return None };
        let mut pairs = Vec::new();
        for (name, value) in table {
            match value {
                Value::String(text) => pairs.push((name, text)),
                Value::Integer(number) => pairs.push((name, number.to_string())),
                other => self.wrong_type(lookup, &format!("{key}.{name}"), &other, "a text"),
            }
        }
        Some(pairs)
    }

    /// A table below this one; an empty one when it is not there.
    pub(super) fn section(&mut self, lookup: &mut Lookup<'_>, key: &str) -> Self {
        let table = match self.take(key) {
            None => Table::new(),
            Some(Value::Table(table)) => table,
            Some(other) => {
                self.wrong_type(lookup, key, &other, "a table");
                Table::new()
            }
        };
        Self::new(&self.label, &format!("{}{key}.", self.prefix), table)
    }

    /// Names what nobody asked for.
    pub(super) fn finish(self, lookup: &mut Lookup<'_>) {
        let known: Vec<&str> = self.asked.iter().map(String::as_str).collect();
        for key in self.table.keys() {
            lookup.unknown(&format!("{} {}", self.label, self.prefix), key, &known);
        }
    }
}
