//! One spelling for all JSON that means the same: what a key is made of where a code has no fields of its own.

use serde_json::Value;

/// JSON with sorted keys, without nulls and empty strings: equal for semantically equal `data`. A text that is no
/// JSON, or holds a number that nobody can, stands for itself: two of them must not look alike.
pub(super) fn canonical(text: &str) -> String {
    match serde_json::from_str(text) {
        Ok(value) => canonical_value(&value).unwrap_or_default(),
        Err(_) => text.trim().to_owned(),
    }
}

pub(super) fn canonical_value(value: &Value) -> Option<String> {
    match value {
        Value::Null => None,
        Value::String(text) if text.is_empty() => None,
        Value::Array(items) => {
            // Positions carry meaning, so an empty item stays.
            let items: Vec<String> =
                items.iter().map(|item| canonical_value(item).unwrap_or_else(|| "null".into())).collect();
            Some(format!("[{}]", items.join(",")))
        }
        Value::Object(fields) => {
            let mut sorted: Vec<_> = fields
                .iter()
                .filter_map(|(name, value)| {
                    canonical_value(value).map(|value| (Value::from(name.as_str()), value))
                })
                .map(|(name, value)| format!("{name}:{value}"))
                .collect();
            sorted.sort();
            Some(format!("{{{}}}", sorted.join(",")))
        }
        other => Some(other.to_string()),
    }
}
