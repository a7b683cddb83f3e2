//! Refreshes access tokens before they end, and when the platform has refused one.
//!
//! A refresh token works once, and its answer can be lost. So, for each shop, whoever it is:
//!
//! 1. takes the shop's lease and writes down that the token is about to be spent; committed;
//! 2. asks Shopee;
//! 3. stores the new pair, over the version it was made from; committed. Only then can anybody use it: tokens
//!    are read from the database alone.
//!
//! A process that dies, or an answer that is lost, between 1 and 3 leaves the intention behind. Whoever comes
//! after the lease offers the same token again: if it was not spent, that is a refresh like any other; if it
//! was, Shopee returns the same new pair for some four hours (its FAQ 144). That grace is used here alone, and
//! for no other token than the one that was stored last. A refusal is final for the pair that was refused, and
//! then people are told once, with the link.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use anyhow::Context;
use async_trait::async_trait;
use futures_util::future::join_all;
use serde_json::{Value, json};
use sqlx::PgPool;
use uuid::Uuid;

use super::{Task, of_app};
use crate::clients::error::{ClientError, Concern};
use crate::clients::shopee::{ShopeeClient, TokenPair};
use crate::domain::job::Queue;
use crate::domain::seal::{Sealer, token_place};
use crate::domain::shopee::push::PLATFORM;
use crate::observability::metrics::timed_call;
use crate::queue::Waker;
use crate::queue::waiting::let_go;
use crate::store;
use crate::store::shop_tokens::{
    Refresh, SealedPair, claim_refresh, give_back, refuse_refresh, store_pair, tell_failing,
};

/// Longer than a call may take, so that only a process that vanished loses it.
const LEASE: Duration = Duration::from_mins(1);
/// The first wait after a failure; doubles each time.
const BACK_OFF: Duration = Duration::from_secs(5);
/// The longest wait after a failure; well within the hours that a spent token is still honoured.
const LONGEST_BACK_OFF: Duration = Duration::from_mins(5);
/// After so many failures people are told.
const WORTH_TELLING: i32 = 5;
/// How often a pair that exists nowhere else is tried to be stored.
const STORE_TRIES: u32 = 20;
const STORE_AGAIN: Duration = Duration::from_millis(500);

/// See the module.
#[derive(Debug)]
pub struct RefreshTokens {
    /// The database.
    pub pool: PgPool,
    /// The platform.
    pub client: Arc<ShopeeClient>,
    /// Opens and seals tokens.
    pub sealer: Sealer,
    /// Woken when jobs that waited for a token can go on.
    pub waker: Waker,
    /// Refreshes of one process at a time; the app's rate budget is shared with all other calls.
    pub at_once: usize,
}

/// What a run has done so far.
#[derive(Debug, Default)]
struct Tally {
    refreshed: AtomicU64,
    failed: AtomicU64,
    refused: AtomicU64,
    /// Nothing more can be had now, for any shop.
    over: AtomicBool,
}

#[async_trait]
impl Task for RefreshTokens {
    fn name(&self) -> &'static str {
        "refresh_tokens"
    }

    fn every(&self) -> Duration {
        Duration::from_secs(10)
    }

    async fn run(&self) -> anyhow::Result<Value> {
        let tally = Tally::default();
        let workers = (0..self.at_once).map(|_| self.work(&tally));
        let ended: Result<Vec<()>, _> = join_all(workers).await.into_iter().collect();
        ended?;
        let count = |one: &AtomicU64| one.load(Ordering::Relaxed);
        Ok(json!({
            "refreshed": count(&tally.refreshed), "failed": count(&tally.failed), "refused": count(&tally.refused),
        }))
    }
}

impl RefreshTokens {
    /// Refreshes shop after shop until none is due.
    async fn work(&self, tally: &Tally) -> anyhow::Result<()> {
        let app = of_app(&self.client);
        while !tally.over.load(Ordering::Relaxed) {
            let lease = Uuid::new_v4();
            let mut connection = self.pool.acquire().await?;
            let Some(refresh) = claim_refresh(&mut connection, PLATFORM, app, lease, LEASE).await? else {
                break;
            };
            // The old token is in use elsewhere while we wait for the platform; the connection is not.
            drop(connection);
            if let Err(error) = self.refresh(&refresh, lease, tally).await {
                tally.failed.fetch_add(1, Ordering::Relaxed);
                let shop_id = &refresh.shop_id;
                tracing::warn!(shop.id = shop_id, "cannot refresh the token of shop {shop_id}: {error:#}");
            }
        }
        Ok(())
    }

