//! The cluster's files: made once, and cleared of what a previous run left.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use rand::Rng;
use secrecy::SecretString;
use tokio::io::AsyncWriteExt;

use super::binaries::Binaries;
use super::home::{Home, rename_durably, write_durably};
use super::{DATABASE, PostgresError, SUPERUSER};

/// The major version that made the cluster; none when there is no cluster yet.
pub(super) fn major_version(home: &Home) -> Result<Option<u32>, PostgresError> {
    let data = home.data();
    let path = data.join("PG_VERSION");
    match fs::read_to_string(&path) {
        Ok(version) => version.trim().parse().map(Some).map_err(|_| PostgresError::NotOurs {
            directory: data,
            reason: format!("PG_VERSION says `{}`", version.trim()),
        }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            // We rename a finished cluster into place, so one without PG_VERSION was not made by us.
            if data.exists() {
                return Err(PostgresError::NotOurs {
                    directory: data,
                    reason: "PG_VERSION is missing".to_owned(),
                });
            }
            Ok(None)
        }
        Err(error) => Err(PostgresError::io(format!("read {}", path.display()))(error)),
    }
}

/// The superuser's password: kept, or made before the cluster is.
pub(super) fn password(home: &Home) -> Result<SecretString, PostgresError> {
    let path = password_path(home);
    match fs::read_to_string(&path) {
        Ok(password) if !password.trim().is_empty() => Ok(password.trim().to_owned().into()),
        Ok(_) => Err(lost_password(home)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            if home.data().exists() {
                return Err(lost_password(home));
            }
            let password = hex::encode(rand::rng().random::<[u8; 24]>());
            write_durably(&path, password.as_bytes(), 0o600, home.account)?;
            Ok(password.into())
        }
        Err(error) => Err(PostgresError::io(format!("read {}", path.display()))(error)),
    }
}

fn password_path(home: &Home) -> PathBuf {
    home.path.join("password")
}

fn lost_password(home: &Home) -> PostgresError {
    PostgresError::NotOurs {
        directory: home.path.clone(),
        reason: format!("{} is missing or empty, restore it", password_path(home).display()),
    }
}

/// Makes the cluster beside its place and renames it there, so that a half-made one is never taken for a cluster.
pub(super) async fn initialise(home: &Home, binaries: &Binaries) -> Result<(), PostgresError> {
    let temporary = home.path.join("data.tmp");
    match fs::remove_dir_all(&temporary) {
        Ok(()) => tracing::warn!(
            directory = %temporary.display(),
            "the last start was interrupted while it made the cluster: making it again",
        ),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(PostgresError::io(format!("remove {}", temporary.display()))(error)),
    }
    let mut initdb = super::command(&home.account, &binaries.tool("initdb"));
    initdb
        .args(["--encoding=UTF8", "--auth=scram-sha-256", "--data-checksums"])
        // Sorting by byte: an update of the system's locales cannot damage an index.
        .arg("--locale=C")
        .arg(format!("--username={SUPERUSER}"))
        .arg(prefixed("--pwfile=", &password_path(home)))
        .arg(prefixed("--pgdata=", &temporary));
    if home.ephemeral {
        initdb.arg("--no-sync");
    }
    run(initdb, "initdb", None).await?;

    // Without a running server, so that the rename below is the only moment at which a cluster appears.
    let mut single = super::command(&home.account, &binaries.tool("postgres"));
    single.args(["--single", "-j", "-D"]).arg(&temporary).arg("postgres");
    run(single, "CREATE DATABASE", Some(&format!("CREATE DATABASE {DATABASE};\n\n"))).await?;
    rename_durably(&temporary, &home.data())
}

fn prefixed(option: &str, path: &Path) -> std::ffi::OsString {
    let mut argument = std::ffi::OsString::from(option);
    argument.push(path);
    argument
}

/// Runs a tool to its end; what it printed becomes the error.
async fn run(
    mut command: tokio::process::Command,
    doing: &'static str,
    input: Option<&str>,
) -> Result<(), PostgresError> {
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    if input.is_some() {
        command.stdin(Stdio::piped());
    }
    let mut child = command.spawn().map_err(PostgresError::io(format!("run {doing}")))?;
    if let (Some(mut stdin), Some(input)) = (child.stdin.take(), input) {
        stdin.write_all(input.as_bytes()).await.map_err(PostgresError::io(format!("talk to {doing}")))?;
    }
    let output = child.wait_with_output().await.map_err(PostgresError::io(format!("wait for {doing}")))?;
    let printed = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    // Single-user mode reports a failed statement and still ends well.
    if output.status.success() && !printed.contains("ERROR:") {
        return Ok(());
    }
    Err(PostgresError::Tool { doing, output: format!("{} ({printed})", output.status) })
}

