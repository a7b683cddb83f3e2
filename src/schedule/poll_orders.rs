//! Polls Shoplazza for orders that changed: the safety net under its pushes. A change that no push told of becomes an
//! event (`via = reconcile`) by the source's own rules, and goes the way of every push. The order's own clock decides
//! which state counts: a push of the same change that comes later writes nothing older and is not announced again.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use anyhow::Context as _;
use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};
use sqlx::PgPool;

use super::Task;
use crate::clients::error::ClientError;
use crate::clients::shoplazza::{OrderPage, ShoplazzaClient};
use crate::clock::SharedClock;
use crate::config::PlatformApi;
use crate::domain::event::Via;
use crate::domain::push::{Arrival, ParsedPush, sha256};
use crate::domain::sources::{Pushed, Reading, Source};
use crate::observability::metrics::timed_call;
use crate::queue::{Accepted, Intake, Plan, Waker, intake};
use crate::store;
use crate::store::alerts::{self, Alert, Severity};
use crate::store::subscriptions::{self as rows, Polled};

/// Orders that changed around the end of a range may be missed by both.
const OVERLAP: TimeDelta = TimeDelta::minutes(10);
/// A push needs a moment; one that takes longer is known when it comes.
const SETTLE: TimeDelta = TimeDelta::minutes(2);
/// How far the first look goes back: older orders are nobody's news.
const FIRST: TimeDelta = TimeDelta::days(1);
/// The event that a found change becomes.
const EVENT: &str = "orders/update";
/// Pages of one run; more changes than that in a day are somebody's import.
const PAGES: usize = 2000;
/// A shop's budget leaks two calls a second; who finds it used up waits this long, so many times in one run.
const BREATH: Duration = Duration::from_secs(1);
const BREATHS: usize = 300;
/// A wait beyond this is left to the next run.
const LONGEST_BREATH: Duration = Duration::from_secs(30);

/// See the module.
#[derive(Debug)]
pub struct PollOrders {
    /// The database.
    pub pool: PgPool,
    /// Where to look.
    pub apis: Vec<PlatformApi>,
    /// Whose orders these are: their rules make the events.
    pub sources: Vec<Source>,
    /// When something was found.
    pub clock: SharedClock,
    /// What it asks for.
    pub plan: Plan,
    /// Woken when something was found.
    pub waker: Waker,
}

#[async_trait]
impl Task for PollOrders {
    fn name(&self) -> &'static str {
        "poll_orders"
    }

    fn every(&self) -> Duration {
        Duration::from_mins(15)
    }

    fn after_outage(&self) -> bool {
        true
    }

    async fn run(&self) -> anyhow::Result<Value> {
        let (mut listed, mut found) = (0, 0);
        let mut failures = Vec::new();
        for api in &self.apis {
            match self.poll(api).await {
                Ok((of_api, new)) => {
                    listed += of_api;
                    found += new;
                }
                Err(error) => failures.push(format!("{}: {error:#}", api.source)),
            }
        }
        if found > 0 {
            tracing::info!(found, "found {found} changes that no push told of");
        }
        anyhow::ensure!(failures.is_empty(), failures.join("; "));
        Ok(json!({ "listed": listed, "found": found }))
    }
}

impl PollOrders {
    /// One shop, from where the last look ended; its end is kept only when the whole range was read.
    async fn poll(&self, api: &PlatformApi) -> anyhow::Result<(i32, i32)> {
        let to = self.clock.now() - SETTLE;
        let before = rows::polled_until(&self.pool, &api.platform, &api.account).await?;
        let from = before.map_or(to - FIRST, |before| before - OVERLAP).min(to);
        let result = self.read(api, from, to).await;
        let error = result.as_ref().err().map(|error| format!("{error:#}"));
        let (listed, found) = result.as_ref().map_or((0, 0), |counts| *counts);
        let polled = Polled {
            platform: &api.platform,
            account: &api.account,
            from,
            to,
            listed,
            found,
            error: error.as_deref(),
        };
        let mut connection = self.pool.acquire().await?;
        rows::note_polled(&mut connection, &polled).await?;
        let key = format!("polling:{}", api.source);
        match &result {
            Ok(_) => drop(alerts::resolve(&mut connection, &key).await?),
            Err(error) if error.downcast_ref().is_some_and(ClientError::needs_a_person) => {
                let title =
                    format!("{}: the orders of {} cannot be polled: {error:#}", api.source, api.account);
                let remedy = "Until then only pushes tell of changes, and what they miss is missed";
                let alert = Alert { key: &key, severity: Severity::Warning, title: &title, remedy };
                alerts::raise(&mut connection, &alert).await?;
            }
            Err(_) => {}
        }
        result
    }

