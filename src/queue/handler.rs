//! What a job's author writes, and how it is called.

use std::collections::HashMap;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use futures_util::FutureExt;
use tracing::Instrument as _;
use uuid::Uuid;

use super::claim::ClaimedRow;
use super::settle::{Claim, Done};
use crate::domain::job::JobPayload;
use crate::observability::metrics::{JobMove, job_ran, jobs_moved};
use crate::observability::trace::{Ids, Running, TracedJob};

/// One claimed job, its payload read.
#[derive(Debug, Clone)]
pub struct Job<J> {
    /// The claim we hold.
    pub claim: Claim,
    /// What to do.
    pub payload: J,
    /// Which attempt this is, from 1.
    pub attempt: i32,
    /// How many there are.
    pub max_attempts: i32,
    /// The events it serves, oldest first.
    pub events: Vec<Uuid>,
    /// When it was asked for.
    pub created_at: DateTime<Utc>,
    begun: Instant,
}

impl<J> Job<J> {
    /// Ends this claim well, for [`super::settle::complete_in`].
    pub fn done(&self) -> Done {
        Done { claim: self.claim, ran: self.begun.elapsed(), note: None }
    }

    /// Whether a failure now is the last.
    pub fn is_last_attempt(&self) -> bool {
        self.attempt >= self.max_attempts
    }
}

/// Jobs of one kind and one batch key, in the order they became due.
#[derive(Debug)]
pub struct Batch<J> {
    /// The shop, the spreadsheet, the chat.
    pub batch_key: String,
    /// At least one.
    pub jobs: Vec<Job<J>>,
}

/// What came of one job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It is done; the queue moves it to the history.
    Done {
        /// What the history shall say about it.
        note: Option<String>,
    },
    /// The handler completed it in its own transaction with [`super::settle::complete_in`].
    Committed,
    /// It failed and may work later: one attempt, exponential back-off.
    Retry {
        /// Why.
        error: String,
    },
    /// It failed and may work after this time: one attempt.
    RetryAfter {
        /// Why.
        error: String,
        /// Not before this delay.
        after: Duration,
    },
    /// It cannot be tried now: no attempt.
    Wait {
        /// What it waits for, in words.
        on: String,
        /// Not before this delay.
        after: Duration,
    },
    /// It cannot be tried now and keeps its place: no attempt. It is claimed again at once, unless its batch key
    /// is held ([`super::hold::hold`]).
    Keep {
        /// What it waits for, in words.
        on: String,
    },
    /// It will never work.
    Dead {
        /// Why.
        error: String,
    },
}

impl Outcome {
    /// Done, with nothing to say.
    pub const DONE: Self = Self::Done { note: None };

    /// What it is called in the log.
    fn word(&self) -> &'static str {
        match self {
            Self::Done { .. } | Self::Committed => "done",
            Self::Retry { .. } | Self::RetryAfter { .. } => "failed",
            Self::Wait { .. } | Self::Keep { .. } => "waits",
            Self::Dead { .. } => "dead",
        }
    }

    /// Whether it is the end of a job that may not fail again.
    fn gives_up(&self, last_attempt: bool) -> bool {
        match self {
            Self::Dead { .. } => true,
            Self::Retry { .. } | Self::RetryAfter { .. } => last_attempt,
            Self::Done { .. } | Self::Committed | Self::Wait { .. } | Self::Keep { .. } => false,
        }
    }
}

/// Does the jobs of one kind.
#[async_trait]
pub trait BatchHandler<J: JobPayload>: Send + Sync + 'static {
    /// Handles a batch and answers per job, by the job's number. A job without an answer is retried. It must
    /// be safe to run twice, also at the same time as a twin whose lease was lost.
    async fn handle(&self, batch: Batch<J>) -> HashMap<i64, Outcome>;
}

/// A handler without its payload's type: what the runtime keeps.
#[async_trait]
pub(crate) trait RunBatch: Send + Sync {
    async fn run(&self, batch_key: String, claim_id: Uuid, rows: Vec<ClaimedRow>) -> HashMap<i64, Outcome>;
}

pub(crate) struct Typed<J, H> {
    pub handler: Arc<H>,
    pub timeout: Duration,
    pub payload: std::marker::PhantomData<fn(J)>,
}

