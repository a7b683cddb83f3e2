//! Platforms beside Shopee from end to end: their pushes come twice and out of order, and every event is stored
//! once, announced and forwarded; orders that come whole are rows in their newest state.

use std::collections::{BTreeMap, BTreeSet};

use pushbox::simulator::platforms::{PlatformPush, STEPS, Signer, prove, stream};
use reqwest::{Method, StatusCode};
use serde_json::json;

use crate::support::app::{CHAT, SPREADSHEET, TestApp};

const SECRET: &str = "whsec_QEFCQ0RFRkdISUpLTE1OT1BRUlNUVVZXWFlaW1xdXl8=";
const FORWARD: &str = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
const URL: &str = "https://hooks.example.com/webhook/omisell-b";
/// Name of the source, its platform and variant.
const SOURCES: &[(&str, &str, &str)] = &[
    ("shoplazza", "shoplazza", ""),
    ("shopery", "shopery", ""),
    ("shopify", "shopify", ""),
    ("omisell", "omisell", "a"),
    ("omisell-b", "omisell", "b"),
    ("omisell-c", "omisell", "c"),
    ("lazada", "lazada", ""),
    ("tiktok_shop", "tiktok_shop", ""),
    ("standard_webhooks", "standard_webhooks", ""),
];
const WHOLE: &[(&str, &str)] =
    &[("shoplazza", "finished/paid/shipped"), ("shopery", "DELIVERED"), ("shopify", "open/paid/shipped")];

fn toml() -> String {
    let source = |(name, platform, variant): &(&str, &str, &str)| {
        let more = match (*platform, *variant) {
            ("omisell", "b") => format!("url = '{URL}'\n"),
            ("omisell", "c") | ("lazada" | "tiktok_shop", _) => {
                "auth.params = { app_key = 'key-1' }\n".to_owned()
            }
            _ => String::new(),
        };
        let variant = if variant.is_empty() { String::new() } else { format!("variant = '{variant}'\n") };
        format!(
            "[[sources]]\nname = '{name}'\npreset = '{platform}'\nauth.secrets = ['{SECRET}']\n{variant}{more}"
        )
    };
    SOURCES.iter().map(source).collect()
}

fn orders(name: &str) -> Vec<String> {
    // Lazada's ids are longer than a float can hold.
    let base = 900_719_925_474_099_300_u64 + u64::try_from(name.len()).expect("short") * 1000;
    (0..3).map(|n| (base + n).to_string()).collect()
}

async fn send(app: &TestApp, source: &(&str, &str, &str), push: &PlatformPush) -> StatusCode {
    let (name, platform, variant) = *source;
    let signer = Signer { secret: SECRET, app_key: "key-1", url: URL };
    let (header, proof) = prove(platform, variant, signer, push).expect("a proof");
    let mut request = app.request(Method::POST, &format!("/webhook/{name}/demo")).header(header, proof);
    for (header, value) in &push.headers {
        request = request.header(header, value);
    }
    request.body(push.body.clone()).send().await.expect("an answer").status()
}

