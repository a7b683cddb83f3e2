//! The budget of calls to a platform, shared by all processes: a rate that adapts, and places per account.
//!
//! The rate is halved when the platform says that it is too much, and grows back with time alone; so a call
//! that went well costs no statement. A place is a lease: that of a process that vanished ends by itself.

use std::time::Duration;

use chrono::{DateTime, Utc};
use sqlx::PgConnection;

/// The destination that stands for an app as a whole; a further app of a platform has its id behind it.
pub const APP: &str = "app";

/// The share of the configured rate that is left now, of row `d`: from a half to all of it in five minutes.
macro_rules! factor {
    () => {
        "least(1, coalesce(d.rate_factor, 1) + extract(epoch FROM clock_timestamp()
             - coalesce(d.rate_cut_at, clock_timestamp())) * 0.5 / 300)::float8"
    };
}

/// The time between two turns; $3 is the configured rate.
macro_rules! interval {
    () => {
        concat!("(interval '1 second' / ($3 * ", factor!(), "))")
    };
}

/// When the next turn is. Up to one second's worth of turns may be taken at once after a quiet time.
macro_rules! turn {
    () => {
        concat!(
            "greatest(coalesce(d.next_free_at, '-infinity'), clock_timestamp() - interval '1 second' + ",
            interval!(),
            ")"
        )
    };
}

/// Takes the next turn of the app's rate, if it comes within `patience`: how long to wait for it. Else
/// nothing is taken, and the error is how long to stay away.
///
/// # Errors
/// When the database refuses.
pub async fn take_turn(
    connection: &mut PgConnection,
    platform: &str,
    app: &str,
    per_second: u32,
    patience: Duration,
) -> Result<Result<Duration, Duration>, sqlx::Error> {
    let wait: Option<f64> = sqlx::query_scalar(concat!(
        "INSERT INTO pushbox.destinations AS d (kind, name, next_free_at)
         VALUES ($1, $2, clock_timestamp() - interval '1 second' + interval '2 seconds' / $3)
         ON CONFLICT (kind, name) DO UPDATE SET next_free_at = ",
        turn!(),
        " + ",
        interval!(),
        ", updated_at = now() WHERE ",
        turn!(),
        " <= clock_timestamp() + $4 * interval '1 second'
         RETURNING extract(epoch FROM next_free_at - ",
        interval!(),
        " - clock_timestamp())::float8"
    ))
    .bind(platform)
    .bind(app)
    .bind(f64::from(per_second.max(1)))
    .bind(patience.as_secs_f64())
    .fetch_optional(&mut *connection)
    .await?;
    if let Some(wait) = wait {
        return Ok(Ok(Duration::from_secs_f64(wait.max(0.0))));
    }
    let away: Option<f64> = sqlx::query_scalar(
        "SELECT extract(epoch FROM next_free_at - clock_timestamp())::float8 FROM pushbox.destinations
         WHERE kind = $1 AND name = $2",
    )
    .bind(platform)
    .bind(app)
    .fetch_optional(connection)
    .await?
    .flatten();
    Ok(Err(Duration::from_secs_f64(away.unwrap_or(1.0).max(0.1))))
}

/// The platform said that it was too much: halves the rate. Refusals within a second of each other count once.
///
/// # Errors
/// When the database refuses.
pub async fn cut_rate(connection: &mut PgConnection, platform: &str, app: &str) -> Result<(), sqlx::Error> {
    sqlx::query(concat!(
        "INSERT INTO pushbox.destinations AS d (kind, name, rate_factor, rate_cut_at)
         VALUES ($1, $2, 0.5, clock_timestamp())
         ON CONFLICT (kind, name) DO UPDATE SET rate_factor = greatest(0.02, ",
        factor!(),
        " / 2), rate_cut_at = clock_timestamp(), updated_at = now()
         WHERE d.rate_cut_at IS NULL OR d.rate_cut_at < clock_timestamp() - interval '1 second'"
    ))
    .bind(platform)
    .bind(app)
    .execute(connection)
    .await?;
    Ok(())
}

/// Takes one of the `places` of an account for at most `lease`; none: all are taken. The end of the lease
/// names the place.
///
/// # Errors
/// When the database refuses.
pub async fn take_place(
    connection: &mut PgConnection,
    platform: &str,
    account: &str,
    places: u32,
    lease: Duration,
) -> Result<Option<DateTime<Utc>>, sqlx::Error> {
    sqlx::query_scalar(
        "INSERT INTO pushbox.destinations AS d (kind, name, in_flight)
         VALUES ($1, $2, ARRAY[clock_timestamp() + $4 * interval '1 second'])
         ON CONFLICT (kind, name) DO UPDATE SET updated_at = now(),
             in_flight = ARRAY(SELECT t FROM unnest(d.in_flight) AS t WHERE t > clock_timestamp())
                         || excluded.in_flight
         WHERE (SELECT count(*) FROM unnest(d.in_flight) AS t WHERE t > clock_timestamp()) < $3
         RETURNING in_flight[cardinality(in_flight)]",
    )
    .bind(platform)
    .bind(account)
    .bind(i64::from(places.max(1)))
    .bind(lease.as_secs_f64())
    .fetch_optional(connection)
    .await
}

/// Gives a place back.
///
/// # Errors
/// When the database refuses; then it ends with its lease.
pub async fn leave_place(
    connection: &mut PgConnection,
    platform: &str,
    account: &str,
    place: DateTime<Utc>,
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "UPDATE pushbox.destinations SET in_flight = array_remove(in_flight, $3)
         WHERE kind = $1 AND name = $2",
    )
    .bind(platform)
    .bind(account)
    .bind(place)
    .execute(connection)
    .await?;
    Ok(())
}
