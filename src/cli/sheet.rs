//! `pushbox sheet`.

use std::path::Path;
use std::sync::Arc;

use anyhow::Context;
use serde_json::json;

use crate::app::{self, Database, with_changes};
use crate::cli::{Failure, Outcome, block_on, load, told};
use crate::clients::sheets::SheetsClient;
use crate::clock;
use crate::config::{Config, Loaded, Roles};
use crate::domain::route::SpreadsheetRoute;
use crate::jobs::sheet::SheetOptions;
use crate::jobs::sheet::check::{Report, SheetCheck};

/// Compare the spreadsheets with Postgres, repair what differs, or make their tabs anew
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Reads every spreadsheet of SPREADSHEET_ID and [[spreadsheets]] whole and compares it with the
orders in Postgres: rows that are missing, double or changed by hand. With --repair the rows are
written again by the workers, which must run. Columns and rows of your own are not looked at.
Works on DATABASE_URL, or on the private Postgres under DATA_DIR, also while pushbox runs on it.
Exit code 1 when something differs and is not repaired.

`rebuild` makes both tabs anew beside the old ones, with every order as Postgres has it, and puts
them in their place in one step. Columns, notes and formats of people are copied; rows that an
order had twice are not. The old tabs are kept under a name with the time, with whatever was
typed meanwhile: delete them when nothing is missing. Workers may run.

Examples:
  pushbox sheet check
  pushbox sheet check --repair
  pushbox sheet rebuild
  pushbox sheet check --spreadsheet 1AbC --json | jq '.spreadsheets[].differences'")]
pub(super) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Compare with Postgres and list the differences
    Check(Check),
    /// Make the tabs anew and put them in the place of the old ones
    Rebuild(Rebuild),
}

#[derive(Debug, clap::Args)]
struct Rebuild {
    /// Only this spreadsheet
    #[arg(long, value_name = "ID")]
    spreadsheet: Option<String>,

    /// One JSON document instead of lines
    #[arg(long)]
    json: bool,
}

#[derive(Debug, clap::Args)]
struct Check {
    /// Only this spreadsheet
    #[arg(long, value_name = "ID")]
    spreadsheet: Option<String>,

    /// Have the rows that differ written again
    #[arg(long)]
    repair: bool,

    /// One JSON document instead of lines
    #[arg(long)]
    json: bool,
}

/// Differences that are listed per spreadsheet; more are counted.
const LISTED: usize = 100;

pub(super) fn run(arguments: &Arguments, config: Option<&Path>) -> Outcome {
    let loaded = load(config, &Roles::none())?;
    match &arguments.command {
        Command::Check(check) => block_on(compare(loaded, check)),
        Command::Rebuild(rebuild) => block_on(make_anew(loaded, rebuild)),
    }
}

/// The spreadsheets that are asked for, and what looks at them.
async fn open(
    loaded: &Loaded,
    asked: Option<&String>,
) -> Result<(Database, SheetCheck, Vec<SpreadsheetRoute>), Failure> {
    let database = Database::equipped(&loaded.config.database, "sheet").await?;
    match prepare(&loaded.config, &database, asked).await {
        Ok((check, routes)) => Ok((database, check, routes)),
        Err(failure) => {
            database.close().await;
            Err(failure)
        }
    }
}

async fn prepare(
    config: &Config,
    database: &Database,
    asked: Option<&String>,
) -> Result<(SheetCheck, Vec<SpreadsheetRoute>), Failure> {
    let config = with_changes(config, database).await?;
    let Some(sheets) = &config.sheets else {
        return Err(Failure::Usage("set GOOGLE_CREDENTIALS_JSON and SPREADSHEET_ID".to_owned()));
    };
    let is_asked = |route: &&SpreadsheetRoute| asked.is_none_or(|id| *id == route.spreadsheet_id);
    let routes: Vec<SpreadsheetRoute> = config.routes.spreadsheets.iter().filter(is_asked).cloned().collect();
    if routes.is_empty() {
        return Err(Failure::Usage("--spreadsheet: the settings name no such spreadsheet".to_owned()));
    }
    let client = SheetsClient::new(sheets).await.map_err(anyhow::Error::new)?;
    let check = SheetCheck {
        pool: database.pool().clone(),
        client: Arc::new(client),
        clock: clock::system(),
        options: SheetOptions {
            ignore_statuses: config.routes.sheet_ignore_statuses.clone(),
            timezone: config.display_timezone,
            calls_per_minute: sheets.calls_per_minute,
            ..SheetOptions::default()
        },
    };
    Ok((check, routes))
}

async fn compare(loaded: Loaded, arguments: &Check) -> Outcome {
    let (database, check, routes) = open(&loaded, arguments.spreadsheet.as_ref()).await?;
    let (reports, failed) = look(&check, &routes, arguments.repair, loaded.config.queue.max_attempts).await;
    if arguments.repair {
        app::wake_all(&database).await;
    }
    database.close().await;
    if arguments.json {
        print_json(&reports, &failed, arguments.repair);
    } else {
        print_lines(&reports, arguments.repair);
    }
    let left = |report: &Report| {
        let differences = report.differences.iter();
        differences.filter(|one| !(arguments.repair && one.mendable)).count()
    };
    let left: usize = reports.iter().map(|(_, report)| left(report)).sum();
    together(failed, "cannot compare spreadsheet")?;
    if left > 0 {
        return Err(Failure::Failed(anyhow::anyhow!("{left} differences are left")));
    }
    Ok(())
}

