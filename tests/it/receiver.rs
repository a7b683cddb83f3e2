//! The public listener, answer by answer.

use pushbox::postgres::{DATABASE, ManagedPostgres, PostgresOptions};
use reqwest::{Method, StatusCode};
use serde_json::json;

use crate::support::app::{PARTNER, TestApp, order, status_push};

/// Only what is looked at here: no sheet, no chat.
async fn start() -> TestApp {
    TestApp::start_with(&[
        ("SPREADSHEET_ID", ""),
        ("GOOGLE_CREDENTIALS_JSON", ""),
        ("GOOGLE_SHEETS_URL", ""),
        ("TELEGRAM_BOT_TOKEN", ""),
        ("TELEGRAM_CHAT_ID", ""),
        ("TELEGRAM_API_URL", ""),
    ])
    .await
}

const EVENTS: &str = "SELECT count(*) FROM pushbox.events";

#[tokio::test]
async fn a_signed_push_is_stored_once_and_its_order_fetched() {
    let app = start().await;
    let (detail, escrow) = order("A1", "READY_TO_SHIP", 1_790_000_200);
    app.simulator.put_order(crate::support::app::SHOP, detail, escrow);
    for _ in 0..3 {
        app.push(&status_push("A1", "READY_TO_SHIP", 1_790_000_200)).await;
    }
    app.drain().await;
    assert_eq!(app.count(EVENTS).await, 1);
    assert_eq!(app.count("SELECT redeliveries::bigint FROM pushbox.event_keys").await, 2);
    let (status, total, escrow): (String, String, String) = sqlx::query_as(
        "SELECT status, total_amount::text, escrow_amount::text
         FROM pushbox.orders JOIN pushbox.order_income USING (platform, shop_id, order_sn)",
    )
    .fetch_one(&app.pool)
    .await
    .expect("the order with its income");
    assert_eq!((status.as_str(), total.as_str(), escrow.as_str()), ("READY_TO_SHIP", "30.5", "25.01"));
    assert_eq!(
        app.count("SELECT (sum(net_income) * 100)::bigint FROM pushbox.order_items").await,
        2501,
        "the lines add up to the payout"
    );
    app.finish().await;
}

#[tokio::test]
async fn nothing_unsigned_is_stored() {
    let app = start().await;
    let body = status_push("A1", "READY_TO_SHIP", 1_790_000_200).to_string();
    let signature = app.simulator.sign_push(PARTNER, body.as_bytes()).expect("known");
    let flipped = format!("{}{}", if signature.starts_with('0') { '1' } else { '0' }, &signature[1..]);
    let tampered = body.replace("READY_TO_SHIP", "CANCELLED");
    let cases = [
        (app.webhook().body(body.clone()), "no signature"),
        (app.webhook().header("authorization", &flipped).body(body.clone()), "a wrong signature"),
        (app.webhook().header("authorization", &signature).body(tampered), "a changed body"),
        (app.webhook().header("authorization", &signature).body(format!("{body} ")), "a trailing space"),
        (app.webhook().header("authorization", &signature[..63]).body(body.clone()), "a short signature"),
        (app.webhook().header("authorization", format!("Bearer {signature}")).body(body.clone()), "a scheme"),
    ];
    for (request, what) in cases {
        let answer = request.send().await.expect("an answer");
        assert_eq!(answer.status(), StatusCode::UNAUTHORIZED, "{what}");
    }
    assert_eq!(app.count(EVENTS).await, 0);
    let padded = app.webhook().header("authorization", format!(" {} ", signature.to_uppercase())).body(body);
    assert_eq!(
        padded.send().await.expect("an answer").status(),
        StatusCode::OK,
        "blanks and case do not matter"
    );
    assert_eq!(app.count(EVENTS).await, 1);
    app.app.stop().await;
}

#[tokio::test]
async fn the_callback_probe_is_answered_and_not_stored() {
    let app = start().await;
    let probe = json!({"code": 0, "data": {"verify_info": "This is a Verification message."}}).to_string();
    for body in ["", " \n", probe.as_str()] {
        let answer = app.webhook().body(body.to_owned()).send().await.expect("an answer");
        assert_eq!(answer.status(), StatusCode::OK, "{body:?}");
        assert_eq!(answer.text().await.expect("a body"), "");
    }
    assert_eq!(app.count(EVENTS).await, 0);
    app.finish().await;
}

