//! The fields of any push as lines of name and value.

use chrono::DateTime;
use chrono_tz::Tz;
use serde_json::{Map, Value};

use super::text::{self, Block};
use crate::domain::privacy;

/// Lines at most; further fields are counted.
const LINES: usize = 30;
/// Characters of all lines together, so that the push stays within one message.
const CHARACTERS: usize = 2200;
/// Elements of a list that are shown.
const ELEMENTS: usize = 4;
/// Characters of a name and of a value.
const NAME: usize = 60;
const VALUE: usize = 300;
/// Levels that are unfolded; what lies deeper is shown as JSON.
const DEPTH: usize = 4;
/// Parts of names whose values belong to a person, besides the names that [`privacy`] knows.
const PERSONAL: [&str; 9] =
    ["buyer", "recipient", "phone", "user_name", "username", "address", "email", "first_name", "last_name"];

/// How the fields are shown.
#[derive(Debug, Clone, Copy)]
pub struct FieldStyle<'a> {
    /// For times.
    pub zone: Tz,
    /// Whether values that belong to a person are shown in full.
    pub show_personal: bool,
    /// What the headline says already.
    pub subject: Option<&'a str>,
}

/// One line per field of what the platform sent.
pub fn lines(payload: &Value, style: FieldStyle<'_>) -> Vec<Block> {
    let mut flat = Vec::new();
    let mut data = data_of(payload);
    if !style.show_personal {
        hide_unfolded(&mut data, 0);
    }
    match data {
        Value::Object(map) => flatten_object(&map, "", 0, &mut flat),
        other => flatten(&other, "", 0, &mut flat),
    }
    of_pairs(flat, style)
}

/// One line per pair of name and value, as many as fit.
pub fn of_pairs(mut flat: Vec<(String, String)>, style: FieldStyle<'_>) -> Vec<Block> {
    flat.retain(|(_, value)| style.subject != Some(value.as_str()) && !value.is_empty());
    let mut used = 0;
    let mut lines = Vec::new();
    let count = flat.len();
    for (name, value) in flat {
        let line = line(&name, &value, style);
        used += line.cost().units;
        if lines.len() == LINES || used > CHARACTERS {
            lines.push(Block::new().text(&format!("… +{}", count - lines.len()), 20));
            break;
        }
        lines.push(line);
    }
    lines
}

/// What the envelope is about: its `data`, or all of it but what the headline says.
fn data_of(payload: &Value) -> Value {
    match payload {
        Value::Object(envelope) => match envelope.get("data") {
            Some(data @ (Value::Object(_) | Value::Array(_))) => data.clone(),
            Some(Value::String(text)) if text.trim_start().starts_with('{') => {
                serde_json::from_str(text).unwrap_or_else(|_| Value::String(text.clone()))
            }
            _ => {
                let mut rest = envelope.clone();
                rest.retain(|name, _| !["code", "shop_id", "timestamp"].contains(&name.as_str()));
                let wrapped = (rest.len() == 1).then(|| rest.values().next()).flatten();
                wrapped.filter(|inner| inner.is_object()).cloned().unwrap_or(Value::Object(rest))
            }
        },
        other => other.clone(),
    }
}

/// What is shown as JSON, and documents that are text: their people are masked before they become one value.
fn hide_unfolded(value: &mut Value, depth: usize) {
    match value {
        Value::Object(map) if depth < DEPTH => map.values_mut().for_each(|one| hide_unfolded(one, depth + 1)),
        Value::Array(list) if depth < DEPTH => list.iter_mut().for_each(|one| hide_unfolded(one, depth + 1)),
        other => privacy::mask(other),
    }
}

fn flatten_object(map: &Map<String, Value>, path: &str, depth: usize, flat: &mut Vec<(String, String)>) {
    for (name, value) in map {
        let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
        flatten(value, &path, depth, flat);
    }
}

fn flatten(value: &Value, path: &str, depth: usize, flat: &mut Vec<(String, String)>) {
    match value {
        Value::Null => {}
        Value::Object(map) if depth < DEPTH => flatten_object(map, path, depth + 1, flat),
        Value::Array(list) if depth < DEPTH && list.iter().any(|one| one.is_object() || one.is_array()) => {
            for (at, one) in list.iter().take(ELEMENTS).enumerate() {
                flatten(one, &format!("{path}[{at}]"), depth + 1, flat);
            }
            if list.len() > ELEMENTS {
                flat.push((path.to_owned(), format!("… +{}", list.len() - ELEMENTS)));
            }
        }
        Value::Array(list) => {
            let mut shown: Vec<String> = list.iter().take(ELEMENTS).map(scalar).collect();
            if list.len() > ELEMENTS {
                shown.push(format!("… +{}", list.len() - ELEMENTS));
            }
            flat.push((path.to_owned(), shown.join(", ")));
        }
        other => flat.push((path.to_owned(), scalar(other))),
    }
}

