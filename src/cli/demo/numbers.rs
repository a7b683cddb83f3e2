//! What can be counted while a demo runs.

use sqlx::PgPool;

use crate::cli::scene;
use crate::simulator::Simulator;
use crate::simulator::traffic::Progress;
use crate::simulator::traffic::progress::Snapshot;
use crate::store::totals::{EventTotals, JobTotals, count_events, count_jobs};

/// Where the numbers come from.
pub(super) struct Look<'a> {
    pub(super) pool: &'a PgPool,
    pub(super) sim: &'a Simulator,
    pub(super) progress: &'a Progress,
}

/// The numbers at one instant.
#[derive(Debug, Clone)]
pub(super) struct Numbers {
    pub(super) traffic: Snapshot,
    pub(super) events: EventTotals,
    pub(super) jobs: Vec<JobTotals>,
    /// Pushes in the platform's lost queue.
    pub(super) lost_waiting: usize,
    pub(super) order_rows: usize,
    pub(super) item_rows: usize,
    pub(super) messages: usize,
    pub(super) topics: usize,
}

impl Look<'_> {
    /// Counts. The lost queue is looked at first: what leaves it later was stored before.
    pub(super) async fn now(&self) -> sqlx::Result<Numbers> {
        let lost_waiting = self.sim.lost_pushes();
        let (events, jobs) = (count_events(self.pool).await?, count_jobs(self.pool).await?);
        let (messages, topics) = self.sim.read(|world| {
            let chat = world.telegram.chats.get(&scene::CHAT_ID);
            chat.map_or((0, 0), |chat| (chat.messages.len(), chat.topics.len()))
        });
        let rows = |tab| {
            let sheet = self.sim.sheet(scene::SPREADSHEET_ID, tab);
            sheet.map_or(0, |sheet| sheet.used_rows().saturating_sub(1))
        };
        Ok(Numbers {
            traffic: self.progress.snapshot(),
            events,
            jobs,
            lost_waiting,
            order_rows: rows("Orders"),
            item_rows: rows("Items"),
            messages,
            topics,
        })
    }
}

impl Numbers {
    /// Pushes that were answered, of all runs of the plan.
    pub(super) fn answered(&self) -> u64 {
        let Snapshot { accepted, repeated, forged_refused, forged_accepted, .. } = self.traffic;
        accepted + repeated + forged_refused + forged_accepted
    }

    /// Jobs that are not at their end.
    pub(super) fn alive(&self) -> i64 {
        self.jobs.iter().map(|queue| queue.ready + queue.running).sum()
    }

    pub(super) fn done(&self) -> i64 {
        self.jobs.iter().map(|queue| queue.done).sum()
    }

    pub(super) fn dead(&self) -> i64 {
        self.jobs.iter().map(|queue| queue.dead).sum()
    }

    /// Changes whenever something came to its end.
    pub(super) fn mark(&self) -> (i64, i64, usize, usize) {
        (self.events.events, self.done() + self.dead(), self.lost_waiting, self.messages)
    }
}
