//! Compares a spreadsheet with Postgres, and has what differs written again.
//!
//! It reads both tabs whole and changes nothing in them (it makes them if they are missing). A repair asks the
//! queue for the rows, so that the one writer of the spreadsheet stays the only one.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use rust_decimal::prelude::ToPrimitive;
use sqlx::PgPool;

use crate::clients::sheets::{Cell, CellValue, SheetsClient};
use crate::clock::SharedClock;
use crate::domain::order::OrderRef;
use crate::domain::route::SpreadsheetRoute;
use crate::jobs::sheet::columns::{Kind, TabSpec};
use crate::jobs::sheet::failure::{Budget, Failure};
use crate::jobs::sheet::plan::TabState;
use crate::jobs::sheet::rows::OrderRows;
use crate::jobs::sheet::sight::Sight;
use crate::jobs::sheet::{SheetOptions, plan};
use crate::queue::{enqueue, plan as jobs_plan};
use crate::store;
use crate::store::order_reads::list_orders;
use crate::store::sheet_rows::{forget_contents, list_expected};

/// Orders that are read from Postgres at once.
const AT_ONCE: usize = 500;
/// Numbers of a sheet are floating; two that are nearer are the same, as are instants within a tenth of a second.
const SAME: f64 = 1e-6;

/// One thing that is not as it should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// The order.
    pub order: OrderRef,
    /// `Orders` or `Items`.
    pub tab: &'static str,
    /// What is wrong, in words.
    pub problem: String,
    /// Whether writing the order's rows again mends it.
    pub mendable: bool,
}

/// What a comparison found.
#[derive(Debug, Clone, Default)]
pub struct Report {
    /// Orders that must have a row.
    pub orders: usize,
    /// What is not as it should be.
    pub differences: Vec<Difference>,
    /// Rows with an order number that Postgres does not have for this spreadsheet.
    pub strangers: usize,
}

impl Report {
    /// The orders whose rows have to be written again.
    pub fn to_mend(&self) -> Vec<OrderRef> {
        let orders = self.differences.iter().filter(|one| one.mendable).map(|one| &one.order);
        orders.collect::<BTreeSet<_>>().into_iter().cloned().collect()
    }
}

/// A spreadsheet to look at.
pub struct SheetCheck {
    /// The database.
    pub pool: PgPool,
    /// Google.
    pub client: Arc<SheetsClient>,
    /// Tells the time.
    pub clock: SharedClock,
    /// What the settings say.
    pub options: SheetOptions,
}

/// A tab with everything in it that is ours.
struct Contents {
    state: TabState,
    /// Per column of the spec its cells from the top; empty where the tab does not have it.
    columns: Vec<Vec<CellValue>>,
}

impl Contents {
    fn value(&self, column: usize, row: usize) -> &CellValue {
        self.columns.get(column).and_then(|cells| cells.get(row)).unwrap_or(&CellValue::Empty)
    }

    /// Which columns of a row are not as they should be.
    fn wrong(&self, row: usize, expected: &[Cell]) -> Vec<&'static str> {
        let spec = self.state.spec.columns.iter().enumerate();
        spec.filter(|(_, (_, kind))| *kind != Kind::Theirs)
            .filter(|(at, _)| !same(&expected[*at], self.value(*at, row)))
            .map(|(_, (name, _))| *name)
            .collect()
    }
}

impl SheetCheck {
    /// Compares every order that belongs into the spreadsheet.
    ///
    /// # Errors
    /// When Google or the database fails, or the budget of calls is spent by others.
    pub async fn check(&self, route: &SpreadsheetRoute) -> anyhow::Result<Report> {
        let [orders, items] = self.contents(&route.spreadsheet_id).await?;
        let mut connection = self.pool.acquire().await?;
        let ignored = &self.options.ignore_statuses;
        let expected = list_expected(&mut connection, route, ignored).await?;
        let mut report = Report { orders: expected.len(), ..Report::default() };
        let mut known: BTreeSet<Vec<String>> = BTreeSet::new();
        for chunk in expected.chunks(AT_ONCE) {
            for stored in list_orders(&mut connection, chunk).await? {
                let rows = OrderRows::new(&stored, self.options.timezone);
                known.insert(plan::row_key(orders.state.spec, &rows.row));
                compare_order(&orders, &rows, &mut report);
                compare_items(&items, &rows, &mut report);
            }
        }
        report.strangers = orders
            .state
            .rows
            .iter()
            .filter(|(key, _)| !known.contains(*key))
            .map(|(_, rows)| rows.len())
            .sum();
        report.differences.sort_by(|a, b| (&a.order, b.tab, &a.problem).cmp(&(&b.order, a.tab, &b.problem)));
        Ok(report)
    }

