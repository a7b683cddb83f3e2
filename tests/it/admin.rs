//! The admin listener, over HTTP.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, Request, StatusCode};
use chrono::TimeDelta;
use http_body_util::BodyExt;
use pushbox::admin::exports::{NoFile, OrderExports, Pieces, WantedFile};
use pushbox::admin::{AdminContext, AdminState};
use pushbox::clock::ManualClock;
use pushbox::config::{AdminSettings, Config, Inputs, Roles, SharedConfig};
use pushbox::domain::event::new_event_id;
use pushbox::queue::Waker;
use serde_json::{Value, json};
use sqlx::PgPool;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;
use uuid::Uuid;

use crate::support::database::database;

pub const FULL_TOKEN: &str = "full-token-of-the-tests";
pub const READ_TOKEN: &str = "read-token-of-the-tests";

/// Nobody makes files here.
#[derive(Debug)]
struct NoExports;

#[async_trait::async_trait]
impl OrderExports for NoExports {
    async fn begin(&self, _: WantedFile) -> Result<Pieces, NoFile> {
        Err(NoFile::Failed)
    }
}

/// The state of a listener whose database cannot be reached.
fn offline_state() -> AdminState {
    let nobody = PgConnectOptions::new_without_pgpass().host("127.0.0.1").port(1);
    let start = "2026-11-21T05:00:00Z".parse().expect("a time");
    Arc::new(AdminContext {
        pool: PgPoolOptions::new().acquire_timeout(Duration::from_millis(50)).connect_lazy_with(nobody),
        settings: AdminSettings {
            listen: "127.0.0.1:0".parse().expect("an address"),
            token: Some(FULL_TOKEN.into()),
            read_token: Some(READ_TOKEN.into()),
        },
        roles: vec!["admin".to_owned()],
        started_at: start,
        clock: Arc::new(ManualClock::new(start)),
        waker: Waker::default(),
        errands: Waker::default(),
        stopping: CancellationToken::new(),
        sources: Vec::new(),
        sealer: pushbox::domain::seal::Sealer::new(None).expect("no key"),
        plan: Arc::default(),
        config: unset(),
        settings_changed: Waker::default(),
        trials: Arc::new(pushbox::admin::operations::NoOperations),
        subscriptions: Arc::new(pushbox::admin::operations::NoOperations),
        exports: Arc::new(NoExports),
        metrics: pushbox::observability::metrics::install(),
        shopee: None,
    })
}

/// Settings of which none is set.
fn unset() -> SharedConfig {
    let loaded = Config::load(&Inputs::default(), &Roles::none()).expect("no faults");
    Arc::new(ArcSwap::from_pointee(loaded.config))
}

/// The listener without a database.
pub fn offline_router() -> Router {
    pushbox::admin::router(offline_state(), Router::new())
}

pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: String,
}

impl Answer {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.body))
    }
}

async fn send(router: Router, request: Request<Body>) -> Answer {
    let answer = router.oneshot(request).await.unwrap();
    let (parts, body) = answer.into_parts();
    let body = body.collect().await.expect("a body").to_bytes();
    Answer {
        status: parts.status,
        headers: parts.headers,
        body: String::from_utf8(body.to_vec()).expect("text"),
    }
}

fn request(method: &str, uri: &str) -> Request<Body> {
    let token = format!("Bearer {FULL_TOKEN}");
    Request::builder()
        .method(method)
        .uri(uri)
        .header("authorization", token)
        .body(Body::empty())
        .expect("a request")
}

