//! How answers are shown: a table for people, one JSON document for programs, again and again with `--watch`.

use std::io::{IsTerminal as _, Write as _};
use std::time::Duration;

use comfy_table::{CellAlignment, ContentArrangement, Table, presets};
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::Value;

use crate::cli::Failure;

/// `--json` and `--watch`.
#[derive(Debug, Clone, Copy, clap::Args)]
#[group(skip)]
pub(super) struct Show {
    /// One JSON document, as the admin API answers it; with --watch one per line
    #[arg(long)]
    pub(super) json: bool,

    /// Show it again every so many seconds, until Ctrl-C
    #[arg(long, value_name = "SECONDS", num_args = 0..=1, default_missing_value = "2",
          value_parser = clap::value_parser!(u64).range(1..=3600))]
    watch: Option<u64>,
}

/// A column: its title, and what it shows of a row.
pub(super) struct Column {
    title: &'static str,
    cell: fn(&Value) -> String,
    right: bool,
}

/// A column of text.
pub(super) const fn text(title: &'static str, cell: fn(&Value) -> String) -> Column {
    Column { title, cell, right: false }
}

/// A column of numbers.
pub(super) const fn number(title: &'static str, cell: fn(&Value) -> String) -> Column {
    Column { title, cell, right: true }
}

impl Show {
    /// Shown once, as what a change came to.
    pub(super) const fn once(json: bool) -> Self {
        Self { json, watch: None }
    }

    /// Asks and shows, once or until Ctrl-C.
    #[expect(clippy::print_stdout, reason = "what was asked for")]
    pub(super) async fn answer<A>(&self, ask: A, render: impl Fn(&Value) -> String) -> Result<(), Failure>
    where
        A: AsyncFn() -> Result<Value, Failure>,
    {
        loop {
            let value = ask().await?;
            if self.json {
                println!("{value}");
            } else {
                if self.watch.is_some() && std::io::stdout().is_terminal() {
                    // Clear and go home: what is shown takes the place of what was.
                    print!("\x1b[2J\x1b[H");
                }
                println!("{}", render(&value).trim_end());
            }
            let _ = std::io::stdout().flush();
            let Some(seconds) = self.watch else { return Ok(()) };
            tokio::select! {
                () = tokio::time::sleep(Duration::from_secs(seconds)) => {}
                _ = tokio::signal::ctrl_c() => return Ok(()),
            }
        }
    }
}

/// Rows as a table; `empty` where there is none.
pub(super) fn table(rows: &Value, columns: &[Column], empty: &str) -> String {
    let rows = rows.as_array().map(Vec::as_slice).unwrap_or_default();
    if rows.is_empty() {
        return empty.to_owned();
    }
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Dynamic);
    if let Some(width) = width() {
        table.set_width(width);
    }
    table.set_header(columns.iter().map(|column| column.title));
    for row in rows {
        table.add_row(columns.iter().map(|column| (column.cell)(row)));
    }
    for (index, _) in columns.iter().enumerate().filter(|(_, column)| column.right) {
        if let Some(column) = table.column_mut(index) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table.trim_fmt()
}

/// Columns of the terminal; none where the answer goes elsewhere, which then has whole lines.
fn width() -> Option<u16> {
    let terminal = console::Term::stdout();
    (terminal.is_term()).then(|| terminal.size().1)
}

/// A field as people read it: nothing for null, times to the second, lists with commas.
pub(super) fn field(row: &Value, name: &str) -> String {
    plain(&row[name])
}

fn plain(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => short_time(text).unwrap_or_else(|| text.clone()),
        Value::Array(values) => values.iter().map(plain).collect::<Vec<_>>().join(", "),
        Value::Object(fields) => fields
            .iter()
            .map(|(name, value)| format!("{name}={}", plain(value)))
            .collect::<Vec<_>>()
            .join(" "),
        Value::Bool(true) => "yes".to_owned(),
        Value::Bool(false) => "no".to_owned(),
        other @ Value::Number(_) => other.to_string(),
    }
}

/// `2026-11-21 05:00:01` for a time of the API, in UTC.
fn short_time(text: &str) -> Option<String> {
    let looks_like_one = text.len() >= 20 && text.as_bytes()[10] == b'T';
    let time = chrono::DateTime::parse_from_rfc3339(text).ok().filter(|_| looks_like_one)?;
    Some(time.to_utc().format("%Y-%m-%d %H:%M:%S").to_string())
}

