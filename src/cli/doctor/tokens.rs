//! Checks of the shops' tokens: can they be opened, and how are they kept.

use sqlx::PgPool;

use super::Check;
use crate::config::Config;
use crate::domain::seal::{Sealer, token_place};
use crate::store::shop_lists::{SealedShop, sealed_after};

const NAME: &str = "shop tokens";
/// Shops that are read at once.
const BATCH: i64 = 500;

pub(super) async fn look(config: &Config, pool: &PgPool) -> Vec<Check> {
    let Ok(sealer) = Sealer::with_old(config.encryption_key.as_ref(), &config.old_encryption_keys) else {
        return Vec::new();
    };
    match read(pool).await {
        Ok(shops) => checks(config, &sealer, &shops),
        // A database without its tables has a finding of its own.
        Err(_) => Vec::new(),
    }
}

async fn read(pool: &PgPool) -> Result<Vec<SealedShop>, sqlx::Error> {
    let mut connection = pool.acquire().await?;
    let mut all: Vec<SealedShop> = Vec::new();
    loop {
        let after = all.last().map_or(("", ""), |last| (last.platform.as_str(), last.shop_id.as_str()));
        let page = sealed_after(&mut connection, after, BATCH).await?;
        if page.is_empty() {
            return Ok(all);
        }
        all.extend(page);
    }
}

fn checks(config: &Config, sealer: &Sealer, shops: &[SealedShop]) -> Vec<Check> {
    let mut checks = Vec::new();
    let tokens = |shop: &SealedShop| {
        [(shop.access_token.clone(), "access"), (shop.refresh_token.clone(), "refresh")]
            .into_iter()
            .filter_map(|(token, which)| Some((token?, which)))
            .collect::<Vec<_>>()
    };
    let closed = |shop: &&SealedShop| {
        let place = |which| token_place(&shop.platform, &shop.shop_id, which);
        tokens(shop).iter().any(|(token, which)| sealer.open(token, &place(which)).is_err())
    };
    let closed: Vec<&str> = shops.iter().filter(closed).map(|shop| shop.shop_id.as_str()).collect();
    if !closed.is_empty() {
        checks.push(Check::failed(
            NAME,
            format!("tokens that cannot be opened with ENCRYPTION_KEY: of shops {}", closed.join(", ")),
            "List the key that sealed them behind the new one, see pushbox reseal --help; or authorize the shops again.",
        ));
    }
    if !config.old_encryption_keys.is_empty() {
        checks.push(Check::ok(NAME, "ENCRYPTION_KEY lists keys of before; after pushbox reseal they can go"));
    }
    let plain = |shop: &&SealedShop| tokens(shop).iter().any(|(token, _)| token.starts_with("plain:"));
    let plain = shops.iter().filter(plain).count();
    if plain > 0 && config.encryption_key.is_some() {
        checks.push(Check::warning(
            NAME,
            format!("tokens of {plain} shops were stored without a key"),
            "They are sealed with their next refresh, or at once with pushbox reseal.",
        ));
    }
    if checks.is_empty() && !shops.is_empty() {
        checks.push(Check::ok(NAME, format!("the tokens of {} shops can be opened", shops.len())));
    }
    checks
}
