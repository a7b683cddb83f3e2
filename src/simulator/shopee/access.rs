//! Common parameters: who calls, signed how, with which token.

use std::collections::BTreeMap;

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use super::{Kind, Refusal};
use crate::simulator::state::shopee::ShopeeWorld;

/// How far the caller's clock may be off, seconds.
const CLOCK_TOLERANCE: i64 = 300;

/// HMAC-SHA256 in lower-case hexadecimal digits.
pub(super) fn hmac_hex(key: &str, message: &[u8]) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(key.as_bytes()).expect("HMAC takes a key of any length");
    mac.update(message);
    hex::encode(mac.finalize().into_bytes())
}

/// The signature of an API call: `partner_id + path + timestamp`, and for a shop's call
/// `+ access_token + shop_id`.
pub fn sign_call(
    partner_key: &str,
    partner_id: i64,
    path: &str,
    timestamp: i64,
    shop: Option<(&str, i64)>,
) -> String {
    let mut base = format!("{partner_id}{path}{timestamp}");
    if let Some((access_token, shop_id)) = shop {
        base.push_str(access_token);
        base.push_str(&shop_id.to_string());
    }
    hmac_hex(partner_key, base.as_bytes())
}

/// Checks the common parameters; the partner and, for a shop's call, the shop.
pub(super) fn check(
    shopee: &ShopeeWorld,
    kind: Kind,
    path: &str,
    query: &BTreeMap<String, String>,
    now_ms: i64,
) -> Result<(i64, i64), Refusal> {
    let text = |name: &str| {
        let missing = || Refusal::param(format!("There is no {name} in query."));
        query.get(name).filter(|value| !value.is_empty()).ok_or_else(missing)
    };
    let integer =
        |name: &str| text(name)?.parse::<i64>().map_err(|_| Refusal::param(format!("Invalid {name}.")));
    let partner_id = integer("partner_id")?;
    let app = shopee
        .apps
        .get(&partner_id)
        .ok_or_else(|| Refusal::new("invalid_partner_id", "Invalid partner_id."))?;
    let timestamp = integer("timestamp")?;
    if (now_ms / 1000 - timestamp).abs() > CLOCK_TOLERANCE {
        return Err(Refusal::param("Timestamp is expired."));
    }
    let shop = match kind {
        Kind::Public => None,
        Kind::Shop => Some((text("access_token")?.as_str(), integer("shop_id")?)),
    };
    let expected = sign_call(&app.partner_key, partner_id, path, timestamp, shop);
    // A call that names a shop and a merchant is reported as wrongly signed, too.
    if *text("sign")? != expected || query.contains_key("merchant_id") {
        return Err(Refusal::new("error_sign", "Wrong sign."));
    }
    let Some((access_token, shop_id)) = shop else { return Ok((partner_id, 0)) };
    let shop = shopee
        .shops
        .get(&shop_id)
        .filter(|shop| shop.partner_id == partner_id)
        .ok_or_else(|| Refusal::new("error_auth", "Invalid partner_id or shopid."))?;
    if shop.expire_time <= now_ms / 1000 {
        return Err(Refusal::new("shop_no_linked", "The shop is not linked to this partner."));
    }
    if !shop.access.iter().any(|one| one.token == access_token && now_ms < one.until_ms) {
        return Err(Refusal::new("invalid_acceess_token", "Invalid access_token."));
    }
    Ok((partner_id, shop_id))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_base_string_is_the_published_one() {
        let published = "2001887/api/v2/public/get_shops_by_partner1655714431";
        let signed = sign_call("key", 2_001_887, "/api/v2/public/get_shops_by_partner", 1_655_714_431, None);
        assert_eq!(signed, hmac_hex("key", published.as_bytes()));
    }

    #[test]
    fn hmac_is_the_one_of_rfc_4231() {
        assert_eq!(
            hmac_hex("Jefe", b"what do ya want for nothing?"),
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
        );
    }
}
