//! From a request to a push that may be stored: the one way for live pushes and for refused ones that are
//! looked at again.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{BasePart, Explanation, Headers, Proof, Pushed, Reading, Refusal, Rules, Selector, Source};
use crate::domain::push::{ParsedPush, sha256};

/// What may be answered with success.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Admitted {
    /// The platform's verification probe: nothing to store.
    Probe,
    /// A push with what it proved.
    Push(Box<ParsedPush>, Proof),
}

impl Source {
    /// Checks where a push comes from, its proof, and whose it is.
    ///
    /// # Errors
    /// Why it is refused.
    pub fn admit(&self, push: &Pushed<'_>) -> Result<Admitted, Refusal> {
        if !self.admits_address(push.address) {
            return Err(Refusal::Network);
        }
        // Only Shopee's probe has to be known before anything is verified: the console saves a callback URL
        // only if its probe is answered, before there is a push key.
        let early = (self.rules == Rules::Shopee).then(|| self.read(push));
        if early == Some(Reading::Probe) {
            return Ok(Admitted::Probe);
        }
        let proof = self.verify(push)?;
        let Reading::Push(parsed) = early.unwrap_or_else(|| self.read(push)) else {
            return Ok(Admitted::Probe);
        };
        self.check_account(push, parsed.account.as_deref())?;
        Ok(Admitted::Push(parsed, proof))
    }

    fn admits_address(&self, address: Option<IpAddr>) -> bool {
        let Some(address) = address else { return true };
        let address = address.to_canonical();
        self.networks.is_empty() || self.networks.iter().any(|network| network.contains(&address))
    }

    /// What was found out about a push that was refused for this.
    pub fn diagnose(&self, refusal: Refusal, push: &Pushed<'_>) -> Explanation {
        match refusal {
            Refusal::Missing | Refusal::Wrong => self.explain(push),
            // Where it comes from is looked at first; its proof tells whether the list is too short.
            Refusal::Network => {
                let near_miss = self.verify(push).is_ok();
                let signed = if near_miss { "; its proof is good" } else { "" };
                Explanation { text: format!("{refusal}{signed}"), near_miss }
            }
            other => Explanation { text: other.to_string(), near_miss: other != Refusal::TwoHeaders },
        }
    }

    /// Headers that help to understand a push later; never the proof, never a cookie.
    pub fn kept_headers(&self, headers: &dyn Headers) -> serde_json::Value {
        let names =
            ["content-type", "user-agent"].into_iter().chain(self.keep_headers.iter().map(String::as_str));
        let kept = names.filter(|name| *name != self.auth.header && *name != "cookie").filter_map(|name| {
            let value = std::str::from_utf8(headers.find(name).trimmed()?).ok()?;
            Some((name.to_owned(), json!(value.replace('\0', ""))))
        });
        kept.collect::<serde_json::Map<_, _>>().into()
    }

    /// Every header that matters for this source, the proof's among them.
    fn header_names(&self) -> BTreeSet<&str> {
        let signed = self.auth.forms.iter().flat_map(|form| &form.base).filter_map(|part| match part {
            BasePart::Header(name) => Some(name.as_str()),
            _ => None,
        });
        let selected = self.selectors().filter_map(|selector| match selector {
            Selector::Header(name) => Some(name.as_str()),
            _ => None,
        });
        let kept = self.keep_headers.iter().map(String::as_str);
        let always = ["content-type", "user-agent", self.auth.header.as_str()];
        always
            .into_iter()
            .chain(signed)
            .chain(selected)
            .chain(kept)
            .filter(|name| *name != "cookie")
            .collect()
    }
}

/// A request as it is kept, sealed, to be looked at again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeptRequest {
    account: Option<String>,
    address: Option<IpAddr>,
    at: DateTime<Utc>,
    headers: BTreeMap<String, String>,
    /// In base64.
    body: String,
}

/// A kept request that cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the kept request is damaged")]
pub struct Unusable;

impl KeptRequest {
    /// What has to be kept of a push; none when it has no proof, or one that is no text: it could never be
    /// accepted.
    pub fn of(source: &Source, push: &Pushed<'_>) -> Option<Self> {
        push.headers.find(&source.auth.header).trimmed()?;
        let mut headers = BTreeMap::new();
        for name in source.header_names() {
            if let Some(value) = push.headers.find(name).trimmed() {
                headers.insert(name.to_owned(), std::str::from_utf8(value).ok()?.to_owned());
            }
        }
        Some(Self {
            account: push.account.map(str::to_owned),
            address: push.address,
            at: push.at,
            headers,
            body: STANDARD.encode(push.body),
        })
    }

    /// The push as it was, for `look`.
    ///
    /// # Errors
    /// When the body cannot be read.
    pub fn look<R>(&self, look: impl FnOnce(&Pushed<'_>) -> R) -> Result<R, Unusable> {
        let body = STANDARD.decode(&self.body).map_err(|_| Unusable)?;
        Ok(look(&Pushed {
            headers: &self.headers,
            account: self.account.as_deref(),
            body: &body,
            at: self.at,
            address: self.address,
        }))
    }
}

impl Source {
    /// Tells refused requests apart, so that one that comes again is counted: the same for the same request
    /// refused for the same cause.
    pub fn fingerprint(&self, refusal: Refusal, push: &Pushed<'_>) -> [u8; 32] {
        let proof = push.headers.find(&self.auth.header).trimmed().unwrap_or_default();
        let account = push.account.unwrap_or_default().as_bytes();
        let parts = [refusal.as_str().as_bytes(), &sha256(account), &sha256(proof), &sha256(push.body)];
        sha256(&parts.concat())
    }
}
