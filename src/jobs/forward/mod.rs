//! Forwards events to services of the seller's: each event to each target that wants it, with its order as it
//! stands at the attempt.
//!
//! * The `webhook-id` is the event's id, the same for every attempt, so a service that remembers ids takes each
//!   event once. Events are not in order: the payload has times.
//! * A 2xx is the end. Anything else is tried again with the queue's back-off, until `FORWARD_RETRY_FOR` after
//!   the first attempt. Whoever waits for an open breaker or for what the service asked for is charged nothing.
//! * What came of each is in `deliveries`, with the beginning of the answer.
//!
//! No transaction is open while a service is called.

mod payload;

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use futures_util::{StreamExt, stream};
use sqlx::pool::PoolConnection;
use sqlx::{PgPool, Postgres};
use tokio::sync::{Semaphore, SemaphorePermit};
use tracing::Instrument as _;
use uuid::Uuid;

use crate::clients::forward::{Answer, ForwardClient, ForwardError, Message};
use crate::clock::SharedClock;
use crate::config::{ForwardSettings, ForwardTarget};
use crate::domain::job::ForwardEvent;
use crate::domain::order::OrderRef;
use crate::jobs::outcome::after_database;
use crate::jobs::reached::reached;
use crate::observability::metrics::client_called;
use crate::observability::trace;
use crate::queue::{Batch, BatchHandler, Job, Outcome};
use crate::store::deliveries::{self, Attempt, ForwardedEvent};
use crate::store::destinations::{self, Paused};
use crate::store::order_reads::{StoredOrder, list_orders};
use crate::store::{
    self,
    breakers::{self, Admission, Fault},
};

/// The kind of our destinations; their names are those of the targets.
const DESTINATION: &str = "forward";
/// Posts to one target at once, in one batch.
const AT_ONCE: usize = 8;
/// Connections of the pool that are used at once to note what came of posts.
const NOTES_AT_ONCE: usize = 3;
/// After a 429 that does not say how long.
const AFTER_TOO_MANY: Duration = Duration::from_secs(30);
/// What only a person can mend is looked at again so often.
const AFTER_CONFIGURATION: Duration = Duration::from_mins(15);
/// The longest that a service may ask us to wait.
const LONGEST_WAIT: Duration = Duration::from_hours(1);

/// Does `forward_event` jobs.
#[derive(Debug)]
pub struct ForwardHandler {
    pool: PgPool,
    client: ForwardClient,
    clock: SharedClock,
    settings: ForwardSettings,
    /// Posts are many at once; what is noted about them shall not take the pool away from the others.
    notes: Semaphore,
}

/// What a batch works with.
struct Errand<'a> {
    target: &'a ForwardTarget,
    events: HashMap<Uuid, ForwardedEvent>,
    delivered: HashSet<Uuid>,
    orders: HashMap<OrderRef, StoredOrder>,
    /// Set when the target is out of use from here on: what those that were not begun wait for.
    halted: Mutex<Option<Outcome>>,
}

impl Errand<'_> {
    fn halt(&self, outcome: &Outcome) {
        *self.halted.lock().unwrap_or_else(PoisonError::into_inner) = Some(outcome.clone());
    }

    fn halted(&self) -> Option<Outcome> {
        self.halted.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// A connection to note something with.
struct Note<'a> {
    connection: PoolConnection<Postgres>,
    permit: SemaphorePermit<'a>,
}

impl<'a> Note<'a> {
    /// Gives the connection back; the permit is for another one.
    fn free(self) -> SemaphorePermit<'a> {
        self.permit
    }
}

#[async_trait]
impl BatchHandler<ForwardEvent> for ForwardHandler {
    async fn handle(&self, batch: Batch<ForwardEvent>) -> HashMap<i64, Outcome> {
        let Some(target) = self.settings.targets.iter().find(|one| one.name == batch.batch_key) else {
            let error = format!(
                "{} is not forwarded to any more: set FORWARD_URL or [[forwards]] and retry, or cancel",
                batch.batch_key
            );
            return all(&batch.jobs, &Outcome::Dead { error });
        };
        match self.forward(target, &batch.jobs).await {
            Ok(outcomes) => outcomes,
            Err(error) => all(&batch.jobs, &after_database(&error)),
        }
    }
}

fn all(jobs: &[Job<ForwardEvent>], outcome: &Outcome) -> HashMap<i64, Outcome> {
    jobs.iter().map(|job| (job.claim.job_id, outcome.clone())).collect()
}

fn done(note: &str) -> Outcome {
    Outcome::Done { note: Some(note.to_owned()) }
}

impl ForwardHandler {
    /// A handler for these targets.
    pub fn new(pool: PgPool, client: ForwardClient, clock: SharedClock, settings: ForwardSettings) -> Self {
        Self { pool, client, clock, settings, notes: Semaphore::new(NOTES_AT_ONCE) }
    }

