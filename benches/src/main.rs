//! Benchmarks of pushbox against its peers, each figure beside a baseline of the same run.
//!
//! `cargo run --release -- queue`, `ingest` and `pages`; see `docs/performance.md`.

use clap::{Parser, Subcommand};

mod cluster;
mod engines;
mod ingest;
mod pages;
mod queue;

#[derive(Parser)]
struct Cli {
    #[command(subcommand)]
    bench: Bench,
}

#[derive(Subcommand)]
enum Bench {
    /// No-op jobs per second, latency and WAL per job, against other queues on the same Postgres
    Queue(queue::Arguments),
    /// Durable pushes per second over HTTP, against one row per commit and against no store
    Ingest(ingest::Arguments),
    /// The admin API's numbers and every page, over a short history and over ten million finished jobs
    Pages(pages::Arguments),
    /// One worker process of a queue bench; started by it
    #[command(hide = true)]
    Worker(queue::WorkerArguments),
}

fn main() -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    match Cli::parse().bench {
        Bench::Queue(arguments) => runtime.block_on(queue::run(&arguments)),
        Bench::Ingest(arguments) => runtime.block_on(ingest::run(&arguments)),
        Bench::Pages(arguments) => runtime.block_on(pages::run(&arguments)),
        Bench::Worker(arguments) => runtime.block_on(queue::work(arguments)),
    }
}
