//! What events are called. Platforms that number them get words; the others keep theirs.

/// Lazada's message types, by number.
const LAZADA: &[(&str, &str)] = &[
    ("0", "trade_order"),
    ("1", "product_quality_control"),
    ("2", "chat_message"),
    ("3", "product_created"),
    ("4", "product_edited"),
    ("5", "product_deleted"),
    ("6", "shallow_stock"),
    ("7", "short_video"),
    ("8", "authorization_expiry"),
    ("10", "reverse_order"),
    ("11", "promotion"),
    ("12", "category_tree"),
    ("13", "seller_status"),
    ("14", "fulfilment_order"),
    ("19", "chat_session"),
    ("21", "product_review"),
    ("35", "jit_purchase_order_status"),
    ("46", "jit_pickup_order"),
];

/// Topics of `tiktok_shop`, by the number in its documentation.
const TIKTOK_SHOP: &[(&str, &str)] = &[
    ("1", "order_status"),
    ("2", "reverse_status"),
    ("3", "recipient_address"),
    ("4", "package"),
    ("5", "product_status"),
    ("6", "seller_deauthorization"),
    ("7", "authorization_expiry"),
    ("11", "cancellation_status"),
    ("12", "return_status"),
    ("13", "new_conversation"),
    ("14", "new_message"),
    ("15", "product_information"),
    ("16", "product_creation"),
    ("17", "shoppable_content_posting"),
    ("18", "product_category"),
    ("19", "size_chart"),
    ("20", "creator_deauthorization"),
    ("25", "opportunity_matching"),
    ("27", "inventory_status"),
    ("33", "message_listener"),
    ("35", "tokopedia_mirror"),
    ("36", "invoice_status"),
    ("37", "product_audit"),
    ("38", "strikethrough_price"),
    ("39", "promotion_activity"),
    ("42", "combined_listing"),
    ("46", "image_translation"),
    ("51", "global_listing"),
    ("52", "global_listing"),
    ("55", "video_precheck"),
];

/// Our spelling of an event's name: words joined by underscores, `orders_create` for `orders/create`; `code_99`
/// for a number that nobody knows.
pub fn kind(platform: &str, event: &str) -> String {
    let numbers = match platform {
        "lazada" => LAZADA,
        "tiktok_shop" => TIKTOK_SHOP,
        _ => &[],
    };
    if let Some((_, name)) = numbers.iter().find(|(number, _)| *number == event) {
        return (*name).to_owned();
    }
    if event.bytes().all(|byte| byte.is_ascii_digit()) {
        return format!("code_{event}");
    }
    let plain = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '_' };
    event.chars().map(plain).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_become_words_and_words_stay() {
        for (platform, event, expected) in [
            ("shoplazza", "orders/partially_refunded", "orders_partially_refunded"),
            ("omisell", "order.ready_to_ship", "order_ready_to_ship"),
            ("lazada", "0", "trade_order"),
            ("tiktok_shop", "12", "return_status"),
            ("lazada", "12", "category_tree"),
            ("tiktok_shop", "99", "code_99"),
            ("of_ones_own", "12", "code_12"),
        ] {
            assert_eq!(kind(platform, event), expected, "{platform} {event}");
        }
    }
}
