//! How a claim ends: done, back to ready, or dead. Every statement checks the claim id, so that a worker
//! whose lease was lost changes nothing.

use std::time::Duration;

use sqlx::PgConnection;
use uuid::Uuid;

use super::enqueue::merge_into_ready;
use super::policy::{MAX_CRASHES, SUSPECT_CRASHES};
use crate::store::breakers::Prober;

/// The claim is no longer ours: the lease ran out and the job went on without us. The caller must roll its
/// transaction back.
#[derive(Debug, thiserror::Error)]
pub enum CompleteError {
    /// Somebody else has the job, or it is gone.
    #[error(transparent)]
    LeaseLost(#[from] LeaseLost),
    /// The database refused.
    #[error("cannot complete jobs")]
    Database(#[from] sqlx::Error),
}

/// Some jobs of a completion were not ours any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the lease of {lost} of {asked} jobs was lost")]
pub struct LeaseLost {
    /// Jobs that are not ours any more.
    pub lost: usize,
    /// Jobs that were to be completed.
    pub asked: usize,
}

/// Names one claim of one job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Claim {
    /// Number of the job.
    pub job_id: i64,
    /// The claim id it was handed out with.
    pub claim_id: Uuid,
}

impl From<Claim> for Prober {
    fn from(Claim { job_id, claim_id }: Claim) -> Self {
        Self { job_id, claim_id }
    }
}

/// A claim that ended well.
#[derive(Debug, Clone)]
pub struct Done {
    /// Which.
    pub claim: Claim,
    /// How long the handler had it.
    pub ran: Duration,
    /// What the history shall say about it.
    pub note: Option<String>,
}

/// A claim that ended otherwise.
#[derive(Debug, Clone)]
pub struct Returned {
    /// Which.
    pub claim: Claim,
    /// What becomes of the job.
    pub verdict: Verdict,
}

/// What becomes of a job that is not done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It failed: charge an attempt; run again after `after`, or be dead when attempts are used up.
    Retry {
        /// Why it failed.
        error: String,
        /// Not before this delay.
        after: Duration,
    },
    /// It has to wait for something: charge nothing.
    Wait {
        /// What it waits for.
        on: String,
        /// Not before this delay.
        after: Duration,
    },
    /// It has to wait for something, and keeps its place: charge nothing.
    Keep {
        /// What it waits for.
        on: String,
    },
    /// It was never begun: back as it was.
    Release,
    /// It will never work.
    Dead {
        /// Why.
        error: String,
    },
}

/// Where the end of a claim brought one job.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct Moved {
    /// Number of the job.
    pub id: i64,
    /// Its queue.
    pub queue: String,
    /// `done`, `ready`, `dead`, or `merged` into a newer ready job with the same key.
    pub state: String,
}

/// Moves done jobs to the history; returns those that were still ours.
///
/// # Errors
/// When the database refuses; then nothing is moved.
pub async fn complete(connection: &mut PgConnection, done: &[Done]) -> Result<Vec<Moved>, sqlx::Error> {
    let ids: Vec<i64> = done.iter().map(|one| one.claim.job_id).collect();
    let claims: Vec<Uuid> = done.iter().map(|one| one.claim.claim_id).collect();
    let ran: Vec<f64> = done.iter().map(|one| one.ran.as_secs_f64()).collect();
    let notes: Vec<Option<String>> = done.iter().map(|one| one.note.as_deref().map(storable)).collect();
    sqlx::query_as(
        "WITH ended AS (
             DELETE FROM pushbox.jobs j
             USING unnest($1::bigint[], $2::uuid[], $3::float8[], $4::text[]) AS a(id, claim_id, ran, note)
             WHERE j.id = a.id AND j.claim_id = a.claim_id AND j.state = 'running'
             RETURNING j.*, a.ran, a.note
         )
         INSERT INTO pushbox.job_history
             (id, queue, kind, key, batch_key, payload, outcome, attempt, crashes, worker, event_id,
              merged_events, errors, note, created_at, started_at, finished_at)
         SELECT id, queue, kind, key, batch_key, payload, 'done', attempt + 1, crashes, worker, event_id,
                merged_events, errors, note, created_at, clock_timestamp() - ran * interval '1 second',
                clock_timestamp()
         FROM ended
         RETURNING id, queue, 'done' AS state",
    )
    .bind(ids)
    .bind(claims)
    .bind(ran)
    .bind(notes)
    .fetch_all(connection)
    .await
}

