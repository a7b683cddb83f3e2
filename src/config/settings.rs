//! The declarations: each setting once, with its name, default and meaning.
//!
//! Add a setting here, read it in `load.rs` or the file of its section, and run
//! `UPDATE=1 cargo test --test it generated` to write `.env.example` and the table of README again.

/// What a setting belongs to; the order is that of the generated texts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Section {
    /// Receiving from Shopee and calling its API.
    Shopee,
    /// Which events and orders get what.
    Orders,
    /// Notifications.
    Telegram,
    /// The spreadsheet.
    Sheets,
    /// The seller's own service.
    Forwarding,
    /// Where the data is.
    Database,
    /// The listeners and what protects them.
    Listeners,
    /// What people are told of.
    Alerts,
    /// Jobs, retries, scheduled tasks.
    Work,
    /// Logging.
    Logging,
}

impl Section {
    /// Every section, in order.
    pub const ALL: [Self; 10] = [
        Self::Shopee,
        Self::Orders,
        Self::Telegram,
        Self::Sheets,
        Self::Forwarding,
        Self::Database,
        Self::Listeners,
        Self::Alerts,
        Self::Work,
        Self::Logging,
    ];

    /// The heading in generated texts.
    pub fn title(self) -> &'static str {
        match self {
            Self::Shopee => "Shopee",
            Self::Orders => "Events and orders",
            Self::Telegram => "Telegram (optional)",
            Self::Sheets => "Google Sheets (optional)",
            Self::Forwarding => "Forwarding (optional)",
            Self::Database => "Database",
            Self::Listeners => "Listeners and keys",
            Self::Alerts => "Alerts",
            Self::Work => "Jobs and schedules",
            Self::Logging => "Logging",
        }
    }
}

/// A setting as it is declared.
#[derive(Debug, PartialEq, Eq)]
pub struct Setting {
    /// The name in the environment; in `pushbox.toml` the same in lower case.
    pub name: &'static str,
    /// Names that others use for it; read when the name itself is not set.
    pub aliases: &'static [&'static str],
    /// What it belongs to.
    pub section: Section,
    /// The value when nothing is set; none: off, or required by a role.
    pub default: Option<&'static str>,
    /// A value to show; not a value that works.
    pub example: Option<&'static str>,
    /// Whether the value must not be seen. A secret may be given as a file.
    pub secret: bool,
    /// Whether people may change it while pushbox runs; then the database has it, unless the environment does.
    pub live: bool,
    /// What it means; one paragraph, Markdown.
    pub doc: &'static str,
}

impl Setting {
    const fn new(name: &'static str, section: Section, doc: &'static str) -> Self {
        Self { name, aliases: &[], section, default: None, example: None, secret: false, live: false, doc }
    }

    const fn default(self, value: &'static str) -> Self {
        Self { default: Some(value), ..self }
    }

    const fn example(self, value: &'static str) -> Self {
        Self { example: Some(value), ..self }
    }

    const fn alias(self, names: &'static [&'static str]) -> Self {
        Self { aliases: names, ..self }
    }

    const fn secret(self) -> Self {
        Self { secret: true, ..self }
    }

    const fn live(self) -> Self {
        Self { live: true, ..self }
    }

    /// The key in `pushbox.toml`.
    pub fn key(&self) -> String {
        self.name.to_ascii_lowercase()
    }
}

macro_rules! settings {
    ($($section:ident { $($name:ident: $doc:literal $(.$method:ident($($argument:expr),*))*;)+ })+) => {
        $($(
            #[doc = $doc]
            pub static $name: Setting =
                Setting::new(stringify!($name), Section::$section, $doc)$(.$method($($argument),*))*;
        )+)+

        /// Every setting, by section.
        pub static ALL: &[&Setting] = &[$($(&$name,)+)+];
    };
}

