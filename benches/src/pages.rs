//! The pages bench: how long the admin API's numbers and every page of the dashboard take, over a short history and
//! over a long one in the same run. What is looked at is asked for over HTTP, as a browser does, one after the other.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use pushbox::app::App;
use pushbox::config::{Config, Inputs, Role, Roles};
use pushbox::store::roll_up::roll_up;
use sqlx::{AssertSqlSafe, PgPool};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::cluster::{Cluster, pool};

#[derive(clap::Args)]
pub struct Arguments {
    /// Events of the long history; each has three finished jobs
    #[arg(long, default_value_t = 3_400_000)]
    events: u32,
    /// Events of the short history
    #[arg(long, default_value_t = 10_000)]
    baseline: u32,
    /// Days over which either is spread
    #[arg(long, default_value_t = 60)]
    days: u32,
    /// How often each page is asked for
    #[arg(long, default_value_t = 60)]
    times: usize,
}

const HISTORY: &str = include_str!("../../tests/data/history.sql");

/// What is looked at; `{event}` and `{order}` are of the middle of the history.
const PATHS: [&str; 24] = [
    "/api/v1/stats",
    "/api/v1/series?window=week",
    "/api/v1/events",
    "/api/v1/events?shop=10000007&code=3",
    "/api/v1/jobs?state=dead",
    "/api/v1/orders",
    "/metrics",
    "/dashboard",
    "/dashboard?window=day",
    "/dashboard?window=week",
    "/dashboard/events",
    "/dashboard/events?subject={order}",
    "/dashboard/events?state=dead",
    "/dashboard/events/{event}",
    "/dashboard/orders",
    "/dashboard/orders?order_sn={order}",
    "/dashboard/orders/shopee/{shop}/{order}",
    "/dashboard/jobs?state=dead",
    "/dashboard/queues",
    "/dashboard/schedules",
    "/dashboard/rejections",
    "/dashboard/replays",
    "/dashboard/settings",
    "/dashboard/actions",
];

/// p50 and p95 of each path.
type Times = Vec<(String, Duration, Duration)>;

pub async fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let cluster = Cluster::start().await?;
    let short = measure(&cluster, "short", arguments.baseline, arguments).await?;
    let long = measure(&cluster, "long", arguments.events, arguments).await?;
    println!("\n| page | p50 ms | p95 ms | p95 against {} jobs |\n| --- | --- | --- | --- |", 3 * arguments.baseline);
    for ((path, p50, p95), (_, _, base)) in long.iter().zip(&short) {
        let ratio = p95.as_secs_f64() / base.as_secs_f64();
        println!("| `{path}` | {:.1} | {:.1} | {ratio:.2} |", millis(*p50), millis(*p95));
    }
    cluster.stop().await
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}

async fn measure(cluster: &Cluster, name: &str, events: u32, arguments: &Arguments) -> anyhow::Result<Times> {
    let url = cluster.database(name, true).await?;
    let pool = pool(&url, 4).await?;
    let begun = Instant::now();
    let mut connection = pool.acquire().await?;
    let knobs = format!("SET history.events = {events}; SET history.days = {}", arguments.days);
    sqlx::raw_sql(AssertSqlSafe(knobs)).execute(&mut *connection).await?;
    sqlx::raw_sql(HISTORY).execute(&mut *connection).await?;
    drop(connection);
    while !roll_up(&pool).await? {}
    let jobs: i64 = sqlx::query_scalar("SELECT count(*) FROM pushbox.job_history").fetch_one(&pool).await?;
    eprintln!("{name}: {jobs} finished jobs made in {:.0?}", begun.elapsed());
    let app = start(&url).await?;
    let paths = paths(&pool, events).await?;
    let mut found = Vec::new();
    for (path, address) in PATHS.iter().zip(&paths) {
        let mut times = Vec::new();
        // The first one warms up.
        for _ in 0..=arguments.times {
            times.push(ask(app.admin_address(), address).await.with_context(|| address.clone())?);
        }
        times.remove(0);
        times.sort_unstable();
        found.push(((*path).to_owned(), times[times.len() / 2], times[times.len() * 95 / 100]));
    }
    app.stop().await;
    pool.close().await;
    Ok(found)
}

async fn start(url: &str) -> anyhow::Result<App> {
    let given = [("DATABASE_URL", url), ("LISTEN", "127.0.0.1:0"), ("ADMIN_LISTEN", "127.0.0.1:0")];
    let environment = given.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
    let roles = Roles::from_iter([Role::Admin]);
    let loaded = Config::load(&Inputs { environment, ..Inputs::default() }, &roles)
        .map_err(|faults| anyhow::anyhow!("{faults}"))?;
    App::start(loaded.config, &roles, false).await
}

async fn paths(pool: &PgPool, events: u32) -> anyhow::Result<Vec<String>> {
    let middle = events / 2 / 3 * 3;
    let (event, shop, order): (String, String, String) =
        sqlx::query_as("SELECT id::text, account, subject FROM pushbox.events WHERE subject = $1")
            .bind(format!("H{middle:010}"))
            .fetch_one(pool)
            .await?;
    let filled = |path: &&str| {
        path.replace("{event}", &event).replace("{shop}", &shop).replace("{order}", &order)
    };
    Ok(PATHS.iter().map(filled).collect())
}

/// One request on a connection of its own; how long until the whole answer was there.
async fn ask(address: SocketAddr, path: &str) -> anyhow::Result<Duration> {
    let begun = Instant::now();
    let mut stream = TcpStream::connect(address).await?;
    let request = format!("GET {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await?;
    ensure!(answer.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&answer[..answer.len().min(300)]));
    Ok(begun.elapsed())
}
