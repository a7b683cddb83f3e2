//! The database of a process: the one in the settings, or a managed cluster.

use std::time::Duration;

use anyhow::Context;
use secrecy::{ExposeSecret, SecretString};
use sqlx::{Connection, PgConnection, PgPool};

use crate::config::DatabaseSettings;
use crate::postgres::{DATABASE, ManagedPostgres, PostgresOptions};
use crate::store::{self, Migrated};

/// How often to look whether the managed server still runs.
const WATCH_EVERY: Duration = Duration::from_secs(1);

/// A pool, and the server behind it if it is ours.
#[derive(Debug)]
pub struct Database {
    pool: PgPool,
    server: Option<ManagedPostgres>,
}

impl Database {
    /// Connects, starting the managed cluster first when no URL is set, and migrates if asked to. The connections
    /// carry the name.
    ///
    /// # Errors
    /// When there is no database to be had, or a migration fails.
    pub async fn open(
        settings: &DatabaseSettings,
        name: &str,
        with_migrations: bool,
    ) -> anyhow::Result<Self> {
        let (url, server) = server_and_url(settings).await?;
        if with_migrations {
            apply(&url).await?;
        }
        let pool =
            store::pool(&url, settings.max_connections, name).context("DATABASE_URL cannot be read")?;
        Ok(Self { pool, server })
    }

    /// Connections to it.
    pub fn pool(&self) -> &PgPool {
        &self.pool
    }

    /// Revives the managed server when it ends by itself. Never returns.
    pub(super) async fn watch(&self) {
        let Some(server) = &self.server else { return std::future::pending().await };
        loop {
            tokio::time::sleep(WATCH_EVERY).await;
            match server.revive().await {
                Ok(true) => tracing::warn!("the managed Postgres had ended and was started again"),
                Ok(false) => {}
                Err(error) => tracing::error!(%error, "the managed Postgres ended and cannot be started"),
            }
        }
    }

    /// Closes the connections, then stops the server if it is ours.
    pub async fn close(self) {
        self.pool.close().await;
        if let Some(server) = self.server
            && let Err(error) = server.stop().await
        {
            tracing::warn!(%error, "the managed Postgres did not stop as asked");
        }
    }
}

async fn server_and_url(
    settings: &DatabaseSettings,
) -> anyhow::Result<(SecretString, Option<ManagedPostgres>)> {
    if let Some(url) = &settings.url {
        return Ok((url.clone(), None));
    }
    let server = ManagedPostgres::start(PostgresOptions::new(settings.data_dir.clone())).await?;
    Ok((server.url(DATABASE).into(), Some(server)))
}

async fn apply(url: &SecretString) -> anyhow::Result<Migrated> {
    let mut connection = PgConnection::connect(url.expose_secret())
        .await
        .context("cannot connect to the database: check DATABASE_URL")?;
    let migrated = store::migrate(&mut connection).await.context("migrating the database")?;
    connection.close().await?;
    for migration in &migrated.applied {
        tracing::info!("applied migration {migration}");
    }
    if let Some(note) = &migrated.note {
        tracing::info!("{note}");
    }
    Ok(migrated)
}

/// Applies migrations: the whole of `pushbox migrate`.
///
/// # Errors
/// As [`Database::open`].
pub async fn migrate(settings: &DatabaseSettings) -> anyhow::Result<Migrated> {
    let (url, server) = server_and_url(settings).await?;
    let migrated = apply(&url).await;
    if let Some(server) = server {
        server.stop().await?;
    }
    migrated
}
