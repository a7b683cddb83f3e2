//! The commands, one file each. Reads arguments, says what happened, decides the exit code; the work is
//! done by what is below.
//!
//! Exit codes: 0 done, 1 failed, 2 wrong usage or configuration, 3 what was asked for is not there.

mod audit;
mod completions;
mod console;
mod demo;
mod destinations;
mod doctor;
mod events;
mod explain;
mod export;
mod jobs;
mod keygen;
mod migrate;
mod openapi;
mod options;
mod orders;
mod privacy;
mod queues;
mod rejections;
mod replay;
mod reseal;
mod scene;
mod schedules;
mod send;
mod serve;
mod sheet;
mod shopee;
mod shops;
mod show;
mod shutdown;
mod simulate;
mod sources;
mod stats;
mod subscriptions;

use std::fmt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Parser, Subcommand, ValueEnum};

use crate::config::{Config, Faults, Inputs, Loaded, Roles};
use crate::simulator::FaultProfile;

/// Receives signed Shopee pushes exactly once and acts on them.
#[derive(Debug, Parser)]
#[command(
    name = "pushbox",
    version,
    long_about = "pushbox receives signed Shopee pushes, stores each exactly once in Postgres, answers 200 only \
                  after the commit, and then fetches the full order with its income, keeps a Google Sheet up to \
                  date and announces it on Telegram.",
    after_long_help = "\
Start here:
  pushbox demo                 see it work, without any account
  pushbox keygen               print ADMIN_TOKEN and other keys
  pushbox serve                run it
  pushbox explain <order>      what happened to an order, and what happens next

Settings come from the environment, from `.env` in the working directory, and from `pushbox.toml`;
the environment wins. `.env.example` and README list them all. A secret can be kept in a file:
NAME_FILE=path.

Exit codes: 0 done, 1 failed, 2 wrong usage or configuration, 3 what was asked for is not there.",
    disable_help_subcommand = true
)]
struct Cli {
    /// `pushbox.toml` to read [else: `PUSHBOX_CONFIG`, else the one in the working directory]
    #[arg(long, global = true, value_name = "PATH")]
    config: Option<PathBuf>,

    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Demo(demo::Arguments),
    Serve(serve::Arguments),
    Migrate(migrate::Arguments),
    Audit(audit::Arguments),
    Explain(explain::Arguments),
    Stats(stats::Arguments),
    Queues(queues::Arguments),
    Destinations(destinations::Arguments),
    Shops(shops::Arguments),
    Events(events::Arguments),
    Jobs(jobs::Arguments),
    Replay(replay::Arguments),
    Orders(orders::Arguments),
    Schedules(schedules::Arguments),
    Sources(sources::Arguments),
    Rejections(rejections::Arguments),
    Subscriptions(subscriptions::Arguments),
    Privacy(privacy::Arguments),
    Doctor(doctor::Arguments),
    Simulate(simulate::Arguments),
    Send(send::Arguments),
    Shopee(shopee::Arguments),
    Reseal(reseal::Arguments),
    Sheet(sheet::Arguments),
    Export(export::Arguments),
    Openapi(openapi::Arguments),
    Keygen(keygen::Arguments),
    Completions(completions::Arguments),
}

/// How much goes wrong in a simulation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum FaultLevel {
    /// Nothing goes wrong
    None,
    /// What a usual day brings: some 429 and 500 answers, duplicates, disorder, lost pushes
    Realistic,
    /// Much more of it, with outages and answers that never come
    Harsh,
}

impl From<FaultLevel> for FaultProfile {
    fn from(level: FaultLevel) -> Self {
        match level {
            FaultLevel::None => Self::None,
            FaultLevel::Realistic => Self::Realistic,
            FaultLevel::Harsh => Self::Harsh,
        }
    }
}

/// Why a command did not do its work.
#[derive(Debug)]
enum Failure {
    /// The arguments or settings are wrong: exit code 2.
    Usage(String),
    /// The work failed: exit code 1.
    Failed(anyhow::Error),
    /// What was asked for is not there: exit code 3.
    Missing(String),
}

impl From<Faults> for Failure {
    fn from(faults: Faults) -> Self {
        Self::Usage(faults.to_string())
    }
}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        Self::Failed(error)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Usage(text) | Self::Missing(text) => f.write_str(text),
            Self::Failed(error) => f.write_str(&told(error)),
        }
    }
}

/// An error with its causes. Some libraries say the cause in their own words already; it is not said twice.
fn told(error: &anyhow::Error) -> String {
    let mut text = String::new();
    for cause in error.chain().map(ToString::to_string) {
        if !text.ends_with(&cause) {
            text.push_str(if text.is_empty() { "" } else { ": " });
            text.push_str(&cause);
        }
    }
    text
}

