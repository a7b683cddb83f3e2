//! Settings: from the environment, `.env` and `pushbox.toml`, checked as a whole.
//!
//! This module only says what is set; it builds nothing. Every fault is reported at once, each with the
//! name of the setting and the remedy; secrets appear in no fault, note or `Debug` output.
//!
//! [`settings`] declares each setting once; everything that knows a setting's name, default or meaning
//! (loading, `.env.example`, the table of README) reads that declaration. [`Config::load`] is pure on its
//! [`Inputs`], apart from reading the files that they name; [`Inputs::from_process`] is the one place that
//! looks at the process.

mod document;
mod fault;
mod forward;
mod in_force;
mod inputs;
mod load;
mod lookup;
mod otlp;
mod parse;
mod roles;
mod server;
pub mod settings;
mod shopee;
mod sinks;
mod sources;
mod toml_file;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use chrono_tz::Tz;
use secrecy::SecretString;
use url::Url;

use crate::domain::route::Routes;
use crate::domain::sources::Source;

pub use self::document::{env_example, settings_table};
pub use self::fault::{Fault, Faults};
pub use self::in_force::{InForce, LISTS, ListEntries, SharedConfig};
pub use self::inputs::{Inputs, Stored};
pub use self::load::Loaded;
pub use self::lookup::Origin;
pub use self::otlp::OtlpSettings;
pub use self::roles::{Role, Roles};
pub use self::sources::PRESET_NAMES;

/// Everything that can be set.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where the data is.
    pub database: DatabaseSettings,
    /// `LISTEN`: webhooks and health.
    pub listen: SocketAddr,
    /// The admin listener.
    pub admin: AdminSettings,
    /// `ENCRYPTION_KEY`: 32 bytes, base64; seals tokens at rest.
    pub encryption_key: Option<SecretString>,
    /// Further keys of `ENCRYPTION_KEY`, that only open.
    pub old_encryption_keys: Vec<SecretString>,
    /// Shopee: receiving and API.
    pub shopee: ShopeeSettings,
    /// Who may push: Shopee of its own settings, then `[[sources]]`.
    pub sources: Vec<Source>,
    /// Platforms' own APIs, of sources that have one.
    pub platform_apis: Vec<PlatformApi>,
    /// Telegram; none: no notifications.
    pub telegram: Option<TelegramSettings>,
    /// Google Sheets; none: no sheet.
    pub sheets: Option<SheetsSettings>,
    /// Forwarding; none: off.
    pub forward: Option<ForwardSettings>,
    /// Which events go where.
    pub routes: Routes,
    /// `DISPLAY_TIMEZONE`: for sheet and messages.
    pub display_timezone: Tz,
    /// The listeners' and the receiver's limits.
    pub receiver: ReceiverSettings,
    /// The queue's policy.
    pub queue: QueueSettings,
    /// Scheduled tasks.
    pub schedule: ScheduleSettings,
    /// What is worth an alert.
    pub alerts: AlertSettings,
    /// Logging.
    pub log: LogSettings,
    /// What this was read from.
    inputs: Arc<Inputs>,
    /// What it was checked for.
    roles: Roles,
}

/// Where the data is.
#[derive(Debug, Clone)]
pub struct DatabaseSettings {
    /// `DATABASE_URL`; none: a managed Postgres under `data_dir`.
    pub url: Option<SecretString>,
    /// `DATA_DIR`.
    pub data_dir: PathBuf,
    /// `DATABASE_POOLER` is `transaction`: connections have no session of the server to themselves.
    pub pooler: bool,
    /// `DATABASE_MAX_CONNECTIONS`: size of the pool of one process.
    pub max_connections: u32,
}

/// The admin listener.
#[derive(Debug, Clone)]
pub struct AdminSettings {
    /// `ADMIN_LISTEN`.
    pub listen: SocketAddr,
    /// `ADMIN_TOKEN`: may read and change.
    pub token: Option<SecretString>,
    /// `ADMIN_READ_TOKEN`: may read.
    pub read_token: Option<SecretString>,
}

/// What a Shopee signature covers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ShopeeSignature {
    /// The callback URL, a pipe, the raw body: what Shopee documents.
    UrlBody,
    /// The raw body alone, with an optional `SHA256 ` prefix: what some integrations document.
    Body,
}

