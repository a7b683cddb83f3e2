//! The running server under its supervisor.
//!
//! The supervisor is a `/bin/sh` that starts the server and reads a pipe whose other end only we hold. The
//! operating system closes that pipe however we end, SIGKILL included, and the supervisor then stops the server.
//! It is in a process group of its own, so that Ctrl-C in a terminal reaches pushbox alone, which first finishes
//! its work and then stops the server.

use std::fs;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, ChildStdin};
use tokio::time::{sleep, timeout};

use super::PostgresError;
use super::binaries::Binaries;
use super::cluster::{self, PidFile};
use super::home::Home;

/// `$1` the log, `$2` what to remove at the end (may be empty), then the server with its arguments.
///
/// It prints the server's process id and ends with the server. A second shell waits for the end of the pipe; it
/// uses only what is built in, so that killing it leaves nothing behind. When it could be killed, the pipe was still
/// open: the server crashed, and what it left is for us to start again.
const SUPERVISOR: &str = r#"
trap '' HUP INT TERM
log=$1 remove=$2
shift 2
exec 3<&0
"$@" </dev/null >>"$log" 2>&1 3<&- &
server=$!
echo "$server"
exec >/dev/null
(while read -r _; do :; done; kill -INT "$server") <&3 2>/dev/null &
watcher=$!
exec 3<&-
wait "$server"
status=$?
kill -KILL "$watcher" 2>/dev/null
wait "$watcher"
if [ "$?" -ne 137 ] && [ -n "$remove" ]; then
    rm -rf -- "$remove"
    rmdir -- "${remove%/*}" 2>/dev/null
fi
exit "$status"
"#;

/// How long a start may take. Recovery after a crash reads up to a gigabyte of log on a slow disk.
const START_LIMIT: Duration = Duration::from_mins(5);

/// How long a stop may take before it is forced.
const STOP_LIMIT: Duration = Duration::from_mins(1);

/// A log longer than this is put aside at the next start; one old log is kept.
const LOG_LIMIT: u64 = 16 * 1024 * 1024;

/// A server that was started.
#[derive(Debug)]
pub(super) struct Server {
    pub(super) pid: u32,
    supervisor: Child,
    /// The server lives as long as this is open.
    pipe: ChildStdin,
}

/// What to start.
#[derive(Debug, Clone, Copy)]
pub(super) struct ServerCommand<'a> {
    pub(super) home: &'a Home,
    pub(super) binaries: &'a Binaries,
    pub(super) port: u16,
}

/// A server that ended instead of accepting connections.
#[derive(Debug)]
pub(super) struct Refusal {
    /// For a reason that goes away: a taken port, children of a killed server.
    pub(super) passing: bool,
    error: PostgresError,
}

impl From<Refusal> for PostgresError {
    fn from(refusal: Refusal) -> Self {
        refusal.error
    }
}

impl Server {
    /// Starts the server and waits until it accepts connections.
    pub(super) async fn start(
        command: ServerCommand<'_>,
        settings: &[(String, String)],
    ) -> Result<Result<Self, Refusal>, PostgresError> {
        let log = command.home.log();
        let log_start = begin_log(&log)?;
        let mut server = Self::spawn(command, settings).await?;
        let pid_file = command.home.data().join("postmaster.pid");
        let ready = async {
            loop {
                match server.supervisor.try_wait() {
                    Ok(None) => {}
                    Ok(Some(status)) => return Err(format!("it ended with {status}")),
                    Err(error) => return Err(format!("its supervisor cannot be watched: {error}")),
                }
                let file = fs::read_to_string(&pid_file).ok().and_then(|text| PidFile::parse(&text));
                if file == Some(PidFile { pid: server.pid, ready: true }) {
                    return Ok(());
                }
                sleep(Duration::from_millis(20)).await;
            }
        };
        let outcome = timeout(START_LIMIT, ready)
            .await
            .unwrap_or_else(|_| Err(format!("it was not ready after {} s", START_LIMIT.as_secs())));
        Ok(match outcome {
            Ok(()) => Ok(server),
            Err(reason) => {
                let tail = tail(&log, log_start);
                // Bind failures, and shared memory that children of a killed server still use.
                let passing = tail.contains("could not bind")
                    || tail.contains("could not create any TCP/IP sockets")
                    || tail.contains("is still in use")
                    || tail.contains("lock file \"postmaster.pid\" already exists");
                Err(Refusal { passing, error: PostgresError::NotStarted { reason, log, tail } })
            }
        })
    }

