//! From a failed call to what becomes of the job. The one place that decides.

use std::time::Duration;

use sqlx::PgPool;

use crate::clients::error::{ClientError, Concern};
use crate::queue::Outcome;
use crate::store::shop_tokens::require_authorization;
use crate::store::{self, destinations, schedules, shops};

/// After a burst limit without a hint from the platform.
const AFTER_BURST: Duration = Duration::from_secs(5);
/// How often to look again at what only a person can mend.
const AFTER_CONFIGURATION: Duration = Duration::from_mins(1);
/// A token is refreshed within about this time.
const AFTER_TOKEN: Duration = Duration::from_secs(10);
/// The database was away for a moment.
const AFTER_DATABASE: Duration = Duration::from_secs(1);

/// The shop on whose behalf a call was made.
pub(crate) struct Caller<'a> {
    pub platform: &'a str,
    pub shop_id: &'a str,
    /// The destination that stands for the app.
    pub app: &'a str,
    /// The sealed token that was used.
    pub access_token: &'a str,
    /// What a person does when the shop has to be authorized again.
    pub remedy: String,
}

/// Decides, and tells the other processes where the error concerns more than this job.
pub(crate) async fn after(pool: &PgPool, caller: &Caller<'_>, error: &ClientError) -> Outcome {
    match note(pool, caller, error).await {
        Ok(outcome) => outcome,
        Err(database) => after_database(&database),
    }
}

/// The database failed us: nobody's fault, no attempt.
pub(crate) fn after_database(error: &sqlx::Error) -> Outcome {
    Outcome::Wait { on: format!("the database: {error}"), after: AFTER_DATABASE }
}

async fn note(pool: &PgPool, caller: &Caller<'_>, error: &ClientError) -> Result<Outcome, sqlx::Error> {
    let mut connection = store::begin(pool).await?;
    let outcome = match error {
        ClientError::Unauthorized { .. } => {
            shops::expire_access(&mut connection, caller.platform, caller.shop_id, caller.access_token)
                .await?;
            schedules::ask_run(&mut connection, "refresh_tokens").await?;
            Outcome::Wait { on: format!("a new access token of shop {}", caller.shop_id), after: AFTER_TOKEN }
        }
        // The gate has told the other processes.
        ClientError::RateLimited { retry_after, .. } => {
            Outcome::Wait { on: error.to_string(), after: retry_after.unwrap_or(AFTER_BURST) }
        }
        ClientError::Configuration { concern, .. } => {
            if *concern == Concern::Authorization
                && require_authorization(
                    &mut connection,
                    caller.platform,
                    caller.shop_id,
                    &error.to_string(),
                    &caller.remedy,
                )
                .await?
            {
                tracing::error!(shop.id = caller.shop_id, %error, "shop {} has to be authorized again", caller.shop_id);
            }
            let name = if *concern == Concern::App { caller.app } else { caller.shop_id };
            destinations::pause(
                &mut connection,
                caller.platform,
                name,
                AFTER_CONFIGURATION,
                &error.to_string(),
            )
            .await?;
            Outcome::Wait { on: error.to_string(), after: AFTER_CONFIGURATION }
        }
        ClientError::NotAsked { .. } => Outcome::Wait { on: error.to_string(), after: AFTER_DATABASE },
        ClientError::Rejected { .. } => Outcome::Dead { error: error.to_string() },
        ClientError::NotFound { .. } | ClientError::Unavailable { .. } | ClientError::Malformed { .. } => {
            Outcome::Retry { error: error.to_string() }
        }
    };
    connection.commit().await?;
    Ok(outcome)
}
