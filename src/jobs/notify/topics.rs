//! Which topic an event belongs to, and how the topic is found or made.

use std::time::Duration;

use crate::clients::telegram::{TOPIC_COLORS, TelegramError};
use crate::jobs::notify::DESTINATION;
use crate::jobs::notify::render;
use crate::jobs::notify::run::{Chat, Halt, Run, Stopped};
use crate::observability::metrics::timed_call;
use crate::store::telegram::{self as ledger, AnnouncedEvent, Topic};

/// Longer than finding out about the chat and creating the topic can take.
const CREATE_LEASE: Duration = Duration::from_mins(1);

/// How long to believe that a chat has no topics.
const RECHECK_FORUM: Duration = Duration::from_hours(24);

/// The topic of an event: one per source and code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct TopicName {
    /// In `telegram_topics.topic`.
    pub key: String,
    /// What people read.
    pub title: String,
    color: u32,
}

impl TopicName {
    pub(super) fn of(event: &AnnouncedEvent) -> Self {
        let code = event.code.parse().ok().filter(|_| event.source == "shopee");
        Self {
            key: format!("{}:{}", event.source, event.code),
            title: format!("{} ({})", render::title(event), event.code),
            color: color(code),
        }
    }
}

/// Blue: orders and parcels. Red: returns. Yellow: the shop itself. Green: products. Pink: chat. Violet: the rest.
fn color(code: Option<i64>) -> u32 {
    let [blue, yellow, violet, green, pink, red] = TOPIC_COLORS;
    match code {
        Some(3 | 4 | 15 | 20 | 21 | 23..=25 | 30 | 37 | 47) => blue,
        Some(29) => red,
        Some(1 | 2 | 5 | 12 | 28 | 31 | 33 | 34) => yellow,
        Some(6..=9 | 11 | 13 | 16 | 18 | 19 | 22 | 27 | 35 | 36 | 38) => green,
        Some(10) => pink,
        _ => violet,
    }
}

impl Run<'_> {
    /// The thread to send to; none where the chat has no topics.
    pub(super) async fn thread(&self, chat: Chat, topic: &TopicName) -> Result<Option<i32>, Stopped> {
        let mut connection = self.handler.pool.acquire().await?;
        let known = ledger::claim_topic(
            &mut connection,
            chat.target,
            &topic.key,
            &topic.title,
            CREATE_LEASE,
            RECHECK_FORUM,
        );
        let known = known.await?;
        drop(connection);
        match known {
            Topic::Thread(thread) => Ok(Some(thread)),
            Topic::Plain => Ok(None),
            Topic::Busy => {
                Err(Halt::chat(format!("the topic {} to be made", topic.title), Duration::from_secs(1))
                    .into())
            }
            Topic::Ours => {
                let made = self.create(chat, topic).await;
                let mut connection = self.handler.pool.acquire().await?;
                match &made {
                    Ok(thread) => {
                        ledger::settle_topic(&mut connection, chat.target, &topic.key, *thread).await?;
                    }
                    Err(_) => ledger::forget_topic(&mut connection, chat.target, &topic.key, None).await?,
                }
                made
            }
        }
    }

    /// Asks what the chat is and opens a topic if it can have one. An answer that was lost leaves a topic
    /// behind that nobody can find.
    async fn create(&self, chat: Chat, topic: &TopicName) -> Result<Option<i32>, Stopped> {
        match self.handler.telegram.chat_info(chat.target).await {
            Ok(info) if !info.is_forum => return Ok(None),
            Ok(_) => {}
            Err(error) => return Err(self.stop(chat, error).await?),
        }
        self.budget(chat).await?;
        let creating = self.handler.telegram.create_topic(chat.target, &topic.title, topic.color);
        match timed_call(DESTINATION, "createForumTopic", TelegramError::class, creating).await {
            Ok(thread) => {
                tracing::info!(
                    chat.id = chat.target,
                    topic.name = topic.title,
                    "opened the topic {}",
                    topic.title
                );
                Ok(Some(thread))
            }
            Err(TelegramError::NotAForum) => Ok(None),
            Err(error) => Err(self.stop(chat, error).await?),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_known_code_has_a_color() {
        for code in crate::domain::shopee::codes::CODES {
            assert!(TOPIC_COLORS.contains(&color(Some(code.code))));
        }
    }
}
