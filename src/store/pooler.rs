//! Whether what stands between us and Postgres can be worked through.
//!
//! The driver names its prepared statements `sqlx_s_1`, `sqlx_s_2` and so on in each connection. A pooler in
//! transaction mode that does not keep them apart (PgBouncer before 1.21, or with `max_prepared_statements = 0`) runs
//! one client's statement with another client's parameters and reports no error. So nothing is done before it is
//! known that ours does not.

use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{Connection, Row};

use super::Sessions;

/// So many connections are opened, one after the other, two at a time. A pooler hands out the session it got back
/// last, so two would do.
const CONNECTIONS: usize = 4;

/// Why the database must not be used this way.
#[derive(Debug, thiserror::Error)]
pub enum PoolerError {
    /// Statements of different clients get mixed up.
    #[error(
        "DATABASE_URL leads to a pooler in transaction mode that mixes up the prepared statements of its clients: use \
         PgBouncer 1.21 or newer with max_prepared_statements above 0, or pool_mode = session, or connect to Postgres itself"
    )]
    MixesStatements,
    /// There is a pooler, and we were not told.
    #[error(
        "DATABASE_URL leads to a pooler in transaction mode: set DATABASE_POOLER=transaction, use pool_mode = session, or \
         connect to Postgres itself"
    )]
    NotDeclared,
    /// A commit would be reported before it is on disk.
    #[error(
        "synchronous_commit is off for this user, and behind a pooler pushbox cannot set it for itself: \
         ALTER ROLE ... SET synchronous_commit = on"
    )]
    NotDurable,
    /// The database could not be reached or refused.
    #[error("cannot connect to the database: check DATABASE_URL")]
    Database(#[from] sqlx::Error),
}

/// Looks at what the connections lead to. Safe behind any pooler: each connection prepares one statement once, within
/// a transaction, so that it never runs what somebody else prepared.
///
/// # Errors
/// When the database cannot be used this way, or cannot be reached.
pub async fn check(options: &PgConnectOptions, sessions: Sessions) -> Result<(), PoolerError> {
    let mut before: Option<(PgConnection, i32)> = None;
    for _ in 0..CONNECTIONS {
        let mut connection = PgConnection::connect_with(options).await.map_err(refused)?;
        let (server, durable) = look(&mut connection).await.map_err(refused)?;
        if !durable {
            return Err(PoolerError::NotDurable);
        }
        if let Some((earlier, its_server)) = before.replace((connection, server)) {
            // Both are open: two that see the same process of the server share it.
            if sessions == Sessions::Own && its_server == server {
                return Err(PoolerError::NotDeclared);
            }
            earlier.close().await?;
        }
    }
    if let Some((last, _)) = before {
        last.close().await?;
    }
    Ok(())
}

/// The process of the server behind the connection, and whether its commits are on disk when they are reported.
async fn look(connection: &mut PgConnection) -> Result<(i32, bool), sqlx::Error> {
    let mut transaction = connection.begin().await?;
    let row = sqlx::query("SELECT pg_backend_pid(), current_setting('synchronous_commit') <> $1")
        .bind("off")
        .fetch_one(&mut *transaction)
        .await?;
    transaction.commit().await?;
    Ok((row.try_get(0)?, row.try_get(1)?))
}

fn refused(error: sqlx::Error) -> PoolerError {
    match &error {
        sqlx::Error::Database(refusal) => match refusal.code().as_deref() {
            // A prepared statement of this name exists, or does not.
            Some("42P05" | "26000") => PoolerError::MixesStatements,
            _ if refusal.message().contains("unsupported startup parameter") => PoolerError::NotDeclared,
            _ => PoolerError::Database(error),
        },
        _ => PoolerError::Database(error),
    }
}
