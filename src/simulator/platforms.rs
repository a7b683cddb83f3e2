//! Pushes as the platforms beside Shopee send them, and their signatures, made a second time: nothing here is
//! shared with the receiver, so that one mistake cannot hide in both.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, SecondsFormat};
use hmac::{Hmac, KeyInit as _, Mac as _};
use rand::rngs::StdRng;
use rand::seq::SliceRandom as _;
use rand::{Rng as _, SeedableRng as _};
use serde_json::{Value, json};
use sha2::Sha256;

/// Every platform whose pushes are known, by the name of its preset.
pub const PLATFORMS: &[&str] =
    &["shopee", "shoplazza", "shopery", "omisell", "shopify", "lazada", "tiktok_shop", "standard_webhooks"];

/// The states of an order, in order.
pub const STEPS: u32 = 4;

/// A push on its way: headers in lower case, and the bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlatformPush {
    /// The headers, without the proof.
    pub headers: BTreeMap<String, String>,
    /// The body.
    pub body: Vec<u8>,
}

/// An order at one moment of its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OrderMoment<'a> {
    /// Its number.
    pub number: &'a str,
    /// Shop or seller, as the platform names it.
    pub account: &'a str,
    /// Which state, from 0; [`STEPS`] of them.
    pub step: u32,
    /// When it came to it, in Unix seconds.
    pub at: i64,
}

/// What a platform signs with.
#[derive(Debug, Clone, Copy)]
pub struct Signer<'a> {
    /// The secret as the platform shows it.
    pub secret: &'a str,
    /// The app key, where it is signed.
    pub app_key: &'a str,
    /// The callback URL, where it is signed.
    pub url: &'a str,
}

