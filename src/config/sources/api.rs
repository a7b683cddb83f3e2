//! The API of a source's platform, where it has one that pushbox can use: for polling and subscriptions.

use super::auth::secret_text;
use super::section::Section;
use crate::config::fault::Refusal;
use crate::config::lookup::Lookup;
use crate::config::{PlatformApi, parse};
use crate::domain::sources::Source;

/// Where Shopery's API is.
const SHOPERY: &str = "https://api.shopery.app";
/// Topics that are subscribed to when nobody says.
const SHOPLAZZA_TOPICS: &[&str] = &[
    "orders/create",
    "orders/update",
    "orders/paid",
    "orders/fulfilled",
    "orders/partially_fulfilled",
    "orders/cancelled",
    "orders/refunded",
    "orders/partially_refunded",
    "orders/finished",
    "app/uninstalled",
];

/// Reads `api` and `subscriptions`; none when the source has no `api`.
pub(super) fn api(lookup: &mut Lookup<'_>, top: &mut Section, source: &Source) -> Option<PlatformApi> {
    let given = top.has("api");
    let subscribed = top.has("subscriptions");
    let mut section = top.section(lookup, "api");
    let mut wanted = top.section(lookup, "subscriptions");
    if !given {
        if subscribed {
            wanted.fault(lookup, "address", Refusal::new("there is no api", "Set api.token_env as well."));
        }
        return None;
    }
    let shoplazza = source.platform == "shoplazza";
    if !shoplazza && source.platform != "shopery" {
        let problem = format!("pushbox knows no API of {}", source.platform);
        section.fault(lookup, "url", Refusal::new(problem, "Remove api; Shoplazza and Shopery have one."));
    }
    let url_given = section.has("url");
    let url = section.parsed(lookup, "url", parse::base_url);
    let url = url.or_else(|| (!shoplazza && !url_given).then(|| SHOPERY.parse().ok()).flatten());
    let faults = lookup.faults.len();
    let token = secret_text(lookup, &mut section, "token");
    if token.is_none() && lookup.faults.len() == faults {
        section.fault(lookup, "token", Refusal::new("not set", "Set api.token_env = \"NAME\"."));
    }
    if url.is_none() && !url_given {
        section.fault(lookup, "url", Refusal::new("not set", "Write https://<shop>.myshoplaza.com."));
    }
    let host = url.as_ref().and_then(|url| url.host_str()).unwrap_or_default().to_owned();
    let account = section.text(lookup, "account").unwrap_or(host);
    let version = section.text(lookup, "version").unwrap_or_else(|| "2026-01".to_owned());
    let tenant = section.text(lookup, "tenant");
    let address_given = wanted.has("address");
    let address = wanted.parsed(lookup, "address", parse::callback_url);
    let topics = match wanted.list(lookup, "topics", |text| Ok(text.to_owned())) {
        topics if topics.is_empty() && shoplazza => {
            SHOPLAZZA_TOPICS.iter().map(|topic| (*topic).to_owned()).collect()
        }
        topics => topics,
    };
    let recreate = wanted.flag(lookup, "recreate");
    if subscribed && !address_given {
        let remedy =
            "Write the address that the platform pushes to, such as https://hooks.example.com/webhook/NAME.";
        wanted.fault(lookup, "address", Refusal::new("not set", remedy));
    }
    section.finish(lookup);
    wanted.finish(lookup);
    Some(PlatformApi {
        source: source.name.clone(),
        platform: source.platform.clone(),
        account,
        version,
        tenant,
        address,
        topics,
        recreate,
        url: url?,
        token: token?,
    })
}
