//! SQL over our tables, one file per table family.
//!
//! Functions take a connection; the caller owns the transaction. Statements are plain text prepared at run
//! time, not `query!` macros: a fresh clone builds without a database or a cache of query descriptions, and
//! `tests/it` runs every one of them against the migrated schema.

use std::str::FromStr;
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use sqlx::pool::PoolConnection;
use sqlx::postgres::{PgConnectOptions, PgConnection, PgPool, PgPoolOptions};
use sqlx::{Connection, Postgres, Transaction};

pub mod admin_actions;
pub mod alerts;
pub mod audit;
pub mod breakers;
pub mod call_budget;
pub mod deliveries;
pub mod destination_lists;
pub mod destinations;
pub mod event_reads;
pub mod events;
pub mod explain;
pub mod health;
pub mod job_reads;
mod migrate;
pub mod order_lists;
pub mod order_reads;
pub mod orders;
pub mod payloads;
pub mod pooler;
pub mod privacy;
pub mod push_rhythms;
pub mod reconciliation_lists;
pub mod reconciliations;
pub mod rejections;
pub mod retention;
pub mod roll_up;
pub mod schedules;
pub mod series;
pub mod settings;
pub mod sheet_rows;
pub mod shop_lists;
pub mod shop_tokens;
pub mod shops;
pub mod sources;
pub mod stats;
pub mod subscriptions;
pub mod telegram;
pub mod telegram_orders;
pub mod telegram_topics;
pub mod totals;
pub mod workers;
pub mod writes;

pub use migrate::{MigrateError, Migrated, migrate, migrations};

/// How long a caller waits for a connection: well within a sender's patience.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(3);
/// A pool that has no connection for so long is busy, or its server is down.
const BUSY: Duration = Duration::from_millis(200);

/// Whether a connection has a session of the server to itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sessions {
    /// It has: what is set at its start stays set.
    Own,
    /// It has not: a pooler hands it another session for each transaction.
    Shared,
}

/// Opens the pool of one process. Connections are made when needed; a caller waits at most three seconds
/// for one, so that a database that is down is noticed within the receiver's deadline. They carry the process's
/// name: `pushbox <name>` in `pg_stat_activity`.
///
/// # Errors
/// When the URL cannot be parsed.
pub fn pool(
    url: &SecretString,
    max_connections: u32,
    name: &str,
    sessions: Sessions,
) -> Result<PgPool, sqlx::Error> {
    Ok(PgPoolOptions::new()
        .max_connections(max_connections)
        .acquire_timeout(ACQUIRE_TIMEOUT)
        .connect_lazy_with(connect_options(url, name, sessions)?))
}

/// How connections are made that carry this name.
///
/// # Errors
/// When the URL cannot be parsed.
pub fn connect_options(
    url: &SecretString,
    name: &str,
    sessions: Sessions,
) -> Result<PgConnectOptions, sqlx::Error> {
    let options = PgConnectOptions::from_str(url.expose_secret())?
        .application_name(&format!("pushbox {name}"))
        // Of use for numbers sent as text only, which we never read; and poolers refuse it.
        .extra_float_digits(None);
    if sessions == Sessions::Shared {
        return Ok(options);
    }
    Ok(options.options([
        // A dead peer is noticed by the kernel, a stuck statement by the server.
        ("statement_timeout", "60s"),
        ("idle_in_transaction_session_timeout", "60s"),
        // What is answered 200 is on disk, whatever the server or the role has as a default.
        ("synchronous_commit", "on"),
        // Our statements are short; compiling a claim costs more than running it.
        ("jit", "off"),
    ]))
}

/// A pool of one connection to the same database.
pub fn lone_connection(pool: &PgPool) -> PgPool {
    let options = pool.connect_options().as_ref().clone();
    PgPoolOptions::new().max_connections(1).acquire_timeout(ACQUIRE_TIMEOUT).connect_lazy_with(options)
}

/// Begins a transaction that may be given up at any await. sqlx forgets a `BEGIN` whose answer nobody waited for
/// (sqlx issue 4385): the connection would go back to the pool with an open transaction, and what its next user writes
/// would never be committed. Here the answer is always waited for, by a task of its own.
///
/// # Errors
/// When there is no connection to be had, or the server refuses.
pub async fn begin(pool: &PgPool) -> Result<Transaction<'static, Postgres>, sqlx::Error> {
    let pool = pool.clone();
    match tokio::spawn(async move { Transaction::begin(pool.acquire().await?, None).await }).await {
        Ok(begun) => begun,
        // The runtime is going down.
        Err(_) => Err(sqlx::Error::PoolClosed),
    }
}

/// A connection of the pool; soon an error when the server refuses connections. The pool itself goes on trying
/// then, for as long as it lets anybody wait.
///
/// # Errors
/// When there is none to be had.
pub async fn acquire(pool: &PgPool) -> Result<PoolConnection<Postgres>, sqlx::Error> {
    let mut acquiring = std::pin::pin!(pool.acquire());
    if let Ok(acquired) = tokio::time::timeout(BUSY, &mut acquiring).await {
        return acquired;
    }
    let options = pool.connect_options();
    let refused = async {
        match PgConnection::connect_with(&options).await {
            // The pool is merely busy.
            Ok(connection) => {
                drop(connection);
                std::future::pending().await
            }
            Err(error) => error,
        }
    };
    tokio::select! {
        biased;
        acquired = &mut acquiring => acquired,
        error = refused => Err(error),
    }
}

/// A connection of the pool that is closed, instead of going back, when its user gives up before the end: for work that
/// may be dropped at any await and begins a transaction on it, see [`begin`].
pub struct Engaged(Option<PoolConnection<Postgres>>);

impl Engaged {
    /// Takes one from the pool.
    ///
    /// # Errors
    /// When there is none to be had.
    pub async fn acquire(pool: &PgPool) -> Result<Self, sqlx::Error> {
        Ok(Self(Some(pool.acquire().await?)))
    }

    /// The connection.
    pub fn connection(&mut self) -> &mut PgConnection {
        self.0.as_mut().expect("it is there until it is freed")
    }

    /// The end: it goes back to the pool.
    pub fn free(mut self) {
        drop(self.0.take());
    }
}

impl Drop for Engaged {
    fn drop(&mut self) {
        if let Some(connection) = self.0.take() {
            drop(connection.detach());
        }
    }
}

/// Drops a connection that did not answer in time, without a goodbye: its host may be gone, and whoever
/// waits for it waits for the kernel's patience. Returns the error that the caller reports.
pub fn hang_up(connection: PoolConnection<Postgres>) -> sqlx::Error {
    drop(connection.detach());
    sqlx::Error::Io(std::io::Error::new(std::io::ErrorKind::TimedOut, "the database did not answer in time"))
}
