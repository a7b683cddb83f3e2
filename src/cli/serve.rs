//! `pushbox serve`.

use std::path::Path;

use crate::app;
use crate::cli::{Outcome, block_on, load, shutdown};
use crate::config::{Loaded, Roles};
use crate::observability::logging;

/// Run in production: receive pushes, do the jobs, keep the schedules, serve the admin API
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
A process needs only the settings of its roles:
  receiver    WEBHOOK_PARTNER_KEY, CALLBACK_URL
  worker      PARTNER_ID, PARTNER_KEY; TELEGRAM_* and GOOGLE_* for the sinks you want
  scheduler   PARTNER_ID, PARTNER_KEY
  admin       ADMIN_TOKEN when ADMIN_LISTEN is not loopback
All of them share DATABASE_URL; without it pushbox runs a private Postgres under DATA_DIR, which
serves one process. The receiver listens on LISTEN; every process serves health and metrics on
ADMIN_LISTEN. All faults of the settings are listed at once.

Examples:
  pushbox serve                            everything in one process
  pushbox serve --roles receiver           only answer pushes
  pushbox serve --roles worker,scheduler   only work; run as many as you like

SIGINT or SIGTERM stops it after what runs is finished, within SHUTDOWN_TIMEOUT; a second one at
once.")]
pub(super) struct Arguments {
    /// What this process does, separated by commas
    #[arg(long, value_name = "ROLES", default_value = "receiver,worker,scheduler,admin")]
    roles: Roles,

    /// Do not apply migrations at start
    #[arg(long)]
    no_migrate: bool,
}

pub(super) fn run(arguments: &Arguments, config: Option<&Path>) -> Outcome {
    let loaded = load(config, &arguments.roles)?;
    // Ends after the runtime, so that the spans of the stop are sent too.
    let _exporting = logging::init(&loaded.config.log).map_err(anyhow::Error::new)?;
    block_on(serve(loaded, arguments.roles.clone(), !arguments.no_migrate))
}

async fn serve(loaded: Loaded, roles: Roles, migrate: bool) -> Outcome {
    let stop = shutdown::on_signal()
        .map_err(|error| anyhow::Error::new(error).context("watching for stop signals"))?;
    for note in &loaded.notes {
        tracing::warn!("{note}");
    }
    Ok(app::run(loaded.config, &roles, migrate, stop).await?)
}
