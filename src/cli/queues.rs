//! `pushbox queues`.

use std::path::Path;

use serde_json::{Value, json};

use crate::cli::Outcome;
use crate::cli::console::{self, Console, segment};
use crate::cli::show::{Column, Show, field, number, table, text};

/// Show the queues; pause and resume one
#[derive(Debug, clap::Args)]
#[command(
    args_conflicts_with_subcommands = true,
    after_long_help = "\
READY is due; SCHEDULED is due later, most after a failure; WAITING is in the way of its
destination (a quota, a pause, an authorization) and loses no attempts; OLDEST is for how many
seconds the oldest due job has been due. A pause holds in every process: nothing more is claimed,
what runs ends. Pausing and resuming is on record in pushbox.admin_actions.

Examples:
  pushbox queues --watch
  pushbox queues pause sheet --reason 'moving to a new spreadsheet'
  pushbox queues resume sheet"
)]
pub(super) struct Arguments {
    #[command(subcommand)]
    action: Option<Action>,

    #[command(flatten)]
    show: Show,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// Claim nothing more from a queue
    Pause {
        /// enrich, sheet, notify or forward
        queue: String,
        /// For whoever finds it paused
        #[arg(long, value_name = "TEXT")]
        reason: String,
    },
    /// Let a paused queue work again
    Resume {
        /// enrich, sheet, notify or forward
        queue: String,
    },
}

const LIST: &[Column] = &[
    text("QUEUE", |queue| field(queue, "queue")),
    text("PAUSED", |queue| field(queue, "paused")),
    number("READY", |queue| field(queue, "ready")),
    number("SCHEDULED", |queue| field(queue, "scheduled")),
    number("WAITING", |queue| field(queue, "waiting")),
    number("RUNNING", |queue| field(queue, "running")),
    number("DEAD", |queue| field(queue, "dead")),
    number("OLDEST", |queue| field(queue, "oldest_ready_s")),
];

/// The queues of an answer as a table.
pub(super) fn render(answer: &Value) -> String {
    table(&answer["queues"], LIST, "there is no queue")
}

pub(super) fn run(arguments: &Arguments, config: Option<&Path>) -> Outcome {
    console::with(config, async |console| answer(console, arguments).await)
}

async fn answer(console: &Console, arguments: &Arguments) -> Outcome {
    match &arguments.action {
        Some(Action::Pause { queue, reason }) => {
            let reason = json!({ "reason": reason });
            console.post(&format!("/queues/{}/pause", segment(queue)), Some(reason)).await?;
        }
        Some(Action::Resume { queue }) => {
            console.post(&format!("/queues/{}/resume", segment(queue)), None).await?;
        }
        None => {}
    }
    arguments.show.answer(async || console.get("/queues", &[]).await, render).await
}
