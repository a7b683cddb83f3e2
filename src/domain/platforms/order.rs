//! An order as platforms write it that send it whole. They differ in names, hardly in what they say; so one
//! tolerant reader takes the first name that says something.

use chrono::{DateTime, TimeDelta, Utc};
use rust_decimal::Decimal;
use serde_json::Value;

use crate::domain::order::{Order, OrderItem, OrderRef, Package, Recipient};
use crate::domain::sources::TimeUnit;

/// Lines that are kept; nobody sells more in one order.
const LINES: usize = 1000;
/// Characters of a text.
const TEXT: usize = 1000;
/// How far a platform's clock may be ahead of ours.
const AHEAD: TimeDelta = TimeDelta::days(1);

/// One object of the payload.
#[derive(Clone, Copy)]
struct Object<'a>(&'a Value);

impl<'a> Object<'a> {
    fn of(self, names: &[&str]) -> Self {
        let found = names.iter().map(|name| &self.0[*name]).find(|value| value.is_object());
        Self(found.unwrap_or(&Value::Null))
    }

    fn list(self, names: &[&str]) -> impl Iterator<Item = Object<'a>> {
        let found = names.iter().find_map(|name| self.0[*name].as_array());
        found.map(Vec::as_slice).unwrap_or_default().iter().take(LINES).map(Object)
    }

    fn text(self, names: &[&str]) -> Option<String> {
        names.iter().find_map(|name| {
            let text = match &self.0[*name] {
                Value::String(text) => text.trim().chars().filter(|c| *c != '\0').take(TEXT).collect(),
                Value::Number(number) => number.to_string(),
                _ => String::new(),
            };
            (!text.is_empty()).then_some(text)
        })
    }

    fn time(self, names: &[&str]) -> Option<DateTime<Utc>> {
        names.iter().find_map(|name| self.text(&[name]).and_then(|text| TimeUnit::Auto.read(&text)))
    }

    /// An amount, from its digits.
    fn money(self, names: &[&str]) -> Option<Decimal> {
        let text = self.text(names)?;
        text.parse().ok().or_else(|| Decimal::from_scientific(&text).ok())
    }

    fn number(self, names: &[&str]) -> Option<i64> {
        self.text(names)?.parse().ok()
    }
}

/// The order, if it is one: it has a status, lines or a total.
pub(super) fn read(reference: &OrderRef, value: &Value, received_at: DateTime<Utc>) -> Option<Order> {
    let order = Object(value);
    let items: Vec<OrderItem> = order
        .list(&["line_items", "lineItems", "items", "products"])
        .zip(0..)
        .map(|(line, at)| item(line, at))
        .collect();
    let status = status(order);
    let total = order.money(&["total_price", "totalPrice", "total_amount", "totalAmount", "total", "amount"]);
    if status.is_none() && items.is_empty() && total.is_none() {
        return None;
    }
    // A clock that runs far ahead would hold back every later state: it does not count.
    let latest = received_at + AHEAD;
    let sane = |at: &DateTime<Utc>| *at <= latest;
    let created = order.time(&["created_at", "createdAt", "placed_at", "placedAt"]).filter(sane);
    let updated = order.time(&["updated_at", "updatedAt", "update_time"]).filter(sane);
    let payment = order.list(&["payment_lines", "payment_gateway_names", "payments"]).next();
    let address = order.of(&["shipping_address", "shippingAddress", "address"]);
    let customer = order.of(&["customer", "buyer"]);
    let status = status.unwrap_or_else(|| "unknown".to_owned());
    Some(Order {
        reference: reference.clone(),
        currency: order.text(&["currency", "currency_code", "currencyCode"]).unwrap_or_default(),
        region: address.text(&["country_code", "countryCode", "country"]).unwrap_or_default(),
        create_time: created.or(updated).unwrap_or(received_at),
        update_time: updated.or(created).unwrap_or(received_at),
        pay_time: order.time(&["paid_at", "paidAt", "pay_time"]),
        ship_by: None,
        total_amount: total,
        buyer_username: name(customer).or_else(|| order.text(&["email"])),
        payment_method: order
            .text(&["payment_method", "paymentMethod", "gateway"])
            .or_else(|| payment?.text(&["payment_name", "payment_channel", "gateway", "name"])),
        cod: false,
        shipping_carrier: order.text(&["shipping_carrier", "shippingCarrier"]),
        packages: order.list(&["fulfillments", "packages"]).filter_map(package).collect(),
        recipient: recipient(address),
        message_to_seller: order.text(&["customer_note", "note", "message"]),
        note: order.text(&["seller_note", "merchant_note"]),
        cancel_by: None,
        cancel_reason: order.text(&["cancel_reason", "cancelReason"]),
        status,
        items,
        snapshot: value.clone(),
    })
}

/// As the platform spells it; where it has one for the order, one for the money and one for the goods: all of
/// them, joined by slashes, as in `placed/paid/waiting`.
fn status(order: Object<'_>) -> Option<String> {
    let parts = [
        &["status", "order_status", "orderStatus"][..],
        &["financial_status", "financialStatus", "payment_status"],
        &["fulfillment_status", "fulfillmentStatus"],
    ];
    let told: Vec<String> = parts.iter().filter_map(|names| order.text(names)).collect();
    (!told.is_empty()).then(|| told.join("/"))
}

