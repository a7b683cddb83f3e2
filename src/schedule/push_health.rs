//! Watches how Shopee delivers the app's pushes: warned, suspended, to another address, without codes or shops
//! that are wanted. Each finding is one alert, told once and once more when it is over.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use async_trait::async_trait;
use serde_json::{Value, json};
use sqlx::PgPool;

use super::Task;
use crate::clients::error::ClientError;
use crate::clients::shopee::{PushConfig, ShopeeClient};
use crate::domain::route::{Filter, Routes};
use crate::domain::shopee::push::PLATFORM;
use crate::observability::metrics::timed_call;
use crate::store;
use crate::store::alerts::{Alert, Severity, raise, resolve_others};

/// Keys are not for novels.
const LONGEST_KEY: usize = 200;

/// See the module.
#[derive(Debug)]
pub struct PushHealth {
    /// The database.
    pub pool: PgPool,
    /// The platform.
    pub client: Arc<ShopeeClient>,
    /// `CALLBACK_URL`.
    pub callback_url: Option<String>,
    /// What is wanted.
    pub routes: Routes,
    /// `PUSH_HEALTH_INTERVAL`.
    pub every: Duration,
}

/// Something that is not as it should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Names it among the findings.
    pub key: String,
    /// Nothing, or not what is wanted, arrives until a person acts.
    pub critical: bool,
    /// What is wrong.
    pub title: String,
    /// What a person can do.
    pub remedy: String,
}

#[async_trait]
impl Task for PushHealth {
    fn name(&self) -> &'static str {
        "push_health"
    }

    fn every(&self) -> Duration {
        self.every
    }

    async fn run(&self) -> anyhow::Result<Value> {
        let asked =
            timed_call(PLATFORM, "push/get_app_push_config", ClientError::class, self.client.push_config());
        let settings = asked.await.context("reading the push settings")?;
        // What all keys of these alerts begin with.
        let prefix = format!("pushes:{PLATFORM}{}:settings:", self.client.suffix());
        let found = findings(&settings, self.callback_url.as_deref(), &self.routes);
        let mut transaction = store::begin(&self.pool).await?;
        let mut open = Vec::new();
        let mut raised = 0;
        for finding in &found {
            let key: String = format!("{prefix}{}", finding.key).chars().take(LONGEST_KEY).collect();
            let severity = if finding.critical { Severity::Critical } else { Severity::Warning };
            let alert = Alert { key: &key, severity, title: &finding.title, remedy: &finding.remedy };
            raised += i32::from(raise(&mut transaction, &alert).await?);
            open.push(key);
        }
        if settings.is_suspended() {
            // What became worse is not over.
            open.push(format!("{prefix}warning"));
        }
        let resolved = resolve_others(&mut transaction, &prefix, &open).await?;
        transaction.commit().await?;
        Ok(json!({
            "status": settings.live_push_status, "findings": found.len(), "raised": raised, "resolved": resolved,
        }))
    }
}

/// What is wrong with the push settings, by what is wanted of them.
pub fn findings(settings: &PushConfig, callback_url: Option<&str>, routes: &Routes) -> Vec<Finding> {
    let mut found = Vec::new();
    found.extend(status(settings));
    if let Some(ours) = callback_url.filter(|ours| *ours != settings.callback_url) {
        let theirs = &settings.callback_url;
        found.push(Finding {
            key: format!("callback:{theirs}"),
            critical: true,
            title: format!("Shopee pushes to {theirs:?}, CALLBACK_URL is {ours:?}"),
            remedy:
                "Make them equal byte for byte, no signature fits otherwise: set CALLBACK_URL, or pushbox \
                     shopee push-config set --callback-url URL --yes"
                    .to_owned(),
        });
    }
    // Codes that the API does not speak of are in the console alone.
    let off = |code: &i64| settings.push_config_off_list.contains(code);
    for (code, fetched) in wanted(routes).into_iter().filter(|(code, _)| off(code)) {
        let by = if fetched { "ORDER_EVENT_CODES" } else { "a [[chats]] or [[forwards]] filter" };
        found.push(Finding {
            key: format!("off:{code}"),
            critical: fetched,
            title: format!("code {code} is in {by} and switched off at Shopee"),
            remedy: format!("pushbox shopee push-config set --on {code} --yes"),
        });
    }
    found.extend(settings.blocked_shop_ids.iter().map(|shop_id| Finding {
        key: format!("blocked:{shop_id}"),
        critical: false,
        title: format!("Shopee delivers no pushes of shop {shop_id}: it is blocked in the push settings"),
        remedy: "Nothing if this is meant; else take it off the list in the console: Push Mechanism > Set Push."
            .to_owned(),
    }));
    found
}

