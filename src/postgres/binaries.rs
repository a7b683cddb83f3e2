//! Finding an installation of Postgres that is complete and new enough.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use super::PostgresError;
use super::account::Account;

/// What a directory must have to be of use.
const TOOLS: [&str; 3] = ["postgres", "initdb", "pg_ctl"];

/// The oldest major version that pushbox's schema works with.
const OLDEST: u32 = 14;

/// An installation: a directory that has [`TOOLS`].
#[derive(Debug, Clone)]
pub(super) struct Binaries {
    pub(super) directory: PathBuf,
    pub(super) major: u32,
}

impl Binaries {
    pub(super) fn tool(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    /// The installation in `directory`, which must do.
    pub(super) async fn given(
        directory: &Path,
        account: &Account,
        cluster: Option<u32>,
    ) -> Result<Self, PostgresError> {
        Self::choose(&[directory.to_owned()], account, cluster).await
    }

    /// The first of `candidates` that is complete, new enough and of the major version `cluster`, if that is given.
    pub(super) async fn choose(
        candidates: &[PathBuf],
        account: &Account,
        cluster: Option<u32>,
    ) -> Result<Self, PostgresError> {
        let mut seen = Vec::new();
        for directory in candidates {
            match inspect(directory, account).await {
                Ok(major) if cluster.is_none_or(|cluster| cluster == major) => {
                    return Ok(Self { directory: directory.clone(), major });
                }
                Ok(major) => seen.push(format!("{} is version {major}", directory.display())),
                Err(reason) => seen.push(format!("{} {reason}", directory.display())),
            }
        }
        let searched = if seen.is_empty() { "no installation found".to_owned() } else { seen.join(", ") };
        let download = "not tried".to_owned();
        Err(match cluster {
            Some(cluster) => PostgresError::OtherVersion { cluster, searched, download },
            None => PostgresError::NotInstalled { searched, download },
        })
    }
}

/// Directories of this machine that may hold an installation, best first, without repetition.
pub(super) async fn installed(account: &Account) -> Vec<PathBuf> {
    let mut found = Vec::new();
    // A link in PATH leads to the real installation, whose other tools may not be linked.
    if let Some(postgres) = ask(account, "/bin/sh", &["-c", "command -v postgres"]).await {
        let postgres = PathBuf::from(postgres);
        let real = fs::canonicalize(&postgres).unwrap_or_else(|_| postgres.clone());
        found.extend([&real, &postgres].into_iter().filter_map(|path| Some(path.parent()?.to_owned())));
    }
    found.extend(ask(account, "pg_config", &["--bindir"]).await.map(PathBuf::from));
    for (parent, prefix) in [
        ("/usr/lib/postgresql", ""),
        ("/usr", "pgsql-"),
        ("/opt/homebrew/opt", "postgresql"),
        ("/usr/local/opt", "postgresql"),
        ("/Applications/Postgres.app/Contents/Versions", ""),
    ] {
        found.extend(newest_first(Path::new(parent), prefix));
    }
    found.extend(["/usr/local/pgsql/bin", "/usr/bin"].map(PathBuf::from));

    let mut unique = Vec::new();
    for directory in found {
        if directory.join("postgres").is_file() && !unique.contains(&directory) {
            unique.push(directory);
        }
    }
    unique
}

/// `<parent>/<prefix>*/bin`, the highest version first.
pub(super) fn newest_first(parent: &Path, prefix: &str) -> Vec<PathBuf> {
    let mut versions: Vec<(Vec<u32>, PathBuf)> = fs::read_dir(parent)
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| {
            let name = entry.file_name();
            let rest = name.to_str()?.strip_prefix(prefix)?;
            let version =
                rest.trim_start_matches('@').split('.').map_while(|part| part.parse().ok()).collect();
            Some((version, entry.path().join("bin")))
        })
        .collect();
    versions.sort();
    versions.into_iter().rev().map(|(_, path)| path).collect()
}

/// The first line a program prints; none when it is missing or fails.
async fn ask(account: &Account, program: &str, arguments: &[&str]) -> Option<String> {
    let output = super::command(account, Path::new(program))
        .args(arguments)
        .stderr(Stdio::null())
        .output()
        .await
        .ok()?;
    let line = String::from_utf8_lossy(&output.stdout).lines().next()?.trim().to_owned();
    (output.status.success() && !line.is_empty()).then_some(line)
}

/// The major version in `directory`, or why it is of no use. The version is asked as the user who is to run it,
/// which also shows that this user may.
async fn inspect(directory: &Path, account: &Account) -> Result<u32, String> {
    if let Some(tool) = TOOLS.iter().find(|tool| !directory.join(tool).is_file()) {
        return Err(format!("has no {tool}"));
    }
    let Some(printed) = ask(account, &directory.join("postgres").to_string_lossy(), &["--version"]).await
    else {
        return Err("has a postgres that does not run".to_owned());
    };
    match major(&printed) {
        Some(major) if major >= OLDEST => Ok(major),
        Some(major) => Err(format!("is version {major}, older than {OLDEST}")),
        None => Err(format!("has a postgres that says `{printed}`")),
    }
}

/// `postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)`, `… 18beta1`.
fn major(printed: &str) -> Option<u32> {
    let version = printed.split("(PostgreSQL)").nth(1)?.trim_start();
    let digits = version.find(|c: char| !c.is_ascii_digit()).unwrap_or(version.len());
    version[..digits].parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_as_distributions_print_them() {
        for (printed, expected) in [
            ("postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)", Some(15)),
            ("postgres (PostgreSQL) 17.6", Some(17)),
            ("postgres (PostgreSQL) 18beta1", Some(18)),
            ("postgres (PostgreSQL) 9.6.24", Some(9)),
            ("postgres (PostgreSQL) devel", None),
            ("bash: postgres", None),
        ] {
            assert_eq!(major(printed), expected, "{printed}");
        }
    }

    #[test]
    fn the_newest_version_comes_first() {
        let parent = tempfile::tempdir().unwrap();
        for name in ["9.6", "16", "postgresql@17", "postgresql@9.6"] {
            fs::create_dir(parent.path().join(name)).unwrap();
        }
        let found = newest_first(parent.path(), "");
        assert_eq!(found[0], parent.path().join("16/bin"));
        let brewed = newest_first(parent.path(), "postgresql");
        assert_eq!(brewed[0], parent.path().join("postgresql@17/bin"));
        assert_eq!(newest_first(&parent.path().join("none"), ""), Vec::<PathBuf>::new());
    }

    #[tokio::test]
    async fn an_installation_with_a_missing_tool_is_not_usable() {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join("postgres"), "").unwrap();
        let error = Binaries::given(directory.path(), &Account::Ourselves, None).await.unwrap_err();
        assert!(error.to_string().contains("has no initdb"), "{error}");
        assert!(error.to_string().contains("apt install postgresql"), "{error}");
        assert!(error.to_string().contains("DATABASE_URL"), "{error}");
    }
}
