//! Ranges as people write them: `'Orders'!A2:K`.

use super::batch::GridRange;
use crate::simulator::state::google::{Sheet, Spreadsheet};

/// The tab's position and the range that `text` names; without a tab, the first one.
pub fn parse(spreadsheet: &Spreadsheet, text: &str) -> Result<(usize, GridRange), String> {
    let broken = || format!("Unable to parse range: {text}");
    let position = |title: &str| spreadsheet.sheets.iter().position(|sheet| sheet.title == title);
    let (tab, cells) = split(text).ok_or_else(broken)?;
    let (at, cells) = match (tab, cells) {
        (Some(tab), cells) => (position(&tab).ok_or_else(broken)?, cells),
        // A bare word is a tab first, cells second.
        (None, Some(word)) => match position(&word) {
            Some(at) => (at, None),
            None => (0, Some(word)),
        },
        (None, None) => return Err(broken()),
    };
    let sheet = spreadsheet.sheets.get(at).ok_or_else(broken)?;
    let mut range = match cells {
        None => GridRange::default(),
        Some(cells) => cell_range(&cells).ok_or_else(broken)?,
    };
    range.sheet_id = sheet.sheet_id;
    let beyond = |end: Option<usize>, start: Option<usize>, count: usize| {
        start.is_some_and(|start| start >= count) || end.is_some_and(|end| end > count)
    };
    if beyond(range.end_row_index, range.start_row_index, sheet.row_count)
        || beyond(range.end_column_index, range.start_column_index, sheet.column_count)
    {
        return Err(format!(
            "Range ({text}) exceeds grid limits. Max rows: {}, max columns: {}",
            sheet.row_count, sheet.column_count
        ));
    }
    Ok((at, range))
}

/// The tab and the cells of a range.
fn split(text: &str) -> Option<(Option<String>, Option<String>)> {
    if text.is_empty() {
        return None;
    }
    let Some(quoted) = text.strip_prefix('\'') else {
        return Some(match text.rsplit_once('!') {
            Some((tab, cells)) => (Some(tab.to_owned()), Some(cells.to_owned())),
            None => (None, Some(text.to_owned())),
        });
    };
    let mut title = String::new();
    let mut characters = quoted.char_indices().peekable();
    while let Some((at, character)) = characters.next() {
        if character != '\'' {
            title.push(character);
        } else if characters.next_if(|(_, next)| *next == '\'').is_some() {
            title.push('\'');
        } else {
            let rest = &quoted[at + 1..];
            return match rest.strip_prefix('!') {
                Some(cells) => Some((Some(title), Some(cells.to_owned()))),
                None if rest.is_empty() => Some((Some(title), None)),
                None => None,
            };
        }
    }
    None
}

fn cell_range(text: &str) -> Option<GridRange> {
    let (first, last) = if let Some((first, last)) = text.split_once(':') {
        (corner(first)?, corner(last)?)
    } else {
        // A single corner must be a cell.
        let only = corner(text).filter(|corner| corner.0.is_some() && corner.1.is_some())?;
        (only, only)
    };
    Some(GridRange {
        sheet_id: 0,
        start_column_index: first.0,
        start_row_index: first.1,
        end_column_index: last.0.map(|column| column + 1),
        end_row_index: last.1.map(|row| row + 1),
    })
}

/// Column and row, from 0.
fn corner(text: &str) -> Option<(Option<usize>, Option<usize>)> {
    let text = text.replace('$', "").to_ascii_uppercase();
    let letters = text.bytes().take_while(u8::is_ascii_uppercase).count();
    let (letters, digits) = text.split_at(letters);
    if text.is_empty() || letters.len() > 3 {
        return None;
    }
    let column = letters.bytes().fold(0usize, |sum, letter| sum * 26 + usize::from(letter - b'A') + 1);
    let row = if digits.is_empty() { None } else { Some(digits.parse::<usize>().ok()?.checked_sub(1)?) };
    Some((column.checked_sub(1), row))
}

/// A range in full, within the grid.
pub fn write(sheet: &Sheet, range: &GridRange) -> String {
    let (rows, columns) = range.within(sheet);
    let title = if sheet.title.chars().all(|character| character.is_ascii_alphanumeric() || character == '_')
    {
        sheet.title.clone()
    } else {
        format!("'{}'", sheet.title.replace('\'', "''"))
    };
    let first = format!("{}{}", letters(columns.start), rows.start + 1);
    let last = format!("{}{}", letters(columns.end.max(1) - 1), rows.end);
    if first == last { format!("{title}!{first}") } else { format!("{title}!{first}:{last}") }
}

/// A column's letters.
fn letters(column: usize) -> String {
    let mut left = column + 1;
    let mut letters = Vec::new();
    while left > 0 {
        left -= 1;
        letters.push(b'A' + u8::try_from(left % 26).unwrap_or(0));
        left /= 26;
    }
    letters.reverse();
    String::from_utf8_lossy(&letters).into_owned()
}

/// A path segment as it was meant.
pub(super) fn percent_decoded(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let hex = text.get(at + 1..at + 3).and_then(|digits| u8::from_str_radix(digits, 16).ok());
        match (bytes[at], hex) {
            (b'%', Some(byte)) => {
                decoded.push(byte);
                at += 3;
            }
            (byte, _) => {
                decoded.push(byte);
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&decoded).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn corners() {
        assert_eq!(corner("A1"), Some((Some(0), Some(0))));
        assert_eq!(corner("$AA$10"), Some((Some(26), Some(9))));
        assert_eq!(corner("B"), Some((Some(1), None)));
        assert_eq!(corner("3"), Some((None, Some(2))));
        assert_eq!(corner("A0"), None);
        assert_eq!(corner("Ä1"), None);
        assert_eq!(letters(0), "A");
        assert_eq!(letters(26), "AA");
        assert_eq!(letters(701), "ZZ");
    }

    #[test]
    fn tabs() {
        let both = |tab: &str, cells: &str| Some((Some(tab.to_owned()), Some(cells.to_owned())));
        assert_eq!(split("Orders!A1:B2"), both("Orders", "A1:B2"));
        assert_eq!(split("'It''s #1'!1:1"), both("It's #1", "1:1"));
        assert_eq!(split("'Orders'"), Some((Some("Orders".to_owned()), None)));
        assert_eq!(split("'Orders"), None);
    }
}
