//! Which processes of pushbox run. They say so themselves, see `queue::bell`.

use chrono::{DateTime, Utc};
use sqlx::PgExecutor;

/// A process that was silent for so long does not run: three times it should have said so.
pub const SILENT_AFTER: &str = "30 seconds";

/// One process.
#[derive(Debug, Clone, sqlx::FromRow)]
pub struct WorkerRow {
    /// As in `jobs.worker`.
    pub name: String,
    /// The host or container it runs on; empty when unknown.
    pub host: String,
    /// Version of pushbox.
    pub version: String,
    /// What it does.
    pub roles: Vec<String>,
    /// When it started.
    pub started_at: DateTime<Utc>,
    /// When it last said that it runs.
    pub last_seen_at: DateTime<Utc>,
    /// Whether it said so lately.
    pub alive: bool,
    /// Jobs it has claimed.
    pub running: i64,
    /// Since when it has the oldest of them.
    pub oldest_claimed_at: Option<DateTime<Utc>>,
    /// Version of the settings that it works with.
    pub settings_version: Option<i64>,
    /// Why it cannot work with the newest.
    pub settings_error: Option<String>,
}

/// All processes, those that run first; among them whoever still holds jobs and has no row any more.
///
/// # Errors
/// When the database refuses.
pub async fn list_workers(executor: impl PgExecutor<'_>) -> sqlx::Result<Vec<WorkerRow>> {
    sqlx::query_as(
        "with held as (select worker, count(*) as running, min(claimed_at) as oldest_claimed_at
                         from pushbox.jobs where state = 'running' and worker is not null group by worker)
         select coalesce(w.id, h.worker) as name, coalesce(w.host, '') as host,
                coalesce(w.version, 'unknown') as version, coalesce(w.roles, '{}') as roles,
                coalesce(w.started_at, h.oldest_claimed_at, now()) as started_at,
                coalesce(w.seen_at, h.oldest_claimed_at, now()) as last_seen_at,
                coalesce(w.seen_at > now() - $1::text::interval, false) as alive,
                coalesce(h.running, 0) as running, h.oldest_claimed_at,
                w.settings_version, w.settings_error
           from pushbox.workers w
           full join held h on h.worker = w.id
          order by alive desc, started_at, name",
    )
    .bind(SILENT_AFTER)
    .fetch_all(executor)
    .await
}
