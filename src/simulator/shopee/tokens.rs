//! Tokens, and who authorized the app.

use serde_json::{Map, Value, json};

use super::{Answer, Call, Outcome, Refusal};
use crate::simulator::shared::Tx;
use crate::simulator::state::shopee::{MainAccount, Shop, ShopeeChange, Token, TokenPair};

/// Seconds that an access token lives.
const ACCESS_SECONDS: u32 = 4 * 3600;
/// Seconds that a refresh token lives.
const REFRESH_SECONDS: u32 = 30 * 24 * 3600;
/// Seconds that the access token before keeps after a refresh.
const OLD_ACCESS_SECONDS: u32 = 300;
/// Seconds that the refresh token spent last would return the same pair again.
const SPENT_SECONDS: u32 = 4 * 3600;

/// `POST /api/v2/auth/token/get`
pub(super) fn exchange_code(call: &Call, tx: &mut Tx<'_>) -> Outcome {
    same_partner(call)?;
    let code =
        call.body["code"].as_str().ok_or_else(|| Refusal::param("Missing required parameter: code."))?;
    let now_ms = tx.now_ms;
    let known = tx.shopee.codes.get(code).filter(|known| now_ms < known.until_ms);
    let Some(known) = known.filter(|known| known.partner_id == call.partner_id) else {
        return Err(Refusal::new("invalid_code", "Invalid code."));
    };
    if let Some(main) = known.main_account.clone() {
        return exchange_main_code(call, tx, code, &main);
    }
    let shop_id = subject(call)?;
    if known.shop_id != shop_id {
        return Err(Refusal::new("invalid_shop_id", "Invalid shop_id."));
    }
    let code = code.to_owned();
    let pair = issue(tx, shop_id, Some(code));
    Ok(flat(call, shop_id, &pair))
}

/// One pair for all shops of the account; each gets its own with its first refresh.
fn exchange_main_code(call: &Call, tx: &mut Tx<'_>, code: &str, main: &MainAccount) -> Outcome {
    if call.body["main_account_id"].as_i64() != Some(main.id) {
        return Err(Refusal::new("invalid_main_acount_id", "Invalid main_account_id."));
    }
    let (now_ms, code) = (tx.now_ms, code.to_owned());
    let access = Token { token: tx.token(32), until_ms: now_ms + tx.shared.scaled_ms(ACCESS_SECONDS) };
    let refresh = Token { token: tx.token(32), until_ms: now_ms + tx.shared.scaled_ms(REFRESH_SECONDS) };
    for shop_id in &main.shops {
        tx.record(ShopeeChange::TokensIssued {
            shop_id: *shop_id,
            access: access.clone(),
            refresh: refresh.clone(),
            old_access_until_ms: now_ms,
            spent_until_ms: now_ms,
            code: Some(code.clone()),
        });
    }
    Ok(fields(json!({
        "partner_id": call.partner_id, "shop_id_list": main.shops, "merchant_id_list": [],
        "access_token": access.token, "refresh_token": refresh.token, "expire_in": ACCESS_SECONDS,
    })))
}

/// `POST /api/v2/auth/access_token/get`
pub(super) fn refresh(call: &Call, tx: &mut Tx<'_>) -> Outcome {
    same_partner(call)?;
    let token = call.body["refresh_token"]
        .as_str()
        .ok_or_else(|| Refusal::param("Missing required parameter: refresh_token."))?;
    let shop_id = subject(call)?;
    let now_ms = tx.now_ms;
    let invalid = || Refusal::new("error_auth", "Invalid refresh_token.");
    let shop = tx.shopee.shops.get(&shop_id).filter(|shop| shop.partner_id == call.partner_id);
    let shop =
        shop.ok_or_else(|| Refusal::new("shop_no_linked", "The shop is not linked to this partner."))?;
    if shop.expire_time <= tx.now() {
        return Err(Refusal::new("shop_access_expired", "The authorization of the shop has expired."));
    }
    if let Some(pair) = graced(shop, token, now_ms).filter(|_| tx.shared.refresh_grace) {
        return Ok(flat(call, shop_id, &pair));
    }
    let current = shop.refresh.as_ref().filter(|current| current.token == token).ok_or_else(invalid)?;
    if current.until_ms <= now_ms {
        return Err(Refusal::new("refresh_token_expired", "The refresh_token has expired."));
    }
    let pair = issue(tx, shop_id, None);
    Ok(flat(call, shop_id, &pair))
}

