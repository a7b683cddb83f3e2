//! The ingest bench: signed pushes over HTTP keep-alive connections, answered after the commit, against the
//! same handler with one row per commit and against the same handler without any store.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::Context;
use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::SendRequest;
use hyper_util::rt::TokioIo;
use pushbox::app::listener::{self, Limits};
use pushbox::clock;
use pushbox::config::{Config, Inputs, Role, Roles};
use pushbox::domain::event::Via;
use pushbox::domain::job::Queue;
use pushbox::domain::push::{Arrival, sha256};
use pushbox::domain::route::Routes;
use pushbox::domain::seal::Sealer;
use pushbox::domain::shopee::{ShopeeBody, read, signature};
use pushbox::domain::sources::{Pushed, Source};
use pushbox::queue::{Plan, Waker, intake as store};
use pushbox::receiver::{Committer, Receiver, RecordSettings, Recorder, Throttle};
use sqlx::PgPool;
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;

use crate::cluster::{Cluster, pool};

#[derive(clap::Args)]
pub struct Arguments {
    /// Seconds per measurement
    #[arg(long, default_value_t = 6)]
    seconds: u64,
    /// Keep-alive connections
    #[arg(long, value_delimiter = ',', default_values_t = vec![1_usize, 32, 256])]
    connections: Vec<usize>,
    /// Interleaved rounds; the median counts
    #[arg(long, default_value_t = 3)]
    rounds: usize,
}

const KEY: &str = "push-key-of-the-bench";
const CALLBACK: &str = "https://hooks.example.com/webhook/shopee";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Variant {
    Pushbox,
    OneRowPerCommit,
    NoStore,
}

impl Variant {
    const ALL: [Self; 3] = [Self::Pushbox, Self::OneRowPerCommit, Self::NoStore];

    fn name(self) -> &'static str {
        match self {
            Self::Pushbox => "pushbox",
            Self::OneRowPerCommit => "one row per commit",
            Self::NoStore => "no store",
        }
    }
}

/// Signed pushes, each of another order, made ahead of time.
struct Pushes {
    made: Vec<(Bytes, String)>,
    next: AtomicUsize,
}

impl Pushes {
    fn make(count: usize, run: usize) -> Self {
        let made = (0..count)
            .map(|n| {
                let body = format!(
                    r#"{{"msg_id":"0123456789abcdef0123456789abcdef","data":{{"completed_scenario":"","items":[],"ordersn":"26{run:03}{n:09}","status":"READY_TO_SHIP","update_time":1790000000}},"shop_id":{},"code":3,"timestamp":1790000001}}"#,
                    10_000_000 + n % 50
                );
                let digest = hex::encode(signature::url_body(KEY, CALLBACK, body.as_bytes()));
                (Bytes::from(body), digest)
            })
            .collect();
        Self { made, next: AtomicUsize::new(0) }
    }

    fn next(&self) -> (Bytes, String) {
        let (body, digest) = &self.made[self.next.fetch_add(1, Ordering::Relaxed) % self.made.len()];
        (body.clone(), digest.clone())
    }
}

/// Shopee, as the settings of a receiver describe it.
fn source() -> Source {
    let given = [("WEBHOOK_PARTNER_KEY", KEY), ("CALLBACK_URL", CALLBACK)];
    let environment = given.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
    let inputs = Inputs { environment, ..Inputs::default() };
    let loaded = Config::load(&inputs, &Roles::from_iter([Role::Receiver])).expect("no faults");
    loaded.config.sources.into_iter().next().expect("Shopee")
}

fn plan() -> Plan {
    Plan { routes: Routes { order_event_codes: vec![3, 4], ..Routes::default() }, max_attempts: 20 }
}

struct Baseline {
    source: Source,
    plan: Plan,
    pool: Option<PgPool>,
}

