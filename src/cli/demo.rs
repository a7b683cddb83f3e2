//! `pushbox demo`.

use std::path::PathBuf;

use crate::cli::{FaultLevel, Outcome, block_on, not_wired, shutdown};

/// Show the whole system at work on this machine, without any account
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Starts a private Postgres, a simulator in the place of Shopee, Telegram and Google, and pushbox
itself with all roles, then sends a realistic stream of pushes: duplicates, disorder, bad
signatures, lost pushes, faults. Shows progress, ends with a summary, and keeps the admin listener
up until Ctrl-C. Reads none of your settings and reaches nothing outside this machine, except to
download Postgres when none is installed.

Examples:
  pushbox demo
  pushbox demo --pushes 20000 --shops 50 --faults harsh
  pushbox demo --seed 7 --exit     stop after the summary; exit code 1 if anything is missing")]
pub(super) struct Arguments {
    /// How many pushes to send
    #[arg(long, value_name = "N", default_value_t = 2000, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pushes: u32,

    /// How many shops they come from
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=500))]
    shops: u32,

    /// What is random repeats with the same seed
    #[arg(long, value_name = "S", default_value_t = 1)]
    seed: u64,

    /// How much goes wrong
    #[arg(long, value_name = "LEVEL", value_enum, default_value_t = FaultLevel::Realistic)]
    faults: FaultLevel,

    /// Stop after the summary
    #[arg(long)]
    exit: bool,

    /// Directory of the private Postgres; a demo that was killed goes on where it stopped
    #[arg(long, value_name = "PATH", default_value = ".pushbox/demo")]
    data_dir: PathBuf,
}

pub(super) fn run(arguments: &Arguments) -> Outcome {
    block_on(async { demo(arguments) })
}

/// The one place that connects this command.
fn demo(arguments: &Arguments) -> Outcome {
    let stop = shutdown::on_signal()
        .map_err(|error| anyhow::Error::new(error).context("watching for stop signals"))?;
    let Arguments { pushes, shops, seed, faults, exit, data_dir } = arguments;
    let _ = (pushes, shops, seed, faults, exit, data_dir, stop);
    Err(not_wired("simulator::Simulator::start and app::run(config, roles, shutdown)"))
}
