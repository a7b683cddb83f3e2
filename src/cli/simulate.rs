//! `pushbox simulate`.

use std::net::SocketAddr;

use crate::cli::{FaultLevel, Outcome, block_on, not_wired, shutdown};

/// Run the simulator of Shopee, Telegram and Google Sheets alone, to develop against
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Prints the settings (hosts, keys, tokens) that make a `pushbox serve` in another terminal use
it. Refuses what the real services would refuse.

Examples:
  pushbox simulate
  pushbox simulate --faults harsh --seed 7")]
pub(super) struct Arguments {
    /// Address to listen on; port 0 takes any that is free
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8090")]
    listen: SocketAddr,

    /// How many shops there are
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=500))]
    shops: u32,

    /// What is random repeats with the same seed
    #[arg(long, value_name = "S", default_value_t = 1)]
    seed: u64,

    /// How much goes wrong
    #[arg(long, value_name = "LEVEL", value_enum, default_value_t = FaultLevel::None)]
    faults: FaultLevel,
}

pub(super) fn run(arguments: &Arguments) -> Outcome {
    block_on(async { simulate(arguments) })
}

/// The one place that connects this command.
fn simulate(arguments: &Arguments) -> Outcome {
    let stop = shutdown::on_signal()
        .map_err(|error| anyhow::Error::new(error).context("watching for stop signals"))?;
    let _ = (arguments.listen, arguments.shops, arguments.seed, arguments.faults, stop);
    Err(not_wired("simulator::Simulator::start"))
}