/// Shopee: receiving and API.
#[derive(Debug, Clone)]
pub struct ShopeeSettings {
    /// `SHOPEE_API_URL`, alias `HOST_API`.
    pub api_url: Url,
    /// `SHOPEE_AUTH_URL`, or the one that belongs to the API's host: where sellers authorize.
    pub auth_url: Url,
    /// `SHOPEE_REDIRECT_URL`: where Shopee sends a seller who has authorized.
    pub redirect_url: Option<Url>,
    /// `SHOPEE_CALLS_PER_SECOND`: of all processes together.
    pub calls_per_second: u32,
    /// `SHOPEE_SHOP_CONCURRENCY`: calls under way for one shop, of all processes together.
    pub shop_concurrency: u32,
    /// `PARTNER_ID`.
    pub partner_id: Option<i64>,
    /// `PARTNER_KEY`: signs API calls.
    pub partner_key: Option<SecretString>,
    /// `[[partners]]`: further apps.
    pub further_apps: Vec<ShopeeApp>,
    /// `WEBHOOK_PARTNER_KEY`: push keys, comma separated for rotation; then those of the further apps.
    pub push_keys: Vec<SecretString>,
    /// `CALLBACK_URL`: exactly as saved in the console.
    pub callback_url: Option<String>,
    /// `SHOPEE_SIGNATURE`: what is accepted.
    pub signatures: Vec<ShopeeSignature>,
    /// `SHOPEE_NETWORKS`: where pushes come from; empty: from anywhere.
    pub networks: Vec<ipnet::IpNet>,
    /// `SHOP_ID`, `ACCESS_TOKEN`, `REFRESH_TOKEN` and `[[shops]]`: imported once.
    pub shops: Vec<ShopImport>,
}

/// The API of a source's platform, for polling and subscriptions.
#[derive(Debug, Clone)]
pub struct PlatformApi {
    /// Name of the source.
    pub source: String,
    /// The platform.
    pub platform: String,
    /// The account in events and orders.
    pub account: String,
    /// Where it is.
    pub url: Url,
    /// Version in the address, where the platform has one there.
    pub version: String,
    /// Lets us in.
    pub token: SecretString,
    /// Shopery's tenant.
    pub tenant: Option<String>,
    /// Where the platform should push; none: subscriptions are a person's business.
    pub address: Option<String>,
    /// What to subscribe to.
    pub topics: Vec<String>,
    /// Whether a subscription that is gone is made again.
    pub recreate: bool,
}

/// An app of Shopee.
#[derive(Debug, Clone)]
pub struct ShopeeApp {
    /// Its partner id.
    pub partner_id: i64,
    /// Signs API calls.
    pub partner_key: SecretString,
}

/// A shop whose tokens are imported into the database when it is not there yet.
#[derive(Debug, Clone)]
pub struct ShopImport {
    /// The app that it has authorized; none: that of `PARTNER_ID`.
    pub partner_id: Option<i64>,
    /// The shop.
    pub shop_id: i64,
    /// Its access token.
    pub access_token: SecretString,
    /// Its refresh token.
    pub refresh_token: Option<SecretString>,
}

/// Telegram.
#[derive(Debug, Clone)]
pub struct TelegramSettings {
    /// `TELEGRAM_BOT_TOKEN`.
    pub bot_token: SecretString,
    /// `TELEGRAM_OPS_CHAT_ID`: hears of alerts; none: nobody does.
    pub ops_chat_id: Option<i64>,
    /// `TELEGRAM_API_URL`.
    pub api_url: Url,
    /// `TELEGRAM_CHAT_PER_SECOND`: sends, edits and topic creations per chat and second.
    pub chat_per_second: u32,
    /// `TELEGRAM_CHAT_PER_MINUTE`: the same per minute.
    pub chat_per_minute: u32,
    /// How events are announced.
    pub announcements: AnnouncementSettings,
}

/// How events are announced on Telegram.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct AnnouncementSettings {
    /// `TELEGRAM_MODE=edit`: the next state of an order is written into its message.
    pub edit: bool,
    /// `TELEGRAM_SHOW_BUYER`: names, telephones and addresses in full.
    pub show_buyer: bool,
    /// `TELEGRAM_UNCERTAIN=hold`: a message of which nobody knows whether it arrived is left to a person.
    pub hold_uncertain: bool,
}

impl TelegramSettings {
    /// The least time between two messages of one chat that keeps both budgets.
    pub fn message_interval(&self) -> Duration {
        let per_second = Duration::from_secs(1) / self.chat_per_second.max(1);
        let per_minute = Duration::from_mins(1) / self.chat_per_minute.max(1);
        per_second.max(per_minute)
    }
}

/// Forwarding to services of the seller's.
#[derive(Debug, Clone)]
pub struct ForwardSettings {
    /// `FORWARD_URL` and `[[forwards]]`.
    pub targets: Vec<ForwardTarget>,
    /// `FORWARD_ALLOW_PRIVATE`: plain http and private networks.
    pub allow_private: bool,
    /// `FORWARD_RETRY_FOR`: how long a failed one is tried again.
    pub retry_for: Duration,
}

