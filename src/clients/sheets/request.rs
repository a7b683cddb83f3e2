//! Requests of one write: ours, and what Google calls them.

use google_sheets4::FieldMask;
use google_sheets4::api::{
    AddSheetRequest, AppendCellsRequest, AppendDimensionRequest, BasicFilter, CellData, CellFormat,
    DeleteDimensionRequest, DeleteSheetRequest, DimensionRange, DuplicateSheetRequest, GridCoordinate,
    GridProperties, GridRange, NumberFormat, RepeatCellRequest, Request, RowData, SetBasicFilterRequest,
    SheetProperties, UpdateCellsRequest, UpdateSheetPropertiesRequest,
};

use super::cell::Cell;

/// Rows of a new tab; appending grows it.
const NEW_TAB_ROWS: i32 = 1_000;

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
