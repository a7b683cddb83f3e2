//! Claiming: many rows in one round trip, each shop in its turn.

use chrono::{DateTime, Utc};
use serde_json::value::RawValue;
use sqlx::types::Json;
use sqlx::{Acquire, PgConnection};
use uuid::Uuid;

use crate::domain::job::Queue;

/// A claimed job as it stands in the table.
#[derive(Debug, sqlx::FromRow)]
pub struct ClaimedRow {
    /// Number of the job.
    pub id: i64,
    /// Stable name of what is to be done.
    pub kind: String,
    /// The batch key it was enqueued with.
    pub batch_key: String,
    /// What to do.
    pub payload: Json<Box<RawValue>>,
    /// Attempts charged so far.
    pub attempt: i32,
    /// How often it may fail.
    pub max_attempts: i32,
    /// Workers that vanished with it in a row.
    pub crashes: i16,
    /// The event that asked for it first.
    pub event_id: Option<Uuid>,
    /// Further events it serves.
    pub merged_events: Vec<Uuid>,
    /// Lower runs first.
    pub priority: i16,
    /// When it became due.
    pub run_at: DateTime<Utc>,
    /// When it was asked for.
    pub created_at: DateTime<Utc>,
}

/// The ready jobs of one batch key and one priority.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Lane {
    /// The shop, the spreadsheet, the chat.
    pub batch_key: String,
    /// Lower runs first.
    pub priority: i16,
}

/// A place in a lane: jobs before it are not looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// When the job there became due.
    pub run_at: DateTime<Utc>,
    /// Its number.
    pub id: i64,
}

/// A lane that has ready jobs, and the first of them.
#[derive(Debug, Clone, PartialEq)]
pub struct Head {
    /// Which lane.
    pub lane: Lane,
    /// Its first job.
    pub place: Place,
    /// How long until that job is due and its batch key not held, in seconds by the database's clock; zero or
    /// less: it is.
    pub due_in: f64,
}

/// What to claim.
#[derive(Debug, Clone)]
pub struct ClaimRequest<'a> {
    /// From which queue.
    pub queue: Queue,
    /// From which lanes, and behind which places, in this order.
    pub lanes: &'a [(Lane, Place)],
    /// At most so many jobs.
    pub limit: i64,
    /// At most so many of one lane.
    pub per_lane: i64,
    /// Leave out batch keys of which so many claims run already, over all processes; none: never.
    pub claims_per_batch_key: Option<i32>,
    /// Who claims.
    pub worker: &'a str,
    /// The fresh claim id.
    pub claim_id: Uuid,
    /// How long the claim is good without a heartbeat, in seconds.
    pub lease_seconds: f64,
}

/// The lanes of a queue that have ready jobs, behind `after`, at most `limit` of them, in order. Also those whose
/// first job is not due yet.
///
/// # Errors
/// When the database refuses.
pub async fn look(
    connection: &mut PgConnection,
    queue: Queue,
    after: Option<&Lane>,
    limit: i64,
) -> Result<Vec<Head>, sqlx::Error> {
    let heads: Vec<(String, i16, DateTime<Utc>, i64, f64)> = sqlx::query_as(LOOK)
        .bind(queue.as_str())
        .bind(after.map_or("", |lane| lane.batch_key.as_str()))
        .bind(after.map_or(i16::MIN, |lane| lane.priority))
        .bind(limit)
        .fetch_all(connection)
        .await?;
    let heads = heads.into_iter().map(|(batch_key, priority, run_at, id, due_in)| Head {
        lane: Lane { batch_key, priority },
        place: Place { run_at, id },
        due_in,
    });
    Ok(heads.collect())
}

/// Hops through `jobs_ready_idx` from one lane to the next: its cost is the number of shops with work, not the
/// number of jobs. Only dead rows at the head of a lane cost more, which Postgres cannot drop while somebody holds
/// an old snapshot; hence claims begin where the last one ended, and this is asked seldom.
const LOOK: &str = "
WITH RECURSIVE lanes AS (
    (SELECT batch_key, priority, run_at, id FROM pushbox.jobs
     WHERE queue = $1 AND state = 'ready' AND (batch_key, priority) > ($2, $3)
     ORDER BY batch_key, priority, run_at, id LIMIT 1)
    UNION ALL
    SELECT next.* FROM lanes CROSS JOIN LATERAL (
        SELECT j.batch_key, j.priority, j.run_at, j.id FROM pushbox.jobs j
        WHERE j.queue = $1 AND j.state = 'ready' AND (j.batch_key, j.priority) > (lanes.batch_key, lanes.priority)
        ORDER BY j.batch_key, j.priority, j.run_at, j.id LIMIT 1) AS next
)
SELECT head.batch_key, head.priority, head.run_at, head.id,
       extract(epoch FROM greatest(head.run_at, held.held_until) - now())::float8
FROM (SELECT * FROM lanes LIMIT $4) head
LEFT JOIN pushbox.batch_holds held ON held.queue = $1 AND held.batch_key = head.batch_key
ORDER BY head.batch_key, head.priority";

