//! Notes beside the way of a push: a sample of what was refused, and which key proves pushes. Never waited for:
//! what does not fit is left out, and a database that is away costs the notes, nothing else.

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use chrono::{DateTime, Utc};
use secrecy::SecretString;
use sqlx::PgPool;
use tokio::sync::mpsc;

use super::throttle::Budget;
use crate::domain::push::sha256;
use crate::domain::seal::{Sealer, rejection_place};
use crate::domain::sources::{Explanation, KeptRequest, Proof, Pushed, Refusal, Source};
use crate::store::begin;
use crate::store::rejections::{self, NewRejection};
use crate::store::sources::{self, KeyUse};

/// Notes that may wait.
const WAITING_AT_MOST: usize = 128;
/// Notes in one transaction.
const TOGETHER: usize = 64;
/// Between two transactions, so that a flood of refusals costs the database little.
const PAUSE: Duration = Duration::from_millis(250);
/// Refusals that are kept per minute, over all addresses.
const KEPT_PER_MINUTE: u32 = 120;
/// Longer bodies are not kept.
const LONGEST: usize = 64 * 1024;
/// How often the use of a key is noted, in seconds.
const KEY_EVERY: i64 = 60;
/// After so many refusals the table is cut to its size.
const PRUNE_EVERY: usize = 100;

/// What is kept of refused pushes.
#[derive(Debug, Clone, Copy)]
pub struct RecordSettings {
    /// Refusals per source, and as many with a near miss; 0: none.
    pub kept: u32,
    /// For how long a request can be verified again.
    pub bodies_for: Duration,
}

enum Note {
    Refused(Box<Refused>),
    KeyUsed(KeyUse),
}

struct Refused {
    row: NewRejection,
    request: Option<KeptRequest>,
}

/// Takes notes. The writer ends when the recorder is gone.
#[derive(Debug)]
pub struct Recorder {
    notes: mpsc::Sender<Note>,
    settings: RecordSettings,
    seals: bool,
    budget: Mutex<Budget>,
    /// For each secret of each source, when its use was last noted, in Unix seconds.
    keys: Vec<(String, Vec<AtomicI64>)>,
}

impl Recorder {
    /// A recorder and its writer, to be run beside it.
    pub fn new(
        pool: PgPool,
        sealer: Sealer,
        all: &[Source],
        settings: RecordSettings,
        now: DateTime<Utc>,
    ) -> (Self, impl Future<Output = ()> + Send + 'static) {
        let (notes, queue) = mpsc::channel(WAITING_AT_MOST);
        let keys = all.iter().map(|source| {
            let never = source.auth.secrets.iter().map(|_| AtomicI64::new(0)).collect();
            (source.name.clone(), never)
        });
        let recorder = Self {
            notes,
            settings,
            seals: sealer.has_key(),
            budget: Mutex::new(Budget::full(KEPT_PER_MINUTE, now)),
            keys: keys.collect(),
        };
        let kept = i32::try_from(settings.kept).unwrap_or(i32::MAX);
        (recorder, Writer { pool, sealer, kept }.run(queue))
    }

    /// A push was refused.
    pub(super) fn refused(
        &self,
        source: &Source,
        refusal: Refusal,
        found: Option<Explanation>,
        push: &Pushed<'_>,
    ) {
        if self.settings.kept == 0 || self.notes.capacity() == 0 {
            return;
        }
        let mut budget = self.budget.lock().unwrap_or_else(PoisonError::into_inner);
        if !budget.take(KEPT_PER_MINUTE, push.at) {
            return;
        }
        drop(budget);
        let text = |text: &str| text.replace('\0', "").chars().take(200).collect::<String>();
        let row = NewRejection {
            source: source.name.clone(),
            fingerprint: source.fingerprint(refusal, push),
            cause: refusal.as_str(),
            near_miss: found.as_ref().is_some_and(|found| found.near_miss),
            reason: found.map(|found| found.text),
            address: push.address.map(|address| address.to_string()),
            account: push.account.map(text),
            body_bytes: i32::try_from(push.body.len()).unwrap_or(i32::MAX),
            body_sha256: sha256(push.body),
            headers: source.kept_headers(push.headers),
            sealed: None,
            sealed_seconds: i32::try_from(self.settings.bodies_for.as_secs()).unwrap_or(i32::MAX),
            refused_at: push.at,
        };
        let keeps = self.seals && push.body.len() <= LONGEST && !self.settings.bodies_for.is_zero();
        let request = keeps.then(|| KeptRequest::of(source, push)).flatten();
        let _ = self.notes.try_send(Note::Refused(Box::new(Refused { row, request })));
    }

    /// A secret proved a push. One look at a number, but for once a minute.
    pub(super) fn proved(&self, source: &Source, proof: Proof, now: DateTime<Utc>) {
        let known = self.keys.iter().find(|(name, _)| *name == source.name);
        let noted = known.and_then(|(_, keys)| keys.get(proof.secret));
        let (Some(noted), Some(secret)) = (noted, source.auth.secrets.get(proof.secret)) else { return };
        let (last, now_s) = (noted.load(Ordering::Relaxed), now.timestamp());
        if (now_s - last).abs() < KEY_EVERY
            || noted.compare_exchange(last, now_s, Ordering::Relaxed, Ordering::Relaxed).is_err()
        {
            return;
        }
        let used = KeyUse {
            source: source.name.clone(),
            fingerprint: secret.fingerprint(),
            label: secret.label.clone(),
            last_used_at: now,
        };
        if self.notes.try_send(Note::KeyUsed(used)).is_err() {
            noted.store(last, Ordering::Relaxed);
        }
    }
}

struct Writer {
    pool: PgPool,
    sealer: Sealer,
    kept: i32,
}

impl Writer {
    async fn run(self, mut queue: mpsc::Receiver<Note>) {
        let mut since_pruned = 0;
        let mut notes = Vec::new();
        while queue.recv_many(&mut notes, TOGETHER).await > 0 {
            let taken: Vec<Note> = std::mem::take(&mut notes);
            since_pruned += taken.len();
            let prune = since_pruned >= PRUNE_EVERY;
            match self.write(taken, prune).await {
                Ok(()) if prune => since_pruned = 0,
                Ok(()) => {}
                Err(error) => tracing::debug!(%error, "cannot note what was refused"),
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    async fn write(&self, notes: Vec<Note>, prune: bool) -> Result<(), sqlx::Error> {
        let mut transaction = begin(&self.pool).await?;
        for note in notes {
            match note {
                Note::Refused(refused) => {
                    let Refused { row, request } = *refused;
                    let sealed = request.and_then(|request| {
                        let text: SecretString = serde_json::to_string(&request).ok()?.into();
                        Some(self.sealer.seal(&text, &rejection_place(&row.source, &row.fingerprint)))
                    });
                    rejections::insert(&mut transaction, &NewRejection { sealed, ..row }).await?;
                }
                Note::KeyUsed(used) => sources::note_key(&mut transaction, &used).await?,
            }
        }
        if prune {
            rejections::prune(&mut transaction, self.kept).await?;
        }
        transaction.commit().await
    }
}
