//! What Telegram's refusals mean. Most of them are told apart by their text only.

use std::time::Duration;

use crate::clients::telegram::transport::UNKNOWN_WAIT;

/// Why a call failed, by what to do about it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TelegramError {
    /// Not done. Wait so long, with everything for this chat.
    #[error("too many messages, wait {} s", .0.as_secs())]
    RetryAfter(Duration),
    /// Not done. The group has become a supergroup with this id: store it and repeat.
    #[error("the group has moved to chat {0}")]
    Migrated(i64),
    /// Not done. Forget the thread id, open a new topic, repeat once.
    #[error("the topic is gone")]
    TopicGone,
    /// Not done. Reopen it if the bot may; it was closed on purpose, so do not open another.
    #[error("the topic is closed")]
    TopicClosed,
    /// Not done. The chat has no topics: send without.
    #[error("the chat has no topics")]
    NotAForum,
    /// Not done. The bot may not manage topics here.
    #[error("the bot may not manage topics in this chat")]
    NoTopicRights,
    /// Not done. Send it once more without markup.
    #[error("the markup was not accepted: {text}")]
    BadMarkup {
        /// Telegram's words.
        text: String,
    },
    /// Not done. Split it.
    #[error("the message is too long")]
    TooLong,
    /// Nothing to do: it is already so. `edit` and `reopen_topic` turn it into success.
    #[error("it is already so")]
    NotModified,
    /// Not done. The message to edit is gone or not ours: send a new one.
    #[error("the message to edit is gone")]
    EditTargetGone,
    /// Not done, and nothing will be until a person acts.
    #[error("{message}; {remedy}")]
    Configuration {
        /// What is wrong.
        message: String,
        /// What the person has to do.
        remedy: String,
    },
    /// Certainly not done; it may work later.
    #[error("not sent: {message}")]
    NotSent {
        /// What happened.
        message: String,
    },
    /// It may have been done; nobody can tell.
    #[error("not known whether it was sent: {message}")]
    Unknown {
        /// What happened.
        message: String,
    },
    /// It was done, but the answer's details are lost. Do not repeat it.
    #[error("sent, but the answer is lost: {message}")]
    Sent {
        /// What happened.
        message: String,
    },
    /// Not done, and never will be as asked: a fault of ours.
    #[error("refused: {text}")]
    Rejected {
        /// Telegram's words.
        text: String,
    },
}

impl TelegramError {
    /// A word for metrics.
    pub fn class(&self) -> &'static str {
        match self {
            Self::RetryAfter(_) => "rate_limited",
            Self::Migrated(_) | Self::TopicGone | Self::TopicClosed | Self::NotAForum => "moved",
            Self::NoTopicRights | Self::Configuration { .. } => "configuration",
            Self::NotSent { .. } => "unavailable",
            Self::Unknown { .. } => "uncertain",
            Self::NotModified | Self::Sent { .. } => "ok",
            Self::BadMarkup { .. } | Self::TooLong | Self::EditTargetGone | Self::Rejected { .. } => {
                "rejected"
            }
        }
    }

    /// Whether the same call may be made again later without fear of doing it twice.
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::RetryAfter(_) | Self::NotSent { .. })
    }

    /// Whether a person has to act; messages should wait, not fail.
    pub fn needs_a_person(&self) -> bool {
        matches!(self, Self::Configuration { .. } | Self::NoTopicRights | Self::TopicClosed)
    }
}

/// A refusal as it came.
#[derive(Debug, Default)]
pub(super) struct Refusal<'a> {
    pub(super) status: u16,
    pub(super) description: &'a str,
    pub(super) retry_after: Option<Duration>,
    pub(super) migrate_to: Option<i64>,
}

/// Makes an error of Telegram's words.
type Meaning = fn(&str) -> TelegramError;

