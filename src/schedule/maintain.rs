//! Keeps the tables in shape: partitions ahead of time, old ones dropped, expired keys forgotten.

use std::time::Duration;

use async_trait::async_trait;
use serde_json::{Value, json};
use sqlx::PgPool;

use super::Task;
use crate::store::events::{drop_partitions, ensure_partitions, prune_keys};

/// Keys forgotten per statement, so that no transaction grows large.
const KEYS_AT_ONCE: i64 = 5_000;

/// See the module.
#[derive(Debug)]
pub struct Maintain {
    /// The database.
    pub pool: PgPool,
    /// `EVENT_RETENTION_DAYS`.
    pub retention_days: u16,
}

#[async_trait]
impl Task for Maintain {
    fn name(&self) -> &'static str {
        "maintain"
    }

    fn every(&self) -> Duration {
        Duration::from_hours(1)
    }

    async fn run(&self) -> anyhow::Result<Value> {
        let mut connection = self.pool.acquire().await?;
        let mut keys = 0;
        loop {
            let pruned = prune_keys(&mut connection, KEYS_AT_ONCE).await?;
            keys += pruned;
            if pruned < KEYS_AT_ONCE.unsigned_abs() {
                break;
            }
        }
        // These may have to give way to somebody who reads for long; the next run tries again.
        let made = ensure_partitions(&mut connection).await?;
        let dropped = drop_partitions(&mut connection, i32::from(self.retention_days)).await?;
        Ok(json!({ "partitions_made": made, "partitions_dropped": dropped, "keys_pruned": keys }))
    }
}
