//! Keeps orders in Google Sheets up to date: a tab `Orders` with a row per order, a tab `Items` with a row per
//! line.
//!
//! Each batch is the changed orders of one spreadsheet. The queue gives it to one worker at a time over all
//! processes (register the handler as exclusive), so nobody else of us writes there. The worker reads the orders
//! from Postgres, where an older state never replaces a newer one; looks which rows there are ([`sight`]); and
//! brings both tabs up to date in one write ([`plan`]), which Google carries out as a whole or not at all. What
//! was written and the end of the jobs are noted in one transaction.
//!
//! Because a write is always planned from a fresh look, running it twice is the same as once. So an answer that
//! was lost needs no more than another run, and no write is ever repeated blindly. Google cannot tell a late writer
//! from the one who has the spreadsheet now, so each write is begun under a lease that holds, and whoever follows a
//! writer that vanished lets its last write end before it looks ([`crate::store::writes`]).
//!
//! It must not: touch cells outside our columns, remove rows, or write text in a way that could be a formula.

pub mod check;
mod columns;
mod failure;
pub mod file;
mod plan;
pub mod rebuild;
mod rows;
mod sight;
pub mod tabs;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use chrono_tz::Tz;
use sqlx::PgPool;

use crate::clients::sheets::{SheetRequest, SheetsClient, SheetsError};
use crate::clock::SharedClock;
use crate::domain::job::UpsertSheetRow;
use crate::domain::order::OrderRef;
use crate::jobs::outcome::after_database;
use crate::jobs::reached::reached;
use crate::observability::metrics::{self, timed_call};
use crate::queue::settle::{Claim, CompleteError, Done, LeaseLost};
use crate::queue::{Batch, BatchHandler, Job, Outcome, complete_in, enqueue, plan as jobs_plan};
use crate::store;
use crate::store::breakers::{self, Admission, Fault};
use crate::store::destinations;
use crate::store::order_reads::list_orders;
use crate::store::sheet_rows::{
    SheetRow, find_generation, forget_contents, list_sheet_rows, upsert_sheet_rows,
};
use crate::store::writes;

use failure::{Budget, Call, Failure};
use plan::Plan;
use rows::OrderRows;
use sight::{Known, Sight};

/// The kind of a spreadsheet among the destinations; its name is the spreadsheet's id.
const DESTINATION: &str = "sheet";
/// The service, as calls of it are counted.
const GOOGLE: &str = "google";
/// Rows of one write, both tabs together: about two megabytes, which is what Google recommends at most.
const ROWS_AT_ONCE: usize = 5_000;
/// After a 429 that does not say how long. Google's window is a minute, refilled all the time.
const AFTER_RATE_LIMIT: Duration = Duration::from_secs(5);

/// How long a write whose writer vanished, or whose answer was lost, may take to show.
const SETTLE: Duration = Duration::from_secs(5);

/// What the settings say about sheets.
#[derive(Debug, Clone)]
pub struct SheetOptions {
    /// `SHEET_IGNORE_STATUSES`.
    pub ignore_statuses: Vec<String>,
    /// `DISPLAY_TIMEZONE`.
    pub timezone: Tz,
    /// Reads, and writes, per minute over all spreadsheets. Google allows 60, and a burst of 10 comes on top.
    pub calls_per_minute: u32,
    /// How often to look again at what only a person can mend.
    pub after_configuration: Duration,
}

impl Default for SheetOptions {
    fn default() -> Self {
        Self {
            ignore_statuses: Vec::new(),
            timezone: Tz::UTC,
            calls_per_minute: 48,
            after_configuration: Duration::from_mins(5),
        }
    }
}

/// Upserts rows. Register it with [`crate::queue::QueueSpec::exclusive`] and a time-out above the client's two
/// calls of one and two minutes.
#[derive(Debug)]
pub struct SheetHandler {
    pool: PgPool,
    client: Arc<SheetsClient>,
    clock: SharedClock,
    options: SheetOptions,
    budget: Budget,
    known: Mutex<HashMap<String, Known>>,
}

/// An order to write, and the jobs that ask for it.
struct Work<'a> {
    jobs: Vec<&'a Job<UpsertSheetRow>>,
    rows: OrderRows,
}

impl Work<'_> {
    fn size(&self) -> usize {
        1 + self.rows.items.len()
    }
}

