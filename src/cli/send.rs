//! `pushbox send`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use serde_json::{Value, json};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::MissedTickBehavior;
use url::Url;

use crate::cli::console::segment;
use crate::cli::{Failure, Outcome, block_on, load};
use crate::clients::push::{PushAnswer, PushPoster};
use crate::clock;
use crate::config::{Config, Roles};
use crate::domain::shopee::push::PLATFORM;
use crate::domain::sources::{Source, header_name};
use crate::simulator::platforms::{OrderMoment, PlatformPush, order_push};

/// Sign a push as the platform would and post it
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Signs with the first secret of the source, exactly as its platform does, and posts to --url.
Prints status, latency and length of the answer of each push, or a summary of many. The exit code
is 1 unless every answer is 2xx.

--source is the name of any source that is configured: shopee for the settings of Shopee, else the
name in [[sources]]. Sources of a known platform have a push ready, about an order; for others
give the body with --file and its headers with --header.

Examples:
  pushbox send                                    one order status push
  pushbox send --code 4 --order-sn 2609150ABCDEF1 --shop-id 10000001
  pushbox send --order-sn 2609150ABCDEF1 --count 5    one event, four duplicates
  pushbox send --count 10000 --rate 500           ten thousand orders, 500 each second
  pushbox send --file body.json                   any body, byte for byte
  pushbox send --code 0                           the console's Verify probe
  pushbox send --source shoplazza --account demo-a --step 1
  pushbox send --source erp --file body.json --header 'x-topic: stock/changed'")]
pub(super) struct Arguments {
    /// Whose push it is: the name of a source
    #[arg(long, value_name = "SOURCE", default_value = "shopee")]
    source: String,

    /// Push code of Shopee: 3 order status, 4 tracking number, 0 verification probe; others need --file
    #[arg(long, value_name = "CODE", default_value_t = 3)]
    code: i32,

    /// Order number; with --count the same push is repeated [default: a new number for each push]
    #[arg(long, value_name = "ORDER_SN")]
    order_sn: Option<String>,

    /// Shop id of Shopee [default: `SHOP_ID`, else 10000001]
    #[arg(long, value_name = "ID")]
    shop_id: Option<i64>,

    /// Order status of Shopee, for code 3
    #[arg(long, value_name = "STATUS", default_value = "READY_TO_SHIP")]
    status: String,

    /// Account of another platform: stands in the path, and in the push where it belongs
    #[arg(long, value_name = "ACCOUNT")]
    account: Option<String>,

    /// State of an order of another platform: 0 created, 1 paid, 2 shipped, 3 finished
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(0..=3))]
    step: u32,

    /// Post the bytes of this file
    #[arg(long, value_name = "PATH", conflicts_with_all = ["code", "order_sn", "shop_id", "status", "step"])]
    file: Option<PathBuf>,

    /// A header to send, as often as needed
    #[arg(long, value_name = "NAME: VALUE", value_parser = header)]
    header: Vec<(String, String)>,

    /// Where to post [default: this machine, on the port of `LISTEN`]
    #[arg(long, value_name = "URL")]
    url: Option<Url>,

    /// How many pushes
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=10_000_000))]
    count: u32,

    /// Pushes per second [default: as fast as they are answered]
    #[arg(long, value_name = "R", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    rate: Option<u32>,
}

fn header(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once(':').ok_or("write `name: value`")?;
    Ok((header_name(name.trim())?, value.trim().to_owned()))
}

/// How many pushes wait for an answer at once.
const IN_FLIGHT: usize = 256;

/// Up to so many answers are printed one by one.
const PRINTED: u32 = 20;

pub(super) fn run(arguments: &Arguments, config: Option<&Path>) -> Outcome {
    let config = load(config, &Roles::none())?.config;
    let batch = Batch::new(arguments, &config)?;
    block_on(async {
        let poster = PushPoster::new().context("setting up the HTTP client")?;
        let summary = send(batch, poster, arguments).await?;
        summary.finish(arguments.count)
    })
}

