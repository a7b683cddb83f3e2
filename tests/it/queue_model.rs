//! The queue's state machine against a model of it.
//!
//! `histories_agree_with_the_model` plays random histories on a real Postgres, step by step over two connections in
//! turn, and compares all of `jobs` and `job_history` with a small sequential model after each step. Where the queue
//! may choose (which due jobs a claim takes), the model judges the choice. `PUSHBOX_MODEL_CASES` sets how many.
//!
//! `connections_at_once` lets several connections do the same things at the same time, late finishers among them,
//! and checks what must hold whatever the order was.

mod at_once;
mod history;
mod model;

use proptest::test_runner::{Config, TestCaseError, TestRunner};
use pushbox::domain::job::{JobPayload, Queue};
use pushbox::queue::NewJob;
use pushbox::queue::claim::{ClaimRequest, ClaimedRow, Lane, Place, claim, look};
use serde::{Deserialize, Serialize};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::support::database::database;
use crate::support::knob;

/// A payload as `EnrichOrder` has it: when two merge, the later `not_before` stays.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct One {
    name: String,
    not_before: i64,
}

impl JobPayload for One {
    const KIND: &'static str = "model_one";
    const QUEUE: Queue = Queue::Forward;
}

/// Another kind, with keys of its own.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Other {
    name: String,
    not_before: i64,
}

impl JobPayload for Other {
    const KIND: &'static str = "model_other";
    const QUEUE: Queue = Queue::Forward;
}

fn new_job(kind: &str, name: String, not_before: i64, max_attempts: i32) -> NewJob {
    if kind == One::KIND {
        NewJob::new(&One { name, not_before }, max_attempts)
    } else {
        NewJob::new(&Other { name, not_before }, max_attempts)
    }
}

/// What a claim may take.
#[derive(Debug, Clone, Copy)]
struct Take {
    limit: i64,
    /// Of one batch key and priority.
    per_lane: i64,
    /// Nothing of a batch key of which a job runs.
    exclusive: bool,
}

/// The one place that knows how a claim is asked for.
async fn take(
    connection: &mut PgConnection,
    claim_id: Uuid,
    take: Take,
) -> Result<Vec<ClaimedRow>, sqlx::Error> {
    let heads = look(connection, Queue::Forward, None, 1000).await?;
    let lanes: Vec<(Lane, Place)> = heads.into_iter().map(|head| (head.lane, head.place)).collect();
    let request = ClaimRequest {
        queue: Queue::Forward,
        lanes: &lanes,
        limit: take.limit,
        per_lane: take.per_lane,
        claims_per_batch_key: take.exclusive.then_some(1),
        worker: "model",
        claim_id,
        lease_seconds: 600.0,
    };
    claim(connection, &request).await
}

#[test]
fn histories_agree_with_the_model() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let db = runtime.block_on(database());
    let cases = knob("PUSHBOX_MODEL_CASES").map_or(48, |cases| u32::try_from(cases).expect("not that many"));
    let config = Config { cases, failure_persistence: None, max_shrink_iters: 3000, ..Config::default() };
    TestRunner::new(config)
        .run(&history::histories(), |steps| {
            runtime.block_on(history::play(&db.url, &steps)).map_err(TestCaseError::fail)
        })
        .unwrap_or_else(|failure| panic!("{failure}"));
}
