//! Checks of the database.

use sqlx::PgPool;

use super::Check;
use crate::clock;
use crate::store::health::{facts, newest_migration};
use crate::store::migrations;
use crate::store::shops::count_states;

const NAME: &str = "database";
/// The oldest Postgres that everything was tried with.
const OLDEST: i32 = 140_000;
/// Tokens and signatures go by the one clock, the queue by the other.
const SKEW_SECONDS: i64 = 60;

pub(super) async fn look(pool: &PgPool) -> Vec<Check> {
    match ask(pool).await {
        Ok(checks) => checks,
        Err(error) => {
            vec![Check::failed(NAME, error.to_string(), "Check DATABASE_URL and the server's log.")]
        }
    }
}

async fn ask(pool: &PgPool) -> Result<Vec<Check>, sqlx::Error> {
    let mut connection = pool.acquire().await?;
    let facts = facts(&mut connection).await?;
    let mut checks = Vec::new();
    let version = format!("Postgres {}.{}", facts.version_num / 10_000, facts.version_num % 10_000);
    if facts.version_num < OLDEST {
        checks.push(Check::failed(NAME, version, "Use Postgres 14 or newer."));
    } else {
        checks.push(Check::ok(NAME, version));
    }
    if facts.fsync != "on" {
        let finding = "fsync is off: what was answered 200 can be lost with the machine";
        checks.push(Check::failed(NAME, finding, "Set fsync = on in postgresql.conf."));
    }
    let skew = (clock::system().now() - facts.now).num_seconds();
    if skew.abs() > SKEW_SECONDS {
        let finding = format!("this machine's clock is {skew} s ahead of the database's");
        checks.push(Check::warning("clock", finding, "Set both right (NTP)."));
    } else {
        checks.push(Check::ok("clock", "this machine and the database agree"));
    }
    let newest = migrations().last().map_or(0, |(version, _, _)| *version);
    let applied = if facts.migrated { newest_migration(&mut connection).await? } else { 0 };
    if i64::from(applied) == newest {
        checks.push(Check::ok("migrations", format!("up to number {applied}, none missing")));
    } else {
        let finding = format!("up to number {applied}, the newest is {newest}");
        checks.push(Check::failed("migrations", finding, "Run `pushbox migrate`, or start `pushbox serve`."));
        return Ok(checks);
    }
    for (state, shops) in count_states(&mut connection).await? {
        checks.push(match state.as_str() {
            "reauthorize" => Check::failed(
                "shops",
                format!("{shops} to be authorized again"),
                "pushbox shopee authorize; the alerts say which",
            ),
            state => Check::ok("shops", format!("{shops} {state}")),
        });
    }
    Ok(checks)
}
