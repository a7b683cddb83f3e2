//! How announcements look, and that they stay within Telegram's limits whatever is in them.

use chrono::DateTime;
use chrono_tz::Asia::Singapore;
use proptest::prelude::*;
use rust_decimal::Decimal;
use serde_json::json;
use uuid::Uuid;

use super::*;
use crate::domain::order::{Order, OrderIncome, OrderItem, OrderRef, Package};

const LOOK: Look = Look { zone: Singapore, show_buyer: false };

fn event() -> AnnouncedEvent {
    AnnouncedEvent {
        id: Uuid::nil(),
        source: "shopee".into(),
        account: Some("220812345".into()),
        code: "3".into(),
        kind: "order_status".into(),
        subject: Some("2404011ABCDEF1".into()),
        payload: Some(json!({"code": 3, "shop_id": 220_812_345, "timestamp": 1_711_971_200, "data": {
            "ordersn": "2404011ABCDEF1", "status": "READY_TO_SHIP", "update_time": 1_711_971_200,
            "items": [{"item_id": 1, "model_id": 2}]}})),
        parse_error: None,
        occurred_at: DateTime::from_timestamp(1_711_971_200, 0),
        received_at: DateTime::from_timestamp(1_711_971_201, 0).unwrap(),
        via: "push".into(),
    }
}

fn item(line_no: i32, name: &str) -> OrderItem {
    OrderItem {
        line_no,
        item_id: 11,
        model_id: 22,
        sku: "SKU-1".into(),
        name: name.into(),
        variation: "Red,XL".into(),
        quantity: 2,
        unit_price: Decimal::new(1095, 2),
    }
}

fn stored(items: Vec<OrderItem>) -> StoredOrder {
    let reference = OrderRef {
        platform: "shopee".into(),
        shop_id: "220812345".into(),
        order_sn: "2404011ABCDEF1".into(),
    };
    let at = DateTime::from_timestamp(1_711_971_200, 0).unwrap();
    let net_income = vec![Some(Decimal::new(1980, 2)); items.len()];
    let order = Order {
        reference: reference.clone(),
        status: "READY_TO_SHIP".into(),
        currency: "SGD".into(),
        region: "SG".into(),
        create_time: at,
        update_time: at,
        pay_time: Some(at),
        ship_by: Some(at),
        total_amount: Some(Decimal::new(123_456, 2)),
        buyer_username: Some("john_doe".into()),
        payment_method: Some("Credit Card".into()),
        cod: false,
        shipping_carrier: Some("SPX Express".into()),
        packages: vec![Package {
            package_number: "OFG1".into(),
            logistics_status: Some("LOGISTICS_READY".into()),
            shipping_carrier: None,
        }],
        recipient: None,
        message_to_seller: Some("please <wrap> & \"hide\"".into()),
        note: None,
        cancel_by: None,
        cancel_reason: None,
        items,
        snapshot: serde_json::Value::Null,
    };
    let cents = |cents| Decimal::new(cents, 2);
    let income = OrderIncome {
        reference,
        escrow_amount: cents(1980),
        buyer_total_amount: cents(123_456),
        commission_fee: cents(110),
        service_fee: cents(55),
        transaction_fee: cents(44),
        buyer_paid_shipping_fee: cents(149),
        actual_shipping_fee: cents(0),
        voucher_from_seller: cents(100),
        voucher_from_platform: cents(0),
        items: Vec::new(),
        snapshot: serde_json::Value::Null,
    };
    StoredOrder { order, income: Some(income), net_income }
}

#[test]
fn an_order_is_announced_in_two_sections() {
    let (event, stored) = (event(), stored(vec![item(0, "T-Shirt <b>")]));
    let parts = announcement(&Subject { event: &event, order: Some(&stored) }, LOOK);
    assert_eq!(parts.len(), 1);
    insta::assert_snapshot!(parts[0]);
}

#[test]
fn a_cancelled_order_says_who_and_why() {
    let (mut event, mut stored) = (event(), stored(vec![item(0, "T-Shirt")]));
    event.occurred_at = None;
    event.via = "lost_push".into();
    stored.order.cancel_by = Some("buyer".into());
    stored.order.cancel_reason = Some("Changed mind".into());
    stored.order.total_amount = None;
    stored.order.cod = true;
    stored.income = None;
    stored.net_income = vec![None];
    let parts = announcement(&Subject { event: &event, order: Some(&stored) }, LOOK);
    insta::assert_snapshot!(parts[0]);
}

#[test]
fn an_event_without_an_order_shows_its_fields() {
    let mut event = event();
    event.code = "28".into();
    event.kind = "shop_penalty_update".into();
    event.subject = None;
    event.payload =
        Some(json!({"code": 28, "shop_id": 220_812_345, "data": {"points": 2, "violation": "late"}}));
    let parts = announcement(&Subject { event: &event, order: None }, LOOK);
    insta::assert_snapshot!(parts[0]);
    event.payload = None;
    event.parse_error = Some("expected value at line 1".into());
    let parts = announcement(&Subject { event: &event, order: None }, LOOK);
    assert!(parts[0].ends_with("⚠️ expected value at line 1"), "{}", parts[0]);
}

