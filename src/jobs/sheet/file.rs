//! The two tables as files: what a person takes along, without Google.
//!
//! A spreadsheet program that opens a CSV file takes a text that begins with `=`, `+`, `-` or `@` for a formula,
//! and buyers choose their own names. So such a text gets an apostrophe in front there. In an XLSX file every
//! cell has a type, and text is text. Who the buyers are is hidden unless somebody asks for it.
//!
//! Orders are read and written a few hundred at a time, so that a file of many does not fill the memory.

use bytes::Bytes;
use chrono::{DateTime, Days, Duration, NaiveDate, Utc};
use chrono_tz::Tz;
use rust_decimal::prelude::ToPrimitive;
use rust_xlsxwriter::{Format, Workbook, Worksheet, XlsxError};
use sqlx::PgPool;
use tokio::sync::mpsc;

use crate::clients::sheets::Cell;
use crate::domain::calendar::first_instant;
use crate::domain::order::{Order, OrderRef};
use crate::domain::privacy::{MASK, mask_name};
use crate::jobs::sheet::columns::{ITEMS, Kind, ORDERS, TabSpec};
use crate::jobs::sheet::rows::OrderRows;
use crate::store::order_reads::{list_created_between, list_orders};

/// Orders of one CSV file: more, and even their numbers alone fill the memory.
const MOST_ORDERS: usize = 1_000_000;
/// Rows of a tab in an XLSX file, without the first.
const MOST_ROWS: usize = 1_048_575;
/// Orders that are read at once.
const AT_ONCE: usize = 500;
/// Characters of a cell; XLSX allows 32,767.
const TEXT_LIMIT: usize = 32_000;
/// Bytes of a workbook that are handed out at once.
const PIECE: usize = 64 * 1024;

/// What kind of file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileFormat {
    /// Comma-separated values in UTF-8: one table.
    Csv(Table),
    /// A workbook with both tables.
    Xlsx,
}

/// Which table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Table {
    /// A row per order.
    Orders,
    /// A row per line of an order.
    Items,
}

/// Which orders.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Selection {
    /// Placed at or after this instant.
    pub from: DateTime<Utc>,
    /// Placed before this instant.
    pub until: DateTime<Utc>,
    /// Of this shop only.
    pub shop_id: Option<String>,
    /// Whether buyers are shown. Whoever lets somebody see them puts that on record first.
    pub unmasked: bool,
}

impl Selection {
    /// The orders of these days in `zone`, both included; none when they are not days of the calendar, or the
    /// wrong way round.
    pub fn days(from: NaiveDate, to: NaiveDate, zone: Tz) -> Option<Self> {
        let after = to.checked_add_days(Days::new(1))?;
        let (from, until) = (first_instant(from, zone)?, first_instant(after, zone)?);
        (from < until).then_some(Self { from, until, shop_id: None, unmasked: false })
    }
}

