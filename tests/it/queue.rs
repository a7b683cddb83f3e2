//! What the queue promises, against a real Postgres, with two connections wherever a race is claimed to be
//! handled.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use chrono::TimeDelta;
use pushbox::clock::system;
use pushbox::config::QueueSettings;
use pushbox::domain::event::{NewEvent, Payload, Via, new_event_id};
use pushbox::domain::job::{EnrichOrder, JobPayload, Queue};
use pushbox::domain::order::OrderRef;
use pushbox::queue::claim::{ClaimRequest, ClaimedRow, Lane, Place, claim, look};
use pushbox::queue::hold;
use pushbox::queue::settle::{Claim, Done, Returned, Verdict, complete, extend, give_back, reap};
use pushbox::queue::{
    Accepted, Batch, BatchHandler, Intake, NewJob, Outcome, QueueSpec, Runtime, Waker, control, enqueue,
    intake,
};
use pushbox::store::events::drop_partitions;
use serde::{Deserialize, Serialize};
use sqlx::PgPool;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::support::database::database;

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Probe {
    name: String,
}

impl JobPayload for Probe {
    const KIND: &'static str = "probe";
    const QUEUE: Queue = Queue::Forward;
}

fn probe(name: &str) -> NewJob {
    NewJob::new(&Probe { name: name.into() }, 3).batch_key("a")
}

async fn put(pool: &PgPool, jobs: Vec<NewJob>) {
    let mut connection = pool.acquire().await.expect("connection");
    enqueue(&mut connection, jobs).await.expect("enqueue");
}

/// What a claim may take, before the lanes are looked for.
#[derive(Clone, Copy)]
struct Take {
    limit: i64,
    per_lane: i64,
    claims_per_batch_key: Option<i32>,
}

const ALL: Take = Take { limit: 100, per_lane: 100, claims_per_batch_key: None };

/// Claims from the lanes that have ready jobs, those behind `after` first.
async fn take_as(pool: &PgPool, take: Take, after: &str) -> (Uuid, Vec<ClaimedRow>) {
    let claim_id = Uuid::now_v7();
    let mut connection = pool.acquire().await.expect("connection");
    let heads = look(&mut connection, Queue::Forward, None, 1000).await.expect("look");
    let mut lanes: Vec<(Lane, Place)> = heads.into_iter().map(|head| (head.lane, head.place)).collect();
    let first = lanes.partition_point(|(lane, _)| lane.batch_key.as_str() <= after);
    lanes.rotate_left(first);
    let request = ClaimRequest {
        queue: Queue::Forward,
        lanes: &lanes,
        limit: take.limit,
        per_lane: take.per_lane,
        claims_per_batch_key: take.claims_per_batch_key,
        worker: "test",
        claim_id,
        lease_seconds: 60.0,
    };
    (claim_id, claim(&mut connection, &request).await.expect("claim"))
}

async fn take(pool: &PgPool) -> (Uuid, Vec<ClaimedRow>) {
    take_as(pool, ALL, "").await
}

fn done(row: &ClaimedRow, claim_id: Uuid) -> Done {
    Done { claim: Claim { job_id: row.id, claim_id }, ran: Duration::ZERO, note: None }
}

async fn count(pool: &PgPool, sql: &'static str) -> i64 {
    sqlx::query_scalar(sql).fetch_one(pool).await.expect(sql)
}

fn names(rows: &[ClaimedRow]) -> Vec<String> {
    rows.iter().map(|row| serde_json::from_str::<Probe>(row.payload.0.get()).expect("a probe").name).collect()
}

#[tokio::test]
async fn a_job_exists_exactly_when_its_transaction_commits() {
    let db = database().await;
    let mut transaction = db.pool.begin().await.expect("begin");
    enqueue(&mut transaction, vec![probe("x")]).await.expect("enqueue");
    assert!(take(&db.pool).await.1.is_empty());
    transaction.rollback().await.expect("rollback");
    assert!(take(&db.pool).await.1.is_empty());
    put(&db.pool, vec![probe("y")]).await;
    assert_eq!(names(&take(&db.pool).await.1), ["y"]);
}

