//! Doing work again: one job, one event, or everything that matches a filter.
//!
//! A replay asks for jobs; it stores no event and touches no idempotency key, so it cannot collide with a push.
//! Jobs keep their coalescing keys: what is asked for twice merges while it is ready. What a job then does again is
//! its own affair, and every one of ours is made for that: orders and sheet rows are upserts that never go back,
//! announcements are in a ledger, a forwarded event keeps its id.
//!
//! A replay by filter is a row of `pushbox.replays` that some worker takes in hand, page after page. A page's jobs,
//! its counts and its place are one transaction, so a replay that was killed goes on where it stopped and does
//! nothing twice. It looks only at what was there when it was asked for, at no more than its rate, and its jobs
//! stand behind those of live pushes.

mod filter;
mod pages;
mod runner;

use chrono::{DateTime, Utc};
use sqlx::PgConnection;
use sqlx::types::Json;
use uuid::Uuid;

pub use self::filter::{ReplayFilter, Target};
pub use self::pages::StoredEvent;
pub use self::runner::Replayer;
use super::control::retry_dead;
use super::enqueue::{NewJob, enqueue, merge_into_ready};
use super::plan::Plan;

/// Jobs of a replay stand behind the usual ones of their batch key.
pub const PRIORITY: i16 = 10;

/// A replay to be.
#[derive(Debug, Clone)]
pub struct NewReplay {
    /// What is replayed.
    pub target: Target,
    /// Which of it.
    pub filter: ReplayFilter,
    /// At most so many events or jobs per second; at least 1.
    pub per_second: i32,
    /// Who asks for it.
    pub requested_by: String,
}

/// A replay as it stands.
#[derive(Debug, Clone, sqlx::FromRow)]
pub struct Replay {
    /// Its number.
    pub id: i64,
    /// `events`, `dead_jobs` or `finished_jobs`.
    pub target: String,
    /// Which of them.
    pub filter: Json<ReplayFilter>,
    /// `waiting`, `running`, `done` or `cancelled`.
    pub state: String,
    /// At most so many per second.
    pub per_second: i32,
    /// How many matched when it began; none: not counted yet.
    pub total: Option<i64>,
    /// How many it went through.
    pub seen: i64,
    /// Jobs it made ready.
    pub enqueued: i64,
    /// Events and jobs that asked for nothing or were gone.
    pub skipped: i64,
    /// Who asked for it.
    pub requested_by: String,
    /// Why the last page failed.
    pub last_error: Option<String>,
    /// When it was asked for.
    pub created_at: DateTime<Utc>,
    /// When it began.
    pub started_at: Option<DateTime<Utc>>,
    /// When it was done or cancelled.
    pub finished_at: Option<DateTime<Utc>>,
}

macro_rules! select_replay {
    () => {
        "SELECT id, target, filter, state, per_second, total, seen, enqueued, skipped, requested_by, last_error,
                created_at, started_at, finished_at FROM pushbox.replays "
    };
}

/// How many events or jobs match now: the whole of a dry run.
///
/// # Errors
/// When the database refuses, also when counting takes longer than a statement may.
pub async fn count(
    connection: &mut PgConnection,
    target: Target,
    filter: &ReplayFilter,
) -> Result<i64, sqlx::Error> {
    let now: DateTime<Utc> =
        sqlx::query_scalar("SELECT clock_timestamp()").fetch_one(&mut *connection).await?;
    pages::count(connection, target, filter, now).await
}

/// Asks for a replay and returns its number. A worker takes it in hand soon after the commit.
///
/// # Errors
/// When the database refuses.
pub async fn create(connection: &mut PgConnection, replay: &NewReplay) -> Result<i64, sqlx::Error> {
    sqlx::query_scalar(
        "INSERT INTO pushbox.replays (target, filter, per_second, requested_by) VALUES ($1, $2, $3, $4) RETURNING id",
    )
    .bind(replay.target.as_str())
    .bind(Json(&replay.filter))
    .bind(replay.per_second.max(1))
    .bind(&replay.requested_by)
    .fetch_one(connection)
    .await
}

