//! Empties what events carried when `PAYLOAD_RETENTION_DAYS` is over.

use std::time::Duration;

use async_trait::async_trait;
use serde_json::{Value, json};
use sqlx::PgPool;

use super::Task;
use crate::store::payloads::{empty_order_answers, empty_payloads};

/// Rows per statement, so that no transaction grows large.
const AT_ONCE: i64 = 2_000;

/// See the module.
#[derive(Debug)]
pub struct EmptyPayloads {
    /// The database.
    pub pool: PgPool,
    /// `PAYLOAD_RETENTION_DAYS`.
    pub days: u16,
}

#[async_trait]
impl Task for EmptyPayloads {
    fn name(&self) -> &'static str {
        "payload_retention"
    }

    fn every(&self) -> Duration {
        Duration::from_hours(1)
    }

    async fn run(&self) -> anyhow::Result<Value> {
        let mut connection = self.pool.acquire().await?;
        let events = empty_payloads(&mut connection, self.days, AT_ONCE).await?;
        let orders = empty_order_answers(&mut connection, self.days, AT_ONCE).await?;
        Ok(json!({ "events_emptied": events, "orders_emptied": orders }))
    }
}
