//! Random histories, and playing one of them on Postgres and on the model.

use std::collections::BTreeMap;
use std::time::Duration;

use chrono::TimeDelta;
use proptest::prelude::*;
use proptest::sample::Index;
use pushbox::clock::system;
use pushbox::domain::job::{JobPayload, Queue};
use pushbox::queue::settle::{
    Claim, Done, Moved, Returned, Verdict, begin_suspect, complete, extend, give_back, reap,
};
use pushbox::queue::{NewJob, control, enqueue};
use sqlx::{Connection, PgConnection};
use uuid::Uuid;

use super::model::{Ended, Job, Model};
use super::{One, Other, Take, new_job, take};

/// A job that somebody wants.
#[derive(Debug, Clone)]
pub(super) struct Wanted {
    kind: &'static str,
    key: Option<&'static str>,
    batch_key: &'static str,
    priority: i16,
    later: bool,
    not_before: i64,
    events: usize,
    max_attempts: i32,
}

/// One claim: of those that hold, or of all there ever were.
#[derive(Debug, Clone)]
pub(super) struct Pick {
    holding: bool,
    at: Index,
}

#[derive(Debug, Clone)]
pub(super) enum Step {
    Enqueue { jobs: Vec<Wanted>, commit: bool },
    Claim(Take),
    Complete(Vec<Pick>),
    GiveBack(Vec<(Pick, Verdict)>),
    Extend(Vec<Pick>),
    Begin(Pick),
    LeaseOver(Pick),
    Reap { limit: usize },
    TimePasses,
    RetryDead(Index),
    Pause,
    Resume,
}

pub(super) fn histories() -> impl Strategy<Value = Vec<Step>> {
    prop::collection::vec(step(), 1..60)
}

fn step() -> impl Strategy<Value = Step> {
    let picks = || prop::collection::vec(pick(), 1..4);
    prop_oneof![
        6 => (prop::collection::vec(wanted(), 1..5), prop::bool::weighted(0.9))
            .prop_map(|(jobs, commit)| Step::Enqueue { jobs, commit }),
        6 => (1..6_i64, 1..4_i64, prop::bool::weighted(0.3))
            .prop_map(|(limit, per_lane, exclusive)| Step::Claim(Take { limit, per_lane, exclusive })),
        3 => picks().prop_map(Step::Complete),
        4 => prop::collection::vec((pick(), verdict()), 1..4).prop_map(Step::GiveBack),
        1 => picks().prop_map(Step::Extend),
        2 => pick().prop_map(Step::Begin),
        4 => pick().prop_map(Step::LeaseOver),
        4 => (1..4_usize).prop_map(|limit| Step::Reap { limit }),
        1 => Just(Step::TimePasses),
        2 => any::<Index>().prop_map(Step::RetryDead),
        1 => Just(Step::Pause),
        2 => Just(Step::Resume),
    ]
}

fn wanted() -> impl Strategy<Value = Wanted> {
    let kind = prop::sample::select(vec![One::KIND, Other::KIND]);
    let key = prop::sample::select(vec![None, Some("k"), Some("l"), Some("M")]);
    let batch_key = prop::sample::select(vec!["a", "b"]);
    (kind, key, batch_key, -1..2_i16, prop::bool::weighted(0.2), 0..3_i64, 0..3_usize, 1..4_i32).prop_map(
        |(kind, key, batch_key, priority, later, not_before, events, max_attempts)| Wanted {
            kind,
            key,
            batch_key,
            priority,
            later,
            not_before,
            events,
            max_attempts,
        },
    )
}

fn pick() -> impl Strategy<Value = Pick> {
    (prop::bool::weighted(0.75), any::<Index>()).prop_map(|(holding, at)| Pick { holding, at })
}

fn verdict() -> impl Strategy<Value = Verdict> {
    let after = prop::sample::select(vec![Duration::ZERO, Duration::ZERO, Duration::from_hours(1)]);
    (0..5, after).prop_map(|(which, after)| match which {
        0 => Verdict::Retry { error: "no".into(), after },
        1 => Verdict::Wait { on: "a quota".into(), after },
        2 => Verdict::Release,
        3 => Verdict::Keep { on: "a budget".into() },
        _ => Verdict::Dead { error: "never".into() },
    })
}

