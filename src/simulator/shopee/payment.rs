//! What the seller earns: one order, many, and the list of what was paid out.

use serde_json::{Value, json};

use super::orders::order_numbers;
use super::{Answer, Call, Outcome, Refusal};
use crate::simulator::shared::Tx;
use crate::simulator::state::shopee::OrderTruth;

/// `GET /api/v2/payment/get_escrow_detail`
pub(super) fn escrow(call: &Call, tx: &mut Tx<'_>) -> Outcome {
    let order_sn = call.text("order_sn").ok_or_else(|| Refusal::param("Missing order_sn."))?;
    let order = tx.shopee.shops.get(&call.shop_id).and_then(|shop| shop.orders.get(order_sn));
    match order {
        Some(order) => Ok(Answer::Wrapped(order.escrow.clone())),
        None => Err(Refusal::new("order_not_found", "the order is not found")),
    }
}

/// `POST /api/v2/payment/get_escrow_detail_batch`; orders that are not known are left out.
pub(super) fn escrow_batch(call: &Call, tx: &mut Tx<'_>) -> Outcome {
    let list = call.body["order_sn_list"].as_array();
    let list = list.ok_or_else(|| Refusal::param("Missing required parameter: order_sn_list."))?;
    let asked = order_numbers(list.iter().map(|one| one.as_str().unwrap_or_default()))?;
    let shop = tx.shopee.shops.get(&call.shop_id);
    let found: Vec<Value> = asked
        .iter()
        .filter_map(|order_sn| shop?.orders.get(*order_sn))
        .map(|order| json!({"escrow_detail": order.escrow}))
        .collect();
    Ok(Answer::Wrapped(found.into()))
}

/// `GET /api/v2/payment/get_escrow_list`
pub(super) fn escrow_list(call: &Call, tx: &mut Tx<'_>) -> Outcome {
    let (from, to) = (call.required("release_time_from")?, call.required("release_time_to")?);
    let size = call.page_size(Some(40))?;
    let page = usize::try_from(call.integer("page_no")?.unwrap_or(1)).unwrap_or(1).max(1);
    let mut released: Vec<(i64, &OrderTruth)> = tx
        .shopee
        .shops
        .get(&call.shop_id)
        .into_iter()
        .flat_map(|shop| shop.orders.values())
        .filter_map(|order| Some((order.released_at?, order)))
        .filter(|(time, _)| (from..=to).contains(time))
        .collect();
    released.sort_by_key(|(time, order)| (*time, order.order_sn().to_owned()));
    let list: Vec<Value> = released
        .iter()
        .skip((page - 1) * size)
        .take(size)
        .map(|(time, order)| {
            json!({"order_sn": order.order_sn(), "escrow_release_time": time,
                "payout_amount": order.escrow["order_income"]["escrow_amount"]})
        })
        .collect();
    let more = page * size < released.len();
    Ok(Answer::Wrapped(json!({"escrow_list": list, "more": more})))
}
