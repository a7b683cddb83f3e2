//! What a source's own rules make of a body: everything needed to store it, route it and know it again.

use chrono::{DateTime, TimeDelta, Utc};
use sha2::{Digest, Sha256};

use super::event::{NewEvent, Payload, Via, new_event_id};
use super::order::OrderRef;

/// A push as its source's rules read it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParsedPush {
    /// The platform's event code or name, as text.
    pub code: String,
    /// Our name of that code.
    pub kind: String,
    /// The shop or account; none for partner-level pushes.
    pub account: Option<String>,
    /// What it is about.
    pub subject: Option<String>,
    /// The idempotency key within the source.
    pub key: String,
    /// How long the key has to be remembered.
    pub key_lifetime: TimeDelta,
    /// When it happened, by the platform's clock.
    pub occurred_at: Option<DateTime<Utc>>,
    /// The order it is about, where there is one.
    pub order: Option<OrderHint>,
    /// The envelope.
    pub payload: Payload,
}

/// The order that a push points at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OrderHint {
    /// Which order.
    pub order: OrderRef,
    /// The order's own clock at the change that was pushed, where the push tells it. Clocks of packages and of
    /// envelopes are other clocks and never compared with it.
    pub changed_at: Option<DateTime<Utc>>,
}

/// A push that arrived: over HTTP, out of a lost queue, by polling or by hand.
#[derive(Debug, Clone)]
pub struct Arrival {
    /// The source's name.
    pub source: String,
    /// The bytes as received.
    pub body_sha256: [u8; 32],
    /// Headers on the allow-list.
    pub headers: serde_json::Value,
    /// When it reached us.
    pub received_at: DateTime<Utc>,
    /// How.
    pub via: Via,
}

impl ParsedPush {
    /// The event that this push becomes.
    pub fn into_event(self, arrival: Arrival) -> NewEvent {
        // An id's time is in milliseconds; the row says the same, so that one tells the other.
        let id = new_event_id(arrival.received_at);
        let received_at = super::event::received_at_of(id).unwrap_or(arrival.received_at);
        NewEvent {
            id,
            source: arrival.source,
            key: self.key,
            key_expires_at: received_at + self.key_lifetime,
            account: self.account,
            code: self.code,
            kind: self.kind,
            subject: self.subject,
            payload: self.payload,
            body_sha256: arrival.body_sha256,
            headers: arrival.headers,
            occurred_at: self.occurred_at,
            received_at,
            via: arrival.via,
        }
    }
}

/// SHA-256 of some bytes.
pub fn sha256(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}

/// Joins the parts of a key unambiguously: a slash or a percent sign within a part is escaped. A key too
/// long for an index entry is replaced by its hash.
pub fn join_key(parts: &[&str]) -> String {
    /// Well below the 2,704 bytes that a B-tree entry may have.
    const LONGEST: usize = 500;
    let mut key = String::with_capacity(parts.iter().map(|part| part.len() + 1).sum());
    for (index, part) in parts.iter().enumerate() {
        if index > 0 {
            key.push('/');
        }
        for c in part.chars() {
            match c {
                '/' => key.push_str("%2F"),
                '%' => key.push_str("%25"),
                '\0' => key.push_str("%00"),
                other => key.push(other),
            }
        }
    }
    if key.len() <= LONGEST {
        return key;
    }
    format!("{}/sha256:{}", parts.first().unwrap_or(&""), hex::encode(sha256(key.as_bytes())))
}

/// The payload for bytes that are, or are not, JSON that jsonb can hold.
pub fn payload_of(body: &[u8]) -> Payload {
    let raw = |parse_error: &str| Payload::Raw { body: body.to_vec(), parse_error: parse_error.to_owned() };
    let text = match std::str::from_utf8(body) {
        Ok(text) => text,
        Err(error) => return raw(&format!("not UTF-8: {error}")),
    };
    if let Err(reason) = jsonb_holds(text) {
        return raw(reason);
    }
    match serde_json::from_str::<serde::de::IgnoredAny>(text) {
        Ok(_) => Payload::Json(text.to_owned()),
        Err(error) => raw(&format!("not JSON: {error}")),
    }
}

