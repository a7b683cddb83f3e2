//! What a replay goes through, a page at a time, in an order that does not change while it runs.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;
use sqlx::postgres::PgArguments;
use sqlx::query::QueryAs;
use sqlx::{FromRow, Postgres};
use uuid::Uuid;

use super::filter::{ReplayFilter, Target};

/// A place in the order of a target: nothing at or before it comes again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Cursor {
    pub at: DateTime<Utc>,
    pub id: String,
}

/// An event with all that is needed to ask for its jobs again.
#[derive(Debug, Clone, FromRow)]
pub struct StoredEvent {
    /// The event.
    pub id: Uuid,
    /// Its source.
    pub source: String,
    /// Its account.
    pub account: Option<String>,
    /// Its code.
    pub code: String,
    /// What it is about.
    pub subject: Option<String>,
    /// When it reached us.
    pub received_at: DateTime<Utc>,
    /// The envelope, as text.
    pub payload: Option<String>,
    /// Its bytes, when they are no jsonb.
    pub body: Option<Vec<u8>>,
}

impl StoredEvent {
    /// The envelope: as received, or, where jsonb holds it, equal in meaning.
    pub fn bytes(&self) -> &[u8] {
        self.payload.as_deref().map_or(self.body.as_deref().unwrap_or_default(), str::as_bytes)
    }
}

macro_rules! events_matching {
    () => {
        " FROM pushbox.events
         WHERE ($1::text IS NULL OR source = $1) AND ($2::text IS NULL OR code = $2)
           AND ($3::text IS NULL OR account = $3) AND ($4::text IS NULL OR subject = $4)
           AND ($5::text IS NULL OR via = $5)
           AND received_at >= coalesce($6, '-infinity') AND received_at < least($7, $8)"
    };
}

macro_rules! jobs_matching {
    ($table:literal, $time:literal, $state:literal) => {
        concat!(
            " FROM pushbox.",
            $table,
            " WHERE ",
            $state,
            " AND ($1::text IS NULL OR queue = $1) AND ($2::text IS NULL OR kind = $2)
              AND ($3::text IS NULL OR key = $3) AND ($4::text IS NULL OR batch_key = $4)
              AND ($5::text IS NULL OR position(lower($5) IN lower(errors::text)) > 0)
              AND ($6::uuid IS NULL OR event_id = $6 OR merged_events @> ARRAY[$6])
              AND ",
            $time,
            " >= coalesce($7, '-infinity') AND ",
            $time,
            " < least($8, $9)"
        )
    };
}

fn bind_events<'q, T>(
    query: QueryAs<'q, Postgres, T, PgArguments>,
    filter: &'q ReplayFilter,
    until: DateTime<Utc>,
) -> QueryAs<'q, Postgres, T, PgArguments> {
    query
        .bind(filter.source.as_deref())
        .bind(filter.code.as_deref())
        .bind(filter.account.as_deref())
        .bind(filter.subject.as_deref())
        .bind(filter.via.as_deref())
        .bind(filter.since)
        .bind(filter.until)
        .bind(until)
}

fn bind_jobs<'q, T>(
    query: QueryAs<'q, Postgres, T, PgArguments>,
    filter: &'q ReplayFilter,
    until: DateTime<Utc>,
) -> QueryAs<'q, Postgres, T, PgArguments> {
    query
        .bind(filter.queue.as_deref())
        .bind(filter.kind.as_deref())
        .bind(filter.key.as_deref())
        .bind(filter.batch_key.as_deref())
        .bind(filter.error.as_deref())
        .bind(filter.event_id)
        .bind(filter.since)
        .bind(filter.until)
        .bind(until)
}

