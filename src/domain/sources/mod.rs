//! A source as it is declared: how a push proves itself, what it is called, about what it is, and under
//! which key it is known again. A platform that signs with HMAC, sends a fixed secret, or signs with Ed25519
//! needs no code of its own.
//!
//! Everything here is pure: [`Source::verify`] over the bytes as received, [`Source::read`] for what a
//! verified body says, [`Source::explain`] for what would have matched a proof that did not.

mod admit;
mod explain;
mod pick;
mod proof;
mod read;
mod select;
mod sign;

use std::net::IpAddr;
use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use ipnet::IpNet;
use secrecy::{ExposeSecret, SecretBox, SecretString};

pub use self::admit::{Admitted, KeptRequest, Unusable};
pub use self::explain::Explanation;
pub use self::pick::Picker;
pub use self::proof::{Proof, Refusal};
pub use self::read::Reading;
pub use self::select::{CompositePart, IdSource, Selector, header_name};

use super::push::sha256;

/// One source of pushes.
#[derive(Debug, Clone)]
pub struct Source {
    /// Its name in the path `/webhook/{name}`, in `events.source` and in filters.
    pub name: String,
    /// The platform whose rules and orders these are, for example `shoplazza`.
    pub platform: String,
    /// Whose rules read the body.
    pub rules: Rules,
    /// The callback URL as configured at the platform; part of some base strings, never rebuilt from a request.
    pub url: Option<String>,
    /// How a push proves itself.
    pub auth: Auth,
    /// When the platform says it happened, or sent it.
    pub time: Time,
    /// Its name; the first that yields a value.
    pub event: Vec<Selector>,
    /// Whose it is.
    pub account: Account,
    /// What it is about; the first that yields a value.
    pub subject: Vec<Selector>,
    /// How it is known again.
    pub id: Id,
    /// What is answered.
    pub ack: Ack,
    /// How long the platform waits for an answer.
    pub deadline: Option<std::time::Duration>,
    /// How long the platform tries again.
    pub horizon: Option<TimeDelta>,
    /// Whether the payload holds the whole object.
    pub payload: PayloadKind,
    /// Longest body in bytes; none: what holds for every source.
    pub body_limit: Option<usize>,
    /// Where its pushes come from; empty: from anywhere.
    pub networks: Vec<IpNet>,
    /// Names of headers, in lower case, that are kept with the event; never the proof's.
    pub keep_headers: Vec<String>,
    /// Finds the JSON fields that the selectors name.
    pub picker: Picker,
}

/// Whose rules read a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rules {
    /// Shopee's own: a key per code, and the verification probe.
    Shopee,
    /// What is declared.
    Declared,
}

/// How much a payload tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PayloadKind {
    /// The object as it is.
    Full,
    /// That something changed.
    Thin,
}

/// How a push proves itself.
#[derive(Debug, Clone)]
pub struct Auth {
    /// By what.
    pub kind: AuthKind,
    /// The header that carries the proof, in lower case; it must occur once.
    pub header: String,
    /// What separates several proofs in the header; none: it is one.
    pub item_sep: Option<String>,
    /// What a proof must begin with, for example `v1,`; others are skipped.
    pub item_tag: Option<String>,
    /// How a digest is written.
    pub encoding: Encoding,
    /// The accepted base strings.
    pub forms: Vec<Form>,
    /// Values for `param:` parts.
    pub params: Vec<(String, String)>,
    /// The secrets (public keys for Ed25519); any of them passes.
    pub secrets: Vec<Secret>,
    /// Keys that only explain a mismatch.
    pub hints: Vec<Secret>,
}

/// The kinds of proof.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AuthKind {
    /// HMAC-SHA256 of a base string.
    Hmac,
    /// The secret itself.
    Static,
    /// An Ed25519 signature of a base string.
    Ed25519,
}

/// How a digest is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    /// Standard alphabet, padded.
    Base64,
    /// Either case.
    Hex,
}

/// One accepted way to build the base string.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Form {
    /// Cut off the header's value where it is there; with static secrets it must be there.
    pub strip_prefix: String,
    /// The parts in order.
    pub base: Vec<BasePart>,
}

/// A piece of a base string.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BasePart {
    /// The body as received.
    Body,
    /// These characters.
    Text(String),
    /// A configured value.
    Param(String),
    /// The trimmed value of a header, as received.
    Header(String),
    /// The configured callback URL.
    Url,
}

/// A secret with how long it is good.
#[derive(Debug, Clone)]
pub struct Secret {
    /// How it is called in logs and for the admin; never its value.
    pub label: String,
    /// As it was configured.
    text: SecretString,
    /// The bytes that sign.
    key: Arc<SecretBox<Vec<u8>>>,
    /// After this it proves nothing.
    pub not_after: Option<DateTime<Utc>>,
}

impl Secret {
    /// A secret whose text is its key.
    pub fn text(label: impl Into<String>, text: &SecretString) -> Self {
        Self::with_key(label, text, text.expose_secret().as_bytes().to_vec())
    }

    /// A secret whose text stands for other bytes.
    pub fn with_key(label: impl Into<String>, text: &SecretString, key: Vec<u8>) -> Self {
        Self {
            label: label.into(),
            text: text.clone(),
            key: Arc::new(SecretBox::new(Box::new(key))),
            not_after: None,
        }
    }

    /// The same, good until then.
    #[must_use]
    pub fn until(self, not_after: Option<DateTime<Utc>>) -> Self {
        Self { not_after, ..self }
    }

