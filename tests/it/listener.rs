//! What a listener puts up with: slow clients, many of them, and a stop in the middle of a request.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::app::{PARTNER, TestApp, status_push};

const LIMIT: Duration = Duration::from_secs(20);

async fn connect(app: &TestApp) -> TcpStream {
    TcpStream::connect(app.app.public_address().expect("a receiver")).await.expect("connect")
}

/// Whatever comes until the other side closes.
async fn rest(stream: &mut TcpStream) -> String {
    let mut text = Vec::new();
    let read = tokio::time::timeout(LIMIT, stream.read_to_end(&mut text)).await.expect("it is never closed");
    // A reset is a close as well.
    let _ = read;
    String::from_utf8_lossy(&text).into_owned()
}

fn signed(app: &TestApp, body: &str) -> String {
    let signature = app.simulator.sign_push(PARTNER, body.as_bytes()).expect("the app is known");
    format!(
        "POST /webhook/shopee HTTP/1.1\r\nhost: x\r\nauthorization: {signature}\r\ncontent-length: {}\r\n\r\n",
        body.len()
    )
}

#[tokio::test]
async fn who_is_too_slow_is_cut_off() {
    let app = TestApp::start_with(&[("REQUEST_TIMEOUT", "500ms")]).await;
    let mut headers = connect(&app).await;
    headers.write_all(b"POST /webhook/shopee HTTP/1.1\r\nhost: x\r\nauth").await.expect("write");
    let mut idle = connect(&app).await;
    let body = status_push("A1", "READY_TO_SHIP", 1_790_000_200).to_string();
    let mut half = connect(&app).await;
    half.write_all(signed(&app, &body).as_bytes()).await.expect("write");
    half.write_all(&body.as_bytes()[..20]).await.expect("write");
    assert!(!rest(&mut headers).await.contains("200 OK"));
    assert_eq!(rest(&mut idle).await, "");
    let answer = rest(&mut half).await;
    assert!(answer.starts_with("HTTP/1.1 400"), "{answer}");
    assert_eq!(app.count("SELECT count(*) FROM pushbox.events").await, 0);
    app.finish().await;
}

#[tokio::test]
async fn more_connections_than_allowed_wait_for_their_turn() {
    let app = TestApp::start_with(&[("MAX_CONNECTIONS", "2"), ("REQUEST_TIMEOUT", "1m")]).await;
    let (first, second) = (connect(&app).await, connect(&app).await);
    let mut third = connect(&app).await;
    third
        .write_all(b"GET /health/live HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
        .await
        .expect("write");
    let mut byte = [0_u8; 1];
    let early = tokio::time::timeout(Duration::from_millis(300), third.peek(&mut byte)).await;
    assert!(early.is_err(), "it was served beside the two");
    drop(first);
    assert!(rest(&mut third).await.starts_with("HTTP/1.1 200"));
    drop(second);
    app.finish().await;
}

#[tokio::test]
async fn a_request_in_flight_is_answered_before_the_stop() {
    let app = TestApp::start().await;
    let body = status_push("A1", "READY_TO_SHIP", 1_790_000_200).to_string();
    let mut stream = connect(&app).await;
    stream.write_all(signed(&app, &body).as_bytes()).await.expect("write");
    // Not the first request of this listener that is begun: the answer to another shows that it is being read.
    let mut other = connect(&app).await;
    other
        .write_all(b"GET /health/live HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
        .await
        .expect("write");
    assert!(rest(&mut other).await.starts_with("HTTP/1.1 200"));
    let pool = app.pool.clone();
    let stopping = tokio::spawn(app.app.stop());
    stream.write_all(body.as_bytes()).await.expect("write");
    let answer = rest(&mut stream).await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    stopping.await.expect("the stop");
    let stored: i64 =
        sqlx::query_scalar("SELECT count(*) FROM pushbox.events").fetch_one(&pool).await.expect("count");
    assert_eq!(stored, 1);
}
