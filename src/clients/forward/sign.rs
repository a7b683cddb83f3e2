//! Signatures of Standard Webhooks 1.0: `v1,` and the base64 of HMAC-SHA256 over `id.timestamp.body`, one for
//! each key, separated by spaces, so that keys can be rotated without a gap.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use secrecy::{ExposeSecret, SecretString};
use sha2::Sha256;

/// The value of `webhook-signature`. Secrets are `whsec_` and base64, which the settings have checked; one that
/// is not is left out.
pub fn signatures(secrets: &[SecretString], id: &str, timestamp: i64, body: &[u8]) -> String {
    let signed = secrets.iter().filter_map(|secret| {
        let key = STANDARD.decode(secret.expose_secret().strip_prefix("whsec_")?).ok()?;
        let mut mac = Hmac::<Sha256>::new_from_slice(&key).expect("HMAC takes a key of any length");
        mac.update(format!("{id}.{timestamp}.").as_bytes());
        mac.update(body);
        Some(format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes())))
    });
    signed.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of the standard's own reference libraries.
    #[test]
    fn equals_the_published_example() {
        let secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
        let body = br#"{"test": 2432232314}"#;
        let signature = signatures(&[secret.into()], "msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, body);
        assert_eq!(signature, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn during_a_rotation_both_keys_sign() {
        let secrets: [SecretString; 2] = [
            "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw".into(),
            "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYX".into(),
        ];
        let both = signatures(&secrets, "a", 1, b"x");
        let (new, old) = both.split_once(' ').expect("two signatures");
        assert_eq!(new, signatures(&secrets[..1], "a", 1, b"x"));
        assert_eq!(old, signatures(&secrets[1..], "a", 1, b"x"));
    }
}
