//! Downloading Postgres where none is installed.
//!
//! The archives are the releases of `theseus-rs/postgresql-binaries`; each has its SHA-256 in a file beside it,
//! which is checked before anything is unpacked.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use flate2::read::GzDecoder;
use reqwest::Client;
use sha2::{Digest, Sha256};

use super::binaries::newest_first;

/// Where the archives are.
pub(super) const RELEASES: &str = "https://github.com/theseus-rs/postgresql-binaries/releases/download";

/// What to download per major version, the one for a new cluster first.
const VERSIONS: [(u32, &str); 4] = [(17, "17.6.0"), (16, "16.10.0"), (15, "15.14.0"), (14, "14.19.0")];

/// Archives are some 10 to 40 MB.
const SIZE_LIMIT: usize = 256 * 1024 * 1024;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
const READ_TIMEOUT: Duration = Duration::from_secs(30);

/// Installations that were downloaded before, the newest first.
pub(super) fn kept(downloads: &Path) -> Vec<PathBuf> {
    newest_first(downloads, "").into_iter().filter(|directory| directory.is_dir()).collect()
}

/// Downloads the version for `major`, or for a new cluster, into `downloads` and returns the directory of its
/// programs. The error says what went wrong, to be quoted within another one.
pub(super) async fn download(base: &str, downloads: &Path, major: Option<u32>) -> Result<PathBuf, String> {
    let wanted = VERSIONS.iter().find(|(candidate, _)| major.is_none_or(|major| major == *candidate));
    let Some((_, version)) = wanted else {
        return Err("there is no archive of that version".to_owned());
    };
    let Some(target) = target() else {
        return Err("there is no archive for this kind of machine".to_owned());
    };
    let url = format!("{}/{version}/postgresql-{version}-{target}.tar.gz", base.trim_end_matches('/'));
    tracing::info!(url, "no Postgres on this machine: downloading one");

    let client = Client::builder()
        .connect_timeout(CONNECT_TIMEOUT)
        .read_timeout(READ_TIMEOUT)
        .user_agent(concat!("pushbox/", env!("CARGO_PKG_VERSION")))
        .build()
        .map_err(|error| error.to_string())?;
    let expected = fetch(&client, &format!("{url}.sha256"), 4096).await?;
    let expected = checksum(&expected).ok_or_else(|| format!("{url}.sha256 has no SHA-256 in it"))?;
    let archive = fetch(&client, &url, SIZE_LIMIT).await?;
    let actual = hex::encode(Sha256::digest(&archive));
    if actual != expected {
        return Err(format!("{url} has the SHA-256 {actual}, expected {expected}"));
    }

    let directory = downloads.join(version);
    let bin = directory.join("bin");
    tokio::task::spawn_blocking(move || install(&archive, &directory))
        .await
        .map_err(|error| error.to_string())?
        .map_err(|error| format!("{url} cannot be unpacked: {error}"))?;
    Ok(bin)
}

/// What the archives call this kind of machine.
fn target() -> Option<&'static str> {
    match (std::env::consts::OS, std::env::consts::ARCH, cfg!(target_env = "musl")) {
        ("linux", "x86_64", false) => Some("x86_64-unknown-linux-gnu"),
        ("linux", "x86_64", true) => Some("x86_64-unknown-linux-musl"),
        ("linux", "aarch64", false) => Some("aarch64-unknown-linux-gnu"),
        ("linux", "aarch64", true) => Some("aarch64-unknown-linux-musl"),
        ("macos", "x86_64", _) => Some("x86_64-apple-darwin"),
        ("macos", "aarch64", _) => Some("aarch64-apple-darwin"),
        _ => None,
    }
}

/// The body of a successful answer, up to `limit` bytes.
async fn fetch(client: &Client, url: &str, limit: usize) -> Result<Vec<u8>, String> {
    let failed = |error: reqwest::Error| {
        let error = error.without_url();
        let causes = std::iter::successors(std::error::Error::source(&error), |cause| cause.source());
        causes.fold(format!("{url}: {error}"), |text, cause| format!("{text}: {cause}"))
    };
    let mut answer =
        client.get(url).send().await.and_then(reqwest::Response::error_for_status).map_err(failed)?;
    let mut body = Vec::new();
    while let Some(chunk) = answer.chunk().await.map_err(failed)? {
        body.extend_from_slice(&chunk);
        if body.len() > limit {
            return Err(format!("{url} is longer than {limit} bytes"));
        }
    }
    Ok(body)
}

/// `<hex>` or `<hex>  <file name>`, as `sha256sum` prints it.
fn checksum(file: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(file).ok()?;
    let sum = text.split_whitespace().next()?.to_ascii_lowercase();
    (sum.len() == 64 && sum.bytes().all(|byte| byte.is_ascii_hexdigit())).then_some(sum)
}

/// Unpacks beside the target and renames, so that an interrupted unpacking is never taken for an installation. The
/// archive has one directory at its top, which is left out.
fn install(archive: &[u8], directory: &Path) -> std::io::Result<()> {
    let temporary = directory.with_extension("tmp");
    for stale in [&temporary, directory] {
        if stale.exists() {
            fs::remove_dir_all(stale)?;
        }
    }
    fs::create_dir_all(&temporary)?;
    if let Some(downloads) = directory.parent() {
        // Made by us, run by the server's user, whatever our umask is.
        fs::set_permissions(downloads, fs::Permissions::from_mode(0o755))?;
    }
    // Refuses entries that would leave the directory.
    tar::Archive::new(GzDecoder::new(archive)).unpack(&temporary)?;
    let mut entries = fs::read_dir(&temporary)?;
    match (entries.next().transpose()?, entries.next()) {
        (Some(top), None) if top.path().join("bin").is_dir() => fs::rename(top.path(), directory)?,
        _ => return Err(std::io::Error::other("it does not have one directory with `bin` in it")),
    }
    fs::remove_dir(&temporary)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_checksum_file_may_name_its_file() {
        let sum = "a".repeat(64);
        assert_eq!(checksum(sum.as_bytes()), Some(sum.clone()));
        assert_eq!(
            checksum(format!("{}  postgresql.tar.gz\n", sum.to_uppercase()).as_bytes()),
            Some(sum.clone())
        );
        assert_eq!(checksum(b""), None);
        assert_eq!(checksum(b"<html>Not found</html>"), None);
        assert_eq!(checksum(&sum.as_bytes()[1..]), None);
    }
}
