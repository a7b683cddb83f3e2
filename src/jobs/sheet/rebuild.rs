//! Makes both tabs anew beside the old ones and puts them in their place.
//!
//! 1. The old tabs are copied, with everything that people have in them (their columns, formats, filters), under
//!    names of their own. Where nobody can tell which row is which any more, empty tabs are made instead.
//! 2. The copies are brought up to date from Postgres, whatever they show; rows that an order has twice are removed.
//!    Meanwhile the workers go on with the old tabs.
//! 3. The spreadsheet is held: no worker claims its jobs. What has changed since is written into the copies.
//! 4. One call renames all four tabs: done as a whole or not at all. The old ones are kept under a name with the
//!    time, because they have what somebody typed meanwhile.
//!
//! A rebuild that vanishes leaves copies, which the next one removes, and a hold, which ends by itself.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use anyhow::bail;
use tokio::time::Instant;

use crate::clients::sheets::{SheetRequest, SheetsError, Tab};
use crate::domain::job::Queue;
use crate::domain::order::OrderRef;
use crate::domain::route::SpreadsheetRoute;
use crate::jobs::sheet::check::SheetCheck;
use crate::jobs::sheet::columns::{ITEMS, ORDERS};
use crate::jobs::sheet::failure::{Budget, Call, Failure};
use crate::jobs::sheet::plan::{self, TabState};
use crate::jobs::sheet::rows::OrderRows;
use crate::jobs::sheet::sight::Sight;
use crate::queue::hold::{hold, is_busy, let_claim, take_hold};
use crate::store::order_reads::list_orders;
use crate::store::sheet_rows::{bump_generation, list_expected, upsert_sheet_rows};

/// The names of the copies.
const COPIES: [&str; 2] = ["Orders (rebuild)", "Items (rebuild)"];
/// Orders of one write.
const AT_ONCE: usize = 500;
/// How long the workers are kept away at most when we vanish; renewed before each call, none of which takes as long.
const HOLD: Duration = Duration::from_mins(5);
/// After this a rebuild that is not heard of has vanished.
const VANISHED: Duration = Duration::from_mins(3);
/// A worker's flush takes this long at most.
const PATIENCE: Duration = Duration::from_mins(11);
/// How often it is begun anew when nobody knows whether a write was carried out.
const TRIES: usize = 3;

/// What a rebuild did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rebuilt {
    /// Orders in the new tabs.
    pub orders: usize,
    /// What the old tabs are called now.
    pub kept: Vec<String>,
}

/// The tabs on their way.
struct Site {
    old: [Tab; 2],
    copies: [i32; 2],
}

impl SheetCheck {
    /// Replaces both tabs by new ones with every order that belongs there.
    ///
    /// # Errors
    /// When another rebuild is at work, a person has to act, or Google or the database fails for long; then the old
    /// tabs are as they were.
    pub async fn rebuild(&self, route: &SpreadsheetRoute) -> anyhow::Result<Rebuilt> {
        let id = &route.spreadsheet_id;
        let ours = rebuild_key(id);
        let mut connection = self.pool.acquire().await?;
        if !take_hold(&mut connection, Queue::Sheet, &ours, "a rebuild", VANISHED).await? {
            let minutes = VANISHED.as_secs() / 60;
            bail!("another rebuild of {id} is at work, or has vanished less than {minutes} minutes ago");
        }
        drop(connection);
        let mut result = self.try_rebuild(route).await;
        for _ in 1..TRIES {
            match &result {
                Err(Failure::Sheets(error)) if error.is_transient() => {
                    tracing::warn!(%error, spreadsheet = id, "the rebuild begins anew");
                    tokio::time::sleep(error.retry_after().unwrap_or(Duration::from_secs(1))).await;
                    result = self.try_rebuild(route).await;
                }
                _ => break,
            }
        }
        let mut connection = self.pool.acquire().await?;
        for key in [id, &ours] {
            let_claim(&mut connection, Queue::Sheet, key).await?;
        }
        drop(connection);
        if result.is_err() {
            // What is left of it is removed by the next one at the latest.
            let _ = self.clear(id).await;
        }
        Ok(result?)
    }

    async fn try_rebuild(&self, route: &SpreadsheetRoute) -> Result<Rebuilt, Failure> {
        let id = &route.spreadsheet_id;
        self.clear(id).await?;
        let site = self.copy(id).await?;
        let mut shown: HashMap<OrderRef, Vec<u8>> = HashMap::new();
        self.fill(route, &mut shown, false).await?;
        self.remove_doubles(id).await?;

        self.keep_workers_away(id).await?;
        self.fill(route, &mut shown, true).await?;
        let kept = self.swap(id, &site).await?;
        self.record(route, &shown).await?;
        Ok(Rebuilt { orders: shown.len(), kept })
    }

