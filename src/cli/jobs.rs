//! `pushbox jobs`.

use std::path::Path;

use serde_json::{Value, json};

use crate::cli::console::{self, Console};
use crate::cli::options::{JobFilter, Limit, filter};
use crate::cli::show::{Column, Show, brief, confirm, facts, field, number, progress_bar, table, text};
use crate::cli::{Failure, Outcome};
use crate::store::job_reads::list_dead_groups;

/// The most a page may have.
const PAGE: u16 = 500;

/// List jobs that are alive, look at one, try dead ones again, cancel what waits
#[derive(Debug, clap::Args)]
#[command(
    args_conflicts_with_subcommands = true,
    after_long_help = "\
A dead job was given up after MAX_ATTEMPTS, or can never work. Mend the reason, then retry: it
gets all its attempts again. Every change is on record in pushbox.admin_actions. Exit code 3 when
there is no such job, or none that matches.

Examples:
  pushbox jobs                                      what is alive, newest first
  pushbox jobs --queue sheet --watch
  pushbox jobs dead                                 the dead by what they died of
  pushbox jobs show 4711                            with every attempt and its error
  pushbox jobs retry 4711
  pushbox jobs retry --queue sheet --error 'protected' --yes
  pushbox jobs cancel --queue forward --key 4711:default"
)]
pub(super) struct Arguments {
    #[command(subcommand)]
    action: Option<Action>,

    #[command(flatten)]
    which: JobFilter,

    /// Only `ready`, `running` or `dead` ones
    #[arg(long)]
    state: Option<String>,

    #[command(flatten)]
    limit: Limit,

    #[command(flatten)]
    show: Show,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// Show the dead jobs grouped by what they died of
    Dead {
        #[command(flatten)]
        show: Show,
    },
    /// Show one job, alive or ended, with all its errors
    Show {
        /// Its number
        id: i64,
        #[command(flatten)]
        show: Show,
    },
    /// Try dead jobs again: those of these numbers, or all that the filters name
    Retry(Many),
    /// End jobs that wait, without doing them: those of these numbers, or all that the filters name
    Cancel(Many),
}

/// Jobs to change.
#[derive(Debug, clap::Args)]
struct Many {
    /// Their numbers
    #[arg(value_name = "ID", conflicts_with_all = ["queue", "kind", "key", "error", "all"])]
    ids: Vec<i64>,

    #[command(flatten)]
    which: JobFilter,

    /// Only those whose error has this in it, in any case
    #[arg(long, value_name = "TEXT")]
    error: Option<String>,

    /// All that there are
    #[arg(long)]
    all: bool,

    /// Do not ask before many are changed
    #[arg(long)]
    yes: bool,

    /// One JSON document that says what became of them
    #[arg(long)]
    json: bool,
}

pub(super) fn run(arguments: &Arguments, config: Option<&Path>) -> Outcome {
    console::with(config, async |console| answer(console, arguments).await)
}

async fn answer(console: &Console, arguments: &Arguments) -> Outcome {
    match &arguments.action {
        None => {
            let [queue, kind, key] = arguments.which.filters();
            let query =
                [queue, kind, key, filter("state", arguments.state.as_ref()), arguments.limit.filter()];
            let list = async || console.get("/jobs", &query).await;
            arguments.show.answer(list, |page| table(&page["jobs"], LIST, "no job is alive")).await
        }
        Some(Action::Dead { show }) => {
            show.answer(
                async || dead(console).await,
                |groups| table(&groups["groups"], GROUPS, "no job is dead"),
            )
            .await
        }
        Some(Action::Show { id, show }) => {
            let get = async || console.get(&format!("/jobs/{id}"), &[]).await;
            show.answer(get, render_one).await
        }
        Some(Action::Retry(many)) => many.change(console, &RETRY).await,
        Some(Action::Cancel(many)) => many.change(console, &CANCEL).await,
    }
}

/// A change of jobs, in words.
struct Change {
    /// In the address, and as a command.
    verb: &'static str,
    /// Jobs in this state can be changed so.
    state: &'static str,
    /// What became of them.
    done: &'static str,
    /// The name of the list of those that were changed.
    list: &'static str,
}

const RETRY: Change = Change { verb: "retry", state: "dead", done: "are ready again", list: "retried" };
const CANCEL: Change = Change { verb: "cancel", state: "ready", done: "are cancelled", list: "cancelled" };

impl Many {
    async fn change(&self, console: &Console, change: &Change) -> Outcome {
        if !self.ids.is_empty() {
            return each(console, change, &self.ids, self.json).await;
        }
        let which = &self.which;
        let narrowed = which
            .filters()
            .iter()
            .chain([&filter("error", self.error.as_ref())])
            .any(|(_, value)| !value.is_empty());
        if !narrowed && !self.all {
            return Err(Failure::Usage("which? Name jobs, or a filter, or --all".to_owned()));
        }
        let ids = matching(console, which, self.error.as_deref(), change.state).await?;
        let verb = change.verb[..1].to_uppercase() + &change.verb[1..];
        confirm(&format!("{verb} {} {} jobs?", ids.len(), change.state), self.yes)?;
        each(console, change, &ids, self.json).await
    }
}

