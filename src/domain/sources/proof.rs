//! Whether a push proves that a holder of a secret sent these bytes.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, Utc};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use subtle::{Choice, ConstantTimeEq};

use super::{Auth, AuthKind, BasePart, Encoding, Form, Header, Headers, Pushed, Source};
use crate::domain::push::sha256;

/// What a push proved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Proof {
    /// The number of the secret in [`Auth::secrets`].
    pub secret: usize,
}

/// Why a push was refused. Holds no value of the request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The proof's header, or one that is signed, occurs twice.
    #[error("a header that must occur once occurs twice")]
    TwoHeaders,
    /// There is no proof.
    #[error("the proof is missing")]
    Missing,
    /// The proof does not fit.
    #[error("the proof does not match")]
    Wrong,
    /// Only a secret that is no longer good fits.
    #[error("the secret has expired")]
    Expired,
    /// The signed time is too far from ours, or no time.
    #[error("the signed time is too far from ours")]
    Stale,
    /// The address is in none of the source's networks.
    #[error("the address is in none of the source's networks")]
    Network,
    /// The account is not one that is expected here.
    #[error("the account is not the one that is expected")]
    Account,
}

impl Refusal {
    /// The spelling in `rejections.cause`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::TwoHeaders => "two_headers",
            Self::Missing => "missing",
            Self::Wrong => "wrong",
            Self::Expired => "expired_secret",
            Self::Stale => "stale",
            Self::Network => "network",
            Self::Account => "account",
        }
    }
}

impl Source {
    /// Checks the proof over the bytes as received, in constant time for each secret.
    ///
    /// # Errors
    /// Why it is refused.
    pub fn verify(&self, push: &Pushed<'_>) -> Result<Proof, Refusal> {
        let header = match push.headers.find(&self.auth.header) {
            Header::Several => return Err(Refusal::TwoHeaders),
            header => header.trimmed().ok_or(Refusal::Missing)?,
        };
        let mut expired = false;
        for form in &self.auth.forms {
            let parts = self.auth.parts(form, self.url.as_deref(), push.headers, push.body)?;
            for (secret, one) in self.auth.secrets.iter().enumerate() {
                if !self.auth.proves(form, one.key(), &parts, header) {
                    continue;
                }
                if one.is_good(push.at) {
                    return self.timely(push).map(|()| Proof { secret });
                }
                expired = true;
            }
        }
        Err(if expired { Refusal::Expired } else { Refusal::Wrong })
    }

    /// Whether the signed time is near enough to ours.
    fn timely(&self, push: &Pushed<'_>) -> Result<(), Refusal> {
        let Some(tolerance) = self.time.tolerance else { return Ok(()) };
        let text = std::str::from_utf8(push.body).unwrap_or_default();
        let picked = self.picker.pick(text);
        let value = self.first(&self.time.source, push, &picked);
        let at = value.as_deref().and_then(|value| self.time.unit.read(value)).ok_or(Refusal::Stale)?;
        // Whole seconds, as the times that are signed.
        let apart = (push.at.timestamp() - at.timestamp()).abs();
        if apart <= tolerance.num_seconds() { Ok(()) } else { Err(Refusal::Stale) }
    }
}

impl super::TimeUnit {
    /// The time that a text stands for. Numbers are plain digits: no sign, no blanks.
    pub fn read(self, text: &str) -> Option<DateTime<Utc>> {
        const FIRST_MILLIS: i64 = 100_000_000_000;
        let number = || {
            let digits = text.bytes().all(|byte| byte.is_ascii_digit());
            text.parse::<i64>().ok().filter(|number| digits && *number > 0)
        };
        let rfc3339 = || DateTime::parse_from_rfc3339(text).ok().map(|at| at.to_utc());
        match self {
            Self::Seconds => number().and_then(|seconds| DateTime::from_timestamp(seconds, 0)),
            Self::Millis => number().and_then(DateTime::from_timestamp_millis),
            Self::Rfc3339 => rfc3339(),
            Self::Auto => match number() {
                Some(millis) if millis > FIRST_MILLIS => DateTime::from_timestamp_millis(millis),
                Some(seconds) => DateTime::from_timestamp(seconds, 0),
                None => rfc3339(),
            },
        }
    }
}

