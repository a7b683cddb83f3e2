//! Going through one comparison, page by page.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::Ordering;

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::json;
use uuid::Uuid;

use super::verdict::{Verdict, verdict};
use super::{LEASE, Reconcile, Stop, Tally};
use crate::clients::error::ClientError;
use crate::clients::shopee::{Credentials, LONGEST_RANGE, MAX_ORDERS, OrderState};
use crate::domain::event::Via;
use crate::domain::order::OrderRef;
use crate::domain::push::{Arrival, sha256};
use crate::domain::shopee::push::PLATFORM;
use crate::domain::shopee::{ShopeeBody, codes, found::status_push, read};
use crate::observability::metrics::timed_call;
use crate::queue::{Accepted, Intake, NewJob, enqueue, intake};
use crate::store;
use crate::store::reconciliations::{self as rows, Page, Work};

/// What a page asks for.
#[derive(Debug, Default)]
struct Findings {
    listed: usize,
    known: usize,
    events: Vec<Intake>,
    refresh: Vec<NewJob>,
}

impl Reconcile {
    /// Goes on with a comparison behind its last page, to its end.
    pub(super) async fn go_through(&self, work: &Work, lease: Uuid, tally: &Tally) -> Result<(), Stop> {
        let mut credentials = self.shops.credentials(&work.shop_id).await?;
        let (mut begin, mut cursor) = (work.covered_to.unwrap_or(work.time_from), work.cursor.clone());
        while begin < work.time_to || cursor.is_some() {
            // The same parts after a crash: they follow from where the last one ended.
            let end = work.time_to.min(begin + LONGEST_RANGE);
            let (findings, next) = self.page(work, &mut credentials, (begin, end), cursor.as_deref()).await?;
            if next.is_none() {
                // Shopee's times are whole seconds, and both ends of a range count.
                begin = end + TimeDelta::seconds(1);
            }
            cursor = next;
            let page = Page { covered_to: Some(begin), cursor: cursor.clone(), ..Page::default() };
            self.keep(work.id, lease, findings, page, tally).await?;
        }
        Ok(())
    }

    /// One page of the list, compared; and the next page.
    async fn page(
        &self,
        work: &Work,
        credentials: &mut Credentials,
        range: (DateTime<Utc>, DateTime<Utc>),
        cursor: Option<&str>,
    ) -> Result<(Findings, Option<String>), Stop> {
        match self.ask(work, credentials, range, cursor).await {
            Err(Stop::Call(error)) if error.needs_refresh() => {
                *credentials = self.shops.refreshed(credentials, &error).await?;
                self.ask(work, credentials, range, cursor).await
            }
            asked => asked,
        }
    }

    async fn ask(
        &self,
        work: &Work,
        credentials: &Credentials,
        range: (DateTime<Utc>, DateTime<Utc>),
        cursor: Option<&str>,
    ) -> Result<(Findings, Option<String>), Stop> {
        if work.what == "income" {
            self.income(work, credentials, range, cursor).await
        } else {
            self.orders(work, credentials, range, cursor).await
        }
    }

    async fn orders(
        &self,
        work: &Work,
        credentials: &Credentials,
        (from, to): (DateTime<Utc>, DateTime<Utc>),
        cursor: Option<&str>,
    ) -> Result<(Findings, Option<String>), Stop> {
        let client = self.shops.client(credentials)?;
        let listing = client.changed_orders(credentials, from, to, cursor);
        let page = timed_call(PLATFORM, "order/get_order_list", ClientError::class, listing).await?;
        let mut seen = HashSet::new();
        let numbers: Vec<&str> =
            page.orders.iter().map(|one| one.order_sn.as_str()).filter(|sn| seen.insert(*sn)).collect();
        let mut findings = Findings { listed: numbers.len(), ..Findings::default() };
        for chunk in numbers.chunks(MAX_ORDERS) {
            let asking = client.order_states(credentials, chunk);
            let states = timed_call(PLATFORM, "order/get_order_detail", ClientError::class, asking).await?;
            for (order_sn, error) in states.failed {
                // An order that cannot be read at all is nobody's news; anything else is made up for.
                if !error.is_refusal() {
                    return Err(error.into());
                }
                tracing::warn!(order.sn = order_sn, %error, "a listed order cannot be read");
            }
            self.compare(work, credentials.shop_id, &states.found, &mut findings).await?;
        }
        Ok((findings, page.next_cursor))
    }

