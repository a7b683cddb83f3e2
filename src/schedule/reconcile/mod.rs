//! Compares with what the platform says, and makes up for what no push told of.
//!
//! Shopee lists the orders that changed in a range of time. An order whose status we never heard of becomes an
//! event (`via = reconcile`) under the key that its push would have had: should that push come after all, it is a
//! redelivery, and nothing is announced twice. An order whose details alone are newer than ours is read again
//! without a word. The list of released income does the same for orders that are in the sheet already.
//!
//! The comparisons are rows: planned here for each active shop, or asked for by a person. Whoever has time takes
//! one in hand and goes through it page by page; each page is committed together with the place behind it, so that
//! the work of a process that vanished goes on where it stopped. A shop that is not authorized keeps its
//! comparisons; when it is back, they begin where the last one ended, however long ago that was.

mod pages;
mod verdict;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::Context;
use async_trait::async_trait;
use futures_util::future::join_all;
use serde_json::{Value, json};
use sqlx::PgPool;
use uuid::Uuid;

use super::Task;
use super::shop_calls::ShopCalls;
use crate::clients::error::{ClientError, RateScope};
use crate::clock::SharedClock;
use crate::domain::shopee::push::PLATFORM;
use crate::queue::{Plan, Waker};
use crate::store::reconciliations::{self as rows, Regular, Work};

/// Longer than a page takes, so that only a process that vanished loses it.
const LEASE: Duration = Duration::from_mins(3);
/// Orders that changed around the end of a range may be missed by both.
const OVERLAP: Duration = Duration::from_mins(10);
/// Income is listed by when it was released, which may be noted late.
const INCOME_OVERLAP: Duration = Duration::from_hours(24);
/// A push needs a moment; one that takes longer is known when it comes.
const SETTLE: Duration = Duration::from_mins(2);
/// The first wait after a failure; doubles each time.
const BACK_OFF: Duration = Duration::from_millis(500);
/// The longest wait after a failure.
const LONGEST_BACK_OFF: Duration = Duration::from_mins(10);
/// A wait beyond this is left to the next run.
const PATIENCE: Duration = Duration::from_secs(30);
/// Comparisons that ended are kept for so many days.
const KEEP_DAYS: i32 = 90;

/// Which comparisons a task plans. Whatever is there to be done, each of them does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Since the last one.
    Orders,
    /// Once more over so many days: a second chance for what the first overlooked.
    Deep {
        /// How many.
        days: u16,
    },
    /// Money that was released.
    Income,
}

impl Kind {
    fn regular(self, every: Duration) -> Regular {
        let orders =
            Regular { kind: "orders", what: "orders", every, overlap: OVERLAP, settle: SETTLE, depth: None };
        match self {
            Self::Orders => orders,
            Self::Deep { days } => {
                Regular { kind: "deep", depth: Some(Duration::from_hours(24) * days.into()), ..orders }
            }
            Self::Income => Regular { kind: "income", what: "income", overlap: INCOME_OVERLAP, ..orders },
        }
    }
}

/// See the module.
#[derive(Debug)]
pub struct Reconcile {
    /// The database.
    pub pool: PgPool,
    /// Calls on behalf of shops.
    pub shops: Arc<ShopCalls>,
    /// When something was found.
    pub clock: SharedClock,
    /// What it asks for.
    pub plan: Plan,
    /// Woken when something was found.
    pub waker: Waker,
    /// Which comparisons to plan.
    pub kind: Kind,
    /// How often.
    pub every: Duration,
    /// Comparisons of one process at a time; the app's rate budget is shared with all other calls.
    pub at_once: usize,
}

/// What a run has done so far.
#[derive(Debug, Default)]
struct Tally {
    compared: AtomicU64,
    put_off: AtomicU64,
    failed: AtomicU64,
    listed: AtomicU64,
    found: AtomicU64,
    refreshed: AtomicU64,
}

/// Why a comparison stopped.
enum Stop {
    /// Somebody else has it.
    Lost,
    /// The platform failed us.
    Call(ClientError),
    /// The database failed us.
    Database(sqlx::Error),
}

impl From<sqlx::Error> for Stop {
    fn from(error: sqlx::Error) -> Self {
        Self::Database(error)
    }
}

