//! What was forwarded where, and what came of it.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use sqlx::{PgConnection, PgExecutor, Postgres, QueryBuilder};
use uuid::Uuid;

use crate::domain::event::received_at_of;

/// An event as it is forwarded.
#[derive(Debug, Clone, sqlx::FromRow)]
pub struct ForwardedEvent {
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
    /// The envelope as sent; none when jsonb cannot hold it.
    pub payload: Option<serde_json::Value>,
    /// The bytes as received, where there is no payload.
    pub body: Option<Vec<u8>>,
    /// Why there is no payload.
    pub parse_error: Option<String>,
    /// When it happened.
    pub occurred_at: Option<DateTime<Utc>>,
    /// When it reached us.
    pub received_at: DateTime<Utc>,
    /// How it reached us.
    pub via: String,
}

/// These events; those dropped by retention are left out. The ids tell the days, so that only their partitions
/// are read.
///
/// # Errors
/// When the database refuses.
pub async fn list_events(
    connection: &mut PgConnection,
    ids: &[Uuid],
) -> Result<Vec<ForwardedEvent>, sqlx::Error> {
    let times: Vec<DateTime<Utc>> = ids.iter().filter_map(|id| received_at_of(*id)).collect();
    let (Some(first), Some(last)) = (times.iter().min(), times.iter().max()) else { return Ok(Vec::new()) };
    sqlx::query_as(
        "SELECT id, source, account, code, kind, subject, payload, body, parse_error, occurred_at, received_at, via
         FROM pushbox.events WHERE id = ANY ($1) AND received_at >= $2 AND received_at < $3",
    )
    .bind(ids)
    .bind(first)
    .bind(*last + TimeDelta::milliseconds(1))
    .fetch_all(connection)
    .await
}

/// Which of these events the target has accepted.
///
/// # Errors
/// When the database refuses.
pub async fn list_delivered(
    connection: &mut PgConnection,
    target: &str,
    events: &[Uuid],
) -> Result<Vec<Uuid>, sqlx::Error> {
    sqlx::query_scalar(
        "SELECT event_id FROM pushbox.deliveries
         WHERE target = $1 AND event_id = ANY ($2) AND state = 'delivered'",
    )
    .bind(target)
    .bind(events)
    .fetch_all(connection)
    .await
}

/// What came of one attempt.
#[derive(Debug, Clone)]
pub struct Attempt<'a> {
    /// The target's name.
    pub target: &'a str,
    /// The event.
    pub event_id: Uuid,
    /// HTTP status of the answer, if there was one.
    pub status: Option<u16>,
    /// The beginning of the answer's body.
    pub response: Option<&'a str>,
    /// Why it failed; none: it did not.
    pub error: Option<&'a str>,
    /// How long it took.
    pub took: Duration,
    /// After so long since the first attempt a failure is the last.
    pub patience: Duration,
}

/// Notes an attempt. Returns whether the event is given up with it: it failed, and the first attempt was longer
/// ago than `patience`. An event that was given up before begins anew.
///
/// # Errors
/// When the database refuses.
pub async fn note_attempt(connection: &mut PgConnection, attempt: &Attempt<'_>) -> Result<bool, sqlx::Error> {
    let state: String = sqlx::query_scalar(
        "INSERT INTO pushbox.deliveries AS d
             (target, event_id, state, status, response, error, duration_ms, delivered_at)
         VALUES ($1, $2, CASE WHEN $5::text IS NULL THEN 'delivered' ELSE 'retrying' END, $3, $4, $5, $6,
                 CASE WHEN $5::text IS NULL THEN clock_timestamp() END)
         ON CONFLICT (target, event_id) DO UPDATE SET
             state = CASE WHEN $5::text IS NULL OR d.state = 'delivered' THEN 'delivered'
                          WHEN d.state = 'retrying'
                               AND d.first_tried_at < clock_timestamp() - $7 * interval '1 second' THEN 'given_up'
                          ELSE 'retrying' END,
             attempts = d.attempts + 1, status = $3, response = $4, error = $5, duration_ms = $6,
             first_tried_at = CASE WHEN d.state = 'given_up' THEN clock_timestamp() ELSE d.first_tried_at END,
             last_tried_at = clock_timestamp(),
             delivered_at = coalesce(d.delivered_at, excluded.delivered_at)
         RETURNING state",
    )
    .bind(attempt.target)
    .bind(attempt.event_id)
    .bind(attempt.status.map(i32::from))
    .bind(attempt.response)
    .bind(attempt.error)
    .bind(i32::try_from(attempt.took.as_millis()).unwrap_or(i32::MAX))
    .bind(attempt.patience.as_secs_f64())
    .fetch_one(connection)
    .await?;
    Ok(state == "given_up")
}

/// A delivery as people look at it.
#[derive(Debug, Clone, sqlx::FromRow)]
pub struct Delivery {
    /// Name of the target.
    pub target: String,
    /// The event.
    pub event_id: Uuid,
    /// `retrying`, `delivered` or `given_up`.
    pub state: String,
    /// How often it was posted.
    pub attempts: i32,
    /// HTTP status of the last answer.
    pub status: Option<i32>,
    /// The beginning of the last answer's body.
    pub response: Option<String>,
    /// Why the last attempt failed.
    pub error: Option<String>,
    /// How long the last attempt took, in milliseconds.
    pub duration_ms: Option<i32>,
    /// When it was first posted.
    pub first_tried_at: DateTime<Utc>,
    /// When it was last posted.
    pub last_tried_at: DateTime<Utc>,
    /// When the service accepted it.
    pub delivered_at: Option<DateTime<Utc>>,
}

/// Which deliveries; every part that is set must hold.
#[derive(Debug, Clone, Default)]
pub struct DeliveryFilter {
    /// Name of the target.
    pub target: Option<String>,
    /// The event.
    pub event_id: Option<Uuid>,
    /// The state.
    pub state: Option<String>,
    /// Only events before this one.
    pub before: Option<Uuid>,
}

/// At most `limit` deliveries that pass, newest events first.
///
/// # Errors
/// When the database refuses.
pub async fn list_deliveries(
    executor: impl PgExecutor<'_>,
    filter: &DeliveryFilter,
    limit: u16,
) -> Result<Vec<Delivery>, sqlx::Error> {
    let mut query = QueryBuilder::<Postgres>::new(
        "SELECT target, event_id, state, attempts, status, response, error, duration_ms, first_tried_at,
                last_tried_at, delivered_at
         FROM pushbox.deliveries WHERE true",
    );
    if let Some(target) = &filter.target {
        query.push(" AND target = ").push_bind(target.as_str());
    }
    if let Some(state) = &filter.state {
        query.push(" AND state = ").push_bind(state.as_str());
    }
    if let Some(event) = filter.event_id {
        query.push(" AND event_id = ").push_bind(event);
    }
    if let Some(before) = filter.before {
        query.push(" AND event_id < ").push_bind(before);
    }
    query.push(" ORDER BY event_id DESC, target LIMIT ").push_bind(i64::from(limit));
    query.build_query_as().fetch_all(executor).await
}
