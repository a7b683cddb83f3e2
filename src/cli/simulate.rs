//! `pushbox simulate`.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;

use anyhow::Context as _;

use crate::cli::{FaultLevel, Outcome, block_on, scene, shutdown};
use crate::simulator::traffic::expectation::ExpectedOrder;
use crate::simulator::traffic::{Expectation, Traffic, scenario};
use crate::simulator::{Simulator, SimulatorOptions, TokenPair};

/// Run the simulator of Shopee, Telegram and Google Sheets alone, to develop against
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Prints the settings (hosts, keys, tokens) that make a `pushbox serve` in another terminal use
it, and orders to send pushes of. Refuses what the real services would refuse; quotas are real.
Shopee listens on --listen, Telegram, Google and a service to forward to on the ports after it.

Examples:
  pushbox simulate
  pushbox simulate --faults harsh --seed 7
  pushbox simulate --journal world.jsonl    the same world again the next time")]
pub(super) struct Arguments {
    /// Address of Shopee; port 0 takes any four that are free
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8090")]
    listen: SocketAddr,

    /// How many shops there are
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=500))]
    shops: u32,

    /// About how many orders they have
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    orders: u32,

    /// What is random repeats with the same seed
    #[arg(long, value_name = "S", default_value_t = 1)]
    seed: u64,

    /// How much goes wrong
    #[arg(long, value_name = "LEVEL", value_enum, default_value_t = FaultLevel::None)]
    faults: FaultLevel,

    /// Keep the world in this file, and go on with what it holds
    #[arg(long, value_name = "PATH")]
    journal: Option<PathBuf>,
}

/// Pushes in the life of an order, on average.
const PUSHES_PER_ORDER: u32 = 5;
/// Orders that are shown as examples.
const SHOWN: usize = 3;

pub(super) fn run(arguments: &Arguments) -> Outcome {
    block_on(simulate(arguments))
}

async fn simulate(arguments: &Arguments) -> Outcome {
    let stop = shutdown::on_signal().context("watching for stop signals")?;
    let sim = Simulator::start(options(arguments)?).await?;
    scene::set(&sim);
    let plan =
        scenario(arguments.seed, (arguments.orders * PUSHES_PER_ORDER) as usize, arguments.shops as usize);
    let shops = Traffic::install(&sim, &plan, scene::PARTNER_ID);
    if sim.read(|world| world.shopee.shops.values().all(|shop| shop.orders.is_empty())) {
        Traffic::put_orders(&sim, &plan);
    }
    sim.set_fault_profile(arguments.faults.into());
    explain(&sim, &shops, &Expectation::of(&plan));
    stop.cancelled().await;
    sim.shutdown().await;
    Ok(())
}

fn options(arguments: &Arguments) -> anyhow::Result<SimulatorOptions> {
    let beside = |offset: u16| -> anyhow::Result<SocketAddr> {
        let mut address = arguments.listen;
        if address.port() != 0 {
            let port = address.port().checked_add(offset);
            address.set_port(port.context("--listen needs three more ports after its own")?);
        }
        Ok(address)
    };
    Ok(SimulatorOptions {
        shopee: arguments.listen,
        telegram: beside(1)?,
        google: beside(2)?,
        forward: beside(3)?,
        journal: arguments.journal.clone(),
        seed: arguments.seed,
        ..SimulatorOptions::default()
    })
}

/// Prints what to paste, as lines of a shell and of `.env`; all else are comments.
#[expect(clippy::print_stdout, reason = "what a person asked for")]
fn explain(sim: &Simulator, shops: &BTreeMap<i64, TokenPair>, orders: &Expectation) {
    println!("# The simulator runs until Ctrl-C. Settings for `pushbox serve`, as lines of .env:");
    for (name, value) in scene::settings(sim, shops) {
        println!("{name}={}", quoted(&value));
    }
    if shops.len() > 1 {
        println!("\n# The other shops, as lines of pushbox.toml (without the #):");
    }
    for (shop_id, pair) in shops.iter().skip(1) {
        let TokenPair { access_token, refresh_token, .. } = pair;
        println!("# [[shops]]\n# shop_id = {shop_id}");
        println!("# access_token = \"{access_token}\"\n# refresh_token = \"{refresh_token}\"");
    }
    println!(
        "\n# Then, with the same settings, send pushes of orders that exist ({} do):",
        orders.orders.len()
    );
    let first = shops.keys().next().copied();
    for (order_sn, order) in orders.orders.iter().filter(|(_, one)| Some(one.shop_id) == first).take(SHOWN) {
        let ExpectedOrder { shop_id, status, .. } = order;
        println!("#   pushbox send --order-sn {order_sn} --shop-id {shop_id} --status {status}");
    }
    println!(
        "# Such a push is newer than the order that it tells of: pushbox looks again for some seconds, in case\n\
         # Shopee's API is behind, before it takes the order as it is."
    );
}

/// In single quotes where a shell or a `.env` file would see more than text. No value holds such a quote.
fn quoted(value: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_.:/".contains(c);
    if value.chars().all(plain) { value.to_owned() } else { format!("'{value}'") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_is_printed_is_a_complete_configuration() {
        use crate::config::{Config, Inputs, Roles};

        let sim = Simulator::start(SimulatorOptions::default()).await.expect("a simulator");
        scene::set(&sim);
        let shops = Traffic::install(&sim, &scenario(1, 10, 2), scene::PARTNER_ID);
        let text: Vec<String> = scene::settings(&sim, &shops)
            .iter()
            .map(|(name, value)| format!("{name}={}", quoted(value)))
            .collect();
        let environment = dotenvy::from_read_iter(text.join("\n").as_bytes())
            .collect::<Result<_, _>>()
            .expect("lines of .env");
        let loaded =
            Config::load(&Inputs { environment, ..Inputs::default() }, &Roles::all()).expect("no faults");
        assert_eq!(loaded.config.shopee.shops.len(), 1);
        assert!(loaded.config.telegram.is_some() && loaded.config.sheets.is_some());
    }
}
