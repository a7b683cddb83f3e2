//! Takes replays in hand: one at a time per process, page after page.

use std::sync::Arc;
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use sqlx::types::Json;
use sqlx::{PgConnection, PgPool};
use tokio_util::sync::CancellationToken;

use super::filter::{ReplayFilter, Target};
use super::pages::{self, Cursor};
use super::{ended_job, retry_dead};
use crate::queue::enqueue::enqueue;
use crate::queue::plan::Plan;
use crate::queue::wake::Waker;
use crate::store;

/// How often to look for replays that wait.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Events or jobs of one transaction at most.
const PAGE: i64 = 500;
/// A process that is silent for so long has lost its replay to the others.
const LEASE_SECONDS: f64 = 30.0;
/// Pause after a page that failed.
const AFTER_FAILURE: Duration = Duration::from_secs(5);

/// Works replays off.
#[derive(Debug, Clone)]
pub struct Replayer {
    /// The database.
    pub pool: PgPool,
    /// Which jobs events lead to.
    pub plan: Plan,
    /// Woken after each page.
    pub waker: Waker,
    /// Names this process.
    pub worker: Arc<str>,
}

/// A replay in hand.
#[derive(Debug, sqlx::FromRow)]
struct InHand {
    id: i64,
    target: String,
    filter: Json<ReplayFilter>,
    per_second: i32,
    total: Option<i64>,
    until: DateTime<Utc>,
    cursor_at: Option<DateTime<Utc>>,
    cursor_id: Option<String>,
}

/// What one page did.
#[derive(Debug, Default)]
struct Page {
    seen: i64,
    enqueued: i64,
    skipped: i64,
    cursor: Option<Cursor>,
    last: bool,
}

impl Replayer {
    /// Works until `stop` is cancelled; what is begun goes on in another process, or after the next start.
    pub async fn run(self, stop: CancellationToken) {
        let mut look = tokio::time::interval(LOOK_EVERY);
        look.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        while !stop.is_cancelled() {
            match self.step().await {
                Ok(None) => {
                    tokio::select! {
                        () = stop.cancelled() => return,
                        _ = look.tick() => {}
                    }
                }
                Ok(Some(pause)) => pause_unless(&stop, pause).await,
                Err(error) => {
                    tracing::warn!(%error, "a replay cannot go on; trying again");
                    pause_unless(&stop, AFTER_FAILURE).await;
                }
            }
        }
    }

    /// Does one page of the oldest replay that is free; how long to pause before the next, or none when there is no
    /// replay to be done.
    ///
    /// # Errors
    /// When the database refuses; the page is then undone as a whole, and the error is in `replays.last_error`.
    pub async fn step(&self) -> Result<Option<Duration>, sqlx::Error> {
        let begun = Instant::now();
        let mut transaction = store::begin(&self.pool).await?;
        let Some(replay) = take(&mut transaction, &self.worker).await? else { return Ok(None) };
        let size = PAGE.min(i64::from(replay.per_second));
        let worked = self.page(&mut transaction, &replay, size).await;
        let page = match worked {
            Ok(page) => page,
            Err(error) => {
                transaction.rollback().await?;
                note_failure(&self.pool, replay.id, &error).await?;
                return Err(error);
            }
        };
        note(&mut transaction, &replay, &page).await?;
        transaction.commit().await?;
        if page.enqueued > 0 {
            self.waker.wake();
        }
        if page.last {
            tracing::info!(replay = replay.id, "replay {} is done", replay.id);
        }
        let earned = Duration::from_secs_f64(size_f64(page.seen) / f64::from(replay.per_second.max(1)));
        Ok(Some(earned.saturating_sub(begun.elapsed())))
    }

