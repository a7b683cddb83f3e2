//! `pushbox privacy`.

use std::path::Path;

use anyhow::Context;
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Value, json};
use sqlx::PgPool;
use uuid::Uuid;

use crate::cli::console::Console;
use crate::cli::show::confirm;
use crate::cli::{Failure, Outcome, block_on, load};
use crate::config::Roles;
use crate::domain::order::OrderRef;
use crate::domain::privacy::mask_name;
use crate::queue::{enqueue, plan::sheet_row};
use crate::store;
use crate::store::admin_actions::{AdminAction, insert_admin_action};
use crate::store::privacy::{self, ToldMessage};

/// Events or orders of one transaction.
const AT_ONCE: usize = 200;

/// Erase the data of a buyer
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
First says what it found, then asks, then erases; what it did is put on record in
pushbox.admin_actions.

Erased: names, addresses, numbers and messages in the payloads of events and in orders, and the
platform's raw answers about those orders. Their rows in spreadsheets are written anew without
the buyer, by the workers. An order stays erased when the platform tells of its buyer again.
Kept: keys, hashes, order numbers, amounts and times, so that a repeated push is still known and
figures still add up.
Not reached: Telegram messages that were sent (they are counted, and listed by --json; buyers are
masked in them unless TELEGRAM_SHOW_BUYER=true), what your own service was told, backups, and
refused pushes, which are kept sealed for a short time.

A name that the platform starred out (t***w) is no name: erase its orders by number. Every event
within retention is looked at, which takes about a minute per ten million.

Examples:
  pushbox privacy erase --order 2609150ABCDEF1
  pushbox privacy erase --buyer tan_ah_kow --yes")]
pub(super) struct Arguments {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// Take the data of one buyer, or of one order's buyer, out of everything that is kept
    Erase(Erase),
}

#[derive(Debug, clap::Args)]
#[command(group(clap::ArgGroup::new("whose").required(true).args(["buyer", "order"])))]
struct Erase {
    /// The buyer's account name, in full
    #[arg(long, value_name = "NAME")]
    buyer: Option<String>,

    /// The number of an order
    #[arg(long, value_name = "NUMBER")]
    order: Option<String>,

    /// Only in this shop
    #[arg(long)]
    shop: Option<String>,

    /// Do it without asking
    #[arg(long)]
    yes: bool,

    /// One JSON document about what was done
    #[arg(long)]
    json: bool,
}

pub(super) fn run(arguments: &Arguments, config: Option<&Path>) -> Outcome {
    let Action::Erase(erase) = &arguments.action;
    let words = [&erase.buyer, &erase.order].into_iter().flatten();
    for word in words {
        if word.trim().is_empty() || word.contains('*') {
            return Err(Failure::Usage(
                "that is no whole name: what the platform starred out stands for many; use --order"
                    .to_owned(),
            ));
        }
    }
    let loaded = load(config, &Roles::none())?;
    let max_attempts = loaded.config.queue.max_attempts;
    block_on(async {
        let console = Console::open(loaded).await?;
        let done = answer(console.pool(), erase, max_attempts).await;
        console.close().await;
        done
    })
}

/// What there is of a buyer.
#[derive(Default)]
struct Found {
    orders: Vec<OrderRef>,
    events: Vec<Uuid>,
    rows: Vec<(String, OrderRef)>,
    messages: Vec<ToldMessage>,
    /// What is erased wherever it is a whole value: names.
    names: Vec<String>,
}

impl Found {
    fn view(&self) -> Value {
        let messages = self.messages.iter();
        json!({
            "orders": self.orders.len(), "events": self.events.len(), "sheet_rows": self.rows.len(),
            "telegram_messages": messages
                .map(|one| json!({ "chat_id": one.chat_id, "message_id": one.message_id }))
                .collect::<Vec<_>>(),
        })
    }

    fn sentence(&self) -> String {
        format!(
            "{} orders, {} events; {} sheet rows will be written anew, {} Telegram messages stay as they are.",
            self.orders.len(),
            self.events.len(),
            self.rows.len(),
            self.messages.len()
        )
    }
}

