//! Which requests bring two tabs up to date. Pure.
//!
//! Cells of ours are written in spans: an update covers only neighbouring columns of ours, so that what people
//! keep between them stays. New rows go below everything else. Rows of lines that an order no longer has are
//! blanked and not removed: what people wrote beside them stays.

use std::collections::{BTreeMap, BTreeSet};

use super::columns::{Kind, Layout, TabSpec};
use super::rows::OrderRows;
use crate::clients::sheets::{Cell, CellValue, SheetRequest};
use crate::domain::order::OrderRef;

/// What names a row: the texts of its key columns.
type RowKey = Vec<String>;

/// A tab as it was found.
#[derive(Debug, Clone)]
pub(super) struct TabState {
    pub spec: &'static TabSpec,
    pub sheet_id: i32,
    pub layout: Layout,
    /// The rows of each key, from the top; the first row of the tab is 0.
    pub rows: BTreeMap<RowKey, Vec<usize>>,
}

impl TabState {
    pub(super) fn new(
        spec: &'static TabSpec,
        sheet_id: i32,
        layout: Layout,
        key_columns: &[Vec<CellValue>],
    ) -> Self {
        let mut rows: BTreeMap<RowKey, Vec<usize>> = BTreeMap::new();
        let height = key_columns.iter().map(Vec::len).max().unwrap_or(0);
        for row in 1..height {
            let key: RowKey = key_columns.iter().map(|column| value_text(column.get(row))).collect();
            // The order's number is the first; without it the row is nobody's.
            if !key[0].is_empty() {
                rows.entry(key).or_default().push(row);
            }
        }
        Self { spec, sheet_id, layout, rows }
    }

    /// The rows of every key that begins with `prefix`.
    pub(super) fn beginning_with<'a>(
        &'a self,
        prefix: &'a [String],
    ) -> impl Iterator<Item = (&'a RowKey, &'a Vec<usize>)> {
        self.rows.range(prefix.to_vec()..).take_while(move |(key, _)| key.starts_with(prefix))
    }
}

/// What a write does.
#[derive(Debug, Default)]
pub(super) struct Plan {
    pub requests: Vec<SheetRequest>,
    /// Orders that get a new row.
    pub appended: BTreeSet<OrderRef>,
    /// Orders that have more than one row; the topmost is kept up to date.
    pub doubled: BTreeSet<OrderRef>,
    pub order_rows: u64,
    pub item_rows: u64,
}

/// The requests that make both tabs show `orders`, each of which is named once.
pub(super) fn plan(orders_tab: &TabState, items_tab: &TabState, orders: &[&OrderRows]) -> Plan {
    let decimals = orders.iter().map(|rows| rows.decimals).max().unwrap_or(2);
    let mut plan = Plan::default();
    let mut order_writes = Writes::default();
    let mut item_writes = Writes::default();
    for rows in orders {
        let key = row_key(orders_tab.spec, &rows.row);
        if let Some([first, more @ ..]) = orders_tab.rows.get(&key).map(Vec::as_slice) {
            order_writes.updates.insert(*first, rows.row.clone());
            if !more.is_empty() {
                plan.doubled.insert(rows.order.clone());
            }
        } else {
            order_writes.appends.push(rows.row.clone());
            plan.appended.insert(rows.order.clone());
        }
        add_items(items_tab, &key, rows, &mut item_writes);
    }
    plan.order_rows = order_writes.len();
    plan.item_rows = item_writes.len();
    for (tab, writes) in [(orders_tab, order_writes), (items_tab, item_writes)] {
        set_up(tab, decimals, &mut plan.requests);
        writes.into_requests(tab, &mut plan.requests);
    }
    plan
}

