//! What is known of the platforms beside Shopee that a declaration cannot say: the names of their events, and
//! how an order reads in a payload that holds one.

mod names;
mod order;

use chrono::{DateTime, Utc};
use serde_json::Value;

pub use self::names::kind;
use super::order::{Order, OrderRef};

/// Whether an event of this platform carries a whole order in its payload.
pub fn carries_order(platform: &str, event: &str) -> bool {
    match platform {
        "shoplazza" | "shopify" => event.starts_with("orders/") && event != "orders/delete",
        // Its events are not documented; a payload that turns out to be no order is announced all the same.
        "shopery" => true,
        _ => false,
    }
}

/// The order in a payload of a platform that sends whole orders; none when it is something else. A payload without
/// a time of its own is as new as its receipt.
pub fn order_of(reference: &OrderRef, payload: &Value, received_at: DateTime<Utc>) -> Option<Order> {
    let wrapped = ["order", "data"].iter().map(|name| &payload[*name]).find(|inner| inner.is_object());
    order::read(reference, wrapped.unwrap_or(payload), received_at)
}
