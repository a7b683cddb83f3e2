//! Announces events on Telegram: in order of receipt per topic, each one once where Telegram lets us.
//!
//! * A message is written into the ledger (`telegram_messages`) before it is sent and settled after. Parts that
//!   were sent are not sent again. Telegram has no idempotency key and cannot be asked: a message whose answer
//!   was lost is `uncertain`, sent once more, and then left as it is; or, by setting, left to a person at once.
//! * All processes share one budget per chat. When it is used up, jobs wait in the queue, not in a worker;
//!   under a backlog the announcements of a topic merge into digests, a line for each event.
//! * Under a backlog what needs action (cancellations, returns) goes before routine.
//! * With `TELEGRAM_MODE=edit` an order has one message, which its next states are written into.
//! * What a person has to mend (rights, a wrong chat, a closed topic) pauses the destination with the remedy.
//!   Jobs wait for it without losing attempts; so they do while Telegram cannot be reached.
//!
//! Run it in an exclusive queue whose batch key is the chat: one batch per chat at a time is what keeps the order.
//! No transaction is open while Telegram is called.

mod edit;
mod pending;
pub mod render;
mod run;
mod send;
mod topics;

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use async_trait::async_trait;
use chrono_tz::Tz;
use sqlx::PgPool;

use self::render::Look;
use self::run::Run;
use crate::clients::telegram::TelegramClient;
use crate::config::{AnnouncementSettings, TelegramSettings};
use crate::domain::job::NotifyEvent;
use crate::queue::{Batch, BatchHandler, Job, Outcome};

/// The kind of our destinations; their names are chat ids, or chat and topic.
const DESTINATION: &str = "telegram";

/// More announcements than this are not sent one by one.
const SOON: usize = 5;

/// Announcements that are looked at in one turn; what a budget carries in a turn is far less.
const AT_ONCE: usize = 200;

/// How long a turn may last before it lets the queue breathe.
const TURN: Duration = Duration::from_secs(20);

/// A wait for the budget that is not worth a round through the queue.
const MAX_SLEEP: Duration = Duration::from_millis(1500);

/// Messages that may go out at once after a quiet time. With 18 a minute, no minute has more than the 20 that
/// Telegram allows a group.
const BURST: u32 = 2;

/// How fast a chat may be written to.
#[derive(Debug, Clone, Copy)]
struct Pace {
    interval: Duration,
    burst: u32,
}

impl Pace {
    fn new(settings: &TelegramSettings) -> Self {
        let per_second = Duration::from_secs(1) / settings.chat_per_second.max(1);
        let per_minute = Duration::from_mins(1) / settings.chat_per_minute.max(1);
        Self { interval: per_second.max(per_minute), burst: BURST }
    }
}

/// Does `notify_event` jobs.
#[derive(Debug)]
pub struct NotifyHandler {
    pool: PgPool,
    telegram: TelegramClient,
    pace: Pace,
    look: Look,
    edit: bool,
    hold_uncertain: bool,
}

impl NotifyHandler {
    /// A handler that writes with this bot, at the pace of its settings; times are shown in `zone`.
    pub fn new(pool: PgPool, telegram: TelegramClient, settings: &TelegramSettings, zone: Tz) -> Self {
        let AnnouncementSettings { edit, show_buyer, hold_uncertain } = settings.announcements;
        Self {
            pool,
            telegram,
            pace: Pace::new(settings),
            look: Look { zone, show_buyer },
            edit,
            hold_uncertain,
        }
    }
}

#[async_trait]
impl BatchHandler<NotifyEvent> for NotifyHandler {
    async fn handle(&self, batch: Batch<NotifyEvent>) -> HashMap<i64, Outcome> {
        let mut chats: BTreeMap<i64, Vec<Job<NotifyEvent>>> = BTreeMap::new();
        for job in batch.jobs {
            chats.entry(job.payload.chat_id).or_default().push(job);
        }
        let mut answers = HashMap::new();
        for mut jobs in chats.into_values() {
            // Ids of events sort by their receipt.
            jobs.sort_by_key(|job| (job.payload.event_id, job.claim.job_id));
            answers.extend(Run::new(self).announce(&batch.batch_key, &jobs).await);
        }
        answers
    }
}