/// Plays a history over two connections in turn. What it did not do as the model says, in words.
pub(super) async fn play(url: &str, steps: &[Step]) -> Result<(), String> {
    let mut player = Player::new(url).await.map_err(|error| error.to_string())?;
    for (at, step) in steps.iter().enumerate() {
        player.turn = at % 2;
        player.step(step).await.map_err(|fault| format!("step {at}, {step:?}: {fault}"))?;
        player.compare().await.map_err(|fault| format!("after step {at}, {step:?}: {fault}"))?;
    }
    Ok(())
}

struct Player {
    connections: [PgConnection; 2],
    turn: usize,
    model: Model,
    /// Every claim that was ever handed out.
    claims: Vec<Claim>,
    names: usize,
}

/// Runs the statement, or tells why it could not.
macro_rules! sql {
    ($call:expr) => {
        $call.await.map_err(|error| format!("Postgres refused: {error}"))?
    };
}

impl Player {
    async fn new(url: &str) -> Result<Self, sqlx::Error> {
        let mut connections = [PgConnection::connect(url).await?, PgConnection::connect(url).await?];
        sqlx::raw_sql(
            "TRUNCATE pushbox.jobs, pushbox.job_history RESTART IDENTITY;
             UPDATE pushbox.queues SET paused_at = NULL",
        )
        .execute(&mut connections[0])
        .await?;
        Ok(Self { connections, turn: 0, model: Model::default(), claims: Vec::new(), names: 0 })
    }

    fn connection(&mut self) -> &mut PgConnection {
        &mut self.connections[self.turn]
    }

    async fn step(&mut self, step: &Step) -> Result<(), String> {
        match step {
            Step::Enqueue { jobs, commit } => self.enqueue(jobs, *commit).await,
            Step::Claim(of) => self.claim(*of).await,
            Step::Complete(picks) => self.complete(picks).await,
            Step::GiveBack(picks) => self.give_back(picks).await,
            Step::Extend(picks) => self.extend(picks).await,
            Step::Begin(pick) => self.begin(pick).await,
            Step::LeaseOver(pick) => self.lease_over(pick).await,
            Step::Reap { limit } => {
                let rows = i64::try_from(*limit).unwrap_or(1);
                let moved = sql!(reap(self.connection(), rows, Duration::ZERO));
                same("reap", &by_id(&moved), &self.model.reap(*limit))
            }
            Step::TimePasses => {
                let sql = "UPDATE pushbox.jobs SET run_at = now() - interval '1 s' WHERE run_at > now()";
                sql!(sqlx::query(sql).execute(self.connection()));
                self.model.jobs.values_mut().for_each(|job| job.due = true);
                Ok(())
            }
            Step::RetryDead(at) => self.retry_dead(at).await,
            Step::Pause => {
                let changed = sql!(control::pause(self.connection(), Queue::Forward, "model"));
                same("pause", &changed, &!std::mem::replace(&mut self.model.paused, true))
            }
            Step::Resume => {
                let changed = sql!(control::resume(self.connection(), Queue::Forward));
                same("resume", &changed, &std::mem::replace(&mut self.model.paused, false))
            }
        }
    }

    async fn enqueue(&mut self, wanted: &[Wanted], commit: bool) -> Result<(), String> {
        let mut jobs = Vec::new();
        let mut modelled = Vec::new();
        for one in wanted {
            self.names += 1;
            let name = self.names.to_string();
            let events: Vec<Uuid> = (0..one.events).map(|_| Uuid::now_v7()).collect();
            jobs.push(real(one, &name, events.clone()));
            modelled.push((name, model(one, events)));
        }
        let mut transaction = sql!(self.connection().begin());
        sql!(enqueue(&mut transaction, jobs));
        if !commit {
            sql!(transaction.rollback());
            return Ok(());
        }
        sql!(transaction.commit());
        // Those that did not merge have numbers that the model has to learn.
        let found = self.look().await?;
        for (name, job) in modelled {
            self.model.events.extend(&job.events);
            let Some(job) = self.model.merge(job) else { continue };
            let is_it = |id: &i64, other: &Job, named: &str| {
                !self.model.jobs.contains_key(id)
                    && other.state == "ready"
                    && (&other.kind, &other.key) == (&job.kind, &job.key)
                    && (job.key.is_some() || named == name)
            };
            let id = found.iter().find(|(id, (other, named))| is_it(id, other, named)).map(|(id, _)| *id);
            let id = id.ok_or_else(|| format!("{job:?} is not there"))?;
            self.model.jobs.insert(id, job);
        }
        Ok(())
    }

