//! Several connections at once: what must hold whatever the order was.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use pushbox::domain::job::JobPayload;
use pushbox::queue::settle::{Claim, Done, Returned, Verdict, complete, extend, give_back, reap};
use pushbox::queue::{control, enqueue};
use pushbox::store::audit::{INVARIANTS, balances};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use sqlx::{Connection, PgConnection, PgPool};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::{One, Other, Take, new_job, take};
use crate::support::database::database;

const CONNECTIONS: u64 = 6;
const STEPS: usize = 150;
/// Promises that a single statement can look at, at any moment.
const ALWAYS: [&str; 3] = ["job_in_one_place", "job_is_consistent", "one_at_a_time"];

/// What all of them know.
#[derive(Default)]
struct Known {
    /// Every claim that was ever handed out, for late finishers of all connections.
    claims: Mutex<Vec<Claim>>,
    /// Completions that were accepted, by job.
    completed: Mutex<BTreeMap<i64, u32>>,
    /// Committed with the jobs that are to serve them, by kind.
    events: Mutex<Vec<(&'static str, Uuid)>>,
}

#[tokio::test]
async fn connections_at_once() {
    let db = database().await;
    let seed: u64 = rand::random();
    let known = Arc::new(Known::default());
    let done = CancellationToken::new();
    let watcher = tokio::spawn(watch(db.pool.clone(), done.clone()));
    let mut actors = tokio::task::JoinSet::new();
    for n in 0..CONNECTIONS {
        let connection = PgConnection::connect(&db.url).await.expect("a connection");
        let actor = Actor { connection, known: known.clone(), random: StdRng::seed_from_u64(seed ^ n) };
        actors.spawn(actor.run());
    }
    while let Some(ended) = actors.join_next().await {
        ended.expect("an actor").unwrap_or_else(|error| panic!("seed {seed}: {error}"));
    }
    done.cancel();
    let looks = watcher.await.expect("the watcher");
    assert!(looks > 0, "nobody looked");

    drain(&db.url, &known).await;
    for invariant in INVARIANTS.iter().filter(|one| ALWAYS.contains(&one.name)) {
        let breaks = invariant.breaks(&db.pool, 5).await.expect(invariant.name);
        assert_eq!(breaks, Vec::<String>::new(), "seed {seed}: {}", invariant.name);
    }
    let ended: Vec<i64> =
        sqlx::query_scalar("SELECT id FROM pushbox.job_history WHERE outcome = 'done' ORDER BY id")
            .fetch_all(&db.pool)
            .await
            .expect("the history");
    let completed = known.completed.lock().expect("completed").clone();
    assert!(completed.values().all(|times| *times == 1), "seed {seed}: a job was done twice: {completed:?}");
    assert_eq!(ended, completed.into_keys().collect::<Vec<_>>(), "seed {seed}");
    conserved(&db.pool, &known, seed).await;
}

/// Every event that was committed is done or left with a dead job, per kind.
async fn conserved(pool: &PgPool, known: &Known, seed: u64) {
    let events = known.events.lock().expect("events").clone();
    assert!(events.len() > 100, "seed {seed}: only {} events", events.len());
    for balance in balances(pool).await.expect("balances") {
        let asked: BTreeSet<Uuid> =
            events.iter().filter(|(kind, _)| *kind == balance.kind).map(|(_, id)| *id).collect();
        assert_eq!(balance.events, i64::try_from(asked.len()).expect("few"), "seed {seed}: {balance:?}");
        assert_eq!(balance.done + balance.dead, balance.events, "seed {seed}: {balance:?}");
        assert!(balance.done > 0, "seed {seed}: {balance:?}");
    }
}

/// Looks again and again until told to stop; how often it looked.
async fn watch(pool: PgPool, done: CancellationToken) -> usize {
    let mut looks = 0;
    while !done.is_cancelled() {
        for invariant in INVARIANTS.iter().filter(|one| ALWAYS.contains(&one.name)) {
            let breaks = invariant.breaks(&pool, 5).await.expect(invariant.name);
            assert_eq!(breaks, Vec::<String>::new(), "{} while they work", invariant.name);
        }
        looks += 1;
    }
    looks
}

/// Does all that is left, one claim after the other.
async fn drain(url: &str, known: &Known) {
    let mut connection = PgConnection::connect(url).await.expect("a connection");
    let due =
        "UPDATE pushbox.jobs SET run_at = now() - interval '1 s', lease_until = NULL WHERE state = 'ready';
               UPDATE pushbox.jobs SET lease_until = now() - interval '1 s' WHERE state = 'running'";
    sqlx::raw_sql(due).execute(&mut connection).await.expect("let all be due");
    reap(&mut connection, 100_000, Duration::ZERO).await.expect("reap");
    loop {
        let claim_id = Uuid::now_v7();
        let all = Take { limit: 1000, per_lane: 1000, exclusive: false };
        let rows = take(&mut connection, claim_id, all).await.expect("claim");
        if rows.is_empty() {
            return;
        }
        let claims: Vec<Claim> = rows.iter().map(|row| Claim { job_id: row.id, claim_id }).collect();
        finish(&mut connection, known, &claims).await.expect("complete");
    }
}

async fn finish(
    connection: &mut PgConnection,
    known: &Known,
    claims: &[Claim],
) -> Result<usize, sqlx::Error> {
    let done: Vec<Done> =
        claims.iter().map(|claim| Done { claim: *claim, ran: Duration::ZERO, note: None }).collect();
    let moved = complete(connection, &done).await?;
    let mut completed = known.completed.lock().expect("completed");
    for one in &moved {
        *completed.entry(one.id).or_default() += 1;
    }
    Ok(moved.len())
}

struct Actor {
    connection: PgConnection,
    known: Arc<Known>,
    random: StdRng,
}

impl Actor {
    async fn run(mut self) -> Result<(), sqlx::Error> {
        let mut mine: Vec<Claim> = Vec::new();
        for _ in 0..STEPS {
            match self.random.random_range(0..10) {
                0..=2 => self.enqueue().await?,
                3..=5 => mine.extend(self.claim().await?),
                6 => drop(finish(&mut self.connection, &self.known, &std::mem::take(&mut mine)).await?),
                7 => {
                    let claims = std::mem::take(&mut mine);
                    let mut returned = Vec::new();
                    for claim in claims {
                        returned.push(Returned { claim, verdict: self.verdict() });
                    }
                    give_back(&mut self.connection, &returned).await?;
                }
                8 => self.late().await?,
                _ => self.lose_leases().await?,
            }
        }
        self.connection.close().await
    }

