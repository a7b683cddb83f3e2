//! What people change while pushbox runs: kept in the database, between the environment and `pushbox.toml`.
//!
//! The environment wins over it, so that whoever deploys can pin a value; it wins over the file. Only settings that
//! are declared `live`, and the lists of [`LISTS`], can be changed so. Nothing here reads the database: who has read
//! it gives a [`Stored`] to [`Config::with_stored`].

use std::collections::BTreeMap;
use std::sync::Arc;

use arc_swap::ArcSwap;
use url::Url;

use crate::config::fault::Faults;
use crate::config::inputs::{Inputs, Stored};
use crate::config::lookup::{Lookup, Origin};
use crate::config::settings::{self, Setting};
use crate::config::toml_file::Entry;
use crate::config::{Config, Loaded};

/// The lists of `pushbox.toml` that can be changed, each as a whole.
pub const LISTS: [&str; 3] = ["chats", "spreadsheets", "forwards"];

/// A configuration that is replaced when people change it; whoever holds one asks again for each piece of work.
pub type SharedConfig = Arc<ArcSwap<Config>>;

/// A setting as it is in force.
#[derive(Debug, Clone)]
pub struct InForce {
    /// What it is.
    pub setting: &'static Setting,
    /// Where its value comes from.
    pub origin: Origin,
    /// The value as text; of a secret none, or what of it may be seen.
    pub value: Option<String>,
}

/// A list as it is in force: each entry its keys with their values, secrets among them.
pub type ListEntries = Vec<BTreeMap<String, String>>;

impl Config {
    /// The same with what people changed: [`Config::load`] once more, for the same roles.
    ///
    /// # Errors
    /// Everything that is wrong with the whole, each with its setting and the remedy.
    pub fn with_stored(&self, stored: Stored) -> Result<Loaded, Faults> {
        let inputs = Inputs { stored, ..(*self.inputs).clone() };
        Self::load(&inputs, &self.roles)
    }

    /// What people changed, as this configuration has it.
    pub fn stored(&self) -> &Stored {
        &self.inputs.stored
    }

    /// Every setting, by section, with where its value comes from. Secrets are not told.
    pub fn in_force(&self) -> Vec<InForce> {
        let mut lookup = Lookup::new(&self.inputs);
        settings::ALL.iter().map(|setting| in_force(&mut lookup, setting)).collect()
    }

    /// Which list is in force and where it comes from, **secrets included**; never [`Origin::Environment`].
    pub fn list(&self, name: &str) -> (Origin, ListEntries) {
        let lookup = Lookup::new(&self.inputs);
        let entries = match name {
            "chats" => &lookup.file.chats,
            "spreadsheets" => &lookup.file.spreadsheets,
            _ => &lookup.file.forwards,
        };
        let origin = match (self.inputs.stored.0.contains_key(name), entries.is_empty()) {
            (true, _) => Origin::Changed,
            (false, false) => Origin::File,
            (false, true) => Origin::Unset,
        };
        let plain = |entry: &Entry| entry.values.clone();
        (origin, entries.iter().map(plain).collect())
    }
}

fn in_force(lookup: &mut Lookup<'_>, setting: &'static Setting) -> InForce {
    let (origin, text) = lookup.origin(setting).unwrap_or_else(|| match setting.default {
        Some(default) => (Origin::Default, default.to_owned()),
        None => (Origin::Unset, String::new()),
    });
    let value = match () {
        () if text.is_empty() => None,
        () if !setting.secret => Some(text),
        () if *setting == settings::FORWARD_URL => Url::parse(&text).ok().map(|url| without_query(&url)),
        () => None,
    };
    InForce { setting, origin, value }
}

