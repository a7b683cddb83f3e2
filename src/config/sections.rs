//! Reads the settings of each section and checks what belongs together.

use std::collections::BTreeSet;

use base64::Engine as _;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig, STANDARD};
use secrecy::{ExposeSecret, SecretString};
use url::Url;

use crate::config::fault::Refusal;
use crate::config::lookup::{Found, Lookup};
use crate::config::roles::{Role, Roles};
use crate::config::settings::{self as set, Setting};
use crate::config::toml_file::Entry;
use crate::config::{
    AdminSettings, DatabaseSettings, SheetsSettings, ShopImport, ShopeeSettings, ShopeeSignature,
    TelegramSettings, parse,
};
use crate::domain::route::{ChatRoute, Filter, SpreadsheetRoute};

/// Receiving from Shopee and calling its API.
pub(super) fn shopee(lookup: &mut Lookup<'_>, roles: &Roles) -> ShopeeSettings {
    let settings = ShopeeSettings {
        partner_id: lookup.optional(&set::PARTNER_ID, |text| parse::number(text, 1, i64::MAX)),
        partner_key: lookup.optional(&set::PARTNER_KEY, key),
        push_keys: lookup.optional(&set::WEBHOOK_PARTNER_KEY, keys).unwrap_or_default(),
        callback_url: lookup.optional(&set::CALLBACK_URL, parse::callback_url),
        signatures: lookup.value(&set::SHOPEE_SIGNATURE, parse::signatures),
        shops: shops(lookup),
        api_url: api_url(lookup),
    };
    if roles.has(Role::Receiver) {
        lookup.require(
            &set::WEBHOOK_PARTNER_KEY,
            "the receiver checks signatures with it",
            "Copy the Live Push Partner Key from the console: Push Mechanism > Set Push.",
        );
        if settings.signatures.contains(&ShopeeSignature::UrlBody) {
            lookup.require(
                &set::CALLBACK_URL,
                "it is part of what Shopee signs",
                "Copy the callback URL from the console, byte for byte.",
            );
        }
    }
    let api = [&set::PARTNER_ID, &set::PARTNER_KEY];
    if roles.has(Role::Worker) || roles.has(Role::Scheduler) || api.iter().any(|one| lookup.is_given(one)) {
        for setting in api {
            lookup.require(
                setting,
                "calls to Shopee's API are signed with it",
                "Copy it from the app's page in the console.",
            );
        }
    }
    shopee_notes(lookup, &settings, roles);
    settings
}

fn shopee_notes(lookup: &mut Lookup<'_>, settings: &ShopeeSettings, roles: &Roles) {
    let api_key = settings.partner_key.as_ref().map(ExposeSecret::expose_secret);
    let looks_wrong =
        |key: &SecretString| Some(key.expose_secret()) == api_key || key.expose_secret().starts_with("shpk");
    if settings.push_keys.iter().any(looks_wrong) {
        lookup.note(
            "WEBHOOK_PARTNER_KEY looks like the API key. Live pushes are signed with the Live Push Partner Key \
             of the Push Mechanism page; with the wrong key every push is answered 401",
        );
    }
    let path = settings
        .callback_url
        .as_deref()
        .and_then(|url| Url::parse(url).ok())
        .map(|url| url.path().to_owned());
    if path.is_some_and(|path| !path.starts_with("/webhook/shopee")) {
        lookup.note("CALLBACK_URL does not end in /webhook/shopee: your proxy must map its path to that one");
    }
    if roles.has(Role::Worker) && settings.shops.iter().any(|shop| shop.refresh_token.is_none()) {
        lookup.note("a shop is given without refresh token: its access token ends within four hours");
    }
}

fn api_url(lookup: &mut Lookup<'_>) -> Url {
    let mut url = http_url(lookup, &set::SHOPEE_API_URL).unwrap_or_else(|| {
        Url::parse(set::SHOPEE_API_URL.default.unwrap_or_default()).expect("the declared default is a URL")
    });
    // Other integrations keep the version in the host's setting; our paths begin with it.
    if let Some(prefix) = url.path().trim_end_matches('/').strip_suffix("/api/v2").map(str::to_owned) {
        url.set_path(&prefix);
    }
    url
}

/// The base address of an API. Plain http carries the keys in the open, so it is worth a note.
fn http_url(lookup: &mut Lookup<'_>, setting: &'static Setting) -> Option<Url> {
    let url = lookup.optional(setting, parse::base_url)?;
    let loopback = match url.host() {
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        Some(url::Host::Domain(name)) => name == "localhost",
        None => false,
    };
    if url.scheme() == "http" && !loopback {
        lookup.note(format!("{} is plain http: keys and tokens travel readable", setting.name));
    }
    Some(url)
}

