//! A loop by hand: claim 100 with SKIP LOCKED, mark them done in place, nothing else.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use sqlx::PgPool;
use tokio_util::sync::CancellationToken;

use super::{Engine, Seen};

pub struct Plain;

#[async_trait]
impl Engine for Plain {
    fn name(&self) -> &'static str {
        "plain"
    }

    async fn prepare(&self, url: &str) -> anyhow::Result<()> {
        let pool = crate::cluster::pool(url, 1).await?;
        sqlx::raw_sql(
            "CREATE TABLE job (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, payload jsonb NOT NULL,
                               status text NOT NULL DEFAULT 'ready', run_at timestamptz NOT NULL DEFAULT now(),
                               lease_until timestamptz, done_at timestamptz);
             CREATE INDEX ON job (run_at, id) WHERE status = 'ready'",
        )
        .execute(&pool)
        .await?;
        Ok(())
    }

    async fn fill(&self, pool: &PgPool, jobs: usize) -> anyhow::Result<()> {
        for start in (0..jobs).step_by(1000) {
            let payloads: Vec<String> =
                (start..jobs.min(start + 1000)).map(|n| super::payload(n).to_string()).collect();
            sqlx::query("INSERT INTO job (payload) SELECT p::jsonb FROM unnest($1::text[]) p")
                .bind(payloads)
                .execute(pool)
                .await?;
        }
        Ok(())
    }

    async fn work(&self, url: &str, seen: Arc<Seen>, stop: CancellationToken) -> anyhow::Result<()> {
        let pool = crate::cluster::pool(url, 2).await?;
        let mut loops = tokio::task::JoinSet::new();
        for _ in 0..2 {
            let (pool, seen, stop) = (pool.clone(), seen.clone(), stop.clone());
            loops.spawn(async move {
                while !stop.is_cancelled() {
                    let rows: Vec<(i64, serde_json::Value)> = sqlx::query_as(
                        "UPDATE job SET status = 'running', lease_until = now() + interval '15 s'
                         WHERE id = ANY (ARRAY(SELECT id FROM job WHERE status = 'ready' AND run_at <= now()
                                               ORDER BY run_at, id LIMIT 100 FOR UPDATE SKIP LOCKED))
                         RETURNING id, payload",
                    )
                    .fetch_all(&pool)
                    .await?;
                    if rows.is_empty() {
                        tokio::time::sleep(Duration::from_millis(50)).await;
                        continue;
                    }
                    seen.job(rows.len() as u64);
                    let ids: Vec<i64> = rows.iter().map(|row| row.0).collect();
                    sqlx::query("UPDATE job SET status = 'done', done_at = clock_timestamp() WHERE id = ANY ($1)")
                        .bind(ids)
                        .execute(&pool)
                        .await?;
                }
                anyhow::Ok(())
            });
        }
        while let Some(ended) = loops.join_next().await {
            ended??;
        }
        Ok(())
    }

    async fn is_empty(&self, pool: &PgPool) -> anyhow::Result<bool> {
        Ok(sqlx::query_scalar("SELECT NOT EXISTS (SELECT FROM job WHERE status IN ('ready', 'running'))").fetch_one(pool).await?)
    }
}
