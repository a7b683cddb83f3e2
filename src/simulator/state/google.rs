//! Google's side: spreadsheets as grids, tokens, and the windows of the quotas.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;

use crate::simulator::google::{batch, values};

/// Google Sheets and the token endpoint before it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct GoogleWorld {
    /// Spreadsheets by id.
    pub spreadsheets: BTreeMap<String, Spreadsheet>,
    /// Access tokens that were issued.
    pub tokens: BTreeMap<String, GoogleToken>,
    /// Calls of the current minute, by user.
    pub quota: BTreeMap<String, QuotaWindow>,
}

/// An access token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GoogleToken {
    /// The service account.
    pub email: String,
    /// The scopes, separated by blanks.
    pub scope: String,
    /// Unix milliseconds; valid before.
    pub until_ms: i64,
}

/// What a user called within one window of the quota.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct QuotaWindow {
    /// Number of the window since the epoch.
    pub window: i64,
    /// Reads in it.
    pub reads: u32,
    /// Writes in it.
    pub writes: u32,
}

/// One spreadsheet.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Spreadsheet {
    /// Its title.
    pub title: String,
    /// For example `en_US`.
    pub locale: String,
    /// For example `Asia/Singapore`.
    pub time_zone: String,
    /// Accounts that may write.
    pub shared_with: BTreeSet<String>,
    /// Accounts that may only read.
    pub readers: BTreeSet<String>,
    /// The tabs, in order.
    pub sheets: Vec<Sheet>,
    /// The id that the last protected range got.
    pub last_protected_id: i64,
}

/// One tab.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Sheet {
    /// The id, which survives renaming.
    pub sheet_id: i64,
    /// The title.
    pub title: String,
    /// Rows of the grid, used or not.
    pub row_count: usize,
    /// Columns of the grid, used or not.
    pub column_count: usize,
    /// Rows that stay when scrolling.
    pub frozen_row_count: usize,
    /// The used part of the grid. Shared until written to, so that a batch can be tried on a copy.
    pub rows: Vec<Arc<Vec<Cell>>>,
    /// The filter, as it was set.
    pub basic_filter: Option<Value>,
    /// Protected ranges.
    pub protected: Vec<Protected>,
}

/// One cell.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Cell {
    /// What the user entered.
    #[serde(rename = "userEnteredValue", skip_serializing_if = "Option::is_none", default)]
    pub value: Option<CellValue>,
    /// How it looks; holds `numberFormat`.
    #[serde(rename = "userEnteredFormat", skip_serializing_if = "Option::is_none", default)]
    pub format: Option<Value>,
    /// A note.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub note: Option<String>,
}

/// The value of a cell, typed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum CellValue {
    /// Text.
    #[serde(rename = "stringValue")]
    Text(String),
    /// A number; a date is one, too.
    #[serde(rename = "numberValue")]
    Number(f64),
    /// True or false.
    #[serde(rename = "boolValue")]
    Bool(bool),
    /// A formula, with its equals sign. Not computed here.
    #[serde(rename = "formulaValue")]
    Formula(String),
}

/// A part of a tab that not everybody may edit.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Protected {
    /// Its id.
    pub id: i64,
    /// The range as it was given, without a sheet id.
    pub range: batch::GridRange,
    /// Who may edit.
    pub editors: BTreeSet<String>,
    /// Only warns.
    pub warning_only: bool,
    /// As it was given.
    pub source: Value,
}

/// Ways in which Google changes.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the fields are those of the types above")]
pub enum GoogleChange {
    /// A spreadsheet exists.
    SpreadsheetAdded { id: String, title: String, sheet_id: i64, time_zone: String },
    /// An account got access.
    Shared { id: String, email: String, writer: bool },
    /// An account lost access.
    Unshared { id: String, email: String },
    /// A token was issued.
    TokenIssued { token: String, issued: GoogleToken },
    /// Every token ended before its time.
    TokensRevoked,
    /// A call was counted against a quota.
    Counted { user: String, window: i64, write: bool },
    /// A batch of requests was carried out. Kept as text: numbers must read the same again.
    Batch { id: String, user: String, requests: Box<RawValue>, salt: u64 },
    /// Values were written through an A1 range.
    ValuesWritten { id: String, user: String, data: Box<RawValue>, entered: bool },
}

