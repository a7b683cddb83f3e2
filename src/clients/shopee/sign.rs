//! The signature of an API v2 call: pure.

use hmac::{Hmac, KeyInit, Mac};
use secrecy::{ExposeSecret, SecretString};
use sha2::Sha256;

use crate::clients::shopee::Credentials;

/// What is signed: partner, path, time and, for a shop's calls, its token and id, without separators.
/// Neither verb nor parameters nor body are part of it.
pub fn base_string(partner_id: i64, path: &str, timestamp: i64, shop: Option<&Credentials>) -> String {
    let mut base = format!("{partner_id}{path}{timestamp}");
    if let Some(shop) = shop {
        base.push_str(shop.access_token.expose_secret());
        base.push_str(&shop.shop_id.to_string());
    }
    base
}

/// HMAC-SHA256 of the base string under the partner key as text, lower-case hex.
pub fn signature(partner_key: &SecretString, base: &str) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(partner_key.expose_secret().as_bytes())
        .expect("HMAC takes keys of any length");
    mac.update(base.as_bytes());
    hex::encode(mac.finalize().into_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base_string_is_the_documented_one() {
        assert_eq!(
            base_string(2_001_887, "/api/v2/public/get_shops_by_partner", 1_655_714_431, None),
            "2001887/api/v2/public/get_shops_by_partner1655714431"
        );
    }

    #[test]
    fn a_shops_call_signs_its_token_and_id_too() {
        let shop = Credentials { shop_id: 42, partner_id: None, access_token: "token".into() };
        assert_eq!(base_string(7, "/api/v2/x", 100, Some(&shop)), "7/api/v2/x100token42");
    }

    #[test]
    fn signature_is_rfc_4231_hmac_sha256() {
        assert_eq!(
            signature(&"Jefe".into(), "what do ya want for nothing?"),
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
        );
    }
}