    async fn forward(
        &self,
        target: &ForwardTarget,
        jobs: &[Job<ForwardEvent>],
    ) -> Result<HashMap<i64, Outcome>, sqlx::Error> {
        let Some(first) = jobs.first() else { return Ok(HashMap::new()) };
        let mut connection = self.pool.acquire().await?;
        let admission =
            breakers::admit(&mut connection, DESTINATION, &target.name, first.claim.into()).await?;
        drop(connection);
        let at_once = match admission {
            Admission::Paused(paused) => {
                return Ok(all(jobs, &Outcome::Wait { on: paused.reason, after: paused.remaining }));
            }
            // One by one: after the first that works the others follow, after one that does not they wait.
            Admission::Probe => 1,
            Admission::Free => AT_ONCE,
        };
        let errand = self.prepare(target, jobs).await?;
        let answers: Vec<_> = jobs.iter().map(|job| self.answer(&errand, job)).collect();
        let outcomes = stream::iter(answers).buffer_unordered(at_once).collect().await;
        if at_once == 1 {
            // Only if nothing was posted, because every event was gone or delivered, is it still half open.
            let mut connection = self.pool.acquire().await?;
            breakers::leave_probe(&mut connection, DESTINATION, &target.name).await?;
        }
        Ok(outcomes)
    }

