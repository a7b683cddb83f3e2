//! How the processes of one database know of each other: that there is work, and that one of them is gone.
//!
//! Work is told by a `NOTIFY` from a connection of its own, at most every [`QUIET`], never from the transaction that
//! enqueues: it would make commits wait for each other. A process is known by the name of its connections: when none
//! of them is left it has vanished, and its jobs come back at once instead of after their leases. Behind a transaction
//! pooler neither is to be had; there polling and leases do it alone, and a process only keeps its row in
//! `pushbox.workers`.

use std::sync::Arc;
use std::time::{Duration, Instant};

use sqlx::postgres::PgListener;
use sqlx::{PgConnection, PgPool};
use tokio_util::sync::CancellationToken;

use super::settle::{Moved, reap_worker};
use super::wake::Waker;
use crate::observability::metrics::{JobMove, jobs_moved};
use crate::store;

/// The channel; the payload is the name of the process that rings.
const CHANNEL: &str = "pushbox_jobs";
/// One ring in so long: many commits are told by one.
const QUIET: Duration = Duration::from_millis(10);
/// How often to look after the others.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How often to say that we run.
const SEEN_EVERY: Duration = Duration::from_secs(10);
/// A process without a connection in so many looks in a row has vanished; one that merely lost its connections, for
/// example by a restart of the server, is back before.
const LOOKS: u8 = 3;
/// No answer within this is a broken connection.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);
/// Pause before the next try to connect.
const RECONNECT: Duration = Duration::from_millis(250);

/// This process, as the others know it.
#[derive(Debug, Clone)]
pub struct Presence {
    /// Its name; new with each start.
    pub worker: Arc<str>,
    /// Its roles.
    pub roles: Vec<String>,
    /// Whether its connections carry its name and may listen: not behind a transaction pooler.
    pub sessions: bool,
}

/// Rings for others and hears them.
pub struct Bell {
    pool: PgPool,
    waker: Waker,
    presence: Presence,
}

impl Bell {
    /// A bell on one connection of its own to the database of `pool`.
    pub fn new(pool: &PgPool, waker: Waker, presence: Presence) -> Self {
        Self { pool: store::lone_connection(pool), waker, presence }
    }

    /// Rings and hears until `stop` is cancelled, then takes the process's row away. Reconnects for ever.
    pub async fn run(self, stop: CancellationToken) {
        let mut failing = false;
        while !stop.is_cancelled() {
            let ended = if self.presence.sessions {
                self.listen(&stop, &mut failing).await
            } else {
                self.only_be_seen(&stop).await
            };
            if let Err(error) = ended {
                if !std::mem::replace(&mut failing, true) {
                    tracing::warn!(%error, "cannot hear other processes; polling meanwhile");
                }
                pause(&stop, RECONNECT).await;
            }
        }
        let gone = within(async {
            let mut connection = self.pool.acquire().await?;
            leave(&mut connection, &self.presence.worker).await
        });
        if let Err(error) = gone.await {
            tracing::debug!(%error, "cannot take our row out of pushbox.workers; the others will");
        }
    }

    async fn listen(&self, stop: &CancellationToken, failing: &mut bool) -> Result<(), sqlx::Error> {
        let mut listener = within(PgListener::connect_with(&self.pool)).await?;
        within(listener.listen(CHANNEL)).await?;
        within(be_seen(&mut listener, &self.presence)).await?;
        if std::mem::take(failing) {
            tracing::info!("hearing other processes again");
        }
        // Whatever was told while nobody listened.
        self.waker.wake_here();
        let mut watch = Watch::default();
        let mut look = tokio::time::interval(LOOK_EVERY);
        look.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut quiet_until = Instant::now();
        let mut seen_at = Instant::now();
        loop {
            let told = async {
                tokio::time::sleep_until(quiet_until.into()).await;
                self.waker.asked_to_tell().await;
            };
            tokio::select! {
                () = stop.cancelled() => return Ok(()),
                heard = listener.recv() => {
                    if heard?.payload() != &*self.presence.worker {
                        self.waker.wake_here();
                    }
                }
                () = told => {
                    if watch.has_others {
                        within(ring(&mut listener, &self.presence.worker)).await?;
                    }
                    quiet_until = Instant::now() + QUIET;
                }
                _ = look.tick() => {
                    if seen_at.elapsed() >= SEEN_EVERY {
                        within(be_seen(&mut listener, &self.presence)).await?;
                        seen_at = Instant::now();
                    }
                    for gone in within(watch.look(&mut listener, &self.presence.worker)).await? {
                        let back = within(bring_back(&mut listener, &gone)).await?;
                        tracing::warn!(worker = gone, jobs = back, "process {gone} vanished; brought back {back} jobs");
                        self.waker.wake();
                    }
                }
            }
        }
    }

