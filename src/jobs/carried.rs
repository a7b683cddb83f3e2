//! Orders that came whole in a push: read from the payload, kept, and what follows asked for. The same job as for
//! orders that have to be fetched, so that several pushes of one order become one write.

use std::collections::HashMap;
use std::time::Duration;

use async_trait::async_trait;
use sqlx::PgPool;

use super::enrich::EnrichHandler;
use super::outcome::after_database;
use crate::domain::job::{EnrichOrder, JobPayload as _, NotifyEvent};
use crate::domain::order::Order;
use crate::domain::platforms::order_of;
use crate::domain::shopee::push::PLATFORM;
use crate::queue::intake::is_about_data;
use crate::queue::settle::{CompleteError, complete_in};
use crate::queue::{Batch, BatchHandler, Job, NewJob, Outcome, Plan, Waker, enqueue};
use crate::store::{self, events, orders, subscriptions, telegram};

/// How often to look whether Shopee was configured.
const AFTER_NO_CLIENT: Duration = Duration::from_mins(5);

/// Orders of every platform: fetched where the push only points at them, read where it has them.
#[derive(Debug)]
pub struct OrdersHandler {
    /// Shopee, where its API is configured.
    pub shopee: Option<EnrichHandler>,
    /// The database.
    pub pool: PgPool,
    /// What follows.
    pub plan: Plan,
    /// Woken when something follows.
    pub waker: Waker,
}

#[async_trait]
impl BatchHandler<EnrichOrder> for OrdersHandler {
    async fn handle(&self, batch: Batch<EnrichOrder>) -> HashMap<i64, Outcome> {
        // The batch key is the shop, so that all of them are of one platform.
        let fetched = batch.jobs.first().is_some_and(|job| job.payload.order.platform == PLATFORM);
        match (&self.shopee, fetched) {
            (Some(shopee), true) => shopee.handle(batch).await,
            (None, true) => {
                let on = "PARTNER_ID and PARTNER_KEY are not set".to_owned();
                all(&batch.jobs, &Outcome::Wait { on, after: AFTER_NO_CLIENT })
            }
            (_, false) => self.keep(&batch.jobs).await,
        }
    }
}

fn all(jobs: &[Job<EnrichOrder>], outcome: &Outcome) -> HashMap<i64, Outcome> {
    jobs.iter().map(|job| (job.claim.job_id, outcome.clone())).collect()
}

impl OrdersHandler {
    async fn keep(&self, jobs: &[Job<EnrichOrder>]) -> HashMap<i64, Outcome> {
        match self.commit(jobs).await {
            Err(CompleteError::Database(error)) if jobs.len() > 1 && is_about_data(&error) => {
                // One of them cannot be stored; the others shall not suffer.
                let mut outcomes = HashMap::new();
                for job in jobs.chunks(1) {
                    let committed = self.commit(job).await;
                    outcomes.extend(all(job, &self.after(committed)));
                }
                outcomes
            }
            committed => all(jobs, &self.after(committed)),
        }
    }

    fn after(&self, committed: Result<(), CompleteError>) -> Outcome {
        match committed {
            Ok(()) => {
                self.waker.wake();
                Outcome::Committed
            }
            Err(CompleteError::LeaseLost(lost)) => {
                Outcome::Wait { on: lost.to_string(), after: Duration::ZERO }
            }
            Err(CompleteError::Database(error)) if is_about_data(&error) => {
                Outcome::Retry { error: format!("the database: {error}") }
            }
            Err(CompleteError::Database(error)) => after_database(&error),
        }
    }

    /// Everything these jobs do, or nothing.
    async fn commit(&self, jobs: &[Job<EnrichOrder>]) -> Result<(), CompleteError> {
        let ids: Vec<_> = jobs.iter().flat_map(|job| job.events.iter().copied()).collect();
        let mut transaction = store::begin(&self.pool).await?;
        let done: Vec<_> = jobs.iter().map(Job::done).collect();
        complete_in(&mut transaction, &done).await?;
        let heads = events::list_heads(&mut transaction, &ids).await?;
        let carried = telegram::list_events(&mut transaction, &ids).await?;
        // What polling found was announced then: a push of it that comes late is no news.
        let told = subscriptions::found_before(&mut transaction, &ids).await?;
        let mut next: Vec<NewJob> = Vec::new();
        for job in jobs {
            let reference = &job.payload.order;
            // Pushes overtake each other: the newest state of them counts, and an older one than is known does
            // not get in.
            let read = carried.iter().filter(|event| job.events.contains(&event.id)).filter_map(|event| {
                Some((event.id, order_of(reference, event.payload.as_ref()?, event.received_at)?))
            });
            let newest = read.max_by_key(|(id, order)| (order.update_time, *id));
            if let Some((event, order)) = &newest {
                orders::upsert_order(&mut transaction, order, &[], Some(*event)).await?;
                next.extend(self.plan.sheet_rows(reference, order.create_time, &job.events));
            }
            let order: Option<&Order> = newest.as_ref().map(|(_, order)| order);
            for head in heads.iter().filter(|head| job.events.contains(&head.id)) {
                let effects = self.plan.effects(head, order);
                let told = told.contains(&head.id);
                next.extend(effects.into_iter().filter(|job| !told || job.kind() != NotifyEvent::KIND));
            }
        }
        enqueue(&mut transaction, next).await?;
        transaction.commit().await?;
        Ok(())
    }
}
