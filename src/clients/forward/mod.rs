//! Posts to services of the seller's, signed by the rules of Standard Webhooks.
//!
//! The address is the seller's to choose and not ours to trust: whoever can set it, or its DNS record, must not
//! reach what only this machine can reach. So every address that the name has is checked by [`guard`] when it is
//! connected to, redirects are not followed, and proxies of the environment are not used (they would resolve the
//! name themselves). A pooled connection stays with the address that was checked.
//!
//! Of the answer only its beginning is kept, for people to read.

pub mod guard;
pub mod sign;

use std::time::Duration;

use bytes::Bytes;
use reqwest::header::{CONTENT_TYPE, HeaderValue, RETRY_AFTER};
use secrecy::SecretString;
use url::{Host, Url};

use crate::clients::error::{ClientError, Outcome};
use crate::clients::http::{self, USER_AGENT};
use guard::{Forbidden, Guard};

/// The time that Standard Webhooks recommends to give a receiver.
const TIMEOUT: Duration = Duration::from_secs(20);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// What is kept of an answer, in characters, and read of it at most, in bytes.
const KEPT: usize = 500;
const READ: usize = 4096;

/// What is posted.
#[derive(Debug, Clone)]
pub struct Message {
    /// The `webhook-id`: the same for every attempt. Without a dot.
    pub id: String,
    /// Unix seconds of this attempt.
    pub timestamp: i64,
    /// JSON.
    pub body: Bytes,
}

/// An answer, whatever its status.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The `Retry-After` header, where it is a number of seconds.
    pub retry_after: Option<Duration>,
    /// The beginning of the body as text.
    pub text: String,
}

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ForwardError {
    /// The address is none that may be used: nothing was sent, and nothing will be until a person acts.
    #[error("{0}")]
    Forbidden(Forbidden),
    /// Nobody answered. It may have been received all the same; the `webhook-id` tells.
    #[error("{0}")]
    NoAnswer(String),
}

/// Posts. Cheap to clone.
#[derive(Debug, Clone)]
pub struct ForwardClient {
    client: reqwest::Client,
    guard: Guard,
}

impl ForwardClient {
    /// A client; with `allow_private` also for plain http and for networks that are not public.
    pub fn new(allow_private: bool) -> Result<Self, ClientError> {
        let guard = Guard { allow_private };
        let client = reqwest::Client::builder()
            .user_agent(USER_AGENT)
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(TIMEOUT)
            .tcp_nodelay(true)
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .https_only(!allow_private)
            .dns_resolver(std::sync::Arc::new(guard))
            .build()
            .map_err(|error| ClientError::Unavailable {
                message: format!("the HTTP client cannot be built: {}", http::chain(&error)),
                outcome: Outcome::NotSent,
            })?;
        Ok(Self { client, guard })
    }

    /// Posts a message, signed with every one of `secrets`, and reads the beginning of the answer.
    ///
    /// # Errors
    /// When the address is forbidden or nobody answers. No error holds the URL's query.
    pub async fn post(
        &self,
        url: &Url,
        secrets: &[SecretString],
        message: &Message,
    ) -> Result<Answer, ForwardError> {
        self.check(url).map_err(ForwardError::Forbidden)?;
        let signature = sign::signatures(secrets, &message.id, message.timestamp, &message.body);
        let request = self
            .client
            .post(url.clone())
            .header(CONTENT_TYPE, HeaderValue::from_static("application/json"))
            .header("webhook-id", &message.id)
            .header("webhook-timestamp", message.timestamp)
            .header("webhook-signature", signature)
            .body(message.body.clone());
        let response = request.send().await.map_err(|error| no_answer(&error))?;
        let status = response.status().as_u16();
        let retry_after = response
            .headers()
            .get(RETRY_AFTER)
            .and_then(|value| value.to_str().ok()?.trim().parse().ok())
            .map(Duration::from_secs);
        Ok(Answer { status, retry_after, text: beginning(response).await })
    }

    /// Whether anybody is there: an `OPTIONS` request without a body, which changes nothing. Whatever the answer is,
    /// its status.
    ///
    /// # Errors
    /// When the address is forbidden or nobody answers. No error holds the URL's query.
    pub async fn reach(&self, url: &Url) -> Result<u16, ForwardError> {
        self.check(url).map_err(ForwardError::Forbidden)?;
        let mut bare = url.clone();
        bare.set_query(None);
        let request = self.client.request(reqwest::Method::OPTIONS, bare);
        Ok(request.send().await.map_err(|error| no_answer(&error))?.status().as_u16())
    }

