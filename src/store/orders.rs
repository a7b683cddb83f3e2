//! Writing orders, their lines, their income and their history.

use rust_decimal::Decimal;
use sqlx::PgConnection;
use sqlx::types::Json;
use uuid::Uuid;

use crate::domain::order::{Order, OrderIncome, OrderItem};

/// Stores an order, its lines and the status it was seen in, unless a newer state is there already.
/// An equal `update_time` is applied again: several changes can share a second. Of an order whose buyer was
/// erased, the buyer is not stored again. Returns whether it was stored.
///
/// # Errors
/// When the database refuses.
pub async fn upsert_order(
    connection: &mut PgConnection,
    order: &Order,
    net_income: &[Decimal],
    event_id: Option<Uuid>,
) -> Result<bool, sqlx::Error> {
    if !upsert_row(connection, order).await? {
        return Ok(false);
    }
    replace_items(connection, order, net_income).await?;
    sqlx::query(
        "INSERT INTO pushbox.order_status_history (platform, shop_id, order_sn, update_time, status, event_id)
         VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT DO NOTHING",
    )
    .bind(&order.reference.platform)
    .bind(&order.reference.shop_id)
    .bind(&order.reference.order_sn)
    .bind(order.update_time)
    .bind(&order.status)
    .bind(event_id)
    .execute(connection)
    .await?;
    Ok(true)
}

async fn upsert_row(connection: &mut PgConnection, order: &Order) -> Result<bool, sqlx::Error> {
    let done = sqlx::query(
        "INSERT INTO pushbox.orders AS known
             (platform, shop_id, order_sn, status, region, create_time, update_time, pay_time, ship_by, currency,
              total_amount, buyer, payment_method, cod, shipping_carrier, packages, recipient, message_to_seller,
              note, cancel_by, cancel_reason, snapshot)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22)
         ON CONFLICT (platform, shop_id, order_sn) DO UPDATE SET
             status = excluded.status, region = excluded.region, create_time = excluded.create_time,
             update_time = excluded.update_time, pay_time = excluded.pay_time, ship_by = excluded.ship_by,
             currency = excluded.currency, total_amount = excluded.total_amount,
             buyer = CASE WHEN known.erased_at IS NULL THEN excluded.buyer END,
             payment_method = excluded.payment_method, cod = excluded.cod,
             shipping_carrier = excluded.shipping_carrier, packages = excluded.packages,
             recipient = CASE WHEN known.erased_at IS NULL THEN excluded.recipient END,
             message_to_seller = CASE WHEN known.erased_at IS NULL THEN excluded.message_to_seller END,
             note = CASE WHEN known.erased_at IS NULL THEN excluded.note END,
             cancel_by = excluded.cancel_by, cancel_reason = excluded.cancel_reason,
             snapshot = CASE WHEN known.erased_at IS NULL THEN excluded.snapshot ELSE '{}' END,
             fetched_at = now()
         WHERE known.update_time <= excluded.update_time",
    )
    .bind(&order.reference.platform)
    .bind(&order.reference.shop_id)
    .bind(&order.reference.order_sn)
    .bind(&order.status)
    .bind(&order.region)
    .bind(order.create_time)
    .bind(order.update_time)
    .bind(order.pay_time)
    .bind(order.ship_by)
    .bind(&order.currency)
    .bind(order.total_amount)
    .bind(&order.buyer_username)
    .bind(&order.payment_method)
    .bind(order.cod)
    .bind(&order.shipping_carrier)
    .bind(Json(&order.packages))
    .bind(order.recipient.as_ref().map(Json))
    .bind(&order.message_to_seller)
    .bind(&order.note)
    .bind(&order.cancel_by)
    .bind(&order.cancel_reason)
    .bind(Json(&order.snapshot))
    .execute(connection)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Lines carry no clock of their own: they are those of the state that was just stored.
