//! What the process tells about itself: logs, metrics, and how secrets are kept out of both.
//!
//! Every metric's name is spelled once, in [`metrics`]; callers use its typed functions. Nothing here may
//! change what the program does: an observation that cannot be made is dropped, never an error.

pub mod logging;
pub mod metrics;
pub mod otlp;
pub mod redact;
pub mod trace;
