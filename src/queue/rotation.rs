//! Whose turn it is in one queue. Pure.
//!
//! A queue's ready jobs lie in lanes: one per batch key and priority. Batch keys have their turns one after the
//! other, however many jobs one of them has. Within a batch key the lower priority number goes first, except that
//! every fourth turn begins with the last lane, so that nothing starves behind a stream of urgent jobs.
//!
//! Of each lane it remembers where the last claim ended, and the next one begins there: it need not pass the
//! remains of finished jobs, which Postgres cannot drop while somebody holds an old snapshot. What a claim had to
//! leave behind (locked by a merge, its twin runs, enqueued with an earlier time) is found again by the next look,
//! which puts every lane back to its first job.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::claim::{ClaimedRow, Head, Lane, Place};

/// A lane without ready jobs is remembered for so long: its next job is then found without a look.
const REMEMBERED: Duration = Duration::from_secs(10);
/// Lanes in one claim; more would make a claim that finds nothing slow.
const LANES_AT_ONCE: usize = 128;
/// Every so many turns of a batch key its lanes have their turns backwards.
const BACKWARDS_EVERY: u32 = 4;

#[derive(Debug)]
struct Known {
    place: Place,
    /// When it was last seen to have jobs.
    seen: Instant,
}

/// The lanes of one queue and the order of their turns.
#[derive(Debug, Default)]
pub(crate) struct Rotation {
    /// By batch key, within it by priority.
    lanes: BTreeMap<Lane, Known>,
    /// The batch key whose turn was last.
    after: Option<String>,
    round: u32,
    /// Where the first turn begins, as a share of the batch keys.
    start: f64,
}

impl Rotation {
    /// Turns that begin anywhere: `start` is a number between 0 and 1. Two processes that began at the same lane would
    /// go through the lanes side by side, each past what the other has locked.
    pub(crate) fn new(start: f64) -> Self {
        Self { start, ..Self::default() }
    }

    /// Takes over the lanes that a look found, each from its first job.
    pub(crate) fn found(&mut self, heads: &[Head], now: Instant) {
        self.lanes.retain(|_, known| now.duration_since(known.seen) < REMEMBERED);
        for head in heads {
            self.lanes.insert(head.lane.clone(), Known { place: head.place, seen: now });
        }
    }

    /// The lanes to claim from next, in the order of their turns.
    pub(crate) fn next(&self) -> Vec<(Lane, Place)> {
        let mut keys: Vec<Vec<(&Lane, &Known)>> = Vec::new();
        for (lane, known) in &self.lanes {
            match keys.last_mut() {
                Some(key) if key[0].0.batch_key == lane.batch_key => key.push((lane, known)),
                _ => keys.push(vec![(lane, known)]),
            }
        }
        let first = self.after.as_deref().map_or(part(self.start, keys.len()), |after| {
            keys.partition_point(|key| key[0].0.batch_key.as_str() <= after)
        });
        keys.rotate_left(first);
        let backwards = self.round % BACKWARDS_EVERY == BACKWARDS_EVERY - 1;
        keys.into_iter()
            .flat_map(|mut key| {
                if backwards {
                    key.reverse();
                }
                key
            })
            .take(LANES_AT_ONCE)
            .map(|(lane, known)| (lane.clone(), known.place))
            .collect()
    }

    /// Notes what a claim brought; `full` when it brought as many as it was to.
    pub(crate) fn claimed(&mut self, asked: &[(Lane, Place)], rows: &[ClaimedRow], full: bool, now: Instant) {
        for row in rows {
            let lane = Lane { batch_key: row.batch_key.clone(), priority: row.priority };
            let place = Place { run_at: row.run_at, id: row.id };
            let known = self.lanes.entry(lane).or_insert(Known { place, seen: now });
            known.place = known.place.max(place);
            known.seen = now;
        }
        // A full claim may have stopped in the middle: the next begins behind the last key that it served.
        let served = if full {
            asked.iter().rev().find(|(lane, _)| rows.iter().any(|row| row.batch_key == lane.batch_key))
        } else {
            asked.last()
        };
        let Some((last, _)) = served else { return };
        let wrapped = self.after.as_deref().is_some_and(|after| last.batch_key.as_str() <= after);
        if wrapped || self.after.is_none() {
            self.round = self.round.wrapping_add(1);
        }
        self.after = Some(last.batch_key.clone());
    }

    /// How many lanes may have jobs.
    pub(crate) fn lanes(&self) -> usize {
        self.lanes.len()
    }

