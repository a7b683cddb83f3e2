//! One turn of one chat: what is announced, in which order, and what becomes of each job.

use std::collections::HashMap;
use std::time::Duration;

use tokio::time::Instant;
use uuid::Uuid;

use crate::clock;
use crate::domain::job::{NotifyEvent, Queue};
use crate::domain::order::OrderRef;
use crate::jobs::notify::pending::{
    Answers, Group, Pending, group, keep_rest, number, subject, wait_for_rest, wait_for_topic,
};
use crate::jobs::notify::render::{self, Subject};
use crate::jobs::notify::send::{Outgoing, Posted, topic_destination};
use crate::jobs::notify::topics::TopicName;
use crate::jobs::notify::{AT_ONCE, DESTINATION, NotifyHandler, TURN};
use crate::jobs::reached::reached;
use crate::queue::hold::hold;
use crate::queue::{Job, Outcome};
use crate::store::breakers::{self, Admission};
use crate::store::destinations;
use crate::store::order_reads::{StoredOrder, list_orders};
use crate::store::telegram::{self as ledger, AnnouncedEvent, MAX_SENDS, PartRow};
use crate::store::telegram_orders;

/// What the dead job of a message says that is left to a person.
const HELD: &str = "nobody knows whether it arrived (TELEGRAM_UNCERTAIN=hold): \
    look into the chat; retry the job to send it again, or delete it";

/// A chat: as it is set, and where it is now.
#[derive(Debug, Clone, Copy)]
pub(super) struct Chat {
    pub id: i64,
    pub target: i64,
}

/// Why sending stops for now.
#[derive(Debug)]
pub(super) struct Halt {
    /// Only this topic; none: the whole chat.
    topic: Option<String>,
    on: String,
    after: Duration,
    /// The message that was tried has failed once; the others only wait.
    charge: bool,
    /// Nothing is wrong: the jobs keep their place, and the chat is held.
    holds: bool,
}

impl Halt {
    pub(super) fn chat(on: impl Into<String>, after: Duration) -> Self {
        Self { topic: None, on: on.into(), after, charge: false, holds: false }
    }

    /// The message that was tried counts as failed.
    pub(super) fn charged(on: impl Into<String>, after: Duration) -> Self {
        Self { charge: true, ..Self::chat(on, after) }
    }

    /// Jobs that wait for a topic say so in words that begin with `topic`.
    pub(super) fn topic(topic: &TopicName, why: &str, after: Duration) -> Self {
        Self {
            topic: Some(topic.key.clone()),
            on: format!("topic {}: {why}", topic.title),
            after,
            charge: false,
            holds: false,
        }
    }

    /// The budget of the chat is used up for so long.
    pub(super) fn budget(on: impl Into<String>, after: Duration) -> Self {
        Self { holds: true, ..Self::chat(on, after) }
    }
}

/// Why a message was not sent.
#[derive(Debug)]
pub(super) enum Stopped {
    /// Later.
    Halt(Halt),
    /// Never: a fault of ours.
    Refused(String),
    /// Nobody knows whether it was sent, and a person is to decide.
    Held,
    /// The database failed us.
    Database(sqlx::Error),
}

impl From<Halt> for Stopped {
    fn from(halt: Halt) -> Self {
        Self::Halt(halt)
    }
}

impl From<sqlx::Error> for Stopped {
    fn from(error: sqlx::Error) -> Self {
        Self::Database(error)
    }
}

/// One turn of one chat.
pub(super) struct Run<'a> {
    pub handler: &'a NotifyHandler,
    begun: Instant,
}

impl<'a> Run<'a> {
    pub(super) fn new(handler: &'a NotifyHandler) -> Self {
        Self { handler, begun: Instant::now() }
    }

    /// Whether the turn has lasted long enough.
    pub(super) fn is_over(&self) -> bool {
        self.begun.elapsed() >= TURN
    }

