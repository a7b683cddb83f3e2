//! Which parts of what platforms send belong to a person, and how they are hidden or taken out.
//!
//! Fields are known by their names, so a platform's new field of an unknown name is shown until it is added to
//! `PERSONAL`. Nothing here decides who may see what.

use serde_json::Value;

/// What is shown in the place of a person's data.
pub const MASK: &str = "***";

/// What is left in the place of a person's data that was erased.
pub const ERASED: &str = "[erased]";

/// Names of fields that hold a person's data wherever they are: lower case, without `_` and `-`, sorted.
const PERSONAL: [&str; 85] = [
    "address",
    "address1",
    "address2",
    "addressbilling",
    "addresses",
    "addressline1",
    "addressline2",
    "addressshipping",
    "billingaddress",
    "browserip",
    "buyer",
    "buyeraddress",
    "buyercpfid",
    "buyeremail",
    "buyerid",
    "buyermessage",
    "buyername",
    "buyernickname",
    "buyernote",
    "buyerphone",
    "buyeruid",
    "buyeruserid",
    "buyerusername",
    "buyerusernames",
    "clientdetails",
    "clientip",
    "consignee",
    "contact",
    "contactemail",
    "contactname",
    "contactphone",
    "customer",
    "customeraddress",
    "customeremail",
    "customerfirstname",
    "customerid",
    "customerlastname",
    "customername",
    "customernote",
    "customerphone",
    "defaultaddress",
    "deliveryaddress",
    "dropshipper",
    "dropshipperphone",
    "email",
    "firstname",
    "fromusername",
    "fulladdress",
    "fullname",
    "invoicedata",
    "lastname",
    "latitude",
    "longitude",
    "messagetoseller",
    "mobile",
    "mobilephone",
    "nickname",
    "phone",
    "phonenumber",
    "postalcode",
    "postcode",
    "receiver",
    "receiveraddress",
    "receivername",
    "receiverphone",
    "recipient",
    "recipientaddress",
    "recipientname",
    "recipientphone",
    "shippingaddress",
    "shippingname",
    "shippingphone",
    "shiptoaddress",
    "streetaddress",
    "taxid",
    "tel",
    "telephone",
    "text",
    "textreason",
    "tousername",
    "username",
    "virtualcontactnumber",
    "zip",
    "zipcode",
    "zippostalcode",
];

/// Whether a field of this name belongs to a person, however the platform writes it.
pub fn is_personal(name: &str) -> bool {
    let plain = name.chars().filter(|c| !matches!(c, '_' | '-' | ' ')).flat_map(char::to_lowercase);
    PERSONAL.binary_search(&plain.collect::<String>().as_str()).is_ok()
}

/// Masks the data of buyers in what a platform sent: names, addresses, numbers, messages. The shape stays.
pub fn mask(value: &mut Value) {
    replace(value, MASK, &[]);
}

/// Takes the data of buyers out of what a platform sent, and these words wherever they are a whole value. The
/// shape stays.
pub fn erase(value: &mut Value, words: &[String]) {
    replace(value, ERASED, words);
}

/// A name of which only the ends are shown, as Shopee stars names out; of a short one nothing.
pub fn mask_name(name: &str) -> String {
    let mut characters = name.chars();
    match (characters.next(), characters.next_back()) {
        // Of a name of two characters the first and last would be all of it.
        (Some(first), Some(last)) if characters.next().is_some() => format!("{first}{MASK}{last}"),
        (Some(_), _) => MASK.to_owned(),
        (None, _) => String::new(),
    }
}

fn replace(value: &mut Value, with: &str, words: &[String]) {
    match value {
        Value::Object(fields) => {
            for (name, field) in fields {
                if is_personal(name) { replace_all(field, with) } else { replace(field, with, words) }
            }
        }
        Value::Array(values) => values.iter_mut().for_each(|one| replace(one, with, words)),
        Value::String(text) if words.iter().any(|word| word == text) => *value = Value::from(with),
        Value::String(text) => {
            // Some platforms send a document as text within the document.
            if let Some(inner) = document_in(text, with, words) {
                *text = inner;
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// The document that a text is, with its people replaced; none where there is nothing to replace.
fn document_in(text: &str, with: &str, words: &[String]) -> Option<String> {
    let begins = text.trim_start();
    if !begins.starts_with('{') && !begins.starts_with('[') {
        return None;
    }
    let sent: Value = serde_json::from_str(text).ok()?;
    let mut inner = sent.clone();
    replace(&mut inner, with, words);
    (inner != sent).then(|| inner.to_string())
}

/// Replaces every value under a field that is personal as a whole; nothing said stays nothing.
fn replace_all(value: &mut Value, with: &str) {
    match value {
        Value::Object(fields) => fields.values_mut().for_each(|field| replace_all(field, with)),
        Value::Array(values) => values.iter_mut().for_each(|one| replace_all(one, with)),
        Value::Null | Value::Bool(_) => {}
        Value::String(text) if text.is_empty() => {}
        Value::String(_) | Value::Number(_) => *value = Value::from(with),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_names_are_sorted_as_they_are_looked_up() {
        assert!(PERSONAL.is_sorted());
        for name in ["buyer_username", "Buyer-Username", "buyerUsername", "ZIP_CODE", "address1"] {
            assert!(is_personal(name), "{name}");
        }
        for name in ["buyer_total_amount", "name", "ordersn", "shop_id", ""] {
            assert!(!is_personal(name), "{name}");
        }
    }

    #[test]
    fn a_payload_keeps_its_shape_and_loses_its_people() {
        let sent = json!({
            "code": 3, "shop_id": 7, "data": {
                "ordersn": "A1", "buyer_username": "tan_ah_kow", "buyer_user_id": 77, "items": [{"name": "Tea pot"}],
                "recipient_address": {"name": "Tan Ah Kow", "phone": "91234567", "region": "SG", "empty": ""},
                "message_to_seller": null, "content": [{"to_user_name": "tan", "text": "ring 91234567"}],
                "seen_by": "tan_ah_kow"},
        });
        let mut masked = sent.clone();
        mask(&mut masked);
        assert_eq!(
            masked,
            json!({
                "code": 3, "shop_id": 7, "data": {
                    "ordersn": "A1", "buyer_username": "***", "buyer_user_id": "***", "items": [{"name": "Tea pot"}],
                    "recipient_address": {"name": "***", "phone": "***", "region": "***", "empty": ""},
                    "message_to_seller": null, "content": [{"to_user_name": "***", "text": "***"}],
                    "seen_by": "tan_ah_kow"},
            })
        );
        let mut erased = sent;
        erase(&mut erased, &["tan_ah_kow".to_owned()]);
        assert_eq!(erased["data"]["seen_by"], ERASED);
        assert_eq!(erased["data"]["buyer_user_id"], ERASED);
        assert_eq!(erased["data"]["ordersn"], "A1");
    }

    #[test]
    fn a_document_within_a_text_is_looked_into() {
        let mut payload = json!({"data": "{\"buyer_email\": \"a@b.example\", \"n\": 1}", "odd": "{not json", "plain": "[1,2]"});
        mask(&mut payload);
        assert_eq!(payload["data"], r#"{"buyer_email":"***","n":1}"#);
        assert_eq!((&payload["odd"], &payload["plain"]), (&json!("{not json"), &json!("[1,2]")));
    }

    #[test]
    fn a_name_keeps_its_ends() {
        for (name, shown) in
            [("tan_ah_kow", "t***w"), ("李小龍", "李***龍"), ("ab", "***"), ("", ""), ("j***r", "j***r")]
        {
            assert_eq!(mask_name(name), shown);
        }
    }
}
