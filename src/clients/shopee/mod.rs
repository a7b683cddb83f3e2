//! Shopee Open Platform, API v2.
//!
//! A call succeeded when its `error` is empty, whatever the HTTP status says; every other answer goes through
//! [`classify::classify`], the one table of what a failure means. Nothing is repeated here except what only
//! this module can know how to ask differently: a batch that was refused as a whole is asked in parts, so that
//! one order that Shopee does not like cannot hold up its neighbours.
//!
//! Before each call stands a [`gate`], so that all processes together keep to the pace that Shopee bears.
//!
//! Start at [`ShopeeClient`]; what it asks for is in `orders`, `order_list`, `escrow_list`, `tokens`, `shops` and
//! `pushes`.

mod apps;
pub mod classify;
mod escrow_list;
pub mod gate;
mod income;
mod lenient;
mod order;
mod order_list;
mod orders;
mod pushes;
mod shops;
pub mod sign;
mod tokens;

use std::borrow::Cow;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use bytes::Bytes;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;
use url::Url;

use crate::clients::error::{ClientError, Concern, RateScope};
use crate::clients::http::{self, Reply};
use crate::clock::SharedClock;
use crate::config::{ShopeeApp, ShopeeSettings};
use crate::domain::order::OrderRef;

use gate::Gate;

pub use apps::Apps;
pub use escrow_list::{ReleasePage, Released};
pub use order_list::{LONGEST_RANGE, ListedOrder, OrderPage, OrderState};
pub use orders::{Answers, MAX_ORDERS};
pub use pushes::{LostPage, LostPush, PushChange, PushConfig};
pub use shops::{AuthorizedShop, ShopPage};
pub use tokens::{Account, Authorized, TokenPair};

/// Answers that say an error although there is none, by the call that is known for it: Shopee's own samples
/// of these show `-` for "no error".
const TOLERATED: [(&str, &str); 3] = [
    ("/api/v2/push/get_lost_push_message", "-"),
    ("/api/v2/push/confirm_consumed_lost_push_message", "-"),
    ("/api/v2/order/get_package_detail", "-"),
];

/// Fifty orders with all fields take Shopee some seconds.
const TIMEOUT: Duration = Duration::from_secs(30);

/// On whose behalf a shop's call is made.
#[derive(Debug, Clone)]
pub struct Credentials {
    /// The shop.
    pub shop_id: i64,
    /// The app that its token belongs to; none: that of `PARTNER_ID`.
    pub partner_id: Option<i64>,
    /// Its access token.
    pub access_token: SecretString,
}

/// The Shopee API for one app. Cheap to share behind an `Arc`; keeps connections, no tokens.
#[derive(Debug)]
pub struct ShopeeClient {
    http: reqwest::Client,
    api_url: Url,
    partner_id: i64,
    partner_key: SecretString,
    /// Tells what is kept for this app from what is kept for others.
    suffix: String,
    clock: SharedClock,
    redirect_url: Option<Url>,
    auth_url: Url,
    gate: Option<Arc<dyn Gate>>,
    /// The batch endpoint for escrow is not there in the form we know: ask order by order.
    escrow_one_by_one: AtomicBool,
}

/// What is sent besides the signature.
enum Ask<'a> {
    Get(&'a [(&'a str, Cow<'a, str>)]),
    Post(serde_json::Value),
}

impl ShopeeClient {
    /// A client for the app of `PARTNER_ID`; `Configuration` if the app's id or key is not set.
    pub fn new(settings: &ShopeeSettings, clock: SharedClock) -> Result<Self, ClientError> {
        let missing = |name| {
            ClientError::configuration(Concern::App, format!("{name} is not set"), format!("set {name}"))
        };
        Ok(Self {
            http: http::client(&settings.api_url, TIMEOUT)?,
            api_url: settings.api_url.clone(),
            partner_id: settings.partner_id.ok_or_else(|| missing("PARTNER_ID"))?,
            partner_key: settings.partner_key.clone().ok_or_else(|| missing("PARTNER_KEY"))?,
            suffix: String::new(),
            clock,
            redirect_url: settings.redirect_url.clone(),
            auth_url: settings.auth_url.clone(),
            gate: None,
            escrow_one_by_one: AtomicBool::new(false),
        })
    }

    /// A client for one of the further apps.
    pub fn further(
        app: &ShopeeApp,
        settings: &ShopeeSettings,
        clock: SharedClock,
    ) -> Result<Self, ClientError> {
        let settings = ShopeeSettings {
            partner_id: Some(app.partner_id),
            partner_key: Some(app.partner_key.clone()),
            ..settings.clone()
        };
        let client = Self::new(&settings, clock)?;
        Ok(Self { suffix: format!("/{}", app.partner_id), ..client })
    }

    /// The same client, whose calls go through a gate.
    #[must_use]
    pub fn with_gate(self, gate: Arc<dyn Gate>) -> Self {
        Self { gate: Some(gate), ..self }
    }

    /// The app's id.
    pub fn partner_id(&self) -> i64 {
        self.partner_id
    }

    /// Behind the names of what is kept for this app alone (its budget, its alerts): nothing for that of
    /// `PARTNER_ID`, else `/` and the partner id.
    pub fn suffix(&self) -> &str {
        &self.suffix
    }