/// [`create`], once for a `request`: asking again with the same one finds the replay that is there. Returns its
/// number, and whether it is new.
///
/// # Errors
/// When the database refuses.
pub async fn create_once(
    connection: &mut PgConnection,
    request: Uuid,
    replay: &NewReplay,
) -> Result<(i64, bool), sqlx::Error> {
    sqlx::query_as(
        "WITH new AS (
             INSERT INTO pushbox.replays (target, filter, per_second, requested_by, request)
             VALUES ($1, $2, $3, $4, $5) ON CONFLICT (request) DO NOTHING RETURNING id)
         SELECT id, true FROM new
         UNION ALL SELECT id, false FROM pushbox.replays WHERE request = $5 LIMIT 1",
    )
    .bind(replay.target.as_str())
    .bind(Json(&replay.filter))
    .bind(replay.per_second.max(1))
    .bind(&replay.requested_by)
    .bind(request)
    .fetch_one(connection)
    .await
}

/// Cancels a replay that is not over; what it has asked for already is done. Returns whether there was one.
///
/// # Errors
/// When the database refuses.
pub async fn cancel(connection: &mut PgConnection, id: i64) -> Result<bool, sqlx::Error> {
    let done = sqlx::query(
        "UPDATE pushbox.replays SET state = 'cancelled', finished_at = now(), lease_until = NULL
         WHERE id = $1 AND state IN ('waiting', 'running')",
    )
    .bind(id)
    .execute(connection)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// One replay.
///
/// # Errors
/// When the database refuses.
pub async fn find(connection: &mut PgConnection, id: i64) -> Result<Option<Replay>, sqlx::Error> {
    sqlx::query_as(concat!(select_replay!(), "WHERE id = $1")).bind(id).fetch_optional(connection).await
}

/// Replays from the newest to the oldest, those before the number `before`.
///
/// # Errors
/// When the database refuses.
pub async fn list(
    connection: &mut PgConnection,
    before: Option<i64>,
    limit: i64,
) -> Result<Vec<Replay>, sqlx::Error> {
    sqlx::query_as(concat!(
        select_replay!(),
        "WHERE id < coalesce($1, 9223372036854775807) ORDER BY id DESC LIMIT $2"
    ))
    .bind(before)
    .bind(limit)
    .fetch_all(connection)
    .await
}

/// The jobs that replaying an event would ask for, or none when there is no such event. Asks for nothing.
///
/// # Errors
/// When the database refuses.
pub async fn preview(
    connection: &mut PgConnection,
    plan: &Plan,
    id: Uuid,
) -> Result<Option<Vec<NewJob>>, sqlx::Error> {
    Ok(pages::event(connection, id).await?.map(|event| plan.again(&event)))
}

/// Asks again for the jobs that one event leads to today; how many they are, or none when there is no such event.
/// Wake the workers after the commit.
///
/// # Errors
/// When the database refuses.
pub async fn event(
    connection: &mut PgConnection,
    plan: &Plan,
    id: Uuid,
) -> Result<Option<usize>, sqlx::Error> {
    let Some(event) = pages::event(connection, id).await? else { return Ok(None) };
    let jobs = plan.again(&event);
    let count = jobs.len();
    enqueue(connection, jobs).await?;
    Ok(Some(count))
}

/// Runs one job again: a dead one gets all its attempts back, one that ended is asked for anew with `max_attempts`.
/// Returns whether there was one. Wake the workers after the commit.
///
/// # Errors
/// When the database refuses.
pub async fn job(connection: &mut PgConnection, id: i64, max_attempts: i32) -> Result<bool, sqlx::Error> {
    Ok(retry_dead(connection, id).await? || ended_job(connection, id, None, max_attempts).await?)
}

/// Asks anew for a job that ended; `finished_at`, when known, tells the partition.
async fn ended_job(
    connection: &mut PgConnection,
    id: i64,
    finished_at: Option<DateTime<Utc>>,
    max_attempts: i32,
) -> Result<bool, sqlx::Error> {
    let done = sqlx::query(concat!(
        "INSERT INTO pushbox.jobs AS jobs
             (queue, kind, key, batch_key, payload, priority, max_attempts, event_id, merged_events)
         SELECT queue, kind, key, batch_key, payload, $3, $4, event_id, merged_events FROM pushbox.job_history
         WHERE id = $1 AND ($2::timestamptz IS NULL OR finished_at = $2) AND outcome <> 'merged'
         LIMIT 1 ",
        merge_into_ready!()
    ))
    .bind(id)
    .bind(finished_at)
    .bind(PRIORITY)
    .bind(max_attempts)
    .execute(connection)
    .await?;
    Ok(done.rows_affected() == 1)
}
