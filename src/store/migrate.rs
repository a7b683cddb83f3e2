//! Migrations: refinery's runner over an sqlx connection, so that there is one driver and one TLS stack.

use refinery::{Migration, Runner};
use refinery_core::traits::r#async::{AsyncMigrate, AsyncQuery, AsyncTransaction};
use sqlx::postgres::PgConnection;
use sqlx::{Connection, Row};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

mod embedded {
    refinery::embed_migrations!("migrations");
}

/// Why the schema could not be brought up to date.
#[derive(Debug, thiserror::Error)]
pub enum MigrateError {
    /// The database could not be reached or refused a statement.
    #[error("cannot reach the database to migrate it")]
    Database(#[from] sqlx::Error),
    /// A migration failed, or the schema was made by a newer or a changed pushbox.
    #[error("migration failed")]
    Migration(#[from] refinery::Error),
}

/// Every migration of this binary, in order: version, name, SQL.
pub fn migrations() -> Vec<(i64, String, String)> {
    let mut found: Vec<_> = embedded::migrations::runner()
        .get_migrations()
        .iter()
        .map(|one| {
            (i64::from(one.version()), one.name().to_owned(), one.sql().unwrap_or_default().to_owned())
        })
        .collect();
    // They are embedded by the names of their files: V10 before V2.
    found.sort_by_key(|(version, _, _)| *version);
    found
}

/// The role that may read everything but secrets.
const READER: &str = "pushbox_audit";

/// What a migration did.
#[derive(Debug, Clone, Default)]
pub struct Migrated {
    /// Names of what was applied, in order.
    pub applied: Vec<String>,
    /// What an administrator should know: something that the migrating role may not do.
    pub note: Option<String>,
}

/// Applies what is missing. Any number of processes may call it at once: an advisory lock lets one work and the
/// others find nothing to do.
///
/// # Errors
/// When the database cannot be reached, a migration fails, or one that was applied is unknown or different.
pub async fn migrate(connection: &mut PgConnection) -> Result<Migrated, MigrateError> {
    // The lock ends with the transaction of the session, so it also works behind a transaction pooler.
    let mut lock = connection.begin().await?;
    sqlx::query("SELECT pg_advisory_xact_lock(hashtext('pushbox.migrate'))").execute(&mut *lock).await?;
    // With its schema: unqualified, a user named `pushbox` would find it in `public` at the first run and look for
    // it in the schema of the same name at the second.
    sqlx::query("CREATE SCHEMA IF NOT EXISTS pushbox").execute(&mut *lock).await?;
    let mut runner: Runner = embedded::migrations::runner();
    runner.set_migration_table_name("pushbox.pushbox_schema_history");
    let report = runner.run_async(&mut Driver(&mut lock)).await?;
    let applied: Vec<String> = report.applied_migrations().iter().map(ToString::to_string).collect();
    // The role is of the whole cluster: it may have been made elsewhere, or not be ours to make.
    let has_reader: bool = sqlx::query_scalar("SELECT EXISTS (SELECT FROM pg_roles WHERE rolname = $1)")
        .bind(READER)
        .fetch_one(&mut *lock)
        .await?;
    if has_reader && !applied.is_empty() {
        sqlx::query("SELECT audit.grant_reading($1)").bind(READER).execute(&mut *lock).await?;
    }
    lock.commit().await?;
    let note = (!has_reader).then(|| {
        format!(
            "there is no role {READER} for people who only read, and this role may not make it: as an \
             administrator `CREATE ROLE {READER} NOLOGIN`, then as this role `SELECT audit.grant_reading()`"
        )
    });
    Ok(Migrated { applied, note })
}

/// Lets refinery drive sqlx.
struct Driver<'a>(&'a mut PgConnection);

impl AsyncTransaction for Driver<'_> {
    type Error = sqlx::Error;

    async fn execute<'a, T: Iterator<Item = &'a str> + Send + 'a>(
        &'a mut self,
        queries: T,
    ) -> Result<usize, sqlx::Error> {
        let mut count = 0;
        let mut transaction = self.0.begin().await?;
        for query in queries {
            sqlx::raw_sql(sqlx::AssertSqlSafe(query.to_owned())).execute(&mut *transaction).await?;
            count += 1;
        }
        transaction.commit().await?;
        Ok(count)
    }
}

impl AsyncQuery<Vec<Migration>> for Driver<'_> {
    async fn query<'a>(&'a mut self, query: &'a str) -> Result<Vec<Migration>, sqlx::Error> {
        let rows = sqlx::query(sqlx::AssertSqlSafe(query.to_owned())).fetch_all(&mut *self.0).await?;
        rows.into_iter().map(|row| applied(&row)).collect()
    }
}

impl AsyncMigrate for Driver<'_> {}

fn applied(row: &sqlx::postgres::PgRow) -> Result<Migration, sqlx::Error> {
    let decode = |error: Box<dyn std::error::Error + Send + Sync>| sqlx::Error::Decode(error);
    let applied_on: String = row.try_get(2)?;
    let applied_on = OffsetDateTime::parse(&applied_on, &Rfc3339).map_err(|error| decode(error.into()))?;
    let checksum: String = row.try_get(3)?;
    let checksum = checksum.parse().map_err(|error: std::num::ParseIntError| decode(error.into()))?;
    Ok(Migration::applied(row.try_get(0)?, row.try_get(1)?, applied_on, checksum))
}
