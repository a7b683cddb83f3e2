//! `pushbox shopee`: authorization, the app's push settings, the lost queue, comparisons.

mod reconcile;

use std::path::Path;

use anyhow::Context;
use secrecy::SecretString;
use serde_json::json;
use url::Url;

use crate::app::{Database, authorize};
use crate::cli::{Failure, Outcome, block_on, load};
use crate::clients::shopee::{Account, Apps, PushChange, PushConfig, ShopeeClient};
use crate::clock;
use crate::config::{Config, Roles};
use crate::domain::seal::Sealer;

/// Authorize shops, compare with Shopee, look at the lost queue, show and set the app's push settings
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Needs PARTNER_ID and PARTNER_KEY; exchanging a code and comparing need the database as well.

Examples:
  pushbox shopee authorize --redirect https://hooks.example.com/authorized
  pushbox shopee authorize --code 5a4f... --shop-id 10000001
  pushbox shopee reconcile --from 3d --wait          # make up for what no push told of
  pushbox shopee reconcile --from 2026-11-01T00:00:00Z --shop 10000001
  pushbox shopee lost
  pushbox shopee networks >> .env                    # only Shopee itself may push
  pushbox shopee push-config show
  pushbox shopee push-config set --on 3,4,15")]
pub(super) struct Arguments {
    /// Which app, when there are several [default: that of `PARTNER_ID`]
    #[arg(long, global = true, value_name = "N")]
    partner_id: Option<i64>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Print the link at which a seller authorizes the app, or exchange the code that came of it
    Authorize(Authorize),
    /// Show the first page of pushes that Shopee could not deliver; nothing is confirmed
    Lost {
        /// One JSON document
        #[arg(long)]
        json: bool,
    },
    /// Print the networks that Shopee pushes from, as the line for the settings
    Networks {
        /// One JSON document
        #[arg(long)]
        json: bool,
    },
    /// Have a range of time compared with what Shopee says; what nobody heard of becomes an event
    Reconcile(reconcile::Reconcile),
    /// Show or set where and which pushes are delivered
    #[command(subcommand)]
    PushConfig(PushConfigCommand),
}

#[derive(Debug, clap::Args)]
struct Authorize {
    /// Where Shopee sends the seller on [else: `SHOPEE_REDIRECT_URL`]
    #[arg(long, value_name = "URL", conflicts_with = "code")]
    redirect: Option<Url>,
    /// The older, signed form of the link; it ends after five minutes
    #[arg(long, conflicts_with = "code")]
    legacy: bool,
    /// The code that Shopee sent the seller on with; works once, for ten minutes
    #[arg(long, value_name = "CODE")]
    code: Option<String>,
    /// The shop that came with the code
    #[arg(long, value_name = "N", requires = "code", conflicts_with = "main_account_id")]
    shop_id: Option<i64>,
    /// The main account that came with the code
    #[arg(long, value_name = "N", requires = "code")]
    main_account_id: Option<i64>,
}

#[derive(Debug, clap::Subcommand)]
enum PushConfigCommand {
    /// Show the settings, and whether pushes are delivered
    Show {
        /// One JSON document
        #[arg(long)]
        json: bool,
    },
    /// Show what would change, and with `--yes` change it
    Set {
        /// Deliver to this URL; Shopee probes it first
        #[arg(long, value_name = "URL")]
        callback_url: Option<String>,
        /// Codes to deliver; only 1 to 13 can be switched here
        #[arg(long, value_name = "CODES", value_delimiter = ',')]
        on: Vec<i64>,
        /// Codes not to deliver
        #[arg(long, value_name = "CODES", value_delimiter = ',')]
        off: Vec<i64>,
        /// Write it
        #[arg(long)]
        yes: bool,
    },
}

pub(super) fn run(arguments: &Arguments, config: Option<&Path>) -> Outcome {
    let loaded = load(config, &Roles::none())?;
    if let Command::Reconcile(arguments) = &arguments.command {
        return block_on(reconcile::run(loaded, arguments));
    }
    let config = loaded.config;
    let apps = Apps::new(&config.shopee, &clock::system(), |client| client).context("Shopee's API")?;
    let client = apps.of(arguments.partner_id).context("--partner-id")?.as_ref();
    block_on(async {
        match &arguments.command {
            Command::Authorize(authorize) => match &authorize.code {
                Some(code) => exchange(&config, client, code, authorize).await,
                None => link(&config, client, authorize),
            },
            // Answered above, without a client.
            Command::Reconcile(_) => Ok(()),
            Command::Lost { json } => lost(client, *json).await,
            Command::Networks { json } => networks(client, *json).await,
            Command::PushConfig(PushConfigCommand::Show { json }) => {
                let settings = client.push_config().await.context("reading the push settings")?;
                show(&settings, *json);
                Ok(())
            }
            Command::PushConfig(PushConfigCommand::Set { callback_url, on, off, yes }) => {
                let change = PushChange {
                    callback_url: callback_url.clone(),
                    on: on.clone(),
                    off: off.clone(),
                    blocked_shop_ids: None,
                };
                set(client, &change, *yes).await
            }
        }
    })
}