/// Parts of descriptions, lower case, with what they mean; the first that fits counts.
const TEXTS: &[(&str, Meaning)] = &[
    ("sent message was immediately deleted", |text| TelegramError::Sent { message: text.to_owned() }),
    ("internal server error", |text| TelegramError::Unknown { message: text.to_owned() }),
    ("message is not modified", |_| TelegramError::NotModified),
    ("topic_not_modified", |_| TelegramError::NotModified),
    ("can't parse entities", |text| TelegramError::BadMarkup { text: text.to_owned() }),
    ("message is too long", |_| TelegramError::TooLong),
    ("message_too_long", |_| TelegramError::TooLong),
    ("text is too long", |_| TelegramError::TooLong),
    ("thread not found", |_| TelegramError::TopicGone),
    ("topic_deleted", |_| TelegramError::TopicGone),
    ("topic_id_invalid", |_| TelegramError::TopicGone),
    ("topic_closed", |_| TelegramError::TopicClosed),
    ("chat is not a forum", |_| TelegramError::NotAForum),
    ("not enough rights to create a topic", |_| TelegramError::NoTopicRights),
    ("not enough rights to close or open", |_| TelegramError::NoTopicRights),
    ("message to edit not found", |_| TelegramError::EditTargetGone),
    ("message can't be edited", |_| TelegramError::EditTargetGone),
    ("message_id_invalid", |_| TelegramError::EditTargetGone),
    ("message identifier", |_| TelegramError::EditTargetGone),
    ("chat not found", |text| person(text, "check TELEGRAM_CHAT_ID, and add the bot to the chat")),
    ("peer_id_invalid", |text| person(text, "check TELEGRAM_CHAT_ID, and add the bot to the chat")),
    ("deactivated", |text| person(text, "the group is gone; set another TELEGRAM_CHAT_ID")),
    ("upgraded to a supergroup", |text| person(text, "set TELEGRAM_CHAT_ID to the supergroup's id")),
    ("not enough rights", |text| person(text, "allow the bot to send messages in the chat")),
    ("have no rights", |text| person(text, "allow the bot to send messages in the chat")),
    ("need administrator rights", |text| person(text, "make the bot an administrator of the chat")),
    ("chat_admin_required", |text| person(text, "make the bot an administrator of the chat")),
    ("chat_write_forbidden", |text| person(text, "allow the bot to send messages in the chat")),
    ("chat_restricted", |text| person(text, "allow the bot to send messages in the chat")),
    ("chat_send_plain_forbidden", |text| person(text, "allow text messages in the chat")),
];

/// What a refusal means.
pub(super) fn classify(refusal: &Refusal<'_>) -> TelegramError {
    let text = refusal.description.to_lowercase();
    if let Some(chat) = refusal.migrate_to {
        return TelegramError::Migrated(chat);
    }
    if refusal.status == 429 || text.starts_with("too many requests") {
        return TelegramError::RetryAfter(
            refusal.retry_after.or_else(|| stated_wait(&text)).unwrap_or(UNKNOWN_WAIT),
        );
    }
    if let Some((_, meaning)) = TEXTS.iter().find(|(part, _)| text.contains(part)) {
        return meaning(refusal.description);
    }
    match refusal.status {
        401 | 404 => person(
            &format!("Telegram does not know the bot (HTTP {})", refusal.status),
            "check TELEGRAM_BOT_TOKEN and TELEGRAM_API_URL",
        ),
        403 => person(refusal.description, "add the bot to the chat, or let the person start it"),
        300..=399 => person("TELEGRAM_API_URL leads elsewhere", "check TELEGRAM_API_URL"),
        status @ 500.. => {
            TelegramError::Unknown { message: format!("HTTP {status}: {}", refusal.description) }
        }
        status if refusal.description.is_empty() => {
            TelegramError::Rejected { text: format!("HTTP {status}") }
        }
        _ => TelegramError::Rejected { text: refusal.description.to_owned() },
    }
}

fn person(message: &str, remedy: &str) -> TelegramError {
    TelegramError::Configuration { message: message.to_owned(), remedy: remedy.to_owned() }
}