    async fn claim(&mut self, of: Take) -> Result<(), String> {
        let claim_id = Uuid::now_v7();
        let rows = sql!(take(self.connection(), claim_id, of));
        let ids: Vec<i64> = rows.iter().map(|row| row.id).collect();
        self.claims.extend(ids.iter().map(|id| Claim { job_id: *id, claim_id }));
        self.model.claimed(of, claim_id, &ids)
    }

    /// The claims meant, each once.
    fn picked<'a>(&self, picks: impl Iterator<Item = &'a Pick>) -> Vec<Claim> {
        let mut claims = Vec::new();
        for pick in picks {
            let holding: Vec<Claim> =
                self.claims.iter().copied().filter(|one| self.model.holds(*one)).collect();
            let among = if pick.holding && !holding.is_empty() { &holding } else { &self.claims };
            if !among.is_empty() && !claims.contains(pick.at.get(among)) {
                claims.push(*pick.at.get(among));
            }
        }
        claims
    }

    async fn complete(&mut self, picks: &[Pick]) -> Result<(), String> {
        let claims = self.picked(picks.iter());
        let done: Vec<Done> =
            claims.iter().map(|claim| Done { claim: *claim, ran: Duration::ZERO, note: None }).collect();
        let moved = sql!(complete(self.connection(), &done));
        let mut expected = self.model.complete(&claims);
        expected.sort();
        same("complete", &by_id(&moved), &expected)
    }

    async fn give_back(&mut self, picks: &[(Pick, Verdict)]) -> Result<(), String> {
        let claims = self.picked(picks.iter().map(|(pick, _)| pick));
        let verdicts = picks.iter().map(|(_, verdict)| verdict.clone());
        let returned: Vec<Returned> =
            claims.iter().zip(verdicts).map(|(claim, verdict)| Returned { claim: *claim, verdict }).collect();
        let moved = sql!(give_back(self.connection(), &returned));
        let mut expected: Vec<_> =
            returned.iter().filter_map(|one| self.model.give_back(one.claim, &one.verdict)).collect();
        expected.sort();
        same("give back", &by_id(&moved), &expected)
    }

    async fn extend(&mut self, picks: &[Pick]) -> Result<(), String> {
        let claims = self.picked(picks.iter());
        let mut held = sql!(extend(self.connection(), &claims, 600.0));
        held.sort_unstable();
        let mut expected = Vec::new();
        for claim in claims.iter().filter(|claim| self.model.holds(**claim)) {
            expected.push(claim.job_id);
        }
        for id in &expected {
            self.model.jobs.entry(*id).and_modify(|job| job.expired = false);
        }
        expected.sort_unstable();
        same("extend", &held, &expected)
    }

    async fn begin(&mut self, pick: &Pick) -> Result<(), String> {
        let Some(claim) = self.picked(std::iter::once(pick)).pop() else { return Ok(()) };
        let begun = sql!(begin_suspect(self.connection(), claim));
        let holds = self.model.holds(claim);
        if holds {
            self.model.jobs.entry(claim.job_id).and_modify(|job| job.begun = true);
        }
        same("begin", &begun, &holds)
    }

    async fn lease_over(&mut self, pick: &Pick) -> Result<(), String> {
        let Some(claim) = self.picked(std::iter::once(pick)).pop() else { return Ok(()) };
        let sql = "UPDATE pushbox.jobs SET lease_until = now() - interval '1 s' WHERE claim_id = $1";
        sql!(sqlx::query(sql).bind(claim.claim_id).execute(self.connection()));
        for job in self.model.jobs.values_mut().filter(|job| job.claim_id == Some(claim.claim_id)) {
            job.expired = true;
        }
        Ok(())
    }

    async fn retry_dead(&mut self, at: &Index) -> Result<(), String> {
        let dead: Vec<i64> =
            self.model.jobs.iter().filter(|(_, job)| job.state == "dead").map(|(id, _)| *id).collect();
        let id = if dead.is_empty() { 1 } else { *at.get(&dead) };
        let retried = sql!(control::retry_dead(self.connection(), id));
        same("retry", &retried, &self.model.retry_dead(id))
    }

    /// Every job that is alive, with the name in its payload.
    async fn look(&mut self) -> Result<BTreeMap<i64, (Job, String)>, String> {
        use sqlx::{FromRow, Row};

        let rows = sql!(sqlx::query(
            "SELECT id, kind, key, batch_key, priority, state, attempt, max_attempts, crashes, claim_id,
                    run_at <= clock_timestamp() AS due, started_at IS NOT NULL AS begun,
                    coalesce(lease_until < clock_timestamp(), false) AS expired,
                    (payload->>'not_before')::bigint AS not_before, payload->>'name' AS name,
                    
                    ARRAY(SELECT e FROM unnest(event_id || merged_events) AS e WHERE e IS NOT NULL ORDER BY e) AS events
             FROM pushbox.jobs"
        )
        .fetch_all(self.connection()));
        let job = |row| Ok((Row::try_get(row, "id")?, (Job::from_row(row)?, Row::try_get(row, "name")?)));
        rows.iter().map(job).collect::<Result<_, sqlx::Error>>().map_err(|error| error.to_string())
    }

    /// The other connection must see what the model says.
    async fn compare(&mut self) -> Result<(), String> {
        self.turn = 1 - self.turn;
        let jobs = self.look().await?.into_iter().map(|(id, (job, _))| (id, job)).collect();
        let ended: Vec<(i64, String, i32, Vec<Uuid>)> = sql!(
            sqlx::query_as(
                "SELECT id, outcome, attempt,
                    ARRAY(SELECT e FROM unnest(event_id || merged_events) AS e WHERE e IS NOT NULL ORDER BY e)
             FROM pushbox.job_history"
            )
            .fetch_all(self.connection())
        );
        let rows = ended.len();
        let history: BTreeMap<i64, Ended> = ended
            .into_iter()
            .map(|(id, outcome, attempt, events)| (id, (outcome, attempt, events)))
            .collect();
        same("rows of the history", &rows, &history.len())?;
        same("jobs", &jobs, &self.model.jobs)?;
        same("history", &history, &self.model.history)?;
        same("promises", &self.model.faults(), &Vec::new())
    }
}