fn key(text: &str) -> Result<SecretString, Refusal> {
    if text.contains(char::is_whitespace) {
        return Err(Refusal::new("has white space inside", "Copy the key again, in one piece."));
    }
    Ok(SecretString::from(text))
}

fn keys(text: &str) -> Result<Vec<SecretString>, Refusal> {
    let keys: Vec<_> = parse::items(text).into_iter().map(key).collect::<Result<_, _>>()?;
    if keys.is_empty() {
        return Err(Refusal::new("holds no key", "Copy the Live Push Partner Key from the console."));
    }
    Ok(keys)
}

/// The shop of the environment, then those of the file; the environment wins for a shop that is in both.
fn shops(lookup: &mut Lookup<'_>) -> Vec<ShopImport> {
    let mut shops = Vec::new();
    let shop_id = lookup.optional(&set::SHOP_ID, |text| parse::number(text, 1, i64::MAX));
    let access_token = lookup.optional(&set::ACCESS_TOKEN, key);
    let refresh_token = lookup.optional(&set::REFRESH_TOKEN, key);
    let given =
        [&set::SHOP_ID, &set::ACCESS_TOKEN, &set::REFRESH_TOKEN].iter().any(|one| lookup.is_given(one));
    if given {
        for setting in [&set::SHOP_ID, &set::ACCESS_TOKEN] {
            lookup.require(
                setting,
                "a shop is imported with both",
                "Set SHOP_ID and ACCESS_TOKEN, or neither.",
            );
        }
    }
    if let (Some(shop_id), Some(access_token)) = (shop_id, access_token) {
        shops.push(ShopImport { shop_id, access_token, refresh_token });
    }
    let mut seen = BTreeSet::new();
    for entry in std::mem::take(&mut lookup.file.shops) {
        let id = required(lookup, &entry, "shop_id")
            .and_then(|found| lookup.parsed(found, |text| parse::number(text, 1, i64::MAX)));
        let mut token = |name: &str| {
            let found = lookup.in_entry(&entry, name, true)?;
            lookup.parsed(found, key)
        };
        let (access_token, refresh_token) = (token("access_token"), token("refresh_token"));
        if !entry.values.keys().any(|key| key.starts_with("access_token")) {
            missing(lookup, &entry, "access_token");
        }
        let (Some(shop_id), Some(access_token)) = (id, access_token) else { continue };
        if !seen.insert(shop_id) {
            twice(lookup, &entry);
        } else if shops.iter().all(|shop| shop.shop_id != shop_id) {
            shops.push(ShopImport { shop_id, access_token, refresh_token });
        }
    }
    shops
}

fn required(lookup: &mut Lookup<'_>, entry: &Entry, name: &str) -> Option<Found> {
    let found = lookup.in_entry(entry, name, false);
    if found.is_none() {
        missing(lookup, entry, name);
    }
    found
}

fn missing(lookup: &mut Lookup<'_>, entry: &Entry, name: &str) {
    lookup.fault(format!("{} {name}", entry.label), "not set", "Add it, or remove the whole table.");
}

fn twice(lookup: &mut Lookup<'_>, entry: &Entry) {
    lookup.fault(entry.label.clone(), "listed twice", "Keep one of them, with all that belongs to it.");
}

/// Telegram, and where events are announced.
pub(super) fn telegram(lookup: &mut Lookup<'_>, roles: &Roles) -> (Option<TelegramSettings>, Vec<ChatRoute>) {
    let token = lookup.optional(&set::TELEGRAM_BOT_TOKEN, bot_token);
    let api_url = http_url(lookup, &set::TELEGRAM_API_URL).unwrap_or_else(|| {
        Url::parse(set::TELEGRAM_API_URL.default.unwrap_or_default()).expect("the declared default is a URL")
    });
    let chat_per_second = lookup.value(&set::TELEGRAM_CHAT_PER_SECOND, |text| parse::number(text, 1, 30));
    let chat_per_minute = lookup.value(&set::TELEGRAM_CHAT_PER_MINUTE, |text| parse::number(text, 1, 1800));

    let mut chats: Vec<ChatRoute> = Vec::new();
    if let Some(chat_id) = lookup.optional(&set::TELEGRAM_CHAT_ID, parse::chat_id) {
        chats.push(ChatRoute { chat_id, filter: Filter::default() });
    }
    let entries = std::mem::take(&mut lookup.file.chats);
    let named = lookup.is_given(&set::TELEGRAM_CHAT_ID) || !entries.is_empty();
    for entry in entries {
        let id = required(lookup, &entry, "chat_id").and_then(|found| lookup.parsed(found, parse::chat_id));
        let Some(chat_id) = id else { continue };
        if chats.iter().any(|chat| chat.chat_id == chat_id) {
            twice(lookup, &entry);
        } else {
            chats.push(ChatRoute { chat_id, filter: filter(&entry) });
        }
    }
    pair(lookup, roles, &set::TELEGRAM_BOT_TOKEN, &set::TELEGRAM_CHAT_ID, named, ("Telegram", "chats"));
    (token.map(|bot_token| TelegramSettings { bot_token, api_url, chat_per_second, chat_per_minute }), chats)
}