/// Spreadsheets by their ids, and why each was not looked at.
type Failed = Vec<(String, anyhow::Error)>;

/// One failure of all that failed; the others were done all the same.
fn together(mut failed: Failed, what: &str) -> Outcome {
    let said = |(id, error): &(String, anyhow::Error)| format!("{what} {id}: {}", told(error));
    match failed.len() {
        0 => Ok(()),
        1 => {
            let (id, error) = failed.remove(0);
            Err(Failure::Failed(error.context(format!("{what} {id}"))))
        }
        _ => Err(Failure::Failed(anyhow::anyhow!(failed.iter().map(said).collect::<Vec<_>>().join("\n  ")))),
    }
}

#[expect(clippy::print_stdout, reason = "what a person or a script asked for")]
async fn make_anew(loaded: Loaded, arguments: &Rebuild) -> Outcome {
    let (database, check, routes) = open(&loaded, arguments.spreadsheet.as_ref()).await?;
    let mut done = Vec::new();
    let mut failed = Failed::new();
    for route in &routes {
        match check.rebuild(route).await {
            Ok(rebuilt) => done.push((&route.spreadsheet_id, rebuilt)),
            Err(error) => failed.push((route.spreadsheet_id.clone(), error)),
        }
    }
    database.close().await;
    if arguments.json {
        let list = done.iter().map(
            |(id, rebuilt)| json!({ "spreadsheet_id": id, "orders": rebuilt.orders, "kept": rebuilt.kept }),
        );
        let mut list: Vec<_> = list.collect();
        list.extend(failed.iter().map(failed_json));
        println!("{}", json!({ "spreadsheets": list }));
    } else {
        for (id, rebuilt) in &done {
            println!(
                "{id}: {} orders in new tabs; the old ones are {}",
                rebuilt.orders,
                rebuilt.kept.join(" and ")
            );
        }
    }
    together(failed, "cannot rebuild spreadsheet")
}

fn failed_json((id, error): &(String, anyhow::Error)) -> serde_json::Value {
    json!({ "spreadsheet_id": id, "error": told(error) })
}

/// One that cannot be looked at does not hold up the others.
async fn look(
    check: &SheetCheck,
    routes: &[SpreadsheetRoute],
    repair: bool,
    max_attempts: i32,
) -> (Vec<(String, Report)>, Failed) {
    let (mut reports, mut failed) = (Vec::new(), Failed::new());
    for route in routes {
        let id = &route.spreadsheet_id;
        let looked = async {
            let report = check.check(route).await?;
            if repair {
                check.repair(id, &report.to_mend(), max_attempts).await.context("asking for the repair")?;
            }
            anyhow::Ok(report)
        };
        match looked.await {
            Ok(report) => reports.push((id.clone(), report)),
            Err(error) => failed.push((id.clone(), error)),
        }
    }
    (reports, failed)
}

#[expect(clippy::print_stdout, reason = "what a person asked for")]
fn print_lines(reports: &[(String, Report)], repair: bool) {
    for (id, report) in reports {
        println!("{id}: {} orders, {} differences", report.orders, report.differences.len());
        for one in report.differences.iter().take(LISTED) {
            println!("  {} {} {}", one.tab, one.order.order_sn, one.problem);
        }
        if report.differences.len() > LISTED {
            println!("  … and {} more; --json lists all", report.differences.len() - LISTED);
        }
        if report.strangers > 0 {
            println!(
                "  {} rows are of orders that do not belong here; they are left alone",
                report.strangers
            );
        }
        let mended = if repair { report.to_mend().len() } else { 0 };
        if mended > 0 {
            println!("  the rows of {mended} orders are written again by the workers");
        }
    }
}

#[expect(clippy::print_stdout, reason = "what a script asked for")]
fn print_json(reports: &[(String, Report)], failed: &Failed, repair: bool) {
    let mut spreadsheets: Vec<_> = reports
        .iter()
        .map(|(id, report)| {
            let differences: Vec<_> = report
                .differences
                .iter()
                .map(|one| {
                    json!({ "platform": one.order.platform, "shop_id": one.order.shop_id,
                            "order_sn": one.order.order_sn, "tab": one.tab, "problem": one.problem,
                            "mendable": one.mendable })
                })
                .collect();
            json!({ "spreadsheet_id": id, "orders": report.orders, "strangers": report.strangers,
                    "differences": differences,
                    "repaired_orders": if repair { report.to_mend().len() } else { 0 } })
        })
        .collect();
    spreadsheets.extend(failed.iter().map(failed_json));
    println!("{}", json!({ "spreadsheets": spreadsheets }));
}
