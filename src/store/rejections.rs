//! Refused pushes: a capped sample of them, from which one can be accepted after the configuration was mended.

use chrono::{DateTime, Utc};
use sqlx::{PgConnection, PgExecutor, Postgres, QueryBuilder};
use uuid::Uuid;

/// How long a refusal is remembered, in days.
const DAYS: i32 = 30;

/// A refusal to keep.
#[derive(Debug, Clone)]
pub struct NewRejection {
    /// Name of the source it claimed to be from.
    pub source: String,
    /// Tells requests apart.
    pub fingerprint: [u8; 32],
    /// A spelling of `rejections.cause`.
    pub cause: &'static str,
    /// What was found out about it.
    pub reason: Option<String>,
    /// Whether the sender holds a key that is known here.
    pub near_miss: bool,
    /// Where it came from.
    pub address: Option<String>,
    /// The account in the path.
    pub account: Option<String>,
    /// Length of the body.
    pub body_bytes: i32,
    /// SHA-256 of the body.
    pub body_sha256: [u8; 32],
    /// Headers on the allow-list.
    pub headers: serde_json::Value,
    /// The request, sealed.
    pub sealed: Option<String>,
    /// For how long the request is kept, in seconds.
    pub sealed_seconds: i32,
    /// When it reached us.
    pub refused_at: DateTime<Utc>,
}

/// Keeps a refusal; the same request again is counted.
///
/// # Errors
/// When the database refuses.
pub async fn insert(connection: &mut PgConnection, one: &NewRejection) -> Result<(), sqlx::Error> {
    sqlx::query(
        "INSERT INTO pushbox.rejections AS known
             (source, fingerprint, cause, reason, near_miss, address, account, body_bytes, body_sha256, headers,
              sealed, sealed_until, refused_at, last_seen_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11,
                 CASE WHEN $11::text IS NOT NULL THEN now() + make_interval(secs => $12) END, $13, $13)
         ON CONFLICT (source, fingerprint) DO UPDATE SET
             times = known.times + 1, last_seen_at = greatest(known.last_seen_at, excluded.last_seen_at),
             reason = coalesce(excluded.reason, known.reason), near_miss = known.near_miss OR excluded.near_miss,
             address = excluded.address",
    )
    .bind(&one.source)
    .bind(one.fingerprint.as_slice())
    .bind(one.cause)
    .bind(&one.reason)
    .bind(one.near_miss)
    .bind(&one.address)
    .bind(&one.account)
    .bind(one.body_bytes)
    .bind(one.body_sha256.as_slice())
    .bind(&one.headers)
    .bind(&one.sealed)
    .bind(one.sealed_seconds)
    .bind(one.refused_at)
    .execute(connection)
    .await?;
    Ok(())
}

/// Forgets requests whose time is over, old refusals, and of each source all but the newest `kept` of those with
/// a near miss and the newest `kept` of the others: who only guesses cannot push out what matters.
///
/// # Errors
/// When the database refuses.
pub async fn prune(connection: &mut PgConnection, kept: i32) -> Result<u64, sqlx::Error> {
    sqlx::query(
        "UPDATE pushbox.rejections SET sealed = NULL, sealed_until = NULL WHERE sealed_until < now()",
    )
    .execute(&mut *connection)
    .await?;
    let done = sqlx::query(
        "DELETE FROM pushbox.rejections WHERE id IN (
             SELECT id FROM (
                 SELECT id, last_seen_at, row_number() OVER (
                     PARTITION BY source, near_miss ORDER BY last_seen_at DESC, id DESC) AS place
                 FROM pushbox.rejections) ranked
             WHERE place > $1 OR last_seen_at < now() - make_interval(days => $2))",
    )
    .bind(kept)
    .bind(DAYS)
    .execute(connection)
    .await?;
    Ok(done.rows_affected())
}

/// Which refusals; every part that is set must hold.
#[derive(Debug, Clone, Default)]
pub struct RejectionFilter {
    /// The source's name.
    pub source: Option<String>,
    /// The cause.
    pub cause: Option<String>,
    /// Where it came from.
    pub address: Option<String>,
    /// Only those whose sender holds a key that is known here, or only the others.
    pub near_miss: Option<bool>,
    /// Only those that a person has accepted, or only the others.
    pub accepted: Option<bool>,
}

