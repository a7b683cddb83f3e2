//! One message: into the ledger, out, and what is done about each answer.

use std::time::Duration;

use uuid::Uuid;

use crate::clients::telegram::{Sent, TelegramError};
use crate::jobs::notify::render::without_markup;
use crate::jobs::notify::run::{Chat, Halt, Run, Stopped};
use crate::jobs::notify::topics::TopicName;
use crate::jobs::notify::{DESTINATION, MAX_SLEEP};
use crate::observability::metrics::{telegram_message, timed_call};
use crate::store::destinations;
use crate::store::telegram::{self as ledger, Intent};
use crate::store::telegram_orders;
use crate::store::{
    self,
    breakers::{self, Fault},
};

/// What only a person can mend is looked at again so often.
const AFTER_CONFIGURATION: Duration = Duration::from_mins(5);
/// Telegram could not be reached.
const AFTER_NOT_SENT: Duration = Duration::from_secs(10);
/// Nobody knows whether the last message arrived.
pub(super) const AFTER_UNKNOWN: Duration = Duration::from_secs(5);
/// What was repaired did not hold.
const AFTER_FUTILE_REPAIR: Duration = Duration::from_mins(1);
/// On top of what a 429 asks for.
const MARGIN: Duration = Duration::from_secs(1);

const TOPIC_RIGHTS: Fault<'_> = Fault {
    problem: "the bot may not manage topics in the chat",
    remedy: "make it an administrator with the right Manage Topics, or switch topics off",
};

/// A message on its way.
#[derive(Debug, Clone, Copy)]
pub(super) struct Outgoing<'a> {
    pub topic: &'a TopicName,
    pub html: &'a str,
    /// The events that it announces, and how often each was handed to Telegram before.
    pub events: &'a [Uuid],
    pub sends: &'a [i16],
    pub part: i16,
    pub parts: i16,
    /// How often it may be handed to Telegram.
    pub max_sends: i16,
}

/// What came of a message that is not to be tried again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Posted {
    Sent,
    Uncertain,
}

/// What was mended for one message; each is worth one try.
#[derive(Debug, Default)]
struct Repairs {
    recreated: bool,
    reopened: bool,
    unthreaded: bool,
}

