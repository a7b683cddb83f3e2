//! What is known of outside destinations, shared by all processes: pauses and rate budgets here, breakers in
//! [`crate::store::breakers`].

use std::time::Duration;

use sqlx::PgConnection;

/// How often whoever waits for a destination that a person has paused looks again; a resume lets them go at once.
const LOOK_AGAIN: Duration = Duration::from_mins(5);

/// Why a destination cannot be used now.
#[derive(Debug, Clone, PartialEq)]
pub struct Paused {
    /// For how much longer.
    pub remaining: Duration,
    /// Why, and what a person can do.
    pub reason: String,
}

/// The pause of a destination that a person has paused for `reason`.
pub(super) fn by_hand(reason: &str) -> Paused {
    Paused { remaining: LOOK_AGAIN, reason: format!("paused by a person: {reason}") }
}

/// The pause of a destination, if it is paused now: by a person, or because of how it answered.
///
/// # Errors
/// When the database refuses.
pub async fn find_pause(
    connection: &mut PgConnection,
    kind: &str,
    name: &str,
) -> Result<Option<Paused>, sqlx::Error> {
    type Found = (Option<String>, Option<f64>, Option<String>);
    let paused: Option<Found> = sqlx::query_as(
        "SELECT CASE WHEN paused_at IS NOT NULL THEN coalesce(paused_reason, '') END,
                extract(epoch FROM paused_until - clock_timestamp())::float8, reason
         FROM pushbox.destinations
         WHERE kind = $1 AND name = $2 AND (paused_at IS NOT NULL OR paused_until > clock_timestamp())",
    )
    .bind(kind)
    .bind(name)
    .fetch_optional(connection)
    .await?;
    Ok(paused.map(|(person, seconds, reason)| match person {
        Some(person) => by_hand(&person),
        None => Paused {
            remaining: Duration::from_secs_f64(seconds.unwrap_or(0.0).max(0.0)),
            reason: reason.unwrap_or_default(),
        },
    }))
}

/// The pause that a person made, for whoever was admitted and is at work: what the others pause for, that one has
/// found out itself.
///
/// # Errors
/// When the database refuses.
pub async fn find_pause_by_hand(
    connection: &mut PgConnection,
    kind: &str,
    name: &str,
) -> Result<Option<Paused>, sqlx::Error> {
    let reason: Option<String> = sqlx::query_scalar(
        "SELECT coalesce(paused_reason, '') FROM pushbox.destinations
         WHERE kind = $1 AND name = $2 AND paused_at IS NOT NULL",
    )
    .bind(kind)
    .bind(name)
    .fetch_optional(connection)
    .await?;
    Ok(reason.map(|reason| by_hand(&reason)))
}

/// Pauses a destination for `pause` from now, or longer if it is paused for longer already.
///
/// # Errors
/// When the database refuses.
pub async fn pause(
    connection: &mut PgConnection,
    kind: &str,
    name: &str,
    pause: Duration,
    reason: &str,
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "INSERT INTO pushbox.destinations AS d (kind, name, paused_until, reason)
         VALUES ($1, $2, clock_timestamp() + $3 * interval '1 second', $4)
         ON CONFLICT (kind, name) DO UPDATE SET
             paused_until = greatest(d.paused_until, excluded.paused_until), reason = excluded.reason,
             updated_at = now()",
    )
    .bind(kind)
    .bind(name)
    .bind(pause.as_secs_f64())
    .bind(reason)
    .execute(connection)
    .await?;
    Ok(())
}

/// Takes one unit of a destination's rate budget (generic cell rate algorithm: one unit every `interval`,
/// up to `burst` of them at once). None: go ahead; else how long to wait before asking again. A destination
/// that was slowed down ([`slow_down`]) gets less, and with each unit it takes a little more again; one that a
/// person has paused gets nothing.
///
/// # Errors
/// When the database refuses.
pub async fn take_budget(
    connection: &mut PgConnection,
    kind: &str,
    name: &str,
    interval: Duration,
    burst: u32,
) -> Result<Option<Duration>, sqlx::Error> {
    // The update happens only when there is budget left; it is atomic, whoever else asks.
    let taken: Option<bool> = sqlx::query_scalar(
        "INSERT INTO pushbox.destinations AS d (kind, name, next_free_at)
         VALUES ($1, $2, clock_timestamp() + $3 * interval '1 second')
         ON CONFLICT (kind, name) DO UPDATE SET
             next_free_at = greatest(coalesce(d.next_free_at, clock_timestamp()), clock_timestamp())
                            + $3 * d.pace * interval '1 second',
             pace = greatest(1, d.pace * 0.97),
             updated_at = now()
         WHERE d.paused_at IS NULL AND coalesce(d.next_free_at, clock_timestamp())
               <= clock_timestamp() + $3 * ($4 - 1) * interval '1 second'
         RETURNING true",
    )
    .bind(kind)
    .bind(name)
    .bind(interval.as_secs_f64())
    .bind(f64::from(burst.max(1)))
    .fetch_optional(&mut *connection)
    .await?;
    if taken.is_some() {
        return Ok(None);
    }
    let wait: f64 = sqlx::query_scalar(
        "SELECT CASE WHEN paused_at IS NOT NULL THEN $5 ELSE coalesce(extract(epoch FROM
                next_free_at - clock_timestamp() - $3 * ($4 - 1) * interval '1 second')::float8, 0) END
         FROM pushbox.destinations WHERE kind = $1 AND name = $2",
    )
    .bind(kind)
    .bind(name)
    .bind(interval.as_secs_f64())
    .bind(f64::from(burst.max(1)))
    .bind(LOOK_AGAIN.as_secs_f64())
    .fetch_one(connection)
    .await?;
    Ok(Some(Duration::from_secs_f64(wait.max(0.001))))
}

/// The destination said "too many requests": its budget is half as fast from now on, at most sixteen times
/// slower than it is set, and what was saved up for a burst is gone.
///
/// # Errors
/// When the database refuses.
pub async fn slow_down(
    connection: &mut PgConnection,
    kind: &str,
    name: &str,
    interval: Duration,
    burst: u32,
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "UPDATE pushbox.destinations SET
             pace = least(pace * 2, 16), updated_at = now(),
             next_free_at = greatest(next_free_at, clock_timestamp() + $3 * ($4 - 1) * interval '1 second')
         WHERE kind = $1 AND name = $2",
    )
    .bind(kind)
    .bind(name)
    .bind(interval.as_secs_f64())
    .bind(f64::from(burst.max(1)))
    .execute(connection)
    .await?;
    Ok(())
}
