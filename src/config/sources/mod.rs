//! Reads `[[sources]]`: a preset, and over it what the source sets itself, key by key.
//!
//! The presets are written in the same spelling (`presets.toml`) and read by the same code, so that whatever
//! a preset can say, a source of one's own can say, too.

mod api;
mod auth;
mod section;

use std::collections::BTreeSet;
use std::time::Duration;

use chrono::TimeDelta;
use secrecy::SecretString;
use toml::{Table, Value};

use self::section::Section;
use crate::config::fault::Refusal;
use crate::config::lookup::Lookup;
use crate::config::roles::{Role, Roles};
use crate::config::{PlatformApi, parse};
use crate::domain::sources::{
    Account, Ack, AuthKind, BasePart, Form, Id, IdSource, PayloadKind, Picker, Rules, Scope, Secret,
    Selector, Source, Time, TimeUnit,
};

const PRESETS: &str = include_str!("presets.toml");

/// The names of the presets.
pub const PRESET_NAMES: &[&str] =
    &["shopee", "shoplazza", "shopery", "omisell", "shopify", "lazada", "tiktok_shop", "standard_webhooks"];

/// What a source may set. Tables may set what their reader asks for.
const KEYS: &[&str] = &[
    "name",
    "preset",
    "variant",
    "platform",
    "url",
    "networks",
    "auth",
    "time",
    "event",
    "account",
    "subject",
    "id",
    "ack",
    "headers",
    "limits",
    "api",
    "subscriptions",
    "deadline_ms",
    "horizon_s",
    "payload",
];

/// Every source: Shopee of the settings, where it is set, then those of the file.
pub(super) fn sources(
    lookup: &mut Lookup<'_>,
    roles: &Roles,
    shopee: Option<Source>,
) -> (Vec<Source>, Vec<PlatformApi>) {
    let mut apis = Vec::new();
    let mut sources: Vec<Source> = shopee.into_iter().collect();
    let mut names: BTreeSet<String> = sources.iter().map(|one| one.name.clone()).collect();
    for (label, table) in std::mem::take(&mut lookup.file.sources) {
        let before = lookup.faults.len();
        let (source, api) = source(lookup, &label, table, roles);
        apis.extend(api);
        if !names.insert(source.name.clone()) && lookup.faults.len() == before {
            let remedy = if source.name == "shopee" {
                "Shopee of WEBHOOK_PARTNER_KEY and CALLBACK_URL has this name: give this one another."
            } else {
                "Give each source a name of its own."
            };
            lookup.fault(format!("{label} name"), format!("`{}` is taken", source.name), remedy);
        }
        sources.push(source);
    }
    (sources, apis)
}

/// A preset as it stands, with these secrets and this address: for Shopee, whose settings have names of
/// their own, and for tests.
pub(super) fn shopee_source(
    secrets: &[SecretString],
    hint: Option<&SecretString>,
    url: Option<&str>,
    forms: Vec<Form>,
    networks: &[ipnet::IpNet],
) -> Source {
    let mut lookup = Lookup::new_for_presets();
    let table = Table::from_iter([("preset".to_owned(), Value::from("shopee"))]);
    let (mut source, _) = source(&mut lookup, "shopee", table, &Roles::none());
    source.url = url.map(str::to_owned);
    source.auth.forms = forms;
    source.networks = networks.to_vec();
    let several = secrets.len() > 1;
    source.auth.secrets = secrets
        .iter()
        .enumerate()
        .map(|(at, secret)| {
            let number = if several { format!(" (number {})", at + 1) } else { String::new() };
            Secret::text(format!("WEBHOOK_PARTNER_KEY{number}"), secret)
        })
        .collect();
    let hint = hint
        .map(|key| Secret::text("PARTNER_KEY (Shopee signs pushes with the push key, not the API key)", key));
    source.auth.hints = hint.into_iter().collect();
    source
}

