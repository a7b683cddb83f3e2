//! Cells, ranges and requests: ours, and what Google calls them.
//!
//! Two rules keep rows in order. A cell is never null: google-sheets4 drops nulls from lists, which would shift
//! every later cell of the row to the left; an empty cell is an empty object. And text is always a
//! `stringValue`: it is never read as a formula, so a buyer who calls himself `=IMPORTDATA(...)` is just that.

use chrono::{NaiveDate, NaiveDateTime, NaiveTime};
use google_sheets4::FieldMask;
use google_sheets4::api::{
    AddSheetRequest, AppendCellsRequest, AppendDimensionRequest, BasicFilter, CellData, CellFormat,
    DeleteDimensionRequest, DeleteSheetRequest, DimensionRange, DuplicateSheetRequest, ExtendedValue,
    GridCoordinate, GridProperties, GridRange, NumberFormat, RepeatCellRequest, Request, RowData,
    SetBasicFilterRequest, SheetProperties, UpdateCellsRequest, UpdateSheetPropertiesRequest,
};
use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive;

/// The most that a cell holds, in UTF-16 units to be on the safe side.
const TEXT_LIMIT: usize = 50_000;

/// Rows of a new tab; appending grows it.
const NEW_TAB_ROWS: i32 = 1_000;

/// What to write into one cell.
#[derive(Debug, Clone, PartialEq)]
pub enum Cell {
    /// Nothing: written, it clears the cell.
    Empty,
    /// Text as it is. Control characters are left out, and what is beyond 50,000 characters.
    Text(String),
    /// A number.
    Number(Decimal),
    /// True or false.
    Bool(bool),
    /// Days since 30 December 1899, local to the spreadsheet; see [`Cell::date_time`].
    DateTime(f64),
}

impl Cell {
    /// An instant as it is shown on a clock in the spreadsheet's time zone.
    pub fn date_time(local: NaiveDateTime) -> Self {
        let epoch = NaiveDate::from_ymd_opt(1899, 12, 30).expect("a date of the calendar");
        let days = i32::try_from((local.date() - epoch).num_days()).unwrap_or(0);
        let into_day = u32::try_from((local.time() - NaiveTime::MIN).num_seconds()).unwrap_or(0);
        Self::DateTime(f64::from(days) + f64::from(into_day) / 86_400.0)
    }

    fn into_google(self) -> CellData {
        let value = match self {
            Self::Empty => None,
            Self::Text(text) => Some(shown_text(&text))
                .filter(|text| !text.is_empty())
                .map(|text| ExtendedValue { string_value: Some(text), ..ExtendedValue::default() }),
            Self::Number(number) => number.to_f64().map(number_value),
            Self::DateTime(serial) => Some(serial).filter(|serial| serial.is_finite()).map(number_value),
            Self::Bool(value) => Some(ExtendedValue { bool_value: Some(value), ..ExtendedValue::default() }),
        };
        CellData { user_entered_value: value, ..CellData::default() }
    }
}

fn number_value(number: f64) -> ExtendedValue {
    ExtendedValue { number_value: Some(number), ..ExtendedValue::default() }
}

/// Text as a cell can hold it: what is read back of a cell that was written with `text`.
pub fn shown_text(text: &str) -> String {
    let mut units = 0;
    text.chars()
        .filter(|c| !c.is_control() || matches!(c, '\n' | '\t'))
        .take_while(|c| {
            units += c.len_utf16();
            units <= TEXT_LIMIT
        })
        .collect()
}

/// What a cell holds.
#[derive(Debug, Clone, PartialEq)]
pub enum CellValue {
    /// Nothing.
    Empty,
    /// Text; also the text of an error, for example `#REF!`.
    Text(String),
    /// A number or a date.
    Number(f64),
    /// True or false.
    Bool(bool),
}

impl CellValue {
    pub(super) fn from_google(value: serde_json::Value) -> Self {
        match value {
            serde_json::Value::String(text) if text.is_empty() => Self::Empty,
            serde_json::Value::String(text) => Self::Text(text),
            serde_json::Value::Number(number) => number.as_f64().map_or(Self::Empty, Self::Number),
            serde_json::Value::Bool(value) => Self::Bool(value),
            _ => Self::Empty,
        }
    }

    /// The text, if it is one.
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }
}

