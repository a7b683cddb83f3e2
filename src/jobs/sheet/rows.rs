//! From a stored order to its cells. Pure.
//!
//! A date in a sheet is a number without a time zone, and is shown as it is whatever the spreadsheet's own
//! time zone. So instants are written as the wall clock of `DISPLAY_TIMEZONE`, and that is what people read.
//! Set the spreadsheet to the same zone where formulas compare them with `NOW()`.

use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use rust_decimal::Decimal;
use sha2::{Digest, Sha256};

use super::columns::{ITEMS, ORDERS};
use crate::clients::sheets::Cell;
use crate::domain::money;
use crate::domain::order::{Order, OrderItem, OrderRef};
use crate::store::order_reads::StoredOrder;
use crate::store::sheet_rows::SheetRow;

/// What both tabs shall show of one order. Cells are in the order of the columns of [`ORDERS`] and [`ITEMS`].
#[derive(Debug, Clone, PartialEq)]
pub(super) struct OrderRows {
    pub order: OrderRef,
    pub status: String,
    pub update_time: DateTime<Utc>,
    /// Decimals of its money.
    pub decimals: u32,
    pub row: Vec<Cell>,
    pub items: Vec<Vec<Cell>>,
}

impl OrderRows {
    pub(super) fn new(stored: &StoredOrder, zone: Tz) -> Self {
        let order = &stored.order;
        let lines = order.items.iter().enumerate();
        Self {
            order: order.reference.clone(),
            status: order.status.clone(),
            update_time: order.update_time,
            decimals: money::decimals(&order.currency),
            row: order_row(stored, zone),
            items: lines
                .map(|(at, line)| item_row(order, line, stored.net_income.get(at).copied().flatten(), zone))
                .collect(),
        }
    }

    /// What the database keeps about them once they are written.
    pub(super) fn record(&self) -> SheetRow {
        SheetRow {
            order: self.order.clone(),
            status: self.status.clone(),
            update_time: self.update_time,
            item_rows: i32::try_from(self.items.len()).unwrap_or(i32::MAX),
            content_sha256: self.hash(),
        }
    }

    /// Over the cells and the columns they are for: a new column is a change of every row.
    fn hash(&self) -> Vec<u8> {
        let mut hash = Sha256::new();
        for (name, _) in ORDERS.columns.iter().chain(ITEMS.columns) {
            hash.update(name.as_bytes());
            hash.update([0]);
        }
        for cell in self.row.iter().chain(self.items.iter().flatten()) {
            // Text comes with its length, so that no two lists of cells read the same.
            match cell {
                Cell::Empty => hash.update("-"),
                Cell::Text(text) => {
                    hash.update(format!("t{}:", text.len()));
                    hash.update(text.as_bytes());
                }
                Cell::Number(number) => hash.update(format!("n{};", number.normalize())),
                Cell::Bool(value) => hash.update(format!("b{value};")),
                Cell::DateTime(serial) => hash.update(format!("d{serial};")),
            }
        }
        hash.finalize().to_vec()
    }
}

fn order_row(stored: &StoredOrder, zone: Tz) -> Vec<Cell> {
    let order = &stored.order;
    let of = &order.reference;
    let income = stored.income.as_ref();
    let net: Vec<Decimal> = stored.net_income.iter().copied().flatten().collect();
    let packages: Vec<&str> = order.packages.iter().map(|package| package.package_number.as_str()).collect();
    vec![
        text(&of.order_sn),
        text(&of.platform),
        text(&of.shop_id),
        text(&order.status),
        time(Some(order.create_time), zone),
        time(order.pay_time, zone),
        time(Some(order.update_time), zone),
        time(order.ship_by, zone),
        maybe(order.buyer_username.as_deref()),
        text(&order.currency),
        amount(order.total_amount),
        amount(income.map(|income| income.escrow_amount)),
        amount(income.map(|income| income.commission_fee)),
        amount(income.map(|income| income.service_fee)),
        amount(income.map(|income| income.transaction_fee)),
        amount(income.map(|income| income.buyer_paid_shipping_fee)),
        amount(income.map(|income| income.actual_shipping_fee)),
        amount(income.map(|income| income.voucher_from_seller)),
        amount(income.map(|income| income.voucher_from_platform)),
        amount((!net.is_empty()).then(|| net.iter().sum())),
        maybe(order.payment_method.as_deref().or(order.cod.then_some("COD"))),
        maybe(order.shipping_carrier.as_deref()),
        text(&packages.join(", ")),
        Cell::Number(order.items.len().into()),
        cancelled(order),
        maybe(order.message_to_seller.as_deref()),
        maybe(order.note.as_deref()),
        Cell::Empty,
    ]
}

