//! Requests that write cells.

use std::sync::Arc;

use serde::Deserialize;
use serde_json::Value;

use super::Refusal;
use super::batch::{GridRange, Step, guard, no_reply};
use super::mask::Mask;
use crate::simulator::state::google::{Cell, CellValue, Sheet};

/// The most characters of one cell.
const MOST_CHARACTERS: usize = 50_000;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct UpdateCells {
    #[serde(default)]
    rows: Vec<RowData>,
    #[serde(default)]
    fields: String,
    start: Option<GridCoordinate>,
    range: Option<GridRange>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
#[derive(Default)]
struct GridCoordinate {
    sheet_id: i64,
    row_index: usize,
    column_index: usize,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RowData {
    #[serde(default)]
    values: Vec<CellData>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
struct CellData {
    user_entered_value: Option<ExtendedValue>,
    user_entered_format: Option<Value>,
    note: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ExtendedValue {
    #[serde(rename = "stringValue")]
    text: Option<String>,
    #[serde(rename = "numberValue")]
    number: Option<f64>,
    #[serde(rename = "boolValue")]
    flag: Option<bool>,
    #[serde(rename = "formulaValue")]
    formula: Option<String>,
}

impl ExtendedValue {
    fn checked(&self) -> Result<Option<CellValue>, Refusal> {
        let mut set = [
            self.text.clone().map(CellValue::Text),
            self.number.map(CellValue::Number),
            self.flag.map(CellValue::Bool),
            self.formula.clone().map(CellValue::Formula),
        ]
        .into_iter()
        .flatten();
        let value = set.next();
        if set.next().is_some() {
            return Err(Refusal::invalid("Proto field is not repeating, cannot set two kinds of value."));
        }
        if let Some(CellValue::Text(text) | CellValue::Formula(text)) = &value
            && text.chars().count() > MOST_CHARACTERS
        {
            return Err(Refusal::invalid(
                "Your input contains more than the maximum of 50000 characters in a single cell.",
            ));
        }
        if let Some(CellValue::Formula(text)) = &value
            && !text.starts_with('=')
        {
            return Err(Refusal::invalid("A formula must start with an equals sign."));
        }
        Ok(value)
    }
}

/// What of a cell is written.
struct CellMask(Mask);

impl CellMask {
    fn parse(fields: &str) -> Result<Self, Refusal> {
        if fields.is_empty() {
            return Err(Refusal::invalid(
                "At least one field must be listed in 'fields'. (Use '*' to indicate all fields.)",
            ));
        }
        let mask = Mask::parse(fields).map_err(Refusal::Invalid)?;
        let known = ["*", "userEnteredValue", "userEnteredFormat", "note"];
        if let Some(wrong) = mask.names().find(|name| !known.contains(name)) {
            return Err(Refusal::invalid(format!("Invalid field: {wrong}")));
        }
        Ok(Self(mask))
    }

    /// Writes what the mask names; what is named and not given is cleared.
    fn write(&self, cell: &mut Cell, data: &CellData) -> Result<(), Refusal> {
        if self.0.below("userEnteredValue").is_some() {
            cell.value = data.user_entered_value.as_ref().map(ExtendedValue::checked).transpose()?.flatten();
        }
        if let Some(below) = self.0.below("userEnteredFormat") {
            below.merge(&mut cell.format, data.user_entered_format.as_ref());
        }
        if self.0.below("note").is_some() {
            cell.note.clone_from(&data.note);
        }
        Ok(())
    }
}

/// `updateCells`: from a corner, or over a range whose cells that are not given are cleared.
pub(super) fn update(step: &mut Step<'_>, request: UpdateCells) -> Result<Value, Refusal> {
    let mask = CellMask::parse(&request.fields)?;
    let user = step.user;
    let empty = CellData::default();
    match (request.start, request.range) {
        (Some(start), None) => {
            let sheet = step.sheet(start.sheet_id)?;
            write_rows(sheet, user, &mask, &request.rows, (start.row_index, start.column_index))?;
        }
        (None, Some(range)) => {
            let sheet = step.sheet(range.sheet_id)?;
            let (rows, columns) = range.within(sheet);
            guard(sheet, user, &rows, &columns)?;
            for row in rows.clone() {
                let given = request.rows.get(row - rows.start).map(|row| row.values.as_slice());
                for column in columns.clone() {
                    let data = given.and_then(|given| given.get(column - columns.start));
                    mask.write(sheet.cell_mut(row, column), data.unwrap_or(&empty))?;
                }
            }
        }
        _ => return Err(Refusal::invalid("Exactly one of 'start' and 'range' must be set.")),
    }
    Ok(no_reply())
}

fn write_rows(
    sheet: &mut Sheet,
    user: &str,
    mask: &CellMask,
    rows: &[RowData],
    (first_row, first_column): (usize, usize),
) -> Result<(), Refusal> {
    let last_row = first_row + rows.len();
    if last_row > sheet.row_count {
        return Err(Refusal::invalid(format!(
            "Attempting to write row: {}, beyond the last requested row of: {}",
            last_row - 1,
            sheet.row_count - 1
        )));
    }
    let widest = rows.iter().map(|row| row.values.len()).max().unwrap_or(0);
    let last_column = first_column + widest;
    if last_column > sheet.column_count {
        return Err(Refusal::invalid(format!(
            "Attempting to write column: {}, beyond the last requested column of: {}",
            sheet.column_count,
            sheet.column_count - 1
        )));
    }
    guard(sheet, user, &(first_row..last_row), &(first_column..last_column))?;
    for (at, row) in rows.iter().enumerate() {
        for (column, data) in row.values.iter().enumerate() {
            mask.write(sheet.cell_mut(first_row + at, first_column + column), data)?;
        }
    }
    Ok(())
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct AppendCells {
    #[serde(default)]
    sheet_id: i64,
    #[serde(default)]
    rows: Vec<RowData>,
    #[serde(default)]
    fields: String,
}

/// `appendCells`: below the last row that holds a value. The grid grows by rows, not by columns.
pub(super) fn append(step: &mut Step<'_>, request: &AppendCells) -> Result<Value, Refusal> {
    let mask = CellMask::parse(&request.fields)?;
    let user = step.user;
    let sheet = step.sheet(request.sheet_id)?;
    let first = sheet.used_rows();
    grow_rows(sheet, first + request.rows.len());
    write_rows(sheet, user, &mask, &request.rows, (first, 0))?;
    Ok(no_reply())
}

/// Makes the grid at least so long. New rows look like the last one.
pub(super) fn grow_rows(sheet: &mut Sheet, row_count: usize) {
    if row_count <= sheet.row_count {
        return;
    }
    if let Some(last) = sheet.rows.get(sheet.row_count - 1) {
        let like: Vec<Cell> =
            last.iter().map(|cell| Cell { format: cell.format.clone(), ..Cell::default() }).collect();
        if like.iter().any(|cell| cell.format.is_some()) {
            sheet.rows.resize_with(row_count, || Arc::new(like.clone()));
        }
    }
    sheet.row_count = row_count;
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct RepeatCell {
    range: GridRange,
    #[serde(default)]
    cell: CellData,
    #[serde(default)]
    fields: String,
}

/// `repeatCell`: the same for every cell of a range.
pub(super) fn repeat(step: &mut Step<'_>, request: &RepeatCell) -> Result<Value, Refusal> {
    let mask = CellMask::parse(&request.fields)?;
    let user = step.user;
    let sheet = step.sheet(request.range.sheet_id)?;
    let (rows, columns) = request.range.within(sheet);
    guard(sheet, user, &rows, &columns)?;
    for row in rows {
        for column in columns.clone() {
            mask.write(sheet.cell_mut(row, column), &request.cell)?;
        }
    }
    Ok(no_reply())
}
