//! Who refreshes a shop's pair of tokens, and what became of it. Tokens come and go sealed.
//!
//! A refresh token works once. So whoever spends it holds the shop's lease, has written down that it is about
//! to be spent ([`claim_refresh`], committed before the call), and stores the new pair only over the version
//! it was made from ([`store_pair`]): a pair that was made from the stored one is never dropped, however late
//! it comes, and never overwrites a newer one.

use std::time::Duration;

use chrono::{DateTime, Utc};
use sqlx::PgConnection;
use uuid::Uuid;

use super::alerts::{Alert, Severity, raise, resolve};
use super::shops::OfApp;

/// A refresh that is ours to do.
#[derive(Clone, sqlx::FromRow)]
pub struct Refresh {
    /// The platform's shop id.
    pub shop_id: String,
    /// Sealed; about to be spent.
    pub refresh_token: String,
    /// The version of the pair.
    pub token_version: i32,
    /// Somebody was about to spend the same token before, and nobody knows whether it was.
    pub recovering: bool,
    /// Failures since the last success.
    pub refresh_failures: i32,
}

/// Without a key, what is sealed is plain: tokens stay out.
impl std::fmt::Debug for Refresh {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Refresh")
            .field("shop_id", &self.shop_id)
            .field("token_version", &self.token_version)
            .field("recovering", &self.recovering)
            .finish_non_exhaustive()
    }
}

/// A pair to be stored, sealed.
#[derive(Clone, Copy)]
pub struct SealedPair<'a> {
    /// The access token.
    pub access_token: &'a str,
    /// The refresh token.
    pub refresh_token: &'a str,
    /// When the access token ends.
    pub access_expires_at: DateTime<Utc>,
}

/// Takes the lease of the app's shop whose access token ends first among those that are due, and writes down that
/// its refresh token is about to be spent; commit it before the call. Due is a token of unknown life, and one
/// with less than a quarter of its life or ten minutes left, whichever is shorter.
///
/// # Errors
/// When the database refuses.
pub async fn claim_refresh(
    connection: &mut PgConnection,
    platform: &str,
    app: OfApp,
    lease: Uuid,
    lease_for: Duration,
) -> Result<Option<Refresh>, sqlx::Error> {
    // SKIP LOCKED: two processes never take the same shop, and neither waits for the other.
    sqlx::query_as(
        "WITH due AS (
             SELECT platform, shop_id, refresh_intent_at IS NOT NULL AS recovering FROM pushbox.shops
             WHERE platform = $1 AND state = 'active' AND refresh_token IS NOT NULL
               AND coalesce(partner_id = $4, $5)
               AND (refresh_lease_until IS NULL OR refresh_lease_until < now())
               AND (refresh_after IS NULL OR refresh_after <= now())
               AND (access_expires_at IS NULL OR access_expires_at <= now()
                    + least(interval '10 minutes', coalesce((access_expires_at - refreshed_at) / 4, interval '10 minutes')))
             ORDER BY access_expires_at NULLS FIRST, shop_id LIMIT 1
             FOR UPDATE SKIP LOCKED
         )
         UPDATE pushbox.shops AS s SET
             refresh_lease = $2, refresh_lease_until = now() + $3 * interval '1 second',
             refresh_intent_at = coalesce(s.refresh_intent_at, now())
         FROM due WHERE s.platform = due.platform AND s.shop_id = due.shop_id
         RETURNING s.shop_id, s.refresh_token, s.token_version, due.recovering, s.refresh_failures",
    )
    .bind(platform)
    .bind(lease)
    .bind(lease_for.as_secs_f64())
    .bind(app.partner_id)
    .bind(app.is_first)
    .fetch_optional(connection)
    .await
}

