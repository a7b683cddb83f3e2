//! The Telegram Bot API, as far as a bot that writes needs it.
//!
//! `POST /bot<token>/<Method>` (or GET), the method's name without regard to case; arguments as JSON, as a
//! form or in the query. Texts of errors are the real server's: clients tell cases apart by them.

pub mod html;
mod messages;
mod rate;
mod topics;

use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value, json};

use crate::simulator::fault::{Service, too_many};
use crate::simulator::shared::{Shared, Tx};
use crate::simulator::state::Change;
use crate::simulator::state::telegram::{Bot, Chat, ChatKind};

/// Why a call is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Refusal {
    BadRequest(String),
    Forbidden(&'static str),
    Migrated(i64),
    TooMany(u32),
}

impl Refusal {
    fn bad(text: impl Into<String>) -> Self {
        Self::BadRequest(text.into())
    }
}

type Outcome = Result<Value, Refusal>;

/// A call by a known bot.
struct Call {
    bot: Bot,
    arguments: Map<String, Value>,
}

impl Call {
    /// Text; numbers count as their digits, as in a form.
    fn text(&self, name: &str) -> Option<String> {
        match self.arguments.get(name)? {
            Value::String(text) => Some(text.clone()),
            Value::Null => None,
            other => Some(other.to_string()),
        }
    }

    fn integer(&self, name: &str) -> Option<i64> {
        self.text(name)?.parse().ok()
    }
}

pub(super) fn router(shared: &Arc<Shared>) -> Router {
    Router::new().fallback(answer).with_state(Arc::clone(shared))
}

async fn answer(State(shared): State<Arc<Shared>>, uri: Uri, headers: HeaderMap, body: Bytes) -> Response {
    let mut segments = uri.path().rsplitn(3, '/');
    let method = segments.next().unwrap_or_default().to_lowercase();
    let token = segments.next().and_then(|segment| segment.strip_prefix("bot"));
    let bot = token.and_then(|token| shared.read(|world| world.telegram.bots.get(token).cloned()));
    let Some(bot) = bot else {
        return match token {
            Some(_) => failure(StatusCode::UNAUTHORIZED, "Unauthorized", None),
            None => failure(StatusCode::NOT_FOUND, "Not Found", None),
        };
    };
    let Some(run) = method_named(&method) else {
        shared.record(Change::Unknown { call: format!("telegram {method}") });
        return failure(StatusCode::NOT_FOUND, "Not Found: method not found", None);
    };
    let Some(arguments) = arguments(&uri, &headers, &body) else {
        return failure(StatusCode::BAD_REQUEST, "Bad Request: can't parse request body", None);
    };
    let call = Call { bot, arguments };
    match shared.update(|tx| run(&call, tx)) {
        Ok(result) => axum::Json(json!({"ok": true, "result": result})).into_response(),
        Err(Refusal::BadRequest(text)) => {
            failure(StatusCode::BAD_REQUEST, &format!("Bad Request: {text}"), None)
        }
        Err(Refusal::Forbidden(text)) => failure(StatusCode::FORBIDDEN, &format!("Forbidden: {text}"), None),
        Err(Refusal::Migrated(to)) => failure(
            StatusCode::BAD_REQUEST,
            "Bad Request: group chat was upgraded to a supergroup chat",
            Some(json!({"migrate_to_chat_id": to})),
        ),
        Err(Refusal::TooMany(seconds)) => too_many(Service::Telegram, seconds),
    }
}

fn method_named(method: &str) -> Option<fn(&Call, &mut Tx<'_>) -> Outcome> {
    Some(match method {
        "getme" => get_me,
        "getchat" => get_chat,
        "getchatmember" => get_chat_member,
        "sendmessage" => messages::send,
        "editmessagetext" => messages::edit,
        "deletemessage" => messages::delete,
        "createforumtopic" => topics::create,
        "editforumtopic" => topics::rename,
        "closeforumtopic" => topics::close,
        "reopenforumtopic" => topics::reopen,
        _ => return None,
    })
}

