//! The public listener: verify over the raw bytes, store, answer.
//!
//! | answer | when |
//! | --- | --- |
//! | 200, empty body | committed now or before; Shopee's verification probe (a source may declare another 2xx) |
//! | 400 | unusable request: two signature headers, a content encoding, a body that breaks off |
//! | 401 | signature missing or wrong, or an account that is not expected there |
//! | 403 | the address is in none of the source's networks |
//! | 404 / 405 / 413 | unknown source / not POST / body over the cap |
//! | 429 | too many failed signatures from this address; valid pushes are never throttled |
//! | 503 + `Retry-After` | cannot commit in time |
//!
//! Every source is a declaration ([`crate::domain::sources`]); there is one way through this module for all.
//! A push is stored and queued, never acted on, within the request: this module cannot reach `clients`. A
//! signed body that is not JSON, or of an unknown code, is stored and answered 200: a retry would not
//! repair it. What is refused is sampled into a table ([`Recorder`]), beside the way of valid pushes.

mod answers;
mod committer;
mod http;
mod recorder;
mod throttle;

pub use answers::Answers;
pub use committer::{CommitError, Committer};
pub use http::{Receiver, router};
pub use recorder::{RecordSettings, Recorder};
pub use throttle::Throttle;