settings! {
    Shopee {
        PARTNER_ID: "Partner id of your app. Needed by workers and the scheduler." .example("2000001");
        PARTNER_KEY: "API partner key of your app; signs API calls. Needed by workers and the scheduler."
            .secret().example("shpk...");
        WEBHOOK_PARTNER_KEY: "Live Push Partner Key from Push Mechanism > Set Push; another secret than the API key. During a rotation list both, separated by a comma. Needed by the receiver."
            .secret().example("64 hexadecimal characters");
        CALLBACK_URL: "The callback URL byte for byte as saved in the console. Needed by the receiver."
            .example("https://hooks.example.com/webhook/shopee");
        SHOPEE_SIGNATURE: "What a push's signature covers: `url_body` (what Shopee does), `body`, or both as a list."
            .default("url_body");
        SHOPEE_NETWORKS: "Networks that may push as Shopee, such as Shopee's own (`pushbox shopee networks` prints them); others get 403. `none`: all, the signature decides."
            .default("none");
        SHOP_ID: "First shop. Imported into the database once; the database is the truth afterwards."
            .example("10000001");
        ACCESS_TOKEN: "Access token of that shop." .secret();
        REFRESH_TOKEN: "Refresh token of that shop. Without it pushbox can call Shopee for four hours at most."
            .secret();
        SHOPEE_API_URL: "Host of the Shopee API."
            .default("https://partner.shopeemobile.com").alias(&["HOST_API"]);
        SHOPEE_AUTH_URL: "Page at which sellers authorize the app, when it is not the one that belongs to `SHOPEE_API_URL`."
            .example("https://open.shopee.com/auth");
        SHOPEE_REDIRECT_URL: "Where Shopee sends a seller who has authorized; its domain is the app's Redirect URL Domain. Makes alerts and links complete."
            .example("https://hooks.example.com/authorized");
        SHOPEE_CALLS_PER_SECOND: "Calls per second of all processes together. Shopee publishes no limit; when it says that it is too much, the rate is halved and grows back within minutes."
            .default("10");
        SHOPEE_SHOP_CONCURRENCY: "Calls of all processes together that may be under way for one shop." .default("4");
    }
    Orders {
        ORDER_EVENT_CODES: "Push codes whose order is fetched in full, with its income; every other code is only announced. `none`: all are only announced."
            .default("3,4").live();
        SHEET_IGNORE_STATUSES: "Order statuses that get no sheet row of their own; a row that exists is always updated. `none`: every order gets a row."
            .default("UNPAID").live();
        DISPLAY_TIMEZONE: "Time zone of times in the sheet and in messages." .default("Asia/Singapore");
    }
    Telegram {
        TELEGRAM_ENABLED: "Whether events are announced; `false`: no new announcements are made, and what waits already is still sent." .default("true").live();
        TELEGRAM_BOT_TOKEN: "Token of the bot, from `@BotFather`." .secret().example("123456789:AA...");
        TELEGRAM_CHAT_ID: "Chat that hears of every event; a supergroup's id begins with -100. More chats, with filters: `[[chats]]` in `pushbox.toml`."
            .example("-1001234567890").live();
        TELEGRAM_OPS_CHAT_ID: "Chat that hears of alerts: a shop to be authorized again, pushes that stay out, dead jobs. In a forum they have a topic of their own. Not set: alerts are shown by the admin API only."
            .example("-1001234567891").live();
        TELEGRAM_MODE: "`message`: each event is a message. `edit`: the next state of an order is written into its message; what needs action is a new one."
            .default("message").live();
        TELEGRAM_SHOW_BUYER: "Whether buyers' names, telephones and addresses are shown in full; `true` or `false`." .default("false").live();
        TELEGRAM_UNCERTAIN: "When nobody knows whether a message arrived: `resend` sends it once more, `hold` leaves it to a person as a dead job that can be retried."
            .default("resend").live();
        TELEGRAM_API_URL: "Host of the Bot API." .default("https://api.telegram.org");
        TELEGRAM_CHAT_PER_SECOND: "Messages, edits and new topics per chat and second." .default("1").live();
        TELEGRAM_CHAT_PER_MINUTE: "The same per minute; Telegram allows a group about 20." .default("18").live();
    }
    Sheets {
        SHEETS_ENABLED: "Whether orders get rows; `false`: no new writes are asked for, and what waits already is still written." .default("true").live();
        GOOGLE_CREDENTIALS_JSON: "Key of the service account: the path of the JSON file, or the JSON itself. Its own `token_uri` is honoured."
            .secret().example("/run/secrets/google.json");
        SPREADSHEET_ID: "Spreadsheet that holds every order, as id or as the address in the browser. More, with filters: `[[spreadsheets]]` in `pushbox.toml`."
            .example("1AbC...").live();
        SHEETS_CALLS_PER_MINUTE: "Reads, and as many writes, per minute over all spreadsheets. Google allows a service account 60 of each."
            .default("48").live();
        GOOGLE_SHEETS_URL: "Host of the Sheets API, when it is not Google's own." .example("http://127.0.0.1:8090/");
    }
    Forwarding {
        FORWARD_ENABLED: "Whether events are forwarded; `false`: no new forwards are made, and what waits already is still posted." .default("true").live();
        FORWARD_URL: "Service of yours that gets every event, signed, with its order. More, with filters: `[[forwards]]` in `pushbox.toml`."
            .secret().example("https://erp.example.com/hooks/pushbox").live();
        FORWARD_SECRET: "Signs what is forwarded, by the rules of Standard Webhooks: `whsec_` and 24 to 64 bytes in base64. During a rotation list the new and the old, separated by a comma: both sign. `pushbox keygen` prints one."
            .secret().example("whsec_...").live();
        FORWARD_ALLOW_PRIVATE: "Whether targets may be plain http and in private networks; `true` or `false`."
            .default("false");
        FORWARD_RETRY_FOR: "How long a failed forward is tried again, with back-off." .default("48h").live();
    }
    Database {
        DATABASE_URL: "Postgres. Not set: a private Postgres under `DATA_DIR` that pushbox runs itself."
            .secret().example("postgres://pushbox:password@localhost:5432/pushbox");
        DATA_DIR: "Directory of the private Postgres." .default(".pushbox");
        DATABASE_POOLER: "What stands between pushbox and Postgres: `none` (also right for a pooler that gives each connection a session of its own), or `transaction` for PgBouncer with `pool_mode = transaction`, 1.21 or newer with `max_prepared_statements` above 0. See `docs/pgbouncer.md`."
            .default("none");
        DATABASE_MAX_CONNECTIONS: "Database connections of one process." .default("16");
    }
    Listeners {
        LISTEN: "Public listener: webhooks and health only." .default("0.0.0.0:8000");
        ADMIN_LISTEN: "Admin listener: API, documentation, metrics, health." .default("127.0.0.1:9000");
        ADMIN_TOKEN: "Bearer token that may read and change. Needed, or `ADMIN_READ_TOKEN`, when `ADMIN_LISTEN` is not loopback. `pushbox keygen` prints one."
            .secret();
        ADMIN_READ_TOKEN: "Bearer token that may only read." .secret();
        ENCRYPTION_KEY: "Seals shop tokens at rest: 32 bytes, base64. `pushbox keygen` prints one. While it is changed list the new and the old, separated by a comma; see `pushbox reseal --help`."
            .secret();
        BODY_LIMIT: "Longest body of a push, in bytes or as `KiB` or `MiB`; more gets 413." .default("1MiB");
        MAX_CONNECTIONS: "Connections that a listener keeps at once; more wait." .default("2000");
        REQUEST_TIMEOUT: "How long the headers of a request may take to arrive, and then its body; an idle connection is closed after as long."
            .default("10s");
        FAILED_SIGNATURES_PER_MINUTE: "Pushes of one address whose signature may be wrong in a minute; more get 429. Valid pushes are never throttled."
            .default("60");
        TRUSTED_PROXIES: "Addresses and networks of your own proxies, whose `X-Forwarded-For` tells the address that counts. `none`: the peer's address counts."
            .default("none");
        REJECTIONS_KEPT: "Refused pushes that are kept of each source, and as many whose sender holds a key that is known; `0`: none."
            .default("500");
        REJECTION_BODY_RETENTION: "How long a refused push can be verified again and accepted; it is sealed with `ENCRYPTION_KEY`, and not kept without one."
            .default("72h");
        COMMIT_DEADLINE: "After this without a commit a push is answered 503 and Shopee sends it again. Shopee waits three seconds."
            .default("2s");
    }
    Alerts {
        ALERT_SILENCE: "How long no push may come before people are told: of a source as a whole, and per shop and code once its rhythm is known; never before one and a half times the longest wait of the last two weeks. `none`: never."
            .default("60m").live();
        ALERT_SUCCESS_PERCENT: "People are told when fewer of a hundred pushes of an hour are answered 2xx." .default("95").live();
        ALERT_DEAD_JOBS: "People are told when so many jobs of a queue were given up." .default("1").live();
        ALERT_QUEUE_AGE: "People are told when a job has been due for so long." .default("10m").live();
        ALERT_AUTHORIZATION_DAYS: "People are told so many days before the authorization of a shop ends." .default("7").live();
    }
    Work {
        WORKER_CONCURRENCY: "Batches that run at once, per queue and process." .default("8").live();
        MAX_ATTEMPTS: "After so many failures a job is dead." .default("20").live();
        RETRY_BASE: "First wait after a failure; doubles each time." .default("5s").live();
        RETRY_MAX: "Longest wait after a failure." .default("30m").live();
        LEASE: "A worker that is silent for so long has lost its jobs to the others." .default("15s");
        POLL_INTERVAL: "How often to look for work when nothing wakes the worker." .default("1s");
        SHUTDOWN_TIMEOUT: "How long running jobs may take to finish at a stop." .default("20s");
        LOST_PUSH_INTERVAL: "How often to fetch pushes that Shopee could not deliver. Shopee keeps them for three days."
            .default("15m").live();
        RECONCILE_INTERVAL: "How often to ask Shopee which orders changed, and to make up for what no push told of."
            .default("15m").live();
        RECONCILE_DEEP_INTERVAL: "How often to do so once more over the last `RECONCILE_DEEP_DAYS`." .default("24h").live();
        RECONCILE_DEEP_DAYS: "How many days that goes back." .default("3").live();
        RELEASED_INCOME_INTERVAL: "How often to ask for income that was released, and to bring it to orders in the sheet."
            .default("6h").live();
        PUSH_HEALTH_INTERVAL: "How often to ask Shopee whether and where it delivers pushes." .default("5m").live();
        EVENT_RETENTION_DAYS: "Events and finished jobs are kept for so many days." .default("90").live();
        PAYLOAD_RETENTION_DAYS: "After so many days what events carried and what platforms answered about orders is emptied, with all data of buyers in it; the rest of them is kept. Not set: kept as long as the event, and the order." .live();
    }
    Logging {
        LOG_LEVEL: "What is logged: a level, or a list such as `info,pushbox=debug`." .default("info");
        LOG_FORMAT: "`pretty` for people, `json` for machines." .default("pretty");
        OTEL_EXPORTER_OTLP_ENDPOINT: "Collector that gets traces, over HTTP in protobuf, at `/v1/traces` below this address. Not set: none are made."
            .example("http://127.0.0.1:4318");
        OTEL_EXPORTER_OTLP_HEADERS: "Headers for the collector, such as its key: `name=value`, separated by commas, values percent-encoded."
            .secret().example("authorization=Bearer%20...");
    }
}

/// The setting with this name or alias.
pub fn find(name: &str) -> Option<&'static Setting> {
    ALL.iter().copied().find(|setting| setting.name == name || setting.aliases.contains(&name))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn names_and_aliases_are_unique() {
        let names: Vec<_> =
            ALL.iter().flat_map(|one| [one.name].into_iter().chain(one.aliases.iter().copied())).collect();
        assert_eq!(names.iter().collect::<BTreeSet<_>>().len(), names.len());
    }

    #[test]
    fn no_name_reads_as_the_file_or_variable_of_another() {
        for setting in ALL {
            for suffix in ["_FILE", "_ENV"] {
                assert!(find(&format!("{}{suffix}", setting.name)).is_none());
            }
        }
    }

    #[test]
    fn no_secret_has_a_default() {
        assert!(ALL.iter().all(|setting| !setting.secret || setting.default.is_none()));
    }

    #[test]
    fn settings_are_found_by_alias() {
        assert_eq!(find("HOST_API"), Some(&SHOPEE_API_URL));
        assert_eq!(find("host_api"), None);
    }
}
