//! The queue bench: how fast no-op jobs are worked off, how soon a job starts, what it costs in WAL.

use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use anyhow::Context;
use sqlx::PgPool;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
use tokio_util::sync::CancellationToken;

use crate::cluster::{Cluster, pool, wal_bytes};
use crate::engines::{self, Engine, Seen};

#[derive(clap::Args)]
pub struct Arguments {
    /// Jobs per measurement of throughput
    #[arg(long, default_value_t = 100_000)]
    jobs: usize,
    /// Interleaved rounds; the median counts
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// Engines by name, comma separated; the first is the one others are compared with
    #[arg(long, value_delimiter = ',')]
    engines: Vec<String>,
    /// Worker processes
    #[arg(long, value_delimiter = ',', default_values_t = vec![1_usize, 2])]
    processes: Vec<usize>,
    /// Finished jobs in pushbox's history before the measurement
    #[arg(long, default_value_t = 0)]
    finished: i64,
    /// Jobs that wait for a later time in pushbox's table during the measurement
    #[arg(long, default_value_t = 0)]
    waiting: i64,
    /// Another session holds a snapshot open from before the jobs are there
    #[arg(long)]
    old_snapshot: bool,
    /// Also measure insert-to-start latency of pushbox
    #[arg(long)]
    latency: bool,
}

#[derive(clap::Args)]
pub struct WorkerArguments {
    #[arg(long)]
    engine: String,
    #[arg(long)]
    url: String,
}

struct Measured {
    rate: f64,
    wal_per_job: f64,
    fill_rate: f64,
}

pub async fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let cluster = Cluster::start().await?;
    let names: Vec<String> = if arguments.engines.is_empty() {
        engines::all().iter().map(|engine| engine.name().to_owned()).collect()
    } else {
        arguments.engines.clone()
    };
    println!("{} no-op jobs, {} rounds, Postgres with fsync and synchronous_commit on\n", arguments.jobs, arguments.rounds);
    println!("{:<42} {:>5} {:>12} {:>7} {:>14} {:>12}", "engine", "procs", "jobs/s", "ratio", "WAL bytes/job", "enqueued/s");
    for processes in &arguments.processes {
        let mut all: Vec<Vec<Measured>> = names.iter().map(|_| Vec::new()).collect();
        for _ in 0..arguments.rounds {
            for (name, measured) in names.iter().zip(&mut all) {
                let engine = engines::find(name).with_context(|| format!("there is no engine {name}"))?;
                measured.push(measure(&cluster, engine.as_ref(), arguments, *processes).await?);
            }
        }
        let base = median(all[0].iter().map(|one| one.rate));
        for (name, measured) in names.iter().zip(&all) {
            let rate = median(measured.iter().map(|one| one.rate));
            println!(
                "{name:<42} {processes:>5} {rate:>12.0} {:>7.2} {:>14.0} {:>12.0}",
                rate / base,
                median(measured.iter().map(|one| one.wal_per_job)),
                median(measured.iter().map(|one| one.fill_rate)),
            );
        }
    }
    if arguments.latency {
        latency(&cluster).await?;
    }
    cluster.stop().await
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

async fn measure(
    cluster: &Cluster,
    engine: &dyn Engine,
    arguments: &Arguments,
    processes: usize,
) -> anyhow::Result<Measured> {
    let url = cluster.database("bench", false).await?;
    engine.prepare(&url).await?;
    let pool = pool(&url, 4).await?;
    if engine.name() == "pushbox" {
        burden(&pool, arguments).await?;
    }
    let mut snapshot = pool.begin().await?;
    if arguments.old_snapshot {
        sqlx::raw_sql("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ; SELECT 1").execute(&mut *snapshot).await?;
    }
    let wal_before = wal_bytes(&pool).await?;
    let filling = Instant::now();
    engine.fill(&pool, arguments.jobs).await?;
    let fill_rate = per_second(arguments.jobs, filling.elapsed());
    sqlx::raw_sql("VACUUM ANALYZE").execute(&pool).await?;

    let mut workers = Vec::new();
    for _ in 0..processes {
        workers.push(Worker::start(engine.name(), &url)?);
    }
    wait_until_empty(engine, &pool, arguments).await?;
    let (mut began, mut ended) = (i64::MAX, 0);
    for worker in workers {
        let (first, last) = worker.stop().await?;
        began = began.min(first);
        ended = ended.max(last);
    }
    let wal = wal_bytes(&pool).await? - wal_before;
    snapshot.rollback().await?;
    pool.close().await;
    let took = Duration::from_micros(u64::try_from(ended - began).context("clock")?);
    Ok(Measured {
        rate: per_second(arguments.jobs, took),
        wal_per_job: wal as f64 / arguments.jobs as f64,
        fill_rate,
    })
}

fn per_second(jobs: usize, took: Duration) -> f64 {
    jobs as f64 / took.as_secs_f64()
}

