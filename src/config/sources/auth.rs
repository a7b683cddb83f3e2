//! How a source's pushes prove themselves.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, Utc};
use secrecy::{ExposeSecret as _, SecretString};
use toml::Value;

use super::section::Section;
use crate::config::fault::Refusal;
use crate::config::lookup::Lookup;
use crate::domain::sources::{Auth, AuthKind, BasePart, Encoding, Form, Secret, header_name};

/// How a secret's text becomes its key.
struct SecretFormat {
    base64: bool,
    strip: Vec<String>,
}

/// Reads `auth`. Secrets are needed only where pushes are received.
pub(super) fn auth(lookup: &mut Lookup<'_>, top: &mut Section, needed: bool) -> Auth {
    let mut section = top.section(lookup, "auth");
    let kinds = [("hmac", AuthKind::Hmac), ("static", AuthKind::Static), ("ed25519", AuthKind::Ed25519)];
    let absent = !section.has("kind");
    let kind = section.choice(lookup, "kind", &kinds).unwrap_or(AuthKind::Hmac);
    if absent {
        let remedy = "Write hmac, static or ed25519, or name a preset.";
        section.fault(lookup, "kind", Refusal::new("not set", remedy));
    }
    let absent = !section.has("header");
    let header = section.parsed(lookup, "header", |text| {
        header_name(text).map_err(|problem| Refusal::new(problem, "Write the header's name."))
    });
    if absent {
        section.fault(lookup, "header", Refusal::new("not set", "Name the header that carries the proof."));
    }
    let hash = section.choice(lookup, "hash", &[("sha256", ())]);
    debug_assert!(hash.is_none_or(|()| true), "there is one hash");
    let strip_prefix = section.text(lookup, "strip_prefix").unwrap_or_default();
    let base = base(lookup, &mut section, kind);
    let encodings = [("base64", Encoding::Base64), ("hex", Encoding::Hex)];
    let encoding = section.choice(lookup, "encoding", &encodings);
    if kind == AuthKind::Static && encoding.is_some() {
        let refusal = Refusal::new("a static secret is not encoded", "Remove it, or set auth.kind.");
        section.fault(lookup, "encoding", refusal);
    }
    let item_sep = section.text(lookup, "item_sep").filter(|text| !text.is_empty());
    if item_sep.as_ref().is_some_and(|text| text.len() != 1) {
        section.fault(
            lookup,
            "item_sep",
            Refusal::new("is not one character", "Write one, such as a blank."),
        );
    }
    let format = SecretFormat {
        base64: section
            .choice(lookup, "secret_format", &[("text", false), ("base64", true)])
            .unwrap_or(kind == AuthKind::Ed25519),
        strip: section.list(lookup, "strip", |text| Ok(text.to_owned())),
    };
    let auth = Auth {
        kind,
        header: header.unwrap_or_default(),
        item_sep,
        item_tag: section.text(lookup, "item_tag").filter(|text| !text.is_empty()),
        encoding: encoding.unwrap_or(Encoding::Base64),
        forms: vec![Form { strip_prefix, base }],
        params: section.map_if_table(lookup, "params").unwrap_or_default(),
        secrets: secrets(lookup, &mut section, &format, needed),
        hints: Vec::new(),
    };
    section.finish(lookup);
    auth
}

fn base(lookup: &mut Lookup<'_>, section: &mut Section, kind: AuthKind) -> Vec<BasePart> {
    let given = section.has("base");
    let base = section.list(lookup, "base", |text| match text.split_once(':') {
        None if text == "body" => Ok(BasePart::Body),
        None if text == "url" => Ok(BasePart::Url),
        Some(("text", literal)) if !literal.is_empty() => Ok(BasePart::Text(literal.to_owned())),
        Some(("param", name)) if !name.is_empty() => Ok(BasePart::Param(name.to_owned())),
        Some(("header", name)) => header_name(name).map(BasePart::Header),
        _ => Err(format!("`{text}` is none of body, url, text:<literal>, param:<name>, header:<name>")),
    });
    match (kind, given) {
        (AuthKind::Static, true) => {
            let refusal = Refusal::new("a static secret signs nothing", "Remove it, or set auth.kind.");
            section.fault(lookup, "base", refusal);
            Vec::new()
        }
        (AuthKind::Static, false) => Vec::new(),
        (_, false) => vec![BasePart::Body],
        (_, true) => base,
    }
}

