//! `pushbox audit`.

use std::path::Path;

use anyhow::Context;
use serde_json::json;

use crate::app::Database;
use crate::cli::{Failure, Outcome, block_on, load};
use crate::config::{Loaded, Roles};
use crate::store::audit::{Balance, INVARIANTS, accepted, balances};

/// Breaks shown per invariant.
const SHOWN: i64 = 5;

/// Check in SQL that everything accepted is where it belongs
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Checks every promise about the tables: no event without its jobs, no job lost or done twice,
no order or sheet row moved backwards, amounts that add up. Prints each with its breaks, and what
became of the events per kind of job. Only reads; needs DATABASE_URL, or the private Postgres
under DATA_DIR, also while pushbox runs. Exit code 1 when a promise is broken.

Examples:
  pushbox audit
  pushbox audit --json | jq '.invariants[] | select(.breaks != [])'")]
pub(super) struct Arguments {
    /// One JSON document instead of a table
    #[arg(long)]
    json: bool,
}

pub(super) fn run(arguments: &Arguments, config: Option<&Path>) -> Outcome {
    let loaded = load(config, &Roles::none())?;
    block_on(audit(loaded, arguments.json))
}

struct Findings {
    stored: (i64, i64),
    balances: Vec<Balance>,
    /// Per invariant, in their order.
    breaks: Vec<Vec<String>>,
}

async fn audit(loaded: Loaded, as_json: bool) -> Outcome {
    let database = Database::equipped(&loaded.config.database, "audit").await?;
    let findings = find(&database).await;
    database.close().await;
    let findings = findings.context("cannot audit the database; was it migrated? (pushbox migrate)")?;
    if as_json {
        print_json(&findings);
    } else {
        print_table(&findings);
    }
    let broken = findings.breaks.iter().filter(|breaks| !breaks.is_empty()).count();
    if broken > 0 {
        return Err(Failure::Failed(anyhow::anyhow!("{broken} of {} promises are broken", INVARIANTS.len())));
    }
    Ok(())
}

async fn find(database: &Database) -> Result<Findings, sqlx::Error> {
    let pool = database.pool();
    let mut breaks = Vec::with_capacity(INVARIANTS.len());
    for invariant in INVARIANTS {
        breaks.push(invariant.breaks(pool, SHOWN).await?);
    }
    Ok(Findings { stored: accepted(pool).await?, balances: balances(pool).await?, breaks })
}

#[expect(clippy::print_stdout, reason = "what a person asked for")]
fn print_table(findings: &Findings) {
    let (events, redeliveries) = findings.stored;
    println!("{events} events stored, {redeliveries} redeliveries absorbed\n");
    println!(
        "{:<20} {:>9} {:>9} {:>9} {:>9} {:>9} {:>9}",
        "kind", "events", "done", "ready", "running", "dead", "cancelled"
    );
    for one in &findings.balances {
        let Balance { kind, events, done, ready, running, dead, cancelled } = one;
        println!("{kind:<20} {events:>9} {done:>9} {ready:>9} {running:>9} {dead:>9} {cancelled:>9}");
    }
    println!();
    for (invariant, breaks) in INVARIANTS.iter().zip(&findings.breaks) {
        println!(
            "{:<7} {:<22} {}",
            if breaks.is_empty() { "ok" } else { "BROKEN" },
            invariant.name,
            invariant.promise
        );
        for one in breaks {
            println!("        {one}");
        }
    }
}

#[expect(clippy::print_stdout, reason = "what a script asked for")]
fn print_json(findings: &Findings) {
    let invariants: Vec<_> = INVARIANTS
        .iter()
        .zip(&findings.breaks)
        .map(|(invariant, breaks)| json!({ "name": invariant.name, "promise": invariant.promise, "breaks": breaks }))
        .collect();
    let balances: Vec<_> = findings
        .balances
        .iter()
        .map(|one| {
            json!({ "kind": one.kind, "events": one.events, "done": one.done, "ready": one.ready,
                    "running": one.running, "dead": one.dead, "cancelled": one.cancelled })
        })
        .collect();
    let (events, redeliveries) = findings.stored;
    println!(
        "{}",
        json!({ "events": events, "redeliveries": redeliveries, "kinds": balances, "invariants": invariants })
    );
}
