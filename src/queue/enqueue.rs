//! Asking for work, inside the caller's transaction.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::domain::job::{JobPayload, Queue};

/// A job to be. Build it with [`NewJob::new`].
#[derive(Debug, Clone)]
pub struct NewJob {
    queue: Queue,
    kind: &'static str,
    key: Option<String>,
    batch_key: String,
    payload: String,
    priority: i16,
    run_at: Option<DateTime<Utc>>,
    in_order: bool,
    max_attempts: i32,
    event_id: Option<Uuid>,
    merged_events: Vec<Uuid>,
}

impl NewJob {
    /// A job that is ready at once and may fail `max_attempts` times.
    pub fn new<J: JobPayload>(payload: &J, max_attempts: i32) -> Self {
        Self {
            queue: J::QUEUE,
            kind: J::KIND,
            key: None,
            batch_key: String::new(),
            payload: serde_json::to_string(payload).expect("payloads are plain structs, which serialise"),
            priority: 0,
            run_at: None,
            in_order: false,
            max_attempts,
            event_id: None,
            merged_events: Vec::new(),
        }
    }

    /// Where it goes, what it is, and its coalescing key: for whoever wants to know what would be asked for.
    pub fn outline(&self) -> (Queue, &'static str, Option<&str>) {
        (self.queue, self.kind, self.key.as_deref())
    }

    /// Coalescing key: merges into a ready job of the same kind and key.
    #[must_use]
    pub fn key(mut self, key: impl Into<String>) -> Self {
        self.key = Some(key.into());
        self
    }

    /// Jobs with the same batch key may be handled together.
    #[must_use]
    pub fn batch_key(mut self, key: impl Into<String>) -> Self {
        self.batch_key = key.into();
        self
    }

    /// Lower runs first within its batch key; 0 is usual.
    #[must_use]
    pub fn priority(mut self, priority: i16) -> Self {
        self.priority = priority;
        self
    }

    /// Not before this instant. Among ready jobs the earlier `run_at` goes first.
    #[must_use]
    pub fn run_at(mut self, at: DateTime<Utc>) -> Self {
        self.run_at = Some(at);
        self
    }

    /// Ready at once, and among ready jobs in the order of these instants. An instant ahead of the database's
    /// clock counts as now: the clocks of two machines never agree.
    #[must_use]
    pub fn in_order_of(mut self, at: DateTime<Utc>) -> Self {
        self.run_at = Some(at);
        self.in_order = true;
        self
    }

    /// The events that ask for it, oldest first.
    #[must_use]
    pub fn events(mut self, mut events: Vec<Uuid>) -> Self {
        if !events.is_empty() {
            self.event_id = Some(events.remove(0));
            self.merged_events = events;
        }
        self
    }

    /// The queue it will run in.
    pub fn queue(&self) -> Queue {
        self.queue
    }

    /// The stable name of what is to be done.
    pub fn kind(&self) -> &'static str {
        self.kind
    }

    pub(crate) fn event(&self) -> Option<Uuid> {
        self.event_id
    }

    /// Takes up a later one with the same kind and key, by the same rules as `merge_into_ready`.
    fn merge(&mut self, later: Self) {
        self.merged_events.extend(later.event_id);
        self.merged_events.extend(later.merged_events);
        if not_before(&later.payload) >= not_before(&self.payload) {
            self.payload = later.payload;
        }
        self.priority = self.priority.min(later.priority);
        // Without an instant it is now, and the earlier of now and an instant is what `in_order` means.
        self.in_order |= later.in_order || self.run_at.is_none() || later.run_at.is_none();
        self.run_at = [self.run_at, later.run_at].into_iter().flatten().min();
    }
}

/// The field of a payload by which two that merge are compared; 0 where there is none.
fn not_before(payload: &str) -> i64 {
    #[derive(serde::Deserialize)]
    struct Field {
        #[serde(default)]
        not_before: Option<i64>,
    }
    serde_json::from_str(payload).ok().and_then(|field: Field| field.not_before).unwrap_or(0)
}

/// Jobs as columns, the way one statement takes many of them.
#[derive(Debug, Default)]
pub(crate) struct Columns<'a> {
    pub queue: Vec<&'static str>,
    pub kind: Vec<&'static str>,
    pub key: Vec<Option<&'a str>>,
    pub batch_key: Vec<&'a str>,
    pub payload: Vec<&'a str>,
    pub priority: Vec<i16>,
    pub run_at: Vec<Option<DateTime<Utc>>>,
    pub in_order: Vec<bool>,
    pub max_attempts: Vec<i32>,
    pub event_id: Vec<Option<Uuid>>,
}

