//! What a running pushbox writes about itself: an event can be followed through the log and through traces, and
//! neither they nor the metrics tell a secret or anything about a buyer.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use axum::body::Bytes;
use axum::http::{HeaderMap, StatusCode};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value as Attribute;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message as _;
use pushbox::simulator::{Simulator, SimulatorOptions};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::support::app::{PARTNER, SHOP, order, settings, simulated_world, status_push};
use crate::support::database::{TestDatabase, database};

const ADMIN_TOKEN: &str = "admin-token-of-the-trail-tests-0123456789";
const FORWARD_SECRET: &str = "whsec_dHJhaWwtb2YtdGhlLXRlc3RzLTAxMjM0NTY3ODk=";
/// Everything about the buyer of the orders that these tests make.
const BUYER: [&str; 6] = [
    "jolly_buyer",
    "please hurry",
    "Jolly B. Ridge",
    "+65 9123 4567",
    "Block 12, Nowhere",
    "ring me at dawn",
];

/// A served pushbox, and everything that it has written so far.
struct Served {
    simulator: Simulator,
    database: TestDatabase,
    settings: BTreeMap<String, String>,
    child: Child,
    log: Arc<Mutex<String>>,
    readers: Vec<JoinHandle<()>>,
    public: String,
    admin: String,
    http: reqwest::Client,
}

