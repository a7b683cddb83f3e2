//! Where a value stands in a request, and how that is written in a declaration.

use std::fmt;
use std::str::FromStr;

/// Where a value stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Selector {
    /// In the header of this name, in lower case.
    Header(String),
    /// In the body at this JSON pointer.
    Json(String),
    /// In the path, after the source.
    Path,
    /// Nowhere: it is this.
    Const(String),
}

impl Selector {
    pub(super) fn pointer(&self) -> Option<&str> {
        match self {
            Self::Json(pointer) => Some(pointer),
            _ => None,
        }
    }
}

impl FromStr for Selector {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let text = text.trim();
        if text == "path" {
            return Ok(Self::Path);
        }
        match text.split_once(':') {
            Some(("header", name)) => header_name(name).map(Self::Header),
            Some(("json", pointer)) if pointer.starts_with('/') && pointer.len() > 1 => {
                Ok(Self::Json(pointer.to_owned()))
            }
            Some(("json", _)) => {
                Err(format!("`{text}`: a JSON pointer begins with a slash, as in json:/data/id"))
            }
            Some(("const", value)) if !value.is_empty() => Ok(Self::Const(value.to_owned())),
            _ => Err(format!("`{text}` is none of header:<name>, json:<pointer>, path, const:<text>")),
        }
    }
}

impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Header(name) => write!(f, "header:{name}"),
            Self::Json(pointer) => write!(f, "json:{pointer}"),
            Self::Path => f.write_str("path"),
            Self::Const(text) => write!(f, "const:{text}"),
        }
    }
}

/// A header's name in lower case.
///
/// # Errors
/// When it cannot be one.
pub fn header_name(text: &str) -> Result<String, String> {
    let token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    if text.is_empty() || !text.bytes().all(token) {
        return Err(format!("`{text}` is not the name of a header"));
    }
    Ok(text.to_ascii_lowercase())
}

/// Where an id stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum IdSource {
    /// In one place.
    Of(Selector),
    /// In several places together; it is there when all its parts are that are not optional.
    Composite(Vec<CompositePart>),
    /// In the hash of the body.
    BodySha256,
}

/// A part of a composite id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CompositePart {
    /// The first of these that yields a value.
    pub any_of: Vec<Selector>,
    /// Whether the id may do without it.
    pub optional: bool,
}

impl FromStr for IdSource {
    type Err = String;

    /// `composite:[json:/a|json:/b, json:/c?]`: alternatives by a bar, optional parts with a question mark.
    fn from_str(text: &str) -> Result<Self, String> {
        let text = text.trim();
        if text == "body_sha256" {
            return Ok(Self::BodySha256);
        }
        let Some(list) = text.strip_prefix("composite:") else { return text.parse().map(Self::Of) };
        let inner = list.strip_prefix('[').and_then(|list| list.strip_suffix(']'));
        let inner =
            inner.ok_or_else(|| format!("`{text}`: the parts stand in brackets: composite:[a, b]"))?;
        let parts = inner.split(',').map(|part| {
            let part = part.trim();
            let (part, optional) = part.strip_suffix('?').map_or((part, false), |part| (part, true));
            let any_of = part.split('|').map(str::parse).collect::<Result<Vec<_>, _>>()?;
            Ok(CompositePart { any_of, optional })
        });
        let parts: Vec<CompositePart> = parts.collect::<Result<_, String>>()?;
        if parts.iter().all(|part| part.optional) {
            return Err(format!("`{text}`: at least one part must not be optional"));
        }
        Ok(Self::Composite(parts))
    }
}
