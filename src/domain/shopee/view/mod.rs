//! What a push says, typed by its code: for messages, and for whoever acts on it. Tolerant: a field that is not
//! there, or of another type, is empty; a code that nobody knows is [`View::Opaque`].

mod lines;
mod read;

use chrono::{DateTime, Utc};

pub use self::lines::Lines;

/// A push by what it is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum View {
    /// Codes 1 and 2: the app may, or may no longer, act for these. After a loss the body is not to be trusted:
    /// a plain cancellation names no shop at all.
    Authorization(Authorization),
    /// Code 3: an order's status.
    Order {
        /// The order.
        order_sn: String,
        /// As Shopee spells it.
        status: String,
        /// Which completion it was.
        scenario: String,
        /// The order's own clock.
        changed_at: Option<DateTime<Utc>>,
    },
    /// Codes 4 and 24: a parcel's tracking number. Code 15 and 25: its document.
    Parcel {
        /// The order or booking.
        sn: String,
        /// The parcel.
        package_number: String,
        /// Its tracking number.
        tracking_number: String,
        /// State of its shipping document, or of the parcel (code 30).
        status: String,
    },
    /// Code 5: notices for the seller.
    Notices(Vec<Notice>),
    /// Codes 7 and 9: an item and a promotion.
    Promotion {
        /// The item.
        item: Item,
        /// What kind of promotion.
        promotion_type: String,
        /// Which one.
        promotion_id: String,
        /// What happened.
        action: String,
        /// Stock set aside for it.
        reserved_stock: String,
    },
    /// Codes 8, 22, 29 and 47: values that changed.
    Changes {
        /// What they belong to, each with its name.
        of: Vec<(&'static str, String)>,
        /// Name, before, after.
        changes: Vec<Change>,
    },
    /// Code 10: a message of a chat, or a notification about one.
    Chat {
        /// `message` or `notification`.
        kind: String,
        /// The conversation.
        conversation_id: String,
        /// Who wrote.
        from: String,
        /// What kind of message.
        message_type: String,
        /// Its text.
        text: String,
        /// The order or item it was written from.
        about: String,
    },
    /// Codes 11 and 38: a video.
    Video {
        /// Its upload.
        upload_id: String,
        /// What came of it.
        status: String,
        /// Why.
        reason: String,
    },
    /// Code 12: authorizations that end soon; one page of them.
    Expiry(Expiry),
    /// Code 13: a brand's registration.
    Brand {
        /// Its name.
        name: String,
        /// What came of it.
        result: String,
        /// Why.
        reason: String,
    },
    /// Codes 6 and 16: an item that breaks a rule.
    Violation {
        /// The item.
        item: Item,
        /// Its status now.
        status: String,
        /// Which rules, and what to do.
        details: Vec<Detail>,
    },
    /// Codes 20, 21, 23, 37: something with a number and a status.
    Status {
        /// What it is.
        what: &'static str,
        /// Its number.
        number: String,
        /// Its status.
        status: String,
        /// Why.
        reason: String,
    },
    /// Code 27: an item that could not be published.
    PublishFailed {
        /// The item.
        item: Item,
        /// When it should have been, in Unix seconds.
        scheduled: String,
    },
    /// Code 28: penalty points, or the tier that follows from them.
    Penalty {
        /// What was done, in words.
        action: &'static str,
        /// Points, or tiers.
        amount: String,
        /// Why.
        reason: String,
    },
    /// Codes 31 and 33: an invoice, or why there is none.
    Invoice {
        /// The order.
        order_sn: String,
        /// The invoice or document.
        document: String,
        /// Why it failed.
        failure: String,
        /// Until when it is due, in Unix seconds.
        deadline: String,
    },
    /// Codes 34 and 35: a shop or SKU that may not sell for now.
    Blocked {
        /// Shop or SKU.
        what: String,
    },
    /// Code 36: stock that can be sold, per SKU and warehouse.
    SellableStock(Vec<(String, String)>),
    /// A code whose fields nobody has written down.
    Opaque,
}

/// Who authorized, or does no longer.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Authorization {
    /// Whether it was given.
    pub granted: bool,
    /// Shops, sorted.
    pub shop_ids: Vec<String>,
    /// Merchants, sorted.
    pub merchant_ids: Vec<String>,
    /// Main accounts, sorted.
    pub main_account_ids: Vec<String>,
    /// `authorize_type`: tells why it ended.
    pub reason: String,
    /// Free text; at times the only place that names the shop.
    pub note: String,
}

/// Authorizations that end soon.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Expiry {
    /// Shops.
    pub shop_ids: Vec<String>,
    /// Merchants.
    pub merchant_ids: Vec<String>,
    /// Users.
    pub user_ids: Vec<String>,
    /// They end before.
    pub before: Option<DateTime<Utc>>,
    /// This page.
    pub page: String,
    /// Of so many.
    pub pages: String,
}

/// A notice for the seller.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    /// Its title.
    pub title: String,
    /// Its text.
    pub content: String,
    /// Where there is more.
    pub url: String,
}

/// An item in one variation.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Item {
    /// The item.
    pub item_id: String,
    /// The variation; empty where the item has none.
    pub model_id: String,
    /// Its title, where it is told.
    pub name: String,
}

/// A value that changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// Its name.
    pub name: String,
    /// Before.
    pub before: String,
    /// After.
    pub after: String,
}

/// A broken rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Detail {
    /// Which.
    pub kind: String,
    /// Why.
    pub reason: String,
    /// What to do.
    pub suggestion: String,
    /// Until when, in Unix seconds.
    pub deadline: String,
}

#[cfg(test)]
mod tests;
