//! What runs: a Postgres that can be crashed, the simulated world, and pushbox as several processes.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::File;
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use pushbox::postgres::{DATABASE, ManagedPostgres, PostgresOptions};
use pushbox::simulator::traffic::{Plan, Traffic};
use pushbox::simulator::{Simulator, SimulatorOptions};
use reqwest::StatusCode;
use serde_json::Value;
use sqlx::PgPool;
use sqlx::postgres::PgPoolOptions;
use tempfile::TempDir;

use crate::support::database::directory;

pub(super) use crate::support::app::{CALLBACK, CHAT, PARTNER, PUSH_KEY, SPREADSHEET};

const BOT_TOKEN: &str = "123456:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
/// How long a claim is good without a heartbeat.
pub(super) const LEASE: Duration = Duration::from_secs(2);
/// How long anything may take to come about.
const PATIENCE: Duration = Duration::from_mins(2);

/// A process, by what it does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Role {
    Receiver(usize),
    Worker(usize),
    Scheduler,
}

impl Role {
    fn name(self) -> &'static str {
        match self {
            Self::Receiver(_) => "receiver",
            Self::Worker(_) => "worker",
            Self::Scheduler => "scheduler",
        }
    }
}

pub(super) struct Town {
    pub(super) simulator: Simulator,
    postgres: ManagedPostgres,
    pub(super) pool: PgPool,
    /// Where the two receivers listen, whenever they run.
    ports: [u16; 2],
    processes: BTreeMap<Role, Child>,
    settings: BTreeMap<&'static str, String>,
    http: reqwest::Client,
    directory: TempDir,
}

impl Drop for Town {
    fn drop(&mut self) {
        for process in self.processes.values_mut() {
            drop(process.kill());
            drop(process.wait());
        }
    }
}

impl Town {
    /// Postgres and the world with the shops of this plan; no process of pushbox yet.
    pub(super) async fn start(plan: &Plan) -> Self {
        let directory = directory();
        let options = PostgresOptions::ephemeral(directory.path().join("data"));
        let postgres = ManagedPostgres::start(options).await.expect("start Postgres");
        let simulator = world().await;
        let shops = Traffic::install(&simulator, plan, PARTNER);
        let mut toml = String::new();
        for (shop_id, tokens) in &shops {
            writeln!(
                toml,
                "[[shops]]\nshop_id = {shop_id}\naccess_token = \"{}\"\nrefresh_token = \"{}\"",
                tokens.access_token, tokens.refresh_token
            )
            .expect("write to a string");
        }
        std::fs::write(directory.path().join("pushbox.toml"), toml).expect("write the shops");
        let url = postgres.url(DATABASE);
        let settings = settings(&simulator, &url);
        let pool = PgPoolOptions::new().max_connections(3).connect_lazy(&url).expect("a pool");
        let ports = [(); 2].map(|()| {
            TcpListener::bind("127.0.0.1:0").and_then(|one| one.local_addr()).expect("a free port").port()
        });
        let http = reqwest::Client::builder()
            .no_proxy()
            .timeout(Duration::from_secs(5))
            .build()
            .expect("an HTTP client");
        let processes = BTreeMap::new();
        let town = Self { simulator, postgres, pool, ports, processes, settings, http, directory };
        let migrated = town.run(&["migrate"]);
        assert!(migrated.status.success(), "{}", String::from_utf8_lossy(&migrated.stderr));
        town
    }

    fn command(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_pushbox"));
        command.current_dir(self.directory.path()).env_clear().envs(&self.settings).stdin(Stdio::null());
        command
    }

    fn run(&self, arguments: &[&str]) -> std::process::Output {
        self.command().args(arguments).output().expect("run pushbox")
    }

    fn log(&self, role: Role) -> PathBuf {
        self.directory.path().join(format!("{role:?}.log"))
    }

