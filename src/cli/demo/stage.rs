//! Everything that runs in a demo, started and stopped in order.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::PathBuf;

use anyhow::Context as _;
use sqlx::{Connection as _, PgConnection, PgPool};
use url::Url;

use super::home::Home;
use crate::app::App;
use crate::cli::scene;
use crate::config::{Config, Inputs, Roles, ShopImport};
use crate::postgres::{DATABASE, ManagedPostgres, PostgresOptions};
use crate::simulator::traffic::{Plan, Traffic};
use crate::simulator::{Simulator, SimulatorOptions, TokenPair};
use crate::store::totals::{has_database, recreate_database};

/// Where the dashboard is, if nobody else is there.
pub(super) const ADMIN_PORT: u16 = 9000;
/// Quotas of the simulated services fill up so many times as fast as real ones.
pub(super) const QUOTA_SCALE: u32 = 120;
/// The database of a run; each run that starts afresh makes it anew.
const RUN_DATABASE: &str = "demo";

/// What runs.
pub(super) struct Stage {
    postgres: ManagedPostgres,
    pub(super) sim: Simulator,
    app: App,
    /// Where pushes go.
    pub(super) receiver: Url,
    /// Where the dashboard is.
    pub(super) admin: SocketAddr,
}

impl Stage {
    /// Starts everything: with the world and the database of the run before, if it goes on.
    pub(super) async fn start(home: &mut Home, plan: &Plan, seed: u64) -> anyhow::Result<Self> {
        // First: its lock keeps a second demo out of the directory.
        let postgres = ManagedPostgres::start(PostgresOptions::new(home.path())).await?;
        prepare(home, &postgres).await.context("preparing the demo's database")?;
        let sim = Simulator::start(SimulatorOptions {
            journal: Some(home.journal()),
            seed,
            quota_scale: f64::from(QUOTA_SCALE),
            // A kill between the platform's answer and our commit would cost the shop's authorization.
            refresh_grace: true,
            ..SimulatorOptions::default()
        })
        .await?;
        scene::set(&sim);
        let shops = Traffic::install(&sim, plan, scene::PARTNER_ID);
        let config = config(home, &postgres, &sim, &shops)?;
        let app = start_app(config).await?;
        let address = app.public_address().context("the receiver does not listen")?;
        let receiver = Url::parse(&format!("http://{address}/webhook/shopee"))?;
        let admin = app.admin_address();
        Ok(Self { postgres, sim, app, receiver, admin })
    }

    /// The database, to look at.
    pub(super) fn pool(&self) -> &PgPool {
        self.app.pool()
    }

    /// Stops everything, last started first.
    pub(super) async fn stop(self) {
        self.app.stop().await;
        self.sim.shutdown().await;
        if let Err(error) = self.postgres.stop().await {
            tracing::warn!(%error, "the demo's Postgres did not stop as asked");
        }
    }
}

/// Makes the run's database, unless the run before goes on.
async fn prepare(home: &mut Home, postgres: &ManagedPostgres) -> anyhow::Result<()> {
    let mut connection = PgConnection::connect(&postgres.url(DATABASE)).await?;
    if !home.unfinished || !has_database(&mut connection, RUN_DATABASE).await? {
        home.clear()?;
        recreate_database(&mut connection, RUN_DATABASE).await?;
        home.begin()?;
    }
    connection.close().await?;
    Ok(())
}

/// Budgets as fast as the simulator's quotas, and short waits. As a file, so that they can be changed on the dashboard.
/// A second is several of the simulator's minutes, and no budget of a minute may be spent at once. What a killed demo
/// had at work is taken up again after the lease.
fn impatience() -> String {
    format!(
        "telegram_chat_per_minute = {}\ntelegram_chat_per_second = {}\nsheets_calls_per_minute = {}\n\
         lost_push_interval = '3s'\nlease = '8s'\npoll_interval = '500ms'\nretry_base = '1s'\nretry_max = '10s'\n\
         shutdown_timeout = '5s'\n",
        18 * QUOTA_SCALE,
        18 * QUOTA_SCALE / 60,
        48 * QUOTA_SCALE,
    )
}

/// The settings of the demo: those of the simulated services, and impatience.
fn config(
    home: &Home,
    postgres: &ManagedPostgres,
    sim: &Simulator,
    shops: &BTreeMap<i64, TokenPair>,
) -> anyhow::Result<Config> {
    let mut environment: BTreeMap<String, String> =
        scene::settings(sim, shops).into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    environment.extend([
        ("DATABASE_URL".to_owned(), postgres.url(RUN_DATABASE)),
        ("ENCRYPTION_KEY".to_owned(), home.encryption_key().to_owned()),
    ]);
    let toml = Some((PathBuf::from("the demo"), impatience()));
    let loaded = Config::load(&Inputs { environment, toml, ..Inputs::default() }, &Roles::all())
        .map_err(|faults| anyhow::anyhow!("{faults}"))?;
    let mut config = loaded.config;
    config.listen = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    config.admin.listen = SocketAddr::from((Ipv4Addr::LOCALHOST, ADMIN_PORT));
    config.shopee.shops = shops
        .iter()
        .map(|(shop_id, tokens)| ShopImport {
            partner_id: None,
            shop_id: *shop_id,
            access_token: tokens.access_token.clone().into(),
            refresh_token: Some(tokens.refresh_token.clone().into()),
        })
        .collect();
    Ok(config)
}

/// Starts pushbox with the dashboard at its usual port, or at any that is free.
async fn start_app(mut config: Config) -> anyhow::Result<App> {
    match App::start(config.clone(), &Roles::all(), true).await {
        // Asked afterwards, so that nobody can take the port between the question and the start.
        Err(_) if TcpListener::bind(config.admin.listen).is_err() => {
            config.admin.listen.set_port(0);
            App::start(config, &Roles::all(), true).await
        }
        started => started,
    }
}
