//! Telegram's side: bots, chats, topics and the messages in them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// The topic that every forum has; no message is sent to it by this id.
pub const GENERAL_TOPIC: i64 = 1;

/// How many instants of a chat's last messages are kept to judge its rate.
const RECENT_KEPT: usize = 64;

/// Telegram.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TelegramWorld {
    /// Bots by token.
    pub bots: BTreeMap<String, Bot>,
    /// Chats by id.
    pub chats: BTreeMap<i64, Chat>,
}

/// One bot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bot {
    /// The bot's user id, the first part of its token.
    pub id: i64,
    /// The bot's name after `@`.
    pub username: String,
}

/// What kind of chat it is, and so which rules it has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ChatKind {
    /// One person.
    Private,
    /// A basic group.
    Group,
    /// A supergroup, with or without topics.
    Supergroup,
    /// A channel.
    Channel,
}

/// What the bots may do in a chat.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[expect(clippy::struct_excessive_bools, reason = "each is one right of Telegram's own list")]
pub struct Rights {
    /// The bot is in the chat.
    pub member: bool,
    /// The bot is an administrator.
    pub administrator: bool,
    /// It may create, edit, close and reopen topics.
    pub can_manage_topics: bool,
    /// It may write.
    pub can_send: bool,
}

impl Rights {
    /// An administrator with every right that pushbox needs.
    pub const FULL: Self =
        Self { member: true, administrator: true, can_manage_topics: true, can_send: true };
}

/// One chat.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Chat {
    /// The chat id; negative for groups.
    pub id: i64,
    /// The kind.
    pub kind: ChatKind,
    /// The title, or a person's name.
    pub title: String,
    /// Topics are switched on.
    pub is_forum: bool,
    /// What bots may do here.
    pub rights: Rights,
    /// The supergroup that this basic group became.
    pub migrated_to: Option<i64>,
    /// Topics by thread id.
    pub topics: BTreeMap<i64, Topic>,
    /// Messages in the order they were sent.
    pub messages: Vec<Message>,
    /// The id that the last message got.
    pub last_message_id: i64,
    /// When the last messages, edits and topic creations were accepted, unix milliseconds.
    pub recent_ms: Vec<i64>,
}

/// One topic of a forum.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Topic {
    /// Its name.
    pub name: String,
    /// Its icon's colour.
    pub icon_color: i64,
    /// Nobody may write.
    pub closed: bool,
}

/// One message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    /// The id within its chat.
    pub message_id: i64,
    /// The topic it is in.
    pub thread_id: Option<i64>,
    /// What a reader sees: without markup.
    pub text: String,
    /// As it was sent, with markup.
    pub source: String,
    /// When it was sent, unix seconds.
    pub date: i64,
    /// Earlier texts, oldest first.
    pub edits: Vec<String>,
    /// It was deleted.
    pub deleted: bool,
}

/// Ways in which Telegram changes.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the fields are those of the types above")]
pub enum TelegramChange {
    /// A bot exists.
    BotAdded { token: String, bot: Bot },
    /// A chat exists.
    ChatAdded { id: i64, kind: ChatKind, title: String, is_forum: bool, rights: Rights },
    /// The bots' rights changed.
    RightsChanged { chat_id: i64, rights: Rights },
    /// Topics were switched on or off.
    ForumSwitched { chat_id: i64, is_forum: bool },
    /// A basic group became a supergroup.
    ChatMigrated { chat_id: i64, to: i64 },
    /// A topic was opened; its id is the id of its first message.
    TopicCreated { chat_id: i64, name: String, icon_color: i64, at_ms: i64 },
    /// A topic's name changed.
    TopicRenamed { chat_id: i64, thread_id: i64, name: String },
    /// A topic was closed or opened again.
    TopicClosed { chat_id: i64, thread_id: i64, closed: bool },
    /// A topic was deleted with all its messages.
    TopicDeleted { chat_id: i64, thread_id: i64 },
    /// A message was sent.
    MessageSent { chat_id: i64, thread_id: Option<i64>, text: String, source: String, at_ms: i64 },
    /// A message got another text.
    MessageEdited { chat_id: i64, message_id: i64, text: String, source: String, at_ms: i64 },
    /// A message was deleted.
    MessageDeleted { chat_id: i64, message_id: i64 },
}