    /// Announces as much as may be sent now and answers every job; jobs are sorted by event.
    pub(super) async fn announce(&self, batch_key: &str, jobs: &[Job<NotifyEvent>]) -> Answers {
        let mut answers = Answers::new();
        match self.turn(batch_key, jobs, &mut answers).await {
            Ok(()) => keep_rest(jobs, &mut answers, "its turn"),
            Err(Stopped::Halt(halt)) if halt.holds && self.hold(batch_key, &halt).await.is_ok() => {
                keep_rest(jobs, &mut answers, &halt.on);
            }
            Err(Stopped::Halt(halt)) => wait_for_rest(jobs, &mut answers, &halt.on, halt.after),
            Err(Stopped::Refused(error)) => {
                // Only a single message is refused, and its jobs are answered where it happens.
                wait_for_rest(jobs, &mut answers, &error, Duration::from_secs(1));
            }
            Err(Stopped::Held) => wait_for_rest(jobs, &mut answers, HELD, Duration::from_secs(1)),
            Err(Stopped::Database(error)) => {
                tracing::warn!(%error, "the database failed while announcing");
                wait_for_rest(jobs, &mut answers, "the database", Duration::from_secs(1));
            }
        }
        answers
    }

    async fn hold(&self, batch_key: &str, halt: &Halt) -> Result<(), sqlx::Error> {
        let mut connection = self.handler.pool.acquire().await?;
        hold(&mut connection, Queue::Notify, batch_key, &halt.on, halt.after).await
    }

    async fn turn(
        &self,
        batch_key: &str,
        jobs: &[Job<NotifyEvent>],
        answers: &mut Answers,
    ) -> Result<(), Stopped> {
        let Some(first) = jobs.first() else { return Ok(()) };
        let id = first.payload.chat_id;
        let mut connection = self.handler.pool.acquire().await?;
        let chat = Chat { id, target: ledger::current_chat(&mut connection, id).await? };
        let name = chat.target.to_string();
        let admission = breakers::admit(&mut connection, DESTINATION, &name, first.claim.into()).await?;
        if let Admission::Paused(paused) = admission {
            return Err(Halt::chat(paused.reason, paused.remaining).into());
        }
        // What needs action does not wait for older routine.
        let urgent: Vec<Job<NotifyEvent>> = jobs.iter().filter(|job| job.payload.urgent).cloned().collect();
        let routine: Vec<Job<NotifyEvent>> = jobs.iter().filter(|job| !job.payload.urgent).cloned().collect();
        let last = jobs.last().map_or(first.payload.event_id, |job| job.payload.event_id);
        // They come first again; until then what is newer keeps its place behind them.
        let older = if routine.is_empty() {
            None
        } else {
            ledger::recall_older(&mut connection, batch_key, last).await?
        };
        drop(connection);
        let due = match older {
            Some(event) => routine.partition_point(|job| job.payload.event_id < event),
            None => routine.len(),
        };
        let mut chosen: Vec<&Job<NotifyEvent>> = urgent.iter().chain(&routine[..due]).collect();
        chosen.truncate(AT_ONCE);
        chosen.sort_by_key(|job| (job.payload.event_id, job.claim.job_id));
        let pending = self.load(chat, &chosen, answers).await?;
        let delivered = self.deliver(chat, group(pending), answers).await;
        if admission == Admission::Probe {
            // Nothing happens if it was found out whether the chat works.
            breakers::leave_probe(&mut *self.handler.pool.acquire().await?, DESTINATION, &name).await?;
        }
        if delivered.is_ok() && older.is_some() {
            keep_rest(jobs, answers, "older announcements of the chat");
        }
        delivered
    }