/// A refusal.
#[derive(Debug, Clone, sqlx::FromRow)]
pub struct RejectionRow {
    /// Its number.
    pub id: i64,
    /// Name of the source.
    pub source: String,
    /// Tells requests apart.
    pub fingerprint: Vec<u8>,
    /// Why.
    pub cause: String,
    /// What was found out about it.
    pub reason: Option<String>,
    /// Whether the sender holds a key that is known here.
    pub near_miss: bool,
    /// Where it came from.
    pub address: Option<String>,
    /// The account in the path.
    pub account: Option<String>,
    /// Length of the body.
    pub body_bytes: i32,
    /// SHA-256 of the body.
    pub body_sha256: Vec<u8>,
    /// Headers on the allow-list.
    pub headers: serde_json::Value,
    /// The request, sealed; only while its time lasts.
    pub sealed: Option<String>,
    /// When the request is forgotten.
    pub sealed_until: Option<DateTime<Utc>>,
    /// When it was first refused.
    pub refused_at: DateTime<Utc>,
    /// When it was last refused.
    pub last_seen_at: DateTime<Utc>,
    /// How often.
    pub times: i32,
    /// When a person accepted it.
    pub accepted_at: Option<DateTime<Utc>>,
    /// The event it became.
    pub event_id: Option<Uuid>,
}

const SELECT: &str = "SELECT id, source, fingerprint, cause, reason, near_miss, address, account, body_bytes,
    body_sha256, headers, CASE WHEN sealed_until >= now() THEN sealed END AS sealed,
    CASE WHEN sealed_until >= now() THEN sealed_until END AS sealed_until, refused_at, last_seen_at, times,
    accepted_at, event_id FROM pushbox.rejections";

/// At most `limit` refusals that pass, newest first, with numbers below `before`.
///
/// # Errors
/// When the database refuses.
pub async fn list(
    executor: impl PgExecutor<'_>,
    filter: &RejectionFilter,
    before: Option<i64>,
    limit: u16,
) -> Result<Vec<RejectionRow>, sqlx::Error> {
    let mut query = QueryBuilder::<Postgres>::new(SELECT);
    query.push(" WHERE true");
    let texts = [
        (" AND source = ", &filter.source),
        (" AND cause = ", &filter.cause),
        (" AND address = ", &filter.address),
    ];
    for (condition, value) in texts {
        if let Some(value) = value {
            query.push(condition).push_bind(value.as_str());
        }
    }
    if let Some(near_miss) = filter.near_miss {
        query.push(" AND near_miss = ").push_bind(near_miss);
    }
    if let Some(accepted) = filter.accepted {
        query.push(" AND (accepted_at IS NOT NULL) = ").push_bind(accepted);
    }
    if let Some(before) = before {
        query.push(" AND id < ").push_bind(before);
    }
    query.push(" ORDER BY id DESC LIMIT ").push_bind(i64::from(limit));
    query.build_query_as().fetch_all(executor).await
}

/// One refusal.
///
/// # Errors
/// When the database refuses.
pub async fn find(executor: impl PgExecutor<'_>, id: i64) -> Result<Option<RejectionRow>, sqlx::Error> {
    let mut query = QueryBuilder::<Postgres>::new(SELECT);
    query.push(" WHERE id = ").push_bind(id);
    query.build_query_as().fetch_optional(executor).await
}

/// One refusal, held until the end of the transaction: who accepts it is alone.
///
/// # Errors
/// When the database refuses.
pub async fn lock(connection: &mut PgConnection, id: i64) -> Result<Option<RejectionRow>, sqlx::Error> {
    let mut query = QueryBuilder::<Postgres>::new(SELECT);
    query.push(" WHERE id = ").push_bind(id).push(" FOR UPDATE");
    query.build_query_as().fetch_optional(connection).await
}

/// Notes that a person accepted it, and forgets the request.
///
/// # Errors
/// When the database refuses.
pub async fn accept(connection: &mut PgConnection, id: i64, event_id: Uuid) -> Result<(), sqlx::Error> {
    sqlx::query(
        "UPDATE pushbox.rejections SET accepted_at = now(), event_id = $2, sealed = NULL, sealed_until = NULL
         WHERE id = $1",
    )
    .bind(id)
    .bind(event_id)
    .execute(connection)
    .await?;
    Ok(())
}
