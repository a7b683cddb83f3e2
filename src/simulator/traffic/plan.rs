//! What happens, in which order, and what the platform tells of it.

use std::collections::BTreeMap;

use rand::rngs::StdRng;
use rand::seq::IndexedRandom as _;
use rand::{Rng, SeedableRng};
use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::simulator::traffic::orders::{self, Market, PlannedOrder};

/// A plan: times are offsets in seconds from the instant it is first played, and so below 0.
#[derive(Debug, Clone)]
pub struct Plan {
    /// What it was made from.
    pub seed: u64,
    /// How many pushes were asked for.
    pub asked: usize,
    /// The shops.
    pub shops: Vec<PlannedShop>,
    /// The orders, as they first appear.
    pub orders: Vec<PlannedOrder>,
    /// The pushes; no two say the same.
    pub pushes: Vec<PlannedPush>,
    /// What is done, in this order.
    pub actions: Vec<Action>,
}

/// One shop.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlannedShop {
    /// The shop id.
    pub shop_id: i64,
    /// Its market.
    pub region: &'static str,
    /// Its currency.
    pub currency: &'static str,
}

/// One push.
#[derive(Debug, Clone, PartialEq)]
pub struct PlannedPush {
    /// The shop.
    pub shop_id: i64,
    /// When it happened.
    pub at: i64,
    /// The platform's own id of the message.
    pub msg_id: String,
    /// What it says.
    pub kind: PushKind,
}

/// What a push says.
#[derive(Debug, Clone, PartialEq)]
pub enum PushKind {
    /// Code 3: an order has a status.
    Status {
        /// The order.
        order_sn: String,
        /// The status.
        status: &'static str,
    },
    /// Code 4: a parcel has a tracking number.
    Tracking {
        /// The order.
        order_sn: String,
        /// The parcel.
        package_number: String,
        /// The number.
        tracking_no: String,
    },
    /// Code 15: a shipping label can be printed.
    Document {
        /// The order.
        order_sn: String,
        /// The parcel.
        package_number: String,
    },
    /// Code 29: a return moved.
    Return {
        /// The order.
        order_sn: String,
        /// The return.
        return_sn: String,
    },
    /// Code 30: a parcel moved.
    Fulfillment {
        /// The order.
        order_sn: String,
        /// The parcel.
        package_number: String,
    },
    /// Code 5: a notice to the seller, with its number.
    Notice(u32),
    /// Code 28: penalty points, with how many.
    Penalty(u32),
    /// Code 99, which nobody knows, with a number.
    Unknown(u32),
}

/// One step of a plan.
#[derive(Debug, Clone, PartialEq)]
pub enum Action {
    /// The platform tests the callback.
    Probe,
    /// An order appears.
    Put {
        /// Index into the orders.
        order: usize,
    },
    /// An order moves.
    Move {
        /// The shop.
        shop_id: i64,
        /// The order.
        order_sn: String,
        /// Its new status.
        status: &'static str,
        /// When.
        at: i64,
        /// Other fields that change with it.
        patch: Map<String, Value>,
    },
    /// A push is sent.
    Send {
        /// Index into the pushes.
        push: usize,
        /// It was sent before.
        repeated: bool,
    },
    /// Somebody sends a push without knowing the key.
    Forge {
        /// Index into the pushes.
        push: usize,
    },
    /// A push goes to the lost queue without being sent.
    Lose {
        /// Index into the pushes.
        push: usize,
    },
}

/// The keys of a live push in the order they were observed in.
#[derive(Serialize)]
struct Envelope<'a> {
    msg_id: &'a str,
    data: BTreeMap<String, Value>,
    shop_id: i64,
    code: i32,
    timestamp: i64,
}

impl PlannedPush {
    /// The push code.
    pub fn code(&self) -> i32 {
        match self.kind {
            PushKind::Status { .. } => 3,
            PushKind::Tracking { .. } => 4,
            PushKind::Notice(_) => 5,
            PushKind::Document { .. } => 15,
            PushKind::Penalty(_) => 28,
            PushKind::Return { .. } => 29,
            PushKind::Fulfillment { .. } => 30,
            PushKind::Unknown(_) => 99,
        }
    }