/// Completes jobs inside the caller's transaction, together with their effects and the jobs that follow.
///
/// # Errors
/// [`CompleteError::LeaseLost`] when any of them is not ours any more: roll back, somebody else does them.
pub async fn complete_in(connection: &mut PgConnection, done: &[Done]) -> Result<(), CompleteError> {
    let moved = complete(connection, done).await?.len();
    if moved == done.len() {
        Ok(())
    } else {
        Err(LeaseLost { lost: done.len() - moved, asked: done.len() }.into())
    }
}

/// Ends claims that are not done. A job goes back by leaving and entering the table again under its number,
/// so that it can merge with a ready twin that came while it ran: an update could only collide with it.
///
/// # Errors
/// When the database refuses; then nothing is changed.
pub async fn give_back(
    connection: &mut PgConnection,
    returned: &[Returned],
) -> Result<Vec<Moved>, sqlx::Error> {
    let ids: Vec<i64> = returned.iter().map(|one| one.claim.job_id).collect();
    let claims: Vec<Uuid> = returned.iter().map(|one| one.claim.claim_id).collect();
    let mut charge = Vec::with_capacity(returned.len());
    let mut dead = Vec::with_capacity(returned.len());
    let mut after: Vec<Option<f64>> = Vec::with_capacity(returned.len());
    let mut error: Vec<Option<String>> = Vec::with_capacity(returned.len());
    let mut waiting_on: Vec<Option<String>> = Vec::with_capacity(returned.len());
    for one in returned {
        let (charged, is_dead, delay, why, on) = match &one.verdict {
            Verdict::Retry { error, after } => {
                (1, false, Some(after.as_secs_f64()), Some(storable(error)), None)
            }
            Verdict::Wait { on, after } => (0, false, Some(after.as_secs_f64()), None, Some(storable(on))),
            Verdict::Keep { on } => (0, false, None, None, Some(storable(on))),
            Verdict::Release => (0, false, None, None, None),
            Verdict::Dead { error } => (1, true, None, Some(storable(error)), None),
        };
        charge.push(charged);
        dead.push(is_dead);
        after.push(delay);
        error.push(why);
        waiting_on.push(on);
    }
    sqlx::query_as(GIVE_BACK)
        .bind(ids)
        .bind(claims)
        .bind(charge)
        .bind(dead)
        .bind(after)
        .bind(error)
        .bind(waiting_on)
        .fetch_all(connection)
        .await
}

/// Postgres has no NUL in a text, and a message may quote whatever a platform sent.
fn storable(text: &str) -> String {
    text.replace('\0', "\u{fffd}")
}

/// Puts the rows of the CTE `back` into `jobs`, merging with ready twins, and writes those that merged into
/// the history. `back` has the columns of jobs with the new state.
macro_rules! reenter {
    () => {
        concat!(
            ", entered AS (
                 INSERT INTO pushbox.jobs AS jobs
                     (id, queue, kind, key, batch_key, payload, priority, state, attempt, max_attempts, crashes,
                      run_at, worker, waiting_on, event_id, merged_events, last_error, errors, created_at)
                 SELECT id, queue, kind, key, batch_key, payload, priority, state, attempt, max_attempts, crashes,
                        run_at, worker, waiting_on, event_id, merged_events, last_error, errors, created_at
                 FROM back ORDER BY kind COLLATE \"C\", key COLLATE \"C\"
                 ",
            merge_into_ready!(),
            "
                 RETURNING id
             ), merged AS (
                 INSERT INTO pushbox.job_history
                     (id, queue, kind, key, batch_key, payload, outcome, attempt, crashes, worker, event_id,
                      merged_events, errors, note, created_at, started_at, finished_at)
                 SELECT id, queue, kind, key, batch_key, payload, 'merged', attempt, crashes, worker, event_id,
                        merged_events, errors, NULL, created_at, started_at, clock_timestamp()
                 FROM back WHERE id NOT IN (SELECT id FROM entered)
                 RETURNING id
             )
             SELECT id, queue, CASE WHEN id IN (SELECT id FROM merged) THEN 'merged' ELSE state END AS state FROM back"
        )
    };
}

