//! What orders look like, with the texts that break careless code.

use rand::Rng;
use rand::rngs::StdRng;
use serde_json::{Map, Value, json};

use crate::simulator::state::shopee::OrderTruth;

/// A market: where, and in which money.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Market {
    pub(super) region: &'static str,
    pub(super) currency: &'static str,
    /// The smallest step of a price, in hundredths of the currency's unit.
    step: i64,
    /// A usual price of one piece, in hundredths.
    usual: i64,
}

const fn market(region: &'static str, currency: &'static str, step: i64, usual: i64) -> Market {
    Market { region, currency, step, usual }
}

pub(super) const MARKETS: [Market; 7] = [
    market("SG", "SGD", 5, 1_990),
    market("MY", "MYR", 10, 5_900),
    market("ID", "IDR", 10_000, 15_000_000),
    market("TH", "THB", 100, 39_900),
    market("VN", "VND", 100_000, 25_000_000),
    market("PH", "PHP", 100, 69_900),
    market("BR", "BRL", 1, 7_990),
];

/// Fields that hold times.
const TIMES: [&str; 5] = ["create_time", "update_time", "pay_time", "ship_by_date", "note_update_time"];

const NAMES: [&str; 10] = [
    "Cotton T-shirt",
    "Phone case <b>\"Pro\" & 'Max'</b>",
    "=HYPERLINK(\"https://evil.example\",\"click\")",
    "Mug \u{1F600}\u{1F468}\u{200D}\u{1F469}\u{200D}\u{1F467}",
    "\u{05DB}\u{05D5}\u{05E1} \u{0642}\u{0647}\u{0648}\u{0629}",
    "Áo dài lụa",
    "+65 charger, 20W @ home",
    "กระเป๋าผ้า",
    "保温杯 500ml",
    "Desk lamp",
];

/// An order as it first appears. Times in `detail` are offsets.
#[derive(Debug, Clone, PartialEq)]
pub struct PlannedOrder {
    /// Its shop.
    pub shop_id: i64,
    /// Every field that can be asked for.
    pub detail: Map<String, Value>,
    /// The income.
    pub escrow: Value,
}

impl PlannedOrder {
    /// The order number.
    pub fn order_sn(&self) -> String {
        self.detail["order_sn"].as_str().unwrap_or_default().to_owned()
    }

    pub(super) fn package_number(&self) -> String {
        format!("OFG{}", self.order_sn())
    }

    pub(super) fn tracking_no(&self) -> String {
        format!("SPX{}", self.order_sn())
    }

    /// The order with real times.
    pub(super) fn truth(&self, epoch: i64) -> OrderTruth {
        let mut detail = at_epoch(&self.detail, epoch);
        detail.entry("ship_by_date").or_insert(0.into());
        OrderTruth { detail, escrow: self.escrow.clone(), released_at: None }
    }
}

/// Moves every time of `fields` by `epoch`; what is not set stays so.
pub(super) fn at_epoch(fields: &Map<String, Value>, epoch: i64) -> Map<String, Value> {
    let mut moved = fields.clone();
    for field in TIMES {
        if let Some(time) = moved.get(field).and_then(Value::as_i64) {
            moved.insert(field.to_owned(), (time + epoch).into());
        }
    }
    moved
}

/// What changes in an order when it comes to `status`.
pub(super) fn patch(order: &PlannedOrder, status: &str, at: i64) -> Map<String, Value> {
    let parcel = |logistics_status: &str| {
        json!([{"package_number": order.package_number(), "logistics_status": logistics_status,
            "logistics_channel_id": 70_001, "shipping_carrier": order.detail["shipping_carrier"],
            "item_list": []}])
    };
    let patch = match status {
        "READY_TO_SHIP" => {
            // The total is not shown before the order is paid.
            json!({"pay_time": at, "ship_by_date": at + 2 * 86_400, "package_list": parcel("LOGISTICS_READY"),
                "total_amount": order.escrow["order_income"]["buyer_total_amount"]})
        }
        "PROCESSED" => json!({"package_list": parcel("LOGISTICS_REQUEST_CREATED")}),
        "SHIPPED" => json!({"package_list": parcel("LOGISTICS_PICKUP_DONE")}),
        "TO_CONFIRM_RECEIVE" | "COMPLETED" => json!({"package_list": parcel("LOGISTICS_DELIVERY_DONE")}),
        "CANCELLED" => json!({"cancel_by": "buyer", "cancel_reason": "Buyer changed <mind> & left",
            "buyer_cancel_reason": "Need to change delivery address"}),
        _ => json!({}),
    };
    match patch {
        Value::Object(patch) => patch,
        _ => Map::new(),
    }
}

