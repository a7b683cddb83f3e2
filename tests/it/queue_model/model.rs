//! What the queue promises, as plainly as it can be said: one thread, one map, no SQL.

use std::collections::BTreeMap;

use pushbox::queue::policy::{MAX_CRASHES, SUSPECT_CRASHES};
use pushbox::queue::settle::{Claim, Verdict};
use uuid::Uuid;

use super::Take;

/// A job that is alive. What is a column of `jobs` is read into the same type and compared.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub(super) struct Job {
    pub(super) kind: String,
    pub(super) key: Option<String>,
    pub(super) batch_key: String,
    pub(super) priority: i16,
    pub(super) state: String,
    pub(super) attempt: i32,
    pub(super) max_attempts: i32,
    pub(super) crashes: i16,
    /// `run_at` has come; in these histories it is either long past or far ahead.
    pub(super) due: bool,
    pub(super) claim_id: Option<Uuid>,
    /// Marked as begun, which only suspects are.
    pub(super) begun: bool,
    /// Its lease is over.
    pub(super) expired: bool,
    pub(super) not_before: i64,
    /// As a set: sorted.
    pub(super) events: Vec<Uuid>,
}

/// A job that ended: outcome, attempts, events.
pub(super) type Ended = (String, i32, Vec<Uuid>);

#[derive(Debug, Default)]
pub(super) struct Model {
    pub(super) jobs: BTreeMap<i64, Job>,
    pub(super) history: BTreeMap<i64, Ended>,
    pub(super) paused: bool,
    /// Asked for and committed.
    pub(super) events: Vec<Uuid>,
}

impl Model {
    fn twin(&self, job: &Job, state: &str) -> Option<i64> {
        let same = |other: &Job| other.key.is_some() && (&other.kind, &other.key) == (&job.kind, &job.key);
        self.jobs.iter().find(|(_, other)| other.state == state && same(other)).map(|(id, _)| *id)
    }

    /// Into the ready twin, if there is one; else the job itself comes back.
    pub(super) fn merge(&mut self, job: Job) -> Option<Job> {
        let Some(twin) = self.twin(&job, "ready").and_then(|id| self.jobs.get_mut(&id)) else {
            return Some(job);
        };
        twin.events.extend(job.events);
        twin.events.sort();
        twin.not_before = twin.not_before.max(job.not_before);
        twin.priority = twin.priority.min(job.priority);
        twin.due |= job.due;
        None
    }

    /// A job that stops running: it enters ready or dead. Where it went.
    fn enter(&mut self, id: i64, mut job: Job) -> (i64, String) {
        (job.claim_id, job.begun, job.expired) = (None, false, false);
        if job.state == "dead" {
            self.jobs.insert(id, job);
            return (id, "dead".into());
        }
        let ended = ("merged".to_owned(), job.attempt, job.events.clone());
        if let Some(job) = self.merge(job) {
            self.jobs.insert(id, job);
            (id, "ready".into())
        } else {
            self.history.insert(id, ended);
            (id, "merged".into())
        }
    }

    pub(super) fn holds(&self, claim: Claim) -> bool {
        let job = self.jobs.get(&claim.job_id);
        job.is_some_and(|job| job.state == "running" && job.claim_id == Some(claim.claim_id))
    }

    /// Jobs that a claim may take now, by lane.
    fn claimable(&self, take: Take) -> BTreeMap<(String, i16), Vec<i64>> {
        let mut lanes = BTreeMap::<_, Vec<i64>>::new();
        for (id, job) in &self.jobs {
            let busy = |other: &Job| other.state == "running" && other.batch_key == job.batch_key;
            if !self.paused
                && job.state == "ready"
                && job.due
                && self.twin(job, "running").is_none()
                && !(take.exclusive && self.jobs.values().any(busy))
            {
                lanes.entry((job.batch_key.clone(), job.priority)).or_default().push(*id);
            }
        }
        lanes
    }

