//! The breaker of each outside destination, shared by all processes.
//!
//! ```text
//!   closed ── failures in a row, or a fault that only a person can mend ──► open
//!      ▲                                                                     │ the pause is over
//!      └───────────── it works ───────────── half_open ◄─────────────────────┘
//!                                                └── it does not: open again, for twice as long
//! ```
//!
//! Ask with [`admit`] before a destination is used, and say how it went with [`fail`], [`trip`] or
//! [`succeed`]. Half open means that one job tries it while all others wait, for as long as that job runs: one that
//! ended without a word, or whose worker is gone, leaves the next one the try. Whoever waits is charged no
//! attempt. A breaker that opens raises one alert, however often it opens again; the one that closes resolves it.
//! Breaker and alert change together or not at all, so whatever changes them takes a transaction, not a connection.
//!
//! A person's pause ([`crate::store::destination_lists::pause_by_hand`]) stands above all of this: while it lasts
//! nobody is admitted, not to try it either, and no success and no reset ends it.

use std::time::Duration;

use sqlx::{PgConnection, PgPool, Postgres, Transaction};
use uuid::Uuid;

use crate::store;
use crate::store::alerts::{self, Alert, Severity};
use crate::store::destinations::{Paused, by_hand};

/// Failures in a row that open a breaker.
const THRESHOLD: i32 = 5;
/// The first pause; it doubles each time that it did not help.
const FIRST_PAUSE: Duration = Duration::from_secs(15);
/// The longest pause.
const LONGEST_PAUSE: Duration = Duration::from_mins(10);
/// How long whoever tries a destination has it for itself at most: longer than any call of ours takes.
const PROBE: Duration = Duration::from_mins(4);
/// How soon to ask again while another one tries it.
const WHILE_PROBED: Duration = Duration::from_secs(2);

/// Whether a destination may be used now.
#[derive(Debug, Clone, PartialEq)]
pub enum Admission {
    /// As much as there is.
    Free,
    /// Once, to see whether it works again; nobody else uses it meanwhile.
    Probe,
    /// Not now.
    Paused(Paused),
}

/// The claim of the job that wants to use a destination.
#[derive(Debug, Clone, Copy)]
pub struct Prober {
    /// Number of the job.
    pub job_id: i64,
    /// The claim id it was handed out with.
    pub claim_id: Uuid,
}

#[derive(sqlx::FromRow)]
struct Standing {
    by_hand: Option<String>,
    state: String,
    pause: Option<f64>,
    probed: bool,
    reason: Option<String>,
}

/// Somebody tries the destination `d` at this moment.
macro_rules! probed {
    () => {
        "(d.state = 'half_open' AND coalesce(d.probe_until > clock_timestamp(), false) AND EXISTS (
              SELECT FROM pushbox.jobs j
              WHERE j.id = d.probe_job AND j.claim_id = d.probe_claim AND j.state = 'running'))"
    };
}

/// Whether the destination may be used now by this job.
///
/// # Errors
/// When the database refuses.
pub async fn admit(
    connection: &mut PgConnection,
    kind: &str,
    name: &str,
    prober: Prober,
) -> Result<Admission, sqlx::Error> {
    let standing: Option<Standing> = sqlx::query_as(concat!(
        "SELECT CASE WHEN paused_at IS NOT NULL THEN coalesce(paused_reason, '') END AS by_hand, state, reason,
                extract(epoch FROM paused_until - clock_timestamp())::float8 AS pause, ",
        probed!(),
        " AS probed FROM pushbox.destinations d WHERE kind = $1 AND name = $2",
    ))
    .bind(kind)
    .bind(name)
    .fetch_optional(&mut *connection)
    .await?;
    let Some(standing) = standing else { return Ok(Admission::Free) };
    if let Some(reason) = standing.by_hand {
        return Ok(Admission::Paused(by_hand(&reason)));
    }
    if let Some(seconds) = standing.pause.filter(|seconds| *seconds > 0.0) {
        let reason = standing.reason.unwrap_or_default();
        return Ok(Admission::Paused(Paused { remaining: Duration::from_secs_f64(seconds), reason }));
    }
    if standing.state == "closed" {
        return Ok(Admission::Free);
    }
    if !standing.probed && claim_probe(connection, kind, name, prober).await? {
        return Ok(Admission::Probe);
    }
    let reason = format!("{kind} {name} is being tried again: {}", standing.reason.unwrap_or_default());
    Ok(Admission::Paused(Paused { remaining: WHILE_PROBED, reason }))
}