/// How many match. Reads all of them: a replay does it once, a dry run does nothing else.
///
/// # Errors
/// When the database refuses.
pub(super) async fn count(
    connection: &mut PgConnection,
    target: Target,
    filter: &ReplayFilter,
    until: DateTime<Utc>,
) -> Result<i64, sqlx::Error> {
    let counted = match target {
        Target::Events => bind_events(
            sqlx::query_as::<_, (i64,)>(concat!("SELECT count(*)", events_matching!())),
            filter,
            until,
        ),
        Target::DeadJobs => bind_jobs(
            sqlx::query_as(concat!(
                "SELECT count(*)",
                jobs_matching!("jobs", "created_at", "state = 'dead'")
            )),
            filter,
            until,
        ),
        Target::FinishedJobs => bind_jobs(
            sqlx::query_as(concat!(
                "SELECT count(*)",
                jobs_matching!("job_history", "finished_at", "outcome <> 'merged'")
            )),
            filter,
            until,
        ),
    };
    Ok(counted.fetch_one(connection).await?.0)
}

/// The next events behind the cursor.
pub(super) async fn events(
    connection: &mut PgConnection,
    filter: &ReplayFilter,
    until: DateTime<Utc>,
    behind: Option<&Cursor>,
    limit: i64,
) -> Result<Vec<StoredEvent>, sqlx::Error> {
    const PAGE: &str = concat!(
        "SELECT id, source, account, code, subject, received_at, payload::text AS payload, body",
        events_matching!(),
        " AND received_at >= coalesce($9, '-infinity')
          AND (received_at, id) > (coalesce($9, '-infinity'), coalesce($10, '00000000-0000-0000-0000-000000000000'::uuid))
         ORDER BY received_at, id LIMIT $11"
    );
    bind_events(sqlx::query_as(PAGE), filter, until)
        .bind(behind.map(|cursor| cursor.at))
        .bind(behind.and_then(|cursor| cursor.id.parse::<Uuid>().ok()))
        .bind(limit)
        .fetch_all(connection)
        .await
}

/// The next dead or finished jobs behind the cursor: when and which.
pub(super) async fn jobs(
    connection: &mut PgConnection,
    target: Target,
    filter: &ReplayFilter,
    until: DateTime<Utc>,
    behind: Option<&Cursor>,
    limit: i64,
) -> Result<Vec<(DateTime<Utc>, i64)>, sqlx::Error> {
    const DEAD: &str = concat!(
        "SELECT created_at, id",
        jobs_matching!("jobs", "created_at", "state = 'dead'"),
        " AND (created_at, id) > (coalesce($10, '-infinity'), coalesce($11, 0)) ORDER BY created_at, id LIMIT $12"
    );
    const FINISHED: &str = concat!(
        "SELECT finished_at, id",
        jobs_matching!("job_history", "finished_at", "outcome <> 'merged'"),
        " AND finished_at >= coalesce($10, '-infinity')
          AND (finished_at, id) > (coalesce($10, '-infinity'), coalesce($11, 0)) ORDER BY finished_at, id LIMIT $12"
    );
    let sql = if target == Target::DeadJobs { DEAD } else { FINISHED };
    bind_jobs(sqlx::query_as(sql), filter, until)
        .bind(behind.map(|cursor| cursor.at))
        .bind(behind.and_then(|cursor| cursor.id.parse::<i64>().ok()))
        .bind(limit)
        .fetch_all(connection)
        .await
}

/// An event by its id, which tells the partition.
///
/// # Errors
/// When the database refuses.
pub(super) async fn event(
    connection: &mut PgConnection,
    id: Uuid,
) -> Result<Option<StoredEvent>, sqlx::Error> {
    let Some(at) = crate::domain::event::received_at_of(id) else { return Ok(None) };
    sqlx::query_as(
        "SELECT id, source, account, code, subject, received_at, payload::text AS payload, body FROM pushbox.events
         WHERE id = $1 AND received_at >= $2 AND received_at < $2 + interval '1 ms'",
    )
    .bind(id)
    .bind(at)
    .fetch_optional(connection)
    .await
}