    /// Judges what a claim took, and takes it.
    pub(super) fn claimed(&mut self, take: Take, claim_id: Uuid, rows: &[i64]) -> Result<(), String> {
        let lanes = self.claimable(take);
        let per_lane = usize::try_from(take.per_lane).unwrap_or_default();
        let limit = usize::try_from(take.limit).unwrap_or_default();
        let wanted = lanes.values().map(|lane| lane.len().min(per_lane)).sum::<usize>().min(limit);
        if rows.len() != wanted {
            return Err(format!("a claim took {rows:?}, which is not {wanted} of {lanes:?}"));
        }
        for id in rows {
            let Some(lane) = lanes.values().find(|lane| lane.contains(id)) else {
                return Err(format!("a claim took job {id}, which is not among {lanes:?}"));
            };
            if rows.iter().filter(|other| lane.contains(other)).count() > per_lane {
                return Err(format!("a claim took more than {per_lane} of {lane:?}: {rows:?}"));
            }
            let job = self.jobs.get_mut(id).ok_or("a claim took an unknown job")?;
            job.state = "running".into();
            (job.claim_id, job.begun, job.expired) = (Some(claim_id), false, false);
        }
        Ok(())
    }

    /// The jobs that are completed.
    pub(super) fn complete(&mut self, claims: &[Claim]) -> Vec<(i64, String)> {
        let mut moved = Vec::new();
        for claim in claims {
            if !self.holds(*claim) {
                continue;
            }
            if let Some(job) = self.jobs.remove(&claim.job_id) {
                self.history.insert(claim.job_id, ("done".into(), job.attempt + 1, job.events));
                moved.push((claim.job_id, "done".into()));
            }
        }
        moved
    }

    /// The jobs that are given back, and where they went.
    pub(super) fn give_back(&mut self, claim: Claim, verdict: &Verdict) -> Option<(i64, String)> {
        if !self.holds(claim) {
            return None;
        }
        let mut job = self.jobs.remove(&claim.job_id)?;
        job.state = "ready".into();
        match verdict {
            Verdict::Retry { after, .. } => {
                job.attempt += 1;
                (job.crashes, job.due) = (0, after.is_zero());
                if job.attempt >= job.max_attempts {
                    job.state = "dead".into();
                }
            }
            Verdict::Wait { after, .. } => (job.crashes, job.due) = (0, after.is_zero()),
            Verdict::Keep { .. } => job.crashes = 0,
            Verdict::Release => {}
            Verdict::Dead { .. } => {
                job.attempt += 1;
                job.crashes = 0;
                job.state = "dead".into();
            }
        }
        Some(self.enter(claim.job_id, job))
    }

    /// Jobs whose lease is over come back, the first `limit` of them; where they went.
    pub(super) fn reap(&mut self, limit: usize) -> Vec<(i64, String)> {
        let over = |job: &&Job| job.state == "running" && job.expired;
        let ids: Vec<i64> =
            self.jobs.iter().filter(|(_, job)| over(job)).map(|(id, _)| *id).take(limit).collect();
        let mut moved = Vec::new();
        for id in ids {
            let Some(mut job) = self.jobs.remove(&id) else { continue };
            // The second loss makes a suspect; after that only a suspect that had begun is to blame.
            if job.crashes < SUSPECT_CRASHES || job.begun {
                job.crashes += 1;
            }
            job.state = if job.crashes >= MAX_CRASHES { "dead" } else { "ready" }.into();
            moved.push(self.enter(id, job));
        }
        moved
    }

    /// A dead job gets all its attempts again.
    pub(super) fn retry_dead(&mut self, id: i64) -> bool {
        if self.jobs.get(&id).is_none_or(|job| job.state != "dead") {
            return false;
        }
        if let Some(mut job) = self.jobs.remove(&id) {
            (job.attempt, job.crashes, job.due, job.state) = (0, 0, true, "ready".into());
            self.enter(id, job);
        }
        true
    }

    /// What must hold in every state, whatever led there.
    pub(super) fn faults(&self) -> Vec<String> {
        let mut faults = Vec::new();
        for (id, job) in &self.jobs {
            let twins = self.jobs.values().filter(|other| {
                job.key.is_some()
                    && job.state != "dead"
                    && (&job.kind, &job.key, &job.state) == (&other.kind, &other.key, &other.state)
            });
            if twins.count() > 1 {
                faults.push(format!("job {id} has a twin that is {} as well", job.state));
            }
            if self.history.contains_key(id) {
                faults.push(format!("job {id} is alive and ended"));
            }
        }
        let served = |event: &Uuid| {
            let ended = |(outcome, _, events): &Ended| outcome != "merged" && events.contains(event);
            self.jobs.values().any(|job| job.events.contains(event)) || self.history.values().any(ended)
        };
        faults.extend(
            self.events.iter().filter(|event| !served(event)).map(|id| format!("event {id} is lost")),
        );
        faults
    }
}
