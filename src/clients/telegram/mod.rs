//! Telegram's Bot API, as far as we use it.
//!
//! # Why requests are not sent by teloxide
//!
//! teloxide-core builds our requests (`Bot`, its payload types), but its `send` is not used, because of what it
//! does with answers (0.13): it sleeps ten seconds inside the call on any 5xx; it hides the HTTP status, so
//! that an HTML error page and an answer that was understood by Telegram but not by teloxide look the same,
//! although one message was sent and the other perhaps not; it demands the whole `Message`, so that a new field
//! of Telegram's can make a sent message look failed; and an empty `parameters` object breaks it. So
//! `transport` posts the payload that teloxide built through our own HTTP client and reads the few fields that
//! matter. Nobody needs an outer time-out longer than ours then.
//!
//! A message cannot be asked for afterwards and a send cannot be repeated safely: [`TelegramError::Unknown`]
//! and [`TelegramError::Sent`] tell the caller when a message may be, or is, there without our having its id.
//! Nothing is repeated here, and no budget is kept: that is the job's, for all processes together.

mod error;
mod transport;

use std::time::Duration;

use secrecy::ExposeSecret;
use serde::Deserialize;
use teloxide_core::Bot;
use teloxide_core::payloads::{CreateForumTopicSetters, EditMessageTextSetters, SendMessageSetters};
use teloxide_core::prelude::Requester;
use teloxide_core::types::{ChatId, LinkPreviewOptions, MessageId, ParseMode, Rgb, ThreadId, UserId};

use crate::clients::error::ClientError;
use crate::clients::http;
use crate::config::TelegramSettings;

pub use error::TelegramError;

/// Telegram holds back the answer for some seconds when a chat's queue is full.
const TIMEOUT: Duration = Duration::from_secs(20);

/// The longest title of a topic, in characters.
const TOPIC_NAME_LIMIT: usize = 128;

/// The colours that a topic's icon may have.
pub const TOPIC_COLORS: [u32; 6] = [7_322_096, 16_766_590, 13_338_331, 9_367_192, 16_749_490, 16_478_047];

/// A message that Telegram has accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub struct Sent {
    /// For later edits.
    pub message_id: i32,
    /// The topic it landed in. None although one was asked for: the chat is no forum, and Telegram has put it
    /// into the main chat without a word.
    #[serde(default, rename = "message_thread_id")]
    pub thread_id: Option<i32>,
}

/// What a chat is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChatInfo {
    /// Its title; of a private chat, the person's name.
    pub title: String,
    /// Whether it has topics.
    pub is_forum: bool,
}

/// What a bot may do in a chat.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BotRights {
    /// It may send messages, as far as its own membership says.
    pub may_write: bool,
    /// It may open, close and reopen topics.
    pub may_manage_topics: bool,
}

/// The bot itself.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Me {
    /// Its user id.
    pub id: u64,
    /// Its name, without the `@`.
    #[serde(default)]
    pub username: String,
}

/// One bot. Cheap to clone.
#[derive(Clone)]
pub struct TelegramClient {
    bot: Bot,
}

impl std::fmt::Debug for TelegramClient {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TelegramClient").finish_non_exhaustive()
    }
}

impl TelegramClient {
    /// A client for the configured bot. Nothing is sent yet.
    pub fn new(settings: &TelegramSettings) -> Result<Self, ClientError> {
        let client = http::client(&settings.api_url, TIMEOUT)?;
        let bot = Bot::with_client(settings.bot_token.expose_secret(), client);
        Ok(Self { bot: bot.set_api_url(settings.api_url.clone()) })
    }

    /// Sends Telegram's HTML to a chat, into a topic if one is given. The General topic of a forum is reached
    /// without a thread.
    pub async fn send(
        &self,
        chat_id: i64,
        thread: Option<i32>,
        html: &str,
        disable_preview: bool,
    ) -> Result<Sent, TelegramError> {
        let mut request = self.bot.send_message(ChatId(chat_id), html).parse_mode(ParseMode::Html);
        if let Some(thread) = thread {
            request = request.message_thread_id(ThreadId(MessageId(thread)));
        }
        if disable_preview {
            request = request.link_preview_options(no_preview());
        }
        transport::execute(&self.bot, request).await
    }

