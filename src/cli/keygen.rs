//! `pushbox keygen`.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::cli::Outcome;

/// Print a fresh `ADMIN_TOKEN`, `ENCRYPTION_KEY` and `FORWARD_SECRET`
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Each is 32 random bytes in base64, as a line of `.env`. Keep ENCRYPTION_KEY safe: tokens sealed
with it cannot be read without it. FORWARD_SECRET matters only with FORWARD_URL.

Example:
  pushbox keygen >> .env")]
pub(super) struct Arguments {}

#[expect(clippy::print_stdout, clippy::unnecessary_wraps, reason = "a command prints and has an outcome")]
pub(super) fn run(_: &Arguments) -> Outcome {
    println!("ADMIN_TOKEN={}\nENCRYPTION_KEY={}\nFORWARD_SECRET={}", key(), key(), forward_secret());
    Ok(())
}

/// 32 bytes of the thread's generator, which is cryptographic and seeded by the system, in base64.
pub(super) fn key() -> String {
    STANDARD.encode(rand::random::<[u8; 32]>())
}

/// A key as Standard Webhooks writes it.
fn forward_secret() -> String {
    format!("whsec_{}", key())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Config, Inputs, Roles};

    #[test]
    fn what_is_printed_is_accepted() {
        let environment = [
            ("ADMIN_TOKEN".to_owned(), key()),
            ("ENCRYPTION_KEY".to_owned(), key()),
            ("FORWARD_SECRET".to_owned(), forward_secret()),
            ("FORWARD_URL".to_owned(), "https://example.com/".to_owned()),
        ]
        .into();
        let loaded =
            Config::load(&Inputs { environment, ..Inputs::default() }, &Roles::none()).expect("no faults");
        assert_eq!(loaded.notes, Vec::<String>::new());
        assert_ne!(key(), key());
    }
}
