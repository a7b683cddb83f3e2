//! What was announced where: migrated groups and the ledger of messages. Topics are in [`crate::store::telegram_topics`],
//! messages of orders that are edited in [`crate::store::telegram_orders`].
//!
//! The ledger is written before a message is sent and settled after. A message whose fate is unknown stays
//! `uncertain` and is handed to Telegram at most [`MAX_SENDS`] times.

use chrono::{DateTime, TimeDelta, Utc};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::domain::event::received_at_of;

pub use crate::store::telegram_topics::{Topic, claim_topic, forget_topic, settle_topic};

/// How often a message is handed to Telegram when nobody knows whether it arrived.
pub const MAX_SENDS: i16 = 2;

/// An event as it is announced.
#[derive(Debug, Clone, sqlx::FromRow)]
pub struct AnnouncedEvent {
    /// The event.
    pub id: Uuid,
    /// Its source.
    pub source: String,
    /// Its account.
    pub account: Option<String>,
    /// Its code.
    pub code: String,
    /// Our name of the code.
    pub kind: String,
    /// What it is about.
    pub subject: Option<String>,
    /// The envelope as sent; none when it is not JSON.
    pub payload: Option<serde_json::Value>,
    /// Why there is no payload.
    pub parse_error: Option<String>,
    /// When it happened.
    pub occurred_at: Option<DateTime<Utc>>,
    /// When it reached us.
    pub received_at: DateTime<Utc>,
    /// How it reached us.
    pub via: String,
}

/// These events in order of receipt; those dropped by retention are left out. The ids tell the days, so that
/// only their partitions are read.
///
/// # Errors
/// When the database refuses.
pub async fn list_events(
    connection: &mut PgConnection,
    ids: &[Uuid],
) -> Result<Vec<AnnouncedEvent>, sqlx::Error> {
    let times: Vec<DateTime<Utc>> = ids.iter().filter_map(|id| received_at_of(*id)).collect();
    let (Some(first), Some(last)) = (times.iter().min(), times.iter().max()) else { return Ok(Vec::new()) };
    sqlx::query_as(
        "SELECT id, source, account, code, kind, subject, payload, parse_error, occurred_at, received_at, via
         FROM pushbox.events WHERE id = ANY ($1) AND received_at >= $2 AND received_at < $3
         ORDER BY received_at, id",
    )
    .bind(ids)
    .bind(first)
    .bind(*last + TimeDelta::milliseconds(1))
    .fetch_all(connection)
    .await
}

/// Puts announcements of the chat that wait for their time, and are of events before `before`, back to the time of
/// their event, so that they are claimed first; returns the oldest of these events. What waits for a single topic
/// stays. A job that waited out a pause has a later `run_at` than one that has just come, which would overtake it.
///
/// # Errors
/// When the database refuses.
pub async fn recall_older(
    connection: &mut PgConnection,
    batch_key: &str,
    before: Uuid,
) -> Result<Option<Uuid>, sqlx::Error> {
    sqlx::query_scalar(
        "WITH older AS MATERIALIZED (
             SELECT id, event_id, audit.received_at(event_id) AS place FROM pushbox.jobs
             WHERE queue = 'notify' AND batch_key = $1 AND state = 'ready' AND event_id < $2
               AND waiting_on IS NOT NULL AND waiting_on NOT LIKE 'topic %'
             ORDER BY id FOR UPDATE SKIP LOCKED
         ), recalled AS (
             UPDATE pushbox.jobs j SET run_at = older.place FROM older
             WHERE j.id = older.id AND j.state = 'ready' AND j.run_at > older.place + interval '1 millisecond'
         )
         SELECT event_id FROM older ORDER BY event_id LIMIT 1",
    )
    .bind(batch_key)
    .bind(before)
    .fetch_optional(connection)
    .await
}

/// Where messages for a chat go now.
///
/// # Errors
/// When the database refuses.
pub async fn current_chat(connection: &mut PgConnection, chat_id: i64) -> Result<i64, sqlx::Error> {
    let moved = sqlx::query_scalar("SELECT migrated_to FROM pushbox.telegram_chats WHERE chat_id = $1")
        .bind(chat_id)
        .fetch_optional(connection)
        .await?;
    Ok(moved.unwrap_or(chat_id))
}

/// Remembers that a group has become a supergroup.
///
/// # Errors
/// When the database refuses.
pub async fn mark_migrated(
    connection: &mut PgConnection,
    chat_id: i64,
    migrated_to: i64,
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "INSERT INTO pushbox.telegram_chats (chat_id, migrated_to) VALUES ($1, $2)
         ON CONFLICT (chat_id) DO UPDATE SET migrated_to = excluded.migrated_to, migrated_at = now()",
    )
    .bind(chat_id)
    .bind(migrated_to)
    .execute(connection)
    .await?;
    Ok(())
}

/// One part of one announcement in the ledger.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct PartRow {
    /// The event.
    pub event_id: Uuid,
    /// Number of the part, from 0.
    pub part: i16,
    /// How many there are.
    pub parts: i16,
    /// `intended`, `sent` or `uncertain`.
    pub state: String,
    /// How often it was handed to Telegram.
    pub attempts: i16,
    /// Left to a person.
    pub held: bool,
}

