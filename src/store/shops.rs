//! Shops and their tokens. Tokens come and go sealed; this module never sees them plain.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;

/// Says whose shops are meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OfApp {
    /// The app.
    pub partner_id: i64,
    /// Those of which nobody has noted the app are meant as well.
    pub is_first: bool,
}

impl OfApp {
    /// Whether a shop with this app is meant.
    pub fn has(self, partner_id: Option<i64>) -> bool {
        partner_id.map_or(self.is_first, |id| id == self.partner_id)
    }
}

/// A shop as it stands in the database.
#[derive(Clone, sqlx::FromRow)]
pub struct ShopRow {
    /// The platform's shop id.
    pub shop_id: String,
    /// The app that its tokens belong to; none: that of `PARTNER_ID`.
    pub partner_id: Option<i64>,
    /// `active`, `reauthorize` or `disabled`.
    pub state: String,
    /// Why it is not active.
    pub state_reason: Option<String>,
    /// Sealed.
    pub access_token: Option<String>,
    /// Sealed.
    pub refresh_token: Option<String>,
    /// When the access token ends; none: unknown.
    pub access_expires_at: Option<DateTime<Utc>>,
}

/// Without a key, what is sealed is plain: tokens stay out.
impl std::fmt::Debug for ShopRow {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ShopRow")
            .field("shop_id", &self.shop_id)
            .field("state", &self.state)
            .finish_non_exhaustive()
    }
}

/// Adds a shop when it is not there yet; what is there is the truth. Returns whether it was added.
///
/// # Errors
/// When the database refuses.
pub async fn import_shop(
    connection: &mut PgConnection,
    platform: &str,
    shop_id: &str,
    partner_id: Option<i64>,
    access_token: &str,
    refresh_token: Option<&str>,
) -> Result<bool, sqlx::Error> {
    let done = sqlx::query(
        "INSERT INTO pushbox.shops (platform, shop_id, partner_id, access_token, refresh_token)
         VALUES ($1, $2, $3, $4, $5) ON CONFLICT (platform, shop_id) DO NOTHING",
    )
    .bind(platform)
    .bind(shop_id)
    .bind(partner_id)
    .bind(access_token)
    .bind(refresh_token)
    .execute(connection)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// The shop, if it is known.
///
/// # Errors
/// When the database refuses.
pub async fn find_shop(
    connection: &mut PgConnection,
    platform: &str,
    shop_id: &str,
) -> Result<Option<ShopRow>, sqlx::Error> {
    sqlx::query_as(
        "SELECT shop_id, partner_id, state, state_reason, access_token, refresh_token, access_expires_at
         FROM pushbox.shops WHERE platform = $1 AND shop_id = $2",
    )
    .bind(platform)
    .bind(shop_id)
    .fetch_optional(connection)
    .await
}

/// Notes that the platform does not accept this access token any more, so that the next refresh takes it
/// up. A token that was replaced in the meantime is left alone.
///
/// # Errors
/// When the database refuses.
pub async fn expire_access(
    connection: &mut PgConnection,
    platform: &str,
    shop_id: &str,
    access_token: &str,
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "UPDATE pushbox.shops SET access_expires_at = now(), updated_at = now()
         WHERE platform = $1 AND shop_id = $2 AND access_token = $3",
    )
    .bind(platform)
    .bind(shop_id)
    .bind(access_token)
    .execute(connection)
    .await?;
    Ok(())
}

/// How many shops there are in each state.
///
/// # Errors
/// When the database refuses.
pub async fn count_states(connection: &mut PgConnection) -> Result<Vec<(String, i64)>, sqlx::Error> {
    sqlx::query_as("SELECT state, count(*) FROM pushbox.shops GROUP BY state ORDER BY state")
        .fetch_all(connection)
        .await
}

/// The database's clock.
///
/// # Errors
/// When the database refuses.
pub async fn now(connection: &mut PgConnection) -> Result<DateTime<Utc>, sqlx::Error> {
    sqlx::query_scalar("SELECT clock_timestamp()").fetch_one(connection).await
}

/// A shop's state and when it was authorized.
#[derive(Debug, Clone, sqlx::FromRow)]
pub struct ShopState {
    /// The shop.
    pub shop_id: String,
    /// The app that its tokens belong to; none: that of `PARTNER_ID`.
    pub partner_id: Option<i64>,
    /// `active`, `reauthorize` or `disabled`.
    pub state: String,
    /// When a code was exchanged, or what the platform says.
    pub authorized_at: Option<DateTime<Utc>>,
}

/// All shops of a platform.
///
/// # Errors
/// When the database refuses.
pub async fn list_states(
    connection: &mut PgConnection,
    platform: &str,
) -> Result<Vec<ShopState>, sqlx::Error> {
    sqlx::query_as(
        "SELECT shop_id, partner_id, state, authorized_at FROM pushbox.shops WHERE platform = $1 ORDER BY shop_id",
    )
    .bind(platform)
    .fetch_all(connection)
    .await
}

/// What the platform's list says about a shop.
#[derive(Debug, Clone, Copy)]
pub struct Listed<'a> {
    /// Its market.
    pub region: Option<&'a str>,
    /// Since when it is authorized.
    pub authorized_at: Option<DateTime<Utc>>,
    /// Until when.
    pub expires_at: Option<DateTime<Utc>>,
}

/// Notes what the platform's list says about a shop; 1 if we know the shop.
///
/// # Errors
/// When the database refuses.
pub async fn note_listed(
    connection: &mut PgConnection,
    platform: &str,
    shop_id: &str,
    listed: &Listed<'_>,
) -> Result<u64, sqlx::Error> {
    let done = sqlx::query(
        "UPDATE pushbox.shops SET region = coalesce($3, region), authorized_at = coalesce($4, authorized_at),
             authorization_expires_at = $5
         WHERE platform = $1 AND shop_id = $2",
    )
    .bind(platform)
    .bind(shop_id)
    .bind(listed.region)
    .bind(listed.authorized_at)
    .bind(listed.expires_at)
    .execute(connection)
    .await?;
    Ok(done.rows_affected())
}

/// Active shops of an app whose authorization ends within so many days, with when.
///
/// # Errors
/// When the database refuses.
pub async fn list_expiring(
    connection: &mut PgConnection,
    platform: &str,
    app: OfApp,
    days: i32,
) -> Result<Vec<(String, DateTime<Utc>)>, sqlx::Error> {
    sqlx::query_as(
        "SELECT shop_id, authorization_expires_at FROM pushbox.shops
         WHERE platform = $1 AND state = 'active' AND authorization_expires_at < now() + $2 * interval '1 day'
           AND coalesce(partner_id = $3, $4)
         ORDER BY shop_id",
    )
    .bind(platform)
    .bind(days)
    .bind(app.partner_id)
    .bind(app.is_first)
    .fetch_all(connection)
    .await
}
