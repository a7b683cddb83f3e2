//! The admin API without a listener: how the commands ask and change what the API offers, with its validation,
//! its records and its words.

use std::path::Path;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{Method, Request, StatusCode, header};
use serde_json::Value;
use tower::ServiceExt as _;
use url::form_urlencoded::Serializer;

use crate::app::{self, Database};
use crate::cli::{Failure, Outcome, block_on, load};
use crate::config::{Loaded, Roles};

/// No answer is longer: pages have at most 500 entries.
const ANSWER_LIMIT: usize = 64 * 1024 * 1024;

/// Runs `work` with the API over the database that the settings name.
pub(super) fn with(config: Option<&Path>, work: impl AsyncFnOnce(&Console) -> Outcome) -> Outcome {
    let loaded = load(config, &Roles::none())?;
    block_on(async {
        let console = Console::open(loaded).await?;
        let done = work(&console).await;
        console.close().await;
        done
    })
}

/// The API over one database.
pub(super) struct Console {
    database: Database,
    router: Router,
}

impl Console {
    /// Connects to `DATABASE_URL`, to the managed Postgres of a pushbox that runs, or starts the managed one.
    pub(super) async fn open(loaded: Loaded) -> Result<Self, Failure> {
        let database = Database::equipped(&loaded.config.database, "command").await?;
        let router = app::console(loaded.config, &database).await?;
        Ok(Self { database, router })
    }

    /// Connections, for what is not in the API.
    pub(super) fn pool(&self) -> &sqlx::PgPool {
        self.database.pool()
    }

    pub(super) async fn close(self) {
        self.database.close().await;
    }

    /// What `GET /api/v1<path>` answers.
    pub(super) async fn get(&self, path: &str, query: &[(&str, String)]) -> Result<Value, Failure> {
        self.ask(Method::GET, path, query, None).await
    }

    /// What `POST /api/v1<path>` answers. Workers learn at once that something was changed.
    pub(super) async fn post(&self, path: &str, body: Option<Value>) -> Result<Value, Failure> {
        let answer = self.ask(Method::POST, path, &[], body).await?;
        app::wake_all(&self.database).await;
        Ok(answer)
    }

    async fn ask(
        &self,
        method: Method,
        path: &str,
        query: &[(&str, String)],
        body: Option<Value>,
    ) -> Result<Value, Failure> {
        let mut pairs = Serializer::new(String::new());
        for (name, value) in query.iter().filter(|(_, value)| !value.is_empty()) {
            pairs.append_pair(name, value);
        }
        let uri = format!("/api/v1{path}?{}", pairs.finish());
        let request = Request::builder()
            .method(method)
            .uri(uri)
            .header(header::CONTENT_TYPE, "application/json")
            .body(body.map_or_else(Body::empty, |body| Body::from(body.to_string())))
            .map_err(|error| Failure::Usage(error.to_string()))?;
        let answer = match self.router.clone().oneshot(request).await {
            Ok(answer) => answer,
            Err(never) => match never {},
        };
        let status = answer.status();
        let bytes = to_bytes(answer.into_body(), ANSWER_LIMIT)
            .await
            .map_err(|error| anyhow::Error::new(error).context("reading the answer"))?;
        let value: Value = serde_json::from_slice(&bytes).unwrap_or(Value::Null);
        if status.is_success() {
            return Ok(value);
        }
        let message = value["error"]["message"].as_str().unwrap_or("the request was refused").to_owned();
        Err(match status {
            StatusCode::NOT_FOUND => Failure::Missing(message),
            StatusCode::BAD_REQUEST | StatusCode::UNPROCESSABLE_ENTITY => Failure::Usage(message),
            _ => Failure::Failed(anyhow::anyhow!("{message}")),
        })
    }
}

/// The text in a path: an id that somebody typed cannot leave its place.
pub(super) fn segment(text: &str) -> String {
    use std::fmt::Write as _;

    text.bytes().fold(String::new(), |mut done, byte| {
        if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
            done.push(char::from(byte));
        } else {
            let _ = write!(done, "%{byte:02X}");
        }
        done
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_typed_stays_in_its_segment() {
        assert_eq!(segment("a/../b?c"), "a%2F..%2Fb%3Fc");
        assert_eq!(segment("019a-7_~."), "019a-7_~.");
    }
}