/// Claims due jobs of the lanes, lane after lane, within a lane by `run_at`. They come back sorted by batch key,
/// priority and `run_at`.
///
/// The commit does not wait for the disk: a claim that a crash of the server undoes is a lease that was lost, and
/// every commit that follows, such as that of an intent, brings the claim to disk before itself.
///
/// Whoever drops it before its end must not use the connection again.
///
/// # Errors
/// When the database refuses; then nothing is claimed.
pub async fn claim(
    connection: &mut PgConnection,
    request: &ClaimRequest<'_>,
) -> Result<Vec<ClaimedRow>, sqlx::Error> {
    if request.claims_per_batch_key.is_none() {
        return claim_rows(connection, request).await;
    }
    // Two processes must not both see a batch key as idle. The lock is short and ends with the transaction,
    // so it needs no session state; the claim's own snapshot is taken after it.
    let mut transaction = connection.begin().await?;
    sqlx::query("SELECT pg_advisory_xact_lock(hashtext('pushbox.claim'), hashtext($1))")
        .bind(request.queue.as_str())
        .execute(&mut *transaction)
        .await?;
    let rows = claim_rows(&mut transaction, request).await?;
    transaction.commit().await?;
    Ok(rows)
}

async fn claim_rows(
    connection: &mut PgConnection,
    request: &ClaimRequest<'_>,
) -> Result<Vec<ClaimedRow>, sqlx::Error> {
    let (lanes, places): (Vec<&Lane>, Vec<&Place>) =
        request.lanes.iter().map(|(lane, place)| (lane, place)).unzip();
    let mut rows: Vec<ClaimedRow> = sqlx::query_as(CLAIM)
        .bind(request.queue.as_str())
        .bind(lanes.iter().map(|lane| lane.batch_key.as_str()).collect::<Vec<_>>())
        .bind(lanes.iter().map(|lane| lane.priority).collect::<Vec<_>>())
        .bind(places.iter().map(|place| place.run_at).collect::<Vec<_>>())
        .bind(places.iter().map(|place| place.id).collect::<Vec<_>>())
        .bind(request.per_lane)
        .bind(request.claims_per_batch_key)
        .bind(request.limit)
        .bind(request.worker)
        .bind(request.claim_id)
        .bind(request.lease_seconds)
        .fetch_all(connection)
        .await?;
    // RETURNING promises no order.
    rows.sort_by_cached_key(|row| (row.batch_key.clone(), row.priority, row.run_at, row.id));
    Ok(rows)
}

/// `SKIP LOCKED` because a row locked by another claim is that claim's. A row whose twin (same kind and key) runs is
/// left alone until the twin ends. A place of just now is taken back a little, for jobs whose commit came later than
/// that of jobs with a later time. Rows are updated through an array of ids, so that the plan stays a primary-key
/// lookup whatever the statistics say. `relaxed` is referred to, because Postgres skips what nobody asks for.
const CLAIM: &str = "
WITH relaxed AS MATERIALIZED (
    SELECT set_config('synchronous_commit', 'off', true)
), picked AS (
    SELECT due.id
    FROM relaxed
    CROSS JOIN (
        SELECT batch_key, priority,
               CASE WHEN at > now() - interval '250 ms' THEN at - interval '20 ms' ELSE at END AS from_at,
               CASE WHEN at > now() - interval '250 ms' THEN 0 ELSE id END AS from_id
        FROM unnest($2::text[], $3::smallint[], $4::timestamptz[], $5::bigint[]) AS lane(batch_key, priority, at, id)
    ) AS asked
    CROSS JOIN LATERAL (
        SELECT j.id FROM pushbox.jobs j
        WHERE j.queue = $1 AND j.state = 'ready' AND j.batch_key = asked.batch_key
          AND j.priority = asked.priority AND (j.run_at, j.id) >= (asked.from_at, asked.from_id)
          AND j.run_at <= now()
          AND (j.key IS NULL OR NOT EXISTS (
                SELECT FROM pushbox.jobs twin
                WHERE twin.kind = j.kind AND twin.key = j.key AND twin.state = 'running' AND twin.key IS NOT NULL))
        ORDER BY j.run_at, j.id LIMIT $6 FOR UPDATE SKIP LOCKED) AS due
    WHERE $7::integer IS NULL OR ($7 > (
        SELECT count(DISTINCT busy.claim_id) FROM pushbox.jobs busy
        WHERE busy.queue = $1 AND busy.batch_key = asked.batch_key AND busy.state = 'running')
      AND NOT EXISTS (
        SELECT FROM pushbox.batch_holds held
        WHERE held.queue = $1 AND held.batch_key = asked.batch_key AND held.held_until > now()))
    LIMIT $8
)
UPDATE pushbox.jobs SET
    state = 'running', claim_id = $10, worker = $9, claimed_at = now(), started_at = NULL, waiting_on = NULL,
    lease_until = now() + $11 * interval '1 second'
WHERE id = ANY (ARRAY(SELECT id FROM picked)) AND state = 'ready'
  AND NOT EXISTS (SELECT FROM pushbox.queues WHERE name = $1 AND paused_at IS NOT NULL)
RETURNING id, kind, batch_key, payload, attempt, max_attempts, crashes, event_id, merged_events,
          priority, run_at, created_at";