/// What is the same for all pushes of one command.
struct Batch {
    source: Source,
    url: Url,
    headers: Vec<(String, String)>,
    body: Body,
}

enum Body {
    /// The same bytes each time.
    Fixed(PlatformPush),
    /// A push of its own for each, about an order of its own.
    Fresh(Fresh),
}

/// How a push is made up.
struct Fresh {
    code: i32,
    account: String,
    status: String,
    step: u32,
}

impl Batch {
    fn new(arguments: &Arguments, config: &Config) -> Result<Self, Failure> {
        let source = source(arguments, config)?;
        let mut path = format!("/webhook/{}", source.name);
        if let Some(account) = &arguments.account {
            path.push('/');
            path.push_str(&segment(account));
        }
        let url = match &arguments.url {
            Some(url) => url.clone(),
            None => format!("http://127.0.0.1:{}{path}", config.listen.port())
                .parse()
                .context("making the address of this machine")?,
        };
        let body = Self::body(arguments, config, &source)?;
        Ok(Self { source, url, headers: arguments.header.clone(), body })
    }

    fn body(arguments: &Arguments, config: &Config, source: &Source) -> Result<Body, Failure> {
        let fixed = |body: Vec<u8>| {
            let headers = [("content-type".to_owned(), "application/json".to_owned())].into();
            Ok(Body::Fixed(PlatformPush { headers, body }))
        };
        if let Some(path) = &arguments.file {
            let bytes = std::fs::read(path)
                .map_err(|error| Failure::Usage(format!("{}: {error}", path.display())))?;
            return fixed(bytes);
        }
        let of_shopee = source.platform == PLATFORM;
        let shop_id = arguments
            .shop_id
            .or_else(|| config.shopee.shops.first().map(|shop| shop.shop_id))
            .unwrap_or(10_000_001);
        if of_shopee && arguments.code == 0 {
            let probe = json!({"code": 0, "data": {"verify_info": "This is a verification message."}});
            return fixed(probe.to_string().into_bytes());
        }
        if of_shopee && ![3, 4].contains(&arguments.code) {
            let text = format!("the body of code {} is not known here; give it with --file", arguments.code);
            return Err(Failure::Usage(text));
        }
        let fresh = Fresh {
            code: arguments.code,
            account: match &arguments.account {
                _ if of_shopee => shop_id.to_string(),
                Some(account) => account.clone(),
                None => "demo-a".to_owned(),
            },
            status: arguments.status.clone(),
            step: arguments.step,
        };
        let Some(order_sn) = &arguments.order_sn else {
            fresh.push(source, &order_number())?;
            return Ok(Body::Fresh(fresh));
        };
        fresh.push(source, order_sn).map(Body::Fixed)
    }

    /// The next push, signed.
    fn next(&self) -> Result<PlatformPush, Failure> {
        let mut push = match &self.body {
            Body::Fixed(push) => push.clone(),
            Body::Fresh(fresh) => fresh.push(&self.source, &order_number())?,
        };
        push.headers.extend(self.headers.iter().cloned());
        let proof = self.source.sign(&push.headers, &push.body).ok_or_else(|| {
            Failure::Usage(format!(
                "{} cannot be signed here: a secret is missing, a header that is signed is missing, or only the \
                 platform has the key (Ed25519)",
                self.source.name
            ))
        })?;
        push.headers.insert(self.source.auth.header.clone(), proof);
        Ok(push)
    }
}

/// The source, with a secret to sign with.
fn source(arguments: &Arguments, config: &Config) -> Result<Source, Failure> {
    let found = config.sources.iter().find(|source| source.name == arguments.source);
    let Some(source) = found else {
        let names: Vec<&str> = config.sources.iter().map(|source| source.name.as_str()).collect();
        let text = format!("there is no source {}; there are {}", arguments.source, names.join(", "));
        return Err(Failure::Usage(text));
    };
    let of_settings = source.name == PLATFORM && config.shopee.push_keys.is_empty();
    if source.auth.secrets.is_empty() {
        let name = if of_settings { "WEBHOOK_PARTNER_KEY" } else { "auth.secrets" };
        return Err(Failure::Usage(format!("{name} is not set; pushes are signed with it")));
    }
    if source.name == PLATFORM && source.url.is_none() {
        return Err(Failure::Usage("CALLBACK_URL is not set; pushes are signed with it".to_owned()));
    }
    Ok(source.clone())
}

