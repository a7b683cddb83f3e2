//! A cell as a reader sees it.

use chrono::{DateTime, TimeDelta};
use serde_json::Value;

use crate::simulator::state::google::{Cell, CellValue};

/// Days from the spreadsheet's epoch, 1899-12-30, to 1970-01-01.
const UNIX_EPOCH_SERIAL: f64 = 25_569.0;

/// How values are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rendering {
    /// As shown.
    Formatted,
    /// Numbers as numbers.
    Unformatted,
    /// Formulas as formulas.
    Formula,
}

/// A cell's value in a reply. Formulas are not computed: they stand for themselves.
pub fn value(cell: Option<&Cell>, rendering: Rendering) -> Value {
    let Some(cell) = cell else { return "".into() };
    match (&cell.value, rendering) {
        (None, _) => "".into(),
        (Some(CellValue::Text(text) | CellValue::Formula(text)), _) => text.clone().into(),
        (Some(CellValue::Number(_) | CellValue::Bool(_)), Rendering::Formatted) => text(cell).into(),
        (Some(CellValue::Number(number)), _) => number_value(*number),
        (Some(CellValue::Bool(flag)), _) => (*flag).into(),
    }
}

/// A cell as text.
pub fn text(cell: &Cell) -> String {
    match &cell.value {
        None => String::new(),
        Some(CellValue::Text(text) | CellValue::Formula(text)) => text.clone(),
        Some(CellValue::Bool(flag)) => flag.to_string().to_uppercase(),
        Some(CellValue::Number(number)) => {
            let format = cell.format.as_ref().map(|format| &format["numberFormat"]);
            let part = |name: &str| format.and_then(|format| format[name].as_str()).unwrap_or_default();
            match (part("type"), part("pattern")) {
                ("DATE" | "TIME" | "DATE_TIME", pattern) => date(*number, pattern),
                (_, pattern) if pattern.contains('0') => decimals(*number, pattern),
                _ => number_value(*number).to_string(),
            }
        }
    }
}

/// A number as JSON; without a fraction where it has none.
#[expect(clippy::cast_possible_truncation, reason = "checked to be an integer that a double holds exactly")]
fn number_value(number: f64) -> Value {
    if number.fract() == 0.0 && number.abs() < 9e15 { (number as i64).into() } else { number.into() }
}

#[expect(clippy::cast_possible_truncation, reason = "a serial date in milliseconds fits")]
fn date(serial: f64, pattern: &str) -> String {
    let millis = ((serial - UNIX_EPOCH_SERIAL) * 86_400_000.0).round() as i64;
    let Some(time) = DateTime::UNIX_EPOCH.checked_add_signed(TimeDelta::milliseconds(millis)) else {
        return serial.to_string();
    };
    let pattern = if pattern.is_empty() { "yyyy-mm-dd hh:mm:ss" } else { pattern };
    // "mm" means minutes after hours and months elsewhere.
    let (day, clock) = match pattern.find(['h', 'H']) {
        Some(at) => pattern.split_at(at),
        None => (pattern, ""),
    };
    let day = day.replace("yyyy", "%Y").replace("mmm", "%b").replace("mm", "%m").replace("dd", "%d");
    let clock = clock.replace("hh", "%H").replace("HH", "%H").replace("mm", "%M").replace("ss", "%S");
    time.format(&format!("{day}{clock}")).to_string()
}

fn decimals(number: f64, pattern: &str) -> String {
    let places = pattern
        .split_once('.')
        .map_or(0, |(_, after)| after.chars().take_while(|character| matches!(character, '0' | '#')).count());
    let plain = format!("{number:.places$}");
    if !pattern.contains(',') {
        return plain;
    }
    let (whole, fraction) = plain.split_once('.').map_or((plain.as_str(), None), |(a, b)| (a, Some(b)));
    let (sign, digits) = whole.strip_prefix('-').map_or(("", whole), |digits| ("-", digits));
    let mut grouped = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at) % 3 == 0 {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    match fraction {
        Some(fraction) => format!("{sign}{grouped}.{fraction}"),
        None => format!("{sign}{grouped}"),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn cell(number: f64, kind: &str, pattern: &str) -> Cell {
        let format = json!({"numberFormat": {"type": kind, "pattern": pattern}});
        Cell { value: Some(CellValue::Number(number)), format: Some(format), note: None }
    }

    #[test]
    fn numbers_and_dates() {
        assert_eq!(text(&cell(45_658.5, "DATE_TIME", "yyyy-mm-dd hh:mm")), "2025-01-01 12:00");
        assert_eq!(text(&cell(1_234_567.5, "NUMBER", "#,##0.00")), "1,234,567.50");
        assert_eq!(text(&cell(12.0, "NUMBER", "0.00")), "12.00");
        let plain = Cell { value: Some(CellValue::Number(12.0)), ..Cell::default() };
        assert_eq!(value(Some(&plain), Rendering::Unformatted), json!(12));
        assert_eq!(text(&plain), "12");
    }
}
