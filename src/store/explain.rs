//! The whole life of an event or an order, for `pushbox explain`. Reads the views of the schema `audit`.

use chrono::{DateTime, Utc};
use serde::Serialize;
use sqlx::{PgConnection, PgExecutor};
use uuid::Uuid;

/// Whose life.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Subject {
    /// An event.
    Event(Uuid),
    /// An order, by its number; or whatever else pushes are about.
    Order(String),
}

/// One step.
#[derive(Debug, Clone, Serialize, sqlx::FromRow)]
pub struct Step {
    /// When it was, or will be.
    pub at: Option<DateTime<Utc>>,
    /// Which: see `audit.event_timeline`.
    pub step: String,
    /// In words.
    pub what: Option<String>,
    /// The event it belongs to.
    pub event_id: Option<Uuid>,
    /// The job.
    pub job_id: Option<i64>,
    /// What went wrong.
    pub error: Option<String>,
}

impl Step {
    /// Whether it is still to come, or waits for a person.
    pub fn is_open(&self) -> bool {
        matches!(self.step.as_str(), "ready" | "running" | "dead")
    }
}

/// Why an order is not in a sheet, or not in its newest state.
#[derive(Debug, Clone, Serialize, sqlx::FromRow)]
pub struct MissingRow {
    /// The spreadsheet, where one is known.
    pub spreadsheet_id: Option<String>,
    /// What the row shows.
    pub shown_status: Option<String>,
    /// In words.
    pub why: String,
}

/// All steps, in order.
///
/// # Errors
/// When the database refuses.
pub async fn list_steps(connection: &mut PgConnection, subject: &Subject) -> sqlx::Result<Vec<Step>> {
    // Jobs that several events share are steps of each of them: one line is enough for a person.
    const COLUMNS: &str = "SELECT DISTINCT at, step, what, job_id, error, CASE WHEN job_id IS NULL THEN event_id END AS event_id";

    let order = "ORDER BY at NULLS FIRST, job_id NULLS FIRST, step";
    match subject {
        Subject::Event(id) => {
            let sql = format!("{COLUMNS} FROM audit.event_timeline WHERE event_id = $1 {order}");
            sqlx::query_as(sqlx::AssertSqlSafe(sql)).bind(id).fetch_all(connection).await
        }
        Subject::Order(number) => {
            let sql = format!("{COLUMNS} FROM audit.order_timeline WHERE order_sn = $1 {order}");
            sqlx::query_as(sqlx::AssertSqlSafe(sql)).bind(number).fetch_all(connection).await
        }
    }
}

/// Where an order is missing in the sheets.
///
/// # Errors
/// When the database refuses.
pub async fn list_missing(executor: impl PgExecutor<'_>, order_sn: &str) -> sqlx::Result<Vec<MissingRow>> {
    sqlx::query_as("SELECT spreadsheet_id, shown_status, why FROM audit.missing_in_sheet WHERE order_sn = $1")
        .bind(order_sn)
        .fetch_all(executor)
        .await
}

/// What holds work up now: paused queues and destinations, in words.
///
/// # Errors
/// When the database refuses.
pub async fn list_obstacles(executor: impl PgExecutor<'_>) -> sqlx::Result<Vec<String>> {
    sqlx::query_scalar(
        "SELECT format('the queue %s is paused since %s: %s', name, paused_at, paused_reason)
         FROM pushbox.queues WHERE paused_at IS NOT NULL
         UNION ALL
         SELECT format('%s %s is paused until %s: %s', kind, name, paused_until, reason)
         FROM pushbox.destinations WHERE paused_until > now()",
    )
    .fetch_all(executor)
    .await
}

/// The event that asked for a job, alive or ended.
///
/// # Errors
/// When the database refuses.
pub async fn event_of_job(executor: impl PgExecutor<'_>, job: i64) -> sqlx::Result<Option<Uuid>> {
    sqlx::query_scalar(
        "SELECT event_id FROM (SELECT event_id FROM pushbox.jobs WHERE id = $1
                               UNION ALL SELECT event_id FROM pushbox.job_history WHERE id = $1) found
         WHERE event_id IS NOT NULL LIMIT 1",
    )
    .bind(job)
    .fetch_optional(executor)
    .await
}

/// The database's clock.
///
/// # Errors
/// When the database refuses.
pub async fn now(executor: impl PgExecutor<'_>) -> sqlx::Result<DateTime<Utc>> {
    sqlx::query_scalar("SELECT now()").fetch_one(executor).await
}