/// Fields below each other, each with its name; those that say nothing are left out.
pub(super) fn facts(row: &Value, names: &[&str]) -> String {
    use std::fmt::Write as _;

    let width = names.iter().map(|name| name.len()).max().unwrap_or(0);
    names.iter().fold(String::new(), |mut shown, name| {
        let value = field(row, name);
        if !value.is_empty() {
            let _ = writeln!(shown, "{name:<width$} {value}");
        }
        shown
    })
}

/// The first line of a text, cut to what fits beside other columns.
pub(super) fn brief(text: &str) -> String {
    const LONGEST: usize = 100;

    let line = text.lines().next().unwrap_or_default();
    match line.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line.to_owned(),
    }
}

/// How far long work is, on the terminal; nothing where the answer goes elsewhere.
pub(super) fn progress_bar(length: u64) -> ProgressBar {
    let bar = ProgressBar::new(length);
    let style = ProgressStyle::with_template("{bar:40} {pos}/{len}, {eta} to go");
    bar.with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}

/// Asks on the terminal before something that concerns many; `--yes` answers for scripts.
#[expect(clippy::print_stderr, reason = "a question to the person at the terminal")]
pub(super) fn confirm(question: &str, yes: bool) -> Result<(), Failure> {
    if yes {
        return Ok(());
    }
    if !std::io::stdin().is_terminal() {
        return Err(Failure::Usage(format!("{question} Say --yes to do it without being asked.")));
    }
    eprint!("{question} [y/N] ");
    let mut line = String::new();
    std::io::stdin()
        .read_line(&mut line)
        .map_err(|error| anyhow::Error::new(error).context("reading the answer"))?;
    match line.trim().to_lowercase().as_str() {
        "y" | "yes" => Ok(()),
        _ => Err(Failure::Failed(anyhow::anyhow!("nothing was changed"))),
    }
}

/// When something was, as people say it on a command line: `2h`, `3d`, or RFC 3339. In the API's form.
pub(super) fn moment(text: &str) -> Result<String, String> {
    let wrong = || {
        format!(
            "`{text}` is neither a time such as 2026-11-21T05:00:00Z nor a time ago such as 90m, 2h or 3d"
        )
    };
    if let Ok(time) = chrono::DateTime::parse_from_rfc3339(text) {
        return Ok(time.to_utc().to_rfc3339_opts(chrono::SecondsFormat::Secs, true));
    }
    let split = text.len() - text.chars().next_back().map_or(0, char::len_utf8);
    let (count, unit) = text.split_at(split);
    let seconds = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3_600,
        "d" => 86_400,
        _ => return Err(wrong()),
    };
    let count: i64 = count.parse().map_err(|_| wrong())?;
    let ago = count.checked_mul(seconds).and_then(chrono::TimeDelta::try_seconds).ok_or_else(wrong)?;
    let time = crate::clock::system().now().checked_sub_signed(ago).ok_or_else(wrong)?;
    Ok(time.to_rfc3339_opts(chrono::SecondsFormat::Secs, true))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn values_are_plain() {
        let row = json!({"at": "2026-11-21T05:00:01.900Z", "n": 3, "none": null, "list": ["a", "b"], "yes": true, "o": {"a": 1}});
        let shown = ["at", "n", "none", "list", "yes", "o", "missing"].map(|name| field(&row, name));
        assert_eq!(shown, ["2026-11-21 05:00:01", "3", "", "a, b", "yes", "a=1", ""]);
    }

    #[test]
    fn a_table_has_its_columns_and_says_when_it_is_empty() {
        const COLUMNS: &[Column] =
            &[text("NAME", |row| field(row, "name")), number("N", |row| field(row, "n"))];
        assert_eq!(table(&json!([]), COLUMNS, "nothing"), "nothing");
        let shown = table(&json!([{"name": "a", "n": 1}, {"name": "bcd", "n": 200}]), COLUMNS, "nothing");
        let lines: Vec<&str> = shown.lines().map(str::trim_end).collect();
        assert_eq!(lines, [" NAME    N", " a       1", " bcd   200"]);
    }

    #[test]
    fn moments_are_times_or_ago() {
        assert_eq!(moment("2026-11-21T05:00:00+08:00").unwrap(), "2026-11-20T21:00:00Z");
        assert!(moment("2h").unwrap().ends_with('Z'));
        for wrong in
            ["", "h", "2 weeks", "2w", "９９９９９９９９９９９９９９９９９９h", "9999999999999999h", "é"]
        {
            assert!(moment(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_long_error_is_cut_at_a_character() {
        assert_eq!(brief("one\ntwo"), "one");
        assert_eq!(brief(&"é".repeat(200)).chars().count(), 101);
    }
}