    async fn read(
        &self,
        api: &PlatformApi,
        from: DateTime<Utc>,
        to: DateTime<Utc>,
    ) -> anyhow::Result<(i32, i32)> {
        let source = self.sources.iter().find(|source| source.name == api.source);
        let source = source.with_context(|| format!("there is no source {}", api.source))?;
        let client = ShoplazzaClient::new(api)?;
        let (mut listed, mut found) = (0_i32, 0_i32);
        let (mut next, mut breaths): (Option<String>, usize) = (None, 0);
        for _ in 0..PAGES {
            let OrderPage { orders, next: following } = loop {
                let page = timed_call(
                    "shoplazza",
                    "orders",
                    ClientError::class,
                    client.orders(from, next.as_deref()),
                );
                match page.await {
                    Err(ClientError::RateLimited { retry_after, .. })
                        if breaths < BREATHS && retry_after.is_none_or(|wait| wait <= LONGEST_BREATH) =>
                    {
                        breaths += 1;
                        tokio::time::sleep(retry_after.unwrap_or(BREATH)).await;
                    }
                    page => break page.context("listing orders")?,
                }
            };
            listed += i32::try_from(orders.len()).unwrap_or(i32::MAX);
            found += self.keep(api, source, &orders, to).await?;
            match following {
                Some(following) if next.as_ref() != Some(&following) => next = Some(following),
                Some(_) => anyhow::bail!("the list of orders does not go on"),
                None => return Ok((listed, found)),
            }
        }
        anyhow::bail!("more than {PAGES} pages changed since {from}")
    }

    /// Stores the changes of a page that are news; how many. What is younger than `to` is left to its push, and to
    /// the next look.
    async fn keep(
        &self,
        api: &PlatformApi,
        source: &Source,
        orders: &[Value],
        to: DateTime<Utc>,
    ) -> anyhow::Result<i32> {
        let now = self.clock.now();
        let read: Vec<Found> = orders.iter().filter_map(|order| Found::of(api, source, order, now)).collect();
        let numbers: Vec<String> = read.iter().filter_map(|one| one.push.subject.clone()).collect();
        let known: HashMap<String, DateTime<Utc>> =
            rows::order_clocks(&self.pool, &api.platform, &api.source, &api.account, &numbers)
                .await?
                .into_iter()
                .collect();
        let news = read.into_iter().filter(|one| {
            let known = one.push.subject.as_ref().and_then(|number| known.get(number));
            match one.push.occurred_at {
                Some(at) => at <= to && known.is_none_or(|clock| *clock < at),
                // Without a clock it would be news each time.
                None => known.is_none(),
            }
        });
        let intakes: Vec<Intake> = news.map(|one| one.intake(&self.plan, api, now)).collect();
        if intakes.is_empty() {
            return Ok(0);
        }
        let mut transaction = store::begin(&self.pool).await?;
        let accepted = intake::accept_all(&mut transaction, intakes).await?;
        transaction.commit().await?;
        self.waker.wake();
        let new = accepted.iter().filter(|one| matches!(one, Accepted::New(_))).count();
        Ok(i32::try_from(new).unwrap_or(i32::MAX))
    }
}

/// A change that was listed, as its push would have told it.
struct Found {
    push: ParsedPush,
    body: String,
}

impl Found {
    /// The source's rules read it like a push, under an id of its own: nobody knows which id the platform gave the
    /// one that did not come. None: what is listed has no number.
    fn of(api: &PlatformApi, source: &Source, order: &Value, now: DateTime<Utc>) -> Option<Self> {
        let text = |name: &str| match &order[name] {
            Value::String(text) => text.clone(),
            Value::Number(number) => number.to_string(),
            _ => String::new(),
        };
        let id = format!("poll:{}:{}", text("id"), text("updated_at"));
        let headers = [
            ("x-shoplazza-topic", EVENT),
            ("x-shoplazza-shop-domain", &api.account),
            ("x-shoplazza-deduplication-id", &id),
        ];
        let headers: BTreeMap<String, String> =
            headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let body = json!({ "order": order }).to_string();
        let account = Some(api.account.as_str());
        let pushed = Pushed { headers: &headers, account, body: body.as_bytes(), at: now, address: None };
        match source.read(&pushed) {
            Reading::Push(push) if push.subject.is_some() => Some(Self { push: *push, body }),
            _ => None,
        }
    }

    /// The event it becomes.
    fn intake(self, plan: &Plan, api: &PlatformApi, now: DateTime<Utc>) -> Intake {
        let arrival = Arrival {
            source: api.source.clone(),
            body_sha256: sha256(self.body.as_bytes()),
            headers: json!({ "x-shoplazza-topic": EVENT }),
            received_at: now,
            via: Via::Reconcile,
        };
        plan.intake(self.push, arrival)
    }
}
