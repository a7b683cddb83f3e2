//! How far a run is, readable at any time.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::simulator::state::traffic::TrafficWorld;

/// Steps within one power of two of the histogram.
const STEPS: u32 = 8;
/// Buckets: microseconds up to 2^40.
const BUCKETS: usize = 40 * STEPS as usize;

/// Counters of a run. Those of pushes go on from an earlier run of the same plan; the latencies do not.
#[derive(Debug)]
pub struct Progress {
    total: AtomicU64,
    done: AtomicU64,
    sent: AtomicU64,
    accepted: AtomicU64,
    repeated: AtomicU64,
    forged_refused: AtomicU64,
    forged_accepted: AtomicU64,
    lost: AtomicU64,
    given_up: AtomicU64,
    retries: AtomicU64,
    latency: [AtomicU64; BUCKETS],
}

/// The counters at one instant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Snapshot {
    /// Actions of the plan.
    pub total: u64,
    /// Actions that are done.
    pub done: u64,
    /// Requests that were sent in this run.
    pub sent: u64,
    /// Pushes that were accepted for the first time.
    pub accepted: u64,
    /// Repeated deliveries that were accepted.
    pub repeated: u64,
    /// Forged pushes that were refused.
    pub forged_refused: u64,
    /// Forged pushes that were accepted; must be 0.
    pub forged_accepted: u64,
    /// Pushes that went to the lost queue unsent.
    pub lost: u64,
    /// Pushes that went to the lost queue because they were refused; should be 0.
    pub given_up: u64,
    /// Tries that found the receiver down.
    pub retries: u64,
    /// Half of the answers took at most so long.
    pub p50: Duration,
    /// 99 of 100 answers took at most so long.
    pub p99: Duration,
}

impl Default for Progress {
    fn default() -> Self {
        let zero = AtomicU64::default;
        Self {
            total: zero(),
            done: zero(),
            sent: zero(),
            accepted: zero(),
            repeated: zero(),
            forged_refused: zero(),
            forged_accepted: zero(),
            lost: zero(),
            given_up: zero(),
            retries: zero(),
            latency: std::array::from_fn(|_| zero()),
        }
    }
}

fn add(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

impl Progress {
    pub(super) fn resume(&self, total: usize, played: &TrafficWorld) {
        let sum = |counts: &std::collections::BTreeMap<i32, u64>| counts.values().sum::<u64>();
        let set = |counter: &AtomicU64, value: u64| counter.store(value, Ordering::Relaxed);
        set(&self.total, total as u64);
        set(&self.done, played.done.len() as u64);
        set(&self.accepted, sum(&played.accepted));
        set(&self.repeated, sum(&played.repeated));
        set(&self.forged_refused, sum(&played.refused));
        set(&self.forged_accepted, sum(&played.forged_accepted));
        set(&self.lost, sum(&played.lost));
    }

    pub(super) fn count_done(&self) {
        add(&self.done);
    }

    pub(super) fn count_sent(&self, took: Duration) {
        add(&self.sent);
        add(&self.latency[bucket(took)]);
    }

    pub(super) fn count_accepted(&self, repeated: bool) {
        add(if repeated { &self.repeated } else { &self.accepted });
    }

    pub(super) fn count_forged(&self, accepted: bool) {
        add(if accepted { &self.forged_accepted } else { &self.forged_refused });
    }

    pub(super) fn count_lost(&self) {
        add(&self.lost);
    }

    pub(super) fn count_given_up(&self) {
        add(&self.given_up);
    }

    pub(super) fn count_retry(&self) {
        add(&self.retries);
    }

    /// The counters now.
    pub fn snapshot(&self) -> Snapshot {
        let get = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Snapshot {
            total: get(&self.total),
            done: get(&self.done),
            sent: get(&self.sent),
            accepted: get(&self.accepted),
            repeated: get(&self.repeated),
            forged_refused: get(&self.forged_refused),
            forged_accepted: get(&self.forged_accepted),
            lost: get(&self.lost),
            given_up: get(&self.given_up),
            retries: get(&self.retries),
            p50: self.quantile(50),
            p99: self.quantile(99),
        }
    }

    /// An upper bound of what `percent` of the answers took, within an eighth.
    fn quantile(&self, percent: u64) -> Duration {
        let counts: Vec<u64> = self.latency.iter().map(|count| count.load(Ordering::Relaxed)).collect();
        let wanted = (counts.iter().sum::<u64>() * percent).div_ceil(100);
        let mut seen = 0;
        let at = counts.iter().position(|count| {
            seen += count;
            seen >= wanted && wanted > 0
        });
        at.map_or(Duration::ZERO, |at| Duration::from_micros(upper_bound(at)))
    }
}

/// Eight buckets to each power of two of microseconds.
fn bucket(took: Duration) -> usize {
    let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX).max(1);
    let power = micros.ilog2();
    let within = ((u128::from(micros) * u128::from(STEPS)) >> power) - u128::from(STEPS);
    let index = power as usize * STEPS as usize + usize::try_from(within).unwrap_or(0);
    index.min(BUCKETS - 1)
}

fn upper_bound(bucket: usize) -> u64 {
    let (power, within) = (bucket / STEPS as usize, bucket % STEPS as usize);
    ((u64::from(STEPS) + within as u64 + 1) << power).div_ceil(u64::from(STEPS))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_within_an_eighth() {
        let progress = Progress::default();
        for millis in 1..=100 {
            progress.count_sent(Duration::from_millis(millis));
        }
        let near = |found: Duration, millis: u64| {
            let real = Duration::from_millis(millis);
            assert!(found >= real && found <= real * 9 / 8, "{found:?} is not near {real:?}");
        };
        near(progress.snapshot().p50, 50);
        near(progress.snapshot().p99, 99);
    }
}