/// The work of the real handler up to the store, then one row per commit or nothing.
async fn baseline(State(state): State<Arc<Baseline>>, headers: HeaderMap, body: Bytes) -> StatusCode {
    let ShopeeBody::Push(push) = read(&body) else { return StatusCode::OK };
    let signature = headers.get("authorization").and_then(|value| value.to_str().ok()).unwrap_or_default();
    let signed = BTreeMap::from([("authorization".to_owned(), signature.to_owned())]);
    let pushed = Pushed { headers: &signed, account: None, body: &body, at: clock::system().now(), address: None };
    if state.source.verify(&pushed).is_err() {
        return StatusCode::UNAUTHORIZED;
    }
    let intake = state.plan.intake(*push, Arrival {
        source: "shopee".to_owned(),
        body_sha256: sha256(&body),
        headers: serde_json::json!({ "content-type": "application/json" }),
        received_at: clock::system().now(),
        via: Via::Push,
    });
    debug_assert!(intake.jobs.iter().all(|job| job.queue() == Queue::Enrich));
    let Some(pool) = &state.pool else { return StatusCode::OK };
    let Ok(mut connection) = pool.acquire().await else { return StatusCode::SERVICE_UNAVAILABLE };
    match store::accept(&mut connection, &[intake]).await {
        Ok(_) => StatusCode::OK,
        Err(_) => StatusCode::SERVICE_UNAVAILABLE,
    }
}

async fn serve(variant: Variant, pool: PgPool) -> anyhow::Result<std::net::SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let source = source();
    let router = match variant {
        Variant::Pushbox => {
            let (committer, writers) = Committer::start(&pool, &Waker::default(), Duration::from_secs(2));
            tokio::spawn(writers.join_all());
            let (sources, now) = (vec![source], clock::system().now());
            let kept = RecordSettings { kept: 500, bodies_for: Duration::from_secs(3600) };
            let (recorder, notes) =
                Recorder::new(pool.clone(), Sealer::new(None).expect("no key"), &sources, kept, now);
            tokio::spawn(notes);
            pushbox::receiver::router(Arc::new(Receiver {
                sources,
                committer,
                plan: Arc::new(Arc::new(plan()).into()),
                pool,
                clock: clock::system(),
                body_limit: 1 << 20,
                throttle: Throttle::new(60, now),
                recorder,
                trusted_proxies: Vec::new(),
                answers: Arc::default(),
            }))
        }
        Variant::OneRowPerCommit | Variant::NoStore => {
            let pool = (variant == Variant::OneRowPerCommit).then_some(pool);
            let state = Arc::new(Baseline { source, plan: plan(), pool });
            Router::new().route("/webhook/shopee", post(baseline)).with_state(state)
        }
    };
    let limits = Limits { connections: 1000, request: Duration::from_secs(10), drain: Duration::from_secs(1) };
    tokio::spawn(listener::serve(listener, router, limits, CancellationToken::new()));
    Ok(address)
}

struct Client(SendRequest<Full<Bytes>>);

impl Client {
    async fn connect(address: std::net::SocketAddr) -> anyhow::Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let (sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
        tokio::spawn(connection);
        Ok(Self(sender))
    }

    async fn push(&mut self, (body, signature): (Bytes, String)) -> anyhow::Result<()> {
        self.0.ready().await?;
        let request = hyper::Request::post("/webhook/shopee")
            .header("host", "bench")
            .header("content-type", "application/json")
            .header("authorization", signature)
            .body(Full::new(body))?;
        let answer = self.0.send_request(request).await?;
        anyhow::ensure!(answer.status() == StatusCode::OK, "answered {}", answer.status());
        answer.into_body().collect().await?;
        Ok(())
    }
}

struct Measured {
    rate: f64,
    p50: f64,
    p99: f64,
}

fn measured(mut latencies: Vec<Duration>, took: Duration) -> Measured {
    latencies.sort();
    let at = |share: f64| latencies[((latencies.len() - 1) as f64 * share) as usize].as_secs_f64() * 1000.0;
    Measured { rate: latencies.len() as f64 / took.as_secs_f64(), p50: at(0.5), p99: at(0.99) }
}

/// Every connection sends its next push as soon as the last is answered.
async fn flood(address: std::net::SocketAddr, pushes: &Arc<Pushes>, connections: usize, time: Duration) -> anyhow::Result<Measured> {
    let mut clients = tokio::task::JoinSet::new();
    let begun = Instant::now();
    for _ in 0..connections {
        let pushes = pushes.clone();
        clients.spawn(async move {
            let mut client = Client::connect(address).await?;
            let mut latencies = Vec::new();
            while begun.elapsed() < time {
                let sent = Instant::now();
                client.push(pushes.next()).await?;
                latencies.push(sent.elapsed());
            }
            anyhow::Ok(latencies)
        });
    }
    let mut all = Vec::new();
    while let Some(latencies) = clients.join_next().await {
        all.extend(latencies??);
    }
    Ok(measured(all, begun.elapsed()))
}

