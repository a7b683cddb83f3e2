//! What the parts of a process share, and what the admin API is made of.

use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};

use arc_swap::ArcSwap;
use secrecy::ExposeSecret;
use sqlx::PgPool;
use tokio_util::sync::CancellationToken;

use super::shopee_gate::ShopeeGate;
use super::{Database, exports, shopee_operations, subscription_operations, trials};
use crate::admin::operations::ShopeeOperations;
use crate::admin::{AdminContext, AdminState};
use crate::clients::shopee::{Apps, ShopeeClient};
use crate::clock::{self, SharedClock};
use crate::config::{Config, Roles, SharedConfig};
use crate::domain::seal::Sealer;
use crate::observability::metrics;
use crate::queue::{Plan, SharedPlan, Waker};
use crate::receiver::Answers;

/// What the parts of a process share.
#[derive(Clone)]
pub(super) struct Parts {
    pub(super) config: Arc<Config>,
    pub(super) pool: PgPool,
    pub(super) clock: SharedClock,
    pub(super) sealer: Sealer,
    pub(super) plan: Plan,
    /// The settings of now, for those who are not made anew when they change.
    pub(super) shared: Shared,
    /// Wakes whoever looks whether settings were changed.
    pub(super) settings_changed: Waker,
    /// Where this process receives pushes, once it does.
    pub(super) receiver: Arc<OnceLock<SocketAddr>>,
    pub(super) waker: Waker,
    /// Wakes the errands of this process.
    pub(super) errands: Waker,
    /// How pushes were answered, until it is written down.
    pub(super) answers: Arc<Answers>,
    /// Names this process in `jobs.worker`: new with each start.
    pub(super) worker: String,
}

/// What follows the settings without being made anew.
#[derive(Clone)]
pub(super) struct Shared {
    pub(super) config: SharedConfig,
    pub(super) plan: SharedPlan,
}

pub(super) fn plan(config: &Config) -> Plan {
    Plan { routes: config.routes.clone(), max_attempts: config.queue.max_attempts }
}

impl Parts {
    /// Clients whose calls keep to the budgets that all processes share.
    pub(super) fn shopee_apps(&self) -> anyhow::Result<Apps> {
        let settings = &self.config.shopee;
        let gated = |client: ShopeeClient| {
            let gate = ShopeeGate::new(self.pool.clone(), settings, client.suffix());
            client.with_gate(Arc::new(gate))
        };
        Ok(Apps::new(settings, &self.clock, gated)?)
    }

    /// What a process shares, before it has begun anything.
    pub(super) fn new(config: Config, database: &Database, worker: String) -> anyhow::Result<Self> {
        let plan = plan(&config);
        let config = Arc::new(config);
        let shared = Shared {
            config: Arc::new(ArcSwap::new(config.clone())),
            plan: Arc::new(ArcSwap::from_pointee(plan.clone())),
        };
        Ok(Self {
            pool: database.pool().clone(),
            clock: clock::system(),
            plan,
            shared,
            settings_changed: Waker::default(),
            receiver: Arc::default(),
            waker: Waker::default(),
            errands: Waker::default(),
            answers: Arc::default(),
            worker,
            sealer: Sealer::with_old(config.encryption_key.as_ref(), &config.old_encryption_keys)?,
            config,
        })
    }

    /// What the admin API works with.
    pub(super) fn admin(&self, roles: &Roles, stopping: CancellationToken) -> anyhow::Result<AdminState> {
        Ok(Arc::new(AdminContext {
            pool: self.pool.clone(),
            settings: self.config.admin.clone(),
            roles: roles.iter().map(|role| role.as_str().to_owned()).collect(),
            started_at: self.clock.now(),
            clock: self.clock.clone(),
            waker: self.waker.clone(),
            errands: self.errands.clone(),
            stopping,
            sources: self.config.sources.clone(),
            sealer: self.sealer.clone(),
            plan: self.shared.plan.clone(),
            config: self.shared.config.clone(),
            settings_changed: self.settings_changed.clone(),
            subscriptions: Arc::new(subscription_operations::Outside {
                pool: self.pool.clone(),
                apis: self.config.platform_apis.clone(),
            }),
            trials: Arc::new(trials::Trials {
                pool: self.pool.clone(),
                clock: self.clock.clone(),
                config: self.shared.config.clone(),
                receiver: self.receiver.clone(),
                waker: self.waker.clone(),
            }),
            exports: Arc::new(exports::Exports {
                pool: self.pool.clone(),
                clock: self.clock.clone(),
                zone: self.config.display_timezone,
            }),
            metrics: metrics::install(),
            shopee: self.shopee_operations()?,
        }))
    }

    /// What people may ask of Shopee through the admin API, if there is an app.
    pub(super) fn shopee_operations(&self) -> anyhow::Result<Option<Arc<dyn ShopeeOperations>>> {
        if !self.api_is_configured() {
            return Ok(None);
        }
        Ok(Some(Arc::new(shopee_operations::Operations {
            pool: self.pool.clone(),
            apps: self.shopee_apps()?,
            sealer: self.sealer.clone(),
            redirect_url: self.config.shopee.redirect_url.clone(),
            callback_url: self.config.shopee.callback_url.clone(),
            plan: self.shared.plan.clone(),
            waker: self.waker.clone(),
        })))
    }

    pub(super) fn api_is_configured(&self) -> bool {
        let key = self.config.shopee.partner_key.as_ref();
        self.config.shopee.partner_id.is_some() && key.is_some_and(|key| !key.expose_secret().is_empty())
    }
}
