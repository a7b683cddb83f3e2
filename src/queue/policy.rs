//! When a failed job runs again. Pure.

use std::time::Duration;

/// Exponential back-off with jitter.
#[derive(Debug, Clone, Copy)]
pub struct Backoff {
    /// Delay after the first failure.
    pub base: Duration,
    /// Longest delay before jitter.
    pub max: Duration,
}

impl Backoff {
    /// The delay after the `attempt`-th failure, counted from 1. `jitter` in `0.0..1.0` spreads it over
    /// three quarters to five quarters, so that jobs that failed together do not come back together.
    pub fn delay(&self, attempt: i32, jitter: f64) -> Duration {
        let doublings = attempt.saturating_sub(1).clamp(0, 30);
        let full = self.base.as_secs_f64() * f64::from(1_u32 << doublings);
        Duration::from_secs_f64(full.min(self.max.as_secs_f64()) * (0.75 + jitter.clamp(0.0, 1.0) / 2.0))
    }
}

/// After so many lost workers in a row a job runs alone, so that a crash is blamed on the right job. The first is
/// worth nothing: whoever pulls the plug takes a whole batch down, and running each of it alone costs fifty times as
/// much, which keeps jobs at work for longer and exposes them to the next crash.
pub const SUSPECT_CRASHES: i16 = 2;

/// After so many lost workers in a row a job is poison: all but the first two were lost while it ran alone. Where
/// something else takes workers down every few seconds, one run in three is hit, and six hits in a row happen to
/// innocent jobs (seen in the crash test: 12 of 5,300); a worker more or less lost to a guilty one costs little.
pub const MAX_CRASHES: i16 = 12;

/// Whether a job that so many workers in a row vanished with runs alone.
pub fn is_suspect(crashes: i16) -> bool {
    crashes >= SUSPECT_CRASHES
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const BACKOFF: Backoff = Backoff { base: Duration::from_secs(2), max: Duration::from_hours(1) };

    #[test]
    fn doubles_from_the_base() {
        let delays: Vec<_> = (1..=4).map(|attempt| BACKOFF.delay(attempt, 0.5).as_secs()).collect();
        assert_eq!(delays, [2, 4, 8, 16]);
    }

    proptest! {
        #[test]
        fn stays_within_bounds(attempt in i32::MIN..i32::MAX, jitter in 0.0..1.0_f64) {
            let delay = BACKOFF.delay(attempt, jitter);
            prop_assert!(delay >= BACKOFF.base.mul_f64(0.75));
            prop_assert!(delay <= BACKOFF.max.mul_f64(1.25));
        }
    }
}
