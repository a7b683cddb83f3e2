//! The directory of a cluster: where it is, whose it is, and that only one pushbox uses it.
//!
//! ```text
//! <home>/pushbox.txt   says that pushbox made this; without it nothing here is touched
//!        lock          held by the program while it runs, with its process id
//!        password      of the superuser, mode 0600
//!        data/         the cluster; data.tmp/ while it is made
//!        server.log
//!        binaries/     downloaded ones
//! ```

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rand::Rng;
use sha2::{Digest, Sha256};

use super::PostgresError;
use super::account::Account;

const MARKER: &str = "pushbox.txt";
const MARKER_TEXT: &str = "This directory is the private Postgres of pushbox. Do not edit it by hand.\n";

/// Where root keeps clusters that would be out of reach under `DATA_DIR`.
const SYSTEM_HOMES: &str = "/var/lib/pushbox";

/// An opened, locked home.
#[derive(Debug)]
pub(super) struct Home {
    pub(super) path: PathBuf,
    pub(super) account: Account,
    pub(super) ephemeral: bool,
    /// The lock is the operating system's: it goes with the process, whatever ends it.
    _lock: File,
}

impl Home {
    /// Opens the home of `data_dir`, making it where it is missing.
    pub(super) async fn open(data_dir: &Path, ephemeral: bool) -> Result<Self, PostgresError> {
        let made = !data_dir.exists();
        fs::create_dir_all(data_dir).map_err(PostgresError::io(format!("create {}", data_dir.display())))?;
        let data_dir = fs::canonicalize(data_dir)
            .map_err(PostgresError::io(format!("find the real path of {}", data_dir.display())))?;

        let here = data_dir.join("postgres");
        let account = Account::choose(&here).await?;
        let (path, account) = if account.can_enter(&data_dir).await? {
            if ephemeral && made {
                // Its own supervisor, which runs as that user, has to remove it.
                account.own(&data_dir)?;
            }
            (here, account)
        } else {
            let path = elsewhere(&data_dir, account, ephemeral)?;
            let account = Account::choose(&path).await?;
            (path, account)
        };
        claim(&path, account)?;
        let lock = lock(&path)?;
        Ok(Self { path, account, ephemeral, _lock: lock })
    }

    pub(super) fn data(&self) -> PathBuf {
        self.path.join("data")
    }

    pub(super) fn log(&self) -> PathBuf {
        self.path.join("server.log")
    }

    /// Removes what the supervisor may have left, when the cluster was to leave nothing.
    pub(super) fn remove_if_ephemeral(&self) -> Result<(), PostgresError> {
        if !self.ephemeral {
            return Ok(());
        }
        match fs::remove_dir_all(&self.path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(PostgresError::io(format!("remove {}", self.path.display()))(error));
            }
            _ => {}
        }
        if let Some(parent) = self.path.parent() {
            // Fails, as it should, when the caller has something else in there.
            drop(fs::remove_dir(parent));
        }
        Ok(())
    }
}

/// A home outside `data_dir`, which the user of the cluster cannot enter: we are root and `data_dir` is under a
/// closed directory such as `/root`.
///
/// A cluster that is to last never goes to a temporary directory: a reboot may empty it.
fn elsewhere(data_dir: &Path, account: Account, ephemeral: bool) -> Result<PathBuf, PostgresError> {
    let base = if ephemeral {
        std::env::temp_dir().join(format!("pushbox-{:016x}", rand::rng().random::<u64>()))
    } else {
        system_home(data_dir)
    };
    let made = if ephemeral { DirBuilder::new().mode(0o755).create(&base) } else { open_directories(&base) };
    made.map_err(|source| PostgresError::Unreachable {
        uid: match account {
            Account::Other { uid, .. } => uid,
            Account::Ourselves => 0,
        },
        directory: data_dir.to_owned(),
        instead: base.clone(),
        source,
    })?;
    if ephemeral {
        account.own(&base)?;
    } else {
        tracing::warn!(
            data_dir = %data_dir.display(),
            directory = %base.display(),
            "the user that runs Postgres cannot enter DATA_DIR: the cluster is kept elsewhere",
        );
    }
    Ok(base.join("postgres"))
}

