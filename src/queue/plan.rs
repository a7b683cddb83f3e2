//! Which jobs an event asks for, and which follow when its order is there. The one place that turns routes
//! into jobs, so that a live push, a lost one and a found change go the same way.

use std::sync::Arc;

use arc_swap::ArcSwap;
use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::enqueue::NewJob;
use super::intake::Intake;
use super::replay::{PRIORITY, StoredEvent};
use crate::domain::event::NewEvent;
use crate::domain::job::{EnrichOrder, ForwardEvent, NotifyEvent, UpsertSheetRow};
use crate::domain::order::{Order, OrderRef};
use crate::domain::platforms::carries_order;
use crate::domain::push::{Arrival, OrderHint, ParsedPush};
use crate::domain::route::Routes;
use crate::domain::shopee;
use crate::store::events::EventHead;

/// A forward gives up by time and not by count: its handler says when.
const FORWARD_ATTEMPTS: i32 = 100_000;

/// Before everything else of the same chat.
const URGENT: i16 = -10;

/// Whether a person has to act: a return, or an order that is cancelled or asked to be.
fn needs_action(event: &EventHead, status: Option<&str>) -> bool {
    (event.source == "shopee" && event.code == "29")
        || status.is_some_and(|status| ["CANCELLED", "IN_CANCEL", "TO_RETURN"].contains(&status))
}

/// A plan that is replaced when people change the settings; whoever holds one asks again for each piece of work.
pub type SharedPlan = Arc<ArcSwap<Plan>>;

/// Routes and the policy for new jobs.
#[derive(Debug, Clone, Default)]
pub struct Plan {
    /// Where events and orders go.
    pub routes: Routes,
    /// How often a job may fail.
    pub max_attempts: i32,
}

impl Plan {
    /// A push on its way into the store, whichever way it came: its event and the jobs it asks for first.
    pub fn intake(&self, push: ParsedPush, arrival: Arrival) -> Intake {
        let hint = push.order.clone();
        let event = push.into_event(arrival);
        let jobs = self.first_jobs(&event, hint.as_ref());
        Intake { event, jobs }
    }

    /// The jobs that a stored event leads to today, behind those of live pushes. The same rules as for a push that
    /// comes now: routes and codes may have changed since it came.
    pub fn again(&self, stored: &StoredEvent) -> Vec<NewJob> {
        let hint = match self.routes.platform_of(&stored.source) {
            shopee::push::PLATFORM => match shopee::read(stored.bytes()) {
                shopee::ShopeeBody::Push(push) => push.order,
                shopee::ShopeeBody::Probe => None,
            },
            platform => carried(platform, stored),
        };
        let head = EventHead {
            id: stored.id,
            source: stored.source.clone(),
            account: stored.account.clone(),
            code: stored.code.clone(),
            received_at: stored.received_at,
        };
        let jobs = self.jobs_of(&head, hint.as_ref());
        jobs.into_iter().map(|job| job.priority(PRIORITY)).collect()
    }

    /// The jobs that are stored together with an event: enrichment for a configured order code, else what
    /// is done about it outside. Codes that are not configured never lead to a call of the platform.
    fn first_jobs(&self, event: &NewEvent, hint: Option<&OrderHint>) -> Vec<NewJob> {
        let head = EventHead {
            id: event.id,
            source: event.source.clone(),
            account: event.account.clone(),
            code: event.code.clone(),
            received_at: event.received_at,
        };
        self.jobs_of(&head, hint)
    }

    fn jobs_of(&self, event: &EventHead, hint: Option<&OrderHint>) -> Vec<NewJob> {
        // Of other platforms the payload has the order: no call is made for it.
        let wanted = |hint: &&OrderHint| {
            hint.order.platform != shopee::push::PLATFORM || self.wants_order(&event.code)
        };
        if let Some(OrderHint { order, changed_at }) = hint.filter(wanted) {
            return vec![self.enrichment(order, *changed_at).events(vec![event.id])];
        }
        self.effects(event, None)
    }

    /// Fetch an order and bring what follows up to date. Without an event nobody is told.
    pub fn enrichment(&self, order: &OrderRef, not_before: Option<DateTime<Utc>>) -> NewJob {
        let payload = EnrichOrder { order: order.clone(), not_before };
        NewJob::new(&payload, self.max_attempts)
            .key(order.to_string())
            .batch_key(format!("{}:{}", order.platform, order.shop_id))
    }

    /// What is done about an event outside of Postgres and the sheets: announcements and forwards. With its
    /// order, once that was fetched.
    pub fn effects(&self, event: &EventHead, order: Option<&Order>) -> Vec<NewJob> {
        let reference = order.map(|order| &order.reference);
        let urgent = needs_action(event, order.map(|order| order.status.as_str()));
        let mut jobs = self.announcements(event, reference, urgent);
        jobs.extend(self.forwards(event, reference));
        jobs
    }

