//! Signs a push as the platform would: for `pushbox send` and for the simulator.

use std::collections::BTreeMap;

use super::proof::hmac_sha256;
use super::{AuthKind, Source};

impl Source {
    /// The value of the proof's header for this body, with the first secret. The headers that the base string
    /// names must be there. None when there is no secret, or its private half is not ours (Ed25519).
    pub fn sign(&self, headers: &BTreeMap<String, String>, body: &[u8]) -> Option<String> {
        let (secret, form) = (self.auth.secrets.first()?, self.auth.forms.first()?);
        let tag = self.auth.item_tag.as_deref().unwrap_or_default();
        match self.auth.kind {
            AuthKind::Static => {
                let value = std::str::from_utf8(secret.key()).ok()?;
                Some(format!("{}{value}", form.strip_prefix))
            }
            AuthKind::Hmac => {
                let parts = self.auth.parts(form, self.url.as_deref(), headers, body).ok()?;
                let digest = hmac_sha256(secret.key(), &parts);
                Some(format!("{}{tag}{}", form.strip_prefix, self.auth.encoding.write(&digest)))
            }
            AuthKind::Ed25519 => None,
        }
    }
}