#[async_trait]
impl<J: JobPayload + Clone, H: BatchHandler<J>> RunBatch for Typed<J, H> {
    /// Payloads that cannot be read are dead at once and do not trouble their neighbours. When a batch of
    /// several panics or times out, each is run alone, so that only the one to blame is charged.
    async fn run(&self, batch_key: String, claim_id: Uuid, rows: Vec<ClaimedRow>) -> HashMap<i64, Outcome> {
        let (jobs, mut outcomes) = read_payloads::<J>(claim_id, rows);
        if jobs.is_empty() {
            return outcomes;
        }
        let asked: Vec<i64> = jobs.iter().map(|job| job.claim.job_id).collect();
        match self.attempt(batch_key.clone(), jobs.clone()).await {
            Ok(answers) => outcomes.extend(answers),
            Err(failure) if jobs.len() == 1 => {
                outcomes.insert(asked[0], Outcome::Retry { error: failure });
            }
            Err(failure) => {
                tracing::warn!(
                    queue = J::QUEUE.as_str(),
                    kind = J::KIND,
                    batch_key,
                    jobs = jobs.len(),
                    failure,
                    "a batch broke; running its jobs one by one"
                );
                // Whole jobs and no references: payloads need not be shared between threads.
                for job in jobs.clone() {
                    let id = job.claim.job_id;
                    match self.attempt(batch_key.clone(), vec![job]).await {
                        Ok(answers) => outcomes.extend(answers),
                        Err(error) => {
                            outcomes.insert(id, Outcome::Retry { error });
                        }
                    }
                }
            }
        }
        for id in asked {
            outcomes
                .entry(id)
                .or_insert_with(|| Outcome::Retry { error: "the handler gave no answer".into() });
        }
        for job in &jobs {
            if outcomes.get(&job.claim.job_id).is_some_and(|outcome| outcome.gives_up(job.is_last_attempt()))
            {
                give_up(J::KIND, job.claim.job_id, &job.events);
            }
        }
        let committed = outcomes.values().filter(|outcome| **outcome == Outcome::Committed).count();
        if committed > 0 {
            jobs_moved(J::QUEUE.as_str(), JobMove::Completed, committed);
        }
        outcomes
    }
}

impl<J: JobPayload, H: BatchHandler<J>> Typed<J, H> {
    async fn attempt(&self, batch_key: String, jobs: Vec<Job<J>>) -> Result<HashMap<i64, Outcome>, String> {
        let running = begin(&batch_key, &jobs);
        let handled = AssertUnwindSafe(self.handler.handle(Batch { batch_key, jobs })).catch_unwind();
        let begun = Instant::now();
        let handled = handled.instrument(running.span().clone());
        let ended = tokio::time::timeout(self.timeout, handled).await;
        running.end(|id| match &ended {
            Ok(Ok(answers)) => answers.get(&id).map_or("no answer", Outcome::word),
            Ok(Err(_)) => "panicked",
            Err(_) => "took too long",
        });
        job_ran(J::QUEUE.as_str(), J::KIND, begun.elapsed());
        match ended {
            Ok(Ok(answers)) => Ok(answers),
            Ok(Err(panic)) => Err(format!("the handler panicked: {}", panic_message(panic.as_ref()))),
            Err(_) => Err(format!("the handler took longer than {} s", self.timeout.as_secs())),
        }
    }
}

fn begin<J: JobPayload>(batch_key: &str, jobs: &[Job<J>]) -> Running {
    let claim = jobs.first().map_or_else(Uuid::nil, |job| job.claim.claim_id);
    let traced = jobs.iter().map(|job| TracedJob { id: job.claim.job_id, events: job.events.clone() });
    Running::begin(J::QUEUE.as_str(), J::KIND, batch_key, claim, traced)
}

/// Why is in `jobs.last_error` and not in the log: services repeat in their words what they were sent.
fn give_up(kind: &'static str, job: i64, events: &[Uuid]) {
    tracing::warn!(job.id = job, event.ids = %Ids(events), kind,
        "job {job} was given up; `pushbox jobs show {job}` says why");
}

fn read_payloads<J: JobPayload>(
    claim_id: Uuid,
    rows: Vec<ClaimedRow>,
) -> (Vec<Job<J>>, HashMap<i64, Outcome>) {
    let begun = Instant::now();
    let mut jobs = Vec::with_capacity(rows.len());
    let mut outcomes = HashMap::new();
    for row in rows {
        if row.kind != J::KIND {
            let error = format!("this queue has no handler for the kind {:?}", row.kind);
            give_up(J::KIND, row.id, row.event_id.as_slice());
            outcomes.insert(row.id, Outcome::Dead { error });
            continue;
        }
        match serde_json::from_str::<J>(row.payload.0.get()) {
            Ok(payload) => jobs.push(Job {
                claim: Claim { job_id: row.id, claim_id },
                payload,
                attempt: row.attempt + 1,
                max_attempts: row.max_attempts,
                events: row.event_id.into_iter().chain(row.merged_events).collect(),
                created_at: row.created_at,
                begun,
            }),
            Err(error) => {
                give_up(J::KIND, row.id, row.event_id.as_slice());
                outcomes
                    .insert(row.id, Outcome::Dead { error: format!("the payload cannot be read: {error}") });
            }
        }
    }
    (jobs, outcomes)
}

fn panic_message(panic: &(dyn std::any::Any + Send)) -> &str {
    panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("without a message")
}
