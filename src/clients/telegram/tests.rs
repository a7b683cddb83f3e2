//! What is sent, and what is made of whole answers.

use serde_json::json;

use super::*;
use crate::clients::stub::{Said, Stub, ok};

const TOKEN: &str = "535362388:AAF7-g0gYncWnm5IyfZlpPRqRRv6kNAGlao";

fn client(stub: &Stub) -> TelegramClient {
    TelegramClient::new(&TelegramSettings {
        ops_chat_id: None,
        bot_token: TOKEN.into(),
        api_url: stub.url.join("tg").unwrap(),
        chat_per_second: 1,
        chat_per_minute: 18,
        announcements: crate::config::AnnouncementSettings::default(),
    })
    .unwrap()
}

fn refusal(status: u16, description: &str) -> Said {
    (status, None, json!({"ok": false, "error_code": status, "description": description}).to_string())
}

async fn sending(said: Said) -> Result<Sent, TelegramError> {
    let stub = Stub::start(move |_| said.clone()).await;
    client(&stub).send(-100, None, "x", true).await
}

#[tokio::test]
async fn a_message_goes_into_its_topic() {
    let stub =
        Stub::start(|_| ok(json!({"ok": true, "result": {"message_id": 5, "message_thread_id": 77}}))).await;
    let sent = client(&stub).send(-100_123, Some(77), "<b>x</b>", true).await.unwrap();
    assert_eq!(sent, Sent { message_id: 5, thread_id: Some(77) });
    let seen = &stub.seen()[0];
    assert_eq!(seen.path, format!("/tg/bot{TOKEN}/SendMessage"));
    assert_eq!(
        seen.json(),
        json!({"chat_id": -100_123, "text": "<b>x</b>", "message_thread_id": 77, "parse_mode": "HTML",
            "link_preview_options": {"is_disabled": true}})
    );
}

#[tokio::test]
async fn plain_text_has_no_parse_mode() {
    let stub = Stub::start(|_| ok(json!({"ok": true, "result": {"message_id": 5}}))).await;
    client(&stub).send_plain(1, None, "<x").await.unwrap();
    assert!(stub.seen()[0].json().get("parse_mode").is_none());
}

#[tokio::test]
async fn a_gateways_error_page_leaves_the_outcome_open_at_once() {
    // Under teloxide's own `send` this would take ten seconds.
    let send = sending((502, None, "<html>bad gateway</html>".to_owned()));
    let result = tokio::time::timeout(Duration::from_secs(5), send).await.unwrap();
    assert!(matches!(result, Err(TelegramError::Unknown { .. })), "{result:?}");
}

#[tokio::test]
async fn what_was_sent_is_not_taken_for_failed() {
    for body in [r#"{"ok": true, "result": {"mess"#, r#"{"ok":true,"result":{"id":1}}"#] {
        let result = sending(ok(body)).await;
        assert!(matches!(result, Err(TelegramError::Sent { .. })), "{body} {result:?}");
    }
    let result = sending(ok("<html>log in to this network</html>")).await;
    assert!(matches!(result, Err(TelegramError::Unknown { .. })), "{result:?}");
}

#[tokio::test]
async fn waits_and_moves_are_read_from_the_parameters() {
    let wait = json!({"ok": false, "description": "Too Many Requests", "parameters": {"retry_after": 7}});
    assert_eq!(
        sending((429, None, wait.to_string())).await,
        Err(TelegramError::RetryAfter(Duration::from_secs(7)))
    );
    let wait = (429, Some(3), "slow down".to_owned());
    assert_eq!(sending(wait).await, Err(TelegramError::RetryAfter(Duration::from_secs(3))));
    let moved = json!({"ok": false, "description": "", "parameters": {"migrate_to_chat_id": -1_009}});
    assert_eq!(sending((400, None, moved.to_string())).await, Err(TelegramError::Migrated(-1_009)));
    let empty = json!({"ok": false, "description": "Bad Request: TOPIC_CLOSED", "parameters": {}});
    assert_eq!(sending((400, None, empty.to_string())).await, Err(TelegramError::TopicClosed));
}

#[tokio::test]
async fn an_edit_that_changes_nothing_is_done() {
    let stub = Stub::start(|_| refusal(400, "Bad Request: message is not modified: x")).await;
    client(&stub).edit(1, 5, "x").await.unwrap();
    assert_eq!(stub.seen()[0].json()["message_id"], 5);
    let stub = Stub::start(|_| refusal(400, "Bad Request: message to edit not found")).await;
    assert_eq!(client(&stub).edit(1, 5, "x").await, Err(TelegramError::EditTargetGone));
}

#[tokio::test]
async fn topics_are_opened_with_names_that_fit() {
    let stub = Stub::start(|_| ok(json!({"ok": true, "result": {"message_thread_id": 77}}))).await;
    let thread = client(&stub).create_topic(1, &"ö".repeat(200), TOPIC_COLORS[0]).await.unwrap();
    assert_eq!(thread, 77);
    let seen = stub.seen()[0].json();
    assert_eq!(seen["icon_color"], 7_322_096);
    assert_eq!(seen["name"].as_str().unwrap().chars().count(), 128);
    client(&stub).reopen_topic(1, 77).await.unwrap();
    assert_eq!(stub.seen()[1].json(), json!({"chat_id": 1, "message_thread_id": 77}));
}

#[tokio::test]
async fn rights_and_chats_are_read_from_few_fields() {
    let stub = Stub::start(|seen| {
        let result = match seen.path.rsplit('/').next().unwrap() {
            "GetMe" => json!({"id": 7, "is_bot": true, "first_name": "B", "username": "b_bot"}),
            "GetChat" => json!({"id": -1, "type": "supergroup", "title": "Shop", "is_forum": true}),
            _ => json!({"status": "administrator", "user": {"id": 7}, "can_manage_topics": true}),
        };
        ok(json!({"ok": true, "result": result}))
    })
    .await;
    let client = client(&stub);
    assert_eq!(client.me().await.unwrap().username, "b_bot");
    assert_eq!(client.chat_info(-1).await.unwrap(), ChatInfo { title: "Shop".into(), is_forum: true });
    assert!(client.rights(-1).await.unwrap().may_manage_topics);
    assert_eq!(stub.seen().last().unwrap().json(), json!({"chat_id": -1, "user_id": 7}));
}

#[tokio::test]
async fn calls_can_be_spawned() {
    fn spawnable<T: Send>(_: &T) {}
    let stub = Stub::start(|_| refusal(401, "Unauthorized")).await;
    let client = client(&stub);
    spawnable(&client.send(1, None, "x", true));
    spawnable(&client.edit(1, 1, "x"));
    spawnable(&client.rights(1));
}

#[tokio::test]
async fn the_token_does_not_show() {
    let stub = Stub::start(|_| refusal(401, "Unauthorized")).await;
    let client = client(&stub);
    let error = client.me().await.unwrap_err();
    assert!(error.needs_a_person());
    assert!(!format!("{client:?} {error:?} {error}").contains("AAF7"));
}