    /// Whether shops whose app nobody has noted are this one's: it is the app of `PARTNER_ID`.
    pub fn is_first(&self) -> bool {
        self.suffix.is_empty()
    }

    /// The URL of a call, signed now. `path` begins with `/api/v2/`.
    fn signed_url(&self, path: &str, shop: Option<&Credentials>) -> Url {
        let timestamp = self.clock.now().timestamp();
        let base = sign::base_string(self.partner_id, path, timestamp, shop);
        let mut url = self.api_url.clone();
        url.set_path(&format!("{}{path}", self.api_url.path().trim_end_matches('/')));
        let mut query = url.query_pairs_mut();
        query
            .clear()
            .append_pair("partner_id", &self.partner_id.to_string())
            .append_pair("timestamp", &timestamp.to_string())
            .append_pair("sign", &sign::signature(&self.partner_key, &base));
        if let Some(shop) = shop {
            query
                .append_pair("access_token", shop.access_token.expose_secret())
                .append_pair("shop_id", &shop.shop_id.to_string());
        }
        drop(query);
        url
    }

    /// One call; the body of a successful answer. No such API at the address means that the address is wrong.
    async fn call(&self, path: &str, shop: Option<&Credentials>, ask: Ask<'_>) -> Result<Bytes, ClientError> {
        self.try_call(path, shop, ask).await.map_err(|error| match error {
            ClientError::Rejected { code, message } if classify::is_no_api(&code) => {
                ClientError::configuration(Concern::App, format!("{code}: {message}"), "check SHOPEE_API_URL")
            }
            error => error,
        })
    }

    /// One call to an API that need not be there, through the gate.
    async fn try_call(
        &self,
        path: &str,
        shop: Option<&Credentials>,
        ask: Ask<'_>,
    ) -> Result<Bytes, ClientError> {
        let Some(gate) = &self.gate else { return self.send(path, shop, ask).await };
        let pass = gate.enter(shop.map(|one| one.shop_id)).await?;
        // Signed behind the gate: a signature ages.
        let answer = self.send(path, shop, ask).await;
        gate.leave(pass, answer.as_ref().err()).await;
        answer
    }

    async fn send(&self, path: &str, shop: Option<&Credentials>, ask: Ask<'_>) -> Result<Bytes, ClientError> {
        let mut url = self.signed_url(path, shop);
        let request = match ask {
            Ask::Get(parameters) => {
                url.query_pairs_mut().extend_pairs(parameters);
                self.http.get(url)
            }
            Ask::Post(body) => self.http.post(url).json(&body),
        };
        let reply = http::fetch(request).await?;
        tracing::debug!(api.path = path, http.status = reply.status, "Shopee answered");
        match verdict(path, &reply) {
            Ok(()) => Ok(reply.body),
            Err(ClientError::RateLimited { scope, .. }) => {
                let until_reset =
                    (scope == RateScope::Daily).then(|| classify::until_quota_reset(self.clock.now()));
                Err(ClientError::RateLimited { retry_after: reply.retry_after.or(until_reset), scope })
            }
            Err(error) => Err(error),
        }
    }
}

/// Success or what the failure means. `error` decides; the status counts where there is none.
fn verdict(path: &str, reply: &Reply) -> Result<(), ClientError> {
    #[derive(Deserialize)]
    struct Verdict {
        error: Option<String>,
        #[serde(default, deserialize_with = "lenient::text")]
        message: String,
    }
    match serde_json::from_slice::<Verdict>(&reply.body) {
        Ok(Verdict { error: None, .. }) if reply.is_success() => Ok(()),
        Ok(Verdict { error: Some(error), .. }) if error.is_empty() => Ok(()),
        Ok(Verdict { error: Some(error), .. }) if TOLERATED.contains(&(path, error.as_str())) => Ok(()),
        Ok(Verdict { error, message }) => {
            Err(classify::classify(reply.status, &error.unwrap_or_default(), &message))
        }
        Err(_) if reply.is_success() => Err(ClientError::malformed("not Shopee's JSON", &reply.body)),
        Err(_) => Err(classify::by_status(reply.status)),
    }
}

/// The `response` of a successful answer.
fn response<T: DeserializeOwned>(body: &[u8]) -> Result<T, ClientError> {
    #[derive(Deserialize)]
    struct Envelope<T> {
        response: T,
    }
    let envelope: Envelope<T> =
        serde_json::from_slice(body).map_err(|error| ClientError::malformed(lenient::fault(&error), body))?;
    Ok(envelope.response)
}

/// The whole of a successful answer that has no `response`.
fn flat<T: DeserializeOwned>(body: &[u8]) -> Result<T, ClientError> {
    serde_json::from_slice(body).map_err(|error| ClientError::malformed(lenient::fault(&error), body))
}

/// What can be understood of a part; else why not, without the part itself.
fn part<T>(raw: &RawValue, result: Result<T, String>) -> Result<T, ClientError> {
    result.map_err(|message| ClientError::malformed(message, raw.get().as_bytes()))
}

/// Names an order of a shop.
fn reference(shop_id: i64, order_sn: String) -> OrderRef {
    OrderRef { platform: "shopee".to_owned(), shop_id: shop_id.to_string(), order_sn }
}

#[cfg(test)]
mod tests;