    /// Reads the events and what was sent of them; answers jobs that are complete or whose event is gone.
    async fn load(
        &self,
        chat: Chat,
        jobs: &[&Job<NotifyEvent>],
        answers: &mut Answers,
    ) -> Result<Vec<Pending>, sqlx::Error> {
        let ids: Vec<Uuid> = jobs.iter().map(|job| job.payload.event_id).collect();
        let mut connection = self.handler.pool.acquire().await?;
        ledger::mark_abandoned(&mut connection, chat.id, &ids).await?;
        let mut parts: HashMap<Uuid, HashMap<i16, PartRow>> = HashMap::new();
        for row in ledger::list_parts(&mut connection, chat.id, &ids).await? {
            parts.entry(row.event_id).or_default().insert(row.part, row);
        }
        let events = ledger::list_events(&mut connection, &ids).await?;
        let mut events: HashMap<Uuid, AnnouncedEvent> =
            events.into_iter().map(|event| (event.id, event)).collect();
        let mut pending = Vec::with_capacity(jobs.len());
        for job in jobs {
            let id = job.payload.event_id;
            let job_id = job.claim.job_id;
            let Some(event) = events.remove(&id) else {
                let note = Some("the event is gone: older than EVENT_RETENTION_DAYS".to_owned());
                answers.insert(job_id, Outcome::Done { note });
                continue;
            };
            let topic = TopicName::of(&event);
            let parts = parts.remove(&id).unwrap_or_default();
            let hold = self.handler.hold_uncertain;
            let max_sends = if hold { i16::MAX } else { MAX_SENDS };
            let NotifyEvent { order, urgent, .. } = &job.payload;
            let (order, urgent) = (order.clone(), *urgent);
            let one = Pending { job_id, event, order, topic, urgent, parts, max_sends };
            if hold && one.is_uncertain() {
                telegram_orders::mark_held(&mut connection, chat.id, &[id]).await?;
                answers.insert(job_id, Outcome::Dead { error: HELD.to_owned() });
            } else if one.is_complete() {
                answers.insert(job_id, one.outcome(false));
            } else {
                pending.push(one);
            }
        }
        Ok(pending)
    }

    /// Sends from the group whose turn it is, message by message, until all is sent or the chat has to wait.
    async fn deliver(
        &self,
        chat: Chat,
        mut groups: Vec<Group>,
        answers: &mut Answers,
    ) -> Result<(), Stopped> {
        for at in (0..groups.len()).rev() {
            if let Some(halt) = self.topic_pause(chat, &groups[at]).await? {
                wait_for_topic(groups.remove(at), answers, &halt.on, halt.after);
            }
        }
        loop {
            groups.retain(|group| !group.waiting.is_empty());
            let first = |group: &&mut Group| (!group.urgent, group.waiting.front().map(|one| one.event.id));
            let oldest = groups.iter_mut().min_by_key(first);
            let Some(group) = oldest else { return Ok(()) };
            if self.is_over() {
                return Ok(());
            }
            match self.next_message(chat, group, answers).await {
                Ok(()) => {}
                Err(Stopped::Halt(halt)) if halt.topic.is_some() => {
                    let rest = Group { waiting: std::mem::take(&mut group.waiting), ..*group };
                    wait_for_topic(rest, answers, &halt.on, halt.after);
                }
                Err(stopped) => return Err(stopped),
            }
        }
    }

    async fn topic_pause(&self, chat: Chat, group: &Group) -> Result<Option<Halt>, sqlx::Error> {
        let Some(first) = group.waiting.front() else { return Ok(None) };
        let mut connection = self.handler.pool.acquire().await?;
        let name = topic_destination(chat, &first.topic);
        let paused = destinations::find_pause(&mut connection, DESTINATION, &name).await?;
        Ok(paused.map(|paused| Halt::topic(&first.topic, &paused.reason, paused.remaining)))
    }

