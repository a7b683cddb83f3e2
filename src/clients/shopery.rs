//! Shopery's API: subscribing. Listing subscriptions and orders is not documented, so it is not done.

use std::time::Duration;

use secrecy::{ExposeSecret as _, SecretString};
use serde_json::json;
use url::Url;

use crate::clients::error::{ClientError, Concern};
use crate::clients::http;
use crate::clients::shoplazza::{Subscription, answer};
use crate::config::PlatformApi;

const PATIENCE: Duration = Duration::from_secs(30);

/// One tenant's API.
#[derive(Debug, Clone)]
pub struct ShoperyClient {
    http: reqwest::Client,
    url: Url,
    tenant: String,
    token: SecretString,
}

impl ShoperyClient {
    /// # Errors
    /// When no HTTP client can be built.
    pub fn new(api: &PlatformApi) -> Result<Self, ClientError> {
        let url = api.url.join("/company/webhooks").map_err(|error| {
            ClientError::configuration(Concern::App, error.to_string(), "Correct api.url.")
        })?;
        Ok(Self {
            http: http::client(&url, PATIENCE)?,
            url,
            tenant: api.tenant.clone().unwrap_or_else(|| api.account.clone()),
            token: api.token.clone(),
        })
    }

    /// Subscribes.
    ///
    /// # Errors
    /// What the API says.
    pub async fn subscribe(&self, topic: &str, address: &str) -> Result<Subscription, ClientError> {
        let body =
            json!({"name": format!("pushbox {topic}"), "url": address, "events": [topic], "isEnabled": true});
        let request = self.http.post(self.url.clone()).bearer_auth(self.token.expose_secret());
        let reply = http::fetch(request.header("X-tenant-ID", &self.tenant).json(&body)).await?;
        let made = answer(&reply, "Set api.token to a valid JWT, and api.tenant.")?;
        let id = made["id"].as_str().unwrap_or_default().to_owned();
        Ok(Subscription { id, topic: topic.to_owned(), address: address.to_owned() })
    }
}
