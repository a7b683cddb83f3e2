//! Batch keys of which nothing is claimed for a while: a chat whose budget is used up, a spreadsheet whose tabs are
//! being replaced.
//!
//! A job that waits by itself is rewritten for every wait and loses its place among the others. Where all jobs of
//! a batch key wait for the same thing, the key is held instead: its jobs stay as they are, in their order, and
//! nobody claims them only to give them back. Only exclusive queues heed it; there a claim and a hold exclude
//! each other through the claim's lock.

use std::time::Duration;

use sqlx::PgConnection;

use crate::domain::job::Queue;

/// Claims no job of the batch key for so long from now; the newest hold counts. Jobs that run are not touched:
/// ask [`is_busy`] after the commit.
///
/// # Errors
/// When the database refuses.
pub async fn hold(
    connection: &mut PgConnection,
    queue: Queue,
    batch_key: &str,
    reason: &str,
    lasts: Duration,
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "INSERT INTO pushbox.batch_holds (queue, batch_key, held_until, reason)
         VALUES ($1, $2, clock_timestamp() + $3 * interval '1 second', $4)
         ON CONFLICT (queue, batch_key) DO UPDATE SET held_until = excluded.held_until, reason = excluded.reason",
    )
    .bind(queue.as_str())
    .bind(batch_key)
    .bind(lasts.as_secs_f64())
    .bind(reason)
    .execute(connection)
    .await?;
    Ok(())
}

/// The same, unless it is held already; whether it is held by this call.
///
/// # Errors
/// When the database refuses.
pub async fn take_hold(
    connection: &mut PgConnection,
    queue: Queue,
    batch_key: &str,
    reason: &str,
    lasts: Duration,
) -> Result<bool, sqlx::Error> {
    let taken = sqlx::query(
        "INSERT INTO pushbox.batch_holds AS held (queue, batch_key, held_until, reason)
         VALUES ($1, $2, clock_timestamp() + $3 * interval '1 second', $4)
         ON CONFLICT (queue, batch_key) DO UPDATE SET held_until = excluded.held_until, reason = excluded.reason
         WHERE held.held_until <= clock_timestamp()",
    )
    .bind(queue.as_str())
    .bind(batch_key)
    .bind(lasts.as_secs_f64())
    .bind(reason)
    .execute(connection)
    .await?;
    Ok(taken.rows_affected() == 1)
}

/// Ends a hold. Wake the workers after the commit.
///
/// # Errors
/// When the database refuses.
pub async fn let_claim(
    connection: &mut PgConnection,
    queue: Queue,
    batch_key: &str,
) -> Result<(), sqlx::Error> {
    sqlx::query("DELETE FROM pushbox.batch_holds WHERE queue = $1 AND batch_key = $2")
        .bind(queue.as_str())
        .bind(batch_key)
        .execute(connection)
        .await?;
    Ok(())
}

/// Whether a job of the batch key runs. Once false under a hold it stays false until the hold is over.
///
/// # Errors
/// When the database refuses.
pub async fn is_busy(
    connection: &mut PgConnection,
    queue: Queue,
    batch_key: &str,
) -> Result<bool, sqlx::Error> {
    let mut transaction = sqlx::Acquire::begin(connection).await?;
    // A claim that looked before the hold was there has ended when the lock is ours.
    sqlx::query("SELECT pg_advisory_xact_lock(hashtext('pushbox.claim'), hashtext($1))")
        .bind(queue.as_str())
        .execute(&mut *transaction)
        .await?;
    let busy = sqlx::query_scalar(
        "SELECT EXISTS (SELECT FROM pushbox.jobs WHERE queue = $1 AND batch_key = $2 AND state = 'running')",
    )
    .bind(queue.as_str())
    .bind(batch_key)
    .fetch_one(&mut *transaction)
    .await?;
    transaction.commit().await?;
    Ok(busy)
}

/// Forgets holds that are long over; returns how many.
///
/// # Errors
/// When the database refuses.
pub async fn prune_holds(connection: &mut PgConnection) -> Result<u64, sqlx::Error> {
    let done = sqlx::query("DELETE FROM pushbox.batch_holds WHERE held_until < now() - interval '1 hour'")
        .execute(connection)
        .await?;
    Ok(done.rows_affected())
}
