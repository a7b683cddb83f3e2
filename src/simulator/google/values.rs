//! Values by A1 ranges.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::batch::{GridRange, guard};
use super::render::{self, Rendering};
use super::{Call, Outcome, Refusal, a1, batch};
use crate::simulator::shared::Tx;
use crate::simulator::state::google::{CellValue, GoogleChange, Spreadsheet};

/// Values with the place they are at.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct ValueRange {
    #[serde(default)]
    range: String,
    #[serde(default)]
    major_dimension: Major,
    #[serde(default)]
    values: Vec<Vec<Value>>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
enum Major {
    #[default]
    Rows,
    Columns,
}

/// `GET …/values/{range}`
pub(super) fn get(call: &Call<'_>, tx: &mut Tx<'_>, range: &str) -> Outcome {
    read(call, call.spreadsheet(tx)?, range)
}

/// `GET …/values:batchGet`
pub(super) fn batch_get(call: &Call<'_>, tx: &mut Tx<'_>) -> Outcome {
    let spreadsheet = call.spreadsheet(tx)?;
    let ranges: Result<Vec<Value>, Refusal> =
        call.all("ranges").map(|range| read(call, spreadsheet, range)).collect();
    let mut reply = json!({"spreadsheetId": call.id});
    reply["valueRanges"] = ranges?.into();
    Ok(reply)
}

/// One range. Blanks at the end of a row and rows at the end of the range are left out.
fn read(call: &Call<'_>, spreadsheet: &Spreadsheet, text: &str) -> Outcome {
    let (at, range) = a1::parse(spreadsheet, text).map_err(Refusal::Invalid)?;
    let sheet = &spreadsheet.sheets[at];
    let rendering = match call.query("valueRenderOption") {
        None | Some("FORMATTED_VALUE") => Rendering::Formatted,
        Some("UNFORMATTED_VALUE") => Rendering::Unformatted,
        Some("FORMULA") => Rendering::Formula,
        Some(other) => {
            return Err(Refusal::invalid(format!("Invalid value at 'value_render_option': {other}")));
        }
    };
    let by_columns = match call.query("majorDimension") {
        None | Some("ROWS" | "DIMENSION_UNSPECIFIED") => false,
        Some("COLUMNS") => true,
        Some(other) => return Err(Refusal::invalid(format!("Invalid value at 'major_dimension': {other}"))),
    };
    let (rows, columns) = range.within(sheet);
    // What was never used is blank, so there is no need to walk it.
    let rows = rows.start..rows.end.min(sheet.rows.len()).max(rows.start);
    let shown = |row: usize, column: usize| render::value(sheet.cell(row, column), rendering);
    let lists: Vec<Vec<Value>> = if by_columns {
        columns.map(|column| rows.clone().map(|row| shown(row, column)).collect()).collect()
    } else {
        rows.map(|row| columns.clone().map(|column| shown(row, column)).collect()).collect()
    };
    let lists = without_trailing(
        lists.into_iter().map(|list| without_trailing(list, |one| *one == "")).collect(),
        Vec::is_empty,
    );
    let major = if by_columns { "COLUMNS" } else { "ROWS" };
    let mut reply = json!({"range": a1::write(sheet, &range), "majorDimension": major});
    if !lists.is_empty() {
        reply["values"] = lists.into();
    }
    Ok(reply)
}