fn add_items(tab: &TabState, order_key: &[String], rows: &OrderRows, writes: &mut Writes) {
    let mut lines = BTreeSet::new();
    for line in &rows.items {
        let key = row_key(tab.spec, line);
        match tab.rows.get(&key).and_then(|found| found.first()) {
            Some(row) => {
                writes.updates.insert(*row, line.clone());
            }
            None => writes.appends.push(line.clone()),
        }
        lines.insert(key);
    }
    for (_, gone) in tab.beginning_with(order_key).filter(|(key, _)| !lines.contains(*key)) {
        writes.updates.extend(gone.iter().map(|row| (*row, vec![Cell::Empty; tab.spec.columns.len()])));
    }
}

/// Rows to write into one tab.
#[derive(Debug, Default)]
struct Writes {
    updates: BTreeMap<usize, Vec<Cell>>,
    appends: Vec<Vec<Cell>>,
}

impl Writes {
    fn len(&self) -> u64 {
        (self.updates.len() + self.appends.len()) as u64
    }

    fn into_requests(self, tab: &TabState, requests: &mut Vec<SheetRequest>) {
        let sheet_id = tab.sheet_id;
        let spans = spans(&tab.layout);
        for block in blocks(self.updates) {
            for span in &spans {
                let rows = block.rows.iter();
                requests.push(SheetRequest::UpdateCells {
                    sheet_id,
                    row: index(block.first),
                    column: index(span.first),
                    rows: rows.map(|row| span.columns.iter().map(|at| row[*at].clone()).collect()).collect(),
                });
            }
        }
        if !self.appends.is_empty() {
            let width = spans.iter().map(|span| span.first + span.columns.len()).max().unwrap_or(0);
            let placed = |row: Vec<Cell>| {
                let mut cells = vec![Cell::Empty; width];
                for (cell, place) in row.into_iter().zip(&tab.layout.places) {
                    if let Some(place) = place {
                        cells[*place] = cell;
                    }
                }
                cells
            };
            let rows = self.appends.into_iter().map(placed).collect();
            requests.push(SheetRequest::AppendRows { sheet_id, rows });
        }
    }
}

/// Neighbouring columns of ours.
#[derive(Debug)]
struct Span {
    /// Where they begin in the tab.
    first: usize,
    /// Which of our columns they are, from left to right.
    columns: Vec<usize>,
}

fn spans(layout: &Layout) -> Vec<Span> {
    let mut placed: Vec<(usize, usize)> =
        layout.places.iter().enumerate().filter_map(|(column, place)| place.map(|at| (at, column))).collect();
    placed.sort_unstable();
    let mut spans: Vec<Span> = Vec::new();
    for (at, column) in placed {
        match spans.last_mut() {
            Some(span) if span.first + span.columns.len() == at => span.columns.push(column),
            _ => spans.push(Span { first: at, columns: vec![column] }),
        }
    }
    spans
}

/// Neighbouring rows.
struct Block {
    first: usize,
    rows: Vec<Vec<Cell>>,
}

fn blocks(updates: BTreeMap<usize, Vec<Cell>>) -> Vec<Block> {
    let mut blocks: Vec<Block> = Vec::new();
    for (at, row) in updates {
        match blocks.last_mut() {
            Some(block) if block.first + block.rows.len() == at => block.rows.push(row),
            _ => blocks.push(Block { first: at, rows: vec![row] }),
        }
    }
    blocks
}

/// Makes what the tab lacks: columns with their names and formats; the first time also a frozen, filtered header.
fn set_up(tab: &TabState, decimals: u32, requests: &mut Vec<SheetRequest>) {
    let (sheet_id, layout) = (tab.sheet_id, &tab.layout);
    if layout.grow > 0 {
        requests.push(SheetRequest::AppendColumns { sheet_id, count: index(layout.grow) });
    }
    for new in &layout.new {
        let (name, kind) = tab.spec.columns[new.column];
        let rows = vec![vec![Cell::Text(name.to_owned())]];
        requests.push(SheetRequest::UpdateCells { sheet_id, row: 0, column: index(new.at), rows });
        if let Some((kind, pattern)) = Kind::format(kind, decimals) {
            let pattern = pattern.to_owned();
            requests.push(SheetRequest::ColumnFormat { sheet_id, column: index(new.at), kind, pattern });
        }
    }
    if layout.fresh {
        requests.push(SheetRequest::FreezeRows { sheet_id, count: 1 });
        requests.push(SheetRequest::SetBasicFilter { sheet_id, columns: index(tab.spec.columns.len()) });
    }
}

