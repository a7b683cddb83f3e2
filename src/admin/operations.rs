//! What the admin API triggers outside of this process. Declared here, done by whoever composes the process: the API
//! itself calls nobody.

use std::fmt::Debug;

use async_trait::async_trait;
use secrecy::SecretString;
use url::Url;
use uuid::Uuid;

/// Why something outside was not done.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OperationError {
    /// What was asked for cannot be done so; says what is wrong with it.
    #[error("{0}")]
    Unusable(String),
    /// The other side refused, or did not answer; its words, without secrets.
    #[error("{0}")]
    Failed(String),
    /// There is no such thing.
    #[error("there is no such {0}")]
    Missing(&'static str),
}

/// Who authorized the app.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AuthorizedAccount {
    /// One shop.
    Shop(i64),
    /// A main account, for its shops.
    Main(i64),
}

/// How Shopee delivers the app's pushes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PushSettings {
    /// Where pushes go.
    pub callback_url: String,
    /// `Normal`, `Warning` or `Suspended`.
    pub status: String,
    /// Codes that are delivered.
    pub on: Vec<i64>,
    /// Codes that are not.
    pub off: Vec<i64>,
    /// Shops whose pushes are not delivered.
    pub blocked_shop_ids: Vec<i64>,
    /// What is wrong with them, by our own settings.
    pub findings: Vec<String>,
}

/// What is to be different about the push settings; what is none or empty stays.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PushSettingsChange {
    /// Where pushes go.
    pub callback_url: Option<String>,
    /// Codes to deliver.
    pub on: Vec<i64>,
    /// Codes not to deliver.
    pub off: Vec<i64>,
    /// Shops whose pushes are not delivered, all of them.
    pub blocked_shop_ids: Option<Vec<i64>>,
}

/// Calls of Shopee that people ask for.
#[async_trait]
pub trait ShopeeOperations: Debug + Send + Sync {
    /// The apps there are, that of `PARTNER_ID` first.
    fn partner_ids(&self) -> Vec<i64>;

    /// The link at which a seller authorizes an app; none: that of `PARTNER_ID`, here and below.
    fn authorization_link(
        &self,
        partner_id: Option<i64>,
        redirect: Option<&Url>,
        state: Option<&str>,
        legacy: bool,
    ) -> Result<Url, OperationError>;

    /// Exchanges the code of an authorization and keeps the tokens; the shops.
    async fn exchange(
        &self,
        partner_id: Option<i64>,
        code: &SecretString,
        account: AuthorizedAccount,
    ) -> Result<Vec<i64>, OperationError>;

    /// The push settings as they are.
    async fn push_settings(&self, partner_id: Option<i64>) -> Result<PushSettings, OperationError>;

    /// What a change would change, a line each; and changes it if `write`.
    async fn change_push_settings(
        &self,
        partner_id: Option<i64>,
        change: &PushSettingsChange,
        write: bool,
    ) -> Result<Vec<String>, OperationError>;
}

/// Subscriptions that people ask for.
#[async_trait]
pub trait SubscriptionOperations: Debug + Send + Sync {
    /// Subscribes a source to what it should be subscribed to; how many subscriptions were made.
    async fn ensure_subscriptions(&self, source: &str) -> Result<usize, OperationError>;
    /// Subscribes a source to one topic; false: it was there already.
    async fn create_subscription(&self, source: &str, topic: &str) -> Result<bool, OperationError>;
}

/// What a test push became.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TriedPush {
    /// Where it was posted.
    pub url: String,
    /// Of which source.
    pub source: String,
    /// Its code or topic.
    pub code: String,
    /// The order that it is about.
    pub order_sn: Option<String>,
    /// What was answered.
    pub status: u16,
    /// After how many milliseconds.
    pub elapsed_ms: u64,
    /// The event that it became.
    pub event_id: Option<Uuid>,
}

/// Trying out what is configured, for real.
#[async_trait]
pub trait TrialOperations: Debug + Send + Sync {
    /// Sends a message to a chat; none: to the first that is configured. The chat, and the message's number.
    async fn message(&self, chat_id: Option<i64>) -> Result<(i64, i32), OperationError>;

    /// Asks for the row of a test order in a spreadsheet; none: in the first that is configured. The spreadsheet.
    async fn row(&self, spreadsheet_id: Option<&str>) -> Result<String, OperationError>;

    /// Signs a push as its platform would and posts it to the receiver; none: of the first source that can be signed.
    /// About this order; none: about the newest that is known, if any.
    async fn push(&self, source: Option<&str>, order_sn: Option<&str>) -> Result<TriedPush, OperationError>;
}

/// Does nothing: where there is no outside.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoOperations;

#[async_trait]
impl SubscriptionOperations for NoOperations {
    async fn ensure_subscriptions(&self, _: &str) -> Result<usize, OperationError> {
        Err(OperationError::Missing("source with an API"))
    }

    async fn create_subscription(&self, _: &str, _: &str) -> Result<bool, OperationError> {
        Err(OperationError::Missing("source with an API"))
    }
}

#[async_trait]
impl TrialOperations for NoOperations {
    async fn message(&self, _: Option<i64>) -> Result<(i64, i32), OperationError> {
        Err(OperationError::Unusable("Telegram is off".to_owned()))
    }

    async fn row(&self, _: Option<&str>) -> Result<String, OperationError> {
        Err(OperationError::Unusable("Google Sheets is off".to_owned()))
    }

    async fn push(&self, _: Option<&str>, _: Option<&str>) -> Result<TriedPush, OperationError> {
        Err(OperationError::Missing("source"))
    }
}
