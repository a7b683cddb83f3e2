//! Whether the tabs of a spreadsheet can be written to as they are. Only looks.

use crate::clients::sheets::{CellValue, Major, SheetsClient, SheetsError, SpreadsheetInfo, a1_range};
use crate::jobs::sheet::columns::{ITEMS, Layout, ORDERS};
use crate::jobs::sheet::plan::value_text;

/// What is wrong with the tabs of ours that are there, each with what to do about it. A tab that is not there is
/// made with the first order.
///
/// # Errors
/// When Google refuses the read.
pub async fn faults(
    client: &SheetsClient,
    id: &str,
    info: &SpreadsheetInfo,
) -> Result<Vec<(String, String)>, SheetsError> {
    let ours: Vec<_> = [&ORDERS, &ITEMS]
        .into_iter()
        .filter_map(|spec| {
            let tab = info.tabs.iter().find(|tab| tab.title.trim().eq_ignore_ascii_case(spec.title))?;
            Some((spec, tab))
        })
        .collect();
    if ours.is_empty() {
        return Ok(Vec::new());
    }
    let ranges: Vec<String> = ours.iter().map(|(_, tab)| a1_range(&tab.title, "1:1")).collect();
    let read = client.read_ranges(id, &ranges, Major::Rows).await?;
    let mut faults = Vec::new();
    for ((spec, tab), rows) in ours.into_iter().zip(read) {
        let first: Vec<CellValue> = rows.into_iter().next().unwrap_or_default();
        let header: Vec<String> = first.iter().map(|value| value_text(Some(value))).collect();
        let width = usize::try_from(tab.column_count).unwrap_or(0);
        match Layout::read(spec, &header, width) {
            Ok(_) => {}
            Err(SheetsError::Configuration { message, remedy }) => faults.push((message, remedy)),
            Err(error) => return Err(error),
        }
    }
    Ok(faults)
}
