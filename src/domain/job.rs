//! Job payloads: where those who ask for work and those who do it meet.
//!
//! A payload holds ids only; the state is read afresh when the job runs. Unknown fields are ignored, so
//! that an older process can read what a newer one wrote. A job's stable name is its `KIND`; a retired
//! name is never used again.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::order::OrderRef;

/// The queues, by name. A queue has its own workers, its own pause and its own statistics.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Queue {
    /// Fetch full orders and their income.
    Enrich,
    /// Upsert spreadsheet rows.
    Sheet,
    /// Announce on Telegram.
    Notify,
    /// Post to the seller's own service.
    Forward,
}

impl Queue {
    /// Every queue.
    pub const ALL: [Self; 4] = [Self::Enrich, Self::Sheet, Self::Notify, Self::Forward];

    /// The name in `jobs.queue`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Enrich => "enrich",
            Self::Sheet => "sheet",
            Self::Notify => "notify",
            Self::Forward => "forward",
        }
    }
}

/// A job's payload with its stable name and the queue it runs in.
pub trait JobPayload: Serialize + serde::de::DeserializeOwned + Send + 'static {
    /// The stable name, in `jobs.kind`.
    const KIND: &'static str;
    /// The queue it runs in.
    const QUEUE: Queue;
}

/// Fetch an order and its income, keep both, and ask for what follows.
/// Key: the order. Batch: the shop.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EnrichOrder {
    /// Which order.
    #[serde(flatten)]
    pub order: OrderRef,
    /// The newest change that was pushed: a detail older than this has to be read again. When two jobs
    /// merge, the payload with the later `not_before` stays.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "chrono::serde::ts_seconds_option")]
    pub not_before: Option<DateTime<Utc>>,
}

impl JobPayload for EnrichOrder {
    const KIND: &'static str = "enrich_order";
    const QUEUE: Queue = Queue::Enrich;
}

/// Bring one order's rows in one spreadsheet up to date.
/// Key: spreadsheet and order. Batch: the spreadsheet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UpsertSheetRow {
    /// The spreadsheet's id.
    pub spreadsheet_id: String,
    /// Which order.
    #[serde(flatten)]
    pub order: OrderRef,
}

impl JobPayload for UpsertSheetRow {
    const KIND: &'static str = "upsert_sheet_row";
    const QUEUE: Queue = Queue::Sheet;
}

/// Announce one event in one chat. Key: chat and event. Batch: the chat.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NotifyEvent {
    /// The chat.
    pub chat_id: i64,
    /// The event to announce.
    pub event_id: Uuid,
    /// The order to show with it, where there is one and it was fetched.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub order: Option<OrderRef>,
    /// A person has to act: under a backlog it goes before the others.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub urgent: bool,
}

impl JobPayload for NotifyEvent {
    const KIND: &'static str = "notify_event";
    const QUEUE: Queue = Queue::Notify;
}

/// Post one event to one service of the seller's. Key: target and event. Batch: the target.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ForwardEvent {
    /// Name of the target.
    pub target: String,
    /// The event.
    pub event_id: Uuid,
    /// The order to send with it, where there is one and it was fetched.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub order: Option<OrderRef>,
}

impl JobPayload for ForwardEvent {
    const KIND: &'static str = "forward_event";
    const QUEUE: Queue = Queue::Forward;
}