#[expect(clippy::print_stdout, reason = "what was found and done")]
async fn answer(pool: &PgPool, erase: &Erase, max_attempts: i32) -> Outcome {
    let found = find(pool, erase).await.context("looking for what there is")?;
    if found.orders.is_empty() && found.events.is_empty() {
        return Err(Failure::Missing("nothing is kept of it, or it was erased before".to_owned()));
    }
    if !erase.json {
        println!("{}", found.sentence());
    }
    confirm(
        format!("{} Erase?", if erase.json { found.sentence() } else { String::new() }).trim_start(),
        erase.yes,
    )?;
    carry_out(pool, erase, &found, max_attempts).await.context("erasing; what was erased stays erased")?;
    if erase.json {
        println!("{}", json!({ "erased": found.view() }));
    } else {
        println!("Erased. It is on record in pushbox.admin_actions.");
    }
    Ok(())
}

async fn find(pool: &PgPool, erase: &Erase) -> Result<Found, sqlx::Error> {
    let (order, buyer, shop) = (erase.order.as_deref(), erase.buyer.as_deref(), erase.shop.as_deref());
    let mut found = Found::default();
    let mut words: Vec<String> = [order, buyer].into_iter().flatten().map(str::to_owned).collect();
    found.names.extend(buyer.map(str::to_owned));
    for one in privacy::list_orders(pool, order, buyer, shop).await? {
        words.push(one.order.order_sn.clone());
        // A starred name stands for many; it is erased where its field says whose it is.
        found.names.extend(one.buyer.filter(|name| !name.contains('*')));
        for spreadsheet in privacy::list_spreadsheets(pool, &one.order).await? {
            found.rows.push((spreadsheet, one.order.clone()));
        }
        found.orders.push(one.order);
    }
    for list in [&mut words, &mut found.names] {
        list.sort_unstable();
        list.dedup();
    }
    let bar = ProgressBar::new_spinner();
    let mut connection = pool.acquire().await?;
    let mut day = privacy::next_day(pool, None).await?;
    while let Some(begins) = day {
        bar.set_message(format!("looking through {}", begins.format("%Y-%m-%d")));
        bar.tick();
        found.events.extend(privacy::find_events(&mut connection, begins, &words, shop).await?);
        day = privacy::next_day(pool, begins.checked_add_days(chrono::Days::new(1))).await?;
    }
    bar.finish_and_clear();
    found.messages = privacy::list_messages(pool, &found.events).await?;
    Ok(found)
}

/// On record before the first of it is done: whoever stops it in the middle has begun it.
async fn carry_out(
    pool: &PgPool,
    erase: &Erase,
    found: &Found,
    max_attempts: i32,
) -> Result<(), sqlx::Error> {
    let subject = match (&erase.order, &erase.buyer) {
        (Some(order), _) => format!("order {order}"),
        (None, Some(buyer)) => format!("buyer {}", mask_name(buyer)),
        (None, None) => String::new(),
    };
    let detail = json!({
        "shop": erase.shop, "orders": found.orders.len(), "events": found.events.len(),
        "sheet_rows": found.rows.len(), "telegram_messages": found.messages.len(),
    });
    let request_id = Uuid::new_v4().to_string();
    let action = AdminAction { request_id: &request_id, action: "erase_buyer", subject: &subject, detail };
    insert_admin_action(pool, &action).await?;

    let bar = ProgressBar::new((found.orders.len() + found.events.len()) as u64);
    let style = ProgressStyle::with_template("{bar:40} {pos}/{len}, {eta} to go");
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    for orders in found.orders.chunks(AT_ONCE) {
        let mut transaction = store::begin(pool).await?;
        for order in orders {
            privacy::erase_order(&mut transaction, order).await?;
        }
        let rows = found.rows.iter().filter(|(_, order)| orders.contains(order));
        let jobs = rows.map(|(spreadsheet, order)| sheet_row(spreadsheet, order, max_attempts)).collect();
        enqueue(&mut transaction, jobs).await?;
        transaction.commit().await?;
        bar.inc(orders.len() as u64);
    }
    for events in found.events.chunks(AT_ONCE) {
        let mut transaction = store::begin(pool).await?;
        privacy::erase_events(&mut transaction, events, &found.names).await?;
        transaction.commit().await?;
        bar.inc(events.len() as u64);
    }
    bar.finish_and_clear();
    Ok(())
}
