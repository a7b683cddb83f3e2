//! The Postgres that every bench shares: a private cluster with the durability that production has.

use pushbox::postgres::{DATABASE, ManagedPostgres, PostgresOptions};
use sqlx::postgres::PgPoolOptions;
use sqlx::{Connection, PgConnection, PgPool};

pub struct Cluster {
    server: ManagedPostgres,
}

impl Cluster {
    pub async fn start() -> anyhow::Result<Self> {
        let directory = std::env::temp_dir().join(format!("pushbox-bench-{}", uuid::Uuid::new_v4()));
        let mut options = PostgresOptions::ephemeral(directory);
        for (name, value) in [
            ("shared_buffers", "1GB"),
            ("max_wal_size", "8GB"),
            ("max_connections", "400"),
            ("fsync", "on"),
            ("synchronous_commit", "on"),
            ("full_page_writes", "on"),
        ] {
            options.settings.push((name.into(), value.into()));
        }
        Ok(Self { server: ManagedPostgres::start(options).await? })
    }

    /// A fresh database; migrated for pushbox if asked to.
    pub async fn database(&self, name: &str, migrated: bool) -> anyhow::Result<String> {
        let mut admin = PgConnection::connect(&self.server.url(DATABASE)).await?;
        for sql in [format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)"), format!("CREATE DATABASE {name}"), "CHECKPOINT".into()] {
            sqlx::raw_sql(sqlx::AssertSqlSafe(sql)).execute(&mut admin).await?;
        }
        let url = self.server.url(name);
        if migrated {
            pushbox::store::migrate(&mut PgConnection::connect(&url).await?).await?;
        }
        Ok(url)
    }

    pub async fn stop(self) -> anyhow::Result<()> {
        Ok(self.server.stop().await?)
    }
}

pub async fn pool(url: &str, connections: u32) -> anyhow::Result<PgPool> {
    Ok(PgPoolOptions::new().max_connections(connections).connect(url).await?)
}

/// Bytes of WAL written so far by the whole cluster.
pub async fn wal_bytes(pool: &PgPool) -> anyhow::Result<i64> {
    Ok(sqlx::query_scalar("SELECT pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0')::bigint").fetch_one(pool).await?)
}