#[tokio::test]
async fn a_done_job_moves_to_the_history_once() {
    let db = database().await;
    put(&db.pool, vec![probe("x")]).await;
    let (claim_id, rows) = take(&db.pool).await;
    let mut connection = db.pool.acquire().await.expect("connection");
    let moved = complete(&mut connection, &[done(&rows[0], claim_id)]).await.expect("complete");
    assert_eq!(
        moved.iter().map(|one| (one.id, one.state.as_str())).collect::<Vec<_>>(),
        [(rows[0].id, "done")]
    );
    assert!(complete(&mut connection, &[done(&rows[0], claim_id)]).await.expect("complete").is_empty());
    assert_eq!(count(&db.pool, "SELECT count(*) FROM pushbox.jobs").await, 0);
    assert_eq!(count(&db.pool, "SELECT count(*) FROM pushbox.job_history WHERE outcome = 'done'").await, 1);
}

#[tokio::test]
async fn claims_of_many_connections_never_overlap() {
    let db = database().await;
    put(&db.pool, (0..500).map(|n| probe(&n.to_string()).batch_key((n % 7).to_string())).collect()).await;
    let mut claimers = tokio::task::JoinSet::new();
    for _ in 0..4 {
        let pool = db.pool.clone();
        claimers.spawn(async move {
            let mut mine = Vec::new();
            loop {
                let (_, rows) = take_as(&pool, Take { limit: 13, ..ALL }, "").await;
                if rows.is_empty() {
                    return mine;
                }
                mine.extend(rows.into_iter().map(|row| row.id));
            }
        });
    }
    let mut all = Vec::new();
    while let Some(mine) = claimers.join_next().await {
        all.extend(mine.expect("claimer"));
    }
    all.sort_unstable();
    let claimed = all.len();
    all.dedup();
    assert_eq!(all.len(), claimed, "a job was claimed twice");
    // What SKIP LOCKED hid from the last claim of one is with another; nothing stays behind.
    assert_eq!(claimed + take(&db.pool).await.1.len(), 500);
}

#[tokio::test]
async fn equal_keys_merge_while_ready_and_never_into_a_running_job() {
    let db = database().await;
    let [a, b, c] = [Uuid::now_v7(), Uuid::now_v7(), Uuid::now_v7()];
    put(&db.pool, vec![probe("one").key("k").events(vec![a])]).await;
    put(&db.pool, vec![probe("two").key("k").events(vec![b])]).await;
    let (claim_id, rows) = take(&db.pool).await;
    assert_eq!(names(&rows), ["two"], "the later payload stays");
    assert_eq!((rows[0].event_id, rows[0].merged_events.clone()), (Some(a), vec![b]));

    put(&db.pool, vec![probe("three").key("k").events(vec![c])]).await;
    assert!(take(&db.pool).await.1.is_empty(), "its twin runs");
    let mut connection = db.pool.acquire().await.expect("connection");
    complete(&mut connection, &[done(&rows[0], claim_id)]).await.expect("complete");
    assert_eq!(names(&take(&db.pool).await.1), ["three"]);
}

#[tokio::test]
async fn a_failed_job_merges_with_the_twin_that_came_while_it_ran() {
    let db = database().await;
    let [a, b] = [Uuid::now_v7(), Uuid::now_v7()];
    put(&db.pool, vec![probe("old").key("k").events(vec![a])]).await;
    let (claim_id, rows) = take(&db.pool).await;
    put(&db.pool, vec![probe("new").key("k").events(vec![b])]).await;
    let mut connection = db.pool.acquire().await.expect("connection");
    let verdict = Verdict::Retry { error: "no".into(), after: Duration::ZERO };
    let back = Returned { claim: Claim { job_id: rows[0].id, claim_id }, verdict };
    assert_eq!(give_back(&mut connection, &[back]).await.expect("give back")[0].state, "merged");
    let (_, rows) = take(&db.pool).await;
    assert_eq!(rows.len(), 1);
    let mut events = rows[0].merged_events.clone();
    events.extend(rows[0].event_id);
    events.sort();
    assert_eq!(events, [a, b], "no event is lost by merging");
    assert_eq!(count(&db.pool, "SELECT count(*) FROM pushbox.job_history WHERE outcome = 'merged'").await, 1);
}

