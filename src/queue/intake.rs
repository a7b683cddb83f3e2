//! The one way in: key, event and first jobs in one statement, hence in one transaction.

use std::borrow::Cow;

use chrono::{DateTime, Utc};
use sqlx::types::Json;
use sqlx::{Connection, PgConnection};
use uuid::Uuid;

use super::enqueue::{Columns, NewJob, merge_into_ready};
use crate::domain::event::{NewEvent, Payload};

/// An event and the jobs it asks for first.
#[derive(Debug, Clone)]
pub struct Intake {
    /// The event.
    pub event: NewEvent,
    /// Its first jobs; each must name the event.
    pub jobs: Vec<NewJob>,
}

/// What became of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Accepted {
    /// Stored with its first jobs.
    New(Uuid),
    /// Known under its key already: the redelivery was counted, nothing else was done.
    Redelivery(Uuid),
}

impl Accepted {
    /// The event under the key, whoever brought it.
    pub fn event_id(self) -> Uuid {
        match self {
            Self::New(id) | Self::Redelivery(id) => id,
        }
    }
}

/// Stores what is new and counts what is not; the answers are in the order of the question. Two of the same
/// key in one call become one event. Wake the workers after the commit.
///
/// # Errors
/// When the database refuses; then nothing is stored.
pub async fn accept(connection: &mut PgConnection, intakes: &[Intake]) -> Result<Vec<Accepted>, sqlx::Error> {
    if intakes.is_empty() {
        return Ok(Vec::new());
    }
    let mut rows = Rows::default();
    for intake in intakes {
        rows.push(intake);
    }
    let known: Vec<(String, String, Uuid)> = rows.store(connection).await?;
    let by_key: std::collections::HashMap<(&str, &str), Uuid> =
        known.iter().map(|(source, key, id)| ((source.as_str(), key.as_str()), *id)).collect();
    Ok(intakes
        .iter()
        .map(|Intake { event, .. }| match by_key.get(&(event.source.as_str(), event.key.as_str())) {
            Some(id) if *id == event.id => Accepted::New(event.id),
            Some(id) => Accepted::Redelivery(*id),
            None => unreachable!("the statement answers every key it was asked for"),
        })
        .collect())
}

/// Stores what can be stored: one row that Postgres will not have never fails its neighbours. It is tried by
/// itself, and then kept as bytes instead of JSON. The answers are in the order of the question.
pub async fn accept_each(
    connection: &mut PgConnection,
    mut intakes: Vec<Intake>,
) -> Vec<Result<Accepted, sqlx::Error>> {
    let error = match accept(connection, &intakes).await {
        Ok(accepted) => return accepted.into_iter().map(Ok).collect(),
        Err(error) => error,
    };
    if !is_about_data(&error) {
        let again = error.to_string();
        let others = intakes.iter().skip(1).map(|_| Err(sqlx::Error::Protocol(again.clone())));
        let others: Vec<_> = others.collect();
        return std::iter::once(Err(error)).chain(others).collect();
    }
    tracing::warn!(%error, pushes = intakes.len(), "a push cannot be stored as it is; storing one by one");
    let mut results = Vec::with_capacity(intakes.len());
    for intake in &mut intakes {
        results.push(accept_alone(connection, intake).await);
    }
    results
}

async fn accept_alone(connection: &mut PgConnection, intake: &mut Intake) -> Result<Accepted, sqlx::Error> {
    match accept(connection, std::slice::from_ref(intake)).await {
        Ok(accepted) => return Ok(accepted[0]),
        Err(error) if !is_about_data(&error) => return Err(error),
        Err(error) => keep_as_bytes(intake, &error),
    }
    let accepted = accept(connection, std::slice::from_ref(intake)).await;
    accepted.map(|accepted| accepted[0]).inspect_err(|error| {
        tracing::error!(%error, key = intake.event.key, "a push could not be stored at all");
    })
}

