//! What a person should know: raised once per key, told once, told again when it is over.
//!
//! Whoever finds something raises it as often as it looks; only the first raise makes an alert. The scheduled
//! task `alerts` tells people.

use chrono::{DateTime, Utc};
use sqlx::{PgConnection, PgExecutor};

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Severity {
    /// Look at it today.
    Warning,
    /// Something does not work until a person acts.
    Critical,
}

impl Severity {
    /// As it stands in the table.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Warning => "warning",
            Self::Critical => "critical",
        }
    }
}

/// Something a person should know. Holds no secrets: it is sent to a chat.
#[derive(Debug, Clone, Copy)]
pub struct Alert<'a> {
    /// What it is about, for example `shop:shopee:1234:authorization`; at most one of a key is open.
    pub key: &'a str,
    /// How bad it is.
    pub severity: Severity,
    /// What is wrong, in one sentence.
    pub title: &'a str,
    /// What a person can do about it.
    pub remedy: &'a str,
}

/// Raises an alert unless one of its key is open; returns whether it is new. An open one takes the new words
/// without being told again.
///
/// # Errors
/// When the database refuses.
pub async fn raise(connection: &mut PgConnection, alert: &Alert<'_>) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar(
        "INSERT INTO pushbox.alerts AS open (key, severity, title, remedy) VALUES ($1, $2, $3, $4)
         ON CONFLICT (key) WHERE resolved_at IS NULL DO UPDATE SET
             severity = excluded.severity, title = excluded.title, remedy = excluded.remedy, last_seen_at = now()
         RETURNING xmax = 0",
    )
    .bind(alert.key)
    .bind(alert.severity.as_str())
    .bind(alert.title)
    .bind(alert.remedy)
    .fetch_one(connection)
    .await
}

/// Notes that it is over; returns whether there was an open alert of this key.
///
/// # Errors
/// When the database refuses.
pub async fn resolve(connection: &mut PgConnection, key: &str) -> Result<bool, sqlx::Error> {
    let done =
        sqlx::query("UPDATE pushbox.alerts SET resolved_at = now() WHERE key = $1 AND resolved_at IS NULL")
            .bind(key)
            .execute(connection)
            .await?;
    Ok(done.rows_affected() == 1)
}

/// Resolves the open alerts whose key begins with `prefix` and is not among `still`; returns how many. For
/// whoever looks at many things at once.
///
/// # Errors
/// When the database refuses.
pub async fn resolve_others(
    connection: &mut PgConnection,
    prefix: &str,
    still: &[String],
) -> Result<u64, sqlx::Error> {
    let done = sqlx::query(
        "UPDATE pushbox.alerts SET resolved_at = now()
         WHERE resolved_at IS NULL AND starts_with(key, $1) AND key <> ALL ($2)",
    )
    .bind(prefix)
    .bind(still)
    .execute(connection)
    .await?;
    Ok(done.rows_affected())
}

/// An alert as it stands.
#[derive(Debug, Clone, sqlx::FromRow)]
pub struct AlertRow {
    /// Its number.
    pub id: i64,
    /// What it is about.
    pub key: String,
    /// `warning` or `critical`.
    pub severity: String,
    /// What is wrong.
    pub title: String,
    /// What a person can do.
    pub remedy: String,
    /// When it was raised.
    pub raised_at: DateTime<Utc>,
    /// When it was last found to be so.
    pub last_seen_at: DateTime<Utc>,
    /// When it was over; none: it is open.
    pub resolved_at: Option<DateTime<Utc>>,
    /// When people were told of it.
    pub raised_told_at: Option<DateTime<Utc>>,
    /// When people were told that it is over.
    pub resolved_told_at: Option<DateTime<Utc>>,
}

/// Alerts, newest first: those before the number `before`, open ones only if `open`.
///
/// # Errors
/// When the database refuses.
pub async fn list_alerts(
    executor: impl PgExecutor<'_>,
    open: bool,
    before: Option<i64>,
    limit: u16,
) -> Result<Vec<AlertRow>, sqlx::Error> {
    sqlx::query_as(
        "SELECT id, key, severity, title, remedy, raised_at, last_seen_at, resolved_at, raised_told_at,
                resolved_told_at
         FROM pushbox.alerts WHERE (NOT $1 OR resolved_at IS NULL) AND ($2::bigint IS NULL OR id < $2)
         ORDER BY id DESC LIMIT $3",
    )
    .bind(open)
    .bind(before)
    .bind(i64::from(limit))
    .fetch_all(executor)
    .await
}

/// The oldest alerts that people have to hear of: raised and not told, or told and over since. One that was
/// over before anybody heard of it is not told at all.
///
/// # Errors
/// When the database refuses.
pub async fn list_untold(connection: &mut PgConnection, limit: i64) -> Result<Vec<AlertRow>, sqlx::Error> {
    sqlx::query_as(
        "SELECT id, key, severity, title, remedy, raised_at, last_seen_at, resolved_at, raised_told_at,
                resolved_told_at
         FROM pushbox.alerts
         WHERE (raised_told_at IS NULL OR resolved_told_at IS NULL)
           AND (raised_told_at IS NULL) = (resolved_at IS NULL)
         ORDER BY id LIMIT $1",
    )
    .bind(limit)
    .fetch_all(connection)
    .await
}

/// Notes that people were told of these alerts, of each what it was when it was read.
///
/// # Errors
/// When the database refuses.
pub async fn mark_told(connection: &mut PgConnection, alerts: &[AlertRow]) -> Result<(), sqlx::Error> {
    let ids = |over: bool| -> Vec<i64> {
        alerts.iter().filter(|one| one.resolved_at.is_some() == over).map(|one| one.id).collect()
    };
    sqlx::query(
        "UPDATE pushbox.alerts SET uncertain_sends = 0,
             raised_told_at = coalesce(raised_told_at, now()),
             resolved_told_at = CASE WHEN id = ANY ($2) THEN now() END
         WHERE id = ANY ($1 || $2)",
    )
    .bind(ids(false))
    .bind(ids(true))
    .execute(connection)
    .await?;
    Ok(())
}

/// Notes that nobody knows whether a message about these alerts arrived; returns how often that was so.
///
/// # Errors
/// When the database refuses.
pub async fn mark_uncertain(connection: &mut PgConnection, alerts: &[AlertRow]) -> Result<i16, sqlx::Error> {
    let ids: Vec<i64> = alerts.iter().map(|one| one.id).collect();
    sqlx::query_scalar(
        "WITH marked AS (UPDATE pushbox.alerts SET uncertain_sends = uncertain_sends + 1 WHERE id = ANY ($1)
                         RETURNING uncertain_sends)
         SELECT coalesce(max(uncertain_sends), 0::smallint) FROM marked",
    )
    .bind(ids)
    .fetch_one(connection)
    .await
}

/// Forgets alerts that were over more than `days` ago.
///
/// # Errors
/// When the database refuses.
pub async fn prune_alerts(connection: &mut PgConnection, days: i32) -> Result<u64, sqlx::Error> {
    let done = sqlx::query("DELETE FROM pushbox.alerts WHERE resolved_at < now() - $1 * interval '1 day'")
        .bind(days)
        .execute(connection)
        .await?;
    Ok(done.rows_affected())
}