/// A change. Rows and columns count from 0; a tab is named by its `sheet_id`, which renaming does not change.
#[derive(Debug, Clone, PartialEq)]
pub enum SheetRequest {
    /// A new tab with so many columns.
    AddTab {
        /// Its name.
        title: String,
        /// How many columns it has.
        columns: i32,
    },
    /// A copy of a tab with everything in it.
    CopyTab {
        /// The tab to copy.
        sheet_id: i32,
        /// The copy's name.
        title: String,
    },
    /// Gives a tab another name.
    RenameTab {
        /// The tab.
        sheet_id: i32,
        /// Its new name.
        title: String,
    },
    /// Removes a tab and everything in it.
    DeleteTab {
        /// The tab.
        sheet_id: i32,
    },
    /// Removes a row; those below move up.
    DeleteRow {
        /// The tab.
        sheet_id: i32,
        /// The row.
        row: i32,
    },
    /// Writes cells from this one on, to the right and down. [`Cell::Empty`] clears; formats stay.
    UpdateCells {
        /// The tab.
        sheet_id: i32,
        /// Row of the first cell.
        row: i32,
        /// Column of the first cell.
        column: i32,
        /// The cells, row by row.
        rows: Vec<Vec<Cell>>,
    },
    /// Writes rows below the last one that holds anything. The tab grows by rows, not by columns.
    AppendRows {
        /// The tab.
        sheet_id: i32,
        /// The rows, each from column 0.
        rows: Vec<Vec<Cell>>,
    },
    /// Adds empty columns at the right.
    AppendColumns {
        /// The tab.
        sheet_id: i32,
        /// How many.
        count: i32,
    },
    /// Keeps the first rows in sight.
    FreezeRows {
        /// The tab.
        sheet_id: i32,
        /// How many.
        count: i32,
    },
    /// Puts a filter over the first row. Replaces a filter that is there: for new tabs only.
    SetBasicFilter {
        /// The tab.
        sheet_id: i32,
        /// Over so many columns.
        columns: i32,
    },
    /// How the numbers of a column are shown, except in the first row.
    ColumnFormat {
        /// The tab.
        sheet_id: i32,
        /// The column.
        column: i32,
        /// What the numbers are.
        kind: FormatKind,
        /// Google's pattern, for example `yyyy-mm-dd hh:mm` or `#,##0.00`.
        pattern: String,
    },
}

/// What the numbers of a column are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FormatKind {
    /// Amounts and counts.
    Number,
    /// Instants.
    DateTime,
    /// Text that looks like a number and is none.
    Text,
}

impl SheetRequest {
    pub(super) fn into_google(self) -> Request {
        match self {
            Self::AddTab { title, columns } => add_tab(title, columns),
            Self::CopyTab { sheet_id, title } => Request {
                duplicate_sheet: Some(DuplicateSheetRequest {
                    source_sheet_id: Some(sheet_id),
                    new_sheet_name: Some(title),
                    ..DuplicateSheetRequest::default()
                }),
                ..Request::default()
            },
            Self::RenameTab { sheet_id, title } => rename_tab(sheet_id, title),
            Self::DeleteTab { sheet_id } => Request {
                delete_sheet: Some(DeleteSheetRequest { sheet_id: Some(sheet_id) }),
                ..Request::default()
            },
            Self::DeleteRow { sheet_id, row } => delete_row(sheet_id, row),
            Self::UpdateCells { sheet_id, row, column, rows } => update_cells(sheet_id, row, column, rows),
            Self::AppendRows { sheet_id, rows } => Request {
                append_cells: Some(AppendCellsRequest {
                    sheet_id: Some(sheet_id),
                    rows: Some(google_rows(rows)),
                    fields: Some(mask("userEnteredValue")),
                    ..AppendCellsRequest::default()
                }),
                ..Request::default()
            },
            Self::AppendColumns { sheet_id, count } => Request {
                append_dimension: Some(AppendDimensionRequest {
                    sheet_id: Some(sheet_id),
                    dimension: Some("COLUMNS".to_owned()),
                    length: Some(count),
                }),
                ..Request::default()
            },
            Self::FreezeRows { sheet_id, count } => freeze_rows(sheet_id, count),
            Self::SetBasicFilter { sheet_id, columns } => Request {
                set_basic_filter: Some(SetBasicFilterRequest {
                    filter: Some(BasicFilter {
                        range: Some(GridRange {
                            sheet_id: Some(sheet_id),
                            start_row_index: Some(0),
                            start_column_index: Some(0),
                            end_column_index: Some(columns),
                            ..GridRange::default()
                        }),
                        ..BasicFilter::default()
                    }),
                }),
                ..Request::default()
            },
            Self::ColumnFormat { sheet_id, column, kind, pattern } => {
                column_format(sheet_id, column, kind, pattern)
            }
        }
    }
}

fn add_tab(title: String, columns: i32) -> Request {
    let grid = GridProperties {
        row_count: Some(NEW_TAB_ROWS),
        column_count: Some(columns),
        ..GridProperties::default()
    };
    Request {
        add_sheet: Some(AddSheetRequest {
            properties: Some(SheetProperties {
                title: Some(title),
                grid_properties: Some(grid),
                ..SheetProperties::default()
            }),
        }),
        ..Request::default()
    }
}

fn update_cells(sheet_id: i32, row: i32, column: i32, rows: Vec<Vec<Cell>>) -> Request {
    Request {
        update_cells: Some(UpdateCellsRequest {
            start: Some(GridCoordinate {
                sheet_id: Some(sheet_id),
                row_index: Some(row),
                column_index: Some(column),
            }),
            rows: Some(google_rows(rows)),
            fields: Some(mask("userEnteredValue")),
            ..UpdateCellsRequest::default()
        }),
        ..Request::default()
    }
}