/// What names a row of ours.
pub(super) fn row_key(spec: &TabSpec, row: &[Cell]) -> RowKey {
    row.iter()
        .take(spec.keys)
        .map(|cell| match cell {
            Cell::Text(text) => text.trim().to_owned(),
            Cell::Number(number) => number.normalize().to_string(),
            Cell::Empty | Cell::Bool(_) | Cell::DateTime(_) => String::new(),
        })
        .collect()
}

/// A key cell as text, also where a person's edit made a number of it.
pub(super) fn value_text(value: Option<&CellValue>) -> String {
    match value {
        Some(CellValue::Text(text)) => text.trim().to_owned(),
        Some(CellValue::Number(number)) => number.to_string(),
        Some(CellValue::Bool(_) | CellValue::Empty) | None => String::new(),
    }
}

/// Google's indexes; grids are far smaller.
fn index(number: usize) -> i32 {
    i32::try_from(number).unwrap_or(i32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jobs::sheet::columns::{ITEMS, ORDERS};
    use crate::jobs::sheet::rows::tests::rows;

    fn header(spec: &TabSpec) -> Vec<String> {
        spec.columns.iter().map(|(name, _)| (*name).to_owned()).collect()
    }

    fn tab(spec: &'static TabSpec, header: &[String], keys: &[&[&str]]) -> TabState {
        let width = header.len().max(26);
        let layout = Layout::read(spec, header, width).expect("a layout");
        let column = |at: usize| {
            let below = keys.iter().map(|key| match key.get(at) {
                Some(text) if !text.is_empty() => CellValue::Text((*text).to_owned()),
                _ => CellValue::Empty,
            });
            std::iter::once(CellValue::Empty).chain(below).collect()
        };
        let columns: Vec<Vec<CellValue>> = (0..spec.keys).map(column).collect();
        TabState::new(spec, if spec.keys == 3 { 10 } else { 20 }, layout, &columns)
    }

    fn summary(plan: &Plan) -> Vec<String> {
        let requests = plan.requests.iter();
        requests
            .map(|request| match request {
                SheetRequest::UpdateCells { sheet_id, row, column, rows } => {
                    format!("{sheet_id}: write {}x{} at {row},{column}", rows.len(), rows[0].len())
                }
                SheetRequest::AppendRows { sheet_id, rows } => {
                    format!("{sheet_id}: append {}x{}", rows.len(), rows[0].len())
                }
                other => format!("{other:?}"),
            })
            .collect()
    }

    #[test]
    fn fresh_tabs_are_set_up_and_filled_in_one_go() {
        let plan = plan(&tab(&ORDERS, &[], &[]), &tab(&ITEMS, &[], &[]), &[&rows("A", 2), &rows("B", 1)]);
        let lines = summary(&plan);
        assert_eq!(lines[0], "AppendColumns { sheet_id: 10, count: 2 }");
        for expected in [
            "FreezeRows { sheet_id: 10, count: 1 }",
            "SetBasicFilter { sheet_id: 10, columns: 28 }",
            "10: append 2x27",
            "SetBasicFilter { sheet_id: 20, columns: 14 }",
            "20: append 3x14",
            r##"ColumnFormat { sheet_id: 10, column: 10, kind: Number, pattern: "#,##0.00" }"##,
        ] {
            assert!(lines.iter().any(|line| line == expected), "{expected} in {lines:#?}");
        }
        assert_eq!((plan.appended.len(), plan.order_rows, plan.item_rows), (2, 2, 3));
    }

    #[test]
    fn known_rows_are_updated_where_they_are_and_neighbours_together() {
        let orders: &[&[&str]] =
            &[&["B", "shopee", "77"], &["", "", ""], &["A", "shopee", "77"], &["C", "shopee", "77"]];
        let items: &[&[&str]] = &[&["A", "shopee", "77", "1"], &["A", "shopee", "78", "2"]];
        let plan = plan(
            &tab(&ORDERS, &header(&ORDERS), orders),
            &tab(&ITEMS, &header(&ITEMS), items),
            &[&rows("C", 0), &rows("A", 2), &rows("B", 0)],
        );
        assert_eq!(
            summary(&plan),
            ["10: write 1x27 at 1,0", "10: write 2x27 at 3,0", "20: write 1x14 at 1,0", "20: append 1x14",]
        );
        assert!(plan.appended.is_empty());
    }

    #[test]
    fn columns_of_people_are_left_out_wherever_they_stand() {
        let mut names = header(&ORDERS);
        names.insert(2, "Packed by".into());
        names.swap(5, 9);
        let found: &[&[&str]] = &[&["A", "shopee", "77"]];
        let plan = plan(&tab(&ORDERS, &names, found), &tab(&ITEMS, &header(&ITEMS), &[]), &[&rows("A", 0)]);
        assert_eq!(summary(&plan), ["10: write 1x2 at 1,0", "10: write 1x25 at 1,3"]);
        let SheetRequest::UpdateCells { rows: written, .. } = &plan.requests[1] else { panic!("a write") };
        let buyer = ORDERS.columns.iter().position(|(name, _)| *name == "Buyer").expect("a column");
        assert_eq!(written[0][2], rows("A", 0).row[buyer], "it moved to the left");
    }

    #[test]
    fn of_several_rows_with_one_key_the_first_is_written() {
        let found: &[&[&str]] = &[&["A", "shopee", "77"], &["A", "shopee", "77"]];
        let plan = plan(
            &tab(&ORDERS, &header(&ORDERS), found),
            &tab(&ITEMS, &header(&ITEMS), &[]),
            &[&rows("A", 0)],
        );
        assert_eq!(summary(&plan), ["10: write 1x27 at 1,0"]);
        assert_eq!(plan.doubled.len(), 1);
    }

    #[test]
    fn rows_of_vanished_lines_are_blanked() {
        let items: &[&[&str]] = &[
            &["A", "shopee", "77", "2"],
            &["AB", "shopee", "77", "2"],
            &["A", "shopee", "77", "1"],
            &["A", "shopee", "77", ""],
        ];
        let found: &[&[&str]] = &[&["A", "shopee", "77"]];
        let plan = plan(
            &tab(&ORDERS, &header(&ORDERS), found),
            &tab(&ITEMS, &header(&ITEMS), items),
            &[&rows("A", 1)],
        );
        assert_eq!(summary(&plan)[1..], ["20: write 1x14 at 1,0", "20: write 2x14 at 3,0"]);
        let SheetRequest::UpdateCells { rows: blank, .. } = &plan.requests[1] else { panic!("a write") };
        assert!(blank[0].iter().all(|cell| *cell == Cell::Empty));
    }

    #[test]
    fn a_key_that_an_edit_made_a_number_is_still_the_key() {
        let column = |value| vec![CellValue::Empty, value];
        let layout = Layout::read(&ORDERS, &header(&ORDERS), 28).expect("a layout");
        let keys = [
            column(CellValue::Number(220_401_123_456.0)),
            column(CellValue::Text(" shopee".into())),
            column(CellValue::Number(77.0)),
        ];
        let tab = TabState::new(&ORDERS, 10, layout, &keys);
        let key = row_key(&ORDERS, &rows("220401123456", 0).row);
        assert_eq!(tab.rows.get(&key), Some(&vec![1]));
    }
}
