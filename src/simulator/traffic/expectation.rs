//! What must be true at the end of a plan.

use std::collections::{BTreeMap, BTreeSet};

use crate::simulator::traffic::plan::{Action, Plan, PushKind};

/// The truth at the end of a plan, and what was told of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expectation {
    /// Orders by order number.
    pub orders: BTreeMap<String, ExpectedOrder>,
    /// Distinct events: pushes that differ in what they say.
    pub events: usize,
    /// The same by code.
    pub events_per_code: BTreeMap<i32, usize>,
    /// Repeated deliveries that the plan holds.
    pub repeated: usize,
    /// Forged pushes that the plan holds.
    pub forged: usize,
    /// Pushes that only the lost queue tells of.
    pub lost: usize,
}

/// One order at the end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExpectedOrder {
    /// Its shop.
    pub shop_id: i64,
    /// Its last status.
    pub status: String,
    /// How many lines it has.
    pub items: usize,
}

impl Expectation {
    /// What `plan` leads to.
    pub fn of(plan: &Plan) -> Self {
        let mut expectation = Self {
            orders: BTreeMap::new(),
            events: plan.pushes.len(),
            events_per_code: BTreeMap::new(),
            repeated: 0,
            forged: 0,
            lost: 0,
        };
        for push in &plan.pushes {
            *expectation.events_per_code.entry(push.code()).or_default() += 1;
        }
        for action in &plan.actions {
            expectation.follow(plan, action);
        }
        expectation
    }

    fn follow(&mut self, plan: &Plan, action: &Action) {
        match action {
            Action::Put { order } => {
                let order = &plan.orders[*order];
                let text = |field: &str| order.detail[field].as_str().unwrap_or_default().to_owned();
                let items = order.detail["item_list"].as_array().map_or(0, Vec::len);
                let expected = ExpectedOrder { shop_id: order.shop_id, status: text("order_status"), items };
                self.orders.insert(text("order_sn"), expected);
            }
            Action::Move { order_sn, status, .. } => {
                if let Some(order) = self.orders.get_mut(order_sn) {
                    (*status).clone_into(&mut order.status);
                }
            }
            Action::Send { repeated: true, .. } => self.repeated += 1,
            Action::Forge { .. } => self.forged += 1,
            Action::Lose { .. } => self.lost += 1,
            Action::Send { repeated: false, .. } | Action::Probe => {}
        }
    }

    /// The orders that have a row when orders of the `ignored` statuses get none of their own.
    ///
    /// An order that was pushed with another status before it came to an ignored one has a row, too, but
    /// no order of a plan goes that way.
    pub fn rows<'a>(&'a self, ignored: &'a [&str]) -> impl Iterator<Item = (&'a str, &'a ExpectedOrder)> {
        let kept = move |order: &ExpectedOrder| !ignored.contains(&order.status.as_str());
        self.orders.iter().filter(move |(_, order)| kept(order)).map(|(sn, order)| (sn.as_str(), order))
    }

    /// What is wrong with the rows of the orders' tab: missing, double, stale or unknown orders. Empty: all
    /// is well.
    pub fn problems(
        &self,
        rows: &[BTreeMap<String, String>],
        order_column: &str,
        status_column: &str,
        ignored: &[&str],
    ) -> Vec<String> {
        let mut problems = Vec::new();
        let mut seen = BTreeSet::new();
        for row in rows {
            let text = |column: &str| row.get(column).map_or("", String::as_str);
            let (order_sn, status) = (text(order_column), text(status_column));
            if !seen.insert(order_sn) {
                problems.push(format!("order {order_sn:?} has more than one row"));
            }
            match self.orders.get(order_sn) {
                None => problems.push(format!("there is no order {order_sn:?}, but it has a row")),
                Some(order) if order.status != status => problems
                    .push(format!("order {order_sn} is {}, but its row says {status:?}", order.status)),
                Some(_) => {}
            }
        }
        for (order_sn, _) in self.rows(ignored).filter(|(order_sn, _)| !seen.contains(order_sn)) {
            problems.push(format!("order {order_sn} has no row"));
        }
        problems
    }
}

/// The part of a push that makes it an event of its own: what it says, without when it was sent.
pub fn meaning(shop_id: i64, at: i64, kind: &PushKind) -> String {
    match kind {
        // These two carry no clock of their own, so the same words again are the same event.
        PushKind::Tracking { .. } | PushKind::Document { .. } => format!("{shop_id} {kind:?}"),
        _ => format!("{shop_id} {at} {kind:?}"),
    }
}
