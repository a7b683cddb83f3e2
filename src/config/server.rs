//! Reads where the data is and what guards it.

use base64::Engine as _;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig, STANDARD};
use secrecy::{ExposeSecret as _, SecretString};
use url::Url;

use crate::config::fault::Refusal;
use crate::config::lookup::Lookup;
use crate::config::settings as set;
use crate::config::{AdminSettings, DatabaseSettings, parse};

/// Where the data is.
pub(super) fn database(lookup: &mut Lookup<'_>) -> DatabaseSettings {
    DatabaseSettings {
        url: lookup.optional(&set::DATABASE_URL, database_url),
        data_dir: lookup.value(&set::DATA_DIR, |text| Ok(text.into())),
        pooler: lookup.value(&set::DATABASE_POOLER, pooler),
        max_connections: lookup.value(&set::DATABASE_MAX_CONNECTIONS, |text| parse::number(text, 2, 1000)),
    }
}

fn pooler(text: &str) -> Result<bool, Refusal> {
    match text {
        "none" => Ok(false),
        "transaction" => Ok(true),
        _ => Err(Refusal::new(
            format!("`{text}` is not a kind of pooler"),
            "Write `none`, or `transaction` for PgBouncer with pool_mode = transaction.",
        )),
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

/// One key or several; the first seals.
pub(super) fn encryption_keys(text: &str) -> Result<Vec<SecretString>, Refusal> {
    let keys = parse::items(text).into_iter().map(encryption_key).collect::<Result<Vec<_>, _>>()?;
    if keys.is_empty() {
        return Err(Refusal::new("holds no key", "Use what `pushbox keygen` prints."));
    }
    Ok(keys)
}

/// 32 bytes as base64, in the standard alphabet with padding whatever the padding was.
fn encryption_key(text: &str) -> Result<SecretString, Refusal> {
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
