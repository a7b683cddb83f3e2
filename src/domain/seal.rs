//! Seals tokens for rest: ChaCha20-Poly1305 with a fresh nonce, bound to what they belong to, so that a
//! sealed token moved to another row does not open.

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use secrecy::{ExposeSecret, SecretString};

const SEALED: &str = "v1:";
const PLAIN: &str = "plain:";

/// Seals and opens. Without a key it marks values as plain; `doctor` and the log warn about that.
#[derive(Clone)]
pub struct Sealer {
    /// Seals, and opens.
    key: Option<Arc<LessSafeKey>>,
    /// Only open: keys of before.
    old: Vec<Arc<LessSafeKey>>,
}

impl std::fmt::Debug for Sealer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(if self.key.is_some() { "Sealer(with a key)" } else { "Sealer(without a key)" })
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
        Self::with_old(key, &[])
    }

    /// The same, that also opens what keys of before have sealed.
    ///
    /// # Errors
    /// [`SealError::BadKey`].
    pub fn with_old(key: Option<&SecretString>, old: &[SecretString]) -> Result<Self, SealError> {
        Ok(Self {
            key: key.map(read_key).transpose()?,
            old: old.iter().map(read_key).collect::<Result<_, _>>()?,
        })
    }

    /// Whether what it seals can be read by nobody else.
    pub fn has_key(&self) -> bool {
        self.key.is_some()
    }

    /// Seals a secret that belongs to `place`, for example `shopee:1234:access`.
    pub fn seal(&self, secret: &SecretString, place: &str) -> String {
        let Some(key) = &self.key else { return format!("{PLAIN}{}", secret.expose_secret()) };
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
        let keys: Vec<&LessSafeKey> = self.key.iter().chain(&self.old).map(AsRef::as_ref).collect();
        if keys.is_empty() {
            return Err(SealError::NoKey);
        }
        keys.into_iter().find_map(|key| open_with(key, sealed, place).ok()).ok_or(SealError::CannotOpen)
    }

    /// Seals anew what a key of before has sealed, or what is plain.
    ///
    /// # Errors
    /// [`SealError::CannotOpen`] with every key.
    pub fn reseal(&self, sealed: &str, place: &str) -> Result<Resealed, SealError> {
        let secret = self.open(sealed, place)?;
        let key = self.key.as_ref().ok_or(SealError::NoKey)?;
        if !sealed.starts_with(PLAIN) && open_with(key, sealed, place).is_ok() {
            return Ok(Resealed::AsItWas);
        }
        Ok(Resealed::Anew(self.seal(&secret, place)))
    }
}

/// What became of a sealed secret.
pub enum Resealed {
    /// It is sealed with the first key already.
    AsItWas,
    /// It is sealed with the first key now.
    Anew(String),
}

fn read_key(key: &SecretString) -> Result<Arc<LessSafeKey>, SealError> {
    let bytes = STANDARD.decode(key.expose_secret()).map_err(|_| SealError::BadKey)?;
    let key = UnboundKey::new(&CHACHA20_POLY1305, &bytes).map_err(|_| SealError::BadKey)?;
    Ok(Arc::new(LessSafeKey::new(key)))
}

fn open_with(key: &LessSafeKey, sealed: &str, place: &str) -> Result<SecretString, SealError> {
    let bytes = sealed.strip_prefix(SEALED).and_then(|text| STANDARD.decode(text).ok());
    let mut bytes = bytes.filter(|bytes| bytes.len() > NONCE_LEN).ok_or(SealError::CannotOpen)?;
    let mut body = bytes.split_off(NONCE_LEN);
    let nonce = Nonce::try_assume_unique_for_key(&bytes).map_err(|_| SealError::CannotOpen)?;
    let opened = key
        .open_in_place(nonce, Aad::from(place.as_bytes()), &mut body)
        .map_err(|_| SealError::CannotOpen)?;
    String::from_utf8(opened.to_vec()).map(Into::into).map_err(|_| SealError::CannotOpen)
}

/// The place of a refused request.
pub fn rejection_place(source: &str, fingerprint: &[u8]) -> String {
    format!("rejection:{source}:{}", hex::encode(fingerprint))
}

/// The place of a setting that people changed.
pub fn setting_place(name: &str) -> String {
    format!("setting:{name}")
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
    fn a_key_of_before_opens_and_the_first_seals() {
        let key = |byte: u8| SecretString::from(STANDARD.encode([byte; 32]));
        let both = Sealer::with_old(Some(&key(2)), &[key(1)]).expect("keys");
        let old = sealer(1).seal(&"token".into(), "a");
        assert_eq!(both.open(&old, "a").expect("opened").expose_secret(), "token");
        for before in [old, "plain:token".to_owned()] {
            let Resealed::Anew(anew) = both.reseal(&before, "a").expect("resealed") else {
                panic!("{before}")
            };
            assert_eq!(sealer(2).open(&anew, "a").expect("opened").expose_secret(), "token");
            assert!(matches!(both.reseal(&anew, "a"), Ok(Resealed::AsItWas)));
        }
        assert!(both.reseal(&sealer(3).seal(&"token".into(), "a"), "a").is_err());
    }

    #[test]
    fn without_a_key_values_are_plain_and_later_keys_still_read_them() {
        let plain = Sealer::new(None).expect("no key").seal(&"token".into(), "a");
        assert_eq!(plain, "plain:token");
        assert_eq!(sealer(1).open(&plain, "a").expect("opened").expose_secret(), "token");
        assert_eq!(Sealer::new(Some(&"short".into())).err(), Some(SealError::BadKey));
    }
}