/// The pair that a refresh token spent shortly ago was exchanged for.
fn graced(shop: &Shop, token: &str, now_ms: i64) -> Option<TokenPair> {
    shop.spent.as_ref().filter(|spent| spent.token == token && now_ms < spent.until_ms)?;
    let access = shop.access.last().filter(|access| now_ms < access.until_ms)?;
    Some(TokenPair {
        access_token: access.token.clone(),
        refresh_token: shop.refresh.as_ref()?.token.clone(),
        expire_in: ((access.until_ms - now_ms) / 1000).max(1),
    })
}

/// Issues a new pair; the access token before keeps a little time.
pub(in crate::simulator) fn issue(tx: &mut Tx<'_>, shop_id: i64, code: Option<String>) -> TokenPair {
    let (now_ms, shared) = (tx.now_ms, tx.shared);
    let access_ms = shared.scaled_ms(ACCESS_SECONDS);
    let access = Token { token: tx.token(32), until_ms: now_ms + access_ms };
    let refresh = Token { token: tx.token(32), until_ms: now_ms + shared.scaled_ms(REFRESH_SECONDS) };
    let pair = TokenPair {
        access_token: access.token.clone(),
        refresh_token: refresh.token.clone(),
        expire_in: (access_ms / 1000).max(1),
    };
    tx.record(ShopeeChange::TokensIssued {
        shop_id,
        access,
        refresh,
        old_access_until_ms: now_ms + shared.scaled_ms(OLD_ACCESS_SECONDS),
        spent_until_ms: now_ms + shared.scaled_ms(SPENT_SECONDS),
        code,
    });
    pair
}

fn same_partner(call: &Call) -> Result<(), Refusal> {
    match call.body["partner_id"].as_i64() {
        Some(id) if id == call.partner_id => Ok(()),
        _ => Err(Refusal::param("partner_id of the body must be an integer and that of the query.")),
    }
}

fn subject(call: &Call) -> Result<i64, Refusal> {
    call.body["shop_id"].as_i64().ok_or_else(|| Refusal::new("invalid_shop_id", "Invalid shop_id."))
}

fn flat(call: &Call, shop_id: i64, pair: &TokenPair) -> Answer {
    fields(json!({
        "partner_id": call.partner_id,
        "shop_id": shop_id,
        "access_token": pair.access_token,
        "refresh_token": pair.refresh_token,
        "expire_in": pair.expire_in,
    }))
}

fn fields(value: Value) -> Answer {
    match value {
        Value::Object(map) => Answer::Flat(map),
        other => Answer::Flat(Map::from_iter([("value".to_owned(), other)])),
    }
}

/// `GET /api/v2/public/get_shops_by_partner`
pub(super) fn shops_by_partner(call: &Call, tx: &mut Tx<'_>) -> Outcome {
    let size = call.page_size(Some(100))?;
    let page = call.integer("page_no")?.unwrap_or(1);
    let page = usize::try_from(page).ok().filter(|page| *page >= 1);
    let skip = (page.ok_or_else(|| Refusal::param("Invalid parameter: page_no starts at 1."))? - 1) * size;
    let now = tx.now();
    let mine = |shop: &&Shop| shop.partner_id == call.partner_id && shop.expire_time > now;
    let shops: Vec<&Shop> = tx.shopee.shops.values().filter(mine).collect();
    let list: Vec<Value> = shops
        .iter()
        .skip(skip)
        .take(size)
        .map(|shop| {
            json!({"shop_id": shop.shop_id, "region": shop.region, "auth_time": shop.auth_time,
                "expire_time": shop.expire_time, "sip_affi_shop_list": []})
        })
        .collect();
    let more = skip + list.len() < shops.len();
    Ok(fields(json!({"authed_shop_list": list, "more": more})))
}

/// `GET /api/v2/public/get_shopee_ip_ranges`
#[expect(clippy::unnecessary_wraps, reason = "all handlers have one shape")]
pub(super) fn ip_ranges(_: &Call, _: &mut Tx<'_>) -> Outcome {
    Ok(fields(json!({"ip_list": ["127.0.0.0/8", "::1/128"]})))
}

/// `GET /api/v2/shop/get_shop_info`
pub(super) fn shop_info(call: &Call, tx: &mut Tx<'_>) -> Outcome {
    let shop = tx.shopee.shops.get(&call.shop_id);
    let shop = shop.ok_or_else(|| Refusal::new("error_auth", "Invalid partner_id or shopid."))?;
    Ok(fields(json!({
        "shop_name": shop.name, "region": shop.region, "status": "NORMAL", "auth_time": shop.auth_time,
        "expire_time": shop.expire_time, "is_cb": false, "sip_affi_shops": [],
    })))
}
