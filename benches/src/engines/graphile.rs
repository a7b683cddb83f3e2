//! `graphile_worker`, the fastest peer: local queue on, completions batched. It deletes finished jobs.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use async_trait::async_trait;
use graphile_worker::{
    IntoTaskHandlerResult, LocalQueueConfig, RawJobSpec, TaskHandler, WorkerContext, WorkerOptions,
};
use serde::{Deserialize, Serialize};
use sqlx::PgPool;
use tokio_util::sync::CancellationToken;

use super::{Engine, Seen};

pub struct Graphile;

static SEEN: OnceLock<Arc<Seen>> = OnceLock::new();

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Noop {
    n: usize,
    text: String,
}

impl TaskHandler for Noop {
    const IDENTIFIER: &'static str = "noop";

    async fn run(self, _: WorkerContext) -> impl IntoTaskHandlerResult {
        if let Some(seen) = SEEN.get() {
            seen.job(1);
        }
        Ok::<(), String>(())
    }
}

fn options() -> WorkerOptions {
    WorkerOptions::default()
        .schema("graphile_worker")
        .concurrency(50)
        .poll_interval(Duration::from_millis(200))
        .local_queue(LocalQueueConfig::default().with_size(500))
        .complete_job_batch_delay(Duration::from_millis(5))
        .listen_os_shutdown_signals(false)
        .define_job::<Noop>()
}

#[async_trait]
impl Engine for Graphile {
    fn name(&self) -> &'static str {
        "graphile_worker"
    }

    async fn prepare(&self, url: &str) -> anyhow::Result<()> {
        options().pg_pool(crate::cluster::pool(url, 4).await?).init().await?;
        Ok(())
    }

    async fn fill(&self, pool: &PgPool, jobs: usize) -> anyhow::Result<()> {
        let utils = options().pg_pool(pool.clone()).init().await?.create_utils();
        for start in (0..jobs).step_by(1000) {
            let specs: Vec<RawJobSpec> = (start..jobs.min(start + 1000))
                .map(|n| RawJobSpec {
                    identifier: "noop".into(),
                    payload: super::payload(n),
                    spec: Default::default(),
                })
                .collect();
            utils.add_raw_jobs(&specs).await?;
        }
        Ok(())
    }

    async fn work(&self, url: &str, seen: Arc<Seen>, stop: CancellationToken) -> anyhow::Result<()> {
        SEEN.get_or_init(|| seen);
        let worker = options().pg_pool(crate::cluster::pool(url, 12).await?).init().await?;
        tokio::select! {
            ended = worker.run() => ended?,
            () = stop.cancelled() => {}
        }
        Ok(())
    }

    async fn is_empty(&self, pool: &PgPool) -> anyhow::Result<bool> {
        Ok(sqlx::query_scalar("SELECT NOT EXISTS (SELECT FROM graphile_worker._private_jobs)")
            .fetch_one(pool)
            .await?)
    }
}
