//! The work behind the queue, one file per job.
//!
//! A job may run twice: its effects in Postgres commit together with its completion, and effects outside
//! are made idempotent where the other side lets us. No transaction is open while a service is called. A job
//! counts no attempts: the class of an error decides what happens, in [`outcome`].

pub mod carried;
pub mod enrich;
pub mod forward;
pub mod notify;
mod outcome;
mod reached;
pub mod sheet;
