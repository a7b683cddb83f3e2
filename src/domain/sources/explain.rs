//! Says what would have matched a proof that did not: to explain it, never to accept it.

use super::proof::hmac_sha256;
use super::{Auth, AuthKind, BasePart, Encoding, Form, Pushed, Secret, Source};

/// Longer bodies are not tried in every way: hashing them over and over would serve an attacker.
const LONGEST: usize = 64 * 1024;

/// What was found out about a refused push, in words that hold no secret and no digest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Explanation {
    /// For a person.
    pub text: String,
    /// Whether the sender holds a key that is known here: nobody else can come so near.
    pub near_miss: bool,
}

/// A way to build the base string, and how it is called.
struct Way {
    name: String,
    form: Form,
    url: Option<String>,
}

impl Source {
    /// Why the proof does not fit.
    pub fn explain(&self, push: &Pushed<'_>) -> Explanation {
        let found = self.found(push);
        let near_miss = found.is_ok();
        let text = found.unwrap_or_else(|text| text);
        Explanation { text, near_miss }
    }

    /// What matches, or why nothing does.
    fn found(&self, push: &Pushed<'_>) -> Result<String, String> {
        let Some(header) = push.headers.find(&self.auth.header).trimmed() else {
            return Err(format!("there is no {} header; was it stripped by a proxy?", self.auth.header));
        };
        if self.auth.secrets.is_empty() {
            return Err("no secret is configured".to_owned());
        }
        if push.body.len() > LONGEST {
            return Err("nothing configured matches; the body is too long to try other ways".to_owned());
        }
        if self.auth.kind == AuthKind::Ed25519 {
            return Err("no configured public key matches".to_owned());
        }
        for prefix in ["", "Bearer ", "SHA256 ", "sha256="] {
            let Some(value) = header.strip_prefix(prefix.as_bytes()) else { continue };
            if let Some(found) = self.near_miss(value, push) {
                let prefix = prefix.trim_end();
                let after = if prefix.is_empty() { String::new() } else { format!(", after `{prefix}`") };
                let variant = self.variant(&found);
                return Ok(format!("it matches {found}{after}{variant}"));
            }
        }
        Err(self.shape(header))
    }

    /// Omisell's signature is not settled: which of the candidates it is.
    fn variant(&self, found: &str) -> &'static str {
        match self.platform.as_str() {
            "omisell" if found.contains("a fixed value") => "; that is variant = \"a\"",
            "omisell" if found.starts_with("callback URL") => "; that is variant = \"b\"",
            "omisell" if found.starts_with("app_key") => "; that is variant = \"c\"",
            _ => "",
        }
    }

    fn near_miss(&self, header: &[u8], push: &Pushed<'_>) -> Option<String> {
        let secrets = self.auth.secrets.iter().chain(&self.auth.hints);
        let fixed = secrets.clone().find(|secret| secret.text_bytes() == header);
        if let Some(secret) = fixed {
            return Some(format!("{} itself: a fixed value, not a signature", called(secret, push)));
        }
        let received: Vec<(Encoding, [u8; 32])> = self
            .auth
            .items(header)
            .chain([header])
            .flat_map(|item| [Encoding::Hex, Encoding::Base64].map(|way| (way, way.digest(item))))
            .filter_map(|(way, digest)| Some((way, digest?)))
            .collect();
        if received.is_empty() {
            return None;
        }
        let bodies = bodies(push.body);
        for secret in secrets {
            for (key, key_name) in keys(secret) {
                for way in self.ways() {
                    for (body, body_name) in &bodies {
                        let url = way.url.as_deref();
                        let Ok(parts) = self.auth.parts(&way.form, url, push.headers, body) else { continue };
                        let expected = hmac_sha256(&key, &parts);
                        if let Some((written, _)) = received.iter().find(|(_, digest)| *digest == expected) {
                            let written = match (*written == self.auth.encoding, written) {
                                (true, _) => "",
                                (false, Encoding::Hex) => ", written in hex",
                                (false, Encoding::Base64) => ", written in base64",
                            };
                            let called = called(secret, push);
                            return Some(format!("{}{body_name} with {called}{key_name}{written}", way.name));
                        }
                    }
                }
            }
        }
        None
    }

    /// The configured base string and those that are mistaken for it.
    fn ways(&self) -> Vec<Way> {
        let form = |base: &[BasePart]| Form { strip_prefix: String::new(), base: base.to_vec() };
        let mut ways: Vec<Way> = self
            .auth
            .forms
            .iter()
            .map(|form| Way { name: described(form), form: form.clone(), url: self.url.clone() })
            .collect();
        let url_body = [BasePart::Url, BasePart::Text("|".into()), BasePart::Body];
        for url in self.url.iter().flat_map(|url| urls(url)) {
            ways.push(Way {
                name: format!("callback URL {url:?} and body"),
                form: form(&url_body),
                url: Some(url),
            });
        }
        ways.push(Way { name: "the body alone".into(), form: form(&[BasePart::Body]), url: None });
        for (name, _) in &self.auth.params {
            ways.push(Way {
                name: format!("{name} and body"),
                form: form(&[BasePart::Param(name.clone()), BasePart::Body]),
                url: None,
            });
        }
        ways
    }

    fn shape(&self, header: &[u8]) -> String {
        let length = header.len();
        let untried = match (self.platform.as_str(), &self.url, self.auth.param("app_key")) {
            ("omisell", None, None) => "; with url and auth.params.app_key, variants b and c are tried too",
            ("omisell", None, _) => "; with url, variant b is tried too",
            ("omisell", _, None) => "; with auth.params.app_key, variant c is tried too",
            _ => "",
        };
        format!("{}{untried}", self.misshape(length))
    }

    fn misshape(&self, length: usize) -> String {
        match (self.auth.kind, self.auth.encoding) {
            (AuthKind::Static, _) => {
                "the value is not a configured secret, and no signature made with one".to_owned()
            }
            (_, Encoding::Hex) if length != 64 => {
                format!("a signature has 64 hexadecimal digits, this has {length} characters")
            }
            (_, Encoding::Base64) if length != 44 && self.auth.item_tag.is_none() => {
                format!("a signature has 44 characters of base64, this has {length}")
            }
            _ => format!(
                "no configured secret and no known base string matches{}",
                if self.platform == "shopee" {
                    "; is WEBHOOK_PARTNER_KEY the Live Push Partner Key and CALLBACK_URL exactly the one in the console?"
                } else {
                    ""
                }
            ),
        }
    }
}

