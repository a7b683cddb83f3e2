//! `pushbox orders`.

use std::path::Path;

use serde_json::{Value, json};

use crate::cli::console::{self, Console, segment};
use crate::cli::options::{Limit, Period, filter};
use crate::cli::show::{Column, Show, facts, field, number, table, text};
use crate::cli::{Failure, Outcome};

/// List orders, and look at one with its items, income and history
#[derive(Debug, clap::Args)]
#[command(
    args_conflicts_with_subcommands = true,
    after_long_help = "\
Last changed first. Shows no buyer's data. `pushbox explain` tells an order's whole life. Exit
code 3 when there is no such order.

Examples:
  pushbox orders --shop 1001 --status READY_TO_SHIP
  pushbox orders --since 2h --json
  pushbox orders show 2609150ABCDEF1"
)]
pub(super) struct Arguments {
    #[command(subcommand)]
    action: Option<Action>,

    /// Only of this shop
    #[arg(long)]
    shop: Option<String>,

    /// Only in this state, as the platform spells it
    #[arg(long)]
    status: Option<String>,

    /// Only of this platform
    #[arg(long)]
    platform: Option<String>,

    #[command(flatten)]
    period: Period,

    #[command(flatten)]
    limit: Limit,

    #[command(flatten)]
    show: Show,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// Show one order
    Show {
        /// Its number
        order: String,

        /// Its shop, where several have an order of this number
        #[arg(long)]
        shop: Option<String>,

        #[command(flatten)]
        show: Show,
    },
}

pub(super) fn run(arguments: &Arguments, config: Option<&Path>) -> Outcome {
    console::with(config, async |console| answer(console, arguments).await)
}

async fn answer(console: &Console, arguments: &Arguments) -> Outcome {
    if let Some(Action::Show { order, shop, show }) = &arguments.action {
        return show.answer(async || one(console, order, shop.as_deref()).await, render_one).await;
    }
    let [since, until] = arguments.period.filters();
    let query = [
        filter("shop", arguments.shop.as_ref()),
        filter("status", arguments.status.as_ref()),
        filter("platform", arguments.platform.as_ref()),
        since,
        until,
        arguments.limit.filter(),
    ];
    let list = async || console.get("/orders", &query).await;
    arguments.show.answer(list, |page| table(&page["orders"], LIST, "no order matches")).await
}

const LIST: &[Column] = &[
    text("ORDER", |order| field(order, "order_sn")),
    text("PLATFORM", |order| field(order, "platform")),
    text("SHOP", |order| field(order, "shop_id")),
    text("STATUS", |order| field(order, "status")),
    number("ITEMS", |order| field(order, "items")),
    number("TOTAL", |order| field(order, "total_amount")),
    number("PAYOUT", |order| field(order, "escrow_amount")),
    text("CURRENCY", |order| field(order, "currency")),
    text("CHANGED (UTC)", |order| field(order, "update_time")),
];

/// The order of this number; which one, when several shops have one, a person has to say.
async fn one(console: &Console, order: &str, shop: Option<&str>) -> Result<Value, Failure> {
    let query = [("order_sn", order.to_owned()), ("shop", shop.unwrap_or_default().to_owned())];
    let page = console.get("/orders", &query).await?;
    let found = page["orders"].as_array().map(Vec::as_slice).unwrap_or_default();
    match found {
        [] => Err(Failure::Missing(format!("no order {order} is known"))),
        [one] => {
            let path = ["platform", "shop_id", "order_sn"].map(|name| segment(&field(one, name))).join("/");
            console.get(&format!("/orders/{path}"), &[]).await
        }
        several => {
            let shops: Vec<_> = several.iter().map(|one| field(one, "shop_id")).collect();
            Err(Failure::Usage(format!(
                "several shops have an order {order}: add --shop {}",
                shops.join(" or --shop ")
            )))
        }
    }
}

fn render_one(answer: &Value) -> String {
    const FACTS: &[&str] = &[
        "order_sn",
        "platform",
        "shop_id",
        "status",
        "currency",
        "total_amount",
        "escrow_amount",
        "create_time",
        "pay_time",
        "ship_by",
        "shipping_carrier",
        "cancel_reason",
        "update_time",
        "fetched_at",
    ];
    const LINES: &[Column] = &[
        text("ITEM", |line| field(line, "name")),
        text("VARIATION", |line| field(line, "variation")),
        text("SKU", |line| field(line, "sku")),
        number("PIECES", |line| field(line, "quantity")),
        number("EACH", |line| field(line, "unit_price")),
        number("PAYOUT", |line| field(line, "net_income")),
    ];
    const HISTORY: &[Column] = &[
        text("STATUS", |one| field(one, "status")),
        text("SINCE (UTC)", |one| field(one, "update_time")),
        text("SEEN (UTC)", |one| field(one, "seen_at")),
        text("EVENT", |one| field(one, "event_id")),
    ];
    const SHEET: &[Column] = &[
        text("SPREADSHEET", |row| field(row, "spreadsheet_id")),
        text("SHOWS", |row| field(row, "status")),
        number("ITEM ROWS", |row| field(row, "item_rows")),
        text("WRITTEN (UTC)", |row| field(row, "written_at")),
    ];
    let order = &answer["order"];
    let income = match &order["income"] {
        Value::Null => "its income is not known yet".to_owned(),
        income => format!("income: {}", field(&json!({ "income": income }), "income")),
    };
    [
        facts(order, FACTS),
        table(&order["lines"], LINES, "it has no lines"),
        income,
        table(&order["history"], HISTORY, "no state was seen"),
        table(&order["sheet_rows"], SHEET, "no sheet has it"),
    ]
    .join("\n\n")
}
