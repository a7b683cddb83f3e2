//! Reads a push: which code, which shop, about what, and under which key to know it again.
//!
//! The key is derived from the content of the inner envelope alone: never from the raw bytes, whose key
//! order differs between a live push and its lost copy; never from the envelope's `timestamp` or `msg_id`,
//! which a retry may renew. Codes with many pushes are read without building a JSON tree.

use chrono::{DateTime, TimeDelta, Utc};
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use super::canonical::{canonical, canonical_value};
use super::codes;
use crate::domain::event::Payload;
use crate::domain::order::OrderRef;
use crate::domain::push::{OrderHint, ParsedPush, join_key, payload_of, sha256};

/// The name of this source and platform.
pub const PLATFORM: &str = "shopee";

/// A body as Shopee means it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ShopeeBody {
    /// The callback verification: empty, or code 0 that concerns no shop and no order.
    Probe,
    /// A push; anything that is not a probe is one, readable or not.
    Push(Box<ParsedPush>),
}

/// A number or a text, as text. Null and absent are empty.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Text(String);

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl<'de> serde::de::Visitor<'de> for Visitor {
            type Value = Text;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a text, a number or null")
            }
            fn visit_str<E>(self, text: &str) -> Result<Text, E> {
                Ok(Text(text.to_owned()))
            }
            fn visit_i64<E>(self, number: i64) -> Result<Text, E> {
                Ok(Text(number.to_string()))
            }
            fn visit_u64<E>(self, number: u64) -> Result<Text, E> {
                Ok(Text(number.to_string()))
            }
            fn visit_f64<E>(self, number: f64) -> Result<Text, E> {
                Ok(Text(number.to_string()))
            }
            fn visit_unit<E>(self) -> Result<Text, E> {
                Ok(Text::default())
            }
            // What has no business in a text field must not cost us the other fields.
            fn visit_bool<E>(self, _: bool) -> Result<Text, E> {
                Ok(Text::default())
            }
            fn visit_seq<A: serde::de::SeqAccess<'de>>(self, mut seq: A) -> Result<Text, A::Error> {
                while seq.next_element::<serde::de::IgnoredAny>()?.is_some() {}
                Ok(Text::default())
            }
            fn visit_map<A: serde::de::MapAccess<'de>>(self, mut map: A) -> Result<Text, A::Error> {
                while map.next_entry::<serde::de::IgnoredAny, serde::de::IgnoredAny>()?.is_some() {}
                Ok(Text::default())
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

impl Text {
    fn seconds(&self) -> Option<DateTime<Utc>> {
        self.0
            .parse()
            .ok()
            .filter(|seconds| *seconds > 0)
            .and_then(|seconds| DateTime::from_timestamp(seconds, 0))
    }

    /// Longer than any id of Shopee's, and than what an index can hold: then it is not taken for one.
    fn some(&self) -> Option<String> {
        const LONGEST: usize = 200;
        (1..=LONGEST).contains(&self.0.len()).then(|| self.0.clone())
    }
}

#[derive(Deserialize)]
struct Envelope<'a> {
    code: i64,
    #[serde(default)]
    shop_id: Text,
    #[serde(default)]
    shopid: Text,
    #[serde(default)]
    supplier_id: Text,
    #[serde(default)]
    timestamp: Text,
    #[serde(borrow, default)]
    data: Option<&'a RawValue>,
}

/// The fields of `data` that keys and subjects are made of.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Data {
    shop_id: Text,
    shopid: Text,
    ordersn: Text,
    order_sn: Text,
    status: Text,
    completed_scenario: Text,
    update_time: Text,
    package_number: Text,
    tracking_no: Text,
    tracking_number: Text,
    fulfillment_status: Text,
    return_sn: Text,
    booking_sn: Text,
    booking_status: Text,
    item_id: Text,
    purchase_order_id: Text,
    inbound_id: Text,
    video_upload_id: Text,
    first_mile_tracking_number: Text,
    invoice_id: Text,
}

/// The one of two spellings that says something. Not an alias: a push with both must not become unreadable.
fn either<'a>(one: &'a Text, other: &'a Text) -> &'a Text {
    if one.0.is_empty() { other } else { one }
}