    /// Starts a process, again if it ran before.
    pub(super) fn start_process(&mut self, role: Role) {
        let log = File::options().create(true).append(true).open(self.log(role)).expect("open a log");
        let mut command = self.command();
        command.args(["serve", "--no-migrate", "--roles", role.name()]);
        if let Role::Receiver(n) = role {
            command.env("LISTEN", format!("127.0.0.1:{}", self.ports[n]));
        }
        command.stdout(log.try_clone().expect("a second handle")).stderr(log);
        self.processes.insert(role, command.spawn().expect("start a process"));
    }

    /// A process that could not start, because Postgres was down, or that ended by itself, is started again as a
    /// supervisor would. How many were.
    pub(super) fn revive(&mut self) -> u32 {
        let mut gone = Vec::new();
        for (role, process) in &mut self.processes {
            if process.try_wait().expect("ask for its state").is_some() {
                gone.push(*role);
            }
        }
        for role in &gone {
            self.start_process(*role);
        }
        u32::try_from(gone.len()).unwrap_or(u32::MAX)
    }

    /// `kill -9`.
    pub(super) fn kill(&mut self, role: Role) {
        let process = self.processes.get_mut(&role).expect("it was started");
        process.kill().expect("kill");
        process.wait().expect("wait for the killed");
    }

    pub(super) fn signal(&self, role: Role, signal: &str) {
        let process = self.processes.get(&role).expect("it was started").id().to_string();
        let sent = Command::new("kill").args([&format!("-{signal}"), &process]).status().expect("run kill");
        assert!(sent.success(), "kill -{signal} {role:?}");
    }

    /// SIGKILL, or what `immediate` does.
    pub(super) async fn crash_postgres(&self, kill: bool) {
        let crashed = if kill { self.postgres.kill().await } else { self.postgres.stop_immediate().await };
        crashed.expect("crash Postgres");
    }

    pub(super) async fn restart_postgres(&self) {
        self.postgres.restart().await.expect("start Postgres again");
    }

    pub(super) fn receivers(&self) -> [url::Url; 2] {
        self.ports
            .map(|port| url::Url::parse(&format!("http://127.0.0.1:{port}/webhook/shopee")).expect("a URL"))
    }

    /// One signed push to one receiver; what it was answered, if it was.
    pub(super) async fn push(&self, receiver: usize, body: &str) -> Option<StatusCode> {
        let signature = self.simulator.sign_push(PARTNER, body.as_bytes()).expect("the app is known");
        let request = self.http.post(self.receivers()[receiver].clone()).header("authorization", signature);
        request.body(body.to_owned()).send().await.ok().map(|answer| answer.status())
    }

