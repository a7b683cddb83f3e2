//! How often pushes usually come, and how they were answered: what silence and success are judged by.

use std::time::Duration;

use chrono::{DateTime, Utc};
use sqlx::{PgConnection, PgExecutor};

/// Days over which the longest waits are remembered.
const DAYS: i32 = 14;

/// How far the events have been read, and since when without a break.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Watched {
    /// Everything received before was read.
    pub to: DateTime<Utc>,
    /// Since when somebody has been watching without a break.
    pub since: DateTime<Utc>,
}

const READ_TO: &str = "push_rhythms";
const SINCE: &str = "push_rhythms:since";

/// Moves on to `lag` ago, under a lock that is held until the transaction ends; returns where the reading goes on
/// (`from`) and where it stands now. After a break longer than `longest_break` it is noted that nobody watched: a
/// wait that includes our own absence says nothing about the platform.
///
/// # Errors
/// When the database refuses.
pub async fn advance(
    transaction: &mut PgConnection,
    lag: Duration,
    longest_break: Duration,
) -> Result<(DateTime<Utc>, Watched), sqlx::Error> {
    sqlx::query(
        "INSERT INTO pushbox.watermarks (name, at)
         SELECT name, now() - $3 * interval '1 second' FROM unnest(ARRAY[$1, $2]) AS name ON CONFLICT DO NOTHING",
    )
    .bind(READ_TO)
    .bind(SINCE)
    .bind(lag.as_secs_f64())
    .execute(&mut *transaction)
    .await?;
    let from: DateTime<Utc> =
        sqlx::query_scalar("SELECT at FROM pushbox.watermarks WHERE name = $1 FOR UPDATE")
            .bind(READ_TO)
            .fetch_one(&mut *transaction)
            .await?;
    let to: DateTime<Utc> = sqlx::query_scalar(
        "UPDATE pushbox.watermarks SET at = greatest(at, now() - $2 * interval '1 second')
         WHERE name = $1 RETURNING at",
    )
    .bind(READ_TO)
    .bind(lag.as_secs_f64())
    .fetch_one(&mut *transaction)
    .await?;
    let since: DateTime<Utc> = sqlx::query_scalar(
        "UPDATE pushbox.watermarks SET at = CASE WHEN $2 > $3 + $4 * interval '1 second' THEN $2 ELSE at END
         WHERE name = $1 RETURNING at",
    )
    .bind(SINCE)
    .bind(to)
    .bind(from)
    .bind(longest_break.as_secs_f64())
    .fetch_one(transaction)
    .await?;
    Ok((from, Watched { to, since }))
}

/// Takes up the live pushes that were received after `from` and up to `watched.to`: per shop and code, and per
/// source as a whole (account and code empty). Returns how many there were.
///
/// # Errors
/// When the database refuses.
pub async fn learn(
    transaction: &mut PgConnection,
    from: DateTime<Utc>,
    watched: Watched,
) -> Result<i64, sqlx::Error> {
    sqlx::query_scalar(
        "WITH fresh AS (
             SELECT source, account, code, received_at FROM pushbox.events
             WHERE received_at > $1 AND received_at <= $2 AND via = 'push'
         ), keyed AS (
             SELECT source, account, code, received_at FROM fresh WHERE account IS NOT NULL
             UNION ALL SELECT source, '', '', received_at FROM fresh
         ), waited AS (
             SELECT *, extract(epoch FROM received_at - lag(received_at)
                        OVER (PARTITION BY source, account, code ORDER BY received_at))::float8 AS gap FROM keyed
         ), sums AS (
             SELECT source, account, code, count(*) AS events, min(received_at) AS first_at,
                    max(received_at) AS last_at, max(gap) AS gap
             FROM waited GROUP BY source, account, code ORDER BY source, account, code
         ), kept AS (
             INSERT INTO pushbox.push_rhythms AS r (source, account, code, events, first_at, last_at, longest_gaps)
             SELECT source, account, code, events, first_at, last_at, CASE WHEN gap IS NULL THEN '{}'::jsonb
                    ELSE jsonb_build_object((last_at AT TIME ZONE 'UTC')::date::text, gap) END
             FROM sums
             ON CONFLICT (source, account, code) DO UPDATE SET
                 events = r.events + excluded.events, last_at = greatest(r.last_at, excluded.last_at),
                 longest_gaps = (
                     SELECT coalesce(jsonb_object_agg(day, longest), '{}') FROM (
                         SELECT day, max(gap) AS longest FROM (
                             SELECT key AS day, value::float8 AS gap FROM jsonb_each_text(r.longest_gaps)
                             WHERE key >= ((now() AT TIME ZONE 'UTC')::date - $4)::text
                             UNION ALL SELECT key, value::float8 FROM jsonb_each_text(excluded.longest_gaps)
                             UNION ALL SELECT (excluded.first_at AT TIME ZONE 'UTC')::date::text,
                                              extract(epoch FROM excluded.first_at - r.last_at)::float8
                             WHERE r.last_at >= $3) AS gaps
                         GROUP BY day) AS days)
         )
         SELECT count(*) FROM fresh",
    )
    .bind(from)
    .bind(watched.to)
    .bind(watched.since)
    .bind(DAYS)
    .fetch_one(transaction)
    .await
}