/// Pushes leave at a fixed rate, whatever the answers do; latency counts from when a push was due.
async fn paced(address: std::net::SocketAddr, pushes: &Arc<Pushes>, rate: f64, time: Duration) -> anyhow::Result<Measured> {
    const CONNECTIONS: usize = 64;
    let gap = Duration::from_secs_f64(1.0 / rate);
    let total = (rate * time.as_secs_f64()) as usize;
    let turn = Arc::new(AtomicUsize::new(0));
    let begun = Instant::now() + Duration::from_millis(50);
    let mut clients = tokio::task::JoinSet::new();
    for _ in 0..CONNECTIONS {
        let (pushes, turn) = (pushes.clone(), turn.clone());
        clients.spawn(async move {
            let mut client = Client::connect(address).await?;
            let mut latencies = Vec::new();
            loop {
                let mine = turn.fetch_add(1, Ordering::Relaxed);
                if mine >= total {
                    return anyhow::Ok(latencies);
                }
                let due = begun + gap * u32::try_from(mine).context("too many")?;
                tokio::time::sleep_until(due.into()).await;
                client.push(pushes.next()).await?;
                latencies.push(due.elapsed());
            }
        });
    }
    let mut all = Vec::new();
    while let Some(latencies) = clients.join_next().await {
        all.extend(latencies??);
    }
    Ok(measured(all, begun.elapsed()))
}

fn median(mut all: Vec<Measured>) -> Measured {
    all.sort_by(|a, b| a.rate.total_cmp(&b.rate));
    let middle = all.len() / 2;
    all.swap_remove(middle)
}

pub async fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let cluster = Cluster::start().await?;
    let time = Duration::from_secs(arguments.seconds);
    println!("signed pushes of 230 bytes, {} s each, {} rounds, load generator on the same cores\n", arguments.seconds, arguments.rounds);
    println!("{:<22} {:>12} {:>12} {:>8} {:>9} {:>9}", "handler", "connections", "pushes/s", "ratio", "p50 ms", "p99 ms");
    let mut run = 0;
    let mut fastest: f64 = 0.0;
    for connections in &arguments.connections {
        let mut rounds: Vec<Vec<Measured>> = Variant::ALL.iter().map(|_| Vec::new()).collect();
        for _ in 0..arguments.rounds {
            for (variant, results) in Variant::ALL.iter().zip(&mut rounds) {
                run += 1;
                results.push(once(&cluster, *variant, run, async |address, pushes| {
                    flood(address, pushes, *connections, time).await
                }).await?);
            }
        }
        let results: Vec<Measured> = rounds.into_iter().map(median).collect();
        fastest = fastest.max(results[0].rate);
        for (variant, one) in Variant::ALL.iter().zip(&results) {
            println!("{:<22} {connections:>12} {:>12.0} {:>8.2} {:>9.2} {:>9.2}", variant.name(), one.rate, one.rate / results[0].rate, one.p50, one.p99);
        }
    }
    for (what, rate) in [("at 500/s", 500.0), ("at half of the maximum", fastest / 2.0)] {
        run += 1;
        let one = once(&cluster, Variant::Pushbox, run, async |address, pushes| paced(address, pushes, rate, time).await).await?;
        println!("pushbox {what}: {:.0}/s, p50 {:.2} ms, p99 {:.2} ms", one.rate, one.p50, one.p99);
    }
    cluster.stop().await
}

async fn once(
    cluster: &Cluster,
    variant: Variant,
    run: usize,
    load: impl AsyncFn(std::net::SocketAddr, &Arc<Pushes>) -> anyhow::Result<Measured>,
) -> anyhow::Result<Measured> {
    let url = cluster.database("bench", true).await?;
    let pool = pool(&url, 8).await?;
    let pushes = Arc::new(Pushes::make(150_000, run));
    let address = serve(variant, pool.clone()).await?;
    let result = load(address, &pushes).await?;
    if variant != Variant::NoStore {
        let sent = pushes.next.load(Ordering::Relaxed).min(pushes.made.len());
        let stored: i64 = sqlx::query_scalar("SELECT count(*) FROM pushbox.events").fetch_one(&pool).await?;
        anyhow::ensure!(usize::try_from(stored)? == sent, "{sent} pushes were answered and {stored} are stored");
    }
    pool.close().await;
    Ok(result)
}
