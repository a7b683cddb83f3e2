//! A private Postgres for who has none: found or downloaded, started, and stopped with the program.
//!
//! [`ManagedPostgres::start`] is the whole story: choose a user and a place (`account`, `home`), find the
//! binaries (`binaries`, `download`), make the cluster once (`cluster`), run it (`server`).
//!
//! What must hold:
//! * Nothing outlives the program, not even when it is killed: the server runs under a `/bin/sh` that holds
//!   the other end of a pipe of ours and stops the cluster when that pipe closes.
//! * A directory that pushbox did not make is never deleted or initialised.
//! * Only loopback can connect, with a generated password that is in no log and no argument list.
//!
//! This module knows no tables and speaks no SQL; it hands out a URL. Unix only.

mod account;
mod attach;
mod binaries;
mod cluster;
mod download;
mod error;
mod home;
mod server;

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use tokio::sync::Mutex;

use account::Account;
pub use attach::running_url;
use binaries::Binaries;
pub use error::PostgresError;
use home::Home;
use server::{Refusal, Server, ServerCommand};

/// The database that every cluster has from its first start.
pub const DATABASE: &str = "pushbox";

/// The owner of everything in the cluster.
const SUPERUSER: &str = "pushbox";

/// How long a port or a lock of a server that just stopped may stay taken.
const SETTLE: Duration = Duration::from_secs(10);

/// What to start.
#[derive(Debug, Clone)]
pub struct PostgresOptions {
    /// The cluster lives in `<data_dir>/postgres`; when pushbox runs as root and the server's user cannot
    /// get there, under `/var/lib/pushbox` instead, which is logged.
    pub data_dir: PathBuf,
    /// Server settings that win over ours, as in `postgresql.conf`.
    pub settings: Vec<(String, String)>,
    /// For tests: as durable as any other while it runs, but small, and removed when it stops.
    pub ephemeral: bool,
    /// The directory with `postgres`, `initdb` and `pg_ctl`; none: look for an installation, then download.
    pub binaries: Option<PathBuf>,
    /// Where to download from: `<this>/<version>/postgresql-<version>-<target>.tar.gz`, with a `.sha256` beside.
    pub download_url: String,
    /// Look for an installation on this machine before downloading.
    pub search: bool,
}

impl PostgresOptions {
    /// A durable cluster under `data_dir`.
    pub fn new(data_dir: impl Into<PathBuf>) -> Self {
        Self {
            data_dir: data_dir.into(),
            settings: Vec::new(),
            ephemeral: false,
            binaries: None,
            download_url: download::RELEASES.to_owned(),
            search: true,
        }
    }

    /// A cluster that is removed when it stops.
    pub fn ephemeral(data_dir: impl Into<PathBuf>) -> Self {
        Self { ephemeral: true, ..Self::new(data_dir) }
    }
}

/// A running cluster. Dropping it stops the cluster in the background; [`stop`](Self::stop) also waits.
pub struct ManagedPostgres {
    home: Home,
    binaries: Binaries,
    settings: Vec<(String, String)>,
    password: SecretString,
    port: u16,
    /// None after a stop or a crash that was asked for.
    server: Mutex<Option<Server>>,
}

impl std::fmt::Debug for ManagedPostgres {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ManagedPostgres")
            .field("directory", &self.home.path)
            .field("port", &self.port)
            .finish_non_exhaustive()
    }
}

impl Drop for ManagedPostgres {
    fn drop(&mut self) {
        // A running server has a supervisor that stops it and clears up. After a crash there is none.
        if self.server.get_mut().is_none()
            && let Err(error) = self.home.remove_if_ephemeral()
        {
            tracing::warn!(%error, "a temporary cluster could not be removed");
        }
    }
}

impl ManagedPostgres {
    /// Starts the cluster of `options.data_dir`, making it first where there is none.
    ///
    /// Returns when it accepts connections, after the recovery that follows a crash. A server of a previous
    /// run that is still alive is stopped first; that of a living pushbox is [`PostgresError::InUse`].
    pub async fn start(options: PostgresOptions) -> Result<Self, PostgresError> {
        let home = Home::open(&options.data_dir, options.ephemeral).await?;
        let major = cluster::major_version(&home)?;
        let binaries = Self::binaries(&options, &home, major).await?;
        let password = cluster::password(&home)?;
        if major.is_none() {
            cluster::initialise(&home, &binaries).await?;
        }
        cluster::stop_leftover(&home, &binaries).await?;

        let mut managed =
            Self { home, binaries, settings: options.settings, password, port: 0, server: Mutex::new(None) };
        let (server, port) = managed.run(None).await?;
        managed.port = port;
        managed.server = Mutex::new(Some(server));
        tracing::info!(
            directory = %managed.home.path.display(),
            binaries = %managed.binaries.directory.display(),
            version = managed.binaries.major,
            port,
            "managed Postgres runs",
        );
        Ok(managed)
    }

