//! Fetches full orders with their income, keeps both, and asks for what follows: all orders of a batch with
//! one call, and all their effects, completions and next jobs in one transaction.

use std::collections::HashMap;
use std::time::Duration;

use async_trait::async_trait;
use rust_decimal::Decimal;
use sqlx::PgPool;
use uuid::Uuid;

use super::outcome::{Caller, after, after_database};
use crate::clients::error::ClientError;
use crate::clients::shopee::{Apps, Credentials, MAX_ORDERS, ShopeeClient};
use crate::domain::job::EnrichOrder;
use crate::domain::money::net_income;
use crate::domain::order::{Order, OrderIncome, OrderRef};
use crate::domain::seal::{Sealer, token_place};
use crate::domain::shopee::push::PLATFORM;
use crate::observability::metrics::timed_call;
use crate::observability::trace::Ids;
use crate::queue::intake::is_about_data;
use crate::queue::settle::{CompleteError, complete_in};
use crate::queue::{Batch, BatchHandler, Job, NewJob, Outcome, Plan, Waker, enqueue};
use crate::store::breakers::{self, Admission};
use crate::store::call_budget::APP;
use crate::store::{self, destinations, events, orders, shops};

/// Shopee's recommendation for the income of several orders.
const INCOME_AT_ONCE: usize = 20;
/// How long to give the platform to show a change that it has pushed already.
const AFTER_STALE: Duration = Duration::from_secs(2);
/// After so many looks the older view is taken: the next push brings the newer one.
const STALE_LOOKS: i32 = 4;
/// How often to look whether an unknown shop was authorized.
const AFTER_UNKNOWN_SHOP: Duration = Duration::from_mins(1);

/// Enriches orders of Shopee.
#[derive(Debug)]
pub struct EnrichHandler {
    /// The database.
    pub pool: PgPool,
    /// The platform.
    pub apps: Apps,
    /// Opens tokens.
    pub sealer: Sealer,
    /// What follows.
    pub plan: Plan,
    /// Woken when something follows.
    pub waker: Waker,
}

/// An order ready to be kept.
struct Fetched<'a> {
    job: &'a Job<EnrichOrder>,
    order: Order,
    income: Option<OrderIncome>,
}

#[async_trait]
impl BatchHandler<EnrichOrder> for EnrichHandler {
    async fn handle(&self, batch: Batch<EnrichOrder>) -> HashMap<i64, Outcome> {
        let mut outcomes = HashMap::new();
        for jobs in batch.jobs.chunks(MAX_ORDERS) {
            outcomes.extend(self.handle_chunk(jobs).await);
        }
        outcomes
    }
}

fn all(jobs: &[Job<EnrichOrder>], outcome: &Outcome) -> HashMap<i64, Outcome> {
    jobs.iter().map(|job| (job.claim.job_id, outcome.clone())).collect()
}

impl EnrichHandler {
    /// `jobs` are of one shop: the batch key is the shop. The shop's breaker is asked and told.
    async fn handle_chunk(&self, jobs: &[Job<EnrichOrder>]) -> HashMap<i64, Outcome> {
        let Some(first) = jobs.first() else { return HashMap::new() };
        let OrderRef { platform, shop_id, .. } = &first.payload.order;
        let answered = async {
            let mut connection = self.pool.acquire().await?;
            let admission = breakers::admit(&mut connection, platform, shop_id, first.claim.into()).await?;
            drop(connection);
            if let Admission::Paused(paused) = admission {
                return Ok(all(jobs, &Outcome::Wait { on: paused.reason, after: paused.remaining }));
            }
            let outcomes = self.ask(platform, shop_id, jobs).await?;
            if admission == Admission::Probe {
                // Nothing happens if it was found out whether the API works for the shop.
                breakers::leave_probe(&mut *self.pool.acquire().await?, platform, shop_id).await?;
            }
            Ok(outcomes)
        };
        answered.await.unwrap_or_else(|error: sqlx::Error| all(jobs, &after_database(&error)))
    }

