//! Forgetting what was announced and delivered long ago, a batch at a time. Events and finished jobs go with their
//! partitions ([`crate::store::events::drop_partitions`]).
//!
//! Ids of events sort by their receipt, so the oldest rows are at the beginning of an index.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::domain::event::first_id_of;

/// What is not forgotten although its event is old: what a job, alive or dead, may still come back to.
macro_rules! without_job {
    ($row:literal) => {
        concat!(
            " AND NOT EXISTS (SELECT FROM pushbox.jobs WHERE event_id = ",
            $row,
            ".event_id) AND NOT EXISTS (SELECT FROM pushbox.jobs WHERE merged_events @> ARRAY[",
            $row,
            ".event_id] AND merged_events <> '{}')"
        )
    };
}

/// Forgets up to `limit` messages of the ledger whose events were received before `before`; returns how many.
///
/// # Errors
/// When the database refuses.
pub async fn prune_messages(
    connection: &mut PgConnection,
    before: DateTime<Utc>,
    limit: i64,
) -> Result<u64, sqlx::Error> {
    let sql = concat!(
        "DELETE FROM pushbox.telegram_messages WHERE (chat_id, event_id, part) IN (
             SELECT chat_id, event_id, part FROM pushbox.telegram_messages m WHERE event_id < $1",
        without_job!("m"),
        " ORDER BY event_id LIMIT $2 FOR UPDATE SKIP LOCKED)"
    );
    prune(connection, sql, first_id_of(before), limit).await
}

/// Forgets up to `limit` deliveries to services whose events were received before `before`; returns how many.
///
/// # Errors
/// When the database refuses.
pub async fn prune_deliveries(
    connection: &mut PgConnection,
    before: DateTime<Utc>,
    limit: i64,
) -> Result<u64, sqlx::Error> {
    let sql = concat!(
        "DELETE FROM pushbox.deliveries WHERE (target, event_id) IN (
             SELECT target, event_id FROM pushbox.deliveries d WHERE event_id < $1",
        without_job!("d"),
        " ORDER BY event_id LIMIT $2 FOR UPDATE SKIP LOCKED)"
    );
    prune(connection, sql, first_id_of(before), limit).await
}

async fn prune(
    connection: &mut PgConnection,
    sql: &'static str,
    before: Uuid,
    limit: i64,
) -> Result<u64, sqlx::Error> {
    let done = sqlx::query(sql).bind(before).bind(limit).execute(connection).await?;
    Ok(done.rows_affected())
}

/// Forgets up to `limit` messages that were last edited before `before` and whose order has come to its end, or is
/// not known; returns how many. The message of an order that may still change is kept, however old it is.
///
/// # Errors
/// When the database refuses.
pub async fn prune_order_messages(
    connection: &mut PgConnection,
    before: DateTime<Utc>,
    limit: i64,
) -> Result<u64, sqlx::Error> {
    let done = sqlx::query(
        "DELETE FROM pushbox.telegram_orders WHERE (chat_id, platform, shop_id, order_sn) IN (
             SELECT chat_id, platform, shop_id, order_sn FROM pushbox.telegram_orders m
             WHERE shown_at < $1 AND NOT EXISTS (
                 SELECT FROM pushbox.orders o
                 WHERE o.platform = m.platform AND o.shop_id = m.shop_id AND o.order_sn = m.order_sn
                   AND o.status NOT IN ('COMPLETED', 'CANCELLED'))
             ORDER BY shown_at LIMIT $2 FOR UPDATE SKIP LOCKED)",
    )
    .bind(before)
    .bind(limit)
    .execute(connection)
    .await?;
    Ok(done.rows_affected())
}