/// What the ledger says of these events.
///
/// # Errors
/// When the database refuses.
pub async fn list_parts(
    connection: &mut PgConnection,
    chat_id: i64,
    events: &[Uuid],
) -> Result<Vec<PartRow>, sqlx::Error> {
    sqlx::query_as(
        "SELECT event_id, part, parts, state, attempts, held FROM pushbox.telegram_messages
         WHERE chat_id = $1 AND event_id = ANY ($2)",
    )
    .bind(chat_id)
    .bind(events)
    .fetch_all(connection)
    .await
}

/// Parts that were intended and not settled: whoever meant to send them vanished, and nobody knows whether
/// they arrived.
///
/// # Errors
/// When the database refuses.
pub async fn mark_abandoned(
    connection: &mut PgConnection,
    chat_id: i64,
    events: &[Uuid],
) -> Result<u64, sqlx::Error> {
    let done = sqlx::query(
        "UPDATE pushbox.telegram_messages SET state = 'uncertain'
         WHERE chat_id = $1 AND event_id = ANY ($2) AND state = 'intended'",
    )
    .bind(chat_id)
    .bind(events)
    .execute(connection)
    .await?;
    Ok(done.rows_affected())
}

/// Writes that one message is about to be sent, which announces part `part` of all these events (of several
/// events only in a digest). `sends` counts by event how often it was handed to Telegram before; where the
/// ledger has another count, somebody else is at it. Returns whether the message may be sent: all or nothing.
///
/// # Errors
/// When the database refuses.
pub async fn intend(connection: &mut PgConnection, message: &Intent<'_>) -> Result<bool, sqlx::Error> {
    let mut transaction = sqlx::Acquire::begin(connection).await?;
    let written = sqlx::query(
        "INSERT INTO pushbox.telegram_messages AS m
             (chat_id, event_id, part, parts, state, thread_id, attempts)
         SELECT $1, t.event_id, $2, $3, 'intended', $4, 1
         FROM unnest($5::uuid[], $6::smallint[]) AS t(event_id, sends)
         ORDER BY t.event_id
         ON CONFLICT (chat_id, event_id, part) DO UPDATE SET
             state = 'uncertain', parts = excluded.parts, thread_id = excluded.thread_id,
             attempts = m.attempts + 1, held = false
         WHERE m.state = 'uncertain' AND m.attempts < $7
           AND m.attempts = (SELECT s.sends FROM unnest($5::uuid[], $6::smallint[]) AS s(event_id, sends)
                             WHERE s.event_id = m.event_id)",
    )
    .bind(message.chat_id)
    .bind(message.part)
    .bind(message.parts)
    .bind(message.thread_id)
    .bind(message.events)
    .bind(message.sends)
    .bind(message.max_sends)
    .execute(&mut *transaction)
    .await?;
    if usize::try_from(written.rows_affected()).ok() == Some(message.events.len()) {
        transaction.commit().await?;
        return Ok(true);
    }
    transaction.rollback().await?;
    Ok(false)
}

/// A message that is about to be sent.
#[derive(Debug, Clone, Copy)]
pub struct Intent<'a> {
    /// The chat as it is set.
    pub chat_id: i64,
    /// The events it announces.
    pub events: &'a [Uuid],
    /// How often each was handed to Telegram before.
    pub sends: &'a [i16],
    /// Number of the part, from 0.
    pub part: i16,
    /// How many there are.
    pub parts: i16,
    /// The topic it goes to.
    pub thread_id: Option<i32>,
    /// How often it may be handed to Telegram.
    pub max_sends: i16,
}

/// The message was certainly not sent: takes the intention back.
///
/// # Errors
/// When the database refuses.
pub async fn withdraw(connection: &mut PgConnection, message: &Intent<'_>) -> Result<(), sqlx::Error> {
    sqlx::query(
        "WITH gone AS (
             DELETE FROM pushbox.telegram_messages
             WHERE chat_id = $1 AND event_id = ANY ($2) AND part = $3 AND attempts = 1 AND state <> 'sent'
         )
         UPDATE pushbox.telegram_messages SET attempts = attempts - 1
         WHERE chat_id = $1 AND event_id = ANY ($2) AND part = $3 AND attempts > 1 AND state <> 'sent'",
    )
    .bind(message.chat_id)
    .bind(message.events)
    .bind(message.part)
    .execute(connection)
    .await?;
    Ok(())
}

/// The message was sent; its id may be lost.
///
/// # Errors
/// When the database refuses.
pub async fn mark_sent(
    connection: &mut PgConnection,
    message: &Intent<'_>,
    message_id: Option<i32>,
    thread_id: Option<i32>,
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "UPDATE pushbox.telegram_messages
         SET state = 'sent', message_id = $4, thread_id = $5, sent_at = clock_timestamp()
         WHERE chat_id = $1 AND event_id = ANY ($2) AND part = $3",
    )
    .bind(message.chat_id)
    .bind(message.events)
    .bind(message.part)
    .bind(message_id)
    .bind(thread_id)
    .execute(connection)
    .await?;
    Ok(())
}

/// Nobody knows whether the message was sent.
///
/// # Errors
/// When the database refuses.
pub async fn mark_uncertain(connection: &mut PgConnection, message: &Intent<'_>) -> Result<(), sqlx::Error> {
    sqlx::query(
        "UPDATE pushbox.telegram_messages SET state = 'uncertain'
         WHERE chat_id = $1 AND event_id = ANY ($2) AND part = $3 AND state = 'intended'",
    )
    .bind(message.chat_id)
    .bind(message.events)
    .bind(message.part)
    .execute(connection)
    .await?;
    Ok(())
}
