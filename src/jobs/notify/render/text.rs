//! Text from outside made safe for Telegram's HTML, and what a piece of HTML costs.

use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use rust_decimal::Decimal;

use crate::domain::money::decimals;

/// Markup that is complete in itself: whatever it opens it closes, and values in it are escaped.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Block(String);

/// What a piece of HTML uses of Telegram's limits.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Cost {
    /// What a reader sees, in UTF-16 units: never fewer than code points, so it satisfies both readings of
    /// the limit.
    pub units: usize,
    /// Tags that were opened.
    pub entities: usize,
    /// Bytes with markup.
    pub bytes: usize,
}

impl Cost {
    /// Both together.
    pub fn plus(self, other: Self) -> Self {
        Self {
            units: self.units + other.units,
            entities: self.entities + other.entities,
            bytes: self.bytes + other.bytes,
        }
    }
}

impl Block {
    /// An empty piece.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a constant of ours, markup included.
    #[must_use]
    pub fn markup(mut self, html: &'static str) -> Self {
        self.0.push_str(html);
        self
    }

    /// Adds a value from outside, at most `limit` characters of it, as plain text.
    #[must_use]
    pub fn text(mut self, value: &str, limit: usize) -> Self {
        escape_into(&mut self.0, &clean(value, limit));
        self
    }

    /// The same in bold.
    #[must_use]
    pub fn bold(self, value: &str, limit: usize) -> Self {
        self.markup("<b>").text(value, limit).markup("</b>")
    }

    /// The same in a fixed-width face; a tap on it copies it.
    #[must_use]
    pub fn code(self, value: &str, limit: usize) -> Self {
        self.markup("<code>").text(value, limit).markup("</code>")
    }

    /// Appends a piece.
    #[must_use]
    pub fn then(mut self, other: &Self) -> Self {
        self.0.push_str(&other.0);
        self
    }

    /// Whether there is nothing in it.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The HTML.
    pub fn html(&self) -> &str {
        &self.0
    }

    /// What it uses of the limits.
    pub fn cost(&self) -> Cost {
        let mut cost = Cost { bytes: self.0.len(), ..Cost::default() };
        let plain = plain_text(&self.0, || cost.entities += 1);
        cost.units = plain.encode_utf16().count();
        cost
    }
}

/// Our own HTML without its markup, for the case that Telegram does not accept it.
pub fn without_markup(html: &str) -> String {
    plain_text(html, || {})
}

fn plain_text(html: &str, mut on_tag: impl FnMut()) -> String {
    let mut plain = String::with_capacity(html.len());
    let mut rest = html;
    while let Some(at) = rest.find(['<', '&']) {
        plain.push_str(&rest[..at]);
        rest = &rest[at..];
        let (end, shown) = if rest.starts_with('<') {
            if !rest.starts_with("</") {
                on_tag();
            }
            (rest.find('>'), "")
        } else {
            let end = rest.find(';');
            (end, end.map_or("", |end| reference(&rest[..=end])))
        };
        plain.push_str(shown);
        rest = end.map_or("", |end| &rest[end + 1..]);
    }
    plain.push_str(rest);
    plain
}

fn reference(entity: &str) -> &'static str {
    match entity {
        "&lt;" => "<",
        "&gt;" => ">",
        "&quot;" => "\"",
        _ => "&",
    }
}

fn escape_into(html: &mut String, text: &str) {
    for c in text.chars() {
        match c {
            '&' => html.push_str("&amp;"),
            '<' => html.push_str("&lt;"),
            '>' => html.push_str("&gt;"),
            '"' => html.push_str("&quot;"),
            _ => html.push(c),
        }
    }
}

/// A value on one line, at most `limit` UTF-16 units long. Control characters and explicit directions, with
/// which a name could disturb what stands beside it, are taken out; right-to-left text is isolated instead.
fn clean(value: &str, limit: usize) -> String {
    let mut kept = String::with_capacity(value.len().min(limit * 4));
    let mut units = 0;
    let mut blank = true;
    let mut right_to_left = false;
    for c in value.chars() {
        if is_direction(c) {
            continue;
        }
        let c = if c.is_control() || c.is_whitespace() { ' ' } else { c };
        if c == ' ' && blank {
            continue;
        }
        blank = c == ' ';
        right_to_left |= is_right_to_left(c);
        units += c.len_utf16();
        kept.push(c);
        if units > limit {
            break;
        }
    }
    if units > limit {
        while units > limit.saturating_sub(1) {
            units -= kept.pop().map_or(units, char::len_utf16);
        }
        trim_end(&mut kept);
        kept.push('…');
    }
    trim_end(&mut kept);
    if right_to_left { format!("\u{2068}{kept}\u{2069}") } else { kept }
}

