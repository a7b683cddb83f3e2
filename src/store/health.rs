//! Does the database answer?

use std::time::{Duration, Instant};

use sqlx::PgPool;

/// Why the database does not count as healthy.
#[derive(Debug, thiserror::Error)]
pub enum Unhealthy {
    /// No answer in time; also when every connection of the pool is taken for so long.
    #[error("the database did not answer within {} ms", .0.as_millis())]
    Late(Duration),
    /// It answered with an error, or cannot be reached.
    #[error("the database cannot be used")]
    Failed(#[from] sqlx::Error),
}

/// Asks the database for the simplest answer and says how long that took, waiting for a connection included.
pub async fn ping(pool: &PgPool, limit: Duration) -> Result<Duration, Unhealthy> {
    let begun = Instant::now();
    match tokio::time::timeout(limit, sqlx::query("select 1").execute(pool)).await {
        Ok(Ok(_)) => Ok(begun.elapsed()),
        Ok(Err(error)) => Err(Unhealthy::Failed(error)),
        Err(_) => Err(Unhealthy::Late(limit)),
    }
}
