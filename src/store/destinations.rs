//! What is known of outside destinations, shared by all processes: pauses and rate budgets here, breakers in
//! [`crate::store::breakers`].

use std::time::Duration;

use sqlx::PgConnection;

/// Why a destination cannot be used now.
#[derive(Debug, Clone, PartialEq)]
pub struct Paused {
    /// For how much longer.
    pub remaining: Duration,
    /// Why, and what a person can do.
    pub reason: String,
}

/// The pause of a destination, if it is paused now.
///
/// # Errors
/// When the database refuses.
pub async fn find_pause(
    connection: &mut PgConnection,
    kind: &str,
    name: &str,
) -> Result<Option<Paused>, sqlx::Error> {
    let paused: Option<(f64, Option<String>)> = sqlx::query_as(
        "SELECT extract(epoch FROM paused_until - clock_timestamp())::float8, reason FROM pushbox.destinations
         WHERE kind = $1 AND name = $2 AND paused_until > clock_timestamp()",
    )
    .bind(kind)
    .bind(name)
    .fetch_optional(connection)
    .await?;
    Ok(paused.map(|(seconds, reason)| Paused {
        remaining: Duration::from_secs_f64(seconds.max(0.0)),
        reason: reason.unwrap_or_default(),
    }))
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
/// that was slowed down ([`slow_down`]) gets less, and with each unit it takes a little more again.
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
         WHERE coalesce(d.next_free_at, clock_timestamp())
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
        "SELECT coalesce(extract(epoch FROM next_free_at - clock_timestamp()
                - $3 * ($4 - 1) * interval '1 second')::float8, 0)
         FROM pushbox.destinations WHERE kind = $1 AND name = $2",
    )
    .bind(kind)
    .bind(name)
    .bind(interval.as_secs_f64())
    .bind(f64::from(burst.max(1)))
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
