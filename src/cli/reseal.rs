//! `pushbox reseal`: the second step of changing `ENCRYPTION_KEY`.

use std::path::Path;

use anyhow::Context;

use crate::app::Database;
use crate::cli::{Failure, Outcome, block_on, load};
use crate::config::Roles;
use crate::domain::seal::{Resealed, Sealer, setting_place, token_place};
use crate::store::settings::{list_settings, reseal_setting};
use crate::store::shop_lists::{SealedShop, replace_sealed, sealed_after};

/// Shops that are read at once.
const BATCH: i64 = 100;

/// Seal all tokens and secret settings with the first key of `ENCRYPTION_KEY`
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
How to change the key without a moment in which a token cannot be read:
  1. Set ENCRYPTION_KEY to the new key and the old one, separated by a comma, and restart every
     process: they seal with the first key and open with both.
  2. pushbox reseal
  3. Set ENCRYPTION_KEY to the new key alone, and restart every process.

Shops are done one by one: stopped in the middle, it can be run again, and tokens that are
refreshed meanwhile are left to whoever refreshes them. Tokens stored without a key are sealed
too. Refused pushes that are kept for a second look stay with the key of before, which opens
them for REJECTION_BODY_RETENTION: take step 3 after that if you may still want to accept one.
Exit code 1 when a token can be opened with none of the keys; the others are done all the same.

Examples:
  pushbox keygen
  pushbox reseal")]
pub(super) struct Arguments {}

#[derive(Debug, Default)]
struct Tally {
    done: u64,
    fresh: u64,
    lost: Vec<String>,
}

#[expect(clippy::print_stdout, reason = "what a person asked for")]
pub(super) fn run(_: &Arguments, config: Option<&Path>) -> Outcome {
    let config = load(config, &Roles::none())?.config;
    if config.encryption_key.is_none() {
        return Err(Failure::Usage("ENCRYPTION_KEY is not set: there is nothing to seal with".to_owned()));
    }
    block_on(async {
        let sealer = Sealer::with_old(config.encryption_key.as_ref(), &config.old_encryption_keys)
            .context("ENCRYPTION_KEY")?;
        let database = Database::attach(&config.database, "reseal").await?;
        let resealed = reseal(&database, &sealer).await;
        database.close().await;
        let Tally { done, fresh, lost } = resealed.context("the database")?;
        println!("{done} shops sealed anew, {fresh} were already");
        if lost.is_empty() {
            return Ok(());
        }
        let shops = lost.join(", ");
        Err(Failure::Failed(anyhow::anyhow!(
            "none of the keys opens what is kept of {shops}: list the key that sealed it, or authorize the shop, or change \
             the setting, again"
        )))
    })
}

async fn reseal(database: &Database, sealer: &Sealer) -> Result<Tally, sqlx::Error> {
    let mut tally = Tally::default();
    let mut connection = database.pool().acquire().await?;
    let mut after = (String::new(), String::new());
    loop {
        let shops = sealed_after(&mut connection, (&after.0, &after.1), BATCH).await?;
        let Some(last) = shops.last() else { break };
        after = (last.platform.clone(), last.shop_id.clone());
        for shop in &shops {
            let (Ok(access), Ok(refresh)) = (
                anew(sealer, shop, shop.access_token.as_deref(), "access"),
                anew(sealer, shop, shop.refresh_token.as_deref(), "refresh"),
            ) else {
                tally.lost.push(format!("{}:{}", shop.platform, shop.shop_id));
                continue;
            };
            if access.is_none() && refresh.is_none() {
                tally.fresh += 1;
                continue;
            }
            let access = access.or_else(|| shop.access_token.clone());
            let refresh = refresh.or_else(|| shop.refresh_token.clone());
            let replaced =
                replace_sealed(&mut connection, shop, access.as_deref(), refresh.as_deref()).await?;
            // Renewed meanwhile: by a process that seals with the first key, if step 1 was done.
            if replaced { tally.done += 1 } else { tally.fresh += 1 }
        }
    }
    for setting in list_settings(&mut *connection).await?.into_iter().filter(|one| one.sealed) {
        match sealer.reseal(&setting.value, &setting_place(&setting.name)) {
            Ok(Resealed::AsItWas) => {}
            // Changed meanwhile: sealed with the first key already.
            Ok(Resealed::Anew(value)) => {
                let _replaced = reseal_setting(&mut connection, &setting, &value).await?;
            }
            Err(_) => tally.lost.push(format!("setting {}", setting.name)),
        }
    }
    Ok(tally)
}

/// The token sealed anew; none: it is as it should be.
fn anew(
    sealer: &Sealer,
    shop: &SealedShop,
    token: Option<&str>,
    which: &str,
) -> Result<Option<String>, crate::domain::seal::SealError> {
    let Some(token) = token else { return Ok(None) };
    let place = token_place(&shop.platform, &shop.shop_id, which);
    Ok(match sealer.reseal(token, &place)? {
        Resealed::Anew(token) => Some(token),
        Resealed::AsItWas => None,
    })
}
