//! Refreshes access tokens before they end. The tick is claimed in Postgres, so one process refreshes.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use async_trait::async_trait;
use chrono::TimeDelta;
use serde_json::{Value, json};
use sqlx::PgPool;

use super::Task;
use crate::clients::error::ClientError;
use crate::clients::shopee::ShopeeClient;
use crate::clock::SharedClock;
use crate::domain::seal::{Sealer, token_place};
use crate::domain::shopee::push::PLATFORM;
use crate::observability::metrics::timed_call;
use crate::queue::Waker;
use crate::store::shops::{find_shop, list_expiring, mark_reauthorize, set_tokens};

/// A token with less than this left is refreshed.
const AHEAD: TimeDelta = TimeDelta::minutes(10);

/// See the module.
#[derive(Debug)]
pub struct RefreshTokens {
    /// The database.
    pub pool: PgPool,
    /// The platform.
    pub client: Arc<ShopeeClient>,
    /// What time it is.
    pub clock: SharedClock,
    /// Opens and seals tokens.
    pub sealer: Sealer,
    /// Woken when jobs that waited for a token can go on.
    pub waker: Waker,
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
        let expiring = {
            let mut connection = self.pool.acquire().await?;
            list_expiring(&mut connection, PLATFORM, self.clock.now() + AHEAD).await?
        };
        let (mut refreshed, mut failed) = (0, 0);
        for shop_id in &expiring {
            match self.refresh(shop_id).await {
                Ok(()) => refreshed += 1,
                Err(error) => {
                    failed += 1;
                    tracing::warn!(
                        shop.id = shop_id,
                        "cannot refresh the token of shop {shop_id}: {error:#}"
                    );
                }
            }
        }
        if refreshed > 0 {
            self.waker.wake();
        }
        Ok(json!({ "refreshed": refreshed, "failed": failed }))
    }
}

impl RefreshTokens {
    async fn refresh(&self, shop_id: &str) -> anyhow::Result<()> {
        let id: i64 = shop_id.parse().context("a shop id of Shopee is a number")?;
        let mut connection = self.pool.acquire().await?;
        let shop = find_shop(&mut connection, PLATFORM, shop_id).await?.context("the shop is gone")?;
        // The token is in use elsewhere while we wait for the platform; the connection is not.
        drop(connection);
        let place = |which| token_place(PLATFORM, shop_id, which);
        let sealed = shop.refresh_token.context("it has no refresh token")?;
        let spent = self.sealer.open(&sealed, &place("refresh"))?;
        let asked = timed_call(
            PLATFORM,
            "auth/access_token/get",
            ClientError::class,
            self.client.refresh_token(id, &spent),
        );
        let pair = match asked.await {
            Ok(pair) => pair,
            Err(error) => return self.refused(shop_id, &sealed, error).await,
        };
        let access = self.sealer.seal(&pair.access_token, &place("access"));
        let refresh = self.sealer.seal(&pair.refresh_token, &place("refresh"));
        let mut connection = self.pool.acquire().await?;
        set_tokens(&mut connection, PLATFORM, shop_id, &access, &refresh, pair.expires_at).await?;
        Ok(())
    }

    /// A final refusal counts only if the token is still the one we know: another process may have spent it.
    async fn refused(&self, shop_id: &str, sealed: &str, error: ClientError) -> anyhow::Result<()> {
        if error.needs_authorization() {
            let mut connection = self.pool.acquire().await?;
            let now = find_shop(&mut connection, PLATFORM, shop_id).await?;
            if now.is_some_and(|shop| shop.refresh_token.as_deref() == Some(sealed)) {
                mark_reauthorize(&mut connection, PLATFORM, shop_id, &error.to_string()).await?;
            }
        }
        Err(error.into())
    }
}
