//! Topics of a forum. There is no method that lists them, as there is none in the real API.

use serde_json::{Value, json};

use super::{Call, Outcome, Refusal, chat_of, rate};
use crate::simulator::shared::Tx;
use crate::simulator::state::telegram::{Chat, ChatKind, TelegramChange};

const ICON_COLORS: [i64; 6] = [7_322_096, 16_766_590, 13_338_331, 9_367_192, 16_749_490, 16_478_047];

/// Characters of a topic's name; what is longer is cut, not refused.
const NAME_LENGTH: usize = 128;

/// `createForumTopic`
pub(super) fn create(call: &Call, tx: &mut Tx<'_>) -> Outcome {
    let chat = manageable(call, tx, "not enough rights to create a topic")?;
    let name = name(call)?.ok_or_else(|| Refusal::bad("title must be non-empty"))?;
    let icon_color = call.integer("icon_color").unwrap_or(ICON_COLORS[0]);
    if !ICON_COLORS.contains(&icon_color) {
        return Err(Refusal::bad("invalid icon color specified"));
    }
    rate::check(chat, tx)?;
    let chat_id = chat.id;
    let at_ms = tx.now_ms;
    tx.record(TelegramChange::TopicCreated { chat_id, name: name.clone(), icon_color, at_ms });
    let thread_id = tx.telegram.chats.get(&chat_id).map_or(0, |chat| chat.last_message_id);
    Ok(json!({"message_thread_id": thread_id, "name": name, "icon_color": icon_color}))
}

/// `editForumTopic`
pub(super) fn rename(call: &Call, tx: &mut Tx<'_>) -> Outcome {
    let chat = manageable(call, tx, "not enough rights to edit the topic")?;
    let (chat_id, thread_id) = (chat.id, existing(call, chat)?);
    if let Some(name) = name(call)? {
        if chat.topics.get(&thread_id).is_some_and(|topic| topic.name == name) {
            return Err(Refusal::bad("TOPIC_NOT_MODIFIED"));
        }
        tx.record(TelegramChange::TopicRenamed { chat_id, thread_id, name });
    }
    Ok(Value::Bool(true))
}

/// `closeForumTopic`
pub(super) fn close(call: &Call, tx: &mut Tx<'_>) -> Outcome {
    set_closed(call, tx, true)
}

/// `reopenForumTopic`
pub(super) fn reopen(call: &Call, tx: &mut Tx<'_>) -> Outcome {
    set_closed(call, tx, false)
}

fn set_closed(call: &Call, tx: &mut Tx<'_>, closed: bool) -> Outcome {
    let chat = manageable(call, tx, "not enough rights to close or reopen the topic")?;
    let (chat_id, thread_id) = (chat.id, existing(call, chat)?);
    if chat.topics.get(&thread_id).is_some_and(|topic| topic.closed == closed) {
        return Err(Refusal::bad("TOPIC_NOT_MODIFIED"));
    }
    tx.record(TelegramChange::TopicClosed { chat_id, thread_id, closed });
    Ok(Value::Bool(true))
}

fn manageable<'a>(call: &Call, tx: &'a Tx<'_>, no_rights: &'static str) -> Result<&'a Chat, Refusal> {
    let chat = chat_of(call, tx)?;
    if chat.kind != ChatKind::Supergroup || !chat.is_forum {
        return Err(Refusal::bad("the chat is not a forum"));
    }
    if !chat.rights.can_manage_topics {
        return Err(Refusal::bad(no_rights));
    }
    Ok(chat)
}

fn existing(call: &Call, chat: &Chat) -> Result<i64, Refusal> {
    let thread_id = call.integer("message_thread_id").filter(|id| chat.topics.contains_key(id));
    thread_id.ok_or_else(|| Refusal::bad("message thread not found"))
}

/// The name of the call, cut to length; none if there is none.
fn name(call: &Call) -> Result<Option<String>, Refusal> {
    let Some(name) = call.text("name") else { return Ok(None) };
    let name: String = name.trim().chars().take(NAME_LENGTH).collect();
    if name.is_empty() { Err(Refusal::bad("title must be non-empty")) } else { Ok(Some(name)) }
}
