//! Looks whether a source is still subscribed to what it should be: Shoplazza deletes a subscription when all its
//! retries have failed, and nobody hears of it. Raises an alert, and subscribes again where that is set.

use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use serde_json::{Value, json};
use sqlx::{PgConnection, PgPool};

use super::Task;
use crate::clients::error::ClientError;
use crate::clients::shopery::ShoperyClient;
use crate::clients::shoplazza::{ShoplazzaClient, Subscription};
use crate::config::PlatformApi;
use crate::store::alerts::{self, Alert, Severity};
use crate::store::subscriptions::{self as rows, Seen, SubscriptionRow};

/// See the module.
#[derive(Debug)]
pub struct WatchSubscriptions {
    /// The database.
    pub pool: PgPool,
    /// Where to look.
    pub apis: Vec<PlatformApi>,
}

/// What became of one source.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Looked {
    /// Subscriptions that are there.
    pub active: usize,
    /// Subscriptions that are not there.
    pub missing: usize,
    /// Subscriptions that were made.
    pub created: usize,
}

#[async_trait]
impl Task for WatchSubscriptions {
    fn name(&self) -> &'static str {
        "watch_subscriptions"
    }

    fn every(&self) -> Duration {
        Duration::from_mins(15)
    }

    /// It is our outages that end subscriptions.
    fn after_outage(&self) -> bool {
        true
    }

    async fn run(&self) -> anyhow::Result<Value> {
        let (mut active, mut missing, mut created) = (0, 0, 0);
        let mut failures = Vec::new();
        for api in self.apis.iter().filter(|api| api.address.is_some()) {
            match look(&self.pool, api, api.recreate).await {
                Ok(looked) => {
                    active += looked.active;
                    missing += looked.missing;
                    created += looked.created;
                }
                Err(error) => {
                    self.cannot_look(api, &error).await?;
                    failures.push(format!("{}: {error:#}", api.source));
                }
            }
        }
        anyhow::ensure!(failures.is_empty(), failures.join("; "));
        Ok(json!({ "active": active, "missing": missing, "created": created }))
    }
}

impl WatchSubscriptions {
    /// A platform that is away will be back; what only a person can put in order is told.
    async fn cannot_look(&self, api: &PlatformApi, error: &anyhow::Error) -> anyhow::Result<()> {
        let told = error.downcast_ref::<ClientError>();
        if told.is_some_and(|error| error.needs_a_person() || error.is_refusal()) {
            let source = &api.source;
            let alert = Alert {
                key: &format!("subscriptions:{source}"),
                severity: Severity::Critical,
                title: &format!("{source} cannot be asked for its subscriptions: {error:#}"),
                remedy: "Until then nobody sees whether the platform still pushes",
            };
            alerts::raise(&mut *self.pool.acquire().await?, &alert).await?;
        }
        Ok(())
    }
}

/// Subscribes a source to one more topic; false: it was there already.
///
/// # Errors
/// When the platform or the database refuses.
pub async fn create(pool: &PgPool, api: &PlatformApi, topic: &str) -> anyhow::Result<bool> {
    let address = api.address.as_deref().unwrap_or_default();
    let there = match listed(api).await? {
        Some(list) => list.into_iter().find(|one| one.topic == topic && one.address == address),
        None => known(pool, api, topic).await?,
    };
    let made = there.is_none();
    let found = match there {
        Some(found) => found,
        None => subscribe(api, topic, address).await?,
    };
    let state = if api.platform == "shoplazza" { "active" } else { "unknown" };
    let platform_id = Some(found.id.as_str());
    let seen = Seen { source: &api.source, topic, address, state, platform_id, error: None, created: made };
    rows::note(&mut *pool.acquire().await?, &seen).await?;
    Ok(made)
}

/// Looks at one source, makes what is missing if `create`, and keeps note of all of it.
///
/// # Errors
/// When the platform or the database refuses.
pub async fn look(pool: &PgPool, api: &PlatformApi, create: bool) -> anyhow::Result<Looked> {
    let there = listed(api).await?;
    let before = rows::list(pool, Some(&api.source)).await?;
    let mut looked = Looked::default();
    let (mut gone, mut again) = (Vec::new(), Vec::new());
    let mut kept = extra(pool, api, there.as_deref(), &before).await?;
    for topic in &api.topics {
        let (is_there, made) = one(pool, api, there.as_deref(), topic, create).await?;
        looked.created += usize::from(made);
        looked.active += usize::from(is_there);
        let was_there = |row: &&SubscriptionRow| row.topic == *topic && row.state == "active";
        if made && let Some(row) = before.iter().find(was_there) {
            again.push((topic.as_str(), row.checked_at));
        }
        if !is_there {
            looked.missing += 1;
            gone.push(topic.as_str());
        }
    }
    let mut connection = pool.acquire().await?;
    kept.extend(api.topics.iter().cloned());
    rows::keep_only(&mut connection, &api.source, &kept).await?;
    tell_made_again(&mut connection, api, &again).await?;
    let key = format!("subscriptions:{}", api.source);
    if gone.is_empty() {
        alerts::resolve(&mut connection, &key).await?;
    } else {
        let title = format!("{} is not subscribed to {}", api.source, gone.join(", "));
        let remedy = format!(
            "pushbox subscriptions ensure --source {}; the platform deletes a subscription when its retries are used up. \
             Events in between are found by polling, where the platform can be polled",
            api.source
        );
        let alert = Alert { key: &key, severity: Severity::Critical, title: &title, remedy: &remedy };
        alerts::raise(&mut connection, &alert).await?;
    }
    Ok(looked)
}

