//! The database of a process: the one in the settings, or a managed cluster.

use std::time::Duration;

use anyhow::{Context, bail};
use secrecy::SecretString;
use sqlx::{Connection, PgConnection, PgPool};

use crate::config::DatabaseSettings;
use crate::postgres::{DATABASE, ManagedPostgres, PostgresOptions, running_url};
use crate::store::{self, Migrated, Sessions};

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
        let sessions = looked_at(settings, &url).await?;
        if with_migrations {
            apply(&url).await?;
        }
        let pool = store::pool(&url, settings.max_connections, name, sessions)
            .context("DATABASE_URL cannot be read")?;
        Ok(Self { pool, server })
    }

    /// Connects for a command: to the URL that is set, to the managed cluster of a pushbox that runs, and only
    /// where none runs to a managed cluster started for the purpose. Migrates nothing. The connections carry the name.
    ///
    /// # Errors
    /// When there is no database to be had.
    pub async fn attach(settings: &DatabaseSettings, name: &str) -> anyhow::Result<Self> {
        let running = match &settings.url {
            Some(_) => None,
            None => running_url(&settings.data_dir, DATABASE)?,
        };
        match running {
            Some(url) => {
                let pool = store::pool(&url.into(), settings.max_connections, name, Sessions::Own)?;
                Ok(Self { pool, server: None })
            }
            None => Self::open(settings, name, false).await,
        }
    }

    /// Connects like [`Self::attach`], for a command that works on our tables.
    ///
    /// # Errors
    /// When there is no database to be had, or it has no tables of ours yet.
    pub async fn equipped(settings: &DatabaseSettings, name: &str) -> anyhow::Result<Self> {
        let database = Self::attach(settings, name).await?;
        let found = store::health::has_tables(&database.pool).await;
        if matches!(found, Ok(true)) {
            return Ok(database);
        }
        database.close().await;
        found.context("cannot connect to the database")?;
        bail!("the database has no tables of pushbox yet: `pushbox serve` or `pushbox migrate` makes them")
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

/// Whether connections have sessions to themselves. An error if the database cannot be used as the settings say;
/// asked before the first statement that changes anything.
async fn looked_at(settings: &DatabaseSettings, url: &SecretString) -> anyhow::Result<Sessions> {
    let sessions = if settings.pooler { Sessions::Shared } else { Sessions::Own };
    let options = store::connect_options(url, "start", sessions).context("DATABASE_URL cannot be read")?;
    store::pooler::check(&options, sessions).await?;
    Ok(sessions)
}

/// Without limits on statements: a migration takes as long as it takes.
async fn apply(url: &SecretString) -> anyhow::Result<Migrated> {
    let options =
        store::connect_options(url, "migrate", Sessions::Shared).context("DATABASE_URL cannot be read")?;
    let mut connection = PgConnection::connect_with(&options)
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
    let migrated = match looked_at(settings, &url).await {
        Ok(_) => apply(&url).await,
        Err(error) => Err(error),
    };
    if let Some(server) = server {
        server.stop().await?;
    }
    migrated
}
