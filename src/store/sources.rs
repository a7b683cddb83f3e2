//! What is noted about sources beside their events: which key they use, how late they are, what looks like a
//! replay.

use chrono::{DateTime, Utc};
use sqlx::{PgConnection, PgExecutor};

/// How long bodies are remembered, in days: longer than any platform tries again.
const DAYS: i32 = 30;

/// A key of a source and when it last proved a push.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct KeyUse {
    /// Name of the source.
    pub source: String,
    /// Tells keys apart.
    pub fingerprint: String,
    /// How it is called.
    pub label: String,
    /// When it last proved a push.
    pub last_used_at: DateTime<Utc>,
}

/// Notes that a key proved a push.
///
/// # Errors
/// When the database refuses.
pub async fn note_key(connection: &mut PgConnection, one: &KeyUse) -> Result<(), sqlx::Error> {
    sqlx::query(
        "INSERT INTO pushbox.source_keys AS known (source, fingerprint, label, first_used_at, last_used_at)
         VALUES ($1, $2, $3, $4, $4)
         ON CONFLICT (source, fingerprint) DO UPDATE SET
             label = excluded.label, last_used_at = greatest(known.last_used_at, excluded.last_used_at)",
    )
    .bind(&one.source)
    .bind(&one.fingerprint)
    .bind(&one.label)
    .bind(one.last_used_at)
    .execute(connection)
    .await?;
    Ok(())
}

/// When each key was last used.
///
/// # Errors
/// When the database refuses.
pub async fn list_keys(executor: impl PgExecutor<'_>) -> Result<Vec<KeyUse>, sqlx::Error> {
    sqlx::query_as(
        "SELECT source, fingerprint, label, last_used_at FROM pushbox.source_keys ORDER BY source, label",
    )
    .fetch_all(executor)
    .await
}

/// What lately came of a source.
#[derive(Debug, Clone, PartialEq, sqlx::FromRow)]
pub struct SourceTraffic {
    /// Name of the source.
    pub source: String,
    /// Pushes stored in the last hour.
    pub events: i64,
    /// Seconds from what happened to its receipt; half of them were faster.
    pub late_p50_s: Option<f64>,
    /// 95 of 100 were faster.
    pub late_p95_s: Option<f64>,
    /// The latest.
    pub late_max_s: Option<f64>,
}

/// What came of each source in the last hour.
///
/// # Errors
/// When the database refuses.
pub async fn last_hour(executor: impl PgExecutor<'_>) -> Result<Vec<SourceTraffic>, sqlx::Error> {
    sqlx::query_as(
        "SELECT source, count(*) AS events,
                percentile_cont(0.5) WITHIN GROUP (ORDER BY late_s) AS late_p50_s,
                percentile_cont(0.95) WITHIN GROUP (ORDER BY late_s) AS late_p95_s, max(late_s) AS late_max_s
         FROM (SELECT source, extract(epoch FROM received_at - occurred_at)::float8 AS late_s
               FROM pushbox.events WHERE via = 'push' AND received_at > now() - interval '1 hour') timed
         GROUP BY source",
    )
    .fetch_all(executor)
    .await
}

/// How many there are of a source.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct SourceCount {
    /// Name of the source.
    pub source: String,
    /// How many.
    pub count: i64,
}

/// Refusals that are kept and not accepted, by source.
///
/// # Errors
/// When the database refuses.
pub async fn count_rejections(executor: impl PgExecutor<'_>) -> Result<Vec<SourceCount>, sqlx::Error> {
    sqlx::query_as(
        "SELECT source, sum(times)::bigint AS count FROM pushbox.rejections
         WHERE accepted_at IS NULL AND last_seen_at > now() - interval '1 day' GROUP BY source",
    )
    .fetch_all(executor)
    .await
}

/// Possible replays of the last day, by source.
///
/// # Errors
/// When the database refuses.
pub async fn count_replays(executor: impl PgExecutor<'_>) -> Result<Vec<SourceCount>, sqlx::Error> {
    sqlx::query_as(
        "SELECT source, count(*) AS count FROM pushbox.possible_replays
         WHERE received_at > now() - interval '1 day' GROUP BY source",
    )
    .fetch_all(executor)
    .await
}

/// Looks at the events of these sources since the last look, and notes those whose body came before under another
/// id; returns how many were not noted yet. Looks back a minute further, for what was committed late.
///
/// # Errors
/// When the database refuses.
pub async fn flag_replays(connection: &mut PgConnection, sources: &[&str]) -> Result<u64, sqlx::Error> {
    let done = sqlx::query(
        "WITH recent AS (
             SELECT id, source, body_sha256, received_at FROM pushbox.events
             WHERE source = ANY ($1)
               AND received_at >= coalesce((SELECT max(last_seen_at) FROM pushbox.body_hashes) - interval '1 minute',
                                           now() - interval '1 day')
         ), known AS (
             INSERT INTO pushbox.body_hashes AS known (source, body_sha256, event_id, last_seen_at)
             SELECT source, body_sha256, (array_agg(id ORDER BY received_at, id))[1], max(received_at)
             FROM recent GROUP BY source, body_sha256 ORDER BY source, body_sha256
             ON CONFLICT (source, body_sha256) DO UPDATE SET
                 last_seen_at = greatest(known.last_seen_at, excluded.last_seen_at)
             RETURNING source, body_sha256, event_id
         )
         INSERT INTO pushbox.possible_replays (event_id, source, of_event_id, received_at)
         SELECT recent.id, recent.source, known.event_id, recent.received_at
         FROM recent JOIN known USING (source, body_sha256) WHERE recent.id <> known.event_id
         ON CONFLICT DO NOTHING",
    )
    .bind(sources)
    .execute(connection)
    .await?;
    Ok(done.rows_affected())
}

/// Forgets bodies, and replays of them, whose time is over.
///
/// # Errors
/// When the database refuses.
pub async fn prune(connection: &mut PgConnection) -> Result<(), sqlx::Error> {
    for sql in [
        "DELETE FROM pushbox.body_hashes WHERE last_seen_at < now() - make_interval(days => $1)",
        "DELETE FROM pushbox.possible_replays WHERE received_at < now() - make_interval(days => $1)",
    ] {
        sqlx::query(sql).bind(DAYS).execute(&mut *connection).await?;
    }
    Ok(())
}
