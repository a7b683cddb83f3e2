//! Events as people look at them. Nothing here locks or changes anything.

use chrono::{DateTime, TimeDelta, Utc};
use sqlx::{PgExecutor, Postgres, QueryBuilder};
use uuid::Uuid;

use crate::domain::event::received_at_of;

/// Which events; every part that is set must hold.
#[derive(Debug, Clone, Default)]
pub struct EventFilter {
    /// The source's name.
    pub source: Option<String>,
    /// The platform's code.
    pub code: Option<String>,
    /// The shop or account.
    pub account: Option<String>,
    /// What it is about, for example an order number.
    pub subject: Option<String>,
    /// How it came: a spelling of `events.via`.
    pub via: Option<String>,
    /// Where its work stands.
    pub state: Option<WorkState>,
    /// A part of the last error of one of its jobs that are alive, in any case.
    pub error: Option<String>,
    /// Received then or later.
    pub since: Option<DateTime<Utc>>,
    /// Received before.
    pub until: Option<DateTime<Utc>>,
}

/// Where the work that an event asked for stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WorkState {
    /// No job of it is alive.
    Done,
    /// Jobs of it wait or run.
    Pending,
    /// A job of it was given up.
    Dead,
}

/// The newest events of jobs that are alive: more than a page of them is never looked at.
const SUSPECTS: i64 = 10_000;

/// The event that a push of the last minute with this body became.
///
/// # Errors
/// When the database refuses.
pub async fn find_by_body(
    executor: impl PgExecutor<'_>,
    source: &str,
    body_sha256: &[u8],
) -> sqlx::Result<Option<Uuid>> {
    sqlx::query_scalar(
        "SELECT id FROM pushbox.events
         WHERE source = $1 AND body_sha256 = $2 AND received_at > now() - interval '1 minute'
         ORDER BY received_at DESC LIMIT 1",
    )
    .bind(source)
    .bind(body_sha256)
    .fetch_optional(executor)
    .await
}

/// The place of an event in the list: what comes after it is older.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EventPlace {
    /// When it was received.
    pub received_at: DateTime<Utc>,
    /// Its id.
    pub id: Uuid,
}

/// An event without its payload.
#[derive(Debug, Clone, sqlx::FromRow)]
pub struct EventSummary {
    /// `events.id`.
    pub id: Uuid,
    /// `events.source`.
    pub source: String,
    /// `events.account`.
    pub account: Option<String>,
    /// `events.code`.
    pub code: String,
    /// `events.kind`.
    pub kind: String,
    /// `events.subject`.
    pub subject: Option<String>,
    /// `events.via`.
    pub via: String,
    /// `events.occurred_at`.
    pub occurred_at: Option<DateTime<Utc>>,
    /// `events.received_at`.
    pub received_at: DateTime<Utc>,
    /// How often it came again.
    pub redeliveries: i32,
    /// Jobs of it that are alive and not dead.
    pub jobs_alive: i64,
    /// Jobs of it that were given up.
    pub jobs_dead: i64,
}

/// What an event carried.
#[derive(Debug, Clone, sqlx::FromRow)]
pub struct EventContent {
    /// `events.payload`.
    pub payload: Option<serde_json::Value>,
    /// `events.body`.
    pub body: Option<Vec<u8>>,
    /// `events.parse_error`.
    pub parse_error: Option<String>,
    /// `events.body_sha256`.
    pub body_sha256: Vec<u8>,
    /// `events.headers`.
    pub headers: serde_json::Value,
    /// `events.erased_at`.
    pub erased_at: Option<DateTime<Utc>>,
    /// `event_keys.last_seen_at`; none when it came once.
    pub last_seen_at: Option<DateTime<Utc>>,
}

/// The columns of a summary. The counts are index look-ups for the few rows of a page; a job that several
/// events share counts for each of them.
const SUMMARY: &str = "select e.id, e.source, e.account, e.code, e.kind, e.subject, e.via, e.occurred_at, e.received_at,
       coalesce((select max(k.redeliveries) from pushbox.event_keys k
                  where k.event_id = e.id and k.redeliveries > 0), 0) as redeliveries,
       jobs.alive as jobs_alive, jobs.dead as jobs_dead
  from page e
 cross join lateral (
       select count(*) filter (where j.state <> 'dead') as alive,
              count(*) filter (where j.state = 'dead') as dead
         from (select state from pushbox.jobs where event_id = e.id
               union all
               select state from pushbox.jobs where merged_events @> array[e.id] and merged_events <> '{}') j) jobs
 order by e.received_at desc, e.id desc";

