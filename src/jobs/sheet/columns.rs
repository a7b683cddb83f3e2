//! The two tabs, their columns, and where a tab has them.
//!
//! Columns are found by the names in the first row, so that people may move, hide and add columns. A column
//! that is not ours is never touched. One of ours that was deleted comes back at the right; the columns that
//! name a row must be there, because without them nobody knows which row is which.

use crate::clients::sheets::{FormatKind, SheetsError};

/// What a column holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Text,
    /// Text that looks like a number: kept from becoming one when a person edits it.
    Id,
    Count,
    Money,
    Time,
    /// Whatever people write: made empty with the tab, never written.
    Theirs,
}

impl Kind {
    /// How its numbers are shown; `decimals` are those of the money.
    pub(super) fn format(self, decimals: u32) -> Option<(FormatKind, &'static str)> {
        match self {
            Self::Text | Self::Theirs => None,
            Self::Id => Some((FormatKind::Text, "@")),
            Self::Count => Some((FormatKind::Number, "0")),
            Self::Money if decimals == 0 => Some((FormatKind::Number, "#,##0")),
            Self::Money => Some((FormatKind::Number, "#,##0.00")),
            Self::Time => Some((FormatKind::DateTime, "yyyy-mm-dd hh:mm")),
        }
    }
}

/// A tab as we make it.
#[derive(Debug)]
pub(super) struct TabSpec {
    /// Its name.
    pub title: &'static str,
    /// Its columns by header.
    pub columns: &'static [(&'static str, Kind)],
    /// How many of them, from the first, name a row.
    pub keys: usize,
}

/// One row per order. Net is the sum of the order's net income in the other tab.
pub(super) const ORDERS: TabSpec = TabSpec {
    title: "Orders",
    columns: &[
        ("Order", Kind::Id),
        ("Platform", Kind::Text),
        ("Shop", Kind::Id),
        ("Status", Kind::Text),
        ("Created", Kind::Time),
        ("Paid", Kind::Time),
        ("Updated", Kind::Time),
        ("Ship by", Kind::Time),
        ("Buyer", Kind::Text),
        ("Currency", Kind::Text),
        ("Total", Kind::Money),
        ("Escrow", Kind::Money),
        ("Commission", Kind::Money),
        ("Service fee", Kind::Money),
        ("Transaction fee", Kind::Money),
        ("Shipping paid by buyer", Kind::Money),
        ("Actual shipping", Kind::Money),
        ("Seller voucher", Kind::Money),
        ("Platform voucher", Kind::Money),
        ("Net", Kind::Money),
        ("Payment", Kind::Text),
        ("Carrier", Kind::Text),
        ("Packages", Kind::Id),
        ("Items", Kind::Count),
        ("Cancel reason", Kind::Text),
        ("Message", Kind::Text),
        ("Seller note", Kind::Text),
        ("Notes", Kind::Theirs),
    ],
    keys: 3,
};

/// One row per line of an order: an item in one variation.
pub(super) const ITEMS: TabSpec = TabSpec {
    title: "Items",
    columns: &[
        ("Order", Kind::Id),
        ("Platform", Kind::Text),
        ("Shop", Kind::Id),
        ("Line", Kind::Count),
        ("SKU", Kind::Id),
        ("Item", Kind::Text),
        ("Variation", Kind::Text),
        ("Quantity", Kind::Count),
        ("Unit price", Kind::Money),
        ("Line total", Kind::Money),
        ("Net income", Kind::Money),
        ("Currency", Kind::Text),
        ("Status", Kind::Text),
        ("Created", Kind::Time),
    ],
    keys: 4,
};

/// A column of ours that has to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct NewColumn {
    /// Which of the tab's columns.
    pub column: usize,
    /// Where it goes.
    pub at: usize,
}

/// Where a tab has our columns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Layout {
    /// For each of our columns its place in the tab; none for those that we do not write.
    pub places: Vec<Option<usize>>,
    /// Columns that are not there yet.
    pub new: Vec<NewColumn>,
    /// Columns that the grid lacks.
    pub grow: usize,
    /// The first row is empty: the tab is to be set up.
    pub fresh: bool,
}

