//! `pushbox replay`.

use std::path::Path;
use std::time::Duration;

use serde_json::{Map, Value, json};
use uuid::Uuid;

use crate::cli::console::{self, Console};
use crate::cli::options::{Filter, JobFilter, Period, filter};
use crate::cli::show::{Column, Show, brief, confirm, facts, field, number, progress_bar, table, text};
use crate::cli::{Failure, Outcome};

/// How often to look how far a replay is.
const LOOK_EVERY: Duration = Duration::from_millis(300);

/// Do the work of events or jobs again
#[derive(Debug, clap::Args)]
#[command(
    args_conflicts_with_subcommands = true,
    after_long_help = "\
Without an action it lists the replays. Replaying events asks for the jobs that they lead to
today: routes and codes may have changed since they came. What was done is not done twice: rows
are written over, announcements stay, a forwarded event keeps its id. A worker does it, at
--rate and behind live pushes; Ctrl-C leaves it at work. Counts first and asks, unless --yes.
Every replay is on record in pushbox.admin_actions. Exit code 3 when nothing matches.

Examples:
  pushbox replay events --source shopee --code 3 --since 2d --dry-run
  pushbox replay events --shop 1001 --since 6h --yes
  pushbox replay event 019a3c2e-7b1d-7c55-9f1e-2f6a1b0c9d8e
  pushbox replay dead-jobs --queue sheet --error protected
  pushbox replay finished-jobs --kind upsert_sheet_row --since 1d
  pushbox replay cancel 12"
)]
pub(super) struct Arguments {
    #[command(subcommand)]
    action: Option<Action>,

    #[command(flatten)]
    show: Show,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// Replay every event that matches
    Events {
        /// Only of this source
        #[arg(long)]
        source: Option<String>,
        /// Only of this code of the platform
        #[arg(long)]
        code: Option<String>,
        /// Only of this shop or account
        #[arg(long)]
        shop: Option<String>,
        /// Only about this: an order number, a return number, an item
        #[arg(long, value_name = "SUBJECT")]
        about: Option<String>,
        /// Only those that came by push, `lost_push`, reconcile or manual
        #[arg(long)]
        via: Option<String>,
        #[command(flatten)]
        how: How,
    },
    /// Replay one event
    Event {
        /// Its id
        id: Uuid,
        /// Only tell what it would ask for
        #[arg(long)]
        dry_run: bool,
        /// One JSON document
        #[arg(long)]
        json: bool,
    },
    /// Try every dead job again that matches
    DeadJobs {
        #[command(flatten)]
        jobs: Jobs,
        #[command(flatten)]
        how: How,
    },
    /// Run every job again that ended and matches
    FinishedJobs {
        #[command(flatten)]
        jobs: Jobs,
        #[command(flatten)]
        how: How,
    },
    /// Show one replay
    Show {
        /// Its number
        id: i64,
        #[command(flatten)]
        show: Show,
    },
    /// Stop a replay; what it asked for already is done
    Cancel {
        /// Its number
        id: i64,
    },
}

/// Which jobs.
#[derive(Debug, clap::Args)]
struct Jobs {
    #[command(flatten)]
    which: JobFilter,

    /// Only those with this in one of their errors, in any case
    #[arg(long, value_name = "TEXT")]
    error: Option<String>,
}

/// When, how fast, and how much is asked before.
#[derive(Debug, clap::Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of the command line")]
struct How {
    #[command(flatten)]
    period: Period,
    /// All that there are, when nothing else says which
    #[arg(long)]
    all: bool,
    /// At most so many per second
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(i32).range(1..=10_000))]
    rate: i32,
    /// Only count
    #[arg(long)]
    dry_run: bool,
    /// Do not ask before it begins
    #[arg(long)]
    yes: bool,
    /// Do not wait for its end
    #[arg(long)]
    no_wait: bool,
    /// One JSON document: the replay as it stands at the end
    #[arg(long)]
    json: bool,
}

pub(super) fn run(arguments: &Arguments, config: Option<&Path>) -> Outcome {
    console::with(config, async |console| answer(console, arguments).await)
}

async fn answer(console: &Console, arguments: &Arguments) -> Outcome {
    match &arguments.action {
        None => {
            let list = async || console.get("/replays", &[]).await;
            arguments
                .show
                .answer(list, |page| table(&page["replays"], LIST, "nothing was replayed so far"))
                .await
        }
        Some(Action::Show { id, show }) => {
            show.answer(async || console.get(&format!("/replays/{id}"), &[]).await, render_one).await
        }
        Some(Action::Cancel { id }) => {
            let answer = console.post(&format!("/replays/{id}/cancel"), None).await?;
            say(&answer, false);
            Ok(())
        }
        Some(Action::Event { id, dry_run, json }) => one_event(console, *id, *dry_run, *json).await,
        Some(Action::Events { source, code, shop, about, via, how }) => {
            let filters = [
                filter("source", source.as_ref()),
                filter("code", code.as_ref()),
                filter("account", shop.as_ref()),
                filter("subject", about.as_ref()),
                filter("via", via.as_ref()),
            ];
            replay(console, "events", &filters, how).await
        }
        Some(Action::DeadJobs { jobs, how }) => replay(console, "dead_jobs", &jobs.filters(), how).await,
        Some(Action::FinishedJobs { jobs, how }) => {
            replay(console, "finished_jobs", &jobs.filters(), how).await
        }
    }
}