/// Why there is no file, or no end of it.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// Too many orders for one file.
    #[error("{0} rows are too many for one file: choose a shorter period, or one shop")]
    TooMany(usize),
    /// The database failed us.
    #[error("the database")]
    Database(#[from] sqlx::Error),
    /// The file cannot be written.
    #[error("the workbook")]
    Workbook(#[from] XlsxError),
    /// The file cannot be written.
    #[error("the CSV file")]
    Csv(#[from] csv::Error),
}

/// A file that is being made. Whoever stops reading stops it.
#[derive(Debug)]
pub struct Export {
    /// Its bytes, piece by piece, ended by an error if it cannot be completed.
    pub pieces: mpsc::Receiver<Result<Bytes, FileError>>,
    /// How many orders are in it, at its end.
    pub orders: tokio::task::JoinHandle<usize>,
}

/// Begins a file of the orders as Postgres has them now; times are shown in `zone`.
pub fn export(pool: PgPool, selection: Selection, format: FileFormat, zone: Tz) -> Export {
    let (sender, pieces) = mpsc::channel(4);
    let orders = tokio::spawn(async move {
        match make(&pool, &selection, format, zone, &sender).await {
            Ok(orders) => orders,
            Err(error) => {
                // Nobody listens any more: nobody misses it.
                let _ = sender.send(Err(error)).await;
                0
            }
        }
    });
    Export { pieces, orders }
}

async fn make(
    pool: &PgPool,
    selection: &Selection,
    format: FileFormat,
    zone: Tz,
    out: &mpsc::Sender<Result<Bytes, FileError>>,
) -> Result<usize, FileError> {
    let shop = selection.shop_id.as_deref();
    let wanted = {
        let mut connection = pool.acquire().await?;
        list_created_between(&mut connection, selection.from, selection.until, shop).await?
    };
    if wanted.len() > MOST_ORDERS {
        return Err(FileError::TooMany(wanted.len()));
    }
    let mut file = Writer::begin(format)?;
    for chunk in wanted.chunks(AT_ONCE) {
        let written = file.write(&read(pool, chunk, selection.unmasked, zone).await?)?;
        if !written.is_empty() && out.send(Ok(written)).await.is_err() {
            return Ok(0);
        }
    }
    // Packing a workbook takes its time.
    let end = tokio::task::spawn_blocking(move || file.end()).await.expect("packing does not panic")?;
    let mut end = Bytes::from(end);
    while !end.is_empty() {
        let piece = end.split_to(PIECE.min(end.len()));
        if out.send(Ok(piece)).await.is_err() {
            return Ok(0);
        }
    }
    Ok(wanted.len())
}

async fn read(
    pool: &PgPool,
    orders: &[OrderRef],
    unmasked: bool,
    zone: Tz,
) -> Result<Vec<OrderRows>, sqlx::Error> {
    // No connection is kept while somebody reads slowly.
    let mut connection = pool.acquire().await?;
    let mut found = list_orders(&mut connection, orders).await?;
    found.sort_by(|a, b| {
        (a.order.create_time, &a.order.reference).cmp(&(b.order.create_time, &b.order.reference))
    });
    if !unmasked {
        for stored in &mut found {
            hide_buyer(&mut stored.order);
        }
    }
    Ok(found.iter().map(|stored| OrderRows::new(stored, zone)).collect())
}

/// As the API and the pages hide them: a name keeps its ends, what somebody wrote is hidden as a whole.
fn hide_buyer(order: &mut Order) {
    if let Some(name) = &mut order.buyer_username {
        *name = mask_name(name);
    }
    let texts = [&mut order.message_to_seller, &mut order.note].into_iter().flatten();
    texts.filter(|text| !text.is_empty()).for_each(|text| MASK.clone_into(text));
}

/// The columns that are ours, by their place.
fn ours(spec: &'static TabSpec) -> impl Iterator<Item = (usize, &'static str, Kind)> {
    let columns = spec.columns.iter().enumerate().map(|(at, (name, kind))| (at, *name, *kind));
    columns.filter(|(_, _, kind)| *kind != Kind::Theirs)
}

/// The lines of a table, each with how many decimals its money has.
fn lines(rows: &[OrderRows], table: Table) -> Box<dyn Iterator<Item = (&Vec<Cell>, u32)> + '_> {
    match table {
        Table::Orders => Box::new(rows.iter().map(|one| (&one.row, one.decimals))),
        Table::Items => {
            Box::new(rows.iter().flat_map(|one| one.items.iter().map(|line| (line, one.decimals))))
        }
    }
}

fn spec(table: Table) -> &'static TabSpec {
    match table {
        Table::Orders => &ORDERS,
        Table::Items => &ITEMS,
    }
}

/// A file on its way.
enum Writer {
    Csv(Table, Box<csv::Writer<Vec<u8>>>),
    Xlsx(Box<Book>),
}

impl Writer {
    fn begin(format: FileFormat) -> Result<Self, FileError> {
        let FileFormat::Csv(table) = format else { return Ok(Self::Xlsx(Box::new(Book::new()?))) };
        let mut writer = csv::WriterBuilder::new().terminator(csv::Terminator::CRLF).from_writer(Vec::new());
        writer.write_record(ours(spec(table)).map(|(_, name, _)| name))?;
        Ok(Self::Csv(table, Box::new(writer)))
    }

