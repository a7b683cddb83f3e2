//! Who pushes: the pushes of a plan, each repeated until it is answered 200, as Shopee does.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use pushbox::simulator::Simulator;
use pushbox::simulator::traffic::{Action, Plan, PushAnswer, PushSender};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use tokio::sync::Semaphore;

use super::town::{PARTNER, Town};

/// Under way at once.
const AT_ONCE: usize = 64;

/// What was sent.
#[derive(Debug, Default)]
pub(super) struct Sent {
    /// Bodies that were answered 200, with how often, by the number of the push in the plan.
    pub(super) accepted: BTreeMap<usize, (String, u32)>,
    /// Pushes that only the lost queue tells of, by number.
    pub(super) lost: Vec<usize>,
    /// Tries that were not answered 200.
    pub(super) failed: u64,
    /// Answers other than 200 and 503, or none.
    pub(super) strange: Vec<String>,
}

pub(super) struct Load {
    simulator: Simulator,
    receivers: [PushSender; 2],
    plan: Plan,
    rate: usize,
    seed: u64,
}

impl Load {
    pub(super) fn new(town: &Town, plan: Plan, rate: usize, seed: u64) -> Self {
        let receivers = town
            .receivers()
            .map(|url| PushSender::new(&town.simulator, PARTNER, Some(url)).expect("the app is known"));
        Self { simulator: town.simulator.clone(), receivers, plan, rate, seed }
    }

    /// Returns when every push of the plan was answered 200 or is in the lost queue.
    pub(super) async fn send_all(self) -> Sent {
        let this = Arc::new(self);
        let mut random = StdRng::seed_from_u64(this.seed);
        // A little earlier than the orders as they are, so that no push is ahead of its order.
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970");
        let epoch = i64::try_from(now.as_secs()).expect("not yet") - 60;
        let slots = Arc::new(Semaphore::new(AT_ONCE));
        let mut pace = tokio::time::interval(Duration::from_secs(1) / u32::try_from(this.rate).expect("few"));
        let mut running = tokio::task::JoinSet::new();
        let mut sent = Sent::default();
        for action in &this.plan.actions {
            match action {
                Action::Send { push, .. } => {
                    pace.tick().await;
                    let slot = slots.clone().acquire_owned().await.expect("the slots are open");
                    let (push, first) = (*push, random.random_range(0..2));
                    let body = this.plan.pushes[push].body(epoch);
                    // Now and then two copies race each other to both receivers.
                    let copies = if random.random_bool(0.05) { 2 } else { 1 };
                    for copy in 0..copies {
                        let (this, body) = (this.clone(), body.clone());
                        running.spawn(async move { (push, this.until_accepted(first + copy, body).await) });
                    }
                    drop(slot);
                }
                Action::Lose { push } => {
                    let lost = &this.plan.pushes[*push];
                    let body = lost.body(epoch);
                    this.simulator.lose_push(PARTNER, Some(lost.shop_id), lost.code(), &body);
                    sent.lost.push(*push);
                }
                Action::Probe | Action::Put { .. } | Action::Move { .. } | Action::Forge { .. } => {}
            }
            while let Some(ended) = running.try_join_next() {
                sent.add(ended.expect("a sender"));
            }
        }
        while let Some(ended) = running.join_next().await {
            sent.add(ended.expect("a sender"));
        }
        sent
    }

    /// Tries one receiver and then the other.
    async fn until_accepted(&self, first: usize, body: String) -> Tried {
        let mut tried = Tried { body, failed: 0, strange: None };
        for receiver in first.. {
            let (answer, took) = self.receivers[receiver % 2].send(tried.body.as_bytes()).await;
            match answer {
                PushAnswer::Accepted => break,
                PushAnswer::Unavailable(_) => {}
                PushAnswer::NotEmpty(status) | PushAnswer::Refused(status) => {
                    tried.strange = Some(format!("answered {status} after {took:?}: {}", tried.body));
                    break;
                }
            }
            tried.failed += 1;
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        tried
    }
}

struct Tried {
    body: String,
    failed: u64,
    strange: Option<String>,
}

impl Sent {
    fn add(&mut self, (push, tried): (usize, Tried)) {
        self.failed += tried.failed;
        if let Some(strange) = tried.strange {
            self.strange.push(strange);
            return;
        }
        self.accepted.entry(push).or_insert((tried.body, 0)).1 += 1;
    }
}