impl Data {
    fn shop(&self) -> &Text {
        either(&self.shop_id, &self.shopid)
    }

    fn order(&self) -> &Text {
        either(&self.ordersn, &self.order_sn)
    }

    fn tracking(&self) -> &str {
        &either(&self.tracking_no, &self.tracking_number).0
    }

    /// What a push is about: a return, an order, a booking, an item, or whatever else has a number.
    fn subject(&self) -> Option<String> {
        let numbers = [
            &self.return_sn,
            self.order(),
            &self.booking_sn,
            &self.item_id,
            &self.purchase_order_id,
            &self.inbound_id,
            &self.first_mile_tracking_number,
            &self.video_upload_id,
            &self.invoice_id,
        ];
        numbers.into_iter().find_map(Text::some)
    }
}

/// Reads a body. Whatever it is, there is an answer: what cannot be read is a push kept as bytes under the
/// hash of them.
pub fn read(body: &[u8]) -> ShopeeBody {
    if body.trim_ascii().is_empty() {
        return ShopeeBody::Probe;
    }
    let payload = payload_of(body);
    let Payload::Json(text) = &payload else { return unreadable(body, payload) };
    // Of members with one name the last counts, as it does for jsonb.
    let single: String;
    let envelope = if let Ok(envelope) = serde_json::from_str::<Envelope<'_>>(text) {
        envelope
    } else {
        single = serde_json::from_str::<Value>(text).map(|value| value.to_string()).unwrap_or_default();
        let Ok(envelope) = serde_json::from_str(&single) else { return unreadable(body, payload) };
        envelope
    };
    // Some senders put `data` into a JSON string.
    let inner = envelope.data.and_then(|data| serde_json::from_str::<String>(data.get()).ok());
    let data_text = inner.as_deref().or(envelope.data.map(RawValue::get)).unwrap_or("null");
    let data: Option<Data> = serde_json::from_str(data_text)
        .or_else(|_| serde_json::from_str::<Value>(data_text).and_then(serde_json::from_value))
        .ok();
    let fields = data.as_ref();
    let shop = either(&envelope.shop_id, &envelope.shopid).some();
    let shop = shop.or_else(|| fields.and_then(|data| data.shop().some()));
    if envelope.code == 0 && shop.is_none() && fields.is_none_or(|data| data.order().0.is_empty()) {
        return ShopeeBody::Probe;
    }
    let push = push_of(&envelope, shop, fields, data_text, payload.clone());
    ShopeeBody::Push(Box::new(push))
}

fn push_of(
    envelope: &Envelope<'_>,
    shop: Option<String>,
    data: Option<&Data>,
    data_text: &str,
    payload: Payload,
) -> ParsedPush {
    let account = shop.or_else(|| envelope.supplier_id.some());
    let order =
        account.clone().zip(data.and_then(|data| data.order().some())).map(|(shop_id, order_sn)| OrderHint {
            order: OrderRef { platform: PLATFORM.to_owned(), shop_id, order_sn },
            // Only the status push carries the order's own clock; that of code 30 is the package's.
            changed_at: data.filter(|_| envelope.code == 3).and_then(|data| data.update_time.seconds()),
        });
    ParsedPush {
        code: envelope.code.to_string(),
        kind: codes::kind(envelope.code),
        key: key_of(envelope, account.as_deref().unwrap_or_default(), data, data_text),
        key_lifetime: key_lifetime(envelope.code),
        account,
        subject: data.and_then(Data::subject),
        occurred_at: data
            .and_then(|data| data.update_time.seconds())
            .or_else(|| envelope.timestamp.seconds()),
        order,
        payload,
    }
}

/// Retries take some 3.6 hours, the lost queue three days. Codes without a clock of their own are forgotten
/// soon after, because the same content may then be a true repetition (a label printed anew).
fn key_lifetime(code: i64) -> TimeDelta {
    match code {
        4 | 9 | 15 | 24 | 25 => TimeDelta::days(4),
        _ => TimeDelta::days(14),
    }
}

