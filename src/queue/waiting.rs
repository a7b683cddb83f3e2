//! Letting go of jobs that wait for something that has come about.

use sqlx::PgConnection;

use crate::domain::job::Queue;

/// Jobs let go at once; the rest looks again by itself.
const AT_ONCE: i64 = 5_000;

/// Makes jobs of a batch key that wait for their destination due at once, because what they wait for is there.
/// Returns how many. Wake the workers after the commit.
///
/// # Errors
/// When the database refuses.
pub async fn let_go(
    connection: &mut PgConnection,
    queue: Queue,
    batch_key: &str,
) -> Result<u64, sqlx::Error> {
    let done = sqlx::query(
        "UPDATE pushbox.jobs SET run_at = now() WHERE id IN (
             SELECT id FROM pushbox.jobs
             WHERE state = 'ready' AND queue = $1 AND batch_key = $2 AND run_at > now() AND waiting_on IS NOT NULL
             ORDER BY run_at LIMIT $3 FOR UPDATE SKIP LOCKED)",
    )
    .bind(queue.as_str())
    .bind(batch_key)
    .bind(AT_ONCE)
    .execute(connection)
    .await?;
    Ok(done.rows_affected())
}