impl Jobs {
    fn filters(&self) -> [Filter; 4] {
        let [queue, kind, key] = self.which.filters();
        [queue, kind, key, filter("error", self.error.as_ref())]
    }
}

const LIST: &[Column] = &[
    number("REPLAY", |replay| field(replay, "id")),
    text("OF", |replay| field(replay, "target")),
    text("WHICH", |replay| brief(&field(replay, "filter"))),
    text("STATE", |replay| field(replay, "state")),
    number("SEEN", |replay| field(replay, "seen")),
    number("OF", |replay| field(replay, "total")),
    number("JOBS", |replay| field(replay, "enqueued")),
    text("ASKED FOR (UTC)", |replay| field(replay, "created_at")),
    text("BY", |replay| field(replay, "requested_by")),
];

fn render_one(answer: &Value) -> String {
    const FACTS: &[&str] = &[
        "id",
        "target",
        "filter",
        "state",
        "per_second",
        "total",
        "seen",
        "enqueued",
        "skipped",
        "requested_by",
        "created_at",
        "started_at",
        "finished_at",
        "last_error",
    ];
    facts(&answer["replay"], FACTS)
}

#[expect(clippy::print_stdout, reason = "what was asked for")]
fn say(answer: &Value, as_json: bool) {
    if as_json {
        println!("{answer}");
    } else {
        println!("{}", render_one(answer).trim_end());
    }
}

#[expect(clippy::print_stdout, reason = "what was asked for")]
async fn one_event(console: &Console, id: Uuid, dry_run: bool, as_json: bool) -> Outcome {
    const JOBS: &[Column] = &[
        text("QUEUE", |job| field(job, "queue")),
        text("KIND", |job| field(job, "kind")),
        text("KEY", |job| field(job, "key")),
    ];
    let answer = console.post(&format!("/events/{id}/replay"), Some(json!({ "dry_run": dry_run }))).await?;
    if as_json {
        println!("{answer}");
    } else {
        println!("{}", table(&answer["jobs"], JOBS, "with today's routes it asks for nothing"));
    }
    Ok(())
}

async fn replay(console: &Console, target: &str, filters: &[Filter], how: &How) -> Outcome {
    let filter: Map<String, Value> = filters
        .iter()
        .cloned()
        .chain(how.period.filters())
        .filter(|(_, value)| !value.is_empty())
        .map(|(name, value)| (name.to_owned(), value.into()))
        .collect();
    if filter.is_empty() && !how.all {
        return Err(Failure::Usage("which? Say a filter, or --all".to_owned()));
    }
    let request = |dry_run: bool| json!({ "target": target, "filter": filter, "all": how.all, "per_second": how.rate, "dry_run": dry_run });
    let counted = console.post("/replays", Some(request(true))).await?;
    if how.dry_run {
        say(&counted, how.json);
        return Ok(());
    }
    let total = counted["replay"]["total"].as_u64().unwrap_or(0);
    let named = target.replace('_', " ");
    if total == 0 {
        return Err(Failure::Missing(format!("no {named} match")));
    }
    confirm(&format!("Replay {total} {named}?"), how.yes)?;
    let begun = console.post("/replays", Some(request(false))).await?;
    if how.no_wait {
        say(&begun, how.json);
        return Ok(());
    }
    say(&follow(console, &begun, total).await?, how.json);
    Ok(())
}

/// Shows how far it is until its end.
#[expect(clippy::print_stderr, reason = "a word to the person at the terminal")]
async fn follow(console: &Console, begun: &Value, total: u64) -> Result<Value, Failure> {
    let id = begun["replay"]["id"].as_i64().unwrap_or_default();
    if !a_worker_lives(console).await? {
        eprintln!("no process with the role worker runs: replay {id} begins as soon as one does");
    }
    let bar = progress_bar(total);
    loop {
        let answer = console.get(&format!("/replays/{id}"), &[]).await?;
        let replay = &answer["replay"];
        bar.set_length(replay["total"].as_u64().unwrap_or(total));
        bar.set_position(replay["seen"].as_u64().unwrap_or(0));
        if !matches!(replay["state"].as_str(), Some("waiting" | "running")) {
            bar.finish_and_clear();
            return Ok(answer);
        }
        tokio::select! {
            () = tokio::time::sleep(LOOK_EVERY) => {}
            _ = tokio::signal::ctrl_c() => {
                bar.abandon();
                eprintln!("replay {id} goes on; `pushbox replay cancel {id}` stops it");
                return Ok(answer);
            }
        }
    }
}

async fn a_worker_lives(console: &Console) -> Result<bool, Failure> {
    let answer = console.get("/workers", &[]).await?;
    let mut workers = answer["workers"].as_array().map(Vec::as_slice).unwrap_or_default().iter();
    Ok(workers.any(|one| {
        one["alive"] == json!(true)
            && one["roles"].as_array().is_some_and(|roles| roles.contains(&json!("worker")))
    }))
}
