//! `pushbox export`.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use anyhow::Context;
use chrono::NaiveDate;
use chrono_tz::Tz;
use serde_json::json;
use sqlx::PgPool;
use uuid::Uuid;

use crate::app::Database;
use crate::cli::{Failure, Outcome, block_on, load};
use crate::clock;
use crate::config::{Loaded, Roles};
use crate::jobs::sheet::file::{Export, FileFormat, Selection, Table, export as begin};
use crate::store::admin_actions::{AdminAction, insert_admin_action};

/// Write the orders of a period into a CSV or XLSX file
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
The same columns as in the Google Sheet, as Postgres has the orders now. Days are those of
DISPLAY_TIMEZONE, both included, by when the order was placed. In CSV, text that a spreadsheet
program would take for a formula gets an apostrophe in front. Names and messages of buyers are
masked; --unmasked shows them, and that is put on record in pushbox.admin_actions. Works on
DATABASE_URL, or on the private Postgres under DATA_DIR, also while pushbox runs on it.

Examples:
  pushbox export --from 2026-04-01 --to 2026-04-30 --out april.xlsx
  pushbox export --from 2026-04-01 --rows items --shop-id 10000001 > items.csv")]
pub(super) struct Arguments {
    /// First day
    #[arg(long, value_name = "DATE")]
    from: NaiveDate,

    /// Last day [else: today]
    #[arg(long, value_name = "DATE")]
    to: Option<NaiveDate>,

    /// Only orders of this shop
    #[arg(long, value_name = "ID")]
    shop_id: Option<String>,

    /// One row per order, or one per item; an XLSX file has both
    #[arg(long, value_name = "WHAT", value_enum, default_value_t = Rows::Orders)]
    rows: Rows,

    /// Show names and messages of buyers; this is put on record
    #[arg(long)]
    unmasked: bool,

    /// Where to; a name that ends in .xlsx makes a workbook [else: CSV on standard output]
    #[arg(long, value_name = "PATH")]
    out: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Rows {
    /// One row per order
    Orders,
    /// One row per item and variation
    Items,
}

pub(super) fn run(arguments: &Arguments, config: Option<&Path>) -> Outcome {
    let loaded = load(config, &Roles::none())?;
    block_on(export(loaded, arguments))
}

#[expect(clippy::print_stderr, reason = "standard output may be the file")]
async fn export(loaded: Loaded, arguments: &Arguments) -> Outcome {
    let zone = loaded.config.display_timezone;
    let selection = selection(arguments, zone)?;
    let format = match (&arguments.out, arguments.rows) {
        (Some(path), _) if path.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("xlsx")) => {
            FileFormat::Xlsx
        }
        (_, Rows::Orders) => FileFormat::Csv(Table::Orders),
        (_, Rows::Items) => FileFormat::Csv(Table::Items),
    };
    let database = Database::equipped(&loaded.config.database, "export").await?;
    let made = record_and_write(database.pool(), arguments, selection, format, zone).await;
    database.close().await;
    let orders = made.context("cannot export orders")?;
    match &arguments.out {
        _ if orders == 0 => {
            eprintln!("no order was placed in these days; the file has the names of the columns only");
        }
        Some(path) => eprintln!("{orders} orders in {}", path.display()),
        None => {}
    }
    Ok(())
}

/// Who asked to see buyers is on record before any of them is written.
async fn record_and_write(
    pool: &PgPool,
    arguments: &Arguments,
    selection: Selection,
    format: FileFormat,
    zone: Tz,
) -> anyhow::Result<usize> {
    if arguments.unmasked {
        let detail = json!({
            "from": arguments.from, "to": arguments.to, "shop": arguments.shop_id,
            "format": if format == FileFormat::Xlsx { "xlsx" } else { "csv" }, "unmasked": true,
        });
        let request_id = Uuid::new_v4().to_string();
        let action =
            AdminAction { request_id: &request_id, action: "unmask_export", subject: "orders", detail };
        insert_admin_action(pool, &action).await.context("cannot put on record who sees buyers")?;
    }
    write(begin(pool.clone(), selection, format, zone), arguments.out.as_deref()).await
}

/// Writes the file; under its name there is either all of it or what was there before.
async fn write(mut export: Export, out: Option<&Path>) -> anyhow::Result<usize> {
    let Some(path) = out else {
        let mut standard = std::io::stdout().lock();
        while let Some(piece) = export.pieces.recv().await {
            standard.write_all(&piece?)?;
        }
        standard.flush()?;
        return Ok(export.orders.await?);
    };
    let mut unfinished = path.as_os_str().to_owned();
    unfinished.push(".part");
    let unfinished = PathBuf::from(unfinished);
    let mut file = std::fs::File::create(&unfinished)
        .with_context(|| format!("cannot write {}", unfinished.display()))?;
    let mut copy = async || -> anyhow::Result<()> {
        while let Some(piece) = export.pieces.recv().await {
            file.write_all(&piece?)?;
        }
        Ok(file.sync_all()?)
    };
    if let Err(error) = copy().await {
        // What is there is of no use, and that it could not be removed is not what went wrong.
        let _ = std::fs::remove_file(&unfinished);
        return Err(error);
    }
    std::fs::rename(&unfinished, path).with_context(|| format!("cannot write {}", path.display()))?;
    Ok(export.orders.await?)
}

fn selection(arguments: &Arguments, zone: Tz) -> Result<Selection, Failure> {
    let today = clock::system().now().with_timezone(&zone).date_naive();
    let to = arguments.to.unwrap_or(today);
    if to < arguments.from {
        let why = if arguments.to.is_some() { "--to is before --from" } else { "--from is after today" };
        return Err(Failure::Usage(why.to_owned()));
    }
    let days = Selection::days(arguments.from, to, zone)
        .ok_or_else(|| Failure::Usage("--from or --to is no day of the calendar".to_owned()))?;
    Ok(Selection { shop_id: arguments.shop_id.clone(), unmasked: arguments.unmasked, ..days })
}