    /// How many batch keys may have jobs.
    pub(crate) fn keys(&self) -> usize {
        let mut last: Option<&str> = None;
        let mut count = 0;
        for lane in self.lanes.keys() {
            if last != Some(lane.batch_key.as_str()) {
                last = Some(&lane.batch_key);
                count += 1;
            }
        }
        count
    }
}

/// The element at this share of `length`.
#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "few keys"
)]
fn part(share: f64, length: usize) -> usize {
    ((share * length as f64) as usize).min(length.saturating_sub(1))
}

#[cfg(test)]
mod tests {
    use chrono::{DateTime, Utc};
    use serde_json::value::RawValue;
    use sqlx::types::Json;

    use super::*;

    fn lane(batch_key: &str, priority: i16) -> Lane {
        Lane { batch_key: batch_key.into(), priority }
    }

    fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(seconds, 0).expect("a time")
    }

    fn head(batch_key: &str, priority: i16) -> Head {
        Head { lane: lane(batch_key, priority), place: Place { run_at: at(1), id: 1 }, due_in: -1.0 }
    }

    fn row(batch_key: &str, priority: i16, id: i64) -> ClaimedRow {
        ClaimedRow {
            id,
            kind: "x".into(),
            batch_key: batch_key.into(),
            payload: Json(RawValue::from_string("{}".into()).expect("JSON")),
            attempt: 0,
            max_attempts: 1,
            crashes: 0,
            event_id: None,
            merged_events: Vec::new(),
            priority,
            run_at: at(id),
            created_at: at(0),
        }
    }

    fn keys(rotation: &Rotation) -> Vec<(String, i16)> {
        rotation.next().into_iter().map(|(lane, _)| (lane.batch_key, lane.priority)).collect()
    }

    #[test]
    fn the_next_claim_begins_behind_the_last_key_served() {
        let now = Instant::now();
        let mut rotation = Rotation::default();
        rotation.found(&[head("a", 0), head("b", 0), head("c", 0)], now);
        let asked = rotation.next();
        rotation.claimed(&asked, &[row("a", 0, 5)], true, now);
        assert_eq!(keys(&rotation), [("b".into(), 0), ("c".into(), 0), ("a".into(), 0)]);
        let place =
            rotation.next().into_iter().find(|(lane, _)| lane.batch_key == "a").expect("still known").1;
        assert_eq!(place, Place { run_at: at(5), id: 5 }, "and where the last one ended");
    }

    #[test]
    fn the_first_turn_begins_anywhere() {
        for (start, first) in [(0.0, "a"), (0.5, "b"), (0.99, "c"), (1.0, "c")] {
            let mut rotation = Rotation::new(start);
            rotation.found(&[head("a", 0), head("b", 0), head("c", 0)], Instant::now());
            assert_eq!(keys(&rotation)[0].0, first);
            assert_eq!(keys(&rotation).len(), 3);
        }
        assert_eq!(Rotation::new(0.7).next(), []);
    }

    #[test]
    fn a_look_puts_a_lane_back_to_its_first_job_and_forgets_what_is_long_empty() {
        let now = Instant::now();
        let mut rotation = Rotation::default();
        rotation.found(&[head("a", 0), head("b", 0)], now);
        let asked = rotation.next();
        rotation.claimed(&asked, &[row("a", 0, 5)], true, now);
        let later = now + REMEMBERED;
        rotation.found(&[head("a", 0)], later);
        assert_eq!(rotation.next(), [(lane("a", 0), Place { run_at: at(1), id: 1 })]);
    }

    #[test]
    fn a_stream_of_urgent_jobs_does_not_starve_the_usual_ones() {
        let now = Instant::now();
        let mut rotation = Rotation::default();
        rotation.found(&[head("a", -5), head("a", 0)], now);
        let mut usual = 0;
        for id in 0..40 {
            // Every claim is filled by the first lane that is asked.
            let asked = rotation.next();
            let first = asked[0].0.priority;
            usual += i32::from(first == 0);
            rotation.claimed(&asked, &[row("a", first, id)], true, now);
        }
        assert_eq!(usual, 10, "one turn in four");
    }

    #[test]
    fn with_many_lanes_all_are_asked_in_the_end() {
        let now = Instant::now();
        let heads: Vec<Head> = (0..300).map(|n| head(&format!("{n:03}"), 0)).collect();
        let mut rotation = Rotation::default();
        rotation.found(&heads, now);
        let mut asked = std::collections::BTreeSet::new();
        for _ in 0..3 {
            let lanes = rotation.next();
            asked.extend(lanes.iter().map(|(lane, _)| lane.batch_key.clone()));
            rotation.claimed(&lanes, &[], false, now);
        }
        assert_eq!(asked.len(), 300);
        assert_eq!(rotation.keys(), 300);
    }
}
