//! Access tokens of the service account.
//!
//! yup-oauth2 fetches and caches them; this wrapper adds what it lacks: a time-out (its own is ignored for a
//! hyper client that is passed in), one fetch at a time (five cold calls would make five), and errors that say
//! what to do. It logs tokens at debug level: its target must stay at info.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use google_sheets4::api::Scope;
use google_sheets4::common::GetToken;
use hyper_rustls::HttpsConnector;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use secrecy::{ExposeSecret, SecretString};
use yup_oauth2::authenticator::Authenticator;
use yup_oauth2::error::AuthErrorCode;
use yup_oauth2::{CustomHyperClientBuilder, ServiceAccountAuthenticator, ServiceAccountKey};

use crate::clients::sheets::SheetsError;

/// For a token, the wait for others who fetch it included.
const TIMEOUT: Duration = Duration::from_secs(20);

/// Connections to Google.
pub(super) type Connector = HttpsConnector<HttpConnector>;

type Boxed<'a, T> =
    Pin<Box<dyn Future<Output = Result<T, Box<dyn std::error::Error + Send + Sync>>> + Send + 'a>>;

/// Reads a service account's key. The message does not repeat any of it.
pub(super) fn parse_key(credentials: &SecretString) -> Result<ServiceAccountKey, SheetsError> {
    let key: ServiceAccountKey = serde_json::from_str(credentials.expose_secret())
        .map_err(|_| bad_key("it is not the JSON key of a service account"))?;
    // yup-oauth2 panics on a token_uri that is not one.
    match url::Url::parse(&key.token_uri) {
        Ok(uri)
            if matches!(uri.scheme(), "http" | "https")
                && key.token_uri.parse::<google_sheets4::hyper::Uri>().is_ok() =>
        {
            Ok(key)
        }
        _ => Err(bad_key("its token_uri is not an address")),
    }
}

fn bad_key(what: &str) -> SheetsError {
    SheetsError::Configuration {
        message: format!("GOOGLE_CREDENTIALS_JSON cannot be used: {what}"),
        remedy: "make a new JSON key for the service account and set GOOGLE_CREDENTIALS_JSON".to_owned(),
    }
}

/// The account's tokens, shared by all calls.
#[derive(Clone)]
pub(super) struct Tokens {
    authenticator: Authenticator<Connector>,
    turn: Arc<tokio::sync::Mutex<()>>,
}

impl Tokens {
    pub(super) async fn new(key: ServiceAccountKey, connector: Connector) -> Result<Self, SheetsError> {
        let client = Client::builder(TokioExecutor::new()).build::<_, String>(connector);
        let builder = ServiceAccountAuthenticator::with_client(key, CustomHyperClientBuilder::from(client));
        let authenticator =
            builder.build().await.map_err(|_| bad_key("its private key is not an RSA key in PEM"))?;
        Ok(Self { authenticator, turn: Arc::default() })
    }

    /// Throws the cached token away and fetches another: Google has refused it.
    pub(super) async fn refresh(&self) -> Result<(), SheetsError> {
        let scopes = [Scope::Spreadsheet.as_ref()];
        in_time(async {
            let _turn = self.turn.lock().await;
            self.authenticator.force_refreshed_token(&scopes).await.map(drop)
        })
        .await
    }

    async fn token(&self, scopes: &[&str]) -> Result<Option<String>, SheetsError> {
        in_time(async {
            let _turn = self.turn.lock().await;
            self.authenticator.token(scopes).await.map(|token| token.token().map(str::to_owned))
        })
        .await
    }
}

impl GetToken for Tokens {
    fn get_token<'a>(&'a self, scopes: &'a [&str]) -> Boxed<'a, Option<String>> {
        Box::pin(async move { self.token(scopes).await.map_err(Into::into) })
    }
}

async fn in_time<T>(fetch: impl Future<Output = Result<T, yup_oauth2::Error>>) -> Result<T, SheetsError> {
    match tokio::time::timeout(TIMEOUT, fetch).await {
        Ok(result) => result.map_err(|error| meaning(&error)),
        Err(_) => Err(SheetsError::Unavailable { message: "no access token in time".to_owned() }),
    }
}

/// What a token that could not be had means. Whatever it is, no call to Sheets was made.
fn meaning(error: &yup_oauth2::Error) -> SheetsError {
    let yup_oauth2::Error::AuthError(refusal) = error else {
        let what = match error {
            yup_oauth2::Error::HttpError(_) | yup_oauth2::Error::HttpClientError(_) => "no connection",
            yup_oauth2::Error::JSONError(_) => "its answer was not understood",
            _ => "it gave none",
        };
        return SheetsError::Unavailable { message: format!("Google's token endpoint: {what}") };
    };
    let code = refusal.error.as_str();
    let words = refusal.error_description.as_deref().unwrap_or_default();
    let message = format!("Google gives no access token ({code}) {words}").trim_end().to_owned();
    let remedy = match &refusal.error {
        AuthErrorCode::Other(_) => return SheetsError::Unavailable { message },
        AuthErrorCode::InvalidGrant if words.to_lowercase().contains("timeframe") => {
            "set this machine's clock right (NTP)"
        }
        _ => "check GOOGLE_CREDENTIALS_JSON: the key or the service account may have been deleted",
    };
    SheetsError::Configuration { message, remedy: remedy.to_owned() }
}
