//! `pushbox subscriptions`.

use std::path::Path;

use serde_json::{Value, json};

use crate::cli::console::{Console, segment};
use crate::cli::show::{Column, Show, field, table, text};
use crate::cli::{Outcome, block_on, load};
use crate::config::Roles;

/// Show what sources are subscribed to at their platforms; make what is missing
#[derive(Debug, clap::Args)]
#[command(
    args_conflicts_with_subcommands = true,
    after_long_help = "\
For sources with `api` and `subscriptions` in pushbox.toml: Shoplazza, which deletes a
subscription when its retries are used up, and Shopery, which cannot be asked what is there. The
scheduled task watch_subscriptions looks every 15 minutes, raises an alert, and with
recreate = true subscribes again. Exit code 3 when the source to ensure has no API here.

Examples:
  pushbox subscriptions
  pushbox subscriptions ensure --source shoplazza
  pushbox subscriptions create --source shoplazza --topic products/update"
)]
pub(super) struct Arguments {
    #[command(subcommand)]
    action: Option<Action>,

    #[command(flatten)]
    show: Show,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// Show the subscriptions as they were last seen; the same as without a word
    List {
        #[command(flatten)]
        show: Show,
    },
    /// Subscribe a source to everything that it should be subscribed to
    Ensure {
        /// Its name
        #[arg(long, value_name = "NAME")]
        source: String,
        #[command(flatten)]
        show: Show,
    },
    /// Subscribe a source to one topic
    Create {
        /// Its name
        #[arg(long, value_name = "NAME")]
        source: String,
        /// The event, as the platform spells it
        #[arg(long)]
        topic: String,
        #[command(flatten)]
        show: Show,
    },
}

const LIST: &[Column] = &[
    text("SOURCE", |one| field(one, "source")),
    text("TOPIC", |one| field(one, "topic")),
    text("STATE", |one| field(one, "state")),
    text("ADDRESS", |one| field(one, "address")),
    text("LOOKED AT", |one| field(one, "checked_at")),
    text("ERROR", |one| field(one, "error")),
];

fn render(answer: &Value) -> String {
    table(&answer["subscriptions"], LIST, "nobody has looked yet, or no source has an API")
}

pub(super) fn run(arguments: &Arguments, config: Option<&Path>) -> Outcome {
    let loaded = load(config, &Roles::none())?;
    block_on(async {
        let console = Console::open(loaded).await?;
        let done = match &arguments.action {
            None => list(&console, arguments.show).await,
            Some(Action::List { show }) => list(&console, *show).await,
            Some(Action::Ensure { source, show }) => {
                let path = format!("/subscriptions/{}/ensure", segment(source));
                show.answer(async || console.post(&path, None).await, render).await
            }
            Some(Action::Create { source, topic, show }) => {
                let wanted = json!({"source": source, "topic": topic});
                let ask = async || console.post("/subscriptions", Some(wanted.clone())).await;
                show.answer(ask, render).await
            }
        };
        console.close().await;
        done
    })
}

async fn list(console: &Console, show: Show) -> Outcome {
    show.answer(async || console.get("/subscriptions", &[]).await, render).await
}