#[tokio::test]
async fn a_job_is_dead_after_its_last_attempt_and_can_be_retried() {
    let db = database().await;
    put(&db.pool, vec![probe("x")]).await;
    let mut connection = db.pool.acquire().await.expect("connection");
    for attempt in 1..=3 {
        let (claim_id, rows) = take(&db.pool).await;
        let verdict = Verdict::Retry { error: format!("failure {attempt}"), after: Duration::ZERO };
        let back = Returned { claim: Claim { job_id: rows[0].id, claim_id }, verdict };
        let state = give_back(&mut connection, &[back]).await.expect("give back")[0].state.clone();
        assert_eq!(state, if attempt == 3 { "dead" } else { "ready" });
    }
    assert!(take(&db.pool).await.1.is_empty());
    let (id, errors): (i64, serde_json::Value) = sqlx::query_as("SELECT id, errors FROM pushbox.jobs")
        .fetch_one(&db.pool)
        .await
        .expect("the dead job");
    let texts: Vec<_> = errors.as_array().expect("a list").iter().map(|one| one["error"].clone()).collect();
    assert_eq!(texts, ["failure 1", "failure 2", "failure 3"]);
    assert!(control::retry_dead(&mut connection, id).await.expect("retry"));
    assert!(!control::retry_dead(&mut connection, id).await.expect("retry"), "it is not dead any more");
    assert_eq!(take(&db.pool).await.1[0].attempt, 0);
}

#[tokio::test]
async fn waiting_charges_nothing_and_says_what_for() {
    let db = database().await;
    put(&db.pool, vec![probe("x")]).await;
    let (claim_id, rows) = take(&db.pool).await;
    let mut connection = db.pool.acquire().await.expect("connection");
    let verdict = Verdict::Wait { on: "the quota of chat 7".into(), after: Duration::from_hours(1) };
    give_back(&mut connection, &[Returned { claim: Claim { job_id: rows[0].id, claim_id }, verdict }])
        .await
        .expect("give back");
    let (attempt, waiting_on): (i32, String) = sqlx::query_as(
        "SELECT attempt, waiting_on FROM pushbox.jobs WHERE run_at > now() + interval '59 minutes'",
    )
    .fetch_one(&db.pool)
    .await
    .expect("the waiting job");
    assert_eq!((attempt, waiting_on.as_str()), (0, "the quota of chat 7"));
}

#[tokio::test]
async fn a_worker_that_lost_its_lease_can_do_nothing() {
    let db = database().await;
    put(&db.pool, vec![probe("x")]).await;
    let (late, rows) = take(&db.pool).await;
    expire(&db.pool).await;
    let mut connection = db.pool.acquire().await.expect("connection");
    assert_eq!(reap(&mut connection, 10, Duration::ZERO).await.expect("reap").len(), 1);
    let (now, again) = take(&db.pool).await;
    assert_eq!(again[0].id, rows[0].id);
    assert_eq!((again[0].attempt, again[0].crashes), (0, 1), "the worker is to blame, not the job");

    let held = Claim { job_id: rows[0].id, claim_id: late };
    assert!(complete(&mut connection, &[done(&rows[0], late)]).await.expect("complete").is_empty());
    assert!(extend(&mut connection, &[held], 60.0).await.expect("extend").is_empty());
    let back = Returned { claim: held, verdict: Verdict::Dead { error: "late".into() } };
    assert!(give_back(&mut connection, &[back]).await.expect("give back").is_empty());
    assert_eq!(complete(&mut connection, &[done(&again[0], now)]).await.expect("complete").len(), 1);
}

