//! Settings that people change while pushbox runs: read at the start, and looked for every second.
//!
//! What works with settings (workers, replays, the scheduler) is made anew beside the old one, which then claims
//! nothing more and ends what it has at work, as at a stop; the queue keeps the two apart as it keeps two processes
//! apart. The receiver and the admin API take the new plan for their next request. Settings that cannot be used are
//! told in `pushbox.workers`, and the process goes on with those of before.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use sqlx::PgPool;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::parts::{Parts, plan};
use super::supervise::Supervised;
use super::{Database, work};
use crate::admin::changed::{self, ChangedError};
use crate::config::{Config, Role, Roles};
use crate::domain::seal::Sealer;
use crate::store::settings::{note_in_force, version};

/// How often to look for a change that another process made.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// What the settings of `database` make of these, for a command that uses them once.
///
/// # Errors
/// When the database refuses, or what was changed cannot be used.
pub async fn with_changes(config: &Config, database: &Database) -> anyhow::Result<Config> {
    let read = read(config, database.pool()).await;
    // Before the migration that makes the table nothing can have been changed.
    if read.as_ref().is_err_and(|error| error.chain().any(is_undefined_table)) {
        return Ok(config.clone());
    }
    read.context("the settings that were changed while pushbox ran")
}

fn is_undefined_table(error: &(dyn std::error::Error + 'static)) -> bool {
    let found = match error.downcast_ref() {
        Some(ChangedError::Database(error)) => Some(error),
        _ => error.downcast_ref::<sqlx::Error>(),
    };
    let code = found.and_then(sqlx::Error::as_database_error).and_then(sqlx::error::DatabaseError::code);
    code.is_some_and(|code| code == "42P01")
}

async fn read(config: &Config, pool: &PgPool) -> anyhow::Result<Config> {
    let sealer = Sealer::with_old(config.encryption_key.as_ref(), &config.old_encryption_keys)?;
    let mut connection = pool.acquire().await?;
    let stored = changed::read(&mut connection, &sealer).await?;
    if stored == *config.stored() {
        return Ok(config.clone());
    }
    let loaded = config.with_stored(stored).map_err(|faults| anyhow::anyhow!("{faults}"))?;
    Ok(loaded.config)
}

/// The parts of a process that are made anew when settings change.
pub(super) struct Changing {
    parts: Parts,
    roles: Roles,
    broken: CancellationToken,
    running: Supervised,
    /// Those of before, until what they had at work has ended.
    ending: JoinSet<()>,
    /// The version that was looked at last; none: not even one.
    seen: Option<i64>,
    /// Why it is not in force.
    error: Option<String>,
    /// Whether `pushbox.workers` says so.
    told: bool,
}

impl Changing {
    /// Starts what works with settings. With what people changed, where that can be used.
    ///
    /// # Errors
    /// When a client cannot be built from the settings of the environment and the file.
    pub(super) async fn start(
        parts: Parts,
        roles: &Roles,
        broken: CancellationToken,
    ) -> anyhow::Result<Self> {
        let mut this = Self {
            running: Supervised::new(broken.clone()),
            parts,
            roles: roles.clone(),
            broken,
            ending: JoinSet::new(),
            seen: None,
            error: None,
            told: false,
        };
        // An empty set is replaced by the first one that can be had.
        this.look().await?;
        if this.error.is_some() {
            this.running = working(&this.parts, &this.roles, &this.broken).await?;
        }
        Ok(this)
    }

    /// Looks for changes until `stop`, then stops what runs.
    pub(super) async fn run(mut self, stop: CancellationToken) {
        let changed = self.parts.settings_changed.clone();
        loop {
            tokio::select! {
                () = stop.cancelled() => break,
                () = changed.woken() => {}
                () = tokio::time::sleep(LOOK_EVERY) => {}
            }
            if let Err(error) = self.look().await {
                tracing::debug!(error = &*error, "cannot look whether settings were changed");
            }
            while self.ending.try_join_next().is_some() {}
        }
        self.running.stop().await;
        while self.ending.join_next().await.is_some() {}
    }

    async fn look(&mut self) -> anyhow::Result<()> {
        let newest = version(&self.parts.pool).await?;
        if self.seen != Some(newest) {
            let is_first = self.seen.is_none();
            self.error = match self.adopt(is_first).await {
                Ok(()) => None,
                // Not a fault of the settings: looked at again.
                Err(error) if is_passing(&error) => return Err(error),
                Err(error) => {
                    tracing::error!(
                        version = newest,
                        "what was changed of the settings is not in force here; going on with those of before: {error:#}"
                    );
                    Some(format!("{error:#}"))
                }
            };
            self.seen = Some(newest);
            self.told = false;
        }
        if !self.told {
            let (worker, error) = (&self.parts.worker, self.error.as_deref());
            self.told = note_in_force(&self.parts.pool, worker, newest, error).await?;
        }
        Ok(())
    }

    async fn adopt(&mut self, is_first: bool) -> anyhow::Result<()> {
        let config = read(&self.parts.config, &self.parts.pool).await?;
        if !is_first && config.stored() == self.parts.config.stored() {
            return Ok(());
        }
        let parts = self.parts.with(config);
        let running = working(&parts, &self.roles, &self.broken).await?;
        parts.publish();
        self.parts = parts;
        let mut old = std::mem::replace(&mut self.running, running);
        if !is_first {
            tracing::info!("settings were changed; working with the new ones");
            self.ending.spawn(async move { old.stop().await });
        }
        Ok(())
    }
}

/// Whether it may be gone in a moment.
fn is_passing(error: &anyhow::Error) -> bool {
    let of_database = |cause: &(dyn std::error::Error + 'static)| {
        cause.is::<sqlx::Error>() || matches!(cause.downcast_ref(), Some(ChangedError::Database(_)))
    };
    error.chain().any(of_database)
}

/// Starts what works with these settings.
async fn working(parts: &Parts, roles: &Roles, broken: &CancellationToken) -> anyhow::Result<Supervised> {
    let mut running = Supervised::new(broken.clone());
    let stop = running.stop_token();
    if roles.has(Role::Worker) {
        let runtime = work::runtime(parts).await?;
        running.spawn("replays", work::replayer(parts).run(stop.clone()));
        running.spawn("the queue's runtime", runtime.run(stop.clone()));
    }
    if roles.has(Role::Scheduler) {
        let limit = parts.config.queue.shutdown_timeout;
        running.spawn("the scheduler", work::driver(parts)?.run(stop, limit));
    }
    Ok(running)
}

impl Parts {
    /// The same with other settings.
    fn with(&self, config: Config) -> Self {
        Self { plan: plan(&config), config: Arc::new(config), ..self.clone() }
    }

    /// Lets everybody who shares them have these settings.
    fn publish(&self) {
        self.shared.config.store(self.config.clone());
        self.shared.plan.store(Arc::new(self.plan.clone()));
    }
}
