//! Checks of Shopee's side: credentials and clock by one call for each app, and the app's push settings.

use super::Check;
use crate::clients::shopee::{Apps, PushConfig, ShopeeClient};
use crate::clock;
use crate::config::Config;
use crate::schedule::push_health::{Finding, findings};

const NAME: &str = "shopee";
const PUSHES: &str = "push settings";

pub(super) async fn look(config: &Config) -> Vec<Check> {
    let apps = match Apps::new(&config.shopee, &clock::system(), |client| client) {
        Ok(apps) => apps,
        Err(error) => {
            return vec![Check::failed(NAME, error.to_string(), "Set PARTNER_ID and PARTNER_KEY.")];
        }
    };
    let mut checks = Vec::new();
    if config.encryption_key.is_none() {
        let finding = "ENCRYPTION_KEY is not set: tokens are stored as they are";
        checks.push(Check::warning(NAME, finding, "Set it to what `pushbox keygen` prints."));
    }
    for app in apps.iter() {
        checks.extend(look_at(config, app).await);
    }
    checks
}

async fn look_at(config: &Config, app: &ShopeeClient) -> Vec<Check> {
    let of = if app.is_first() { String::new() } else { format!("app {}: ", app.partner_id()) };
    match app.push_config().await {
        Ok(settings) => {
            let credentials =
                if app.is_first() { "PARTNER_ID, PARTNER_KEY" } else { "its partner_id, partner_key" };
            let finding = format!("{of}the API takes {credentials} and this machine's clock");
            let mut checks = vec![Check::ok(NAME, finding)];
            checks.extend(pushes(config, &of, &settings));
            checks
        }
        Err(error) => {
            let remedy = "See the finding; the app's page in the Shopee console has id, key and status.";
            vec![Check::failed(NAME, format!("{of}{error}"), remedy)]
        }
    }
}

fn pushes(config: &Config, of: &str, settings: &PushConfig) -> Vec<Check> {
    let found = findings(settings, config.shopee.callback_url.as_deref(), &config.routes);
    if found.is_empty() {
        return vec![Check::ok(
            PUSHES,
            format!("{of}{}, to {}", settings.live_push_status, settings.callback_url),
        )];
    }
    let check = |one: Finding| {
        let check = if one.critical { Check::failed } else { Check::warning };
        check(PUSHES, format!("{of}{}", one.title), one.remedy)
    };
    found.into_iter().map(check).collect()
}
