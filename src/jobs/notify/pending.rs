//! What is to be announced in a turn, and what jobs are answered that are not announced in it.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use crate::domain::job::NotifyEvent;
use crate::domain::order::OrderRef;
use crate::jobs::notify::SOON;
use crate::jobs::notify::render::Subject;
use crate::jobs::notify::topics::TopicName;
use crate::queue::{Job, Outcome};
use crate::store::order_reads::StoredOrder;
use crate::store::telegram::{AnnouncedEvent, PartRow};

/// What is answered, by job.
pub(super) type Answers = HashMap<i64, Outcome>;

/// An announcement that is not complete.
#[derive(Debug)]
pub(super) struct Pending {
    pub job_id: i64,
    pub event: AnnouncedEvent,
    pub order: Option<OrderRef>,
    pub topic: TopicName,
    /// A person has to act.
    pub urgent: bool,
    /// What the ledger has, by part.
    pub parts: HashMap<i16, PartRow>,
    /// How often a part may be handed to Telegram.
    pub max_sends: i16,
}

impl Pending {
    pub(super) fn sends(&self, part: i16) -> i16 {
        self.parts.get(&part).map_or(0, |row| row.attempts)
    }

    /// Whether a part is sent, or was tried as often as it may be.
    pub(super) fn is_settled(&self, part: i16) -> bool {
        self.parts.get(&part).is_some_and(|row| row.state == "sent" || row.attempts >= self.max_sends)
    }

    pub(super) fn is_complete(&self) -> bool {
        let parts = self.parts.values().map(|row| row.parts).max().unwrap_or(0);
        parts > 0 && (0..parts).all(|part| self.is_settled(part))
    }

    /// Whether nobody knows whether a part arrived, and nobody has been asked yet.
    pub(super) fn is_uncertain(&self) -> bool {
        self.parts.values().any(|row| row.state == "uncertain" && !row.held)
    }

    pub(super) fn outcome(&self, uncertain: bool) -> Outcome {
        let uncertain = uncertain || self.parts.values().any(|row| row.state != "sent");
        Outcome::Done { note: uncertain.then(|| "uncertain".to_owned()) }
    }
}

/// Announcements of one topic, oldest first.
#[derive(Debug)]
pub(super) struct Group {
    pub waiting: VecDeque<Pending>,
    /// There are more than can be sent one by one.
    pub digest: bool,
    /// Goes before the others.
    pub urgent: bool,
}

pub(super) fn subject<'a>(pending: &'a Pending, orders: &'a HashMap<OrderRef, StoredOrder>) -> Subject<'a> {
    Subject { event: &pending.event, order: pending.order.as_ref().and_then(|order| orders.get(order)) }
}

/// By topic. When there is more than can be sent soon, the announcements of a topic are merged, and what needs
/// action goes before the others; without a backlog all keep their order.
pub(super) fn group(pending: Vec<Pending>) -> Vec<Group> {
    let digest = pending.len() > SOON;
    let mut groups: Vec<Group> = Vec::new();
    for one in pending {
        let urgent = digest && one.urgent;
        let same = |group: &&mut Group| {
            group.urgent == urgent
                && group.waiting.front().is_some_and(|first| first.topic.key == one.topic.key)
        };
        match groups.iter_mut().find(same) {
            Some(group) => group.waiting.push_back(one),
            None => groups.push(Group { waiting: VecDeque::from([one]), digest, urgent }),
        }
    }
    groups
}

pub(super) fn wait_for_topic(group: Group, answers: &mut Answers, on: &str, after: Duration) {
    for (at, one) in group.waiting.into_iter().enumerate() {
        answers.entry(one.job_id).or_insert_with(|| waiting(on, after, at));
    }
}

/// Jobs without an answer keep their place.
pub(super) fn keep_rest(jobs: &[Job<NotifyEvent>], answers: &mut Answers, on: &str) {
    for job in jobs {
        answers.entry(job.claim.job_id).or_insert_with(|| Outcome::Keep { on: on.to_owned() });
    }
}

/// Jobs without an answer wait, in their order.
pub(super) fn wait_for_rest(jobs: &[Job<NotifyEvent>], answers: &mut Answers, on: &str, after: Duration) {
    for (at, job) in jobs.iter().enumerate() {
        answers.entry(job.claim.job_id).or_insert_with(|| waiting(on, after, at));
    }
}

/// A microsecond apart, so that they come back in their order.
fn waiting(on: &str, after: Duration, at: usize) -> Outcome {
    let place = Duration::from_micros(u64::try_from(at).unwrap_or(0));
    Outcome::Wait { on: on.to_owned(), after: after + place }
}

pub(super) fn number(parts: usize) -> i16 {
    i16::try_from(parts).unwrap_or(i16::MAX)
}
