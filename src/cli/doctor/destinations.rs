//! What the workers have found out about the destinations: which are paused, and why.

use sqlx::PgPool;

use super::Check;
use crate::store::breakers::list_destinations;

const NAME: &str = "destinations";

pub(super) async fn look(pool: &PgPool) -> Vec<Check> {
    match list_destinations(pool).await {
        Ok(all) => {
            let paused = all.into_iter().filter(|one| one.state != "closed");
            paused
                .map(|one| {
                    let why = one.reason.or(one.last_error).unwrap_or_default();
                    Check::failed(
                        NAME,
                        format!("{} {} is {}: {why}", one.kind, one.name, one.state),
                        "Do what the finding says; it is tried again by itself, or at once after a reset on the dashboard.",
                    )
                })
                .collect()
        }
        Err(error) => {
            vec![Check::failed(NAME, error.to_string(), "Check DATABASE_URL and the server's log.")]
        }
    }
}
