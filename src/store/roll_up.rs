//! Counts per minute and per quarter of an hour, written every few seconds from the last minutes of the
//! history, so that statistics never read more of it than that. The hot path pays nothing.
//!
//! A minute is counted anew until it is over for [`SETTLED_AFTER`], because transactions commit a moment after
//! the time they carry; then it is closed and the watermark moves on. After a standstill it catches up an
//! hour at a time.

use chrono::{DateTime, DurationRound, TimeDelta, Utc};
use sqlx::{PgConnection, PgPool};

/// A minute is closed when it has been over for so long.
const SETTLED_AFTER: TimeDelta = TimeDelta::seconds(90);

/// The most that is counted in one transaction.
const STEP: TimeDelta = TimeDelta::hours(1);

/// How far back counting begins on a database that was never counted.
const REACH: TimeDelta = TimeDelta::days(8);

/// One growth of the buckets of delays: a delay is known to a fifth.
pub const GROWTH: f64 = 1.2;

/// The highest bucket; delays beyond 29 hours are in it.
pub const LAST_BUCKET: i16 = 101;

/// Notes how full the queues are and counts what is not counted yet, for at most an hour of history. Returns
/// whether it has caught up; true as well when another process is at it.
///
/// # Errors
/// When the database refuses.
pub async fn roll_up(pool: &PgPool) -> Result<bool, sqlx::Error> {
    let mut transaction = super::begin(pool).await?;
    let ours: bool = sqlx::query_scalar("SELECT pg_try_advisory_xact_lock(hashtext('pushbox.roll_up'))")
        .fetch_one(&mut *transaction)
        .await?;
    if !ours {
        return Ok(true);
    }
    sample_queues(&mut transaction).await?;
    // No job ends before the first event came.
    let (now, mark): (DateTime<Utc>, Option<DateTime<Utc>>) = sqlx::query_as(
        "SELECT clock_timestamp(), coalesce((SELECT at FROM pushbox.watermarks WHERE name = 'roll_up'),
                                            (SELECT min(received_at) FROM pushbox.events))",
    )
    .fetch_one(&mut *transaction)
    .await?;
    let from = minute(mark.unwrap_or(now - SETTLED_AFTER).max(now - REACH));
    let to = (from + STEP).min(now + TimeDelta::minutes(1));
    count_minutes(&mut transaction, from, to).await?;
    add_up_quarters(&mut transaction, from, to).await?;
    let closed = minute(to.min(now - SETTLED_AFTER)).max(from);
    sqlx::query(
        "INSERT INTO pushbox.watermarks (name, at) VALUES ('roll_up', $1)
         ON CONFLICT (name) DO UPDATE SET at = excluded.at",
    )
    .bind(closed)
    .execute(&mut *transaction)
    .await?;
    let caught_up = to > now;
    // Not before: a quarter of an hour is added up from all of its minutes.
    if caught_up {
        forget(&mut transaction).await?;
    }
    transaction.commit().await?;
    Ok(caught_up)
}

fn minute(at: DateTime<Utc>) -> DateTime<Utc> {
    at.duration_trunc(TimeDelta::minutes(1)).unwrap_or(at)
}

async fn count_minutes(
    connection: &mut PgConnection,
    from: DateTime<Utc>,
    to: DateTime<Utc>,
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "INSERT INTO pushbox.event_counts AS c (width_s, starts, source, code, kind, events)
         SELECT 60, date_trunc('minute', received_at), source, code, min(kind), count(*)
         FROM pushbox.events WHERE received_at >= $1 AND received_at < $2
         GROUP BY date_trunc('minute', received_at), source, code
         ON CONFLICT (width_s, starts, source, code) DO UPDATE SET events = excluded.events
         WHERE c.events <> excluded.events",
    )
    .bind(from)
    .bind(to)
    .execute(&mut *connection)
    .await?;
    // The event's time is read from its id, which saves a join over all partitions.
    sqlx::query(
        "INSERT INTO pushbox.job_counts AS c (width_s, starts, kind, bucket, jobs, attempts)
         SELECT 60, date_trunc('minute', finished_at), kind, bucket, count(*), sum(attempt)
         FROM (SELECT finished_at, kind, attempt,
                      least($4, greatest(0, floor(ln(greatest(1.0, extract(epoch FROM finished_at)::float8 * 1000
                          - ('x' || left(replace(event_id::text, '-', ''), 12))::bit(48)::bigint)) / ln($3))))::smallint
                          AS bucket
               FROM pushbox.job_history
               WHERE finished_at >= $1 AND finished_at < $2 AND outcome = 'done' AND event_id IS NOT NULL) done
         GROUP BY date_trunc('minute', finished_at), kind, bucket
         ON CONFLICT (width_s, starts, kind, bucket) DO UPDATE SET jobs = excluded.jobs, attempts = excluded.attempts
         WHERE c.jobs <> excluded.jobs",
    )
    .bind(from)
    .bind(to)
    .bind(GROWTH)
    .bind(f64::from(LAST_BUCKET))
    .execute(connection)
    .await?;
    Ok(())
}

