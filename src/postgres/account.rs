//! The user that runs the server: ourselves, or an unprivileged one when we are root.

use std::fs;
use std::os::unix::fs::{MetadataExt, chown};
use std::path::Path;
use std::process::Stdio;

use super::PostgresError;

/// Who runs the server and owns its files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Account {
    /// The user we are.
    Ourselves,
    /// Somebody else: we are root.
    Other {
        /// User id.
        uid: u32,
        /// Primary group id.
        gid: u32,
    },
}

impl Account {
    /// Who is to run the cluster whose files are in `home`, which may not exist yet.
    ///
    /// Root gives an existing cluster to its owner, so that installing a package that brings a user `postgres`
    /// does not lock it out of a cluster that `nobody` made.
    pub(super) async fn choose(home: &Path) -> Result<Self, PostgresError> {
        if !is_root().await? {
            return Ok(Self::Ourselves);
        }
        match fs::metadata(home) {
            Ok(owner) if owner.uid() != 0 => Ok(Self::Other { uid: owner.uid(), gid: owner.gid() }),
            _ => {
                let users =
                    fs::read_to_string("/etc/passwd").map_err(PostgresError::io("read /etc/passwd"))?;
                unprivileged(&users).ok_or(PostgresError::NoAccount)
            }
        }
    }

    /// Lets `command` run as this user. The standard library also drops root's supplementary groups.
    pub(super) fn apply(&self, command: &mut tokio::process::Command) {
        if let Self::Other { uid, gid } = *self {
            command.uid(uid).gid(gid);
        }
    }

    /// Gives `path` to this user.
    pub(super) fn own(&self, path: &Path) -> Result<(), PostgresError> {
        let Self::Other { uid, gid } = *self else { return Ok(()) };
        chown(path, Some(uid), Some(gid))
            .map_err(PostgresError::io(format!("give {} to user {uid}", path.display())))
    }

    /// Whether this user can enter `directory`. Asked of the system, because permission bits of every ancestor,
    /// access lists and mounts all have a say.
    pub(super) async fn can_enter(&self, directory: &Path) -> Result<bool, PostgresError> {
        let status = super::command(self, Path::new("/bin/sh"))
            .args(["-c", "cd -- \"$1\"", "sh"])
            .arg(directory)
            .stderr(Stdio::null())
            .status()
            .await
            .map_err(PostgresError::io("run /bin/sh as the user of the cluster"))?;
        Ok(status.success())
    }
}

/// Asked of `id`: the standard library does not tell, and a call of our own would be unsafe code.
async fn is_root() -> Result<bool, PostgresError> {
    let output = tokio::process::Command::new("id")
        .arg("-u")
        .stdin(Stdio::null())
        .output()
        .await
        .map_err(PostgresError::io("run `id -u`"))?;
    Ok(String::from_utf8_lossy(&output.stdout).trim() == "0")
}

/// `postgres`, which owns what Postgres needs, else `nobody`; from the text of `/etc/passwd`.
fn unprivileged(users: &str) -> Option<Account> {
    ["postgres", "nobody"].iter().find_map(|wanted| {
        users.lines().find_map(|line| {
            let mut fields = line.split(':');
            let name = fields.next()?;
            let uid = fields.nth(1)?.parse().ok()?;
            let gid = fields.next()?.parse().ok()?;
            (name == *wanted && uid != 0).then_some(Account::Other { uid, gid })
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOBODY: &str = "root:x:0:0:root:/root:/bin/bash\nnobody:x:65534:65533:nobody:/:/usr/sbin/nologin\n";

    #[test]
    fn postgres_is_preferred_to_nobody() {
        let users =
            format!("{NOBODY}postgres:x:101:104:PostgreSQL administrator,,,:/var/lib/postgresql:/bin/bash\n");
        assert_eq!(unprivileged(&users), Some(Account::Other { uid: 101, gid: 104 }));
        assert_eq!(unprivileged(NOBODY), Some(Account::Other { uid: 65534, gid: 65533 }));
    }

    #[test]
    fn root_under_another_name_and_broken_lines_are_not_taken() {
        assert_eq!(unprivileged("postgres:x:0:0::/:/bin/sh\nnobody:x:-2:-2::/:/bin/sh\n\npostgres\n"), None);
    }
}
