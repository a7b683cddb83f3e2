//! Reading orders with their lines and their income.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use rust_decimal::Decimal;
use sqlx::PgConnection;
use sqlx::types::Json;

use crate::domain::order::{Order, OrderIncome, OrderItem, OrderRef, Package, Recipient};

/// An order as it stands in the database.
#[derive(Debug, Clone)]
pub struct StoredOrder {
    /// The order; its `snapshot` is null here.
    pub order: Order,
    /// Its income, as far as it is known; without items and snapshot.
    pub income: Option<OrderIncome>,
    /// The payout's share of each line, in the order of the lines; empty while there is no income.
    pub net_income: Vec<Option<Decimal>>,
}

#[derive(sqlx::FromRow)]
struct OrderRow {
    platform: String,
    shop_id: String,
    order_sn: String,
    status: String,
    region: String,
    create_time: DateTime<Utc>,
    update_time: DateTime<Utc>,
    pay_time: Option<DateTime<Utc>>,
    ship_by: Option<DateTime<Utc>>,
    currency: String,
    total_amount: Option<Decimal>,
    buyer: Option<String>,
    payment_method: Option<String>,
    cod: bool,
    shipping_carrier: Option<String>,
    packages: Json<Vec<Package>>,
    recipient: Option<Json<Recipient>>,
    message_to_seller: Option<String>,
    note: Option<String>,
    cancel_by: Option<String>,
    cancel_reason: Option<String>,
}

#[derive(sqlx::FromRow)]
struct ItemRow {
    platform: String,
    shop_id: String,
    order_sn: String,
    line_no: i32,
    item_id: i64,
    model_id: i64,
    sku: String,
    name: String,
    variation: String,
    quantity: i32,
    price: Decimal,
    net_income: Option<Decimal>,
}

#[derive(sqlx::FromRow)]
struct IncomeRow {
    platform: String,
    shop_id: String,
    order_sn: String,
    escrow_amount: Decimal,
    buyer_total_amount: Decimal,
    commission_fee: Decimal,
    service_fee: Decimal,
    transaction_fee: Decimal,
    buyer_paid_shipping_fee: Decimal,
    actual_shipping_fee: Decimal,
    voucher_from_seller: Decimal,
    voucher_from_platform: Decimal,
}

/// Reads orders with lines and income; those that are not there are left out.
///
/// # Errors
/// When the database refuses.
pub async fn list_orders(
    connection: &mut PgConnection,
    wanted: &[OrderRef],
) -> Result<Vec<StoredOrder>, sqlx::Error> {
    let platforms: Vec<&str> = wanted.iter().map(|one| one.platform.as_str()).collect();
    let shops: Vec<&str> = wanted.iter().map(|one| one.shop_id.as_str()).collect();
    let numbers: Vec<&str> = wanted.iter().map(|one| one.order_sn.as_str()).collect();
    let orders: Vec<OrderRow> = sqlx::query_as(
        "SELECT platform, shop_id, order_sn, status, region, create_time, update_time, pay_time, ship_by, currency,
                total_amount, buyer, payment_method, cod, shipping_carrier, packages, recipient, message_to_seller,
                note, cancel_by, cancel_reason
         FROM pushbox.orders JOIN unnest($1::text[], $2::text[], $3::text[]) AS t(platform, shop_id, order_sn)
              USING (platform, shop_id, order_sn)",
    )
    .bind(&platforms)
    .bind(&shops)
    .bind(&numbers)
    .fetch_all(&mut *connection)
    .await?;
    let items: Vec<ItemRow> = sqlx::query_as(
        "SELECT platform, shop_id, order_sn, line_no, item_id, model_id, sku, name, variation, quantity, price,
                net_income
         FROM pushbox.order_items JOIN unnest($1::text[], $2::text[], $3::text[]) AS t(platform, shop_id, order_sn)
              USING (platform, shop_id, order_sn)
         ORDER BY line_no",
    )
    .bind(&platforms)
    .bind(&shops)
    .bind(&numbers)
    .fetch_all(&mut *connection)
    .await?;
    let income: Vec<IncomeRow> = sqlx::query_as(
        "SELECT platform, shop_id, order_sn, escrow_amount, buyer_total_amount, commission_fee, service_fee,
                transaction_fee, buyer_paid_shipping_fee, actual_shipping_fee, voucher_from_seller,
                voucher_from_platform
         FROM pushbox.order_income JOIN unnest($1::text[], $2::text[], $3::text[]) AS t(platform, shop_id, order_sn)
              USING (platform, shop_id, order_sn)",
    )
    .bind(&platforms)
    .bind(&shops)
    .bind(&numbers)
    .fetch_all(connection)
    .await?;
    Ok(assemble(orders, items, income))
}