/// The URL without what may be secret.
pub(super) fn without_query(url: &Url) -> String {
    let mut shown = url.clone();
    shown.set_query(None);
    shown.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Roles;

    const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

    fn base(variables: &[(&str, &str)], toml: &str) -> Config {
        let environment = variables.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
        let toml = Some(("pushbox.toml".into(), toml.to_owned()));
        let inputs = Inputs { environment, toml, ..Inputs::default() };
        Config::load(&inputs, &Roles::none()).unwrap_or_else(|faults| panic!("{faults}")).config
    }

    fn stored(values: &[(&str, &str)]) -> Stored {
        Stored(values.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect())
    }

    fn origin(config: &Config, name: &str) -> (Origin, Option<String>) {
        let found = config.in_force().into_iter().find(|one| one.setting.name == name).expect("a setting");
        (found.origin, found.value)
    }

    #[test]
    fn the_environment_wins_over_what_people_changed_and_that_over_the_file() {
        let config = base(&[("TELEGRAM_MODE", "edit")], "order_event_codes = [3]\ntelegram_mode = 'message'");
        let changed = [("TELEGRAM_MODE", "message"), ("ORDER_EVENT_CODES", "4,29"), ("LISTEN", "1.2.3.4:5")];
        let now = config.with_stored(stored(&changed)).expect("no faults").config;
        assert_eq!(now.routes.order_event_codes, [4, 29]);
        assert_eq!(now.listen, config.listen, "not one that can be changed");
        let environment = Origin::Environment("TELEGRAM_MODE".to_owned());
        assert_eq!(origin(&now, "TELEGRAM_MODE"), (environment, Some("edit".to_owned())));
        assert_eq!(origin(&now, "ORDER_EVENT_CODES"), (Origin::Changed, Some("4,29".to_owned())));
        assert_eq!(origin(&config, "ORDER_EVENT_CODES"), (Origin::File, Some("3".to_owned())));
        assert_eq!(origin(&config, "MAX_ATTEMPTS"), (Origin::Default, Some("20".to_owned())));
        assert_eq!(origin(&config, "SHOP_ID"), (Origin::Unset, None));
        assert_eq!(now.with_stored(Stored::default()).expect("no faults").config.routes, config.routes);
    }

    #[test]
    fn lists_are_replaced_as_a_whole_and_checked_like_the_file() {
        let config = base(&[("TELEGRAM_BOT_TOKEN", "1:a")], "[[chats]]\nchat_id = -1001\ncodes = [29]");
        assert_eq!(config.list("chats").0, Origin::File);
        let lists = r#"[{"chat_id": "-1002"}, {"chat_id": "-1003", "codes": "3,4"}]"#;
        let now = config.with_stored(stored(&[("chats", lists)])).expect("no faults").config;
        let chats: Vec<_> =
            now.routes.chats.iter().map(|one| (one.chat_id, one.filter.codes.len())).collect();
        assert_eq!(chats, [(-1002, 0), (-1003, 2)]);
        assert_eq!(
            now.list("chats"),
            (
                Origin::Changed,
                vec![
                    [("chat_id".to_owned(), "-1002".to_owned())].into(),
                    [("chat_id".to_owned(), "-1003".to_owned()), ("codes".to_owned(), "3,4".to_owned())]
                        .into(),
                ]
            )
        );
        let faults = config.with_stored(stored(&[("chats", r#"[{"chat_id": "x"}, {"chat": "1"}]"#)]));
        let faults = faults.expect_err("faults").to_string();
        assert!(faults.contains("chats 1 chat_id") && faults.contains("chats 2 chat:"), "{faults}");
        assert!(config.with_stored(stored(&[("chats", "{")])).is_err());
    }

    #[test]
    fn switched_off_makes_no_new_work_and_keeps_what_finishes_the_old() {
        let variables =
            [("TELEGRAM_BOT_TOKEN", "1:a"), ("TELEGRAM_CHAT_ID", "-1"), ("FORWARD_SECRET", SECRET)];
        let config = base(&variables, "[[forwards]]\nurl = 'https://a.example/x?k=hush'");
        assert_eq!(config.routes.forwards.len(), 1);
        let off = [("TELEGRAM_ENABLED", "false"), ("FORWARD_ENABLED", "false"), ("SHEETS_ENABLED", "false")];
        let now = config.with_stored(stored(&off)).expect("no faults").config;
        assert!(now.routes.chats.is_empty() && now.routes.forwards.is_empty());
        assert!(now.telegram.is_some() && now.forward.is_some());
    }

    #[test]
    fn secrets_are_not_told() {
        let variables = [("FORWARD_URL", "https://a.example/in?token=hush"), ("FORWARD_SECRET", SECRET)];
        let config = base(&variables, "");
        assert_eq!(origin(&config, "FORWARD_URL").1.as_deref(), Some("https://a.example/in"));
        assert_eq!(origin(&config, "FORWARD_SECRET").1, None);
        let told = format!("{:?} {:?}", config.in_force(), config);
        assert!(!told.contains("hush") && !told.contains(SECRET));
    }
}
