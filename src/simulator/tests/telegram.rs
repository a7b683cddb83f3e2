//! Telegram over HTTP, and with the library that pushbox uses.

use serde_json::{Value, json};

use super::{BOT, CHAT, world, world_with};
use crate::simulator::state::telegram::{ChatKind, Rights};
use crate::simulator::{Action, Fault, Service, SimulatorOptions};

#[tokio::test]
async fn telegram_keeps_its_rules() {
    let world = world().await;
    let (_, topic) =
        world.telegram("CreateForumTopic", json!({"chat_id": CHAT, "name": "Order status"})).await;
    let thread = topic["result"]["message_thread_id"].as_i64().unwrap();
    let text = "<b>A</b> &lt;x&gt;";
    let send = |thread: Value, text: &str| json!({"chat_id": CHAT, "message_thread_id": thread, "text": text, "parse_mode": "HTML"});
    let (status, first) = world.telegram("sendMessage", send(json!(thread), text)).await;
    assert_eq!((status, &first["result"]["message_thread_id"]), (200, &json!(thread)));
    assert_eq!(world.sim.messages_in_topic(CHAT, "Order status")[0].text, "A <x>");

    let refused = async |body: Value| world.telegram("sendMessage", body).await.1["description"].clone();
    let says = |text: &str| json!(format!("Bad Request: {text}"));
    assert_eq!(refused(send(json!(999), text)).await, says("message thread not found"));
    assert_eq!(refused(send(json!(1), text)).await, says("message thread not found"));
    assert_eq!(
        refused(send(json!(thread), "1 <2>")).await,
        says("can't parse entities: Unsupported start tag \"2\" at byte offset 2")
    );
    assert_eq!(refused(send(json!(thread), &"x".repeat(4097))).await, says("message is too long"));
    assert_eq!(refused(send(json!(thread), &"\u{1F600}".repeat(4097))).await, says("message is too long"));
    world.sim.set_topic_closed(CHAT, "Order status", true);
    assert_eq!(refused(send(json!(thread), text)).await, says("TOPIC_CLOSED"));
    let edit = json!({"chat_id": CHAT, "message_id": first["result"]["message_id"], "text": text, "parse_mode": "HTML"});
    let (_, same) = world.telegram("editMessageText", edit).await;
    assert!(same["description"].as_str().unwrap().starts_with("Bad Request: message is not modified"));
    assert!(same.get("parameters").is_none());
    world.sim.set_rights(CHAT, Rights { can_manage_topics: false, ..Rights::FULL });
    let (_, answer) = world.telegram("createForumTopic", json!({"chat_id": CHAT, "name": "x"})).await;
    assert_eq!(answer["description"], "Bad Request: not enough rights to create a topic");
    assert_eq!(world.telegram("sendRocket", json!({})).await.0, 404);
    assert_eq!(world.sim.unknown_calls(), ["telegram sendrocket"]);
}

#[tokio::test]
async fn telegram_slows_a_burst_down() {
    // So slow that the test cannot take as long as the bucket needs to drain.
    let world = world_with(SimulatorOptions { quota_scale: 0.01, ..SimulatorOptions::default() }).await;
    world.sim.add_group(-7, "Plain");
    let mut last = (0, Value::Null, None);
    for _ in 0..5 {
        let url = format!("{}bot{BOT}/sendMessage", world.sim.telegram_url());
        let body = json!({"chat_id": -7, "text": "hello"});
        let answer = world.http.post(url).json(&body).send().await.unwrap();
        let header = answer.headers().get("retry-after").cloned();
        last = (answer.status().as_u16(), answer.json().await.unwrap(), header);
    }
    assert_eq!(last.0, 429);
    let wait = last.1["parameters"]["retry_after"].as_u64().unwrap();
    assert!((50..=100).contains(&wait), "{wait}");
    assert_eq!(last.2.unwrap(), wait.to_string().as_str());
    assert_eq!(world.sim.messages(-7).len(), 4);
}

#[tokio::test]
async fn the_telegram_library_understands_the_answers() {
    use teloxide_core::payloads::{EditMessageTextSetters, SendMessageSetters};
    use teloxide_core::prelude::Requester;
    use teloxide_core::types::{ChatId, ParseMode};

    let world = world().await;
    let bot = teloxide_core::Bot::with_client(BOT, world.http.clone()).set_api_url(world.sim.telegram_url());
    let me = bot.get_me().await.unwrap();
    assert_eq!(me.id.0, 4242);
    assert!(bot.get_chat(ChatId(CHAT)).await.unwrap().is_supergroup());
    let member = bot.get_chat_member(ChatId(CHAT), me.id).await.unwrap();
    assert!(member.is_administrator());
    let topic = bot.create_forum_topic(ChatId(CHAT), "Returns").await.unwrap();
    let text = "<b>R</b>";
    let request = bot.send_message(ChatId(CHAT), text).message_thread_id(topic.thread_id);
    let sent = request.parse_mode(ParseMode::Html).await.unwrap();
    assert_eq!(sent.thread_id, Some(topic.thread_id));
    let edited = bot.edit_message_text(ChatId(CHAT), sent.id, "<i>S</i>").parse_mode(ParseMode::Html).await;
    assert_eq!(edited.unwrap().text(), Some("S"));
    bot.close_forum_topic(ChatId(CHAT), topic.thread_id).await.unwrap();
    let closed = bot.send_message(ChatId(CHAT), "x").message_thread_id(topic.thread_id).await;
    assert!(closed.unwrap_err().to_string().contains("TOPIC_CLOSED"));
    world.sim.script(Fault::once(Service::Telegram, "", Action::RetryAfter(2)));
    let limited = bot.send_message(ChatId(CHAT), "x").await.unwrap_err();
    assert!(matches!(limited, teloxide_core::RequestError::RetryAfter(wait) if wait.seconds() == 2));
    world.sim.add_chat(-5, ChatKind::Group, "Old", false);
    world.sim.migrate_chat(-5, CHAT);
    let moved = bot.send_message(ChatId(-5), "x").await.unwrap_err();
    assert!(matches!(moved, teloxide_core::RequestError::MigrateToChatId(id) if id == ChatId(CHAT)));
    assert!(world.sim.unknown_calls().is_empty());
}