fn bot_token(text: &str) -> Result<SecretString, Refusal> {
    let shaped = text.split_once(':').is_some_and(|(id, secret)| {
        !id.is_empty()
            && id.bytes().all(|byte| byte.is_ascii_digit())
            && !secret.is_empty()
            && secret.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'))
    });
    if shaped {
        Ok(SecretString::from(text))
    } else {
        Err(Refusal::new(
            "is not a bot's token",
            "Copy it from BotFather: digits, a colon, then letters; no `bot` in front.",
        ))
    }
}

/// Google Sheets, and which spreadsheet holds which orders.
pub(super) fn sheets(
    lookup: &mut Lookup<'_>,
    roles: &Roles,
) -> (Option<SheetsSettings>, Vec<SpreadsheetRoute>) {
    let credentials = lookup.optional(&set::GOOGLE_CREDENTIALS_JSON, google_credentials);
    let api_url = http_url(lookup, &set::GOOGLE_SHEETS_URL);
    let mut spreadsheets: Vec<SpreadsheetRoute> = Vec::new();
    if let Some(spreadsheet_id) = lookup.optional(&set::SPREADSHEET_ID, parse::spreadsheet_id) {
        spreadsheets.push(SpreadsheetRoute { spreadsheet_id, filter: Filter::default() });
    }
    let entries = std::mem::take(&mut lookup.file.spreadsheets);
    let named = lookup.is_given(&set::SPREADSHEET_ID) || !entries.is_empty();
    for entry in entries {
        let id = required(lookup, &entry, "spreadsheet_id")
            .and_then(|found| lookup.parsed(found, parse::spreadsheet_id));
        let Some(spreadsheet_id) = id else { continue };
        if spreadsheets.iter().any(|one| one.spreadsheet_id == spreadsheet_id) {
            twice(lookup, &entry);
        } else {
            spreadsheets.push(SpreadsheetRoute { spreadsheet_id, filter: filter(&entry) });
        }
    }
    pair(
        lookup,
        roles,
        &set::GOOGLE_CREDENTIALS_JSON,
        &set::SPREADSHEET_ID,
        named,
        ("Google Sheets", "spreadsheets"),
    );
    (credentials.map(|credentials| SheetsSettings { credentials, api_url }), spreadsheets)
}

/// A credential needs a destination in every process, because every process routes by destinations; a
/// destination needs the credential only where jobs run. Neither: the sink is off, and a note says so.
fn pair(
    lookup: &mut Lookup<'_>,
    roles: &Roles,
    credential: &Setting,
    destination: &Setting,
    named: bool,
    (sink, list): (&str, &str),
) {
    match (lookup.is_given(credential), named) {
        (true, false) => lookup.fault(
            destination.name,
            format!("not set, but {} is", credential.name),
            format!("Set it, or list [[{list}]]; to switch {sink} off, remove {}.", credential.name),
        ),
        (false, true) if roles.has(Role::Worker) => lookup.fault(
            credential.name,
            format!("not set, but {} or [[{list}]] is", destination.name),
            format!("Set it; to switch {sink} off, remove {} and [[{list}]].", destination.name),
        ),
        (false, false) if roles.has(Role::Worker) || roles.has(Role::Receiver) => {
            lookup.note(format!("{sink} is off: set {} and {}", credential.name, destination.name));
        }
        _ => {}
    }
}

fn filter(entry: &Entry) -> Filter {
    let list = |key: &str| {
        let text = entry.values.get(key).map(String::as_str).unwrap_or_default();
        parse::items(text).into_iter().map(str::to_owned).collect()
    };
    Filter { sources: list("sources"), shops: list("shops"), codes: list("codes") }
}

