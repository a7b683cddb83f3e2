//! Steering: pause, retry, cancel. What the admin API and the command line call.

use sqlx::PgConnection;

use super::enqueue::merge_into_ready;
use super::settle::{Moved, reenter};
use crate::domain::job::Queue;

/// Pauses a queue: nothing more is claimed from it; what runs, ends. Returns whether it was running.
///
/// # Errors
/// When the database refuses.
pub async fn pause(connection: &mut PgConnection, queue: Queue, reason: &str) -> Result<bool, sqlx::Error> {
    let done = sqlx::query(
        "UPDATE pushbox.queues SET paused_at = now(), paused_reason = $2 WHERE name = $1 AND paused_at IS NULL",
    )
    .bind(queue.as_str())
    .bind(reason)
    .execute(connection)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Resumes a queue. Returns whether it was paused. Wake the workers after the commit.
///
/// # Errors
/// When the database refuses.
pub async fn resume(connection: &mut PgConnection, queue: Queue) -> Result<bool, sqlx::Error> {
    let done = sqlx::query(
        "UPDATE pushbox.queues SET paused_at = NULL, paused_reason = NULL
         WHERE name = $1 AND paused_at IS NOT NULL",
    )
    .bind(queue.as_str())
    .execute(connection)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Makes a dead job ready again, with all its attempts; it merges into a ready twin if there is one.
/// Returns whether there was a dead job of this number. Wake the workers after the commit.
///
/// # Errors
/// When the database refuses.
pub async fn retry_dead(connection: &mut PgConnection, id: i64) -> Result<bool, sqlx::Error> {
    let retried: Option<Moved> = sqlx::query_as(concat!(
        "WITH ended AS (DELETE FROM pushbox.jobs WHERE id = $1 AND state = 'dead' RETURNING *),
         back AS (
             SELECT id, queue, kind, key, batch_key, payload, priority, 'ready' AS state, 0 AS attempt, max_attempts,
                    0::smallint AS crashes, now() AS run_at, worker, NULL::text AS waiting_on, event_id,
                    merged_events, last_error, errors, created_at, started_at
             FROM ended
         )",
        reenter!()
    ))
    .bind(id)
    .fetch_optional(connection)
    .await?;
    Ok(retried.is_some())
}

/// Makes jobs that wait for a destination due at once, in the order they had. Returns how many. Wake the workers
/// after the commit.
///
/// # Errors
/// When the database refuses.
pub async fn hasten(
    connection: &mut PgConnection,
    queue: Queue,
    batch_key: &str,
) -> Result<u64, sqlx::Error> {
    // All are moved by the same span, so that the last of them is due now.
    let done = sqlx::query(
        "WITH waiting AS (
             SELECT id, run_at, max(run_at) OVER () AS latest FROM pushbox.jobs
             WHERE queue = $1 AND batch_key = $2 AND state = 'ready' AND waiting_on IS NOT NULL AND run_at > now()
         )
         UPDATE pushbox.jobs j SET run_at = now() - (w.latest - w.run_at)
         FROM waiting w WHERE j.id = w.id AND j.state = 'ready' AND j.run_at > now()",
    )
    .bind(queue.as_str())
    .bind(batch_key)
    .execute(connection)
    .await?;
    Ok(done.rows_affected())
}
