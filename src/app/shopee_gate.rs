//! The gate before Shopee's API: pauses, the rate of the app and the places of each shop, all in Postgres, so
//! that every process and every command keeps to the same budget.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use sqlx::PgPool;
use tokio::time::Instant;

use crate::clients::error::{ClientError, Concern, RateScope};
use crate::clients::shopee::gate::{Gate, Pass};
use crate::config::ShopeeSettings;
use crate::domain::shopee::push::PLATFORM;
use crate::store::alerts::{Alert, Severity, raise, resolve};
use crate::store::call_budget::{APP, cut_rate, leave_place, take_place, take_turn};
use crate::store::destinations::{find_pause, pause};

/// A wait that is not worth going back into the queue for.
const PATIENCE: Duration = Duration::from_secs(2);
/// Longer than any call.
const PLACE: Duration = Duration::from_secs(45);
/// How often to look for a free place.
const LOOK_AGAIN: Duration = Duration::from_millis(50);
/// After a burst limit without a hint from Shopee, for the shop.
const AFTER_BURST: Duration = Duration::from_secs(5);
/// See the module.
#[derive(Debug)]
pub(super) struct ShopeeGate {
    pool: PgPool,
    /// The destination that stands for the app.
    app: String,
    /// The alert about what concerns the app as a whole.
    alert: String,
    calls_per_second: u32,
    shop_concurrency: u32,
    /// An alert about the app may be open; the next success ends it.
    app_is_told: AtomicBool,
}

impl ShopeeGate {
    pub(super) fn new(pool: PgPool, settings: &ShopeeSettings, suffix: &str) -> Self {
        Self {
            pool,
            app: format!("{APP}{suffix}"),
            alert: format!("{PLATFORM}:{APP}{suffix}"),
            calls_per_second: settings.calls_per_second,
            shop_concurrency: settings.shop_concurrency,
            app_is_told: AtomicBool::new(true),
        }
    }

    async fn admit(&self, shop_id: Option<i64>) -> Result<Result<Pass, ClientError>, sqlx::Error> {
        let account = shop_id.map(|id| id.to_string());
        let mut connection = self.pool.acquire().await?;
        for name in [Some(self.app.as_str()), account.as_deref()].into_iter().flatten() {
            if let Some(pause) = find_pause(&mut connection, PLATFORM, name).await? {
                return Ok(Err(later(pause.remaining)));
            }
        }
        let mut place = None;
        if let Some(account) = &account {
            let begun = Instant::now();
            loop {
                place = take_place(&mut connection, PLATFORM, account, self.shop_concurrency, PLACE).await?;
                if place.is_some() {
                    break;
                }
                if begun.elapsed() > PATIENCE {
                    return Ok(Err(later(LOOK_AGAIN)));
                }
                drop(connection);
                tokio::time::sleep(LOOK_AGAIN).await;
                connection = self.pool.acquire().await?;
            }
        }
        let turn = take_turn(&mut connection, PLATFORM, &self.app, self.calls_per_second, PATIENCE).await?;
        match turn {
            Ok(wait) => {
                drop(connection);
                if !wait.is_zero() {
                    tokio::time::sleep(wait).await;
                }
                Ok(Ok(Pass { shop_id, place }))
            }
            Err(away) => {
                if let (Some(account), Some(place)) = (&account, place) {
                    leave_place(&mut connection, PLATFORM, account, place).await?;
                }
                Ok(Err(later(away)))
            }
        }
    }

    async fn learn(&self, pass: Pass, error: Option<&ClientError>) -> Result<(), sqlx::Error> {
        let account = pass.shop_id.map(|id| id.to_string());
        let told = self.app_is_told.load(Ordering::Relaxed);
        if pass.place.is_none() && error.is_none() && !told {
            return Ok(());
        }
        let mut connection = self.pool.acquire().await?;
        if let (Some(account), Some(place)) = (&account, pass.place) {
            leave_place(&mut connection, PLATFORM, account, place).await?;
        }
        match error {
            Some(ClientError::RateLimited { scope: RateScope::Daily, retry_after }) => {
                let wait = retry_after.unwrap_or(Duration::from_hours(1));
                let reason = "the app's daily quota of calls is used up until midnight at UTC+8";
                pause(&mut connection, PLATFORM, &self.app, wait, reason).await?;
                self.tell(&mut connection, "Shopee's daily quota of calls is used up", reason).await?;
            }
            Some(ClientError::RateLimited { scope: RateScope::Burst, retry_after }) => {
                cut_rate(&mut connection, PLATFORM, &self.app).await?;
                if let Some(account) = &account {
                    let wait = retry_after.unwrap_or(AFTER_BURST);
                    pause(&mut connection, PLATFORM, account, wait, "too many calls (burst limit)").await?;
                }
            }
            Some(ClientError::Configuration { concern: Concern::App, message, remedy }) => {
                self.tell(&mut connection, &format!("Shopee refuses the app: {message}"), remedy).await?;
            }
            None if told => {
                resolve(&mut connection, &self.alert).await?;
                self.app_is_told.store(false, Ordering::Relaxed);
            }
            _ => {}
        }
        Ok(())
    }

    async fn tell(
        &self,
        connection: &mut sqlx::PgConnection,
        title: &str,
        remedy: &str,
    ) -> Result<(), sqlx::Error> {
        self.app_is_told.store(true, Ordering::Relaxed);
        raise(connection, &Alert { key: &self.alert, severity: Severity::Critical, title, remedy }).await?;
        Ok(())
    }
}

fn later(after: Duration) -> ClientError {
    ClientError::RateLimited { retry_after: Some(after), scope: RateScope::Burst }
}

#[async_trait]
impl Gate for ShopeeGate {
    async fn enter(&self, shop_id: Option<i64>) -> Result<Pass, ClientError> {
        self.admit(shop_id).await.unwrap_or_else(|error| {
            Err(ClientError::NotAsked { reason: format!("the budget of calls cannot be read: {error}") })
        })
    }

    async fn leave(&self, pass: Pass, error: Option<&ClientError>) {
        if let Err(error) = self.learn(pass, error).await {
            tracing::warn!(%error, "cannot note how a call of Shopee's went");
        }
    }
}