fn item(line: Object<'_>, line_no: i32) -> OrderItem {
    let quantity = line.number(&["quantity", "qty", "count"]).unwrap_or(1);
    OrderItem {
        line_no,
        // Ids that are no numbers are in the snapshot; lines are known by their place.
        item_id: line.number(&["product_id", "productId", "item_id"]).unwrap_or(0),
        model_id: line.number(&["variant_id", "variantId", "model_id"]).unwrap_or(0),
        sku: line.text(&["sku", "variant_sku", "code"]).unwrap_or_default(),
        name: line.text(&["product_title", "title", "name", "productName"]).unwrap_or_default(),
        variation: line.text(&["variant_title", "variantTitle", "variation"]).unwrap_or_default(),
        quantity: i32::try_from(quantity.max(0)).unwrap_or(i32::MAX),
        unit_price: line.money(&["price", "unit_price", "unitPrice"]).unwrap_or_default(),
    }
}

fn package(one: Object<'_>) -> Option<Package> {
    Some(Package {
        package_number: one.text(&["tracking_number", "trackingNumber", "number", "id"])?,
        logistics_status: one.text(&["shipment_status", "status"]),
        shipping_carrier: one.text(&["tracking_company", "carrier", "shippingCarrier"]),
    })
}

fn name(person: Object<'_>) -> Option<String> {
    let whole = person.text(&["name", "full_name", "fullName"]);
    let parts = || {
        let both = [person.text(&["first_name", "firstName"]), person.text(&["last_name", "lastName"])];
        let both: Vec<String> = both.into_iter().flatten().collect();
        (!both.is_empty()).then(|| both.join(" "))
    };
    whole.or_else(parts).or_else(|| person.text(&["email"]))
}

fn recipient(address: Object<'_>) -> Option<Recipient> {
    let parts = ["address", "address1", "address2", "city", "province", "zip", "country"];
    let full: Vec<String> = parts.iter().filter_map(|part| address.text(&[part])).collect();
    let recipient = Recipient {
        name: name(address).unwrap_or_default(),
        phone: address.text(&["phone", "phone_number"]).unwrap_or_default(),
        full_address: full.join(", "),
    };
    (recipient != Recipient::default()).then_some(recipient)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().expect("a time")
    }

    fn of(value: &Value) -> Option<Order> {
        let reference = OrderRef { platform: "x".into(), shop_id: "1".into(), order_sn: "A".into() };
        crate::domain::platforms::order_of(&reference, value, at("2026-03-01T00:00:00Z"))
    }

    #[test]
    fn an_order_of_shoplazza() {
        let order = of(&json!({"order": {
            "id": "183211-00000042", "status": "placed", "financial_status": "paid", "fulfillment_status": "waiting",
            "currency": "USD", "total_price": "52.00", "created_at": "2026-02-03T04:05:06Z",
            "updated_at": "2026-02-03T12:05:09+08:00", "customer": {"first_name": "Jo", "last_name": "Li"},
            "shipping_address": {"country_code": "US", "city": "Reno", "name": "Jo Li"},
            "line_items": [{"product_id": "uuid-1", "sku": "TP", "product_title": "Pot", "variant_title": "Red",
                            "quantity": 2, "price": "26.00"}],
            "fulfillments": [{"tracking_number": "T1", "tracking_company": "UPS", "status": "success"}]}}));
        let order = order.expect("an order");
        assert_eq!(order.status, "placed/paid/waiting");
        assert_eq!(order.update_time, at("2026-02-03T04:05:09Z"));
        assert_eq!((order.total_amount, order.region.as_str()), (Some(Decimal::new(5200, 2)), "US"));
        assert_eq!(order.buyer_username.as_deref(), Some("Jo Li"));
        let line = &order.items[0];
        assert_eq!((line.item_id, line.quantity, line.name.as_str()), (0, 2, "Pot"));
        assert_eq!(line.unit_price, Decimal::new(2600, 2));
        assert_eq!(order.packages[0].package_number, "T1");
    }

    #[test]
    fn an_order_of_shopery_at_the_top_or_wrapped() {
        let inner = json!({"id": "ord_1", "status": "CREATED", "updatedAt": "2026-02-03T04:05:06Z", "total": 12.5,
                           "items": [{"name": "Cup", "qty": "3", "unitPrice": 4.1}]});
        for value in [inner.clone(), json!({"event": "order-created", "data": inner})] {
            let order = of(&value).expect("an order");
            assert_eq!((order.status.as_str(), order.total_amount), ("CREATED", Some(Decimal::new(125, 1))));
            assert_eq!(order.items[0].quantity, 3);
        }
    }

    #[test]
    fn what_is_no_order_is_none_and_one_without_a_clock_is_as_new_as_its_receipt() {
        for value in [json!({"id": 1}), json!([]), json!("x"), json!({"order": {"id": 5}}), Value::Null] {
            assert_eq!(of(&value), None, "{value}");
        }
        let order =
            of(&json!({"id": 1, "status": "PAID", "total": "oops", "items": [5, {}]})).expect("an order");
        assert_eq!(order.update_time, at("2026-03-01T00:00:00Z"));
        assert_eq!((order.items.len(), order.items[1].quantity), (2, 1));
        let ahead =
            of(&json!({"id": 1, "status": "PAID", "updatedAt": "9999-12-31T23:59:59Z"})).expect("an order");
        assert_eq!(ahead.update_time, at("2026-03-01T00:00:00Z"), "it would never be overwritten");
    }
}