    /// Asks for the rows of these orders to be written, whatever the database believes the sheet shows.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn repair(
        &self,
        spreadsheet_id: &str,
        orders: &[OrderRef],
        max_attempts: i32,
    ) -> Result<(), sqlx::Error> {
        let jobs =
            orders.iter().map(|order| jobs_plan::sheet_row(spreadsheet_id, order, max_attempts)).collect();
        let mut transaction = store::begin(&self.pool).await?;
        forget_contents(&mut transaction, spreadsheet_id, orders).await?;
        enqueue(&mut transaction, jobs).await?;
        transaction.commit().await
    }

    async fn contents(&self, id: &str) -> Result<[Contents; 2], Failure> {
        let budget = Budget::new(self.pool.clone(), &self.client, &self.options);
        let sight = Sight { client: &self.client, budget: &budget, id, now: self.clock.now(), generation: 0 };
        let (known, [orders, items]) = sight.see(None).await?;
        let [order_columns, item_columns] = sight.contents(&known, [&orders, &items]).await?;
        Ok([
            Contents { state: orders, columns: order_columns },
            Contents { state: items, columns: item_columns },
        ])
    }
}

impl std::fmt::Debug for SheetCheck {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SheetCheck").field("client", &self.client).finish_non_exhaustive()
    }
}

fn compare_order(tab: &Contents, rows: &OrderRows, report: &mut Report) {
    let key = plan::row_key(tab.state.spec, &rows.row);
    let mut differs = |problem: String, mendable| {
        let (order, tab) = (rows.order.clone(), tab.state.spec.title);
        report.differences.push(Difference { order, tab, problem, mendable });
    };
    match tab.state.rows.get(&key).map(Vec::as_slice) {
        None | Some([]) => differs("has no row".to_owned(), true),
        Some([first, more @ ..]) => {
            if !more.is_empty() {
                let lines: Vec<String> = more.iter().map(|row| (row + 1).to_string()).collect();
                let problem = format!("has more than one row; remove row {} by hand", lines.join(", "));
                differs(problem, false);
            }
            let wrong = tab.wrong(*first, &rows.row);
            if !wrong.is_empty() {
                differs(format!("row {}: {} differ", first + 1, wrong.join(", ")), true);
            }
        }
    }
}

fn compare_items(tab: &Contents, rows: &OrderRows, report: &mut Report) {
    let spec: &TabSpec = tab.state.spec;
    let mut found: BTreeMap<&Vec<String>, &Vec<usize>> = BTreeMap::new();
    let order_key = plan::row_key(spec, &rows.row)[..3].to_vec();
    found.extend(tab.state.beginning_with(&order_key));
    let mut differs = |problem: String| {
        let (order, tab) = (rows.order.clone(), spec.title);
        report.differences.push(Difference { order, tab, problem, mendable: true });
    };
    let lines: HashMap<Vec<String>, &Vec<Cell>> =
        rows.items.iter().map(|line| (plan::row_key(spec, line), line)).collect();
    for (key, line) in &lines {
        let number = key.last().map_or("", String::as_str);
        match found.remove(key).and_then(|rows| rows.first()) {
            None => differs(format!("line {number} has no row")),
            Some(row) => {
                let wrong = tab.wrong(*row, line);
                if !wrong.is_empty() {
                    differs(format!("row {}: {} differ", row + 1, wrong.join(", ")));
                }
            }
        }
    }
    for (key, rows) in found {
        let number = key.last().map_or("", String::as_str);
        differs(format!("row {} shows a line {number} that the order does not have", rows[0] + 1));
    }
}

/// Whether a cell shows what it should.
fn same(expected: &Cell, found: &CellValue) -> bool {
    let number = |expected: f64| matches!(found, CellValue::Number(found) if (found - expected).abs() < SAME);
    match expected {
        Cell::Empty => matches!(found, CellValue::Empty),
        Cell::Text(text) => match found {
            CellValue::Text(found) => *found == crate::clients::sheets::shown_text(text),
            CellValue::Empty => crate::clients::sheets::shown_text(text).is_empty(),
            CellValue::Number(_) | CellValue::Bool(_) => false,
        },
        Cell::Number(value) => value.to_f64().is_some_and(number),
        Cell::DateTime(serial) => number(*serial),
        Cell::Bool(value) => matches!(found, CellValue::Bool(found) if found == value),
    }
}
