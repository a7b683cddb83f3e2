//! The whole configuration, or everything that is wrong with it.

use std::sync::Arc;

use crate::config::fault::{Faults, Refusal};
use crate::config::inputs::Inputs;
use crate::config::lookup::Lookup;
use crate::config::roles::{Role, Roles};
use crate::config::settings as set;
use crate::config::{
    AlertSettings, Config, LogSettings, QueueSettings, ReceiverSettings, ScheduleSettings, forward, otlp,
    parse, server, shopee, sinks, sources,
};
use crate::domain::route::Routes;

/// A configuration without faults.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// The settings.
    pub config: Config,
    /// What a person should know: sinks that are off, values that were tidied, likely slips.
    pub notes: Vec<String>,
}

impl Config {
    /// Reads and checks all settings that processes of these roles need.
    ///
    /// Looks at nothing but `inputs` and the files that they name.
    pub fn load(inputs: &Inputs, roles: &Roles) -> Result<Loaded, Faults> {
        let mut lookup = Lookup::new(inputs);
        let shopee = shopee::shopee(&mut lookup, roles);
        let shopee_source = shopee::source(&lookup, &shopee);
        let (sources, platform_apis) = sources::sources(&mut lookup, roles, shopee_source);
        let order_event_codes = lookup.value(&set::ORDER_EVENT_CODES, parse::codes);
        let sheet_ignore_statuses = lookup.value(&set::SHEET_IGNORE_STATUSES, parse::statuses);
        let display_timezone = lookup.value(&set::DISPLAY_TIMEZONE, parse::timezone);
        let (telegram, chats) = sinks::telegram(&mut lookup, roles);
        let (sheets, spreadsheets) = sinks::sheets(&mut lookup, roles, display_timezone);
        let (forward, forwards) = forward::forward(&mut lookup, roles);
        let platforms = sources.iter().map(|one| (one.name.clone(), one.platform.clone())).collect();
        let mut encryption_keys =
            lookup.optional(&set::ENCRYPTION_KEY, server::encryption_keys).unwrap_or_default().into_iter();
        let config = Self {
            database: server::database(&mut lookup),
            listen: lookup.value(&set::LISTEN, parse::socket),
            admin: server::admin(&mut lookup),
            encryption_key: encryption_keys.next(),
            old_encryption_keys: encryption_keys.collect(),
            shopee,
            sources,
            platform_apis,
            telegram,
            sheets,
            forward,
            routes: Routes {
                order_event_codes,
                platforms,
                chats,
                spreadsheets,
                forwards,
                sheet_ignore_statuses,
            },
            display_timezone,
            receiver: receiver(&mut lookup),
            queue: queue(&mut lookup),
            schedule: schedule(&mut lookup),
            alerts: alerts(&mut lookup),
            log: log(&mut lookup),
            inputs: Arc::new(inputs.clone()),
            roles: roles.clone(),
        };
        check_whole(&mut lookup, &config, roles);
        Faults::check(lookup.faults)?;
        Ok(Loaded { config, notes: lookup.notes })
    }
}

/// Checks across sections.
fn check_whole(lookup: &mut Lookup<'_>, config: &Config, roles: &Roles) {
    let (public, admin) = (config.listen, config.admin.listen);
    let overlap = public.ip() == admin.ip() || public.ip().is_unspecified() || admin.ip().is_unspecified();
    if public.port() == admin.port() && public.port() != 0 && overlap {
        lookup.fault("ADMIN_LISTEN", "the same port as LISTEN", "Give each listener a port of its own.");
    }
    if config.queue.retry_base > config.queue.retry_max {
        lookup.fault("RETRY_MAX", "shorter than RETRY_BASE", "Make it at least as long.");
    }
    let keeps_tokens = roles.has(Role::Worker) || roles.has(Role::Scheduler);
    if keeps_tokens && !lookup.is_given(&set::ENCRYPTION_KEY) {
        lookup.note(
            "ENCRYPTION_KEY is not set: shop tokens are stored as they are; `pushbox keygen` prints one",
        );
    }
}

