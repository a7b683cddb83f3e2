//! What is done to the town while pushes come in.

use std::fmt;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use tokio::task::JoinHandle;

use super::load::Sent;
use super::town::{LEASE, Role, Town};

/// What was done, counted.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Deeds {
    pub(super) workers_killed: u32,
    pub(super) receivers_killed: u32,
    pub(super) schedulers_killed: u32,
    pub(super) workers_frozen: u32,
    pub(super) postgres_crashed: u32,
    pub(super) connections_cut: u32,
    pub(super) revived: u32,
}

impl Deeds {
    /// Deeds that may have come between a message and the note that it was sent.
    pub(super) fn that_may_double(&self) -> u32 {
        self.workers_killed + self.workers_frozen + self.postgres_crashed + self.connections_cut
    }
}

impl fmt::Display for Deeds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "kill -9 of {} workers, {} receivers, {} schedulers; {} workers frozen past their lease; Postgres crashed {} \
             times, its connections cut {} times; {} processes started again after they gave up",
            self.workers_killed,
            self.receivers_killed,
            self.schedulers_killed,
            self.workers_frozen,
            self.postgres_crashed,
            self.connections_cut,
            self.revived
        )
    }
}

/// Goes on until every push was accepted. Afterwards everything runs.
pub(super) async fn until_done(
    town: &mut Town,
    seed: u64,
    sending: JoinHandle<Sent>,
    deeds: &mut Deeds,
) -> Sent {
    // Another stream of numbers than that of the load.
    let mut random = StdRng::seed_from_u64(seed ^ 0x00c4_a055);
    while !sending.is_finished() {
        pause(&mut random, 200..900).await;
        deeds.revived += town.revive();
        one_deed(town, &mut random, deeds).await;
    }
    deeds.revived += town.revive();
    sending.await.expect("the load")
}

async fn one_deed(town: &mut Town, random: &mut StdRng, deeds: &mut Deeds) {
    match random.random_range(0..20) {
        0..=6 => {
            let role = Role::Worker(random.random_range(0..2));
            town.kill(role);
            deeds.workers_killed += 1;
            pause(random, 0..500).await;
            town.start_process(role);
        }
        7..=10 => {
            let role = Role::Receiver(random.random_range(0..2));
            town.kill(role);
            deeds.receivers_killed += 1;
            pause(random, 0..500).await;
            town.start_process(role);
        }
        11 => {
            town.kill(Role::Scheduler);
            deeds.schedulers_killed += 1;
            town.start_process(Role::Scheduler);
        }
        12 | 13 => {
            let role = Role::Worker(random.random_range(0..2));
            town.signal(role, "STOP");
            tokio::time::sleep(LEASE + Duration::from_millis(random.random_range(500..1500))).await;
            town.signal(role, "CONT");
            deeds.workers_frozen += 1;
        }
        14..=16 => {
            town.crash_postgres(random.random()).await;
            deeds.postgres_crashed += 1;
            pause(random, 0..800).await;
            town.restart_postgres().await;
        }
        _ => {
            let cut = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
                       WHERE application_name LIKE 'pushbox%' AND random() < 0.5";
            // Postgres may still be on its way back.
            if sqlx::query(cut).execute(&town.pool).await.is_ok() {
                deeds.connections_cut += 1;
            }
        }
    }
}

async fn pause(random: &mut StdRng, millis: std::ops::Range<u64>) {
    tokio::time::sleep(Duration::from_millis(random.random_range(millis))).await;
}
