//! `pushbox explain`.

use std::fmt::Write as _;
use std::path::Path;

use chrono::{DateTime, Utc};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::cli::console::{self, Console};
use crate::cli::show::{Show, brief, field, table, text};
use crate::cli::{Failure, Outcome};
use crate::store::explain::{self, Subject};

/// Tell the whole life of an event, an order or a job, and what happens next
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
What came, how often, what was asked for, every attempt with its error, what the order was seen
as, what the sheet, Telegram and your own service got of it; then what happens next and when, or
what a person has to do. Shows no buyer's data. Exit code 3 when nothing is known of it.

Examples:
  pushbox explain 2609150ABCDEF1                          an order, or whatever pushes are about
  pushbox explain 019a3c2e-7b1d-7c55-9f1e-2f6a1b0c9d8e    an event
  pushbox explain 4711                                    a job
  pushbox explain 2609150ABCDEF1 --watch                  until Ctrl-C")]
pub(super) struct Arguments {
    /// Id of an event, number of an order, or number of a job
    #[arg(value_name = "WHAT")]
    what: String,

    #[command(flatten)]
    show: Show,
}

pub(super) fn run(arguments: &Arguments, config: Option<&Path>) -> Outcome {
    console::with(config, async |console| {
        arguments.show.answer(async || life(console, &arguments.what).await, render).await
    })
}

async fn life(console: &Console, what: &str) -> Result<Value, Failure> {
    let mut connection = console.pool().acquire().await.map_err(database)?;
    let subject = subject(&mut connection, what).await?;
    let steps = explain::list_steps(&mut connection, &subject).await.map_err(database)?;
    if steps.is_empty() {
        return Err(Failure::Missing(format!(
            "nothing is known of {what}: it never came, or it is older than EVENT_RETENTION_DAYS"
        )));
    }
    let missing = match &subject {
        Subject::Order(order_sn) => {
            explain::list_missing(&mut *connection, order_sn).await.map_err(database)?
        }
        Subject::Event(_) => Vec::new(),
    };
    let obstacles = explain::list_obstacles(&mut *connection).await.map_err(database)?;
    let now = explain::now(&mut *connection).await.map_err(database)?;
    let (done, open): (Vec<_>, Vec<_>) = steps.into_iter().partition(|step| !step.is_open());
    let (kind, what) = match subject {
        Subject::Event(id) => ("event", id.to_string()),
        Subject::Order(number) => ("order", number),
    };
    Ok(json!({
        "kind": kind, "what": what, "at": now, "timeline": done, "next": open, "missing_in_sheet": missing,
        "obstacles": if open.is_empty() { Vec::new() } else { obstacles },
    }))
}

fn database(error: sqlx::Error) -> Failure {
    Failure::Failed(
        anyhow::Error::new(error).context("reading the database; was it migrated? (pushbox migrate)"),
    )
}

/// A number of a few digits is a job; what it was asked for by is what is told.
async fn subject(connection: &mut sqlx::PgConnection, what: &str) -> Result<Subject, Failure> {
    if let Ok(id) = what.parse::<Uuid>() {
        return Ok(Subject::Event(id));
    }
    if let Some(job) = what.parse::<i64>().ok().filter(|_| what.len() <= 12)
        && let Some(event) = explain::event_of_job(connection, job).await.map_err(database)?
    {
        return Ok(Subject::Event(event));
    }
    Ok(Subject::Order(what.to_owned()))
}

fn render(life: &Value) -> String {
    let columns = [
        text("TIME (UTC)", |step| field(step, "at")),
        text("STEP", |step| field(step, "step")),
        text("WHAT", |step| field(step, "what")),
        text("JOB", |step| field(step, "job_id")),
        text("ERROR", |step| brief(&field(step, "error"))),
    ];
    let mut told = format!("{} {}\n\n", field(life, "kind"), field(life, "what"));
    told.push_str(&table(&life["timeline"], &columns, "nothing happened yet"));
    told.push_str("\n\nNext:\n");
    let next = life["next"].as_array().map(Vec::as_slice).unwrap_or_default();
    for step in next {
        let _ = writeln!(told, "  {}", outlook(step, life));
    }
    for missing in life["missing_in_sheet"].as_array().map(Vec::as_slice).unwrap_or_default() {
        let _ = writeln!(told, "  not in the sheet: {}", field(missing, "why"));
    }
    for obstacle in life["obstacles"].as_array().map(Vec::as_slice).unwrap_or_default() {
        let _ = writeln!(told, "  in the way: {}", plain_text(obstacle));
    }
    if next.is_empty() {
        told.push_str("  nothing: all that was asked for is done\n");
    }
    told
}

fn plain_text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// What an open job means to who waits for it.
fn outlook(step: &Value, life: &Value) -> String {
    let (job, what) = (field(step, "job_id"), field(step, "what"));
    match step["step"].as_str().unwrap_or_default() {
        "dead" => format!(
            "job {job} {what}: {}; `pushbox jobs retry {job}` tries again",
            brief(&field(step, "error"))
        ),
        "running" => format!("job {job} {what}"),
        _ => format!("job {job} {what}, {}", when(step, life)),
    }
}

fn when(step: &Value, life: &Value) -> String {
    let time = |value: &Value| value.as_str().and_then(|text| text.parse::<DateTime<Utc>>().ok());
    let Some((at, now)) = time(&step["at"]).zip(time(&life["at"])) else { return "soon".to_owned() };
    match (at - now).num_seconds() {
        ..=0 => "now, as soon as a worker is free".to_owned(),
        seconds @ 1..120 => format!("in {seconds} s"),
        seconds @ 120..7_200 => format!("in {} min", seconds / 60),
        _ => format!("at {} UTC", at.format("%Y-%m-%d %H:%M")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_outlook_says_when_or_what_to_do() {
        let life = json!({"at": "2026-11-21T05:00:00Z"});
        let step =
            |step: &str, at: &str| json!({"step": step, "at": at, "job_id": 7, "what": "x", "error": "y"});
        for (one, expected) in [
            (step("ready", "2026-11-21T05:00:30Z"), "job 7 x, in 30 s"),
            (step("ready", "2026-11-21T05:30:00Z"), "job 7 x, in 30 min"),
            (step("ready", "2026-11-21T04:30:00Z"), "job 7 x, now, as soon as a worker is free"),
            (step("ready", "2026-11-22T04:30:00Z"), "job 7 x, at 2026-11-22 04:30 UTC"),
            (step("running", "2026-11-21T05:00:00Z"), "job 7 x"),
            (step("dead", "2026-11-21T05:00:00Z"), "job 7 x: y; `pushbox jobs retry 7` tries again"),
        ] {
            assert_eq!(outlook(&one, &life), expected);
        }
    }
}
