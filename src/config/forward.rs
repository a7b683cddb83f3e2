//! Reads where events are forwarded to.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use secrecy::SecretString;
use url::Url;

use crate::config::fault::Refusal;
use crate::config::in_force::without_query;
use crate::config::lookup::{Found, Lookup};
use crate::config::roles::{Role, Roles};
use crate::config::settings as set;
use crate::config::toml_file::Entry;
use crate::config::{ForwardSettings, ForwardTarget, parse, sinks};
use crate::domain::route::{Filter, ForwardRoute};

/// Where events are forwarded to, and which of them.
pub(super) fn forward(
    lookup: &mut Lookup<'_>,
    roles: &Roles,
) -> (Option<ForwardSettings>, Vec<ForwardRoute>) {
    let enabled = lookup.value(&set::FORWARD_ENABLED, parse::boolean);
    let allow_private = lookup.value(&set::FORWARD_ALLOW_PRIVATE, parse::boolean);
    let retry_for = lookup.value(&set::FORWARD_RETRY_FOR, parse::duration);
    let common = lookup.optional(&set::FORWARD_SECRET, secrets);
    let has_common = lookup.is_given(&set::FORWARD_SECRET);
    let mut reader = Reader { allow_private, targets: Vec::new(), routes: Vec::new() };
    if let Some(url) = lookup.optional(&set::FORWARD_URL, |text| target_url(text, allow_private)) {
        if !has_common && roles.has(Role::Worker) {
            lookup.require(&set::FORWARD_SECRET, "what is forwarded is signed with it", REMEDY);
        }
        reader.add(url, Some(DEFAULT.to_owned()), common.clone(), Filter::default());
    }
    for entry in std::mem::take(&mut lookup.file.forwards) {
        reader.entry(lookup, &entry, common.as_ref(), has_common, roles);
    }
    let Reader { targets, routes, .. } = reader;
    if routes.is_empty() {
        return (None, routes);
    }
    // What waits already is still posted.
    let routes = if enabled { routes } else { Vec::new() };
    (Some(ForwardSettings { targets, allow_private, retry_for }), routes)
}

/// What `FORWARD_URL` is called: not by its address, so that what waits for it follows when the address changes.
const DEFAULT: &str = "default";

const REMEDY: &str = "Set it to what `pushbox keygen` prints, and give the same to the service.";

struct Reader {
    allow_private: bool,
    targets: Vec<ForwardTarget>,
    routes: Vec<ForwardRoute>,
}

impl Reader {
    fn entry(
        &mut self,
        lookup: &mut Lookup<'_>,
        entry: &Entry,
        common: Option<&Vec<SecretString>>,
        has_common: bool,
        roles: &Roles,
    ) {
        let faults = lookup.faults.len();
        let Some(found) = lookup.in_entry(entry, "url", true) else {
            if lookup.faults.len() == faults {
                lookup.missing(entry, "url");
            }
            return;
        };
        let Some(url) = lookup.parsed(found, |text| target_url(text, self.allow_private)) else { return };
        let own = lookup.in_entry(entry, "secret", true);
        let is_given = own.is_some() || lookup.faults.len() > faults;
        let own = own.and_then(|found: Found| lookup.parsed(found, secrets));
        if !is_given && !has_common && roles.has(Role::Worker) {
            lookup.missing(entry, "secret");
        }
        let name = lookup.in_entry(entry, "name", false).map(|found| found.text);
        if !self.add(url, name, own.or_else(|| common.cloned()), sinks::filter(entry)) {
            lookup.twice(entry);
        }
    }

    /// False: there is one of this name.
    fn add(
        &mut self,
        url: Url,
        name: Option<String>,
        secrets: Option<Vec<SecretString>>,
        filter: Filter,
    ) -> bool {
        let name = name.unwrap_or_else(|| without_query(&url));
        if self.routes.iter().any(|route| route.target == name) {
            return false;
        }
        self.routes.push(ForwardRoute { target: name.clone(), filter });
        self.targets.push(ForwardTarget { name, url, secrets: secrets.unwrap_or_default() });
        true
    }
}

fn target_url(text: &str, allow_private: bool) -> Result<Url, Refusal> {
    let remedy = "Write the whole address, for example https://erp.example.com/hooks/pushbox.";
    // The value is not repeated: it may hold a secret.
    let url = Url::parse(text).map_err(|error| Refusal::new(format!("is not a URL: {error}"), remedy))?;
    if !matches!(url.scheme(), "http" | "https") || url.host().is_none() {
        return Err(Refusal::new("is not an https URL", remedy));
    }
    if !url.username().is_empty() || url.password().is_some() || url.fragment().is_some() {
        return Err(Refusal::new("carries a user or a fragment", remedy));
    }
    if url.scheme() == "http" && !allow_private {
        return Err(Refusal::new(
            "is plain http: orders would travel readable",
            "Use https; in a network of your own set FORWARD_ALLOW_PRIVATE=true.",
        ));
    }
    Ok(url)
}