fn status(settings: &PushConfig) -> Option<Finding> {
    if settings.is_suspended() {
        return Some(Finding {
            key: "suspended".to_owned(),
            critical: true,
            title: "Shopee has suspended all pushes".to_owned(),
            remedy: "Mend why pushes fail, then switch them on again in the console: what was missed does not come \
                     later, pushbox finds orders that changed meanwhile by asking."
                .to_owned(),
        });
    }
    settings.is_warned().then(|| Finding {
        key: "warning".to_owned(),
        critical: false,
        title: "Shopee warns: under 70 % of the pushes succeed".to_owned(),
        remedy: "Look why pushes are not answered 200 in time; below 30 % Shopee suspends them.".to_owned(),
    })
}

/// Codes that somebody waits for; true: their order is fetched.
fn wanted(routes: &Routes) -> Vec<(i64, bool)> {
    let mut codes: Vec<(i64, bool)> =
        routes.order_event_codes.iter().map(|code| (i64::from(*code), true)).collect();
    let filters =
        routes.chats.iter().map(|chat| &chat.filter).chain(routes.forwards.iter().map(|one| &one.filter));
    let of_shopee =
        |filter: &&Filter| filter.sources.is_empty() || filter.sources.iter().any(|one| one == PLATFORM);
    for code in
        filters.filter(of_shopee).flat_map(|filter| &filter.codes).filter_map(|code| code.parse().ok())
    {
        if codes.iter().all(|(known, _)| *known != code) {
            codes.push((code, false));
        }
    }
    codes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::route::ChatRoute;

    const OURS: &str = "https://hooks.example.com/webhook/shopee";

    fn settings(changed: &Value) -> PushConfig {
        let mut settings = json!({"callback_url": OURS, "live_push_status": "Normal",
            "push_config_on_list": [3, 4, 5], "push_config_off_list": [9, 10]});
        settings.as_object_mut().unwrap().extend(changed.as_object().unwrap().clone());
        serde_json::from_value(settings).unwrap()
    }

    #[test]
    fn each_fault_is_one_finding() {
        let chat = ChatRoute { chat_id: 1, filter: Filter { codes: vec!["9".into()], ..Filter::default() } };
        let routes = Routes { order_event_codes: vec![3, 10], chats: vec![chat], ..Routes::default() };
        let keys = |settings: PushConfig, routes: &Routes| -> Vec<(String, bool)> {
            findings(&settings, Some(OURS), routes).into_iter().map(|one| (one.key, one.critical)).collect()
        };
        let plain = Routes { order_event_codes: vec![3, 4, 15], ..Routes::default() };
        assert_eq!(keys(settings(&json!({})), &plain), []);
        assert_eq!(
            keys(settings(&json!({})), &routes),
            [("off:10".to_owned(), true), ("off:9".to_owned(), false)]
        );
        for (changed, expected) in [
            (json!({"live_push_status": "warning"}), ("warning", false)),
            (json!({"live_push_status": "SUSPENDED", "suspended_time": 1}), ("suspended", true)),
            (json!({"callback_url": "https://x/"}), ("callback:https://x/", true)),
            (json!({"blocked_shop_id": [7]}), ("blocked:7", false)),
        ] {
            assert_eq!(keys(settings(&changed), &plain), [(expected.0.to_owned(), expected.1)]);
        }
    }
}
