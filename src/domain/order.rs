//! An order as pushbox keeps it, whatever platform it came from.

use chrono::{DateTime, Utc};
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

/// Names one order over all platforms.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct OrderRef {
    /// The source's platform, for example `shopee`.
    pub platform: String,
    /// The platform's shop id, as text.
    pub shop_id: String,
    /// The platform's order number.
    pub order_sn: String,
}

impl std::fmt::Display for OrderRef {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}:{}", self.platform, self.shop_id, self.order_sn)
    }
}

/// One order with its items. Times are UTC; amounts are in units of `currency`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Order {
    /// Which order this is.
    pub reference: OrderRef,
    /// The platform's status, spelled as the platform spells it.
    pub status: String,
    /// ISO 4217 code.
    pub currency: String,
    /// Market, for example `SG`.
    pub region: String,
    /// When the order was placed.
    pub create_time: DateTime<Utc>,
    /// When any value of the order last changed: the order's clock, one-second resolution.
    pub update_time: DateTime<Utc>,
    /// When it was paid; none while unpaid.
    pub pay_time: Option<DateTime<Utc>>,
    /// The seller's shipping deadline.
    pub ship_by: Option<DateTime<Utc>>,
    /// What the buyer pays; platforms may know it only after payment.
    pub total_amount: Option<Decimal>,
    /// The buyer's account name; may be starred out by the platform.
    pub buyer_username: Option<String>,
    /// How the buyer pays.
    pub payment_method: Option<String>,
    /// Cash on delivery.
    pub cod: bool,
    /// The carrier's name.
    pub shipping_carrier: Option<String>,
    /// Package and tracking numbers, in the platform's order.
    pub packages: Vec<Package>,
    /// To whom it goes; values may be starred out by the platform.
    pub recipient: Option<Recipient>,
    /// The buyer's message.
    pub message_to_seller: Option<String>,
    /// The seller's own note.
    pub note: Option<String>,
    /// Who cancelled.
    pub cancel_by: Option<String>,
    /// Why it was cancelled.
    pub cancel_reason: Option<String>,
    /// The lines of the order.
    pub items: Vec<OrderItem>,
    /// The platform's answer as it was read.
    pub snapshot: serde_json::Value,
}

/// One parcel of an order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Package {
    /// The platform's parcel number.
    pub package_number: String,
    /// The platform's logistics status.
    pub logistics_status: Option<String>,
    /// The carrier's name.
    pub shipping_carrier: Option<String>,
}

/// Where an order goes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recipient {
    /// Name of the person.
    pub name: String,
    /// Telephone number.
    pub phone: String,
    /// The address in one line.
    pub full_address: String,
}

/// One line of an order: an item in one variation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct OrderItem {
    /// Position within the order, from 0; with the order it identifies the line.
    pub line_no: i32,
    /// The platform's item id.
    pub item_id: i64,
    /// The platform's variation id; 0 where the item has none.
    pub model_id: i64,
    /// The variation's SKU, else the item's.
    pub sku: String,
    /// The item's title.
    pub name: String,
    /// The variation's title; empty where the item has none.
    pub variation: String,
    /// Pieces bought.
    pub quantity: i32,
    /// Price of one piece after discounts.
    pub unit_price: Decimal,
}

/// What the seller earns with an order. Provisional until the order is completed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct OrderIncome {
    /// Which order this is.
    pub reference: OrderRef,
    /// The expected or final payout.
    pub escrow_amount: Decimal,
    /// What the buyer paid in total.
    pub buyer_total_amount: Decimal,
    /// The platform's commission.
    pub commission_fee: Decimal,
    /// The platform's service fee.
    pub service_fee: Decimal,
    /// The seller's share of payment costs.
    pub transaction_fee: Decimal,
    /// Shipping as paid by the buyer.
    pub buyer_paid_shipping_fee: Decimal,
    /// Shipping as it really cost.
    pub actual_shipping_fee: Decimal,
    /// Vouchers paid by the seller.
    pub voucher_from_seller: Decimal,
    /// Vouchers paid by the platform.
    pub voucher_from_platform: Decimal,
    /// Income lines.
    pub items: Vec<IncomeItem>,
    /// The platform's answer as it was read.
    pub snapshot: serde_json::Value,
}

/// What one line of an order was sold for, as the income statement has it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct IncomeItem {
    /// The platform's item id.
    pub item_id: i64,
    /// The platform's variation id; 0 where the item has none.
    pub model_id: i64,
    /// Pieces bought.
    pub quantity: i32,
    /// The line's total after discounts.
    pub discounted_price: Decimal,
}