async fn replace_items(
    connection: &mut PgConnection,
    order: &Order,
    net_income: &[Decimal],
) -> Result<(), sqlx::Error> {
    let of = &order.reference;
    let column = |value: fn(&OrderItem) -> i64| order.items.iter().map(value).collect::<Vec<_>>();
    let text = |value: fn(&OrderItem) -> &str| order.items.iter().map(value).collect::<Vec<_>>();
    let net: Vec<Option<Decimal>> =
        (0..order.items.len()).map(|line| net_income.get(line).copied()).collect();
    sqlx::query(
        "WITH gone AS (
             DELETE FROM pushbox.order_items
             WHERE platform = $1 AND shop_id = $2 AND order_sn = $3 AND NOT line_no = ANY ($4)
         )
         INSERT INTO pushbox.order_items AS known
             (platform, shop_id, order_sn, line_no, item_id, model_id, sku, name, variation, quantity, price, net_income)
         SELECT $1, $2, $3, line_no, item_id, model_id, sku, name, variation, quantity, price, net_income
         FROM unnest($4::integer[], $5::bigint[], $6::bigint[], $7::text[], $8::text[], $9::text[], $10::integer[],
                     $11::numeric[], $12::numeric[])
              AS t(line_no, item_id, model_id, sku, name, variation, quantity, price, net_income)
         ON CONFLICT (platform, shop_id, order_sn, line_no) DO UPDATE SET
             item_id = excluded.item_id, model_id = excluded.model_id, sku = excluded.sku, name = excluded.name,
             variation = excluded.variation, quantity = excluded.quantity, price = excluded.price,
             net_income = coalesce(excluded.net_income, known.net_income)",
    )
    .bind(&of.platform)
    .bind(&of.shop_id)
    .bind(&of.order_sn)
    .bind(order.items.iter().map(|item| item.line_no).collect::<Vec<_>>())
    .bind(column(|item| item.item_id))
    .bind(column(|item| item.model_id))
    .bind(text(|item| &item.sku))
    .bind(text(|item| &item.name))
    .bind(text(|item| &item.variation))
    .bind(order.items.iter().map(|item| item.quantity).collect::<Vec<_>>())
    .bind(order.items.iter().map(|item| item.unit_price).collect::<Vec<_>>())
    .bind(net)
    .execute(connection)
    .await?;
    Ok(())
}

/// Stores what an order earns. The caller stores it together with the state it belongs to.
///
/// # Errors
/// When the database refuses.
pub async fn upsert_income(connection: &mut PgConnection, income: &OrderIncome) -> Result<(), sqlx::Error> {
    sqlx::query(
        "INSERT INTO pushbox.order_income
             (platform, shop_id, order_sn, escrow_amount, buyer_total_amount, commission_fee, service_fee,
              transaction_fee, buyer_paid_shipping_fee, actual_shipping_fee, voucher_from_seller,
              voucher_from_platform, snapshot)
         SELECT $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12,
                CASE WHEN EXISTS (SELECT FROM pushbox.orders WHERE platform = $1 AND shop_id = $2 AND order_sn = $3
                                     AND erased_at IS NOT NULL) THEN '{}'::jsonb ELSE $13::jsonb END
         ON CONFLICT (platform, shop_id, order_sn) DO UPDATE SET
             escrow_amount = excluded.escrow_amount, buyer_total_amount = excluded.buyer_total_amount,
             commission_fee = excluded.commission_fee, service_fee = excluded.service_fee,
             transaction_fee = excluded.transaction_fee,
             buyer_paid_shipping_fee = excluded.buyer_paid_shipping_fee,
             actual_shipping_fee = excluded.actual_shipping_fee,
             voucher_from_seller = excluded.voucher_from_seller,
             voucher_from_platform = excluded.voucher_from_platform, snapshot = excluded.snapshot, fetched_at = now()",
    )
    .bind(&income.reference.platform)
    .bind(&income.reference.shop_id)
    .bind(&income.reference.order_sn)
    .bind(income.escrow_amount)
    .bind(income.buyer_total_amount)
    .bind(income.commission_fee)
    .bind(income.service_fee)
    .bind(income.transaction_fee)
    .bind(income.buyer_paid_shipping_fee)
    .bind(income.actual_shipping_fee)
    .bind(income.voucher_from_seller)
    .bind(income.voucher_from_platform)
    .bind(Json(&income.snapshot))
    .execute(connection)
    .await?;
    Ok(())
}
