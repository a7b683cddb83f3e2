//! Calls that tasks make on behalf of shops: with the stored token, and with what follows from a refusal.

use std::time::Duration;

use sqlx::PgPool;

use crate::clients::error::{ClientError, Concern};
use crate::clients::shopee::{Apps, Credentials, ShopeeClient};
use crate::domain::seal::{Sealer, token_place};
use crate::domain::shopee::push::PLATFORM;
use crate::store;
use crate::store::shop_tokens::require_authorization;
use crate::store::{schedules, shops};

/// How long to wait for a new token.
const TOKEN_WAIT: Duration = Duration::from_secs(20);
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// See the module.
#[derive(Debug)]
pub struct ShopCalls {
    /// The database.
    pub pool: PgPool,
    /// The platform.
    pub apps: Apps,
    /// Opens tokens.
    pub sealer: Sealer,
}

impl ShopCalls {
    /// The shop's token.
    ///
    /// # Errors
    /// When there is none that can be used, as if the platform had refused it.
    pub(super) async fn credentials(&self, shop_id: &str) -> Result<Credentials, ClientError> {
        self.find(shop_id).await.map(|(credentials, _)| credentials)
    }

    /// The client of the app that the token belongs to; `Configuration` if it is not set any more.
    pub(super) fn client(&self, credentials: &Credentials) -> Result<&ShopeeClient, ClientError> {
        self.apps.of(credentials.partner_id).map(AsRef::as_ref)
    }

    async fn find(&self, shop_id: &str) -> Result<(Credentials, String), ClientError> {
        let refused =
            |message: String| ClientError::configuration(Concern::Account, message, "look at the shop");
        let unavailable = |error: sqlx::Error| ClientError::Unavailable {
            message: format!("the database: {error}"),
            outcome: crate::clients::error::Outcome::NotSent,
        };
        let mut connection = self.pool.acquire().await.map_err(unavailable)?;
        let shop = shops::find_shop(&mut connection, PLATFORM, shop_id).await.map_err(unavailable)?;
        let shop = shop.filter(|shop| shop.state == "active");
        let partner_id = shop.as_ref().and_then(|shop| shop.partner_id);
        let sealed = shop.and_then(|shop| shop.access_token);
        let (Some(sealed), Ok(id)) = (sealed, shop_id.parse()) else {
            return Err(refused(format!("shop {shop_id} is not authorized")));
        };
        let place = token_place(PLATFORM, shop_id, "access");
        let access_token = self.sealer.open(&sealed, &place).map_err(|error| refused(error.to_string()))?;
        Ok((Credentials { shop_id: id, partner_id, access_token }, sealed))
    }

    /// A newer token than the one that was refused: has it refreshed, and waits a while for that.
    ///
    /// # Errors
    /// The refusal, when none comes.
    pub(super) async fn refreshed(
        &self,
        refused: &Credentials,
        error: &ClientError,
    ) -> Result<Credentials, ClientError> {
        use secrecy::ExposeSecret;

        let shop_id = refused.shop_id.to_string();
        let begun = tokio::time::Instant::now();
        let mut asked = false;
        while begun.elapsed() < TOKEN_WAIT {
            let (found, sealed) = self.find(&shop_id).await?;
            if found.access_token.expose_secret() != refused.access_token.expose_secret() {
                return Ok(found);
            }
            if !asked {
                let asking = async {
                    let mut connection = self.pool.acquire().await?;
                    shops::expire_access(&mut connection, PLATFORM, &shop_id, &sealed).await?;
                    schedules::ask_run(&mut connection, "refresh_tokens").await
                };
                asked = asking.await.is_ok();
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
        Err(error.clone())
    }

    /// Notes what a refusal says about the shop, and tells people once.
    pub(super) async fn note(&self, shop_id: &str, error: &ClientError) -> Result<(), sqlx::Error> {
        if !error.needs_authorization() {
            return Ok(());
        }
        let mut transaction = store::begin(&self.pool).await?;
        let shop = shops::find_shop(&mut transaction, PLATFORM, shop_id).await?;
        let app = self.apps.of(shop.and_then(|shop| shop.partner_id));
        let remedy = app.unwrap_or_else(|_| self.apps.first()).authorization_remedy();
        let reason = error.to_string();
        if require_authorization(&mut transaction, PLATFORM, shop_id, &reason, &remedy).await? {
            tracing::error!(shop.id = shop_id, %error, "shop {shop_id} has to be authorized again");
        }
        transaction.commit().await
    }
}
