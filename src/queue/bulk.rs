//! Changes of many jobs at once, asked for by a person and done in the background.
//!
//! An operation is a row. Whoever runs it locks the row, changes the next part of the jobs in the order of
//! their numbers, and notes how far it came, in one transaction: a process that dies loses nothing, and
//! another goes on. Jobs that came after the request are left alone, and so is a job that was dealt with and
//! came back: the numbers only grow.

use chrono::{DateTime, Utc};
use sqlx::types::Json;
use sqlx::{PgConnection, PgExecutor, PgPool, Postgres, QueryBuilder};
use uuid::Uuid;

use super::control::{self, Idle};
use crate::store;
use crate::store::job_reads::{JobFilter, count_jobs};

/// Jobs that are changed in one transaction.
const PART: i64 = 100;

/// What is done to the jobs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Make dead ones ready again.
    Retry,
    /// End ready ones without doing them.
    Cancel,
    /// Take dead ones out of sight; the history keeps them.
    Delete,
}

impl Action {
    /// The spelling of `bulk_operations.action`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Retry => "retry",
            Self::Cancel => "cancel",
            Self::Delete => "delete",
        }
    }

    /// The state of the jobs that it changes.
    pub fn applies_to(self) -> Idle {
        match self {
            Self::Retry | Self::Delete => Idle::Dead,
            Self::Cancel => Idle::Ready,
        }
    }

    fn from_name(name: &str) -> Option<Self> {
        [Self::Retry, Self::Cancel, Self::Delete].into_iter().find(|action| action.as_str() == name)
    }
}

/// An operation as it stands.
#[derive(Debug, Clone, sqlx::FromRow)]
pub struct Operation {
    /// Chosen by whoever asked.
    pub id: Uuid,
    /// A spelling of [`Action`].
    pub action: String,
    /// Which jobs.
    pub filter: Json<JobFilter>,
    /// `waiting`, `running`, `done`, `cancelled` or `failed`.
    pub state: String,
    /// Jobs that matched when it was asked for.
    pub matched: i64,
    /// Jobs changed so far.
    pub changed: i64,
    /// Who asked.
    pub requested_by: String,
    /// When.
    pub requested_at: DateTime<Utc>,
    /// When it ended.
    pub finished_at: Option<DateTime<Utc>>,
    /// Why it failed.
    pub error: Option<String>,
}

/// The jobs that `action` would change: the filter, held to the state that the action applies to.
pub fn scope(action: Action, mut filter: JobFilter) -> JobFilter {
    filter.state = Some(action.applies_to().as_str().to_owned());
    filter
}