/// Looks at one topic, makes it if it is missing and `create`, and keeps note of it: whether it is there, and was made.
async fn one(
    pool: &PgPool,
    api: &PlatformApi,
    there: Option<&[Subscription]>,
    topic: &str,
    create: bool,
) -> anyhow::Result<(bool, bool)> {
    let address = api.address.as_deref().unwrap_or_default();
    let found = match there {
        Some(list) => list.iter().find(|one| one.topic == topic && one.address == address).cloned(),
        None => known(pool, api, topic).await?,
    };
    let (found, error, made) = match found {
        Some(found) => (Some(found), None, false),
        None if create => match subscribe(api, topic, address).await {
            Ok(found) => (Some(found), None, true),
            Err(error) => (None, Some(error.to_string()), false),
        },
        None => (None, None, false),
    };
    let state = match (&found, there) {
        (None, _) => "missing",
        (Some(_), Some(_)) => "active",
        (Some(_), None) => "unknown",
    };
    let seen = Seen {
        source: &api.source,
        topic,
        address,
        state,
        platform_id: found.as_ref().map(|found| found.id.as_str()),
        error: error.as_deref(),
        created: made,
    };
    rows::note(&mut *pool.acquire().await?, &seen).await?;
    Ok((found.is_some(), made))
}

/// Notes what else of ours is there: topics that were subscribed to by hand, or are not wanted any more. Returns them.
async fn extra(
    pool: &PgPool,
    api: &PlatformApi,
    there: Option<&[Subscription]>,
    before: &[SubscriptionRow],
) -> Result<Vec<String>, sqlx::Error> {
    let address = api.address.as_deref().unwrap_or_default();
    let Some(there) = there else { return Ok(before.iter().map(|row| row.topic.clone()).collect()) };
    let mut topics = Vec::new();
    let mut connection = pool.acquire().await?;
    for one in there.iter().filter(|one| one.address == address && !api.topics.contains(&one.topic)) {
        let seen = Seen {
            source: &api.source,
            topic: &one.topic,
            address,
            state: "active",
            platform_id: Some(&one.id),
            error: None,
            created: false,
        };
        rows::note(&mut connection, &seen).await?;
        topics.push(one.topic.clone());
    }
    Ok(topics)
}

/// People hear of subscriptions that were gone although they are back: pushes in between were not sent. Over with
/// the next look that finds everything in place.
async fn tell_made_again(
    connection: &mut PgConnection,
    api: &PlatformApi,
    again: &[(&str, DateTime<Utc>)],
) -> Result<(), sqlx::Error> {
    let source = &api.source;
    let key = format!("subscriptions:{source}:again");
    let Some(since) = again.iter().map(|(_, seen)| *seen).min() else {
        alerts::resolve(connection, &key).await?;
        return Ok(());
    };
    let topics = again.iter().map(|(topic, _)| *topic).collect::<Vec<_>>().join(", ");
    let alert = Alert {
        key: &key,
        severity: Severity::Warning,
        title: &format!("{source} had lost its subscription to {topics}; it was made again"),
        remedy: &format!(
            "Find out why pushes failed. Nothing was pushed for some time since {}: orders are found by polling, \
             look for everything else at the platform",
            since.format("%Y-%m-%d %H:%M UTC")
        ),
    };
    alerts::raise(connection, &alert).await?;
    Ok(())
}

/// What is there; none when the platform cannot be asked.
async fn listed(api: &PlatformApi) -> Result<Option<Vec<Subscription>>, ClientError> {
    match api.platform.as_str() {
        "shoplazza" => ShoplazzaClient::new(api)?.subscriptions().await.map(Some),
        _ => Ok(None),
    }
}

/// What we made ourselves at a platform that cannot be asked.
async fn known(pool: &PgPool, api: &PlatformApi, topic: &str) -> Result<Option<Subscription>, sqlx::Error> {
    let rows = rows::list(pool, Some(&api.source)).await?;
    let same = rows.into_iter().find(|row| row.topic == topic && Some(&row.address) == api.address.as_ref());
    let made = same.and_then(|row| row.platform_id.map(|id| (id, row.address)));
    Ok(made.map(|(id, address)| Subscription { id, topic: topic.to_owned(), address }))
}

async fn subscribe(api: &PlatformApi, topic: &str, address: &str) -> Result<Subscription, ClientError> {
    match api.platform.as_str() {
        "shoplazza" => ShoplazzaClient::new(api)?.subscribe(topic, address).await,
        _ => ShoperyClient::new(api)?.subscribe(topic, address).await,
    }
}
