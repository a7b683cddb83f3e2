//! What a push becomes once it is stored.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// How an event came to us.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Via {
    /// A live push.
    Push,
    /// A push that the platform had given up and kept in its lost queue.
    LostPush,
    /// A change that no push told us of, found by polling.
    Reconcile,
    /// A person's doing.
    Manual,
}

impl Via {
    /// The spelling in `events.via`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Push => "push",
            Self::LostPush => "lost_push",
            Self::Reconcile => "reconcile",
            Self::Manual => "manual",
        }
    }
}

/// The envelope as it came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Payload {
    /// JSON text that jsonb can hold.
    Json(String),
    /// Bytes that it cannot hold, with the reason.
    Raw {
        /// The bytes as received.
        body: Vec<u8>,
        /// Why they are not a jsonb value.
        parse_error: String,
    },
}

/// An event on its way into the store.
#[derive(Debug, Clone)]
pub struct NewEvent {
    /// UUIDv7; its time is `received_at` to the millisecond.
    pub id: Uuid,
    /// The source's name, for example `shopee`.
    pub source: String,
    /// The idempotency key within the source.
    pub key: String,
    /// Until when the key must be remembered.
    pub key_expires_at: DateTime<Utc>,
    /// The account (shop) it concerns, as text; none for partner-level pushes.
    pub account: Option<String>,
    /// The platform's event code or name, as text.
    pub code: String,
    /// Our name of that code, for example `order_status`.
    pub kind: String,
    /// What it is about: an order number, a return number, an item id.
    pub subject: Option<String>,
    /// The envelope.
    pub payload: Payload,
    /// SHA-256 of the bytes as received.
    pub body_sha256: [u8; 32],
    /// Headers on the allow-list, as a JSON object.
    pub headers: serde_json::Value,
    /// When the platform says it happened.
    pub occurred_at: Option<DateTime<Utc>>,
    /// When it reached us.
    pub received_at: DateTime<Utc>,
    /// How it reached us.
    pub via: Via,
}

/// Makes the id of an event received at `received_at`: a UUIDv7 whose time is that instant, to the
/// millisecond, so that an id alone tells which daily partition holds its event.
pub fn new_event_id(received_at: DateTime<Utc>) -> Uuid {
    let millis = u64::try_from(received_at.timestamp_millis()).unwrap_or(0);
    uuid::Builder::from_unix_timestamp_millis(millis, &rand::random()).into_uuid()
}

/// The id before those of all events that are received at this instant or later, to the millisecond.
pub fn first_id_of(at: DateTime<Utc>) -> Uuid {
    let milliseconds = u64::try_from(at.timestamp_millis()).unwrap_or(0);
    uuid::Builder::from_unix_timestamp_millis(milliseconds, &[0; 10]).into_uuid()
}

/// When the event with this id was received; none if the id is not a UUIDv7.
pub fn received_at_of(id: Uuid) -> Option<DateTime<Utc>> {
    let (seconds, nanos) = id.get_timestamp()?.to_unix();
    DateTime::from_timestamp(i64::try_from(seconds).ok()?, nanos)
}