/// `secrets`, `secrets_env` and `secrets_file`; an item of `secrets` is a text or a table with `value`,
/// `value_env` or `value_file`, and `not_after`.
fn secrets(
    lookup: &mut Lookup<'_>,
    section: &mut Section,
    format: &SecretFormat,
    needed: bool,
) -> Vec<Secret> {
    let mut found: Vec<(String, SecretString, Option<DateTime<Utc>>)> = Vec::new();
    let place = section.place("secrets");
    let mut given = false;
    for (at, value) in section.values("secrets").into_iter().enumerate() {
        given = true;
        let label = format!("secret {}", at + 1);
        match value {
            Value::String(text) => found.push((label, text.into(), None)),
            Value::Table(table) => {
                let item = Section::new(&place, &format!("{}.", at + 1), table);
                found.extend(item_of(lookup, item).map(|(text, not_after)| (label, text, not_after)));
            }
            other => lookup.fault(
                place.clone(),
                format!("holds a {}", other.type_str()),
                "Write texts, or tables with value and not_after.",
            ),
        }
    }
    for name in section.list(lookup, "secrets_env", |text| Ok(text.to_owned())) {
        given = true;
        if let Some(text) = lookup.variable(&section.place("secrets_env"), &name) {
            // Several in one variable, as for Shopee's keys.
            found.extend(
                crate::config::parse::items(&text).into_iter().map(|one| (name.clone(), one.into(), None)),
            );
        }
    }
    for path in section.list(lookup, "secrets_file", |text| Ok(text.to_owned())) {
        given = true;
        if let Some(text) = lookup.secret_in_file(&section.place("secrets_file"), &path) {
            found.push((path, text.into(), None));
        }
    }
    if needed && !given {
        let remedy = "Set auth.secrets_env = [\"NAME\"] (or auth.secrets, auth.secrets_file).";
        lookup.fault(place.clone(), "none is set; nothing could be verified", remedy);
    }
    let keyed = found.into_iter().filter_map(|(label, text, not_after)| {
        let text: SecretString = text.expose_secret().trim().into();
        if text.expose_secret().is_empty() {
            lookup.fault(place.clone(), format!("{label} is empty"), "Put the secret there.");
            return None;
        }
        match key_of(&text, format) {
            Ok(key) => Some(Secret::with_key(label, &text, key).until(not_after)),
            Err(refusal) => {
                let problem = format!("{label} {}", refusal.problem);
                lookup.fault(place.clone(), problem, refusal.remedy);
                None
            }
        }
    });
    keyed.collect()
}

/// A secret that is a table: its text and its end.
fn item_of(lookup: &mut Lookup<'_>, mut item: Section) -> Option<(SecretString, Option<DateTime<Utc>>)> {
    let faults = lookup.faults.len();
    let text = secret_text(lookup, &mut item, "value");
    let not_after = not_after(lookup, &mut item);
    if text.is_none() && lookup.faults.len() == faults {
        item.fault(lookup, "value", Refusal::new("not set", "Set value, value_env or value_file."));
    }
    item.finish(lookup);
    text.map(|text| (text, not_after))
}

pub(super) fn secret_text(lookup: &mut Lookup<'_>, item: &mut Section, key: &str) -> Option<SecretString> {
    let direct = item.text(lookup, key).map(Into::into);
    let name = item.text(lookup, &format!("{key}_env"));
    let of_environment =
        name.and_then(|name| lookup.variable(&item.place(&format!("{key}_env")), &name)).map(Into::into);
    let path = item.text(lookup, &format!("{key}_file"));
    let of_file = path
        .and_then(|path| lookup.secret_in_file(&item.place(&format!("{key}_file")), &path))
        .map(Into::into);
    direct.or(of_environment).or(of_file)
}

fn not_after(lookup: &mut Lookup<'_>, item: &mut Section) -> Option<DateTime<Utc>> {
    let value = item.values("not_after").into_iter().next()?;
    let text = match value {
        Value::String(text) => text,
        Value::Datetime(at) => at.to_string(),
        other => other.type_str().to_owned(),
    };
    let read = DateTime::parse_from_rfc3339(&text).map(|at| at.to_utc());
    if read.is_err() {
        let remedy = "Write date, time and offset: 2026-12-31T23:59:59Z.";
        item.fault(lookup, "not_after", Refusal::new(format!("`{text}` is not a time"), remedy));
    }
    read.ok()
}

/// The bytes that sign. A refusal does not repeat the text.
fn key_of(text: &SecretString, format: &SecretFormat) -> Result<Vec<u8>, Refusal> {
    let mut bare = text.expose_secret();
    if !format.base64 {
        return Ok(bare.as_bytes().to_vec());
    }
    for prefix in &format.strip {
        bare = bare.strip_prefix(prefix.as_str()).unwrap_or(bare);
    }
    match STANDARD.decode(bare) {
        Ok(key) if !key.is_empty() => Ok(key),
        _ => Err(Refusal::new(
            "is not base64",
            "Copy it again; a secret that is plain text needs auth.secret_format = \"text\".",
        )),
    }
}