/// Stops a server that a previous run left. We hold the lock, so it serves nobody who is alive.
pub(super) async fn stop_leftover(home: &Home, binaries: &Binaries) -> Result<(), PostgresError> {
    let path = home.data().join("postmaster.pid");
    let Some(pid) =
        fs::read_to_string(&path).ok().and_then(|text| PidFile::parse(&text)).map(|file| file.pid)
    else {
        return Ok(());
    };
    match command_line(pid).await {
        Some(line) if line.contains(&*home.data().to_string_lossy()) => {
            tracing::warn!(pid, "a server of a previous run is still alive: stopping it");
            stop_by_tool(home, binaries, "fast").await
        }
        // The number went to another program, usually after a reboot, or its process is dead and nobody waits for
        // it, as in a container without an init. The server would take that for a living
        // one. Its own check for surviving children is not needed: they do not outlive the lock by that long.
        Some(_) => {
            tracing::warn!(pid, "removing the pid file of a server that is gone");
            fs::remove_file(&path).map_err(PostgresError::io(format!("remove {}", path.display())))
        }
        // The server clears up after a dead predecessor by itself, and checks for surviving children.
        None => Ok(()),
    }
}

/// `pg_ctl stop`, which waits; an immediate stop always comes to an end.
pub(super) async fn stop_by_tool(home: &Home, binaries: &Binaries, mode: &str) -> Result<(), PostgresError> {
    let mut stop = super::command(&home.account, &binaries.tool("pg_ctl"));
    stop.args(["stop", "--wait", "--timeout=60", "--mode", mode, "--pgdata"]).arg(home.data());
    match run(stop, "pg_ctl stop", None).await {
        // It may have ended by itself in the meantime: its supervisor was stopping it, too.
        Err(error) if home.data().join("postmaster.pid").exists() => Err(error),
        _ => Ok(()),
    }
}

/// Sends a signal to a server process; a process that is gone is none of our concern.
pub(super) async fn signal(
    home: &Home,
    binaries: &Binaries,
    name: &str,
    pid: u32,
) -> Result<(), PostgresError> {
    let mut kill = super::command(&home.account, &binaries.tool("pg_ctl"));
    kill.args(["kill", name]).arg(pid.to_string());
    run(kill, "pg_ctl kill", None).await
}

/// The arguments of a process, from `/proc` or, where there is none, from `ps`; empty for one that is dead, but that
/// nobody has waited for.
async fn command_line(pid: u32) -> Option<String> {
    if Path::new("/proc/self/cmdline").exists() {
        let line = fs::read(format!("/proc/{pid}/cmdline")).ok()?;
        return Some(String::from_utf8_lossy(&line).replace('\0', " "));
    }
    let output = tokio::process::Command::new("ps")
        .args(["-ww", "-o", "args=", "-p", &pid.to_string()])
        .stdin(Stdio::null())
        .output()
        .await
        .ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// What a server says about itself in `postmaster.pid`.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct PidFile {
    pub(super) pid: u32,
    /// Accepts connections.
    pub(super) ready: bool,
}

impl PidFile {
    /// Line 1 is the process, line 8 the state. None for a file that is being written.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let pid = text.lines().next()?.trim().parse().ok()?;
        let ready = text.lines().nth(7).is_some_and(|state| state.trim() == "ready");
        Some(Self { pid, ready })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pid_file_is_read_in_every_state_of_writing() {
        let complete = "4711\n/data\n1700000000\n5433\n\n127.0.0.1\n  1234 5\nready   \n";
        assert_eq!(PidFile::parse(complete), Some(PidFile { pid: 4711, ready: true }));
        let starting = complete.replace("ready", "starting");
        assert_eq!(PidFile::parse(&starting), Some(PidFile { pid: 4711, ready: false }));
        assert_eq!(PidFile::parse("4711\n/data\n"), Some(PidFile { pid: 4711, ready: false }));
        assert_eq!(PidFile::parse(""), None);
    }
}
