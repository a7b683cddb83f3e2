//! The one HTTP client that calls of ours go through, and what a reply or a broken connection means.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use reqwest::RequestBuilder;
use reqwest::header::RETRY_AFTER;
use url::Url;

use crate::clients::error::{ClientError, Outcome};

/// A connection that is not there by then will not come.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// The longest answer we read; fifty orders with all fields are some hundred kilobytes.
const BODY_CAP: usize = 16 * 1024 * 1024;

/// What we call ourselves.
pub const USER_AGENT: &str = concat!("pushbox/", env!("CARGO_PKG_VERSION"));

/// Builds the client for calls to `base`: `total` for a whole call, no redirects (a redirected call would
/// lose its signature or its body, and a wrong base URL should be seen).
///
/// Proxies of the environment are honoured, except for a `base` on this machine.
pub fn client(base: &Url, total: Duration) -> Result<reqwest::Client, ClientError> {
    let builder = reqwest::Client::builder()
        .user_agent(USER_AGENT)
        .connect_timeout(CONNECT_TIMEOUT)
        .timeout(total)
        .tcp_nodelay(true)
        .redirect(reqwest::redirect::Policy::none());
    let builder = if is_loopback(base) { builder.no_proxy() } else { builder };
    builder.build().map_err(|error| ClientError::Unavailable {
        message: format!("the HTTP client cannot be built: {}", chain(&error)),
        outcome: Outcome::NotSent,
    })
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(url::Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

/// An answer, whatever its status.
#[derive(Debug, Clone)]
pub struct Reply {
    /// The HTTP status.
    pub status: u16,
    /// The `Retry-After` header, where it is a number of seconds.
    pub retry_after: Option<Duration>,
    /// The whole body.
    pub body: Bytes,
}

impl Reply {
    /// Whether the status is 2xx.
    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }
}

/// Sends the request and reads the whole answer. A status is not an error here; a broken connection, a
/// time-out and a body over 16 MiB are.
pub async fn fetch(request: RequestBuilder) -> Result<Reply, ClientError> {
    let mut response = request.send().await.map_err(|error| broken(&error))?;
    let status = response.status().as_u16();
    let retry_after = response
        .headers()
        .get(RETRY_AFTER)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.trim().parse().ok())
        .map(Duration::from_secs);
    let mut body = BytesMut::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| broken(&error))? {
        body.extend_from_slice(&chunk);
        if body.len() > BODY_CAP {
            return Err(ClientError::malformed("longer than 16 MiB", &body));
        }
    }
    Ok(Reply { status, retry_after, body: body.freeze() })
}

/// A call without an answer. Only a connection that never came up proves that nothing was sent. The URL is
/// left out: its query holds tokens.
fn broken(error: &reqwest::Error) -> ClientError {
    let not_sent = error.is_connect() || error.is_builder();
    let outcome = if not_sent { Outcome::NotSent } else { Outcome::Unknown };
    ClientError::Unavailable { message: broken_words(error), outcome }
}

/// What a call without an answer is called, without its URL.
pub(crate) fn broken_words(error: &reqwest::Error) -> String {
    if error.is_timeout() && !error.is_connect() {
        "no answer in time".to_owned()
    } else {
        let words = if error.is_connect() { "cannot connect" } else { "the connection broke" };
        source_chain(error).map_or_else(|| words.to_owned(), |sources| format!("{words}: {sources}"))
    }
}

/// The error and its sources in one line. Not for errors whose own text holds a URL.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    match source_chain(error) {
        Some(sources) => format!("{error}: {sources}"),
        None => error.to_string(),
    }
}

fn source_chain(error: &dyn std::error::Error) -> Option<String> {
    let sources: Vec<String> =
        std::iter::successors(error.source(), |error| error.source()).map(ToString::to_string).collect();
    (!sources.is_empty()).then(|| sources.join(": "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_this_machine_is_reached_without_a_proxy() {
        for (url, expected) in [
            ("http://127.0.0.1:8080/x", true),
            ("http://[::1]/", true),
            ("http://localhost:1", true),
            ("https://partner.shopeemobile.com", false),
            ("http://10.0.0.1/", false),
        ] {
            assert_eq!(is_loopback(&Url::parse(url).unwrap()), expected, "{url}");
        }
    }

    #[tokio::test]
    async fn refused_connection_is_surely_not_sent_and_shows_no_query() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url =
            Url::parse(&format!("http://{}/x?access_token=hush", listener.local_addr().unwrap())).unwrap();
        drop(listener);
        let error = fetch(client(&url, Duration::from_secs(5)).unwrap().get(url)).await.unwrap_err();
        assert!(!error.may_have_happened(), "{error}");
        assert!(!format!("{error} {error:?}").contains("hush"));
    }

    #[tokio::test]
    async fn lost_reply_leaves_the_outcome_open() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = Url::parse(&format!("http://{}/x", listener.local_addr().unwrap())).unwrap();
        let server = tokio::spawn(async move {
            use tokio::io::AsyncReadExt as _;
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut buffer = [0; 1024];
            assert!(stream.read(&mut buffer).await.unwrap() > 0);
        });
        let error =
            fetch(client(&url, Duration::from_secs(5)).unwrap().post(url).body("x")).await.unwrap_err();
        assert!(error.may_have_happened(), "{error}");
        server.await.unwrap();
    }
}
