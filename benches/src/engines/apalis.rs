//! apalis-postgres: at its defaults, and with large batches and its fetch function kept from bad plans.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use apalis_core::backend::ext::BackendExt;
use apalis_core::task::builder::TaskBuilder;
use apalis_core::worker::builder::WorkerBuilder;
use apalis_postgres::{Config, PostgresStorage};
use async_trait::async_trait;
use futures_util::FutureExt;
use serde::{Deserialize, Serialize};
use sqlx::PgPool;
use tokio_util::sync::CancellationToken;

use super::{Engine, Seen};

pub struct Apalis {
    pub batch: usize,
    pub fixed: bool,
}

static SEEN: OnceLock<Arc<Seen>> = OnceLock::new();
const QUEUE: &str = "noop";

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Noop {
    n: usize,
    text: String,
}

async fn noop(_: Noop) {
    if let Some(seen) = SEEN.get() {
        seen.job(1);
    }
}

#[async_trait]
impl Engine for Apalis {
    fn name(&self) -> &'static str {
        if self.fixed { "apalis-postgres (batch 500, plan fixed)" } else { "apalis-postgres (defaults)" }
    }

    async fn prepare(&self, url: &str) -> anyhow::Result<()> {
        let pool = crate::cluster::pool(url, 2).await?;
        PostgresStorage::<()>::setup(&pool).await?;
        if self.fixed {
            sqlx::raw_sql(
                "ALTER FUNCTION apalis.get_jobs(text, text, integer) SET enable_hashjoin = off;
                 ALTER FUNCTION apalis.get_jobs(text, text, integer) SET enable_mergejoin = off;
                 ALTER FUNCTION apalis.get_jobs(text, text, integer) SET enable_seqscan = off",
            )
            .execute(&pool)
            .await?;
        }
        Ok(())
    }

    async fn fill(&self, pool: &PgPool, jobs: usize) -> anyhow::Result<()> {
        for start in (0..jobs).step_by(1000) {
            let tasks: Vec<_> = (start..jobs.min(start + 1000))
                .map(|n| TaskBuilder::new(super::payload(n).to_string().into_bytes()).build())
                .collect();
            let mut transaction = pool.begin().await?;
            apalis_postgres::queries::push_tasks(&mut *transaction, QUEUE, tasks).await?;
            transaction.commit().await?;
        }
        Ok(())
    }

    async fn work(&self, url: &str, seen: Arc<Seen>, stop: CancellationToken) -> anyhow::Result<()> {
        SEEN.get_or_init(|| seen);
        let pool = crate::cluster::pool(url, 8).await?;
        run(&pool, self.batch, stop).await
    }

    async fn is_empty(&self, pool: &PgPool) -> anyhow::Result<bool> {
        Ok(sqlx::query_scalar(
            "SELECT NOT EXISTS (SELECT FROM apalis.jobs WHERE status NOT IN ('Done', 'Killed'))",
        )
        .fetch_one(pool)
        .await?)
    }
}

fn run(
    pool: &PgPool,
    batch: usize,
    stop: CancellationToken,
) -> futures_util::future::BoxFuture<'static, anyhow::Result<()>> {
    let config = Config::default().queue(QUEUE).batch_size(batch);
    let backend =
        PostgresStorage::<Noop>::new(pool).with_config(config).poll_with_interval(Duration::from_millis(200));
    let worker =
        WorkerBuilder::new(format!("bench-{}", uuid::Uuid::new_v4())).backend(backend).build(noop);
    let stopped = stop.cancelled_owned().map(|()| Ok::<(), std::io::Error>(()));
    Box::pin(worker.run_until(stopped).map(|ended| ended.map_err(|error| anyhow::anyhow!("{error}"))))
}
