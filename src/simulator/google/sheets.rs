//! Requests about whole tabs, and a tab's description.

use std::collections::BTreeSet;

use serde::Deserialize;
use serde_json::{Value, json};

use super::Refusal;
use super::batch::{GridRange, Step, no_reply};
use super::cells::grow_rows;
use super::mask::Mask;
use crate::simulator::state::google::{Protected, Sheet};

/// A tab as `spreadsheets.get` shows it.
pub(super) fn view(index: usize, sheet: &Sheet) -> Value {
    let mut view = json!({"properties": properties(index, sheet)});
    if let Some(filter) = &sheet.basic_filter {
        view["basicFilter"] = filter.clone();
    }
    if !sheet.protected.is_empty() {
        let ranges = sheet.protected.iter().map(|protected| protected.source.clone());
        view["protectedRanges"] = ranges.collect();
    }
    view
}

fn properties(index: usize, sheet: &Sheet) -> Value {
    let mut grid = json!({"rowCount": sheet.row_count, "columnCount": sheet.column_count});
    if sheet.frozen_row_count > 0 {
        grid["frozenRowCount"] = sheet.frozen_row_count.into();
    }
    json!({"sheetId": sheet.sheet_id, "title": sheet.title, "index": index, "sheetType": "GRID",
        "gridProperties": grid})
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct AddSheet {
    #[serde(default)]
    properties: Properties,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct UpdateProperties {
    properties: Properties,
    #[serde(default)]
    fields: String,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
struct Properties {
    sheet_id: Option<i64>,
    title: Option<String>,
    index: Option<usize>,
    sheet_type: Option<String>,
    #[serde(rename = "gridProperties")]
    grid: GridProperties,
    hidden: Option<bool>,
    tab_color: Option<Value>,
    tab_color_style: Option<Value>,
    right_to_left: Option<bool>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
struct GridProperties {
    row_count: Option<usize>,
    column_count: Option<usize>,
    frozen_row_count: Option<usize>,
    frozen_column_count: Option<usize>,
    hide_gridlines: Option<bool>,
}

impl Step<'_> {
    fn check_title(&self, title: &str) -> Result<(), Refusal> {
        if title.is_empty() || title.chars().count() > 100 {
            return Err(Refusal::invalid("Sheet names must have 1 to 100 characters."));
        }
        if self.spreadsheet.sheets.iter().any(|sheet| sheet.title.to_lowercase() == title.to_lowercase()) {
            return Err(Refusal::invalid(format!(
                "A sheet with the name \"{title}\" already exists. Please enter another name."
            )));
        }
        Ok(())
    }

    /// The id that was asked for, or a free one.
    fn new_sheet_id(&self, asked: Option<i64>) -> Result<i64, Refusal> {
        let taken = |id: i64| self.spreadsheet.sheets.iter().any(|sheet| sheet.sheet_id == id);
        match asked {
            Some(id) if taken(id) => Err(Refusal::invalid(format!("Sheet with id {id} already exists."))),
            Some(id) if !(0..=i64::from(i32::MAX)).contains(&id) => {
                Err(Refusal::invalid("Sheet ids must be non-negative 32-bit integers."))
            }
            Some(id) => Ok(id),
            None => {
                let first = i64::try_from(self.salt % 0x7fff_0000).unwrap_or(1);
                let free = (first..=i64::from(i32::MAX)).find(|id| !taken(*id));
                free.ok_or_else(|| Refusal::invalid("No free sheet id."))
            }
        }
    }

    fn insert_sheet(&mut self, sheet: Sheet, index: Option<usize>) -> Value {
        let index = index.unwrap_or(usize::MAX).min(self.spreadsheet.sheets.len());
        let properties = properties(index, &sheet);
        self.spreadsheet.sheets.insert(index, sheet);
        properties
    }
}

/// `addSheet`
pub(super) fn add(step: &mut Step<'_>, request: AddSheet) -> Result<Value, Refusal> {
    let wanted = request.properties;
    if wanted.sheet_type.as_deref().is_some_and(|kind| kind != "GRID") {
        return Err(Refusal::Unknown("addSheet with a sheetType other than GRID".into()));
    }
    let title = wanted.title.unwrap_or_else(|| format!("Sheet{}", step.spreadsheet.sheets.len() + 1));
    step.check_title(&title)?;
    let mut sheet = Sheet::new(step.new_sheet_id(wanted.sheet_id)?, &title);
    let grid = wanted.grid;
    sheet.row_count = grid.row_count.unwrap_or(sheet.row_count).max(1);
    sheet.column_count = grid.column_count.unwrap_or(sheet.column_count).max(1);
    sheet.frozen_row_count = grid.frozen_row_count.unwrap_or(0);
    let properties = step.insert_sheet(sheet, wanted.index);
    Ok(json!({"addSheet": {"properties": properties}}))
}

/// `updateSheetProperties`
pub(super) fn update(step: &mut Step<'_>, request: UpdateProperties) -> Result<Value, Refusal> {
    let wanted = request.properties;
    let mask = Mask::parse(&request.fields).map_err(|_| {
        Refusal::invalid("At least one field must be listed in 'fields'. (Use '*' to indicate all fields.)")
    })?;
    let sheet_id = wanted.sheet_id.unwrap_or(0);
    let current = step.sheet(sheet_id)?.title.clone();
    for path in mask.paths() {
        match path.as_str() {
            "title" => {
                let title = wanted.title.clone().unwrap_or_default();
                if title.to_lowercase() != current.to_lowercase() {
                    step.check_title(&title)?;
                }
                step.sheet(sheet_id)?.title = title;
            }
            "index" => {
                let at = step.spreadsheet.sheets.iter().position(|sheet| sheet.sheet_id == sheet_id);
                let sheet = step.spreadsheet.sheets.remove(at.unwrap_or(0));
                step.insert_sheet(sheet, wanted.index);
            }
            // How it looks is not kept.
            "hidden" | "tabColor" | "tabColorStyle" | "rightToLeft" => {
                let _ = (&wanted.hidden, &wanted.tab_color, &wanted.tab_color_style, &wanted.right_to_left);
            }
            _ => update_grid(step.sheet(sheet_id)?, &wanted.grid, &path)?,
        }
    }
    Ok(no_reply())
}

fn update_grid(sheet: &mut Sheet, grid: &GridProperties, path: &str) -> Result<(), Refusal> {
    let count = |count: Option<usize>| {
        count
            .filter(|count| *count > 0)
            .ok_or_else(|| Refusal::invalid("A grid has at least one row and column."))
    };
    match path {
        "gridProperties.frozenRowCount" => {
            let frozen = grid.frozen_row_count.unwrap_or(0);
            if frozen >= sheet.row_count {
                return Err(Refusal::invalid("You can't freeze all visible rows on the sheet."));
            }
            sheet.frozen_row_count = frozen;
        }
        "gridProperties.rowCount" => {
            let count = count(grid.row_count)?;
            grow_rows(sheet, count);
            sheet.row_count = count;
            sheet.rows.truncate(count);
        }
        "gridProperties.columnCount" => {
            sheet.column_count = count(grid.column_count)?;
            for row in &mut sheet.rows {
                std::sync::Arc::make_mut(row).truncate(sheet.column_count);
            }
        }
        // How it looks is not kept.
        "gridProperties.frozenColumnCount" | "gridProperties.hideGridlines" => {
            let _ = (grid.frozen_column_count, grid.hide_gridlines);
        }
        other => return Err(Refusal::Unknown(format!("updateSheetProperties with field {other}"))),
    }
    Ok(())
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct SheetId {
    #[serde(default)]
    sheet_id: i64,
}

/// `deleteSheet`
pub(super) fn delete(step: &mut Step<'_>, request: &SheetId) -> Result<Value, Refusal> {
    step.sheet(request.sheet_id)?;
    if step.spreadsheet.sheets.len() == 1 {
        return Err(Refusal::invalid("You can't remove all the sheets in a document."));
    }
    step.spreadsheet.sheets.retain(|sheet| sheet.sheet_id != request.sheet_id);
    Ok(no_reply())
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct DuplicateSheet {
    #[serde(default)]
    source_sheet_id: i64,
    insert_sheet_index: Option<usize>,
    new_sheet_id: Option<i64>,
    new_sheet_name: Option<String>,
}

/// `duplicateSheet`
pub(super) fn duplicate(step: &mut Step<'_>, request: DuplicateSheet) -> Result<Value, Refusal> {
    let mut copy = step.sheet(request.source_sheet_id)?.clone();
    copy.title = request.new_sheet_name.unwrap_or_else(|| format!("Copy of {}", copy.title));
    step.check_title(&copy.title)?;
    copy.sheet_id = step.new_sheet_id(request.new_sheet_id)?;
    copy.protected.clear();
    let properties = step.insert_sheet(copy, request.insert_sheet_index);
    Ok(json!({"duplicateSheet": {"properties": properties}}))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SetFilter {
    filter: Value,
}

/// `setBasicFilter`
pub(super) fn set_filter(step: &mut Step<'_>, request: SetFilter) -> Result<Value, Refusal> {
    let range: GridRange = serde_json::from_value(request.filter["range"].clone())
        .map_err(|error| Refusal::invalid(format!("filter.range: {error}")))?;
    step.sheet(range.sheet_id)?.basic_filter = Some(request.filter);
    Ok(no_reply())
}

/// `clearBasicFilter`
pub(super) fn clear_filter(step: &mut Step<'_>, request: &SheetId) -> Result<Value, Refusal> {
    step.sheet(request.sheet_id)?.basic_filter = None;
    Ok(no_reply())
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct AddProtected {
    protected_range: Value,
}

/// `addProtectedRange`: only whole tabs are refused a second protection.
pub(super) fn protect(step: &mut Step<'_>, request: AddProtected) -> Result<Value, Refusal> {
    let mut source = request.protected_range;
    let range: GridRange = serde_json::from_value(source["range"].clone())
        .map_err(|error| Refusal::invalid(format!("protectedRange.range: {error}")))?;
    let warning_only = source["warningOnly"].as_bool().unwrap_or(false);
    let users = source["editors"]["users"].as_array().cloned().unwrap_or_default();
    if warning_only && !users.is_empty() {
        return Err(Refusal::invalid("A warning-only protected range cannot have editors."));
    }
    let mut editors: BTreeSet<String> = users.iter().filter_map(Value::as_str).map(str::to_owned).collect();
    if !editors.is_empty() && !editors.contains(step.user) {
        return Err(Refusal::invalid("You can't remove yourself as an editor."));
    }
    editors.insert(step.user.to_owned());
    let whole = |range: &GridRange| *range == GridRange { sheet_id: range.sheet_id, ..GridRange::default() };
    let sheet = step.sheet(range.sheet_id)?;
    if whole(&range) && sheet.protected.iter().any(|one| whole(&one.range)) {
        return Err(Refusal::invalid(format!("{} already has sheet protection.", sheet.title)));
    }
    step.spreadsheet.last_protected_id += 1;
    let id = step.spreadsheet.last_protected_id;
    source["protectedRangeId"] = id.into();
    let reply = json!({"addProtectedRange": {"protectedRange": source.clone()}});
    step.sheet(range.sheet_id)?.protected.push(Protected { id, range, editors, warning_only, source });
    Ok(reply)
}
