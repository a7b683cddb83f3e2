//! Messages that are edited, messages that are left to a person, and messages as people look at them.

use chrono::{DateTime, Utc};
use sqlx::{PgConnection, PgExecutor, Postgres, QueryBuilder};
use uuid::Uuid;

use crate::domain::order::OrderRef;

/// The message of an order in a chat.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct OrderMessage {
    /// Telegram's id.
    pub message_id: i32,
    /// Newest event that it shows.
    pub event_id: Uuid,
    /// Hash of what it shows.
    pub content_sha256: Vec<u8>,
}

/// The message that shows this order, if there is one.
///
/// # Errors
/// When the database refuses.
pub async fn find_order_message(
    connection: &mut PgConnection,
    chat_id: i64,
    order: &OrderRef,
) -> Result<Option<OrderMessage>, sqlx::Error> {
    sqlx::query_as(
        "SELECT message_id, event_id, content_sha256 FROM pushbox.telegram_orders
         WHERE chat_id = $1 AND platform = $2 AND shop_id = $3 AND order_sn = $4",
    )
    .bind(chat_id)
    .bind(&order.platform)
    .bind(&order.shop_id)
    .bind(&order.order_sn)
    .fetch_optional(connection)
    .await
}

/// Notes what the message of an order shows now; a message that shows a newer event stays.
///
/// # Errors
/// When the database refuses.
pub async fn upsert_order_message(
    connection: &mut PgConnection,
    chat_id: i64,
    order: &OrderRef,
    message: &OrderMessage,
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "INSERT INTO pushbox.telegram_orders AS known
             (chat_id, platform, shop_id, order_sn, message_id, event_id, content_sha256)
         VALUES ($1, $2, $3, $4, $5, $6, $7)
         ON CONFLICT (chat_id, platform, shop_id, order_sn) DO UPDATE SET
             message_id = excluded.message_id, event_id = excluded.event_id,
             content_sha256 = excluded.content_sha256, shown_at = now()
         WHERE known.event_id <= excluded.event_id",
    )
    .bind(chat_id)
    .bind(&order.platform)
    .bind(&order.shop_id)
    .bind(&order.order_sn)
    .bind(message.message_id)
    .bind(message.event_id)
    .bind(&message.content_sha256)
    .execute(connection)
    .await?;
    Ok(())
}

/// Forgets a message that cannot be edited any more.
///
/// # Errors
/// When the database refuses.
pub async fn forget_order_message(
    connection: &mut PgConnection,
    chat_id: i64,
    order: &OrderRef,
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "DELETE FROM pushbox.telegram_orders
         WHERE chat_id = $1 AND platform = $2 AND shop_id = $3 AND order_sn = $4",
    )
    .bind(chat_id)
    .bind(&order.platform)
    .bind(&order.shop_id)
    .bind(&order.order_sn)
    .execute(connection)
    .await?;
    Ok(())
}

/// Notes in the ledger that an event is shown by a message that was there before.
///
/// # Errors
/// When the database refuses.
pub async fn mark_shown(
    connection: &mut PgConnection,
    chat_id: i64,
    event_id: Uuid,
    message_id: i32,
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "INSERT INTO pushbox.telegram_messages (chat_id, event_id, part, parts, state, message_id, sent_at)
         VALUES ($1, $2, 0, 1, 'sent', $3, clock_timestamp())
         ON CONFLICT (chat_id, event_id, part) DO UPDATE SET
             state = 'sent', message_id = excluded.message_id, sent_at = excluded.sent_at",
    )
    .bind(chat_id)
    .bind(event_id)
    .bind(message_id)
    .execute(connection)
    .await?;
    Ok(())
}

/// Telegram's id of the only part of an announcement, if it was sent and is known.
///
/// # Errors
/// When the database refuses.
pub async fn find_message_id(
    connection: &mut PgConnection,
    chat_id: i64,
    event_id: Uuid,
) -> Result<Option<i32>, sqlx::Error> {
    let found: Option<Option<i32>> = sqlx::query_scalar(
        "SELECT message_id FROM pushbox.telegram_messages
         WHERE chat_id = $1 AND event_id = $2 AND part = 0 AND parts = 1 AND state = 'sent'",
    )
    .bind(chat_id)
    .bind(event_id)
    .fetch_optional(connection)
    .await?;
    Ok(found.flatten())
}

/// Leaves the uncertain parts of these events to a person.
///
/// # Errors
/// When the database refuses.
pub async fn mark_held(
    connection: &mut PgConnection,
    chat_id: i64,
    events: &[Uuid],
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "UPDATE pushbox.telegram_messages SET held = true
         WHERE chat_id = $1 AND event_id = ANY ($2) AND state = 'uncertain'",
    )
    .bind(chat_id)
    .bind(events)
    .execute(connection)
    .await?;
    Ok(())
}

/// A part of an announcement as people look at it.
#[derive(Debug, Clone, sqlx::FromRow)]
pub struct AnnouncementPart {
    /// The chat as it is set.
    pub chat_id: i64,
    /// The event.
    pub event_id: Uuid,
    /// Number of the part, from 0.
    pub part: i16,
    /// How many there are.
    pub parts: i16,
    /// `intended`, `sent` or `uncertain`.
    pub state: String,
    /// Left to a person.
    pub held: bool,
    /// The topic it went to.
    pub thread_id: Option<i32>,
    /// Telegram's id; events of one digest share it.
    pub message_id: Option<i32>,
    /// How often it was handed to Telegram.
    pub attempts: i16,
    /// When it was first about to be sent.
    pub intended_at: DateTime<Utc>,
    /// When Telegram confirmed it.
    pub sent_at: Option<DateTime<Utc>>,
}

/// Which announcements; every part that is set must hold.
#[derive(Debug, Clone, Default)]
pub struct AnnouncementFilter {
    /// The event.
    pub event_id: Option<Uuid>,
    /// Only those that are not certainly sent.
    pub unsettled: bool,
    /// Only events before this one.
    pub before: Option<Uuid>,
}

/// At most `limit` parts that pass, newest events first. Without an event only the unsettled ones are found
/// fast.
///
/// # Errors
/// When the database refuses.
pub async fn list_announcements(
    executor: impl PgExecutor<'_>,
    filter: &AnnouncementFilter,
    limit: u16,
) -> Result<Vec<AnnouncementPart>, sqlx::Error> {
    let mut query = QueryBuilder::<Postgres>::new(
        "SELECT chat_id, event_id, part, parts, state, held, thread_id, message_id, attempts, intended_at, sent_at
         FROM pushbox.telegram_messages WHERE true",
    );
    if filter.unsettled {
        // A literal, because the partial index is found by it.
        query.push(" AND state <> 'sent'");
    }
    if let Some(event) = filter.event_id {
        query.push(" AND event_id = ").push_bind(event);
    }
    if let Some(before) = filter.before {
        query.push(" AND event_id < ").push_bind(before);
    }
    query.push(" ORDER BY event_id DESC, chat_id, part LIMIT ").push_bind(i64::from(limit));
    query.build_query_as().fetch_all(executor).await
}