/// The key per code. `completed_scenario` `NORMAL`, empty and null are the same.
fn key_of(envelope: &Envelope<'_>, shop: &str, data: Option<&Data>, data_text: &str) -> String {
    let code = envelope.code.to_string();
    let (timestamp, code) = (envelope.timestamp.0.as_str(), code.as_str());
    let by_content = || join_key(&[code, shop, &hex::encode(sha256(canonical(data_text).as_bytes()))]);
    let Some(data) = data else { return by_content() };
    let order = data.order().0.as_str();
    let package = data.package_number.0.as_str();
    let scenario =
        if data.completed_scenario.0 == "NORMAL" { "" } else { data.completed_scenario.0.as_str() };
    match envelope.code {
        3 if !order.is_empty() => {
            join_key(&[code, shop, order, &data.status.0, scenario, &data.update_time.0])
        }
        4 if !order.is_empty() => join_key(&[code, shop, order, package, data.tracking()]),
        15 if !order.is_empty() => join_key(&[code, shop, order, package, &data.status.0]),
        30 if !order.is_empty() => {
            join_key(&[code, shop, order, package, &data.fulfillment_status.0, &data.update_time.0])
        }
        23 if !data.booking_sn.0.is_empty() => {
            join_key(&[code, shop, &data.booking_sn.0, &data.booking_status.0, &data.update_time.0])
        }
        24 if !data.booking_sn.0.is_empty() => join_key(&[code, shop, &data.booking_sn.0, data.tracking()]),
        25 if !data.booking_sn.0.is_empty() => join_key(&[code, shop, &data.booking_sn.0, &data.status.0]),
        29 | 47 => join_key(&[code, shop, &special(envelope.code, data_text).unwrap_or_else(by_content)]),
        // Partner-level pushes have no other clock than the envelope's.
        1 | 2 => join_key(&[code, &special(envelope.code, data_text).unwrap_or_else(by_content), timestamp]),
        10 => join_key(&[code, shop, &chat(data_text, timestamp).unwrap_or_else(by_content)]),
        12 => join_key(&[code, &special(12, data_text).unwrap_or_else(by_content)]),
        _ => by_content(),
    }
}

/// Keys that need more of `data` than its flat fields.
fn special(code: i64, data_text: &str) -> Option<String> {
    let data: Value = serde_json::from_str(data_text).ok()?;
    let text = |value: &Value| match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let hash = |value: &Value| hex::encode(sha256(canonical_value(value).unwrap_or_default().as_bytes()));
    match code {
        1 | 2 => {
            let mut ids: Vec<String> =
                ["shop_id", "shopid", "shop_id_list", "merchant_id", "main_account_id"]
                    .iter()
                    .flat_map(|name| match &data[*name] {
                        Value::Array(list) => list.iter().map(text).collect(),
                        other => vec![text(other)],
                    })
                    .filter(|id| !id.is_empty())
                    .collect();
            ids.sort();
            let whose = if ids.is_empty() { hash(&data["extra"]) } else { ids.join(",") };
            Some(join_key(&[&whose, &text(&data["authorize_type"])]))
        }
        29 => {
            let mut changes: Vec<String> = data["updated_values"]
                .as_array()?
                .iter()
                .map(|one| {
                    let parts = ["update_field", "new_value", "update_time"].map(|name| text(&one[name]));
                    // A bar within a value must not look like the next change.
                    join_key(&parts.each_ref().map(String::as_str)).replace('|', "%7C")
                })
                .collect();
            changes.sort();
            let return_sn = data["return_sn"].as_str().filter(|sn| !sn.is_empty())?;
            Some(join_key(&[return_sn, &changes.join("|")]))
        }
        47 => {
            let order = data["order_sn"].as_str().or(data["ordersn"].as_str()).filter(|sn| !sn.is_empty())?;
            Some(join_key(&[
                order,
                &text(&data["package_number"]),
                &text(&data["update_time"]),
                &hash(&data["new"]),
            ]))
        }
        12 => {
            let mut ids: Vec<String> = ["shop_expire_soon", "merchant_expire_soon", "user_expire_soon"]
                .iter()
                .flat_map(|list| {
                    data[*list].as_array().into_iter().flatten().map(move |id| format!("{list}{id}"))
                })
                .collect();
            ids.sort();
            let ids = hex::encode(sha256(ids.join(",").as_bytes()));
            Some(join_key(&[&text(&data["expire_before"]), &text(&data["page_no"]), &ids]))
        }
        _ => None,
    }
}

