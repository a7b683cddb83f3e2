//! Orders: the full detail of some, and the list of those that changed.

use serde_json::{Map, Value, json};

use super::{Answer, Call, Outcome, Refusal};
use crate::simulator::shared::Tx;
use crate::simulator::state::shopee::OrderTruth;

const WINDOW_SECONDS: i64 = 15 * 86_400;

const ALWAYS: [&str; 11] = [
    "order_sn",
    "region",
    "currency",
    "cod",
    "order_status",
    "message_to_seller",
    "create_time",
    "update_time",
    "days_to_ship",
    "ship_by_date",
    "booking_sn",
];

const OPTIONAL: [&str; 30] = [
    "buyer_user_id",
    "buyer_username",
    "estimated_shipping_fee",
    "recipient_address",
    "actual_shipping_fee",
    "goods_to_declare",
    "note",
    "note_update_time",
    "item_list",
    "pay_time",
    "dropshipper",
    "dropshipper_phone",
    "split_up",
    "buyer_cancel_reason",
    "cancel_by",
    "cancel_reason",
    "actual_shipping_fee_confirmed",
    "buyer_cpf_id",
    "fulfillment_flag",
    "pickup_done_time",
    "package_list",
    "shipping_carrier",
    "payment_method",
    "total_amount",
    "invoice_data",
    "order_chargeable_weight_gram",
    "return_request_due_date",
    "edt",
    "payment_info",
    "international_label",
];

const LIST_STATUSES: [&str; 8] = [
    "UNPAID",
    "READY_TO_SHIP",
    "PROCESSED",
    "SHIPPED",
    "COMPLETED",
    "IN_CANCEL",
    "CANCELLED",
    "INVOICE_PENDING",
];

/// Order numbers of a list that may hold 1 to 50 of them.
pub(super) fn order_numbers<'a>(list: impl Iterator<Item = &'a str>) -> Result<Vec<&'a str>, Refusal> {
    let list: Vec<&str> = list.map(str::trim).collect();
    if list.is_empty() || list.len() > 50 || list.iter().any(|one| one.is_empty()) {
        return Err(Refusal::param("Invalid parameter: order_sn_list takes 1 to 50 order numbers."));
    }
    Ok(list)
}

/// `GET /api/v2/order/get_order_detail`
pub(super) fn detail(call: &Call, tx: &mut Tx<'_>) -> Outcome {
    let missing = || Refusal::param("Missing required parameter: order_sn_list.");
    let asked = order_numbers(call.text("order_sn_list").ok_or_else(missing)?.split(','))?;
    let optional: Vec<&str> =
        call.text("response_optional_fields").map(|list| list.split(',').collect()).unwrap_or_default();
    if let Some(unknown) = optional.iter().find(|field| !OPTIONAL.contains(field)) {
        return Err(Refusal::param(format!("Invalid parameter: response_optional_fields: {unknown}.")));
    }
    let pending = call.text("request_order_status_pending") == Some("true");
    let shop = tx.shopee.shops.get(&call.shop_id);
    let (mut found, mut warnings) = (Vec::new(), Vec::new());
    for order_sn in asked {
        match shop.and_then(|shop| shop.orders.get(order_sn)) {
            Some(order) => found.push(shown(order, &optional, pending)),
            None => warnings.push(format!("{order_sn}: the order is not found")),
        }
    }
    if found.is_empty() {
        return Err(Refusal::new("error_not_found", "the order is not found"));
    }
    let response = json!({"order_list": found});
    Ok(if warnings.is_empty() { Answer::Wrapped(response) } else { Answer::Warned(response, warnings) })
}

/// The fields that are always there and those that were asked for.
fn shown(order: &OrderTruth, optional: &[&str], pending: bool) -> Value {
    let mut shown = Map::new();
    for field in ALWAYS.iter().chain(optional) {
        let parts: &[&str] = match *field {
            "edt" => &["edt_from", "edt_to"],
            "shipping_carrier" => &["shipping_carrier", "checkout_shipping_carrier"],
            _ => std::slice::from_ref(field),
        };
        for part in parts {
            if let Some(value) = order.detail.get(*part) {
                shown.insert((*part).to_owned(), value.clone());
            }
        }
    }
    // Without the flag an order that waits for the platform looks like one that waits for the buyer.
    if !pending && order.status() == "PENDING" {
        shown.insert("order_status".into(), "UNPAID".into());
    }
    Value::Object(shown)
}

/// `GET /api/v2/order/get_order_list`
pub(super) fn list(call: &Call, tx: &mut Tx<'_>) -> Outcome {
    let Some(field @ ("create_time" | "update_time")) = call.text("time_range_field") else {
        return Err(Refusal::param("Invalid parameter: time_range_field."));
    };
    let (from, to) = (call.required("time_from")?, call.required("time_to")?);
    if from > to || to - from > WINDOW_SECONDS {
        return Err(Refusal::new(
            "order.order_list_invalid_time",
            "Start time must be earlier than end time and diff in 15days.",
        ));
    }
    let size = call.page_size(None)?;
    let status = call.text("order_status");
    if status.is_some_and(|status| !LIST_STATUSES.contains(&status)) {
        return Err(Refusal::param("Invalid parameter: order_status."));
    }
    let after = cursor(call)?;
    let mut rows: Vec<(i64, &OrderTruth)> = tx
        .shopee
        .shops
        .get(&call.shop_id)
        .into_iter()
        .flat_map(|shop| shop.orders.values())
        .map(|order| (order.integer(field), order))
        .filter(|(time, order)| (from..=to).contains(time) && status.is_none_or(|one| one == order.status()))
        .collect();
    rows.sort_by_key(|(time, order)| (*time, order.order_sn().to_owned()));
    let mut rest = rows.into_iter().filter(|(time, order)| match &after {
        Some((last_time, last_sn)) => (*time, order.order_sn()) > (*last_time, last_sn.as_str()),
        None => true,
    });
    let page: Vec<(i64, &OrderTruth)> = rest.by_ref().take(size).collect();
    let more = rest.next().is_some();
    let next = match page.last() {
        Some((time, order)) if more => format!("{time}:{}", order.order_sn()),
        _ => String::new(),
    };
    let with_status = call.text("response_optional_fields") == Some("order_status");
    let list: Vec<Value> = page
        .iter()
        .map(|(_, order)| {
            let mut row = json!({"order_sn": order.order_sn()});
            if with_status {
                row["order_status"] = order.status().into();
            }
            row
        })
        .collect();
    Ok(Answer::Wrapped(json!({"more": more, "next_cursor": next, "order_list": list})))
}

fn cursor(call: &Call) -> Result<Option<(i64, String)>, Refusal> {
    let Some(text) = call.text("cursor") else { return Ok(None) };
    let parsed = text.split_once(':').and_then(|(time, sn)| Some((time.parse().ok()?, sn.to_owned())));
    parsed.map(Some).ok_or_else(|| Refusal::param("Invalid parameter: cursor."))
}