/// Whether events of one of these codes were received after `from` and up to `to`, however they came.
///
/// # Errors
/// When the database refuses.
pub async fn any_of(
    connection: &mut PgConnection,
    source: &str,
    codes: &[String],
    from: DateTime<Utc>,
    to: DateTime<Utc>,
) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar(
        "SELECT EXISTS (SELECT FROM pushbox.events
                        WHERE received_at > $3 AND received_at <= $4 AND source = $1 AND code = ANY ($2))",
    )
    .bind(source)
    .bind(codes)
    .bind(from)
    .bind(to)
    .fetch_one(connection)
    .await
}

/// The rhythm of one kind of pushes.
#[derive(Debug, Clone, PartialEq, sqlx::FromRow)]
pub struct Rhythm {
    /// Source of the pushes.
    pub source: String,
    /// The shop; empty: the source as a whole.
    pub account: String,
    /// The code; empty: every code.
    pub code: String,
    /// Pushes so far.
    pub events: i64,
    /// Days since the first.
    pub age_days: f64,
    /// Seconds since the last, or since somebody watches.
    pub silent_s: f64,
    /// The longest wait of the last two weeks in seconds; none: there was none yet.
    pub longest_gap_s: Option<f64>,
}

/// Every rhythm as it stands at `watched.to`, but for shops that we are not to call.
///
/// # Errors
/// When the database refuses.
pub async fn list(executor: impl PgExecutor<'_>, watched: Watched) -> Result<Vec<Rhythm>, sqlx::Error> {
    sqlx::query_as(
        "SELECT r.source, r.account, r.code, r.events,
                (extract(epoch FROM $1 - r.first_at) / 86400)::float8 AS age_days,
                greatest(0, extract(epoch FROM $1 - greatest(r.last_at, $2)))::float8 AS silent_s,
                (SELECT max(value::float8) FROM jsonb_each_text(r.longest_gaps)) AS longest_gap_s
         FROM pushbox.push_rhythms r
         WHERE NOT EXISTS (SELECT FROM pushbox.shops s WHERE s.platform = r.source AND s.shop_id = r.account
                             AND s.state <> 'active')
         ORDER BY r.source, r.account, r.code",
    )
    .bind(watched.to)
    .bind(watched.since)
    .fetch_all(executor)
    .await
}

/// How pushes of a source were answered.
#[derive(Debug, Clone, Default, PartialEq, Eq, sqlx::FromRow)]
pub struct Answered {
    /// The source.
    pub source: String,
    /// 2xx.
    pub accepted: i64,
    /// 4xx.
    pub refused: i64,
    /// 5xx.
    pub failed: i64,
}

/// Adds answers of one process to those of the five minutes that run now.
///
/// # Errors
/// When the database refuses.
pub async fn add_answers(executor: impl PgExecutor<'_>, answers: &[Answered]) -> Result<(), sqlx::Error> {
    let column = |value: fn(&Answered) -> i64| answers.iter().map(value).collect::<Vec<_>>();
    sqlx::query(
        "INSERT INTO pushbox.push_answers AS a (source, at, accepted, refused, failed)
         SELECT source, date_bin('5 minutes', now(), 'epoch'), accepted, refused, failed
         FROM unnest($1::text[], $2::bigint[], $3::bigint[], $4::bigint[])
              AS t(source, accepted, refused, failed) ORDER BY source
         ON CONFLICT (source, at) DO UPDATE SET accepted = a.accepted + excluded.accepted,
             refused = a.refused + excluded.refused, failed = a.failed + excluded.failed",
    )
    .bind(answers.iter().map(|one| one.source.as_str()).collect::<Vec<_>>())
    .bind(column(|one| one.accepted))
    .bind(column(|one| one.refused))
    .bind(column(|one| one.failed))
    .execute(executor)
    .await?;
    Ok(())
}

/// Answers of the last so many hours, by source; forgets those older than a week.
///
/// # Errors
/// When the database refuses.
pub async fn sum_answers(connection: &mut PgConnection, hours: i32) -> Result<Vec<Answered>, sqlx::Error> {
    sqlx::query("DELETE FROM pushbox.push_answers WHERE at < now() - interval '7 days'")
        .execute(&mut *connection)
        .await?;
    sqlx::query_as(
        "SELECT source, sum(accepted)::bigint AS accepted, sum(refused)::bigint AS refused,
                sum(failed)::bigint AS failed
         FROM pushbox.push_answers WHERE at > now() - $1 * interval '1 hour' GROUP BY source ORDER BY source",
    )
    .bind(hours)
    .fetch_all(connection)
    .await
}