/// Stores the pair that was made from version `version`, makes the shop active again if it waited for its
/// seller, and tells people so. False: the stored pair is of another version, and stays.
///
/// # Errors
/// When the database refuses; then the pair exists nowhere but with the caller, who should try again.
pub async fn store_pair(
    connection: &mut PgConnection,
    platform: &str,
    shop_id: &str,
    version: i32,
    pair: &SealedPair<'_>,
) -> Result<bool, sqlx::Error> {
    let done = sqlx::query(
        "UPDATE pushbox.shops SET access_token = $4, refresh_token = $5, access_expires_at = $6,
             token_version = token_version + 1, refreshed_at = now(), refresh_lease = NULL,
             refresh_lease_until = NULL, refresh_intent_at = NULL, refresh_failures = 0, refresh_error = NULL, refresh_after = NULL,
             state = CASE WHEN state = 'reauthorize' THEN 'active' ELSE state END,
             state_reason = CASE WHEN state = 'reauthorize' THEN NULL ELSE state_reason END, updated_at = now()
         WHERE platform = $1 AND shop_id = $2 AND token_version = $3",
    )
    .bind(platform)
    .bind(shop_id)
    .bind(version)
    .bind(pair.access_token)
    .bind(pair.refresh_token)
    .bind(pair.access_expires_at)
    .execute(&mut *connection)
    .await?;
    let stored = done.rows_affected() == 1;
    if stored {
        resolve(connection, &authorization_key(platform, shop_id)).await?;
        resolve(connection, &refresh_key(platform, shop_id)).await?;
    }
    Ok(stored)
}

/// Keeps the pair that an authorization was worth: a new shop, or new tokens of one that is known, whoever
/// refreshes it now. What was paused for the shop goes on, and people are told that it is over.
///
/// # Errors
/// When the database refuses.
pub async fn authorize(
    connection: &mut PgConnection,
    platform: &str,
    shop_id: &str,
    partner_id: i64,
    pair: &SealedPair<'_>,
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "INSERT INTO pushbox.shops AS s (platform, shop_id, access_token, refresh_token, access_expires_at,
                                         refreshed_at, authorized_at, partner_id)
         VALUES ($1, $2, $3, $4, $5, now(), now(), $6)
         ON CONFLICT (platform, shop_id) DO UPDATE SET partner_id = excluded.partner_id,
             access_token = excluded.access_token, refresh_token = excluded.refresh_token,
             access_expires_at = excluded.access_expires_at, refreshed_at = now(), authorized_at = now(),
             token_version = s.token_version + 1, refresh_lease = NULL, refresh_lease_until = NULL,
             refresh_intent_at = NULL, refresh_failures = 0, refresh_error = NULL, refresh_after = NULL,
             state = 'active', state_reason = NULL, updated_at = now()",
    )
    .bind(platform)
    .bind(shop_id)
    .bind(pair.access_token)
    .bind(pair.refresh_token)
    .bind(pair.access_expires_at)
    .bind(partner_id)
    .execute(&mut *connection)
    .await?;
    sqlx::query("UPDATE pushbox.destinations SET paused_until = NULL WHERE kind = $1 AND name = $2")
        .bind(platform)
        .bind(shop_id)
        .execute(&mut *connection)
        .await?;
    resolve(connection, &authorization_key(platform, shop_id)).await?;
    resolve(connection, &refresh_key(platform, shop_id)).await?;
    Ok(())
}

/// Gives a lease back after a failed call. `spent`: the token may have been spent all the same, so the next
/// try is a recovery.
///
/// # Errors
/// When the database refuses; then the lease ends by itself, and the next try is a recovery.
pub async fn give_back(
    connection: &mut PgConnection,
    platform: &str,
    shop_id: &str,
    lease: Uuid,
    spent: bool,
    after: Duration,
    reason: &str,
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "UPDATE pushbox.shops SET refresh_lease = NULL, refresh_lease_until = NULL,
             refresh_intent_at = CASE WHEN $4 THEN refresh_intent_at END,
             refresh_failures = refresh_failures + 1, refresh_after = now() + $5 * interval '1 second',
             refresh_error = $6
         WHERE platform = $1 AND shop_id = $2 AND refresh_lease = $3",
    )
    .bind(platform)
    .bind(shop_id)
    .bind(lease)
    .bind(spent)
    .bind(after.as_secs_f64())
    .bind(reason)
    .execute(connection)
    .await?;
    Ok(())
}

