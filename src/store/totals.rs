//! Everything that ever was in a database, counted and compared: for a database that one run has for itself,
//! such as the demo's. Reads whole tables; not for one with a history.

use sqlx::{AssertSqlSafe, PgConnection, PgExecutor};
use uuid::Uuid;

/// Events, and how they came.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, sqlx::FromRow)]
pub struct EventTotals {
    /// All of them.
    pub events: i64,
    /// Of these, found in the platform's lost queue.
    pub recovered: i64,
    /// How often an event came again.
    pub redeliveries: i64,
}

/// What became of the jobs of one queue.
#[derive(Debug, Clone, Default, PartialEq, Eq, sqlx::FromRow)]
pub struct JobTotals {
    /// The queue's name.
    pub queue: String,
    /// Due, due later, or waiting for something.
    pub ready: i64,
    /// At work.
    pub running: i64,
    /// Given up.
    pub dead: i64,
    /// Done.
    pub done: i64,
}

/// A job that was given up.
#[derive(Debug, Clone, sqlx::FromRow)]
pub struct DeadJob {
    /// What was to be done.
    pub kind: String,
    /// For what.
    pub key: Option<String>,
    /// Why it failed at last.
    pub last_error: Option<String>,
}

/// An event with one part of its announcement in one chat; the fields of the part are none where there is no
/// announcement.
#[derive(Debug, Clone, sqlx::FromRow)]
pub struct Announcement {
    /// The event.
    pub id: Uuid,
    /// Its code.
    pub code: String,
    /// What it is about.
    pub subject: Option<String>,
    /// Number of the part, from 0.
    pub part: Option<i16>,
    /// How many parts there are.
    pub parts: Option<i16>,
    /// `intended`, `sent` or `uncertain`.
    pub state: Option<String>,
    /// The topic.
    pub thread_id: Option<i32>,
    /// The message; none when its id was lost on the way.
    pub message_id: Option<i32>,
}

/// Counts events.
///
/// # Errors
/// When the database refuses.
pub async fn count_events(executor: impl PgExecutor<'_>) -> sqlx::Result<EventTotals> {
    sqlx::query_as(
        "SELECT e.*, (SELECT coalesce(sum(redeliveries), 0)::bigint FROM pushbox.event_keys
                      WHERE redeliveries > 0) AS redeliveries
         FROM (SELECT count(*) AS events, count(*) FILTER (WHERE via = 'lost_push') AS recovered
               FROM pushbox.events) e",
    )
    .fetch_one(executor)
    .await
}

/// Counts events by code.
///
/// # Errors
/// When the database refuses.
pub async fn count_codes(executor: impl PgExecutor<'_>) -> sqlx::Result<Vec<(String, i64)>> {
    sqlx::query_as("SELECT code, count(*) FROM pushbox.events GROUP BY code ORDER BY code")
        .fetch_all(executor)
        .await
}

/// Counts jobs by queue, in the order of the queues' names.
///
/// # Errors
/// When the database refuses.
pub async fn count_jobs(executor: impl PgExecutor<'_>) -> sqlx::Result<Vec<JobTotals>> {
    sqlx::query_as(
        "SELECT queue, sum(ready)::bigint AS ready, sum(running)::bigint AS running,
                sum(dead)::bigint AS dead, sum(done)::bigint AS done
         FROM (SELECT queue, count(*) FILTER (WHERE state = 'ready') AS ready,
                      count(*) FILTER (WHERE state = 'running') AS running,
                      count(*) FILTER (WHERE state = 'dead') AS dead, 0 AS done
               FROM pushbox.jobs GROUP BY queue
               UNION ALL
               SELECT queue, 0, 0, 0, count(*) FILTER (WHERE outcome = 'done')
               FROM pushbox.job_history GROUP BY queue) both_tables
         GROUP BY queue ORDER BY queue",
    )
    .fetch_all(executor)
    .await
}

/// The first `limit` jobs that were given up.
///
/// # Errors
/// When the database refuses.
pub async fn list_dead(executor: impl PgExecutor<'_>, limit: i64) -> sqlx::Result<Vec<DeadJob>> {
    sqlx::query_as("SELECT kind, key, last_error FROM pushbox.jobs WHERE state = 'dead' ORDER BY id LIMIT $1")
        .bind(limit)
        .fetch_all(executor)
        .await
}

/// Every event with what was announced of it in a chat, by event and part.
///
/// # Errors
/// When the database refuses.
pub async fn list_announcements(
    executor: impl PgExecutor<'_>,
    chat_id: i64,
) -> sqlx::Result<Vec<Announcement>> {
    sqlx::query_as(
        "SELECT e.id, e.code, e.subject, m.part, m.parts, m.state, m.thread_id, m.message_id
         FROM pushbox.events e
         LEFT JOIN pushbox.telegram_messages m ON m.event_id = e.id AND m.chat_id = $1
         ORDER BY e.id, m.part",
    )
    .bind(chat_id)
    .fetch_all(executor)
    .await
}

/// Drops a database, with whoever is connected to it, and makes it anew. `connection` is to another one.
///
/// # Errors
/// When the name is not plain, or the database refuses.
pub async fn recreate_database(connection: &mut PgConnection, name: &str) -> sqlx::Result<()> {
    if name.is_empty() || !name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_') {
        return Err(sqlx::Error::Configuration(format!("{name:?} is not a plain name").into()));
    }
    let drop = format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)");
    sqlx::raw_sql(AssertSqlSafe(drop)).execute(&mut *connection).await?;
    sqlx::raw_sql(AssertSqlSafe(format!("CREATE DATABASE {name}"))).execute(connection).await?;
    Ok(())
}

/// Whether there is a database of this name.
///
/// # Errors
/// When the database refuses.
pub async fn has_database(executor: impl PgExecutor<'_>, name: &str) -> sqlx::Result<bool> {
    sqlx::query_scalar("SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)")
        .bind(name)
        .fetch_one(executor)
        .await
}