impl From<ClientError> for Stop {
    fn from(error: ClientError) -> Self {
        Self::Call(error)
    }
}

#[async_trait]
impl Task for Reconcile {
    fn name(&self) -> &'static str {
        match self.kind {
            Kind::Orders => "reconcile",
            Kind::Deep { .. } => "reconcile_deep",
            Kind::Income => "released_income",
        }
    }

    fn every(&self) -> Duration {
        self.every
    }

    fn after_outage(&self) -> bool {
        self.kind == Kind::Orders
    }

    async fn run(&self) -> anyhow::Result<Value> {
        let mut connection = self.pool.acquire().await?;
        let planned = rows::plan(&mut connection, PLATFORM, &self.kind.regular(self.every)).await?;
        rows::prune(&mut connection, KEEP_DAYS).await?;
        drop(connection);
        let tally = Tally::default();
        let workers = (0..self.at_once).map(|_| self.work(&tally));
        let ended: Result<Vec<()>, _> = join_all(workers).await.into_iter().collect();
        ended?;
        let count = |one: &AtomicU64| one.load(Ordering::Relaxed);
        let found = count(&tally.found);
        if found > 0 {
            tracing::info!(found, "found {found} changes that no push told of");
        }
        Ok(json!({
            "planned": planned, "compared": count(&tally.compared), "put_off": count(&tally.put_off),
            "failed": count(&tally.failed), "listed": count(&tally.listed), "found": found,
            "refreshed": count(&tally.refreshed),
        }))
    }
}

impl Reconcile {
    /// Does comparison after comparison until none can be done for a while.
    async fn work(&self, tally: &Tally) -> anyhow::Result<()> {
        loop {
            let lease = Uuid::new_v4();
            let mut connection = self.pool.acquire().await?;
            let Some(work) = rows::claim(&mut connection, PLATFORM, lease, LEASE).await? else {
                let next = rows::next_due(&mut connection, PLATFORM).await?;
                drop(connection);
                match next.filter(|wait| *wait <= PATIENCE) {
                    Some(wait) => tokio::time::sleep(wait).await,
                    None => return Ok(()),
                }
                continue;
            };
            drop(connection);
            match self.go_through(&work, lease, tally).await {
                Ok(()) => {
                    rows::finish(&mut *self.pool.acquire().await?, work.id, lease, None).await?;
                    tally.compared.fetch_add(1, Ordering::Relaxed);
                }
                Err(Stop::Lost) => {}
                Err(Stop::Database(error)) => return Err(error).context("comparing with Shopee"),
                Err(Stop::Call(error)) => self.stopped(&work, lease, tally, &error).await?,
            }
        }
    }

    /// What a failed call means for the comparison.
    async fn stopped(
        &self,
        work: &Work,
        lease: Uuid,
        tally: &Tally,
        error: &ClientError,
    ) -> anyhow::Result<()> {
        let shop_id = &work.shop_id;
        tracing::warn!(shop.id = shop_id, "comparing with shop {shop_id} stopped: {error}");
        self.shops.note(shop_id, error).await?;
        let mut connection = self.pool.acquire().await?;
        let reason = error.to_string();
        // A page that was not the first and is refused may be one that Shopee has forgotten.
        let stale = error.is_refusal() && work.cursor.is_some() && work.failures < 3;
        if error.is_refusal() && !stale {
            tally.failed.fetch_add(1, Ordering::Relaxed);
            rows::finish(&mut connection, work.id, lease, Some(&reason)).await?;
            return Ok(());
        }
        let doublings = work.failures.clamp(0, 16).unsigned_abs();
        let back_off = BACK_OFF.saturating_mul(1 << doublings).min(LONGEST_BACK_OFF);
        let after = match error {
            ClientError::RateLimited { retry_after, scope } => match scope {
                RateScope::Burst => retry_after.unwrap_or(back_off).max(back_off.min(PATIENCE)),
                RateScope::Daily => retry_after.unwrap_or(LONGEST_BACK_OFF),
            },
            ClientError::Configuration { .. } => LONGEST_BACK_OFF,
            _ => back_off,
        };
        tally.put_off.fetch_add(1, Ordering::Relaxed);
        rows::put_off(&mut connection, work.id, lease, &reason, after, stale).await?;
        Ok(())
    }
}