/// Stores all of them in the caller's transaction, or fails; a row that Postgres will not have as it is, is kept
/// as bytes. For whoever may forget the source of them once this is committed.
///
/// # Errors
/// When the database refuses; then the transaction is of no more use.
pub async fn accept_all(
    transaction: &mut PgConnection,
    mut intakes: Vec<Intake>,
) -> Result<Vec<Accepted>, sqlx::Error> {
    let mut attempt = transaction.begin().await?;
    match accept(&mut attempt, &intakes).await {
        Ok(accepted) => {
            attempt.commit().await?;
            return Ok(accepted);
        }
        Err(error) if !is_about_data(&error) => return Err(error),
        Err(_) => attempt.rollback().await?,
    }
    let mut all = Vec::with_capacity(intakes.len());
    for intake in &mut intakes {
        let mut attempt = transaction.begin().await?;
        match accept(&mut attempt, std::slice::from_ref(intake)).await {
            Ok(accepted) => {
                attempt.commit().await?;
                all.extend(accepted);
                continue;
            }
            Err(error) if !is_about_data(&error) => return Err(error),
            Err(error) => {
                attempt.rollback().await?;
                keep_as_bytes(intake, &error);
            }
        }
        all.extend(accept(transaction, std::slice::from_ref(intake)).await?);
    }
    Ok(all)
}

fn keep_as_bytes(intake: &mut Intake, error: &sqlx::Error) {
    if let Payload::Json(text) = &mut intake.event.payload {
        let body = std::mem::take(text).into_bytes();
        let parse_error = format!("Postgres refused it: {error}");
        intake.event.payload = Payload::Raw { body, parse_error };
    }
}

/// Data exceptions, violated constraints, exceeded limits: the same row would meet them again.
pub fn is_about_data(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Database(refusal) => {
            refusal.code().is_some_and(|code| ["22", "23", "54"].iter().any(|class| code.starts_with(class)))
        }
        sqlx::Error::Encode(_) => true,
        _ => false,
    }
}

/// Events and their first jobs as columns. Borrowed: a push is copied once, into the message to Postgres.
#[derive(Default)]
struct Rows<'a> {
    id: Vec<Uuid>,
    source: Vec<&'a str>,
    key: Vec<&'a str>,
    key_expires_at: Vec<DateTime<Utc>>,
    account: Vec<Option<&'a str>>,
    code: Vec<&'a str>,
    kind: Vec<&'a str>,
    subject: Vec<Option<&'a str>>,
    payload: Vec<Option<&'a str>>,
    body: Vec<Option<&'a [u8]>>,
    parse_error: Vec<Option<&'a str>>,
    body_sha256: Vec<&'a [u8]>,
    headers: Vec<Json<&'a serde_json::Value>>,
    occurred_at: Vec<Option<DateTime<Utc>>>,
    received_at: Vec<DateTime<Utc>>,
    via: Vec<&'static str>,
    /// Kinds joined by commas: Postgres has no arrays of arrays of different lengths.
    first_jobs: Vec<Cow<'static, str>>,
    jobs: Columns<'a>,
}

impl<'a> Rows<'a> {
    fn push(&mut self, Intake { event, jobs }: &'a Intake) {
        let (payload, body, parse_error) = match &event.payload {
            Payload::Json(text) => (Some(text.as_str()), None, None),
            Payload::Raw { body, parse_error } => (None, Some(body.as_slice()), Some(parse_error.as_str())),
        };
        self.id.push(event.id);
        self.source.push(&event.source);
        self.key.push(&event.key);
        self.key_expires_at.push(event.key_expires_at);
        self.account.push(event.account.as_deref());
        self.code.push(&event.code);
        self.kind.push(&event.kind);
        self.subject.push(event.subject.as_deref());
        self.payload.push(payload);
        self.body.push(body);
        self.parse_error.push(parse_error);
        self.body_sha256.push(&event.body_sha256);
        self.headers.push(Json(&event.headers));
        self.occurred_at.push(event.occurred_at);
        self.received_at.push(event.received_at);
        self.via.push(event.via.as_str());
        self.first_jobs.push(match jobs.as_slice() {
            [] => Cow::Borrowed(""),
            [one] => Cow::Borrowed(one.kind()),
            many => many.iter().map(NewJob::kind).collect::<Vec<_>>().join(",").into(),
        });
        for job in jobs {
            debug_assert_eq!(job.event(), Some(event.id), "a first job names its event");
            self.jobs.push(job);
        }
    }

