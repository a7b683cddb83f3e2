//! Shopee, Telegram, Google Sheets and the seller's own service as plain servers on loopback over one shared value.
//!
//! It is how pushbox is developed, tested and shown without any account. It refuses what the real
//! services refuse, as far as that is known, so that a client that is wrong fails here and not there.
//! Tests read the [`World`] and script [`Fault`]s into it. It shares no code with our clients: signatures,
//! tokens and grids are made a second time here, so that one mistake cannot hide in both.
//!
//! It must not: compute formulas, know anything of pushbox's tables, or be reached from elsewhere than
//! this machine.
//!
//! Start reading at [`state`], the world and every way it changes; then the servers [`shopee`],
//! [`telegram`], [`google`] and [`forward`]; [`traffic`] plays a stream of pushes.

pub mod fault;
pub mod forward;
pub mod google;
pub mod journal;
pub mod platforms;
mod setup;
pub mod shared;
pub mod shop;
pub mod shopee;
pub mod state;
pub mod telegram;
pub mod traffic;

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Context;
use axum::Router;
use axum::middleware::from_fn_with_state;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use url::Url;

pub use fault::{Action, Fault, FaultProfile, Service, Target, When};
pub use state::World;
pub use state::shopee::TokenPair;

use fault::FaultLayer;
use journal::Journal;
use shared::Shared;
use state::Change;

/// The largest request body that is read.
const BODY_LIMIT: usize = 64 << 20;

/// How a simulator is started.
#[derive(Debug, Clone)]
pub struct SimulatorOptions {
    /// Where Shopee listens.
    pub shopee: SocketAddr,
    /// Where Telegram listens.
    pub telegram: SocketAddr,
    /// Where Google listens.
    pub google: SocketAddr,
    /// Where the seller's own service listens.
    pub forward: SocketAddr,
    /// Keep the world in this file, and go on with what it holds.
    pub journal: Option<PathBuf>,
    /// For random faults and tokens.
    pub seed: u64,
    /// Token lifetimes run out this much faster; 1.0 is real.
    pub time_scale: f64,
    /// Quotas fill up again this much faster; 1.0 is real.
    pub quota_scale: f64,
    /// Whether the refresh token that was spent last returns the same pair again for 4 hours, as one
    /// official answer says; by default it is spent for good, as the reference says.
    pub refresh_grace: bool,
}

impl Default for SimulatorOptions {
    fn default() -> Self {
        let free_port = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        Self {
            shopee: free_port,
            telegram: free_port,
            google: free_port,
            forward: free_port,
            journal: None,
            seed: 1,
            time_scale: 1.0,
            quota_scale: 1.0,
            refresh_grace: false,
        }
    }
}

