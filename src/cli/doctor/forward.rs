//! Checks of the services that events are forwarded to: an address that may be used, and somebody there.

use super::Check;
use crate::clients::forward::{ForwardClient, ForwardError};
use crate::config::Config;

const NAME: &str = "forward";

pub(super) async fn look(config: &Config) -> Vec<Check> {
    let Some(settings) = &config.forward else { return Vec::new() };
    let client = match ForwardClient::new(settings.allow_private) {
        Ok(client) => client,
        Err(error) => return vec![Check::failed(NAME, error.to_string(), "See the finding.")],
    };
    let mut checks = Vec::new();
    for target in &settings.targets {
        let name = &target.name;
        checks.push(match client.reach(&target.url).await {
            Ok(status) => Check::ok(NAME, format!("{name} answers (HTTP {status} to OPTIONS)")),
            Err(ForwardError::Forbidden(why)) => Check::failed(
                NAME,
                format!("{name}: {why}"),
                "Use an address of the public internet, or set FORWARD_ALLOW_PRIVATE=true if this one is meant.",
            ),
            Err(error) => Check::failed(
                NAME,
                format!("{name}: {error}"),
                "Check the URL, its DNS name, its certificate, and that the service runs.",
            ),
        });
    }
    checks
}
