//! The list of changes on disk: one JSON line each, written before the change is answered.

use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, Write};
use std::path::Path;

use anyhow::Context;

use crate::simulator::state::{Change, World};

/// An open journal.
#[derive(Debug)]
pub struct Journal {
    file: File,
}

impl Journal {
    /// Replays the journal at `path` into `world` and opens it to go on. A last line that was torn by a
    /// kill is cut off: its change was never answered. A bad line before that is an error.
    pub fn open(path: &Path, world: &mut World) -> anyhow::Result<Self> {
        let file = OpenOptions::new()
            .create(true)
            .read(true)
            .append(true)
            .open(path)
            .with_context(|| format!("opening the simulator's journal {}", path.display()))?;
        let mut reader = BufReader::new(&file);
        let (mut line, mut good) = (Vec::new(), 0u64);
        loop {
            line.clear();
            let length = reader.read_until(b'\n', &mut line).context("reading the simulator's journal")?;
            if length == 0 || line.last() != Some(&b'\n') {
                break;
            }
            let change: Change = serde_json::from_slice(&line)
                .with_context(|| format!("the simulator's journal is broken at byte {good}"))?;
            world.apply(&change);
            good += length as u64;
        }
        file.set_len(good).context("cutting a torn line off the simulator's journal")?;
        Ok(Self { file })
    }

    /// Appends one change with a single write. It survives the end of this process; not a power cut.
    pub fn append(&mut self, change: &Change) -> anyhow::Result<()> {
        let mut line = serde_json::to_vec(change)?;
        line.push(b'\n');
        self.file.write_all(&line).context("appending to the simulator's journal")
    }
}
