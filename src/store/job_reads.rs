//! Jobs as people look at them: alive ones from `jobs`, ended ones from `job_history`. Nothing here locks
//! or changes anything.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use sqlx::{PgExecutor, Postgres, QueryBuilder};
use uuid::Uuid;

use crate::domain::event::received_at_of;

/// Which jobs; every part that is set must hold. Kept as JSON with the bulk operations that use it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct JobFilter {
    /// The queue's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub queue: Option<String>,
    /// `ready`, `running` or `dead`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state: Option<String>,
    /// The kind's stable name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// The coalescing key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// The shop of the order that it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shop: Option<String>,
    /// The number of the order that it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub order_sn: Option<String>,
    /// The event that asked for it first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub event_id: Option<Uuid>,
    /// A part of the last error, in any case.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// The last error as [`DeadGroup::error`] shows it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error_group: Option<String>,
    /// Asked for then or later.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since: Option<DateTime<Utc>>,
    /// Asked for before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until: Option<DateTime<Utc>>,
}

/// What makes equal errors of a job equal: ids and other digits are left out.
macro_rules! error_group {
    () => {
        "regexp_replace(left(coalesce(last_error, 'no error was kept'), 300), '[0-9]+', '#', 'g')"
    };
}

impl JobFilter {
    /// Appends the conditions to a statement over `pushbox.jobs` that ends within its `where`.
    pub fn push_to(&self, query: &mut QueryBuilder<Postgres>) {
        let equals = [
            (" and queue = ", &self.queue),
            (" and kind = ", &self.kind),
            (" and key = ", &self.key),
            (" and coalesce(payload->>'shop_id', payload->'order'->>'shop_id') = ", &self.shop),
            (" and coalesce(payload->>'order_sn', payload->'order'->>'order_sn') = ", &self.order_sn),
            (concat!(" and ", error_group!(), " = "), &self.error_group),
        ];
        for (condition, value) in equals {
            if let Some(value) = value {
                query.push(condition).push_bind(value.clone());
            }
        }
        match self.state.as_deref() {
            // A literal, because the partial indexes are found by it.
            Some("dead") => drop(query.push(" and state = 'dead'")),
            Some(state) => drop(query.push(" and state = ").push_bind(state.to_owned())),
            None => {}
        }
        if let Some(event_id) = self.event_id {
            query.push(" and event_id = ").push_bind(event_id);
        }
        if let Some(error) = &self.error {
            query.push(" and strpos(lower(last_error), lower(").push_bind(error.clone()).push(")) > 0");
        }
        if let Some(since) = self.since {
            query.push(" and created_at >= ").push_bind(since);
        }
        if let Some(until) = self.until {
            query.push(" and created_at < ").push_bind(until);
        }
    }
}

/// A job, alive or ended.
#[derive(Debug, Clone, sqlx::FromRow)]
pub struct JobRecord {
    /// Its number.
    pub id: i64,
    /// The queue.
    pub queue: String,
    /// The kind's stable name.
    pub kind: String,
    /// The coalescing key.
    pub key: Option<String>,
    /// `ready`, `running`, `dead`, or the outcome: `done`, `cancelled`, `merged`.
    pub state: String,
    /// Attempts charged.
    pub attempt: i32,
    /// The most attempts; none once it ended.
    pub max_attempts: Option<i32>,
    /// Not before this; none once it ended.
    pub run_at: Option<DateTime<Utc>>,
    /// What it waits for.
    pub waiting_on: Option<String>,
    /// Who has or had it.
    pub worker: Option<String>,
    /// The event that asked first.
    pub event_id: Option<Uuid>,
    /// What it is asked to do.
    pub payload: serde_json::Value,
    /// Why the last attempt failed.
    pub last_error: Option<String>,
    /// All failures.
    pub errors: serde_json::Value,
    /// When it was asked for.
    pub created_at: DateTime<Utc>,
    /// When the last attempt began.
    pub started_at: Option<DateTime<Utc>>,
    /// When it ended.
    pub finished_at: Option<DateTime<Utc>>,
    /// What was said about its end.
    pub note: Option<String>,
}

const ALIVE: &str =
    "select id, queue, kind, key, state, attempt, max_attempts, run_at, waiting_on, worker, event_id,
       payload, last_error, errors, created_at, coalesce(started_at, claimed_at) as started_at,
       null::timestamptz as finished_at, null::text as note
  from pushbox.jobs where true";

