//! `pushbox shops`.

use std::path::Path;

use serde_json::{Value, json};

use crate::cli::Outcome;
use crate::cli::console::{self, Console, segment};
use crate::cli::show::{Column, Show, brief, confirm, facts, field, number, table, text};

/// List the shops, refresh, disable and enable one, make a link for a seller
#[derive(Debug, clap::Args)]
#[command(
    args_conflicts_with_subcommands = true,
    after_long_help = "\
A shop is active, to be authorized again by its seller (reauthorize), or disabled by a person.
Its tokens are refreshed by themselves and never shown. A refresh that is asked for begins within
about a second, if a process with the role scheduler is there. Shopee is not called for a disabled
shop: its pushes are stored, its jobs wait and lose no attempts. The code that comes back with a
seller is exchanged by `pushbox shopee authorize --code`. Changes are on record in
pushbox.admin_actions.
Exit code 3 when there is no such shop.

Examples:
  pushbox shops --watch
  pushbox shops show 10000001
  pushbox shops refresh 10000001
  pushbox shops disable 10000001 --reason sold --yes
  pushbox shops enable 10000001
  pushbox shops link --redirect https://hooks.example.com/authorized"
)]
pub(super) struct Arguments {
    #[command(subcommand)]
    action: Option<Action>,

    #[command(flatten)]
    show: Show,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// Show one shop
    Show {
        /// Its id
        shop: String,
        #[command(flatten)]
        show: Show,
    },
    /// Refresh a shop's tokens now
    Refresh {
        /// Its id
        shop: String,
        /// One JSON document, as the admin API answers it
        #[arg(long)]
        json: bool,
    },
    /// Do not call Shopee for a shop any more
    Disable {
        /// Its id
        shop: String,
        /// For whoever finds it disabled
        #[arg(long, value_name = "TEXT")]
        reason: String,
        /// Do not ask before
        #[arg(long)]
        yes: bool,
        /// One JSON document, as the admin API answers it
        #[arg(long)]
        json: bool,
    },
    /// Use a disabled shop again
    Enable {
        /// Its id
        shop: String,
        /// One JSON document, as the admin API answers it
        #[arg(long)]
        json: bool,
    },
    /// Print the link at which a seller authorizes the app
    Link(Link),
}

#[derive(Debug, clap::Args)]
struct Link {
    /// Where Shopee sends the seller on [else: `SHOPEE_REDIRECT_URL`]
    #[arg(long, value_name = "URL")]
    redirect: Option<String>,
    /// Comes back with the seller; not with the older form
    #[arg(long, value_name = "TEXT", conflicts_with = "legacy")]
    state: Option<String>,
    /// The older, signed form of the link; it ends after five minutes
    #[arg(long)]
    legacy: bool,
    /// Which app, when there are several [default: that of `PARTNER_ID`]
    #[arg(long, value_name = "N")]
    partner_id: Option<i64>,
    /// One JSON document, as the admin API answers it
    #[arg(long)]
    json: bool,
}

const LIST: &[Column] = &[
    text("SHOP", |shop| field(shop, "shop_id")),
    text("PLATFORM", |shop| field(shop, "platform")),
    text("APP", |shop| field(shop, "partner_id")),
    text("STATE", |shop| field(shop, "state")),
    text("TOKEN ENDS (UTC)", |shop| field(shop, "access_expires_at")),
    text("AUTHORIZED UNTIL (UTC)", |shop| field(shop, "authorization_expires_at")),
    text("REFRESHED (UTC)", |shop| field(shop, "refreshed_at")),
    number("WAITING", |shop| field(shop, "waiting_jobs")),
    text("WHY NOT, OR ERROR", |shop| {
        let why = field(shop, "state_reason");
        brief(&if why.is_empty() { field(shop, "refresh_error") } else { why })
    }),
];

/// What is shown of one shop, in this order.
const FACTS: &[&str] = &[
    "shop_id",
    "platform",
    "partner_id",
    "region",
    "state",
    "state_reason",
    "tokens",
    "access_expires_at",
    "refreshed_at",
    "refresh_failures",
    "refresh_error",
    "authorized_at",
    "authorization_expires_at",
    "waiting_jobs",
];

pub(super) fn run(arguments: &Arguments, config: Option<&Path>) -> Outcome {
    console::with(config, async |console| answer(console, arguments).await)
}

async fn answer(console: &Console, arguments: &Arguments) -> Outcome {
    let of = |shop: &str| format!("/shops/{}", segment(shop));
    let (answer, json) = match &arguments.action {
        None => {
            let list = async || console.get("/shops", &[]).await;
            let none = "no shop yet: `pushbox shops link` prints the link at which a seller authorizes one";
            return arguments.show.answer(list, |answer| table(&answer["shops"], LIST, none)).await;
        }
        Some(Action::Show { shop, show }) => {
            return show.answer(async || console.get(&of(shop), &[]).await, render_one).await;
        }
        Some(Action::Link(link)) => return make_link(console, link).await,
        Some(Action::Refresh { shop, json }) => {
            (console.post(&format!("{}/refresh", of(shop)), None).await?, *json)
        }
        Some(Action::Disable { shop, reason, yes, json }) => {
            console.get(&of(shop), &[]).await?;
            confirm(&format!("Call Shopee no more for shop {shop}?"), *yes)?;
            let reason = json!({ "reason": reason });
            (console.post(&format!("{}/disable", of(shop)), Some(reason)).await?, *json)
        }
        Some(Action::Enable { shop, json }) => {
            (console.post(&format!("{}/enable", of(shop)), None).await?, *json)
        }
    };
    Show::once(json).answer(async || Ok(answer.clone()), render_one).await
}

async fn make_link(console: &Console, link: &Link) -> Outcome {
    let request = json!({
        "partner_id": link.partner_id, "redirect_url": link.redirect, "state": link.state, "legacy": link.legacy,
    });
    let answer = console.post("/shops/authorization-link", Some(request)).await?;
    Show::once(link.json).answer(async || Ok(answer.clone()), |answer| field(answer, "link")).await
}

fn render_one(answer: &Value) -> String {
    facts(&answer["shop"], FACTS)
}