    async fn compare(
        &self,
        work: &Work,
        shop_id: i64,
        orders: &[OrderState],
        findings: &mut Findings,
    ) -> Result<(), sqlx::Error> {
        let code = codes::ORDER_STATUS.to_string();
        let numbers: Vec<&str> = orders.iter().map(|order| order.order_sn.as_str()).collect();
        let mut connection = self.pool.acquire().await?;
        let ours = rows::orders_known(&mut connection, PLATFORM, &work.shop_id, &code, &numbers).await?;
        drop(connection);
        let ours: HashMap<&str, _> = ours.iter().map(|one| (one.order_sn.as_str(), one)).collect();
        for order in orders {
            match verdict(order, ours.get(order.order_sn.as_str()).copied()) {
                Verdict::Found => {
                    let body = status_push(shop_id, &order.order_sn, &order.status, order.update_time);
                    findings.events.extend(self.event(&body));
                }
                Verdict::Refresh if self.plan.wants_order(&code) => {
                    findings.refresh.push(self.read_again(work, &order.order_sn, Some(order.update_time)));
                }
                Verdict::Refresh | Verdict::Known => findings.known += 1,
            }
        }
        Ok(())
    }

    async fn income(
        &self,
        work: &Work,
        credentials: &Credentials,
        (from, to): (DateTime<Utc>, DateTime<Utc>),
        cursor: Option<&str>,
    ) -> Result<(Findings, Option<String>), Stop> {
        let number: u32 = cursor.and_then(|text| text.parse().ok()).unwrap_or(1);
        let listing = self.shops.client(credentials)?.released_income(credentials, from, to, number);
        let page = timed_call(PLATFORM, "payment/get_escrow_list", ClientError::class, listing).await?;
        let numbers: Vec<&str> = page.released.iter().map(|one| one.order_sn.as_str()).collect();
        let mut connection = self.pool.acquire().await?;
        let ours = rows::incomes_known(&mut connection, PLATFORM, &work.shop_id, &numbers).await?;
        drop(connection);
        let ours: HashMap<&str, _> = ours.iter().map(|(sn, read_at)| (sn.as_str(), *read_at)).collect();
        let mut findings = Findings { listed: numbers.len(), ..Findings::default() };
        for one in &page.released {
            let Some(read_at) = ours.get(one.order_sn.as_str()) else { continue };
            let read_since = read_at.zip(one.released_at).is_some_and(|(read, released)| read > released);
            if read_since {
                findings.known += 1;
            } else {
                findings.refresh.push(self.read_again(work, &one.order_sn, None));
            }
        }
        Ok((findings, page.more.then(|| (number + 1).to_string())))
    }

    /// The event of a change that no push told of.
    fn event(&self, body: &str) -> Option<Intake> {
        let ShopeeBody::Push(push) = read(body.as_bytes()) else { return None };
        let arrival = Arrival {
            source: PLATFORM.to_owned(),
            body_sha256: sha256(body.as_bytes()),
            headers: json!({}),
            received_at: self.clock.now(),
            via: Via::Reconcile,
        };
        Some(self.plan.intake(*push, arrival))
    }

    /// The order's job without an event: nobody is told.
    fn read_again(&self, work: &Work, order_sn: &str, not_before: Option<DateTime<Utc>>) -> NewJob {
        let order = OrderRef {
            platform: PLATFORM.to_owned(),
            shop_id: work.shop_id.clone(),
            order_sn: order_sn.to_owned(),
        };
        self.plan.enrichment(&order, not_before)
    }

    /// Commits what a page asks for together with the place behind it.
    async fn keep(
        &self,
        id: i64,
        lease: Uuid,
        findings: Findings,
        page: Page,
        tally: &Tally,
    ) -> Result<(), Stop> {
        let count = |n: usize| i32::try_from(n).unwrap_or(i32::MAX);
        let Findings { listed, mut known, events, refresh } = findings;
        let (asked, refreshed) = (events.len(), refresh.len());
        let mut transaction = store::begin(&self.pool).await?;
        let accepted = intake::accept_all(&mut transaction, events).await?;
        let found = accepted.iter().filter(|one| matches!(one, Accepted::New(_))).count();
        known += asked - found;
        enqueue(&mut transaction, refresh).await?;
        let page = Page {
            listed: count(listed),
            found: count(found),
            refreshed: count(refreshed),
            known: count(known),
            ..page
        };
        if !rows::note_page(&mut transaction, id, lease, LEASE, &page).await? {
            return Err(Stop::Lost);
        }
        transaction.commit().await?;
        if found + refreshed > 0 {
            self.waker.wake();
        }
        for (sum, more) in [(&tally.listed, listed), (&tally.found, found), (&tally.refreshed, refreshed)] {
            sum.fetch_add(more as u64, Ordering::Relaxed);
        }
        Ok(())
    }
}