/// Of several that want to try it, one gets it.
async fn claim_probe(
    connection: &mut PgConnection,
    kind: &str,
    name: &str,
    prober: Prober,
) -> Result<bool, sqlx::Error> {
    let claimed = sqlx::query(concat!(
        "UPDATE pushbox.destinations d
         SET state = 'half_open', probe_until = clock_timestamp() + $3 * interval '1 second',
             probe_job = $4, probe_claim = $5, updated_at = now()
         WHERE kind = $1 AND name = $2 AND coalesce(paused_until <= clock_timestamp(), true)
           AND paused_at IS NULL AND state IN ('open', 'half_open') AND NOT ",
        probed!(),
    ))
    .bind(kind)
    .bind(name)
    .bind(PROBE.as_secs_f64())
    .bind(prober.job_id)
    .bind(prober.claim_id)
    .execute(connection)
    .await?;
    Ok(claimed.rows_affected() == 1)
}

/// The destination was not tried after all, although [`Admission::Probe`] allowed it: the next one may.
///
/// # Errors
/// When the database refuses.
pub async fn leave_probe(connection: &mut PgConnection, kind: &str, name: &str) -> Result<(), sqlx::Error> {
    sqlx::query(
        "UPDATE pushbox.destinations SET state = 'open', probe_until = NULL, updated_at = now()
         WHERE kind = $1 AND name = $2 AND state = 'half_open'",
    )
    .bind(kind)
    .bind(name)
    .execute(connection)
    .await?;
    Ok(())
}

/// The destination did not work, which may pass by itself. Returns for how long its breaker is open now, of which
/// an alert tells; none: it is still closed.
///
/// # Errors
/// When the database refuses.
pub async fn fail(
    transaction: &mut Transaction<'_, Postgres>,
    kind: &str,
    name: &str,
    error: &str,
) -> Result<Option<Duration>, sqlx::Error> {
    // A failure that comes late, of a call that began before the breaker opened, changes nothing.
    let (state, pause): (String, Option<f64>) = sqlx::query_as(
        "INSERT INTO pushbox.destinations AS d (kind, name, failures, last_error, last_failure_at)
         VALUES ($1, $2, 1, $3, clock_timestamp())
         ON CONFLICT (kind, name) DO UPDATE SET
             failures = d.failures + 1, last_error = $3, last_failure_at = clock_timestamp(), updated_at = now(),
             state = CASE WHEN d.state <> 'closed' OR d.failures + 1 >= $4 THEN 'open' ELSE 'closed' END,
             (opens, opened_at, paused_until, reason) = (
                 SELECT CASE WHEN opening THEN d.opens + 1 ELSE d.opens END,
                        CASE WHEN opening THEN coalesce(d.opened_at, clock_timestamp()) ELSE d.opened_at END,
                        CASE WHEN opening THEN greatest(d.paused_until, clock_timestamp()
                             + least($5 * power(2, least(d.opens, 20)), $6) * interval '1 second')
                             ELSE d.paused_until END,
                        CASE WHEN opening THEN $3 ELSE d.reason END
                 FROM (SELECT d.state = 'half_open' OR (d.state = 'closed' AND d.failures + 1 >= $4)) AS t(opening)),
             probe_until = NULL
         RETURNING state, extract(epoch FROM paused_until - clock_timestamp())::float8",
    )
    .bind(kind)
    .bind(name)
    .bind(error)
    .bind(THRESHOLD)
    .bind(FIRST_PAUSE.as_secs_f64())
    .bind(LONGEST_PAUSE.as_secs_f64())
    .fetch_one(&mut **transaction)
    .await?;
    if state != "open" {
        return Ok(None);
    }
    let remedy = "it is tried again by itself; if it lasts, look whether the other side is up";
    raise(transaction, kind, name, &Fault { problem: error, remedy }, Severity::Warning).await?;
    Ok(Some(Duration::from_secs_f64(pause.unwrap_or(0.0).max(0.1))))
}

/// The destination will not work until a person acts: opens its breaker at once, for `pause`, and raises the alert
/// that says so.
///
/// # Errors
/// When the database refuses.
pub async fn trip(
    transaction: &mut Transaction<'_, Postgres>,
    kind: &str,
    name: &str,
    pause: Duration,
    fault: &Fault<'_>,
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "INSERT INTO pushbox.destinations AS d
             (kind, name, state, failures, opens, opened_at, paused_until, reason, last_error, last_failure_at)
         VALUES ($1, $2, 'open', 1, 1, clock_timestamp(), clock_timestamp() + $3 * interval '1 second', $4, $4,
                 clock_timestamp())
         ON CONFLICT (kind, name) DO UPDATE SET
             state = 'open', failures = d.failures + 1, opens = d.opens + 1,
             opened_at = coalesce(d.opened_at, excluded.opened_at),
             paused_until = greatest(d.paused_until, excluded.paused_until), probe_until = NULL,
             reason = excluded.reason, last_error = excluded.last_error,
             last_failure_at = excluded.last_failure_at, updated_at = now()",
    )
    .bind(kind)
    .bind(name)
    .bind(pause.as_secs_f64())
    .bind(fault.to_string())
    .execute(&mut **transaction)
    .await?;
    raise(transaction, kind, name, fault, Severity::Critical).await
}

