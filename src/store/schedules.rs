//! Scheduled tasks: who runs a tick, how it went, and what a person wants of them.

use std::time::Duration;

use chrono::{DateTime, Utc};
use sqlx::{PgConnection, PgExecutor};

/// Makes sure that a task has its row, due at once when it is new, and its present interval.
///
/// # Errors
/// When the database refuses.
pub async fn ensure(connection: &mut PgConnection, name: &str, every: Duration) -> Result<(), sqlx::Error> {
    sqlx::query(
        "INSERT INTO pushbox.schedules AS s (name, every_seconds, next_run_at) VALUES ($1, $2, now())
         ON CONFLICT (name) DO UPDATE SET every_seconds = excluded.every_seconds,
             next_run_at = least(s.next_run_at, now() + excluded.every_seconds * interval '1 second')
         WHERE s.every_seconds <> excluded.every_seconds",
    )
    .bind(name)
    .bind(i32::try_from(every.as_secs().max(1)).unwrap_or(i32::MAX))
    .execute(connection)
    .await?;
    Ok(())
}

/// Claims a run of a task for `lease`; returns the number of the run, or none when it is not due, is paused,
/// or runs elsewhere. Missed ticks collapse into this one. What somebody asked for runs although it is paused.
///
/// # Errors
/// When the database refuses.
pub async fn claim_tick(
    connection: &mut PgConnection,
    name: &str,
    lease: Duration,
) -> Result<Option<i64>, sqlx::Error> {
    // The row lock of the update decides between processes: the second sees the lease of the first.
    sqlx::query_scalar(
        "WITH due AS (
             SELECT name, run_asked_at IS NOT NULL AS asked FROM pushbox.schedules
             WHERE name = $1
               AND (run_asked_at <= now()
                    -- A run whose process vanished is not left to the next tick.
                    OR ((next_run_at <= now() OR current_run IS NOT NULL) AND paused_at IS NULL))
               AND (running_until IS NULL OR running_until < now())
             FOR UPDATE SKIP LOCKED
         ), run AS (
             INSERT INTO pushbox.schedule_runs (name, started_at, asked) SELECT name, now(), asked FROM due
             RETURNING id, name
         )
         UPDATE pushbox.schedules AS s SET
             running_until = now() + $2 * interval '1 second', current_run = run.id, last_started_at = now(),
             next_run_at = CASE WHEN s.next_run_at <= now() OR s.run_asked_at IS NULL
                                THEN now() + s.every_seconds * interval '1 second' ELSE s.next_run_at END,
             run_asked_at = NULL
         FROM run WHERE s.name = run.name RETURNING run.id",
    )
    .bind(name)
    .bind(lease.as_secs_f64())
    .fetch_optional(connection)
    .await
}

/// Extends the lease of a run; false: it was taken for abandoned, and another one may be under way.
///
/// # Errors
/// When the database refuses.
pub async fn keep_run(
    connection: &mut PgConnection,
    run: i64,
    name: &str,
    lease: Duration,
) -> Result<bool, sqlx::Error> {
    let done = sqlx::query(
        "UPDATE pushbox.schedules SET running_until = now() + $3 * interval '1 second'
         WHERE name = $2 AND current_run = $1",
    )
    .bind(run)
    .bind(name)
    .bind(lease.as_secs_f64())
    .execute(connection)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Notes how a run ended. A run that was taken for abandoned does not end the newer one.
///
/// # Errors
/// When the database refuses.
pub async fn finish_run(
    connection: &mut PgConnection,
    run: i64,
    outcome: Result<&serde_json::Value, &str>,
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "WITH ended AS (
             UPDATE pushbox.schedule_runs SET finished_at = now(), result = $2, error = $3 WHERE id = $1
             RETURNING name
         )
         UPDATE pushbox.schedules SET running_until = NULL, current_run = NULL,
                last_result = coalesce($2, last_result), last_error = $3,
                last_success_at = CASE WHEN $3 IS NULL THEN now() ELSE last_success_at END
         WHERE name = (SELECT name FROM ended) AND current_run = $1",
    )
    .bind(run)
    .bind(outcome.ok())
    .bind(outcome.err())
    .execute(connection)
    .await?;
    Ok(())
}

/// Forgets all but the newest `keep` runs of a task.
///
/// # Errors
/// When the database refuses.
pub async fn prune_runs(connection: &mut PgConnection, name: &str, keep: i64) -> Result<(), sqlx::Error> {
    sqlx::query(
        "DELETE FROM pushbox.schedule_runs WHERE name = $1 AND id <=
             (SELECT id FROM pushbox.schedule_runs WHERE name = $1 ORDER BY id DESC OFFSET $2 LIMIT 1)",
    )
    .bind(name)
    .bind(keep)
    .execute(connection)
    .await?;
    Ok(())
}