impl TelegramWorld {
    pub(super) fn apply(&mut self, change: &TelegramChange) {
        match change {
            TelegramChange::BotAdded { token, bot } => {
                self.bots.insert(token.clone(), bot.clone());
            }
            TelegramChange::ChatAdded { id, kind, title, is_forum, rights } => {
                self.chats.entry(*id).or_insert_with(|| Chat {
                    id: *id,
                    kind: *kind,
                    title: title.clone(),
                    is_forum: *is_forum,
                    rights: *rights,
                    migrated_to: None,
                    topics: BTreeMap::new(),
                    messages: Vec::new(),
                    last_message_id: 1,
                    recent_ms: Vec::new(),
                });
            }
            TelegramChange::RightsChanged { chat_id, .. }
            | TelegramChange::ForumSwitched { chat_id, .. }
            | TelegramChange::ChatMigrated { chat_id, .. }
            | TelegramChange::TopicCreated { chat_id, .. }
            | TelegramChange::TopicRenamed { chat_id, .. }
            | TelegramChange::TopicClosed { chat_id, .. }
            | TelegramChange::TopicDeleted { chat_id, .. }
            | TelegramChange::MessageSent { chat_id, .. }
            | TelegramChange::MessageEdited { chat_id, .. }
            | TelegramChange::MessageDeleted { chat_id, .. } => {
                if let Some(chat) = self.chats.get_mut(chat_id) {
                    chat.apply(change);
                }
            }
        }
    }
}

impl Chat {
    fn apply(&mut self, change: &TelegramChange) {
        match change {
            TelegramChange::BotAdded { .. } | TelegramChange::ChatAdded { .. } => {}
            TelegramChange::RightsChanged { rights, .. } => self.rights = *rights,
            TelegramChange::ForumSwitched { is_forum, .. } => self.is_forum = *is_forum,
            TelegramChange::ChatMigrated { to, .. } => self.migrated_to = Some(*to),
            TelegramChange::TopicCreated { name, icon_color, at_ms, .. } => {
                let thread_id = self.next_message_id(*at_ms);
                let topic = Topic { name: name.clone(), icon_color: *icon_color, closed: false };
                self.topics.insert(thread_id, topic);
            }
            TelegramChange::TopicRenamed { thread_id, name, .. } => {
                if let Some(topic) = self.topics.get_mut(thread_id) {
                    topic.name.clone_from(name);
                }
            }
            TelegramChange::TopicClosed { thread_id, closed, .. } => {
                if let Some(topic) = self.topics.get_mut(thread_id) {
                    topic.closed = *closed;
                }
            }
            TelegramChange::TopicDeleted { thread_id, .. } => {
                self.topics.remove(thread_id);
                for message in self.messages.iter_mut().filter(|one| one.thread_id == Some(*thread_id)) {
                    message.deleted = true;
                }
            }
            TelegramChange::MessageSent { thread_id, text, source, at_ms, .. } => {
                let message_id = self.next_message_id(*at_ms);
                self.messages.push(Message {
                    message_id,
                    thread_id: *thread_id,
                    text: text.clone(),
                    source: source.clone(),
                    date: at_ms / 1000,
                    edits: Vec::new(),
                    deleted: false,
                });
            }
            TelegramChange::MessageEdited { message_id, text, source, at_ms, .. } => {
                self.remember(*at_ms);
                if let Some(message) = self.message_mut(*message_id) {
                    message.edits.push(std::mem::replace(&mut message.text, text.clone()));
                    message.source.clone_from(source);
                }
            }
            TelegramChange::MessageDeleted { message_id, .. } => {
                if let Some(message) = self.message_mut(*message_id) {
                    message.deleted = true;
                }
            }
        }
    }

    /// A message that was not deleted.
    pub fn message(&self, message_id: i64) -> Option<&Message> {
        let at = self.messages.binary_search_by_key(&message_id, |one| one.message_id).ok()?;
        self.messages.get(at).filter(|one| !one.deleted)
    }

    fn message_mut(&mut self, message_id: i64) -> Option<&mut Message> {
        let at = self.messages.binary_search_by_key(&message_id, |one| one.message_id).ok()?;
        self.messages.get_mut(at)
    }

    fn next_message_id(&mut self, at_ms: i64) -> i64 {
        self.remember(at_ms);
        self.last_message_id += 1;
        self.last_message_id
    }

    fn remember(&mut self, at_ms: i64) {
        if self.recent_ms.len() >= RECENT_KEPT {
            self.recent_ms.remove(0);
        }
        self.recent_ms.push(at_ms);
    }
}
