//! A stream of pushes, planned from a seed and played against a receiver.
//!
//! [`scenario`] makes the [`Plan`]: what happens to which order, which pushes tell of it, and how the
//! platform misbehaves on the way (twice, late, never). [`Traffic::run`] plays it: the truth moves first,
//! then the push goes out. [`Expectation`] says what must be true of every sink at the end.
//!
//! What was played is in the world's journal, so that a run that was killed goes on where it stopped.

pub mod expectation;
mod orders;
mod plan;
pub mod progress;
pub mod sender;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use url::Url;

pub use expectation::Expectation;
pub use plan::{Action, Plan, PlannedPush, PlannedShop, PushKind, scenario};
pub use progress::Progress;
pub use sender::{PushAnswer, PushSender};

use crate::simulator::fault::FaultProfile;
use crate::simulator::shopee::push::PROBE_BODY;
use crate::simulator::state::shopee::{ShopeeChange, TokenPair};
use crate::simulator::state::traffic::{PlanId, TrafficChange};
use crate::simulator::{Simulator, shopee};

/// The first and the longest pause before a push is tried again while the receiver is down. The platform
/// would take hours; who plays a plan does not want to wait for it.
const BACK_OFF: std::ops::RangeInclusive<Duration> = Duration::from_millis(100)..=Duration::from_secs(2);

/// Refusals of one push before the platform gives it up: one try and three more.
const TRIES: u32 = 4;

/// How a plan is played.
#[derive(Debug, Clone)]
pub struct TrafficOptions {
    /// Whose app sends the pushes.
    pub partner_id: i64,
    /// Where pushes go, if not to the app's callback URL (which is what is signed in any case).
    pub deliver_to: Option<Url>,
    /// Actions per second; 0: as fast as the receiver answers.
    pub rate: u32,
    /// Random faults of the three services while it runs.
    pub faults: FaultProfile,
    /// Pushes under way at once.
    pub concurrency: usize,
}

/// Plays plans.
#[derive(Debug)]
pub struct Traffic;

impl Traffic {
    /// Adds the plan's shops to the world, with tokens; those that are there keep theirs.
    pub fn install(sim: &Simulator, plan: &Plan, partner_id: i64) -> BTreeMap<i64, TokenPair> {
        let add = |shop: &PlannedShop| (shop.shop_id, sim.add_shop(partner_id, shop.shop_id, shop.region));
        plan.shops.iter().map(add).collect()
    }

    /// Brings every order of the plan to where it is at the plan's end, without any push.
    pub fn put_orders(sim: &Simulator, plan: &Plan) {
        let epoch = sim.shared().now_ms() / 1000;
        for change in plan.actions.iter().filter_map(|action| truth(plan, action, epoch)) {
            sim.change(change);
        }
    }

    /// Plays the plan to its end, from where an earlier run of the same plan stopped. Errors only if the
    /// app is not there; a receiver that is down is waited for.
    pub async fn run(
        sim: &Simulator,
        plan: &Arc<Plan>,
        options: &TrafficOptions,
        progress: &Arc<Progress>,
    ) -> anyhow::Result<()> {
        let epoch = begin(sim, plan);
        sim.set_fault_profile(options.faults);
        progress.resume(plan.actions.len(), &sim.read(|world| world.traffic.clone()));
        let sender = PushSender::new(sim, options.partner_id, options.deliver_to.clone())?;
        let player = Arc::new(Player {
            sim: sim.clone(),
            plan: Arc::clone(plan),
            sender,
            epoch,
            partner_id: options.partner_id,
            progress: Arc::clone(progress),
        });
        let slots = Arc::new(Semaphore::new(options.concurrency.max(1)));
        let mut pace =
            (options.rate > 0).then(|| tokio::time::interval(Duration::from_secs(1) / options.rate));
        let mut running = JoinSet::new();
        for (index, action) in (0u32..).zip(&plan.actions) {
            if sim.read(|world| world.traffic.done.contains(&index)) {
                continue;
            }
            // The truth moves here, in order and before any push that tells of it.
            if player.play_truth(index, action) {
                continue;
            }
            if let Some(pace) = &mut pace {
                pace.tick().await;
            }
            let slot = Arc::clone(&slots).acquire_owned().await.context("the slots are never closed")?;
            let (player, action) = (Arc::clone(&player), action.clone());
            running.spawn(async move {
                player.play(index, &action).await;
                drop(slot);
            });
            while running.try_join_next().is_some() {}
        }
        while let Some(ended) = running.join_next().await {
            ended.context("a push could not be played")?;
        }
        sim.set_fault_profile(FaultProfile::None);
        Ok(())
    }
}