#[tokio::test]
async fn every_error_has_the_envelope_and_the_request_id() {
    let cases = [
        ("GET", "/nothing", StatusCode::NOT_FOUND, "not_found"),
        ("GET", "/api/v1/nothing", StatusCode::NOT_FOUND, "not_found"),
        ("DELETE", "/api/v1/stats", StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed"),
        ("GET", "/api/v1/stats", StatusCode::SERVICE_UNAVAILABLE, "database_unavailable"),
        ("GET", "/health/ready", StatusCode::SERVICE_UNAVAILABLE, "database_unavailable"),
    ];
    for (method, uri, status, code) in cases {
        let answer = send(offline_router(), request(method, uri)).await;
        assert_eq!(answer.status, status, "{method} {uri}: {}", answer.body);
        let error = &answer.json()["error"];
        assert_eq!(error["code"], code, "{method} {uri}");
        assert_eq!(error["request_id"], answer.headers["x-request-id"].to_str().unwrap(), "{method} {uri}");
        assert_eq!(answer.headers["cache-control"], "no-store", "{method} {uri}");
        assert_eq!(answer.headers["x-content-type-options"], "nosniff", "{method} {uri}");
    }
}

#[tokio::test]
async fn a_harmless_request_id_is_kept_and_a_strange_one_is_not() {
    for (given, kept) in [("trace-0001", true), ("short", false), ("with space and \"quotes\"", false)] {
        let mut request = request("GET", "/health/live");
        request.headers_mut().insert("x-request-id", given.parse().unwrap());
        let answer = send(offline_router(), request).await;
        assert_eq!(answer.headers["x-request-id"] == given, kept, "{given}");
    }
}

#[tokio::test]
async fn without_a_database_it_is_alive_but_not_ready() {
    let live = send(offline_router(), request("GET", "/health/live")).await;
    assert_eq!((live.status, live.json()["status"].as_str()), (StatusCode::OK, Some("alive")));
    let health = send(offline_router(), request("GET", "/health")).await;
    assert_eq!(health.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(health.json()["database"]["ok"], false);
    let metrics = send(offline_router(), request("GET", "/metrics")).await;
    assert_eq!(metrics.status, StatusCode::OK, "metrics tell of a dead database, so they survive it");
    assert!(metrics.body.contains("pushbox_database_up 0"), "{}", metrics.body);
}

#[tokio::test]
async fn a_process_without_the_admin_role_has_health_and_metrics_only() {
    let cases = [
        ("/health/live", StatusCode::OK),
        ("/metrics", StatusCode::OK),
        ("/api/v1/stats", StatusCode::NOT_FOUND),
        ("/docs/", StatusCode::NOT_FOUND),
        ("/dashboard", StatusCode::NOT_FOUND),
    ];
    for (uri, status) in cases {
        let router = pushbox::admin::health_router(offline_state());
        assert_eq!(send(router, request("GET", uri)).await.status, status, "{uri}");
    }
    let bare = Request::builder().uri("/metrics").body(Body::empty()).expect("a request");
    let router = pushbox::admin::health_router(offline_state());
    assert_eq!(send(router, bare).await.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn the_documentation_comes_whole_from_the_binary() {
    let document = send(offline_router(), request("GET", "/openapi.json")).await;
    assert_eq!(document.json()["info"]["title"], "pushbox admin API");
    let page = send(offline_router(), request("GET", "/docs/")).await;
    assert_eq!(page.status, StatusCode::OK);
    assert!(!page.body.contains("http"), "no reference to another host: {}", page.body);
    let policy = page.headers["content-security-policy"].to_str().unwrap();
    assert!(policy.contains("script-src 'self'"), "{policy}");
    for asset in ["swagger-ui-bundle.js", "swagger-ui.css", "swagger-initializer.js"] {
        let asset = send(offline_router(), request("GET", &format!("/docs/{asset}"))).await;
        assert_eq!(asset.status, StatusCode::OK);
    }
}

/// A migrated database with a little of everything, and the state that reads it.
pub async fn online_state() -> AdminState {
    let database = database().await;
    let now = chrono::DateTime::from_timestamp_millis(database_now(&database.pool).await).expect("a time");
    let offline = offline_state();
    Arc::new(AdminContext {
        pool: database.pool,
        settings: offline.settings.clone(),
        roles: offline.roles.clone(),
        started_at: now,
        clock: Arc::new(ManualClock::new(now)),
        waker: Waker::default(),
        errands: Waker::default(),
        stopping: CancellationToken::new(),
        sources: Vec::new(),
        sealer: pushbox::domain::seal::Sealer::new(None).expect("no key"),
        plan: Arc::default(),
        config: unset(),
        settings_changed: Waker::default(),
        trials: Arc::new(pushbox::admin::operations::NoOperations),
        subscriptions: Arc::new(pushbox::admin::operations::NoOperations),
        exports: offline.exports.clone(),
        metrics: offline.metrics.clone(),
        shopee: None,
    })
}

async fn database_now(pool: &PgPool) -> i64 {
    sqlx::query_scalar("select (extract(epoch from now()) * 1000)::bigint")
        .fetch_one(pool)
        .await
        .expect("the time")
}

/// Stores an event received `seconds_ago`, in the given account, and returns its id.
pub async fn store_event(
    state: &AdminState,
    seconds_ago: i64,
    account: &str,
    payload: Option<Value>,
) -> Uuid {
    let received_at = state.clock.now() - TimeDelta::seconds(seconds_ago);
    let id = new_event_id(received_at);
    let body = payload.is_none().then_some(&b"\xff\x00"[..]);
    sqlx::query(
        "insert into pushbox.events (id, source, account, code, kind, subject, payload, body, parse_error,
                body_sha256, received_at, via)
         values ($1, 'shopee', $2, '3', 'order_status', $3, $4, $5, $6, '\\x00', $7, 'push')",
    )
    .bind(id)
    .bind(account)
    .bind(format!("SN{seconds_ago}"))
    .bind(payload)
    .bind(body)
    .bind(body.map(|_| "not JSON"))
    .bind(received_at)
    .execute(&state.pool)
    .await
    .expect("insert an event");
    id
}

/// Puts a job of `event` into the table, or into the history when `state` is an outcome.
pub async fn store_job(state: &AdminState, event: Uuid, queue: &str, job_state: &str, error: Option<&str>) {
    let table = match job_state {
        "done" => {
            "insert into pushbox.job_history (id, queue, kind, batch_key, payload, outcome, attempt, crashes,
                    event_id, merged_events, errors, created_at, finished_at)
             values (nextval('pushbox.jobs_id_seq'), $1, $1 || '_kind', '', '{}', $2, 1, 0, $3, '{}', '[]',
                    now(), now() + make_interval(secs => 0 * length($4)))"
        }
        _ => {
            "insert into pushbox.jobs (queue, kind, payload, state, max_attempts, event_id, last_error, run_at)
             values ($1, $1 || '_kind', '{}', $2, 8, $3, $4, now() - interval '3 seconds')"
        }
    };
    let insert = sqlx::query(table).bind(queue).bind(job_state).bind(event).bind(error.unwrap_or_default());
    insert.execute(&state.pool).await.expect("insert a job");
}

pub async fn get(state: &AdminState, uri: &str) -> Answer {
    send(pushbox::admin::router(Arc::clone(state), Router::new()), request("GET", uri)).await
}

#[tokio::test]
async fn pages_of_events_are_whole_and_in_order() {
    let state = online_state().await;
    for seconds_ago in 0..7 {
        store_event(&state, seconds_ago, if seconds_ago % 2 == 0 { "1001" } else { "1002" }, Some(json!({})))
            .await;
    }
    let (mut seen, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = get(&state, &format!("/api/v1/events?limit=3&cursor={cursor}")).await;
        assert_eq!(page.status, StatusCode::OK, "{}", page.body);
        let page = page.json();
        for event in page["events"].as_array().unwrap() {
            seen.push(event["subject"].as_str().unwrap().to_owned());
        }
        match page["next"].as_str() {
            Some(next) => cursor = next.to_owned(),
            None => break,
        }
    }
    assert_eq!(seen, ["SN0", "SN1", "SN2", "SN3", "SN4", "SN5", "SN6"]);

    let all =
        "source=shopee&code=3&account=1001&via=push&since=2020-01-01T00:00:00Z&until=2100-01-01T00:00:00Z";
    let filtered = get(&state, &format!("/api/v1/events?{all}")).await.json();
    assert_eq!(filtered["events"].as_array().unwrap().len(), 4);
    assert_eq!(filtered["next"], Value::Null);
    let one = get(&state, "/api/v1/events?subject=SN3").await.json();
    assert_eq!(one["events"][0]["account"], "1002");
}

#[tokio::test]
async fn parameters_that_make_no_sense_are_named() {
    let state = online_state().await;
    for (uri, word) in [
        ("/api/v1/events?limit=0", "limit"),
        ("/api/v1/events?limit=501", "limit"),
        ("/api/v1/events?cursor=x", "cursor"),
        ("/api/v1/events?since=yesterday", "since"),
        ("/api/v1/events?shop=1001", "shop"),
        ("/api/v1/events/not-an-id", "UUID"),
        ("/api/v1/jobs?state=done", "state"),
        ("/api/v1/jobs?cursor=x", "cursor"),
        ("/api/v1/jobs/x", "i64"),
        ("/api/v1/events?state=ready", "state"),
        ("/api/v1/orders?cursor=x", "cursor"),
        ("/api/v1/bulk-operations?cursor=x", "cursor"),
        ("/api/v1/admin-actions?cursor=x", "cursor"),
        ("/api/v1/events?subject=A%00B", "NUL"),
        ("/api/v1/jobs/1%00", "NUL"),
        ("/api/v1/events?until=-9000-01-01T00:00:00Z", "cannot keep"),
    ] {
        let answer = get(&state, uri).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{uri}: {}", answer.body);
        assert!(answer.json()["error"]["message"].as_str().unwrap().contains(word), "{uri}: {}", answer.body);
    }
    for uri in ["/api/v1/events/0198c2f0-5d3e-7c37-9f0e-0a7d3c1b2e4f", "/api/v1/jobs/1"] {
        assert_eq!(get(&state, uri).await.status, StatusCode::NOT_FOUND, "{uri}");
    }
}

#[tokio::test]
async fn an_event_shows_its_payload_its_jobs_and_its_redeliveries() {
    let state = online_state().await;
    let event = store_event(&state, 5, "1001", Some(json!({"code": 3}))).await;
    store_job(&state, event, "enrich", "done", None).await;
    store_job(&state, event, "sheet", "ready", None).await;
    sqlx::query(
        "insert into pushbox.event_keys (source, key, event_id, expires_at, redeliveries, last_seen_at)
         values ('shopee', 'k', $1, now(), 2, now())",
    )
    .bind(event)
    .execute(&state.pool)
    .await
    .unwrap();
    // Another event's key that shares a job.
    let sharing = store_event(&state, 4, "1001", None).await;
    sqlx::query("update pushbox.jobs set merged_events = array[$1] where event_id = $2")
        .bind(sharing)
        .bind(event)
        .execute(&state.pool)
        .await
        .unwrap();

    let shown = get(&state, &format!("/api/v1/events/{event}")).await;
    assert_eq!(shown.status, StatusCode::OK, "{}", shown.body);
    let shown = &shown.json()["event"];
    assert_eq!(shown["payload"], json!({"code": 3}));
    assert_eq!(shown["redeliveries"], 2);
    assert_eq!(shown["state"], "pending");
    let states: Vec<_> = shown["jobs"].as_array().unwrap().iter().map(|job| &job["state"]).collect();
    assert_eq!(states, ["done", "ready"]);

    let shown = &get(&state, &format!("/api/v1/events/{sharing}")).await.json()["event"];
    assert_eq!(shown["payload"], Value::Null);
    let (bytes, why) = (&shown["body_base64"], &shown["parse_error"]);
    assert_eq!((bytes, why), (&Value::Null, &json!("not JSON")), "nobody can tell who is in it");
    assert_eq!(shown["jobs"].as_array().unwrap().len(), 1, "a shared job belongs to both");
    assert_eq!(shown["state"], "pending");

    for job in [1, 2] {
        let job = get(&state, &format!("/api/v1/jobs/{job}")).await.json();
        assert_eq!(job["job"]["event_id"], event.to_string(), "{job}");
    }
}

/// Counts for the statistics until all is counted.
pub async fn count(state: &AdminState) {
    while !pushbox::store::roll_up::roll_up(&state.pool).await.expect("counting") {}
}

#[tokio::test]
async fn the_numbers_add_up() {
    let state = online_state().await;
    store_event(&state, 86_000, "1001", Some(json!({}))).await;
    let event = store_event(&state, 10, "1001", Some(json!({}))).await;
    store_job(&state, event, "enrich", "done", None).await;
    store_job(&state, event, "sheet", "ready", None).await;
    store_job(&state, event, "notify", "dead", Some("chat 42 not found")).await;
    sqlx::query("update pushbox.queues set paused_at = now() where name = 'sheet'")
        .execute(&state.pool)
        .await
        .unwrap();

    count(&state).await;
    let answer = get(&state, "/api/v1/stats").await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
    let numbers = answer.json();
    assert_eq!(numbers["totals"], json!({"last_hour": 1, "last_day": 2, "redeliveries_last_day": 0}));
    assert_eq!(numbers["events"][0]["kind"], "order_status");
    let queues = numbers["queues"].as_array().unwrap();
    assert_eq!(queues.len(), 4, "queues without jobs are listed too");
    let queue = |name: &str| queues.iter().find(|queue| queue["queue"] == name).unwrap();
    assert_eq!((&queue("sheet")["ready"], &queue("sheet")["paused"]), (&json!(1), &json!(true)));
    assert!(queue("sheet")["oldest_ready_s"].as_i64().unwrap() >= 3);
    assert_eq!((&queue("notify")["dead"], &queue("notify")["oldest_ready_s"]), (&json!(1), &Value::Null));
    let latency = &numbers["latency"][0];
    assert_eq!((&latency["kind"], &latency["jobs"]), (&json!("enrich_kind"), &json!(1)));
    assert!((9_000.0..60_000.0).contains(&latency["p50_ms"].as_f64().unwrap()), "{latency}");

    let dead = get(&state, "/api/v1/jobs?state=dead&queue=notify&kind=notify_kind").await.json();
    assert_eq!(dead["jobs"][0]["last_error"], "chat 42 not found");
    let health = get(&state, "/health").await;
    assert_eq!((health.status, &health.json()["status"]), (StatusCode::OK, &json!("ok")));
    assert_eq!(get(&state, "/health/ready").await.status, StatusCode::OK);
    let metrics = get(&state, "/metrics").await.body;
    assert!(metrics.contains(r#"pushbox_queue_jobs{queue="notify",state="dead"}"#), "{metrics}");
}

pub async fn post(state: &AdminState, uri: &str, body: Value) -> Answer {
    let mut request = request("POST", uri);
    request.headers_mut().insert("content-type", "application/json".parse().expect("a header"));
    *request.body_mut() = Body::from(body.to_string());
    send(pushbox::admin::router(Arc::clone(state), Router::new()), request).await
}

#[tokio::test]
async fn a_queue_is_paused_and_resumed_once_and_on_record() {
    let state = online_state().await;
    for _ in 0..2 {
        let paused = post(&state, "/api/v1/queues/sheet/pause", json!({"reason": "new sheet"})).await;
        assert_eq!((paused.status, &paused.json()["queue"]["paused"]), (StatusCode::OK, &json!(true)));
    }
    let resumed = post(&state, "/api/v1/queues/sheet/resume", json!({})).await;
    assert_eq!((resumed.status, &resumed.json()["queue"]["paused"]), (StatusCode::OK, &json!(false)));
    for (uri, body, status) in [
        ("/api/v1/queues/post/pause", json!({"reason": "x"}), StatusCode::NOT_FOUND),
        ("/api/v1/queues/sheet/pause", json!({"why": "x"}), StatusCode::BAD_REQUEST),
        ("/api/v1/queues/sheet/pause", json!({"reason": "x".repeat(201)}), StatusCode::BAD_REQUEST),
        ("/api/v1/queues/sheet/pause", json!({"reason": "x".repeat(70_000)}), StatusCode::PAYLOAD_TOO_LARGE),
    ] {
        let answer = post(&state, uri, body).await;
        assert_eq!(answer.status, status, "{uri}: {}", answer.body);
        assert!(answer.json()["error"]["request_id"].is_string());
    }
    let actions: Vec<(String, String)> =
        sqlx::query_as("select action, subject from pushbox.admin_actions order by id")
            .fetch_all(&state.pool)
            .await
            .unwrap();
    let expected = [("pause_queue", "queue sheet"), ("resume_queue", "queue sheet")];
    assert_eq!(actions, expected.map(|(action, subject)| (action.to_owned(), subject.to_owned())));
}

#[tokio::test]
async fn only_a_dead_job_is_retried() {
    let state = online_state().await;
    let event = store_event(&state, 10, "1001", Some(json!({}))).await;
    store_job(&state, event, "notify", "dead", Some("chat not found")).await;
    let retried = post(&state, "/api/v1/jobs/1/retry", json!({})).await;
    assert_eq!(retried.status, StatusCode::OK, "{}", retried.body);
    let job = &retried.json()["job"];
    assert_eq!((&job["state"], &job["attempt"]), (&json!("ready"), &json!(0)));
    let again = post(&state, "/api/v1/jobs/1/retry", json!({})).await;
    assert_eq!(again.status, StatusCode::CONFLICT, "{}", again.body);
    assert_eq!(post(&state, "/api/v1/jobs/99/retry", json!({})).await.status, StatusCode::NOT_FOUND);
    let kept: i64 = sqlx::query_scalar("select count(*) from pushbox.admin_actions")
        .fetch_one(&state.pool)
        .await
        .unwrap();
    assert_eq!(kept, 1);
}

/// A request without a body, with the full token.
pub async fn send_as(state: &AdminState, method: axum::http::Method, uri: &str) -> Answer {
    send(pushbox::admin::router(Arc::clone(state), Router::new()), request(method.as_str(), uri)).await
}

/// A request to the pages, with a cookie.
pub async fn visit(state: &AdminState, request: axum::http::request::Builder, body: &str) -> Answer {
    let pages = pushbox::dashboard::router(Arc::clone(state));
    let router = pushbox::admin::router(Arc::clone(state), pages);
    send(router, request.body(Body::from(body.to_owned())).expect("a request")).await
}

/// Pages that need no event.
const PAGES: [&str; 16] = [
    "/dashboard",
    "/dashboard?window=week",
    "/dashboard/events",
    "/dashboard/events?state=dead&error=broken",
    "/dashboard/jobs?state=dead",
    "/dashboard/jobs/1",
    "/dashboard/orders",
    "/dashboard/queues",
    "/dashboard/schedules",
    "/dashboard/settings",
    "/dashboard/actions",
    "/dashboard/bulk",
    "/dashboard/replays",
    "/dashboard/rejections",
    "/dashboard/rejections?near_miss=true",
    "/dashboard/bulk/preview?action=retry&queue=notify",
];

#[tokio::test]
async fn the_pages_want_a_sign_in_and_show_what_others_wrote_as_text() {
    let state = online_state().await;
    let event =
        store_event(&state, 1, "<b>&\"'</b>", Some(json!({"name": "<script>alert(1)</script>"}))).await;
    store_job(&state, event, "notify", "dead", Some("<i>broken</i>")).await;
    let event_page = format!("/dashboard/events/{event}");
    let pages = PAGES.into_iter().chain([event_page.as_str()]).collect::<Vec<_>>();

    for page in &pages {
        let answer = visit(&state, Request::get(*page).header("cookie", "pushbox_session=x"), "").await;
        assert_eq!(answer.status, StatusCode::SEE_OTHER, "{page}");
        assert!(
            answer.headers["location"].to_str().unwrap().starts_with("/dashboard/sign-in?next="),
            "{page}"
        );
    }

    let form =
        || Request::post("/dashboard/sign-in").header("content-type", "application/x-www-form-urlencoded");
    assert_eq!(visit(&state, form(), "token=wrong").await.status, StatusCode::UNAUTHORIZED);
    let strange = form().header("sec-fetch-site", "cross-site");
    assert_eq!(visit(&state, strange, "token=full-token-of-the-tests").await.status, StatusCode::FORBIDDEN);
    let signed_in = visit(&state, form(), "token=full-token-of-the-tests&next=/dashboard/jobs").await;
    assert_eq!(signed_in.status, StatusCode::SEE_OTHER, "{}", signed_in.body);
    assert_eq!(signed_in.headers["location"], "/dashboard/jobs");
    let set = signed_in.headers["set-cookie"].to_str().unwrap();
    assert!(
        set.contains("HttpOnly") && set.contains("SameSite=Strict") && !set.contains(FULL_TOKEN),
        "{set}"
    );
    let cookie = set.split(';').next().unwrap().to_owned();

    for page in &pages {
        let answer = visit(&state, Request::get(*page).header("cookie", &cookie), "").await;
        assert_eq!(answer.status, StatusCode::OK, "{page}: {}", answer.body);
        let policy = answer.headers["content-security-policy"].to_str().unwrap();
        assert!(policy.contains("script-src 'self'") && !policy.contains("unsafe"), "{page}: {policy}");
        for markup in ["<b>&", "<script>alert", "<i>broken"] {
            assert!(!answer.body.contains(markup), "{page}: {markup}");
        }
        assert!(
            !answer.body.contains("style=\"") && !answer.body.contains("<style"),
            "{page}: the policy forbids it"
        );
    }
    let overview = visit(&state, Request::get("/dashboard").header("cookie", &cookie), "").await.body;
    assert!(overview.contains("Needs a look") && overview.contains("1 job of notify given up"), "{overview}");
    let missing = "/dashboard/events/0198c2f0-5d3e-7c37-9f0e-0a7d3c1b2e4f";
    let answer = visit(&state, Request::get(missing).header("cookie", &cookie), "").await;
    assert_eq!(answer.status, StatusCode::NOT_FOUND);
    assert!(answer.body.contains("there is no such event"), "{}", answer.body);

    // The cookie opens pages, not the API: a page of another site could send it along.
    let api = visit(&state, Request::get("/api/v1/stats").header("cookie", &cookie), "").await;
    assert_eq!(api.status, StatusCode::UNAUTHORIZED);
}
