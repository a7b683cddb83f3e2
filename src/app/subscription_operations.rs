//! What people ask of subscriptions through the admin API.

use async_trait::async_trait;
use sqlx::PgPool;

use crate::admin::operations::{OperationError, SubscriptionOperations};
use crate::config::PlatformApi;
use crate::schedule::subscriptions::{create, look};

/// With the clients of this process.
#[derive(Debug)]
pub(super) struct Outside {
    pub pool: PgPool,
    pub apis: Vec<PlatformApi>,
}

impl Outside {
    fn api(&self, source: &str) -> Result<&PlatformApi, OperationError> {
        let api = self.apis.iter().find(|api| api.source == source && api.address.is_some());
        api.ok_or(OperationError::Missing("source with an API and subscriptions.address"))
    }
}

#[async_trait]
impl SubscriptionOperations for Outside {
    async fn ensure_subscriptions(&self, source: &str) -> Result<usize, OperationError> {
        let looked = look(&self.pool, self.api(source)?, true).await;
        looked.map(|looked| looked.created).map_err(|error| OperationError::Failed(format!("{error:#}")))
    }

    async fn create_subscription(&self, source: &str, topic: &str) -> Result<bool, OperationError> {
        let made = create(&self.pool, self.api(source)?, topic).await;
        made.map_err(|error| OperationError::Failed(format!("{error:#}")))
    }
}
