//! The apps whose shops we call for. Most have one; an agency may have one for each market or brand.

use std::sync::Arc;

use super::ShopeeClient;
use crate::clients::error::{ClientError, Concern};
use crate::clock::SharedClock;
use crate::config::ShopeeSettings;

/// A client for each app. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Apps(Arc<[Arc<ShopeeClient>]>);

impl Apps {
    /// The apps of the settings, each client as `finish` makes it. `Configuration` if an id or a key is not set.
    pub fn new(
        settings: &ShopeeSettings,
        clock: &SharedClock,
        finish: impl Fn(ShopeeClient) -> ShopeeClient,
    ) -> Result<Self, ClientError> {
        let first = std::iter::once_with(|| ShopeeClient::new(settings, clock.clone()));
        let further = settings.further_apps.iter();
        let further = further.map(|app| ShopeeClient::further(app, settings, clock.clone()));
        first
            .chain(further)
            .map(|client| client.map(|client| Arc::new(finish(client))))
            .collect::<Result<_, _>>()
            .map(Self)
    }

    /// The app of `PARTNER_ID`.
    pub fn first(&self) -> &Arc<ShopeeClient> {
        &self.0[0]
    }

    /// All of them, that of `PARTNER_ID` first.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<ShopeeClient>> {
        self.0.iter()
    }

    /// The app that a shop has authorized; none: that of `PARTNER_ID`. `Configuration` if it is not set any more:
    /// its tokens work with no other.
    pub fn of(&self, partner_id: Option<i64>) -> Result<&Arc<ShopeeClient>, ClientError> {
        let Some(id) = partner_id else { return Ok(self.first()) };
        self.iter().find(|app| app.partner_id() == id).ok_or_else(|| {
            ClientError::configuration(
                Concern::Account,
                format!("there is no app {id} in the settings"),
                "set PARTNER_ID or a [[partners]] of pushbox.toml, or have the shop authorize another app",
            )
        })
    }
}
