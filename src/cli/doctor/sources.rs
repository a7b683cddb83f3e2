//! Checks of the sources: what each verifies, and which of its keys are in use.

use chrono::{DateTime, TimeDelta, Utc};
use sqlx::PgPool;

use super::Check;
use crate::clock;
use crate::config::Config;
use crate::domain::sources::{AuthKind, Source};
use crate::store::sources::{KeyUse, list_keys};

const NAME: &str = "sources";
/// Longer than any platform tries again with the key it had.
const UNUSED: TimeDelta = TimeDelta::days(4);

/// What can be said without the database.
pub(super) fn described_all(config: &Config) -> Vec<Check> {
    let port = config.listen.port();
    let lines = config.sources.iter().flat_map(|source| [described(source), trial(source, port)]);
    lines.map(|line| Check::ok(NAME, line)).collect()
}

pub(super) async fn look(config: &Config, pool: &PgPool) -> Vec<Check> {
    // Before the migrations there is no table, which another check says.
    let noted = list_keys(pool).await.unwrap_or_default();
    let now = clock::system().now();
    config.sources.iter().flat_map(|source| of_source(source, &noted, now)).collect()
}

fn of_source(source: &Source, noted: &[KeyUse], now: DateTime<Utc>) -> Vec<Check> {
    let mut checks = Vec::new();
    let last_use = |fingerprint: &str| {
        let found = noted.iter().find(|one| one.source == source.name && one.fingerprint == fingerprint);
        found.map(|one| one.last_used_at)
    };
    let newest = source.auth.secrets.first().and_then(|secret| last_use(&secret.fingerprint()));
    for (at, secret) in source.auth.secrets.iter().enumerate() {
        let (label, name) = (&secret.label, &source.name);
        if !secret.is_good(now) {
            let finding = format!("{name}: {label} has expired");
            checks.push(Check::warning(NAME, finding, "Remove it: it proves nothing any more."));
        } else if at > 0 {
            checks.push(match (last_use(&secret.fingerprint()), newest) {
                (Some(last), newest) if newest.is_none_or(|newest| newest - last < UNUSED) => Check::ok(
                    NAME,
                    format!("{name}: {label}, an old one, last proved a push at {}", to_the_minute(last)),
                ),
                (last, Some(newest)) if now - newest < UNUSED => {
                    let last = last.map_or("is not used".to_owned(), |last| {
                        format!("was last used at {}", to_the_minute(last))
                    });
                    let finding = format!("{name}: {label} {last}, the first is");
                    Check::warning(NAME, finding, "Remove it when the rotation is over.")
                }
                _ => Check::ok(NAME, format!("{name}: {label}, an old one, proved no push yet")),
            });
        }
    }
    checks
}

fn to_the_minute(at: DateTime<Utc>) -> String {
    at.format("%Y-%m-%d %H:%M UTC").to_string()
}

/// What a source verifies, and what to know about it.
fn described(source: &Source) -> String {
    let networks: Vec<String> = source.networks.iter().map(ToString::to_string).collect();
    let only =
        if networks.is_empty() { String::new() } else { format!("; only from {}", networks.join(", ")) };
    let again = source.horizon.map(|horizon| format!("; tries again for {} minutes", horizon.num_minutes()));
    let unsigned = if source.signs_its_id() {
        ""
    } else {
        "; its ids are not signed, so a captured push can come again: possible replays are flagged"
    };
    let verifies = source.auth.described();
    format!("{0} at /webhook/{0}: {verifies}{only}{1}{unsigned}", source.name, again.unwrap_or_default())
}

/// How to try it.
fn trial(source: &Source, port: u16) -> String {
    let url =
        source.url.clone().unwrap_or_else(|| format!("http://127.0.0.1:{port}/webhook/{}", source.name));
    match source.auth.kind {
        AuthKind::Static => {
            format!("try it: curl -X POST {url} -H \"{}: $SECRET\" -d '{{}}'", source.auth.header)
        }
        AuthKind::Hmac => format!("try it: pushbox send --source {} --url {url}", source.name),
        AuthKind::Ed25519 => "only its platform can sign for it: press its button for a test".to_owned(),
    }
}
