//! Keeps the tables in shape: partitions ahead of time, old ones dropped, expired keys forgotten, and with the
//! events what was announced and delivered of them.

use std::time::Duration;

use async_trait::async_trait;
use chrono::Days;
use serde_json::{Value, json};
use sqlx::PgPool;

use super::Task;
use crate::clock::SharedClock;
use crate::queue::hold::prune_holds;
use crate::store::events::{drop_partitions, ensure_partitions, prune_keys};
use crate::store::retention::{prune_deliveries, prune_messages, prune_order_messages};

/// Rows forgotten per statement, so that no transaction grows large.
const AT_ONCE: i64 = 5_000;

/// Repeats a statement until it finds less than it may; how much it found.
macro_rules! exhaust {
    ($statement:expr) => {{
        let mut all = 0;
        loop {
            let some = $statement.await?;
            all += some;
            if some < AT_ONCE.unsigned_abs() {
                break all;
            }
        }
    }};
}

/// See the module.
#[derive(Debug)]
pub struct Maintain {
    /// The database.
    pub pool: PgPool,
    /// Tells the time.
    pub clock: SharedClock,
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
        let keys = exhaust!(prune_keys(&mut connection, AT_ONCE));
        // These may have to give way to somebody who reads for long; the next run tries again.
        let made = ensure_partitions(&mut connection).await?;
        let dropped = drop_partitions(&mut connection, i32::from(self.retention_days)).await?;
        // A day later than the partitions go: never while the event is there.
        let days = Days::new(u64::from(self.retention_days) + 1);
        let before = self.clock.now().checked_sub_days(days).unwrap_or(chrono::DateTime::UNIX_EPOCH);
        let messages = exhaust!(prune_messages(&mut connection, before, AT_ONCE));
        let deliveries = exhaust!(prune_deliveries(&mut connection, before, AT_ONCE));
        let order_messages = exhaust!(prune_order_messages(&mut connection, before, AT_ONCE));
        prune_holds(&mut connection).await?;
        Ok(json!({
            "partitions_made": made, "partitions_dropped": dropped, "keys_pruned": keys,
            "messages_pruned": messages + order_messages, "deliveries_pruned": deliveries,
        }))
    }
}
