//! What the admin API asks of Shopee.

use std::sync::Arc;

use async_trait::async_trait;
use secrecy::SecretString;
use sqlx::PgPool;
use url::Url;

use super::authorize;
use crate::admin::operations::{
    AuthorizedAccount, OperationError, PushSettings, PushSettingsChange, ShopeeOperations,
};
use crate::clients::error::ClientError;
use crate::clients::shopee::{Account, Apps, PushChange, ShopeeClient};
use crate::domain::seal::Sealer;
use crate::queue::{SharedPlan, Waker};
use crate::schedule::push_health::findings;

/// See the module.
#[derive(Debug)]
pub(super) struct Operations {
    pub(super) pool: PgPool,
    pub(super) apps: Apps,
    pub(super) sealer: Sealer,
    pub(super) redirect_url: Option<Url>,
    pub(super) callback_url: Option<String>,
    pub(super) plan: SharedPlan,
    pub(super) waker: Waker,
}

fn failed(error: &ClientError) -> OperationError {
    match error {
        ClientError::Rejected { .. } => OperationError::Unusable(format!("Shopee: {error}")),
        error => OperationError::Failed(format!("Shopee: {error}")),
    }
}

impl Operations {
    fn app(&self, partner_id: Option<i64>) -> Result<&ShopeeClient, OperationError> {
        let app = self.apps.of(partner_id);
        app.map(Arc::as_ref).map_err(|error| OperationError::Unusable(format!("partner_id: {error}")))
    }
}

#[async_trait]
impl ShopeeOperations for Operations {
    fn partner_ids(&self) -> Vec<i64> {
        self.apps.iter().map(|app| app.partner_id()).collect()
    }

    fn authorization_link(
        &self,
        partner_id: Option<i64>,
        redirect: Option<&Url>,
        state: Option<&str>,
        legacy: bool,
    ) -> Result<Url, OperationError> {
        let Some(redirect) = redirect.or(self.redirect_url.as_ref()) else {
            return Err(OperationError::Unusable(
                "redirect_url: say where Shopee sends the seller on, or set SHOPEE_REDIRECT_URL".to_owned(),
            ));
        };
        let app = self.app(partner_id)?;
        Ok(if legacy {
            app.signed_authorization_link(redirect)
        } else {
            app.authorization_link(redirect, state)
        })
    }

    async fn exchange(
        &self,
        partner_id: Option<i64>,
        code: &SecretString,
        account: AuthorizedAccount,
    ) -> Result<Vec<i64>, OperationError> {
        let account = match account {
            AuthorizedAccount::Shop(id) => Account::Shop(id),
            AuthorizedAccount::Main(id) => Account::Main(id),
        };
        let done = authorize::exchange(&self.pool, self.app(partner_id)?, &self.sealer, code, account).await;
        self.waker.wake();
        done.map_err(|error| match error.downcast_ref::<ClientError>() {
            Some(refused) => failed(refused),
            None => OperationError::Failed(format!("{error:#}")),
        })
    }

    async fn push_settings(&self, partner_id: Option<i64>) -> Result<PushSettings, OperationError> {
        let settings = self.app(partner_id)?.push_config().await.map_err(|error| failed(&error))?;
        let found = findings(&settings, self.callback_url.as_deref(), &self.plan.load().routes);
        Ok(PushSettings {
            findings: found.into_iter().map(|one| one.title).collect(),
            callback_url: settings.callback_url,
            status: settings.live_push_status,
            on: settings.push_config_on_list,
            off: settings.push_config_off_list,
            blocked_shop_ids: settings.blocked_shop_ids,
        })
    }

    async fn change_push_settings(
        &self,
        partner_id: Option<i64>,
        change: &PushSettingsChange,
        write: bool,
    ) -> Result<Vec<String>, OperationError> {
        let change = PushChange {
            callback_url: change.callback_url.clone(),
            on: change.on.clone(),
            off: change.off.clone(),
            blocked_shop_ids: change.blocked_shop_ids.clone(),
        };
        let app = self.app(partner_id)?;
        let before = app.push_config().await.map_err(|error| failed(&error))?;
        let difference = before.difference(&change);
        if write && !difference.is_empty() {
            app.set_push_config(&change).await.map_err(|error| failed(&error))?;
        }
        Ok(difference)
    }
}