impl Served {
    async fn start(more: &[(&str, &str)]) -> Self {
        let simulator = simulated_world(SimulatorOptions::default()).await;
        let database = database().await;
        let mut settings = settings(&simulator, &database.url);
        settings.extend(
            [
                ("LOG_FORMAT", "json"),
                ("LOG_LEVEL", "info,pushbox=debug"),
                ("ADMIN_TOKEN", ADMIN_TOKEN),
                ("FORWARD_URL", simulator.forward_url().as_ref()),
                ("FORWARD_SECRET", FORWARD_SECRET),
                ("FORWARD_ALLOW_PRIVATE", "true"),
            ]
            .iter()
            .chain(more)
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned())),
        );
        let mut child = Command::new(env!("CARGO_BIN_EXE_pushbox"))
            .arg("serve")
            .current_dir("/")
            .env_clear()
            .envs(&settings)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("serve");
        let log = Arc::new(Mutex::new(String::new()));
        let stdout = child.stdout.take().expect("its output");
        let stderr = child.stderr.take().expect("its log");
        let readers = vec![collect(stdout, log.clone()), collect(stderr, log.clone())];
        let http = reqwest::Client::builder().no_proxy().build().expect("an HTTP client");
        let (public, admin) = (String::new(), String::new());
        let mut served = Self { simulator, database, settings, child, log, readers, public, admin, http };
        served.find_addresses().await;
        served
    }

    async fn find_addresses(&mut self) {
        let begun = Instant::now();
        loop {
            let started = self.lines().into_iter().find(|line| line["public"].is_string());
            if let Some(started) = started {
                let address = |name: &str| {
                    let text = started[name].as_str().expect("an address");
                    text.trim_start_matches("Some(").trim_end_matches(')').to_owned()
                };
                (self.public, self.admin) = (address("public"), address("admin"));
                return;
            }
            assert!(begun.elapsed() < Duration::from_secs(30), "it did not start: {}", self.written());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    fn written(&self) -> String {
        self.log.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn lines(&self) -> Vec<Value> {
        self.written().lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
    }

    async fn post(&self, body: String, signature: &str, request_id: &str) -> StatusCode {
        let url = format!("http://{}/webhook/shopee", self.public);
        let request =
            self.http.post(url).header("authorization", signature).header("x-request-id", request_id);
        request.body(body).send().await.expect("an answer").status()
    }

    async fn push(&self, push: &Value, request_id: &str) -> StatusCode {
        let body = push.to_string();
        let signature = self.simulator.sign_push(PARTNER, body.as_bytes()).expect("the app is known");
        self.post(body, &signature, request_id).await
    }

    /// Waits until all is done that can be done, and is written.
    async fn drain(&self) {
        let begun = Instant::now();
        let sql = "SELECT count(*) FROM pushbox.jobs WHERE state <> 'dead'";
        while sqlx::query_scalar::<_, i64>(sql).fetch_one(&self.database.pool).await.expect("jobs") > 0 {
            assert!(begun.elapsed() < Duration::from_mins(1), "jobs are left: {}", self.written());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    async fn get(&self, path: &str) -> String {
        let request = self.http.get(format!("http://{}{path}", self.admin)).bearer_auth(ADMIN_TOKEN);
        request.send().await.expect("an answer").text().await.expect("text")
    }

    /// Stops it as a supervisor does; everything that it wrote.
    async fn stop(mut self) -> String {
        let process = self.child.id().to_string();
        Command::new("kill").args(["-TERM", &process]).status().expect("run kill");
        let mut child = self.child;
        let ended = tokio::task::spawn_blocking(move || child.wait()).await.expect("join").expect("an end");
        assert!(ended.success(), "{ended}");
        for reader in self.readers.drain(..) {
            reader.join().expect("read to the end");
        }
        self.simulator.shutdown().await;
        self.log.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

fn collect(from: impl std::io::Read + Send + 'static, to: Arc<Mutex<String>>) -> JoinHandle<()> {
    std::thread::spawn(move || {
        for line in BufReader::new(from).lines().map_while(Result::ok) {
            let mut to = to.lock().unwrap_or_else(PoisonError::into_inner);
            to.push_str(&line);
            to.push('\n');
        }
    })
}

fn put_order(simulator: &Simulator, order_sn: &str) {
    let (mut detail, escrow) = order(order_sn, "READY_TO_SHIP", 1_790_000_200);
    detail["message_to_seller"] = json!("please hurry");
    detail["recipient_address"] = json!({"name": "Jolly B. Ridge", "phone": "+65 9123 4567", "town": "",
        "full_address": "Block 12, Nowhere"});
    simulator.put_order(SHOP, detail, escrow);
}

fn push_of(order_sn: &str) -> Value {
    let mut push = status_push(order_sn, "READY_TO_SHIP", 1_790_000_200);
    push["data"]["buyer_username"] = "jolly_buyer".into();
    push
}

async fn event_of(served: &Served, order_sn: &str) -> Uuid {
    sqlx::query_scalar("SELECT id FROM pushbox.events WHERE subject = $1")
        .bind(order_sn)
        .fetch_one(&served.database.pool)
        .await
        .expect("the event")
}

/// The messages of the lines that carry a text, in themselves or in a span around them.
fn told(lines: &[Value], text: &str) -> Vec<String> {
    let about = lines.iter().filter(|line| line.to_string().contains(text));
    about.map(|line| line["message"].as_str().unwrap_or_default().to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_can_be_followed_through_the_log() {
    let served = Served::start(&[]).await;
    for order_sn in ["T1", "T2", "T3"] {
        put_order(&served.simulator, order_sn);
    }
    assert_eq!(served.push(&push_of("T1"), "request-of-t1").await, StatusCode::OK);
    assert_eq!(served.push(&push_of("T1"), "again-of-t1").await, StatusCode::OK);
    let (second, third) = (push_of("T2"), push_of("T3"));
    let both = tokio::join!(served.push(&second, "request-of-t2"), served.push(&third, "request-of-t3"));
    assert_eq!(both, (StatusCode::OK, StatusCode::OK));
    served.drain().await;
    let events =
        [event_of(&served, "T1").await, event_of(&served, "T2").await, event_of(&served, "T3").await];
    let text = served.stop().await;
    let lines: Vec<Value> = text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    for (event, order_sn) in events.iter().zip(["T1", "T2", "T3"]) {
        let told = told(&lines, &event.to_string());
        let mut rest = told.iter();
        for step in
            ["stored: a new event", "begun", &format!("asked Shopee for order {order_sn}"), "ended: done"]
        {
            assert!(rest.any(|line| line == step), "{order_sn}: {step} is missing in {told:#?}");
        }
        for reached in [
            "reached: sheet sheet-of-the-tests",
            "reached: telegram -1001000000001",
            "reached: forward default",
        ] {
            assert!(told.iter().any(|line| line == reached), "{order_sn}: {reached} is missing in {told:#?}");
        }
    }
    // The request and the event are told on one line, so one leads to the other.
    let request = |id: &str| told(&lines, id);
    assert_eq!(request("request-of-t1"), ["stored: a new event"]);
    assert_eq!(request("again-of-t1"), ["counted: the event is known"]);
    let stored = lines.iter().find(|line| line.to_string().contains("request-of-t1")).expect("a line");
    assert!(stored.to_string().contains(&events[0].to_string()), "{stored}");
    // Jobs are told with their numbers, and what they shared with the claim's.
    let begun = lines.iter().find(|line| line["message"] == "begun").expect("a job");
    assert!(begun["job.id"].is_i64() && begun.to_string().contains("\"claim.id\""), "{begun}");
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_that_is_written_tells_a_secret_or_a_buyer() {
    let served =
        Served::start(&[("LOG_LEVEL", "trace"), ("RETRY_BASE", "20ms"), ("MAX_ATTEMPTS", "2")]).await;
    let tokens = served.simulator.shop_tokens(SHOP).expect("tokens");
    for order_sn in ["S1", "S2"] {
        put_order(&served.simulator, order_sn);
        assert_eq!(served.push(&push_of(order_sn), "an-ordinary-one").await, StatusCode::OK);
    }
    // An order that is not there, a message of a buyer, bytes that are no JSON, and what is refused.
    assert_eq!(served.push(&push_of("S3"), "of-no-order").await, StatusCode::OK);
    let chat = json!({"code": 10, "shop_id": SHOP, "timestamp": 1_790_000_300, "data": {
        "from_user_name": "jolly_buyer", "content": {"text": "ring me at dawn"}}});
    assert_eq!(served.push(&chat, "of-a-buyer").await, StatusCode::OK);
    let raw = "jolly_buyer, Block 12, Nowhere\0";
    let signature = served.simulator.sign_push(PARTNER, raw.as_bytes()).expect("the app is known");
    assert_eq!(served.post(raw.to_owned(), &signature, "no-json-at-all").await, StatusCode::OK);
    let body = push_of("S1").to_string();
    assert_eq!(served.post(body.clone(), "not-the-signature", "refused-one").await, StatusCode::UNAUTHORIZED);
    let signature = served.simulator.sign_push(PARTNER, body.as_bytes()).expect("the app is known");
    served.drain().await;

    let mut all = served.get("/metrics").await;
    assert!(all.contains("pushbox_delivery_seconds_count{destination=\"sheet\"}"), "{all}");
    for path in
        ["/api/v1/events", "/api/v1/jobs", "/api/v1/orders", "/api/v1/stats", "/health", "/api/v1/nothing"]
    {
        all += &served.get(path).await;
    }
    let event = event_of(&served, "S1").await;
    all += &served.get(&format!("/api/v1/events/{event}")).await;
    all += &served.get(&format!("/api/v1/orders/shopee/{SHOP}/S1")).await;

    let secrets: BTreeSet<(String, String)> = secrets(&served.settings)
        .into_iter()
        .chain([
            ("an access token".to_owned(), tokens.access_token),
            ("a refresh token".to_owned(), tokens.refresh_token),
            ("a signature".to_owned(), signature),
        ])
        .collect();
    assert!(secrets.len() >= 12, "{secrets:?}");
    let written = served.stop().await;
    assert!(written.lines().count() > 50, "{written}");
    all += &written;
    for (name, secret) in &secrets {
        assert!(!all.contains(secret), "{name} is told:\n{}", around(&all, secret));
    }
    for text in BUYER {
        assert!(!all.contains(text), "{text} is told:\n{}", around(&all, text));
    }
}

/// What must not be seen of these settings, by name.
fn secrets(settings: &BTreeMap<String, String>) -> Vec<(String, String)> {
    let declared = pushbox::config::settings::ALL.iter().filter(|setting| setting.secret);
    let mut secrets: Vec<_> = declared
        .filter_map(|setting| Some((setting.name.to_owned(), settings.get(setting.name)?.clone())))
        // An address of this machine says nothing that its log may not.
        .filter(|(name, _)| {
            !["DATABASE_URL", "FORWARD_URL", "GOOGLE_CREDENTIALS_JSON"].contains(&name.as_str())
        })
        .collect();
    let key: Value = serde_json::from_str(&settings["GOOGLE_CREDENTIALS_JSON"]).expect("a key");
    let lines: Vec<&str> = key["private_key"].as_str().expect("PEM").lines().collect();
    secrets.push(("the private key".to_owned(), lines[lines.len() / 2].to_owned()));
    secrets
}

/// The line in which it stands.
fn around<'a>(all: &'a str, text: &str) -> &'a str {
    all.lines().find(|line| line.contains(text)).unwrap_or_default()
}

#[test]
fn what_the_test_looks_for_would_be_found() {
    assert_eq!(around("a\nb jolly_buyer c\nd", "jolly_buyer"), "b jolly_buyer c");
    assert_eq!(
        told(&[json!({"message": "m", "spans": [{"event.id": "x1"}]}), json!({"message": "n"})], "x1"),
        ["m"]
    );
}

/// A collector of traces: the headers and the spans that it was sent.
#[derive(Clone, Default)]
struct Collector(Arc<Mutex<Vec<(HeaderMap, ExportTraceServiceRequest)>>>);

impl Collector {
    async fn start() -> (Self, String) {
        let collector = Self::default();
        let kept = collector.clone();
        let take = async move |headers: HeaderMap, body: Bytes| {
            let Ok(request) = ExportTraceServiceRequest::decode(body) else { return StatusCode::BAD_REQUEST };
            kept.0.lock().unwrap_or_else(PoisonError::into_inner).push((headers, request));
            StatusCode::OK
        };
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("an address");
        let router = axum::Router::new().route("/v1/traces", axum::routing::post(take));
        tokio::spawn(async move { axum::serve(listener, router).await });
        (collector, format!("http://{address}"))
    }

    fn spans(&self) -> Vec<Span> {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let resources = all.iter().flat_map(|(_, request)| &request.resource_spans);
        resources.flat_map(|one| &one.scope_spans).flat_map(|one| one.spans.clone()).collect()
    }
}

/// Name of a span, and of a call its service.
fn name(span: &Span) -> String {
    let service = span.attributes.iter().find(|one| one.key == "service" || one.key == "queue");
    let service = service.and_then(|one| one.value.as_ref()?.value.clone());
    match service {
        Some(Attribute::StringValue(service)) => format!("{} {service}", span.name),
        _ => span.name.clone(),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn traces_go_to_a_collector_under_the_id_of_the_event() {
    let (collector, endpoint) = Collector::start().await;
    let served = Served::start(&[
        ("OTEL_EXPORTER_OTLP_ENDPOINT", &endpoint),
        ("OTEL_EXPORTER_OTLP_HEADERS", "x-team-key=of%20the%20tests"),
        // What is exported does not depend on what is logged.
        ("LOG_LEVEL", "info"),
    ])
    .await;
    put_order(&served.simulator, "O1");
    assert_eq!(served.push(&push_of("O1"), "request-of-o1").await, StatusCode::OK);
    served.drain().await;
    let event = event_of(&served, "O1").await;
    let written = served.stop().await;
    assert!(!written.contains("begun") && !written.contains("of the tests"), "{written}");

    let headers = &collector.0.lock().unwrap_or_else(PoisonError::into_inner)[0].0.clone();
    assert_eq!(headers["content-type"], "application/x-protobuf");
    assert_eq!(headers["x-team-key"], "of the tests");
    let spans = collector.spans();
    let mut way: Vec<String> =
        spans.iter().filter(|span| span.trace_id == event.as_bytes()).map(name).collect();
    way.sort_unstable();
    way.dedup();
    for step in [
        "store",
        "run enrich",
        "call shopee",
        "run sheet",
        "call google",
        "run notify",
        "call telegram",
        "run forward",
        "call forward",
    ] {
        assert!(way.iter().any(|one| one == step), "{step} is missing in {way:?}");
    }
    let text = format!("{spans:?}");
    for text_of_buyer in BUYER.into_iter().chain([ADMIN_TOKEN, FORWARD_SECRET]) {
        assert!(!text.contains(text_of_buyer), "{text_of_buyer} is exported");
    }
}

/// A collector that is away costs traces and nothing else.
#[tokio::test(flavor = "multi_thread")]
async fn a_collector_that_is_away_stops_nothing() {
    let served = Served::start(&[("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9")]).await;
    put_order(&served.simulator, "A1");
    assert_eq!(served.push(&push_of("A1"), "request-of-a1").await, StatusCode::OK);
    served.drain().await;
    served.stop().await;
}
