//! JSON that is written in another way and means the same.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

/// A value; numbers stay as they are written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Node {
    Object(Vec<(String, Node)>),
    Array(Vec<Node>),
    Text(String),
    Other(String),
}

impl Node {
    /// None: it is not JSON. Of members with one name the last is kept, in its place.
    pub fn read(text: &str) -> Option<Self> {
        Some(match text.trim_start().as_bytes().first()? {
            b'{' => {
                let mut members: Vec<(String, Self)> = Vec::new();
                for (name, value) in serde_json::from_str::<Members<'_>>(text).ok()?.0 {
                    members.retain(|(one, _)| *one != name);
                    members.push((name, Self::read(value.get())?));
                }
                Self::Object(members)
            }
            b'[' => {
                let items = serde_json::from_str::<Items<'_>>(text).ok()?.0;
                Self::Array(items.into_iter().map(|item| Self::read(item.get())).collect::<Option<_>>()?)
            }
            b'"' => Self::Text(serde_json::from_str(text).ok()?),
            _ => Self::Other(serde_json::from_str::<&RawValue>(text).ok()?.get().to_owned()),
        })
    }

    /// As text: members turned round and every character escaped, blanks wherever they may be.
    pub fn write(&self, turned: bool, spaced: bool) -> String {
        let blank = if spaced { " \n\t" } else { "" };
        let join = |parts: Vec<String>| parts.join(&format!("{blank},{blank}"));
        match self {
            Self::Object(members) => {
                let member = |(name, value): &(String, Self)| {
                    format!("{}{blank}:{blank}{}", quoted(name, turned), value.write(turned, spaced))
                };
                let mut members: Vec<String> = members.iter().map(member).collect();
                if turned {
                    members.reverse();
                }
                format!("{blank}{{{blank}{}{blank}}}{blank}", join(members))
            }
            Self::Array(items) => {
                let items = items.iter().map(|item| item.write(turned, spaced)).collect();
                format!("[{blank}{}{blank}]", join(items))
            }
            Self::Text(text) => quoted(text, turned),
            Self::Other(text) => text.clone(),
        }
    }

    /// With the object at this member as a text; none when there is no object.
    pub fn with_text(&self, name: &str) -> Option<Self> {
        let Self::Object(members) = self else { return None };
        let is_object = |value: &Self| matches!(value, Self::Object(_));
        members.iter().find(|(one, value)| one == name && is_object(value))?;
        let within = |(one, value): &(String, Self)| {
            let value = if one == name { Self::Text(value.write(false, false)) } else { value.clone() };
            (one.clone(), value)
        };
        Some(Self::Object(members.iter().map(within).collect()))
    }

    /// Without these members.
    pub fn without(&self, names: &[&str]) -> Self {
        match self {
            Self::Object(members) => {
                let kept = members.iter().filter(|(name, _)| !names.contains(&name.as_str()));
                Self::Object(kept.cloned().collect())
            }
            other => other.clone(),
        }
    }
}

fn quoted(text: &str, escaped: bool) -> String {
    if !escaped {
        return serde_json::Value::from(text).to_string();
    }
    let units: Vec<String> = text.encode_utf16().map(|unit| format!("\\u{unit:04X}")).collect();
    format!("\"{}\"", units.concat())
}

struct Members<'a>(Vec<(String, &'a RawValue)>);
struct Items<'a>(Vec<&'a RawValue>);

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct All;
        impl<'de> Visitor<'de> for All {
            type Value = Members<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(All)
    }
}

impl<'de> Deserialize<'de> for Items<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct All;
        impl<'de> Visitor<'de> for All {
            type Value = Items<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an array")
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
                let mut items = Vec::new();
                while let Some(item) = seq.next_element()? {
                    items.push(item);
                }
                Ok(Items(items))
            }
        }
        deserializer.deserialize_seq(All)
    }
}