fn arguments(uri: &Uri, headers: &HeaderMap, body: &Bytes) -> Option<Map<String, Value>> {
    let pairs = |text: &[u8]| -> Map<String, Value> {
        url::form_urlencoded::parse(text).map(|(name, value)| (name.into_owned(), value.into())).collect()
    };
    let mut all = pairs(uri.query().unwrap_or_default().as_bytes());
    let content_type = headers.get(header::CONTENT_TYPE).map(HeaderValue::as_bytes).unwrap_or_default();
    if content_type.starts_with(b"application/json") {
        match serde_json::from_slice(body).ok()? {
            Value::Object(map) => all.extend(map),
            _ => return None,
        }
    } else {
        all.extend(pairs(body));
    }
    Some(all)
}

/// An error. There is no `parameters` key when there is nothing in it, as the real server has it.
fn failure(status: StatusCode, description: &str, parameters: Option<Value>) -> Response {
    let mut body = json!({"ok": false, "error_code": status.as_u16(), "description": description});
    if let Some(parameters) = parameters {
        body["parameters"] = parameters;
    }
    (status, axum::Json(body)).into_response()
}

#[expect(clippy::unnecessary_wraps, reason = "all methods have one shape")]
fn get_me(call: &Call, _: &mut Tx<'_>) -> Outcome {
    let mut me = user(&call.bot);
    me["can_join_groups"] = true.into();
    me["can_read_all_group_messages"] = false.into();
    me["supports_inline_queries"] = false.into();
    me["can_connect_to_business"] = false.into();
    me["has_main_web_app"] = false.into();
    Ok(me)
}

fn get_chat(call: &Call, tx: &mut Tx<'_>) -> Outcome {
    let chat = chat_of(call, tx)?;
    let mut view = chat_view(chat);
    view["accent_color_id"] = 0.into();
    view["max_reaction_count"] = 11.into();
    view["permissions"] = json!({"can_send_messages": true});
    view["accepted_gift_types"] = json!({"unlimited_gifts": false, "limited_gifts": false,
        "unique_gifts": false, "premium_subscription": false});
    Ok(view)
}

fn get_chat_member(call: &Call, tx: &mut Tx<'_>) -> Outcome {
    let chat = chat_of(call, tx)?;
    if call.integer("user_id") != Some(call.bot.id) {
        return Err(Refusal::bad("member not found"));
    }
    if !chat.rights.administrator {
        return Ok(json!({"status": "member", "user": user(&call.bot)}));
    }
    Ok(json!({
        "status": "administrator", "user": user(&call.bot), "can_be_edited": false, "is_anonymous": false,
        "can_manage_chat": true, "can_delete_messages": true, "can_manage_video_chats": false,
        "can_restrict_members": false, "can_promote_members": false, "can_change_info": false,
        "can_invite_users": true, "can_post_stories": false, "can_edit_stories": false,
        "can_delete_stories": false, "can_pin_messages": false,
        "can_manage_topics": chat.rights.can_manage_topics,
        "can_post_messages": chat.kind == ChatKind::Channel && chat.rights.can_send,
        "can_edit_messages": chat.kind == ChatKind::Channel && chat.rights.can_send,
    }))
}

/// The chat of a call, if the bot can see it.
fn chat_of<'a>(call: &Call, tx: &'a Tx<'_>) -> Result<&'a Chat, Refusal> {
    let id = call.text("chat_id").ok_or_else(|| Refusal::bad("chat_id is empty"))?;
    let chat = id.parse().ok().and_then(|id: i64| tx.telegram.chats.get(&id));
    let chat = chat.ok_or_else(|| Refusal::bad("chat not found"))?;
    if let Some(to) = chat.migrated_to {
        return Err(Refusal::Migrated(to));
    }
    if !chat.rights.member {
        return Err(Refusal::Forbidden(match chat.kind {
            ChatKind::Private => "bot was blocked by the user",
            ChatKind::Group => "bot was kicked from the group chat",
            ChatKind::Supergroup => "bot was kicked from the supergroup chat",
            ChatKind::Channel => "bot is not a member of the channel chat",
        }));
    }
    Ok(chat)
}

fn user(bot: &Bot) -> Value {
    json!({"id": bot.id, "is_bot": true, "first_name": "pushbox", "username": bot.username})
}

fn chat_view(chat: &Chat) -> Value {
    let mut view = json!({"id": chat.id, "type": chat.kind});
    let name = if chat.kind == ChatKind::Private { "first_name" } else { "title" };
    view[name] = chat.title.clone().into();
    if chat.is_forum {
        view["is_forum"] = true.into();
    }
    view
}