    async fn spawn(
        ServerCommand { home, binaries, port }: ServerCommand<'_>,
        settings: &[(String, String)],
    ) -> Result<Self, PostgresError> {
        let mut command = super::command(&home.account, Path::new("/bin/sh"));
        command.args(["-c", SUPERVISOR, "pushbox-postgres"]).arg(home.log());
        command.arg(if home.ephemeral { home.path.as_os_str() } else { "".as_ref() });
        command.arg(binaries.tool("postgres")).arg("-D").arg(home.data());
        let ours = [("port", port.to_string())].into_iter().chain(defaults(home.ephemeral));
        for (name, value) in ours {
            command.arg("-c").arg(format!("{name}={value}"));
        }
        for (name, value) in settings {
            command.arg("-c").arg(format!("{name}={value}"));
        }
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).process_group(0);

        let doing = "start the supervisor of Postgres";
        let mut supervisor = command.spawn().map_err(PostgresError::io(doing))?;
        let (Some(pipe), Some(stdout)) = (supervisor.stdin.take(), supervisor.stdout.take()) else {
            return Err(PostgresError::io(doing)(io::Error::other("it has no pipes")));
        };
        let mut line = String::new();
        BufReader::new(stdout).read_line(&mut line).await.map_err(PostgresError::io(doing))?;
        let pid = line.trim().parse().map_err(|_| {
            PostgresError::io(doing)(io::Error::other(format!(
                "it printed `{}` for a process id",
                line.trim()
            )))
        })?;
        Ok(Self { pid, supervisor, pipe })
    }

    /// Whether the server is no more, and its supervisor with it.
    pub(super) fn ended(&mut self) -> bool {
        matches!(self.supervisor.try_wait(), Ok(Some(_)))
    }

    /// Lets the supervisor stop the server and waits for both; forces it when that takes too long.
    pub(super) async fn stop(mut self, home: &Home, binaries: &Binaries) -> Result<(), PostgresError> {
        drop(self.pipe);
        if timeout(STOP_LIMIT, self.supervisor.wait()).await.is_err() {
            tracing::warn!(
                pid = self.pid,
                "Postgres takes too long to stop: forcing it, the next start recovers"
            );
            cluster::stop_by_tool(home, binaries, "immediate").await?;
        }
        self.supervisor.wait().await.map(drop).map_err(PostgresError::io("wait for Postgres to stop"))
    }

    /// Ends the server with a signal and waits for it.
    pub(super) async fn crash(
        mut self,
        signal: &str,
        home: &Home,
        binaries: &Binaries,
    ) -> Result<(), PostgresError> {
        cluster::signal(home, binaries, signal, self.pid).await?;
        self.supervisor.wait().await.map(drop).map_err(PostgresError::io("wait for Postgres to end"))
    }
}

/// Our settings: durable, loopback only, fit for a small machine.
fn defaults(ephemeral: bool) -> impl Iterator<Item = (&'static str, String)> {
    [
        ("listen_addresses", "127.0.0.1"),
        ("unix_socket_directories", ""),
        ("max_connections", "200"),
        ("shared_buffers", if ephemeral { "64MB" } else { "256MB" }),
        ("fsync", "on"),
        ("full_page_writes", "on"),
        ("synchronous_commit", "on"),
        ("timezone", "UTC"),
        ("log_timezone", "UTC"),
        ("lc_messages", "C"),
    ]
    .into_iter()
    .map(|(name, value)| (name, value.to_owned()))
}

/// Where in the log this start begins.
fn begin_log(log: &Path) -> Result<u64, PostgresError> {
    match fs::metadata(log) {
        Ok(metadata) if metadata.len() > LOG_LIMIT => {
            let old = log.with_extension("log.1");
            fs::rename(log, &old).map_err(PostgresError::io(format!("rename {}", log.display())))?;
            Ok(0)
        }
        Ok(metadata) => Ok(metadata.len()),
        Err(_) => Ok(0),
    }
}

/// The last lines of the log since `start`.
fn tail(log: &Path, start: u64) -> String {
    let read = || {
        let mut file = fs::File::open(log)?;
        file.seek(SeekFrom::Start(start))?;
        let mut bytes = Vec::new();
        file.take(LOG_LIMIT).read_to_end(&mut bytes)?;
        Ok::<_, io::Error>(String::from_utf8_lossy(&bytes).into_owned())
    };
    match read() {
        Ok(text) => {
            let lines: Vec<&str> = text.lines().collect();
            lines[lines.len().saturating_sub(20)..].join("\n")
        }
        Err(error) => format!("(cannot be read: {error})"),
    }
}