    async fn only_be_seen(&self, stop: &CancellationToken) -> Result<(), sqlx::Error> {
        loop {
            let mut connection = within(self.pool.acquire()).await?;
            within(be_seen(&mut *connection, &self.presence)).await?;
            drop(connection);
            pause(stop, SEEN_EVERY).await;
            if stop.is_cancelled() {
                return Ok(());
            }
        }
    }
}

async fn pause(stop: &CancellationToken, pause: Duration) {
    tokio::select! {
        () = stop.cancelled() => {}
        () = tokio::time::sleep(pause) => {}
    }
}

/// A listener that waits for a host that vanished would wait for the kernel's patience.
async fn within<T>(asked: impl Future<Output = Result<T, sqlx::Error>>) -> Result<T, sqlx::Error> {
    match tokio::time::timeout(ANSWER_WITHIN, asked).await {
        Ok(answer) => answer,
        Err(_) => Err(sqlx::Error::Io(std::io::ErrorKind::TimedOut.into())),
    }
}

/// Wakes the workers of all processes from one that has no bell, such as a command. Call it after the commit.
///
/// # Errors
/// When the database refuses; the workers' polling finds the jobs all the same.
pub async fn wake_all(executor: impl sqlx::PgExecutor<'_>, who: &str) -> Result<(), sqlx::Error> {
    sqlx::query("SELECT pg_notify($1, $2)").bind(CHANNEL).bind(who).execute(executor).await?;
    Ok(())
}

/// Its commit need not be on disk, and with it nobody waits for it.
async fn ring(listener: &mut PgListener, worker: &str) -> Result<(), sqlx::Error> {
    sqlx::query("SELECT set_config('synchronous_commit', 'off', true), pg_notify($1, $2)")
        .bind(CHANNEL)
        .bind(worker)
        .execute(listener)
        .await?;
    Ok(())
}

async fn be_seen<'c>(executor: impl sqlx::PgExecutor<'c>, presence: &Presence) -> Result<(), sqlx::Error> {
    sqlx::query(
        "INSERT INTO pushbox.workers AS w (id, host, pid, version, roles, present) VALUES ($1, $2, $3, $4, $5, $6)
         ON CONFLICT (id) DO UPDATE SET seen_at = now()",
    )
    .bind(&*presence.worker)
    .bind(host())
    .bind(i32::try_from(std::process::id()).unwrap_or_default())
    .bind(env!("CARGO_PKG_VERSION"))
    .bind(&presence.roles)
    .bind(presence.sessions)
    .execute(executor)
    .await?;
    Ok(())
}

/// The name of this host or container, as Linux tells it; empty elsewhere.
fn host() -> String {
    std::fs::read_to_string("/proc/sys/kernel/hostname")
        .map(|name| name.trim().to_owned())
        .unwrap_or_default()
}

async fn leave(connection: &mut PgConnection, worker: &str) -> Result<(), sqlx::Error> {
    sqlx::query("DELETE FROM pushbox.workers WHERE id = $1").bind(worker).execute(connection).await?;
    Ok(())
}

/// What one process knows of the others.
#[derive(Debug, Default)]
struct Watch {
    has_others: bool,
    /// Those without a connection, and for how many looks.
    missing: std::collections::HashMap<String, u8>,
}

impl Watch {
    /// Those that have vanished by now. A process that cannot be told by its connections counts as gone when it has
    /// not been seen for a minute; its leases are over by then.
    async fn look(&mut self, listener: &mut PgListener, me: &str) -> Result<Vec<String>, sqlx::Error> {
        let others: Vec<(String, bool)> = sqlx::query_as(
            "SELECT id, CASE WHEN present THEN NOT EXISTS (
                            SELECT FROM pg_stat_activity WHERE application_name = 'pushbox ' || workers.id)
                        ELSE seen_at < now() - interval '1 minute' END
             FROM pushbox.workers WHERE id <> $1",
        )
        .bind(me)
        .fetch_all(listener)
        .await?;
        self.has_others = !others.is_empty();
        let missing: Vec<String> = others.into_iter().filter(|(_, gone)| *gone).map(|(id, _)| id).collect();
        self.missing.retain(|id, _| missing.contains(id));
        let mut gone = Vec::new();
        for id in missing {
            let looks = self.missing.entry(id.clone()).or_default();
            *looks += 1;
            if *looks >= LOOKS {
                gone.push(id);
            }
        }
        Ok(gone)
    }
}

async fn bring_back(listener: &mut PgListener, worker: &str) -> Result<usize, sqlx::Error> {
    let back: Vec<Moved> = reap_worker(&mut *listener, worker).await?;
    for job in back.iter().filter(|job| job.state == "dead") {
        jobs_moved(&job.queue, JobMove::Dead, 1);
    }
    sqlx::query("DELETE FROM pushbox.workers WHERE id = $1").bind(worker).execute(listener).await?;
    Ok(back.len())
}
