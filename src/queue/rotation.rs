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
}

impl Rotation {
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
        let first = self
            .after
            .as_deref()
            .map_or(0, |after| keys.partition_point(|key| key[0].0.batch_key.as_str() <= after));
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

