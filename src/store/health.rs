//! Does the database answer?

use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use sqlx::{PgConnection, PgPool};

/// Why the database does not count as healthy.
#[derive(Debug, thiserror::Error)]
pub enum Unhealthy {
    /// No answer in time; also when every connection of the pool is taken for so long.
    #[error("the database did not answer within {} ms", .0.as_millis())]
    Late(Duration),
    /// It answered with an error, or cannot be reached.
    #[error("the database cannot be used")]
    Failed(#[from] sqlx::Error),
}

/// Asks the database for the simplest answer and says how long that took, waiting for a connection included.
pub async fn ping(pool: &PgPool, limit: Duration) -> Result<Duration, Unhealthy> {
    let begun = Instant::now();
    match tokio::time::timeout(limit, sqlx::query("select 1").execute(pool)).await {
        Ok(Ok(_)) => Ok(begun.elapsed()),
        Ok(Err(error)) => Err(Unhealthy::Failed(error)),
        Err(_) => Err(Unhealthy::Late(limit)),
    }
}

/// Whether the database was ever migrated.
///
/// # Errors
/// When the database refuses, or cannot be reached.
pub async fn has_tables(executor: impl sqlx::PgExecutor<'_>) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar("SELECT to_regclass('pushbox.events') IS NOT NULL").fetch_one(executor).await
}

/// How many destinations of each kind have a breaker in which state.
///
/// # Errors
/// When the database refuses.
pub async fn count_destinations(
    executor: impl sqlx::PgExecutor<'_>,
) -> Result<Vec<(String, String, i64)>, sqlx::Error> {
    sqlx::query_as(
        "SELECT kind, s.state, count(*) FILTER (WHERE d.state = s.state)
         FROM pushbox.destinations d CROSS JOIN (VALUES ('closed'), ('open'), ('half_open')) AS s(state)
         GROUP BY kind, s.state",
    )
    .fetch_all(executor)
    .await
}

/// How many alerts of each severity are not over.
///
/// # Errors
/// When the database refuses.
pub async fn count_open_alerts(
    executor: impl sqlx::PgExecutor<'_>,
) -> Result<Vec<(String, i64)>, sqlx::Error> {
    sqlx::query_as(
        "SELECT s.severity, count(a.id) FROM (VALUES ('warning'), ('critical')) AS s(severity)
         LEFT JOIN pushbox.alerts a ON a.severity = s.severity AND a.resolved_at IS NULL GROUP BY 1",
    )
    .fetch_all(executor)
    .await
}

/// What a person should know about the database.
#[derive(Debug, Clone, sqlx::FromRow)]
pub struct Facts {
    /// For example 150004.
    pub version_num: i32,
    /// For example `on`.
    pub fsync: String,
    /// The database's clock.
    pub now: DateTime<Utc>,
    /// Whether migrations were ever applied.
    pub migrated: bool,
}

/// Asks the database about itself.
///
/// # Errors
/// When the database refuses.
pub async fn facts(connection: &mut PgConnection) -> Result<Facts, sqlx::Error> {
    sqlx::query_as(
        "SELECT current_setting('server_version_num')::integer AS version_num, current_setting('fsync') AS fsync,
                clock_timestamp() AS now, to_regclass('pushbox.pushbox_schema_history') IS NOT NULL AS migrated",
    )
    .fetch_one(connection)
    .await
}

/// The number of the newest migration that was applied.
///
/// # Errors
/// When the database refuses, or was never migrated.
pub async fn newest_migration(connection: &mut PgConnection) -> Result<i32, sqlx::Error> {
    sqlx::query_scalar("SELECT coalesce(max(version), 0)::integer FROM pushbox.pushbox_schema_history")
        .fetch_one(connection)
        .await
}
