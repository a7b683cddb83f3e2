//! Shops as people see and steer them. Tokens stay out.

use chrono::{DateTime, Utc};
use sqlx::{PgConnection, PgExecutor};

use super::alerts::resolve;
use super::shop_tokens::authorization_key;

/// A shop without its tokens.
#[derive(Debug, Clone, sqlx::FromRow)]
pub struct ShopListRow {
    /// Its platform.
    pub platform: String,
    /// The platform's shop id.
    pub shop_id: String,
    /// The app that its tokens belong to; none: that of `PARTNER_ID`.
    pub partner_id: Option<i64>,
    /// `active`, `reauthorize` or `disabled`.
    pub state: String,
    /// Why it is not active.
    pub state_reason: Option<String>,
    /// Its market.
    pub region: Option<String>,
    /// `sealed`, `plain` or `none`.
    pub tokens: String,
    /// When the access token ends.
    pub access_expires_at: Option<DateTime<Utc>>,
    /// When the pair was last renewed.
    pub refreshed_at: Option<DateTime<Utc>>,
    /// Failed refreshes since.
    pub refresh_failures: i32,
    /// Why the last refresh failed.
    pub refresh_error: Option<String>,
    /// When the seller authorized.
    pub authorized_at: Option<DateTime<Utc>>,
    /// When that ends.
    pub authorization_expires_at: Option<DateTime<Utc>>,
    /// Jobs that wait for the shop.
    pub waiting_jobs: i64,
}

/// All shops, or those with this id.
///
/// # Errors
/// When the database refuses.
pub async fn list(
    executor: impl PgExecutor<'_>,
    shop_id: Option<&str>,
) -> Result<Vec<ShopListRow>, sqlx::Error> {
    sqlx::query_as(
        "SELECT s.platform, s.shop_id, s.partner_id, s.state, s.state_reason, s.region,
                CASE WHEN s.access_token IS NULL THEN 'none' WHEN s.access_token LIKE 'plain:%' THEN 'plain'
                     ELSE 'sealed' END AS tokens,
                s.access_expires_at, s.refreshed_at, s.refresh_failures, s.refresh_error, s.authorized_at,
                s.authorization_expires_at, coalesce(w.jobs, 0) AS waiting_jobs
         FROM pushbox.shops s
         LEFT JOIN (SELECT batch_key, count(*) AS jobs FROM pushbox.jobs
                    WHERE queue = 'enrich' AND state = 'ready' AND waiting_on IS NOT NULL
                    GROUP BY batch_key) w ON w.batch_key = s.platform || ':' || s.shop_id
         WHERE $1::text IS NULL OR s.shop_id = $1 ORDER BY s.platform, s.shop_id",
    )
    .bind(shop_id)
    .fetch_all(executor)
    .await
}

/// Makes the tokens of an active shop due for a refresh; false: there is no such shop, or nothing to refresh with.
///
/// # Errors
/// When the database refuses.
pub async fn ask_refresh(
    connection: &mut PgConnection,
    platform: &str,
    shop_id: &str,
) -> Result<bool, sqlx::Error> {
    let done = sqlx::query(
        "UPDATE pushbox.shops SET access_expires_at = least(access_expires_at, now()), refresh_after = NULL,
             updated_at = now()
         WHERE platform = $1 AND shop_id = $2 AND state = 'active' AND refresh_token IS NOT NULL",
    )
    .bind(platform)
    .bind(shop_id)
    .execute(connection)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Switches a shop off; nobody has to authorize it then. Returns whether it was on.
///
/// # Errors
/// When the database refuses.
pub async fn disable(
    connection: &mut PgConnection,
    platform: &str,
    shop_id: &str,
    reason: &str,
) -> Result<bool, sqlx::Error> {
    let done = sqlx::query(
        "UPDATE pushbox.shops SET state = 'disabled', state_reason = $3, updated_at = now()
         WHERE platform = $1 AND shop_id = $2 AND state <> 'disabled'",
    )
    .bind(platform)
    .bind(shop_id)
    .bind(reason)
    .execute(&mut *connection)
    .await?;
    resolve(connection, &authorization_key(platform, shop_id)).await?;
    Ok(done.rows_affected() == 1)
}

/// Switches a shop on again; returns whether it was off.
///
/// # Errors
/// When the database refuses.
pub async fn enable(
    connection: &mut PgConnection,
    platform: &str,
    shop_id: &str,
) -> Result<bool, sqlx::Error> {
    let done = sqlx::query(
        "UPDATE pushbox.shops SET state = 'active', state_reason = NULL, refresh_after = NULL, updated_at = now()
         WHERE platform = $1 AND shop_id = $2 AND state = 'disabled'",
    )
    .bind(platform)
    .bind(shop_id)
    .execute(connection)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// The sealed tokens of one shop.
#[derive(Clone, sqlx::FromRow)]
pub struct SealedShop {
    /// Its platform.
    pub platform: String,
    /// The platform's shop id.
    pub shop_id: String,
    /// Sealed, or marked as plain.
    pub access_token: Option<String>,
    /// Sealed, or marked as plain.
    pub refresh_token: Option<String>,
}

/// Without a key, what is sealed is plain: tokens stay out.
impl std::fmt::Debug for SealedShop {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SealedShop").field("shop_id", &self.shop_id).finish_non_exhaustive()
    }
}

/// Up to `limit` shops behind this one, by platform and id.
///
/// # Errors
/// When the database refuses.
pub async fn sealed_after(
    connection: &mut PgConnection,
    after: (&str, &str),
    limit: i64,
) -> Result<Vec<SealedShop>, sqlx::Error> {
    sqlx::query_as(
        "SELECT platform, shop_id, access_token, refresh_token FROM pushbox.shops
         WHERE (platform, shop_id) > ($1, $2) ORDER BY platform, shop_id LIMIT $3",
    )
    .bind(after.0)
    .bind(after.1)
    .bind(limit)
    .fetch_all(connection)
    .await
}

/// Replaces sealed tokens by the same tokens, sealed anew; false: they were renewed meanwhile, and stay.
///
/// # Errors
/// When the database refuses.
pub async fn replace_sealed(
    connection: &mut PgConnection,
    old: &SealedShop,
    access_token: Option<&str>,
    refresh_token: Option<&str>,
) -> Result<bool, sqlx::Error> {
    let done = sqlx::query(
        "UPDATE pushbox.shops SET access_token = $5, refresh_token = $6
         WHERE platform = $1 AND shop_id = $2 AND access_token IS NOT DISTINCT FROM $3
           AND refresh_token IS NOT DISTINCT FROM $4",
    )
    .bind(&old.platform)
    .bind(&old.shop_id)
    .bind(&old.access_token)
    .bind(&old.refresh_token)
    .bind(access_token)
    .bind(refresh_token)
    .execute(connection)
    .await?;
    Ok(done.rows_affected() == 1)
}