/// Headers by name, and a body.
type Parts = (Vec<(&'static str, String)>, Value);

/// The push that tells of this moment; none for a platform that is not known.
pub fn order_push(platform: &str, order: OrderMoment<'_>) -> Option<PlatformPush> {
    let (headers, body) = match platform {
        "shopee" => {
            (Vec::new(), shopee(order, order.word(["UNPAID", "READY_TO_SHIP", "SHIPPED", "COMPLETED"])))
        }
        "shoplazza" => shoplazza(order),
        "shopify" => shopify(order),
        "shopery" => (Vec::new(), shopery(order)),
        "omisell" => (vec![("seller-id", "2087".to_owned()), ("country", "VN".to_owned())], omisell(order)),
        "lazada" => (Vec::new(), lazada(order)),
        "tiktok_shop" => (Vec::new(), tiktok_shop(order)),
        "standard_webhooks" => standard_webhooks(order),
        _ => return None,
    };
    let mut headers: BTreeMap<String, String> =
        headers.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    headers.insert("content-type".to_owned(), "application/json".to_owned());
    Some(PlatformPush { headers, body: body.to_string().into_bytes() })
}

impl OrderMoment<'_> {
    /// What the platform calls this state.
    fn word(&self, words: [&'static str; 4]) -> &'static str {
        words[usize::try_from(self.step).unwrap_or(0).min(3)]
    }
}

fn shoplazza(order: OrderMoment<'_>) -> Parts {
    let topic = order.word(["orders/create", "orders/paid", "orders/fulfilled", "orders/finished"]);
    let headers = vec![
        ("x-shoplazza-topic", topic.to_owned()),
        ("x-shoplazza-shop-domain", format!("{}.myshoplaza.com", order.account)),
        ("x-shoplazza-api-version", "2026-01".to_owned()),
        ("x-shoplazza-deduplication-id", format!("{}-{}", order.number, order.step)),
    ];
    (headers, json!({ "order": web_order(order, order.word(["placed", "placed", "placed", "finished"])) }))
}

fn shopify(order: OrderMoment<'_>) -> Parts {
    let topic = order.word(["orders/create", "orders/paid", "orders/fulfilled", "orders/updated"]);
    let headers = vec![
        ("x-shopify-topic", topic.to_owned()),
        ("x-shopify-shop-domain", format!("{}.myshopify.com", order.account)),
        ("x-shopify-api-version", "2026-01".to_owned()),
        ("x-shopify-event-id", format!("e-{}-{}", order.number, order.step)),
        ("x-shopify-webhook-id", format!("w-{}-{}", order.number, order.step)),
        ("x-shopify-triggered-at", rfc3339(order.at)),
    ];
    (headers, web_order(order, "open"))
}

fn shopery(order: OrderMoment<'_>) -> Value {
    json!({
        "id": order.number, "status": order.word(["CREATED", "PAID", "SHIPPED", "DELIVERED"]), "currency": "USD",
        "createdAt": rfc3339(order.at - i64::from(order.step)), "updatedAt": rfc3339(order.at), "total": "52.00",
        "items": [{"sku": "TP-R", "name": "Tea pot", "quantity": 2, "unitPrice": "26.00"}],
    })
}

fn lazada(order: OrderMoment<'_>) -> Value {
    json!({
        "seller_id": order.account, "message_type": 0, "timestamp": order.at * 1000, "site": "lazada_vn",
        "data": {
            "order_status": order.word(["unpaid", "pending", "ready_to_ship", "delivered"]),
            "trade_order_id": order.number, "trade_order_line_id": format!("{}1", order.number),
            "status_update_time": order.at,
        },
    })
}

fn tiktok_shop(order: OrderMoment<'_>) -> Value {
    json!({
        "type": 1, "tts_notification_id": format!("{}{}", order.number, order.step), "shop_id": order.account,
        "timestamp": order.at, "data": {
            "order_id": order.number, "update_time": order.at,
            "order_status": order.word(["UNPAID", "AWAITING_SHIPMENT", "IN_TRANSIT", "COMPLETED"]),
        },
    })
}

fn standard_webhooks(order: OrderMoment<'_>) -> Parts {
    let headers = vec![
        ("webhook-id", format!("msg_{}_{}", order.number, order.step)),
        ("webhook-timestamp", order.at.to_string()),
    ];
    let body = json!({
        "type": order.word(["order.created", "order.paid", "order.shipped", "order.completed"]),
        "timestamp": rfc3339(order.at), "data": {"order_id": order.number, "total": "52.00"},
    });
    (headers, body)
}

fn shopee(order: OrderMoment<'_>, status: &str) -> Value {
    json!({
        "msg_id": format!("{:032x}", order.at), "shop_id": order.account.parse::<i64>().unwrap_or(10_000_001), "code": 3,
        "timestamp": order.at + 1, "data": {
            "completed_scenario": "", "items": [], "ordersn": order.number, "status": status, "update_time": order.at,
        },
    })
}

/// An order as shop systems of the web write it.
fn web_order(order: OrderMoment<'_>, status: &str) -> Value {
    let paid = if order.step == 0 { "waiting" } else { "paid" };
    let shipped = if order.step < 2 { "waiting" } else { "shipped" };
    json!({
        "id": order.number, "number": order.number, "status": status, "financial_status": paid,
        "fulfillment_status": shipped, "currency": "USD", "total_price": "52.00",
        "created_at": rfc3339(order.at - i64::from(order.step)), "updated_at": rfc3339(order.at),
        "customer": {"first_name": "Jo", "last_name": "Li"},
        "line_items": [{"product_id": "p-1", "sku": "TP-R", "product_title": "Tea pot", "title": "Tea pot",
                        "variant_title": "Red", "quantity": 2, "price": "26.00"}],
    })
}

fn omisell(order: OrderMoment<'_>) -> Value {
    json!({
        "event": order.word(["order.created", "order.ready_to_ship", "order.shipped", "order.completed"]),
        "request_id": format!("{}-{}", order.number, order.step), "platform": "shopee", "shop_id": 501_234,
        "seller_id": 2087, "data": {
            "omisell_order_number": order.number, "order_number": format!("X{}", order.number),
            "status_id": 400 + order.step, "status_name": order.word(["Created", "Ready to ship", "Shipped", "Completed"]),
        },
    })
}

fn rfc3339(seconds: i64) -> String {
    DateTime::from_timestamp(seconds, 0).unwrap_or_default().to_rfc3339_opts(SecondsFormat::Secs, true)
}

fn hmac(key: &[u8], message: &[u8]) -> [u8; 32] {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of every length");
    mac.update(message);
    mac.finalize().into_bytes().into()
}

/// Header and value that prove a push, as the platform makes them; `variant` chooses among Omisell's three.
pub fn prove(
    platform: &str,
    variant: &str,
    signer: Signer<'_>,
    push: &PlatformPush,
) -> Option<(String, String)> {
    let secret = signer.secret.as_bytes();
    let keyed = || hex::encode(hmac(secret, &[signer.app_key.as_bytes(), &push.body].concat()));
    let with_url = || hex::encode(hmac(secret, &[signer.url.as_bytes(), b"|", &push.body].concat()));
    let (header, value) = match (platform, variant) {
        ("shopee", _) | ("omisell", "b") => ("authorization", with_url()),
        ("lazada" | "tiktok_shop", _) | ("omisell", "c") => ("authorization", keyed()),
        ("omisell", _) => ("authorization", signer.secret.to_owned()),
        ("shopery", _) => ("x-shopery-secret", signer.secret.to_owned()),
        ("shoplazza", _) => ("x-shoplazza-hmac-sha256", STANDARD.encode(hmac(secret, &push.body))),
        ("shopify", _) => ("x-shopify-hmac-sha256", STANDARD.encode(hmac(secret, &push.body))),
        ("standard_webhooks", _) => {
            let key = STANDARD.decode(signer.secret.trim_start_matches("whsec_")).ok()?;
            let (id, time) = (push.headers.get("webhook-id")?, push.headers.get("webhook-timestamp")?);
            let message = [id.as_bytes(), b".", time.as_bytes(), b".", &push.body].concat();
            ("webhook-signature", format!("v1,{}", STANDARD.encode(hmac(&key, &message))))
        }
        _ => return None,
    };
    Some((header.to_owned(), value))
}

/// A stream of pushes of some orders in all their states: twice at times, out of order, repeatable by the seed.
pub fn stream(platform: &str, account: &str, orders: &[String], start: i64, seed: u64) -> Vec<PlatformPush> {
    let mut random = StdRng::seed_from_u64(seed);
    let moments = orders.iter().flat_map(|number| {
        (0..STEPS).map(move |step| OrderMoment { number, account, step, at: start + i64::from(step) })
    });
    let once: Vec<PlatformPush> = moments.filter_map(|moment| order_push(platform, moment)).collect();
    let mut all = once.clone();
    all.extend(once.into_iter().filter(|_| random.random_bool(0.4)));
    all.shuffle(&mut random);
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_platform_has_pushes_and_a_proof_and_a_stream_repeats() {
        let moment = OrderMoment { number: "42", account: "demo", step: 9, at: 1_790_000_000 };
        let signer =
            Signer { secret: "whsec_QEFCQ0RFRkdISUpLTE1OT1BRUlNUVVZXWFlaW1xdXl8=", app_key: "k", url: "u" };
        for platform in PLATFORMS {
            let push = order_push(platform, moment).expect(platform);
            assert!(prove(platform, "", signer, &push).is_some(), "{platform}");
            let orders = ["1".to_owned(), "2".to_owned()];
            let stream = |seed| super::stream(platform, "demo", &orders, 1_790_000_000, seed);
            assert_eq!(stream(7), stream(7));
            assert!(stream(7).len() >= 8);
        }
        assert_eq!(order_push("unheard_of", moment), None);
    }
}
