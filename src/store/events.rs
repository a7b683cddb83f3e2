//! Events as jobs need them.

use chrono::{DateTime, TimeDelta, Utc};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::domain::event::received_at_of;

/// The part of an event that routes it.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct EventHead {
    /// The event.
    pub id: Uuid,
    /// Its source.
    pub source: String,
    /// Its account.
    pub account: Option<String>,
    /// Its code.
    pub code: String,
    /// When it reached us.
    pub received_at: DateTime<Utc>,
}

/// The heads of these events, in order of receipt; those dropped by retention are left out. The ids tell the
/// days, so that only their partitions are read.
///
/// # Errors
/// When the database refuses.
pub async fn list_heads(connection: &mut PgConnection, ids: &[Uuid]) -> Result<Vec<EventHead>, sqlx::Error> {
    let times: Vec<DateTime<Utc>> = ids.iter().filter_map(|id| received_at_of(*id)).collect();
    let (Some(first), Some(last)) = (times.iter().min(), times.iter().max()) else { return Ok(Vec::new()) };
    sqlx::query_as(
        "SELECT id, source, account, code, received_at FROM pushbox.events
         WHERE id = ANY ($1) AND received_at >= $2 AND received_at < $3
         ORDER BY received_at, id",
    )
    .bind(ids)
    .bind(first)
    .bind(*last + TimeDelta::milliseconds(1))
    .fetch_all(connection)
    .await
}

/// Forgets up to `limit` idempotency keys whose time is over; returns how many.
///
/// # Errors
/// When the database refuses.
pub async fn prune_keys(connection: &mut PgConnection, limit: i64) -> Result<u64, sqlx::Error> {
    let done = sqlx::query(
        "DELETE FROM pushbox.event_keys WHERE (source, key) IN (
             SELECT source, key FROM pushbox.event_keys WHERE expires_at < now() ORDER BY expires_at LIMIT $1
             FOR UPDATE SKIP LOCKED)",
    )
    .bind(limit)
    .execute(connection)
    .await?;
    Ok(done.rows_affected())
}

/// Makes the daily partitions from yesterday to a week ahead; returns how many were missing.
///
/// # Errors
/// When the database refuses.
pub async fn ensure_partitions(connection: &mut PgConnection) -> Result<i32, sqlx::Error> {
    sqlx::query_scalar("SELECT pushbox.ensure_partitions((now() AT TIME ZONE 'UTC')::date - 1, 9)")
        .fetch_one(connection)
        .await
}

/// Drops the partitions of days older than `days`, each in a transaction of its own; returns how many.
///
/// # Errors
/// When the database refuses, for example because somebody reads the table for long; what was dropped is.
pub async fn drop_partitions(connection: &mut PgConnection, days: i32) -> Result<i32, sqlx::Error> {
    let mut dropped = 0;
    loop {
        let one: i32 =
            sqlx::query_scalar("SELECT pushbox.drop_partitions((now() AT TIME ZONE 'UTC')::date - $1)")
                .bind(days)
                .fetch_one(&mut *connection)
                .await?;
        if one == 0 {
            return Ok(dropped);
        }
        dropped += one;
    }
}
