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

/// Makes jobs that wait for a destination due at once, in the order they had: those of a batch key, or, for what
/// stands in the way of all of them, those of the whole queue. Returns how many. Wake the workers after the commit.
///
/// # Errors
/// When the database refuses.
pub async fn hasten(
    connection: &mut PgConnection,
    queue: Queue,
    batch_key: Option<&str>,
) -> Result<u64, sqlx::Error> {
    if let Some(batch_key) = batch_key {
        super::hold::let_claim(connection, queue, batch_key).await?;
    }
    // All are moved by the same span, so that the last of them is due now.
    let done = sqlx::query(
        "WITH waiting AS (
             SELECT id, run_at, max(run_at) OVER () AS latest FROM pushbox.jobs
             WHERE queue = $1 AND ($2::text IS NULL OR batch_key = $2) AND state = 'ready'
               AND waiting_on IS NOT NULL AND run_at > now()
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

/// Ends jobs that wait, or that were given up, without doing them: they are in the history as `cancelled`,
/// with `note`. Only jobs in `state` are ended: what runs cannot be stopped halfway. Returns their numbers.
///
/// # Errors
/// When the database refuses.
pub async fn cancel(
    connection: &mut PgConnection,
    ids: &[i64],
    state: Idle,
    note: &str,
) -> Result<Vec<i64>, sqlx::Error> {
    sqlx::query_scalar(
        "WITH ended AS (DELETE FROM pushbox.jobs WHERE id = ANY ($1) AND state = $2 RETURNING *)
         INSERT INTO pushbox.job_history
             (id, queue, kind, key, batch_key, payload, outcome, attempt, crashes, worker, event_id,
              merged_events, errors, note, created_at, started_at, finished_at)
         SELECT id, queue, kind, key, batch_key, payload, 'cancelled', attempt, crashes, worker, event_id,
                merged_events, errors, $3, created_at, started_at, clock_timestamp()
         FROM ended
         RETURNING id",
    )
    .bind(ids)
    .bind(state.as_str())
    .bind(note)
    .fetch_all(connection)
    .await
}

/// A state in which nobody works at a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Idle {
    /// It waits for its time and a worker.
    Ready,
    /// It was given up.
    Dead,
}

impl Idle {
    /// The spelling of `jobs.state`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ready => "ready",
            Self::Dead => "dead",
        }
    }
}
