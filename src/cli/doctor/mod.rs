//! `pushbox doctor`: looks at everything that pushbox depends on, and says what to do about each finding.
//!
//! A check is a value ([`Check`]); what a part depends on is checked in a file of its own.

mod database;
mod destinations;
mod forward;
mod sheets;
mod shopee;
mod sources;
mod telegram;
mod tokens;

use std::borrow::Cow;
use std::path::Path;

use serde::Serialize;
use serde_json::json;

use crate::app::{Database, with_changes};
use crate::cli::{Failure, Outcome, block_on};
use crate::config::{Config, Inputs, Loaded, Roles};

/// Check settings, database, clock, Shopee, Telegram, Sheets and forwarding, with a remedy for each finding
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Only looks: nothing is changed or sent, no lost push is confirmed, no token is spent. A service
that events are forwarded to gets an OPTIONS request.
Exit code 1 when a check fails, 0 with warnings only.

Examples:
  pushbox doctor
  pushbox doctor --json | jq '.checks[] | select(.result != \"ok\")'")]
pub(super) struct Arguments {
    /// One JSON document instead of a list
    #[arg(long)]
    json: bool,
}

/// How a check ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Verdict {
    Ok,
    Warning,
    Failed,
}

/// One finding.
#[derive(Debug, Clone, Serialize)]
struct Check {
    name: &'static str,
    result: Verdict,
    /// What was found; holds no secret.
    finding: String,
    /// What to do about it; empty where all is well.
    remedy: String,
}

impl Check {
    fn ok(name: &'static str, finding: impl Into<String>) -> Self {
        Self { name, result: Verdict::Ok, finding: finding.into(), remedy: String::new() }
    }

    fn warning(name: &'static str, finding: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { name, result: Verdict::Warning, finding: finding.into(), remedy: remedy.into() }
    }

    fn failed(name: &'static str, finding: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { name, result: Verdict::Failed, finding: finding.into(), remedy: remedy.into() }
    }
}

pub(super) fn run(arguments: &Arguments, config: Option<&Path>) -> Outcome {
    let inputs = Inputs::from_process(config)?;
    // What a process of all roles needs; a fault there is a finding, and the rest is looked at all the same.
    let mut checks = configuration(&inputs);
    if let Ok(Loaded { config, .. }) = Config::load(&inputs, &Roles::none()) {
        block_on(async {
            checks.extend(look(&config).await);
            Ok(())
        })?;
    }
    print(&checks, arguments.json);
    let failed = checks.iter().filter(|check| check.result == Verdict::Failed).count();
    if failed > 0 {
        return Err(Failure::Failed(anyhow::anyhow!("{failed} of {} checks failed", checks.len())));
    }
    Ok(())
}

fn configuration(inputs: &Inputs) -> Vec<Check> {
    const NAME: &str = "configuration";
    match Config::load(inputs, &Roles::all()) {
        Err(faults) => faults
            .iter()
            .map(|fault| Check::failed(NAME, format!("{}: {}", fault.setting, fault.problem), &fault.remedy))
            .collect(),
        Ok(loaded) if loaded.notes.is_empty() => vec![Check::ok(NAME, "complete")],
        Ok(loaded) => {
            let noted = |note| Check::warning(NAME, note, "Nothing if this is meant; else set it.");
            loaded.notes.into_iter().map(noted).collect()
        }
    }
}

async fn look(config: &Config) -> Vec<Check> {
    let mut checks = sources::described_all(config);
    let mut config = Cow::Borrowed(config);
    match Database::attach(&config.database, "doctor").await {
        Ok(database) => {
            checks.extend(database::look(database.pool()).await);
            match with_changes(&config, &database).await {
                Ok(changed) => config = Cow::Owned(changed),
                Err(error) => {
                    let remedy = "Take the change back on the dashboard, under Settings.";
                    checks.push(Check::failed("settings", format!("{error:#}"), remedy));
                }
            }
            let config = &config;
            checks.extend(sources::look(config, database.pool()).await);
            checks.extend(tokens::look(config, database.pool()).await);
            checks.extend(destinations::look(database.pool()).await);
            database.close().await;
        }
        Err(error) => checks.push(Check::failed("database", format!("{error:#}"), "Check DATABASE_URL.")),
    }
    let config = &config;
    checks.extend(shopee::look(config).await);
    checks.extend(telegram::look(config).await);
    checks.extend(sheets::look(config).await);
    checks.extend(forward::look(config).await);
    checks
}

#[expect(clippy::print_stdout, reason = "what a person or a script asked for")]
fn print(checks: &[Check], as_json: bool) {
    if as_json {
        println!("{}", json!({ "checks": checks }));
        return;
    }
    for check in checks {
        let word = match check.result {
            Verdict::Ok => "ok",
            Verdict::Warning => "warning",
            Verdict::Failed => "FAILED",
        };
        println!("{word:<8} {:<14} {}", check.name, check.finding);
        if !check.remedy.is_empty() {
            println!("{:<23} {}", "", check.remedy);
        }
    }
}