    /// Sends text without markup: the way out when Telegram does not accept the HTML.
    pub async fn send_plain(
        &self,
        chat_id: i64,
        thread: Option<i32>,
        text: &str,
    ) -> Result<Sent, TelegramError> {
        let mut request = self.bot.send_message(ChatId(chat_id), text).link_preview_options(no_preview());
        if let Some(thread) = thread {
            request = request.message_thread_id(ThreadId(MessageId(thread)));
        }
        transport::execute(&self.bot, request).await
    }

    /// Replaces a message's text. That it is already there is success, so an edit can be repeated safely.
    pub async fn edit(&self, chat_id: i64, message_id: i32, html: &str) -> Result<(), TelegramError> {
        let request = self
            .bot
            .edit_message_text(ChatId(chat_id), MessageId(message_id), html)
            .parse_mode(ParseMode::Html)
            .link_preview_options(no_preview());
        match transport::execute::<_, serde::de::IgnoredAny>(&self.bot, request).await {
            Ok(_) | Err(TelegramError::NotModified | TelegramError::Sent { .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Opens a topic and returns its thread id. It cannot be asked for again: store it at once, and let nobody
    /// else create the same one meanwhile. `color` is one of [`TOPIC_COLORS`]; long names are cut.
    pub async fn create_topic(&self, chat_id: i64, name: &str, color: u32) -> Result<i32, TelegramError> {
        #[derive(Deserialize)]
        struct Topic {
            message_thread_id: i32,
        }
        let name: String = name.chars().take(TOPIC_NAME_LIMIT).collect();
        let request = self.bot.create_forum_topic(ChatId(chat_id), name).icon_color(Rgb::from_u32(color));
        let topic: Topic = transport::execute(&self.bot, request).await?;
        Ok(topic.message_thread_id)
    }

    /// Opens a topic that someone closed. That it is open is success.
    pub async fn reopen_topic(&self, chat_id: i64, thread: i32) -> Result<(), TelegramError> {
        let request = self.bot.reopen_forum_topic(ChatId(chat_id), ThreadId(MessageId(thread)));
        match transport::execute::<_, serde::de::IgnoredAny>(&self.bot, request).await {
            Ok(_) | Err(TelegramError::NotModified | TelegramError::Sent { .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// What the chat is.
    pub async fn chat_info(&self, chat_id: i64) -> Result<ChatInfo, TelegramError> {
        #[derive(Deserialize)]
        struct Chat {
            title: Option<String>,
            first_name: Option<String>,
            #[serde(default)]
            is_forum: bool,
        }
        let chat: Chat = transport::execute(&self.bot, self.bot.get_chat(ChatId(chat_id))).await?;
        Ok(ChatInfo { title: chat.title.or(chat.first_name).unwrap_or_default(), is_forum: chat.is_forum })
    }

    /// What the bot may do in the chat.
    pub async fn rights(&self, chat_id: i64) -> Result<BotRights, TelegramError> {
        #[derive(Deserialize)]
        struct Member {
            status: String,
            #[serde(default)]
            can_manage_topics: bool,
            can_send_messages: Option<bool>,
            can_post_messages: Option<bool>,
        }
        #[derive(Deserialize)]
        struct Kind {
            r#type: String,
        }
        let me = self.me().await?;
        let chat: Kind = transport::execute(&self.bot, self.bot.get_chat(ChatId(chat_id))).await?;
        let request = self.bot.get_chat_member(ChatId(chat_id), UserId(me.id));
        let member: Member = transport::execute(&self.bot, request).await?;
        let is = |status: &str| member.status == status;
        Ok(BotRights {
            may_manage_topics: is("creator") || is("administrator") && member.can_manage_topics,
            may_write: match chat.r#type.as_str() {
                "channel" => is("creator") || is("administrator") && member.can_post_messages == Some(true),
                _ => {
                    !is("left")
                        && !is("kicked")
                        && (!is("restricted") || member.can_send_messages != Some(false))
                }
            },
        })
    }

    /// The bot itself: the cheapest proof that token and address are right.
    pub async fn me(&self) -> Result<Me, TelegramError> {
        transport::execute(&self.bot, self.bot.get_me()).await
    }
}

fn no_preview() -> LinkPreviewOptions {
    LinkPreviewOptions {
        is_disabled: true,
        url: None,
        prefer_small_media: false,
        prefer_large_media: false,
        show_above_text: false,
    }
}

#[cfg(test)]
mod tests;
