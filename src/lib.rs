//! pushbox receives signed e-commerce pushes exactly once and acts on them.
//!
//! # The way of one push
//!
//! ```text
//!  platform ── POST /webhook/{source} ──► receiver: verify raw bytes, derive the idempotency key
//!                                            │ one transaction: key + event + first jobs
//!                                            ▼
//!                                         Postgres ── commit, then 200 with an empty body
//!                                            │ apalis workers over our own SKIP LOCKED backend
//!    enrich ── up to 50 orders of one shop per Shopee call ──► orders, items, income, status history
//!    sheet  ── one writer per spreadsheet ──► Google Sheets upsert
//!    notify ── one forum topic per event code ──► Telegram
//!    forward ─ signed, with the order ──► a service of the seller's
//! ```
//!
//! Who may push is declared, not programmed ([`domain::sources`]): Shopee and seven other platforms are built in.
//!
//! Beside it [`schedule`] brings in the pushes that Shopee could not deliver, finds what no push told of, refreshes
//! tokens, and makes and drops partitions; [`admin`] and [`dashboard`] show all of it on a listener of their own.
//!
//! Settings come from the environment, the file, and what people change while it runs ([`config`]); a change is in force in
//! every process within seconds, because what works with settings is made anew beside what worked with those of before
//! ([`app`]).
//!
//! # Layers
//!
//! A module may use only the modules that the table in `tests/it/layers.rs` names for it; that test
//! fails on any other edge. The invariants behind the table:
//!
//! * [`receiver`] cannot reach [`clients`]: a push is stored and queued, never acted on, within the request.
//! * [`receiver`] and [`jobs`] do not know each other: they meet in the payloads of [`domain::job`].
//! * Only [`queue`] names apalis; only [`store`], and [`queue`] for its own tables, speak SQL.
//! * Only [`clients`] speaks HTTP to the outside, besides [`postgres`], which downloads its own binaries, and
//!   [`simulator`], which plays the outside.
//! * Only [`config`] and [`cli`] read the environment.
//!
//! Start reading at [`domain`], follow a push through [`receiver`], [`queue`] and [`jobs`], and see it all
//! put together in [`app`]. [`simulator`] stands in for Shopee, Telegram, Google and the seller's own service in tests and in `pushbox demo`.

pub mod clock;
pub mod domain;

pub mod config;
pub mod observability;

pub mod store;

pub mod queue;

pub mod clients;
pub mod receiver;

pub mod jobs;
pub mod schedule;

pub mod admin;
pub mod dashboard;

pub mod postgres;
pub mod simulator;

pub mod app;
pub mod cli;
