//! What a worker and a scheduler are made of.

use std::sync::Arc;
use std::time::Duration;

use super::Parts;
use crate::clients::shopee::ShopeeClient;
use crate::jobs::enrich::EnrichHandler;
use crate::queue::{QueueSpec, Runtime};
use crate::schedule::lost_pushes::LostPushes;
use crate::schedule::maintain::Maintain;
use crate::schedule::refresh_tokens::RefreshTokens;
use crate::schedule::{Driver, Task};

/// Orders in one call of the platform.
const ENRICH_BATCH: usize = 50;
/// A batch of orders takes two kinds of calls of up to half a minute each.
const ENRICH_TIMEOUT: Duration = Duration::from_secs(180);

/// The workers of every queue that has something to do with these settings.
pub(super) async fn runtime(parts: &Parts) -> anyhow::Result<Runtime> {
    let settings = &parts.config.queue;
    let mut specs = Vec::new();
    if parts.api_is_configured() {
        let handler = EnrichHandler {
            pool: parts.pool.clone(),
            client: ShopeeClient::new(&parts.config.shopee, parts.clock.clone())?,
            sealer: parts.sealer.clone(),
            plan: parts.plan.clone(),
            waker: parts.waker.clone(),
        };
        specs.push(QueueSpec::new(Arc::new(handler), ENRICH_BATCH, settings.concurrency, ENRICH_TIMEOUT));
    }
    Ok(Runtime::new(parts.pool.clone(), settings, &parts.worker, parts.waker.clone(), specs))
}

/// The tasks of a scheduler.
pub(super) fn driver(parts: &Parts) -> anyhow::Result<Driver> {
    let mut tasks: Vec<Arc<dyn Task>> = vec![Arc::new(Maintain {
        pool: parts.pool.clone(),
        retention_days: parts.config.schedule.event_retention_days,
    })];
    if parts.api_is_configured() {
        let client = Arc::new(ShopeeClient::new(&parts.config.shopee, parts.clock.clone())?);
        tasks.push(Arc::new(RefreshTokens {
            pool: parts.pool.clone(),
            client: client.clone(),
            clock: parts.clock.clone(),
            sealer: parts.sealer.clone(),
            waker: parts.waker.clone(),
        }));
        tasks.push(Arc::new(LostPushes {
            pool: parts.pool.clone(),
            client,
            clock: parts.clock.clone(),
            plan: parts.plan.clone(),
            waker: parts.waker.clone(),
            every: parts.config.schedule.lost_push_interval,
        }));
    }
    Ok(Driver::new(parts.pool.clone(), tasks))
}
