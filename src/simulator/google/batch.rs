//! `spreadsheets.batchUpdate`: a list of requests, carried out in order or not at all.

use std::ops::Range;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::{Refusal, cells, dimensions, sheets};
use crate::simulator::state::google::{Sheet, Spreadsheet};

/// The most requests of one batch.
const MOST_REQUESTS: usize = 100_000;
/// The most cells of one spreadsheet, used or not.
const MOST_CELLS: usize = 10_000_000;

/// A range by indexes; what is left out is unbounded.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct GridRange {
    /// The tab.
    pub sheet_id: i64,
    /// First row, from 0.
    pub start_row_index: Option<usize>,
    /// Behind the last row.
    pub end_row_index: Option<usize>,
    /// First column, from 0.
    pub start_column_index: Option<usize>,
    /// Behind the last column.
    pub end_column_index: Option<usize>,
}

impl GridRange {
    /// Rows and columns, bounded by the grid.
    pub fn within(&self, sheet: &Sheet) -> (Range<usize>, Range<usize>) {
        let bounded = |start: Option<usize>, end: Option<usize>, count: usize| {
            let end = end.unwrap_or(count).min(count);
            start.unwrap_or(0).min(end)..end
        };
        (
            bounded(self.start_row_index, self.end_row_index, sheet.row_count),
            bounded(self.start_column_index, self.end_column_index, sheet.column_count),
        )
    }
}

/// Carries the requests out; the replies. On an error `spreadsheet` is spoiled: work on a copy.
pub fn run(
    spreadsheet: &mut Spreadsheet,
    user: &str,
    requests: &RawValue,
    salt: u64,
) -> Result<Vec<Value>, Refusal> {
    let invalid = |error| Refusal::invalid(format!("Invalid JSON payload received. {error}"));
    let requests: Vec<std::collections::BTreeMap<String, Box<RawValue>>> =
        serde_json::from_str(requests.get()).map_err(invalid)?;
    if requests.is_empty() {
        return Err(Refusal::invalid("Must specify at least one request."));
    }
    if requests.len() > MOST_REQUESTS {
        return Err(Refusal::invalid("Cannot exceed 100000 requests in a single batch."));
    }
    let mut replies = Vec::with_capacity(requests.len());
    for (index, request) in requests.iter().enumerate() {
        let mut kinds = request.iter();
        let (Some((kind, body)), None) = (kinds.next(), kinds.next()) else {
            return Err(Refusal::invalid(format!(
                "Invalid requests[{index}]: exactly one kind must be set."
            )));
        };
        let mut step = Step { spreadsheet, user, salt: salt.wrapping_add(index as u64) };
        let reply = step.run(kind, body).map_err(|refusal| match refusal {
            Refusal::Invalid(text) => Refusal::Invalid(format!("Invalid requests[{index}].{kind}: {text}")),
            other => other,
        })?;
        replies.push(reply);
        if spreadsheet.cell_count() > MOST_CELLS {
            return Err(Refusal::invalid(format!(
                "Invalid requests[{index}].{kind}: This action would increase the number of cells in the \
                 workbook above the limit of {MOST_CELLS} cells."
            )));
        }
    }
    Ok(replies)
}

/// One request's view of the spreadsheet.
pub(super) struct Step<'a> {
    pub(super) spreadsheet: &'a mut Spreadsheet,
    pub(super) user: &'a str,
    pub(super) salt: u64,
}

impl Step<'_> {
    fn run(&mut self, kind: &str, body: &RawValue) -> Result<Value, Refusal> {
        match kind {
            "addSheet" => sheets::add(self, parse(body)?),
            "updateSheetProperties" => sheets::update(self, parse(body)?),
            "deleteSheet" => sheets::delete(self, &parse(body)?),
            "duplicateSheet" => sheets::duplicate(self, parse(body)?),
            "setBasicFilter" => sheets::set_filter(self, parse(body)?),
            "clearBasicFilter" => sheets::clear_filter(self, &parse(body)?),
            "addProtectedRange" => sheets::protect(self, parse(body)?),
            "updateCells" => cells::update(self, parse(body)?),
            "appendCells" => cells::append(self, &parse(body)?),
            "repeatCell" => cells::repeat(self, &parse(body)?),
            "sortRange" => dimensions::sort(self, &parse(body)?),
            "insertDimension" => dimensions::insert(self, &parse(body)?),
            "deleteDimension" => dimensions::delete(self, &parse(body)?),
            "appendDimension" => dimensions::append(self, &parse(body)?),
            "autoResizeDimensions" => dimensions::auto_resize(self, &parse(body)?),
            other => Err(Refusal::Unknown(format!(
                "Invalid JSON payload received. Unknown name \"{other}\" at 'requests': Cannot find field."
            ))),
        }
    }

    pub(super) fn sheet(&mut self, sheet_id: i64) -> Result<&mut Sheet, Refusal> {
        let sheet = self.spreadsheet.sheets.iter_mut().find(|sheet| sheet.sheet_id == sheet_id);
        sheet.ok_or_else(|| Refusal::invalid(format!("No grid with id: {sheet_id}")))
    }
}

fn parse<T: DeserializeOwned>(body: &RawValue) -> Result<T, Refusal> {
    serde_json::from_str(body.get()).map_err(|error| Refusal::invalid(error.to_string()))
}

/// Refuses to touch cells that are protected against `user`.
pub(super) fn guard(
    sheet: &Sheet,
    user: &str,
    rows: &Range<usize>,
    columns: &Range<usize>,
) -> Result<(), Refusal> {
    let meets = |a: &Range<usize>, b: &Range<usize>| a.start < b.end && b.start < a.end;
    let against = sheet.protected.iter().any(|protected| {
        let (its_rows, its_columns) = protected.range.within(sheet);
        !protected.warning_only
            && !protected.editors.contains(user)
            && meets(&its_rows, rows)
            && meets(&its_columns, columns)
    });
    if against {
        return Err(Refusal::invalid(
            "You are trying to edit a protected cell or object. Please contact the spreadsheet owner to \
             remove protection if you need to edit.",
        ));
    }
    Ok(())
}

/// The empty reply that most requests have.
pub(super) fn no_reply() -> Value {
    json!({})
}