    fn sight<'a>(&'a self, id: &'a str, budget: &'a Budget) -> Sight<'a> {
        Sight { client: &self.client, budget, id, now: self.clock.now(), generation: 0 }
    }

    fn budget(&self) -> Budget {
        Budget::new(self.pool.clone(), &self.client, &self.options)
    }

    async fn tabs(&self, id: &str) -> Result<Vec<Tab>, Failure> {
        self.take(Call::Read, id).await?;
        Ok(self.client.spreadsheet(id).await?.tabs)
    }

    async fn change(&self, id: &str, requests: Vec<SheetRequest>) -> Result<Vec<Tab>, Failure> {
        if requests.is_empty() {
            return Ok(Vec::new());
        }
        self.take(Call::Write, id).await?;
        Ok(self.client.batch_update(id, requests).await?)
    }

    /// Waits for the budget as long as it takes: nobody waits behind us.
    async fn take(&self, call: Call, id: &str) -> Result<(), Failure> {
        loop {
            match self.budget().take(call, id).await {
                Err(Failure::Budget(wait)) => tokio::time::sleep(wait).await,
                taken => return taken,
            }
        }
    }

    /// Removes copies that an earlier rebuild has left.
    async fn clear(&self, id: &str) -> Result<(), Failure> {
        let tabs = self.tabs(id).await?;
        let left = tabs.iter().filter(|tab| COPIES.contains(&tab.title.as_str()));
        let requests = left.map(|tab| SheetRequest::DeleteTab { sheet_id: tab.sheet_id }).collect();
        self.change(id, requests).await?;
        Ok(())
    }

    async fn copy(&self, id: &str) -> Result<Site, Failure> {
        let budget = self.budget();
        let seen = match patiently(async || self.sight(id, &budget).see(None).await).await {
            Ok((_, states)) => Some(states),
            // Nobody can tell which row is which: from scratch.
            Err(Failure::Sheets(SheetsError::Configuration { message, .. }))
                if message.contains("column") =>
            {
                None
            }
            Err(failure) => return Err(failure),
        };
        let tabs = self.tabs(id).await?;
        let mut old = Vec::new();
        let mut requests = Vec::new();
        for (at, spec) in [&ORDERS, &ITEMS].into_iter().enumerate() {
            let is_it = |tab: &&Tab| match &seen {
                Some(states) => tab.sheet_id == states[at].sheet_id,
                None => tab.title.trim().eq_ignore_ascii_case(spec.title),
            };
            let gone = || SheetsError::TabGone { message: format!("the tab {} has vanished", spec.title) };
            let tab = tabs.iter().find(is_it).ok_or_else(gone)?;
            let title = COPIES[at].to_owned();
            requests.push(if seen.is_some() {
                SheetRequest::CopyTab { sheet_id: tab.sheet_id, title }
            } else {
                let columns = i32::try_from(spec.columns.len()).unwrap_or(i32::MAX);
                SheetRequest::AddTab { title, columns }
            });
            old.push(tab.clone());
        }
        let copies: Vec<i32> = self.change(id, requests).await?.iter().map(|tab| tab.sheet_id).collect();
        match (old.try_into(), copies.try_into()) {
            (Ok(old), Ok(copies)) => Ok(Site { old, copies }),
            _ => Err(SheetsError::Unclear { message: "Google does not say which tabs were made".to_owned() }
                .into()),
        }
    }

    async fn copies(&self, id: &str) -> Result<[TabState; 2], Failure> {
        let budget = self.budget();
        patiently(async || self.sight(id, &budget).see_named(COPIES).await).await
    }

    /// Brings the copies up to date; `shown` is what they show, by order. While the workers are kept away, that is
    /// renewed before every write.
    async fn fill(
        &self,
        route: &SpreadsheetRoute,
        shown: &mut HashMap<OrderRef, Vec<u8>>,
        held: bool,
    ) -> Result<(), Failure> {
        let id = &route.spreadsheet_id;
        let expected = {
            let mut connection = self.pool.acquire().await?;
            list_expected(&mut connection, route, &self.options.ignore_statuses).await?
        };
        for chunk in expected.chunks(AT_ONCE) {
            let found = {
                let mut connection = self.pool.acquire().await?;
                list_orders(&mut connection, chunk).await?
            };
            let rows: Vec<OrderRows> =
                found.iter().map(|stored| OrderRows::new(stored, self.options.timezone)).collect();
            let hash = |rows: &OrderRows| rows.record().content_sha256;
            let changed: Vec<&OrderRows> =
                rows.iter().filter(|rows| shown.get(&rows.order) != Some(&hash(rows))).collect();
            if changed.is_empty() {
                continue;
            }
            self.renew(id, held).await?;
            let [orders, items] = self.copies(id).await?;
            self.change(id, plan::plan(&orders, &items, &changed).requests).await?;
            shown.extend(changed.into_iter().map(|rows| (rows.order.clone(), hash(rows))));
        }
        Ok(())
    }

    /// Of several rows with one key only the topmost stays.
    async fn remove_doubles(&self, id: &str) -> Result<(), Failure> {
        let mut requests = Vec::new();
        for tab in self.copies(id).await? {
            // From below, so that rows above keep their numbers.
            let mut more: Vec<usize> =
                tab.rows.values().flat_map(|rows| rows.iter().skip(1).copied()).collect();
            more.sort_unstable_by(|a, b| b.cmp(a));
            let row = |row: usize| i32::try_from(row).unwrap_or(i32::MAX);
            requests.extend(
                more.into_iter().map(|at| SheetRequest::DeleteRow { sheet_id: tab.sheet_id, row: row(at) }),
            );
        }
        self.change(id, requests).await?;
        Ok(())
    }

    /// Says that we are still at it, and, if so, that the workers have to stay away.
    async fn renew(&self, id: &str, held: bool) -> Result<(), Failure> {
        let mut connection = self.pool.acquire().await?;
        hold(&mut connection, Queue::Sheet, &rebuild_key(id), "a rebuild", VANISHED).await?;
        if held {
            hold(&mut connection, Queue::Sheet, id, "its tabs are being replaced", HOLD).await?;
        }
        Ok(())
    }

    async fn keep_workers_away(&self, id: &str) -> Result<(), Failure> {
        let begun = Instant::now();
        loop {
            self.renew(id, true).await?;
            let mut connection = self.pool.acquire().await?;
            if !is_busy(&mut connection, Queue::Sheet, id).await? {
                return Ok(());
            }
            drop(connection);
            if begun.elapsed() > PATIENCE {
                let message = "a worker does not come to an end with it".to_owned();
                return Err(SheetsError::Rejected { message }.into());
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }

    /// Puts the copies in the place of the old tabs; what those are called now.
    async fn swap(&self, id: &str, site: &Site) -> Result<Vec<String>, Failure> {
        let time = self.clock.now().with_timezone(&self.options.timezone).format("%F %H-%M-%S");
        let mut requests = Vec::new();
        let mut kept = Vec::new();
        for (old, copy) in site.old.iter().zip(site.copies) {
            let title = format!("{} until {time}", old.title);
            requests.push(SheetRequest::RenameTab { sheet_id: old.sheet_id, title: title.clone() });
            requests.push(SheetRequest::RenameTab { sheet_id: copy, title: old.title.clone() });
            kept.push(title);
        }
        self.take(Call::Write, id).await?;
        let mut connection = self.pool.acquire().await?;
        bump_generation(&mut connection, id).await?;
        drop(connection);
        self.renew(id, true).await?;
        match self.client.batch_update(id, requests).await {
            Ok(_) => Ok(kept),
            Err(error) if error.may_have_happened() => {
                let tabs = self.tabs(id).await?;
                let done = |(old, copy): (&Tab, &i32)| {
                    tabs.iter().any(|tab| tab.sheet_id == *copy && tab.title == old.title)
                };
                if site.old.iter().zip(&site.copies).all(done) { Ok(kept) } else { Err(error.into()) }
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Notes what the new tabs show, so that only what changes is written again.
    async fn record(
        &self,
        route: &SpreadsheetRoute,
        shown: &HashMap<OrderRef, Vec<u8>>,
    ) -> Result<(), Failure> {
        let id = &route.spreadsheet_id;
        let orders: BTreeMap<&OrderRef, &Vec<u8>> = shown.iter().collect();
        let orders: Vec<OrderRef> = orders.into_keys().cloned().collect();
        for chunk in orders.chunks(AT_ONCE) {
            let mut connection = self.pool.acquire().await?;
            let found = list_orders(&mut connection, chunk).await?;
            let rows = found.iter().map(|stored| OrderRows::new(stored, self.options.timezone));
            // What has changed since is not what they show; its job comes.
            let records: Vec<_> = rows
                .map(|rows| rows.record())
                .filter(|record| shown.get(&record.order) == Some(&record.content_sha256))
                .collect();
            upsert_sheet_rows(&mut connection, id, &records, self.clock.now()).await?;
        }
        Ok(())
    }
}

/// Under this name a rebuild is held, so that there is one at a time.
fn rebuild_key(id: &str) -> String {
    format!("rebuild of {id}")
}

/// Repeats a look for which the budget does not suffice yet.
async fn patiently<T>(look: impl AsyncFn() -> Result<T, Failure>) -> Result<T, Failure> {
    loop {
        match look().await {
            Err(Failure::Budget(wait)) => tokio::time::sleep(wait).await,
            result => return result,
        }
    }
}