    /// A host that is an address is not resolved, so the resolver does not see it.
    fn check(&self, url: &Url) -> Result<(), Forbidden> {
        match url.host() {
            Some(Host::Ipv4(address)) => self.guard.check(address.into()),
            Some(Host::Ipv6(address)) => self.guard.check(address.into()),
            Some(Host::Domain(_)) | None => Ok(()),
        }
    }
}

/// The beginning of a body on one line. The status is the answer; a body that breaks off changes nothing.
async fn beginning(mut response: reqwest::Response) -> String {
    let mut bytes = Vec::new();
    while bytes.len() < READ
        && let Ok(Some(chunk)) = response.chunk().await
    {
        bytes.extend_from_slice(&chunk);
    }
    let text = String::from_utf8_lossy(&bytes);
    let plain = text.chars().map(|c| if c.is_control() { ' ' } else { c });
    plain.take(KEPT).collect::<String>().trim().to_owned()
}

fn no_answer(error: &reqwest::Error) -> ForwardError {
    let mut source = std::error::Error::source(error);
    while let Some(inner) = source {
        if let Some(forbidden) = inner.downcast_ref::<Forbidden>() {
            return ForwardError::Forbidden(forbidden.clone());
        }
        source = inner.source();
    }
    ForwardError::NoAnswer(http::broken_words(error))
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    use hmac::{Hmac, KeyInit, Mac};

    use super::*;
    use crate::clients::stub::Stub;

    const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

    fn message() -> Message {
        Message { id: "event-1".into(), timestamp: 1_614_265_330, body: Bytes::from_static(b"{\"a\":1}") }
    }

    #[tokio::test]
    async fn what_is_posted_can_be_verified_and_the_answer_is_kept_short() {
        let stub = Stub::start(|_| (503, Some(7), format!("busy\n{}", "x".repeat(10_000)))).await;
        let url = stub.url.join("hook?token=hush").unwrap();
        let client = ForwardClient::new(true).unwrap();
        let answer = client.post(&url, &[SECRET.into()], &message()).await.unwrap();
        assert_eq!((answer.status, answer.retry_after), (503, Some(Duration::from_secs(7))));
        assert!(answer.text.starts_with("busy xxx") && answer.text.len() == KEPT, "{}", answer.text);
        let seen = &stub.seen()[0];
        assert_eq!((seen.path.as_str(), seen.body.as_str()), ("/hook", "{\"a\":1}"));
        assert_eq!(seen.query["token"], "hush");
    }

    #[tokio::test]
    async fn redirects_are_answers() {
        let stub = Stub::start(|_| (307, None, String::new())).await;
        let answer = ForwardClient::new(true).unwrap().post(&stub.url, &[SECRET.into()], &message()).await;
        assert_eq!(answer.unwrap().status, 307);
        assert_eq!(stub.seen().len(), 1);
    }

    #[tokio::test]
    async fn private_networks_are_not_reached_whatever_they_are_called() {
        let stub = Stub::start(|_| (200, None, String::new())).await;
        let port = stub.url.port().unwrap();
        let client = ForwardClient::new(false).unwrap();
        for host in [
            "127.0.0.1",
            "[::1]",
            "localhost",
            "10.0.0.1",
            "169.254.169.254",
            "[::ffff:127.0.0.1]",
            "2130706433",
        ] {
            let url = Url::parse(&format!("https://{host}:{port}/x?token=hush")).unwrap();
            let error = client.post(&url, &[SECRET.into()], &message()).await.unwrap_err();
            assert!(matches!(error, ForwardError::Forbidden(_)), "{host}: {error}");
            assert!(!error.to_string().contains("hush"));
        }
        assert_eq!(stub.seen().len(), 0);
    }

    #[tokio::test]
    async fn nobody_there_is_no_answer_and_shows_no_query() {
        let url = Url::parse("http://127.0.0.1:1/x?token=hush").unwrap();
        let error = ForwardClient::new(true).unwrap().post(&url, &[], &message()).await.unwrap_err();
        assert!(matches!(error, ForwardError::NoAnswer(_)), "{error}");
        assert!(!format!("{error} {error:?}").contains("hush"));
    }

    #[test]
    fn a_signature_is_an_independent_hmac() {
        let key = STANDARD.decode(&SECRET[6..]).unwrap();
        let mut mac = Hmac::<sha2::Sha256>::new_from_slice(&key).unwrap();
        mac.update(b"event-1.1614265330.{\"a\":1}");
        let expected = format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()));
        let message = message();
        assert_eq!(
            sign::signatures(&[SECRET.into()], &message.id, message.timestamp, &message.body),
            expected
        );
    }
}