#[tokio::test]
async fn a_signed_body_that_cannot_be_read_is_kept_as_it_is() {
    let app = start().await;
    let bodies: [&[u8]; 5] = [
        b"hello",
        b"\xff\xfe",
        br#"{"code":3,"data":{"a":"\u0000"}}"#,
        b"{}",
        br#"{"code":99,"shop_id":5,"data":{}}"#,
    ];
    for body in bodies {
        for _ in 0..2 {
            assert_eq!(app.push_bytes(body).await.status(), StatusCode::OK, "{body:?}");
        }
    }
    let stored: Vec<(String, Option<String>, Option<Vec<u8>>)> =
        sqlx::query_as("SELECT kind, payload::text, body FROM pushbox.events ORDER BY id")
            .fetch_all(&app.pool)
            .await
            .expect("events");
    let expected = bodies.iter().enumerate().map(|(index, body)| match index {
        0..3 => ("unreadable".to_owned(), None, Some(body.to_vec())),
        3 => ("unreadable".to_owned(), Some("{}".to_owned()), None),
        _ => ("code_99".to_owned(), Some(r#"{"code": 99, "data": {}, "shop_id": 5}"#.to_owned()), None),
    });
    assert_eq!(stored, expected.collect::<Vec<_>>());
    app.finish().await;
}

#[tokio::test]
async fn requests_that_are_no_pushes_are_told_so() {
    let app = start().await;
    let ask = |method: Method, path: &str| app.request(method, path).body("{}");
    let cases = [
        (ask(Method::GET, "/webhook/shopee"), StatusCode::METHOD_NOT_ALLOWED),
        (ask(Method::PUT, "/webhook/shopee"), StatusCode::METHOD_NOT_ALLOWED),
        (ask(Method::POST, "/webhook/unheard_of"), StatusCode::NOT_FOUND),
        (ask(Method::POST, "/webhook"), StatusCode::NOT_FOUND),
        (ask(Method::GET, "/api/v1/stats"), StatusCode::NOT_FOUND),
        (ask(Method::GET, "/metrics"), StatusCode::NOT_FOUND),
        (ask(Method::POST, "/webhook/shopee").header("content-encoding", "gzip"), StatusCode::BAD_REQUEST),
        (
            ask(Method::POST, "/webhook/shopee").header("authorization", "a").header("authorization", "b"),
            StatusCode::BAD_REQUEST,
        ),
        (
            app.request(Method::POST, "/webhook/shopee").body(vec![b' '; (1 << 20) + 1]),
            StatusCode::PAYLOAD_TOO_LARGE,
        ),
        (app.request(Method::POST, "/webhook/shopee").body(vec![b' '; 1 << 20]), StatusCode::OK),
        (ask(Method::GET, "/health/live"), StatusCode::OK),
        (ask(Method::GET, "/health/ready"), StatusCode::OK),
        (ask(Method::GET, "/health"), StatusCode::OK),
    ];
    for (index, (request, expected)) in cases.into_iter().enumerate() {
        assert_eq!(request.send().await.expect("an answer").status(), expected, "case {index}");
    }
    assert_eq!(app.count(EVENTS).await, 0);
    app.finish().await;
}

#[tokio::test]
async fn unconfigured_codes_never_call_the_platform() {
    let app = start().await;
    let (detail, escrow) = order("A1", "READY_TO_SHIP", 1_790_000_200);
    app.simulator.put_order(crate::support::app::SHOP, detail, escrow);
    let push = json!({"data": {"ordersn": "A1", "package_number": "P", "status": "READY"},
                      "shop_id": crate::support::app::SHOP, "code": 15, "timestamp": 1_790_000_300});
    app.push(&push).await;
    app.drain().await;
    assert_eq!(app.count(EVENTS).await, 1);
    assert_eq!(app.count("SELECT count(*) FROM pushbox.orders").await, 0);
    assert_eq!(app.count("SELECT count(*) FROM pushbox.job_history").await, 0);
    app.finish().await;
}

#[tokio::test]
async fn an_older_detail_never_overwrites_a_newer_one() {
    let app = start().await;
    for (status, at) in [("SHIPPED", 1_790_000_900), ("READY_TO_SHIP", 1_790_000_200)] {
        let (detail, escrow) = order("A1", status, at);
        app.simulator.put_order(crate::support::app::SHOP, detail, escrow);
        app.push(&status_push("A1", status, at)).await;
        app.drain().await;
    }
    assert_eq!(app.count("SELECT count(*) FROM pushbox.orders WHERE status = 'SHIPPED'").await, 1);
    app.finish().await;
}

#[tokio::test]
async fn without_a_database_the_answer_is_503_and_soon_never_200() {
    // A cluster of its own: the others must not lose theirs.
    let directory = crate::support::database::directory();
    let options = PostgresOptions::ephemeral(directory.path().join("data"));
    let server = ManagedPostgres::start(options).await.expect("start Postgres");
    let app =
        TestApp::start_with(&[("DATABASE_URL", &server.url(DATABASE)), ("COMMIT_DEADLINE", "1s")]).await;
    server.stop_immediate().await.expect("stop Postgres");
    let push = json!({"code": 99, "shop_id": 5, "data": {"n": 1}}).to_string();
    let answer = app.push_bytes(push.clone()).await;
    assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert!(answer.headers().contains_key("retry-after"));
    let ready = app.request(Method::GET, "/health/ready").send().await.expect("an answer");
    assert_eq!(ready.status(), StatusCode::SERVICE_UNAVAILABLE);
    server.restart().await.expect("start Postgres again");
    assert_eq!(app.push_bytes(push).await.status(), StatusCode::OK, "it recovers by itself");
    app.app.stop().await;
}

#[tokio::test]
async fn who_fails_too_often_is_held_down_and_valid_pushes_never() {
    let app = TestApp::start_with(&[
        ("FAILED_SIGNATURES_PER_MINUTE", "1"),
        ("TRUSTED_PROXIES", "127.0.0.0/8"),
        ("TELEGRAM_BOT_TOKEN", ""),
        ("TELEGRAM_CHAT_ID", ""),
        ("TELEGRAM_API_URL", ""),
    ])
    .await;
    let fail = async |from: &str| {
        let request = app.webhook().header("authorization", "0".repeat(64)).header("x-forwarded-for", from);
        request.body("{}").send().await.expect("an answer")
    };
    assert_eq!(fail("192.0.2.1").await.status(), StatusCode::UNAUTHORIZED);
    let held_down = fail("192.0.2.1").await;
    assert_eq!(held_down.status(), StatusCode::TOO_MANY_REQUESTS);
    assert!(held_down.headers().contains_key("retry-after"));
    assert_eq!(fail("192.0.2.2").await.status(), StatusCode::UNAUTHORIZED, "another address");
    assert_eq!(fail("203.0.113.9, 192.0.2.1").await.status(), StatusCode::TOO_MANY_REQUESTS, "the nearest");
    let body = json!({"code": 99, "shop_id": 5, "data": {"n": 1}}).to_string();
    let signature = app.simulator.sign_push(PARTNER, body.as_bytes()).expect("known");
    let valid = app.webhook().header("authorization", signature).header("x-forwarded-for", "192.0.2.1");
    assert_eq!(valid.body(body).send().await.expect("an answer").status(), StatusCode::OK);
    assert_eq!(app.count(EVENTS).await, 1);
    app.app.stop().await;
}

#[tokio::test]
async fn half_a_request_does_not_hold_up_the_stop() {
    use tokio::io::AsyncWriteExt;

    let app = start().await;
    let address = app.app.public_address().expect("a receiver");
    let mut client = tokio::net::TcpStream::connect(address).await.expect("connect");
    client
        .write_all(b"POST /webhook/shopee HTTP/1.1\r\nhost: x\r\ncontent-length: 9\r\n\r\nhalf")
        .await
        .expect("send half");
    // The listener takes connections in their order, so this one is behind it.
    app.request(Method::GET, "/health/live").send().await.expect("an answer");
    tokio::time::timeout(std::time::Duration::from_secs(20), app.app.stop()).await.expect("it stops");
}
