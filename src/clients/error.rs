//! What went wrong with a call, by what can be done about it.

use std::time::Duration;

use sha2::{Digest, Sha256};

/// Whether a call that failed may have been carried out all the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It was certainly not carried out.
    NotSent,
    /// It may have been carried out.
    Unknown,
}

/// Which budget is used up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RateScope {
    /// Too many calls in a short time; wait a moment.
    Burst,
    /// The day's quota of the whole app; nothing more today.
    Daily,
}

/// What a person has to put in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Concern {
    /// The shop has to be authorized again; its tokens are of no use any more.
    Authorization,
    /// Something else with this one account: banned, frozen, not verified.
    Account,
    /// The app as a whole, or our settings: no account will get through.
    App,
}

/// Why a call failed. The variants are the classes that decide what happens next.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ClientError {
    /// The access token was not accepted: refresh it once and try once more.
    #[error("the access token was not accepted: {message}")]
    Unauthorized {
        /// The service's words.
        message: String,
    },
    /// Too many calls.
    #[error("too many calls ({}){}", match scope { RateScope::Burst => "burst limit", RateScope::Daily => "daily quota" }, wait(*retry_after))]
    RateLimited {
        /// How long to wait, where it is known.
        retry_after: Option<Duration>,
        /// Which budget is used up.
        scope: RateScope,
    },
    /// This call will never work as asked.
    #[error("refused ({code}): {message}")]
    Rejected {
        /// The service's error code, or `http_<status>`.
        code: String,
        /// The service's words.
        message: String,
    },
    /// There is no such thing, or not yet: platforms announce things before they can be read.
    #[error("not found: {message}")]
    NotFound {
        /// The service's words.
        message: String,
    },
    /// Nothing will work until a person acts.
    #[error("{message}; {remedy}")]
    Configuration {
        /// What is wrong.
        message: String,
        /// What the person has to do.
        remedy: String,
        /// What it is about.
        concern: Concern,
    },
    /// It may work later.
    #[error("the service did not do it: {message}")]
    Unavailable {
        /// What happened.
        message: String,
        /// Whether it may have been carried out.
        outcome: Outcome,
    },
    /// The service was not asked: we could not find out whether we may. Says nothing about the service.
    #[error("not asked: {reason}")]
    NotAsked {
        /// What we failed at.
        reason: String,
    },
    /// The answer came and could not be understood. The body is not kept, only its hash and length.
    #[error("the answer was not understood: {message} ({len} bytes, sha256 {})", &sha256[..sha256.len().min(12)])]
    Malformed {
        /// What could not be understood.
        message: String,
        /// Hash of the body, lower-case hex.
        sha256: String,
        /// Length of the body in bytes.
        len: usize,
    },
}

fn wait(retry_after: Option<Duration>) -> String {
    retry_after.map_or_else(String::new, |wait| format!(", wait {} s", wait.as_secs().max(1)))
}

impl ClientError {
    /// An answer that was not understood.
    pub fn malformed(message: impl Into<String>, body: &[u8]) -> Self {
        Self::Malformed {
            message: message.into(),
            sha256: hex::encode(Sha256::digest(body)),
            len: body.len(),
        }
    }

    /// Something that only a person can put in order.
    pub fn configuration(concern: Concern, message: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self::Configuration { message: message.into(), remedy: remedy.into(), concern }
    }

    /// The class in one word, for metrics.
    pub fn class(&self) -> &'static str {
        match self {
            Self::Unauthorized { .. } => "unauthorized",
            Self::RateLimited { .. } => "rate_limited",
            Self::Rejected { .. } => "rejected",
            Self::NotFound { .. } => "not_found",
            Self::Configuration { .. } => "configuration",
            Self::Unavailable { .. } => "unavailable",
            Self::NotAsked { .. } => "not_asked",
            Self::Malformed { .. } => "malformed",
        }
    }

    /// Whether the same call may work later without anyone's doing.
    pub fn is_transient(&self) -> bool {
        matches!(
            self,
            Self::RateLimited { .. }
                | Self::Unavailable { .. }
                | Self::NotFound { .. }
                | Self::NotAsked { .. }
                | Self::Malformed { .. }
        )
    }

    /// Whether a fresh access token may help.
    pub fn needs_refresh(&self) -> bool {
        matches!(self, Self::Unauthorized { .. })
    }

    /// Whether the seller has to authorize the shop again.
    pub fn needs_authorization(&self) -> bool {
        matches!(self, Self::Configuration { concern: Concern::Authorization, .. })
    }

    /// Whether a person has to act; work should wait, not fail.
    pub fn needs_a_person(&self) -> bool {
        matches!(self, Self::Configuration { .. })
    }

    /// Whether the service refused this very request, so that a part of it may still be accepted.
    pub fn is_refusal(&self) -> bool {
        matches!(self, Self::Rejected { .. } | Self::NotFound { .. })
    }

    /// Whether the call may have been carried out although it failed.
    pub fn may_have_happened(&self) -> bool {
        matches!(self, Self::Unavailable { outcome: Outcome::Unknown, .. } | Self::Malformed { .. })
    }

    /// How long to wait before the next call, where the service said so.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::RateLimited { retry_after, .. } => *retry_after,
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn display_says_what_happened_without_the_body() {
        let error = ClientError::malformed("not JSON", b"<html>secret</html>");
        let text = error.to_string();
        assert!(text.contains("19 bytes") && !text.contains("secret"), "{text}");
        let daily =
            ClientError::RateLimited { retry_after: Some(Duration::from_secs(90)), scope: RateScope::Daily };
        assert_eq!(daily.to_string(), "too many calls (daily quota), wait 90 s");
    }

    #[test]
    fn predicates_follow_the_class() {
        let lost = ClientError::Unavailable { message: "reset".into(), outcome: Outcome::Unknown };
        assert!(lost.is_transient() && lost.may_have_happened() && !lost.needs_a_person());
        let refused = ClientError::Unavailable { message: "no route".into(), outcome: Outcome::NotSent };
        assert!(!refused.may_have_happened());
        let banned = ClientError::configuration(Concern::Account, "banned", "ask Shopee");
        assert!(banned.needs_a_person() && !banned.needs_authorization() && !banned.is_transient());
    }
}