/// What a command answers.
type Outcome = Result<(), Failure>;

/// Runs the command that the process was started with.
#[expect(clippy::print_stderr, reason = "a command that failed says so to the person who typed it")]
pub fn run() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(answer) => {
            // Help and version are answers, too; clap knows where each goes. A closed pipe is no failure.
            let _ = answer.print();
            return ExitCode::from(u8::from(answer.use_stderr()) * 2);
        }
    };
    // More than one library brings a provider; the choice is made once, before the first connection. It
    // fails only if it was made before, which is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    match dispatch(cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("pushbox: {failure}");
            ExitCode::from(match failure {
                Failure::Failed(_) => 1,
                Failure::Usage(_) => 2,
                Failure::Missing(_) => 3,
            })
        }
    }
}

fn dispatch(cli: Cli) -> Outcome {
    let config = cli.config.as_deref();
    match cli.command {
        Command::Demo(arguments) => demo::run(&arguments),
        Command::Serve(arguments) => serve::run(&arguments, config),
        Command::Migrate(arguments) => migrate::run(&arguments, config),
        Command::Audit(arguments) => audit::run(&arguments, config),
        Command::Explain(arguments) => explain::run(&arguments, config),
        Command::Stats(arguments) => stats::run(&arguments, config),
        Command::Queues(arguments) => queues::run(&arguments, config),
        Command::Destinations(arguments) => destinations::run(&arguments, config),
        Command::Shops(arguments) => shops::run(&arguments, config),
        Command::Events(arguments) => events::run(&arguments, config),
        Command::Jobs(arguments) => jobs::run(&arguments, config),
        Command::Replay(arguments) => replay::run(&arguments, config),
        Command::Orders(arguments) => orders::run(&arguments, config),
        Command::Schedules(arguments) => schedules::run(&arguments, config),
        Command::Sources(arguments) => sources::run(&arguments, config),
        Command::Rejections(arguments) => rejections::run(&arguments, config),
        Command::Subscriptions(arguments) => subscriptions::run(&arguments, config),
        Command::Privacy(arguments) => privacy::run(&arguments, config),
        Command::Doctor(arguments) => doctor::run(&arguments, config),
        Command::Simulate(arguments) => simulate::run(&arguments),
        Command::Send(arguments) => send::run(&arguments, config),
        Command::Shopee(arguments) => shopee::run(&arguments, config),
        Command::Reseal(arguments) => reseal::run(&arguments, config),
        Command::Sheet(arguments) => sheet::run(&arguments, config),
        Command::Export(arguments) => export::run(&arguments, config),
        Command::Openapi(arguments) => openapi::run(&arguments),
        Command::Keygen(arguments) => keygen::run(&arguments),
        Command::Completions(arguments) => completions::run(&arguments),
    }
}

/// The settings that a process of these roles needs.
fn load(config: Option<&Path>, roles: &Roles) -> Result<Loaded, Faults> {
    Config::load(&Inputs::from_process(config)?, roles)
}

/// Runs a command's work on the runtime that the whole process shares.
fn block_on(work: impl Future<Output = Outcome>) -> Outcome {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| anyhow::Error::new(error).context("starting the runtime"))?
        .block_on(work)
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn clap_finds_no_fault() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_command_teaches() {
        for command in Cli::command().get_subcommands() {
            let name = command.get_name();
            assert!(command.get_about().is_some(), "{name} has no summary");
            let text = command.get_after_long_help().map(ToString::to_string).unwrap_or_default();
            assert!(
                text.lines().all(|line| line.chars().count() <= 98),
                "{name}: too wide for clap's 100 columns"
            );
            let help = command.clone().render_long_help().to_string();
            assert!(help.contains(&format!("pushbox {name}")), "{name} shows no example");
            for argument in command.get_arguments().filter(|argument| argument.get_id() != "help") {
                assert!(argument.get_help().is_some(), "{name} {} has no help", argument.get_id());
            }
        }
    }

    #[test]
    fn a_cause_is_told_once() {
        let cause = std::io::Error::other("connection refused");
        let error =
            anyhow::Error::new(cause).context("the database: connection refused").context("cannot export");
        assert_eq!(Failure::Failed(error).to_string(), "cannot export: the database: connection refused");
    }

    #[test]
    fn wrong_usage_and_failed_work_differ() {
        assert!(matches!(Failure::from(anyhow::anyhow!("x")), Failure::Failed(_)));
        assert!(Cli::try_parse_from(["pushbox", "serve", "--roles", "wroker"]).is_err());
        assert!(Cli::try_parse_from(["pushbox", "demo", "--faults", "harsh", "--config", "x.toml"]).is_ok());
    }
}
