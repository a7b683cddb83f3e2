//! Which processes of pushbox run, by their own word.

use chrono::{DateTime, Utc};
use sqlx::PgExecutor;

/// A process that was silent for so long is gone.
pub const SILENT_AFTER: &str = "30 seconds";

/// One process.
#[derive(Debug, Clone, sqlx::FromRow)]
pub struct ProcessRow {
    /// As in `jobs.worker`.
    pub name: String,
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
}

/// Says that this process runs, and forgets those that have been silent for a day.
pub async fn beat(
    executor: impl PgExecutor<'_>,
    name: &str,
    roles: &[String],
    started_at: DateTime<Utc>,
) -> sqlx::Result<()> {
    sqlx::query(
        "with forgotten as (delete from pushbox.processes where last_seen_at < now() - interval '1 day')
         insert into pushbox.processes (name, version, roles, started_at) values ($1, $2, $3, $4)
         on conflict (name) do update set last_seen_at = now()",
    )
    .bind(name)
    .bind(env!("CARGO_PKG_VERSION"))
    .bind(roles)
    .bind(started_at)
    .execute(executor)
    .await?;
    Ok(())
}

/// Forgets a process that ends in order.
pub async fn leave(executor: impl PgExecutor<'_>, name: &str) -> sqlx::Result<()> {
    sqlx::query("delete from pushbox.processes where name = $1").bind(name).execute(executor).await?;
    Ok(())
}

/// All processes, those that run first; among them whoever still holds jobs without having said a word.
pub async fn list_processes(executor: impl PgExecutor<'_>) -> sqlx::Result<Vec<ProcessRow>> {
    sqlx::query_as(
        "with held as (select worker, count(*) as running, min(claimed_at) as oldest_claimed_at
                         from pushbox.jobs where state = 'running' and worker is not null group by worker)
         select coalesce(p.name, h.worker) as name, coalesce(p.version, 'unknown') as version,
                coalesce(p.roles, '{}') as roles, coalesce(p.started_at, h.oldest_claimed_at, now()) as started_at,
                coalesce(p.last_seen_at, h.oldest_claimed_at, now()) as last_seen_at,
                coalesce(p.last_seen_at > now() - $1::text::interval, false) as alive,
                coalesce(h.running, 0) as running, h.oldest_claimed_at
           from pushbox.processes p
           full join held h on h.worker = p.name
          order by alive desc, started_at, name",
    )
    .bind(SILENT_AFTER)
    .fetch_all(executor)
    .await
}
