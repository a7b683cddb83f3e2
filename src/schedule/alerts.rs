//! Tells people of alerts, and when they are over: one message for all that is new, into the topic `Alerts`
//! of the ops chat, or into the chat itself when it has no topics.
//!
//! An alert is told at least once: it is marked after the message was accepted. A message whose fate nobody
//! knows is sent once more and then left.

use std::time::Duration;

use async_trait::async_trait;
use serde_json::{Value, json};
use sqlx::PgPool;

use super::Task;
use crate::clients::telegram::{TOPIC_COLORS, TelegramClient, TelegramError};
use crate::config::TelegramSettings;
use crate::store::alerts::{AlertRow, list_untold, mark_told, mark_uncertain, prune_alerts};
use crate::store::destinations::{find_pause, pause, take_budget};
use crate::store::telegram::{self as ledger, MAX_SENDS, Topic};

/// The destination kind that all messages to a chat share.
const DESTINATION: &str = "telegram";
/// The topic's key and title.
const TOPIC: (&str, &str) = ("pushbox:alerts", "Alerts");
/// Red.
const COLOR: u32 = TOPIC_COLORS[5];
/// Longer than finding out about the chat and creating the topic can take.
const CREATE_LEASE: Duration = Duration::from_mins(1);
/// How long to believe that a chat has no topics.
const RECHECK_FORUM: Duration = Duration::from_hours(24);
/// Alerts that are looked at in one run.
const AT_ONCE: i64 = 500;
/// Characters of one message; Telegram takes 4,096 with what is escaped counted once.
const LONGEST: usize = 3_500;
/// Characters of one alert.
const LONGEST_LINE: usize = 700;
/// A wait for the chat's budget beyond this is left to the next run.
const PATIENCE: Duration = Duration::from_secs(5);
/// Alerts that are over are kept for so many days.
const KEEP_DAYS: i32 = 90;

/// Who is told, and through which bot.
#[derive(Debug)]
pub struct OpsChat {
    /// The bot.
    pub telegram: TelegramClient,
    /// The chat.
    pub chat_id: i64,
    /// The least time between two messages of the chat.
    pub interval: Duration,
}

impl OpsChat {
    /// The ops chat of the settings, if there is one.
    ///
    /// # Errors
    /// When the client cannot be built.
    pub fn new(settings: Option<&TelegramSettings>) -> anyhow::Result<Option<Self>> {
        let Some((settings, chat_id)) = settings.and_then(|one| Some((one, one.ops_chat_id?))) else {
            return Ok(None);
        };
        let telegram = TelegramClient::new(settings)?;
        Ok(Some(Self { telegram, chat_id, interval: settings.message_interval() }))
    }
}

/// See the module.
#[derive(Debug)]
pub struct TellAlerts {
    /// The database.
    pub pool: PgPool,
    /// Who is told; none: alerts are in the table and in the admin API only.
    pub ops: Option<OpsChat>,
}

#[async_trait]
impl Task for TellAlerts {
    fn name(&self) -> &'static str {
        "alerts"
    }

    fn every(&self) -> Duration {
        Duration::from_secs(5)
    }

    async fn run(&self) -> anyhow::Result<Value> {
        let mut connection = self.pool.acquire().await?;
        let pruned = prune_alerts(&mut connection, KEEP_DAYS).await?;
        let Some(ops) = &self.ops else { return Ok(json!({ "told": 0, "pruned": pruned })) };
        let untold = list_untold(&mut connection, AT_ONCE).await?;
        drop(connection);
        let mut told = 0;
        let mut rest = untold.as_slice();
        while !rest.is_empty() {
            let (text, taken) = compose(rest);
            if !self.send(ops, &text, &rest[..taken]).await? {
                break;
            }
            told += taken;
            rest = &rest[taken..];
        }
        Ok(json!({ "told": told, "waiting": rest.len(), "pruned": pruned }))
    }
}

impl TellAlerts {
    /// Sends one message; false: not now.
    async fn send(&self, ops: &OpsChat, html: &str, alerts: &[AlertRow]) -> anyhow::Result<bool> {
        let mut connection = self.pool.acquire().await?;
        let chat_id = ledger::current_chat(&mut connection, ops.chat_id).await?;
        drop(connection);
        let Some(thread) = self.thread(ops, chat_id).await? else { return Ok(false) };
        if !self.budget(ops, chat_id).await? {
            return Ok(false);
        }
        let answer = ops.telegram.send(chat_id, thread, html, true).await;
        let mut connection = self.pool.acquire().await?;
        match answer {
            Ok(_) | Err(TelegramError::Sent { .. }) => {
                mark_told(&mut connection, alerts).await?;
                return Ok(true);
            }
            Err(TelegramError::Unknown { message }) => {
                tracing::warn!("not known whether a message about alerts arrived: {message}");
                if mark_uncertain(&mut connection, alerts).await? >= MAX_SENDS {
                    mark_told(&mut connection, alerts).await?;
                    return Ok(true);
                }
            }
            Err(TelegramError::RetryAfter(wait)) => {
                pause(&mut connection, DESTINATION, &chat_id.to_string(), wait, "too many messages").await?;
            }
            Err(TelegramError::Migrated(to)) => {
                ledger::mark_migrated(&mut connection, ops.chat_id, to).await?;
            }
            Err(TelegramError::TopicGone | TelegramError::NotAForum) => {
                ledger::forget_topic(&mut connection, chat_id, TOPIC.0, thread).await?;
            }
            Err(TelegramError::TopicClosed) => {
                if let Some(thread) = thread {
                    ops.telegram.reopen_topic(chat_id, thread).await?;
                }
            }
            Err(error) => return Err(anyhow::Error::new(error).context("TELEGRAM_OPS_CHAT_ID")),
        }
        Ok(false)
    }