    /// Adds the rows of these orders; returns what of the file can be handed out.
    fn write(&mut self, rows: &[OrderRows]) -> Result<Bytes, FileError> {
        match self {
            Self::Csv(table, writer) => {
                for (line, decimals) in lines(rows, *table) {
                    let cells = ours(spec(*table));
                    writer.write_record(cells.map(|(at, _, kind)| plain(&line[at], kind, decimals)))?;
                }
                let next =
                    csv::WriterBuilder::new().terminator(csv::Terminator::CRLF).from_writer(Vec::new());
                Ok(contents(std::mem::replace(writer, next))?.into())
            }
            Self::Xlsx(book) => {
                book.write(rows)?;
                Ok(Bytes::new())
            }
        }
    }

    /// The rest of the file.
    fn end(self) -> Result<Vec<u8>, FileError> {
        match self {
            Self::Csv(_, writer) => Ok(contents(*writer)?),
            Self::Xlsx(book) => book.end(),
        }
    }
}

fn contents(writer: csv::Writer<Vec<u8>>) -> Result<Vec<u8>, csv::Error> {
    writer.into_inner().map_err(|error| csv::Error::from(error.into_error()))
}

/// A cell as the text of a CSV file. Money has the decimals of its currency, or its own where they are more.
fn plain(cell: &Cell, kind: Kind, decimals: u32) -> String {
    match cell {
        Cell::Empty => String::new(),
        Cell::Text(text) => guarded(text),
        Cell::Number(number) => {
            let mut number = number.normalize();
            if kind == Kind::Money {
                number.rescale(decimals.max(number.scale()));
            }
            number.to_string()
        }
        Cell::Bool(value) => value.to_string(),
        Cell::DateTime(serial) => time(*serial),
    }
}

fn time(serial: f64) -> String {
    let epoch = NaiveDate::from_ymd_opt(1899, 12, 30).and_then(|day| day.and_hms_opt(0, 0, 0));
    #[expect(clippy::cast_possible_truncation, reason = "seconds of a date that was a date before")]
    let seconds = (serial * 86_400.0).round() as i64;
    epoch.map_or_else(String::new, |epoch| (epoch + Duration::seconds(seconds)).format("%F %T").to_string())
}

/// Text that no spreadsheet program takes for a formula, also not behind blanks or in full-width letters.
fn guarded(text: &str) -> String {
    let dangerous = ['=', '+', '-', '@', '\t', '\r', '\n', '＝', '＋', '－', '＠'];
    let begins = |text: &str| text.starts_with(dangerous);
    if begins(text) || begins(text.trim_start()) { format!("'{text}") } else { text.to_owned() }
}

/// A workbook of both tables, whose rows lie in temporary files until the end.
struct Book {
    book: Workbook,
    /// The row of each tab that is written next.
    next: [u32; 2],
}

const TABLES: [Table; 2] = [Table::Orders, Table::Items];

impl Book {
    fn new() -> Result<Self, XlsxError> {
        let mut book = Workbook::new();
        let bold = Format::new().set_bold();
        for table in TABLES {
            let sheet = book.add_worksheet_with_constant_memory()?;
            sheet.set_name(spec(table).title)?;
            sheet.set_freeze_panes(1, 0)?;
            for ((_, name, _), column) in ours(spec(table)).zip(0_u16..) {
                sheet.set_column_width(column, 16)?;
                sheet.write_string_with_format(0, column, name, &bold)?;
            }
        }
        Ok(Self { book, next: [1, 1] })
    }

    fn write(&mut self, rows: &[OrderRows]) -> Result<(), FileError> {
        for (tab, table) in TABLES.into_iter().enumerate() {
            let sheet = self.book.worksheet_from_index(tab)?;
            for (line, decimals) in lines(rows, table) {
                let row = self.next[tab];
                if usize::try_from(row).is_ok_and(|row| row > MOST_ROWS) {
                    return Err(FileError::TooMany(MOST_ROWS));
                }
                write_row(sheet, row, line, decimals, spec(table))?;
                self.next[tab] += 1;
            }
        }
        Ok(())
    }

    fn end(mut self) -> Result<Vec<u8>, FileError> {
        for (tab, table) in TABLES.into_iter().enumerate() {
            let columns = u16::try_from(ours(spec(table)).count()).unwrap_or(u16::MAX);
            let sheet = self.book.worksheet_from_index(tab)?;
            sheet.autofilter(0, 0, self.next[tab] - 1, columns.saturating_sub(1))?;
        }
        Ok(self.book.save_to_buffer()?)
    }
}

