//! `pushbox stats`.

use std::path::Path;

use serde_json::Value;

use crate::cli::console;
use crate::cli::show::{Column, Show, field, number, table, text};
use crate::cli::{Outcome, queues};

/// Show how much comes in, how far behind the queues are, and how long delivery takes
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Latencies are from the receipt of an event to the end of a job of that kind, over the last hour.

Examples:
  pushbox stats --watch 5
  pushbox stats --json | jq '.totals.last_hour'")]
pub(super) struct Arguments {
    #[command(flatten)]
    show: Show,
}

const EVENTS: &[Column] = &[
    text("SOURCE", |count| field(count, "source")),
    text("CODE", |count| field(count, "code")),
    text("KIND", |count| field(count, "kind")),
    number("LAST HOUR", |count| field(count, "last_hour")),
    number("LAST DAY", |count| field(count, "last_day")),
];

const LATENCY: &[Column] = &[
    text("JOB", |latency| field(latency, "kind")),
    number("DONE", |latency| field(latency, "jobs")),
    number("P50 S", |latency| seconds(latency, "p50_ms")),
    number("P95 S", |latency| seconds(latency, "p95_ms")),
    number("P99 S", |latency| seconds(latency, "p99_ms")),
];

fn seconds(row: &Value, name: &str) -> String {
    row[name].as_f64().map(|ms| format!("{:.2}", ms / 1000.0)).unwrap_or_default()
}

pub(super) fn run(arguments: &Arguments, config: Option<&Path>) -> Outcome {
    console::with(config, async |console| {
        arguments.show.answer(async || console.get("/stats", &[]).await, render).await
    })
}

fn render(stats: &Value) -> String {
    let totals = &stats["totals"];
    let parts = [
        format!(
            "{} events in the last hour, {} in the last day, {} redeliveries absorbed",
            field(totals, "last_hour"),
            field(totals, "last_day"),
            field(totals, "redeliveries_last_day")
        ),
        table(&stats["events"], EVENTS, "no event in the last day"),
        queues::render(stats),
        table(&stats["latency"], LATENCY, "nothing was delivered in the last hour"),
    ];
    parts.join("\n\n")
}
