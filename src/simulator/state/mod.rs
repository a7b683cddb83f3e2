//! The simulated world as one plain value, and every way it can change.
//!
//! [`World::apply`] is the only place that changes it, and it is pure: randomness and time come inside the
//! [`Change`]. So the list of changes is the world, and a journal of them brings it back after a kill.
//! Whether a change is allowed is decided before, by the servers; nothing here refuses.

pub mod forward;
pub mod google;
pub mod shopee;
pub mod telegram;
pub mod traffic;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use forward::{ForwardChange, ForwardWorld};
use google::{GoogleChange, GoogleWorld};
use shopee::{ShopeeChange, ShopeeWorld};
use telegram::{TelegramChange, TelegramWorld};
use traffic::{TrafficChange, TrafficWorld};

/// Everything outside pushbox.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct World {
    /// Shopee's Open Platform.
    pub shopee: ShopeeWorld,
    /// Telegram.
    pub telegram: TelegramWorld,
    /// Google Sheets.
    pub google: GoogleWorld,
    /// The seller's own service.
    pub forward: ForwardWorld,
    /// How far the scripted stream of pushes has been played.
    pub traffic: TrafficWorld,
    /// How often each call was made, by service and method or path; without secrets.
    pub calls: BTreeMap<String, u64>,
    /// Calls that no real service is known to understand, or that the simulator lacks.
    pub unknown_calls: Vec<String>,
}

/// One change of the world, as the journal keeps it.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Change {
    /// A call was received.
    Called {
        /// Service and method or path.
        call: String,
    },
    /// A call was received that is not known.
    Unknown {
        /// Service and method or path.
        call: String,
    },
    /// Shopee changed.
    Shopee(ShopeeChange),
    /// Telegram changed.
    Telegram(TelegramChange),
    /// Google changed.
    Google(GoogleChange),
    /// The seller's own service changed.
    Forward(ForwardChange),
    /// The stream of pushes went on.
    Traffic(TrafficChange),
}

impl World {
    /// Makes `change` happen.
    pub fn apply(&mut self, change: &Change) {
        match change {
            Change::Called { call } => *self.calls.entry(call.clone()).or_default() += 1,
            Change::Unknown { call } => self.unknown_calls.push(call.clone()),
            Change::Shopee(change) => {
                if let ShopeeChange::PushLost { action: Some(action), code, .. } = change {
                    self.traffic.apply(&TrafficChange::Lost { action: *action, code: *code });
                }
                self.shopee.apply(change);
            }
            Change::Telegram(change) => self.telegram.apply(change),
            Change::Google(change) => self.google.apply(change),
            Change::Forward(change) => self.forward.apply(change),
            Change::Traffic(change) => self.traffic.apply(change),
        }
    }
}

impl From<ShopeeChange> for Change {
    fn from(change: ShopeeChange) -> Self {
        Self::Shopee(change)
    }
}

impl From<TelegramChange> for Change {
    fn from(change: TelegramChange) -> Self {
        Self::Telegram(change)
    }
}

impl From<GoogleChange> for Change {
    fn from(change: GoogleChange) -> Self {
        Self::Google(change)
    }
}

impl From<ForwardChange> for Change {
    fn from(change: ForwardChange) -> Self {
        Self::Forward(change)
    }
}

impl From<TrafficChange> for Change {
    fn from(change: TrafficChange) -> Self {
        Self::Traffic(change)
    }
}