pub(crate) use reenter;

const GIVE_BACK: &str = concat!(
    "WITH ended AS (
         DELETE FROM pushbox.jobs j
         USING unnest($1::bigint[], $2::uuid[], $3::integer[], $4::boolean[], $5::float8[], $6::text[], $7::text[])
               AS a(id, claim_id, charge, dead, after, error, waits)
         WHERE j.id = a.id AND j.claim_id = a.claim_id AND j.state = 'running'
         RETURNING j.*, a.charge, a.dead, a.after, a.error, a.waits
     ), back AS (
         SELECT id, queue, kind, key, batch_key, payload, priority,
                CASE WHEN dead OR (charge > 0 AND attempt + charge >= max_attempts) THEN 'dead' ELSE 'ready' END AS state,
                attempt + charge AS attempt, max_attempts,
                CASE WHEN after IS NULL AND waits IS NULL AND NOT dead THEN crashes ELSE 0 END AS crashes,
                -- One instant for all, so that jobs given back together keep the order of their delays.
                CASE WHEN after IS NULL THEN run_at ELSE statement_timestamp() + after * interval '1 second' END AS run_at,
                worker, waits AS waiting_on, event_id, merged_events,
                coalesce(error, last_error) AS last_error,
                -- The first failure and the newest twenty tell the story; more would only make the row heavy.
                CASE WHEN error IS NULL THEN errors
                     ELSE (CASE WHEN jsonb_array_length(errors) > 20 THEN errors - 1 ELSE errors END)
                          || jsonb_build_object('attempt', attempt + charge, 'at', clock_timestamp(), 'error', error)
                END AS errors,
                created_at, started_at
         FROM ended
     )",
    reenter!()
);

/// Extends the leases of claims that are still held; returns the numbers of the jobs that are still ours. It
/// waits for nobody: a row that is locked is being settled, and one slow transaction must neither keep the
/// other leases from being extended nor meet this statement in a deadlock. Should it roll back, the next
/// beat extends.
///
/// # Errors
/// When the database refuses.
pub async fn extend(
    connection: &mut PgConnection,
    held: &[Claim],
    lease_seconds: f64,
) -> Result<Vec<i64>, sqlx::Error> {
    let ids: Vec<i64> = held.iter().map(|claim| claim.job_id).collect();
    let claims: Vec<Uuid> = held.iter().map(|claim| claim.claim_id).collect();
    sqlx::query_scalar(
        "WITH ours AS (
             SELECT j.id FROM pushbox.jobs j JOIN unnest($1::bigint[], $2::uuid[]) AS a(id, claim_id) USING (id)
             WHERE j.claim_id = a.claim_id AND j.state = 'running'
         ), free AS (
             SELECT id FROM pushbox.jobs WHERE id = ANY (ARRAY(SELECT id FROM ours))
                AND claim_id = ANY ($2) AND state = 'running' FOR NO KEY UPDATE SKIP LOCKED
         ), extended AS (
             UPDATE pushbox.jobs SET lease_until = now() + $3 * interval '1 second'
             WHERE id = ANY (ARRAY(SELECT id FROM free)) AND state = 'running'
         )
         SELECT id FROM ours",
    )
    .bind(ids)
    .bind(claims)
    .bind(lease_seconds)
    .fetch_all(connection)
    .await
}