/// At most `limit` events that pass, newest first, after `after`.
///
/// The primary key (`received_at`, `id`) serves it, partition by partition from the newest; a subject has an
/// index of its own. A filter that few events pass may read much of the retention.
pub async fn list_events(
    executor: impl PgExecutor<'_>,
    filter: &EventFilter,
    after: Option<EventPlace>,
    limit: u16,
) -> sqlx::Result<Vec<EventSummary>> {
    let mut query = QueryBuilder::<Postgres>::new("with ");
    let by_jobs =
        matches!(filter.state, Some(WorkState::Pending | WorkState::Dead)) || filter.error.is_some();
    if by_jobs {
        push_suspects(&mut query, filter, after);
    }
    query.push(
        "page as (select e.id, source, account, code, kind, subject, via, occurred_at, received_at from ",
    );
    // The id tells the millisecond, which finds the partition and the place in it.
    query.push(if by_jobs {
        "suspects s join pushbox.events e on e.id = s.id
             and e.received_at >= s.at - interval '1 ms' and e.received_at < s.at + interval '2 ms' where true"
    } else {
        "pushbox.events e where true"
    });
    match filter.state {
        Some(WorkState::Pending) => push_no_job(&mut query, " and j.state = 'dead'"),
        Some(WorkState::Done) => push_no_job(&mut query, ""),
        Some(WorkState::Dead) | None => {}
    }
    let equals = [
        (" and source = ", &filter.source),
        (" and code = ", &filter.code),
        (" and account = ", &filter.account),
        (" and subject = ", &filter.subject),
        (" and via = ", &filter.via),
    ];
    for (condition, value) in equals {
        if let Some(value) = value {
            query.push(condition).push_bind(value.as_str());
        }
    }
    if let Some(since) = filter.since {
        query.push(" and received_at >= ").push_bind(since);
    }
    if let Some(until) = filter.until {
        query.push(" and received_at < ").push_bind(until);
    }
    if let Some(place) = after {
        query.push(" and (received_at, e.id) < (").push_bind(place.received_at);
        query.push(", ").push_bind(place.id).push(")");
        // The row comparison alone does not exclude partitions.
        query.push(" and received_at <= ").push_bind(place.received_at);
    }
    query.push(" order by received_at desc, e.id desc limit ").push_bind(i64::from(limit)).push(") ");
    query.push(SUMMARY).build_query_as().fetch_all(executor).await
}

/// The CTE `suspects`: events of jobs that are alive and in the state, or failed for the reason, asked for.
fn push_suspects(query: &mut QueryBuilder<Postgres>, filter: &EventFilter, after: Option<EventPlace>) {
    query.push(
        "suspects as (select distinct id,
                to_timestamp(('x' || left(replace(id::text, '-', ''), 12))::bit(48)::bigint / 1000.0) as at
           from (",
    );
    let ids = ["select event_id as id", " union all select unnest(merged_events) as id"];
    for (select, narrowed) in ids.into_iter().zip(["event_id is not null", "merged_events <> '{}'"]) {
        query.push(select).push(" from pushbox.jobs where ").push(narrowed);
        match filter.state {
            Some(WorkState::Dead) => drop(query.push(" and state = 'dead'")),
            Some(WorkState::Pending) => drop(query.push(" and state <> 'dead'")),
            Some(WorkState::Done) | None => {}
        }
        if let Some(error) = &filter.error {
            query.push(" and strpos(lower(last_error), lower(").push_bind(error.clone()).push(")) > 0");
        }
    }
    query.push(") alive where true");
    if let Some(place) = after {
        // Ids grow with the time of receipt; the milliseconds on the border are settled by the page itself.
        query.push(" and id <= ").push_bind(last_id_of(place.received_at));
    }
    query.push(" order by id desc limit ").push_bind(SUSPECTS).push("), ");
}

/// The highest id that an event received at `at` can have.
fn last_id_of(at: DateTime<Utc>) -> Uuid {
    let milliseconds = u64::try_from(at.timestamp_millis()).unwrap_or(0) + 1;
    Uuid::from_u128((u128::from(milliseconds) << 80) | (u128::MAX >> 48))
}

fn push_no_job(query: &mut QueryBuilder<Postgres>, condition: &'static str) {
    query.push(" and not exists (select from pushbox.jobs j where j.event_id = e.id").push(condition);
    query.push(") and not exists (select from pushbox.jobs j where j.merged_events <> '{}'");
    query.push(" and j.merged_events @> array[e.id]").push(condition).push(")");
}

/// The millisecond in which an event with this id was received: what finds its partition. None for an id
/// that no event can have.
fn received_within(id: Uuid) -> Option<(DateTime<Utc>, DateTime<Utc>)> {
    let from = received_at_of(id)?;
    Some((from, from + TimeDelta::milliseconds(1)))
}

/// The event with this id.
pub async fn find_event(executor: impl PgExecutor<'_>, id: Uuid) -> sqlx::Result<Option<EventSummary>> {
    let Some((from, to)) = received_within(id) else { return Ok(None) };
    let mut query = QueryBuilder::<Postgres>::new(
        "with page as (select id, source, account, code, kind, subject, via, occurred_at, received_at
           from pushbox.events where received_at >= ",
    );
    query.push_bind(from).push(" and received_at < ").push_bind(to);
    query.push(" and id = ").push_bind(id).push(") ");
    query.push(SUMMARY).build_query_as().fetch_optional(executor).await
}

/// What the event with this id carried.
pub async fn find_event_content(
    executor: impl PgExecutor<'_>,
    id: Uuid,
) -> sqlx::Result<Option<EventContent>> {
    let Some((from, to)) = received_within(id) else { return Ok(None) };
    sqlx::query_as(
        "select e.payload, e.body, e.parse_error, e.body_sha256, e.headers, e.erased_at,
                (select max(k.last_seen_at) from pushbox.event_keys k
                  where k.event_id = e.id and k.redeliveries > 0) as last_seen_at
           from pushbox.events e
          where e.received_at >= $1 and e.received_at < $2 and e.id = $3",
    )
    .bind(from)
    .bind(to)
    .bind(id)
    .fetch_optional(executor)
    .await
}