fn rename_tab(sheet_id: i32, title: String) -> Request {
    Request {
        update_sheet_properties: Some(UpdateSheetPropertiesRequest {
            properties: Some(SheetProperties {
                sheet_id: Some(sheet_id),
                title: Some(title),
                ..SheetProperties::default()
            }),
            fields: Some(mask("title")),
        }),
        ..Request::default()
    }
}

fn delete_row(sheet_id: i32, row: i32) -> Request {
    Request {
        delete_dimension: Some(DeleteDimensionRequest {
            range: Some(DimensionRange {
                sheet_id: Some(sheet_id),
                dimension: Some("ROWS".to_owned()),
                start_index: Some(row),
                end_index: Some(row + 1),
            }),
        }),
        ..Request::default()
    }
}

fn freeze_rows(sheet_id: i32, count: i32) -> Request {
    Request {
        update_sheet_properties: Some(UpdateSheetPropertiesRequest {
            properties: Some(SheetProperties {
                sheet_id: Some(sheet_id),
                grid_properties: Some(GridProperties {
                    frozen_row_count: Some(count),
                    ..GridProperties::default()
                }),
                ..SheetProperties::default()
            }),
            fields: Some(mask("gridProperties.frozenRowCount")),
        }),
        ..Request::default()
    }
}

fn column_format(sheet_id: i32, column: i32, kind: FormatKind, pattern: String) -> Request {
    let type_ = match kind {
        FormatKind::Number => "NUMBER",
        FormatKind::DateTime => "DATE_TIME",
        FormatKind::Text => "TEXT",
    };
    let format = NumberFormat { type_: Some(type_.to_owned()), pattern: Some(pattern) };
    Request {
        repeat_cell: Some(RepeatCellRequest {
            range: Some(GridRange {
                sheet_id: Some(sheet_id),
                start_row_index: Some(1),
                start_column_index: Some(column),
                end_column_index: Some(column + 1),
                ..GridRange::default()
            }),
            cell: Some(CellData {
                user_entered_format: Some(CellFormat {
                    number_format: Some(format),
                    ..CellFormat::default()
                }),
                ..CellData::default()
            }),
            fields: Some(mask("userEnteredFormat.numberFormat")),
        }),
        ..Request::default()
    }
}

fn google_rows(rows: Vec<Vec<Cell>>) -> Vec<RowData> {
    rows.into_iter()
        .map(|row| RowData { values: Some(row.into_iter().map(Cell::into_google).collect()) })
        .collect()
}

fn mask(fields: &str) -> FieldMask {
    let Ok(mask) = fields.parse();
    mask
}

/// A range of a tab in A1 notation, whatever characters the tab's name has: `'Tom''s orders'!A2:A`.
pub fn a1_range(tab: &str, range: &str) -> String {
    format!("'{}'!{range}", tab.replace('\'', "''"))
}

/// The letters of a column: 0 is `A`, 26 is `AA`.
pub fn column_letters(index: usize) -> String {
    let last = char::from(b'A' + u8::try_from(index % 26).unwrap_or(0));
    match index / 26 {
        0 => last.to_string(),
        rest => format!("{}{last}", column_letters(rest - 1)),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn sent(cell: Cell) -> serde_json::Value {
        let mut value = serde_json::to_value(cell.into_google()).unwrap();
        google_sheets4::common::remove_json_null_values(&mut value);
        value
    }

    #[test]
    fn text_is_never_a_formula() {
        assert_eq!(sent(Cell::Text("=1+1".into())), json!({"userEnteredValue": {"stringValue": "=1+1"}}));
        assert_eq!(sent(Cell::Text("007".into())), json!({"userEnteredValue": {"stringValue": "007"}}));
        assert_eq!(sent(Cell::Text("\u{0}\u{1b}".into())), json!({}));
        assert_eq!(sent(Cell::Empty), json!({}));
    }

    #[test]
    fn text_is_cut_between_characters() {
        let cut = shown_text(&"😀".repeat(30_000));
        assert_eq!(cut.encode_utf16().count(), 50_000);
        assert_eq!(shown_text("a\r\nb\tc"), "a\nb\tc");
    }

    #[test]
    fn numbers_and_instants_are_numbers() {
        assert_eq!(
            sent(Cell::Number("119.90".parse().unwrap())),
            json!({"userEnteredValue": {"numberValue": 119.9}})
        );
        assert_eq!(sent(Cell::DateTime(f64::NAN)), json!({}));
        let noon = NaiveDate::from_ymd_opt(2026, 11, 21).unwrap().and_hms_opt(12, 0, 0).unwrap();
        assert_eq!(Cell::date_time(noon), Cell::DateTime(46_347.5));
    }

    #[test]
    fn ranges_are_quoted() {
        assert_eq!(a1_range("Orders", "1:1"), "'Orders'!1:1");
        assert_eq!(a1_range("Tom's #1/2", "A2:A"), "'Tom''s #1/2'!A2:A");
        let letters: Vec<_> = [0, 25, 26, 701, 702].into_iter().map(column_letters).collect();
        assert_eq!(letters, ["A", "Z", "AA", "ZZ", "AAA"]);
    }
}
