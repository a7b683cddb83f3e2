//! What stands before each call: a budget that all processes share.
//!
//! The client cannot know what others do; whoever composes it gives it a [`Gate`] that does.

use async_trait::async_trait;
use chrono::{DateTime, Utc};

use crate::clients::error::ClientError;

/// Leave to make one call; give it back with [`Gate::leave`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pass {
    /// The shop on whose behalf the call is made; none: the app's own.
    pub shop_id: Option<i64>,
    /// Names the place that the call takes among those of the shop; it ends by itself.
    pub place: Option<DateTime<Utc>>,
}

/// Lets calls through at the pace that the platform bears, and learns from its answers.
#[async_trait]
pub trait Gate: Send + Sync + std::fmt::Debug {
    /// Waits a little for leave to call. A longer wait is an error that says for how long
    /// ([`ClientError::RateLimited`]); nothing was sent then.
    async fn enter(&self, shop_id: Option<i64>) -> Result<Pass, ClientError>;

    /// The call has ended, well or with this error.
    async fn leave(&self, pass: Pass, error: Option<&ClientError>);
}