fn trim_end(text: &mut String) {
    text.truncate(text.trim_end().len());
}

fn is_direction(c: char) -> bool {
    matches!(c, '\u{200E}' | '\u{200F}' | '\u{061C}' | '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}')
}

fn is_right_to_left(c: char) -> bool {
    matches!(c, '\u{0590}'..='\u{08FF}' | '\u{FB1D}'..='\u{FDFF}' | '\u{FE70}'..='\u{FEFC}' | '\u{10800}'..='\u{10FFF}' | '\u{1E800}'..='\u{1EFFF}')
}

/// Enough of a name to recognise it, not enough to know it.
pub fn masked(name: &str) -> String {
    let name = name.trim();
    let shown = match name.chars().count() {
        0 => return String::new(),
        1..=3 => 1,
        _ => 2,
    };
    let start: String = name.chars().take(shown).filter(|c| *c != '*').collect();
    format!("{start}***")
}

/// An instant as the reader's clock shows it.
pub fn time(at: DateTime<Utc>, zone: Tz) -> String {
    at.with_timezone(&zone).format("%Y-%m-%d %H:%M:%S").to_string()
}

/// Hours and minutes of an instant, as the reader's clock shows them.
pub fn clock_time(at: DateTime<Utc>, zone: Tz) -> String {
    at.with_timezone(&zone).format("%H:%M").to_string()
}

/// An amount with its currency: `SGD 1,234.50`. Currencies without small change show none, unless there is
/// some.
pub fn money(currency: &str, amount: Decimal) -> String {
    let decimals = if amount.fract().is_zero() { decimals(currency) as usize } else { 2 };
    let digits = format!("{:.decimals$}", amount.abs().round_dp(2));
    let (integer, fraction) = digits.split_once('.').unwrap_or((&digits, ""));
    let mut grouped = String::with_capacity(digits.len() + 4);
    for (at, digit) in integer.chars().enumerate() {
        if at > 0 && (integer.len() - at) % 3 == 0 {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    if !fraction.is_empty() {
        grouped.push('.');
        grouped.push_str(fraction);
    }
    let sign = if amount.is_sign_negative() && !amount.is_zero() { "-" } else { "" };
    format!("{currency} {sign}{grouped}").trim_start().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_cut_before_they_are_escaped() {
        let block = |value: &str, limit| Block::new().text(value, limit).html().to_owned();
        assert_eq!(block("<b>&\"'", 10), "&lt;b&gt;&amp;&quot;'");
        assert_eq!(block("&&&&&", 3), "&amp;&amp;…");
        assert_eq!(block("&&&", 3), "&amp;&amp;&amp;");
        assert_eq!(block("a\r\n\tb \u{202E}c", 10), "a b c");
        assert_eq!(block("😀😀😀", 4), "😀…");
        assert_eq!(block("שלום", 10), "\u{2068}שלום\u{2069}");
    }

    #[test]
    fn a_block_knows_what_it_costs() {
        let block = Block::new().bold("a<b", 10).markup("\n").code("😀", 4);
        assert_eq!(block.html(), "<b>a&lt;b</b>\n<code>😀</code>");
        assert_eq!(block.cost(), Cost { units: 6, entities: 2, bytes: block.html().len() });
        assert_eq!(without_markup(block.html()), "a<b\n😀");
    }

    #[test]
    fn names_are_masked() {
        for (name, shown) in
            [("john_doe", "jo***"), ("ab", "a***"), ("****", "***"), (" ", ""), ("李小龙", "李***")]
        {
            assert_eq!(masked(name), shown);
        }
    }

    #[test]
    fn amounts_are_grouped() {
        let amount = |text: &str| text.parse::<Decimal>().unwrap();
        for (currency, value, shown) in [
            ("SGD", "25.9", "SGD 25.90"),
            ("SGD", "1234567.891", "SGD 1,234,567.89"),
            ("IDR", "1250000.00", "IDR 1,250,000"),
            ("IDR", "0.5", "IDR 0.50"),
            ("SGD", "-1234", "SGD -1,234.00"),
            ("SGD", "-0.00", "SGD 0.00"),
            ("", "1", "1.00"),
        ] {
            assert_eq!(money(currency, amount(value)), shown);
        }
    }
}