const ENDED: &str = "select id, queue, kind, key, outcome as state, attempt, null::integer as max_attempts,
       null::timestamptz as run_at, null::text as waiting_on, worker, event_id, payload,
       errors->-1->>'error' as last_error, errors, created_at, started_at, finished_at, note
  from pushbox.job_history where true";

/// At most `limit` jobs that are alive and pass, newest first, with numbers below `before`.
///
/// The table holds only what is alive; the primary key serves the order, `jobs_dead_idx` the dead of a queue.
pub async fn list_jobs(
    executor: impl PgExecutor<'_>,
    filter: &JobFilter,
    before: Option<i64>,
    limit: u16,
) -> sqlx::Result<Vec<JobRecord>> {
    let mut query = QueryBuilder::<Postgres>::new(ALIVE);
    filter.push_to(&mut query);
    if let Some(before) = before {
        query.push(" and id < ").push_bind(before);
    }
    query.push(" order by id desc limit ").push_bind(i64::from(limit));
    query.build_query_as().fetch_all(executor).await
}

/// The job with this number, alive or ended.
pub async fn find_job(executor: impl PgExecutor<'_>, id: i64) -> sqlx::Result<Option<JobRecord>> {
    let mut query = QueryBuilder::<Postgres>::new(ALIVE);
    query.push(" and id = ").push_bind(id).push(" union all ").push(ENDED);
    query.push(" and id = ").push_bind(id).push(" limit 1");
    query.build_query_as().fetch_optional(executor).await
}

/// All jobs that an event asked for or shares, in the order in which they were asked for.
pub async fn list_jobs_of_event(
    executor: impl PgExecutor<'_>,
    event_id: Uuid,
) -> sqlx::Result<Vec<JobRecord>> {
    // No job ends before its event came: that leaves out the partitions before.
    let since = received_at_of(event_id).unwrap_or(DateTime::UNIX_EPOCH);
    let mut query = QueryBuilder::<Postgres>::new("");
    for (position, (select, bound)) in [(ALIVE, false), (ENDED, true)].into_iter().enumerate() {
        // Two branches each: one condition with `or` would use neither index.
        for (branch, condition) in
            [" and event_id = ", " and merged_events @> array["].into_iter().enumerate()
        {
            if position + branch > 0 {
                query.push(" union ");
            }
            query.push(select).push(condition).push_bind(event_id);
            if branch == 1 {
                query.push("] and merged_events <> '{}'");
            }
            if bound {
                query.push(" and finished_at >= ").push_bind(since);
            }
        }
    }
    query.push(" order by created_at, id limit 500").build_query_as().fetch_all(executor).await
}

/// Dead jobs that failed for the same reason.
#[derive(Debug, Clone, sqlx::FromRow)]
pub struct DeadGroup {
    /// The queue.
    pub queue: String,
    /// The kind's stable name.
    pub kind: String,
    /// The error, with digits left out, so that ids do not keep equal errors apart.
    pub error: String,
    /// How many.
    pub jobs: i64,
    /// When the oldest of them was asked for.
    pub oldest_created_at: DateTime<Utc>,
}

/// How many of the newest dead jobs of all queues are looked at to group them.
pub const GROUPED: i64 = 20_000;

/// The dead jobs by what they died of, most first, at most 100 groups; of the newest [`GROUPED`] only.
pub async fn list_dead_groups(executor: impl PgExecutor<'_>) -> sqlx::Result<Vec<DeadGroup>> {
    sqlx::query_as(concat!(
        "select queue, kind, error, count(*) as jobs, min(created_at) as oldest_created_at
           from (select queue, kind, created_at, ",
        error_group!(),
        " as error
                   from pushbox.jobs
                  where state = 'dead'
                  order by id desc
                  limit $1) dead
          group by queue, kind, error
          order by jobs desc, queue, kind, error
          limit 100"
    ))
    .bind(GROUPED)
    .fetch_all(executor)
    .await
}

/// How many jobs pass, and the highest number among them.
pub async fn count_jobs(
    executor: impl PgExecutor<'_>,
    filter: &JobFilter,
) -> sqlx::Result<(i64, Option<i64>)> {
    let mut query = QueryBuilder::<Postgres>::new("select count(*), max(id) from pushbox.jobs where true");
    filter.push_to(&mut query);
    query.build_query_as().fetch_one(executor).await
}
