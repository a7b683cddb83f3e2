//! Orders: Shopee's fields to ours.

use rust_decimal::Decimal;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::clients::shopee::lenient;
use crate::clients::shopee::reference;
use crate::domain::order::{Order, OrderItem, Package, Recipient};

/// The optional fields we ask for. What is not asked for is not returned.
pub const OPTIONAL_FIELDS: &str = "buyer_user_id,buyer_username,estimated_shipping_fee,recipient_address,\
    actual_shipping_fee,note,note_update_time,item_list,pay_time,dropshipper,split_up,buyer_cancel_reason,cancel_by,\
    cancel_reason,actual_shipping_fee_confirmed,fulfillment_flag,pickup_done_time,package_list,shipping_carrier,\
    payment_method,total_amount,invoice_data,order_chargeable_weight_gram,return_request_due_date,edt,payment_info";

#[derive(Deserialize)]
struct WireOrder {
    order_sn: String,
    order_status: String,
    #[serde(default, deserialize_with = "lenient::text")]
    currency: String,
    #[serde(default, deserialize_with = "lenient::text")]
    region: String,
    #[serde(default, deserialize_with = "lenient::int")]
    create_time: Option<i64>,
    #[serde(default, deserialize_with = "lenient::int")]
    update_time: Option<i64>,
    #[serde(default, deserialize_with = "lenient::int")]
    pay_time: Option<i64>,
    #[serde(default, deserialize_with = "lenient::int")]
    ship_by_date: Option<i64>,
    #[serde(default, deserialize_with = "lenient::money")]
    total_amount: Option<Decimal>,
    #[serde(default, deserialize_with = "lenient::text")]
    buyer_username: String,
    #[serde(default, deserialize_with = "lenient::text")]
    payment_method: String,
    #[serde(default, deserialize_with = "lenient::flag")]
    cod: bool,
    #[serde(default, deserialize_with = "lenient::text")]
    shipping_carrier: String,
    #[serde(default, deserialize_with = "lenient::text")]
    checkout_shipping_carrier: String,
    #[serde(default, deserialize_with = "lenient::or_default")]
    package_list: Vec<WirePackage>,
    #[serde(default)]
    recipient_address: Option<WireRecipient>,
    #[serde(default, deserialize_with = "lenient::text")]
    message_to_seller: String,
    #[serde(default, deserialize_with = "lenient::text")]
    note: String,
    #[serde(default, deserialize_with = "lenient::text")]
    cancel_by: String,
    #[serde(default, deserialize_with = "lenient::text")]
    cancel_reason: String,
    #[serde(default, deserialize_with = "lenient::text")]
    buyer_cancel_reason: String,
    #[serde(default, deserialize_with = "lenient::or_default")]
    item_list: Vec<WireItem>,
}

#[derive(Deserialize)]
struct WirePackage {
    #[serde(default, deserialize_with = "lenient::text")]
    package_number: String,
    #[serde(default, deserialize_with = "lenient::text")]
    logistics_status: String,
    #[serde(default, deserialize_with = "lenient::text")]
    shipping_carrier: String,
}

#[derive(Deserialize)]
struct WireRecipient {
    #[serde(default, deserialize_with = "lenient::text")]
    name: String,
    #[serde(default, deserialize_with = "lenient::text")]
    phone: String,
    #[serde(default, deserialize_with = "lenient::text")]
    full_address: String,
}

#[derive(Deserialize)]
struct WireItem {
    #[serde(default, deserialize_with = "lenient::int")]
    item_id: Option<i64>,
    #[serde(default, deserialize_with = "lenient::int")]
    model_id: Option<i64>,
    #[serde(default, deserialize_with = "lenient::text")]
    item_name: String,
    #[serde(default, deserialize_with = "lenient::text")]
    item_sku: String,
    #[serde(default, deserialize_with = "lenient::text")]
    model_name: String,
    #[serde(default, deserialize_with = "lenient::text")]
    model_sku: String,
    #[serde(default, deserialize_with = "lenient::int")]
    model_quantity_purchased: Option<i64>,
    #[serde(default, deserialize_with = "lenient::money")]
    model_discounted_price: Option<Decimal>,
}

/// The order number of one element of `order_list`, if it has one.
pub fn order_sn(raw: &RawValue) -> Option<String> {
    #[derive(Deserialize)]
    struct Named {
        order_sn: String,
    }
    serde_json::from_str::<Named>(raw.get()).ok().map(|named| named.order_sn)
}

/// One element of `order_list` as an order; else what of it cannot be read.
pub fn parse(shop_id: i64, raw: &RawValue) -> Result<Order, String> {
    let wire: WireOrder = serde_json::from_str(raw.get()).map_err(|error| lenient::fault(&error))?;
    let pay_time = lenient::time(wire.pay_time);
    let items: Result<Vec<_>, _> =
        (0..).zip(wire.item_list).map(|(line_no, item)| item.into_item(line_no)).collect();
    Ok(Order {
        reference: reference(shop_id, wire.order_sn),
        status: wire.order_status,
        currency: wire.currency,
        region: wire.region,
        create_time: lenient::time(wire.create_time).ok_or("no create_time")?,
        update_time: lenient::time(wire.update_time).ok_or("no update_time")?,
        pay_time,
        ship_by: lenient::time(wire.ship_by_date),
        // Shopee knows the total after payment only; before that, zero stands for nothing.
        total_amount: wire.total_amount.filter(|amount| pay_time.is_some() || !amount.is_zero()),
        buyer_username: lenient::some(wire.buyer_username),
        payment_method: lenient::some(wire.payment_method),
        cod: wire.cod,
        shipping_carrier: lenient::some(wire.shipping_carrier)
            .or_else(|| lenient::some(wire.checkout_shipping_carrier)),
        packages: wire.package_list.into_iter().filter_map(WirePackage::into_package).collect(),
        recipient: wire.recipient_address.map(|address| Recipient {
            name: address.name,
            phone: address.phone,
            full_address: address.full_address,
        }),
        message_to_seller: lenient::some(wire.message_to_seller),
        note: lenient::some(wire.note),
        cancel_by: lenient::some(wire.cancel_by),
        cancel_reason: lenient::some(wire.cancel_reason).or_else(|| lenient::some(wire.buyer_cancel_reason)),
        items: items?,
        snapshot: lenient::snapshot(raw).map_err(|error| lenient::fault(&error))?,
    })
}

