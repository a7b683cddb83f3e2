//! The composition root: settings in, a running process out.
//!
//! Start: database (the managed cluster when no `DATABASE_URL` is set), migrations, shops of the settings
//! imported, then the roles. Stop: the public listener first, until the last push in flight is answered;
//! then the workers and the schedules, until what runs has ended; then the database.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use sqlx::PgPool;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::admin::{self};
use crate::config::{Config, Role, Roles};
use crate::dashboard;
use crate::domain::seal::token_place;
use crate::domain::shopee::push::PLATFORM;
use crate::queue::{self, Bell, Presence, Waker};
use crate::receiver::{self, Committer, Receiver, RecordSettings, Recorder, Throttle};
use crate::store;

pub mod authorize;
mod changing;
mod database;
mod errands;
mod exports;
pub mod listener;
mod parts;
mod shopee_gate;
mod shopee_operations;
mod subscription_operations;
mod supervise;
mod trials;
mod work;

pub use changing::with_changes;
pub use database::{Database, migrate};

use changing::Changing;
use listener::Limits;
use parts::Parts;
use supervise::Supervised;

/// How long requests in flight may take to end at a stop. Longer than any commit deadline.
const DRAIN_LIMIT: Duration = Duration::from_secs(5);

/// A running process.
pub struct App {
    database: Database,
    public: Option<SocketAddr>,
    admin: SocketAddr,
    waker: Waker,
    receiving: Supervised,
    working: Supervised,
    /// Cancelled when a part ended by itself.
    broken: CancellationToken,
}

impl App {
    /// Starts a process with these roles. It is ready to receive when this returns.
    ///
    /// # Errors
    /// When the database cannot be had, a migration fails, an address is taken, or a client cannot be built.
    pub async fn start(config: Config, roles: &Roles, migrate: bool) -> anyhow::Result<Self> {
        let worker = format!("{}-{:08x}", std::process::id(), rand::random::<u32>());
        let database = Database::open(&config.database, &worker, migrate).await?;
        let parts = Parts::new(config, &database, worker)?;
        prepare(&parts).await?;
        let admin_listener = listen(parts.config.admin.listen, "ADMIN_LISTEN").await?;
        let broken = CancellationToken::new();
        let mut app = Self {
            database,
            public: None,
            admin: admin_listener.local_addr()?,
            waker: parts.waker.clone(),
            receiving: Supervised::new(broken.clone()),
            working: Supervised::new(broken.clone()),
            broken,
        };
        let stop = app.working.stop_token();
        let presence = Presence {
            worker: parts.worker.as_str().into(),
            roles: roles.iter().map(|role| role.as_str().to_owned()).collect(),
            sessions: !parts.config.database.pooler,
        };
        app.working
            .spawn("the bell", Bell::new(&parts.pool, parts.waker.clone(), presence).run(stop.clone()));
        let changing = Box::pin(Changing::start(parts.clone(), roles, app.broken.clone())).await?;
        app.working.spawn("what works with settings", changing.run(stop));
        let errands = errands::Errands::new(&parts);
        app.working.spawn("the errands", errands.run(app.working.stop_token()));
        app.serve_admin(admin_listener, &parts, roles)?;
        if roles.has(Role::Receiver) {
            let listener = listen(parts.config.listen, "LISTEN").await?;
            let address = listener.local_addr()?;
            app.public = Some(address);
            let _ = parts.receiver.set(address);
            app.receive(listener, &parts);
        }
        tracing::info!(%roles, worker = parts.worker, public = ?app.public, admin = %app.admin,
            "pushbox {} runs as {roles}", env!("CARGO_PKG_VERSION"));
        Ok(app)
    }

    /// Where pushes are received; none without the role `receiver`.
    pub fn public_address(&self) -> Option<SocketAddr> {
        self.public
    }

    /// Where the admin listener is.
    pub fn admin_address(&self) -> SocketAddr {
        self.admin
    }

    /// The database, for what only looks.
    pub fn pool(&self) -> &PgPool {
        self.database.pool()
    }

    /// Wakes the workers of this process.
    pub fn wake(&self) {
        self.waker.wake();
    }

    /// Stops in order and returns when everything has ended.
    pub async fn stop(mut self) {
        self.receiving.stop().await;
        self.working.stop().await;
        self.database.close().await;
        tracing::info!("stopped");
    }

