//! Behind PgBouncer in transaction mode. With the `pgbouncer` at `PUSHBOX_PGBOUNCER`, on `PATH` or in `/usr/sbin`; on a
//! machine without one these tests pass by. One before 1.21 cannot be worked with, so with it only the refusal is
//! tested.

use std::fmt::Write as _;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::{MetadataExt as _, chown};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use reqwest::StatusCode;
use tempfile::TempDir;
use url::Url;

use crate::support::app::{SHOP, TestApp, order, status_push};
use crate::support::database::{cluster, database, directory};

struct PgBouncer {
    child: Child,
    port: u16,
    _directory: TempDir,
}

impl Drop for PgBouncer {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn program() -> Option<PathBuf> {
    let given = std::env::var_os("PUSHBOX_PGBOUNCER").map(PathBuf::from);
    let path = std::env::var_os("PATH").unwrap_or_default();
    let places =
        std::env::split_paths(&path).chain(["/usr/sbin".into()]).map(|place| place.join("pgbouncer"));
    given.into_iter().chain(places).find(|program| program.exists())
}

/// Whether it keeps the prepared statements of its clients apart when it is told to.
fn keeps_statements(program: &Path) -> bool {
    let answer = Command::new(program).arg("--version").output().expect("run pgbouncer");
    let text = String::from_utf8_lossy(&answer.stdout).into_owned();
    let version = text.split_whitespace().nth(1).expect("a version");
    let mut parts = version.split('.').map(|part| part.parse::<u32>().expect("a number"));
    (parts.next(), parts.next()) >= (Some(1), Some(21))
}

impl PgBouncer {
    /// In front of the tests' Postgres, with three connections to each database.
    async fn start(program: &Path, statements: u32) -> Self {
        let directory = directory();
        let port = TcpListener::bind("127.0.0.1:0").and_then(|one| one.local_addr()).expect("a port").port();
        let postgres = Url::parse(&cluster().await.url("postgres")).expect("a URL");
        let (user, password) = (postgres.username(), postgres.password().unwrap_or_default());
        let path = |name: &str| directory.path().join(name);
        let mut config = format!(
            "[databases]\n* = host=127.0.0.1 port={}\n[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\n\
             unix_socket_dir =\nauth_type = trust\nauth_file = {}\npool_mode = transaction\ndefault_pool_size = 3\n\
             server_login_retry = 1\nmax_client_conn = 500\n",
            postgres.port().expect("a port"),
            path("users.txt").display(),
        );
        if keeps_statements(program) {
            writeln!(config, "max_prepared_statements = {statements}").expect("write to a string");
        }
        std::fs::write(path("users.txt"), format!("\"{user}\" \"{password}\"\n")).expect("write the users");
        std::fs::write(path("pgbouncer.ini"), config).expect("write the settings");
        // It does not run as root; the owner of the tests' cluster can run it.
        let owner = std::fs::metadata(cluster().await.directory()).expect("the cluster");
        let mut command = Command::new(program);
        command.arg(path("pgbouncer.ini")).current_dir("/").stdin(Stdio::null());
        command.stdout(Stdio::null()).stderr(Stdio::null());
        if std::fs::metadata(directory.path()).expect("the directory").uid() == 0 {
            chown(path("users.txt"), Some(owner.uid()), Some(owner.gid())).expect("give the users away");
            command.uid(owner.uid()).gid(owner.gid());
        }
        let child = command.spawn().expect("start pgbouncer");
        let begun = Instant::now();
        while TcpStream::connect(SocketAddr::from(([127, 0, 0, 1], port))).is_err() {
            assert!(begun.elapsed() < Duration::from_secs(10), "pgbouncer does not listen");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Self { child, port, _directory: directory }
    }

    /// The same database, by way of the pooler.
    fn url(&self, direct: &str) -> String {
        let mut url = Url::parse(direct).expect("a URL");
        url.set_port(Some(self.port)).expect("it has a host");
        url.to_string()
    }
}

fn migrate(url: &str, pooler: &str) -> Output {
    Command::new(env!("CARGO_BIN_EXE_pushbox"))
        .arg("migrate")
        .current_dir(std::env::temp_dir())
        .env_clear()
        .envs([("DATABASE_URL", url), ("DATABASE_POOLER", pooler)])
        .output()
        .expect("run pushbox")
}

#[tokio::test]
async fn one_that_mixes_statements_up_is_refused_before_anything_is_done() {
    let Some(program) = program() else { return };
    let pgbouncer = PgBouncer::start(&program, 0).await;
    let url = pgbouncer.url(&database().await.url);
    for _ in 0..3 {
        let answer = migrate(&url, "transaction");
        let said = String::from_utf8_lossy(&answer.stderr).into_owned();
        assert_eq!(answer.status.code(), Some(1), "{said}");
        assert!(said.contains("mixes up the prepared statements") && said.contains("1.21"), "{said}");
    }
}

#[tokio::test]
async fn one_that_was_not_declared_is_noticed() {
    let Some(program) = program() else { return };
    let pgbouncer = PgBouncer::start(&program, 200).await;
    let answer = migrate(&pgbouncer.url(&database().await.url), "none");
    let said = String::from_utf8_lossy(&answer.stderr).into_owned();
    assert_eq!(answer.status.code(), Some(1), "{said}");
    assert!(said.contains("DATABASE_POOLER=transaction"), "{said}");
}

#[tokio::test]
async fn pushes_go_the_whole_way_while_its_connections_to_postgres_are_cut() {
    let Some(program) = program().filter(|program| keeps_statements(program)) else { return };
    let pgbouncer = PgBouncer::start(&program, 200).await;
    let database = database().await;
    let url = pgbouncer.url(&database.url);
    let app =
        TestApp::start_on(database, &url, &[("DATABASE_POOLER", "transaction"), ("LEASE", "3s")], "").await;
    let mut cut = 0;
    for n in 0..40 {
        let order_sn = format!("P{n}");
        let (detail, escrow) = order(&order_sn, "READY_TO_SHIP", 1_790_000_200);
        app.simulator.put_order(SHOP, detail, escrow);
        if n % 4 == 0 {
            cut += app
                .count(
                    "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
                     WHERE datname = current_database() AND application_name LIKE 'pushbox%'",
                )
                .await;
        }
        push_until_accepted(&app, &order_sn).await;
    }
    assert!(cut >= 10, "only {cut} connections were cut");
    app.drain().await;
    assert_eq!(app.count("SELECT count(*) FROM pushbox.events").await, 40);
    assert_eq!(app.simulator.sheet_rows(crate::support::app::SPREADSHEET, "Orders").len(), 40);
    app.finish().await;
}

/// As Shopee does: again, until it is accepted.
async fn push_until_accepted(app: &TestApp, order_sn: &str) {
    let body = status_push(order_sn, "READY_TO_SHIP", 1_790_000_200).to_string();
    for _ in 0..50 {
        let status = app.push_bytes(body.clone()).await.status();
        if status == StatusCode::OK {
            return;
        }
        assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
    }
    panic!("{order_sn} was never accepted");
}