/// Marks a shop whose refresh token was refused for good, and tells people once with what they can do. Only
/// for the holder of the lease and for the pair that was refused: whoever else has stored a newer one since,
/// was right. Returns whether the shop was marked.
///
/// # Errors
/// When the database refuses.
pub async fn refuse_refresh(
    connection: &mut PgConnection,
    platform: &str,
    refresh: &Refresh,
    lease: Uuid,
    reason: &str,
    remedy: &str,
) -> Result<bool, sqlx::Error> {
    let marked = sqlx::query(
        "UPDATE pushbox.shops SET state = 'reauthorize', state_reason = $5, refresh_lease = NULL,
             refresh_lease_until = NULL, refresh_intent_at = NULL, updated_at = now()
         WHERE platform = $1 AND shop_id = $2 AND refresh_lease = $3 AND token_version = $4 AND state = 'active'",
    )
    .bind(platform)
    .bind(&refresh.shop_id)
    .bind(lease)
    .bind(refresh.token_version)
    .bind(reason)
    .execute(&mut *connection)
    .await?;
    let marked = marked.rows_affected() == 1;
    if marked {
        tell_authorization(connection, platform, &refresh.shop_id, reason, remedy).await?;
    }
    Ok(marked)
}

/// Marks an active shop as one whose seller has to authorize again, because a call was refused so, and tells
/// people once. Returns whether it was active.
///
/// # Errors
/// When the database refuses.
pub async fn require_authorization(
    connection: &mut PgConnection,
    platform: &str,
    shop_id: &str,
    reason: &str,
    remedy: &str,
) -> Result<bool, sqlx::Error> {
    let done = sqlx::query(
        "UPDATE pushbox.shops SET state = 'reauthorize', state_reason = $3, updated_at = now()
         WHERE platform = $1 AND shop_id = $2 AND state = 'active'",
    )
    .bind(platform)
    .bind(shop_id)
    .bind(reason)
    .execute(&mut *connection)
    .await?;
    let marked = done.rows_affected() == 1;
    if marked {
        tell_authorization(connection, platform, shop_id, reason, remedy).await?;
    }
    Ok(marked)
}

/// The alert of a shop that has to be authorized again.
pub fn authorization_key(platform: &str, shop_id: &str) -> String {
    format!("shop:{platform}:{shop_id}:authorization")
}

/// The alert of a shop whose token cannot be refreshed although its seller need not act.
fn refresh_key(platform: &str, shop_id: &str) -> String {
    format!("shop:{platform}:{shop_id}:refresh")
}

async fn tell_authorization(
    connection: &mut PgConnection,
    platform: &str,
    shop_id: &str,
    reason: &str,
    remedy: &str,
) -> Result<(), sqlx::Error> {
    let title = format!("Shop {shop_id} has to be authorized again: {reason}");
    let key = authorization_key(platform, shop_id);
    raise(connection, &Alert { key: &key, severity: Severity::Critical, title: &title, remedy }).await?;
    resolve(connection, &refresh_key(platform, shop_id)).await?;
    Ok(())
}

/// Tells people that a shop's token could not be refreshed for a while although nothing is known to be wrong
/// with the authorization.
///
/// # Errors
/// When the database refuses.
pub async fn tell_failing(
    connection: &mut PgConnection,
    platform: &str,
    shop_id: &str,
    reason: &str,
) -> Result<(), sqlx::Error> {
    let key = refresh_key(platform, shop_id);
    let title = format!("The token of shop {shop_id} cannot be refreshed: {reason}");
    let remedy = "Nothing if this is an outage of Shopee; pushbox keeps trying. Else look at the log.";
    raise(connection, &Alert { key: &key, severity: Severity::Warning, title: &title, remedy }).await?;
    Ok(())
}
