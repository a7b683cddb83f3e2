//! `pushbox destinations`.

use std::path::Path;

use serde_json::{Value, json};

use crate::cli::Outcome;
use crate::cli::console::{self, Console, segment};
use crate::cli::show::{Column, Show, brief, field, number, table, text};

/// Show the outside destinations; pause, resume and reset one
#[derive(Debug, clap::Args)]
#[command(
    args_conflicts_with_subcommands = true,
    after_long_help = "\
A destination is a shop's API (kind shopee, named by the shop's id), a spreadsheet (sheet), a chat
(telegram) or a service of your own (forward). BREAKER says how it works: closed is in use, open is
left alone until a while later, half_open is being tried. A person's pause stands above that: no
process calls the destination until it is resumed; what waits for it loses no attempts. A reset
has a sick one tried at once. Changes are on record in pushbox.admin_actions. Exit code 3 when
there is no such destination.

Examples:
  pushbox destinations --watch
  pushbox destinations pause sheet 1AbC --reason 'the columns are being moved'
  pushbox destinations resume sheet 1AbC
  pushbox destinations reset telegram -1001000000001"
)]
pub(super) struct Arguments {
    #[command(subcommand)]
    action: Option<Action>,

    #[command(flatten)]
    show: Show,
}

#[derive(Debug, clap::Args)]
struct Which {
    /// shopee, sheet, telegram, google or forward
    kind: String,
    /// As the list has it
    #[arg(allow_negative_numbers = true)]
    name: String,
    /// One JSON document: all destinations afterwards
    #[arg(long)]
    json: bool,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// Call a destination no more until it is resumed
    Pause {
        #[command(flatten)]
        which: Which,
        /// For whoever finds it paused
        #[arg(long, value_name = "TEXT")]
        reason: String,
    },
    /// Let a paused destination be used again
    Resume {
        #[command(flatten)]
        which: Which,
    },
    /// Try a destination that failed at once
    Reset {
        #[command(flatten)]
        which: Which,
    },
}

const LIST: &[Column] = &[
    text("KIND", |one| field(one, "kind")),
    text("NAME", |one| field(one, "name")),
    text("BREAKER", |one| field(one, "state")),
    text("PAUSED SINCE (UTC)", |one| field(one, "paused_at")),
    text("TRIED AGAIN (UTC)", |one| field(one, "paused_until")),
    number("WAITING", |one| field(one, "waiting_jobs")),
    text("WHY", |one| {
        let of = |name| Some(field(one, name)).filter(|text| !text.is_empty());
        brief(&of("paused_reason").or_else(|| of("reason")).or_else(|| of("last_error")).unwrap_or_default())
    }),
];

pub(super) fn run(arguments: &Arguments, config: Option<&Path>) -> Outcome {
    console::with(config, async |console| answer(console, arguments).await)
}

async fn answer(console: &Console, arguments: &Arguments) -> Outcome {
    let change = async |which: &Which, verb: &str, body: Option<Value>| {
        let path = format!("/destinations/{}/{}/{verb}", segment(&which.kind), segment(&which.name));
        console.post(&path, body).await.map(drop)
    };
    let show = match &arguments.action {
        Some(Action::Pause { which, reason }) => {
            change(which, "pause", Some(json!({ "reason": reason }))).await?;
            Show::once(which.json)
        }
        Some(Action::Resume { which }) => {
            change(which, "resume", None).await?;
            Show::once(which.json)
        }
        Some(Action::Reset { which }) => {
            change(which, "reset", None).await?;
            Show::once(which.json)
        }
        None => arguments.show,
    };
    let list = async || console.get("/destinations", &[]).await;
    let none = "none yet: shops, spreadsheets, chats and services are listed as soon as one is set";
    show.answer(list, |answer| table(&answer["destinations"], LIST, none)).await
}
