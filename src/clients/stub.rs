//! A server on loopback that answers with what a closure says, for tests of what a client makes of an answer.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::{OriginalUri, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use url::Url;

/// One request as it came.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    pub(crate) path: String,
    pub(crate) query: std::collections::HashMap<String, String>,
    pub(crate) authorization: String,
    pub(crate) body: String,
}

impl Seen {
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap()
    }
}

/// Status, `Retry-After`, body.
pub(crate) type Said = (u16, Option<u64>, String);

#[expect(clippy::needless_pass_by_value, reason = "called with literals and json! values")]
pub(crate) fn ok(body: impl ToString) -> Said {
    (200, None, body.to_string())
}

type Answer = Arc<dyn Fn(&Seen) -> Said + Send + Sync>;

#[derive(Clone)]
pub(crate) struct Stub {
    pub(crate) url: Url,
    seen: Arc<Mutex<Vec<Seen>>>,
    answer: Answer,
}

impl Stub {
    pub(crate) async fn start(answer: impl Fn(&Seen) -> Said + Send + Sync + 'static) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = Url::parse(&format!("http://{}/", listener.local_addr().unwrap())).unwrap();
        let stub = Self { url, seen: Arc::default(), answer: Arc::new(answer) };
        let router = Router::new().fallback(handle).with_state(stub.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        stub
    }

    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }
}

async fn handle(
    State(stub): State<Stub>,
    OriginalUri(uri): OriginalUri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let query =
        url::form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes()).into_owned().collect();
    let authorization = headers.get(header::AUTHORIZATION).map_or("", |value| value.to_str().unwrap());
    let seen = Seen {
        path: uri.path().to_owned(),
        query,
        authorization: authorization.to_owned(),
        body: String::from_utf8(body.to_vec()).unwrap(),
    };
    let (status, retry_after, body) = (stub.answer)(&seen);
    stub.seen.lock().unwrap().push(seen);
    let mut response = (StatusCode::from_u16(status).unwrap(), body).into_response();
    if let Some(seconds) = retry_after {
        response.headers_mut().insert(header::RETRY_AFTER, seconds.into());
    }
    response
}