    /// The bytes as they are sent, the plan's offset 0 being at `epoch`.
    pub fn body(&self, epoch: i64) -> String {
        let at = epoch + self.at;
        let data = match self.data(at) {
            Value::Object(map) => map.into_iter().collect(),
            _ => BTreeMap::new(),
        };
        // Sent in the second of the change or the one after it.
        let timestamp = at + i64::from(self.msg_id.as_bytes().first().is_some_and(|digit| digit % 2 == 1));
        let envelope =
            Envelope { msg_id: &self.msg_id, data, shop_id: self.shop_id, code: self.code(), timestamp };
        serde_json::to_string(&envelope).expect("an envelope of plain values is JSON")
    }

    fn data(&self, at: i64) -> Value {
        match &self.kind {
            PushKind::Status { order_sn, status } => json!({"completed_scenario": "", "items": [],
                "ordersn": order_sn, "status": status, "update_time": at}),
            PushKind::Tracking { order_sn, package_number, tracking_no } => json!({"forder_id": "",
                "ordersn": order_sn, "package_number": package_number, "tracking_no": tracking_no}),
            PushKind::Document { order_sn, package_number } => {
                json!({"ordersn": order_sn, "package_number": package_number, "status": "READY"})
            }
            PushKind::Return { order_sn, return_sn } => json!({"order_sn": order_sn, "return_sn": return_sn,
                "updated_values": [{"update_field": "return_status", "old_value": "", "new_value": "REQUESTED",
                "update_time": at}]}),
            PushKind::Fulfillment { order_sn, package_number } => json!({"ordersn": order_sn,
                "package_number": package_number, "fulfillment_status": "LOGISTICS_REQUEST_CREATED",
                "update_time": at}),
            PushKind::Notice(number) => json!({"actions": [{"title": format!("Notice {number}"),
                "content": "<b>Please</b> read & confirm", "url": "https://seller.example/", "update_time": at}]}),
            PushKind::Penalty(points) => json!({"action_type": 1, "update_time": at,
                "points_issued_data": {"issued_points": points, "violation_type": 5}}),
            PushKind::Unknown(number) => json!({"something_new": number, "update_time": at}),
        }
    }
}

const DAY: i64 = 86_400;
/// Over how long orders appear.
const SPREAD: i64 = 5 * DAY;

const LIVES: [(&[&str], u32); 8] = [
    (&["UNPAID", "READY_TO_SHIP", "PROCESSED", "SHIPPED", "TO_CONFIRM_RECEIVE", "COMPLETED"], 40),
    (&["READY_TO_SHIP", "PROCESSED", "SHIPPED", "COMPLETED"], 18),
    (&["UNPAID", "READY_TO_SHIP", "PROCESSED", "SHIPPED"], 14),
    (&["UNPAID", "READY_TO_SHIP"], 8),
    (&["UNPAID", "CANCELLED"], 7),
    (&["UNPAID", "READY_TO_SHIP", "IN_CANCEL", "CANCELLED"], 5),
    (&["UNPAID", "READY_TO_SHIP", "PROCESSED", "SHIPPED", "TO_RETURN", "COMPLETED"], 5),
    (&["UNPAID"], 3),
];