impl GoogleWorld {
    pub(super) fn apply(&mut self, change: &GoogleChange) {
        match change {
            GoogleChange::SpreadsheetAdded { id, title, sheet_id, time_zone } => {
                self.spreadsheets
                    .entry(id.clone())
                    .or_insert_with(|| Spreadsheet::new(title, *sheet_id, time_zone));
            }
            GoogleChange::Shared { id, email, writer } => {
                if let Some(spreadsheet) = self.spreadsheets.get_mut(id) {
                    let list = if *writer { &mut spreadsheet.shared_with } else { &mut spreadsheet.readers };
                    list.insert(email.clone());
                }
            }
            GoogleChange::Unshared { id, email } => {
                if let Some(spreadsheet) = self.spreadsheets.get_mut(id) {
                    spreadsheet.shared_with.remove(email);
                    spreadsheet.readers.remove(email);
                }
            }
            GoogleChange::TokenIssued { token, issued } => {
                self.tokens.insert(token.clone(), issued.clone());
            }
            GoogleChange::TokensRevoked => self.tokens.clear(),
            GoogleChange::Counted { user, window, write } => {
                let quota = self.quota.entry(user.clone()).or_default();
                if quota.window != *window {
                    *quota = QuotaWindow { window: *window, ..QuotaWindow::default() };
                }
                *if *write { &mut quota.writes } else { &mut quota.reads } += 1;
            }
            GoogleChange::Batch { id, user, requests, salt } => {
                if let Some(spreadsheet) = self.spreadsheets.get_mut(id) {
                    // The server tried it on a copy before it made this a change, so it cannot fail.
                    let _ = batch::run(spreadsheet, user, requests, *salt);
                }
            }
            GoogleChange::ValuesWritten { id, user, data, entered } => {
                if let Some(spreadsheet) = self.spreadsheets.get_mut(id) {
                    let _ = values::write(spreadsheet, user, data, *entered);
                }
            }
        }
    }
}

impl Spreadsheet {
    fn new(title: &str, sheet_id: i64, time_zone: &str) -> Self {
        Self {
            title: title.to_owned(),
            locale: "en_US".to_owned(),
            time_zone: time_zone.to_owned(),
            shared_with: BTreeSet::new(),
            readers: BTreeSet::new(),
            sheets: vec![Sheet::new(sheet_id, "Sheet1")],
            last_protected_id: 0,
        }
    }

    /// The tab with this title.
    pub fn sheet(&self, title: &str) -> Option<&Sheet> {
        self.sheets.iter().find(|sheet| sheet.title == title)
    }

    /// Cells of all grids together, used or not.
    pub fn cell_count(&self) -> usize {
        self.sheets.iter().map(|sheet| sheet.row_count * sheet.column_count).sum()
    }
}

impl Sheet {
    /// An empty tab of the usual size.
    pub fn new(sheet_id: i64, title: &str) -> Self {
        Self {
            sheet_id,
            title: title.to_owned(),
            row_count: 1000,
            column_count: 26,
            frozen_row_count: 0,
            rows: Vec::new(),
            basic_filter: None,
            protected: Vec::new(),
        }
    }

    /// The cell, if that part of the grid was ever used.
    pub fn cell(&self, row: usize, column: usize) -> Option<&Cell> {
        self.rows.get(row)?.get(column)
    }

    /// The cell to write to; the caller has checked that it is within the grid.
    pub fn cell_mut(&mut self, row: usize, column: usize) -> &mut Cell {
        let cells = self.row_mut(row);
        if cells.len() <= column {
            cells.resize_with(column + 1, Cell::default);
        }
        &mut cells[column]
    }

    /// The row to write to; the caller has checked that it is within the grid.
    pub fn row_mut(&mut self, row: usize) -> &mut Vec<Cell> {
        if self.rows.len() <= row {
            self.rows.resize_with(row + 1, Arc::default);
        }
        Arc::make_mut(&mut self.rows[row])
    }

    /// How many rows hold a value, counted to the last one that does.
    pub fn used_rows(&self) -> usize {
        let holds = |row: &Arc<Vec<Cell>>| row.iter().any(|cell| cell.value.is_some());
        self.rows.iter().rposition(holds).map_or(0, |at| at + 1)
    }
}
