//! Subscriptions at platforms that have an API for them, and how far polling has come.

use chrono::{DateTime, TimeDelta, Utc};
use sqlx::{PgConnection, PgExecutor};
use uuid::Uuid;

use crate::domain::event::received_at_of;

/// A subscription as it was last seen.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct SubscriptionRow {
    /// Name of the source.
    pub source: String,
    /// The event.
    pub topic: String,
    /// Where it is pushed.
    pub address: String,
    /// `active`, `missing` or `unknown`.
    pub state: String,
    /// Id at the platform.
    pub platform_id: Option<String>,
    /// Why it could not be looked at or created.
    pub error: Option<String>,
    /// When it was last looked at.
    pub checked_at: DateTime<Utc>,
    /// When pushbox created it.
    pub created_at: Option<DateTime<Utc>>,
}

/// What was found out about a subscription.
#[derive(Debug, Clone, Copy)]
pub struct Seen<'a> {
    /// Name of the source.
    pub source: &'a str,
    /// The event.
    pub topic: &'a str,
    /// Where it should be pushed.
    pub address: &'a str,
    /// A spelling of the state.
    pub state: &'a str,
    /// Id at the platform.
    pub platform_id: Option<&'a str>,
    /// Why it could not be looked at or created.
    pub error: Option<&'a str>,
    /// Whether it was created just now.
    pub created: bool,
}

/// Notes it.
///
/// # Errors
/// When the database refuses.
pub async fn note(connection: &mut PgConnection, seen: &Seen<'_>) -> Result<(), sqlx::Error> {
    sqlx::query(
        "INSERT INTO pushbox.subscriptions AS known (source, topic, address, state, platform_id, error, created_at)
         VALUES ($1, $2, $3, $4, $5, $6, CASE WHEN $7 THEN now() END)
         ON CONFLICT (source, topic) DO UPDATE SET
             address = excluded.address, state = excluded.state, error = excluded.error, checked_at = now(),
             platform_id = coalesce(excluded.platform_id, known.platform_id),
             created_at = coalesce(excluded.created_at, known.created_at)",
    )
    .bind(seen.source)
    .bind(seen.topic)
    .bind(seen.address)
    .bind(seen.state)
    .bind(seen.platform_id)
    .bind(seen.error)
    .bind(seen.created)
    .execute(connection)
    .await?;
    Ok(())
}

/// Forgets the other topics of a source.
///
/// # Errors
/// When the database refuses.
pub async fn keep_only(
    connection: &mut PgConnection,
    source: &str,
    topics: &[String],
) -> Result<(), sqlx::Error> {
    sqlx::query("DELETE FROM pushbox.subscriptions WHERE source = $1 AND topic <> ALL ($2)")
        .bind(source)
        .bind(topics)
        .execute(connection)
        .await?;
    Ok(())
}

/// All of them, of one source or of every.
///
/// # Errors
/// When the database refuses.
pub async fn list(
    executor: impl PgExecutor<'_>,
    source: Option<&str>,
) -> Result<Vec<SubscriptionRow>, sqlx::Error> {
    sqlx::query_as(
        "SELECT source, topic, address, state, platform_id, error, checked_at, created_at
         FROM pushbox.subscriptions WHERE $1::text IS NULL OR source = $1 ORDER BY source, topic",
    )
    .bind(source)
    .fetch_all(executor)
    .await
}

/// Up to when an account was polled; none when it never was.
///
/// # Errors
/// When the database refuses.
pub async fn polled_until(
    executor: impl PgExecutor<'_>,
    platform: &str,
    account: &str,
) -> Result<Option<DateTime<Utc>>, sqlx::Error> {
    sqlx::query_scalar(
        "SELECT max(time_to) FROM pushbox.reconciliations
         WHERE platform = $1 AND shop_id = $2 AND kind = 'orders' AND state = 'done'",
    )
    .bind(platform)
    .bind(account)
    .fetch_one(executor)
    .await
}

/// What polling came to.
#[derive(Debug, Clone, Copy)]
pub struct Polled<'a> {
    /// The platform.
    pub platform: &'a str,
    /// The account.
    pub account: &'a str,
    /// Changes from this time on,
    pub from: DateTime<Utc>,
    /// up to this one.
    pub to: DateTime<Utc>,
    /// Orders that were listed.
    pub listed: i32,
    /// Of these, changes that nobody had told of.
    pub found: i32,
    /// Why it failed.
    pub error: Option<&'a str>,
}

/// Keeps the record of it.
///
/// # Errors
/// When the database refuses.
pub async fn note_polled(connection: &mut PgConnection, polled: &Polled<'_>) -> Result<(), sqlx::Error> {
    sqlx::query(
        "INSERT INTO pushbox.reconciliations
             (platform, shop_id, kind, time_from, time_to, state, listed, found, known, error, started_at, finished_at)
         VALUES ($1, $2, 'orders', $3, $4, CASE WHEN $7::text IS NULL THEN 'done' ELSE 'failed' END, $5, $6, $5 - $6,
                 $7, now(), now())",
    )
    .bind(polled.platform)
    .bind(polled.account)
    .bind(polled.from)
    .bind(polled.to)
    .bind(polled.listed)
    .bind(polled.found)
    .bind(polled.error)
    .execute(connection)
    .await?;
    Ok(())
}

/// The clocks of these orders as we know them, stored or told of by an event that is still on its way; orders
/// that are not known are left out.
///
/// # Errors
/// When the database refuses.
pub async fn order_clocks(
    executor: impl PgExecutor<'_>,
    platform: &str,
    source: &str,
    account: &str,
    numbers: &[String],
) -> Result<Vec<(String, DateTime<Utc>)>, sqlx::Error> {
    sqlx::query_as(
        "SELECT order_sn, max(clock) FROM (
             SELECT order_sn, update_time AS clock FROM pushbox.orders
             WHERE platform = $1 AND shop_id = $3 AND order_sn = ANY ($4)
             UNION ALL
             SELECT subject, occurred_at FROM pushbox.events
             WHERE subject = ANY ($4) AND source = $2 AND account = $3 AND starts_with(code, 'orders/')
               AND received_at > now() - interval '30 days') AS known
         WHERE clock IS NOT NULL GROUP BY order_sn",
    )
    .bind(platform)
    .bind(source)
    .bind(account)
    .bind(numbers)
    .fetch_all(executor)
    .await
}

/// Those of these pushes whose news polling had found, and announced, before they came: of the same order, not
/// newer than what was found.
///
/// # Errors
/// When the database refuses.
pub async fn found_before(connection: &mut PgConnection, events: &[Uuid]) -> Result<Vec<Uuid>, sqlx::Error> {
    let times: Vec<DateTime<Utc>> = events.iter().filter_map(|id| received_at_of(*id)).collect();
    let (Some(first), Some(last)) = (times.iter().min(), times.iter().max()) else { return Ok(Vec::new()) };
    sqlx::query_scalar(
        "SELECT late.id FROM pushbox.events late
         WHERE late.id = ANY ($1) AND late.received_at >= $2 AND late.received_at < $3 AND late.via = 'push'
           AND EXISTS (SELECT FROM pushbox.events found
                       WHERE found.subject = late.subject AND found.source = late.source
                         AND found.account = late.account AND found.via = 'reconcile'
                         AND found.occurred_at >= late.occurred_at AND found.received_at <= late.received_at
                         AND found.received_at > late.received_at - interval '4 days')",
    )
    .bind(events)
    .bind(first)
    .bind(*last + TimeDelta::milliseconds(1))
    .fetch_all(connection)
    .await
}
