//! Files that are generated from the settings' declarations are as the declarations say.
//!
//! `UPDATE=1 cargo test --test it generated` writes them again.

use std::path::Path;

use pushbox::config::{env_example, settings_table};

const BEGIN: &str = "<!-- settings:begin -->\n";
const END: &str = "\n<!-- settings:end -->";

fn same_or_write(path: &Path, current: &str, generated: &str) {
    if current == generated {
        return;
    }
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(path, generated).expect("the repository is writable");
        return;
    }
    let line = current.lines().zip(generated.lines()).take_while(|(one, other)| one == other).count();
    panic!(
        "{} differs from src/config/settings.rs from line {} on; run `UPDATE=1 cargo test --test it generated`",
        path.display(),
        line + 1
    );
}

#[test]
fn env_example_is_generated_from_the_declarations() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(".env.example");
    let current = std::fs::read_to_string(&path).unwrap_or_default();
    same_or_write(&path, &current, &env_example());
}

#[test]
fn the_settings_of_readme_are_generated_from_the_declarations() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md");
    let current = std::fs::read_to_string(&path).expect("README.md is there");
    let (before, rest) = current.split_once(BEGIN).expect("README.md has the settings:begin marker");
    let (_, after) = rest.split_once(END).expect("README.md has the settings:end marker");
    same_or_write(&path, &current, &format!("{before}{BEGIN}{}{END}{after}", settings_table()));
}
