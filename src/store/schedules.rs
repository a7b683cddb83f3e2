//! Scheduled tasks: who runs a tick, and how it went.

use std::time::Duration;

use sqlx::PgConnection;

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

/// Claims a due tick of a task for `lease`; returns the number of the run, or none when it is not due, is
/// paused, or runs elsewhere. Missed ticks collapse into this one.
///
/// # Errors
/// When the database refuses.
pub async fn claim_tick(
    connection: &mut PgConnection,
    name: &str,
    lease: Duration,
) -> Result<Option<i64>, sqlx::Error> {
    sqlx::query_scalar(
        "WITH claimed AS (
             UPDATE pushbox.schedules SET
                 running_until = now() + $2 * interval '1 second', last_started_at = now(),
                 next_run_at = now() + every_seconds * interval '1 second'
             WHERE name = $1 AND next_run_at <= now() AND paused_at IS NULL
               AND (running_until IS NULL OR running_until < now())
             RETURNING name
         )
         INSERT INTO pushbox.schedule_runs (name, started_at) SELECT name, now() FROM claimed RETURNING id",
    )
    .bind(name)
    .bind(lease.as_secs_f64())
    .fetch_optional(connection)
    .await
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
             RETURNING name, started_at
         )
         UPDATE pushbox.schedules SET running_until = NULL, last_result = coalesce($2, last_result), last_error = $3,
                last_success_at = CASE WHEN $3 IS NULL THEN now() ELSE last_success_at END
         WHERE (name, last_started_at) = (SELECT name, started_at FROM ended)",
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
