//! Values that must not be shown in full: wrappers that are safe to format.

use std::fmt;

use serde_json::Value;

/// Shows that a secret is there and which one it is, but not enough to use it: its last four characters
/// when it is long enough for that to reveal little, else only its length.
#[derive(Clone, Copy)]
pub struct Secret<'a>(pub &'a str);

/// Below this length even a few characters of a secret are too many.
const SHOWABLE_SECRET: usize = 24;

impl fmt::Display for Secret<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let length = self.0.chars().count();
        if length < SHOWABLE_SECRET {
            return write!(f, "***({length})");
        }
        let tail: String = self.0.chars().skip(length - 4).collect();
        write!(f, "***{tail}({length})")
    }
}

impl fmt::Debug for Secret<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Shows a person's name or account as Shopee stars it out: first and last character only.
#[derive(Clone, Copy)]
pub struct Person<'a>(pub &'a str);

impl fmt::Display for Person<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut characters = self.0.chars();
        match (characters.next(), characters.next_back()) {
            // Of a name of two characters the first and last would be all of it.
            (Some(first), Some(last)) if characters.next().is_some() => write!(f, "{first}***{last}"),
            _ => f.write_str("***"),
        }
    }
}

impl fmt::Debug for Person<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// What takes the place of a person's data.
const MASK: &str = "***";

/// Fields that hold a person's data wherever they are, in lower case without `_`.
const PERSONAL: [&str; 19] = [
    "buyerusername",
    "buyerusernames",
    "buyeruserid",
    "buyercpfid",
    "buyeremail",
    "buyername",
    "buyerphone",
    "dropshipper",
    "dropshipperphone",
    "email",
    "fromusername",
    "fulladdress",
    "messagetoseller",
    "phone",
    "phonenumber",
    "recipientaddress",
    "shippingaddress",
    "tousername",
    "zipcode",
];

/// Masks the data of buyers in what a platform sent: names, addresses, numbers, messages. The shape stays.
pub fn mask_personal(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            for (name, field) in fields {
                let name: String = name.chars().filter(|c| *c != '_').collect::<String>().to_lowercase();
                if PERSONAL.contains(&name.as_str()) { mask_all(field) } else { mask_personal(field) }
            }
        }
        Value::Array(values) => values.iter_mut().for_each(mask_personal),
        _ => {}
    }
}

/// Masks every value under a field that is personal as a whole; nothing said stays nothing.
fn mask_all(value: &mut Value) {
    match value {
        Value::Object(fields) => fields.values_mut().for_each(mask_all),
        Value::Array(values) => values.iter_mut().for_each(mask_all),
        Value::Null | Value::Bool(_) => {}
        Value::String(text) if text.is_empty() => {}
        Value::String(_) | Value::Number(_) => *value = Value::from(MASK),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_secret_shows_only_its_length() {
        assert_eq!(Secret("").to_string(), "***(0)");
        assert_eq!(Secret("hunter2").to_string(), "***(7)");
    }

    #[test]
    fn a_long_secret_shows_its_tail() {
        assert_eq!(Secret("0123456789abcdef01234567").to_string(), "***4567(24)");
        assert_eq!(format!("{:?}", Secret("0123456789abcdef01234567")), "***4567(24)");
    }

    #[test]
    fn a_name_keeps_its_ends() {
        assert_eq!(Person("tan_ah_kow").to_string(), "t***w");
        assert_eq!(Person("李小龍").to_string(), "李***龍");
        assert_eq!(Person("ab").to_string(), "***");
        assert_eq!(Person("").to_string(), "***");
    }

    #[test]
    fn a_payload_keeps_its_shape_and_loses_its_people() {
        let mut payload = serde_json::json!({
            "code": 3, "shop_id": 7, "data": {
                "ordersn": "A1", "buyer_username": "tan_ah_kow", "buyer_user_id": 77, "items": [{"name": "Tea pot"}],
                "recipient_address": {"name": "Tan Ah Kow", "phone": "91234567", "region": "SG", "empty": ""},
                "message_to_seller": null, "content": [{"to_user_name": "tan", "text": "hello"}]},
        });
        mask_personal(&mut payload);
        assert_eq!(
            payload,
            serde_json::json!({
                "code": 3, "shop_id": 7, "data": {
                    "ordersn": "A1", "buyer_username": "***", "buyer_user_id": "***", "items": [{"name": "Tea pot"}],
                    "recipient_address": {"name": "***", "phone": "***", "region": "***", "empty": ""},
                    "message_to_seller": null, "content": [{"to_user_name": "***", "text": "hello"}]},
            })
        );
    }
}