impl Fresh {
    fn push(&self, source: &Source, number: &str) -> Result<PlatformPush, Failure> {
        let now = clock::system().now().timestamp();
        if source.platform == PLATFORM {
            let shop_id = self.account.parse().unwrap_or(10_000_001);
            let headers = [("content-type".to_owned(), "application/json".to_owned())].into();
            return Ok(PlatformPush { headers, body: push(self.code, shop_id, number, &self.status) });
        }
        let moment = OrderMoment { number, account: &self.account, step: self.step, at: now };
        order_push(&source.platform, moment).ok_or_else(|| {
            let text = format!("no push of {} is known here; give it with --file", source.platform);
            Failure::Usage(text)
        })
    }
}

/// A push as seen live: `msg_id`, `data`, `shop_id`, `code`, `timestamp`.
fn push(code: i32, shop_id: i64, order_sn: &str, status: &str) -> Vec<u8> {
    let now = clock::system().now().timestamp();
    let data: Value = if code == 3 {
        json!({"completed_scenario": "", "items": [], "ordersn": order_sn, "status": status, "update_time": now})
    } else {
        let number = u64::from(rand::random::<u32>());
        json!({"ordersn": order_sn, "package_number": format!("OFG{number:015}"), "tracking_no": format!("SPXID{number:012}")})
    };
    let message_id = hex::encode(rand::random::<[u8; 16]>());
    json!({"msg_id": message_id, "data": data, "shop_id": shop_id, "code": code, "timestamp": now})
        .to_string()
        .into_bytes()
}

/// A new order number: the day and eight letters or digits.
fn order_number() -> String {
    const LETTERS: &[u8; 36] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ";
    let tail: String = rand::random::<[u8; 8]>()
        .iter()
        .map(|byte| char::from(LETTERS[usize::from(*byte) % LETTERS.len()]))
        .collect();
    format!("{}{tail}", clock::system().now().format("%y%m%d"))
}

/// Posts all pushes, at the asked rate or as fast as they are answered.
async fn send(batch: Batch, poster: PushPoster, arguments: &Arguments) -> anyhow::Result<Summary> {
    let slots = Arc::new(Semaphore::new(IN_FLIGHT));
    let mut pace = arguments.rate.map(|rate| {
        let mut pace = tokio::time::interval(Duration::from_secs(1) / rate);
        pace.set_missed_tick_behavior(MissedTickBehavior::Burst);
        pace
    });
    let mut summary = Summary::default();
    let mut running = JoinSet::new();
    let start = tokio::time::Instant::now();
    for _ in 0..arguments.count {
        if let Some(pace) = &mut pace {
            pace.tick().await;
        }
        let slot = Arc::clone(&slots).acquire_owned().await.context("waiting for a free connection")?;
        let PlatformPush { headers, body } = batch.next().map_err(|failure| anyhow::anyhow!("{failure}"))?;
        let (poster, url) = (poster.clone(), batch.url.clone());
        running.spawn(async move {
            let answer = poster.post(&url, &headers, body).await;
            drop(slot);
            answer.map_err(anyhow::Error::from)
        });
        while let Some(done) = running.try_join_next() {
            summary.add(done.context("posting a push")?, arguments.count <= PRINTED);
        }
    }
    while let Some(done) = running.join_next().await {
        summary.add(done.context("posting a push")?, arguments.count <= PRINTED);
    }
    summary.elapsed = start.elapsed();
    Ok(summary)
}

