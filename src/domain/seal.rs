//! Seals tokens for rest: ChaCha20-Poly1305 with a fresh nonce, bound to what they belong to, so that a
//! sealed token moved to another row does not open.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use secrecy::{ExposeSecret, SecretString};

const SEALED: &str = "v1:";
const PLAIN: &str = "plain:";

/// Seals and opens. Without a key it marks values as plain; `doctor` and the log warn about that.
#[derive(Clone)]
pub struct Sealer(Option<std::sync::Arc<LessSafeKey>>);

impl std::fmt::Debug for Sealer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(if self.0.is_some() { "Sealer(with a key)" } else { "Sealer(without a key)" })
    }
}

/// Why something sealed cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    /// The key has another length or is not base64.
    #[error("ENCRYPTION_KEY must be 32 bytes in base64, as pushbox keygen prints it")]
    BadKey,
    /// It is sealed and there is no key.
    #[error("a token is sealed and ENCRYPTION_KEY is not set")]
    NoKey,
    /// Another key, another place, or damaged.
    #[error("a sealed token cannot be opened: ENCRYPTION_KEY is not the one it was sealed with")]
    CannotOpen,
}

impl Sealer {
    /// With this key (32 bytes, base64), or without.
    ///
    /// # Errors
    /// [`SealError::BadKey`].
    pub fn new(key: Option<&SecretString>) -> Result<Self, SealError> {
        let Some(key) = key else { return Ok(Self(None)) };
        let bytes = STANDARD.decode(key.expose_secret()).map_err(|_| SealError::BadKey)?;
        let key = UnboundKey::new(&CHACHA20_POLY1305, &bytes).map_err(|_| SealError::BadKey)?;
        Ok(Self(Some(std::sync::Arc::new(LessSafeKey::new(key)))))
    }

    /// Whether what it seals can be read by nobody else.
    pub fn has_key(&self) -> bool {
        self.0.is_some()
    }

    /// Seals a secret that belongs to `place`, for example `shopee:1234:access`.
    pub fn seal(&self, secret: &SecretString, place: &str) -> String {
        let Some(key) = &self.0 else { return format!("{PLAIN}{}", secret.expose_secret()) };
        let nonce: [u8; NONCE_LEN] = rand::random();
        let mut sealed = secret.expose_secret().as_bytes().to_vec();
        key.seal_in_place_append_tag(
            Nonce::assume_unique_for_key(nonce),
            Aad::from(place.as_bytes()),
            &mut sealed,
        )
        .expect("ChaCha20-Poly1305 seals anything shorter than 256 GiB");
        format!("{SEALED}{}", STANDARD.encode([nonce.as_slice(), &sealed].concat()))
    }

    /// Opens what [`Sealer::seal`] made for the same place.
    ///
    /// # Errors
    /// [`SealError::NoKey`] and [`SealError::CannotOpen`].
    pub fn open(&self, sealed: &str, place: &str) -> Result<SecretString, SealError> {
        if let Some(plain) = sealed.strip_prefix(PLAIN) {
            return Ok(plain.into());
        }
        let key = self.0.as_ref().ok_or(SealError::NoKey)?;
        let bytes = sealed.strip_prefix(SEALED).and_then(|text| STANDARD.decode(text).ok());
        let mut bytes = bytes.filter(|bytes| bytes.len() > NONCE_LEN).ok_or(SealError::CannotOpen)?;
        let mut body = bytes.split_off(NONCE_LEN);
        let nonce = Nonce::try_assume_unique_for_key(&bytes).map_err(|_| SealError::CannotOpen)?;
        let opened = key
            .open_in_place(nonce, Aad::from(place.as_bytes()), &mut body)
            .map_err(|_| SealError::CannotOpen)?;
        String::from_utf8(opened.to_vec()).map(Into::into).map_err(|_| SealError::CannotOpen)
    }
}

/// The place of a refused request.
pub fn rejection_place(source: &str, fingerprint: &[u8]) -> String {
    format!("rejection:{source}:{}", hex::encode(fingerprint))
}

/// The place of a shop's token; `which` is `access` or `refresh`.
pub fn token_place(platform: &str, shop_id: &str, which: &str) -> String {
    format!("{platform}:{shop_id}:{which}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sealer(byte: u8) -> Sealer {
        Sealer::new(Some(&STANDARD.encode([byte; 32]).into())).expect("a key")
    }

    #[test]
    fn opens_what_it_sealed_in_the_same_place_with_the_same_key_only() {
        let sealed = sealer(1).seal(&"token".into(), "a");
        assert!(!sealed.contains("token"));
        assert_ne!(sealed, sealer(1).seal(&"token".into(), "a"), "a fresh nonce each time");
        assert_eq!(sealer(1).open(&sealed, "a").expect("opened").expose_secret(), "token");
        assert_eq!(sealer(1).open(&sealed, "b").err(), Some(SealError::CannotOpen));
        assert_eq!(sealer(2).open(&sealed, "a").err(), Some(SealError::CannotOpen));
        assert_eq!(Sealer::new(None).expect("no key").open(&sealed, "a").err(), Some(SealError::NoKey));
        for damaged in ["", "v1:", "v1:AAAA", "v1:!", &sealed[..sealed.len() - 8]] {
            assert_eq!(sealer(1).open(damaged, "a").err(), Some(SealError::CannotOpen), "{damaged}");
        }
    }

    #[test]
    fn without_a_key_values_are_plain_and_later_keys_still_read_them() {
        let plain = Sealer::new(None).expect("no key").seal(&"token".into(), "a");
        assert_eq!(plain, "plain:token");
        assert_eq!(sealer(1).open(&plain, "a").expect("opened").expose_secret(), "token");
        assert_eq!(Sealer::new(Some(&"short".into())).err(), Some(SealError::BadKey));
    }
}