/// What jsonb refuses although it is JSON. Works on the text alone, before it is known to be JSON.
fn jsonb_holds(text: &str) -> Result<(), &'static str> {
    const DEEPEST: usize = 120;
    const LONGEST_NUMBER: usize = 300;
    let bytes = text.as_bytes();
    let (mut depth, mut at) = (0_usize, 0);
    while at < bytes.len() {
        match bytes[at] {
            b'"' => at = string_end(text, at)?,
            b'{' | b'[' => {
                depth += 1;
                if depth > DEEPEST {
                    return Err("nested too deep for jsonb");
                }
            }
            b'}' | b']' => depth = depth.saturating_sub(1),
            b'-' | b'0'..=b'9' => {
                let length = bytes[at..]
                    .iter()
                    .take_while(|byte| matches!(byte, b'-' | b'+' | b'.' | b'e' | b'E' | b'0'..=b'9'))
                    .count();
                let number = &text[at..at + length];
                let exponent =
                    number.split_once(['e', 'E']).map_or(Ok(0), |(_, digits)| digits.parse::<i32>());
                if length > LONGEST_NUMBER || !exponent.is_ok_and(|power| power.abs() <= 1000) {
                    return Err("a number out of jsonb's range");
                }
                at += length - 1;
            }
            _ => {}
        }
        at += 1;
    }
    Ok(())
}

/// The index of the closing quote of the string that opens at `start`, or why jsonb would refuse it.
fn string_end(text: &str, start: usize) -> Result<usize, &'static str> {
    let bytes = text.as_bytes();
    let unit = |at: usize| text.get(at..at + 4).and_then(|hex| u16::from_str_radix(hex, 16).ok());
    let mut at = start + 1;
    while at < bytes.len() {
        match bytes[at] {
            b'"' => return Ok(at),
            b'\\' if bytes.get(at + 1) == Some(&b'u') => match unit(at + 2) {
                Some(0) => return Err("a NUL character, which jsonb cannot hold"),
                Some(0xD800..=0xDBFF) => {
                    let low = (text.get(at + 6..at + 8) == Some("\\u")).then(|| unit(at + 8)).flatten();
                    if !matches!(low, Some(0xDC00..=0xDFFF)) {
                        return Err("half a surrogate pair, which jsonb cannot hold");
                    }
                    at += 11;
                }
                Some(0xDC00..=0xDFFF) => return Err("half a surrogate pair, which jsonb cannot hold"),
                _ => at += 5,
            },
            b'\\' => at += 1,
            _ => {}
        }
        at += 1;
    }
    // Not closed: the JSON parser will say so.
    Ok(at)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn tells_what_jsonb_cannot_hold() {
        for (body, reason) in [
            (r#"{"a":"\u0000"}"#.to_owned(), "a NUL"),
            (r#"{"a":"\ud800"}"#.to_owned(), "half a surrogate"),
            (r#"{"a":"\udc00"}"#.to_owned(), "half a surrogate"),
            (r#"{"a":1e999999}"#.to_owned(), "a number out"),
            (r#"{"a":1e99999999999999}"#.to_owned(), "a number out"),
            ("[".repeat(200) + &"]".repeat(200), "nested too deep"),
            ("hello".to_owned(), "not JSON"),
            (String::new(), "not JSON"),
        ] {
            let Payload::Raw { parse_error, .. } = payload_of(body.as_bytes()) else { panic!("{body}") };
            assert!(parse_error.starts_with(reason), "{body}: {parse_error}");
        }
        assert!(matches!(payload_of(b"\xff"), Payload::Raw { .. }));
        for body in [r#"{"a":"\ud83d\ude00 \\u0000 \"","b":[1.5e3,-2]}"#, "3", "null"] {
            assert_eq!(payload_of(body.as_bytes()), Payload::Json(body.into()));
        }
    }

    #[test]
    fn a_long_key_becomes_its_hash() {
        let key = join_key(&["8", &"x".repeat(3000)]);
        assert!(key.starts_with("8/sha256:") && key.len() < 100, "{key}");
    }

    proptest! {
        #[test]
        fn different_parts_never_join_to_one_key(a in "[ab/%]{0,4}", b in "[ab/%]{0,4}", c in "[ab/%]{0,4}", d in "[ab/%]{0,4}") {
            prop_assert_eq!(join_key(&[&a, &b]) == join_key(&[&c, &d]), (a, b) == (c, d));
        }

        #[test]
        fn any_bytes_have_a_payload(body in proptest::collection::vec(any::<u8>(), 0..200)) {
            payload_of(&body);
        }
    }
}
