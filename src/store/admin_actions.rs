//! The record of what people changed.
//!
//! Who is acting is said once, where the request is let in ([`acting`]); every record written within names
//! them, so that no operation can forget to. The rows are a chain of hashes, made by a trigger.

use std::future::Future;

use chrono::{DateTime, Utc};
use sqlx::{PgExecutor, Postgres, QueryBuilder};

/// Who is acting, and from where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Actor {
    /// For example `ADMIN_TOKEN`, or `ADMIN_TOKEN, dashboard`.
    pub name: String,
    /// The address.
    pub origin: Option<String>,
}

tokio::task_local! {
    static ACTOR: Actor;
}

/// Runs `work`; what it records is recorded as done by `actor`.
pub async fn acting<F: Future>(actor: Actor, work: F) -> F::Output {
    ACTOR.scope(actor, work).await
}

/// Who is acting; outside of a request it is the command line.
pub fn actor() -> Actor {
    ACTOR.try_with(Clone::clone).unwrap_or_else(|_| Actor { name: "command line".to_owned(), origin: None })
}

/// One change.
#[derive(Debug)]
pub struct AdminAction<'a> {
    /// Under which id the log knows the request.
    pub request_id: &'a str,
    /// The operation's id, for example `retry_job`.
    pub action: &'static str,
    /// What it was done to.
    pub subject: &'a str,
    /// What was asked for besides; `before` and `after` where something had a value.
    pub detail: serde_json::Value,
}

/// Keeps the record; call it in the transaction of the change, as its last statement: until the commit every
/// other change waits for its place in the chain.
pub async fn insert_admin_action(
    executor: impl PgExecutor<'_>,
    action: &AdminAction<'_>,
) -> sqlx::Result<()> {
    let Actor { name, origin } = actor();
    sqlx::query(
        "insert into pushbox.admin_actions (request_id, actor, origin, action, subject, detail)
         values ($1, $2, $3, $4, $5, $6)",
    )
    .bind(action.request_id)
    .bind(name)
    .bind(origin)
    .bind(action.action)
    .bind(action.subject)
    .bind(&action.detail)
    .execute(executor)
    .await?;
    Ok(())
}

/// Which actions; every part that is set must hold.
#[derive(Debug, Clone, Default)]
pub struct ActionFilter {
    /// The operation's id.
    pub action: Option<String>,
    /// What it was done to.
    pub subject: Option<String>,
    /// Who; the beginning is enough.
    pub actor: Option<String>,
    /// Done then or later.
    pub since: Option<DateTime<Utc>>,
    /// Done before.
    pub until: Option<DateTime<Utc>>,
}

/// An action as it was recorded.
#[derive(Debug, Clone, sqlx::FromRow)]
pub struct ActionRow {
    /// Its number.
    pub id: i64,
    /// When.
    pub at: DateTime<Utc>,
    /// Who.
    pub actor: String,
    /// From where.
    pub origin: Option<String>,
    /// The operation's id.
    pub action: String,
    /// What it was done to.
    pub subject: String,
    /// What was asked for besides.
    pub detail: serde_json::Value,
    /// Under which id the log knows the request.
    pub request_id: String,
    /// Its link in the chain.
    pub hash: Vec<u8>,
}

/// At most `limit` actions that pass, newest first, with numbers below `before`.
pub async fn list_actions(
    executor: impl PgExecutor<'_>,
    filter: &ActionFilter,
    before: Option<i64>,
    limit: u16,
) -> sqlx::Result<Vec<ActionRow>> {
    let mut query = QueryBuilder::<Postgres>::new(
        "select id, at, actor, origin, action, subject, detail, request_id, hash
           from pushbox.admin_actions where true",
    );
    for (condition, value) in [(" and action = ", &filter.action), (" and subject = ", &filter.subject)] {
        if let Some(value) = value {
            query.push(condition).push_bind(value.as_str());
        }
    }
    if let Some(actor) = &filter.actor {
        query.push(" and starts_with(actor, ").push_bind(actor.as_str()).push(")");
    }
    if let Some(since) = filter.since {
        query.push(" and at >= ").push_bind(since);
    }
    if let Some(until) = filter.until {
        query.push(" and at < ").push_bind(until);
    }
    if let Some(before) = before {
        query.push(" and id < ").push_bind(before);
    }
    query.push(" order by id desc limit ").push_bind(i64::from(limit));
    query.build_query_as().fetch_all(executor).await
}
