//! Destinations as people see and steer them: those that were used, and those that are going to be.

use chrono::{DateTime, Utc};
use sqlx::{PgConnection, PgExecutor};

use super::alerts::{self, Alert, Severity};

/// A destination as people look at it.
#[derive(Debug, Clone, sqlx::FromRow)]
pub struct Destination {
    /// A platform, `sheet`, `telegram`, `google` or `forward`.
    pub kind: String,
    /// Shop, spreadsheet, chat, URL.
    pub name: String,
    /// `closed`, `open` or `half_open`.
    pub state: String,
    /// Failures in a row.
    pub failures: i32,
    /// Since when it is not closed.
    pub opened_at: Option<DateTime<Utc>>,
    /// Not used before, because of how it answered; none when that is over.
    pub paused_until: Option<DateTime<Utc>>,
    /// Why it is not used then, and what to do.
    pub reason: Option<String>,
    /// Since when a person has it paused.
    pub paused_at: Option<DateTime<Utc>>,
    /// Why.
    pub paused_reason: Option<String>,
    /// Jobs that wait for it.
    pub waiting_jobs: i64,
    /// Its budget is spent up to this time; none when it is not.
    pub spent_until: Option<DateTime<Utc>>,
    /// How many times slower than set it is used.
    pub pace: f32,
    /// How it failed last.
    pub last_error: Option<String>,
    /// When it failed last.
    pub last_failure_at: Option<DateTime<Utc>>,
    /// When it last worked after a failure.
    pub last_success_at: Option<DateTime<Utc>>,
}

/// Kind and name of a destination.
pub type Place = (String, String);

/// Every destination that was ever limited, paused or failed, every shop that is not switched off, and those that are
/// `configured`; those in trouble first. With `only`, that one.
///
/// # Errors
/// When the database refuses.
pub async fn list(
    executor: impl PgExecutor<'_>,
    configured: &[Place],
    only: Option<(&str, &str)>,
) -> Result<Vec<Destination>, sqlx::Error> {
    let (kinds, names): (Vec<&str>, Vec<&str>) =
        configured.iter().map(|(kind, name)| (kind.as_str(), name.as_str())).unzip();
    // A topic's jobs are its chat's, and a call of Google's account is made for a spreadsheet: neither has its own.
    sqlx::query_as(
        "WITH places AS (
             SELECT kind, name FROM pushbox.destinations
             UNION SELECT platform, shop_id FROM pushbox.shops WHERE state <> 'disabled'
             -- A group that became a supergroup is used under its new id.
             UNION SELECT c.kind, coalesce(m.migrated_to::text, c.name) FROM unnest($1::text[], $2::text[]) c(kind, name)
                   LEFT JOIN pushbox.telegram_chats m ON c.kind = 'telegram' AND m.chat_id::text = c.name
         ), waiting AS (
             SELECT j.queue, j.batch_key, count(*) AS jobs FROM pushbox.jobs j
             LEFT JOIN pushbox.batch_holds h
                 ON h.queue = j.queue AND h.batch_key = j.batch_key AND h.held_until > clock_timestamp()
             WHERE j.state = 'ready' AND (j.waiting_on IS NOT NULL OR h.queue IS NOT NULL)
             GROUP BY j.queue, j.batch_key
         )
         SELECT p.kind, p.name, coalesce(d.state, 'closed') AS state, coalesce(d.failures, 0) AS failures,
                d.opened_at, coalesce(d.pace, 1) AS pace, d.last_error, d.last_failure_at, d.last_success_at,
                d.paused_at, d.paused_reason, coalesce(w.jobs, 0) AS waiting_jobs,
                CASE WHEN d.next_free_at > clock_timestamp() THEN d.next_free_at END AS spent_until,
                CASE WHEN d.paused_until > clock_timestamp() THEN d.paused_until END AS paused_until,
                CASE WHEN d.state <> 'closed' OR d.paused_until > clock_timestamp() THEN d.reason END AS reason
         FROM places p
         LEFT JOIN pushbox.destinations d ON d.kind = p.kind AND d.name = p.name
         LEFT JOIN waiting w
             ON w.queue = CASE p.kind WHEN 'sheet' THEN 'sheet' WHEN 'telegram' THEN 'notify'
                                      WHEN 'forward' THEN 'forward' ELSE 'enrich' END
            AND w.batch_key = CASE WHEN p.kind IN ('sheet', 'telegram', 'forward') THEN p.name
                                   ELSE p.kind || ':' || p.name END
         WHERE $3::text IS NULL OR (p.kind = $3 AND p.name = $4)
         ORDER BY d.paused_at IS NULL, coalesce(d.state, 'closed') = 'closed',
                  d.paused_until > clock_timestamp() IS NOT TRUE, p.kind, p.name",
    )
    .bind(kinds)
    .bind(names)
    .bind(only.map(|(kind, _)| kind))
    .bind(only.map(|(_, name)| name))
    .fetch_all(executor)
    .await
}

/// Pauses a destination until a person resumes it, and raises the alert that keeps it from being forgotten; both or
/// neither, within the caller's transaction. Returns whether nobody had paused it.
///
/// # Errors
/// When the database refuses.
pub async fn pause_by_hand(
    connection: &mut PgConnection,
    kind: &str,
    name: &str,
    reason: &str,
) -> Result<bool, sqlx::Error> {
    let done = sqlx::query(
        "INSERT INTO pushbox.destinations AS d (kind, name, paused_at, paused_reason)
         VALUES ($1, $2, clock_timestamp(), $3)
         ON CONFLICT (kind, name) DO UPDATE SET
             paused_at = excluded.paused_at, paused_reason = excluded.paused_reason, updated_at = now()
         WHERE d.paused_at IS NULL",
    )
    .bind(kind)
    .bind(name)
    .bind(reason)
    .execute(&mut *connection)
    .await?;
    if done.rows_affected() == 0 {
        return Ok(false);
    }
    let title = format!("{kind} {name} is paused by a person: {reason}");
    let remedy = "its jobs wait and lose nothing; resume it on the dashboard, under Destinations";
    let alert = Alert { key: &alert_key(kind, name), severity: Severity::Warning, title: &title, remedy };
    alerts::raise(connection, &alert).await?;
    Ok(true)
}

/// Ends the pause that a person made, and its alert. Returns whether there was one.
///
/// # Errors
/// When the database refuses.
pub async fn resume(connection: &mut PgConnection, kind: &str, name: &str) -> Result<bool, sqlx::Error> {
    let done = sqlx::query(
        "UPDATE pushbox.destinations SET paused_at = NULL, paused_reason = NULL, updated_at = now()
         WHERE kind = $1 AND name = $2 AND paused_at IS NOT NULL",
    )
    .bind(kind)
    .bind(name)
    .execute(&mut *connection)
    .await?;
    if done.rows_affected() == 0 {
        return Ok(false);
    }
    alerts::resolve(connection, &alert_key(kind, name)).await?;
    Ok(true)
}

/// Its own key: the alert of its breaker comes and goes meanwhile.
fn alert_key(kind: &str, name: &str) -> String {
    format!("destination_pause:{kind}:{name}")
}
