//! What can go wrong with the managed cluster, each with its remedy.

use std::io;
use std::path::PathBuf;

/// Why the managed cluster could not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum PostgresError {
    /// No usable installation, and none could be downloaded.
    #[error(
        "no usable Postgres: {searched}; download: {download}. Install Postgres 14 or newer \
         (Debian, Ubuntu: `apt install postgresql`; Fedora: `dnf install postgresql-server`; \
         macOS: `brew install postgresql@17`) or set DATABASE_URL to a server of yours"
    )]
    NotInstalled {
        /// What was found and why it does not do.
        searched: String,
        /// Why the download did not help.
        download: String,
    },
    /// The cluster was made by another major version than the binaries at hand.
    #[error(
        "the cluster under DATA_DIR was made by Postgres {cluster}, which cannot be found: {searched}; \
         download: {download}. Install Postgres {cluster}, or move the data with pg_dump to a server that \
         DATABASE_URL names"
    )]
    OtherVersion {
        /// Its major version.
        cluster: u32,
        /// What was found.
        searched: String,
        /// Why the download did not help.
        download: String,
    },
    /// The place of the cluster has files in it that pushbox did not put there.
    #[error(
        "{} is not a cluster of pushbox: {reason}; it was left as it is. Set DATA_DIR to another directory, \
         or set DATABASE_URL",
        directory.display()
    )]
    NotOurs {
        /// The directory.
        directory: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// Another pushbox runs on the same directory.
    #[error(
        "the cluster in {} is in use by another pushbox (process {pid}). Stop it, set another DATA_DIR, or set \
         DATABASE_URL to share one server",
        directory.display()
    )]
    InUse {
        /// The directory.
        directory: PathBuf,
        /// The other process, as it wrote itself down.
        pid: String,
    },
    /// Root may not run Postgres and there is no other user.
    #[error(
        "Postgres does not run as root, and /etc/passwd has neither a user `postgres` nor `nobody`. Create one, start \
         pushbox as an ordinary user, or set DATABASE_URL"
    )]
    NoAccount,
    /// A directory for the cluster that the server's user can reach could not be made.
    #[error(
        "the user that runs Postgres (id {uid}) cannot reach {} and {} cannot be used instead: {source}. Set \
         DATA_DIR to a directory that everybody can enter",
        directory.display(), instead.display()
    )]
    Unreachable {
        /// The user.
        uid: u32,
        /// What was asked for.
        directory: PathBuf,
        /// What was tried.
        instead: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// A tool of Postgres failed.
    #[error("{doing} failed: {output}")]
    Tool {
        /// What it was to do.
        doing: &'static str,
        /// What it printed.
        output: String,
    },
    /// The server did not come up.
    #[error("Postgres did not start: {reason}; the end of {}:\n{tail}", log.display())]
    NotStarted {
        /// What was seen.
        reason: String,
        /// The server's log.
        log: PathBuf,
        /// Its end.
        tail: String,
    },
    /// The operating system refused something.
    #[error("cannot {doing}: {source}")]
    Io {
        /// What was to be done.
        doing: String,
        /// Why not.
        source: io::Error,
    },
}

impl PostgresError {
    /// For `map_err`: an I/O error with what was to be done.
    pub(super) fn io(doing: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io { doing: doing.into(), source }
    }

    /// Adds why the download did not help either.
    pub(super) fn with_download(mut self, reason: String) -> Self {
        if let Self::NotInstalled { download, .. } | Self::OtherVersion { download, .. } = &mut self {
            *download = reason;
        }
        self
    }
}