/// What is wrong with a destination, and what a person can do.
#[derive(Debug, Clone, Copy)]
pub struct Fault<'a> {
    /// What is wrong.
    pub problem: &'a str,
    /// What to do about it.
    pub remedy: &'a str,
}

impl std::fmt::Display for Fault<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}; {}", self.problem, self.remedy)
    }
}

/// The destination works. Returns whether its breaker was not closed.
///
/// # Errors
/// When the database refuses.
pub async fn succeed(pool: &PgPool, kind: &str, name: &str) -> Result<bool, sqlx::Error> {
    // Most calls find nothing to change: one look, and no transaction.
    let troubled: bool = sqlx::query_scalar(
        "SELECT EXISTS (SELECT FROM pushbox.destinations
                        WHERE kind = $1 AND name = $2 AND (failures > 0 OR state <> 'closed'))",
    )
    .bind(kind)
    .bind(name)
    .fetch_one(pool)
    .await?;
    if !troubled {
        return Ok(false);
    }
    let mut transaction = store::begin(pool).await?;
    let opened = close(&mut transaction, kind, name).await?;
    transaction.commit().await?;
    Ok(opened)
}

async fn close(
    transaction: &mut Transaction<'_, Postgres>,
    kind: &str,
    name: &str,
) -> Result<bool, sqlx::Error> {
    let changed: Option<bool> = sqlx::query_scalar(
        "WITH was AS (
             SELECT state <> 'closed' AS opened FROM pushbox.destinations
             WHERE kind = $1 AND name = $2 AND (failures > 0 OR state <> 'closed') FOR UPDATE
         )
         UPDATE pushbox.destinations SET
             state = 'closed', failures = 0, opens = 0, opened_at = NULL, probe_until = NULL,
             paused_until = CASE WHEN was.opened THEN NULL ELSE paused_until END,
             reason = CASE WHEN was.opened THEN NULL ELSE reason END,
             last_success_at = clock_timestamp(), updated_at = now()
         FROM was WHERE kind = $1 AND name = $2 RETURNING was.opened",
    )
    .bind(kind)
    .bind(name)
    .fetch_optional(&mut **transaction)
    .await?;
    let opened = changed.unwrap_or(false);
    if opened {
        resolve(transaction, kind, name).await?;
    }
    Ok(opened)
}

/// Closes a breaker and ends a pause that came of failures, because a person says so; a pause that a person made
/// stays. None: there is no such destination; else whether there was anything to end.
///
/// # Errors
/// When the database refuses.
pub async fn reset(
    transaction: &mut Transaction<'_, Postgres>,
    kind: &str,
    name: &str,
) -> Result<Option<bool>, sqlx::Error> {
    let held: Option<bool> = sqlx::query_scalar(
        "WITH was AS (
             SELECT state <> 'closed' OR paused_until > clock_timestamp() AS held FROM pushbox.destinations
             WHERE kind = $1 AND name = $2 FOR UPDATE
         )
         UPDATE pushbox.destinations SET
             state = 'closed', failures = 0, opens = 0, opened_at = NULL, probe_until = NULL, paused_until = NULL,
             reason = NULL, pace = 1, updated_at = now()
         FROM was WHERE kind = $1 AND name = $2 RETURNING coalesce(was.held, false)",
    )
    .bind(kind)
    .bind(name)
    .fetch_optional(&mut **transaction)
    .await?;
    if held == Some(true) {
        resolve(transaction, kind, name).await?;
    }
    Ok(held)
}

/// Tells people once that a destination is out of use.
async fn raise(
    connection: &mut PgConnection,
    kind: &str,
    name: &str,
    fault: &Fault<'_>,
    severity: Severity,
) -> Result<(), sqlx::Error> {
    let title = format!("{kind} {name} is out of use: {}", fault.problem);
    let alert = Alert { key: &key(kind, name), severity, title: &title, remedy: fault.remedy };
    if alerts::raise(connection, &alert).await? {
        tracing::warn!(kind, name, severity = severity.as_str(), "{title}; {}", fault.remedy);
    }
    Ok(())
}

/// Tells people that it is back.
async fn resolve(connection: &mut PgConnection, kind: &str, name: &str) -> Result<(), sqlx::Error> {
    if alerts::resolve(connection, &key(kind, name)).await? {
        tracing::info!(kind, name, "{kind} {name} is in use again");
    }
    Ok(())
}

fn key(kind: &str, name: &str) -> String {
    format!("destination:{kind}:{name}")
}
