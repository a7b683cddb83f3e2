//! `pushbox migrate`.

use std::path::Path;

use crate::app;
use crate::cli::{Outcome, block_on, load};
use crate::config::{Loaded, Roles};

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
    block_on(migrate(loaded))
}

#[expect(clippy::print_stdout, reason = "what a person or a script asked for")]
async fn migrate(loaded: Loaded) -> Outcome {
    let migrated = app::migrate(&loaded.config.database).await?;
    for migration in &migrated.applied {
        println!("applied {migration}");
    }
    if let Some(note) = migrated.note {
        println!("note: {note}");
    }
    if migrated.applied.is_empty() {
        println!("the schema is the newest already");
    }
    Ok(())
}
