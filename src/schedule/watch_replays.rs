//! Flags what may be a captured push that was sent again: the same body under another id, at sources that do not
//! sign their ids. It is not dropped: two subscriptions to one topic look the same.

use std::time::Duration;

use async_trait::async_trait;
use serde_json::{Value, json};
use sqlx::PgPool;

use super::Task;
use crate::store::alerts::{self, Alert, Severity};
use crate::store::{rejections, sources};

/// See the module; also cuts the refusals to their size.
#[derive(Debug)]
pub struct WatchReplays {
    /// The database.
    pub pool: PgPool,
    /// Names of the sources that do not sign their ids.
    pub sources: Vec<String>,
    /// `REJECTIONS_KEPT`.
    pub rejections_kept: u32,
}

#[async_trait]
impl Task for WatchReplays {
    fn name(&self) -> &'static str {
        "watch_replays"
    }

    fn every(&self) -> Duration {
        Duration::from_mins(1)
    }

    async fn run(&self) -> anyhow::Result<Value> {
        let mut connection = self.pool.acquire().await?;
        let names: Vec<&str> = self.sources.iter().map(String::as_str).collect();
        let flagged =
            if names.is_empty() { 0 } else { sources::flag_replays(&mut connection, &names).await? };
        sources::prune(&mut connection).await?;
        let kept = i32::try_from(self.rejections_kept).unwrap_or(i32::MAX);
        let pruned = rejections::prune(&mut connection, kept).await?;
        let counts = sources::count_replays(&mut *connection).await?;
        let keys: Vec<String> = counts.iter().map(|one| format!("replays:{}", one.source)).collect();
        for (one, key) in counts.iter().zip(&keys) {
            let title = format!(
                "{} pushes of {} came with the body of an earlier one under another id",
                one.count, one.source
            );
            let alert = Alert {
                key,
                severity: Severity::Warning,
                title: &title,
                remedy: "Two subscriptions to one topic do this: remove one. If there is only one, somebody \
                         sends captured pushes: pushbox.possible_replays lists them; change the secret.",
            };
            alerts::raise(&mut connection, &alert).await?;
        }
        alerts::resolve_others(&mut connection, "replays:", &keys).await?;
        Ok(json!({ "flagged": flagged, "rejections_pruned": pruned }))
    }
}