/// Asks for a run as soon as a scheduler looks, within about a second; a run that is under way ends first.
/// Returns whether there is such a task.
///
/// # Errors
/// When the database refuses.
pub async fn ask_run(connection: &mut PgConnection, name: &str) -> Result<bool, sqlx::Error> {
    let done = sqlx::query(
        "UPDATE pushbox.schedules SET run_asked_at = coalesce(run_asked_at, now()) WHERE name = $1",
    )
    .bind(name)
    .execute(connection)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Stops a task from running by the clock. Returns whether it ran before.
///
/// # Errors
/// When the database refuses.
pub async fn pause(connection: &mut PgConnection, name: &str, reason: &str) -> Result<bool, sqlx::Error> {
    let done = sqlx::query(
        "UPDATE pushbox.schedules SET paused_at = now(), paused_reason = $2
         WHERE name = $1 AND paused_at IS NULL",
    )
    .bind(name)
    .bind(reason)
    .execute(connection)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Lets a task run by the clock again. Returns whether it was paused.
///
/// # Errors
/// When the database refuses.
pub async fn resume(connection: &mut PgConnection, name: &str) -> Result<bool, sqlx::Error> {
    let done = sqlx::query(
        "UPDATE pushbox.schedules SET paused_at = NULL, paused_reason = NULL
         WHERE name = $1 AND paused_at IS NOT NULL",
    )
    .bind(name)
    .execute(connection)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Whether no task of any process has begun for so long although some were due: nobody was there.
///
/// # Errors
/// When the database refuses.
pub async fn nobody_ran_for(connection: &mut PgConnection, silence: Duration) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar(
        "SELECT coalesce(max(last_started_at) < now() - $1 * interval '1 second', false) FROM pushbox.schedules",
    )
    .bind(silence.as_secs_f64())
    .fetch_one(connection)
    .await
}

/// A task as it stands.
#[derive(Debug, Clone, sqlx::FromRow)]
pub struct ScheduleRow {
    /// Its name.
    pub name: String,
    /// Seconds between two ticks.
    pub every_seconds: i32,
    /// When the next tick is due.
    pub next_run_at: DateTime<Utc>,
    /// Whether it runs now.
    pub running: bool,
    /// When it last began.
    pub last_started_at: Option<DateTime<Utc>>,
    /// When it last ended well.
    pub last_success_at: Option<DateTime<Utc>>,
    /// Counts of the last run that ended well.
    pub last_result: Option<serde_json::Value>,
    /// Error of the last run; none when it ended well.
    pub last_error: Option<String>,
    /// Since when it is paused.
    pub paused_at: Option<DateTime<Utc>>,
    /// Why.
    pub paused_reason: Option<String>,
    /// Since when somebody waits for a run at once.
    pub run_asked_at: Option<DateTime<Utc>>,
}

/// All tasks by name, or the one of this name.
///
/// # Errors
/// When the database refuses.
pub async fn list_schedules(
    executor: impl PgExecutor<'_>,
    name: Option<&str>,
) -> Result<Vec<ScheduleRow>, sqlx::Error> {
    sqlx::query_as(
        "SELECT name, every_seconds, next_run_at, coalesce(running_until >= now(), false) AS running,
                last_started_at, last_success_at, last_result, last_error, paused_at, paused_reason, run_asked_at
         FROM pushbox.schedules WHERE $1::text IS NULL OR name = $1 ORDER BY name",
    )
    .bind(name)
    .fetch_all(executor)
    .await
}

/// One run of a task.
#[derive(Debug, Clone, sqlx::FromRow)]
pub struct RunRow {
    /// Its number.
    pub id: i64,
    /// When it began.
    pub started_at: DateTime<Utc>,
    /// When it ended; none while it runs, or when its process vanished.
    pub finished_at: Option<DateTime<Utc>>,
    /// Whether it was asked for.
    pub asked: bool,
    /// Counts.
    pub result: Option<serde_json::Value>,
    /// Why it failed.
    pub error: Option<String>,
}

/// The newest runs of a task.
///
/// # Errors
/// When the database refuses.
pub async fn list_runs(
    executor: impl PgExecutor<'_>,
    name: &str,
    limit: u16,
) -> Result<Vec<RunRow>, sqlx::Error> {
    sqlx::query_as(
        "SELECT id, started_at, finished_at, asked, result, error FROM pushbox.schedule_runs
         WHERE name = $1 ORDER BY id DESC LIMIT $2",
    )
    .bind(name)
    .bind(i64::from(limit))
    .fetch_all(executor)
    .await
}