/// The orders that were placed from `from` on and before `until`, oldest first.
///
/// # Errors
/// When the database refuses.
pub async fn list_created_between(
    connection: &mut PgConnection,
    from: DateTime<Utc>,
    until: DateTime<Utc>,
    shop_id: Option<&str>,
) -> Result<Vec<OrderRef>, sqlx::Error> {
    let found: Vec<(String, String, String)> = sqlx::query_as(
        "SELECT platform, shop_id, order_sn FROM pushbox.orders
         WHERE create_time >= $1 AND create_time < $2 AND ($3::text IS NULL OR shop_id = $3)
         ORDER BY create_time, platform, shop_id, order_sn",
    )
    .bind(from)
    .bind(until)
    .bind(shop_id)
    .fetch_all(connection)
    .await?;
    Ok(found
        .into_iter()
        .map(|(platform, shop_id, order_sn)| OrderRef { platform, shop_id, order_sn })
        .collect())
}

fn reference(platform: String, shop_id: String, order_sn: String) -> OrderRef {
    OrderRef { platform, shop_id, order_sn }
}

fn assemble(orders: Vec<OrderRow>, items: Vec<ItemRow>, income: Vec<IncomeRow>) -> Vec<StoredOrder> {
    let mut lines: HashMap<OrderRef, Vec<(OrderItem, Option<Decimal>)>> = HashMap::new();
    for row in items {
        let (of, line) = row.into_line();
        lines.entry(of).or_default().push(line);
    }
    let mut incomes: HashMap<OrderRef, OrderIncome> = income
        .into_iter()
        .map(IncomeRow::into_income)
        .map(|income| (income.reference.clone(), income))
        .collect();
    orders
        .into_iter()
        .map(|row| {
            let mut order = row.into_order();
            let (items, net_income) = lines.remove(&order.reference).unwrap_or_default().into_iter().unzip();
            order.items = items;
            StoredOrder { income: incomes.remove(&order.reference), order, net_income }
        })
        .collect()
}

impl OrderRow {
    fn into_order(self) -> Order {
        Order {
            reference: reference(self.platform, self.shop_id, self.order_sn),
            status: self.status,
            currency: self.currency,
            region: self.region,
            create_time: self.create_time,
            update_time: self.update_time,
            pay_time: self.pay_time,
            ship_by: self.ship_by,
            total_amount: self.total_amount,
            buyer_username: self.buyer,
            payment_method: self.payment_method,
            cod: self.cod,
            shipping_carrier: self.shipping_carrier,
            packages: self.packages.0,
            recipient: self.recipient.map(|recipient| recipient.0),
            message_to_seller: self.message_to_seller,
            note: self.note,
            cancel_by: self.cancel_by,
            cancel_reason: self.cancel_reason,
            items: Vec::new(),
            snapshot: serde_json::Value::Null,
        }
    }
}

impl ItemRow {
    fn into_line(self) -> (OrderRef, (OrderItem, Option<Decimal>)) {
        let item = OrderItem {
            line_no: self.line_no,
            item_id: self.item_id,
            model_id: self.model_id,
            sku: self.sku,
            name: self.name,
            variation: self.variation,
            quantity: self.quantity,
            unit_price: self.price,
        };
        (reference(self.platform, self.shop_id, self.order_sn), (item, self.net_income))
    }
}

impl IncomeRow {
    fn into_income(self) -> OrderIncome {
        OrderIncome {
            reference: reference(self.platform, self.shop_id, self.order_sn),
            escrow_amount: self.escrow_amount,
            buyer_total_amount: self.buyer_total_amount,
            commission_fee: self.commission_fee,
            service_fee: self.service_fee,
            transaction_fee: self.transaction_fee,
            buyer_paid_shipping_fee: self.buyer_paid_shipping_fee,
            actual_shipping_fee: self.actual_shipping_fee,
            voucher_from_seller: self.voucher_from_seller,
            voucher_from_platform: self.voucher_from_platform,
            items: Vec::new(),
            snapshot: serde_json::Value::Null,
        }
    }
}
