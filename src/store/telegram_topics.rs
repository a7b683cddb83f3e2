//! Forum topics: one per chat and event code, made once over all processes.

use std::time::Duration;

use sqlx::PgConnection;

/// What is known of a topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Topic {
    /// It is there.
    Thread(i32),
    /// The chat has no topics.
    Plain,
    /// It is ours to create, until the lease is over; tell the end with [`settle_topic`] or [`forget_topic`].
    Ours,
    /// Somebody else is creating it.
    Busy,
}

/// Finds a topic, or claims the right to create it. Creating one cannot be asked for and is not idempotent,
/// so whoever does it holds a claim with a lease, committed before the call. That a chat has no topics is
/// believed for `recheck`.
///
/// # Errors
/// When the database refuses.
pub async fn claim_topic(
    connection: &mut PgConnection,
    chat_id: i64,
    topic: &str,
    name: &str,
    lease: Duration,
    recheck: Duration,
) -> Result<Topic, sqlx::Error> {
    let known: Option<Option<i32>> = sqlx::query_scalar(
        "SELECT thread_id FROM pushbox.telegram_topics
         WHERE chat_id = $1 AND topic = $2 AND creating_until IS NULL
           AND (thread_id IS NOT NULL OR created_at > clock_timestamp() - $3 * interval '1 second')",
    )
    .bind(chat_id)
    .bind(topic)
    .bind(recheck.as_secs_f64())
    .fetch_optional(&mut *connection)
    .await?;
    if let Some(thread) = known {
        return Ok(thread.map_or(Topic::Plain, Topic::Thread));
    }
    // A claim whose lease is over belonged to a process that vanished; a topic it may have made is an orphan.
    let claimed = sqlx::query(
        "INSERT INTO pushbox.telegram_topics AS t (chat_id, topic, name, creating_until)
         VALUES ($1, $2, $3, clock_timestamp() + $4 * interval '1 second')
         ON CONFLICT (chat_id, topic) DO UPDATE SET
             name = excluded.name, thread_id = NULL, creating_until = excluded.creating_until
         WHERE t.creating_until < clock_timestamp()
            OR (t.creating_until IS NULL AND t.thread_id IS NULL
                AND t.created_at <= clock_timestamp() - $5 * interval '1 second')",
    )
    .bind(chat_id)
    .bind(topic)
    .bind(name)
    .bind(lease.as_secs_f64())
    .bind(recheck.as_secs_f64())
    .execute(connection)
    .await?;
    Ok(if claimed.rows_affected() == 1 { Topic::Ours } else { Topic::Busy })
}

/// Stores what came of creating a topic; no thread: the chat has no topics.
///
/// # Errors
/// When the database refuses.
pub async fn settle_topic(
    connection: &mut PgConnection,
    chat_id: i64,
    topic: &str,
    thread_id: Option<i32>,
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "UPDATE pushbox.telegram_topics SET thread_id = $3, creating_until = NULL, created_at = now()
         WHERE chat_id = $1 AND topic = $2",
    )
    .bind(chat_id)
    .bind(topic)
    .bind(thread_id)
    .execute(connection)
    .await?;
    Ok(())
}

/// Forgets a topic that is gone, or the claim to create one (`thread_id` none), unless somebody else has
/// settled it meanwhile.
///
/// # Errors
/// When the database refuses.
pub async fn forget_topic(
    connection: &mut PgConnection,
    chat_id: i64,
    topic: &str,
    thread_id: Option<i32>,
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "DELETE FROM pushbox.telegram_topics
         WHERE chat_id = $1 AND topic = $2 AND thread_id IS NOT DISTINCT FROM $3",
    )
    .bind(chat_id)
    .bind(topic)
    .bind(thread_id)
    .execute(connection)
    .await?;
    Ok(())
}