#[tokio::test]
async fn a_worker_that_lives_is_not_blamed_for_a_lease_that_ran_out() {
    let db = database().await;
    put(&db.pool, vec![probe("x")]).await;
    let mut connection = db.pool.acquire().await.expect("connection");
    // The same name as in `take`. It is seen after each lease was over, as after every outage of the database.
    for _ in 0..10 {
        let (claim_id, rows) = take(&db.pool).await;
        assert_eq!(rows[0].crashes, 0);
        let claim = Claim { job_id: rows[0].id, claim_id };
        pushbox::queue::settle::begin_suspect(&mut connection, claim).await.expect("begin");
        expire(&db.pool).await;
        sqlx::query(
            "INSERT INTO pushbox.workers (id, host, pid, version, roles, present)
             SELECT DISTINCT worker, '', 1, '', '{worker}'::text[], true FROM pushbox.jobs WHERE state = 'running'
             ON CONFLICT (id) DO UPDATE SET seen_at = now()",
        )
        .execute(&mut *connection)
        .await
        .expect("be seen");
        let back = reap(&mut connection, 10, Duration::ZERO).await.expect("reap");
        assert_eq!(back[0].state, "ready");
    }
    let errors: serde_json::Value =
        sqlx::query_scalar("SELECT errors FROM pushbox.jobs").fetch_one(&db.pool).await.expect("errors");
    let last = errors.as_array().expect("a list").last().expect("a loss")["error"].clone();
    assert!(
        last.as_str().is_some_and(|text| text.starts_with("its lease ran out while its worker lived")),
        "{last}"
    );
}

#[tokio::test]
async fn after_a_start_of_the_server_leases_may_first_be_extended() {
    let db = database().await;
    put(&db.pool, vec![probe("x")]).await;
    take(&db.pool).await;
    expire(&db.pool).await;
    let mut connection = db.pool.acquire().await.expect("connection");
    let up: f64 = sqlx::query_scalar("SELECT extract(epoch FROM now() - pg_postmaster_start_time())::float8")
        .fetch_one(&mut *connection)
        .await
        .expect("the server's age");
    let longer = Duration::from_secs_f64(up + 600.0);
    assert!(reap(&mut connection, 10, longer).await.expect("reap").is_empty());
    assert_eq!(reap(&mut connection, 10, Duration::ZERO).await.expect("reap").len(), 1);
}

async fn expire(pool: &PgPool) {
    sqlx::query("UPDATE pushbox.jobs SET lease_until = now() - interval '1 s' WHERE state = 'running'")
        .execute(pool)
        .await
        .expect("expire leases");
}

#[tokio::test]
async fn a_job_that_keeps_killing_its_worker_is_poison_and_a_bystander_is_not() {
    let db = database().await;
    put(&db.pool, vec![probe("killer"), probe("bystander")]).await;
    let mut connection = db.pool.acquire().await.expect("connection");
    for _ in 0..14 {
        let (claim_id, rows) = take(&db.pool).await;
        for row in rows.iter().filter(|row| names(std::slice::from_ref(row)) == ["killer"] && row.crashes > 1)
        {
            let claim = Claim { job_id: row.id, claim_id };
            pushbox::queue::settle::begin_suspect(&mut connection, claim).await.expect("begin");
        }
        expire(&db.pool).await;
        reap(&mut connection, 10, Duration::ZERO).await.expect("reap");
    }
    let dead: Vec<(String, String)> =
        sqlx::query_as("SELECT payload->>'name', last_error FROM pushbox.jobs WHERE state = 'dead'")
            .fetch_all(&db.pool)
            .await
            .expect("dead jobs");
    assert_eq!(dead.len(), 1);
    assert_eq!(dead[0].0, "killer");
    assert!(dead[0].1.starts_with("poison: 12 workers"), "{}", dead[0].1);
    assert_eq!(take(&db.pool).await.1[0].crashes, 2);
}

#[tokio::test]
async fn one_shops_backlog_does_not_delay_another() {
    let db = database().await;
    put(&db.pool, (0..300).map(|n| probe(&n.to_string()).batch_key("big")).collect()).await;
    put(&db.pool, vec![probe("small").batch_key("small")]).await;
    let few = Take { limit: 20, per_lane: 20, ..ALL };
    assert_eq!(take_as(&db.pool, few, "").await.1.len(), 20);
    let second = names(&take_as(&db.pool, few, "big").await.1);
    assert!(second.contains(&"small".to_owned()), "its turn is next: {second:?}");
}