    /// Whether it still proves something.
    pub fn is_good(&self, now: DateTime<Utc>) -> bool {
        self.not_after.is_none_or(|end| now <= end)
    }

    /// Tells secrets apart over restarts without telling them: eight hexadecimal digits.
    pub fn fingerprint(&self) -> String {
        let mut bytes = b"pushbox source secret\0".to_vec();
        bytes.extend_from_slice(self.key());
        hex::encode(&sha256(&bytes)[..4])
    }

    pub(super) fn key(&self) -> &[u8] {
        self.key.expose_secret()
    }

    fn text_bytes(&self) -> &[u8] {
        self.text.expose_secret().as_bytes()
    }
}

/// When it happened.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Time {
    /// Where it stands; the first that yields a value.
    pub source: Vec<Selector>,
    /// How it is written.
    pub unit: TimeUnit,
    /// How far it may be from our clock, either way; only where the time of the attempt is signed.
    pub tolerance: Option<TimeDelta>,
}

/// How a time is written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum TimeUnit {
    /// Unix seconds.
    Seconds,
    /// Unix milliseconds.
    Millis,
    /// RFC 3339.
    Rfc3339,
    /// Any of these, by its looks: a number above 10¹¹ is milliseconds.
    #[default]
    Auto,
}

/// Whose a push is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Account {
    /// Where it stands; the first that yields a value.
    pub source: Vec<Selector>,
    /// An unsigned value that must agree with the account in the path, or with `bound`.
    pub check: Option<Selector>,
    /// Accounts that are accepted; empty: all.
    pub expect: Vec<String>,
    /// Accounts that are accepted, each with the value that `check` must have.
    pub bound: Vec<(String, String)>,
}

/// How a push is known again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Id {
    /// Where the id stands; the first that yields a value, else the hash of the body.
    pub source: Vec<IdSource>,
    /// What else belongs to the key.
    pub scope: Vec<Scope>,
    /// How long it is remembered.
    pub retain: TimeDelta,
}

/// What belongs to a key beside the id; the source always does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// Nothing more.
    Source,
    /// The account.
    Account,
    /// The event's name.
    Event,
}

/// What is answered, as HTTP statuses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ack {
    /// Stored, now or before.
    pub ok: u16,
    /// The body of that answer.
    pub body: String,
    /// The proof is missing or wrong.
    pub bad_auth: u16,
    /// It cannot be stored now.
    pub unavailable: u16,
}

impl Default for Ack {
    fn default() -> Self {
        Self { ok: 200, body: String::new(), bad_auth: 401, unavailable: 503 }
    }
}

/// A header of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Header<'a> {
    /// It is not there.
    Absent,
    /// Its value, as received.
    One(&'a [u8]),
    /// It is there more than once.
    Several,
}

impl<'a> Header<'a> {
    /// The value without blanks around it; none when there is not exactly one, or nothing in it.
    pub fn trimmed(self) -> Option<&'a [u8]> {
        match self {
            Self::One(value) => Some(value.trim_ascii()).filter(|value| !value.is_empty()),
            Self::Absent | Self::Several => None,
        }
    }
}

/// Where headers are looked up, by lower-case name.
pub trait Headers: Sync {
    /// The header of this name.
    fn find(&self, name: &str) -> Header<'_>;
}

impl Headers for std::collections::BTreeMap<String, String> {
    fn find(&self, name: &str) -> Header<'_> {
        self.get(name).map_or(Header::Absent, |value| Header::One(value.as_bytes()))
    }
}

/// A request to a source, not trusted yet.
#[derive(Clone, Copy)]
pub struct Pushed<'a> {
    /// Its headers.
    pub headers: &'a dyn Headers,
    /// The account in the path.
    pub account: Option<&'a str>,
    /// The body as received.
    pub body: &'a [u8],
    /// When it reached us.
    pub at: DateTime<Utc>,
    /// From where; none where that does not matter.
    pub address: Option<IpAddr>,
}

impl Source {
    /// The source with what is derived from the rest of it; to be called when its selectors are complete.
    #[must_use]
    pub fn prepared(mut self) -> Self {
        let pointers: Vec<String> =
            self.selectors().filter_map(Selector::pointer).map(str::to_owned).collect();
        self.picker = Picker::new(pointers);
        self
    }

    /// Every place that is looked at.
    fn selectors(&self) -> impl Iterator<Item = &Selector> {
        let plain = self.time.source.iter().chain(&self.event).chain(&self.account.source);
        plain.chain(&self.account.check).chain(&self.subject).chain(self.id.selectors())
    }

    /// Whether the key of an event rests on something that the proof covers. Where it does not, a captured
    /// request can come again under another id.
    pub fn signs_its_id(&self) -> bool {
        let covers = |selector: &Selector| match selector {
            Selector::Header(name) => self
                .auth
                .forms
                .iter()
                .all(|form| form.base.iter().any(|part| *part == BasePart::Header(name.clone()))),
            Selector::Json(_) => self.auth.kind != AuthKind::Static,
            Selector::Path | Selector::Const(_) => true,
        };
        self.id.selectors().all(covers)
    }
}

impl Id {
    fn selectors(&self) -> impl Iterator<Item = &Selector> {
        self.source.iter().flat_map(|one| match one {
            IdSource::Of(selector) => vec![selector],
            IdSource::Composite(parts) => parts.iter().flat_map(|part| &part.any_of).collect(),
            IdSource::BodySha256 => Vec::new(),
        })
    }
}