    /// Whether events of this code get the full way.
    pub fn wants_order(&self, code: &str) -> bool {
        code.parse().is_ok_and(|code| self.routes.order_event_codes.contains(&code))
    }

    /// One announcement per chat that wants the event.
    fn announcements(&self, event: &EventHead, order: Option<&OrderRef>, urgent: bool) -> Vec<NewJob> {
        let wanting = self
            .routes
            .chats
            .iter()
            .filter(|chat| chat.filter.accepts(&event.source, event.account.as_deref(), &event.code));
        let mut chats: Vec<i64> = wanting.map(|chat| chat.chat_id).collect();
        chats.sort_unstable();
        chats.dedup();
        chats
            .into_iter()
            .map(|chat_id| {
                let payload = NotifyEvent { chat_id, event_id: event.id, order: order.cloned(), urgent };
                NewJob::new(&payload, self.max_attempts)
                    .priority(if urgent { URGENT } else { 0 })
                    .key(format!("{chat_id}:{}", event.id))
                    .batch_key(chat_id.to_string())
                    .in_order_of(event.received_at)
                    .events(vec![event.id])
            })
            .collect()
    }

    /// One post per service that wants the event.
    fn forwards(&self, event: &EventHead, order: Option<&OrderRef>) -> Vec<NewJob> {
        let wanting = self
            .routes
            .forwards
            .iter()
            .filter(|one| one.filter.accepts(&event.source, event.account.as_deref(), &event.code));
        let mut targets: Vec<&str> = wanting.map(|one| one.target.as_str()).collect();
        targets.sort_unstable();
        targets.dedup();
        targets
            .into_iter()
            .map(|target| {
                let payload =
                    ForwardEvent { target: target.to_owned(), event_id: event.id, order: order.cloned() };
                NewJob::new(&payload, FORWARD_ATTEMPTS)
                    .key(format!("{target}:{}", event.id))
                    .batch_key(target)
                    .in_order_of(event.received_at)
                    .events(vec![event.id])
            })
            .collect()
    }

    /// One upsert per spreadsheet that wants the order. `events` are those that led to it.
    pub fn sheet_rows(
        &self,
        order: &OrderRef,
        placed: chrono::DateTime<chrono::Utc>,
        events: &[Uuid],
    ) -> Vec<NewJob> {
        let sources = self.routes.sources_of(&order.platform);
        let wanting = self.routes.spreadsheets.iter().filter(|sheet| {
            sheet.filter.accepts_order(&order.platform, &sources, &order.shop_id) && sheet.takes_time(placed)
        });
        let mut ids: Vec<&str> = wanting.map(|sheet| sheet.spreadsheet_id.as_str()).collect();
        ids.sort_unstable();
        ids.dedup();
        ids.into_iter().map(|id| sheet_row(id, order, self.max_attempts).events(events.to_vec())).collect()
    }
}

/// The order that a stored event of another platform than Shopee carries.
fn carried(platform: &str, stored: &StoredEvent) -> Option<OrderHint> {
    let order = OrderRef {
        platform: platform.to_owned(),
        shop_id: stored.account.clone()?,
        order_sn: stored.subject.clone()?,
    };
    let carries = stored.payload.is_some() && carries_order(platform, &stored.code);
    carries.then_some(OrderHint { order, changed_at: None })
}

/// The upsert of one order in one spreadsheet.
pub fn sheet_row(spreadsheet_id: &str, order: &OrderRef, max_attempts: i32) -> NewJob {
    let payload = UpsertSheetRow { spreadsheet_id: spreadsheet_id.to_owned(), order: order.clone() };
    NewJob::new(&payload, max_attempts).key(format!("{spreadsheet_id}:{order}")).batch_key(spreadsheet_id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn returns_and_cancellations_need_action() {
        let head = |source: &str, code: &str| EventHead {
            id: Uuid::nil(),
            source: source.into(),
            account: None,
            code: code.into(),
            received_at: chrono::DateTime::UNIX_EPOCH,
        };
        for (source, code, status, expected) in [
            ("shopee", "29", None, true),
            ("shopee", "3", Some("CANCELLED"), true),
            ("shopee", "3", Some("IN_CANCEL"), true),
            ("shopee", "3", Some("SHIPPED"), false),
            ("shopee", "10", None, false),
            ("erp", "29", None, false),
        ] {
            assert_eq!(needs_action(&head(source, code), status), expected, "{source} {code} {status:?}");
        }
    }
}
