//! `pushbox events`.

use std::fmt::Write as _;
use std::path::Path;

use serde_json::Value;
use uuid::Uuid;

use crate::cli::console::{self, Console};
use crate::cli::options::{Limit, Period, filter};
use crate::cli::show::{Column, Show, facts, field, number, table, text};
use crate::cli::{Failure, Outcome};

/// List events, and look at one
#[derive(Debug, clap::Args)]
#[command(
    args_conflicts_with_subcommands = true,
    after_long_help = "\
Newest first. `pushbox explain` tells what came of one. The data of buyers in a payload is masked;
--unmask shows it, and that is put on record in pushbox.admin_actions. Exit code 3 when
there is no such event.

Examples:
  pushbox events --since 2h
  pushbox events --about 2609150ABCDEF1
  pushbox events --via lost_push --since 7d --json
  pushbox events show 019a3c2e-7b1d-7c55-9f1e-2f6a1b0c9d8e"
)]
pub(super) struct Arguments {
    #[command(subcommand)]
    action: Option<Action>,

    /// Only about this: an order number, a return number, an item
    #[arg(long, value_name = "SUBJECT")]
    about: Option<String>,

    /// Only of this shop or account
    #[arg(long)]
    shop: Option<String>,

    /// Only of this code of the platform
    #[arg(long)]
    code: Option<String>,

    /// Only of this source
    #[arg(long)]
    source: Option<String>,

    /// Only those that came by push, `lost_push`, reconcile or manual
    #[arg(long)]
    via: Option<String>,

    #[command(flatten)]
    period: Period,

    #[command(flatten)]
    limit: Limit,

    #[command(flatten)]
    show: Show,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// Show one event with its payload and its jobs
    Show {
        /// Its id
        id: Uuid,

        /// Show the data of buyers too; this is put on record
        #[arg(long)]
        unmask: bool,

        #[command(flatten)]
        show: Show,
    },
}

pub(super) fn run(arguments: &Arguments, config: Option<&Path>) -> Outcome {
    console::with(config, async |console| answer(console, arguments).await)
}

async fn answer(console: &Console, arguments: &Arguments) -> Outcome {
    if let Some(Action::Show { id, unmask, show }) = &arguments.action {
        return show.answer(async || one(console, *id, *unmask).await, render_one).await;
    }
    let [since, until] = arguments.period.filters();
    let query = [
        filter("subject", arguments.about.as_ref()),
        filter("account", arguments.shop.as_ref()),
        filter("code", arguments.code.as_ref()),
        filter("source", arguments.source.as_ref()),
        filter("via", arguments.via.as_ref()),
        since,
        until,
        arguments.limit.filter(),
    ];
    let list = async || console.get("/events", &query).await;
    arguments.show.answer(list, |page| table(&page["events"], LIST, "no event matches")).await
}

const LIST: &[Column] = &[
    text("RECEIVED (UTC)", |event| field(event, "received_at")),
    text("CODE", |event| field(event, "code")),
    text("KIND", |event| field(event, "kind")),
    text("SHOP", |event| field(event, "account")),
    text("ABOUT", |event| field(event, "subject")),
    text("VIA", |event| field(event, "via")),
    number("AGAIN", |event| field(event, "redeliveries")),
    text("STATE", |event| field(event, "state")),
    text("ID", |event| field(event, "id")),
];

async fn one(console: &Console, id: Uuid, unmask: bool) -> Result<Value, Failure> {
    if unmask {
        console.post(&format!("/events/{id}/unmask"), None).await
    } else {
        console.get(&format!("/events/{id}"), &[]).await
    }
}

fn render_one(answer: &Value) -> String {
    let event = &answer["event"];
    let mut shown = facts(
        event,
        &[
            "id",
            "source",
            "account",
            "code",
            "kind",
            "subject",
            "via",
            "occurred_at",
            "received_at",
            "redeliveries",
            "last_seen_at",
            "state",
            "parse_error",
            "erased_at",
        ],
    );
    let payload = serde_json::to_string_pretty(&event["payload"]).unwrap_or_default();
    let _ = writeln!(shown, "\n{payload}\n");
    let columns = [
        number("JOB", |job| field(job, "id")),
        text("KIND", |job| field(job, "kind")),
        text("STATE", |job| field(job, "state")),
        number("ATTEMPTS", |job| field(job, "attempt")),
        text("FINISHED (UTC)", |job| field(job, "finished_at")),
        text("NOTE, OR ERROR", |job| format!("{}{}", field(job, "note"), field(job, "last_error"))),
    ];
    shown.push_str(&table(&event["jobs"], &columns, "it asked for nothing"));
    shown
}
