//! Texts generated from the declarations.

use std::fmt::Write as _;

use crate::config::settings::{ALL, Section};

/// The text of `.env.example`: every setting, commented out, with its meaning and its default.
pub fn env_example() -> String {
    let mut text = String::from(
        "# Settings of pushbox. Copy to `.env`, remove the `#` before what you set.\n\
         # Generated from src/config/settings.rs by `UPDATE=1 cargo test --test it generated`; do not edit.\n\
         # What the process environment sets wins over this file. Put values with spaces, `$` or `#` into\n\
         # single quotes. A secret can be kept in a file: NAME_FILE=/run/secrets/name.\n",
    );
    for section in Section::ALL {
        let _ = write!(text, "\n## {}\n", section.title());
        for setting in ALL.iter().filter(|setting| setting.section == section) {
            text.push('\n');
            for line in wrapped(setting.doc, 98) {
                let _ = writeln!(text, "# {line}");
            }
            if let Some(example) = setting.example {
                let _ = writeln!(text, "# Example: {example}");
            }
            let _ = writeln!(text, "#{}={}", setting.name, setting.default.unwrap_or_default());
        }
    }
    text
}

/// The table of settings in README, as Markdown.
pub fn settings_table() -> String {
    let mut text = String::new();
    for section in Section::ALL {
        let _ =
            write!(text, "\n**{}**\n\n| name | default | meaning |\n| --- | --- | --- |\n", section.title());
        for setting in ALL.iter().filter(|setting| setting.section == section) {
            let mut name = format!("`{}`", setting.name);
            for alias in setting.aliases {
                let _ = write!(name, " (also `{alias}`)");
            }
            let default = setting.default.map(|value| format!("`{value}`")).unwrap_or_default();
            let secret = if setting.secret { " Secret." } else { "" };
            let _ = writeln!(text, "| {name} | {default} | {}{secret} |", setting.doc);
        }
    }
    text
}

/// The words of `text` in lines of at most `width` characters.
fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if line.len() + 1 + word.len() <= width => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Inputs, settings};

    #[test]
    fn every_setting_is_in_both_texts_once() {
        let (example, table) = (env_example(), settings_table());
        for setting in ALL {
            assert_eq!(
                example.lines().filter(|line| line.starts_with(&format!("#{}=", setting.name))).count(),
                1
            );
            assert_eq!(table.matches(&format!("| `{}` ", setting.name)).count(), 1);
        }
    }

    #[test]
    fn the_table_needs_no_escapes() {
        assert!(settings::ALL.iter().all(|setting| !setting.doc.contains('|')));
    }

    #[test]
    fn the_example_with_its_defaults_switched_on_is_the_defaults() {
        let lines: String = env_example()
            .lines()
            .map(|line| {
                line.strip_prefix('#')
                    .filter(|rest| !rest.starts_with([' ', '#']))
                    .map_or(String::new(), |rest| format!("{rest}\n"))
            })
            .collect();
        let read =
            Inputs::parse_dotenv(&lines, std::path::Path::new(".env")).expect("the example is a .env file");
        for setting in ALL {
            assert_eq!(read.get(setting.name).map(String::as_str), Some(setting.default.unwrap_or_default()));
        }
    }
}