impl Layout {
    /// Reads a tab's first row. `width` is the number of columns that the grid has.
    pub(super) fn read(spec: &TabSpec, header: &[String], width: usize) -> Result<Self, SheetsError> {
        if header.iter().all(String::is_empty) {
            return Ok(Self::fresh(spec, width));
        }
        let mut layout = Self { places: Vec::new(), new: Vec::new(), grow: 0, fresh: false };
        for (column, (name, kind)) in spec.columns.iter().enumerate() {
            let found = header.iter().position(|title| title.eq_ignore_ascii_case(name));
            let place = match found {
                _ if *kind == Kind::Theirs => None,
                Some(at) => Some(at),
                None if column < spec.keys => return Err(lacks_key(spec, name)),
                None => {
                    // Beyond the grid: no cell that anybody uses is there.
                    let at = width + layout.grow;
                    layout.grow += 1;
                    layout.new.push(NewColumn { column, at });
                    Some(at)
                }
            };
            layout.places.push(place);
        }
        Ok(layout)
    }

    fn fresh(spec: &TabSpec, width: usize) -> Self {
        let columns = spec.columns.iter().enumerate();
        Self {
            places: columns.clone().map(|(at, (_, kind))| (*kind != Kind::Theirs).then_some(at)).collect(),
            new: columns.map(|(at, _)| NewColumn { column: at, at }).collect(),
            grow: spec.columns.len().saturating_sub(width),
            fresh: true,
        }
    }

    /// Whether every column is there.
    pub(super) fn is_complete(&self) -> bool {
        self.new.is_empty()
    }

    /// The places of the columns that name a row.
    pub(super) fn keys(&self, spec: &TabSpec) -> Vec<usize> {
        self.places.iter().take(spec.keys).filter_map(|place| *place).collect()
    }
}

fn lacks_key(spec: &TabSpec, name: &str) -> SheetsError {
    let title = spec.title;
    SheetsError::Configuration {
        message: format!("the tab {title} has no column named {name} in its first row"),
        remedy: format!(
            "name the column {name} again and keep the names in the first row; or rename the whole tab and \
             clear its first row, then a new tab {title} is made"
        ),
    }
}

/// Whether a tab of another name is ours all the same: it was renamed.
pub(super) fn is_ours(spec: &TabSpec, header: &[String]) -> bool {
    let there = |name: &str| header.iter().any(|title| title.eq_ignore_ascii_case(name));
    spec.columns.iter().all(|(name, kind)| *kind == Kind::Theirs || there(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(spec: &TabSpec) -> Vec<String> {
        spec.columns.iter().map(|(name, _)| (*name).to_owned()).collect()
    }

    #[test]
    fn an_empty_first_row_is_set_up() {
        let layout = Layout::read(&ITEMS, &[], 4).expect("a layout");
        assert!(layout.fresh);
        assert_eq!((layout.new.len(), layout.grow), (14, 10));
        assert_eq!(layout.keys(&ITEMS), [0, 1, 2, 3]);
        let blank = vec![String::new(); 3];
        assert_eq!(Layout::read(&ORDERS, &blank, 26).expect("a layout").grow, 2);
    }

    #[test]
    fn columns_are_found_wherever_they_are() {
        let mut names = header(&ORDERS);
        names.rotate_left(5);
        names.insert(2, "Checked by".into());
        let layout = Layout::read(&ORDERS, &names, 40).expect("a layout");
        assert!(layout.is_complete() && layout.grow == 0);
        for ((name, kind), place) in ORDERS.columns.iter().zip(&layout.places) {
            assert_eq!(place.map(|at| names[at].as_str()), (*kind != Kind::Theirs).then_some(*name));
        }
    }

    #[test]
    fn a_deleted_column_comes_back_beyond_the_grid_but_never_theirs() {
        let mut names = header(&ORDERS);
        names.retain(|name| !["Escrow", "Notes", "Carrier"].contains(&name.as_str()));
        let layout = Layout::read(&ORDERS, &names, 30).expect("a layout");
        let escrow = ORDERS.columns.iter().position(|(name, _)| *name == "Escrow").expect("a column");
        let carrier = ORDERS.columns.iter().position(|(name, _)| *name == "Carrier").expect("a column");
        assert_eq!(layout.new, [NewColumn { column: escrow, at: 30 }, NewColumn { column: carrier, at: 31 }]);
        assert_eq!(layout.grow, 2);
    }

    #[test]
    fn without_a_key_nothing_is_guessed() {
        let mut names = header(&ITEMS);
        names[3] = "Zeile".into();
        let error = Layout::read(&ITEMS, &names, 14).expect_err("no key").to_string();
        assert!(error.contains("no column named Line"), "{error}");
    }

    #[test]
    fn a_renamed_tab_is_known_by_its_header() {
        assert!(is_ours(&ORDERS, &header(&ORDERS)));
        assert!(!is_ours(&ITEMS, &header(&ORDERS)));
        assert!(!is_ours(&ORDERS, &[]));
    }
}
