//! What each code says.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::domain::shopee::codes::CODES;

fn shown(code: i64, data: &Value) -> String {
    let view = View::of(&code.to_string(), &json!({"code": code, "data": data}));
    view.lines().iter().map(|(name, value)| format!("{name}: {value}")).collect::<Vec<_>>().join("; ")
}

/// Code, `data`, what is shown.
const CASES: &[(i64, &str, &str)] = &[
    (
        1,
        r#"{"authorize_type": "by user", "main_account_id": 5, "shop_id_list": [12, 11], "success": 1}"#,
        "why: by user; shops: 11, 12; main account: 5",
    ),
    (
        2,
        r#"{"authorize_type": "expiry", "shopid": 11, "extra": "shop id 11 (VN)"}"#,
        "why: expiry; shops: 11; note: shop id 11 (VN)",
    ),
    (3, r#"{"ordersn": "A", "status": "SHIPPED", "completed_scenario": null}"#, "status: SHIPPED"),
    (4, r#"{"ordersn": "A", "package_number": "P", "tracking_no": "T"}"#, "package: P; tracking number: T"),
    (
        5,
        r#"{"actions": [{"title": "Sale", "content": "soon", "url": ""}, {"title": "B"}]}"#,
        ": Sale; : soon; : B",
    ),
    (6, r#"{"item_id": 7, "item_name": "Pot", "item_status": "BANNED"}"#, ": Pot; item: 7; status: BANNED"),
    (
        7,
        r#"{"item_id": 7, "variation_id": 0, "promotion_type": "flash", "promotion_id": 9, "action": "promo_end"}"#,
        "item: 7; action: promo_end; promotion: flash 9",
    ),
    (
        8,
        r#"{"item_id": 7, "variation_id": 8, "ordersn": "A", "action": "place_order", "changed_values": [{"name": "reserved_stock", "old": 1, "new": 2}]}"#,
        "item: 7; variation: 8; order: A; action: place_order; reserved_stock: 1 → 2",
    ),
    (
        9,
        r#"{"item_id": 7, "promotion_id": 9, "action": "added_in_promo", "reserved_stock": 5}"#,
        "item: 7; action: added_in_promo; promotion: 9; reserved stock: 5",
    ),
    (
        10,
        r#"{"type": "message", "content": {"conversation_id": "c", "from_user_name": "jo", "message_type": "text", "content": {"text": "hello"}, "source_content": {"order_sn": "A"}}}"#,
        "message: text; from user_name: jo; text: hello; about: A; conversation: c",
    ),
    (11, r#"{"video_upload_id": "v", "status": "SUCCEEDED"}"#, "status: SUCCEEDED; upload: v"),
    (
        12,
        r#"{"shop_expire_soon": [2, 1], "expire_before": 1790600000, "page_no": 1, "total_page": 2}"#,
        "shops: 1, 2; expire before: 1790600000; page: 1 of 2",
    ),
    (
        13,
        r#"{"register_brand": {"brand_name": "B"}, "register_result": {"result": "ok", "reason": ""}}"#,
        "brand: B; result: ok",
    ),
    (15, r#"{"order_sn": "A", "package_number": "P", "status": "READY"}"#, "status: READY; package: P"),
    (
        16,
        r#"{"item_id": 7, "item_status": "UNLIST", "deboosted_details": [ {"violation_type": "spam", "suggestion": "rename", "fix_deadline_time": 1790600000}]}"#,
        "item: 7; status: UNLIST; rule: spam; to do: rename; deadline: 1790600000",
    ),
    (18, r#"{"anything": 1}"#, ""),
    (19, r#"{"anything": 1}"#, ""),
    (
        20,
        r#"{"purchase_order_id": 3, "purchase_order_status": "NEW", "purchase_reason": "r"}"#,
        "purchase order: 3; status: NEW; reason: r",
    ),
    (
        21,
        r#"{"inbound_id": 3, "inbound_status": "InboundStatusDone"}"#,
        "inbound: 3; status: InboundStatusDone",
    ),
    (
        22,
        r#"{"item_id": 1, "model_id": 2, "update_field": "original_price", "old_value": 119.99, "new_value": 99.99}"#,
        "item: 1; variation: 2; original_price: 119.99 → 99.99",
    ),
    (23, r#"{"booking_sn": "B", "booking_status": "READY"}"#, "booking: B; status: READY"),
    (24, r#"{"booking_sn": "B", "tracking_number": "T"}"#, "tracking number: T"),
    (25, r#"{"booking_sn": "B", "status": "FAILED"}"#, "status: FAILED"),
    (27, r#"{"item_id": 7, "scheduled_publish_time": 1790600000}"#, "item: 7; scheduled time: 1790600000"),
    (
        28,
        r#"{"action_type": 1, "points_issued_data": {"issued_points": 2, "violation_type": 5}}"#,
        "points issued: 2; reason: 5",
    ),
    (
        29,
        r#"{"order_sn": "A", "return_sn": "R", "updated_values": [ {"update_field": "return_status", "old_value": "JUDGING", "new_value": "PROCESSING"}]}"#,
        "return: R; order: A; return_status: JUDGING → PROCESSING",
    ),
    (
        30,
        r#"{"ordersn": "A", "package_number": "P", "fulfillment_status": "LOGISTICS_READY"}"#,
        "status: LOGISTICS_READY; package: P",
    ),
    (31, r#"{"order_sn": "A", "document_type": "invoice"}"#, "order: A; invoice: invoice"),
    (33, r#"[{"invoice_id": "I", "fail_reason": "no tax id"}]"#, "invoice: I; failed: no tax id"),
    (34, r#"{"shop_id": 5}"#, "blocked: 5"),
    (35, r#"{"shop_sku": "S"}"#, "blocked: S"),
    (36, r#"{"list": [{"mt_sku_id": "M", "whs_id": "W", "whs_sellable_qty": 4}]}"#, "M at W: 4"),
    (37, r#"{"first_mile_tracking_number": "F", "status": "PICKED_UP"}"#, "pickup: F; status: PICKED_UP"),
    (
        38,
        r#"{"video_upload_id": "v", "status": "FAILED", "reason": "long"}"#,
        "status: FAILED; reason: long; upload: v",
    ),
    (
        47,
        r#"{"changed_fields": ["ship_by_date"], "old": {"ship_by_date": 1790100000}, "new": {"ship_by_date": 1790200000}, "order_sn": "A", "package_number": "P"}"#,
        "order: A; package: P; ship_by_date: 2026-09-22 18:00 UTC → 2026-09-23 21:46 UTC",
    ),
    (28, r#"{"action_type": 3, "tier_update_data": {"old_tier": 0, "new_tier": 1}}"#, "tier changed: 0 → 1"),
    (28, r#"{"points": 2}"#, ""),
    (22, r#"{"a": 1}"#, ""),
    (99, r#"{"a": 1}"#, ""),
];

#[test]
fn every_documented_code_says_what_matters() {
    for (code, data, expected) in CASES {
        let data: Value = serde_json::from_str(data).expect("JSON");
        assert_eq!(&shown(*code, &data), expected, "code {code}");
        assert_eq!(&shown(*code, &json!(data.to_string())), expected, "code {code}, data as text");
    }
    let missing: Vec<i64> = CODES
        .iter()
        .map(|one| one.code)
        .filter(|code| *code > 0 && CASES.iter().all(|case| case.0 != *code))
        .collect();
    assert_eq!(missing, [0_i64; 0], "codes without a case");
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        ".{0,6}".prop_map(Value::from),
    ];
    let name = prop_oneof![
        "[a-z_]{1,8}",
        Just("list".to_owned()),
        Just("updated_values".to_owned()),
        Just("update_time".to_owned()),
        Just("content".to_owned())
    ];
    leaf.prop_recursive(3, 24, 4, move |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            proptest::collection::btree_map(name.clone(), inner, 0..4)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn any_data_has_a_view(code in 0_i64..50, data in any_json()) {
        View::of(&code.to_string(), &json!({"data": data})).lines();
    }
}
