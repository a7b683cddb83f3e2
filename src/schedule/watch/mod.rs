//! Watches what pushbox itself knows: silence, answers, dead jobs, queues that are late. Each finding is an alert,
//! told once and once more when it is over.

mod judge;

use std::time::Duration;

use async_trait::async_trait;
use serde_json::{Value, json};
use sqlx::{PgConnection, PgPool};

use self::judge::{Finding, answers, queues, silences};
use super::Task;
use crate::config::AlertSettings;
use crate::domain::shopee::codes::{AUTHORIZED, DEAUTHORIZED, EXPIRING};
use crate::domain::shopee::push::PLATFORM;
use crate::store;
use crate::store::alerts::{Alert, raise, resolve_others};
use crate::store::{push_rhythms, schedules, stats};

/// The task that finds out which shops have authorized the app.
pub(super) const AUTHORIZATIONS: &str = "authorizations";
/// A push is committed within seconds of its receipt, or not at all.
const LAG: Duration = Duration::from_secs(10);
/// Longer than between two runs: nobody watched meanwhile.
const LONGEST_BREAK: Duration = Duration::from_mins(5);
/// What all keys of these alerts begin with.
const PREFIX: &str = "watch:";

/// See the module.
#[derive(Debug)]
pub struct Watch {
    /// The database.
    pub pool: PgPool,
    /// What is worth an alert.
    pub settings: AlertSettings,
}

#[async_trait]
impl Task for Watch {
    fn name(&self) -> &'static str {
        "watch"
    }

    fn every(&self) -> Duration {
        Duration::from_mins(1)
    }

    async fn run(&self) -> anyhow::Result<Value> {
        let mut transaction = store::begin(&self.pool).await?;
        let (from, watched) = push_rhythms::advance(&mut transaction, LAG, LONGEST_BREAK).await?;
        let pushes = push_rhythms::learn(&mut transaction, from, watched).await?;
        let codes = [AUTHORIZED, DEAUTHORIZED, EXPIRING].map(|code| code.to_string());
        if push_rhythms::any_of(&mut transaction, PLATFORM, &codes, from, watched.to).await? {
            // What they say is asked of Shopee itself.
            schedules::ask_run(&mut transaction, AUTHORIZATIONS).await?;
        }
        let mut found = silences(&push_rhythms::list(&mut *transaction, watched).await?, &self.settings);
        let hour = push_rhythms::sum_answers(&mut transaction, 1).await?;
        let six_hours = push_rhythms::sum_answers(&mut transaction, 6).await?;
        found.extend(answers(&hour, &six_hours, &self.settings));
        found.extend(queues(&stats::list_queues(&mut *transaction).await?, &self.settings));
        let (raised, resolved) = tell(&mut transaction, &found).await?;
        transaction.commit().await?;
        Ok(json!({ "pushes": pushes, "findings": found.len(), "raised": raised, "resolved": resolved }))
    }
}

async fn tell(connection: &mut PgConnection, found: &[Finding]) -> Result<(u64, u64), sqlx::Error> {
    let mut open = Vec::new();
    let mut raised = 0;
    for finding in found {
        let key = format!("{PREFIX}{}", finding.key);
        // What is between the two limits is neither raised nor over.
        if let Some(severity) = finding.severity {
            let alert = Alert { key: &key, severity, title: &finding.title, remedy: &finding.remedy };
            raised += u64::from(raise(connection, &alert).await?);
        }
        open.push(key);
    }
    let resolved = resolve_others(connection, PREFIX, &open).await?;
    Ok((raised, resolved))
}