/// A value on its own. Only its beginning is copied: a field can be a megabyte long.
fn scalar(value: &Value) -> String {
    match value {
        Value::String(text) => text.chars().take(2 * VALUE).collect(),
        other => other.to_string().chars().take(2 * VALUE).collect(),
    }
}

fn line(name: &str, value: &str, style: FieldStyle<'_>) -> Block {
    let last = name.rsplit('.').next().unwrap_or(name).to_lowercase();
    let shown = match instant(&last, value, style.zone) {
        Some(time) => time,
        None if !style.show_personal && is_personal(name, &last) => text::masked(value),
        None => value.to_owned(),
    };
    if name.is_empty() {
        return Block::new().text(&shown, VALUE);
    }
    Block::new().text(name, NAME).markup(": ").text(&shown, VALUE)
}

/// Whether a field, or one that it lies in, belongs to a person.
fn is_personal(path: &str, last: &str) -> bool {
    PERSONAL.iter().any(|part| last.contains(part))
        || path.split('.').any(|name| privacy::is_personal(name.split('[').next().unwrap_or(name)))
}

/// Unix seconds as a time, where the name says that it is one.
fn instant(name: &str, value: &str, zone: Tz) -> Option<String> {
    let seconds: i64 = value.parse().ok()?;
    let named = ["time", "date", "deadline", "expire", "_at"].iter().any(|part| name.contains(part));
    if !named || !(1_000_000_000..10_000_000_000).contains(&seconds) {
        return None;
    }
    Some(text::time(DateTime::from_timestamp(seconds, 0)?, zone))
}

#[cfg(test)]
mod tests {
    use chrono_tz::Asia::Singapore;
    use serde_json::json;

    use super::*;

    fn shown(payload: &Value) -> String {
        let style = FieldStyle { zone: Singapore, show_personal: false, subject: Some("SN1") };
        lines(payload, style).iter().map(Block::html).collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn fields_are_flattened_and_lists_shortened() {
        let payload = json!({"code": 29, "shop_id": 1, "timestamp": 1, "data": {
            "order_sn": "SN1", "update_time": 1_711_971_200, "extra": null,
            "nested": {"a": {"b": true}}, "tags": ["x", "y", "z", "u", "v"],
            "items": [{"id": 1}, {"id": 2}], "buyer_username": "john", "count": 1_711_971_200}});
        insta::assert_snapshot!(shown(&payload), @r"
        buyer_username: jo***
        count: 1711971200
        items[0].id: 1
        items[1].id: 2
        nested.a.b: true
        tags: x, y, z, u, … +1
        update_time: 2024-04-01 19:33:20
        ");
    }

    #[test]
    fn what_has_no_data_is_shown_whole() {
        assert_eq!(shown(&json!({"code": 1, "shop_id": 2, "success": 1})), "success: 1");
        assert_eq!(shown(&json!({"code": 1, "data": "{\"a\": \"<1>\"}"})), "a: &lt;1&gt;");
        assert_eq!(shown(&json!("text")), "text");
    }

    #[test]
    fn too_many_fields_are_counted() {
        let many: Map<String, Value> = (0..100).map(|n| (format!("f{n:03}"), json!(n))).collect();
        let text = shown(&json!({"data": many}));
        assert_eq!(text.lines().count(), LINES + 1);
        assert!(text.ends_with("\n… +70"), "{text}");
    }

    #[test]
    fn people_are_masked_wherever_they_are() {
        let payload = json!({"data": {
            "recipient_address": {"name": "Tan Ah Kow", "floor": [{"unit": "Tan 04-12"}]},
            "a": {"b": {"c": {"d": {"e": {"phone": "Tan 9123"}}}}},
            "extra": "{\"email\": \"Tan@example.com\"}",
            "content": {"text": "Tan, ring me"},
            "n": 1,
        }});
        let shown = shown(&payload);
        assert!(!shown.contains("Ah Kow") && !shown.contains("Tan"), "{shown}");
        assert!(shown.contains("recipient_address.name: Ta***") && shown.contains("n: 1"), "{shown}");
    }
}