    async fn ask(
        &self,
        platform: &str,
        shop_id: &str,
        jobs: &[Job<EnrichOrder>],
    ) -> Result<HashMap<i64, Outcome>, sqlx::Error> {
        let (credentials, sealed) = match self.credentials(platform, shop_id).await {
            Ok(found) => found,
            Err(outcome) => return Ok(all(jobs, &outcome)),
        };
        let client = match self.apps.of(credentials.partner_id) {
            Ok(client) => client,
            Err(error) => {
                let outcome = Outcome::Wait { on: error.to_string(), after: AFTER_UNKNOWN_SHOP };
                return Ok(all(jobs, &outcome));
            }
        };
        let app = format!("{APP}{}", client.suffix());
        let pause = destinations::find_pause(&mut *self.pool.acquire().await?, platform, &app).await?;
        if let Some(pause) = pause {
            return Ok(all(jobs, &Outcome::Wait { on: pause.reason, after: pause.remaining }));
        }
        let remedy = client.authorization_remedy();
        let caller = Caller { platform: PLATFORM, shop_id, app: &app, access_token: &sealed, remedy };
        match self.fetch(client, &credentials, &caller, jobs).await {
            Ok((fetched, mut outcomes)) => {
                breakers::succeed(&self.pool, platform, shop_id).await?;
                outcomes.extend(self.keep(fetched).await);
                Ok(outcomes)
            }
            Err(error @ ClientError::Unavailable { .. }) => {
                let why = error.to_string();
                let mut transaction = store::begin(&self.pool).await?;
                let open = breakers::fail(&mut transaction, platform, shop_id, &why).await?;
                transaction.commit().await?;
                Ok(all(
                    jobs,
                    &open.map_or(Outcome::Retry { error: why.clone() }, |after| Outcome::Wait {
                        on: why,
                        after,
                    }),
                ))
            }
            Err(error) => Ok(all(jobs, &after(&self.pool, &caller, &error).await)),
        }
    }

    /// The shop's token, or why nothing can be asked now.
    async fn credentials(&self, platform: &str, shop_id: &str) -> Result<(Credentials, String), Outcome> {
        let wait = |on: String| Outcome::Wait { on, after: AFTER_UNKNOWN_SHOP };
        let (Ok(id), PLATFORM) = (shop_id.parse(), platform) else {
            return Err(Outcome::Dead { error: format!("{platform} has no shop {shop_id:?} to ask") });
        };
        let mut connection = self.pool.acquire().await.map_err(|error| after_database(&error))?;
        let shop = shops::find_shop(&mut connection, platform, shop_id)
            .await
            .map_err(|error| after_database(&error))?;
        let Some((shop, sealed)) = shop.and_then(|shop| shop.access_token.clone().map(|token| (shop, token)))
        else {
            return Err(wait(format!("shop {shop_id} is not authorized: pushbox shopee authorize")));
        };
        if shop.state != "active" {
            return Err(wait(format!("shop {shop_id}: {}", shop.state_reason.unwrap_or(shop.state))));
        }
        let access_token = self
            .sealer
            .open(&sealed, &token_place(platform, shop_id, "access"))
            .map_err(|error| wait(error.to_string()))?;
        Ok((Credentials { shop_id: id, partner_id: shop.partner_id, access_token }, sealed))
    }