    pub(super) async fn push_until_accepted(&self, body: &str) {
        let begun = Instant::now();
        while self.push(0, body).await != Some(StatusCode::OK) {
            assert!(begun.elapsed() < PATIENCE, "not accepted: {}", self.last_words());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    pub(super) async fn count(&self, sql: &'static str) -> i64 {
        sqlx::query_scalar(sql).fetch_one(&self.pool).await.expect(sql)
    }

    pub(super) async fn text(&self, sql: &'static str) -> String {
        sqlx::query_scalar(sql).fetch_one(&self.pool).await.expect(sql)
    }

    pub(super) async fn wait_for(&self, sql: &'static str, enough: impl Fn(i64) -> bool) {
        let begun = Instant::now();
        while !enough(self.count(sql).await) {
            assert!(begun.elapsed() < PATIENCE, "{sql}: {}", self.last_words());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    pub(super) async fn wait_for_log(&self, role: Role, words: &str) {
        let begun = Instant::now();
        while !std::fs::read_to_string(self.log(role)).unwrap_or_default().contains(words) {
            assert!(begun.elapsed() < PATIENCE, "{role:?} does not say {words:?}: {}", self.last_words());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// The breaks that `pushbox audit --json` finds.
    pub(super) fn audit(&self) -> Vec<String> {
        let answer = self.run(&["audit", "--json"]);
        let found: Value = serde_json::from_slice(&answer.stdout)
            .unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&answer.stderr)));
        let mut breaks = Vec::new();
        for invariant in found["invariants"].as_array().expect("invariants") {
            for one in invariant["breaks"].as_array().expect("breaks") {
                breaks.push(format!("{} is broken: {one}", invariant["name"]));
            }
        }
        assert_eq!(answer.status.success(), breaks.is_empty(), "its exit code says what it found");
        breaks
    }

    /// The ends of all logs.
    pub(super) fn last_words(&self) -> String {
        let mut words = String::new();
        for role in self.processes.keys() {
            let log = std::fs::read_to_string(self.log(*role)).unwrap_or_default();
            let lines: Vec<&str> = log.lines().collect();
            let tail = lines[lines.len().saturating_sub(8)..].join("\n");
            write!(words, "\n--- {role:?}\n{tail}").expect("write to a string");
        }
        words
    }

    /// Any order that this shop has.
    pub(super) fn first_order(&self, shop_id: i64) -> String {
        let first = |shop: &pushbox::simulator::state::shopee::Shop| shop.orders.keys().next().cloned();
        self.simulator.read(|world| world.shopee.shops.get(&shop_id).and_then(first)).expect("an order")
    }

    pub(super) async fn stop(mut self) {
        for (_, mut process) in std::mem::take(&mut self.processes) {
            process.kill().expect("kill");
            process.wait().expect("wait for it");
        }
        self.pool.close().await;
        self.simulator.clone().shutdown().await;
    }
}

async fn world() -> Simulator {
    let options =
        SimulatorOptions { quota_scale: 1000.0, refresh_grace: true, ..SimulatorOptions::default() };
    let simulator = Simulator::start(options).await.expect("start the simulator");
    simulator.add_app(PARTNER, "api-key-of-the-tests", PUSH_KEY, CALLBACK);
    simulator.add_bot(BOT_TOKEN, "pushbox_test_bot");
    simulator.add_forum(CHAT, "Orders of the tests");
    simulator.add_spreadsheet(SPREADSHEET, "Orders of the tests");
    simulator
}

fn settings(simulator: &Simulator, database_url: &str) -> BTreeMap<&'static str, String> {
    BTreeMap::from([
        ("DATABASE_URL", database_url.to_owned()),
        ("DATABASE_MAX_CONNECTIONS", "8".to_owned()),
        ("ADMIN_LISTEN", "127.0.0.1:0".to_owned()),
        ("PARTNER_ID", PARTNER.to_string()),
        ("PARTNER_KEY", "api-key-of-the-tests".to_owned()),
        ("WEBHOOK_PARTNER_KEY", PUSH_KEY.to_owned()),
        ("CALLBACK_URL", CALLBACK.to_owned()),
        ("SHOPEE_API_URL", simulator.shopee_url().to_string()),
        ("TELEGRAM_BOT_TOKEN", BOT_TOKEN.to_owned()),
        ("TELEGRAM_CHAT_ID", CHAT.to_string()),
        ("TELEGRAM_API_URL", simulator.telegram_url().to_string()),
        ("TELEGRAM_CHAT_PER_SECOND", "200".to_owned()),
        ("TELEGRAM_CHAT_PER_MINUTE", "12000".to_owned()),
        ("GOOGLE_CREDENTIALS_JSON", simulator.google_credentials_json()),
        ("SPREADSHEET_ID", SPREADSHEET.to_owned()),
        ("GOOGLE_SHEETS_URL", simulator.google_url().to_string()),
        ("SHEETS_CALLS_PER_MINUTE", "20000".to_owned()),
        ("ENCRYPTION_KEY", "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=".to_owned()),
        ("LEASE", format!("{}s", LEASE.as_secs())),
        ("POLL_INTERVAL", "200ms".to_owned()),
        ("RETRY_BASE", "100ms".to_owned()),
        ("RETRY_MAX", "2s".to_owned()),
        ("LOST_PUSH_INTERVAL", "2s".to_owned()),
        ("LOG_LEVEL", "info".to_owned()),
    ])
}
