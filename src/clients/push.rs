//! Posts pushes as platforms do: for `pushbox send`, to try a receiver without waiting for an order.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use url::Url;

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
        headers: &BTreeMap<String, String>,
        body: Vec<u8>,
    ) -> Result<PushAnswer, reqwest::Error> {
        let start = Instant::now();
        let mut request = self.0.post(url.clone());
        for (name, value) in headers {
            request = request.header(name, value);
        }
        let response = request.body(body).send().await?;
        let status = response.status().as_u16();
        let body_len = response.bytes().await?.len();
        Ok(PushAnswer { status, body_len, elapsed: start.elapsed() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
        let headers = [("authorization".to_owned(), "signature".to_owned())].into();
        let answer = PushPoster::new().unwrap().post(&url, &headers, b"four".to_vec()).await.unwrap();
        assert_eq!((answer.status, answer.body_len), (401, 4));
    }
}