#[async_trait]
impl BatchHandler<UpsertSheetRow> for SheetHandler {
    async fn handle(&self, batch: Batch<UpsertSheetRow>) -> HashMap<i64, Outcome> {
        let id = batch.batch_key.as_str();
        let Some(first) = batch.jobs.first() else { return HashMap::new() };
        let admission = match self.admit(id, first.claim).await {
            Ok(Admission::Paused(paused)) => {
                return all(&batch.jobs, &Outcome::Wait { on: paused.reason, after: paused.remaining });
            }
            Ok(admission) => admission,
            Err(error) => return all(&batch.jobs, &after_database(&error)),
        };
        let outcomes = self.flush(id, &batch.jobs).await;
        if admission == Admission::Probe
            && let Err(error) = self.leave_probe(id).await
        {
            tracing::warn!(%error, spreadsheet = id, "the breaker of {id} stays half open for a while");
        }
        outcomes
    }
}

fn all(jobs: &[Job<UpsertSheetRow>], outcome: &Outcome) -> HashMap<i64, Outcome> {
    jobs.iter().map(|job| (job.claim.job_id, outcome.clone())).collect()
}

fn settle(parts: &[Vec<Work<'_>>], outcome: &Outcome, outcomes: &mut HashMap<i64, Outcome>) {
    let jobs = parts.iter().flatten().flat_map(|work| &work.jobs);
    outcomes.extend(jobs.map(|job| (job.claim.job_id, outcome.clone())));
}

/// Parts of at most [`ROWS_AT_ONCE`] rows, or of one order that has more. The first is the last.
fn split_by_size(works: Vec<Work<'_>>) -> Vec<Vec<Work<'_>>> {
    let mut parts: Vec<Vec<Work<'_>>> = Vec::new();
    let mut size = 0;
    for work in works {
        if parts.is_empty() || size + work.size() > ROWS_AT_ONCE {
            parts.push(Vec::new());
            size = 0;
        }
        size += work.size();
        parts.last_mut().expect("one was pushed").push(work);
    }
    parts.reverse();
    parts
}

impl SheetHandler {
    /// A handler for the spreadsheets that `client` may edit.
    pub fn new(pool: PgPool, client: Arc<SheetsClient>, clock: SharedClock, options: SheetOptions) -> Self {
        let budget = Budget::new(pool.clone(), &client, &options);
        Self { pool, client, clock, options, budget, known: Mutex::default() }
    }

    async fn admit(&self, id: &str, claim: Claim) -> Result<Admission, sqlx::Error> {
        let mut connection = self.pool.acquire().await?;
        breakers::admit(&mut connection, DESTINATION, id, claim.into()).await
    }

    /// Says that nothing was found out, if nothing was.
    async fn leave_probe(&self, id: &str) -> Result<(), sqlx::Error> {
        let mut connection = self.pool.acquire().await?;
        breakers::leave_probe(&mut connection, DESTINATION, id).await
    }

    /// Brings the orders of these jobs up to date and answers every job.
    async fn flush(&self, id: &str, jobs: &[Job<UpsertSheetRow>]) -> HashMap<i64, Outcome> {
        let mut outcomes = HashMap::new();
        let works = match self.prepare(id, jobs, &mut outcomes).await {
            Ok(works) => works,
            Err(error) => return all(jobs, &after_database(&error)),
        };
        let mut parts = split_by_size(works);
        while let Some(mut part) = parts.pop() {
            match self.write(id, &part).await {
                Ok(()) => settle(&[part], &Outcome::Committed, &mut outcomes),
                // One of them is to blame; the others shall not suffer.
                Err(Failure::Sheets(SheetsError::Rejected { .. })) if part.len() > 1 => {
                    let half = part.split_off(part.len() / 2);
                    parts.extend([half, part]);
                }
                Err(failure @ Failure::Sheets(SheetsError::Rejected { .. })) => {
                    settle(&[part], &self.after(id, &failure).await, &mut outcomes);
                }
                Err(failure) => {
                    let outcome = self.after(id, &failure).await;
                    parts.push(part);
                    settle(&parts, &outcome, &mut outcomes);
                    break;
                }
            }
        }
        outcomes
    }

    /// Reads the orders afresh. Answers the jobs that need no write; the rest is returned.
    async fn prepare<'a>(
        &self,
        id: &str,
        jobs: &'a [Job<UpsertSheetRow>],
        outcomes: &mut HashMap<i64, Outcome>,
    ) -> Result<Vec<Work<'a>>, sqlx::Error> {
        let mut asked: HashMap<&OrderRef, Vec<&Job<UpsertSheetRow>>> = HashMap::new();
        for job in jobs {
            asked.entry(&job.payload.order).or_default().push(job);
        }
        let orders: Vec<OrderRef> = asked.keys().map(|order| (*order).clone()).collect();
        let mut connection = self.pool.acquire().await?;
        let found = list_orders(&mut connection, &orders).await?;
        let shown = list_sheet_rows(&mut connection, id, &orders).await?;
        drop(connection);
        let shown: HashMap<&OrderRef, &SheetRow> = shown.iter().map(|row| (&row.order, row)).collect();
        let mut works = Vec::new();
        for stored in found {
            let Some(jobs) = asked.remove(&stored.order.reference) else { continue };
            let rows = OrderRows::new(&stored, self.options.timezone);
            match self.needless(&rows, shown.get(&rows.order).copied()) {
                Some(note) => outcomes.extend(jobs.iter().map(|job| (job.claim.job_id, done(note)))),
                None => works.push(Work { jobs, rows }),
            }
        }
        let unknown = asked.into_values().flatten();
        outcomes.extend(unknown.map(|job| (job.claim.job_id, done("the order is not stored"))));
        // New rows come in the order in which their jobs became due.
        works.sort_by_key(|work| jobs.iter().position(|job| job.claim == work.jobs[0].claim));
        Ok(works)
    }

    /// Why an order need not be written.
    fn needless(&self, rows: &OrderRows, shown: Option<&SheetRow>) -> Option<&'static str> {
        match shown {
            None if self.options.ignore_statuses.contains(&rows.status) => {
                Some("orders of its status get no row")
            }
            Some(shown) if shown.update_time > rows.update_time => Some("the sheet shows a newer state"),
            Some(shown) if shown.content_sha256 == rows.record().content_sha256 => Some("unchanged"),
            _ => None,
        }
    }

    /// Looks, writes, and notes what was written together with the end of the jobs.
    async fn write(&self, id: &str, works: &[Work<'_>]) -> Result<(), Failure> {
        let now = self.clock.now();
        let claim = works[0].jobs[0].claim;
        let unsettled = writes::unsettled(&mut *self.pool.acquire().await?, DESTINATION, id, SETTLE).await?;
        if let Some(wait) = unsettled {
            return Err(Failure::Unsettled(wait));
        }
        // Forgotten until the write succeeded: after a failure everything is looked up anew.
        let generation = find_generation(&mut *self.pool.acquire().await?, id).await?;
        let known = self.known().remove(id).filter(|known| known.holds(now, generation));
        let sight = Sight { client: &self.client, budget: &self.budget, id, now, generation };
        let (known, [orders, items]) = sight.see(known).await?;
        let rows: Vec<&OrderRows> = works.iter().map(|work| &work.rows).collect();
        let plan = plan::plan(&orders, &items, &rows);
        self.budget.take(Call::Write, id).await?;
        self.send(id, claim, plan.requests.clone()).await?;
        breakers::succeed(&self.pool, DESTINATION, id).await?;
        if orders.layout.is_complete() && items.layout.is_complete() {
            self.known().insert(id.to_owned(), known);
        }
        self.record(id, works, &plan).await?;
        for job in works.iter().flat_map(|work| &work.jobs) {
            reached("sheet", id, &job.events, self.clock.now());
        }
        metrics::sheet_rows_written(columns::ORDERS.title, plan.order_rows);
        metrics::sheet_rows_written(columns::ITEMS.title, plan.item_rows);
        for order in &plan.doubled {
            tracing::warn!(%order, spreadsheet = id, "{order} has several rows; the topmost is kept up to date");
        }
        Ok(())
    }

    /// One write, if the spreadsheet is still ours: whoever was frozen for longer than its lease finds out here.
    async fn send(&self, id: &str, claim: Claim, requests: Vec<SheetRequest>) -> Result<(), Failure> {
        let Claim { job_id, claim_id } = claim;
        let mut connection = self.pool.acquire().await?;
        let begun = writes::begin(&mut connection, DESTINATION, id, job_id, claim_id).await?;
        drop(connection);
        if !begun {
            return Err(Failure::NotOurs(LeaseLost { lost: 1, asked: 1 }.into()));
        }
        let writing = self.client.batch_update(id, requests);
        let written = timed_call(GOOGLE, "spreadsheets.batchUpdate", SheetsError::class, writing).await;
        // Whether one that was not answered took place, shows later; until then nobody looks.
        if !matches!(written, Err(SheetsError::Unclear { .. })) {
            writes::end(&mut *self.pool.acquire().await?, DESTINATION, id, claim_id).await?;
        }
        written?;
        Ok(())
    }

    fn known(&self) -> std::sync::MutexGuard<'_, HashMap<String, Known>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn record(&self, id: &str, works: &[Work<'_>], plan: &Plan) -> Result<(), Failure> {
        let records: Vec<SheetRow> = works.iter().map(|work| work.rows.record()).collect();
        let ends: Vec<Done> = works
            .iter()
            .flat_map(|work| work.jobs.iter().map(move |job| (job, &work.rows.order)))
            .map(|(job, order)| {
                let note = match (plan.appended.contains(order), plan.doubled.contains(order)) {
                    (true, _) => "appended",
                    (false, true) => "updated; the order has several rows",
                    (false, false) => "updated",
                };
                Done { note: Some(note.to_owned()), ..job.done() }
            })
            .collect();
        let mut transaction = store::begin(&self.pool).await?;
        upsert_sheet_rows(&mut transaction, id, &records, self.clock.now()).await?;
        match complete_in(&mut transaction, &ends).await {
            Ok(()) => Ok(transaction.commit().await?),
            Err(error @ CompleteError::LeaseLost(_)) => {
                transaction.rollback().await?;
                self.repair(id, works).await?;
                Err(Failure::NotOurs(error))
            }
            Err(CompleteError::Database(error)) => Err(error.into()),
        }
    }

    /// We were away for longer than our lease and wrote all the same, maybe over a newer state that somebody
    /// else had written meanwhile. The rows are written once more.
    async fn repair(&self, id: &str, works: &[Work<'_>]) -> Result<(), sqlx::Error> {
        let orders: Vec<OrderRef> = works.iter().map(|work| work.rows.order.clone()).collect();
        let jobs = works
            .iter()
            .map(|work| jobs_plan::sheet_row(id, &work.rows.order, work.jobs[0].max_attempts))
            .collect();
        let mut transaction = store::begin(&self.pool).await?;
        forget_contents(&mut transaction, id, &orders).await?;
        enqueue(&mut transaction, jobs).await?;
        transaction.commit().await
    }

    /// What becomes of the jobs after a failure. Whatever a person has to mend, or only time can, is waited
    /// for; what may have gone wrong with the call is tried again.
    async fn after(&self, id: &str, failure: &Failure) -> Outcome {
        self.judge(id, failure).await.unwrap_or_else(|error| after_database(&error))
    }

    async fn judge(&self, id: &str, failure: &Failure) -> Result<Outcome, sqlx::Error> {
        let on = format!("spreadsheet {id}: {failure}");
        Ok(match failure {
            Failure::Sheets(SheetsError::RateLimited { retry_after }) => {
                let after = retry_after.unwrap_or(AFTER_RATE_LIMIT);
                self.budget.slow_down().await?;
                let mut connection = self.pool.acquire().await?;
                destinations::pause(&mut connection, DESTINATION, id, after, &on).await?;
                Outcome::Wait { on, after }
            }
            Failure::Sheets(SheetsError::Configuration { message, remedy }) => {
                let after = self.options.after_configuration;
                let mut transaction = store::begin(&self.pool).await?;
                let fault = Fault { problem: message, remedy };
                breakers::trip(&mut transaction, DESTINATION, id, after, &fault).await?;
                transaction.commit().await?;
                Outcome::Wait { on, after }
            }
            Failure::Sheets(error @ (SheetsError::Unavailable { .. } | SheetsError::Unclear { .. })) => {
                let error = error.to_string();
                let mut transaction = store::begin(&self.pool).await?;
                let open = breakers::fail(&mut transaction, DESTINATION, id, &error).await?;
                transaction.commit().await?;
                open.map_or(Outcome::Retry { error }, |after| Outcome::Wait { on, after })
            }
            Failure::Sheets(error) => Outcome::Retry { error: error.to_string() },
            Failure::Database(error) => after_database(error),
            Failure::Budget(wait) | Failure::Unsettled(wait) | Failure::Paused(_, wait) => {
                Outcome::Wait { on: failure.to_string(), after: *wait }
            }
            Failure::NotOurs(error) => Outcome::Wait { on: error.to_string(), after: Duration::ZERO },
        })
    }
}

fn done(note: &str) -> Outcome {
    Outcome::Done { note: Some(note.to_owned()) }
}
