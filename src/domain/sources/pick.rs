//! Takes a few scalars out of a JSON text without building a tree of it. Numbers are taken as they are
//! written, so that an id of twenty digits stays what it is.

use std::fmt;

use serde::de::{DeserializeSeed, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

/// Finds the values at some JSON pointers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Picker {
    pointers: Vec<String>,
    /// The steps of each pointer.
    steps: Vec<Vec<String>>,
}

/// What was found.
#[derive(Debug, Clone, Default)]
pub struct Picked<'a> {
    pointers: &'a [String],
    values: Vec<Option<String>>,
}

impl Picked<'_> {
    /// The scalar at a pointer that the picker was made for; null, the text `null` and the empty text are none.
    pub fn get(&self, pointer: &str) -> Option<&str> {
        let at = self.pointers.iter().position(|one| one == pointer)?;
        self.values.get(at)?.as_deref()
    }
}

impl Picker {
    /// A picker for these pointers (RFC 6901).
    pub fn new(mut pointers: Vec<String>) -> Self {
        pointers.sort();
        pointers.dedup();
        let step = |step: &str| step.replace("~1", "/").replace("~0", "~");
        let steps = pointers.iter().map(|pointer| pointer.split('/').skip(1).map(step).collect()).collect();
        Self { pointers, steps }
    }

    /// The values in a text. What is not there, or not a scalar, is none; a text that is not JSON has none.
    pub fn pick(&self, text: &str) -> Picked<'_> {
        let mut values = vec![None; self.pointers.len()];
        if !self.pointers.is_empty() {
            let wanted = self.steps.iter().enumerate().map(|(at, steps)| (at, steps.as_slice())).collect();
            let mut deserializer = serde_json::Deserializer::from_str(text);
            if (Level { wanted, found: &mut values }).deserialize(&mut deserializer).is_err() {
                values.fill(None);
            }
        }
        Picked { pointers: &self.pointers, values }
    }
}

/// The number of a value and the steps that lead to it.
type Wanted<'a> = (usize, &'a [String]);

/// One level of the text: which of the values below it are wanted.
struct Level<'a, 'f> {
    wanted: Vec<Wanted<'a>>,
    found: &'f mut Vec<Option<String>>,
}

impl<'a> Level<'a, '_> {
    /// The wanted values below one member, and whether the member itself is wanted.
    fn below(&self, name: &str) -> (Vec<usize>, Vec<Wanted<'a>>) {
        let mut here = Vec::new();
        let mut deeper = Vec::new();
        for (at, steps) in &self.wanted {
            match steps.split_first() {
                Some((first, [])) if first == name => here.push(*at),
                Some((first, rest)) if first == name => deeper.push((*at, rest)),
                _ => {}
            }
        }
        (here, deeper)
    }
}

impl<'de> DeserializeSeed<'de> for Level<'_, '_> {
    type Value = ();

    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Level<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any JSON")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(name) = map.next_key::<std::borrow::Cow<'de, str>>()? {
            let (here, deeper) = self.below(&name);
            if here.is_empty() && deeper.is_empty() {
                map.next_value::<IgnoredAny>()?;
            } else {
                let raw = map.next_value::<&RawValue>()?.get();
                take(raw, &here, deeper, self.found);
            }
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        let mut index = 0_usize;
        loop {
            let (here, deeper) = self.below(&index.to_string());
            let Some(raw) = seq.next_element::<&RawValue>()? else { return Ok(()) };
            if !here.is_empty() || !deeper.is_empty() {
                take(raw.get(), &here, deeper, self.found);
            }
            index += 1;
        }
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }
    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }
    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }
    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }
    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }
    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }
}

/// Takes a member's own value, and what is wanted below it. Of members with one name the last counts, as it
/// does for jsonb.
fn take(raw: &str, here: &[usize], deeper: Vec<Wanted<'_>>, found: &mut Vec<Option<String>>) {
    let value = scalar(raw);
    for at in here {
        found[*at].clone_from(&value);
    }
    if !deeper.is_empty() {
        for (at, _) in &deeper {
            found[*at] = None;
        }
        // The text around it was read already, so this is JSON.
        let _ = Level { wanted: deeper, found }.deserialize(&mut serde_json::Deserializer::from_str(raw));
    }
}

/// A scalar as text.
fn scalar(raw: &str) -> Option<String> {
    let text = match raw.as_bytes().first()? {
        b'"' => serde_json::from_str::<String>(raw).ok()?,
        b'{' | b'[' | b'n' => return None,
        _ => raw.to_owned(),
    };
    let blank = text.trim().is_empty() || text == "null";
    (!blank).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pick(pointers: &[&str], text: &str) -> Vec<Option<String>> {
        let picker = Picker::new(pointers.iter().map(|one| (*one).to_owned()).collect());
        let found = picker.pick(text);
        pointers.iter().map(|one| found.get(one).map(str::to_owned)).collect()
    }

    #[test]
    fn takes_scalars_as_they_are_written() {
        let text = r#" {"id": 12345678901234567890123, "data":{"a/b":"x","deep":{"t":true}}, "list":[1,{"k":"v"}]} "#;
        let found =
            pick(&["/id", "/data/a~1b", "/data/deep/t", "/list/0", "/list/1/k", "/none", "/data"], text);
        let found: Vec<_> = found.iter().map(Option::as_deref).collect();
        assert_eq!(
            found,
            [Some("12345678901234567890123"), Some("x"), Some("true"), Some("1"), Some("v"), None, None]
        );
    }

    #[test]
    fn a_value_and_what_is_below_it_can_both_be_wanted() {
        assert_eq!(pick(&["/a", "/a/b"], r#"{"a":5}"#), [Some("5".to_owned()), None]);
        assert_eq!(pick(&["/a", "/a/b"], r#"{"a":{"b":6}}"#), [None, Some("6".to_owned())]);
    }

    #[test]
    fn null_in_any_dress_is_nothing_and_the_last_of_equal_names_counts() {
        assert_eq!(pick(&["/a", "/b", "/c"], r#"{"a":null,"b":"null","c":" "}"#), [None, None, None]);
        assert_eq!(pick(&["/a"], r#"{"a":1,"a":2}"#), [Some("2".to_owned())]);
        assert_eq!(pick(&["/a/b"], r#"{"a":{"b":1},"a":3}"#), [None]);
        assert_eq!(pick(&["/a"], "[1,2]"), [None]);
        assert_eq!(pick(&["/a"], "not JSON"), [None]);
    }
}
