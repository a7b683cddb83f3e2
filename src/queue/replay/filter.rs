//! What a replay is of.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

/// Which events or jobs. Every part that is set must hold; parts that a target does not know are not looked at.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ReplayFilter {
    /// Events: the source's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// Events: the platform's code.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// Events: the shop or account.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub account: Option<String>,
    /// Events: what they are about, for example an order number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// Events: how they came, a spelling of `events.via`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub via: Option<String>,
    /// Jobs: the queue's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub queue: Option<String>,
    /// Jobs: the kind's stable name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// Jobs: the coalescing key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// Jobs: the batch key: the shop, the spreadsheet, the chat.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub batch_key: Option<String>,
    /// Jobs: a part of the text of an error, in any case of letters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// Jobs: an event that they serve.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub event_id: Option<Uuid>,
    /// Events received, jobs asked for (dead) or ended (finished) then or later.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since: Option<DateTime<Utc>>,
    /// The same, before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until: Option<DateTime<Utc>>,
}

impl ReplayFilter {
    /// Whether it restricts nothing.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// The first part that is set and that this target does not look at.
    pub fn unknown_to(&self, target: Target) -> Option<&'static str> {
        let events = [
            ("source", self.source.is_some()),
            ("code", self.code.is_some()),
            ("account", self.account.is_some()),
            ("subject", self.subject.is_some()),
            ("via", self.via.is_some()),
        ];
        let jobs = [
            ("queue", self.queue.is_some()),
            ("kind", self.kind.is_some()),
            ("key", self.key.is_some()),
            ("batch_key", self.batch_key.is_some()),
            ("error", self.error.is_some()),
            ("event_id", self.event_id.is_some()),
        ];
        let foreign: &[(&'static str, bool)] = if target == Target::Events { &jobs } else { &events };
        foreign.iter().find(|(_, set)| *set).map(|(name, _)| *name)
    }
}

/// What is replayed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Target {
    /// Events: the jobs that they lead to today are asked for again, whatever became of the first ones.
    Events,
    /// Dead jobs: ready again with all their attempts.
    DeadJobs,
    /// Jobs that ended, done or cancelled: run again.
    FinishedJobs,
}

impl Target {
    /// The spelling in `replays.target`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Events => "events",
            Self::DeadJobs => "dead_jobs",
            Self::FinishedJobs => "finished_jobs",
        }
    }

    /// The target of a row.
    pub(crate) fn from_row(text: &str) -> Option<Self> {
        [Self::Events, Self::DeadJobs, Self::FinishedJobs].into_iter().find(|one| one.as_str() == text)
    }
}