fn real(wanted: &Wanted, name: &str, events: Vec<Uuid>) -> NewJob {
    let job = new_job(wanted.kind, name.to_owned(), wanted.not_before, wanted.max_attempts)
        .batch_key(wanted.batch_key)
        .priority(wanted.priority)
        .events(events);
    let job = if let Some(key) = wanted.key { job.key(key) } else { job };
    if wanted.later { job.run_at(system().now() + TimeDelta::days(1)) } else { job }
}

fn model(wanted: &Wanted, events: Vec<Uuid>) -> Job {
    Job {
        kind: wanted.kind.into(),
        key: wanted.key.map(Into::into),
        batch_key: wanted.batch_key.into(),
        priority: wanted.priority,
        state: "ready".into(),
        attempt: 0,
        max_attempts: wanted.max_attempts,
        crashes: 0,
        due: !wanted.later,
        claim_id: None,
        begun: false,
        expired: false,
        not_before: wanted.not_before,
        events,
    }
}

fn by_id(moved: &[Moved]) -> Vec<(i64, String)> {
    let mut moved: Vec<_> = moved.iter().map(|one| (one.id, one.state.clone())).collect();
    moved.sort();
    moved
}

fn same<T: PartialEq + std::fmt::Debug>(what: &str, found: &T, expected: &T) -> Result<(), String> {
    if found == expected {
        return Ok(());
    }
    Err(format!("{what}: Postgres has\n  {found:?}\nand the model\n  {expected:?}"))
}