fn receiver(lookup: &mut Lookup<'_>) -> ReceiverSettings {
    ReceiverSettings {
        body_limit: lookup.value(&set::BODY_LIMIT, parse::bytes),
        commit_deadline: lookup.value(&set::COMMIT_DEADLINE, |text| match parse::short_duration(text)? {
            late if late.as_secs() >= 3 => Err(Refusal::new(
                format!("`{text}` is too long"),
                "Shopee gives up after three seconds: stay below 3s.",
            )),
            deadline => Ok(deadline),
        }),
        failed_signatures_per_minute: lookup
            .value(&set::FAILED_SIGNATURES_PER_MINUTE, |text| parse::number(text, 1, 1_000_000)),
        trusted_proxies: lookup.value(&set::TRUSTED_PROXIES, parse::networks),
        rejections_kept: lookup.value(&set::REJECTIONS_KEPT, |text| parse::number(text, 0, 10_000)),
        rejection_bodies_for: lookup.value(&set::REJECTION_BODY_RETENTION, parse::duration),
        max_connections: lookup.value(&set::MAX_CONNECTIONS, |text| parse::number(text, 1, 100_000)),
        request_timeout: lookup.value(&set::REQUEST_TIMEOUT, parse::short_duration),
    }
}

fn queue(lookup: &mut Lookup<'_>) -> QueueSettings {
    QueueSettings {
        concurrency: lookup.value(&set::WORKER_CONCURRENCY, |text| parse::number(text, 1, 1024)),
        max_attempts: lookup.value(&set::MAX_ATTEMPTS, |text| parse::number(text, 1, 1000)),
        retry_base: lookup.value(&set::RETRY_BASE, parse::short_duration),
        retry_max: lookup.value(&set::RETRY_MAX, parse::short_duration),
        lease: lookup.value(&set::LEASE, parse::duration),
        poll_interval: lookup.value(&set::POLL_INTERVAL, parse::short_duration),
        shutdown_timeout: lookup.value(&set::SHUTDOWN_TIMEOUT, parse::duration),
    }
}

fn schedule(lookup: &mut Lookup<'_>) -> ScheduleSettings {
    ScheduleSettings {
        lost_push_interval: lookup.value(&set::LOST_PUSH_INTERVAL, |text| match parse::duration(text)? {
            // Shopee forgets after three days; an interval near that leaves no second chance.
            rare if rare.as_secs() > 24 * 60 * 60 => Err(Refusal::new(
                format!("`{text}` is too long"),
                "Shopee keeps lost pushes for three days: at most 24h.",
            )),
            interval => Ok(interval),
        }),
        reconcile_interval: lookup.value(&set::RECONCILE_INTERVAL, parse::duration),
        reconcile_deep_interval: lookup.value(&set::RECONCILE_DEEP_INTERVAL, parse::duration),
        reconcile_deep_days: lookup.value(&set::RECONCILE_DEEP_DAYS, |text| parse::number(text, 1, 90)),
        released_income_interval: lookup.value(&set::RELEASED_INCOME_INTERVAL, parse::duration),
        push_health_interval: lookup.value(&set::PUSH_HEALTH_INTERVAL, parse::duration),
        event_retention_days: lookup.value(&set::EVENT_RETENTION_DAYS, |text| parse::number(text, 1, 3650)),
        payload_retention_days: lookup
            .optional(&set::PAYLOAD_RETENTION_DAYS, |text| parse::number(text, 1, 3650)),
    }
}

fn alerts(lookup: &mut Lookup<'_>) -> AlertSettings {
    AlertSettings {
        silence: lookup.value(&set::ALERT_SILENCE, |text| match text {
            "none" => Ok(None),
            text => parse::duration(text).map(Some),
        }),
        success_percent: lookup.value(&set::ALERT_SUCCESS_PERCENT, |text| parse::number(text, 1, 100)),
        dead_jobs: lookup.value(&set::ALERT_DEAD_JOBS, |text| parse::number(text, 1, 1_000_000)),
        queue_age: lookup.value(&set::ALERT_QUEUE_AGE, parse::duration),
        authorization_days: lookup.value(&set::ALERT_AUTHORIZATION_DAYS, |text| parse::number(text, 1, 365)),
    }
}

