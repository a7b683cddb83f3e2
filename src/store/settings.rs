//! Settings that people changed while pushbox ran, and which process works with which of them.

use chrono::{DateTime, Utc};
use sqlx::{PgConnection, PgExecutor};

/// A changed setting.
#[derive(Debug, Clone, sqlx::FromRow)]
pub struct SettingRow {
    /// Its name.
    pub name: String,
    /// Its text, or the sealed text.
    pub value: String,
    /// Whether it is sealed.
    pub sealed: bool,
    /// When it was last changed.
    pub changed_at: DateTime<Utc>,
    /// By whom.
    pub changed_by: String,
}

/// How often settings were changed.
///
/// # Errors
/// When the database refuses.
pub async fn version(executor: impl PgExecutor<'_>) -> sqlx::Result<i64> {
    sqlx::query_scalar("SELECT version FROM pushbox.settings_version").fetch_one(executor).await
}

/// Counts one more change, and makes every other change wait until the end of the transaction.
///
/// # Errors
/// When the database refuses.
pub async fn begin_change(connection: &mut PgConnection) -> sqlx::Result<i64> {
    sqlx::query_scalar("UPDATE pushbox.settings_version SET version = version + 1 RETURNING version")
        .fetch_one(connection)
        .await
}

/// All changed settings by name.
///
/// # Errors
/// When the database refuses.
pub async fn list_settings(executor: impl PgExecutor<'_>) -> sqlx::Result<Vec<SettingRow>> {
    sqlx::query_as("SELECT name, value, sealed, changed_at, changed_by FROM pushbox.settings ORDER BY name")
        .fetch_all(executor)
        .await
}

/// Keeps a value.
///
/// # Errors
/// When the database refuses.
pub async fn put_setting(
    connection: &mut PgConnection,
    name: &str,
    value: &str,
    sealed: bool,
    changed_by: &str,
) -> sqlx::Result<()> {
    sqlx::query(
        "INSERT INTO pushbox.settings (name, value, sealed, changed_by) VALUES ($1, $2, $3, $4)
         ON CONFLICT (name) DO UPDATE SET value = excluded.value, sealed = excluded.sealed,
             changed_at = now(), changed_by = excluded.changed_by",
    )
    .bind(name)
    .bind(value)
    .bind(sealed)
    .bind(changed_by)
    .execute(connection)
    .await?;
    Ok(())
}

/// Takes a change back: `pushbox.toml` or the default is in force again.
///
/// # Errors
/// When the database refuses.
pub async fn delete_setting(connection: &mut PgConnection, name: &str) -> sqlx::Result<()> {
    sqlx::query("DELETE FROM pushbox.settings WHERE name = $1").bind(name).execute(connection).await?;
    Ok(())
}

/// Replaces the sealed text of a setting, unless it was changed meanwhile; whether it was replaced.
///
/// # Errors
/// When the database refuses.
pub async fn reseal_setting(
    connection: &mut PgConnection,
    old: &SettingRow,
    new: &str,
) -> sqlx::Result<bool> {
    let done =
        sqlx::query("UPDATE pushbox.settings SET value = $3, sealed = true WHERE name = $1 AND value = $2")
            .bind(&old.name)
            .bind(&old.value)
            .bind(new)
            .execute(connection)
            .await?;
    Ok(done.rows_affected() == 1)
}

/// Notes which version a process works with, and why not with the newest. False: the process has no row yet.
///
/// # Errors
/// When the database refuses.
pub async fn note_in_force(
    executor: impl PgExecutor<'_>,
    worker: &str,
    version: i64,
    error: Option<&str>,
) -> sqlx::Result<bool> {
    let done =
        sqlx::query("UPDATE pushbox.workers SET settings_version = $2, settings_error = $3 WHERE id = $1")
            .bind(worker)
            .bind(version)
            .bind(error)
            .execute(executor)
            .await?;
    Ok(done.rows_affected() == 1)
}