#[test]
fn sixty_items_are_counted_where_they_do_not_fit() {
    let event = event();
    let few: Vec<_> = (0..60).map(|n| item(n, &format!("Item {n}"))).collect();
    let stored = self::stored(few);
    let parts = announcement(&Subject { event: &event, order: Some(&stored) }, LOOK);
    assert_eq!(parts.len(), 2, "80 entities a message");
    assert!(parts[1].starts_with("<code>2404011ABCDEF1</code> 2/2\n▫️ 2 × <b>Item "));
    assert!(parts.concat().contains("<b>Item 59</b>"));

    let many: Vec<_> = (0..200).map(|n| item(n, &"long name ".repeat(20))).collect();
    let stored = self::stored(many);
    let parts = announcement(&Subject { event: &event, order: Some(&stored) }, LOOK);
    assert_eq!(parts.len(), 3);
    let shown = parts.concat().matches("▫️").count();
    assert!(shown > 20, "{shown}");
    assert!(parts[2].ends_with(&format!("\n… and {} more items", 200 - shown)));
}

#[test]
fn a_digest_has_a_line_for_each_event() {
    let (event, stored) = (event(), stored(vec![]));
    let with = Subject { event: &event, order: Some(&stored) };
    let without = Subject { event: &event, order: None };
    let digest = digest("Order status (3)", &[with, without], LOOK);
    assert_eq!(digest.events, 2);
    insta::assert_snapshot!(digest.html);
    let many = vec![with; 300];
    let digest = super::digest("Order status (3)", &many, LOOK);
    assert!((50..80).contains(&digest.events), "{}", digest.events);
    assert!(digest.html.contains(&format!("× {} ·", digest.events)));
    check(&digest.html).unwrap();
}

/// Telegram's limits and rules, counted here a second time.
fn check(html: &str) -> Result<(), TestCaseError> {
    prop_assert!(html.len() <= 32_768, "{} bytes", html.len());
    let mut open = Vec::new();
    let (mut seen, mut entities, mut rest) = (0, 0, html);
    while let Some(c) = rest.chars().next() {
        let mut length = c.len_utf8();
        if c == '<' {
            length = rest.find('>').ok_or_else(|| TestCaseError::fail("a tag is cut"))? + 1;
            let tag = &rest[1..length - 1];
            if let Some(name) = tag.strip_prefix('/') {
                prop_assert_eq!(open.pop(), Some(name), "{}", html);
            } else {
                prop_assert!(["b", "i", "code"].contains(&tag), "<{}>", tag);
                open.push(tag);
                entities += 1;
            }
        } else {
            prop_assert!(c != '>' && c != '"', "{}", html);
            if c == '&' {
                let known = ["&amp;", "&lt;", "&gt;", "&quot;"].into_iter().find(|one| rest.starts_with(one));
                length = known.ok_or_else(|| TestCaseError::fail("an entity is cut"))?.len();
            }
            seen += c.len_utf16();
        }
        rest = &rest[length..];
    }
    prop_assert!(open.is_empty(), "{:?} is open", open);
    prop_assert!(seen <= 3500 && seen > 0, "{} units", seen);
    prop_assert!(entities <= 80, "{} entities", entities);
    Ok(())
}

/// Names as buyers and sellers really write them, and as nobody should.
fn hostile() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        Just("<b>&\"'</b>".to_owned()),
        Just("&amp;&lt;".to_owned()),
        Just("👨‍👩‍👧‍👦🇸🇬".to_owned()),
        Just("\u{202E}שלום مرحبا".to_owned()),
        Just("=HYPERLINK(\"x\")\n\t\r".to_owned()),
        "\\PC{0,40}",
        any::<String>(),
    ];
    (proptest::collection::vec(piece, 0..4), 0_usize..400).prop_map(|(pieces, times)| {
        let once = pieces.concat();
        once.repeat(if once.len() > 40 { times % 40 } else { times % 4 })
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn every_part_is_within_the_limits(
        names in proptest::collection::vec(hostile(), 0..60),
        note in hostile(),
        number in hostile(),
        buyer in hostile(),
        fields in proptest::collection::hash_map(hostile(), hostile(), 0..50),
    ) {
        let mut event = event();
        event.payload = Some(json!({"data": fields}));
        event.subject = Some(number.clone());
        event.account = Some(buyer.clone());
        let items = (0..).zip(&names).map(|(n, name)| OrderItem { variation: name.clone(), ..item(n, name) });
        let mut stored = stored(items.collect());
        stored.order.reference.order_sn = number;
        stored.order.buyer_username = Some(buyer);
        stored.order.message_to_seller = Some(note.clone());
        stored.order.note = Some(note.clone());
        stored.order.packages = names.iter().map(|name| Package {
            package_number: name.clone(),
            logistics_status: Some(name.clone()),
            shipping_carrier: Some(name.clone()),
        }).collect();
        stored.order.cancel_reason = Some(note);
        let subject = Subject { event: &event, order: Some(&stored) };
        let parts = announcement(&subject, LOOK);
        prop_assert!((1..=3).contains(&parts.len()), "{} parts", parts.len());
        for part in &parts {
            check(part)?;
        }
        let digest = digest("Order status (3)", &vec![subject; 100], LOOK);
        prop_assert!(digest.events >= 1);
        check(&digest.html)?;
    }
}
