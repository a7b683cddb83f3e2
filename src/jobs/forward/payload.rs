//! What is forwarded. Pure.
//!
//! The shape that Standard Webhooks recommends: `type`, `timestamp`, `data`. Amounts are text, because JSON's
//! numbers lose cents; times are RFC 3339 in UTC. Fields are only ever added.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, SecondsFormat, Utc};
use serde_json::{Value, json};

use crate::domain::order::Order;
use crate::store::deliveries::ForwardedEvent;
use crate::store::order_reads::StoredOrder;

/// The body of a post, as JSON text.
pub(super) fn body(event: &ForwardedEvent, stored: Option<&StoredOrder>) -> String {
    let body = event.body.as_ref().filter(|_| event.payload.is_none()).map(|bytes| STANDARD.encode(bytes));
    json!({
        "type": format!("{}.{}", event.source, event.kind),
        "timestamp": time(event.occurred_at.unwrap_or(event.received_at)),
        "data": {
            "event": {
                "id": event.id,
                "source": event.source,
                "account": event.account,
                "code": event.code,
                "kind": event.kind,
                "subject": event.subject,
                "via": event.via,
                "occurred_at": event.occurred_at.map(time),
                "received_at": time(event.received_at),
                "push": event.payload,
                "push_base64": body,
                "parse_error": event.parse_error,
            },
            "order": stored.map(order),
        },
    })
    .to_string()
}

fn order(stored: &StoredOrder) -> Value {
    let Order { reference, items, .. } = &stored.order;
    let net = stored.net_income.iter().copied().chain(std::iter::repeat(None));
    let items: Vec<Value> = items
        .iter()
        .zip(net)
        .map(|(item, net)| {
            json!({
                "line": item.line_no + 1, "item_id": item.item_id, "model_id": item.model_id, "sku": item.sku,
                "name": item.name, "variation": item.variation, "quantity": item.quantity,
                "unit_price": item.unit_price, "net_income": net,
            })
        })
        .collect();
    let order = &stored.order;
    json!({
        "platform": reference.platform,
        "shop_id": reference.shop_id,
        "order_sn": reference.order_sn,
        "status": order.status,
        "region": order.region,
        "currency": order.currency,
        "total_amount": order.total_amount,
        "created_at": time(order.create_time),
        "updated_at": time(order.update_time),
        "paid_at": order.pay_time.map(time),
        "ship_by": order.ship_by.map(time),
        "buyer_username": order.buyer_username,
        "payment_method": order.payment_method,
        "cod": order.cod,
        "shipping_carrier": order.shipping_carrier,
        "packages": order.packages,
        "recipient": order.recipient,
        "message_to_seller": order.message_to_seller,
        "note": order.note,
        "cancel_by": order.cancel_by,
        "cancel_reason": order.cancel_reason,
        "items": items,
        "income": stored.income.as_ref().map(|income| json!({
            "escrow_amount": income.escrow_amount,
            "buyer_total_amount": income.buyer_total_amount,
            "commission_fee": income.commission_fee,
            "service_fee": income.service_fee,
            "transaction_fee": income.transaction_fee,
            "buyer_paid_shipping_fee": income.buyer_paid_shipping_fee,
            "actual_shipping_fee": income.actual_shipping_fee,
            "voucher_from_seller": income.voucher_from_seller,
            "voucher_from_platform": income.voucher_from_platform,
        })),
    })
}

fn time(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Millis, true)
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    #[test]
    fn what_is_not_json_is_sent_as_bytes() {
        let at = DateTime::from_timestamp(1_775_000_000, 0).expect("an instant");
        let event = ForwardedEvent {
            id: Uuid::nil(),
            source: "erp".into(),
            account: None,
            code: "x".into(),
            kind: "x".into(),
            subject: None,
            payload: None,
            body: Some(b"\xff\x00".to_vec()),
            parse_error: Some("not JSON".into()),
            occurred_at: None,
            received_at: at,
            via: "push".into(),
        };
        let sent: Value = serde_json::from_str(&body(&event, None)).expect("JSON");
        assert_eq!(sent["type"], "erp.x");
        assert_eq!(sent["timestamp"], "2026-03-31T23:33:20.000Z");
        assert_eq!(sent["data"]["event"]["push_base64"], "/wA=");
        assert_eq!(sent["data"]["order"], Value::Null);
    }
}