struct Line {
    item_id: i64,
    model_id: i64,
    name: String,
    model: String,
    quantity: i64,
    /// Per piece, in hundredths.
    price: i64,
}

/// Makes the `index`-th order.
pub(super) fn order(
    random: &mut StdRng,
    index: usize,
    shop_id: i64,
    market: &Market,
    create_time: i64,
) -> PlannedOrder {
    let order_sn = order_sn(random, index);
    let lines = lines(random, index, market);
    let goods: i64 = lines.iter().map(|line| line.price * line.quantity).sum();
    let shipping = market.step * random.random_range(1..40);
    let number = random.random_range(1_000..9_999_999i64);
    let note = if index % 29 == 11 { "A very long note. ".repeat(150) } else { String::new() };
    let message = match index % 9 {
        0 => "Please gift-wrap & add a card: \"<3\"",
        4 => "=IMPORTXML(\"https://evil.example\",\"//a\")",
        _ => "",
    };
    let detail = json!({
        "order_sn": order_sn, "region": market.region, "currency": market.currency, "cod": index.is_multiple_of(6),
        "order_status": "UNPAID", "message_to_seller": message, "create_time": create_time,
        "update_time": create_time, "days_to_ship": 2,
        "buyer_user_id": number, "buyer_username": if index.is_multiple_of(4) { "b****r".to_owned() } else {
            format!("buyer_{number}") },
        "estimated_shipping_fee": money(shipping), "actual_shipping_fee": 0,
        "actual_shipping_fee_confirmed": false, "goods_to_declare": false, "note": note,
        "recipient_address": recipient(index, market),
        "item_list": lines.iter().map(detail_item).collect::<Vec<_>>(),
        "pay_time": null, "dropshipper": "", "dropshipper_phone": "", "split_up": false,
        "buyer_cancel_reason": "", "cancel_by": "", "cancel_reason": "", "buyer_cpf_id": null,
        "fulfillment_flag": "fulfilled_by_local_seller", "pickup_done_time": 0, "package_list": [],
        "shipping_carrier": "SPX Express", "checkout_shipping_carrier": "SPX Express",
        "payment_method": if index.is_multiple_of(6) { "Cash on Delivery" } else { "Credit Card" },
        "invoice_data": null, "order_chargeable_weight_gram": 500,
        "return_request_due_date": 0, "edt_from": 0, "edt_to": 0, "payment_info": [],
    });
    let Value::Object(detail) = detail else { unreachable!("the macro was given an object") };
    let escrow = escrow(&detail, &lines, goods, shipping, market);
    PlannedOrder { shop_id, detail, escrow }
}

/// Six digits of a date and eight characters, as the platform makes them; the index keeps them apart.
fn order_sn(random: &mut StdRng, index: usize) -> String {
    const DIGITS: &[u8; 36] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ";
    let mut text = format!("2611{:02}", random.random_range(1..=28));
    let mut left = index;
    let mut tail: Vec<char> = Vec::new();
    for _ in 0..5 {
        tail.push(char::from(DIGITS[left % 36]));
        left /= 36;
    }
    text.extend((0..3).map(|_| char::from(DIGITS[random.random_range(0..36)])));
    text.extend(tail.iter().rev());
    text
}