/// A message has an id; a notification only its conversation, its type and a time.
fn chat(data_text: &str, timestamp: &str) -> Option<String> {
    let data: Value = serde_json::from_str(data_text).ok()?;
    let content = &data["content"];
    let id = match &content["message_id"] {
        Value::String(id) => id.clone(),
        Value::Number(id) => id.to_string(),
        _ => String::new(),
    };
    if !id.is_empty() {
        return Some(join_key(&["message", &id]));
    }
    let conversation = content["conversation_id"].as_str().filter(|id| !id.is_empty())?;
    let time = match &content["timestamp"] {
        Value::String(time) if !time.is_empty() => time.clone(),
        Value::Number(time) => time.to_string(),
        _ => timestamp.to_owned(),
    };
    Some(join_key(&[conversation, content["type"].as_str().unwrap_or_default(), &time]))
}

fn unreadable(body: &[u8], payload: Payload) -> ShopeeBody {
    ShopeeBody::Push(Box::new(ParsedPush {
        code: "unreadable".to_owned(),
        kind: "unreadable".to_owned(),
        account: None,
        subject: None,
        key: join_key(&["unreadable", &hex::encode(sha256(body))]),
        key_lifetime: TimeDelta::days(14),
        occurred_at: None,
        order: None,
        payload,
    }))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn push(body: &str) -> ParsedPush {
        match read(body.as_bytes()) {
            ShopeeBody::Push(push) => *push,
            ShopeeBody::Probe => panic!("a probe: {body}"),
        }
    }

    fn key(body: &Value) -> String {
        push(&body.to_string()).key
    }

    fn order_status() -> Value {
        json!({"msg_id": "0123456789abcdef0123456789abcdef",
               "data": {"completed_scenario": "", "items": [], "ordersn": "2609150ABCDEF1", "status": "READY_TO_SHIP",
                        "update_time": 1_790_000_000},
               "shop_id": 10_000_001, "code": 3, "timestamp": 1_790_000_001})
    }

    #[test]
    fn reads_the_observed_live_shape() {
        let push = push(&order_status().to_string());
        assert_eq!((push.code.as_str(), push.kind.as_str()), ("3", "order_status"));
        assert_eq!(push.account.as_deref(), Some("10000001"));
        assert_eq!(push.subject.as_deref(), Some("2609150ABCDEF1"));
        assert_eq!(push.key, "3/10000001/2609150ABCDEF1/READY_TO_SHIP//1790000000");
        assert_eq!(push.occurred_at, DateTime::from_timestamp(1_790_000_000, 0));
        let hint = push.order.expect("an order");
        assert_eq!(hint.order.order_sn, "2609150ABCDEF1");
        assert_eq!(hint.changed_at, DateTime::from_timestamp(1_790_000_000, 0));
    }

    #[test]
    fn only_the_orders_own_clock_counts_as_its_clock() {
        for body in [
            json!({"data":{"ordersn":"A","tracking_no":"T"},"shop_id":1,"code":4,"timestamp":1_790_000_001}),
            json!({"data":{"ordersn":"A","package_number":"P","update_time":1_790_000_000},"shop_id":1,"code":30,"timestamp":9}),
        ] {
            assert_eq!(push(&body.to_string()).order.expect("an order").changed_at, None, "{body}");
        }
    }

    #[test]
    fn a_retry_and_a_lost_copy_have_the_key_of_the_live_push() {
        let live = order_status();
        let mut variants = vec![live.clone(); 6];
        variants[0]["timestamp"] = json!(1_790_009_999);
        variants[1].as_object_mut().expect("object").remove("msg_id");
        variants[2]["data"]["completed_scenario"] = json!("NORMAL");
        variants[3]["data"]["completed_scenario"] = Value::Null;
        variants[4]["data"]["update_time"] = json!("1790000000");
        let shop = variants[5].as_object_mut().expect("object").remove("shop_id").expect("shop");
        variants[5]["data"]["shopid"] = shop;
        for variant in &variants {
            assert_eq!(key(variant), key(&live), "{variant}");
        }
        let mut odd = live.clone();
        odd["data"]["tracking_no"] = json!({"a": [true]});
        odd["data"]["item_id"] = json!(false);
        assert_eq!(key(&odd), key(&live), "a field of another type does not spoil the others");
        let in_a_string = json!({"code": 3, "shop_id": 10_000_001, "data": live["data"].to_string()});
        assert_eq!(key(&in_a_string), key(&live));
    }

    #[test]
    fn a_different_change_has_a_different_key() {
        let live = order_status();
        for (field, value) in [
            ("status", json!("SHIPPED")),
            ("update_time", json!(1_790_000_002)),
            ("completed_scenario", json!("RRAOC")),
            ("ordersn", json!("2609150ABCDEF2")),
        ] {
            let mut other = live.clone();
            other["data"][field] = value;
            assert_ne!(key(&other), key(&live), "{field}");
        }
    }

    #[test]
    fn keys_of_the_other_codes() {
        let cases = [
            (
                json!({"data":{"ordersn":"A","forder_id":"4","package_number":"P","tracking_no":"T"},"shop_id":1,"code":4,"timestamp":9}),
                "4/1/A/P/T",
            ),
            (
                json!({"data":{"order_sn":"A","package_number":"P","status":"READY"},"shop_id":1,"code":15,"timestamp":9}),
                "15/1/A/P/READY",
            ),
            (
                json!({"data":{"ordersn":"A","package_number":"P","fulfillment_status":"F","update_time":5},"shop_id":1,"code":30,"timestamp":9}),
                "30/1/A/P/F/5",
            ),
            (
                json!({"data":{"booking_sn":"B","booking_status":"S","update_time":5},"shop_id":1,"code":23,"timestamp":9}),
                "23/1/B/S/5",
            ),
            (
                json!({"data":{"booking_sn":"B","tracking_number":"T"},"shop_id":1,"code":24,"timestamp":9}),
                "24/1/B/T",
            ),
            (
                json!({"data":{"order_sn":"A","return_sn":"R","updated_values":[{"update_field":"return_status","old_value":"J","new_value":"P","update_time":7}]},"shop_id":1,"code":29,"timestamp":9}),
                "29/1/R%2Freturn_status%252FP%252F7",
            ),
            (
                json!({"data":{"type":"message","content":{"message_id":"m1"}},"shop_id":1,"code":10,"timestamp":9}),
                "10/1/message%2Fm1",
            ),
        ];
        for (body, expected) in cases {
            assert_eq!(key(&body), expected);
        }
    }

    #[test]
    fn an_authorization_is_known_by_whose_it_is_and_when() {
        let one = json!({"data": {"authorize_type": "user", "shop_id_list": [2, 1], "success": 1}, "code": 1, "timestamp": 9});
        assert_eq!(key(&one), "1/1,2%2Fuser/9");
        let retry = json!({"partner_id": 5, "timestamp": 9, "code": 1,
                           "data": {"extra": "x", "shop_id_list": ["1", "2"], "authorize_type": "user"}});
        assert_eq!(key(&retry), key(&one));
        let cancelled = |extra: &str, at: i64| {
            key(
                &json!({"data": {"authorize_type": "user cancel", "extra": extra}, "code": 2, "timestamp": at}),
            )
        };
        assert_ne!(cancelled("shop id 1 (VN)", 9), cancelled("shop id 2 (VN)", 9));
        assert_ne!(cancelled("shop id 1 (VN)", 9), cancelled("shop id 1 (VN)", 10));
    }

    #[test]
    fn both_spellings_at_once_do_no_harm() {
        let both = json!({"code": 15, "shop_id": 1, "shopid": 1, "data": {"ordersn": "A", "order_sn": "A",
                          "package_number": "P", "status": "READY"}});
        assert_eq!(key(&both), "15/1/A/P/READY");
    }

    #[test]
    fn every_kind_of_thing_is_a_subject() {
        for (code, data, subject) in [
            (29, json!({"order_sn": "A", "return_sn": "R"}), "R"),
            (8, json!({"item_id": 7, "ordersn": "A"}), "A"),
            (23, json!({"booking_sn": "B"}), "B"),
            (22, json!({"item_id": 7}), "7"),
            (20, json!({"purchase_order_id": 3}), "3"),
            (21, json!({"inbound_id": "I"}), "I"),
            (37, json!({"binding_id": "b", "first_mile_tracking_number": "F"}), "F"),
            (38, json!({"video_upload_id": "v"}), "v"),
        ] {
            let body = json!({"code": code, "shop_id": 1, "data": data}).to_string();
            assert_eq!(push(&body).subject.as_deref(), Some(subject), "{body}");
        }
    }

    #[test]
    fn codes_without_rules_go_by_canonical_content() {
        let one =
            json!({"code": 99, "shop_id": 1, "timestamp": 1, "data": {"a": 1, "b": {"x": null, "y": "z"}}});
        let reordered = r#"{"data":{"b":{"y":"z"},"c":"","a":1},"timestamp":2,"shop_id":1,"code":99}"#;
        let other = json!({"code": 99, "shop_id": 1, "timestamp": 1, "data": {"a": 2, "b": {"y": "z"}}});
        assert_eq!(key(&one), push(reordered).key);
        assert_ne!(key(&one), key(&other));
        assert_eq!(push(reordered).kind, "code_99");
    }

    #[test]
    fn what_differs_only_where_json_ends_has_different_keys() {
        for (one, other) in [
            (r#"{"code":99,"shop_id":1,"data":"hello"}"#, r#"{"code":99,"shop_id":1,"data":"world"}"#),
            (
                r#"{"code":99,"shop_id":1,"data":{"a":1e500}}"#,
                r#"{"code":99,"shop_id":1,"data":{"a":2e500}}"#,
            ),
            (
                r#"{"code":29,"shop_id":1,"data":{"return_sn":"R","updated_values":[{"update_field":"a|b"}]}}"#,
                r#"{"code":29,"shop_id":1,"data":{"return_sn":"R","updated_values":[{"update_field":"a"},{"update_field":"b"}]}}"#,
            ),
        ] {
            assert_ne!(push(one).key, push(other).key, "{one} {other}");
        }
    }

    #[test]
    fn the_last_of_equal_members_counts() {
        let twice = r#"{"code":9,"code":3,"shop_id":7,"data":{"ordersn":"A","status":"X","status":"Y","update_time":5}}"#;
        let once = r#"{"code":3,"shop_id":7,"data":{"ordersn":"A","status":"Y","update_time":5}}"#;
        assert_eq!((push(twice).key, push(twice).order), (push(once).key, push(once).order));
    }

    #[test]
    fn tells_a_probe_from_a_push() {
        for body in ["", " \n", r#"{"code":0,"data":{"verify_info":"This is a test"}}"#, r#"{"code":0}"#] {
            assert_eq!(read(body.as_bytes()), ShopeeBody::Probe, "{body}");
        }
        for body in [
            r#"{"code":0,"shop_id":5,"data":{}}"#,
            r#"{"code":0,"data":{"ordersn":"A"}}"#,
            "hello",
            "{}",
            "[]",
        ] {
            assert!(matches!(read(body.as_bytes()), ShopeeBody::Push(_)), "{body}");
        }
    }

    #[test]
    fn what_cannot_be_read_is_kept_under_its_hash() {
        for body in ["hello", "{}", "[]", r#"{"code":"three"}"#, "\u{0}"] {
            let push = push(body);
            assert_eq!(push.kind, "unreadable");
            assert!(push.key.starts_with("unreadable/"));
        }
    }

    proptest! {
        #[test]
        fn no_body_is_refused(body in proptest::collection::vec(any::<u8>(), 0..300)) {
            read(&body);
        }

        #[test]
        fn key_order_and_spacing_do_not_matter(status in "[A-Z_]{1,12}", sn in "[0-9A-Z]{10,16}", at in 1_i64..2_000_000_000) {
            let tight = json!({"code": 3, "shop_id": 7, "data": {"ordersn": sn, "status": status, "update_time": at}, "timestamp": at});
            let loose = format!(r#"{{ "timestamp": 5, "data": {{ "update_time": "{at}", "items": [], "status": "{status}", "ordersn": "{sn}" }}, "code": 3, "shopid": "7" }}"#);
            prop_assert_eq!(key(&tight), push(&loose).key);
        }
    }
}
