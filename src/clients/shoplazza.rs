//! Shoplazza's API: subscriptions, and the orders that changed.

use std::time::Duration;

use chrono::{DateTime, SecondsFormat, Utc};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Value, json};
use url::Url;

use crate::clients::error::{ClientError, Concern, Outcome, RateScope};
use crate::clients::http::{self, Reply};
use crate::config::PlatformApi;

const PATIENCE: Duration = Duration::from_secs(30);
/// Subscriptions on one page.
const PAGE: &str = "100";
/// Orders on one page: the most there may be.
const ORDERS: &str = "250";
/// Pages of one list; beyond that something is wrong.
const PAGES: usize = 200;

/// A subscription at a platform.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subscription {
    /// Its id.
    pub id: String,
    /// The event.
    pub topic: String,
    /// Where it is pushed.
    pub address: String,
}

/// A page of orders.
#[derive(Debug, Clone, PartialEq)]
pub struct OrderPage {
    /// The orders as they came.
    pub orders: Vec<Value>,
    /// Asks for the next page; none: this was the last.
    pub next: Option<String>,
}

/// One shop's API.
#[derive(Debug, Clone)]
pub struct ShoplazzaClient {
    http: reqwest::Client,
    base: Url,
    /// The version of 2022 has flat bodies and numbered pages.
    flat: bool,
    token: SecretString,
}

impl ShoplazzaClient {
    /// # Errors
    /// When no HTTP client can be built, or the version makes no address.
    pub fn new(api: &PlatformApi) -> Result<Self, ClientError> {
        let base = api.url.join(&format!("/openapi/{}/", api.version)).map_err(|error| {
            ClientError::configuration(Concern::App, format!("api.version: {error}"), "Correct it.")
        })?;
        Ok(Self {
            http: http::client(&base, PATIENCE)?,
            flat: api.version.as_str() < "2025",
            token: api.token.clone(),
            base,
        })
    }

    /// Every subscription of the app at this shop.
    ///
    /// # Errors
    /// What the API says.
    pub async fn subscriptions(&self) -> Result<Vec<Subscription>, ClientError> {
        let mut all = Vec::new();
        let mut next = None;
        for _ in 0..PAGES {
            let (answer, following) = self.page("webhooks", &[], next.as_deref()).await?;
            let list = answer["webhooks"].as_array().map(Vec::as_slice).unwrap_or_default();
            all.extend(list.iter().filter_map(subscription));
            match following {
                Some(following) => next = Some(following),
                None => break,
            }
        }
        Ok(all)
    }

    /// Subscribes.
    ///
    /// # Errors
    /// What the API says; it refuses when the app does not hold the scope of the topic.
    pub async fn subscribe(&self, topic: &str, address: &str) -> Result<Subscription, ClientError> {
        let fields = json!({"address": address, "topic": topic});
        let body = if self.flat { fields } else { json!({ "webhook": fields }) };
        let answer = self.ask(self.http.post(self.url("webhooks")?).json(&body)).await?;
        let one = if answer["webhook"].is_object() { &answer["webhook"] } else { &answer };
        subscription(one).ok_or_else(|| {
            ClientError::malformed("no subscription in the answer", answer.to_string().as_bytes())
        })
    }

    /// Orders that changed since then, to now. The range has no end: an order that changed again while the list is
    /// read would leave it, and the pages behind it would move up over one that was not read.
    ///
    /// # Errors
    /// What the API says.
    pub async fn orders(&self, since: DateTime<Utc>, next: Option<&str>) -> Result<OrderPage, ClientError> {
        let range = [("updated_at_min", since.to_rfc3339_opts(SecondsFormat::Secs, true))];
        let (answer, next) = self.page("orders", &range, next).await?;
        let orders = answer["orders"].as_array().cloned().ok_or_else(|| {
            ClientError::malformed("no list of orders in the answer", answer.to_string().as_bytes())
        })?;
        Ok(OrderPage { orders, next })
    }

    /// One page of a list, and what asks for the following one.
    async fn page(
        &self,
        list: &str,
        query: &[(&str, String)],
        next: Option<&str>,
    ) -> Result<(Value, Option<String>), ClientError> {
        let number: u32 = next.and_then(|next| next.parse().ok()).unwrap_or(1);
        let size = if list == "orders" { ORDERS } else { PAGE };
        let mut request = self.http.get(self.url(list)?).query(query);
        request = match (self.flat, next) {
            (true, _) => request.query(&[("limit", size), ("page", &number.to_string())]),
            (false, None) => request.query(&[("page_size", size)]),
            (false, Some(cursor)) => request.query(&[("page_size", size), ("cursor", cursor)]),
        };
        let answer = self.ask(request).await?;
        let full = answer[list].as_array().is_some_and(|list| list.len().to_string() == size);
        let following = if self.flat {
            full.then(|| (number + 1).to_string())
        } else {
            let cursor = answer["cursor"].as_str().filter(|cursor| !cursor.is_empty());
            cursor.filter(|_| answer["has_more"] == json!(true)).map(str::to_owned)
        };
        Ok((answer, following))
    }

    fn url(&self, path: &str) -> Result<Url, ClientError> {
        self.base
            .join(path)
            .map_err(|error| ClientError::configuration(Concern::App, error.to_string(), "Correct api.url."))
    }

    async fn ask(&self, request: reqwest::RequestBuilder) -> Result<Value, ClientError> {
        let reply = http::fetch(request.header("Access-Token", self.token.expose_secret())).await?;
        answer(&reply, "Set api.token to the shop's access token.")
    }
}

fn subscription(value: &Value) -> Option<Subscription> {
    let text = |name: &str| match &value[name] {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    };
    Some(Subscription { id: text("id")?, topic: text("topic")?, address: text("address")? })
}

/// The body of a success, or what went wrong.
pub(super) fn answer(reply: &Reply, remedy: &str) -> Result<Value, ClientError> {
    let body: Option<Value> = serde_json::from_slice(&reply.body).ok();
    if reply.is_success() {
        return body.ok_or_else(|| ClientError::malformed("not JSON", &reply.body));
    }
    let said = body.as_ref().map(|body| {
        ["message", "error", "errors", "code"]
            .iter()
            .map(|name| body[*name].to_string().trim_matches('"').to_owned())
            .find(|text| text != "null")
            .unwrap_or_default()
    });
    let message: String = said.unwrap_or_default().chars().take(200).collect();
    let code = format!("http_{}", reply.status);
    Err(match reply.status {
        401 | 403 => {
            ClientError::configuration(Concern::Account, format!("the token was refused: {message}"), remedy)
        }
        404 => ClientError::NotFound { message },
        429 => ClientError::RateLimited { retry_after: reply.retry_after, scope: RateScope::Burst },
        400..=499 => ClientError::Rejected { code, message },
        _ => ClientError::Unavailable { message: format!("{code} {message}"), outcome: Outcome::Unknown },
    })
}
