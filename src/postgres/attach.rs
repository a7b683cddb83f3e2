//! Finding the server of another pushbox: for a command that looks at a system while it runs.

use std::fs;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::Path;
use std::time::Duration;

use super::cluster::PidFile;
use super::home::homes_of;
use super::{PostgresError, SUPERUSER};

/// A server on this machine answers at once.
const PATIENCE: Duration = Duration::from_secs(1);

/// Where `database` of the running cluster of `data_dir` can be reached, with the password; none when no pushbox
/// runs one. Starts nothing and changes nothing.
///
/// # Errors
/// When there is a cluster whose files this user may not read.
pub fn running_url(data_dir: &Path, database: &str) -> Result<Option<String>, PostgresError> {
    for home in homes_of(data_dir) {
        let Some(port) = read(&home.join("data/postmaster.pid"))?.as_deref().and_then(port_of) else {
            continue;
        };
        // A server that was killed leaves its file.
        if TcpStream::connect_timeout(&SocketAddr::from((Ipv4Addr::LOCALHOST, port)), PATIENCE).is_err() {
            continue;
        }
        if let Some(password) = read(&home.join("password"))? {
            let password = password.trim();
            return Ok(Some(format!("postgres://{SUPERUSER}:{password}@127.0.0.1:{port}/{database}")));
        }
    }
    Ok(None)
}

fn read(path: &Path) -> Result<Option<String>, PostgresError> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => {
            let doing =
                format!("read {} (only root and the user that runs this Postgres may)", path.display());
            Err(PostgresError::io(doing)(error))
        }
    }
}

/// The port of a server that accepts connections: line 4 of what it says about itself.
fn port_of(text: &str) -> Option<u16> {
    PidFile::parse(text).filter(|file| file.ready)?;
    text.lines().nth(3)?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_ready_server_has_a_port() {
        let complete = "4711\n/data\n1700000000\n5433\n\n127.0.0.1\n  1234 5\nready   \n";
        assert_eq!(port_of(complete), Some(5433));
        assert_eq!(port_of(&complete.replace("ready", "starting")), None);
        assert_eq!(port_of("4711\n/data\n"), None);
    }

    #[test]
    fn where_nothing_runs_nothing_is_found() {
        let directory = tempfile::tempdir().unwrap();
        assert!(running_url(directory.path(), "pushbox").unwrap().is_none());
        assert!(running_url(&directory.path().join("missing"), "pushbox").unwrap().is_none());
    }
}
