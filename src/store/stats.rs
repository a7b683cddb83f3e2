//! Counts over events and jobs, for people and dashboards. Nothing here locks or changes anything.

use chrono::{DateTime, Utc};
use sqlx::PgExecutor;

/// How much waits in one queue.
#[derive(Debug, Clone, sqlx::FromRow)]
pub struct QueueDepth {
    /// The queue's name.
    pub queue: String,
    /// Paused by a person.
    pub paused: bool,
    /// Due, and nothing in the way.
    pub ready: i64,
    /// Due later.
    pub scheduled: i64,
    /// In the way of their destination.
    pub waiting: i64,
    /// At work.
    pub running: i64,
    /// Given up.
    pub dead: i64,
    /// Since how many seconds the oldest due job has been due.
    pub oldest_ready_s: Option<i64>,
}

/// Events of one source and code in two windows.
#[derive(Debug, Clone, sqlx::FromRow)]
pub struct EventCount {
    /// The source's name.
    pub source: String,
    /// The platform's code.
    pub code: String,
    /// Our name of it.
    pub kind: String,
    /// In the shorter window.
    pub last_hour: i64,
    /// In the longer window.
    pub last_day: i64,
}

/// From an event's receipt to the end of a job of this kind.
#[derive(Debug, Clone, sqlx::FromRow)]
pub struct Latency {
    /// The kind of job.
    pub kind: String,
    /// How many.
    pub jobs: i64,
    /// Median, milliseconds.
    pub p50_ms: f64,
    /// 95th percentile, milliseconds.
    pub p95_ms: f64,
    /// 99th percentile, milliseconds.
    pub p99_ms: f64,
}

/// All queues that there are, by name.
///
/// One pass over `jobs`, which holds only what is alive. Times are the database's, as the queue's are.
pub async fn list_queues(executor: impl PgExecutor<'_>) -> sqlx::Result<Vec<QueueDepth>> {
    sqlx::query_as(
        "select q.name as queue,
                q.paused_at is not null as paused,
                count(*) filter (where j.state = 'ready' and j.waiting_on is null and j.run_at <= now()) as ready,
                count(*) filter (where j.state = 'ready' and j.waiting_on is null and j.run_at > now())
                    as scheduled,
                count(*) filter (where j.state = 'ready' and j.waiting_on is not null) as waiting,
                count(*) filter (where j.state = 'running') as running,
                count(*) filter (where j.state = 'dead') as dead,
                extract(epoch from now() - min(j.run_at) filter
                    (where j.state = 'ready' and j.waiting_on is null and j.run_at <= now()))::bigint
                    as oldest_ready_s
           from pushbox.queues q
           left join pushbox.jobs j on j.queue = q.name
          group by q.name, q.paused_at
          order by q.name",
    )
    .fetch_all(executor)
    .await
}

/// Events received since `day_ago`, and of these since `hour_ago`, by source and code.
pub async fn count_events(
    executor: impl PgExecutor<'_>,
    hour_ago: DateTime<Utc>,
    day_ago: DateTime<Utc>,
) -> sqlx::Result<Vec<EventCount>> {
    sqlx::query_as(
        "select source, code, min(kind) as kind,
                count(*) filter (where received_at >= $1) as last_hour,
                count(*) as last_day
           from pushbox.events
          where received_at >= $2
          group by source, code
          order by last_day desc, source, code",
    )
    .bind(hour_ago)
    .bind(day_ago)
    .fetch_all(executor)
    .await
}

/// How often events were delivered again, over the events that were seen again since `since`.
pub async fn count_redeliveries(executor: impl PgExecutor<'_>, since: DateTime<Utc>) -> sqlx::Result<i64> {
    sqlx::query_scalar(
        "select coalesce(sum(redeliveries), 0)::bigint
           from pushbox.event_keys
          where redeliveries > 0 and last_seen_at >= $1",
    )
    .bind(since)
    .fetch_one(executor)
    .await
}

/// From an event's receipt to the end of its jobs that were done since `since`, by kind of job.
///
/// The event's time is read from its id (`UUIDv7`), which saves a join over all partitions.
pub async fn list_latencies(
    executor: impl PgExecutor<'_>,
    since: DateTime<Utc>,
) -> sqlx::Result<Vec<Latency>> {
    sqlx::query_as(
        "select kind, count(*) as jobs,
                percentile_cont(0.50) within group (order by took_ms) as p50_ms,
                percentile_cont(0.95) within group (order by took_ms) as p95_ms,
                percentile_cont(0.99) within group (order by took_ms) as p99_ms
           from (select kind,
                        (extract(epoch from finished_at) * 1000
                         - ('x' || left(replace(event_id::text, '-', ''), 12))::bit(48)::bigint)::float8
                            as took_ms
                   from pushbox.job_history
                  where finished_at >= $1 and outcome = 'done' and event_id is not null) done
          group by kind
          order by kind",
    )
    .bind(since)
    .fetch_all(executor)
    .await
}