    /// Sends the group's next announcement or digest.
    async fn next_message(
        &self,
        chat: Chat,
        group: &mut Group,
        answers: &mut Answers,
    ) -> Result<(), Stopped> {
        let mergeable = group.waiting.iter().take_while(|one| !one.is_settled(0)).count();
        let (count, sent) = if group.digest && mergeable > 1 {
            self.send_digest(chat, &group.waiting.make_contiguous()[..mergeable]).await?
        } else {
            (1, self.show(chat, &group.waiting[0], group.digest).await)
        };
        let concerned = group.waiting.iter().take(count);
        match sent {
            Ok(posted) => {
                if posted == Posted::Sent {
                    let events: Vec<Uuid> = concerned.clone().map(|one| one.event.id).collect();
                    reached(DESTINATION, &chat.id.to_string(), &events, clock::system().now());
                }
                answers.extend(concerned.map(|one| (one.job_id, one.outcome(posted == Posted::Uncertain))));
            }
            Err(Stopped::Refused(error)) => {
                answers.extend(concerned.map(|one| (one.job_id, Outcome::Dead { error: error.clone() })));
            }
            Err(Stopped::Held) => {
                let held = Outcome::Dead { error: HELD.to_owned() };
                answers.extend(concerned.map(|one| (one.job_id, held.clone())));
            }
            Err(Stopped::Halt(halt)) if halt.charge => {
                let failed = |one: &Pending| {
                    (one.job_id, Outcome::RetryAfter { error: halt.on.clone(), after: halt.after })
                };
                answers.extend(concerned.map(failed));
                return Err(Stopped::Halt(halt));
            }
            Err(stopped) => return Err(stopped),
        }
        group.waiting.drain(..count);
        Ok(())
    }

    /// The messages of one announcement.
    pub(super) async fn texts(&self, pending: &Pending) -> Result<Vec<String>, sqlx::Error> {
        let orders = self.orders(std::slice::from_ref(pending)).await?;
        Ok(render::announcement(&subject(pending, &orders), self.handler.look))
    }

    /// Sends what is left of one announcement.
    pub(super) async fn send_whole(
        &self,
        chat: Chat,
        pending: &Pending,
        texts: &[String],
    ) -> Result<Posted, Stopped> {
        let parts = number(texts.len());
        let mut posted = Posted::Sent;
        for (part, html) in (0..parts).zip(texts).filter(|(part, _)| !pending.is_settled(*part)) {
            let (events, sends) = ([pending.event.id], [pending.sends(part)]);
            let message = Outgoing {
                topic: &pending.topic,
                html,
                events: &events,
                sends: &sends,
                part,
                parts,
                max_sends: pending.max_sends,
            };
            if self.post(chat, &message).await? == Posted::Uncertain {
                posted = Posted::Uncertain;
            }
        }
        Ok(posted)
    }

    /// Sends one digest of the first of these; returns of how many.
    async fn send_digest(
        &self,
        chat: Chat,
        pending: &[Pending],
    ) -> Result<(usize, Result<Posted, Stopped>), Stopped> {
        let orders = self.orders(pending).await?;
        let subjects: Vec<Subject<'_>> = pending.iter().map(|one| subject(one, &orders)).collect();
        let digest = render::digest(&pending[0].topic.title, &subjects, self.handler.look);
        let events: Vec<Uuid> = pending[..digest.events].iter().map(|one| one.event.id).collect();
        let sends: Vec<i16> = pending[..digest.events].iter().map(|one| one.sends(0)).collect();
        let message = Outgoing {
            topic: &pending[0].topic,
            html: &digest.html,
            events: &events,
            sends: &sends,
            part: 0,
            parts: 1,
            max_sends: pending[0].max_sends,
        };
        Ok((digest.events, self.post(chat, &message).await))
    }

    async fn orders(&self, pending: &[Pending]) -> Result<HashMap<OrderRef, StoredOrder>, sqlx::Error> {
        let wanted: Vec<OrderRef> = pending.iter().filter_map(|one| one.order.clone()).collect();
        if wanted.is_empty() {
            return Ok(HashMap::new());
        }
        let mut connection = self.handler.pool.acquire().await?;
        let orders = list_orders(&mut connection, &wanted).await?;
        Ok(orders.into_iter().map(|stored| (stored.order.reference.clone(), stored)).collect())
    }
}