/// Asks for an operation; one with the same id that is there already stays as it is. Returns whether it is
/// new.
///
/// # Errors
/// When the database refuses.
pub async fn ask(
    connection: &mut PgConnection,
    id: Uuid,
    action: Action,
    filter: &JobFilter,
    requested_by: &str,
) -> Result<bool, sqlx::Error> {
    let filter = scope(action, filter.clone());
    let (matched, highest) = count_jobs(&mut *connection, &filter).await?;
    let done = sqlx::query(
        "INSERT INTO pushbox.bulk_operations (id, action, filter, matched, up_to_job_id, requested_by)
         VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (id) DO NOTHING",
    )
    .bind(id)
    .bind(action.as_str())
    .bind(Json(filter))
    .bind(matched)
    .bind(highest.unwrap_or(0))
    .bind(requested_by)
    .execute(connection)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Ends an operation where it stands; what was changed stays changed. Returns whether it was under way.
///
/// # Errors
/// When the database refuses.
pub async fn stop(connection: &mut PgConnection, id: Uuid) -> Result<bool, sqlx::Error> {
    let done = sqlx::query(
        "UPDATE pushbox.bulk_operations SET state = 'cancelled', finished_at = clock_timestamp()
         WHERE id = $1 AND state IN ('waiting', 'running')",
    )
    .bind(id)
    .execute(connection)
    .await?;
    Ok(done.rows_affected() == 1)
}

const SELECT: &str =
    "SELECT id, action, filter, state, matched, changed, requested_by, requested_at, finished_at, error
                      FROM pushbox.bulk_operations WHERE true";

/// The operation with this id.
///
/// # Errors
/// When the database refuses.
pub async fn find(executor: impl PgExecutor<'_>, id: Uuid) -> Result<Option<Operation>, sqlx::Error> {
    let mut query = QueryBuilder::<Postgres>::new(SELECT);
    query.push(" AND id = ").push_bind(id).build_query_as().fetch_optional(executor).await
}

/// At most `limit` operations, newest first, that were asked for before the place `before`.
///
/// # Errors
/// When the database refuses.
pub async fn list(
    executor: impl PgExecutor<'_>,
    before: Option<(DateTime<Utc>, Uuid)>,
    limit: u16,
) -> Result<Vec<Operation>, sqlx::Error> {
    let mut query = QueryBuilder::<Postgres>::new(SELECT);
    if let Some((at, id)) = before {
        query.push(" AND (requested_at, id) < (").push_bind(at).push(", ").push_bind(id).push(")");
    }
    query.push(" ORDER BY requested_at DESC, id DESC LIMIT ").push_bind(i64::from(limit));
    query.build_query_as().fetch_all(executor).await
}

#[derive(sqlx::FromRow)]
struct Open {
    id: Uuid,
    action: String,
    filter: serde_json::Value,
    last_job_id: i64,
    up_to_job_id: i64,
}

/// Changes the next part of the oldest operation that is under way and that nobody else is at. Returns
/// whether there was one. Wake the workers after it.
///
/// # Errors
/// When the database refuses; then nothing is changed.
pub async fn advance(pool: &PgPool) -> Result<bool, sqlx::Error> {
    let mut transaction = store::begin(pool).await?;
    let open: Option<Open> = sqlx::query_as(
        "SELECT id, action, filter, last_job_id, up_to_job_id FROM pushbox.bulk_operations
         WHERE state IN ('waiting', 'running') ORDER BY requested_at LIMIT 1 FOR UPDATE SKIP LOCKED",
    )
    .fetch_optional(&mut *transaction)
    .await?;
    let Some(open) = open else { return Ok(false) };
    let parsed = (Action::from_name(&open.action), serde_json::from_value::<JobFilter>(open.filter));
    let (Some(action), Ok(filter)) = parsed else {
        end(&mut transaction, open.id, "failed", Some("asked for by another version of pushbox")).await?;
        transaction.commit().await?;
        return Ok(true);
    };
    let mut query = QueryBuilder::<Postgres>::new("SELECT id FROM pushbox.jobs WHERE id > ");
    query.push_bind(open.last_job_id).push(" AND id <= ").push_bind(open.up_to_job_id);
    filter.push_to(&mut query);
    query.push(" ORDER BY id LIMIT ").push_bind(PART);
    let ids: Vec<i64> = query.build_query_scalar().fetch_all(&mut *transaction).await?;
    let Some(last) = ids.last().copied() else {
        end(&mut transaction, open.id, "done", None).await?;
        transaction.commit().await?;
        return Ok(true);
    };
    let changed = change(&mut transaction, action, &ids, open.id).await?;
    sqlx::query(
        "UPDATE pushbox.bulk_operations SET state = 'running', last_job_id = $2, changed = changed + $3 WHERE id = $1",
    )
    .bind(open.id)
    .bind(last)
    .bind(changed)
    .execute(&mut *transaction)
    .await?;
    transaction.commit().await?;
    Ok(true)
}

async fn change(
    connection: &mut PgConnection,
    action: Action,
    ids: &[i64],
    operation: Uuid,
) -> Result<i64, sqlx::Error> {
    let changed = match action {
        Action::Retry => {
            // One by one: two of a part may have one key, and the second merges into the first.
            let mut changed = 0;
            for id in ids {
                changed += usize::from(control::retry_dead(connection, *id).await?);
            }
            changed
        }
        Action::Cancel | Action::Delete => {
            let verb = if action == Action::Cancel { "cancelled" } else { "deleted" };
            let note = format!("{verb} by bulk operation {operation}");
            control::cancel(connection, ids, action.applies_to(), &note).await?.len()
        }
    };
    Ok(i64::try_from(changed).unwrap_or(i64::MAX))
}

async fn end(
    connection: &mut PgConnection,
    id: Uuid,
    state: &str,
    error: Option<&str>,
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "UPDATE pushbox.bulk_operations SET state = $2, error = $3, finished_at = clock_timestamp() WHERE id = $1",
    )
    .bind(id)
    .bind(state)
    .bind(error)
    .execute(connection)
    .await?;
    Ok(())
}
