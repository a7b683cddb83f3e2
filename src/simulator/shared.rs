//! The one value that the three servers share, and the transaction through which they change it.

use std::ops::Deref;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use crate::simulator::SimulatorOptions;
use crate::simulator::fault::FaultBook;
use crate::simulator::journal::Journal;
use crate::simulator::state::{Change, World};

/// What the servers share.
#[derive(Debug)]
pub struct Shared {
    state: Mutex<State>,
    /// How much faster than real lifetimes run out.
    pub time_scale: f64,
    /// How much faster than real quotas fill up again.
    pub quota_scale: f64,
    /// The newest spent refresh token still returns its pair for some hours.
    pub refresh_grace: bool,
    /// How far this world's clock is ahead of the machine's, in milliseconds.
    ahead_ms: AtomicI64,
}

#[derive(Debug)]
struct State {
    world: World,
    journal: Option<Journal>,
    faults: FaultBook,
    random: StdRng,
}

impl Shared {
    pub(super) fn new(world: World, journal: Option<Journal>, options: &SimulatorOptions) -> Arc<Self> {
        let SimulatorOptions { seed, time_scale, quota_scale, refresh_grace, .. } = *options;
        let ahead_ms = AtomicI64::new(0);
        let faults = FaultBook::new(seed);
        // Not the bare seed: a world that goes on from a journal must not hand out its first tokens again.
        let random = StdRng::seed_from_u64(seed ^ u64::try_from(machine_ms()).unwrap_or(0).rotate_left(32));
        let state = Mutex::new(State { world, journal, faults, random });
        Arc::new(Self { state, time_scale, quota_scale, refresh_grace, ahead_ms })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // A panicking reader (a failed assertion of a test) leaves the world as it was.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Looks at the world.
    pub fn read<R>(&self, look: impl FnOnce(&World) -> R) -> R {
        look(&self.lock().world)
    }

    /// Looks and changes in one step.
    pub fn update<R>(&self, change: impl FnOnce(&mut Tx<'_>) -> R) -> R {
        let now_ms = self.now_ms();
        let mut state = self.lock();
        change(&mut Tx { state: &mut state, now_ms, shared: self })
    }

    /// Makes one change.
    pub fn record(&self, change: impl Into<Change>) {
        self.update(|tx| tx.record(change));
    }

    /// Looks into the scripted faults.
    pub fn faults<R>(&self, look: impl FnOnce(&mut FaultBook) -> R) -> R {
        look(&mut self.lock().faults)
    }

    /// This world's time, unix milliseconds.
    pub fn now_ms(&self) -> i64 {
        machine_ms() + self.ahead_ms.load(Ordering::Relaxed)
    }

    /// Moves this world's clock forward.
    pub fn advance(&self, by: Duration) {
        self.ahead_ms.fetch_add(i64::try_from(by.as_millis()).unwrap_or(0), Ordering::Relaxed);
    }

    /// How many milliseconds of this world's clock `seconds` of the real platform take.
    pub fn scaled_ms(&self, seconds: u32) -> i64 {
        scaled(seconds, self.time_scale)
    }

    /// The same for a quota that fills up again in `seconds`.
    pub fn quota_ms(&self, seconds: u32) -> i64 {
        scaled(seconds, self.quota_scale)
    }
}

/// The world, locked, with the right to change it.
#[derive(Debug)]
pub struct Tx<'a> {
    state: &'a mut State,
    /// When this transaction began, unix milliseconds.
    pub now_ms: i64,
    /// The settings.
    pub shared: &'a Shared,
}

impl Deref for Tx<'_> {
    type Target = World;

    fn deref(&self) -> &World {
        &self.state.world
    }
}

impl Tx<'_> {
    /// Makes a change, after it was written to the journal.
    pub fn record(&mut self, change: impl Into<Change>) {
        let change = change.into();
        if let Some(journal) = &mut self.state.journal
            && let Err(error) = journal.append(&change)
        {
            tracing::error!("the simulator goes on without a journal: {error:#}");
            self.state.journal = None;
        }
        self.state.world.apply(&change);
    }

    /// A random number.
    pub fn random(&mut self) -> u64 {
        self.state.random.random()
    }

    /// `bytes` random bytes in hexadecimal digits.
    pub fn token(&mut self, bytes: usize) -> String {
        let mut buffer = vec![0u8; bytes];
        self.state.random.fill(buffer.as_mut_slice());
        hex::encode(buffer)
    }

    /// The time in unix seconds.
    pub fn now(&self) -> i64 {
        self.now_ms / 1000
    }
}

#[expect(clippy::cast_possible_truncation, reason = "at most months in milliseconds")]
fn scaled(seconds: u32, scale: f64) -> i64 {
    ((f64::from(seconds) * 1000.0 / scale) as i64).max(1)
}

fn machine_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}