#[tokio::test]
async fn an_exclusive_batch_key_is_claimed_once_over_all_processes() {
    let db = database().await;
    put(&db.pool, (0..40).map(|n| probe(&n.to_string())).collect()).await;
    let mut claimers = tokio::task::JoinSet::new();
    for _ in 0..4 {
        let pool = db.pool.clone();
        claimers.spawn(async move {
            take_as(&pool, Take { per_lane: 10, claims_per_batch_key: Some(1), ..ALL }, "").await.1.len()
        });
    }
    let mut sizes = claimers.join_all().await;
    sizes.sort_unstable();
    assert_eq!(sizes, [0, 0, 0, 10]);
}

#[tokio::test]
async fn lower_priority_numbers_and_earlier_times_go_first_and_a_paused_queue_rests() {
    let db = database().await;
    let soon = system().now() - TimeDelta::hours(1);
    put(&db.pool, vec![probe("usual"), probe("earlier").run_at(soon), probe("urgent").priority(-5)]).await;
    let ahead = system().now() + TimeDelta::hours(1);
    put(&db.pool, vec![probe("later").run_at(ahead)]).await;
    put(&db.pool, vec![probe("clock ahead").in_order_of(ahead)]).await;
    let mut connection = db.pool.acquire().await.expect("connection");
    assert!(control::pause(&mut connection, Queue::Forward, "test").await.expect("pause"));
    assert!(take(&db.pool).await.1.is_empty());
    assert!(control::resume(&mut connection, Queue::Forward).await.expect("resume"));
    assert_eq!(names(&take(&db.pool).await.1), ["urgent", "earlier", "usual", "clock ahead"]);
}

// --- the way in -------------------------------------------------------------------------------------------