/// One service of the seller's.
#[derive(Clone)]
pub struct ForwardTarget {
    /// What it is called in tables and logs: `default` for `FORWARD_URL`; else its own `name`, or its URL without
    /// the query.
    pub name: String,
    /// Where it is. Its query may hold a secret.
    pub url: Url,
    /// Keys that sign, each as `whsec_` and base64; at least one.
    pub secrets: Vec<SecretString>,
}

impl std::fmt::Debug for ForwardTarget {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ForwardTarget").field("name", &self.name).finish_non_exhaustive()
    }
}

/// Google Sheets.
#[derive(Debug, Clone)]
pub struct SheetsSettings {
    /// `GOOGLE_CREDENTIALS_JSON`: the service account's key as JSON text.
    pub credentials: SecretString,
    /// `GOOGLE_SHEETS_URL`; none: Google's own.
    pub api_url: Option<Url>,
    /// `SHEETS_CALLS_PER_MINUTE`: reads, and as many writes, over all spreadsheets.
    pub calls_per_minute: u32,
}

/// The listeners' and the receiver's limits.
#[derive(Debug, Clone)]
pub struct ReceiverSettings {
    /// `BODY_LIMIT`: bytes; longer bodies get 413.
    pub body_limit: usize,
    /// `COMMIT_DEADLINE`: after this without a commit the answer is 503.
    pub commit_deadline: Duration,
    /// `FAILED_SIGNATURES_PER_MINUTE`: of one address; more get 429.
    pub failed_signatures_per_minute: u32,
    /// `TRUSTED_PROXIES`: peers whose `X-Forwarded-For` counts.
    pub trusted_proxies: Vec<ipnet::IpNet>,
    /// `REJECTIONS_KEPT`: per source; 0: none.
    pub rejections_kept: u32,
    /// `REJECTION_BODY_RETENTION`: how long a refused push can be verified again.
    pub rejection_bodies_for: Duration,
    /// `MAX_CONNECTIONS`: of one listener at once.
    pub max_connections: usize,
    /// `REQUEST_TIMEOUT`: for the headers, and then for the body of a request.
    pub request_timeout: Duration,
}

/// The queue's policy.
#[derive(Debug, Clone)]
pub struct QueueSettings {
    /// `MAX_ATTEMPTS`: after so many failures a job is dead.
    pub max_attempts: i32,
    /// `WORKER_CONCURRENCY`: batches that run at once, per queue and process.
    pub concurrency: usize,
    /// `LEASE`: a worker that is silent for so long has lost its jobs.
    pub lease: Duration,
    /// `POLL_INTERVAL`: how often to look for work when nothing wakes us.
    pub poll_interval: Duration,
    /// `RETRY_BASE`: the first back-off; doubles with each attempt.
    pub retry_base: Duration,
    /// `RETRY_MAX`: the longest back-off.
    pub retry_max: Duration,
    /// `SHUTDOWN_TIMEOUT`: how long running jobs may take to finish at a stop.
    pub shutdown_timeout: Duration,
}

/// Scheduled tasks.
#[derive(Debug, Clone)]
pub struct ScheduleSettings {
    /// `LOST_PUSH_INTERVAL`.
    pub lost_push_interval: Duration,
    /// `RECONCILE_INTERVAL`.
    pub reconcile_interval: Duration,
    /// `RECONCILE_DEEP_INTERVAL`.
    pub reconcile_deep_interval: Duration,
    /// `RECONCILE_DEEP_DAYS`.
    pub reconcile_deep_days: u16,
    /// `RELEASED_INCOME_INTERVAL`.
    pub released_income_interval: Duration,
    /// `PUSH_HEALTH_INTERVAL`.
    pub push_health_interval: Duration,
    /// `EVENT_RETENTION_DAYS`: events and finished jobs older than this are dropped.
    pub event_retention_days: u16,
    /// `PAYLOAD_RETENTION_DAYS`: what older events carried is emptied; none: it is kept as long as they are.
    pub payload_retention_days: Option<u16>,
}

/// What is worth an alert.
#[derive(Debug, Clone)]
pub struct AlertSettings {
    /// `ALERT_SILENCE`; none: silence is not told of.
    pub silence: Option<Duration>,
    /// `ALERT_SUCCESS_PERCENT`.
    pub success_percent: u16,
    /// `ALERT_DEAD_JOBS`.
    pub dead_jobs: u32,
    /// `ALERT_QUEUE_AGE`.
    pub queue_age: Duration,
    /// `ALERT_AUTHORIZATION_DAYS`.
    pub authorization_days: u16,
}

/// Logging.
#[derive(Debug, Clone)]
pub struct LogSettings {
    /// `LOG_LEVEL`: a tracing filter, for example `info,pushbox=debug`.
    pub filter: String,
    /// `LOG_FORMAT=json|pretty`.
    pub json: bool,
    /// Where traces are sent; none: nowhere.
    pub otlp: Option<OtlpSettings>,
}
