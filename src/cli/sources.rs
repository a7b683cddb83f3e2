//! `pushbox sources`.

use std::path::Path;

use serde_json::Value;

use crate::cli::console::Console;
use crate::cli::show::{Column, Show, field, number, table, text};
use crate::cli::{Outcome, block_on, load};
use crate::config::Roles;

/// Show who may push, what is verified, which keys are in use
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
LATE is for how many seconds 95 of 100 pushes of the last hour were on their way, by the
platform's clock; REFUSED and REPLAYS are of the last day. A replay is a body that came again
under another id which the platform does not sign: two subscriptions, or somebody who captured a
push.

Examples:
  pushbox sources
  pushbox sources --json | jq '.sources[].keys'     when each key was last used")]
pub(super) struct Arguments {
    #[command(flatten)]
    show: Show,
}

const LIST: &[Column] = &[
    text("SOURCE", |source| field(source, "name")),
    text("PATH", |source| field(source, "path")),
    text("VERIFIES", |source| field(source, "verifies")),
    text("KEYS, LAST USED", keys),
    number("LAST HOUR", |source| field(source, "events_last_hour")),
    number("LATE", |source| {
        source["late_p95_s"].as_f64().map_or(String::new(), |late| format!("{late:.0} s"))
    }),
    number("REFUSED", |source| field(source, "refused_last_day")),
    number("REPLAYS", |source| field(source, "possible_replays_last_day")),
];

fn keys(source: &Value) -> String {
    let keys = source["keys"].as_array().map(Vec::as_slice).unwrap_or_default();
    let one = |key: &Value| {
        let used = field(key, "last_used_at");
        format!("{}: {}", field(key, "label"), if used.is_empty() { "never" } else { used.as_str() })
    };
    keys.iter().map(one).collect::<Vec<_>>().join("; ")
}

pub(super) fn run(arguments: &Arguments, config: Option<&Path>) -> Outcome {
    let loaded = load(config, &Roles::none())?;
    block_on(async {
        let console = Console::open(loaded).await?;
        let render = |answer: &Value| table(&answer["sources"], LIST, "there is no source");
        let done = arguments.show.answer(async || console.get("/sources", &[]).await, render).await;
        console.close().await;
        done
    })
}