fn log(lookup: &mut Lookup<'_>) -> LogSettings {
    LogSettings {
        filter: lookup.value(&set::LOG_LEVEL, parse::log_filter),
        json: lookup.value(&set::LOG_FORMAT, parse::log_json),
        otlp: otlp::otlp(lookup),
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;
    use std::time::Duration;

    use secrecy::ExposeSecret;

    use super::*;
    use crate::config::ShopeeSignature;

    const GOOGLE: &str = r#"{"client_email":"a@b","private_key":"top-secret","token_uri":"https://t"}"#;

    fn inputs(variables: &[(&str, &str)]) -> Inputs {
        let environment =
            variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Inputs { environment, ..Inputs::default() }
    }

    fn with_toml(variables: &[(&str, &str)], toml: &str) -> Inputs {
        Inputs { toml: Some(("pushbox.toml".into(), toml.to_owned())), ..inputs(variables) }
    }

    fn load(inputs: &Inputs) -> Loaded {
        Config::load(inputs, &Roles::none()).unwrap_or_else(|faults| panic!("{faults}"))
    }

    fn faults(inputs: &Inputs, roles: &Roles) -> Vec<String> {
        match Config::load(inputs, roles) {
            Ok(_) => Vec::new(),
            Err(faults) => {
                faults.iter().map(|fault| format!("{}: {}", fault.setting, fault.problem)).collect()
            }
        }
    }

    fn complete() -> Vec<(&'static str, &'static str)> {
        vec![
            ("PARTNER_ID", "2000001"),
            ("PARTNER_KEY", "shpkkey"),
            ("WEBHOOK_PARTNER_KEY", "new,old"),
            ("CALLBACK_URL", "https://hooks.example.com/webhook/shopee"),
        ]
    }

    #[test]
    fn every_default_parses_and_nothing_else_is_needed_without_roles() {
        let Loaded { config, notes } = load(&inputs(&[]));
        assert_eq!(notes, Vec::<String>::new());
        assert_eq!(config.listen, SocketAddr::from(([0, 0, 0, 0], 8000)));
        assert_eq!(config.shopee.api_url.as_str(), "https://partner.shopeemobile.com/");
        assert_eq!(config.shopee.signatures, [ShopeeSignature::UrlBody]);
        assert_eq!(config.routes.order_event_codes, [3, 4]);
        assert_eq!(config.schedule.lost_push_interval, Duration::from_mins(15));
        assert_eq!(config.receiver.body_limit, 1 << 20);
        assert!(config.telegram.is_none() && config.sheets.is_none() && config.database.url.is_none());
    }

    #[test]
    fn a_complete_environment_serves_every_role() {
        let mut variables = complete();
        variables.extend([
            ("SHOP_ID", "1"),
            ("ACCESS_TOKEN", "access"),
            ("REFRESH_TOKEN", "renewing"),
            ("HOST_API", "https://partner.shopeemobile.com/api/v2/"),
            ("TELEGRAM_BOT_TOKEN", "1:a"),
            ("TELEGRAM_CHAT_ID", "-1001"),
            ("GOOGLE_CREDENTIALS_JSON", GOOGLE),
            ("SPREADSHEET_ID", "https://docs.google.com/spreadsheets/d/abc/edit"),
            ("ENCRYPTION_KEY", "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE"),
        ]);
        let Loaded { config, notes } = Config::load(&inputs(&variables), &Roles::all()).expect("no faults");
        assert_eq!(notes, Vec::<String>::new());
        assert_eq!(config.shopee.api_url.as_str(), "https://partner.shopeemobile.com/");
        assert_eq!(
            config.shopee.push_keys.iter().map(ExposeSecret::expose_secret).collect::<Vec<_>>(),
            ["new", "old"]
        );
        assert_eq!(config.routes.chats[0].chat_id, -1001);
        assert_eq!(config.routes.spreadsheets[0].spreadsheet_id, "abc");
        assert_eq!(
            config.encryption_key.as_ref().map(ExposeSecret::expose_secret),
            Some("MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=")
        );
        let debug = format!("{config:?}");
        for secret in ["shpkkey", "top-secret", "1:a", "renewing", "MDEy"] {
            assert!(!debug.contains(secret), "{secret}");
        }
    }

    #[test]
    fn a_process_needs_what_its_roles_need() {
        let needs = |role| faults(&inputs(&[]), &Roles::from_iter([role]));
        assert_eq!(needs(Role::Admin), [""; 0]);
        assert_eq!(needs(Role::Receiver).len(), 2);
        assert!(needs(Role::Receiver)[0].starts_with("WEBHOOK_PARTNER_KEY: not set"));
        assert!(needs(Role::Receiver)[1].starts_with("CALLBACK_URL: not set"));
        for role in [Role::Worker, Role::Scheduler] {
            assert_eq!(needs(role).len(), 2);
            assert!(needs(role)[0].starts_with("PARTNER_ID: not set"));
        }
        let body_only = inputs(&[("WEBHOOK_PARTNER_KEY", "key"), ("SHOPEE_SIGNATURE", "body")]);
        assert_eq!(faults(&body_only, &Roles::from_iter([Role::Receiver])), [""; 0]);
    }

    #[test]
    fn sinks_that_are_off_are_noted() {
        let loaded =
            Config::load(&inputs(&complete()), &Roles::from_iter([Role::Worker])).expect("no faults");
        assert_eq!(loaded.notes[0], "Telegram is off: set TELEGRAM_BOT_TOKEN and TELEGRAM_CHAT_ID");
        assert_eq!(loaded.notes[1], "Google Sheets is off: set GOOGLE_CREDENTIALS_JSON and SPREADSHEET_ID");
        assert!(loaded.notes[2].starts_with("ENCRYPTION_KEY is not set"));
    }

    #[test]
    fn halves_of_a_pair_are_faults_where_they_matter() {
        let worker = Roles::from_iter([Role::Worker]);
        let with = |extra: &[(&'static str, &'static str)]| inputs(&[&complete()[..], extra].concat());
        for (name, value, lacking) in [
            ("SPREADSHEET_ID", "abc", "GOOGLE_CREDENTIALS_JSON"),
            ("TELEGRAM_CHAT_ID", "-1", "TELEGRAM_BOT_TOKEN"),
            ("SHOP_ID", "1", "ACCESS_TOKEN"),
            ("ACCESS_TOKEN", "a", "SHOP_ID"),
        ] {
            let found = faults(&with(&[(name, value)]), &worker);
            assert_eq!(found.len(), 1, "{name}: {found:?}");
            assert!(found[0].starts_with(&format!("{lacking}: not set")), "{name}: {found:?}");
        }
        // Where to is added while pushbox runs.
        for (name, value) in [("TELEGRAM_BOT_TOKEN", "1:a"), ("GOOGLE_CREDENTIALS_JSON", GOOGLE)] {
            let notes = Config::load(&with(&[(name, value)]), &worker).expect("no faults").notes;
            assert!(notes.iter().any(|note| note.contains("has nowhere to go")), "{notes:?}");
        }
        // The receiver routes to a chat without being able to write there.
        let receiver = Roles::from_iter([Role::Receiver]);
        assert_eq!(
            faults(&with(&[("TELEGRAM_CHAT_ID", "-1"), ("SPREADSHEET_ID", "abc")]), &receiver),
            [""; 0]
        );
        assert_eq!(faults(&inputs(&[("PARTNER_ID", "1")]), &Roles::none()).len(), 1);
    }

    #[test]
    fn each_bad_value_is_one_fault_of_its_setting() {
        for (name, value) in [
            ("PARTNER_ID", "abc"),
            ("PARTNER_KEY", "two words"),
            ("WEBHOOK_PARTNER_KEY", ","),
            ("CALLBACK_URL", "hooks.example.com"),
            ("SHOPEE_SIGNATURE", "url"),
            ("SHOPEE_API_URL", "shopee"),
            ("ORDER_EVENT_CODES", "three"),
            ("SHEET_IGNORE_STATUSES", "A B"),
            ("DISPLAY_TIMEZONE", "Singapore/Asia"),
            ("TELEGRAM_API_URL", "x"),
            ("TELEGRAM_MODE", "digest"),
            ("TELEGRAM_SHOW_BUYER", "perhaps"),
            ("TELEGRAM_UNCERTAIN", "drop"),
            ("TELEGRAM_CHAT_PER_SECOND", "0"),
            ("TELEGRAM_CHAT_PER_MINUTE", "many"),
            ("GOOGLE_SHEETS_URL", "x"),
            ("FORWARD_URL", "http://erp.example.com/hook"),
            ("FORWARD_SECRET", "whsec_c2hvcnQ="),
            ("FORWARD_ALLOW_PRIVATE", "maybe"),
            ("FORWARD_RETRY_FOR", "2d"),
            ("DATABASE_URL", "mysql://secret@host/db"),
            ("DATABASE_MAX_CONNECTIONS", "0"),
            ("LISTEN", "8000"),
            ("ADMIN_LISTEN", "x"),
            ("ENCRYPTION_KEY", "c2hvcnQ="),
            ("BODY_LIMIT", "1"),
            ("FAILED_SIGNATURES_PER_MINUTE", "0"),
            ("TRUSTED_PROXIES", "10.0.0.0/40"),
            ("COMMIT_DEADLINE", "3s"),
            ("MAX_ATTEMPTS", "0"),
            ("WORKER_CONCURRENCY", "-1"),
            ("EVENT_RETENTION_DAYS", "0"),
            ("LOST_PUSH_INTERVAL", "25h"),
            ("LEASE", "500ms"),
            ("POLL_INTERVAL", "1"),
            ("RETRY_BASE", "x"),
            ("RETRY_MAX", "1s"),
            ("SHUTDOWN_TIMEOUT", "0s"),
            ("LOG_LEVEL", "pushbox=loud"),
            ("LOG_FORMAT", "xml"),
            ("ADMIN_TOKEN", "not ascii: ü"),
        ] {
            let found = faults(&inputs(&[(name, value)]), &Roles::none());
            let of_the_pair = usize::from(matches!(name, "PARTNER_ID" | "PARTNER_KEY"));
            assert_eq!(found.len(), 1 + of_the_pair, "{name}: {found:?}");
            assert!(found[0].starts_with(&format!("{name}: ")), "{name}: {found:?}");
            assert!(!found[0].contains("secret"), "{name}: {found:?}");
        }
    }

    #[test]
    fn an_open_admin_listener_needs_a_token() {
        let open = ("ADMIN_LISTEN", "0.0.0.0:9000");
        assert_eq!(faults(&inputs(&[open]), &Roles::none()).len(), 1);
        assert_eq!(
            faults(&inputs(&[open, ("ADMIN_READ_TOKEN", "a-long-enough-token")]), &Roles::none()),
            [""; 0]
        );
        let same =
            inputs(&[("ADMIN_TOKEN", "a-long-enough-token"), ("ADMIN_READ_TOKEN", "a-long-enough-token")]);
        assert_eq!(faults(&same, &Roles::none()), ["ADMIN_READ_TOKEN: the same as ADMIN_TOKEN"]);
        assert_eq!(
            faults(&inputs(&[("ADMIN_LISTEN", "127.0.0.1:8000")]), &Roles::none()),
            ["ADMIN_LISTEN: the same port as LISTEN"]
        );
    }

    #[test]
    fn pasted_values_are_tidied_and_it_is_said() {
        let loaded =
            load(&inputs(&[("CALLBACK_URL", " \"https://h.example/webhook/shopee \"\n"), ("LISTEN", "")]));
        assert_eq!(loaded.config.shopee.callback_url.as_deref(), Some("https://h.example/webhook/shopee"));
        assert_eq!(loaded.notes, ["CALLBACK_URL: spaces or quotes around the value were removed"]);
    }

    #[test]
    fn slips_in_names_are_noted() {
        let loaded = load(&inputs(&[("SHOPEE_APIURL", "x"), ("HOME", "/root"), ("PARTNER_KEY_FILE", "")]));
        assert_eq!(loaded.notes, ["SHOPEE_APIURL is not a setting of pushbox; did you mean SHOPEE_API_URL?"]);
    }

    #[test]
    fn the_environment_wins_over_the_file() {
        let toml = "order_event_codes = [3, 30]\nlease = '20s'\nsheet_ignore_statuses = []\nhost_api = 'x'";
        let found = faults(&with_toml(&[], toml), &Roles::none());
        assert_eq!(found, ["pushbox.toml host_api: unknown"]);
        let toml = toml.split("\nhost").next().unwrap_or_default();
        let config = load(&with_toml(&[("LEASE", "30s")], toml)).config;
        assert_eq!(config.routes.order_event_codes, [3, 30]);
        assert_eq!(config.queue.lease, Duration::from_secs(30));
        assert!(config.routes.sheet_ignore_statuses.is_empty());
    }

    #[test]
    fn lists_of_the_file_carry_filters_and_secrets_by_name() {
        let directory = tempfile::tempdir().expect("a directory");
        std::fs::write(directory.path().join("refresh"), "from-file\n").expect("a file");
        let toml = "
            telegram_bot_token_env = 'BOT'
            [[shops]]
            shop_id = 7
            access_token_env = 'SHOP_7'
            refresh_token_file = 'refresh'
            [[chats]]
            chat_id = -5
            shops = [7, '8']
            codes = [3]
        ";
        let mut inputs = inputs(&[("SHOP_7", "from-env"), ("BOT", "1:a")]);
        inputs.toml = Some((directory.path().join("pushbox.toml"), toml.to_owned()));
        let config = load(&inputs).config;
        let shop = &config.shopee.shops[0];
        assert_eq!((shop.shop_id, shop.access_token.expose_secret()), (7, "from-env"));
        assert_eq!(shop.refresh_token.as_ref().map(ExposeSecret::expose_secret), Some("from-file"));
        assert_eq!(config.routes.chats[0].filter.shops, ["7", "8"]);
        assert_eq!(config.routes.chats[0].filter.codes, ["3"]);
        assert!(config.telegram.is_some());
    }

    #[test]
    fn further_apps_bring_their_push_keys_and_are_named_by_shops() {
        let toml = "
            [[partners]]
            partner_id = 2000002
            partner_key_env = 'OTHER'
            webhook_partner_key = 'new,old'
            [[shops]]
            shop_id = 7
            partner_id = 2000002
            access_token = 'a'
        ";
        let mut inputs = with_toml(&[("PARTNER_ID", "2000001"), ("PARTNER_KEY", "k"), ("OTHER", "o")], toml);
        inputs.environment.insert("WEBHOOK_PARTNER_KEY".into(), "w".into());
        let shopee = load(&inputs).config.shopee;
        assert_eq!(shopee.further_apps[0].partner_id, 2_000_002);
        assert_eq!(
            shopee.push_keys.iter().map(ExposeSecret::expose_secret).collect::<Vec<_>>(),
            ["w", "new", "old"]
        );
        assert_eq!(shopee.shops[0].partner_id, Some(2_000_002));

        let toml = "
            [[partners]]
            partner_id = 2000001
            partner_key = 'k'
            [[partners]]
            partner_id = 3
            [[shops]]
            shop_id = 7
            partner_id = 4
            access_token = 'a'
        ";
        assert_eq!(
            faults(&with_toml(&[("PARTNER_ID", "2000001"), ("PARTNER_KEY", "k")], toml), &Roles::none()),
            [
                "pushbox.toml [[partners]] 1: listed twice",
                "pushbox.toml [[partners]] 2 partner_key: not set",
                "pushbox.toml [[shops]] 1 partner_id: there is no app 4",
            ]
        );
    }

    #[test]
    fn tables_that_lack_or_repeat_something_are_faults() {
        let toml = "
            [[shops]]
            shop_id = 7
            access_token = ''
            [[chats]]
            chat_id = -5
            [[chats]]
            chat_id = -5
            color = 'red'
            [[spreadsheets]]
            shops = [7]
        ";
        assert_eq!(
            faults(&with_toml(&[], toml), &Roles::none()),
            [
                "pushbox.toml [[chats]] 2 color: unknown",
                "pushbox.toml [[shops]] 1 access_token: not set",
                "pushbox.toml [[chats]] 2: listed twice",
                "pushbox.toml [[spreadsheets]] 1 spreadsheet_id: not set",
            ]
        );
    }

    #[test]
    fn secrets_come_from_files() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("key");
        std::fs::write(&path, "kept\n").expect("a file");
        let path = path.to_str().expect("a path in UTF-8");
        let loaded = load(&inputs(&[("WEBHOOK_PARTNER_KEY_FILE", path)]));
        assert_eq!(loaded.config.shopee.push_keys[0].expose_secret(), "kept");
        assert_eq!(loaded.notes, Vec::<String>::new());
        let both = inputs(&[("WEBHOOK_PARTNER_KEY_FILE", path), ("WEBHOOK_PARTNER_KEY", "x")]);
        assert_eq!(
            faults(&both, &Roles::from_iter([Role::Receiver]))[0],
            "WEBHOOK_PARTNER_KEY: given twice, directly and as WEBHOOK_PARTNER_KEY_FILE"
        );
    }

    #[test]
    fn a_listing_names_every_fault_with_its_remedy() {
        let toml = "callbackurl = 'x'\n[[chats]]\nchat_id = 'shop-orders'\n[[shops]]\nshop_id = 5\naccess_token_env = 'NOPE'";
        let variables = [
            ("WEBHOOK_PARTNER_KEY", "k1"),
            ("PARTNER_ID", "2000001"),
            ("ADMIN_LISTEN", "0.0.0.0:9000"),
            ("GOOGLE_CREDENTIALS_JSON", r#"{"client_email":"top-secret"}"#),
            ("LOST_PUSH_INTERVAL", "15"),
        ];
        let faults = Config::load(&with_toml(&variables, toml), &Roles::all()).unwrap_err();
        insta::assert_snapshot!(faults, @r#"
the configuration has 9 faults:

  pushbox.toml callbackurl: unknown
      Did you mean `callback_url`?

  pushbox.toml [[shops]] 1 access_token_env: the variable NOPE is not set
      Set it, or correct its name.

  CALLBACK_URL: not set; it is part of what Shopee signs
      Copy the callback URL from the console, byte for byte.

  PARTNER_KEY: not set; calls to Shopee's API are signed with it
      Copy it from the app's page in the console.

  pushbox.toml [[chats]] 1 chat_id: `shop-orders` is not a chat's number
      Write the number, not a name or a link; a supergroup's begins with -100.

  TELEGRAM_BOT_TOKEN: not set, but TELEGRAM_CHAT_ID or [[chats]] is
      Set it; to switch Telegram off, remove TELEGRAM_CHAT_ID and [[chats]].

  GOOGLE_CREDENTIALS_JSON: lacks private_key, token_uri
      Use the JSON file that the Google Cloud console made for the service account's key.

  ADMIN_TOKEN: not set, but ADMIN_LISTEN is not a loopback address
      Set it to what `pushbox keygen` prints, or listen on 127.0.0.1:9000.

  LOST_PUSH_INTERVAL: `15` is not a duration
      Write a whole number with s, m or h: 90s, 15m, 1h.
"#);
    }

    #[test]
    fn toml_faults_do_not_show_the_line() {
        let found = Config::load(&with_toml(&[], "lease = '1s'\npartner_key = top-secret"), &Roles::none())
            .unwrap_err();
        assert!(found.to_string().contains("pushbox.toml: line 2 is not TOML"), "{found}");
        assert!(!found.to_string().contains("top-secret"), "{found}");
    }
}
