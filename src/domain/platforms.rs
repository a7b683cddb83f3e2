//! What is known of the platforms beside Shopee that a declaration cannot say.

/// Whether an event of this platform carries a whole order in its payload.
pub fn carries_order(platform: &str, event: &str) -> bool {
    match platform {
        "shoplazza" => event.starts_with("orders/") && event != "orders/delete",
        // Its events are not documented; a payload that turns out to be no order is announced all the same.
        "shopery" => true,
        _ => false,
    }
}
