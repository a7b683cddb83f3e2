//! The end of a demo in words.

use std::fmt::Write as _;
use std::path::Path;

use super::verify::Findings;

/// Problems that are listed one by one.
const LISTED: usize = 20;

/// The table of numbers.
pub(super) fn table(findings: &Findings) -> String {
    let Findings { numbers, .. } = findings;
    let signed = |number: i64| count(number.unsigned_abs());
    let size = |number: usize| count(number as u64);
    let queues: Vec<String> =
        numbers.jobs.iter().map(|queue| format!("{} {}", queue.queue, signed(queue.done))).collect();
    let rate = u128::from(numbers.traffic.sent) * 1000 / findings.streamed.as_millis().max(1);
    let (rate, p50, p99) = if numbers.traffic.sent == 0 {
        ("all by the runs before".to_owned(), "-".to_owned(), String::new())
    } else {
        let p99 = format!("99 of 100 within {:.1?}", numbers.traffic.p99);
        (format!("{rate} per second"), format!("{:.1?}", numbers.traffic.p50), p99)
    };
    let without_row = findings.orders - findings.orders_with_row;
    let rows: [(&str, String, String); 13] = [
        ("pushes sent", count(numbers.answered()), rate),
        ("answered within", p50, p99),
        (
            "bad signatures refused",
            count(numbers.traffic.forged_refused),
            format!("of {}", size(findings.forged)),
        ),
        ("duplicates absorbed", signed(numbers.events.redeliveries), String::new()),
        ("lost, then recovered", signed(numbers.events.recovered), format!("of {}", size(findings.lost))),
        ("events in Postgres", signed(numbers.events.events), String::new()),
        ("jobs done", signed(numbers.done()), queues.join(", ")),
        ("jobs dead", signed(numbers.dead()), String::new()),
        ("orders", size(findings.orders), format!("{} are not paid and get no row", size(without_row))),
        (
            "rows in the sheet",
            size(numbers.order_rows),
            format!("of {}; {} in Items", size(findings.orders_with_row), size(numbers.item_rows)),
        ),
        (
            "Telegram messages",
            size(numbers.messages),
            format!(
                "in {} topics, {} of them digests, for {} events",
                numbers.topics,
                size(findings.digests),
                size(findings.announced)
            ),
        ),
        ("faults survived", count(findings.faults), String::new()),
        ("elapsed", format!("{:.1} s", findings.elapsed.as_secs_f64()), String::new()),
    ];
    let mut text = String::from("\n");
    for (name, value, note) in rows {
        let line = format!("  {name:<24}{value:>10}   {note}");
        let _ = writeln!(text, "{}", line.trim_end());
    }
    text
}

/// The last word on whether all is well.
pub(super) fn verdict(findings: &Findings, log: &Path) -> String {
    let problems = &findings.problems;
    if problems.is_empty() {
        return "Everything is where it belongs.".to_owned();
    }
    let mut text =
        format!("Not everything is where it belongs ({} problems):\n", count(problems.len() as u64));
    for problem in problems.iter().take(LISTED) {
        let _ = writeln!(text, "  - {problem}");
    }
    if problems.len() > LISTED {
        let _ = writeln!(text, "  ... and {} more", problems.len() - LISTED);
    }
    let _ = write!(text, "The log may say why: {}", log.display());
    text
}

/// A number with its thousands apart.
pub(super) fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_are_apart() {
        for (number, text) in [(0, "0"), (999, "999"), (1000, "1,000"), (1_234_567, "1,234,567")] {
            assert_eq!(count(number), text);
        }
    }
}