/// What a secret is called, and whether it still counts.
fn called(secret: &Secret, push: &Pushed<'_>) -> String {
    let expired = if secret.is_good(push.at) { "" } else { ", which has expired" };
    format!("{}{expired}", secret.label)
}

fn described(form: &Form) -> String {
    let parts: Vec<String> = form
        .base
        .iter()
        .map(|part| match part {
            BasePart::Body => "body".to_owned(),
            BasePart::Text(text) => format!("{text:?}"),
            BasePart::Param(name) | BasePart::Header(name) => name.clone(),
            BasePart::Url => "callback URL".to_owned(),
        })
        .collect();
    if parts.is_empty() { "the body".to_owned() } else { parts.join(" + ") }
}

/// The configured URL and its usual slips.
fn urls(url: &str) -> Vec<String> {
    let swapped = url
        .strip_prefix("https://")
        .map(|rest| format!("http://{rest}"))
        .or_else(|| url.strip_prefix("http://").map(|rest| format!("https://{rest}")));
    let slashed = url.strip_suffix('/').map_or_else(|| format!("{url}/"), str::to_owned);
    [url.to_owned(), slashed].into_iter().chain(swapped).collect()
}

/// The key, and what else its text is taken for.
fn keys(secret: &Secret) -> Vec<(Vec<u8>, &'static str)> {
    let text = secret.text_bytes();
    let mut keys = vec![(secret.key().to_vec(), "")];
    let bare = text.strip_prefix(b"whsec_").unwrap_or(text);
    let others = [
        (Some(text.to_vec()), " taken as text"),
        (Encoding::Base64.decode(bare), " decoded from base64"),
        (Encoding::Hex.decode(text), " decoded from hex"),
    ];
    for (key, name) in others {
        if let Some(key) = key.filter(|key| keys.iter().all(|(known, _)| known != key)) {
            keys.push((key, name));
        }
    }
    keys
}

/// The body, and what a proxy or a framework may have made of it.
fn bodies(body: &[u8]) -> Vec<(Vec<u8>, &'static str)> {
    let mut bodies = vec![(body.to_vec(), "")];
    let compact = std::str::from_utf8(body).ok().map(|text| compact(text).into_bytes());
    let unescaped = compact.as_ref().map(|text| replace(text, b"\\/", b"/"));
    let escaped = compact.as_ref().map(|text| replace(&replace(text, b"\\/", b"/"), b"/", b"\\/"));
    let others = [
        (
            Some(body.trim_ascii().to_vec()),
            " (without the blanks around it: the body was changed on its way)",
        ),
        (Some([body, b"\n"].concat()), " (with a line end: the body was changed on its way)"),
        (compact, " (without blanks: the body was re-encoded on its way)"),
        (unescaped, " (with other escapes: the body was re-encoded on its way)"),
        (escaped, " (with other escapes: the body was re-encoded on its way)"),
    ];
    for (other, name) in others {
        if let Some(other) = other.filter(|other| bodies.iter().all(|(known, _)| known != other)) {
            bodies.push((other, name));
        }
    }
    bodies
}

/// JSON text without the blanks between its tokens.
fn compact(text: &str) -> String {
    let (mut inside, mut escaped) = (false, false);
    text.chars()
        .filter(|c| {
            let keep = inside || !c.is_ascii_whitespace();
            match (inside, escaped, c) {
                (true, true, _) => escaped = false,
                (true, false, '\\') => escaped = true,
                (_, false, '"') => inside = !inside,
                _ => {}
            }
            keep
        })
        .collect()
}

fn replace(bytes: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    while let Some(first) = rest.first() {
        if let Some(after) = rest.strip_prefix(from) {
            out.extend_from_slice(to);
            rest = after;
        } else {
            out.push(*first);
            rest = &rest[1..];
        }
    }
    out
}

impl Auth {
    /// Where else a proof could stand: what a declaration verifies, in a few words.
    pub fn described(&self) -> String {
        match self.kind {
            AuthKind::Static => format!("the secret itself in {}", self.header),
            AuthKind::Hmac | AuthKind::Ed25519 => {
                let forms: Vec<String> = self.forms.iter().map(described).collect();
                let name = if self.kind == AuthKind::Hmac { "HMAC-SHA256" } else { "Ed25519" };
                let written = if self.encoding == Encoding::Hex { "hex" } else { "base64" };
                format!("{name} of {} in {}, {written}", forms.join(", or of "), self.header)
            }
        }
    }
}
