//! `pushbox openapi`.

use crate::cli::{Outcome, not_wired};

/// Print the `OpenAPI` document of the admin API
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
The same document that a running process serves at /openapi.json, with its pages at /docs.

Example:
  pushbox openapi > admin.json")]
pub(super) struct Arguments {}

pub(super) fn run(_: &Arguments) -> Outcome {
    Err(not_wired("admin::openapi()"))
}