fn write_row(
    sheet: &mut Worksheet,
    row: u32,
    line: &[Cell],
    decimals: u32,
    spec: &'static TabSpec,
) -> Result<(), XlsxError> {
    for ((at, _, kind), column) in ours(spec).zip(0_u16..) {
        let number = match &line[at] {
            Cell::Empty => continue,
            Cell::Text(text) => {
                sheet.write_string(row, column, text.chars().take(TEXT_LIMIT).collect::<String>())?;
                continue;
            }
            Cell::Bool(value) => {
                sheet.write_boolean(row, column, *value)?;
                continue;
            }
            Cell::Number(number) => number.to_f64().unwrap_or_default(),
            Cell::DateTime(serial) => *serial,
        };
        match Kind::format(kind, decimals) {
            Some((_, pattern)) => {
                let format = Format::new().set_num_format(pattern);
                sheet.write_number_with_format(row, column, number, &format)?;
            }
            None => {
                sheet.write_number(row, column, number)?;
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jobs::sheet::rows::tests::stored;

    fn rows() -> Vec<OrderRows> {
        vec![OrderRows::new(&stored("260401ABC", 2), Tz::Asia__Singapore)]
    }

    fn file(format: FileFormat, rows: &[OrderRows]) -> Vec<u8> {
        let mut writer = Writer::begin(format).expect("begun");
        let mut bytes = writer.write(rows).expect("written").to_vec();
        bytes.extend(writer.end().expect("a file"));
        bytes
    }

    #[test]
    fn a_csv_file_has_no_formulas() {
        let text = String::from_utf8(file(FileFormat::Csv(Table::Items), &rows())).expect("text");
        let lines: Vec<&str> = text.split("\r\n").collect();
        assert_eq!(lines[0], ITEMS.columns.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(","));
        assert_eq!(
            lines[1],
            "260401ABC,shopee,77,1,007,\"'=HYPERLINK(\"\"http://x\"\")\",,2,4.95,9.90,7.51,SGD,CANCELLED,2026-04-01 07:33:20"
        );
        let text = String::from_utf8(file(FileFormat::Csv(Table::Orders), &rows())).expect("text");
        assert!(text.contains("\"'+1 please\nthanks\""), "{text}");
        assert!(!text.contains("Notes"), "that column is people's");
        let empty = String::from_utf8(file(FileFormat::Csv(Table::Orders), &[])).expect("text");
        assert_eq!(empty.lines().count(), 1, "the names of the columns also without orders");
    }

    #[test]
    fn what_could_be_a_formula_is_guarded() {
        for text in ["=1", "+1", "-1", "@x", "\t=1", " =1", "＝1", "\r=1", "\nx"] {
            assert!(guarded(text).starts_with('\''), "{text:?}");
        }
        for text in ["a=1", "1-2", "", "日本", "'x"] {
            assert_eq!(guarded(text), text);
        }
    }

    #[test]
    fn buyers_are_hidden_and_what_is_not_there_stays_so() {
        let mut order = stored("A", 1).order;
        order.buyer_username = Some("tan_ah_kow".into());
        order.note = Some(String::new());
        hide_buyer(&mut order);
        assert_eq!(order.buyer_username.as_deref(), Some("t***w"));
        assert_eq!((order.message_to_seller.as_deref(), order.note.as_deref()), (Some(MASK), Some("")));
    }

    #[test]
    fn a_workbook_is_one() {
        let bytes = file(FileFormat::Xlsx, &rows());
        assert!(bytes.starts_with(b"PK\x03\x04") && bytes.len() > 4_000, "{} bytes", bytes.len());
        assert!(file(FileFormat::Xlsx, &[]).starts_with(b"PK"), "also without orders");
    }

    #[test]
    fn days_are_those_of_the_reader_and_both_are_in() {
        let days = |from: &str, to: &str, zone| {
            Selection::days(from.parse().expect("a day"), to.parse().expect("a day"), zone)
        };
        let found = days("2026-04-01", "2026-04-30", Tz::Asia__Singapore).expect("days");
        assert_eq!(found.from.to_string(), "2026-03-31 16:00:00 UTC");
        assert_eq!(found.until.to_string(), "2026-04-30 16:00:00 UTC");
        assert!(days("2026-04-02", "2026-04-01", Tz::UTC).is_none());
    }
}
