//! Cells and ranges: ours, and what Google calls them.
//!
//! Two rules keep rows in order. A cell is never null: google-sheets4 drops nulls from lists, which would shift
//! every later cell of the row to the left; an empty cell is an empty object. And text is always a
//! `stringValue`: it is never read as a formula, so a buyer who calls himself `=IMPORTDATA(...)` is just that.

use chrono::{NaiveDate, NaiveDateTime, NaiveTime};
use google_sheets4::api::{CellData, ExtendedValue};
use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive;

/// The most that a cell holds, in UTF-16 units to be on the safe side.
const TEXT_LIMIT: usize = 50_000;

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

    pub(super) fn into_google(self) -> CellData {
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
