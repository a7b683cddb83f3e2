//! `pushbox rejections`.

use std::path::Path;

use serde_json::{Value, json};

use crate::cli::console::Console;
use crate::cli::options::Limit;
use crate::cli::show::{Column, Show, brief, confirm, field, number, table, text};
use crate::cli::{Failure, Outcome, block_on, load};
use crate::config::Roles;

/// Show refused pushes; accept one after the configuration was mended
#[derive(Debug, clap::Args)]
#[command(
    args_conflicts_with_subcommands = true,
    after_long_help = "\
A sample of what was refused, capped per minute and per source. NEAR says that the sender holds
a key that is known here: then the configuration is more likely wrong than the sender, and REASON
names what would have matched. With ENCRYPTION_KEY the request itself is kept, sealed, for
REJECTION_BODY_RETENTION. Accepting verifies it again; what does not prove itself with the
configuration of now is not accepted, by nobody. Exit code 3 when there is no such refusal.

Examples:
  pushbox rejections --source shopee --near
  pushbox rejections show 12           the request, and whether it would be accepted now
  pushbox rejections accept 12
  pushbox rejections accept --all --source shopee"
)]
pub(super) struct Arguments {
    #[command(subcommand)]
    action: Option<Action>,

    /// Of this source
    #[arg(long, value_name = "SOURCE")]
    source: Option<String>,

    /// Only those whose sender holds a key that is known here
    #[arg(long)]
    near: bool,

    #[command(flatten)]
    limit: Limit,

    #[command(flatten)]
    show: Show,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// Show one, verified again
    Show {
        /// Its number
        id: i64,
        #[command(flatten)]
        show: Show,
    },
    /// Accept one, or all that prove themselves now
    Accept {
        /// Its number
        #[arg(required_unless_present = "all", conflicts_with = "all")]
        id: Option<i64>,
        /// All that are kept and prove themselves now, the oldest first
        #[arg(long)]
        all: bool,
        /// With --all: of this source
        #[arg(long, value_name = "SOURCE", requires = "all")]
        source: Option<String>,
        /// Do not ask
        #[arg(long)]
        yes: bool,
    },
}

const LIST: &[Column] = &[
    number("ID", |one| field(one, "id")),
    text("LAST SEEN", |one| field(one, "last_seen_at")),
    text("SOURCE", |one| field(one, "source")),
    text("CAUSE", |one| field(one, "cause")),
    text("NEAR", |one| field(one, "near_miss")),
    number("TIMES", |one| field(one, "times")),
    text("FROM", |one| field(one, "address")),
    text("KEPT UNTIL", |one| field(one, "kept_until")),
    text("ACCEPTED AS", |one| field(one, "event_id")),
    text("REASON", |one| brief(&field(one, "reason"))),
];

pub(super) fn run(arguments: &Arguments, config: Option<&Path>) -> Outcome {
    let loaded = load(config, &Roles::none())?;
    block_on(async {
        let console = Console::open(loaded).await?;
        let done = answer(&console, arguments).await;
        console.close().await;
        done
    })
}

async fn answer(console: &Console, arguments: &Arguments) -> Outcome {
    match &arguments.action {
        None => {
            let query = [
                ("source", arguments.source.clone().unwrap_or_default()),
                ("near_miss", if arguments.near { "true".to_owned() } else { String::new() }),
                arguments.limit.filter(),
            ];
            let render = |answer: &Value| table(&answer["rejections"], LIST, "nothing was refused");
            arguments.show.answer(async || console.get("/rejections", &query).await, render).await
        }
        Some(Action::Show { id, show }) => {
            show.answer(async || console.get(&format!("/rejections/{id}"), &[]).await, detail).await
        }
        Some(Action::Accept { id: Some(id), .. }) => {
            let done = console.post(&format!("/rejections/{id}/accept"), None).await?;
            say(&format!("rejection {id} is event {}{}", field(&done, "event_id"), known(&done)));
            Ok(())
        }
        Some(Action::Accept { id: None, source, yes, .. }) => {
            accept_all(console, source.as_deref(), *yes).await
        }
    }
}

fn known(done: &Value) -> &'static str {
    if done["new"] == json!(true) { "" } else { ", which the platform had sent again" }
}

fn detail(answer: &Value) -> String {
    let one = &answer["rejection"];
    let lines = [
        ("source", field(one, "source")),
        ("cause", field(one, "cause")),
        ("reason", field(one, "reason")),
        ("near miss", field(one, "near_miss")),
        ("from", field(one, "address")),
        ("account", field(one, "account")),
        ("refused", format!("{} times since {}", field(one, "times"), field(one, "refused_at"))),
        ("last seen", field(one, "last_seen_at")),
        ("kept until", field(one, "kept_until")),
        ("event", field(one, "event_id")),
        ("acceptable", field(answer, "acceptable")),
        ("why not", field(answer, "why_not")),
        ("headers", field(answer, "headers")),
        ("body", answer["body"].as_str().unwrap_or_default().to_owned()),
    ];
    let filled = lines.iter().filter(|(_, value)| !value.is_empty());
    filled.map(|(name, value)| format!("{name:<11} {value}")).collect::<Vec<_>>().join("\n")
}

async fn accept_all(console: &Console, source: Option<&str>, yes: bool) -> Outcome {
    let mut ids = Vec::new();
    let mut cursor = String::new();
    loop {
        let query = [
            ("source", source.unwrap_or_default().to_owned()),
            ("accepted", "false".to_owned()),
            ("limit", "500".to_owned()),
            ("cursor", cursor),
        ];
        let page = console.get("/rejections", &query).await?;
        let kept = page["rejections"].as_array().into_iter().flatten();
        ids.extend(kept.filter(|one| !one["kept_until"].is_null()).filter_map(|one| one["id"].as_i64()));
        match page["next"].as_i64() {
            Some(next) => cursor = next.to_string(),
            None => break,
        }
    }
    ids.sort_unstable();
    confirm(
        &format!("Verify {} refused pushes again and accept those that prove themselves?", ids.len()),
        yes,
    )?;
    let (mut new, mut repeated, mut refused) = (0, 0, 0);
    for id in ids {
        match console.post(&format!("/rejections/{id}/accept"), None).await {
            Ok(done) if done["new"] == json!(true) => new += 1,
            Ok(_) => repeated += 1,
            // It does not prove itself, or it went in the meantime.
            Err(Failure::Failed(_) | Failure::Missing(_)) => refused += 1,
            Err(other) => return Err(other),
        }
    }
    say(&format!("{new} accepted, {repeated} had come again already, {refused} still refused"));
    Ok(())
}

#[expect(clippy::print_stdout, reason = "the command's answer")]
fn say(text: &str) {
    println!("{text}");
}
