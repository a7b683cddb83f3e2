//! `pushbox completions`.

use clap::CommandFactory as _;
use clap_complete::{Shell, generate};

use crate::cli::{Cli, Outcome};

/// Print what a shell needs to complete commands and options
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Examples:
  pushbox completions bash > /etc/bash_completion.d/pushbox
  pushbox completions zsh > \"${fpath[1]}/_pushbox\"
  pushbox completions fish > ~/.config/fish/completions/pushbox.fish")]
pub(super) struct Arguments {
    /// The shell
    shell: Shell,
}

#[expect(clippy::unnecessary_wraps, reason = "a command has an outcome")]
pub(super) fn run(arguments: &Arguments) -> Outcome {
    generate(arguments.shell, &mut Cli::command(), "pushbox", &mut std::io::stdout());
    Ok(())
}
