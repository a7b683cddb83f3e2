//! Drains Shopee's lost queue: a page is stored in one transaction, what cannot be read as well, committed, then
//! confirmed, then the next is asked for. A crash in between only means that the page comes again, and every push
//! of it is known then. What is not committed is never confirmed, and neither is an empty page. One runner at a
//! time: the tick's lease.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use async_trait::async_trait;
use serde_json::{Value, json};
use sqlx::PgPool;

use super::Task;
use crate::clients::error::ClientError;
use crate::clients::shopee::{LostPush, ShopeeClient};
use crate::clock::SharedClock;
use crate::domain::event::Via;
use crate::domain::push::{Arrival, sha256};
use crate::domain::shopee::{ShopeeBody, push::PLATFORM, read};
use crate::observability::metrics::timed_call;
use crate::queue::{Accepted, Intake, Plan, Waker, intake};
use crate::store;

/// Pages in one run; a queue that is longer goes on at the next tick.
const PAGES_AT_MOST: usize = 100;

/// See the module.
#[derive(Debug)]
pub struct LostPushes {
    /// The database.
    pub pool: PgPool,
    /// The platform.
    pub client: Arc<ShopeeClient>,
    /// When a push reached us.
    pub clock: SharedClock,
    /// What the pushes ask for.
    pub plan: Plan,
    /// Woken when something was found.
    pub waker: Waker,
    /// `LOST_PUSH_INTERVAL`.
    pub every: Duration,
}

#[async_trait]
impl Task for LostPushes {
    fn name(&self) -> &'static str {
        "lost_pushes"
    }

    fn every(&self) -> Duration {
        self.every
    }

    fn after_outage(&self) -> bool {
        true
    }

    async fn run(&self) -> anyhow::Result<Value> {
        let (mut pages, mut found, mut recovered) = (0, 0, 0);
        while pages < PAGES_AT_MOST {
            let page = timed_call(
                PLATFORM,
                "push/get_lost_push_message",
                ClientError::class,
                self.client.lost_pushes(),
            );
            let page = page.await.context("reading the lost queue")?;
            let Some(last) = page.last_message_id.filter(|_| !page.pushes.is_empty()) else { break };
            pages += 1;
            found += page.pushes.len();
            recovered += self.store(&page.pushes).await.context("storing lost pushes")?;
            // Only now: what is confirmed is gone for ever.
            let confirmed = timed_call(
                PLATFORM,
                "push/confirm_consumed_lost_push_message",
                ClientError::class,
                self.client.confirm_lost(last),
            );
            confirmed.await.context("confirming lost pushes")?;
            if !page.has_next_page {
                break;
            }
        }
        if recovered > 0 {
            tracing::info!(found, recovered, "recovered {recovered} lost pushes");
        }
        Ok(json!({ "pages": pages, "found": found, "recovered": recovered }))
    }
}

impl LostPushes {
    /// Stores all of a page, unreadable ones too, or nothing; returns how many were new.
    async fn store(&self, pushes: &[LostPush]) -> anyhow::Result<usize> {
        let intakes: Vec<Intake> = pushes.iter().filter_map(|push| self.intake(push)).collect();
        let mut transaction = store::begin(&self.pool).await?;
        let accepted = intake::accept_all(&mut transaction, intakes).await?;
        transaction.commit().await?;
        self.waker.wake();
        Ok(accepted.iter().filter(|one| matches!(one, Accepted::New(_))).count())
    }

    /// None: the verification probe, which nobody needs twice.
    fn intake(&self, lost: &LostPush) -> Option<Intake> {
        let body = lost.envelope.as_bytes();
        let ShopeeBody::Push(push) = read(body) else { return None };
        let intake = self.plan.intake(
            *push,
            Arrival {
                source: PLATFORM.to_owned(),
                body_sha256: sha256(body),
                headers: json!({}),
                received_at: self.clock.now(),
                via: Via::LostPush,
            },
        );
        Some(intake)
    }
}
