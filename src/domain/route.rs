//! Which events go where.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

/// What of the events a destination wants. An empty list means all.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Filter {
    /// Names of sources.
    pub sources: Vec<String>,
    /// Shop ids, as text.
    pub shops: Vec<String>,
    /// Event codes, as text.
    pub codes: Vec<String>,
}

impl Filter {
    /// Whether an event of this source, account and code passes. An event without an account passes only
    /// a filter that names no shops.
    pub fn accepts(&self, source: &str, account: Option<&str>, code: &str) -> bool {
        let listed = |list: &[String], value: &str| list.is_empty() || list.iter().any(|one| one == value);
        listed(&self.sources, source)
            && listed(&self.codes, code)
            && account.map_or(self.shops.is_empty(), |shop| listed(&self.shops, shop))
    }

    /// Whether orders of this shop pass; the codes do not matter, because a row shows the newest state
    /// whatever told us of it. `sources` are the names under which this platform pushes.
    pub fn accepts_order(&self, platform: &str, sources: &[&str], shop_id: &str) -> bool {
        (self.sources.is_empty()
            || self.sources.iter().any(|one| one == platform || sources.contains(&one.as_str())))
            && (self.shops.is_empty() || self.shops.iter().any(|one| one == shop_id))
    }
}

/// A chat and what it wants to hear.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChatRoute {
    /// Telegram's chat id.
    pub chat_id: i64,
    /// What goes there.
    #[serde(flatten)]
    pub filter: Filter,
}

/// A span of time, such as a month of somebody's calendar.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Period {
    /// Its first instant.
    pub from: DateTime<Utc>,
    /// The first instant after it.
    pub until: DateTime<Utc>,
}

/// A spreadsheet and what it holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SpreadsheetRoute {
    /// Google's spreadsheet id.
    pub spreadsheet_id: String,
    /// Only orders placed in one of these; empty: whenever they were placed.
    #[serde(default)]
    pub months: Vec<Period>,
    /// What goes there.
    #[serde(flatten)]
    pub filter: Filter,
}

impl SpreadsheetRoute {
    /// Whether orders that were placed at this instant belong there.
    pub fn takes_time(&self, placed: DateTime<Utc>) -> bool {
        self.months.is_empty() || self.months.iter().any(|month| month.from <= placed && placed < month.until)
    }
}

/// A service of the seller's and what it wants to hear.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ForwardRoute {
    /// Its name; address and secret are in the settings of those who post.
    pub target: String,
    /// What goes there.
    #[serde(flatten)]
    pub filter: Filter,
}

/// Where events and orders go, and which codes get the full way.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Routes {
    /// Shopee codes whose order is fetched in full; every other code is only announced.
    pub order_event_codes: Vec<i32>,
    /// The platform of each source.
    pub platforms: BTreeMap<String, String>,
    /// The chats; empty: no notifications.
    pub chats: Vec<ChatRoute>,
    /// The spreadsheets; empty: no sheet.
    pub spreadsheets: Vec<SpreadsheetRoute>,
    /// The services to forward to; empty: no forwarding.
    pub forwards: Vec<ForwardRoute>,
    /// Statuses of orders that do not get a row of their own.
    pub sheet_ignore_statuses: Vec<String>,
}

impl Routes {
    /// The platform of a source.
    pub fn platform_of<'a>(&'a self, source: &'a str) -> &'a str {
        self.platforms.get(source).map_or(source, String::as_str)
    }

    /// The sources of a platform.
    pub fn sources_of(&self, platform: &str) -> Vec<&str> {
        let of = self.platforms.iter().filter(|(_, one)| *one == platform);
        of.map(|(source, _)| source.as_str()).collect()
    }
}
