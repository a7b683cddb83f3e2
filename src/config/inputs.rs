//! What a configuration is made of, and the one place that reads it from the process.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use crate::config::fault::{Fault, Faults};

/// Texts by the name of their setting, and lists by theirs as JSON: `[{"chat_id": "-1001", "codes": "3,4"}]`.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Stored(pub BTreeMap<String, String>);

/// Names only: values may be secret.
impl fmt::Debug for Stored {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

/// What [`Config::load`](crate::config::Config::load) reads: variables and one file's text.
#[derive(Clone, Default)]
pub struct Inputs {
    /// The variables, those of `.env` included.
    pub environment: BTreeMap<String, String>,
    /// `pushbox.toml`: where it is (its relative paths begin there) and its text.
    pub toml: Option<(PathBuf, String)>,
    /// What people changed while pushbox ran.
    pub stored: Stored,
}

impl Inputs {
    /// The variables of the process, those of `.env` in the working directory that the process does not
    /// set, and `pushbox.toml`: `config`, else `PUSHBOX_CONFIG`, else the one in the working directory.
    ///
    /// A file that is named must exist; `.env` and the `pushbox.toml` of the working directory need not.
    pub fn from_process(config: Option<&Path>) -> Result<Self, Faults> {
        let mut environment: BTreeMap<String, String> = std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .collect();
        let dotenv = Path::new(".env");
        if let Some(text) = read_if_there(dotenv)? {
            for (name, value) in Self::parse_dotenv(&text, dotenv)? {
                environment.entry(name).or_insert(value);
            }
        }
        let named = environment.get("PUSHBOX_CONFIG").filter(|path| !path.trim().is_empty());
        let named = config.map(Path::to_owned).or_else(|| named.map(|path| PathBuf::from(path.trim())));
        let toml = if let Some(path) = named {
            let text = std::fs::read_to_string(&path).map_err(|error| unreadable(&path, &error))?;
            Some((path, text))
        } else {
            let path = PathBuf::from("pushbox.toml");
            read_if_there(&path)?.map(|text| (path, text))
        };
        Ok(Self { environment, toml, stored: Stored::default() })
    }

    /// The variables of a `.env` text. A fault names the line, not what is on it.
    pub(super) fn parse_dotenv(text: &str, path: &Path) -> Result<BTreeMap<String, String>, Faults> {
        dotenvy::from_read_iter(text.as_bytes()).collect::<Result<_, _>>().map_err(|error| {
            let place = match error {
                dotenvy::Error::LineParse(ref line, _) => text
                    .lines()
                    .position(|candidate| candidate.contains(line.lines().next().unwrap_or_default()))
                    .map_or_else(String::new, |index| format!("line {} ", index + 1)),
                _ => String::new(),
            };
            Fault {
                setting: path.display().to_string(),
                problem: format!("{place}cannot be read as NAME=value"),
                remedy: "Put a value with spaces, quotes, `$` or `#` into single quotes, on one line.".into(),
            }
            .into()
        })
    }
}

/// Names only: values may be secret.
impl fmt::Debug for Inputs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inputs")
            .field("environment", &self.environment.keys())
            .field("toml", &self.toml.as_ref().map(|(path, _)| path))
            .field("stored", &self.stored)
            .finish()
    }
}

fn read_if_there(path: &Path) -> Result<Option<String>, Faults> {
    match std::fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(unreadable(path, &error)),
    }
}

fn unreadable(path: &Path, error: &std::io::Error) -> Faults {
    Fault {
        setting: path.display().to_string(),
        problem: format!("cannot be read: {error}"),
        remedy: "Check the path and that this user may read it.".into(),
    }
    .into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dotenv_faults_name_the_line_and_keep_the_secret() {
        let text = "LISTEN=127.0.0.1:1\nPARTNER_KEY='top secret\n";
        let faults = Inputs::parse_dotenv(text, Path::new(".env")).unwrap_err().to_string();
        assert!(faults.contains(".env: line 2 cannot be read"), "{faults}");
        assert!(!faults.contains("top secret"), "{faults}");
    }

    #[test]
    fn debug_shows_names_only() {
        let inputs = Inputs {
            environment: [("PARTNER_KEY".to_owned(), "hunter2".to_owned())].into(),
            toml: Some(("pushbox.toml".into(), "partner_key = 'hunter2'".into())),
            stored: Stored([("FORWARD_SECRET".to_owned(), "hunter2".to_owned())].into()),
        };
        let text = format!("{inputs:?}");
        assert!(text.contains("PARTNER_KEY") && !text.contains("hunter2"), "{text}");
    }
}
