//! Checks of Shopee's side: credentials and clock by one call, and the app's push settings.

use super::Check;
use crate::clients::shopee::{PushConfig, ShopeeClient};
use crate::clock;
use crate::config::Config;
use crate::schedule::push_health::{Finding, findings};

const NAME: &str = "shopee";
const PUSHES: &str = "push settings";

pub(super) async fn look(config: &Config) -> Vec<Check> {
    let client = match ShopeeClient::new(&config.shopee, clock::system()) {
        Ok(client) => client,
        Err(error) => {
            return vec![Check::failed(NAME, error.to_string(), "Set PARTNER_ID and PARTNER_KEY.")];
        }
    };
    let mut checks = Vec::new();
    if config.encryption_key.is_none() {
        let finding = "ENCRYPTION_KEY is not set: tokens are stored as they are";
        checks.push(Check::warning(NAME, finding, "Set it to what `pushbox keygen` prints."));
    }
    match client.push_config().await {
        Ok(settings) => {
            checks.push(Check::ok(NAME, "the API takes PARTNER_ID, PARTNER_KEY and this machine's clock"));
            checks.extend(pushes(config, &settings));
        }
        Err(error) => {
            let remedy = "See the finding; the app's page in the Shopee console has id, key and status.";
            checks.push(Check::failed(NAME, error.to_string(), remedy));
        }
    }
    checks
}

fn pushes(config: &Config, settings: &PushConfig) -> Vec<Check> {
    let found = findings(settings, config.shopee.callback_url.as_deref(), &config.routes);
    if found.is_empty() {
        return vec![Check::ok(
            PUSHES,
            format!("{}, to {}", settings.live_push_status, settings.callback_url),
        )];
    }
    let check = |one: Finding| {
        let check = if one.critical { Check::failed } else { Check::warning };
        check(PUSHES, one.title, one.remedy)
    };
    found.into_iter().map(check).collect()
}
