//! Comparisons as people see them and ask for them.

use chrono::{DateTime, Utc};
use sqlx::{PgConnection, PgExecutor};

macro_rules! columns {
    () => {
        "id, shop_id, kind, what, time_from, time_to, state, covered_to, listed, found, refreshed, known, error,
         asked_at, started_at, finished_at"
    };
}
/// A range of time that a person wants compared.
#[derive(Debug, Clone, Copy)]
pub struct Range<'a> {
    /// The shop; none: every active one.
    pub shop_id: Option<&'a str>,
    /// `orders` or `income`.
    pub what: &'a str,
    /// Changes from this time on.
    pub from: DateTime<Utc>,
    /// Changes up to this time.
    pub to: DateTime<Utc>,
}

/// Asks for the comparison of a range; returns what was asked for.
///
/// # Errors
/// When the database refuses.
pub async fn ask(
    connection: &mut PgConnection,
    platform: &str,
    range: &Range<'_>,
) -> Result<Vec<ReconciliationRow>, sqlx::Error> {
    sqlx::query_as(concat!(
        "INSERT INTO pushbox.reconciliations (platform, shop_id, kind, what, time_from, time_to)
         SELECT platform, shop_id, 'manual', $3, $4, $5 FROM pushbox.shops
         WHERE platform = $1 AND state = 'active' AND ($2::text IS NULL OR shop_id = $2) ORDER BY shop_id
         RETURNING ",
        columns!()
    ))
    .bind(platform)
    .bind(range.shop_id)
    .bind(range.what)
    .bind(range.from)
    .bind(range.to)
    .fetch_all(connection)
    .await
}

/// A comparison as it stands.
#[derive(Debug, Clone, sqlx::FromRow)]
pub struct ReconciliationRow {
    /// Its number.
    pub id: i64,
    /// The shop.
    pub shop_id: String,
    /// `orders`, `deep`, `income` or `manual`.
    pub kind: String,
    /// `orders` or `income`.
    pub what: String,
    /// From this time on.
    pub time_from: DateTime<Utc>,
    /// Up to this time.
    pub time_to: DateTime<Utc>,
    /// `asked`, `running`, `done` or `failed`.
    pub state: String,
    /// Everything before was compared.
    pub covered_to: Option<DateTime<Utc>>,
    /// Orders that the platform listed.
    pub listed: i32,
    /// Changes that we had not heard of.
    pub found: i32,
    /// Orders read again.
    pub refreshed: i32,
    /// Orders that were as we had them.
    pub known: i32,
    /// Why it failed, or why it waits.
    pub error: Option<String>,
    /// When it was asked for.
    pub asked_at: DateTime<Utc>,
    /// When it began.
    pub started_at: Option<DateTime<Utc>>,
    /// When it ended.
    pub finished_at: Option<DateTime<Utc>>,
}

/// Which comparisons; every part that is set must hold.
#[derive(Debug, Clone, Default)]
pub struct ReconciliationFilter {
    /// The shop.
    pub shop_id: Option<String>,
    /// The kind.
    pub kind: Option<String>,
    /// The state.
    pub state: Option<String>,
}

/// Comparisons that pass, newest first, with numbers below `before`.
///
/// # Errors
/// When the database refuses.
pub async fn list(
    executor: impl PgExecutor<'_>,
    filter: &ReconciliationFilter,
    before: Option<i64>,
    limit: u16,
) -> Result<Vec<ReconciliationRow>, sqlx::Error> {
    sqlx::query_as(concat!(
        "SELECT ",
        columns!(),
        " FROM pushbox.reconciliations
         WHERE ($1::text IS NULL OR shop_id = $1) AND ($2::text IS NULL OR kind = $2)
           AND ($3::text IS NULL OR state = $3) AND ($4::bigint IS NULL OR id < $4)
         ORDER BY id DESC LIMIT $5"
    ))
    .bind(&filter.shop_id)
    .bind(&filter.kind)
    .bind(&filter.state)
    .bind(before)
    .bind(i64::from(limit))
    .fetch_all(executor)
    .await
}

/// One comparison.
///
/// # Errors
/// When the database refuses.
pub async fn find(executor: impl PgExecutor<'_>, id: i64) -> Result<Option<ReconciliationRow>, sqlx::Error> {
    sqlx::query_as(concat!("SELECT ", columns!(), " FROM pushbox.reconciliations WHERE id = $1"))
        .bind(id)
        .fetch_optional(executor)
        .await
}