    async fn page(
        &self,
        connection: &mut PgConnection,
        replay: &InHand,
        size: i64,
    ) -> Result<Page, sqlx::Error> {
        let Some(target) = Target::from_row(&replay.target) else {
            return Ok(Page { last: true, ..Page::default() });
        };
        let behind = replay.cursor_at.zip(replay.cursor_id.clone()).map(|(at, id)| Cursor { at, id });
        let mut page = Page::default();
        match target {
            Target::Events => {
                let events =
                    pages::events(connection, &replay.filter, replay.until, behind.as_ref(), size).await?;
                let mut jobs = Vec::new();
                for event in &events {
                    let asked = self.plan.again(event);
                    page.skipped += i64::from(asked.is_empty());
                    jobs.extend(asked);
                }
                page.seen = count(events.len());
                page.enqueued = count(jobs.len());
                page.cursor =
                    events.last().map(|event| Cursor { at: event.received_at, id: event.id.to_string() });
                enqueue(connection, jobs).await?;
            }
            Target::DeadJobs | Target::FinishedJobs => {
                let jobs =
                    pages::jobs(connection, target, &replay.filter, replay.until, behind.as_ref(), size)
                        .await?;
                for (at, id) in &jobs {
                    // One by one: several of them may merge into the same ready job.
                    let again = if target == Target::DeadJobs {
                        retry_dead(connection, *id).await?
                    } else {
                        ended_job(connection, *id, Some(*at), self.plan.max_attempts).await?
                    };
                    page.enqueued += i64::from(again);
                    page.skipped += i64::from(!again);
                }
                page.seen = count(jobs.len());
                page.cursor = jobs.last().map(|(at, id)| Cursor { at: *at, id: id.to_string() });
            }
        }
        page.last = page.seen < size;
        Ok(page)
    }
}

async fn pause_unless(stop: &CancellationToken, pause: Duration) {
    tokio::select! {
        () = stop.cancelled() => {}
        () = tokio::time::sleep(pause) => {}
    }
}

fn count(length: usize) -> i64 {
    i64::try_from(length).unwrap_or(i64::MAX)
}

#[expect(clippy::cast_precision_loss, reason = "a page has a few hundred")]
fn size_f64(seen: i64) -> f64 {
    seen as f64
}

/// Locks the oldest replay that nobody else has in hand, until the page is committed.
async fn take(connection: &mut PgConnection, worker: &str) -> Result<Option<InHand>, sqlx::Error> {
    let taken: Option<InHand> = sqlx::query_as(
        "UPDATE pushbox.replays SET state = 'running', worker = $1, started_at = coalesce(started_at, now()),
                lease_until = now() + $2 * interval '1 second'
         WHERE id = (SELECT id FROM pushbox.replays WHERE state IN ('waiting', 'running')
                        AND (worker = $1 OR lease_until IS NULL OR lease_until < now())
                     ORDER BY id LIMIT 1 FOR UPDATE SKIP LOCKED)
         RETURNING id, target, filter, per_second, total, until, cursor_at, cursor_id",
    )
    .bind(worker)
    .bind(LEASE_SECONDS)
    .fetch_optional(&mut *connection)
    .await?;
    let Some(mut replay) = taken else { return Ok(None) };
    if replay.total.is_none()
        && let Some(target) = Target::from_row(&replay.target)
    {
        replay.total = Some(pages::count(connection, target, &replay.filter, replay.until).await?);
    }
    Ok(Some(replay))
}

async fn note(connection: &mut PgConnection, replay: &InHand, page: &Page) -> Result<(), sqlx::Error> {
    sqlx::query(
        "UPDATE pushbox.replays SET total = $2, seen = seen + $3, enqueued = enqueued + $4, skipped = skipped + $5,
                cursor_at = coalesce($6, cursor_at), cursor_id = coalesce($7, cursor_id), last_error = NULL,
                state = CASE WHEN $8 THEN 'done' ELSE state END,
                finished_at = CASE WHEN $8 THEN now() END, lease_until = CASE WHEN NOT $8 THEN lease_until END
         WHERE id = $1",
    )
    .bind(replay.id)
    .bind(replay.total)
    .bind(page.seen)
    .bind(page.enqueued)
    .bind(page.skipped)
    .bind(page.cursor.as_ref().map(|cursor| cursor.at))
    .bind(page.cursor.as_ref().map(|cursor| cursor.id.as_str()))
    .bind(page.last)
    .execute(connection)
    .await?;
    Ok(())
}

async fn note_failure(pool: &PgPool, id: i64, error: &sqlx::Error) -> Result<(), sqlx::Error> {
    sqlx::query("UPDATE pushbox.replays SET last_error = $2 WHERE id = $1")
        .bind(id)
        .bind(error.to_string().replace('\0', ""))
        .execute(pool)
        .await?;
    Ok(())
}