#[expect(clippy::print_stdout, reason = "what a person asked for")]
fn link(config: &Config, client: &ShopeeClient, arguments: &Authorize) -> Outcome {
    let Some(redirect) = arguments.redirect.as_ref().or(config.shopee.redirect_url.as_ref()) else {
        return Err(Failure::Usage(
            "where does Shopee send the seller on? Give --redirect URL or set SHOPEE_REDIRECT_URL; its domain is \
             the Redirect URL Domain of the app in the console"
                .to_owned(),
        ));
    };
    if arguments.legacy {
        println!("{}", client.signed_authorization_link(redirect));
    } else {
        println!("{}", client.authorization_link(redirect, None));
    }
    Ok(())
}

#[expect(clippy::print_stdout, reason = "what a person asked for")]
async fn exchange(config: &Config, client: &ShopeeClient, code: &str, arguments: &Authorize) -> Outcome {
    let account = match (arguments.shop_id, arguments.main_account_id) {
        (Some(id), _) => Account::Shop(id),
        (None, Some(id)) => Account::Main(id),
        (None, None) => {
            return Err(Failure::Usage(
                "whose code is it? Give --shop-id or --main-account-id as it came with the code".to_owned(),
            ));
        }
    };
    let sealer = Sealer::with_old(config.encryption_key.as_ref(), &config.old_encryption_keys)
        .context("ENCRYPTION_KEY")?;
    let database = Database::attach(&config.database, "shopee").await?;
    let code = SecretString::from(code);
    let shops = authorize::exchange(database.pool(), client, &sealer, &code, account).await;
    database.close().await;
    for shop_id in shops? {
        println!("shop {shop_id} is authorized");
    }
    Ok(())
}

#[expect(clippy::print_stdout, reason = "what a person asked for")]
async fn lost(client: &ShopeeClient, as_json: bool) -> Outcome {
    let page = client.lost_pushes().await.context("reading the lost queue")?;
    if as_json {
        let pushes: Vec<_> = page
            .pushes
            .iter()
            .map(|push| json!({ "lost_at": push.lost_at, "envelope": push.envelope }))
            .collect();
        println!("{}", json!({ "pushes": pushes, "has_next_page": page.has_next_page }));
        return Ok(());
    }
    for push in &page.pushes {
        let at = push.lost_at.map_or_else(|| "at an unknown time".to_owned(), |at| at.to_rfc3339());
        println!("{at}  {}", push.envelope);
    }
    let more = if page.has_next_page { ", and more behind them" } else { "" };
    println!(
        "{} lost pushes wait{more}; a scheduler fetches them every LOST_PUSH_INTERVAL",
        page.pushes.len()
    );
    Ok(())
}

#[expect(clippy::print_stdout, reason = "what a person asked for")]
async fn networks(client: &ShopeeClient, as_json: bool) -> Outcome {
    let networks = client.networks().await.context("reading Shopee's networks")?;
    // An allow-list of nothing would be one that lets everybody in.
    if networks.is_empty() {
        return Err(Failure::Failed(anyhow::anyhow!("Shopee names no networks")));
    }
    if as_json {
        println!("{}", json!({ "networks": networks }));
    } else {
        println!("SHOPEE_NETWORKS={}", networks.join(","));
    }
    Ok(())
}

#[expect(clippy::print_stdout, reason = "what a person asked for")]
fn show(settings: &PushConfig, as_json: bool) {
    if as_json {
        println!(
            "{}",
            json!({
                "callback_url": settings.callback_url, "live_push_status": settings.live_push_status,
                "suspended_time": settings.suspended_time, "on": settings.push_config_on_list,
                "off": settings.push_config_off_list, "blocked_shop_ids": settings.blocked_shop_ids,
            })
        );
        return;
    }
    println!("callback URL  {}", settings.callback_url);
    println!("status        {}", settings.live_push_status);
    println!("codes on      {}", codes(&settings.push_config_on_list));
    println!("codes off     {}", codes(&settings.push_config_off_list));
    println!("blocked shops {}", codes(&settings.blocked_shop_ids));
}

fn codes(codes: &[i64]) -> String {
    if codes.is_empty() {
        return "none".to_owned();
    }
    codes.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

#[expect(clippy::print_stdout, reason = "what a person asked for")]
async fn set(client: &ShopeeClient, change: &PushChange, yes: bool) -> Outcome {
    let before = client.push_config().await.context("reading the push settings")?;
    let difference = before.difference(change);
    if difference.is_empty() {
        println!("nothing to change");
        return Ok(());
    }
    for line in &difference {
        println!("{line}");
    }
    if !yes {
        println!("nothing was written; repeat it with --yes");
        return Ok(());
    }
    client.set_push_config(change).await.context("Shopee did not take the push settings")?;
    println!("written");
    Ok(())
}
