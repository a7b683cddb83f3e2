//! What a worker and a scheduler are made of.

use std::sync::Arc;
use std::time::Duration;

use super::Parts;
use crate::clients::forward::ForwardClient;
use crate::clients::sheets::SheetsClient;
use crate::clients::shopee::{Apps, ShopeeClient};
use crate::clients::telegram::TelegramClient;
use crate::domain::shopee::push::PLATFORM;
use crate::domain::sources::{PayloadKind, Source};
use crate::jobs::carried::OrdersHandler;
use crate::jobs::enrich::EnrichHandler;
use crate::jobs::forward::ForwardHandler;
use crate::jobs::notify::NotifyHandler;
use crate::jobs::sheet::{SheetHandler, SheetOptions};
use crate::queue::replay::Replayer;
use crate::queue::{QueueSpec, Runtime};
use crate::schedule::alerts::{OpsChat, TellAlerts};
use crate::schedule::authorizations::Authorizations;
use crate::schedule::each_app::EachApp;
use crate::schedule::lost_pushes::LostPushes;
use crate::schedule::maintain::Maintain;
use crate::schedule::payloads::EmptyPayloads;
use crate::schedule::poll_orders::PollOrders;
use crate::schedule::push_health::PushHealth;
use crate::schedule::reconcile::{Kind, Reconcile};
use crate::schedule::refresh_tokens::RefreshTokens;
use crate::schedule::shop_calls::ShopCalls;
use crate::schedule::subscriptions::WatchSubscriptions;
use crate::schedule::watch::Watch;
use crate::schedule::watch_replays::WatchReplays;
use crate::schedule::{Driver, Task};

/// Orders in one call of the platform.
const ENRICH_BATCH: usize = 50;
/// A batch of orders takes two kinds of calls of up to half a minute each.
const ENRICH_TIMEOUT: Duration = Duration::from_mins(3);

/// Orders in one flush of a spreadsheet.
const SHEET_BATCH: usize = 500;
/// One read of up to a minute and one write of up to two, for each part of a flush.
const SHEET_TIMEOUT: Duration = Duration::from_mins(10);
/// Announcements of one chat that are looked at together, and merged when they are too many.
const NOTIFY_BATCH: usize = 200;
const NOTIFY_TIMEOUT: Duration = Duration::from_mins(10);
/// Events of one target that are read together and posted some at once.
const FORWARD_BATCH: usize = 32;
/// Each takes half a minute at most, and they go out one by one while a breaker is tried.
const FORWARD_TIMEOUT: Duration = Duration::from_mins(15);

/// Refreshes of tokens that one process has under way.
const REFRESHES_AT_ONCE: usize = 8;
/// Comparisons that one process has under way.
const COMPARISONS_AT_ONCE: usize = 4;

/// The workers of every queue that has something to do with these settings.
pub(super) async fn runtime(parts: &Parts) -> anyhow::Result<Runtime> {
    let settings = &parts.config.queue;
    let mut specs = Vec::new();
    let shopee = parts.api_is_configured().then(|| enricher(parts)).transpose()?;
    let carries = |source: &Source| source.platform != PLATFORM && source.payload == PayloadKind::Full;
    if shopee.is_some() || parts.config.sources.iter().any(carries) {
        let handler = OrdersHandler {
            shopee,
            pool: parts.pool.clone(),
            plan: parts.plan.clone(),
            waker: parts.waker.clone(),
        };
        specs.push(QueueSpec::new(Arc::new(handler), ENRICH_BATCH, settings.concurrency, ENRICH_TIMEOUT));
    }
    if let Some(sheets) = &parts.config.sheets {
        let client = Arc::new(SheetsClient::new(sheets).await?);
        let options = SheetOptions {
            ignore_statuses: parts.plan.routes.sheet_ignore_statuses.clone(),
            timezone: parts.config.display_timezone,
            calls_per_minute: sheets.calls_per_minute,
            ..SheetOptions::default()
        };
        let handler = SheetHandler::new(parts.pool.clone(), client, parts.clock.clone(), options);
        specs.push(
            QueueSpec::new(Arc::new(handler), SHEET_BATCH, settings.concurrency, SHEET_TIMEOUT).exclusive(),
        );
    }
    if let Some(telegram) = &parts.config.telegram {
        let client = TelegramClient::new(telegram)?;
        let handler = NotifyHandler::new(parts.pool.clone(), client, telegram, parts.config.display_timezone);
        specs.push(
            QueueSpec::new(Arc::new(handler), NOTIFY_BATCH, settings.concurrency, NOTIFY_TIMEOUT).exclusive(),
        );
    }
    if let Some(forward) = &parts.config.forward {
        let client = ForwardClient::new(forward.allow_private)?;
        let handler = ForwardHandler::new(parts.pool.clone(), client, parts.clock.clone(), forward.clone());
        specs.push(QueueSpec::new(Arc::new(handler), FORWARD_BATCH, settings.concurrency, FORWARD_TIMEOUT));
    }
    Ok(Runtime::new(parts.pool.clone(), settings, &parts.worker, parts.waker.clone(), specs))
}