fn source(lookup: &mut Lookup<'_>, label: &str, own: Table, roles: &Roles) -> (Source, Option<PlatformApi>) {
    let own_base = own.get("auth").and_then(|auth| auth.get("base")).is_some();
    let (table, preset) = over_preset(lookup, label, own);
    let mut top = Section::new(label, "", table);
    let name = top.text(lookup, "name").or_else(|| preset.clone());
    let name = name.map(|name| (name_of(&name), name));
    let name = match name {
        Some((Ok(()), name)) => name,
        Some((Err(refusal), name)) => {
            top.fault(lookup, "name", refusal);
            name
        }
        None => {
            let remedy = "Name it: the name is part of its address, /webhook/{name}.";
            top.fault(lookup, "name", Refusal::new("not set", remedy));
            String::new()
        }
    };
    let own_rules = top.text(lookup, "rules").as_deref() == Some("shopee");
    let url = top.parsed(lookup, "url", parse::callback_url);
    let auth = auth::auth(lookup, &mut top, roles.has(Role::Receiver));
    let mut source = Source {
        platform: top.text(lookup, "platform").unwrap_or_else(|| name.clone()),
        name,
        rules: if own_rules { Rules::Shopee } else { Rules::Declared },
        url,
        auth,
        time: time(lookup, &mut top),
        event: selectors(lookup, &mut top, "event"),
        account: account(lookup, &mut top),
        subject: selectors(lookup, &mut top, "subject"),
        id: id(lookup, &mut top),
        ack: ack(lookup, &mut top),
        deadline: top.number(lookup, "deadline_ms", 50, 600_000).map(Duration::from_millis),
        horizon: top.number(lookup, "horizon_s", 1, 31_536_000).map(seconds),
        payload: top
            .choice(lookup, "payload", &[("full", PayloadKind::Full), ("thin", PayloadKind::Thin)])
            .unwrap_or(PayloadKind::Full),
        body_limit: None,
        networks: Vec::new(),
        keep_headers: Vec::new(),
        picker: Picker::default(),
    };
    let mut limits = top.section(lookup, "limits");
    source.body_limit = limits.parsed(lookup, "body_bytes", parse::bytes);
    limits.finish(lookup);
    let networks =
        top.list(lookup, "networks", |text| parse::networks(text).map_err(|refusal| refusal.problem));
    source.networks = networks.into_iter().flatten().collect();
    let mut headers = top.section(lookup, "headers");
    source.keep_headers = headers.list(lookup, "keep", crate::domain::sources::header_name);
    headers.finish(lookup);
    let api = api::api(lookup, &mut top, &source);
    top.finish(lookup);
    whole(lookup, label, &source, own_base);
    (source.prepared(), api)
}

/// The source's own table laid over its preset's, and the preset's name.
fn over_preset(lookup: &mut Lookup<'_>, label: &str, mut own: Table) -> (Table, Option<String>) {
    for key in own.keys().filter(|key| !KEYS.contains(&key.as_str())).cloned().collect::<Vec<_>>() {
        lookup.unknown(label, &key, KEYS);
        own.remove(&key);
    }
    let mut presets: Table = PRESETS.parse().expect("the presets are TOML, which a test checks");
    let preset = own.remove("preset").and_then(|value| value.as_str().map(|name| name.replace('-', "_")));
    let variant = own.remove("variant").and_then(|value| value.as_str().map(str::to_ascii_lowercase));
    let Some(preset) = preset else {
        if variant.is_some() {
            lookup.fault(format!("{label} variant"), "there is no preset", "Name the preset as well.");
        }
        return (own, None);
    };
    let Some(Value::Table(mut table)) = presets.remove(&preset) else {
        let remedy = parse::nearest(&preset, PRESET_NAMES.iter().copied()).map_or_else(
            || format!("Choose from {}, or leave it out and declare everything.", PRESET_NAMES.join(", ")),
            |name| format!("Did you mean `{name}`?"),
        );
        lookup.fault(format!("{label} preset"), format!("`{preset}` is unknown"), remedy);
        return (own, None);
    };
    let variants = match table.remove("variants") {
        Some(Value::Table(variants)) => variants,
        _ => Table::new(),
    };
    if let Some(variant) = variant {
        if let Some(Value::Table(chosen)) = variants.get(&variant) {
            merge(&mut table, chosen.clone());
        } else {
            let names: Vec<&str> = variants.keys().map(String::as_str).collect();
            let remedy = if names.is_empty() {
                "Remove it.".to_owned()
            } else {
                format!("Choose from {}.", names.join(", "))
            };
            lookup.fault(
                format!("{label} variant"),
                format!("`{preset}` has no variant `{variant}`"),
                remedy,
            );
        }
    }
    merge(&mut table, own);
    (table, Some(preset))
}

/// Values of `over` win; tables are merged key by key. Another kind of proof forgets what belongs to the
/// preset's.
fn merge(under: &mut Table, over: Table) {
    for (key, value) in over {
        match (under.get_mut(&key), value) {
            (Some(Value::Table(under)), Value::Table(over)) => merge(under, over),
            (_, value) => {
                under.insert(key, value);
            }
        }
    }
    if under.get("kind").and_then(Value::as_str) == Some("static") {
        for key in ["base", "encoding"] {
            under.remove(key);
        }
    }
}