impl Auth {
    /// The pieces of a base string.
    pub(super) fn parts<'a>(
        &'a self,
        form: &'a Form,
        url: Option<&'a str>,
        headers: &'a dyn Headers,
        body: &'a [u8],
    ) -> Result<Vec<&'a [u8]>, Refusal> {
        form.base
            .iter()
            .map(|part| match part {
                BasePart::Body => Ok(body),
                BasePart::Text(text) => Ok(text.as_bytes()),
                BasePart::Param(name) => Ok(self.param(name).unwrap_or_default().as_bytes()),
                BasePart::Url => Ok(url.unwrap_or_default().as_bytes()),
                BasePart::Header(name) => match headers.find(name) {
                    Header::Several => Err(Refusal::TwoHeaders),
                    header => header.trimmed().ok_or(Refusal::Missing),
                },
            })
            .collect()
    }

    pub(super) fn param(&self, name: &str) -> Option<&str> {
        self.params.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// Whether one of the proofs in the header was made with this key.
    pub(super) fn proves(&self, form: &Form, key: &[u8], parts: &[&[u8]], header: &[u8]) -> bool {
        let prefix = form.strip_prefix.as_bytes();
        let stripped = header.strip_prefix(prefix);
        if self.kind == AuthKind::Static {
            // Hashes have one length, so that a wrong value does not tell that of the secret.
            return stripped
                .is_some_and(|value| !key.is_empty() && bool::from(sha256(value).ct_eq(&sha256(key))));
        }
        let header = stripped.unwrap_or(header);
        let items = self.items(header);
        match self.kind {
            AuthKind::Hmac => {
                let expected = hmac_sha256(key, parts);
                let proved = items.filter_map(|item| self.encoding.digest(item));
                proved.fold(Choice::from(0), |found, digest| found | digest.ct_eq(&expected)).into()
            }
            AuthKind::Ed25519 => {
                let message = parts.concat();
                let public = ring::signature::UnparsedPublicKey::new(&ring::signature::ED25519, key);
                let mut signatures = items.filter_map(|item| self.encoding.decode(item));
                signatures.any(|signature| public.verify(&message, &signature).is_ok())
            }
            AuthKind::Static => false,
        }
    }

    /// The proofs in a header, without their tags; those with other tags are skipped.
    pub(super) fn items<'a>(&'a self, header: &'a [u8]) -> impl Iterator<Item = &'a [u8]> {
        /// More keys than anyone rotates between.
        const MOST: usize = 32;
        let separator = self.item_sep.as_deref().and_then(|text| text.as_bytes().first().copied());
        let tag = self.item_tag.as_deref().unwrap_or_default().as_bytes();
        header
            .split(move |byte| Some(*byte) == separator)
            .take(MOST)
            .filter_map(move |item| item.trim_ascii().strip_prefix(tag))
    }
}

impl Encoding {
    /// Bytes of any length.
    pub(super) fn decode(self, text: &[u8]) -> Option<Vec<u8>> {
        match self {
            Self::Base64 => STANDARD.decode(text).ok(),
            Self::Hex => hex::decode(text).ok(),
        }
    }

    /// The 32 bytes of a digest; none when it has another length or is written in another way.
    pub(super) fn digest(self, text: &[u8]) -> Option<[u8; 32]> {
        let mut digest = [0; 32];
        match self {
            Self::Hex => hex::decode_to_slice(text, &mut digest).ok()?,
            Self::Base64 => {
                // 44 characters; the decoder wants room for the estimate.
                let mut room = [0; 48];
                let length = STANDARD.decode_slice(text, &mut room).ok()?;
                digest.copy_from_slice(room.get(..length).filter(|bytes| bytes.len() == 32)?);
            }
        }
        Some(digest)
    }

    /// A digest as it is written.
    pub(super) fn write(self, bytes: &[u8]) -> String {
        match self {
            Self::Base64 => STANDARD.encode(bytes),
            Self::Hex => hex::encode(bytes),
        }
    }
}

/// HMAC-SHA256 of these parts, one after the other.
pub(super) fn hmac_sha256(key: &[u8], parts: &[&[u8]]) -> [u8; 32] {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes a key of any length");
    for part in parts {
        mac.update(part);
    }
    mac.finalize().into_bytes().into()
}
