//! Field masks: `sheets.properties(sheetId,title)`.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

/// A set of paths. A name without anything below means all of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Mask(BTreeMap<String, Self>);

impl Mask {
    /// Reads a mask; the error is the text for the caller.
    pub fn parse(text: &str) -> Result<Self, String> {
        let compact: String = text.chars().filter(|character| !character.is_whitespace()).collect();
        let mut rest = compact.as_str();
        let mask = Self::list(&mut rest);
        match mask {
            Some(mask) if rest.is_empty() => Ok(mask),
            _ => Err(format!("Invalid field selection {text}")),
        }
    }

    fn list(rest: &mut &str) -> Option<Self> {
        let mut mask = Self::default();
        loop {
            mask.path(rest)?;
            match rest.strip_prefix(',') {
                Some(after) => *rest = after,
                None => return Some(mask),
            }
        }
    }

    fn path(&mut self, rest: &mut &str) -> Option<()> {
        let end = rest.find([',', '(', ')', '.', '/']).unwrap_or(rest.len());
        let (name, after) = rest.split_at(end);
        if name.is_empty() {
            return None;
        }
        let below = self.0.entry(name.to_owned()).or_default();
        *rest = after;
        if let Some(after) = rest.strip_prefix(['.', '/']) {
            *rest = after;
            return below.path(rest);
        }
        if let Some(after) = rest.strip_prefix('(') {
            *rest = after;
            *below = Self::list(rest)?;
            *rest = rest.strip_prefix(')')?;
        }
        Some(())
    }

    /// The names at the top.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// The mask below `name`, if `name` is in it; everything is in `*`.
    pub fn below(&self, name: &str) -> Option<&Self> {
        self.0.get(name).or_else(|| self.0.get("*"))
    }

    /// Whether it stands for everything.
    pub fn is_whole(&self) -> bool {
        self.0.is_empty() || self.0.contains_key("*")
    }

    /// Every path, with dots.
    pub fn paths(&self) -> Vec<String> {
        let mut paths = Vec::new();
        for (name, below) in &self.0 {
            match below.paths() {
                deeper if deeper.is_empty() => paths.push(name.clone()),
                deeper => paths.extend(deeper.iter().map(|path| format!("{name}.{path}"))),
            }
        }
        paths
    }

    /// The part of a value that the mask names.
    pub fn select(&self, value: &Value) -> Value {
        match value {
            _ if self.is_whole() => value.clone(),
            Value::Array(list) => list.iter().map(|one| self.select(one)).collect(),
            Value::Object(map) => {
                let kept = map
                    .iter()
                    .filter_map(|(name, value)| Some((name.clone(), self.below(name)?.select(value))));
                Value::Object(kept.collect())
            }
            other => other.clone(),
        }
    }

    /// Replaces in `target` what the mask names by what is in `source`.
    pub fn merge(&self, target: &mut Option<Value>, source: Option<&Value>) {
        if self.is_whole() {
            *target = source.filter(|value| !value.is_null()).cloned();
            return;
        }
        let mut map = match target.take() {
            Some(Value::Object(map)) => map,
            _ => Map::new(),
        };
        for (name, below) in &self.0 {
            let mut field = map.remove(name);
            below.merge(&mut field, source.and_then(|source| source.get(name)));
            if let Some(field) = field {
                map.insert(name.clone(), field);
            }
        }
        *target = (!map.is_empty()).then_some(Value::Object(map));
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::Mask;

    #[test]
    fn selects_nested_fields() {
        let mask = Mask::parse("properties(locale,timeZone),sheets.properties(sheetId,title)").unwrap();
        let whole = json!({"properties": {"locale": "en", "timeZone": "UTC", "title": "t"}, "id": 1,
            "sheets": [{"properties": {"sheetId": 7, "title": "A", "index": 0}, "data": []}]});
        let part = json!({"properties": {"locale": "en", "timeZone": "UTC"},
            "sheets": [{"properties": {"sheetId": 7, "title": "A"}}]});
        assert_eq!(mask.select(&whole), part);
        assert!(Mask::parse("a(b").is_err());
        assert!(Mask::parse("a,,b").is_err());
    }

    #[test]
    fn merges_only_what_is_named() {
        let mask = Mask::parse("numberFormat").unwrap();
        let mut format = Some(json!({"textFormat": {"bold": true}, "numberFormat": {"type": "TEXT"}}));
        mask.merge(&mut format, Some(&json!({"numberFormat": {"type": "DATE"}, "textFormat": {}})));
        assert_eq!(format, Some(json!({"textFormat": {"bold": true}, "numberFormat": {"type": "DATE"}})));
        mask.merge(&mut format, None);
        assert_eq!(format, Some(json!({"textFormat": {"bold": true}})));
    }
}