fn event(key: &str) -> NewEvent {
    let received_at = system().now();
    NewEvent {
        id: new_event_id(received_at),
        source: "shopee".into(),
        key: key.into(),
        key_expires_at: received_at + TimeDelta::days(7),
        account: Some("1".into()),
        code: "3".into(),
        kind: "order_status".into(),
        subject: Some("SN".into()),
        payload: Payload::Json(r#"{"code":3}"#.into()),
        body_sha256: [0; 32],
        headers: serde_json::json!({}),
        occurred_at: None,
        received_at,
        via: Via::Push,
    }
}

fn order_push(key: &str, not_before: i64) -> Intake {
    let event = event(key);
    let order = OrderRef { platform: "shopee".into(), shop_id: "1".into(), order_sn: "SN".into() };
    let payload =
        EnrichOrder { order: order.clone(), not_before: chrono::DateTime::from_timestamp(not_before, 0) };
    let job = NewJob::new(&payload, 5).key(order.to_string()).batch_key("shopee:1").events(vec![event.id]);
    Intake { event, jobs: vec![job] }
}

#[tokio::test]
async fn a_push_its_retries_and_its_twins_in_one_call_become_one_event() {
    let db = database().await;
    let mut connection = db.pool.acquire().await.expect("connection");
    let pushes = [order_push("a", 10), order_push("a", 10), order_push("b", 20)];
    let answers = intake::accept(&mut connection, &pushes).await.expect("accept");
    assert_eq!(
        answers,
        [
            Accepted::New(pushes[0].event.id),
            Accepted::Redelivery(pushes[0].event.id),
            Accepted::New(pushes[2].event.id)
        ]
    );
    let again = intake::accept(&mut connection, &[order_push("a", 10)]).await.expect("accept");
    assert_eq!(again, [Accepted::Redelivery(pushes[0].event.id)]);
    assert_eq!(count(&db.pool, "SELECT count(*) FROM pushbox.events").await, 2);
    assert_eq!(
        count(&db.pool, "SELECT redeliveries::bigint FROM pushbox.event_keys WHERE key = 'a'").await,
        2
    );
    // Both events ask for the same order: one job, which knows both and the newer change.
    let (payload, merged): (serde_json::Value, Vec<Uuid>) =
        sqlx::query_as("SELECT payload, merged_events FROM pushbox.jobs")
            .fetch_one(&db.pool)
            .await
            .expect("one job");
    assert_eq!(payload["not_before"], 20);
    assert_eq!(merged.len(), 1);
}

#[tokio::test]
async fn the_same_push_on_many_connections_at_once_is_stored_once() {
    let db = database().await;
    let mut senders = tokio::task::JoinSet::new();
    for _ in 0..8 {
        let pool = db.pool.clone();
        senders.spawn(async move {
            let mut new = 0;
            for round in 0..20 {
                let mut connection = pool.acquire().await.expect("connection");
                let keys = [format!("k{round}"), format!("l{round}"), format!("m{}", round % 3)];
                let pushes = keys.each_ref().map(|key| order_push(key, round));
                let answers = intake::accept(&mut connection, &pushes).await.expect("accept");
                new += answers.iter().filter(|answer| matches!(answer, Accepted::New(_))).count();
            }
            new
        });
    }
    assert_eq!(senders.join_all().await.iter().sum::<usize>(), 43);
    assert_eq!(count(&db.pool, "SELECT count(*) FROM pushbox.events").await, 43);
    assert_eq!(count(&db.pool, "SELECT sum(redeliveries) FROM pushbox.event_keys").await, 8 * 60 - 43);
    assert_eq!(
        count(&db.pool, "SELECT sum(1 + cardinality(merged_events)) FROM pushbox.jobs").await,
        43,
        "every event is linked to the job that serves it"
    );
}

// --- the runtime ------------------------------------------------------------------------------------------

fn settings() -> QueueSettings {
    QueueSettings {
        max_attempts: 3,
        concurrency: 2,
        lease: Duration::from_secs(15),
        poll_interval: Duration::from_millis(20),
        retry_base: Duration::from_millis(1),
        retry_max: Duration::from_millis(5),
        shutdown_timeout: Duration::from_secs(5),
    }
}

/// Records what it got and does what the probe's name says.
#[derive(Default)]
struct Recorder(Mutex<Vec<Vec<String>>>);

#[async_trait]
impl BatchHandler<Probe> for Recorder {
    async fn handle(&self, batch: Batch<Probe>) -> HashMap<i64, Outcome> {
        let names: Vec<String> = batch.jobs.iter().map(|job| job.payload.name.clone()).collect();
        self.0.lock().expect("recorder").push(names.clone());
        assert!(!names.iter().any(|name| name == "panic"), "asked to panic");
        if names.iter().any(|name| name == "stuck") {
            std::future::pending::<()>().await;
        }
        batch
            .jobs
            .iter()
            .map(|job| {
                let outcome = match job.payload.name.as_str() {
                    "fail" => Outcome::Retry { error: "told to".into() },
                    "dead" => Outcome::Dead { error: "told to".into() },
                    _ => Outcome::DONE,
                };
                (job.claim.job_id, outcome)
            })
            .collect()
    }
}

async fn until(pool: &PgPool, sql: &'static str) {
    let reached = async {
        while count(pool, sql).await != 0 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), reached)
        .await
        .unwrap_or_else(|_| panic!("never zero: {sql}"));
}

#[tokio::test]
async fn the_runtime_settles_every_kind_of_ending_and_isolates_the_one_to_blame() {
    let db = database().await;
    let handler = Arc::new(Recorder::default());
    let spec = QueueSpec::new(handler.clone(), 50, 2, Duration::from_secs(10));
    let waker = Waker::default();
    let runtime = Runtime::new(db.pool.clone(), &settings(), "test", waker.clone(), vec![spec]);
    let stop = CancellationToken::new();
    put(&db.pool, ["fine", "fail", "panic", "dead", "good"].map(probe).to_vec()).await;
    sqlx::query(
        "INSERT INTO pushbox.jobs (queue, kind, payload, max_attempts, batch_key) VALUES
         ('forward', 'probe', '{\"nonsense\": 1}', 3, 'a'), ('forward', 'unheard_of', '{}', 3, 'a')",
    )
    .execute(&db.pool)
    .await
    .expect("unreadable jobs");
    let running = tokio::spawn(runtime.run(stop.clone()));
    waker.wake();
    until(&db.pool, "SELECT count(*) FROM pushbox.jobs WHERE state <> 'dead'").await;
    stop.cancel();
    running.await.expect("runtime");

    let ends: Vec<(String, i32, String)> = sqlx::query_as(
        "SELECT coalesce(payload->>'name', kind), attempt, last_error FROM pushbox.jobs ORDER BY 1",
    )
    .fetch_all(&db.pool)
    .await
    .expect("dead jobs");
    let ends: Vec<String> =
        ends.into_iter().map(|(name, attempt, error)| format!("{name} {attempt} {error}")).collect();
    assert_eq!(
        ends,
        [
            "dead 1 told to",
            "fail 3 told to",
            "panic 3 the handler panicked: asked to panic",
            "probe 1 the payload cannot be read: missing field `name` at line 1 column 15",
            "unheard_of 1 this queue has no handler for the kind \"unheard_of\"",
        ]
    );
    assert_eq!(
        count(&db.pool, "SELECT sum(attempt) FROM pushbox.job_history").await,
        2,
        "nobody else was charged"
    );
    assert_eq!(handler.0.lock().expect("recorder")[0].len(), 5, "one batch of all that could be read");
}

