//! The processes that run, and what they work at.

use axum::Json;
use axum::extract::State;
use chrono::{DateTime, Utc};
use serde::Serialize;
use utoipa::ToSchema;

use crate::admin::AdminState;
use crate::admin::error::{ApiError, Refusals};
use crate::store::workers::{self, WorkerRow};

/// One process of pushbox.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct WorkerView {
    /// As in a job's `worker`; new with each start.
    pub name: String,
    /// The host or container it runs on; empty when unknown.
    pub host: String,
    /// Version of pushbox.
    pub version: String,
    /// What it does.
    pub roles: Vec<String>,
    /// When it started.
    pub started_at: DateTime<Utc>,
    /// When it last said that it runs.
    pub last_seen_at: DateTime<Utc>,
    /// Whether it said so in the last 30 seconds.
    pub alive: bool,
    /// Jobs it has claimed and not ended.
    pub running: i64,
    /// Since when it has the oldest of them.
    pub oldest_claimed_at: Option<DateTime<Utc>>,
    /// Version of the settings that it works with; none until it has read them.
    pub settings_version: Option<i64>,
    /// Why it cannot work with the newest; it goes on with those of before.
    pub settings_error: Option<String>,
}

impl From<WorkerRow> for WorkerView {
    fn from(row: WorkerRow) -> Self {
        let WorkerRow {
            name,
            host,
            version,
            roles,
            started_at,
            last_seen_at,
            alive,
            running,
            oldest_claimed_at,
            settings_version,
            settings_error,
        } = row;
        Self {
            name,
            host,
            version,
            roles,
            started_at,
            last_seen_at,
            alive,
            running,
            oldest_claimed_at,
            settings_version,
            settings_error,
        }
    }
}

/// All processes.
#[derive(Debug, Serialize, ToSchema)]
pub struct WorkerList {
    /// Those that run first; one that vanished stays until the others notice, within seconds, or while it holds jobs.
    pub workers: Vec<WorkerView>,
}

/// List the processes
#[utoipa::path(
    get, path = "/workers", operation_id = "list_workers", tag = "queues",
    responses(
        (status = 200, description = "The processes", body = WorkerList, example = json!({"workers": [{
            "name": "4242-9f3c01ab", "host": "pushbox-1", "version": "0.1.0", "roles": ["worker", "scheduler"],
            "started_at": "2026-11-21T05:00:00Z", "last_seen_at": "2026-11-21T06:00:00Z", "alive": true,
            "running": 3, "oldest_claimed_at": "2026-11-21T05:59:59Z", "settings_version": 7, "settings_error": null}]})),
        Refusals,
    ),
)]
pub async fn list_workers(State(state): State<AdminState>) -> Result<Json<WorkerList>, ApiError> {
    read(&state).await.map(|workers| Json(WorkerList { workers }))
}

/// All processes, as the API shows them.
pub async fn read(state: &AdminState) -> Result<Vec<WorkerView>, ApiError> {
    let found = workers::list_workers(&state.pool).await?;
    Ok(found.into_iter().map(WorkerView::from).collect())
}