fn without_trailing<T>(mut list: Vec<T>, blank: impl Fn(&T) -> bool) -> Vec<T> {
    while list.last().is_some_and(&blank) {
        list.pop();
    }
    list
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct BatchBody {
    value_input_option: Option<String>,
    #[serde(default)]
    data: Vec<ValueRange>,
}

/// `POST …/values:batchUpdate`
pub(super) fn batch_update(call: &Call<'_>, tx: &mut Tx<'_>) -> Outcome {
    let body: BatchBody = call.body()?;
    let entered = entered(body.value_input_option.as_deref())?;
    let responses = commit(call, tx, &body.data, entered)?;
    let total: u64 = responses.iter().filter_map(|one| one["updatedCells"].as_u64()).sum();
    Ok(json!({"spreadsheetId": call.id, "totalUpdatedCells": total, "responses": responses}))
}

/// `PUT …/values/{range}`
pub(super) fn put(call: &Call<'_>, tx: &mut Tx<'_>, range: &str) -> Outcome {
    let entered = entered(call.query("valueInputOption"))?;
    let mut body: ValueRange = call.body()?;
    range.clone_into(&mut body.range);
    let mut responses = commit(call, tx, &[body], entered)?;
    Ok(responses.pop().unwrap_or_default())
}

/// `POST …/values/{range}:append`
pub(super) fn append(call: &Call<'_>, tx: &mut Tx<'_>, range: &str) -> Outcome {
    let entered = entered(call.query("valueInputOption"))?;
    let mut body: ValueRange = call.body()?;
    if body.major_dimension == Major::Columns {
        return Err(Refusal::Unknown("append by columns".into()));
    }
    let spreadsheet = call.spreadsheet(tx)?;
    let (at, table) = a1::parse(spreadsheet, range).map_err(Refusal::Invalid)?;
    let sheet = &spreadsheet.sheets[at];
    // The table is taken to begin at the range's corner and to end at the last row used in its columns.
    let (_, columns) = table.within(sheet);
    let holds = |row: &usize| {
        columns.clone().any(|column| sheet.cell(*row, column).is_some_and(|cell| cell.value.is_some()))
    };
    let first =
        (0..sheet.rows.len()).rev().find(holds).map_or(table.start_row_index.unwrap_or(0), |row| row + 1);
    let last = first + body.values.len();
    let mut changes = Vec::new();
    let id = sheet.sheet_id;
    if call.query("insertDataOption") == Some("INSERT_ROWS") && first < sheet.row_count {
        changes.push(json!({"insertDimension": {"range": {"sheetId": id, "dimension": "ROWS",
            "startIndex": first, "endIndex": last}, "inheritFromBefore": first > 0}}));
    } else if last > sheet.row_count {
        let length = last - sheet.row_count;
        changes.push(json!({"appendDimension": {"sheetId": id, "dimension": "ROWS", "length": length}}));
    }
    let target = GridRange {
        sheet_id: id,
        start_row_index: Some(first),
        end_row_index: Some(last),
        start_column_index: Some(columns.start),
        end_column_index: None,
    };
    let mut grown = sheet.clone();
    grown.row_count = grown.row_count.max(last);
    body.range = a1::write(&grown, &target);
    let mut copy = spreadsheet.clone();
    let grow = if changes.is_empty() {
        None
    } else {
        let requests = raw(&changes)?;
        batch::run(&mut copy, &call.user, &requests, 0)?;
        Some(requests)
    };
    // Tried as a whole before any of it happens.
    write(&mut copy, &call.user, &raw(&[&body])?, entered)?;
    drop(copy);
    if let Some(requests) = grow {
        let (id, user) = (call.id.clone(), call.user.clone());
        tx.record(GoogleChange::Batch { id, user, requests, salt: 0 });
    }
    let mut responses = commit(call, tx, &[body], entered)?;
    Ok(json!({"spreadsheetId": call.id, "updates": responses.pop().unwrap_or_default()}))
}

fn raw<T: Serialize + ?Sized>(value: &T) -> Result<Box<RawValue>, Refusal> {
    serde_json::value::to_raw_value(value).map_err(|error| Refusal::invalid(error.to_string()))
}

/// `POST …/values/{range}:clear`
pub(super) fn clear(call: &Call<'_>, tx: &mut Tx<'_>, range: &str) -> Outcome {
    let spreadsheet = call.spreadsheet(tx)?;
    let (at, cleared) = a1::parse(spreadsheet, range).map_err(Refusal::Invalid)?;
    let written = a1::write(&spreadsheet.sheets[at], &cleared);
    let requests = json!([{"updateCells": {"range": cleared, "fields": "userEnteredValue"}}]);
    let requests = raw(&requests)?;
    batch::run(&mut spreadsheet.clone(), &call.user, &requests, 0)?;
    let (id, user) = (call.id.clone(), call.user.clone());
    tx.record(GoogleChange::Batch { id, user, requests, salt: 0 });
    Ok(json!({"spreadsheetId": call.id, "clearedRange": written}))
}

/// Whether values are read as if typed.
fn entered(option: Option<&str>) -> Result<bool, Refusal> {
    match option {
        Some("RAW") => Ok(false),
        Some("USER_ENTERED") => Ok(true),
        _ => Err(Refusal::invalid("'valueInputOption' is required but not specified")),
    }
}

fn commit(
    call: &Call<'_>,
    tx: &mut Tx<'_>,
    data: &[ValueRange],
    entered: bool,
) -> Result<Vec<Value>, Refusal> {
    let data = raw(data)?;
    let mut copy = call.spreadsheet(tx)?.clone();
    let mut responses = write(&mut copy, &call.user, &data, entered)?;
    drop(copy);
    for response in &mut responses {
        response["spreadsheetId"] = call.id.clone().into();
    }
    let (id, user) = (call.id.clone(), call.user.clone());
    tx.record(GoogleChange::ValuesWritten { id, user, data, entered });
    Ok(responses)
}

/// Writes values; null leaves a cell as it is. On an error `spreadsheet` is spoiled: work on a copy.
pub fn write(
    spreadsheet: &mut Spreadsheet,
    user: &str,
    data: &RawValue,
    entered: bool,
) -> Result<Vec<Value>, Refusal> {
    let data: Vec<ValueRange> =
        serde_json::from_str(data.get()).map_err(|error| Refusal::invalid(error.to_string()))?;
    data.iter().map(|one| write_range(spreadsheet, user, one, entered)).collect()
}

fn write_range(spreadsheet: &mut Spreadsheet, user: &str, data: &ValueRange, entered: bool) -> Outcome {
    let (at, range) = a1::parse(spreadsheet, &data.range).map_err(Refusal::Invalid)?;
    let sheet = &mut spreadsheet.sheets[at];
    let (rows, columns) = range.within(sheet);
    // A single cell is a corner: values may reach beyond it.
    let corner = rows.len() == 1 && columns.len() == 1;
    let (mut cells, mut last) = (0u64, (rows.start, columns.start));
    for (major, list) in data.values.iter().enumerate() {
        for (minor, value) in list.iter().enumerate() {
            let (down, right) =
                if data.major_dimension == Major::Columns { (minor, major) } else { (major, minor) };
            let (row, column) = (rows.start + down, columns.start + right);
            let inside = if corner {
                row < sheet.row_count && column < sheet.column_count
            } else {
                rows.contains(&row) && columns.contains(&column)
            };
            if !inside {
                return Err(Refusal::invalid(format!(
                    "Requested writing within range [{}], but tried writing to row [{}] column [{}]",
                    data.range,
                    row + 1,
                    column + 1
                )));
            }
            guard(sheet, user, &(row..row + 1), &(column..column + 1))?;
            last = (last.0.max(row), last.1.max(column));
            if !value.is_null() {
                sheet.cell_mut(row, column).value = cell_value(value, entered)?;
                cells += 1;
            }
        }
    }
    let written = GridRange {
        sheet_id: sheet.sheet_id,
        start_row_index: Some(rows.start),
        end_row_index: Some(last.0 + 1),
        start_column_index: Some(columns.start),
        end_column_index: Some(last.1 + 1),
    };
    Ok(json!({"updatedRange": a1::write(sheet, &written), "updatedRows": last.0 + 1 - rows.start,
        "updatedColumns": last.1 + 1 - columns.start, "updatedCells": cells}))
}

/// The typed value; none for a blank.
fn cell_value(value: &Value, entered: bool) -> Result<Option<CellValue>, Refusal> {
    Ok(match value {
        Value::Null => None,
        Value::Bool(flag) => Some(CellValue::Bool(*flag)),
        Value::Number(number) => number.as_f64().map(CellValue::Number),
        Value::String(text) if text.is_empty() => None,
        Value::String(text) if entered => Some(typed(text)),
        Value::String(text) => Some(CellValue::Text(text.clone())),
        Value::Array(_) | Value::Object(_) => {
            return Err(Refusal::invalid("Invalid values: a cell takes text, a number, a boolean or null."));
        }
    })
}

/// What becomes of text that is typed into a cell.
fn typed(text: &str) -> CellValue {
    if text.starts_with(['=', '+']) && text.len() > 1 {
        return CellValue::Formula(format!("={}", &text[1..]));
    }
    if let Some(literal) = text.strip_prefix('\'') {
        return CellValue::Text(literal.to_owned());
    }
    match text.to_uppercase().as_str() {
        "TRUE" => CellValue::Bool(true),
        "FALSE" => CellValue::Bool(false),
        _ => text.parse().map_or_else(|_| CellValue::Text(text.to_owned()), CellValue::Number),
    }
}
