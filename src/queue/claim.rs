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

/// What to claim.
#[derive(Debug, Clone)]
pub struct ClaimRequest<'a> {
    /// From which queue.
    pub queue: Queue,
    /// At most so many jobs.
    pub limit: i64,
    /// At most so many of one batch key.
    pub per_batch_key: i64,
    /// Begin behind this batch key, so that every one has its turn; none: at the first.
    pub after: Option<&'a str>,
    /// Leave out batch keys of which a job is running: one writer per spreadsheet, one sender per chat.
    pub exclusive: bool,
    /// Who claims.
    pub worker: &'a str,
    /// The fresh claim id.
    pub claim_id: Uuid,
    /// How long the claim is good without a heartbeat, in seconds.
    pub lease_seconds: f64,
}

/// Claims due jobs. The order is: batch keys in turn from `after`, within one by priority and `run_at`.
///
/// # Errors
/// When the database refuses; then nothing is claimed.
pub async fn claim(
    connection: &mut PgConnection,
    request: &ClaimRequest<'_>,
) -> Result<Vec<ClaimedRow>, sqlx::Error> {
    if !request.exclusive {
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
    let mut rows: Vec<ClaimedRow> = sqlx::query_as(CLAIM)
        .bind(request.queue.as_str())
        .bind(request.after.unwrap_or_default())
        .bind(request.per_batch_key)
        .bind(request.limit)
        .bind(request.exclusive)
        .bind(request.worker)
        .bind(request.claim_id)
        .bind(request.lease_seconds)
        .bind(if request.after.is_some() { i16::MAX } else { i16::MIN })
        .fetch_all(connection)
        .await?;
    // RETURNING promises no order.
    rows.sort_by(|a, b| {
        (&a.batch_key, a.priority, a.run_at, a.id).cmp(&(&b.batch_key, b.priority, b.run_at, b.id))
    });
    Ok(rows)
}

/// `pairs` hops through `jobs_ready_idx` from one (batch key, priority) to the next: its cost is the number
/// of shops with work, not the number of jobs, so that a backlog of one shop neither delays the others nor
/// slows the claim. `SKIP LOCKED` because a row locked by another claim is that claim's. A row whose twin
/// (same kind and key) runs is left alone until the twin ends. Rows are updated through an array of ids, so
/// that the plan stays a primary-key lookup whatever the statistics say.
const CLAIM: &str = "
WITH RECURSIVE pairs AS (
    (SELECT batch_key, priority FROM pushbox.jobs
     WHERE queue = $1 AND state = 'ready' AND (batch_key, priority) > ($2, $9::smallint)
     ORDER BY batch_key, priority LIMIT 1)
    UNION ALL
    SELECT next.batch_key, next.priority
    FROM pairs CROSS JOIN LATERAL (
        SELECT j.batch_key, j.priority FROM pushbox.jobs j
        WHERE j.queue = $1 AND j.state = 'ready' AND (j.batch_key, j.priority) > (pairs.batch_key, pairs.priority)
        ORDER BY j.batch_key, j.priority LIMIT 1) AS next
), picked AS (
    SELECT due.id
    FROM pairs CROSS JOIN LATERAL (
        SELECT j.id FROM pushbox.jobs j
        WHERE j.queue = $1 AND j.state = 'ready' AND j.batch_key = pairs.batch_key
          AND j.priority = pairs.priority AND j.run_at <= now()
          AND (j.key IS NULL OR NOT EXISTS (
                SELECT FROM pushbox.jobs twin
                WHERE twin.kind = j.kind AND twin.key = j.key AND twin.state = 'running' AND twin.key IS NOT NULL))
        ORDER BY j.run_at, j.id LIMIT $3 FOR UPDATE SKIP LOCKED) AS due
    WHERE NOT $5 OR NOT EXISTS (
        SELECT FROM pushbox.jobs busy
        WHERE busy.queue = $1 AND busy.batch_key = pairs.batch_key AND busy.state = 'running')
    LIMIT $4
)
UPDATE pushbox.jobs SET
    state = 'running', claim_id = $7, worker = $6, claimed_at = now(), started_at = NULL, waiting_on = NULL,
    lease_until = now() + $8 * interval '1 second'
WHERE id = ANY (ARRAY(SELECT id FROM picked)) AND state = 'ready'
  AND NOT EXISTS (SELECT FROM pushbox.queues WHERE name = $1 AND paused_at IS NOT NULL)
RETURNING id, kind, batch_key, payload, attempt, max_attempts, crashes, event_id, merged_events,
          priority, run_at, created_at";