/// The bytes of a key of Standard Webhooks; none if it is not one.
fn key(text: &str) -> Option<Vec<u8>> {
    STANDARD.decode(text.strip_prefix("whsec_")?).ok().filter(|key| (24..=64).contains(&key.len()))
}

fn secrets(text: &str) -> Result<Vec<SecretString>, Refusal> {
    let items = parse::items(text);
    if items.is_empty() || items.iter().any(|item| key(item).is_none()) {
        return Err(Refusal::new(
            "is not whsec_ and 24 to 64 bytes in base64",
            "Use what `pushbox keygen` prints; several are separated by commas.",
        ));
    }
    Ok(items.into_iter().map(SecretString::from).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Config, Inputs, Loaded};

    const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

    fn load(variables: &[(&str, &str)], toml: &str) -> Result<Loaded, String> {
        let environment = variables.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
        let toml = Some(("pushbox.toml".into(), toml.to_owned()));
        Config::load(&Inputs { environment, toml, ..Inputs::default() }, &Roles::none()).map_err(|faults| {
            let lines = faults.iter().map(|fault| format!("{}: {}", fault.setting, fault.problem));
            lines.collect::<Vec<_>>().join("\n")
        })
    }

    #[test]
    fn targets_have_names_without_secrets_filters_and_keys() {
        let toml = format!(
            "[[forwards]]\nurl = 'https://a.example/x'\ncodes = [29]\nsecret = '{SECRET}'\n
             [[forwards]]\nname = 'erp'\nurl_env = 'ERP'\nshops = [7]\n"
        );
        let both = format!("{SECRET},whsec_{}", STANDARD.encode([7; 32]));
        let variables = [
            ("FORWARD_URL", "https://hooks.example.com/in?token=hush"),
            ("FORWARD_SECRET", both.as_str()),
            ("ERP", "https://erp.example.com"),
        ];
        let config = load(&variables, &toml).expect("no faults").config;
        let names: Vec<&str> = config.routes.forwards.iter().map(|one| one.target.as_str()).collect();
        assert_eq!(names, ["default", "https://a.example/x", "erp"]);
        assert_eq!(config.routes.forwards[1].filter.codes, ["29"]);
        let forward = config.forward.as_ref().expect("forwarding");
        let keys: Vec<usize> = forward.targets.iter().map(|target| target.secrets.len()).collect();
        assert_eq!(keys, [2, 1, 2]);
        assert!(!forward.allow_private);
        assert!(!format!("{config:?}").contains("hush"));
    }

    #[test]
    fn faults_name_the_setting_and_hide_the_value() {
        let toml =
            "[[forwards]]\nname = 'x'\n[[forwards]]\nurl = 'http://10.0.0.1/x?token=hush'\nsecret = 'hush'";
        let found = load(&[("FORWARD_SECRET", "whsec_hush")], toml).expect_err("faults");
        assert_eq!(
            found,
            "FORWARD_SECRET: is not whsec_ and 24 to 64 bytes in base64\n\
             pushbox.toml [[forwards]] 1 url: not set\n\
             pushbox.toml [[forwards]] 2 url: is plain http: orders would travel readable"
        );
        let allowed = [("FORWARD_ALLOW_PRIVATE", "true"), ("FORWARD_SECRET", SECRET)];
        let toml = "[[forwards]]\nurl = 'http://10.0.0.1/x'\n[[forwards]]\nurl = 'http://10.0.0.1/x?again'";
        assert_eq!(load(&allowed, toml).expect_err("faults"), "pushbox.toml [[forwards]] 2: listed twice");
    }

    #[test]
    fn a_worker_needs_the_secret_a_receiver_does_not() {
        let toml = "[[forwards]]\nurl = 'https://a.example/x'";
        assert!(load(&[], toml).is_ok());
        let inputs = Inputs {
            environment: [("PARTNER_ID".to_owned(), "1".to_owned()), ("PARTNER_KEY".into(), "k".into())]
                .into(),
            toml: Some(("pushbox.toml".into(), toml.to_owned())),
            ..Inputs::default()
        };
        let faults = Config::load(&inputs, &Roles::from_iter([Role::Worker])).expect_err("a fault");
        assert!(faults.to_string().contains("[[forwards]] 1 secret: not set"), "{faults}");
    }
}
