//! `pushbox schedules`.

use std::path::Path;

use serde_json::{Value, json};

use crate::cli::Outcome;
use crate::cli::console::{self, Console, segment};
use crate::cli::show::{Column, Show, brief, field, number, table, text};

/// Show the scheduled tasks; run, pause and resume one
#[derive(Debug, clap::Args)]
#[command(
    args_conflicts_with_subcommands = true,
    after_long_help = "\
A task runs once for any number of schedulers; missed ticks collapse into one. Asked to run, it
begins within about a second, if a process with the role scheduler is there. Changes are on record
in pushbox.admin_actions. Exit code 3 when there is no such task.

Examples:
  pushbox schedules
  pushbox schedules show lost_pushes      with its last runs and what they found
  pushbox schedules run lost_pushes
  pushbox schedules pause lost_pushes --reason 'Shopee is being moved'"
)]
pub(super) struct Arguments {
    #[command(subcommand)]
    action: Option<Action>,

    #[command(flatten)]
    show: Show,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// Show a task with its last runs
    Show {
        /// Its name
        task: String,
        #[command(flatten)]
        show: Show,
    },
    /// Run a task now
    Run {
        /// Its name
        task: String,
    },
    /// Do not run a task by the clock
    Pause {
        /// Its name
        task: String,
        /// For whoever finds it paused
        #[arg(long, value_name = "TEXT")]
        reason: String,
    },
    /// Run a task by the clock again
    Resume {
        /// Its name
        task: String,
    },
}

const LIST: &[Column] = &[
    text("TASK", |task| field(task, "name")),
    number("EVERY S", |task| field(task, "every_s")),
    text("NEXT RUN (UTC)", |task| {
        if task["paused"] == json!(true) { "paused".to_owned() } else { field(task, "next_run_at") }
    }),
    text("LAST SUCCESS (UTC)", |task| field(task, "last_success_at")),
    text("LAST RESULT, OR ERROR", |task| {
        let error = field(task, "last_error");
        brief(&if error.is_empty() { field(task, "last_result") } else { error })
    }),
];

const RUNS: &[Column] = &[
    number("RUN", |run| field(run, "id")),
    text("STARTED (UTC)", |run| field(run, "started_at")),
    text("FINISHED (UTC)", |run| field(run, "finished_at")),
    text("ASKED FOR", |run| field(run, "asked")),
    text("RESULT, OR ERROR", |run| format!("{}{}", field(run, "result"), field(run, "error"))),
];

pub(super) fn run(arguments: &Arguments, config: Option<&Path>) -> Outcome {
    console::with(config, async |console| answer(console, arguments).await)
}

async fn answer(console: &Console, arguments: &Arguments) -> Outcome {
    let of = |task: &str| format!("/schedules/{}", segment(task));
    match &arguments.action {
        Some(Action::Show { task, show }) => {
            return show.answer(async || console.get(&of(task), &[]).await, render_one).await;
        }
        Some(Action::Run { task }) => drop(console.post(&format!("{}/run", of(task)), None).await?),
        Some(Action::Pause { task, reason }) => {
            let reason = json!({ "reason": reason });
            console.post(&format!("{}/pause", of(task)), Some(reason)).await?;
        }
        Some(Action::Resume { task }) => drop(console.post(&format!("{}/resume", of(task)), None).await?),
        None => {}
    }
    let list = async || console.get("/schedules", &[]).await;
    arguments.show.answer(list, |answer| table(&answer["schedules"], LIST, "no scheduler ever ran")).await
}

fn render_one(answer: &Value) -> String {
    let task = json!([answer["schedule"]]);
    format!("{}\n\n{}", table(&task, LIST, ""), table(&answer["runs"], RUNS, "it never ran"))
}