    fn receive(&mut self, listener: TcpListener, parts: &Parts) {
        let (committer, mut writers) =
            Committer::start(&parts.pool, &parts.waker, parts.config.receiver.commit_deadline);
        let settings = RecordSettings {
            kept: parts.config.receiver.rejections_kept,
            bodies_for: parts.config.receiver.rejection_bodies_for,
        };
        let now = parts.clock.now();
        let sources = &parts.config.sources;
        let (recorder, notes) =
            Recorder::new(parts.pool.clone(), parts.sealer.clone(), sources, settings, now);
        writers.spawn(notes);
        let receiver = Arc::new(Receiver {
            sources: parts.config.sources.clone(),
            committer,
            plan: parts.shared.plan.clone(),
            pool: parts.pool.clone(),
            clock: parts.clock.clone(),
            body_limit: parts.config.receiver.body_limit,
            throttle: Throttle::new(parts.config.receiver.failed_signatures_per_minute, parts.clock.now()),
            recorder,
            trusted_proxies: parts.config.receiver.trusted_proxies.clone(),
            answers: parts.answers.clone(),
        });
        let stop = self.receiving.stop_token();
        let limits = limits(&parts.config);
        self.receiving.spawn("the public listener", async move {
            tokio::select! {
                drained = serve(listener, receiver::router(receiver), limits, stop, "public") => {
                    if drained {
                        // The last clone of the committer went with the server: the writers answer what waits.
                        while writers.join_next().await.is_some() {}
                    }
                }
                // Without its writers it would answer 503 for ever.
                _ = writers.join_next() => {}
            }
        });
    }

    fn serve_admin(&mut self, listener: TcpListener, parts: &Parts, roles: &Roles) -> anyhow::Result<()> {
        let state = parts.admin(roles, self.working.stop_token())?;
        let router = if roles.has(Role::Admin) {
            admin::router(state.clone(), dashboard::router(state))
        } else {
            admin::health_router(state)
        };
        let stop = self.working.stop_token();
        let limits = limits(&parts.config);
        self.working.spawn("the admin listener", async move {
            serve(listener, router, limits, stop, "admin").await;
        });
        Ok(())
    }
}

fn limits(config: &Config) -> Limits {
    Limits {
        connections: config.receiver.max_connections,
        request: config.receiver.request_timeout,
        drain: DRAIN_LIMIT,
    }
}

/// Serves until everything in flight is answered; false when a connection was still open long after the stop.
async fn serve(
    listener: TcpListener,
    router: axum::Router,
    limits: Limits,
    stop: CancellationToken,
    name: &str,
) -> bool {
    let drained = listener::serve(listener, router, limits, stop).await;
    if !drained {
        tracing::warn!("closed connections of the {name} listener that did not end by themselves");
    }
    drained
}

/// Starts, waits for the stop signal, stops: the whole of `pushbox serve`.
///
/// # Errors
/// When it cannot start, or a part of it ended by itself.
pub async fn run(
    config: Config,
    roles: &Roles,
    migrate: bool,
    stop: CancellationToken,
) -> anyhow::Result<()> {
    let app = tokio::select! {
        started = App::start(config, roles, migrate) => started?,
        () = stop.cancelled() => return Ok(()),
    };
    let broken = app.broken.clone();
    tokio::select! {
        () = app.database.watch() => {}
        () = broken.cancelled() => {}
        () = stop.cancelled() => {}
    }
    app.stop().await;
    anyhow::ensure!(!broken.is_cancelled(), "a part of pushbox ended by itself; the log says which");
    Ok(())
}

/// The admin API over `database` without a listener: what the command line asks. Changes made through it wake no
/// worker by themselves: [`wake_all`] does.
///
/// # Errors
/// When the settings cannot be used.
pub async fn console(config: Config, database: &Database) -> anyhow::Result<axum::Router> {
    let parts = Parts::new(with_changes(&config, database).await?, database, "command".to_owned())?;
    Ok(admin::console(parts.admin(&Roles::none(), CancellationToken::new())?))
}

/// Wakes the workers of all processes, for a command that made work for them. Their polling is the net under it.
pub async fn wake_all(database: &Database) {
    if let Err(error) = queue::bell::wake_all(database.pool(), "command").await {
        tracing::debug!(%error, "cannot wake the workers; they poll");
    }
}

/// What every process does before it works, safe to do in several at once.
async fn prepare(parts: &Parts) -> anyhow::Result<()> {
    let mut connection = parts.pool.acquire().await.context("connecting to the database")?;
    store::events::ensure_partitions(&mut connection).await.context("making partitions")?;
    if parts.config.encryption_key.is_none() && !parts.config.shopee.shops.is_empty() {
        tracing::warn!("tokens are kept unsealed: set ENCRYPTION_KEY (pushbox keygen prints one)");
    }
    for shop in &parts.config.shopee.shops {
        let id = shop.shop_id.to_string();
        let access = parts.sealer.seal(&shop.access_token, &token_place(PLATFORM, &id, "access"));
        let refresh = shop.refresh_token.as_ref();
        let refresh = refresh.map(|token| parts.sealer.seal(token, &token_place(PLATFORM, &id, "refresh")));
        if store::shops::import_shop(
            &mut connection,
            PLATFORM,
            &id,
            shop.partner_id.or(parts.config.shopee.partner_id),
            &access,
            refresh.as_deref(),
        )
        .await?
        {
            tracing::info!(shop.id = id, "imported shop {id}; from now on the database has its tokens");
        }
    }
    Ok(())
}

async fn listen(address: SocketAddr, setting: &str) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address)
        .await
        .with_context(|| format!("cannot listen on {address}: set {setting} to a free address"))
}

impl std::fmt::Debug for App {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("App")
            .field("public", &self.public)
            .field("admin", &self.admin)
            .finish_non_exhaustive()
    }
}
