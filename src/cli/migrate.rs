//! `pushbox migrate`.

use std::path::Path;

use crate::cli::{Outcome, block_on, load, not_wired};
use crate::config::{DatabaseSettings, Roles};

/// Bring the database to the newest schema and stop
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Needs DATABASE_URL; without it, the private Postgres under DATA_DIR is started for the purpose.
Migrations only go forward. Running it twice, or from several machines at once, is safe.

Example:
  pushbox migrate")]
pub(super) struct Arguments {}

pub(super) fn run(_: &Arguments, config: Option<&Path>) -> Outcome {
    let loaded = load(config, &Roles::none())?;
    block_on(async { migrate(&loaded.config.database) })
}

/// The one place that connects this command.
fn migrate(database: &DatabaseSettings) -> Outcome {
    let _ = database;
    Err(not_wired("store::migrate(url)"))
}