async fn wait_until_empty(engine: &dyn Engine, pool: &PgPool, arguments: &Arguments) -> anyhow::Result<()> {
    let begun = Instant::now();
    let waits = arguments.waiting > 0 && engine.name() == "pushbox";
    loop {
        let empty = if waits {
            sqlx::query_scalar(
                "SELECT NOT EXISTS (SELECT FROM pushbox.jobs WHERE state = 'running')
                    AND NOT EXISTS (SELECT FROM pushbox.jobs WHERE queue = 'forward' AND batch_key LIKE 'shop-%'
                                    AND state = 'ready' AND run_at <= now())",
            )
            .fetch_one(pool)
            .await?
        } else {
            engine.is_empty(pool).await?
        };
        if empty {
            return Ok(());
        }
        anyhow::ensure!(begun.elapsed() < Duration::from_secs(900), "{} does not finish", engine.name());
        // Looking costs a scan of what is left of the table, so it is done seldom.
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// The history and the backlog under which pushbox is measured.
async fn burden(pool: &PgPool, arguments: &Arguments) -> anyhow::Result<()> {
    for start in (0..arguments.finished).step_by(500_000) {
        sqlx::query(
            "INSERT INTO pushbox.job_history (id, queue, kind, batch_key, payload, outcome, attempt, crashes, worker,
                                              merged_events, errors, created_at, started_at, finished_at)
             SELECT -n, 'forward', 'noop', 'a', jsonb_build_object('n', n, 'text', repeat('x', 210)), 'done', 1, 0, 'w',
                    '{}', '[]', now(), now(), now()
             FROM generate_series($1, $2) n",
        )
        .bind(start + 1)
        .bind(arguments.finished.min(start + 500_000))
        .execute(pool)
        .await?;
    }
    if arguments.waiting > 0 {
        sqlx::query(
            "INSERT INTO pushbox.jobs (queue, kind, batch_key, payload, max_attempts, run_at)
             SELECT 'forward', 'noop', 'later-' || n % 50, jsonb_build_object('n', n, 'text', repeat('x', 210)), 25,
                    now() + interval '1 day'
             FROM generate_series(1, $1) n",
        )
        .bind(arguments.waiting)
        .execute(pool)
        .await?;
    }
    Ok(())
}

/// A worker in a process of its own. It stops when its standard input closes and then says when its first and its
/// last job were handled, in microseconds since 1970.
struct Worker(tokio::process::Child);

impl Worker {
    fn start(engine: &str, url: &str) -> anyhow::Result<Self> {
        let child = tokio::process::Command::new(std::env::current_exe()?)
            .args(["worker", "--engine", engine, "--url", url])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        Ok(Self(child))
    }

    async fn stop(mut self) -> anyhow::Result<(i64, i64)> {
        drop(self.0.stdin.take());
        let mut line = String::new();
        let mut output = BufReader::new(self.0.stdout.take().context("stdout")?);
        let read = tokio::time::timeout(Duration::from_secs(20), output.read_line(&mut line)).await;
        let _ = self.0.kill().await;
        read??;
        let (first, last) = line.trim().split_once(' ').context("the worker said nothing")?;
        let (first, last): (i64, i64) = (first.parse()?, last.parse()?);
        // A worker that got no job says nothing about when it began.
        Ok((if first == 0 { i64::MAX } else { first }, last))
    }
}

pub async fn work(arguments: WorkerArguments) -> anyhow::Result<()> {
    let engine = engines::find(&arguments.engine).context("no such engine")?;
    let seen = Arc::new(Seen::default());
    let stop = CancellationToken::new();
    let watch = stop.clone();
    let (saying, heard) = (seen.clone(), stop.clone());
    tokio::spawn(async move {
        let mut rest = Vec::new();
        let _ = tokio::io::stdin().read_to_end(&mut rest).await;
        println!("{} {}", saying.first.load(Ordering::Relaxed), saying.last.load(Ordering::Relaxed));
        heard.cancel();
    });
    engine.work(&arguments.url, seen, watch).await
}

/// From the commit of an enqueue to the call of the handler, in one process: idle, and at 2,000 jobs a second.
async fn latency(cluster: &Cluster) -> anyhow::Result<()> {
    use crate::engines::pushbox::latency;
    println!();
    for (name, gap, count) in [
        ("idle: one job every 20 ms", Duration::from_millis(20), 1000),
        ("under load: 2,000 jobs/s", Duration::from_micros(500), 10_000),
    ] {
        let url = cluster.database("bench", true).await?;
        let pool = pool(&url, 12).await?;
        let waits = latency(&pool, gap, count).await?;
        for (what, mut waits) in [("insert to start", waits.starts), ("of it the insert", waits.inserts)] {
            waits.sort();
            let at = |share: f64| waits[((waits.len() - 1) as f64 * share) as usize].as_secs_f64() * 1000.0;
            println!("{what}, {name}: p50 {:.2} ms, p99 {:.2} ms, max {:.2} ms", at(0.5), at(0.99), at(1.0));
        }
        pool.close().await;
    }
    Ok(())
}