/// Fetches orders of Shopee.
fn enricher(parts: &Parts) -> anyhow::Result<EnrichHandler> {
    Ok(EnrichHandler {
        pool: parts.pool.clone(),
        apps: parts.shopee_apps()?,
        sealer: parts.sealer.clone(),
        plan: parts.plan.clone(),
        waker: parts.waker.clone(),
    })
}

/// Works off what people ask to be done again.
pub(super) fn replayer(parts: &Parts) -> Replayer {
    Replayer {
        pool: parts.pool.clone(),
        plan: parts.plan.clone(),
        waker: parts.waker.clone(),
        worker: parts.worker.as_str().into(),
    }
}

/// Tasks at platforms beside Shopee.
fn of_platforms(parts: &Parts) -> Vec<Arc<dyn Task>> {
    let mut tasks: Vec<Arc<dyn Task>> = Vec::new();
    let apis = &parts.config.platform_apis;
    if apis.iter().any(|api| api.address.is_some()) {
        tasks.push(Arc::new(WatchSubscriptions { pool: parts.pool.clone(), apis: apis.clone() }));
    }
    let polled: Vec<_> = apis.iter().filter(|api| api.platform == "shoplazza").cloned().collect();
    if !polled.is_empty() {
        tasks.push(Arc::new(PollOrders {
            pool: parts.pool.clone(),
            apis: polled,
            sources: parts.config.sources.clone(),
            clock: parts.clock.clone(),
            plan: parts.plan.clone(),
            waker: parts.waker.clone(),
        }));
    }
    tasks
}

/// The tasks of a scheduler.
pub(super) fn driver(parts: &Parts) -> anyhow::Result<Driver> {
    let ops = OpsChat::new(parts.config.telegram.as_ref())?;
    let mut tasks: Vec<Arc<dyn Task>> = vec![
        Arc::new(Maintain {
            pool: parts.pool.clone(),
            clock: parts.clock.clone(),
            retention_days: parts.config.schedule.event_retention_days,
        }),
        Arc::new(WatchReplays {
            pool: parts.pool.clone(),
            sources: parts
                .config
                .sources
                .iter()
                .filter(|one| !one.signs_its_id())
                .map(|one| one.name.clone())
                .collect(),
            rejections_kept: parts.config.receiver.rejections_kept,
        }),
        Arc::new(TellAlerts { pool: parts.pool.clone(), ops }),
        Arc::new(Watch { pool: parts.pool.clone(), settings: parts.config.alerts.clone() }),
    ];
    tasks.extend(of_platforms(parts));
    if let Some(days) = parts.config.schedule.payload_retention_days {
        tasks.push(Arc::new(EmptyPayloads { pool: parts.pool.clone(), days }));
    }
    if parts.api_is_configured() {
        tasks.extend(shopee_tasks(parts, parts.shopee_apps()?));
    }
    Ok(Driver::new(parts.pool.clone(), tasks))
}

/// What is done about each app of Shopee, and about its shops.
fn shopee_tasks(parts: &Parts, apps: Apps) -> Vec<Arc<dyn Task>> {
    let mut tasks: Vec<Arc<dyn Task>> = vec![
        each_app(&apps, |client| RefreshTokens {
            pool: parts.pool.clone(),
            client,
            sealer: parts.sealer.clone(),
            waker: parts.waker.clone(),
            at_once: REFRESHES_AT_ONCE,
        }),
        each_app(&apps, |client| LostPushes {
            pool: parts.pool.clone(),
            client,
            clock: parts.clock.clone(),
            plan: parts.plan.clone(),
            waker: parts.waker.clone(),
            every: parts.config.schedule.lost_push_interval,
        }),
        each_app(&apps, |client| PushHealth {
            pool: parts.pool.clone(),
            client,
            callback_url: parts.config.shopee.callback_url.clone(),
            routes: parts.config.routes.clone(),
            every: parts.config.schedule.push_health_interval,
        }),
        each_app(&apps, |client| Authorizations {
            pool: parts.pool.clone(),
            client,
            warn_days: parts.config.alerts.authorization_days,
        }),
    ];
    tasks.extend(reconciliations(parts, apps));
    tasks
}

fn each_app<T: Task + 'static>(apps: &Apps, task: impl Fn(Arc<ShopeeClient>) -> T) -> Arc<dyn Task> {
    let further = apps.iter().skip(1).map(|app| (app.partner_id(), task(app.clone()))).collect();
    Arc::new(EachApp::new(task(apps.first().clone()), further))
}

/// The comparisons with what Shopee says.
fn reconciliations(parts: &Parts, apps: Apps) -> Vec<Arc<dyn Task>> {
    let settings = &parts.config.schedule;
    let shops = Arc::new(ShopCalls { pool: parts.pool.clone(), apps, sealer: parts.sealer.clone() });
    let kinds = [
        (Kind::Orders, settings.reconcile_interval),
        (Kind::Deep { days: settings.reconcile_deep_days }, settings.reconcile_deep_interval),
        (Kind::Income, settings.released_income_interval),
    ];
    let task = |(kind, every)| -> Arc<dyn Task> {
        Arc::new(Reconcile {
            pool: parts.pool.clone(),
            shops: shops.clone(),
            clock: parts.clock.clone(),
            plan: parts.plan.clone(),
            waker: parts.waker.clone(),
            kind,
            every,
            at_once: COMPARISONS_AT_ONCE,
        })
    };
    kinds.map(task).into()
}
