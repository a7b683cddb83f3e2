//! Checks of the spreadsheets: the account, access to each, its tabs and its size.

use chrono::{DateTime, Days, Utc};

use super::Check;
use super::telegram::capital;
use crate::clients::sheets::{SheetsClient, SheetsError, SpreadsheetInfo};
use crate::clock;
use crate::config::Config;
use crate::domain::route::SpreadsheetRoute;
use crate::jobs::sheet::tabs;

const NAME: &str = "sheets";
/// Google allows ten million, empty ones included.
const MANY_CELLS: i64 = 9_000_000;

pub(super) async fn look(config: &Config) -> Vec<Check> {
    let Some(settings) = &config.sheets else { return Vec::new() };
    let client = match SheetsClient::new(settings).await {
        Ok(client) => client,
        Err(error) => return vec![failed("GOOGLE_CREDENTIALS_JSON", &error)],
    };
    let mut checks: Vec<Check> =
        months(&config.routes.spreadsheets, clock::system().now()).into_iter().collect();
    for route in &config.routes.spreadsheets {
        let id = &route.spreadsheet_id;
        match client.spreadsheet(id).await {
            Ok(info) => checks.push(look_at(&client, id, &info).await),
            Err(error) => checks.push(failed(&format!("spreadsheet {id}"), &error)),
        }
    }
    checks
}

async fn look_at(client: &SheetsClient, id: &str, info: &SpreadsheetInfo) -> Check {
    let title = &info.title;
    let cells: i64 = info.tabs.iter().map(|tab| i64::from(tab.row_count) * i64::from(tab.column_count)).sum();
    if cells > MANY_CELLS {
        return Check::warning(
            NAME,
            format!("{title} ({id}) has {cells} of the 10000000 cells that Google allows"),
            "Delete empty rows and tabs that nobody needs, or start another spreadsheet: [[spreadsheets]] with months.",
        );
    }
    match tabs::faults(client, id, info).await {
        Ok(faults) if faults.is_empty() => Check::ok(
            NAME,
            format!("{title} ({id}) can be read; {} has to be an Editor of it", client.client_email()),
        ),
        Ok(faults) => {
            let (findings, remedies): (Vec<_>, Vec<_>) = faults.into_iter().unzip();
            Check::failed(
                NAME,
                format!("{title} ({id}): {}", findings.join("; ")),
                capital(&remedies.join("; ")),
            )
        }
        Err(error) => failed(&format!("spreadsheet {id}"), &error),
    }
}

/// Whether there is a spreadsheet for orders that come now, and soon.
fn months(routes: &[SpreadsheetRoute], now: DateTime<Utc>) -> Option<Check> {
    let takes = |at: DateTime<Utc>| routes.iter().any(|route| route.takes_time(at));
    let soon = now.checked_add_days(Days::new(7)).unwrap_or(now);
    let remedy = "Create a spreadsheet for the month, share it, and list it in [[spreadsheets]] with months.";
    if routes.is_empty() || takes(now) && takes(soon) {
        None
    } else if takes(now) {
        Some(Check::warning(NAME, "no spreadsheet takes the orders of next week", remedy))
    } else {
        Some(Check::failed(NAME, "no spreadsheet takes the orders of today", remedy))
    }
}

fn failed(what: &str, error: &SheetsError) -> Check {
    match error {
        SheetsError::Configuration { message, remedy } => {
            Check::failed(NAME, format!("{what}: {message}"), capital(remedy))
        }
        error => Check::failed(
            NAME,
            format!("{what}: {error}"),
            "Try again; if it stays, see Google's status page.",
        ),
    }
}
