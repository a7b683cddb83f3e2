//! Parses and calls; everything is in the library.

fn main() -> std::process::ExitCode {
    pushbox::cli::run()
}
