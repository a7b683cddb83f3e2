//! Posts pushes as Shopee does: for `pushbox send`, to try a receiver without waiting for an order.

use std::time::{Duration, Instant};

use hmac::{Hmac, KeyInit as _, Mac as _};
use secrecy::{ExposeSecret as _, SecretString};
use sha2::Sha256;
use url::Url;

/// The `Authorization` header of a push: HMAC-SHA256 over callback URL, pipe and raw body, in lower-case
/// hexadecimal, keyed with the text of the key.
pub fn shopee_authorization(key: &SecretString, callback_url: &str, body: &[u8]) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(key.expose_secret().as_bytes())
        .expect("HMAC takes keys of every length");
    mac.update(callback_url.as_bytes());
    mac.update(b"|");
    mac.update(body);
    hex::encode(mac.finalize().into_bytes())
}

/// What a receiver answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PushAnswer {
    /// The HTTP status.
    pub status: u16,
    /// Length of the body; Shopee wants it empty.
    pub body_len: usize,
    /// From sending to the end of the answer.
    pub elapsed: Duration,
}

/// Posts pushes over kept connections, each within ten seconds, without following redirects (Shopee does
/// not follow them either).
#[derive(Debug, Clone)]
pub struct PushPoster(reqwest::Client);

impl PushPoster {
    /// A poster with connections of its own. Fails if TLS cannot be set up.
    pub fn new() -> Result<Self, reqwest::Error> {
        reqwest::Client::builder()
            .timeout(Duration::from_secs(10))
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .map(Self)
    }

    /// Posts one push and reads the whole answer. Fails if there is none.
    pub async fn post(
        &self,
        url: &Url,
        authorization: &str,
        body: Vec<u8>,
    ) -> Result<PushAnswer, reqwest::Error> {
        let start = Instant::now();
        let response = self
            .0
            .post(url.clone())
            .header("authorization", authorization)
            .header("content-type", "application/json")
            .body(body)
            .send()
            .await?;
        let status = response.status().as_u16();
        let body_len = response.bytes().await?.len();
        Ok(PushAnswer { status, body_len, elapsed: start.elapsed() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_signature_covers_url_pipe_and_body() {
        // printf '%s' 'https://hooks.example.com/shopee|{"code":3}' | openssl dgst -sha256 -hmac key
        let signature =
            shopee_authorization(&"key".into(), "https://hooks.example.com/shopee", br#"{"code":3}"#);
        assert_eq!(signature, "9ee63822421a6643536ca6fad0cf7187003cd748380cb717dc38f735ba9e68ef");
    }

    #[tokio::test]
    async fn an_answer_is_reported_as_it_is() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url: Url = format!("http://{}/webhook/shopee", listener.local_addr().unwrap()).parse().unwrap();
        let receive = async |headers: axum::http::HeaderMap, body: String| {
            assert_eq!(headers["authorization"], "signature");
            (axum::http::StatusCode::UNAUTHORIZED, body)
        };
        let router = axum::Router::new().route("/webhook/shopee", axum::routing::post(receive));
        tokio::spawn(async move { axum::serve(listener, router).await });
        let answer = PushPoster::new().unwrap().post(&url, "signature", b"four".to_vec()).await.unwrap();
        assert_eq!((answer.status, answer.body_len), (401, 4));
    }
}