/// The seconds of "Too Many Requests: retry after N".
fn stated_wait(text: &str) -> Option<Duration> {
    text.rsplit(' ').next()?.parse().ok().map(Duration::from_secs)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn class(status: u16, description: &str) -> String {
        let error = classify(&Refusal { status, description, ..Refusal::default() });
        format!("{error:?}").split([' ', '(']).next().unwrap().to_owned()
    }

    #[test]
    fn every_known_text_has_its_meaning() {
        for (status, description, expected) in [
            (400, "Bad Request: message thread not found", "TopicGone"),
            (400, "Bad Request: TOPIC_DELETED", "TopicGone"),
            (400, "Bad Request: TOPIC_ID_INVALID", "TopicGone"),
            (400, "Bad Request: TOPIC_CLOSED", "TopicClosed"),
            (400, "Bad Request: the chat is not a forum", "NotAForum"),
            (400, "Bad Request: not enough rights to create a topic", "NoTopicRights"),
            (400, "Bad Request: can't parse entities: Unsupported start tag \"x\"", "BadMarkup"),
            (400, "Bad Request: message is too long", "TooLong"),
            (400, "Bad Request: MESSAGE_TOO_LONG", "TooLong"),
            (400, "Bad Request: text is too long", "TooLong"),
            (400, "Bad Request: message is not modified: specified new message content", "NotModified"),
            (400, "Bad Request: TOPIC_NOT_MODIFIED", "NotModified"),
            (400, "Bad Request: message to edit not found", "EditTargetGone"),
            (400, "Bad Request: message can't be edited", "EditTargetGone"),
            (400, "Bad Request: MESSAGE_ID_INVALID", "EditTargetGone"),
            (400, "Bad Request: chat not found", "Configuration"),
            (400, "Bad Request: not enough rights to send text messages to the chat", "Configuration"),
            (403, "Forbidden: bot is not a member of the supergroup chat", "Configuration"),
            (403, "Forbidden: bot was kicked from the group chat", "Configuration"),
            (403, "Forbidden: bot was blocked by the user", "Configuration"),
            (403, "Forbidden: the group chat was deactivated", "Configuration"),
            (401, "Unauthorized", "Configuration"),
            (404, "Not Found", "Configuration"),
            (302, "", "Configuration"),
            (429, "Too Many Requests: retry after 7", "RetryAfter"),
            (500, "Internal Server Error", "Unknown"),
            (502, "Bad Gateway", "Unknown"),
            (
                500,
                "Internal Server Error: sent message was immediately deleted and can't be returned",
                "Sent",
            ),
            (400, "Bad Request: title must be non-empty", "Rejected"),
            (413, "", "Rejected"),
        ] {
            assert_eq!(class(status, description), expected, "{status} {description}");
        }
    }

    #[test]
    fn waits_are_taken_from_where_they_stand() {
        let refusal =
            |description, retry_after| Refusal { status: 429, description, retry_after, migrate_to: None };
        let wait = |refusal: Refusal<'_>| match classify(&refusal) {
            TelegramError::RetryAfter(wait) => wait.as_secs(),
            error => panic!("{error}"),
        };
        assert_eq!(wait(refusal("Too Many Requests: retry after 7", None)), 7);
        assert_eq!(wait(refusal("Too Many Requests: retry after 7", Some(Duration::from_secs(9)))), 9);
        assert_eq!(wait(refusal("", None)), UNKNOWN_WAIT.as_secs());
    }

    #[test]
    fn a_moved_group_is_no_failure_of_the_text() {
        let description = "Bad Request: group chat was upgraded to a supergroup chat";
        let moved = Refusal { status: 400, description, retry_after: None, migrate_to: Some(-100_123) };
        assert_eq!(classify(&moved), TelegramError::Migrated(-100_123));
        assert_eq!(class(400, description), "Configuration");
    }
}
