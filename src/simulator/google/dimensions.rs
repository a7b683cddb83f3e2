//! Requests that move, add and remove rows and columns.

use std::cmp::Ordering;
use std::ops::Range;
use std::sync::Arc;

use serde::Deserialize;
use serde_json::Value;

use super::Refusal;
use super::batch::{GridRange, Step, guard, no_reply};
use super::cells::grow_rows;
use crate::simulator::state::google::{Cell, CellValue, Sheet};

#[derive(Deserialize, Clone, Copy, PartialEq, Eq)]
#[serde(rename_all = "UPPERCASE")]
enum Dimension {
    Rows,
    Columns,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct DimensionRange {
    #[serde(default)]
    sheet_id: i64,
    dimension: Dimension,
    start_index: Option<usize>,
    end_index: Option<usize>,
}

impl DimensionRange {
    fn bounded(&self, sheet: &Sheet) -> Result<Range<usize>, Refusal> {
        let count = match self.dimension {
            Dimension::Rows => sheet.row_count,
            Dimension::Columns => sheet.column_count,
        };
        let range = self.start_index.unwrap_or(0)..self.end_index.unwrap_or(count);
        if range.start >= range.end {
            return Err(Refusal::invalid("endIndex must be greater than startIndex."));
        }
        if range.start > count {
            return Err(Refusal::invalid(format!("range.startIndex[{}] is too large", range.start)));
        }
        Ok(range)
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct InsertDimension {
    range: DimensionRange,
    #[serde(default)]
    inherit_from_before: bool,
}

/// `insertDimension`
pub(super) fn insert(step: &mut Step<'_>, request: &InsertDimension) -> Result<Value, Refusal> {
    let user = step.user;
    let sheet = step.sheet(request.range.sheet_id)?;
    let range = request.range.bounded(sheet)?;
    if request.inherit_from_before && range.start == 0 {
        return Err(Refusal::invalid("inheritFromBefore cannot be true when inserting at index 0."));
    }
    let like = if request.inherit_from_before { range.start - 1 } else { range.start };
    let format_only = |cell: &Cell| Cell { format: cell.format.clone(), ..Cell::default() };
    match request.range.dimension {
        Dimension::Rows => {
            guard(sheet, user, &range, &(0..sheet.column_count))?;
            sheet.row_count += range.len();
            if range.start < sheet.rows.len() {
                let model = sheet.rows.get(like).map(Arc::clone).unwrap_or_default();
                let blank: Vec<Cell> = model.iter().map(format_only).collect();
                let new = range.clone().map(|_| Arc::new(blank.clone()));
                sheet.rows.splice(range.start..range.start, new);
            }
        }
        Dimension::Columns => {
            guard(sheet, user, &(0..sheet.row_count), &range)?;
            sheet.column_count += range.len();
            for row in &mut sheet.rows {
                if range.start < row.len() {
                    let blank = row.get(like).map(format_only).unwrap_or_default();
                    let new = range.clone().map(|_| blank.clone());
                    Arc::make_mut(row).splice(range.start..range.start, new);
                }
            }
        }
    }
    Ok(no_reply())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct DeleteDimension {
    range: DimensionRange,
}

/// `deleteDimension`
pub(super) fn delete(step: &mut Step<'_>, request: &DeleteDimension) -> Result<Value, Refusal> {
    let user = step.user;
    let sheet = step.sheet(request.range.sheet_id)?;
    let range = request.range.bounded(sheet)?;
    match request.range.dimension {
        Dimension::Rows => {
            let range = range.start..range.end.min(sheet.row_count);
            guard(sheet, user, &range, &(0..sheet.column_count))?;
            if range.len() >= sheet.row_count - sheet.frozen_row_count {
                return Err(Refusal::invalid("You can't delete all the non-frozen rows on the sheet."));
            }
            sheet.row_count -= range.len();
            let length = sheet.rows.len();
            sheet.rows.drain(range.start.min(length)..range.end.min(length));
        }
        Dimension::Columns => {
            let range = range.start..range.end.min(sheet.column_count);
            guard(sheet, user, &(0..sheet.row_count), &range)?;
            if range.len() >= sheet.column_count {
                return Err(Refusal::invalid("You can't delete all the columns on the sheet."));
            }
            sheet.column_count -= range.len();
            for row in &mut sheet.rows {
                let length = row.len();
                if range.start < length {
                    Arc::make_mut(row).drain(range.start..range.end.min(length));
                }
            }
        }
    }
    Ok(no_reply())
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct AppendDimension {
    #[serde(default)]
    sheet_id: i64,
    dimension: Dimension,
    length: usize,
}

/// `appendDimension`
pub(super) fn append(step: &mut Step<'_>, request: &AppendDimension) -> Result<Value, Refusal> {
    let sheet = step.sheet(request.sheet_id)?;
    if request.length == 0 {
        return Err(Refusal::invalid("length must be greater than 0."));
    }
    match request.dimension {
        Dimension::Rows => grow_rows(sheet, sheet.row_count.saturating_add(request.length)),
        Dimension::Columns => sheet.column_count = sheet.column_count.saturating_add(request.length),
    }
    Ok(no_reply())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct AutoResize {
    dimensions: DimensionRange,
}

/// `autoResizeDimensions`: widths are not kept, so only the range is checked.
pub(super) fn auto_resize(step: &mut Step<'_>, request: &AutoResize) -> Result<Value, Refusal> {
    let sheet = step.sheet(request.dimensions.sheet_id)?;
    request.dimensions.bounded(sheet)?;
    Ok(no_reply())
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct SortRange {
    range: GridRange,
    sort_specs: Vec<SortSpec>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct SortSpec {
    #[serde(default)]
    dimension_index: usize,
    #[serde(default)]
    sort_order: SortOrder,
}

#[derive(Deserialize, Default, PartialEq, Eq)]
#[serde(rename_all = "UPPERCASE")]
enum SortOrder {
    #[default]
    Ascending,
    Descending,
}

/// `sortRange`: blanks go last, whatever the order.
pub(super) fn sort(step: &mut Step<'_>, request: &SortRange) -> Result<Value, Refusal> {
    let user = step.user;
    let sheet = step.sheet(request.range.sheet_id)?;
    let (rows, columns) = request.range.within(sheet);
    guard(sheet, user, &rows, &columns)?;
    if let Some(spec) = request.sort_specs.iter().find(|spec| !columns.contains(&spec.dimension_index)) {
        return Err(Refusal::invalid(format!("Sort column {} is not in the range.", spec.dimension_index)));
    }
    let cut = |row: usize| -> Vec<Cell> {
        columns.clone().map(|column| sheet.cell(row, column).cloned().unwrap_or_default()).collect()
    };
    let mut parts: Vec<Vec<Cell>> = rows.clone().map(cut).collect();
    parts.sort_by(|a, b| {
        request.sort_specs.iter().fold(Ordering::Equal, |order, spec| {
            let at = spec.dimension_index - columns.start;
            order.then_with(|| compare(&a[at], &b[at], spec.sort_order == SortOrder::Descending))
        })
    });
    for (row, part) in rows.zip(parts) {
        if part.iter().any(|cell| *cell != Cell::default()) || row < sheet.rows.len() {
            for (column, cell) in columns.clone().zip(part) {
                *sheet.cell_mut(row, column) = cell;
            }
        }
    }
    Ok(no_reply())
}

fn compare(a: &Cell, b: &Cell, descending: bool) -> Ordering {
    let (Some(a), Some(b)) = (&a.value, &b.value) else {
        return b.value.is_some().cmp(&a.value.is_some());
    };
    let rank = |value: &CellValue| match value {
        CellValue::Number(_) => 0,
        CellValue::Text(_) | CellValue::Formula(_) => 1,
        CellValue::Bool(_) => 2,
    };
    let order = match (a, b) {
        (CellValue::Number(a), CellValue::Number(b)) => a.total_cmp(b),
        (CellValue::Text(a) | CellValue::Formula(a), CellValue::Text(b) | CellValue::Formula(b)) => {
            a.to_lowercase().cmp(&b.to_lowercase())
        }
        (CellValue::Bool(a), CellValue::Bool(b)) => a.cmp(b),
        _ => rank(a).cmp(&rank(b)),
    };
    if descending { order.reverse() } else { order }
}
