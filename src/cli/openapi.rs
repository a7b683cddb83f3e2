//! `pushbox openapi`.

use crate::admin;
use crate::cli::Outcome;

/// Print the `OpenAPI` document of the admin API
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
The same document that a running process serves at /openapi.json, with its pages at /docs.

Example:
  pushbox openapi > admin.json")]
pub(super) struct Arguments {}

#[expect(clippy::print_stdout, reason = "the document is what was asked for")]
#[expect(clippy::unnecessary_wraps, reason = "every command answers alike")]
pub(super) fn run(_: &Arguments) -> Outcome {
    print!("{}", admin::openapi_json());
    Ok(())
}
