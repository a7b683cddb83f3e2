//! Writes to destinations that cannot tell a late writer from the one who has the job now: they are begun under a
//! claim that still holds, and noted until their end is known. A writer that vanished leaves its note behind.

use std::time::Duration;

use sqlx::PgConnection;
use uuid::Uuid;

/// For how much longer a write that somebody else began less than `settle` ago, and that may still be under way,
/// is to be let end; none: nothing is in the way.
///
/// # Errors
/// When the database refuses.
pub async fn unsettled(
    connection: &mut PgConnection,
    kind: &str,
    name: &str,
    settle: Duration,
) -> Result<Option<Duration>, sqlx::Error> {
    let seconds: Option<f64> = sqlx::query_scalar(
        "SELECT extract(epoch FROM writing_since + $3 * interval '1 second' - clock_timestamp())::float8
         FROM pushbox.destinations
         WHERE kind = $1 AND name = $2 AND writing_since > clock_timestamp() - $3 * interval '1 second'",
    )
    .bind(kind)
    .bind(name)
    .bind(settle.as_secs_f64())
    .fetch_optional(connection)
    .await?;
    Ok(seconds.map(|seconds| Duration::from_secs_f64(seconds.max(0.0))))
}

/// Notes that a write begins, if the claim for which it is done still holds; write at once. False: somebody else has
/// the job, and nothing may be written.
///
/// # Errors
/// When the database refuses; then nothing may be written either.
pub async fn begin(
    connection: &mut PgConnection,
    kind: &str,
    name: &str,
    job_id: i64,
    claim_id: Uuid,
) -> Result<bool, sqlx::Error> {
    let begun = sqlx::query(
        "INSERT INTO pushbox.destinations AS d (kind, name, writing_since, writing_claim)
         SELECT $1, $2, clock_timestamp(), j.claim_id FROM pushbox.jobs j
         WHERE j.id = $3 AND j.claim_id = $4 AND j.state = 'running' AND j.lease_until > clock_timestamp()
         ON CONFLICT (kind, name) DO UPDATE SET
             writing_since = excluded.writing_since, writing_claim = excluded.writing_claim, updated_at = now()",
    )
    .bind(kind)
    .bind(name)
    .bind(job_id)
    .bind(claim_id)
    .execute(connection)
    .await?;
    Ok(begun.rows_affected() == 1)
}

/// Notes that the write of this claim has ended, well or not. A newer one's note stays.
///
/// # Errors
/// When the database refuses; then the next write waits for a while.
pub async fn end(
    connection: &mut PgConnection,
    kind: &str,
    name: &str,
    claim_id: Uuid,
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "UPDATE pushbox.destinations SET writing_since = NULL, writing_claim = NULL
         WHERE kind = $1 AND name = $2 AND writing_claim = $3",
    )
    .bind(kind)
    .bind(name)
    .bind(claim_id)
    .execute(connection)
    .await?;
    Ok(())
}
