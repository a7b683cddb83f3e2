//! The demo's directory: what it holds, whose it is, and whether a run in it goes on.
//!
//! ```text
//! <data dir>/demo.json     parameters and progress of the last run; without it nothing here is touched
//!            world.jsonl   journal of the simulated world
//!            demo.log      log of pushbox
//!            postgres/     the private cluster
//! ```

use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use serde::{Deserialize, Serialize};

/// What makes two runs the same.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Parameters {
    pub(super) pushes: u32,
    pub(super) shops: u32,
    pub(super) seed: u64,
    pub(super) faults: String,
    /// The program: another one may want other tables.
    pub(super) program: String,
}

/// How far the last run came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Stage {
    /// Database and world are being made: what is there is not to be trusted.
    Preparing,
    /// Database and world belong together.
    Running,
    /// Everything was checked.
    Finished,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct State {
    parameters: Parameters,
    stage: Stage,
    /// Seals the tokens in the run's database.
    encryption_key: String,
}

/// An opened directory.
#[derive(Debug)]
pub(super) struct Home {
    path: PathBuf,
    state: State,
    /// The run before was of the same parameters and was not finished.
    pub(super) unfinished: bool,
}

impl Home {
    /// Opens the directory, making it where it is missing. `fresh_key` is for a run that starts afresh.
    pub(super) fn open(path: &Path, parameters: Parameters, fresh_key: String) -> anyhow::Result<Self> {
        fs::create_dir_all(path).with_context(|| format!("creating {}", path.display()))?;
        let fresh = State { parameters, stage: Stage::Preparing, encryption_key: fresh_key };
        let home = match fs::read(path.join("demo.json")) {
            Ok(bytes) => {
                let known: State = serde_json::from_slice(&bytes).with_context(|| {
                    format!("{}/demo.json is of another program or damaged: remove it", path.display())
                })?;
                let unfinished = known.stage == Stage::Running && known.parameters == fresh.parameters;
                Self { path: path.to_owned(), state: if unfinished { known } else { fresh }, unfinished }
            }
            Err(error) if error.kind() == ErrorKind::NotFound => {
                let mut entries =
                    fs::read_dir(path).with_context(|| format!("reading {}", path.display()))?;
                anyhow::ensure!(
                    entries.next().is_none(),
                    "{} has files in it that are not the demo's: choose another --data-dir",
                    path.display()
                );
                // From now on it is ours, even if this run ends before it has begun.
                let home = Self { path: path.to_owned(), state: fresh, unfinished: false };
                home.save()?;
                home
            }
            Err(error) => {
                return Err(error).with_context(|| format!("reading {}/demo.json", path.display()));
            }
        };
        Ok(home)
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn journal(&self) -> PathBuf {
        self.path.join("world.jsonl")
    }

    pub(super) fn log(&self) -> PathBuf {
        self.path.join("demo.log")
    }

    pub(super) fn encryption_key(&self) -> &str {
        &self.state.encryption_key
    }

    /// Opens the log to write at its end.
    pub(super) fn open_log(&self) -> anyhow::Result<File> {
        let path = self.log();
        OpenOptions::new()
            .create(true)
            .append(true)
            .open(&path)
            .with_context(|| format!("opening {}", path.display()))
    }

    /// Forgets the world and the log of the run before. Until [`Home::begin`], a run that ends is not gone
    /// on with.
    pub(super) fn clear(&mut self) -> anyhow::Result<()> {
        self.unfinished = false;
        self.state.stage = Stage::Preparing;
        self.save()?;
        match fs::remove_file(self.journal()) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                return Err(error).with_context(|| format!("removing {}", self.journal().display()));
            }
            _ => {}
        }
        // Emptied, not removed: it is open to be written to.
        self.open_log()?.set_len(0).context("emptying the log")
    }

    /// World and database belong together from now on.
    pub(super) fn begin(&mut self) -> anyhow::Result<()> {
        self.state.stage = Stage::Running;
        self.save()
    }

    /// The run was checked; the next one starts afresh.
    pub(super) fn finish(&mut self) -> anyhow::Result<()> {
        self.state.stage = Stage::Finished;
        self.save()
    }

    fn save(&self) -> anyhow::Result<()> {
        let (path, new) = (self.path.join("demo.json"), self.path.join("demo.json.new"));
        let text = serde_json::to_vec_pretty(&self.state)?;
        let write = || {
            let mut options = OpenOptions::new();
            options.create(true).write(true).truncate(true).mode(0o600);
            options.open(&new)?.write_all(&text)?;
            fs::rename(&new, &path)
        };
        write().with_context(|| format!("writing {}", path.display()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parameters(seed: u64) -> Parameters {
        Parameters { pushes: 10, shops: 2, seed, faults: "none".to_owned(), program: "1".to_owned() }
    }

    fn open(path: &Path, seed: u64, key: &str) -> Home {
        Home::open(path, parameters(seed), key.to_owned()).expect("open")
    }

    #[test]
    fn only_a_run_that_began_with_the_same_parameters_goes_on() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("demo");
        let mut home = open(&path, 1, "first");
        assert!(!home.unfinished);
        assert!(!open(&path, 1, "second").unfinished, "it had not begun");

        home.clear().expect("clear");
        home.begin().expect("begin");
        fs::write(home.journal(), "{}").expect("a journal");
        let again = open(&path, 1, "third");
        assert!(again.unfinished);
        assert_eq!(again.encryption_key(), "first");
        let mut other = open(&path, 2, "fourth");
        assert!(!other.unfinished);
        assert_eq!(other.encryption_key(), "fourth");
        other.clear().expect("clear");
        assert!(!other.journal().exists());

        home.begin().expect("begin");
        home.finish().expect("finish");
        assert!(!open(&path, 1, "fifth").unfinished);
    }

    #[test]
    fn somebody_elses_directory_is_left_alone() {
        let directory = tempfile::tempdir().expect("a directory");
        fs::write(directory.path().join("thesis.txt"), "years of work").expect("a file");
        let error = Home::open(directory.path(), parameters(1), String::new()).unwrap_err();
        assert!(error.to_string().contains("choose another --data-dir"), "{error}");
        assert_eq!(fs::read_dir(directory.path()).expect("entries").count(), 1);
    }
}