#[tokio::test]
async fn suspects_of_an_exclusive_queue_run_alone_and_in_their_order() {
    let db = database().await;
    let handler = Arc::new(Recorder::default());
    let spec = QueueSpec::new(handler.clone(), 50, 2, Duration::from_secs(10)).exclusive();
    let runtime = Runtime::new(db.pool.clone(), &settings(), "test", Waker::default(), vec![spec]);
    let now = system().now();
    let at = |name: &str, second: i64| probe(name).run_at(now - TimeDelta::seconds(100 - second));
    put(&db.pool, vec![at("a", 1), at("b", 2), at("c", 3), at("d", 4), at("e", 5)]).await;
    sqlx::query("UPDATE pushbox.jobs SET crashes = 2 WHERE payload->>'name' IN ('a', 'b', 'e')")
        .execute(&db.pool)
        .await
        .expect("make suspects");
    let stop = CancellationToken::new();
    let running = tokio::spawn(runtime.run(stop.clone()));
    until(&db.pool, "SELECT count(*) FROM pushbox.jobs").await;
    stop.cancel();
    running.await.expect("runtime");
    assert_eq!(*handler.0.lock().expect("recorder"), [vec!["a"], vec!["b"], vec!["c", "d"], vec!["e"]]);
}

#[tokio::test]
async fn extending_leases_does_not_wait_for_a_job_that_is_being_settled() {
    let db = database().await;
    put(&db.pool, vec![probe("slow"), probe("other")]).await;
    let (claim_id, rows) = take(&db.pool).await;
    let held: Vec<Claim> = rows.iter().map(|row| Claim { job_id: row.id, claim_id }).collect();
    let mut settling = db.pool.begin().await.expect("begin");
    complete(&mut settling, &[done(&rows[0], claim_id)]).await.expect("complete");
    let mut connection = db.pool.acquire().await.expect("connection");
    let extending = extend(&mut connection, &held, 600.0);
    let mut ours =
        tokio::time::timeout(Duration::from_secs(5), extending).await.expect("no wait").expect("extend");
    ours.sort_unstable();
    assert_eq!(ours, [rows[0].id, rows[1].id], "what is being settled may still come back");
    settling.rollback().await.expect("rollback");
    let extended = "SELECT count(*) FROM pushbox.jobs WHERE lease_until > now() + interval '9 minutes'";
    assert_eq!(count(&db.pool, extended).await, 1);
}

#[tokio::test]
async fn a_message_with_a_nul_is_kept() {
    let db = database().await;
    put(&db.pool, vec![probe("x")]).await;
    let (claim_id, rows) = take(&db.pool).await;
    let mut connection = db.pool.acquire().await.expect("connection");
    let verdict = Verdict::Dead { error: "it said \0".into() };
    let back = Returned { claim: Claim { job_id: rows[0].id, claim_id }, verdict };
    assert_eq!(give_back(&mut connection, &[back]).await.expect("give back")[0].state, "dead");
}

