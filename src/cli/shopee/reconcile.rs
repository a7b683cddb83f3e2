//! `pushbox shopee reconcile`: compares a range of time with what Shopee says.

use std::time::Duration;

use serde_json::{Value, json};

use crate::cli::console::Console;
use crate::cli::show::{Column, brief, field, moment, number, table, text};
use crate::cli::{Failure, Outcome};
use crate::config::Loaded;

/// How often to look whether it is done.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// What to compare.
#[derive(Debug, clap::Args)]
pub(super) struct Reconcile {
    /// Changes since: a time such as 2026-11-21T05:00:00Z, or so long ago (90m, 12h, 3d)
    #[arg(long, value_name = "TIME", value_parser = moment, required_unless_present = "list")]
    from: Option<String>,
    /// Changes until [else: now]
    #[arg(long, value_name = "TIME", value_parser = moment)]
    to: Option<String>,
    /// One shop [else: every active one]
    #[arg(long, value_name = "N")]
    shop: Option<i64>,
    /// Orders that changed in the range, or income that was released in it
    #[arg(long, value_enum, default_value_t)]
    what: What,
    /// Wait until it is done; exit code 1 when one failed
    #[arg(long)]
    wait: bool,
    /// Ask for nothing, only show the last comparisons
    #[arg(long, conflicts_with_all = ["from", "to", "wait"])]
    list: bool,
    /// One JSON document
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Clone, Copy, Default, clap::ValueEnum)]
enum What {
    #[default]
    Orders,
    Income,
}

const COLUMNS: &[Column] = &[
    number("ID", |row| field(row, "id")),
    text("SHOP", |row| field(row, "shop_id")),
    text("KIND", |row| field(row, "kind")),
    text("WHAT", |row| field(row, "what")),
    text("FROM (UTC)", |row| field(row, "from")),
    text("TO (UTC)", |row| field(row, "to")),
    text("STATE", |row| field(row, "state")),
    number("LISTED", |row| field(row, "listed")),
    number("FOUND", |row| field(row, "found")),
    number("READ AGAIN", |row| field(row, "refreshed")),
    text("ERROR", |row| brief(&field(row, "error"))),
];

/// Asks through the admin API, as anybody would; a scheduler does it.
#[expect(clippy::print_stdout, reason = "what a person asked for")]
pub(super) async fn run(loaded: Loaded, arguments: &Reconcile) -> Outcome {
    let console = Console::open(loaded).await?;
    let answered = ask(&console, arguments).await;
    console.close().await;
    let rows = answered?;
    if arguments.json {
        println!("{}", json!({ "reconciliations": rows }));
    } else {
        println!("{}", table(&rows, COLUMNS, "nothing was compared yet").trim_end());
    }
    let failed = states(&rows).filter(|state| *state == "failed").count();
    if arguments.wait && failed > 0 {
        return Err(Failure::Failed(anyhow::anyhow!("{failed} comparisons failed")));
    }
    Ok(())
}

fn states(rows: &Value) -> impl Iterator<Item = &str> {
    rows.as_array().into_iter().flatten().filter_map(|row| row["state"].as_str())
}

async fn ask(console: &Console, arguments: &Reconcile) -> Result<Value, Failure> {
    let shop = arguments.shop.map(|id| id.to_string());
    if arguments.list {
        let query = [("shop_id", shop.unwrap_or_default())];
        return Ok(console.get("/reconciliations", &query).await?["reconciliations"].take());
    }
    let what = match arguments.what {
        What::Orders => "orders",
        What::Income => "income",
    };
    let request = json!({ "from": arguments.from, "to": arguments.to, "shop_id": shop, "what": what });
    let mut rows = console.post("/reconciliations", Some(request)).await?["reconciliations"].take();
    while arguments.wait && states(&rows).any(|state| state == "asked" || state == "running") {
        tokio::time::sleep(LOOK_EVERY).await;
        for row in rows.as_array_mut().into_iter().flatten() {
            let path = format!("/reconciliations/{}", row["id"]);
            *row = console.get(&path, &[]).await?["reconciliation"].take();
        }
    }
    Ok(rows)
}