    /// Asks for the orders, then for the income of those that are fresh enough.
    async fn fetch<'a>(
        &self,
        client: &ShopeeClient,
        credentials: &Credentials,
        caller: &Caller<'_>,
        jobs: &'a [Job<EnrichOrder>],
    ) -> Result<(Vec<Fetched<'a>>, HashMap<i64, Outcome>), ClientError> {
        let by_number: HashMap<&str, &Job<EnrichOrder>> =
            jobs.iter().map(|job| (job.payload.order.order_sn.as_str(), job)).collect();
        let numbers: Vec<&str> = by_number.keys().copied().collect();
        let details = timed_call(
            PLATFORM,
            "order/get_order_detail",
            ClientError::class,
            client.order_detail(credentials, &numbers),
        )
        .await?;
        for job in jobs {
            tracing::debug!(job.id = job.claim.job_id, event.ids = %Ids(&job.events), order = %job.payload.order,
                "asked Shopee for order {}", job.payload.order.order_sn);
        }
        let mut outcomes = HashMap::new();
        for (number, error) in &details.failed {
            if let Some(job) = by_number.get(number.as_str()) {
                outcomes.insert(job.claim.job_id, after(&self.pool, caller, error).await);
            }
        }
        let mut fetched = Vec::new();
        for order in details.found {
            let Some(job) = by_number.get(order.reference.order_sn.as_str()) else { continue };
            if let Some(outcome) = stale(job, &order) {
                outcomes.insert(job.claim.job_id, outcome);
            } else {
                fetched.push(Fetched { job, order, income: None });
            }
        }
        self.fetch_income(client, credentials, caller, &mut fetched, &mut outcomes).await;
        Ok((fetched, outcomes))
    }

    /// An order without income is kept all the same when there is none to be had; when the platform failed,
    /// it is tried again, and at the last attempt kept without.
    async fn fetch_income(
        &self,
        client: &ShopeeClient,
        credentials: &Credentials,
        caller: &Caller<'_>,
        fetched: &mut Vec<Fetched<'_>>,
        outcomes: &mut HashMap<i64, Outcome>,
    ) {
        let mut incomes = HashMap::new();
        let mut failures = HashMap::new();
        for chunk in fetched.chunks(INCOME_AT_ONCE) {
            let numbers: Vec<&str> = chunk.iter().map(|one| one.order.reference.order_sn.as_str()).collect();
            let asked = timed_call(
                PLATFORM,
                "payment/get_escrow_detail_batch",
                ClientError::class,
                client.escrow_batch(credentials, &numbers),
            );
            match asked.await {
                Ok(answers) => {
                    incomes
                        .extend(answers.found.into_iter().map(|one| (one.reference.order_sn.clone(), one)));
                    failures.extend(answers.failed);
                }
                Err(error) => {
                    failures.extend(numbers.iter().map(|number| ((*number).to_owned(), error.clone())));
                }
            }
        }
        let mut kept = Vec::new();
        for mut one in fetched.drain(..) {
            let number = &one.order.reference.order_sn;
            one.income = incomes.remove(number);
            let failure = failures.remove(number).filter(|error| {
                !matches!(error, ClientError::NotFound { .. } | ClientError::Rejected { .. })
                    && !one.job.is_last_attempt()
            });
            match failure {
                Some(error) => {
                    outcomes.insert(one.job.claim.job_id, after(&self.pool, caller, &error).await);
                }
                None => kept.push(one),
            }
        }
        *fetched = kept;
    }

    async fn keep(&self, fetched: Vec<Fetched<'_>>) -> HashMap<i64, Outcome> {
        if fetched.is_empty() {
            return HashMap::new();
        }
        let mut outcomes = HashMap::new();
        match self.commit(&fetched).await {
            Err(CompleteError::Database(error)) if fetched.len() > 1 && is_about_data(&error) => {
                // One of them cannot be stored; the others shall not suffer.
                for one in fetched.chunks(1) {
                    let committed = self.commit(one).await;
                    outcomes.insert(one[0].job.claim.job_id, self.after_commit(committed));
                }
            }
            committed => {
                let outcome = self.after_commit(committed);
                outcomes.extend(fetched.iter().map(|one| (one.job.claim.job_id, outcome.clone())));
            }
        }
        outcomes
    }

    fn after_commit(&self, committed: Result<(), CompleteError>) -> Outcome {
        match committed {
            Ok(()) => {
                self.waker.wake();
                Outcome::Committed
            }
            Err(CompleteError::LeaseLost(lost)) => {
                // Whoever has the lost ones now does them; the others are free to run again at once.
                Outcome::Wait { on: lost.to_string(), after: Duration::ZERO }
            }
            Err(CompleteError::Database(error)) => {
                tracing::warn!(%error, "cannot keep orders; trying again");
                if is_about_data(&error) {
                    Outcome::Retry { error: format!("the database: {error}") }
                } else {
                    after_database(&error)
                }
            }
        }
    }

    /// Everything an enrichment does to Postgres, or nothing.
    async fn commit(&self, fetched: &[Fetched<'_>]) -> Result<(), CompleteError> {
        let mut transaction = store::begin(&self.pool).await?;
        let done: Vec<_> = fetched.iter().map(|one| one.job.done()).collect();
        complete_in(&mut transaction, &done).await?;
        let served: Vec<Uuid> = fetched.iter().flat_map(|one| one.job.events.iter().copied()).collect();
        let heads = events::list_heads(&mut transaction, &served).await?;
        let mut next: Vec<NewJob> = Vec::new();
        for one in fetched {
            let order = &one.order;
            let item_net: Vec<Decimal> =
                one.income.as_ref().map(|income| net_income(order, income)).unwrap_or_default();
            let newest = one.job.events.last().copied();
            if orders::upsert_order(&mut transaction, order, &item_net, newest).await?
                && let Some(income) = &one.income
            {
                orders::upsert_income(&mut transaction, income).await?;
            }
            next.extend(self.plan.sheet_rows(&order.reference, order.create_time, &one.job.events));
            for head in heads.iter().filter(|head| one.job.events.contains(&head.id)) {
                next.extend(self.plan.effects(head, Some(order)));
            }
        }
        enqueue(&mut transaction, next).await?;
        transaction.commit().await?;
        Ok(())
    }
}

/// A push can be faster than the API: then look again a little later, but not for ever.
fn stale(job: &Job<EnrichOrder>, order: &Order) -> Option<Outcome> {
    let pushed = job.payload.not_before?;
    (order.update_time < pushed && job.attempt < STALE_LOOKS && !job.is_last_attempt()).then(|| {
        Outcome::RetryAfter {
            error: format!("the API shows the state of {}, the push is of {pushed}", order.update_time),
            after: AFTER_STALE,
        }
    })
}