/// Checks across a source.
fn whole(lookup: &mut Lookup<'_>, label: &str, source: &Source, own_base: bool) {
    let uses = |part: &BasePart| source.auth.forms.iter().any(|form| form.base.contains(part));
    if uses(&BasePart::Url) && source.url.is_none() {
        lookup.fault(
            format!("{label} url"),
            "not set; it is part of what is signed",
            "Write the callback URL byte for byte as it is configured at the platform.",
        );
    }
    let params = source.auth.forms.iter().flat_map(|form| &form.base).filter_map(|part| match part {
        BasePart::Param(name) => Some(name),
        _ => None,
    });
    for name in params.collect::<BTreeSet<_>>() {
        if !source.auth.params.iter().any(|(known, _)| known == name) {
            lookup.fault(
                format!("{label} auth.params.{name}"),
                "not set; it is part of what is signed",
                format!("Write auth.params = {{ {name} = \"...\" }}."),
            );
        }
    }
    if source.time.tolerance.is_some() {
        let signed = source.time.source.iter().all(|one| match one {
            Selector::Header(name) => uses(&BasePart::Header(name.clone())),
            Selector::Json(_) => uses(&BasePart::Body),
            _ => false,
        });
        if source.time.source.is_empty() || !signed {
            let problem = "the time is not signed, so a tolerance protects from nothing";
            lookup.fault(format!("{label} time.tolerance_s"), problem, "Remove it, or sign the time.");
        }
    }
    if source.horizon.is_some_and(|horizon| horizon > source.id.retain) {
        let problem = "shorter than horizon_s: a late retry would become a second event";
        let remedy = "Make it at least as long; twice as long is better.";
        lookup.fault(format!("{label} id.retain_s"), problem, remedy);
    }
    if own_base && source.auth.kind != AuthKind::Static && !uses(&BasePart::Body) {
        let problem = "the body is not among the parts: anything could be sent under one signature";
        lookup.fault(format!("{label} auth.base"), problem, "Add \"body\".");
    }
}

fn time(lookup: &mut Lookup<'_>, top: &mut Section) -> Time {
    let mut section = top.section(lookup, "time");
    let units = [
        ("s", TimeUnit::Seconds),
        ("ms", TimeUnit::Millis),
        ("rfc3339", TimeUnit::Rfc3339),
        ("auto", TimeUnit::Auto),
    ];
    let time = Time {
        source: section
            .list(lookup, "source", |text| match text {
                "none" => Ok(None),
                text => text.parse::<Selector>().map(Some),
            })
            .into_iter()
            .flatten()
            .collect(),
        unit: section.choice(lookup, "unit", &units).unwrap_or_default(),
        tolerance: section.number(lookup, "tolerance_s", 1, 31_536_000).map(seconds),
    };
    section.finish(lookup);
    time
}

fn account(lookup: &mut Lookup<'_>, top: &mut Section) -> Account {
    let mut section = top.section(lookup, "account");
    let source = section.list(lookup, "source", str::parse);
    let check = section.parsed(lookup, "check", |text| {
        text.parse().map_err(|problem: String| Refusal::new(problem, "Write for example header:X-Shop."))
    });
    let bound = section.map_if_table(lookup, "expect");
    let expect =
        if bound.is_some() { Vec::new() } else { section.list(lookup, "expect", |text| Ok(text.to_owned())) };
    section.finish(lookup);
    Account { source, check, expect, bound: bound.unwrap_or_default() }
}

fn id(lookup: &mut Lookup<'_>, top: &mut Section) -> Id {
    const WEEK: u64 = 7 * 24 * 60 * 60;
    let mut section = top.section(lookup, "id");
    let scopes = [("source", Scope::Source), ("account", Scope::Account), ("event", Scope::Event)];
    let id = Id {
        source: section.list(lookup, "source", str::parse::<IdSource>),
        scope: section.list(lookup, "scope", |text| {
            let known = scopes.iter().find(|(name, _)| *name == text).map(|(_, scope)| *scope);
            known.ok_or_else(|| format!("`{text}` is none of source, account, event"))
        }),
        retain: seconds(section.number(lookup, "retain_s", 60, 31_536_000).unwrap_or(WEEK)),
    };
    section.finish(lookup);
    id
}

fn ack(lookup: &mut Lookup<'_>, top: &mut Section) -> Ack {
    let mut section = top.section(lookup, "ack");
    let status =
        |section: &mut Section, lookup: &mut Lookup<'_>, key: &str, least: u64, most: u64, default| {
            section
                .number(lookup, key, least, most)
                .and_then(|number| u16::try_from(number).ok())
                .unwrap_or(default)
        };
    let defaults = Ack::default();
    let ack = Ack {
        ok: status(&mut section, lookup, "ok", 200, 299, defaults.ok),
        bad_auth: status(&mut section, lookup, "bad_auth", 400, 599, defaults.bad_auth),
        unavailable: status(&mut section, lookup, "unavailable", 500, 599, defaults.unavailable),
        body: section.text(lookup, "body").filter(|text| text != "empty").unwrap_or_default(),
    };
    section.finish(lookup);
    ack
}

/// The selectors of a table that has only them.
fn selectors(lookup: &mut Lookup<'_>, top: &mut Section, name: &str) -> Vec<Selector> {
    let mut section = top.section(lookup, name);
    let selectors = section.list(lookup, "source", str::parse);
    section.finish(lookup);
    selectors
}

fn seconds(count: u64) -> TimeDelta {
    TimeDelta::seconds(i64::try_from(count).unwrap_or(i64::MAX / 1000))
}

fn name_of(name: &str) -> Result<(), Refusal> {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '_' | '-');
    if (1..=40).contains(&name.len()) && name.chars().all(plain) {
        return Ok(());
    }
    Err(Refusal::new(format!("`{name}` cannot be part of an address"), "Use up to 40 of a-z, 0-9, - and _."))
}

#[cfg(test)]
mod tests;