/// The quarters of an hour that these minutes are in.
async fn add_up_quarters(
    connection: &mut PgConnection,
    from: DateTime<Utc>,
    to: DateTime<Utc>,
) -> Result<(), sqlx::Error> {
    let quarter = TimeDelta::minutes(15);
    let from = from.duration_trunc(quarter).unwrap_or(from);
    sqlx::query(
        "INSERT INTO pushbox.event_counts AS c (width_s, starts, source, code, kind, events)
         SELECT 900, date_bin('15 min', starts, 'epoch'), source, code, min(kind), sum(events)
         FROM pushbox.event_counts WHERE width_s = 60 AND starts >= $1 AND starts < $2
         GROUP BY date_bin('15 min', starts, 'epoch'), source, code
         ON CONFLICT (width_s, starts, source, code) DO UPDATE SET events = excluded.events
         WHERE c.events <> excluded.events",
    )
    .bind(from)
    .bind(to)
    .execute(&mut *connection)
    .await?;
    sqlx::query(
        "INSERT INTO pushbox.job_counts AS c (width_s, starts, kind, bucket, jobs, attempts)
         SELECT 900, date_bin('15 min', starts, 'epoch'), kind, bucket, sum(jobs), sum(attempts)
         FROM pushbox.job_counts WHERE width_s = 60 AND starts >= $1 AND starts < $2
         GROUP BY date_bin('15 min', starts, 'epoch'), kind, bucket
         ON CONFLICT (width_s, starts, kind, bucket) DO UPDATE SET jobs = excluded.jobs, attempts = excluded.attempts
         WHERE c.jobs <> excluded.jobs",
    )
    .bind(from)
    .bind(to)
    .execute(connection)
    .await?;
    Ok(())
}

/// Minutes are kept for two days, quarters of an hour and samples for a month.
async fn forget(connection: &mut PgConnection) -> Result<(), sqlx::Error> {
    for statement in [
        "DELETE FROM pushbox.event_counts WHERE width_s = 60 AND starts < now() - interval '2 days'",
        "DELETE FROM pushbox.event_counts WHERE width_s = 900 AND starts < now() - interval '31 days'",
        "DELETE FROM pushbox.job_counts WHERE width_s = 60 AND starts < now() - interval '2 days'",
        "DELETE FROM pushbox.job_counts WHERE width_s = 900 AND starts < now() - interval '31 days'",
        "DELETE FROM pushbox.queue_samples WHERE at < now() - interval '31 days'",
    ] {
        sqlx::query(statement).execute(&mut *connection).await?;
    }
    Ok(())
}

/// Notes how full each queue is, once a minute however often it is called.
async fn sample_queues(connection: &mut PgConnection) -> Result<(), sqlx::Error> {
    sqlx::query(
        "INSERT INTO pushbox.queue_samples (at, queue, waiting, running, dead, oldest_ready_s)
         SELECT date_trunc('minute', now()), q.name, count(*) FILTER (WHERE j.state = 'ready'),
                count(*) FILTER (WHERE j.state = 'running'), count(*) FILTER (WHERE j.state = 'dead'),
                coalesce(extract(epoch FROM now() - min(j.run_at) FILTER
                    (WHERE j.state = 'ready' AND j.waiting_on IS NULL AND j.run_at <= now()))::bigint, 0)
         FROM pushbox.queues q LEFT JOIN pushbox.jobs j ON j.queue = q.name
         WHERE NOT EXISTS (SELECT FROM pushbox.queue_samples WHERE at = date_trunc('minute', now()))
         GROUP BY q.name
         ON CONFLICT (at, queue) DO NOTHING",
    )
    .execute(connection)
    .await?;
    Ok(())
}
