//! What was counted, as statistics read it: small tables only, whatever the size of the history.

use chrono::{DateTime, Utc};
use sqlx::PgExecutor;

use super::roll_up::{GROWTH, LAST_BUCKET};

/// Jobs done in one bucket of delays.
#[derive(Debug, Clone, sqlx::FromRow)]
pub struct JobBucket {
    /// When the span begins.
    pub at: DateTime<Utc>,
    /// The kind of job.
    pub kind: String,
    /// The bucket.
    pub bucket: i16,
    /// How many.
    pub jobs: i64,
    /// Attempts they took.
    pub attempts: i64,
}

/// Delays of jobs, as counts per bucket.
#[derive(Debug, Clone)]
pub struct Delays([i64; LAST_BUCKET as usize + 1]);

impl Default for Delays {
    fn default() -> Self {
        Self([0; LAST_BUCKET as usize + 1])
    }
}

impl Delays {
    /// Adds jobs to a bucket.
    pub fn add(&mut self, bucket: i16, jobs: i64) {
        let bucket = usize::try_from(bucket.clamp(0, LAST_BUCKET)).unwrap_or(0);
        self.0[bucket] += jobs;
    }

    /// How many jobs.
    pub fn jobs(&self) -> i64 {
        self.0.iter().sum()
    }

    /// So many milliseconds at most it took `share` of the jobs; within a fifth, in the middle of the bucket.
    #[expect(clippy::cast_precision_loss, reason = "counts of jobs are far below 2^52")]
    pub fn percentile(&self, share: f64) -> f64 {
        let wanted = (self.jobs() as f64 * share).max(1.0);
        let mut seen = 0;
        for (bucket, jobs) in (0_i32..).zip(self.0) {
            seen += jobs;
            if seen as f64 >= wanted {
                return GROWTH.powi(bucket) * GROWTH.sqrt();
            }
        }
        0.0
    }
}

/// Events of one source and code in a span.
#[derive(Debug, Clone, sqlx::FromRow)]
pub struct EventSpan {
    /// When the span begins.
    pub at: DateTime<Utc>,
    /// How many.
    pub events: i64,
}

/// How full the queues were in a span: the most that was seen.
#[derive(Debug, Clone, sqlx::FromRow)]
pub struct QueueSpan {
    /// When the span begins.
    pub at: DateTime<Utc>,
    /// Jobs that waited, in all queues.
    pub waiting: i64,
    /// The oldest due job's age in seconds.
    pub oldest_s: i64,
    /// Jobs given up, in all queues.
    pub dead: i64,
}

/// Events since `since` in spans of `span_s` seconds, oldest first; `width_s` is the width of the counts read.
pub async fn list_event_spans(
    executor: impl PgExecutor<'_>,
    since: DateTime<Utc>,
    width_s: i32,
    span_s: f64,
) -> sqlx::Result<Vec<EventSpan>> {
    sqlx::query_as(
        "select date_bin(make_interval(secs => $3), starts, 'epoch') as at, sum(events)::bigint as events
           from pushbox.event_counts where width_s = $2 and starts >= $1
          group by 1 order by 1",
    )
    .bind(since)
    .bind(width_s)
    .bind(span_s)
    .fetch_all(executor)
    .await
}

/// Jobs done since `since` by span, kind and bucket, oldest first.
pub async fn list_job_buckets(
    executor: impl PgExecutor<'_>,
    since: DateTime<Utc>,
    width_s: i32,
    span_s: f64,
) -> sqlx::Result<Vec<JobBucket>> {
    sqlx::query_as(
        "select date_bin(make_interval(secs => $3), starts, 'epoch') as at, kind, bucket,
                sum(jobs)::bigint as jobs, sum(attempts)::bigint as attempts
           from pushbox.job_counts where width_s = $2 and starts >= $1
          group by 1, 2, 3 order by 1, 2, 3",
    )
    .bind(since)
    .bind(width_s)
    .bind(span_s)
    .fetch_all(executor)
    .await
}

/// How full the queues were since `since`, oldest first.
pub async fn list_queue_spans(
    executor: impl PgExecutor<'_>,
    since: DateTime<Utc>,
    span_s: f64,
) -> sqlx::Result<Vec<QueueSpan>> {
    sqlx::query_as(
        "select date_bin(make_interval(secs => $2), at, 'epoch') as at, max(waiting)::bigint as waiting,
                max(oldest_s)::bigint as oldest_s, max(dead)::bigint as dead
           from (select at, sum(waiting) as waiting, max(oldest_ready_s) as oldest_s, sum(dead) as dead
                   from pushbox.queue_samples where at >= $1 group by at) sampled
          group by 1 order by 1",
    )
    .bind(since)
    .bind(span_s)
    .fetch_all(executor)
    .await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_right_within_a_fifth() {
        let mut delays = Delays::default();
        assert!(delays.percentile(0.5).abs() < f64::EPSILON, "nothing took no time");
        for milliseconds in 1..=10_000_u32 {
            #[expect(clippy::cast_possible_truncation, reason = "the logarithm is small")]
            let bucket = (f64::from(milliseconds).ln() / GROWTH.ln()).floor() as i16;
            delays.add(bucket, 1);
        }
        assert_eq!(delays.jobs(), 10_000);
        for (share, truth) in [(0.5, 5_000.0), (0.95, 9_500.0), (0.99, 9_900.0)] {
            let found = delays.percentile(share);
            assert!((found / truth - 1.0).abs() < 0.2, "p{share}: {found} for {truth}");
        }
        delays.add(i16::MAX, 1);
        delays.add(-1, 1);
        assert_eq!(delays.jobs(), 10_002);
    }
}