fn item_row(order: &Order, line: &OrderItem, net: Option<Decimal>, zone: Tz) -> Vec<Cell> {
    let of = &order.reference;
    vec![
        text(&of.order_sn),
        text(&of.platform),
        text(&of.shop_id),
        Cell::Number((line.line_no + 1).into()),
        text(&line.sku),
        text(&line.name),
        text(&line.variation),
        Cell::Number(line.quantity.into()),
        Cell::Number(line.unit_price),
        Cell::Number(line.unit_price * Decimal::from(line.quantity)),
        amount(net),
        text(&order.currency),
        text(&order.status),
        time(Some(order.create_time), zone),
    ]
}

/// `Out of stock (seller)`.
fn cancelled(order: &Order) -> Cell {
    let given = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
    match (given(&order.cancel_reason), given(&order.cancel_by)) {
        (Some(reason), Some(by)) => Cell::Text(format!("{reason} ({by})")),
        (reason, by) => maybe(reason.or(by).as_deref()),
    }
}

fn text(text: &str) -> Cell {
    if text.is_empty() { Cell::Empty } else { Cell::Text(text.to_owned()) }
}

fn maybe(value: Option<&str>) -> Cell {
    value.map_or(Cell::Empty, text)
}

fn amount(amount: Option<Decimal>) -> Cell {
    amount.map_or(Cell::Empty, Cell::Number)
}

fn time(instant: Option<DateTime<Utc>>, zone: Tz) -> Cell {
    instant.map_or(Cell::Empty, |instant| Cell::date_time(instant.with_timezone(&zone).naive_local()))
}

#[cfg(test)]
pub(super) mod tests {
    use chrono::TimeDelta;
    use insta::assert_snapshot;

    use super::*;
    use crate::domain::order::{OrderIncome, Package};

    fn number(text: &str) -> Decimal {
        text.parse().expect("a number")
    }

    pub(crate) fn stored(order_sn: &str, lines: i32) -> StoredOrder {
        let reference =
            OrderRef { platform: "shopee".into(), shop_id: "77".into(), order_sn: order_sn.into() };
        let created = DateTime::from_timestamp(1_775_000_000, 0).expect("an instant");
        let line = |line_no| OrderItem {
            line_no,
            item_id: 1,
            model_id: 2,
            sku: "007".into(),
            name: "=HYPERLINK(\"http://x\")".into(),
            variation: String::new(),
            quantity: 2,
            unit_price: number("4.95"),
        };
        let order = Order {
            reference: reference.clone(),
            status: "CANCELLED".into(),
            currency: "SGD".into(),
            region: "SG".into(),
            create_time: created,
            update_time: created + TimeDelta::hours(1),
            pay_time: Some(created + TimeDelta::minutes(5)),
            ship_by: None,
            total_amount: Some(number("19.80")),
            buyer_username: Some("b***r".into()),
            payment_method: None,
            cod: true,
            shipping_carrier: Some("Ninja".into()),
            packages: ["P1", "P2"]
                .map(|number| Package {
                    package_number: number.into(),
                    logistics_status: None,
                    shipping_carrier: None,
                })
                .to_vec(),
            recipient: None,
            message_to_seller: Some("+1 please\nthanks".into()),
            note: None,
            cancel_by: Some("seller".into()),
            cancel_reason: Some("Out of stock".into()),
            items: (0..lines).map(line).collect(),
            snapshot: serde_json::Value::Null,
        };
        let income = OrderIncome {
            reference,
            escrow_amount: number("15.01"),
            buyer_total_amount: number("19.80"),
            commission_fee: number("1.10"),
            service_fee: number("0.50"),
            transaction_fee: number("0.20"),
            buyer_paid_shipping_fee: number("1.49"),
            actual_shipping_fee: number("2.00"),
            voucher_from_seller: number("0"),
            voucher_from_platform: number("3"),
            items: Vec::new(),
            snapshot: serde_json::Value::Null,
        };
        let net = money::share_out(income.escrow_amount, &vec![Decimal::ONE; order.items.len()], 2);
        StoredOrder { order, income: Some(income), net_income: net.into_iter().map(Some).collect() }
    }

