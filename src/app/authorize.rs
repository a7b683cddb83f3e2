//! Turning a seller's authorization into tokens at rest.

use anyhow::Context;
use secrecy::SecretString;
use sqlx::PgPool;

use crate::clients::shopee::{Account, ShopeeClient};
use crate::domain::job::Queue;
use crate::domain::seal::{Sealer, token_place};
use crate::domain::shopee::push::PLATFORM;
use crate::queue::waiting::let_go;
use crate::store;
use crate::store::shop_tokens::{SealedPair, authorize};

/// Exchanges the code that Shopee sent the seller on with, keeps the tokens sealed, and lets go of the jobs
/// that waited for them. Returns the shops: of a main account all that it authorized, which share this first
/// pair; each gets a pair of its own with its first refresh.
///
/// # Errors
/// When Shopee does not take the code, or the database refuses: the code is spent then, and the seller has to
/// authorize once more.
pub async fn exchange(
    pool: &PgPool,
    client: &ShopeeClient,
    sealer: &Sealer,
    code: &SecretString,
    account: Account,
) -> anyhow::Result<Vec<i64>> {
    // The code works once: better to find out before that the tokens cannot be kept.
    let mut transaction = store::begin(pool).await.context("connecting to the database")?;
    let authorized = client.exchange_code(code, account).await.context("Shopee did not take the code")?;
    anyhow::ensure!(!authorized.shop_ids.is_empty(), "Shopee names no shop that this account has authorized");
    for shop_id in &authorized.shop_ids {
        let id = shop_id.to_string();
        let seal = |token, which| sealer.seal(token, &token_place(PLATFORM, &id, which));
        let pair = SealedPair {
            access_token: &seal(&authorized.tokens.access_token, "access"),
            refresh_token: &seal(&authorized.tokens.refresh_token, "refresh"),
            access_expires_at: authorized.tokens.expires_at,
        };
        authorize(&mut transaction, PLATFORM, &id, client.partner_id(), &pair)
            .await
            .context("keeping the tokens")?;
        let_go(&mut transaction, Queue::Enrich, &format!("{PLATFORM}:{id}")).await?;
    }
    transaction.commit().await.context("keeping the tokens")?;
    Ok(authorized.shop_ids)
}