/// Marks suspects ([`super::policy::is_suspect`]) as begun, so that a crash is blamed on the right one.
///
/// # Errors
/// When the database refuses.
pub async fn begin_suspect(connection: &mut PgConnection, claim: Claim) -> Result<bool, sqlx::Error> {
    let done = sqlx::query(
        "UPDATE pushbox.jobs SET started_at = clock_timestamp()
         WHERE id = $1 AND claim_id = $2 AND state = 'running'",
    )
    .bind(claim.job_id)
    .bind(claim.claim_id)
    .execute(connection)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Ends the claims of running jobs that meet the condition. `$4`: their workers are known to be gone.
macro_rules! reap {
    ($condition:literal) => {
        concat!(
            "WITH over AS (
                 SELECT id FROM pushbox.jobs WHERE state = 'running' AND ",
            $condition,
            "    ORDER BY id LIMIT $1 FOR UPDATE SKIP LOCKED
             ), ended AS (
                 DELETE FROM pushbox.jobs WHERE id = ANY (ARRAY(SELECT id FROM over)) AND state = 'running' RETURNING *
             ), seen AS (
                 SELECT ended.*, EXISTS (SELECT FROM pushbox.workers w
                                         WHERE w.id = ended.worker AND w.seen_at > ended.lease_until AND NOT $4) AS lives
                 FROM ended
             ), judged AS (
                 SELECT *, NOT lives AND (crashes < $5 OR started_at IS NOT NULL) AS charged,
                        (crashes + CASE WHEN NOT lives AND (crashes < $5 OR started_at IS NOT NULL) THEN 1 ELSE 0 END)::smallint
                            AS blame
                 FROM seen
             ), back AS (
                 SELECT id, queue, kind, key, batch_key, payload, priority,
                        CASE WHEN charged AND blame >= $2 THEN 'dead' ELSE 'ready' END AS state,
                        attempt, max_attempts, blame AS crashes, run_at, worker, NULL::text AS waiting_on,
                        event_id, merged_events,
                        CASE WHEN charged AND blame >= $2
                             THEN 'poison: ' || blame || ' workers in a row vanished while running it, the last was ' || coalesce(worker, 'unknown')
                             ELSE last_error END AS last_error,
                        errors || jsonb_build_object('attempt', attempt, 'at', clock_timestamp(),
                                                     'error', CASE WHEN lives THEN 'its lease ran out while its worker lived: '
                                                                   ELSE 'its worker vanished: ' END
                                                              || coalesce(worker, 'unknown')) AS errors,
                        created_at, started_at
                 FROM judged
             )",
            reenter!()
        )
    };
}

/// Returns jobs whose lease is over. No attempt is charged: the worker is to blame. The second loss
/// in a row makes a job a suspect; a suspect that had begun when its worker vanished again comes closer to being
/// poison. A worker that was
/// seen after the lease was over has not vanished: it could not reach the database in time, which is nobody's fault.
///
/// Nothing is returned in the first `after_start` of the server's life: while it was away nobody could extend a lease,
/// and whoever lives does so as soon as it is back.
///
/// # Errors
/// When the database refuses.
pub async fn reap(
    connection: &mut PgConnection,
    limit: i64,
    after_start: Duration,
) -> Result<Vec<Moved>, sqlx::Error> {
    sqlx::query_as(reap!(
        "lease_until < now() AND now() > pg_postmaster_start_time() + $3 * interval '1 second'"
    ))
    .bind(limit)
    .bind(MAX_CRASHES)
    .bind(after_start.as_secs_f64())
    .bind(false)
    .bind(SUSPECT_CRASHES)
    .fetch_all(connection)
    .await
}

/// The same for all jobs of a process that is known to be gone, whatever is left of their leases.
///
/// # Errors
/// When the database refuses.
pub(crate) async fn reap_worker<'c>(
    executor: impl sqlx::PgExecutor<'c>,
    worker: &str,
) -> Result<Vec<Moved>, sqlx::Error> {
    sqlx::query_as(reap!("worker = $3"))
        .bind(i64::MAX)
        .bind(MAX_CRASHES)
        .bind(worker)
        .bind(true)
        .bind(SUSPECT_CRASHES)
        .fetch_all(executor)
        .await
}