    pub(crate) fn rows(order_sn: &str, lines: i32) -> OrderRows {
        OrderRows::new(&stored(order_sn, lines), Tz::Asia__Singapore)
    }

    fn shown(spec: &crate::jobs::sheet::columns::TabSpec, row: &[Cell]) -> String {
        assert_eq!(row.len(), spec.columns.len(), "a cell per column");
        let named = spec.columns.iter().zip(row);
        let lines: Vec<String> = named.map(|((name, _), cell)| format!("{name}: {cell:?}")).collect();
        lines.join("\n")
    }

    #[test]
    fn an_order_as_cells() {
        let rows = rows("260401ABC", 2);
        assert_snapshot!(shown(&ORDERS, &rows.row), @r#"
        Order: Text("260401ABC")
        Platform: Text("shopee")
        Shop: Text("77")
        Status: Text("CANCELLED")
        Created: DateTime(46113.31481481482)
        Paid: DateTime(46113.31828703704)
        Updated: DateTime(46113.35648148148)
        Ship by: Empty
        Buyer: Text("b***r")
        Currency: Text("SGD")
        Total: Number(19.80)
        Escrow: Number(15.01)
        Commission: Number(1.10)
        Service fee: Number(0.50)
        Transaction fee: Number(0.20)
        Shipping paid by buyer: Number(1.49)
        Actual shipping: Number(2.00)
        Seller voucher: Number(0)
        Platform voucher: Number(3)
        Net: Number(15.01)
        Payment: Text("COD")
        Carrier: Text("Ninja")
        Packages: Text("P1, P2")
        Items: Number(2)
        Cancel reason: Text("Out of stock (seller)")
        Message: Text("+1 please\nthanks")
        Seller note: Empty
        Notes: Empty
        "#);
        assert_snapshot!(shown(&ITEMS, &rows.items[1]), @r#"
        Order: Text("260401ABC")
        Platform: Text("shopee")
        Shop: Text("77")
        Line: Number(2)
        SKU: Text("007")
        Item: Text("=HYPERLINK(\"http://x\")")
        Variation: Empty
        Quantity: Number(2)
        Unit price: Number(4.95)
        Line total: Number(9.90)
        Net income: Number(7.50)
        Currency: Text("SGD")
        Status: Text("CANCELLED")
        Created: DateTime(46113.31481481482)
        "#);
    }

    #[test]
    fn what_is_not_known_is_empty() {
        let mut stored = stored("A", 1);
        stored.income = None;
        stored.net_income = vec![None];
        let rows = OrderRows::new(&stored, Tz::UTC);
        assert_eq!(rows.row[11..20], vec![Cell::Empty; 9]);
        assert_eq!(rows.items[0][10], Cell::Empty);
    }

    #[test]
    fn the_hash_changes_with_what_is_shown_and_only_with_that() {
        let plain = rows("A", 2).record();
        assert_eq!(plain, rows("A", 2).record());
        let mut other = stored("A", 2);
        other.order.region = "MY".into();
        assert_eq!(plain, OrderRows::new(&other, Tz::Asia__Singapore).record());
        other.order.items[1].quantity = 3;
        assert_ne!(plain, OrderRows::new(&other, Tz::Asia__Singapore).record());
        assert_ne!(plain, OrderRows::new(&stored("A", 2), Tz::UTC).record());
        assert_ne!(plain.content_sha256, rows("A", 1).record().content_sha256);
    }
}
