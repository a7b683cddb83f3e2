//! How far the scripted stream of pushes has been played, so that a run that was killed goes on.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

/// What was played of a plan.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TrafficWorld {
    /// The plan that is played.
    pub plan: Option<PlanId>,
    /// Actions of the plan that are done, by index.
    pub done: BTreeSet<u32>,
    /// Pushes that were accepted for the first time, by code.
    pub accepted: BTreeMap<i32, u64>,
    /// Repeated deliveries that were accepted, by code.
    pub repeated: BTreeMap<i32, u64>,
    /// Forged pushes that were refused, by code.
    pub refused: BTreeMap<i32, u64>,
    /// Forged pushes that were accepted, which must not happen, by code.
    pub forged_accepted: BTreeMap<i32, u64>,
    /// Pushes that went to the lost queue without being sent, by code.
    pub lost: BTreeMap<i32, u64>,
}

/// Which plan, and the instant its last push stands at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlanId {
    /// The seed.
    pub seed: u64,
    /// How many pushes were asked for.
    pub pushes: usize,
    /// How many shops were asked for.
    pub shops: usize,
    /// Unix seconds that the plan's offset 0 stands for.
    pub epoch: i64,
}

/// Ways in which the stream goes on.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the fields are those of the types above")]
pub enum TrafficChange {
    /// A plan begins; nothing of it is done.
    Started(PlanId),
    /// The truth about an order moved.
    Moved { action: u32 },
    /// A push was accepted.
    Accepted { action: u32, code: i32, repeated: bool },
    /// A forged push was answered.
    Forged { action: u32, code: i32, accepted: bool },
    /// A push went to the lost queue.
    Lost { action: u32, code: i32 },
}

impl TrafficWorld {
    pub(super) fn apply(&mut self, change: &TrafficChange) {
        let (action, counter, code) = match change {
            TrafficChange::Started(plan) => {
                *self = Self { plan: Some(plan.clone()), ..Self::default() };
                return;
            }
            TrafficChange::Moved { action } => {
                self.done.insert(*action);
                return;
            }
            TrafficChange::Accepted { action, code, repeated: false } => (action, &mut self.accepted, code),
            TrafficChange::Accepted { action, code, repeated: true } => (action, &mut self.repeated, code),
            TrafficChange::Forged { action, code, accepted: false } => (action, &mut self.refused, code),
            TrafficChange::Forged { action, code, accepted: true } => {
                (action, &mut self.forged_accepted, code)
            }
            TrafficChange::Lost { action, code } => (action, &mut self.lost, code),
        };
        if self.done.insert(*action) {
            *counter.entry(*code).or_default() += 1;
        }
    }
}
