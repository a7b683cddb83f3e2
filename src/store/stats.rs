//! Counts over events and jobs, for people and dashboards. Nothing here locks or changes anything.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use sqlx::PgExecutor;

use super::series::Delays;

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

/// Events received since `day_ago`, and of these since `hour_ago`, by source and code: from the counts per
/// minute, so a few seconds old.
pub async fn count_events(
    executor: impl PgExecutor<'_>,
    hour_ago: DateTime<Utc>,
    day_ago: DateTime<Utc>,
) -> sqlx::Result<Vec<EventCount>> {
    sqlx::query_as(
        "select source, code, min(kind) as kind,
                coalesce(sum(events) filter (where starts >= $1), 0)::bigint as last_hour,
                sum(events)::bigint as last_day
           from pushbox.event_counts
          where width_s = 60 and starts >= $2
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

/// From an event's receipt to the end of its jobs that were done since `since`, by kind of job: from the counts
/// per minute, right within a fifth.
pub async fn list_latencies(
    executor: impl PgExecutor<'_>,
    since: DateTime<Utc>,
) -> sqlx::Result<Vec<Latency>> {
    let buckets: Vec<(String, i16, i64)> = sqlx::query_as(
        "select kind, bucket, sum(jobs)::bigint from pushbox.job_counts
          where width_s = 60 and starts >= $1 group by kind, bucket",
    )
    .bind(since)
    .fetch_all(executor)
    .await?;
    let mut kinds: BTreeMap<String, Delays> = BTreeMap::new();
    for (kind, bucket, jobs) in buckets {
        kinds.entry(kind).or_default().add(bucket, jobs);
    }
    let latency = |(kind, delays): (String, Delays)| Latency {
        kind,
        jobs: delays.jobs(),
        p50_ms: delays.percentile(0.50),
        p95_ms: delays.percentile(0.95),
        p99_ms: delays.percentile(0.99),
    };
    Ok(kinds.into_iter().map(latency).collect())
}

/// A text that changes whenever something happened that a page shows: events and jobs that come, jobs that
/// move on, changes that people make. Costs a look at small tables and the ends of a few indexes.
pub async fn fingerprint(executor: impl PgExecutor<'_>) -> sqlx::Result<String> {
    sqlx::query_scalar(
        "select concat_ws('/',
                (select id from pushbox.events order by received_at desc, id desc limit 1),
                (select last_value from pushbox.jobs_id_seq),
                (select string_agg(concat(queue, state, n), ',' order by queue, state)
                   from (select queue, state, count(*) as n from pushbox.jobs group by queue, state) counted),
                (select seq from pushbox.admin_chain),
                (select sum(changed) from pushbox.bulk_operations where state in ('waiting', 'running')),
                (select max(finished_at) from pushbox.bulk_operations),
                (select max(id) from pushbox.schedule_runs),
                (select count(*) from pushbox.schedules where current_run is not null),
                (select max(id) || ':' || count(*) filter (where resolved_at is null) from pushbox.alerts))",
    )
    .fetch_one(executor)
    .await
}