impl<'a> Columns<'a> {
    pub(crate) fn push(&mut self, job: &'a NewJob) {
        self.queue.push(job.queue.as_str());
        self.kind.push(job.kind);
        self.key.push(job.key.as_deref());
        self.batch_key.push(&job.batch_key);
        self.payload.push(&job.payload);
        self.priority.push(job.priority);
        self.run_at.push(job.run_at);
        self.in_order.push(job.in_order);
        self.max_attempts.push(job.max_attempts);
        self.event_id.push(job.event_id);
    }
}

/// Two jobs of one call with the same kind and key become one here, because one statement cannot merge
/// twice into the same row.
fn coalesce(jobs: Vec<NewJob>) -> Vec<NewJob> {
    let mut kept: Vec<NewJob> = Vec::with_capacity(jobs.len());
    let mut by_key: HashMap<(&'static str, String), usize> = HashMap::new();
    for job in jobs {
        let Some(key) = job.key.clone() else {
            kept.push(job);
            continue;
        };
        match by_key.entry((job.kind, key)) {
            std::collections::hash_map::Entry::Vacant(slot) => {
                slot.insert(kept.len());
                kept.push(job);
            }
            std::collections::hash_map::Entry::Occupied(slot) => {
                kept[*slot.get()].merge(job);
            }
        }
    }
    // Sorted keys: two transactions that enqueue the same jobs meet in the same order and cannot deadlock. SQL
    // that enters jobs sorts with COLLATE "C", which is this order.
    kept.sort_by(|a, b| (a.kind, &a.key).cmp(&(b.kind, &b.key)));
    kept
}

/// What happens when a ready job with the same kind and key is there already. Shared by every statement
/// that puts rows into `jobs`.
macro_rules! merge_into_ready {
    () => {
        "ON CONFLICT (kind, key) WHERE state = 'ready' AND key IS NOT NULL DO UPDATE SET
             merged_events = ARRAY(SELECT DISTINCT e
                 FROM unnest(jobs.merged_events || excluded.event_id || excluded.merged_events) AS e
                 WHERE e IS NOT NULL AND e IS DISTINCT FROM jobs.event_id ORDER BY e),
             payload = CASE WHEN coalesce((excluded.payload->>'not_before')::bigint, 0)
                             >= coalesce((jobs.payload->>'not_before')::bigint, 0)
                            THEN excluded.payload ELSE jobs.payload END,
             priority = least(jobs.priority, excluded.priority),
             run_at = least(jobs.run_at, excluded.run_at),
             waiting_on = CASE WHEN excluded.run_at < jobs.run_at THEN excluded.waiting_on ELSE jobs.waiting_on END"
    };
}
pub(crate) use merge_into_ready;

/// Enqueues all of them, or none, with the caller's transaction. Wake the workers after the commit.
///
/// # Errors
/// When the database refuses.
pub async fn enqueue(connection: &mut PgConnection, jobs: Vec<NewJob>) -> Result<(), sqlx::Error> {
    if jobs.is_empty() {
        return Ok(());
    }
    let jobs = coalesce(jobs);
    let mut columns = Columns::default();
    // Merged events as JSON arrays: Postgres has no arrays of arrays of different lengths.
    let mut merged_events = Vec::with_capacity(jobs.len());
    for job in &jobs {
        columns.push(job);
        merged_events.push(serde_json::json!(job.merged_events).to_string());
    }
    sqlx::query(concat!(
        "INSERT INTO pushbox.jobs AS jobs
             (queue, kind, key, batch_key, payload, priority, run_at, max_attempts, event_id, merged_events)
         SELECT queue, kind, key, batch_key, payload::jsonb, priority,
                CASE WHEN in_order THEN least(run_at, now()) ELSE coalesce(run_at, now()) END, max_attempts,
                event_id, ARRAY(SELECT jsonb_array_elements_text(merged::jsonb)::uuid)
         FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::smallint[],
                     $7::timestamptz[], $8::integer[], $9::uuid[], $10::text[],
                     $11::boolean[])
              AS t(queue, kind, key, batch_key, payload, priority, run_at, max_attempts, event_id, merged, in_order)
         ",
        merge_into_ready!()
    ))
    .bind(&columns.queue)
    .bind(&columns.kind)
    .bind(&columns.key)
    .bind(&columns.batch_key)
    .bind(&columns.payload)
    .bind(&columns.priority)
    .bind(&columns.run_at)
    .bind(&columns.max_attempts)
    .bind(&columns.event_id)
    .bind(&merged_events)
    .bind(&columns.in_order)
    .execute(connection)
    .await?;
    Ok(())
}