    async fn enqueue(&mut self) -> Result<(), sqlx::Error> {
        let mut jobs = Vec::new();
        let mut events = Vec::new();
        for _ in 0..self.random.random_range(1..5) {
            let kind = if self.random.random() { One::KIND } else { Other::KIND };
            let event = Uuid::now_v7();
            let job = new_job(kind, "at once".into(), 0, 3)
                .batch_key(["a", "b", "c"][self.random.random_range(0..3)])
                .events(vec![event]);
            let keyed = self.random.random_bool(0.8);
            jobs.push(if keyed { job.key(format!("k{}", self.random.random_range(0..6))) } else { job });
            events.push((kind, event));
        }
        let mut transaction = self.connection.begin().await?;
        enqueue(&mut transaction, jobs).await?;
        if self.random.random_bool(0.1) {
            return transaction.rollback().await;
        }
        transaction.commit().await?;
        self.known.events.lock().expect("events").extend(events);
        Ok(())
    }

    async fn claim(&mut self) -> Result<Vec<Claim>, sqlx::Error> {
        let claim_id = Uuid::now_v7();
        let of = Take {
            limit: self.random.random_range(1..8),
            per_lane: self.random.random_range(1..5),
            exclusive: self.random.random_bool(0.3),
        };
        let rows = take(&mut self.connection, claim_id, of).await?;
        let claims: Vec<Claim> = rows.iter().map(|row| Claim { job_id: row.id, claim_id }).collect();
        self.known.claims.lock().expect("claims").extend(&claims);
        Ok(claims)
    }

    /// Somebody whose claim may be long over finishes it in one of the ways there are. The job is held meanwhile, so
    /// that it is known whether the claim is still good: only then anything may happen.
    async fn late(&mut self) -> Result<(), sqlx::Error> {
        let claim = {
            let claims = self.known.claims.lock().expect("claims");
            if claims.is_empty() {
                return Ok(());
            }
            claims[self.random.random_range(0..claims.len())]
        };
        let (way, verdict) = (self.random.random_range(0..3), self.verdict());
        let mut transaction = self.connection.begin().await?;
        let holder: Option<Option<Uuid>> = sqlx::query_scalar(
            "SELECT CASE WHEN state = 'running' THEN claim_id END FROM pushbox.jobs WHERE id = $1 FOR UPDATE",
        )
        .bind(claim.job_id)
        .fetch_optional(&mut *transaction)
        .await?;
        let moved = match way {
            0 => finish(&mut transaction, &self.known, &[claim]).await?,
            1 => give_back(&mut transaction, &[Returned { claim, verdict }]).await?.len(),
            _ => extend(&mut transaction, &[claim], 60.0).await?.len(),
        };
        let good = holder.flatten() == Some(claim.claim_id);
        assert_eq!(moved, usize::from(good), "way {way} of {claim:?}, held by {holder:?}");
        transaction.commit().await
    }

    /// Workers vanish, their jobs come back, and a person retries what is dead.
    async fn lose_leases(&mut self) -> Result<(), sqlx::Error> {
        let sql = "UPDATE pushbox.jobs SET lease_until = now() - interval '1 s' WHERE id IN (
                       SELECT id FROM pushbox.jobs WHERE state = 'running' AND random() < 0.5 FOR UPDATE SKIP LOCKED)";
        sqlx::query(sql).execute(&mut self.connection).await?;
        reap(&mut self.connection, 5, Duration::ZERO).await?;
        let dead: Option<i64> =
            sqlx::query_scalar("SELECT id FROM pushbox.jobs WHERE state = 'dead' ORDER BY random() LIMIT 1")
                .fetch_optional(&mut self.connection)
                .await?;
        if let Some(id) = dead {
            control::retry_dead(&mut self.connection, id).await?;
        }
        Ok(())
    }

    fn verdict(&mut self) -> Verdict {
        let after = Duration::ZERO;
        match self.random.random_range(0..9) {
            0..=3 => Verdict::Retry { error: "no".into(), after },
            4 | 5 => Verdict::Wait { on: "a quota".into(), after },
            6 => Verdict::Release,
            7 => Verdict::Keep { on: "a budget".into() },
            _ => Verdict::Dead { error: "never".into() },
        }
    }
}