/// A push before it has its place, with what becomes true just before it.
struct Draft {
    order: Option<usize>,
    /// The status it moves the order to; the first one makes the order appear.
    moves: Option<(&'static str, Map<String, Value>)>,
    shop_id: i64,
    at: i64,
    kind: PushKind,
}

/// Makes a plan of `pushes` distinct pushes of `shops` shops; the same from the same numbers.
pub fn scenario(seed: u64, pushes: usize, shops: usize) -> Plan {
    let mut random = StdRng::seed_from_u64(seed);
    let markets = orders::MARKETS;
    let shops: Vec<(PlannedShop, Market)> = (0..shops.max(1))
        .map(|at| {
            let market = markets[at % markets.len()];
            let shop_id = 10_000_001 + i64::try_from(at).unwrap_or(0);
            (PlannedShop { shop_id, region: market.region, currency: market.currency }, market)
        })
        .collect();
    let (mut orders, mut drafts) = (Vec::new(), Vec::new());
    while drafts.len() < pushes {
        if orders.len() % 12 == 5 {
            let shop = &shops[random.random_range(0..shops.len())].0;
            drafts.push(other_push(&mut random, shop, u32::try_from(drafts.len()).unwrap_or(0)));
        }
        // A few shops have most of the orders.
        let at = random.random_range(0..shops.len()).min(random.random_range(0..shops.len()));
        let (shop, market) = &shops[at];
        let begin = random.random_range(0..SPREAD);
        let order = orders::order(&mut random, orders.len(), shop.shop_id, market, begin);
        live(&mut random, &order, orders.len(), begin, &mut drafts);
        orders.push(order);
    }
    drafts.sort_by_key(|draft| draft.at);
    drafts.truncate(pushes);
    let last = drafts.last().map_or(0, |draft| draft.at);
    for order in &mut orders {
        order.detail = orders::at_epoch(&order.detail, -last);
    }
    let shops = shops.into_iter().map(|(shop, _)| shop).collect();
    let mut plan = Plan { seed, asked: pushes, shops, orders, pushes: Vec::new(), actions: Vec::new() };
    plan.place(&mut random, drafts, last);
    plan
}

fn other_push(random: &mut StdRng, shop: &PlannedShop, number: u32) -> Draft {
    let kind = match random.random_range(0..3) {
        0 => PushKind::Notice(number),
        1 => PushKind::Penalty(number),
        _ => PushKind::Unknown(number),
    };
    let at = random.random_range(0..SPREAD + DAY);
    Draft { order: None, moves: None, shop_id: shop.shop_id, at, kind }
}

/// Drafts the pushes of one order's life.
fn live(random: &mut StdRng, order: &PlannedOrder, index: usize, begin: i64, drafts: &mut Vec<Draft>) {
    let life = LIVES.choose_weighted(random, |life| life.1).map_or(LIVES[0].0, |life| life.0);
    let order_sn = order.order_sn();
    let mut at = begin;
    for &status in life {
        let patch = orders::patch(order, status, at);
        let mut draft = |kind: PushKind, at: i64, moves: Option<(&'static str, Map<String, Value>)>| {
            drafts.push(Draft { order: Some(index), moves, shop_id: order.shop_id, at, kind });
        };
        let told = PushKind::Status { order_sn: order_sn.clone(), status };
        draft(told, at, Some((status, patch)));
        let (order_sn, package_number) = (order_sn.clone(), order.package_number());
        if status == "PROCESSED" {
            let tracking_no = order.tracking_no();
            if random.random_bool(0.3) {
                let (order_sn, package_number) = (order_sn.clone(), package_number.clone());
                draft(PushKind::Document { order_sn, package_number }, at + 20, None);
            }
            if random.random_bool(0.25) {
                let (order_sn, package_number) = (order_sn.clone(), package_number.clone());
                draft(PushKind::Fulfillment { order_sn, package_number }, at + 5, None);
            }
            draft(PushKind::Tracking { order_sn, package_number, tracking_no }, at + 2, None);
        } else if status == "TO_RETURN" {
            let return_sn = format!("{order_sn}R");
            draft(PushKind::Return { order_sn, return_sn }, at + 1, None);
        }
        at += random.random_range(120..DAY);
    }
}

impl Plan {
    /// Orders what happens: mostly as drafted, with repetitions, delays, losses and forgeries.
    fn place(&mut self, random: &mut StdRng, drafts: Vec<Draft>, last: i64) {
        let mut placed: Vec<(usize, Action)> = vec![(0, Action::Probe)];
        let mut appeared = vec![false; self.orders.len()];
        for (slot, draft) in drafts.into_iter().enumerate() {
            let at = draft.at - last;
            if let (Some(order), Some((status, patch))) = (draft.order, draft.moves) {
                if std::mem::replace(&mut appeared[order], true) {
                    let (shop_id, order_sn) = (draft.shop_id, self.orders[order].order_sn());
                    let patch = orders::at_epoch(&patch, -last);
                    placed.push((slot, Action::Move { shop_id, order_sn, status, at, patch }));
                } else {
                    self.orders[order].detail.extend(orders::at_epoch(&patch, -last));
                    self.orders[order].detail.insert("order_status".into(), status.into());
                    self.orders[order].detail.insert("update_time".into(), at.into());
                    placed.push((slot, Action::Put { order }));
                }
            }
            let push = self.pushes.len();
            let msg_id = hex::encode(random.random::<[u8; 16]>());
            self.pushes.push(PlannedPush { shop_id: draft.shop_id, at, msg_id, kind: draft.kind });
            if random.random_bool(0.03) {
                placed.push((slot, Action::Lose { push }));
                continue;
            }
            let late = if random.random_bool(0.05) { random.random_range(5..40) } else { 0 };
            placed.push((slot + late, Action::Send { push, repeated: false }));
            if random.random_bool(0.08) {
                let again = slot + late + random.random_range(0..30);
                placed.push((again, Action::Send { push, repeated: true }));
            }
            if random.random_bool(0.02) {
                placed.push((slot, Action::Forge { push }));
            }
        }
        placed.sort_by_key(|(slot, _)| *slot);
        self.actions = placed.into_iter().map(|(_, action)| action).collect();
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::simulator::traffic::expectation::{Expectation, meaning};

    #[test]
    fn a_plan_is_the_same_from_the_same_seed() {
        let (one, two) = (scenario(7, 300, 4), scenario(7, 300, 4));
        assert_eq!(one.actions, two.actions);
        assert_eq!(one.pushes, two.pushes);
        assert_ne!(one.pushes, scenario(8, 300, 4).pushes);
    }

    #[test]
    fn pushes_are_as_many_as_asked_and_no_two_say_the_same() {
        for pushes in [0, 1, 10, 2000] {
            let plan = scenario(1, pushes, 3);
            assert_eq!(plan.pushes.len(), pushes);
            let said: BTreeSet<String> =
                plan.pushes.iter().map(|push| meaning(push.shop_id, push.at, &push.kind)).collect();
            assert_eq!(said.len(), pushes);
        }
    }

    #[test]
    fn the_body_has_the_observed_shape() {
        let kind = PushKind::Status { order_sn: "2609150ABCDEF1".to_owned(), status: "READY_TO_SHIP" };
        let msg_id = "0".repeat(32);
        let push = PlannedPush { shop_id: 10_000_001, at: -5, msg_id: msg_id.clone(), kind };
        let expected = format!(
            r#"{{"msg_id":"{msg_id}","data":{{"completed_scenario":"","items":[],"ordersn":"2609150ABCDEF1","status":"READY_TO_SHIP","update_time":1790000000}},"shop_id":10000001,"code":3,"timestamp":1790000000}}"#
        );
        assert_eq!(push.body(1_790_000_005), expected);
    }

    #[test]
    fn truth_moves_before_its_push_and_time_only_forward() {
        let plan = scenario(3, 1500, 5);
        let mut truth: BTreeMap<String, i64> = BTreeMap::new();
        for action in &plan.actions {
            match action {
                Action::Put { order } => {
                    let order = &plan.orders[*order];
                    truth.insert(order.order_sn(), order.detail["update_time"].as_i64().unwrap());
                }
                Action::Move { order_sn, at, .. } => {
                    let before = truth.insert(order_sn.clone(), *at).unwrap();
                    assert!(before < *at);
                }
                Action::Send { push, .. } | Action::Lose { push } => {
                    let push = &plan.pushes[*push];
                    if let PushKind::Status { order_sn, .. } = &push.kind {
                        assert!(truth[order_sn] >= push.at);
                    }
                    assert!(push.at <= 0 && push.at > -15 * DAY);
                }
                Action::Probe | Action::Forge { .. } => {}
            }
        }
    }

    #[test]
    fn the_expectation_counts_what_is_in_the_plan() {
        let plan = scenario(5, 2000, 5);
        let expected = Expectation::of(&plan);
        assert_eq!(expected.events_per_code.values().sum::<usize>(), 2000);
        assert!(expected.events_per_code[&3] > 1000 && expected.events_per_code.contains_key(&99));
        assert!((100..220).contains(&expected.repeated), "{}", expected.repeated);
        assert!((20..80).contains(&expected.forged), "{}", expected.forged);
        assert!((30..100).contains(&expected.lost), "{}", expected.lost);
        assert!(expected.orders.values().any(|order| order.items == 60));
        let rows: Vec<BTreeMap<String, String>> = expected
            .rows(&["UNPAID"])
            .map(|(order_sn, order)| {
                [("sn".to_owned(), order_sn.to_owned()), ("status".to_owned(), order.status.clone())].into()
            })
            .collect();
        assert!(expected.problems(&rows, "sn", "status", &["UNPAID"]).is_empty());
        assert_eq!(expected.problems(&rows[1..], "sn", "status", &["UNPAID"]).len(), 1);
    }
}
