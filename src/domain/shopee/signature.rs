//! The push signature: `HMAC-SHA256(push key, callback_url + "|" + raw body)`, lower-case hex, bare in
//! `Authorization`. The key is the Live Push Partner Key as text; the URL is what the console has, byte for
//! byte, never what the request claims.

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use subtle::ConstantTimeEq;

/// The digest over `url|body`.
pub fn url_body(key: &str, callback_url: &str, body: &[u8]) -> [u8; 32] {
    digest(key, &[callback_url.as_bytes(), b"|", body])
}

/// The digest over the body alone, which some integrations document.
pub fn body_only(key: &str, body: &[u8]) -> [u8; 32] {
    digest(key, &[body])
}

/// The digest over these parts, one after the other.
pub fn digest(key: &str, parts: &[&[u8]]) -> [u8; 32] {
    let mut mac = Hmac::<Sha256>::new_from_slice(key.as_bytes()).expect("HMAC takes a key of any length");
    for part in parts {
        mac.update(part);
    }
    mac.finalize().into_bytes().into()
}

/// Whether a header value is this digest in hex, compared in constant time.
pub fn matches(header: &str, digest: &[u8; 32]) -> bool {
    let mut received = [0_u8; 32];
    hex::decode_to_slice(header, &mut received).is_ok() && bool::from(received.ct_eq(digest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equals_an_independent_computation() {
        // printf 'https://hooks.example.com/shopee|{"code":3}' | openssl dgst -sha256 -hmac push-key
        let digest = url_body("push-key", "https://hooks.example.com/shopee", br#"{"code":3}"#);
        let hex = hex::encode(digest);
        assert_eq!(hex, "33ddc3d9db27c7288ac8c7a5edbf00e2ac6c93c5bfc1ef497081c1e2e8019d16");
        assert!(matches(&hex, &digest));
        assert!(matches(&hex.to_uppercase(), &digest));
        assert!(!matches(&hex[..62], &digest));
        assert!(!matches(&format!("SHA256 {hex}"), &digest));
        assert!(!matches(&hex, &body_only("push-key", br#"{"code":3}"#)));
    }
}