#[tokio::test]
async fn every_platform_flows_through_twice_and_out_of_order() {
    let toml = toml();
    let settings =
        [("FORWARD_URL", "{forward}hook"), ("FORWARD_SECRET", FORWARD), ("FORWARD_ALLOW_PRIVATE", "true")];
    let app = TestApp::start_with_toml(&settings, &toml).await;
    app.simulator.set_forward_secrets(&[FORWARD]);
    let start = pushbox::clock::system().now().timestamp() - 10;
    for source in SOURCES {
        let account = if source.1 == "lazada" { "1000114855" } else { "demo" };
        for (at, push) in stream(source.1, account, &orders(source.0), start, 7).iter().enumerate() {
            assert_eq!(send(&app, source, push).await, StatusCode::OK, "{source:?}");
            if at == 5 {
                // Some of the states come when the newer ones are written already.
                app.drain().await;
            }
        }
    }
    app.drain().await;
    let each = 3 * i64::from(STEPS);
    let stored: Vec<(String, i64)> = sqlx::query_as("SELECT source, count(*) FROM pushbox.events GROUP BY 1")
        .fetch_all(&app.pool)
        .await
        .expect("events");
    let expected: BTreeMap<String, i64> = SOURCES.iter().map(|source| (source.0.to_owned(), each)).collect();
    assert_eq!(stored.into_iter().collect::<BTreeMap<_, _>>(), expected);
    assert!(app.count("SELECT sum(redeliveries)::bigint FROM pushbox.event_keys").await > 20);

    let forwarded: BTreeSet<String> = app.simulator.forwarded().into_iter().map(|post| post.id).collect();
    assert_eq!(
        i64::try_from(forwarded.len()).expect("few"),
        app.count("SELECT count(*) FROM pushbox.events").await
    );
    let messages = app.simulator.messages(CHAT);
    let said: String = messages.iter().map(|message| message.text.clone()).collect();
    for source in SOURCES {
        for number in orders(source.0) {
            assert!(said.contains(&number), "{source:?}: {number} was not announced");
        }
    }
    let topics = app.simulator.topic_names(CHAT).join(", ");
    assert!(topics.contains("lazada trade order") && topics.contains("tiktok_shop order status"), "{topics}");

    let rows = app.simulator.sheet_rows(SPREADSHEET, "Orders");
    assert_eq!(rows.len(), 9, "{rows:?}");
    for (platform, last) in WHOLE {
        let states: Vec<(String, i64)> = sqlx::query_as(
            "SELECT status, extract(epoch FROM update_time)::bigint FROM pushbox.orders WHERE platform = $1",
        )
        .bind(platform)
        .fetch_all(&app.pool)
        .await
        .expect("orders");
        assert_eq!(states, vec![((*last).to_owned(), start + 3); 3], "{platform}");
        let in_sheet = rows.iter().filter(|row| row["Platform"] == *platform && row["Status"] == *last);
        assert_eq!(in_sheet.count(), 3, "{platform}: {rows:?}");
    }
    assert_eq!(
        app.count("SELECT count(*) FROM pushbox.order_items WHERE quantity = 2 AND price = 26").await,
        9
    );
    app.finish().await;
}

#[tokio::test]
async fn send_signs_for_every_source_and_the_doctor_says_how() {
    let toml = toml();
    let app = TestApp::start_with_toml(&[], &toml).await;
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("pushbox.toml");
    std::fs::write(&file, &toml).expect("write the file");
    let config = file.to_str().expect("a path");
    let address = app.app.public_address().expect("a receiver");
    for (name, _, _) in SOURCES {
        let url = format!("http://{address}/webhook/{name}/demo-a");
        let text = app.command(&["--config", config, "send", "--source", name, "--url", &url]).await;
        assert!(text.starts_with("200 in"), "{name}: {text}");
    }
    let url = format!("http://{address}/webhook/shopee");
    app.command(&["--config", config, "send", "--url", &url, "--code", "4", "--count", "3"]).await;
    assert_eq!(app.count("SELECT count(*) FROM pushbox.events WHERE source <> 'shopee'").await, 9);
    let (sent, _) = app.try_command(&["--config", config, "send", "--source", "unheard-of"]).await;
    assert!(!sent);
    let (_, told) = app.try_command(&["--config", config, "doctor"]).await;
    for words in [
        "shopify at /webhook/shopify: HMAC-SHA256 of body in x-shopify-hmac-sha256, base64",
        "try it: pushbox send --source lazada --url",
        "-H \"x-shopery-secret: $SECRET\"",
        "its ids are not signed",
    ] {
        assert!(told.contains(words), "{words} is not in\n{told}");
    }
    assert!(!told.contains(SECRET));
    app.app.stop().await;
}

#[tokio::test]
async fn an_event_that_turns_out_to_be_no_order_is_announced_all_the_same() {
    let app = TestApp::start_with_toml(&[], &toml()).await;
    for body in
        [json!({"id": "x1", "hello": "world"}).to_string(), "not JSON".to_owned(), json!([1]).to_string()]
    {
        let request = app.request(Method::POST, "/webhook/shopery/t-1").header("x-shopery-secret", SECRET);
        assert_eq!(request.body(body).send().await.expect("an answer").status(), StatusCode::OK);
    }
    app.drain().await;
    assert_eq!(app.count("SELECT count(*) FROM pushbox.orders").await, 0);
    assert_eq!(app.simulator.messages(CHAT).len(), 3);
    app.finish().await;
}