    async fn refresh(&self, refresh: &Refresh, lease: Uuid, tally: &Tally) -> anyhow::Result<()> {
        let opened =
            refresh.shop_id.parse::<i64>().context("a shop id of Shopee is a number").and_then(|id| {
                let place = token_place(PLATFORM, &refresh.shop_id, "refresh");
                Ok((id, self.sealer.open(&refresh.refresh_token, &place)?))
            });
        let (id, spent) = match opened {
            Ok(opened) => opened,
            Err(error) => {
                self.put_off(refresh, lease, refresh.recovering, &format!("{error:#}")).await?;
                return Err(error);
            }
        };
        if refresh.recovering {
            tracing::info!(shop.id = refresh.shop_id, "taking up a refresh whose end nobody knows");
        }
        let asked = timed_call(
            PLATFORM,
            "auth/access_token/get",
            ClientError::class,
            self.client.refresh_token(id, &spent),
        );
        match asked.await {
            Ok(pair) => {
                self.keep(refresh, &pair).await?;
                tally.refreshed.fetch_add(1, Ordering::Relaxed);
                Ok(())
            }
            Err(error) => self.failed(refresh, lease, tally, error).await,
        }
    }

    /// Stores a pair that exists nowhere else yet; a database that is away for a moment is waited for.
    async fn keep(&self, refresh: &Refresh, pair: &TokenPair) -> anyhow::Result<()> {
        let mut tries = 0;
        loop {
            tries += 1;
            match self.store(refresh, pair).await {
                Ok(()) => return Ok(()),
                Err(error) if tries >= STORE_TRIES => {
                    return Err(anyhow::Error::new(error).context("storing the new pair"));
                }
                Err(error) => {
                    tracing::warn!(%error, shop.id = refresh.shop_id, "cannot store a new pair of tokens; trying again");
                    tokio::time::sleep(STORE_AGAIN).await;
                }
            }
        }
    }

    async fn store(&self, refresh: &Refresh, pair: &TokenPair) -> Result<(), sqlx::Error> {
        let place = |which| token_place(PLATFORM, &refresh.shop_id, which);
        let access_token = self.sealer.seal(&pair.access_token, &place("access"));
        let refresh_token = self.sealer.seal(&pair.refresh_token, &place("refresh"));
        let sealed = SealedPair {
            access_token: &access_token,
            refresh_token: &refresh_token,
            access_expires_at: pair.expires_at,
        };
        let mut transaction = store::begin(&self.pool).await?;
        let shop_id = &refresh.shop_id;
        let stored = store_pair(&mut transaction, PLATFORM, shop_id, refresh.token_version, &sealed).await?;
        let_go(&mut transaction, Queue::Enrich, &format!("{PLATFORM}:{shop_id}")).await?;
        transaction.commit().await?;
        self.waker.wake();
        if !stored {
            tracing::info!(shop.id = shop_id, "shop {shop_id} has newer tokens already; they stay");
        }
        Ok(())
    }

    /// What a failed call means for the shop, and whether the others need not be tried now.
    async fn failed(
        &self,
        refresh: &Refresh,
        lease: Uuid,
        tally: &Tally,
        error: ClientError,
    ) -> anyhow::Result<()> {
        if error.needs_authorization() {
            let remedy = self.client.authorization_remedy();
            let mut transaction = store::begin(&self.pool).await?;
            let reason = if refresh.recovering {
                format!("a refresh was interrupted and its pair cannot be had any more ({error})")
            } else {
                error.to_string()
            };
            if refuse_refresh(&mut transaction, PLATFORM, refresh, lease, &reason, &remedy).await? {
                tally.refused.fetch_add(1, Ordering::Relaxed);
                tracing::error!(
                    shop.id = refresh.shop_id,
                    "shop {} has to be authorized again",
                    refresh.shop_id
                );
            }
            transaction.commit().await?;
            return Ok(());
        }
        let everybodys = matches!(
            error,
            ClientError::RateLimited { .. } | ClientError::Configuration { concern: Concern::App, .. }
        );
        if everybodys {
            tally.over.store(true, Ordering::Relaxed);
        }
        // What was open before stays open: an earlier call may have spent the token.
        let spent = refresh.recovering || error.may_have_happened();
        self.put_off(refresh, lease, spent, &error.to_string()).await?;
        Err(error.into())
    }

    async fn put_off(
        &self,
        refresh: &Refresh,
        lease: Uuid,
        spent: bool,
        reason: &str,
    ) -> Result<(), sqlx::Error> {
        let doublings = refresh.refresh_failures.clamp(0, 16).unsigned_abs();
        let after = BACK_OFF.saturating_mul(1 << doublings).min(LONGEST_BACK_OFF);
        let mut transaction = store::begin(&self.pool).await?;
        give_back(&mut transaction, PLATFORM, &refresh.shop_id, lease, spent, after, reason).await?;
        if refresh.refresh_failures + 1 >= WORTH_TELLING {
            tell_failing(&mut transaction, PLATFORM, &refresh.shop_id, reason).await?;
        }
        transaction.commit().await
    }
}