    async fn prepare<'a>(
        &self,
        target: &'a ForwardTarget,
        jobs: &[Job<ForwardEvent>],
    ) -> Result<Errand<'a>, sqlx::Error> {
        let ids: Vec<Uuid> = jobs.iter().map(|job| job.payload.event_id).collect();
        let wanted: Vec<OrderRef> = jobs.iter().filter_map(|job| job.payload.order.clone()).collect();
        let mut connection = self.pool.acquire().await?;
        let events = deliveries::list_events(&mut connection, &ids).await?;
        let delivered = deliveries::list_delivered(&mut connection, &target.name, &ids).await?;
        let orders =
            if wanted.is_empty() { Vec::new() } else { list_orders(&mut connection, &wanted).await? };
        Ok(Errand {
            target,
            events: events.into_iter().map(|event| (event.id, event)).collect(),
            delivered: delivered.into_iter().collect(),
            orders: orders.into_iter().map(|stored| (stored.order.reference.clone(), stored)).collect(),
            halted: Mutex::default(),
        })
    }

    async fn note(&self) -> Result<Note<'_>, sqlx::Error> {
        // The semaphore is never closed.
        let permit = self.notes.acquire().await.map_err(|_| sqlx::Error::PoolClosed)?;
        Ok(Note { connection: self.pool.acquire().await?, permit })
    }

    async fn answer(&self, errand: &Errand<'_>, job: &Job<ForwardEvent>) -> (i64, Outcome) {
        let outcome = match errand.halted() {
            Some(halted) => halted,
            None => self.one(errand, job).await.unwrap_or_else(|error| after_database(&error)),
        };
        (job.claim.job_id, outcome)
    }

    /// Posts one event and decides what becomes of its job.
    async fn one(&self, errand: &Errand<'_>, job: &Job<ForwardEvent>) -> Result<Outcome, sqlx::Error> {
        let id = job.payload.event_id;
        if errand.delivered.contains(&id) {
            return Ok(done("it was accepted before"));
        }
        let Some(event) = errand.events.get(&id) else {
            return Ok(done("the event is gone: older than EVENT_RETENTION_DAYS"));
        };
        if let Some(paused) = self.paused_meanwhile(errand.target).await? {
            let outcome = Outcome::Wait { on: paused.reason, after: paused.remaining };
            errand.halt(&outcome);
            return Ok(outcome);
        }
        let order = job.payload.order.as_ref().and_then(|order| errand.orders.get(order));
        let message = Message {
            id: id.to_string(),
            timestamp: self.clock.now().timestamp(),
            body: payload::body(event, order).into(),
        };
        let begun = Instant::now();
        let posting = self.client.post(&errand.target.url, &errand.target.secrets, &message);
        let answer = posting.instrument(trace::call("forward", "post")).await;
        let took = begun.elapsed();
        client_called("forward", "post", class(&answer), took);
        match answer {
            Ok(answer) => self.after_answer(errand, id, &answer, took).await,
            Err(ForwardError::Forbidden(forbidden)) => {
                let fault = Fault {
                    problem: &forbidden.to_string(),
                    remedy: "correct the address or its DNS record, or set FORWARD_ALLOW_PRIVATE=true",
                };
                self.trip(errand, &fault).await
            }
            Err(error) => {
                let error = error.to_string();
                let attempt = self.attempt(errand, id, took, &error);
                self.after_failure(errand, &attempt, true, None).await
            }
        }
    }

    /// The pause that a person made after the batch was admitted.
    async fn paused_meanwhile(&self, target: &ForwardTarget) -> Result<Option<Paused>, sqlx::Error> {
        let mut note = self.note().await?;
        destinations::find_pause_by_hand(&mut note.connection, DESTINATION, &target.name).await
    }

    fn attempt<'a>(
        &self,
        errand: &Errand<'a>,
        event_id: Uuid,
        took: Duration,
        error: &'a str,
    ) -> Attempt<'a> {
        let patience = self.settings.retry_for;
        let target = errand.target.name.as_str();
        Attempt { target, event_id, status: None, response: None, error: Some(error), took, patience }
    }

    async fn after_answer(
        &self,
        errand: &Errand<'_>,
        id: Uuid,
        answer: &Answer,
        took: Duration,
    ) -> Result<Outcome, sqlx::Error> {
        let Answer { status, retry_after, text } = answer;
        let why = match status {
            300..=399 => format!("HTTP {status}: redirects are not followed; set the final address"),
            _ => format!("HTTP {status}"),
        };
        let failed =
            Attempt { status: Some(*status), response: Some(text), ..self.attempt(errand, id, took, &why) };
        let name = errand.target.name.as_str();
        match status {
            200..=299 => {
                let mut note = self.note().await?;
                deliveries::note_attempt(&mut note.connection, &Attempt { error: None, ..failed }).await?;
                let _permit = note.free();
                breakers::succeed(&self.pool, DESTINATION, name).await?;
                reached(DESTINATION, name, &[id], self.clock.now());
                Ok(Outcome::DONE)
            }
            410 => {
                let problem = "it answers 410 Gone: it wants no more events";
                let fault = Fault { problem, remedy: "take it out of the settings, or reset its breaker" };
                let mut note = self.note().await?;
                deliveries::note_attempt(&mut note.connection, &failed).await?;
                drop(note);
                self.trip(errand, &fault).await
            }
            429 => {
                let after = retry_after.unwrap_or(AFTER_TOO_MANY).min(LONGEST_WAIT);
                let mut note = self.note().await?;
                deliveries::note_attempt(&mut note.connection, &failed).await?;
                let _permit = note.free();
                // It is there, only busy: a breaker that was tried with it closes, and the pause remains.
                breakers::succeed(&self.pool, DESTINATION, name).await?;
                let on = format!("{name}: too many requests");
                let mut connection = self.pool.acquire().await?;
                destinations::pause(&mut connection, DESTINATION, name, after, &on).await?;
                let outcome = Outcome::Wait { on, after };
                errand.halt(&outcome);
                Ok(outcome)
            }
            // About the address and not about the event; other refusals may be about this event alone.
            401 | 403 | 404 | 405 | 407 | 500.. | 300..=399 => {
                self.after_failure(errand, &failed, true, *retry_after).await
            }
            _ => self.after_failure(errand, &failed, false, *retry_after).await,
        }
    }

    /// One attempt is charged. When the breaker opens, those that were not begun wait for it.
    async fn after_failure(
        &self,
        errand: &Errand<'_>,
        attempt: &Attempt<'_>,
        of_target: bool,
        retry_after: Option<Duration>,
    ) -> Result<Outcome, sqlx::Error> {
        let error = attempt.error.unwrap_or_default().to_owned();
        let name = errand.target.name.as_str();
        let _permit = self.note().await?.free();
        let mut transaction = store::begin(&self.pool).await?;
        let given_up = deliveries::note_attempt(&mut transaction, attempt).await?;
        let mut open = None;
        if of_target {
            open = breakers::fail(&mut transaction, DESTINATION, name, &error).await?;
        }
        transaction.commit().await?;
        if let Some(open) = open {
            errand.halt(&Outcome::Wait { on: format!("{name}: {error}"), after: open });
        } else if !of_target {
            breakers::succeed(&self.pool, DESTINATION, name).await?;
        }
        if given_up {
            let hours = self.settings.retry_for.as_secs() / 3600;
            return Ok(Outcome::Dead { error: format!("given up after {hours} h: {error}") });
        }
        Ok(match retry_after {
            Some(after) => Outcome::RetryAfter { error, after: after.min(LONGEST_WAIT) },
            None => Outcome::Retry { error },
        })
    }

    async fn trip(&self, errand: &Errand<'_>, fault: &Fault<'_>) -> Result<Outcome, sqlx::Error> {
        let name = errand.target.name.as_str();
        let _permit = self.note().await?.free();
        let mut transaction = store::begin(&self.pool).await?;
        breakers::trip(&mut transaction, DESTINATION, name, AFTER_CONFIGURATION, fault).await?;
        transaction.commit().await?;
        let outcome = Outcome::Wait { on: format!("{name}: {fault}"), after: AFTER_CONFIGURATION };
        errand.halt(&outcome);
        Ok(outcome)
    }
}

fn class(answer: &Result<Answer, ForwardError>) -> &'static str {
    match answer {
        Ok(Answer { status: 200..=299, .. }) => "ok",
        Ok(Answer { status: 429, .. }) => "rate_limited",
        Ok(Answer { status: 500.., .. }) | Err(ForwardError::NoAnswer(_)) => "unavailable",
        Ok(_) => "rejected",
        Err(ForwardError::Forbidden(_)) => "configuration",
    }
}