/// Finds the instant the plan's offset 0 stands for: that of the run before, or now.
fn begin(sim: &Simulator, plan: &Plan) -> i64 {
    sim.shared().update(|tx| {
        let fresh = PlanId { seed: plan.seed, pushes: plan.asked, shops: plan.shops.len(), epoch: tx.now() };
        match &tx.traffic.plan {
            Some(known) if PlanId { epoch: fresh.epoch, ..known.clone() } == fresh => known.epoch,
            _ => {
                let epoch = fresh.epoch;
                tx.record(TrafficChange::Started(fresh));
                epoch
            }
        }
    })
}

/// How an action changes the truth about an order; none for what only tells of it.
fn truth(plan: &Plan, action: &Action, epoch: i64) -> Option<ShopeeChange> {
    match action {
        Action::Put { order } => {
            let order = &plan.orders[*order];
            Some(ShopeeChange::OrderPut { shop_id: order.shop_id, order: order.truth(epoch) })
        }
        Action::Move { shop_id, order_sn, status, at, patch } => Some(ShopeeChange::OrderMoved {
            shop_id: *shop_id,
            order_sn: order_sn.clone(),
            status: (*status).to_owned(),
            update_time: epoch + at,
            patch: orders::at_epoch(patch, epoch),
        }),
        Action::Send { .. } | Action::Forge { .. } | Action::Lose { .. } | Action::Probe => None,
    }
}

struct Player {
    sim: Simulator,
    plan: Arc<Plan>,
    sender: PushSender,
    epoch: i64,
    partner_id: i64,
    progress: Arc<Progress>,
}

impl Player {
    /// Plays an action that needs no network; whether it was one.
    fn play_truth(&self, index: u32, action: &Action) -> bool {
        match action {
            Action::Put { .. } | Action::Move { .. } => {
                if let Some(change) = truth(&self.plan, action, self.epoch) {
                    self.sim.change(change);
                }
                self.sim.change(TrafficChange::Moved { action: index });
            }
            Action::Lose { push } => {
                let push = &self.plan.pushes[*push];
                self.give_up(push, &push.body(self.epoch), Some(index));
                self.progress.count_lost();
            }
            Action::Send { .. } | Action::Forge { .. } | Action::Probe => return false,
        }
        self.progress.count_done();
        true
    }

    async fn play(&self, index: u32, action: &Action) {
        match action {
            Action::Send { push, repeated } => self.send(index, &self.plan.pushes[*push], *repeated).await,
            Action::Forge { push } => self.forge(index, &self.plan.pushes[*push]).await,
            Action::Probe => {
                self.until_answered(PROBE_BODY.as_bytes(), None).await;
                self.sim.change(TrafficChange::Moved { action: index });
            }
            Action::Put { .. } | Action::Move { .. } | Action::Lose { .. } => {}
        }
        self.progress.count_done();
    }

    async fn send(&self, action: u32, push: &PlannedPush, repeated: bool) {
        let body = push.body(self.epoch);
        let code = push.code();
        for _ in 0..TRIES {
            if self.until_answered(body.as_bytes(), None).await == PushAnswer::Accepted {
                self.sim.change(TrafficChange::Accepted { action, code, repeated });
                self.progress.count_accepted(repeated);
                return;
            }
        }
        self.give_up(push, &body, Some(action));
        self.progress.count_given_up();
    }

    /// Somebody else's push: the body is ours, the signature is not.
    async fn forge(&self, action: u32, push: &PlannedPush) {
        let body = push.body(self.epoch);
        let signature =
            shopee::push::sign_push("not the push key", "https://elsewhere.example/", body.as_bytes());
        let answer = self.until_answered(body.as_bytes(), Some(&signature)).await;
        let accepted = answer == PushAnswer::Accepted;
        self.sim.change(TrafficChange::Forged { action, code: push.code(), accepted });
        self.progress.count_forged(accepted);
    }

    /// Sends until the receiver says something about the push itself.
    async fn until_answered(&self, body: &[u8], signature: Option<&str>) -> PushAnswer {
        let mut pause = *BACK_OFF.start();
        loop {
            let (answer, took) = match signature {
                Some(signature) => self.sender.post(body, signature).await,
                None => self.sender.send(body).await,
            };
            self.progress.count_sent(took);
            if !matches!(answer, PushAnswer::Unavailable(_)) {
                return answer;
            }
            self.progress.count_retry();
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(*BACK_OFF.end());
        }
    }

    fn give_up(&self, push: &PlannedPush, body: &str, action: Option<u32>) {
        self.sim.shared().update(|tx| {
            let (partner_id, code, lost_at) = (self.partner_id, push.code(), tx.now());
            let (shop_id, body) = (Some(push.shop_id), body.to_owned());
            tx.record(ShopeeChange::PushLost { partner_id, shop_id, code, lost_at, body, action });
        });
    }
}