const LIST: &[Column] = &[
    number("ID", |job| field(job, "id")),
    text("QUEUE", |job| field(job, "queue")),
    text("KIND", |job| field(job, "kind")),
    text("STATE", |job| field(job, "state")),
    text("KEY", |job| field(job, "key")),
    number("ATTEMPTS", |job| format!("{}/{}", field(job, "attempt"), field(job, "max_attempts"))),
    text("RUNS AT (UTC)", |job| field(job, "run_at")),
    text("WAITS FOR, OR ERROR", |job| {
        let waits = field(job, "waiting_on");
        brief(&if waits.is_empty() { field(job, "last_error") } else { waits })
    }),
];

const GROUPS: &[Column] = &[
    number("JOBS", |group| field(group, "jobs")),
    text("QUEUE", |group| field(group, "queue")),
    text("KIND", |group| field(group, "kind")),
    text("OLDEST (UTC)", |group| field(group, "oldest_created_at")),
    text("ERROR", |group| brief(&field(group, "error"))),
];

async fn dead(console: &Console) -> Result<Value, Failure> {
    let groups = list_dead_groups(console.pool())
        .await
        .map_err(|error| anyhow::Error::new(error).context("reading the dead jobs"))?;
    let view = groups.into_iter().map(|group| {
        json!({ "queue": group.queue, "kind": group.kind, "error": group.error, "jobs": group.jobs,
                "oldest_created_at": group.oldest_created_at })
    });
    Ok(json!({ "groups": view.collect::<Vec<_>>() }))
}

fn render_one(answer: &Value) -> String {
    let job = &answer["job"];
    let mut shown = facts(
        job,
        &[
            "id",
            "queue",
            "kind",
            "state",
            "key",
            "attempt",
            "max_attempts",
            "run_at",
            "waiting_on",
            "worker",
            "event_id",
            "created_at",
            "started_at",
            "finished_at",
            "note",
            "payload",
        ],
    );
    let columns = [
        number("ATTEMPT", |failure| field(failure, "attempt")),
        text("TIME (UTC)", |failure| field(failure, "at")),
        text("ERROR", |failure| field(failure, "error")),
    ];
    shown.push('\n');
    shown.push_str(&table(&job["errors"], &columns, "no attempt failed"));
    shown
}

/// Numbers of the jobs in this state that match.
async fn matching(
    console: &Console,
    which: &JobFilter,
    error: Option<&str>,
    state: &str,
) -> Result<Vec<i64>, Failure> {
    let mut ids = Vec::new();
    let mut cursor = String::new();
    loop {
        let [queue, kind, key] = which.filters();
        let query = [
            queue,
            kind,
            key,
            ("state", state.to_owned()),
            ("error", error.unwrap_or_default().to_owned()),
            ("limit", PAGE.to_string()),
            ("cursor", cursor.clone()),
        ];
        let page = console.get("/jobs", &query).await?;
        let jobs = page["jobs"].as_array().map(Vec::as_slice).unwrap_or_default();
        ids.extend(jobs.iter().filter_map(|job| job["id"].as_i64()));
        match page["next"].as_str() {
            Some(next) => next.clone_into(&mut cursor),
            None if ids.is_empty() => return Err(Failure::Missing(format!("no {state} job matches"))),
            None => return Ok(ids),
        }
    }
}

#[expect(clippy::print_stdout, reason = "what became of the jobs")]
async fn each(console: &Console, change: &Change, ids: &[i64], as_json: bool) -> Outcome {
    let bar = progress_bar(ids.len() as u64);
    let (mut changed, mut refused) = (Vec::new(), Vec::new());
    for id in ids {
        match console.post(&format!("/jobs/{id}/{}", change.verb), None).await {
            Ok(_) => changed.push(*id),
            // One that is gone or was changed by somebody else does not hold up the others.
            Err(error @ (Failure::Missing(_) | Failure::Failed(_))) => refused.push((*id, error.to_string())),
            Err(error) => return Err(error),
        }
        bar.inc(1);
    }
    bar.finish_and_clear();
    if as_json {
        let refused: Vec<_> = refused.iter().map(|(id, why)| json!({ "id": id, "why": why })).collect();
        println!("{}", json!({ change.list: changed, "refused": refused }));
    } else {
        println!("{} of {} jobs {}", changed.len(), ids.len(), change.done);
        for (id, why) in &refused {
            println!("  job {id}: {why}");
        }
    }
    let not = format!("not {}", change.list);
    match (changed.is_empty(), refused.is_empty()) {
        (_, true) => Ok(()),
        (true, _) if ids.len() == 1 => Err(Failure::Missing(format!("job {} was {not}", ids[0]))),
        _ => Err(Failure::Failed(anyhow::anyhow!("{} of {} jobs were {not}", refused.len(), ids.len()))),
    }
}
