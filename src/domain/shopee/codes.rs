//! The push codes Shopee documents. `code` on the wire is not the number in the documentation's URLs.

/// One push code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PushCode {
    /// The wire's `code`.
    pub code: i64,
    /// Our stable name, in `events.kind`.
    pub kind: &'static str,
    /// What people read: the name of the forum topic.
    pub title: &'static str,
}

/// A shop was authorized.
pub const AUTHORIZED: i64 = 1;
/// A shop's authorization ended.
pub const DEAUTHORIZED: i64 = 2;
/// The status of an order changed.
pub const ORDER_STATUS: i64 = 3;
/// Authorizations end within a week.
pub const EXPIRING: i64 = 12;

const fn code(code: i64, kind: &'static str, title: &'static str) -> PushCode {
    PushCode { code, kind, title }
}

/// Every documented code, in order.
pub const CODES: &[PushCode] = &[
    code(0, "callback_verification", "Callback verification"),
    code(1, "shop_authorization", "Shop authorized"),
    code(2, "shop_authorization_canceled", "Shop authorization cancelled"),
    code(3, "order_status", "Order status"),
    code(4, "order_tracking_number", "Tracking number"),
    code(5, "shopee_updates", "Shopee updates"),
    code(6, "banned_item", "Banned item"),
    code(7, "item_promotion", "Item promotion"),
    code(8, "reserved_stock_change", "Reserved stock"),
    code(9, "promotion_update", "Promotion update"),
    code(10, "webchat", "Chat"),
    code(11, "video_upload", "Video upload"),
    code(12, "open_api_authorization_expiry", "Authorization expiry"),
    code(13, "brand_register_result", "Brand registration"),
    code(15, "shipping_document_status", "Shipping document"),
    code(16, "violation_item", "Item violation"),
    code(18, "supplier_create_product", "Supplier product created"),
    code(19, "supplier_product_review_result", "Supplier product review"),
    code(20, "purchase_order", "Purchase order"),
    code(21, "inbound_status", "Inbound status"),
    code(22, "item_price_update", "Item price"),
    code(23, "booking_status", "Booking status"),
    code(24, "booking_tracking_number", "Booking tracking number"),
    code(25, "booking_shipping_document_status", "Booking shipping document"),
    code(27, "item_scheduled_publish_failed", "Scheduled publish failed"),
    code(28, "shop_penalty_update", "Shop penalty"),
    code(29, "return_updates", "Return"),
    code(30, "package_fulfillment_status", "Package fulfilment"),
    code(31, "fbs_br_invoice_issued", "Invoice issued"),
    code(33, "fbs_br_invoice_error", "Invoice error"),
    code(34, "fbs_br_block_shop", "Shop blocked"),
    code(35, "fbs_br_block_sku", "SKU blocked"),
    code(36, "fbs_sellable_stock", "Sellable stock"),
    code(37, "courier_delivery_binding_status", "Courier binding"),
    code(38, "video_upload_result", "Video upload result"),
    code(47, "package_info", "Package info"),
];

/// What is known about a code; none for codes Shopee does not document.
pub fn find(code: i64) -> Option<&'static PushCode> {
    CODES.binary_search_by_key(&code, |one| one.code).ok().map(|index| &CODES[index])
}

/// Our name of a code: `code_99` for one we do not know.
pub fn kind(code: i64) -> String {
    find(code).map_or_else(|| format!("code_{code}"), |one| one.kind.to_owned())
}

/// What people read for a code: `Code 99` for one we do not know.
pub fn title(code: i64) -> String {
    find(code).map_or_else(|| format!("Code {code}"), |one| one.title.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_sorted_and_unique() {
        assert!(CODES.is_sorted_by(|a, b| a.code < b.code));
        let mut kinds: Vec<_> = CODES.iter().map(|one| one.kind).collect();
        kinds.sort_unstable();
        kinds.dedup();
        assert_eq!(kinds.len(), CODES.len());
    }
}