fn lines(random: &mut StdRng, index: usize, market: &Market) -> Vec<Line> {
    let count = if index % 97 == 7 { 60 } else { random.random_range(1..=4) };
    (0..count)
        .map(|at| {
            let item = random.random_range(0..NAMES.len());
            let price = market.usual * random.random_range(30..300) / 100 / market.step * market.step;
            Line {
                item_id: 5_000_000_000 + i64::try_from(item).unwrap_or(0),
                model_id: if item % 3 == 0 { 0 } else { 9_007_199_254_740_993 + at },
                name: NAMES[item].to_owned(),
                model: if item % 3 == 0 { String::new() } else { format!("Red & blue, <{at}>") },
                quantity: random.random_range(1..=3),
                price: price.max(market.step),
            }
        })
        .collect()
}

/// Hundredths as the platform writes money: a JSON number, whole where it is whole.
#[expect(clippy::cast_precision_loss, reason = "the platform itself sends money as doubles")]
fn money(hundredths: i64) -> Value {
    if hundredths % 100 == 0 { (hundredths / 100).into() } else { (hundredths as f64 / 100.0).into() }
}

fn recipient(index: usize, market: &Market) -> Value {
    if index.is_multiple_of(4) {
        return json!({"name": "P******n", "phone": "****12", "town": "", "district": "", "city": "****",
            "state": "", "region": market.region, "zipcode": "****", "full_address": "****"});
    }
    json!({"name": "Ana <O'Neil>", "phone": "0987612345", "town": "", "district": "Centre", "city": "Town",
        "state": "", "region": market.region, "zipcode": "01234",
        "full_address": "1 \"Long\" Street & Co, Town"})
}

fn detail_item(line: &Line) -> Value {
    json!({"item_id": line.item_id, "item_name": line.name, "item_sku": format!("SKU-{}", line.item_id % 1000),
        "model_id": line.model_id, "model_name": line.model,
        "model_sku": if line.model_id == 0 { String::new() } else { format!("M-{}", line.model_id % 100) },
        "model_quantity_purchased": line.quantity, "model_original_price": money(line.price * 2),
        "model_discounted_price": money(line.price), "wholesale": false, "weight": 0.2,
        "add_on_deal": false, "main_item": false, "promotion_type": "", "promotion_id": 0,
        "order_item_id": line.item_id, "line_item_id": line.item_id + line.model_id % 1000,
        "image_info": {"image_url": ""}, "product_location_id": []})
}

fn escrow(detail: &Map<String, Value>, lines: &[Line], goods: i64, shipping: i64, market: &Market) -> Value {
    let part = |percent: i64| goods * percent / 100 / market.step * market.step;
    let (commission, service, transaction, voucher) = (part(6), part(2), part(2), part(5));
    let items: Vec<Value> = lines
        .iter()
        .map(|line| {
            json!({"item_id": line.item_id, "item_name": line.name, "model_id": line.model_id,
                "model_name": line.model, "quantity_purchased": line.quantity,
                "original_price": money(line.price * 2 * line.quantity),
                "selling_price": money(line.price * line.quantity),
                "discounted_price": money(line.price * line.quantity),
                "seller_discount": money(line.price * line.quantity), "shopee_discount": 0})
        })
        .collect();
    json!({
        "order_sn": detail["order_sn"], "buyer_user_name": detail["buyer_username"], "return_order_sn_list": [],
        "order_income": {
            "escrow_amount": money(goods - commission - service - transaction - voucher),
            "buyer_total_amount": money(goods + shipping), "order_original_price": money(goods * 2),
            "order_selling_price": money(goods), "order_discounted_price": money(goods),
            "commission_fee": money(commission), "service_fee": money(service),
            "seller_transaction_fee": money(transaction), "buyer_transaction_fee": 0,
            "buyer_paid_shipping_fee": money(shipping), "actual_shipping_fee": money(shipping),
            "estimated_shipping_fee": money(shipping), "final_shipping_fee": 0,
            "voucher_from_seller": money(voucher), "voucher_from_shopee": 0, "coins": 0,
            "seller_discount": money(goods), "shopee_discount": 0, "buyer_payment_method":
                detail["payment_method"], "items": items,
        },
        "buyer_payment_info": {"buyer_payment_method": detail["payment_method"]},
    })
}