#[tokio::test]
async fn old_partitions_are_dropped_unless_somebody_reads_for_long() {
    let db = database().await;
    count(&db.pool, "SELECT pushbox.ensure_partitions('2020-01-01', 2)::bigint").await;
    let mut reading = db.pool.begin().await.expect("begin");
    sqlx::query("SELECT FROM pushbox.events").fetch_optional(&mut *reading).await.expect("read");
    let mut connection = db.pool.acquire().await.expect("connection");
    let refused = drop_partitions(&mut connection, 90).await.expect_err("somebody reads");
    let code = refused.as_database_error().and_then(|error| error.code().map(std::borrow::Cow::into_owned));
    assert_eq!(code.as_deref(), Some("55P03"));
    reading.rollback().await.expect("rollback");
    assert_eq!(drop_partitions(&mut connection, 90).await.expect("drop"), 4);
}

#[tokio::test]
async fn a_stop_gives_back_what_runs_and_what_waits_without_charging() {
    let db = database().await;
    let handler = Arc::new(Recorder::default());
    let spec = QueueSpec::new(handler.clone(), 1, 1, Duration::from_mins(10));
    let quick = QueueSettings { shutdown_timeout: Duration::from_millis(50), ..settings() };
    let runtime = Runtime::new(db.pool.clone(), &quick, "test", Waker::default(), vec![spec]);
    let stop = CancellationToken::new();
    put(&db.pool, ["stuck", "next", "last"].map(probe).to_vec()).await;
    let running = tokio::spawn(runtime.run(stop.clone()));
    until(&db.pool, "SELECT (count(*) < 2)::int::bigint FROM pushbox.jobs WHERE state = 'running'").await;
    stop.cancel();
    running.await.expect("runtime");
    assert_eq!(
        count(&db.pool, "SELECT count(*) FROM pushbox.jobs WHERE state = 'ready' AND attempt = 0").await,
        3
    );
}

#[tokio::test]
async fn a_batch_key_that_is_held_keeps_its_jobs_in_their_order() {
    let db = database().await;
    let at = |name: &str, second: i64| probe(name).run_at(system().now() - TimeDelta::seconds(100 - second));
    put(&db.pool, vec![at("first", 1), at("second", 2), at("third", 3)]).await;
    put(&db.pool, vec![probe("of another").batch_key("b")]).await;
    let exclusive = Take { limit: 2, per_lane: 2, claims_per_batch_key: Some(1) };
    let (claim_id, rows) = take_as(&db.pool, exclusive, "").await;
    assert_eq!(names(&rows), ["first", "second"]);
    let mut connection = db.pool.acquire().await.expect("connection");
    hold::hold(&mut connection, Queue::Forward, "a", "a budget", Duration::from_mins(1)).await.expect("hold");
    assert!(hold::is_busy(&mut connection, Queue::Forward, "a").await.expect("an answer"));
    let back = rows.iter().map(|row| Returned {
        claim: Claim { job_id: row.id, claim_id },
        verdict: Verdict::Keep { on: "a budget".into() },
    });
    give_back(&mut connection, &back.collect::<Vec<_>>()).await.expect("given back");
    assert!(!hold::is_busy(&mut connection, Queue::Forward, "a").await.expect("an answer"));

    let all = Take { limit: 10, per_lane: 10, ..exclusive };
    let (_, rows) = take_as(&db.pool, all, "").await;
    assert_eq!(names(&rows), ["of another"]);
    let heads = look(&mut connection, Queue::Forward, None, 10).await.expect("look");
    assert!(heads.iter().all(|head| head.lane.batch_key == "a" && head.due_in > 50.0), "{heads:?}");

    hold::let_claim(&mut connection, Queue::Forward, "a").await.expect("released");
    let (_, rows) = take_as(&db.pool, all, "").await;
    assert_eq!(names(&rows), ["first", "second", "third"]);
    assert!(rows.iter().all(|row| row.attempt == 0));
    sqlx::query("UPDATE pushbox.batch_holds SET held_until = now() - interval '2 hours'")
        .execute(&db.pool)
        .await
        .expect("time");
    hold::hold(&mut connection, Queue::Sheet, "s", "x", Duration::ZERO).await.expect("hold");
    assert_eq!(hold::prune_holds(&mut connection).await.expect("pruned"), 0, "the first was let go");
}