/// The key of a service account: JSON, or the path of a file that holds it.
fn google_credentials(text: &str) -> Result<SecretString, Refusal> {
    let remedy = "Use the JSON file that the Google Cloud console made for the service account's key.";
    let json = if text.starts_with('{') {
        text.to_owned()
    } else {
        std::fs::read_to_string(text).map_err(|error| {
            // A long text is no path but a piece of a key.
            let shown = if text.len() < 200 && !text.contains("PRIVATE KEY") { text } else { "the value" };
            Refusal::new(format!("is no JSON, and no file {shown} can be read: {error}"), remedy)
        })?
    };
    let key: serde_json::Value = serde_json::from_str(&json).map_err(|error| {
        // serde_json's own text can repeat what it read; the place is enough.
        Refusal::new(format!("is not JSON at line {} column {}", error.line(), error.column()), remedy)
    })?;
    let lacking: Vec<_> = ["client_email", "private_key", "token_uri"]
        .into_iter()
        .filter(|name| key[name].as_str().is_none_or(str::is_empty))
        .collect();
    if lacking.is_empty() {
        Ok(SecretString::from(json))
    } else {
        Err(Refusal::new(format!("lacks {}", lacking.join(", ")), remedy))
    }
}

/// Where the data is.
pub(super) fn database(lookup: &mut Lookup<'_>) -> DatabaseSettings {
    DatabaseSettings {
        url: lookup.optional(&set::DATABASE_URL, database_url),
        data_dir: lookup.value(&set::DATA_DIR, |text| Ok(text.into())),
        max_connections: lookup.value(&set::DATABASE_MAX_CONNECTIONS, |text| parse::number(text, 2, 1000)),
    }
}

fn database_url(text: &str) -> Result<SecretString, Refusal> {
    let known = text.starts_with("postgres://") || text.starts_with("postgresql://");
    if known && Url::parse(text).is_ok() {
        return Ok(SecretString::from(text));
    }
    Err(Refusal::new(
        "is not a URL of Postgres",
        "Write postgres://user:password@host:5432/database, with special characters in the password percent-encoded.",
    ))
}

/// The admin listener. Whoever can reach it can read orders, so only loopback may go without a token.
pub(super) fn admin(lookup: &mut Lookup<'_>) -> AdminSettings {
    let admin = AdminSettings {
        listen: lookup.value(&set::ADMIN_LISTEN, parse::socket),
        token: lookup.optional(&set::ADMIN_TOKEN, bearer),
        read_token: lookup.optional(&set::ADMIN_READ_TOKEN, bearer),
    };
    let any = lookup.is_given(&set::ADMIN_TOKEN) || lookup.is_given(&set::ADMIN_READ_TOKEN);
    if !admin.listen.ip().is_loopback() && !any {
        lookup.fault(
            "ADMIN_TOKEN",
            "not set, but ADMIN_LISTEN is not a loopback address",
            "Set it to what `pushbox keygen` prints, or listen on 127.0.0.1:9000.",
        );
    }
    if let (Some(token), Some(read)) = (&admin.token, &admin.read_token)
        && token.expose_secret() == read.expose_secret()
    {
        lookup.fault(
            "ADMIN_READ_TOKEN",
            "the same as ADMIN_TOKEN",
            "Give it a token of its own; readers could change things.",
        );
    }
    for (setting, token) in [(&set::ADMIN_TOKEN, &admin.token), (&set::ADMIN_READ_TOKEN, &admin.read_token)] {
        if token.as_ref().is_some_and(|token| token.expose_secret().len() < 16) {
            lookup.note(format!(
                "{} is short enough to be guessed; `pushbox keygen` prints a good one",
                setting.name
            ));
        }
    }
    admin
}

fn bearer(text: &str) -> Result<SecretString, Refusal> {
    if text.bytes().all(|byte| byte.is_ascii_graphic()) {
        Ok(SecretString::from(text))
    } else {
        Err(Refusal::new("cannot be sent in a header", "Use what `pushbox keygen` prints."))
    }
}

/// 32 bytes as base64, in the standard alphabet with padding whatever the padding was.
pub(super) fn encryption_key(text: &str) -> Result<SecretString, Refusal> {
    let lenient = GeneralPurpose::new(
        &base64::alphabet::STANDARD,
        GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
    );
    match lenient.decode(text) {
        Ok(bytes) if bytes.len() == 32 => Ok(SecretString::from(STANDARD.encode(bytes))),
        Ok(bytes) => Err(Refusal::new(
            format!("holds {} bytes, not 32", bytes.len()),
            "Use what `pushbox keygen` prints.",
        )),
        Err(_) => Err(Refusal::new("is not base64", "Use what `pushbox keygen` prints.")),
    }
}