/// Where the cluster of `data_dir` is kept when it cannot be there.
fn system_home(data_dir: &Path) -> PathBuf {
    let digest = Sha256::digest(data_dir.as_os_str().as_encoded_bytes());
    Path::new(SYSTEM_HOMES).join(hex::encode(&digest[..8]))
}

/// The places where the cluster of `data_dir` may be.
pub(super) fn homes_of(data_dir: &Path) -> Vec<PathBuf> {
    let data_dir = fs::canonicalize(data_dir).unwrap_or_else(|_| data_dir.to_owned());
    vec![data_dir.join("postgres"), system_home(&data_dir).join("postgres")]
}

/// Creates `path` and its parents so that everybody can enter them, whatever the umask is.
fn open_directories(path: &Path) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt;

    for directory in [Path::new(SYSTEM_HOMES), path] {
        match fs::create_dir(directory) {
            Ok(()) => fs::set_permissions(directory, fs::Permissions::from_mode(0o755))?,
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Makes `path` ours, or finds that it is.
fn claim(path: &Path, account: Account) -> Result<(), PostgresError> {
    let doing = || format!("prepare {}", path.display());
    let not_ours = |reason: String| PostgresError::NotOurs { directory: path.to_owned(), reason };
    match DirBuilder::new().mode(0o700).create(path) {
        Ok(()) => account.own(path)?,
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        Err(error) => return Err(PostgresError::io(doing())(error)),
    }
    let metadata = fs::symlink_metadata(path).map_err(PostgresError::io(doing()))?;
    if !metadata.is_dir() {
        return Err(not_ours("it is not a directory".to_owned()));
    }
    let mut entries = fs::read_dir(path).map_err(|error| {
        not_ours(format!("it cannot be read ({error}); it belongs to user id {}", metadata.uid()))
    })?;
    if path.join(MARKER).exists() {
        return Ok(());
    }
    if entries.next().is_some() {
        return Err(not_ours(format!("it has files in it, but no {MARKER}")));
    }
    account.own(path)?;
    write_durably(&path.join(MARKER), MARKER_TEXT.as_bytes(), 0o644, account)
}

/// Writes a small file that is there completely or not at all, even after a power cut.
pub(super) fn write_durably(
    path: &Path,
    content: &[u8],
    mode: u32,
    account: Account,
) -> Result<(), PostgresError> {
    let temporary = path.with_extension("tmp");
    let write = || {
        drop(fs::remove_file(&temporary));
        let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(&temporary)?;
        file.write_all(content)?;
        file.sync_all()
    };
    write().map_err(PostgresError::io(format!("write {}", temporary.display())))?;
    account.own(&temporary)?;
    rename_durably(&temporary, path)
}

/// Renames within a directory and waits until that is on disk.
pub(super) fn rename_durably(from: &Path, to: &Path) -> Result<(), PostgresError> {
    let rename = || {
        fs::rename(from, to)?;
        to.parent().map_or(Ok(()), |parent| File::open(parent)?.sync_all())
    };
    rename().map_err(PostgresError::io(format!("rename {} to {}", from.display(), to.display())))
}

/// Takes the lock and writes down who has it.
fn lock(home: &Path) -> Result<File, PostgresError> {
    let path = home.join("lock");
    let doing = || format!("lock {}", path.display());
    let mut file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(&path)
        .map_err(PostgresError::io(doing()))?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let pid = fs::read_to_string(&path).unwrap_or_default().trim().to_owned();
            return Err(PostgresError::InUse { directory: home.to_owned(), pid });
        }
        Err(TryLockError::Error(error)) => return Err(PostgresError::io(doing())(error)),
    }
    file.set_len(0)
        .and_then(|()| writeln!(file, "{}", std::process::id()))
        .map_err(PostgresError::io(doing()))?;
    Ok(file)
}