    /// One statement: no event without its key, no job without its event. Keys are inserted in sorted order,
    /// jobs as well, so that two writers cannot deadlock. `DISTINCT ON` keeps the first of equal keys; the
    /// others count as redeliveries of it. A key that has expired gives way to the new event.
    async fn store(&self, connection: &mut PgConnection) -> Result<Vec<(String, String, Uuid)>, sqlx::Error> {
        sqlx::query_as(STORE)
            .bind(&self.id)
            .bind(&self.source)
            .bind(&self.key)
            .bind(&self.key_expires_at)
            .bind(&self.account)
            .bind(&self.code)
            .bind(&self.kind)
            .bind(&self.subject)
            .bind(&self.payload)
            .bind(&self.body)
            .bind(&self.parse_error)
            .bind(&self.body_sha256)
            .bind(&self.headers)
            .bind(&self.occurred_at)
            .bind(&self.received_at)
            .bind(&self.via)
            .bind(&self.first_jobs)
            .bind(&self.jobs.queue)
            .bind(&self.jobs.kind)
            .bind(&self.jobs.key)
            .bind(&self.jobs.batch_key)
            .bind(&self.jobs.payload)
            .bind(&self.jobs.priority)
            .bind(&self.jobs.run_at)
            .bind(&self.jobs.max_attempts)
            .bind(&self.jobs.event_id)
            .bind(&self.jobs.in_order)
            .fetch_all(connection)
            .await
    }
}

const STORE: &str = concat!(
    "WITH input AS (
         SELECT * FROM unnest($1::uuid[], $2::text[], $3::text[], $4::timestamptz[], $5::text[], $6::text[],
                              $7::text[], $8::text[], $9::text[], $10::bytea[], $11::text[], $12::bytea[],
                              $13::jsonb[], $14::timestamptz[], $15::timestamptz[], $16::text[], $17::text[])
              WITH ORDINALITY
              AS t(id, source, key, expires_at, account, code, kind, subject, payload, body, parse_error,
                   body_sha256, headers, occurred_at, received_at, via, first_jobs, ordinality)
     ), first AS (
         SELECT DISTINCT ON (source, key) *, count(*) OVER (PARTITION BY source, key) - 1 AS repeats
         FROM input ORDER BY source, key, ordinality
     ), keyed AS (
         INSERT INTO pushbox.event_keys AS known (source, key, event_id, expires_at, redeliveries, last_seen_at)
         SELECT source, key, id, expires_at, repeats, CASE WHEN repeats > 0 THEN received_at END
         FROM first ORDER BY source, key
         ON CONFLICT (source, key) DO UPDATE SET
             event_id = CASE WHEN known.expires_at < now() THEN excluded.event_id ELSE known.event_id END,
             redeliveries = CASE WHEN known.expires_at < now() THEN excluded.redeliveries
                                 ELSE known.redeliveries + excluded.redeliveries + 1 END,
             expires_at = greatest(known.expires_at, excluded.expires_at),
             last_seen_at = now()
         RETURNING source, key, event_id
     ), stored AS (
         INSERT INTO pushbox.events (id, source, account, code, kind, subject, payload, body, parse_error,
                                     body_sha256, headers, occurred_at, received_at, via, first_jobs)
         SELECT id, source, account, code, kind, subject, payload::jsonb, body, parse_error,
                body_sha256, headers, occurred_at, received_at, via, string_to_array(first_jobs, ',')
         FROM first JOIN keyed USING (source, key) WHERE keyed.event_id = first.id
         RETURNING id
     ), asked AS (
         -- Several new events of one order ask for one job.
         SELECT queue, kind, key, batch_key,
                (array_agg(payload ORDER BY coalesce((payload->>'not_before')::bigint, 0) DESC))[1] AS payload,
                min(priority) AS priority,
                min(CASE WHEN in_order THEN least(run_at, now()) ELSE run_at END) AS run_at, max(max_attempts) AS max_attempts,
                array_agg(event_id ORDER BY event_id) AS event_ids
         FROM (SELECT t.*, payload_text::jsonb AS payload
               FROM unnest($18::text[], $19::text[], $20::text[], $21::text[], $22::text[], $23::smallint[],
                           $24::timestamptz[], $25::integer[], $26::uuid[],
                           $27::boolean[])
                    AS t(queue, kind, key, batch_key, payload_text, priority, run_at, max_attempts, event_id, in_order)
               WHERE event_id IN (SELECT id FROM stored)) AS wanted
         GROUP BY queue, kind, key, batch_key, CASE WHEN key IS NULL THEN event_id END
         ORDER BY kind COLLATE \"C\", key COLLATE \"C\"
     ), enqueued AS (
         INSERT INTO pushbox.jobs AS jobs
             (queue, kind, key, batch_key, payload, priority, run_at, max_attempts, event_id, merged_events)
         SELECT queue, kind, key, batch_key, payload, priority, coalesce(run_at, now()), max_attempts,
                event_ids[1], event_ids[2:]
         FROM asked
         ",
    merge_into_ready!(),
    "
     )
     SELECT source, key, event_id FROM keyed"
);