/// What came of the pushes so far.
#[derive(Default)]
struct Summary {
    statuses: BTreeMap<u16, u32>,
    unanswered: u32,
    last_error: Option<anyhow::Error>,
    with_body: u32,
    latencies: Vec<Duration>,
    elapsed: Duration,
}

impl Summary {
    #[expect(clippy::print_stdout, reason = "the command's answer")]
    fn add(&mut self, answer: anyhow::Result<PushAnswer>, print: bool) {
        match answer {
            Ok(answer) => {
                *self.statuses.entry(answer.status).or_default() += 1;
                self.with_body += u32::from(answer.body_len > 0);
                self.latencies.push(answer.elapsed);
                if print {
                    println!(
                        "{} in {:.1?}, body of {} bytes",
                        answer.status, answer.elapsed, answer.body_len
                    );
                }
            }
            Err(error) => {
                self.unanswered += 1;
                if print {
                    println!("no answer: {error:#}");
                }
                self.last_error = Some(error);
            }
        }
    }

    fn accepted(&self) -> u32 {
        self.statuses.range(200..300).map(|(_, count)| count).sum()
    }

    /// The latency that `percent` of the answers did not exceed. The latencies must be sorted.
    fn percentile(&self, percent: usize) -> Duration {
        let index = (self.latencies.len() * percent).div_ceil(100).saturating_sub(1);
        self.latencies.get(index).copied().unwrap_or_default()
    }

    #[expect(clippy::print_stdout, reason = "the command's answer")]
    fn finish(mut self, count: u32) -> Outcome {
        self.latencies.sort_unstable();
        if count > PRINTED {
            let rate = f64::from(count) / self.elapsed.as_secs_f64().max(f64::EPSILON);
            println!("{count} pushes in {:.1?}, {rate:.0} per second", self.elapsed);
            for (status, count) in &self.statuses {
                println!("  {status}: {count}");
            }
            if let Some(error) = &self.last_error {
                println!("  no answer: {}, the last: {error:#}", self.unanswered);
            }
            let [p50, p99, most] = [50, 99, 100].map(|percent| self.percentile(percent));
            println!("  p50 {p50:.1?}, p99 {p99:.1?}, longest {most:.1?}");
            if self.with_body > 0 {
                println!("  {} answers had a body; Shopee wants none", self.with_body);
            }
        }
        match count - self.accepted() {
            0 => Ok(()),
            refused => Err(Failure::Failed(anyhow::anyhow!("{refused} of {count} pushes were not accepted"))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_push_has_the_shape_seen_live() {
        let body: Value = serde_json::from_slice(&push(3, 7, "2609150ABCDEF1", "SHIPPED")).unwrap();
        assert_eq!(body["data"]["ordersn"], "2609150ABCDEF1");
        assert_eq!(
            (&body["data"]["status"], &body["shop_id"], &body["code"]),
            (&json!("SHIPPED"), &json!(7), &json!(3))
        );
        assert_eq!(body["msg_id"].as_str().map(str::len), Some(32));
        assert_eq!(order_number().len(), 14);
    }

    #[test]
    fn percentiles_are_those_of_the_nearest_rank() {
        let latencies: Vec<_> = (1..=200).map(Duration::from_millis).collect();
        let summary = Summary { latencies, ..Summary::default() };
        assert_eq!([50, 99, 100].map(|percent| summary.percentile(percent).as_millis()), [100, 198, 200]);
        assert_eq!(Summary::default().percentile(50), Duration::ZERO);
    }

    #[test]
    fn only_accepted_pushes_are_a_success() {
        let mut summary = Summary::default();
        let answer = |status| Ok(PushAnswer { status, body_len: 0, elapsed: Duration::ZERO });
        summary.add(answer(200), false);
        summary.add(answer(401), false);
        summary.add(Err(anyhow::anyhow!("refused")), false);
        assert_eq!((summary.accepted(), summary.unanswered), (1, 1));
        assert!(matches!(summary.finish(3), Err(Failure::Failed(_))));
    }
}
