//! Which shops have authorized the app, and until when, as Shopee itself says. What pushes 1, 2 and 12 say about it
//! is not trusted (the body of a plain cancellation names no shop): they only make this task run.
//!
//! A shop that Shopee does not list any more has to be authorized again: people are told once with the link, and
//! its jobs wait without losing attempts. One whose authorization ends soon is told of in time.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use async_trait::async_trait;
use chrono::{DateTime, Utc};
use serde_json::{Value, json};
use sqlx::PgPool;

use super::{Task, of_app};
use crate::clients::error::ClientError;
use crate::clients::shopee::{AuthorizedShop, ShopeeClient};
use crate::domain::shopee::push::PLATFORM;
use crate::observability::metrics::timed_call;
use crate::store;
use crate::store::alerts::{Alert, Severity, raise, resolve_others};
use crate::store::shop_tokens::require_authorization;
use crate::store::shops::{self, Listed};

/// More shops than any app has; ends a list that never ends.
const PAGES_AT_MOST: u32 = 1_000;

/// See the module.
#[derive(Debug)]
pub struct Authorizations {
    /// The database.
    pub pool: PgPool,
    /// The platform.
    pub client: Arc<ShopeeClient>,
    /// `ALERT_AUTHORIZATION_DAYS`: how long before its end people are told.
    pub warn_days: u16,
}

#[async_trait]
impl Task for Authorizations {
    fn name(&self) -> &'static str {
        super::watch::AUTHORIZATIONS
    }

    fn every(&self) -> Duration {
        Duration::from_hours(6)
    }

    async fn run(&self) -> anyhow::Result<Value> {
        let begun: DateTime<Utc> = shops::now(&mut *self.pool.acquire().await?).await?;
        let listed = self.listed().await.context("reading which shops have authorized the app")?;
        let ends: HashMap<String, Option<DateTime<Utc>>> =
            listed.iter().map(|shop| (shop.shop_id.to_string(), shop.expires_at)).collect();
        let mut connection = self.pool.acquire().await?;
        let app = of_app(&self.client);
        let mut known = shops::list_states(&mut connection, PLATFORM).await?;
        // Of a shop that has authorized several apps, this one's list counts if its tokens are this one's.
        let others: HashSet<String> =
            known.extract_if(.., |shop| !app.has(shop.partner_id)).map(|shop| shop.shop_id).collect();
        let (mut confirmed, mut lost) = (0, 0);
        for shop in listed.iter().filter(|shop| !others.contains(&shop.shop_id.to_string())) {
            let seen = Listed {
                region: shop.region.as_deref(),
                authorized_at: shop.authorized_at,
                expires_at: shop.expires_at,
            };
            confirmed +=
                shops::note_listed(&mut connection, PLATFORM, &shop.shop_id.to_string(), &seen).await?;
        }
        drop(connection);
        for shop in known.iter().filter(|shop| shop.state == "active" && !ends.contains_key(&shop.shop_id)) {
            // Authorized while we read the list.
            if shop.authorized_at.is_some_and(|at| at >= begun) {
                continue;
            }
            lost += i32::from(self.lose(&shop.shop_id).await?);
        }
        let expiring = self.tell_expiring().await?;
        let unknown = ends
            .keys()
            .filter(|id| !others.contains(*id) && known.iter().all(|shop| shop.shop_id != **id))
            .count();
        Ok(json!({
            "listed": listed.len(), "confirmed": confirmed, "lost": lost, "expiring": expiring, "unknown": unknown,
        }))
    }
}

impl Authorizations {
    async fn listed(&self) -> anyhow::Result<Vec<AuthorizedShop>> {
        let mut all = Vec::new();
        for page in 1..=PAGES_AT_MOST {
            let asked = self.client.authorized_shops(page);
            let page = timed_call(PLATFORM, "public/get_shops_by_partner", ClientError::class, asked).await?;
            all.extend(page.shops);
            if !page.more {
                return Ok(all);
            }
        }
        anyhow::bail!("the list does not end")
    }

    async fn lose(&self, shop_id: &str) -> Result<bool, sqlx::Error> {
        let remedy = self.client.authorization_remedy();
        let reason = "Shopee does not list it among the shops that have authorized the app";
        let mut transaction = store::begin(&self.pool).await?;
        let lost = require_authorization(&mut transaction, PLATFORM, shop_id, reason, &remedy).await?;
        transaction.commit().await?;
        if lost {
            tracing::error!(shop.id = shop_id, "shop {shop_id} has to be authorized again: {reason}");
        }
        Ok(lost)
    }

    /// One alert per shop and end: an authorization that was renewed is over, and its next end is news.
    async fn tell_expiring(&self) -> Result<usize, sqlx::Error> {
        let prefix = format!("authorization:{PLATFORM}{}:", self.client.suffix());
        let remedy = self.client.authorization_remedy();
        let mut transaction = store::begin(&self.pool).await?;
        let soon =
            shops::list_expiring(&mut transaction, PLATFORM, of_app(&self.client), i32::from(self.warn_days))
                .await?;
        let mut open = Vec::new();
        for (shop_id, expires_at) in &soon {
            let key = format!("{prefix}{shop_id}:{}", expires_at.timestamp());
            let day = expires_at.format("%Y-%m-%d %H:%M");
            let title = format!("The authorization of shop {shop_id} ends on {day} UTC");
            let alert = Alert { key: &key, severity: Severity::Warning, title: &title, remedy: &remedy };
            raise(&mut transaction, &alert).await?;
            open.push(key);
        }
        resolve_others(&mut transaction, &prefix, &open).await?;
        transaction.commit().await?;
        Ok(soon.len())
    }
}
