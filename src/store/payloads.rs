//! Emptying what events carried and what platforms answered about orders, when `PAYLOAD_RETENTION_DAYS` is over.
//! Keys, hashes, times and everything that has a column of its own stay, so that a repeated push is still known.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;

/// Up to where payloads of events, and answers about orders, were emptied.
const EVENTS: &str = "payloads";
const ORDERS: &str = "order_answers";

/// Empties the payloads of all events that are older than so many days, except of those that a job, alive or dead,
/// may still need; at most `limit` in one statement. Returns how many.
///
/// # Errors
/// When the database refuses; what was emptied is.
pub async fn empty_payloads(
    connection: &mut PgConnection,
    days: u16,
    limit: i64,
) -> Result<u64, sqlx::Error> {
    let before = days_ago(connection, days).await?;
    let mut from = watermark(connection, EVENTS).await?;
    let mut all = 0;
    loop {
        // Full rows beyond the watermark are few: those that jobs held up before.
        let (emptied, last): (i64, Option<DateTime<Utc>>) = sqlx::query_as(
            "WITH full_ones AS (
                 SELECT received_at, id FROM pushbox.events e
                 WHERE received_at >= coalesce($1, '-infinity') AND received_at < $2
                   AND CASE WHEN payload IS NULL THEN body <> ''::bytea ELSE payload <> '{}' END
                   AND NOT EXISTS (SELECT FROM pushbox.jobs j WHERE j.event_id = e.id)
                   AND NOT EXISTS (SELECT FROM pushbox.jobs j
                                   WHERE j.merged_events @> ARRAY[e.id] AND j.merged_events <> '{}')
                 ORDER BY received_at LIMIT $3
             ), emptied AS (
                 UPDATE pushbox.events e
                 SET payload = CASE WHEN payload IS NOT NULL THEN '{}'::jsonb END,
                     body = CASE WHEN payload IS NULL THEN ''::bytea END, headers = '{}', erased_at = now()
                 FROM full_ones f WHERE e.received_at = f.received_at AND e.id = f.id
                 RETURNING e.received_at
             )
             SELECT count(*), max(received_at) FROM emptied",
        )
        .bind(from)
        .bind(before)
        .bind(limit)
        .fetch_one(&mut *connection)
        .await?;
        all += emptied.unsigned_abs();
        if emptied < limit {
            break;
        }
        from = last;
    }
    let held_up: Option<DateTime<Utc>> = sqlx::query_scalar(
        "SELECT min(received_at) FROM pushbox.events
         WHERE received_at >= coalesce((SELECT at FROM pushbox.watermarks WHERE name = $1), '-infinity')
           AND received_at < $2 AND CASE WHEN payload IS NULL THEN body <> ''::bytea ELSE payload <> '{}' END",
    )
    .bind(EVENTS)
    .bind(before)
    .fetch_one(&mut *connection)
    .await?;
    set_watermark(connection, EVENTS, held_up.unwrap_or(before)).await?;
    Ok(all)
}

/// Empties the platforms' answers and the recipients of all orders that last changed longer ago, at most `limit` in
/// one statement. Returns how many orders. What the sheet shows stays: the buyer's name and message.
///
/// # Errors
/// When the database refuses; what was emptied is.
pub async fn empty_order_answers(
    connection: &mut PgConnection,
    days: u16,
    limit: i64,
) -> Result<u64, sqlx::Error> {
    let before = days_ago(connection, days).await?;
    let mut from = watermark(connection, ORDERS).await?;
    let mut all = 0;
    loop {
        let (emptied, last): (i64, Option<DateTime<Utc>>) = sqlx::query_as(
            "WITH full_ones AS (
                 SELECT platform, shop_id, order_sn FROM pushbox.orders
                 WHERE update_time >= coalesce($1, '-infinity') AND update_time < $2
                   AND (snapshot <> '{}' OR recipient IS NOT NULL)
                 ORDER BY update_time LIMIT $3
             ), incomes AS (
                 UPDATE pushbox.order_income i SET snapshot = '{}' FROM full_ones f
                 WHERE i.platform = f.platform AND i.shop_id = f.shop_id AND i.order_sn = f.order_sn
             ), emptied AS (
                 UPDATE pushbox.orders o SET snapshot = '{}', recipient = NULL FROM full_ones f
                 WHERE o.platform = f.platform AND o.shop_id = f.shop_id AND o.order_sn = f.order_sn
                 RETURNING o.update_time
             )
             SELECT count(*), max(update_time) FROM emptied",
        )
        .bind(from)
        .bind(before)
        .bind(limit)
        .fetch_one(&mut *connection)
        .await?;
        all += emptied.unsigned_abs();
        if emptied < limit {
            set_watermark(connection, ORDERS, before).await?;
            return Ok(all);
        }
        from = last;
    }
}

async fn days_ago(connection: &mut PgConnection, days: u16) -> Result<DateTime<Utc>, sqlx::Error> {
    sqlx::query_scalar("SELECT now() - $1 * interval '1 day'")
        .bind(i32::from(days))
        .fetch_one(connection)
        .await
}

async fn watermark(connection: &mut PgConnection, name: &str) -> Result<Option<DateTime<Utc>>, sqlx::Error> {
    sqlx::query_scalar("SELECT at FROM pushbox.watermarks WHERE name = $1")
        .bind(name)
        .fetch_optional(connection)
        .await
}

async fn set_watermark(
    connection: &mut PgConnection,
    name: &str,
    at: DateTime<Utc>,
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "INSERT INTO pushbox.watermarks (name, at) VALUES ($1, $2) ON CONFLICT (name) DO UPDATE SET at = excluded.at",
    )
    .bind(name)
    .bind(at)
    .execute(connection)
    .await?;
    Ok(())
}
