//! Checks of Shopee's side: credentials and clock by one call, and the app's push settings.

use super::Check;
use crate::clients::shopee::{PushConfig, ShopeeClient};
use crate::clock;
use crate::config::Config;

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
    let mut checks = Vec::new();
    if settings.is_suspended() {
        let remedy = "Mend why pushes fail, then switch them on again in the console; what was missed does not \
                      come later.";
        checks.push(Check::failed(PUSHES, "Shopee has suspended all pushes", remedy));
    } else if settings.is_warned() {
        let remedy = "Look why pushes are not answered 200 in time; below 30 % Shopee suspends them.";
        checks.push(Check::warning(PUSHES, "Shopee warns: under 70 % of the pushes succeed", remedy));
    }
    match &config.shopee.callback_url {
        Some(ours) if *ours != settings.callback_url => checks.push(Check::failed(
            PUSHES,
            format!("Shopee pushes to {:?}, CALLBACK_URL is {ours:?}", settings.callback_url),
            "Make them equal byte for byte: no signature fits otherwise.",
        )),
        _ => {}
    }
    // Codes that the API does not speak of are in the console alone.
    let off = |code: &&i32| settings.push_config_off_list.contains(&i64::from(**code));
    for code in config.routes.order_event_codes.iter().filter(off) {
        checks.push(Check::failed(
            PUSHES,
            format!("code {code} is in ORDER_EVENT_CODES and switched off at Shopee"),
            format!("pushbox shopee push-config set --on {code} --yes"),
        ));
    }
    if checks.is_empty() {
        checks
            .push(Check::ok(PUSHES, format!("{}, to {}", settings.live_push_status, settings.callback_url)));
    }
    checks
}
