//! Reading Shopee's JSON as it is sent, not as it is documented: numbers as text, text as numbers, null for
//! nothing, zero for "not set". An id never passes through a float, an amount is read from its digits.

use chrono::{DateTime, Utc};
use rust_decimal::Decimal;
use serde::de::{Deserializer, Error, Visitor};
use serde::{Deserialize, de};
use serde_json::value::RawValue;

/// An integer: number or numeric text; null, empty text and absence are none.
pub fn int<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<i64>, D::Error> {
    struct Int;
    impl Visitor<'_> for Int {
        type Value = Option<i64>;

        fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("an integer")
        }

        fn visit_i64<E>(self, value: i64) -> Result<Self::Value, E> {
            Ok(Some(value))
        }

        fn visit_u64<E: Error>(self, value: u64) -> Result<Self::Value, E> {
            i64::try_from(value).map(Some).map_err(|_| E::custom("an integer beyond 63 bits"))
        }

        fn visit_str<E: Error>(self, value: &str) -> Result<Self::Value, E> {
            match value.trim() {
                "" => Ok(None),
                digits => digits.parse().map(Some).map_err(|_| E::custom("text where an integer belongs")),
            }
        }

        fn visit_unit<E>(self) -> Result<Self::Value, E> {
            Ok(None)
        }
    }
    deserializer.deserialize_any(Int)
}

/// Text: text or number; null and absence are empty.
pub fn text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    struct Text;
    impl Visitor<'_> for Text {
        type Value = String;

        fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("text")
        }

        fn visit_str<E>(self, value: &str) -> Result<Self::Value, E> {
            Ok(value.replace('\0', ""))
        }

        fn visit_i64<E>(self, value: i64) -> Result<Self::Value, E> {
            Ok(value.to_string())
        }

        fn visit_u64<E>(self, value: u64) -> Result<Self::Value, E> {
            Ok(value.to_string())
        }

        fn visit_f64<E>(self, value: f64) -> Result<Self::Value, E> {
            Ok(value.to_string())
        }

        fn visit_bool<E>(self, value: bool) -> Result<Self::Value, E> {
            Ok(value.to_string())
        }

        fn visit_unit<E>(self) -> Result<Self::Value, E> {
            Ok(String::new())
        }
    }
    deserializer.deserialize_any(Text)
}

/// A flag: boolean; null and absence are false.
pub fn flag<'de, D: Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
    Ok(Option::<bool>::deserialize(deserializer)?.unwrap_or_default())
}

/// A list or object; null is the empty one.
pub fn or_default<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de> + Default,
{
    Ok(Option::<T>::deserialize(deserializer)?.unwrap_or_default())
}

/// An amount, from the digits as they were sent; null, empty text and absence are none.
pub fn money<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Decimal>, D::Error> {
    let raw = Box::<RawValue>::deserialize(deserializer)?;
    let digits = raw.get().trim_matches('"').trim();
    match digits {
        "" | "null" => Ok(None),
        _ => digits
            .parse()
            .or_else(|_| Decimal::from_scientific(digits))
            .map(Some)
            .map_err(|_| de::Error::custom("no number where an amount belongs")),
    }
}

/// Unix seconds as an instant; zero is Shopee's "not set".
pub fn time(seconds: Option<i64>) -> Option<DateTime<Utc>> {
    seconds.filter(|seconds| *seconds > 0).and_then(|seconds| DateTime::from_timestamp(seconds, 0))
}

/// Text that says something.
pub fn some(text: String) -> Option<String> {
    (!text.trim().is_empty()).then_some(text)
}

/// A copy of the answer that jsonb can hold: U+0000 is legal in JSON and not in Postgres.
pub fn snapshot(raw: &RawValue) -> Result<serde_json::Value, serde_json::Error> {
    let mut value = serde_json::from_str(raw.get())?;
    if raw.get().contains("\\u0000") {
        strip_nul(&mut value);
    }
    Ok(value)
}

/// What is wrong with a piece of JSON, without the values that it holds: they may be names or tokens.
pub fn fault(error: &serde_json::Error) -> String {
    let text = error.to_string();
    match (text.find('"'), text.rfind('"')) {
        (Some(first), Some(last)) if first < last => format!("{}…{}", &text[..first], &text[last + 1..]),
        _ => text,
    }
}

fn strip_nul(value: &mut serde_json::Value) {
    match value {
        serde_json::Value::String(text) => text.retain(|c| c != '\0'),
        serde_json::Value::Array(list) => list.iter_mut().for_each(strip_nul),
        serde_json::Value::Object(map) => {
            *map = std::mem::take(map)
                .into_iter()
                .map(|(key, mut value)| {
                    strip_nul(&mut value);
                    (key.replace('\0', ""), value)
                })
                .collect();
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Deserialize)]
    struct Probe {
        #[serde(default, deserialize_with = "int")]
        id: Option<i64>,
        #[serde(default, deserialize_with = "text")]
        name: String,
        #[serde(default, deserialize_with = "money")]
        price: Option<Decimal>,
        #[serde(default, deserialize_with = "flag")]
        cod: bool,
    }

    fn probe(json: &str) -> Probe {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn ids_keep_every_digit() {
        assert_eq!(probe(r#"{"id": 9007199254740993}"#).id, Some(9_007_199_254_740_993));
        assert_eq!(probe(r#"{"id": "9007199254740993"}"#).id, Some(9_007_199_254_740_993));
        assert_eq!(probe(r#"{"id": null}"#).id, None);
        assert_eq!(probe(r#"{"id": ""}"#).id, None);
        assert!(serde_json::from_str::<Probe>(r#"{"id": 1.5}"#).is_err());
    }

    #[test]
    fn amounts_keep_the_digits_as_sent() {
        for (json, expected) in [
            ("119.99", Some("119.99")),
            ("0.1", Some("0.1")),
            ("250000", Some("250000")),
            ("-3.50", Some("-3.50")),
            ("1e3", Some("1000")),
            (r#""12.30""#, Some("12.30")),
            (r#""""#, None),
            ("null", None),
        ] {
            let price = probe(&format!(r#"{{"price": {json}}}"#)).price;
            assert_eq!(price, expected.map(|text| text.parse().unwrap()), "{json}");
        }
        assert_eq!(probe("{}").price, None);
        assert!(serde_json::from_str::<Probe>(r#"{"price": "****"}"#).is_err());
    }

    #[test]
    fn text_and_flags_take_null_and_numbers() {
        let probe = probe(r#"{"name": 12, "cod": null}"#);
        assert_eq!((probe.name.as_str(), probe.cod), ("12", false));
    }

    #[test]
    fn a_fault_does_not_repeat_values() {
        #[derive(Debug, Deserialize)]
        struct Wrong {
            #[expect(dead_code, reason = "never filled")]
            count: u8,
        }
        let error = serde_json::from_str::<Wrong>(r#"{"count": "Jane \"J\" Doe"}"#).unwrap_err();
        let text = fault(&error);
        assert!(text.contains("expected u8") && !text.contains("Jane"), "{text}");
    }

    #[test]
    fn zero_is_no_time() {
        assert_eq!(time(Some(0)), None);
        assert_eq!(time(None), None);
        assert_eq!(time(Some(1_790_000_000)).unwrap().timestamp(), 1_790_000_000);
    }

    #[test]
    fn snapshot_can_be_kept_in_jsonb() {
        let raw = RawValue::from_string(r#"{"a\u0000":["x\u0000y"],"b":1.10}"#.to_owned()).unwrap();
        assert_eq!(snapshot(&raw).unwrap(), serde_json::json!({"a": ["xy"], "b": 1.10}));
    }
}