impl WirePackage {
    fn into_package(self) -> Option<Package> {
        Some(Package {
            package_number: lenient::some(self.package_number)?,
            logistics_status: lenient::some(self.logistics_status),
            shipping_carrier: lenient::some(self.shipping_carrier),
        })
    }
}

impl WireItem {
    fn into_item(self, line_no: i32) -> Result<OrderItem, String> {
        Ok(OrderItem {
            line_no,
            item_id: self.item_id.ok_or("an item without item_id")?,
            model_id: self.model_id.unwrap_or(0),
            sku: lenient::some(self.model_sku).unwrap_or(self.item_sku),
            name: self.item_name,
            variation: self.model_name,
            quantity: i32::try_from(self.model_quantity_purchased.unwrap_or(0))
                .map_err(|_| "an item's quantity beyond 31 bits")?,
            // Zero for items of a bundle deal, by Shopee's design: the income has their prices.
            unit_price: self.model_discounted_price.unwrap_or_default(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &serde_json::Value) -> Result<Order, String> {
        parse(10_000_001, &serde_json::value::to_raw_value(json).unwrap())
    }

    const FULL: &str = r#"{
        "order_sn": "2609150ABCDEF1", "order_status": "A_STATUS_OF_TOMORROW", "currency": "SGD", "region": "SG",
        "cod": false, "create_time": 1790000000, "update_time": "1790000100", "pay_time": 1790000050,
        "ship_by_date": 0, "total_amount": 119.90, "buyer_username": "P******n", "payment_method": "Cards",
        "shipping_carrier": "", "checkout_shipping_carrier": "SPX", "note": "", "message_to_seller": null,
        "recipient_address": {"name": "****", "phone": "******12", "full_address": "****", "geolocation": {}},
        "item_list": [
            {"item_id": 9007199254740993, "model_id": 0, "item_name": "Cup", "item_sku": "CUP", "model_sku": "",
             "model_name": "", "model_quantity_purchased": 2, "model_discounted_price": 59.95,
             "product_location_id": ["SG"]},
            {"item_id": 2, "model_id": 3, "item_name": "Set", "item_sku": "S", "model_sku": "S-RED",
             "model_name": "Red", "model_quantity_purchased": 1, "model_discounted_price": 0,
             "product_location_id": "SG"}
        ],
        "package_list": [
            {"package_number": "OFG1", "logistics_status": "LOGISTICS_READY", "shipping_carrier": "SPX",
             "group_shipment_id": null},
            {"package_number": ""}
        ],
        "invoice_data": null
    }"#;

    #[test]
    fn a_full_order_becomes_ours() {
        let order = parse(10_000_001, &RawValue::from_string(FULL.to_owned()).unwrap()).unwrap();
        assert_eq!(order.reference.to_string(), "shopee:10000001:2609150ABCDEF1");
        assert_eq!(order.status, "A_STATUS_OF_TOMORROW");
        assert_eq!(order.update_time.timestamp(), 1_790_000_100);
        assert_eq!(order.ship_by, None);
        assert_eq!(order.total_amount, Some("119.90".parse().unwrap()));
        assert_eq!(order.buyer_username.as_deref(), Some("P******n"));
        assert_eq!(order.shipping_carrier.as_deref(), Some("SPX"));
        assert_eq!((order.note, order.message_to_seller), (None, None));
        assert_eq!(order.packages.len(), 1);
        let [cup, set] = &order.items[..] else { panic!("two items") };
        assert_eq!((cup.line_no, cup.item_id, cup.sku.as_str()), (0, 9_007_199_254_740_993, "CUP"));
        assert_eq!((set.line_no, set.sku.as_str(), set.unit_price), (1, "S-RED", Decimal::ZERO));
        assert_eq!(order.snapshot["item_list"][0]["item_id"], 9_007_199_254_740_993_i64);
    }

    #[test]
    fn an_unpaid_order_has_no_total() {
        let order = read(&serde_json::json!({
            "order_sn": "1", "order_status": "UNPAID", "create_time": 1, "update_time": 1,
            "pay_time": null, "total_amount": 0, "item_list": null
        }));
        let order = order.unwrap();
        assert_eq!((order.total_amount, order.pay_time), (None, None));
        assert!(order.recipient.is_none() && order.items.is_empty());
    }

    #[test]
    fn an_order_without_its_clock_is_not_guessed() {
        let order = read(&serde_json::json!({"order_sn": "1", "order_status": "UNPAID", "create_time": 1}));
        assert_eq!(order.unwrap_err(), "no update_time");
    }
}
