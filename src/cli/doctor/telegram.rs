//! Checks of Telegram: the bot, and what it may do in each chat.

use super::Check;
use crate::clients::telegram::{TelegramClient, TelegramError};
use crate::config::{Config, TelegramSettings};

const NAME: &str = "telegram";

pub(super) async fn look(config: &Config) -> Vec<Check> {
    let Some(settings) = &config.telegram else { return Vec::new() };
    let client = match TelegramClient::new(settings) {
        Ok(client) => client,
        Err(error) => return vec![Check::failed(NAME, error.to_string(), "Check TELEGRAM_API_URL.")],
    };
    let mut checks = match client.me().await {
        Ok(me) => vec![Check::ok(NAME, format!("the bot is @{}", me.username))],
        Err(error) => return vec![failed("the bot", &error)],
    };
    for chat in chats(config, settings) {
        checks.push(look_at(&client, chat).await);
    }
    checks
}

/// Every chat that is written to, once.
fn chats(config: &Config, settings: &TelegramSettings) -> Vec<i64> {
    let mut chats: Vec<i64> = config.routes.chats.iter().map(|chat| chat.chat_id).collect();
    chats.extend(settings.ops_chat_id);
    chats.sort_unstable();
    chats.dedup();
    chats
}

async fn look_at(client: &TelegramClient, chat: i64) -> Check {
    let info = match client.chat_info(chat).await {
        Ok(info) => info,
        Err(TelegramError::Migrated(to)) => {
            let finding = format!("chat {chat} has become {to}");
            return Check::warning(
                NAME,
                finding,
                format!("Set TELEGRAM_CHAT_ID to {to}; until then it is followed."),
            );
        }
        Err(error) => return failed(&format!("chat {chat}"), &error),
    };
    let rights = match client.rights(chat).await {
        Ok(rights) => rights,
        Err(error) => return failed(&format!("chat {chat}"), &error),
    };
    let title = &info.title;
    if !rights.may_write {
        let finding = format!("the bot may not write to chat {chat} ({title})");
        return Check::failed(
            NAME,
            finding,
            "Add the bot to the chat with the right to send messages; in a channel, as an administrator who may post.",
        );
    }
    if info.is_forum && !rights.may_manage_topics {
        let finding = format!("the bot may not manage topics in chat {chat} ({title})");
        return Check::failed(
            NAME,
            finding,
            "Make it an administrator with the right Manage Topics, or switch topics off in the chat.",
        );
    }
    let topics = if info.is_forum { "with topics" } else { "without topics" };
    Check::ok(NAME, format!("chat {chat} ({title}), {topics}"))
}

fn failed(what: &str, error: &TelegramError) -> Check {
    match error {
        TelegramError::Configuration { message, remedy } => {
            Check::failed(NAME, format!("{what}: {message}"), capital(remedy))
        }
        error => Check::failed(
            NAME,
            format!("{what}: {error}"),
            "Check TELEGRAM_BOT_TOKEN and TELEGRAM_CHAT_ID, and whether this machine reaches TELEGRAM_API_URL.",
        ),
    }
}

/// A remedy as a sentence.
pub(super) fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| format!("{}{}.", first.to_uppercase(), letters.as_str()))
}
