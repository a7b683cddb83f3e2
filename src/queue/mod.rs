//! The job queue: an apalis backend of our own over `pushbox.jobs`.
//!
//! What it promises:
//!
//! * A job enqueued in a transaction exists exactly when that transaction commits ([`enqueue()`]).
//! * A second job with the same kind and key merges into one that is still ready, never into one that
//!   runs; the event it came from stays linked to the job that serves it. Two jobs with the same kind and
//!   key never run at the same time.
//! * A claim carries a fresh claim id. Whoever does not hold it can neither complete, extend nor fail the
//!   job, however late it wakes up.
//! * Failures back off in `run_at`; no worker slot sleeps. Waiting for a destination charges no attempt.
//! * A job whose worker vanished runs again when its lease is over. It then runs alone, and one that keeps
//!   taking its worker with it ends dead, as does a payload that cannot be read and a handler that panics.
//! * A process whose connections are gone has vanished, and its jobs run again within seconds ([`bell`]).
//! * The clock is Postgres's alone.
//!
//! ```text
//!             enqueue                claim                  done
//!   (nothing) ───────► ready ─────────────────► running ─────────► job_history
//!                        ▲  retry, wait, release,  │
//!                        └──── lease is over ──────┤
//!                        ▲                         │ attempts used up, dead, poison
//!                        └────────── retry ─────── dead ─────────► job_history (cancelled by a person)
//! ```
//!
//! There is no transaction open while a handler runs, no `NOTIFY` inside an enqueueing transaction (it
//! would serialise commits) and no session state that it needs: it works through a transaction pooler, where
//! polling and leases do without the bell.
//!
//! Start at [`handler`] to write a job, at [`claim`] for the SQL that makes it safe.

pub mod backend;
pub mod bell;
pub mod bulk;
pub mod claim;
pub mod control;
pub mod enqueue;
mod fetcher;
pub mod handler;
pub mod hold;
pub mod intake;
mod keeper;
pub mod plan;
pub mod policy;
pub mod replay;
mod rotation;
pub mod runtime;
pub mod settle;
mod settler;
mod shared;
pub mod spec;
pub mod waiting;
pub mod wake;

pub use bell::{Bell, Presence};
pub use enqueue::{NewJob, enqueue};
pub use handler::{Batch, BatchHandler, Job, Outcome};
pub use intake::{Accepted, Intake};
pub use plan::{Plan, SharedPlan};
pub use runtime::Runtime;
pub use settle::{LeaseLost, complete_in};
pub use spec::QueueSpec;
pub use wake::Waker;