/// The running simulator. Cheap to clone; all clones are one.
#[derive(Debug, Clone)]
pub struct Simulator {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    shared: Arc<Shared>,
    shopee: SocketAddr,
    telegram: SocketAddr,
    google: SocketAddr,
    forward: SocketAddr,
    stop: CancellationToken,
    servers: Mutex<Vec<JoinHandle<()>>>,
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

impl Simulator {
    /// Replays the journal, if there is one, and listens.
    pub async fn start(options: SimulatorOptions) -> anyhow::Result<Self> {
        let positive = options.time_scale > 0.0 && options.quota_scale > 0.0;
        anyhow::ensure!(positive, "the simulator's time_scale and quota_scale must be above 0");
        let mut world = World::default();
        let journal = options.journal.as_deref().map(|path| Journal::open(path, &mut world)).transpose()?;
        let shared = Shared::new(world, journal, &options);
        let stop = CancellationToken::new();
        let shopee = Server::bind(options.shopee).await?;
        let telegram = Server::bind(options.telegram).await?;
        let google = Server::bind(options.google).await?;
        let forward = Server::bind(options.forward).await?;
        let inner = Inner {
            shopee: shopee.address,
            telegram: telegram.address,
            google: google.address,
            forward: forward.address,
            servers: Mutex::new(vec![
                shopee.run(shopee::router(&shared), &shared, Service::Shopee, &stop),
                telegram.run(telegram::router(&shared), &shared, Service::Telegram, &stop),
                google.run(google::router(&shared), &shared, Service::Google, &stop),
                forward.run(forward::router(&shared), &shared, Service::Forward, &stop),
            ]),
            shared,
            stop,
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// Where Shopee's API is.
    pub fn shopee_url(&self) -> Url {
        base_url(self.inner.shopee)
    }

    /// Where Telegram's API is.
    pub fn telegram_url(&self) -> Url {
        base_url(self.inner.telegram)
    }

    /// Where Google's API is; the token endpoint is under it.
    pub fn google_url(&self) -> Url {
        base_url(self.inner.google)
    }

    /// Where the seller's own service is; any path.
    pub fn forward_url(&self) -> Url {
        base_url(self.inner.forward)
    }

    /// The key of a service account whose token endpoint is ours.
    pub fn google_credentials_json(&self) -> String {
        google::token::credentials_json(&self.google_url())
    }

    /// Looks at the world.
    pub fn read<R>(&self, look: impl FnOnce(&World) -> R) -> R {
        self.inner.shared.read(look)
    }

    /// Makes one change; what no helper offers.
    pub fn change(&self, change: impl Into<Change>) {
        self.inner.shared.record(change);
    }

    /// Queues a fault.
    pub fn script(&self, fault: Fault) {
        self.inner.shared.faults(|book| book.push(fault));
    }

    /// Sets how many random faults there are.
    pub fn set_fault_profile(&self, profile: FaultProfile) {
        self.inner.shared.faults(|book| book.set_profile(profile));
    }

    /// How often faults struck, by service, call and what they did.
    pub fn faults_fired(&self) -> BTreeMap<String, u64> {
        self.inner.shared.faults(|book| book.fired().clone())
    }

    /// Scripted faults that have not struck as often as they should.
    pub fn faults_waiting(&self) -> Vec<Fault> {
        self.inner.shared.faults(|book| book.waiting().to_vec())
    }

    /// Calls that were not known. A test fails on them.
    pub fn unknown_calls(&self) -> Vec<String> {
        self.read(|world| world.unknown_calls.clone())
    }

    /// Moves this world's clock forward: tokens and quotas age.
    pub fn advance(&self, by: Duration) {
        self.inner.shared.advance(by);
    }

    /// Closes the listeners and lets open requests end, for a second at most.
    pub async fn shutdown(self) {
        self.inner.stop.cancel();
        let servers = std::mem::take(&mut *self.inner.servers.lock().unwrap_or_else(PoisonError::into_inner));
        for mut server in servers {
            if tokio::time::timeout(Duration::from_secs(1), &mut server).await.is_err() {
                server.abort();
            }
        }
    }

    fn shared(&self) -> &Arc<Shared> {
        &self.inner.shared
    }
}

fn base_url(address: SocketAddr) -> Url {
    Url::parse(&format!("http://{address}/")).expect("a socket address is a valid authority")
}

struct Server {
    listener: TcpListener,
    address: SocketAddr,
}

impl Server {
    async fn bind(address: SocketAddr) -> anyhow::Result<Self> {
        let listener = TcpListener::bind(address)
            .await
            .with_context(|| format!("the simulator cannot listen on {address}"))?;
        let address = listener.local_addr().context("asking for the simulator's address")?;
        Ok(Self { listener, address })
    }

    fn run(
        self,
        router: Router,
        shared: &Arc<Shared>,
        service: Service,
        stop: &CancellationToken,
    ) -> JoinHandle<()> {
        let layer = FaultLayer { shared: Arc::clone(shared), service };
        let router = router
            .layer(axum::extract::DefaultBodyLimit::max(BODY_LIMIT))
            .layer(from_fn_with_state(layer, fault::strike));
        let stop = stop.clone().cancelled_owned();
        tokio::spawn(async move {
            if let Err(error) = axum::serve(self.listener, router).with_graceful_shutdown(stop).await {
                tracing::error!("the simulated {} stopped: {error}", service.as_str());
            }
        })
    }
}

#[cfg(test)]
mod tests;