impl Run<'_> {
    /// Sends one message: the intention is committed before the call and settled after it.
    pub(super) async fn post(&self, chat: Chat, message: &Outgoing<'_>) -> Result<Posted, Stopped> {
        let mut repairs = Repairs::default();
        loop {
            let thread = self.thread(chat, message.topic).await?;
            self.budget(chat).await?;
            let intent = Intent {
                chat_id: chat.id,
                events: message.events,
                sends: message.sends,
                part: message.part,
                parts: message.parts,
                thread_id: thread,
                max_sends: message.max_sends,
            };
            let mut connection = self.handler.pool.acquire().await?;
            if !ledger::intend(&mut connection, &intent).await? {
                let on = format!("another process that writes to chat {}", chat.target);
                return Err(Halt::chat(on, Duration::from_secs(1)).into());
            }
            drop(connection);
            let answer = self.transmit(chat, thread, message.html).await;
            telegram_message(match &answer {
                Ok(_) | Err(TelegramError::Sent { .. }) => "ok",
                Err(TelegramError::Unknown { .. }) => "uncertain",
                Err(_) => "refused",
            });
            let mut connection = self.handler.pool.acquire().await?;
            match answer {
                Ok(Sent { message_id, thread_id }) => {
                    ledger::mark_sent(&mut connection, &intent, Some(message_id), thread_id).await?;
                    if thread.is_some() && thread_id.is_none() {
                        // The chat is no forum any more; Telegram put the message into the main chat.
                        let topic = &message.topic.key;
                        ledger::settle_topic(&mut connection, chat.target, topic, None).await?;
                    }
                    drop(connection);
                    self.works(chat, message.topic).await?;
                    return Ok(Posted::Sent);
                }
                Err(TelegramError::Sent { .. }) => {
                    ledger::mark_sent(&mut connection, &intent, None, thread).await?;
                    return Ok(Posted::Sent);
                }
                Err(TelegramError::Unknown { message: why }) => {
                    ledger::mark_uncertain(&mut connection, &intent).await?;
                    drop(connection);
                    return self.after_unknown(chat, message, why).await;
                }
                Err(error) => {
                    ledger::withdraw(&mut connection, &intent).await?;
                    drop(connection);
                    self.repair(chat, message.topic, thread, error, &mut repairs).await?;
                }
            }
        }
    }

    /// Sends the HTML, and once without markup if Telegram does not accept it.
    async fn transmit(&self, chat: Chat, thread: Option<i32>, html: &str) -> Result<Sent, TelegramError> {
        let telegram = &self.handler.telegram;
        let sending = telegram.send(chat.target, thread, html, true);
        match timed_call(DESTINATION, "sendMessage", TelegramError::class, sending).await {
            Err(TelegramError::BadMarkup { text }) => {
                tracing::warn!(
                    chat.id = chat.target,
                    text,
                    "Telegram did not accept our markup; sending plain text"
                );
                telegram.send_plain(chat.target, thread, &without_markup(html)).await
            }
            answer => answer,
        }
    }

    /// The chat works, and so does the topic.
    async fn works(&self, chat: Chat, topic: &TopicName) -> Result<(), sqlx::Error> {
        let pool = &self.handler.pool;
        breakers::succeed(pool, DESTINATION, &chat.target.to_string()).await?;
        breakers::succeed(pool, DESTINATION, &topic_destination(chat, topic)).await?;
        Ok(())
    }

    /// A message may be there or not. It is sent once more after a pause, then left as it is.
    async fn after_unknown(
        &self,
        chat: Chat,
        message: &Outgoing<'_>,
        why: String,
    ) -> Result<Posted, Stopped> {
        tracing::warn!(chat.id = chat.target, why, "nobody knows whether a message was sent");
        if self.handler.hold_uncertain {
            let mut connection = self.handler.pool.acquire().await?;
            telegram_orders::mark_held(&mut connection, chat.id, message.events).await?;
            return Err(Stopped::Held);
        }
        if message.sends.iter().all(|sends| sends + 1 >= message.max_sends) {
            return Ok(Posted::Uncertain);
        }
        self.pause(&chat.target.to_string(), AFTER_UNKNOWN, &why).await?;
        Err(Halt::charged(why, AFTER_UNKNOWN).into())
    }

    /// Mends what can be mended, so that the message may be sent again, or says why it stops.
    async fn repair(
        &self,
        chat: Chat,
        topic: &TopicName,
        thread: Option<i32>,
        error: TelegramError,
        repairs: &mut Repairs,
    ) -> Result<(), Stopped> {
        match (error, thread) {
            (TelegramError::TopicGone, Some(thread)) if !repairs.recreated => {
                repairs.recreated = true;
                tracing::warn!(
                    chat.id = chat.target,
                    topic.name = topic.title,
                    "the topic {} is gone; opening another",
                    topic.title
                );
                let mut connection = self.handler.pool.acquire().await?;
                ledger::forget_topic(&mut connection, chat.target, &topic.key, Some(thread)).await?;
                Ok(())
            }
            (TelegramError::TopicClosed, Some(thread)) if !repairs.reopened => {
                repairs.reopened = true;
                self.reopen(chat, topic, thread).await
            }
            (TelegramError::NotAForum, Some(_)) if !repairs.unthreaded => {
                repairs.unthreaded = true;
                let mut connection = self.handler.pool.acquire().await?;
                ledger::settle_topic(&mut connection, chat.target, &topic.key, None).await?;
                Ok(())
            }
            (error, _) => Err(self.stop(chat, error).await?),
        }
    }

    /// A topic that somebody closed on purpose: opened if the bot may, else its messages wait; others go on.
    async fn reopen(&self, chat: Chat, topic: &TopicName, thread: i32) -> Result<(), Stopped> {
        self.budget(chat).await?;
        match self.handler.telegram.reopen_topic(chat.target, thread).await {
            // Gone meanwhile: the next send says so and it is made again.
            Ok(()) | Err(TelegramError::TopicGone) => Ok(()),
            Err(
                TelegramError::NoTopicRights
                | TelegramError::Configuration { .. }
                | TelegramError::Rejected { .. },
            ) => {
                let fault = Fault {
                    problem: "it is closed and the bot may not reopen it",
                    remedy: "reopen it, or let the bot manage topics",
                };
                self.trip(&topic_destination(chat, topic), &fault).await?;
                Err(Halt::topic(topic, &fault.to_string(), AFTER_CONFIGURATION).into())
            }
            Err(error) => Err(self.stop(chat, error).await?),
        }
    }

    /// What an error means for the rest, after telling the other processes.
    pub(super) async fn stop(&self, chat: Chat, error: TelegramError) -> Result<Stopped, sqlx::Error> {
        let name = chat.target.to_string();
        let (why, after) = match &error {
            TelegramError::RetryAfter(wait) => {
                // We kept to the budget as we know it, so it is smaller than that for now.
                let pace = self.handler.pace;
                let mut connection = self.handler.pool.acquire().await?;
                destinations::slow_down(&mut connection, DESTINATION, &name, pace.interval, pace.burst)
                    .await?;
                (format!("Telegram: {error}"), *wait + MARGIN)
            }
            TelegramError::Migrated(to) => {
                tracing::warn!(
                    chat.id = chat.target,
                    "chat {} has moved to {to}; set TELEGRAM_CHAT_ID to it",
                    chat.target
                );
                let mut connection = self.handler.pool.acquire().await?;
                ledger::mark_migrated(&mut connection, chat.id, *to).await?;
                return Ok(Halt::chat(error.to_string(), Duration::from_millis(10)).into());
            }
            TelegramError::Configuration { .. }
            | TelegramError::NoTopicRights
            | TelegramError::TopicClosed => return self.misconfigured(&name, &error).await,
            TelegramError::NotSent { .. } => {
                (error.to_string(), self.failed(&name, &error, AFTER_NOT_SENT).await?)
            }
            // Of a call that is no message: nothing to settle, but give Telegram time.
            TelegramError::Unknown { .. } | TelegramError::Sent { .. } => {
                (error.to_string(), self.failed(&name, &error, AFTER_UNKNOWN).await?)
            }
            TelegramError::TopicGone | TelegramError::NotAForum => (error.to_string(), AFTER_FUTILE_REPAIR),
            TelegramError::BadMarkup { .. }
            | TelegramError::TooLong
            | TelegramError::NotModified
            | TelegramError::EditTargetGone
            | TelegramError::Rejected { .. } => return Ok(Stopped::Refused(error.to_string())),
        };
        tracing::warn!(chat.id = chat.target, wait_s = after.as_secs(), "chat {name} has to wait: {why}");
        self.pause(&name, after, &why).await?;
        Ok(Halt::chat(why, after).into())
    }

    /// What only a person can mend.
    async fn misconfigured(&self, name: &str, error: &TelegramError) -> Result<Stopped, sqlx::Error> {
        let fault = match error {
            TelegramError::Configuration { message, remedy } => Fault { problem: message, remedy },
            TelegramError::NoTopicRights => TOPIC_RIGHTS,
            _ => Fault { problem: "the General topic is closed", remedy: "reopen it" },
        };
        self.trip(name, &fault).await?;
        Ok(Halt::chat(fault.to_string(), AFTER_CONFIGURATION).into())
    }

    async fn trip(&self, name: &str, fault: &Fault<'_>) -> Result<(), sqlx::Error> {
        let mut transaction = store::begin(&self.handler.pool).await?;
        breakers::trip(&mut transaction, DESTINATION, name, AFTER_CONFIGURATION, fault).await?;
        transaction.commit().await
    }

    /// Counts a failure; returns for how long the chat is left alone.
    async fn failed(
        &self,
        name: &str,
        error: &TelegramError,
        usual: Duration,
    ) -> Result<Duration, sqlx::Error> {
        let mut transaction = store::begin(&self.handler.pool).await?;
        let open = breakers::fail(&mut transaction, DESTINATION, name, &error.to_string()).await?;
        transaction.commit().await?;
        Ok(open.map_or(usual, |open| open.max(usual)))
    }

    pub(super) async fn pause(&self, name: &str, pause: Duration, why: &str) -> Result<(), sqlx::Error> {
        let mut connection = self.handler.pool.acquire().await?;
        destinations::pause(&mut connection, DESTINATION, name, pause, why).await
    }

    /// Takes one message from the chat's budget, which all processes share.
    pub(super) async fn budget(&self, chat: Chat) -> Result<(), Stopped> {
        let pace = self.handler.pace;
        let name = chat.target.to_string();
        loop {
            let mut connection = self.handler.pool.acquire().await?;
            let taken =
                destinations::take_budget(&mut connection, DESTINATION, &name, pace.interval, pace.burst)
                    .await?;
            // Somebody may have paused the chat in the middle of the turn.
            if taken.is_some_and(|wait| wait > MAX_SLEEP)
                && let Some(paused) = destinations::find_pause(&mut connection, DESTINATION, &name).await?
            {
                return Err(Halt::chat(paused.reason, paused.remaining).into());
            }
            drop(connection);
            match taken {
                None => return Ok(()),
                // Shorter than giving the jobs back and claiming them again.
                Some(wait) if wait <= MAX_SLEEP && !self.is_over() => tokio::time::sleep(wait).await,
                Some(wait) => {
                    return Err(Halt::budget(format!("message budget of chat {}", chat.target), wait).into());
                }
            }
        }
    }
}

/// The name under which a single topic is paused.
pub(super) fn topic_destination(chat: Chat, topic: &TopicName) -> String {
    format!("{}:{}", chat.target, topic.key)
}