    /// The thread of the topic, none where the chat has none; `None` as a whole: somebody is making it.
    async fn thread(&self, ops: &OpsChat, chat_id: i64) -> anyhow::Result<Option<Option<i32>>> {
        let (key, title) = TOPIC;
        let mut connection = self.pool.acquire().await?;
        let known =
            ledger::claim_topic(&mut connection, chat_id, key, title, CREATE_LEASE, RECHECK_FORUM).await?;
        drop(connection);
        match known {
            Topic::Thread(thread) => Ok(Some(Some(thread))),
            Topic::Plain => Ok(Some(None)),
            Topic::Busy => Ok(None),
            Topic::Ours => {
                let made = open_topic(ops, chat_id).await;
                let mut connection = self.pool.acquire().await?;
                match &made {
                    Ok(thread) => ledger::settle_topic(&mut connection, chat_id, key, *thread).await?,
                    Err(_) => ledger::forget_topic(&mut connection, chat_id, key, None).await?,
                }
                Ok(Some(made?))
            }
        }
    }

    /// Waits for the budget that this chat has for all its messages; false: it takes too long.
    async fn budget(&self, ops: &OpsChat, chat_id: i64) -> Result<bool, sqlx::Error> {
        loop {
            let mut connection = self.pool.acquire().await?;
            let name = chat_id.to_string();
            if find_pause(&mut connection, DESTINATION, &name).await?.is_some() {
                return Ok(false);
            }
            match take_budget(&mut connection, DESTINATION, &name, ops.interval, 1).await? {
                None => return Ok(true),
                Some(wait) if wait > PATIENCE => return Ok(false),
                Some(wait) => {
                    drop(connection);
                    tokio::time::sleep(wait).await;
                }
            }
        }
    }
}

/// A chat in which the bot may not open topics still hears of alerts.
async fn open_topic(ops: &OpsChat, chat_id: i64) -> Result<Option<i32>, TelegramError> {
    if !ops.telegram.chat_info(chat_id).await?.is_forum {
        return Ok(None);
    }
    match ops.telegram.create_topic(chat_id, TOPIC.1, COLOR).await {
        Ok(thread) => Ok(Some(thread)),
        Err(TelegramError::NotAForum | TelegramError::NoTopicRights) => Ok(None),
        Err(error) => Err(error),
    }
}

/// As many alerts as fit into one message, as Telegram's HTML, and how many those are; at least one.
fn compose(alerts: &[AlertRow]) -> (String, usize) {
    let (mut text, mut taken, mut length) = (String::new(), 0, 0);
    for alert in alerts {
        let line = line(alert);
        let more = line.chars().count() + 2;
        if taken > 0 && length + more > LONGEST {
            break;
        }
        if taken > 0 {
            text.push_str("\n\n");
        }
        text.push_str(&line);
        (taken, length) = (taken + 1, length + more);
    }
    (text, taken)
}

fn line(alert: &AlertRow) -> String {
    let title = escape(&alert.title);
    match (alert.resolved_at, alert.severity.as_str()) {
        (Some(_), _) => format!("✅ Over: {title}"),
        (None, "critical") => format!("🔴 <b>{title}</b>\n{}", escape(&alert.remedy)),
        (None, _) => format!("🟡 <b>{title}</b>\n{}", escape(&alert.remedy)),
    }
}

/// Cut first: an escape cut in two would not be markup.
fn escape(text: &str) -> String {
    let cut: String = text.chars().take(LONGEST_LINE).collect();
    cut.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn alert(id: i64, title: &str, over: bool) -> AlertRow {
        let at = chrono::DateTime::from_timestamp(1_790_000_000, 0).unwrap();
        AlertRow {
            id,
            key: format!("k{id}"),
            severity: "critical".into(),
            title: title.into(),
            remedy: "Do <it> & see".into(),
            raised_at: at,
            last_seen_at: at,
            resolved_at: over.then_some(at),
            raised_told_at: None,
            resolved_told_at: None,
        }
    }

    #[test]
    fn what_people_read() {
        let (text, taken) = compose(&[alert(1, "Shop 1 is <gone>", false), alert(2, "Late", true)]);
        assert_eq!(taken, 2);
        assert_eq!(text, "🔴 <b>Shop 1 is &lt;gone&gt;</b>\nDo &lt;it&gt; &amp; see\n\n✅ Over: Late");
    }

    #[test]
    fn a_message_holds_what_fits_and_always_something() {
        let many: Vec<_> = (0..200).map(|id| alert(id, &"x".repeat(100), false)).collect();
        let (text, taken) = compose(&many);
        assert!(taken > 10 && text.chars().count() <= LONGEST, "{taken}");
        let (_, taken) = compose(&[alert(1, &"&".repeat(5_000), false)]);
        assert_eq!(taken, 1);
    }
}
