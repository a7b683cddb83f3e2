//! Messages: sent, edited, deleted.

use serde_json::{Value, json};

use super::{Call, Outcome, Refusal, chat_of, chat_view, html, rate, user};
use crate::simulator::shared::Tx;
use crate::simulator::state::telegram::{Chat, ChatKind, GENERAL_TOPIC, TelegramChange};

/// Bytes of a text with its markup.
const RAW_BYTES: usize = 32_768;
/// Characters of a text without its markup.
const CHARACTERS: usize = 4096;

/// `sendMessage`
pub(super) fn send(call: &Call, tx: &mut Tx<'_>) -> Outcome {
    let chat = chat_of(call, tx)?;
    let source = call.text("text").unwrap_or_default();
    let text = parsed(call, &source, "message is too long")?;
    if !chat.rights.can_send {
        return Err(match chat.kind {
            ChatKind::Channel => Refusal::bad("need administrator rights in the channel chat"),
            _ => Refusal::bad("not enough rights to send text messages to the chat"),
        });
    }
    let thread_id = topic(call, chat)?;
    rate::check(chat, tx)?;
    let chat_id = chat.id;
    let at_ms = tx.now_ms;
    tx.record(TelegramChange::MessageSent { chat_id, thread_id, text, source, at_ms });
    let message_id = tx.telegram.chats.get(&chat_id).map_or(0, |chat| chat.last_message_id);
    view(call, tx, chat_id, message_id)
}

/// `editMessageText`
pub(super) fn edit(call: &Call, tx: &mut Tx<'_>) -> Outcome {
    let chat = chat_of(call, tx)?;
    let source = call.text("text").unwrap_or_default();
    let text = parsed(call, &source, "MESSAGE_TOO_LONG")?;
    let message = call.integer("message_id").and_then(|id| chat.message(id));
    let message = message.ok_or_else(|| Refusal::bad("message to edit not found"))?;
    if message.source == source {
        return Err(Refusal::bad(
            "message is not modified: specified new message content and reply markup are exactly the same \
             as a current content and reply markup of the message",
        ));
    }
    rate::check(chat, tx)?;
    let (chat_id, message_id, at_ms) = (chat.id, message.message_id, tx.now_ms);
    tx.record(TelegramChange::MessageEdited { chat_id, message_id, text, source, at_ms });
    view(call, tx, chat_id, message_id)
}

/// `deleteMessage`
pub(super) fn delete(call: &Call, tx: &mut Tx<'_>) -> Outcome {
    let chat = chat_of(call, tx)?;
    let message = call.integer("message_id").and_then(|id| chat.message(id));
    let message = message.ok_or_else(|| Refusal::bad("message to delete not found"))?;
    let change = TelegramChange::MessageDeleted { chat_id: chat.id, message_id: message.message_id };
    tx.record(change);
    Ok(Value::Bool(true))
}

/// The topic that a message goes to. A forum refuses topics that are not there or closed; a group without
/// topics drops the id without a word.
fn topic(call: &Call, chat: &Chat) -> Result<Option<i64>, Refusal> {
    let asked = call.integer("message_thread_id").filter(|id| *id != 0);
    if !chat.is_forum {
        return Ok(None);
    }
    match asked {
        None => match chat.topics.get(&GENERAL_TOPIC) {
            Some(general) if general.closed => Err(Refusal::bad("TOPIC_CLOSED")),
            _ => Ok(None),
        },
        Some(id) => match chat.topics.get(&id) {
            Some(_) if id == GENERAL_TOPIC => Err(Refusal::bad("message thread not found")),
            None => Err(Refusal::bad("message thread not found")),
            Some(topic) if topic.closed => Err(Refusal::bad("TOPIC_CLOSED")),
            Some(_) => Ok(Some(id)),
        },
    }
}

/// What a reader will see of a text.
fn parsed(call: &Call, source: &str, too_long: &'static str) -> Result<String, Refusal> {
    if source.len() > RAW_BYTES {
        return Err(Refusal::bad("text is too long"));
    }
    let mode = call.text("parse_mode").unwrap_or_default().to_lowercase();
    let text = match mode.as_str() {
        "" => source.to_owned(),
        "html" => html::plain_text(source)
            .map_err(|reason| Refusal::bad(format!("can't parse entities: {reason}")))?,
        _ => return Err(Refusal::bad("unsupported parse_mode")),
    };
    let text = text.trim();
    if text.is_empty() {
        return Err(Refusal::bad("message text is empty"));
    }
    if text.chars().count() > CHARACTERS {
        return Err(Refusal::bad(too_long));
    }
    Ok(text.to_owned())
}

fn view(call: &Call, tx: &Tx<'_>, chat_id: i64, message_id: i64) -> Outcome {
    let chat = tx.telegram.chats.get(&chat_id).ok_or_else(|| Refusal::bad("chat not found"))?;
    let message = chat.message(message_id).ok_or_else(|| Refusal::bad("message not found"))?;
    let mut view = json!({
        "message_id": message_id, "date": message.date, "chat": chat_view(chat), "text": message.text,
    });
    if chat.kind == ChatKind::Channel {
        view["sender_chat"] = chat_view(chat);
    } else {
        view["from"] = user(&call.bot);
    }
    if let Some(thread_id) = message.thread_id {
        view["message_thread_id"] = thread_id.into();
        view["is_topic_message"] = true.into();
    }
    if !message.edits.is_empty() {
        view["edit_date"] = tx.now().into();
    }
    Ok(view)
}
