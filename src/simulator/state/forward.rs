//! The seller's own service: what it was sent.

use serde::{Deserialize, Serialize};

/// A service that takes forwarded events.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ForwardWorld {
    /// Keys that it accepts, each as `whsec_` and base64; none: it accepts everything.
    pub secrets: Vec<String>,
    /// Every post, in the order they came, accepted or not.
    pub received: Vec<Post>,
}

/// One post.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Post {
    /// Path, with the query.
    pub path: String,
    /// `webhook-id`.
    pub id: String,
    /// `webhook-timestamp`.
    pub timestamp: String,
    /// `webhook-signature`.
    pub signature: String,
    /// The body as text.
    pub body: String,
    /// How many of its signatures fit a key of ours.
    pub valid: usize,
}

impl Post {
    /// The body as JSON; null if it is none.
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap_or_default()
    }
}

/// Ways in which the service changes.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ForwardChange {
    /// It accepts these keys.
    SecretsSet {
        /// Each as `whsec_` and base64.
        secrets: Vec<String>,
    },
    /// It was sent something.
    Received(Post),
}

impl ForwardWorld {
    /// Makes `change` happen.
    pub fn apply(&mut self, change: &ForwardChange) {
        match change {
            ForwardChange::SecretsSet { secrets } => self.secrets.clone_from(secrets),
            ForwardChange::Received(post) => self.received.push(post.clone()),
        }
    }
}