    async fn binaries(
        options: &PostgresOptions,
        home: &Home,
        major: Option<u32>,
    ) -> Result<Binaries, PostgresError> {
        let account = &home.account;
        if let Some(directory) = &options.binaries {
            // Our commands run in the root directory.
            let directory = std::path::absolute(directory)
                .map_err(PostgresError::io(format!("find the real path of {}", directory.display())))?;
            return Binaries::given(&directory, account, major).await;
        }
        let downloads = home.path.join("binaries");
        let mut candidates = if options.search { binaries::installed(account).await } else { Vec::new() };
        candidates.extend(download::kept(&downloads));
        let missing = match Binaries::choose(&candidates, account, major).await {
            Ok(found) => return Ok(found),
            Err(missing) => missing,
        };
        match download::download(&options.download_url, &downloads, major).await {
            Ok(directory) => Binaries::given(&directory, account, major).await,
            Err(reason) => Err(missing.with_download(reason)),
        }
    }

    /// Where `database` can be reached, with the password: for a connection pool, not for a log.
    ///
    /// [`DATABASE`] exists. The name is used as it is: letters, digits and `_` only.
    pub fn url(&self, database: &str) -> String {
        let password = self.password.expose_secret();
        format!("postgres://{SUPERUSER}:{password}@127.0.0.1:{}/{database}", self.port)
    }

    /// Where the cluster, its log and its password are.
    pub fn directory(&self) -> &Path {
        &self.home.path
    }

    /// The server's process id, while it is meant to run.
    pub async fn pid(&self) -> Option<u32> {
        self.server.lock().await.as_ref().map(|server| server.pid)
    }

    /// Stops the cluster: open transactions are rolled back, everything committed is on disk when this returns.
    pub async fn stop(self) -> Result<(), PostgresError> {
        let server = self.server.lock().await.take();
        if let Some(server) = server {
            server.stop(&self.home, &self.binaries).await?;
        }
        self.home.remove_if_ephemeral()
    }

    /// Ends the server as a crash would, without a checkpoint; the next start recovers from the log.
    pub async fn stop_immediate(&self) -> Result<(), PostgresError> {
        self.crash("QUIT").await
    }

    /// SIGKILLs the server's main process; its children notice and end.
    pub async fn kill(&self) -> Result<(), PostgresError> {
        self.crash("KILL").await
    }

    async fn crash(&self, signal: &str) -> Result<(), PostgresError> {
        let mut slot = self.server.lock().await;
        if let Some(server) = slot.take() {
            server.crash(signal, &self.home, &self.binaries).await?;
        }
        Ok(())
    }

    /// Stops the cluster if it runs and starts it again on the same port, so that URLs stay good.
    pub async fn restart(&self) -> Result<(), PostgresError> {
        let mut slot = self.server.lock().await;
        if let Some(server) = slot.take() {
            server.stop(&self.home, &self.binaries).await?;
        }
        let (server, _) = self.run(Some(self.port)).await?;
        *slot = Some(server);
        Ok(())
    }

    /// Starts the server again if it ended by itself, for example because the system ran out of memory, and says
    /// whether it did. A server that was stopped on purpose stays stopped.
    pub async fn revive(&self) -> Result<bool, PostgresError> {
        let mut slot = self.server.lock().await;
        if !slot.as_mut().is_some_and(Server::ended) {
            return Ok(false);
        }
        tracing::error!(log = %self.home.log().display(), "the managed Postgres ended by itself: starting it again");
        let (server, _) = self.run(Some(self.port)).await?;
        *slot = Some(server);
        Ok(true)
    }

    /// Starts the server on `port`, or on a free one. Between finding a port and binding it somebody else may take
    /// it, and what is left of a killed server takes a moment to go: both are tried again.
    async fn run(&self, port: Option<u16>) -> Result<(Server, u16), PostgresError> {
        let deadline = tokio::time::Instant::now() + SETTLE;
        loop {
            let port = match port {
                Some(port) => port,
                None => free_port()?,
            };
            let command = ServerCommand { home: &self.home, binaries: &self.binaries, port };
            match Server::start(command, &self.settings).await? {
                Ok(server) => return Ok((server, port)),
                Err(Refusal { passing: true, .. }) if tokio::time::Instant::now() < deadline => {
                    tokio::time::sleep(Duration::from_millis(200)).await;
                }
                Err(refusal) => return Err(refusal.into()),
            }
        }
    }
}

fn free_port() -> Result<u16, PostgresError> {
    TcpListener::bind(("127.0.0.1", 0))
        .and_then(|listener| listener.local_addr())
        .map(|address| address.port())
        .map_err(PostgresError::io("look for a free port on 127.0.0.1"))
}

/// The user a command runs as, applied to a command that has no terminal and speaks English.
fn command(account: &Account, program: &Path) -> tokio::process::Command {
    let mut command = tokio::process::Command::new(program);
    // The working directory of root is often closed to the server's user, which initdb complains about.
    command.env("LC_ALL", "C").current_dir("/").stdin(std::process::Stdio::null());
    account.apply(&mut command);
    command
}
