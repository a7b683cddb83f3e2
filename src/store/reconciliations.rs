//! Comparisons with what the platform says: planned, asked for, taken in hand, and gone on with after a crash.
//!
//! A comparison is a row. Whoever takes it in hand has a lease on it and writes down each page together with what
//! came of the page; so the work of whoever vanished goes on behind its last page.

use std::time::Duration;

use chrono::{DateTime, Utc};
use sqlx::PgConnection;
use uuid::Uuid;

/// What the scheduled comparisons of one kind are like.
#[derive(Debug, Clone, Copy)]
pub struct Regular {
    /// `orders`, `deep` or `income`.
    pub kind: &'static str,
    /// `orders` or `income`.
    pub what: &'static str,
    /// How often.
    pub every: Duration,
    /// What was compared shortly before is compared once more.
    pub overlap: Duration,
    /// What is younger than this is left to the pushes that are on their way.
    pub settle: Duration,
    /// Goes so far back each time; none: from where the last one ended.
    pub depth: Option<Duration>,
}

/// Makes the comparisons that are due, one for each active shop that has none of the kind under way; returns how
/// many. The first of a shop begins with its time here: older orders are nobody's news.
///
/// # Errors
/// When the database refuses.
pub async fn plan(
    connection: &mut PgConnection,
    platform: &str,
    regular: &Regular,
) -> Result<u64, sqlx::Error> {
    let done = sqlx::query(
        "INSERT INTO pushbox.reconciliations (platform, shop_id, kind, what, time_from, time_to)
         SELECT platform, shop_id, $2, $3, time_from, time_to FROM (
             SELECT s.platform, s.shop_id, now() - $6 * interval '1 second' AS time_to,
                    greatest(s.created_at - $5 * interval '1 second',
                        CASE WHEN $7::float8 IS NOT NULL THEN now() - $7 * interval '1 second'
                        ELSE (SELECT max(r.time_to) FROM pushbox.reconciliations r
                              WHERE r.platform = s.platform AND r.shop_id = s.shop_id AND r.kind = $2
                                AND r.state = 'done') - $5 * interval '1 second' END) AS time_from
             FROM pushbox.shops s
             WHERE s.platform = $1 AND s.state = 'active' AND s.access_token IS NOT NULL AND NOT EXISTS (
                 SELECT FROM pushbox.reconciliations r
                 WHERE r.platform = s.platform AND r.shop_id = s.shop_id AND r.kind = $2
                   AND (r.state IN ('asked', 'running') OR r.asked_at > now() - $4 * interval '0.5 seconds'
                                                           AND r.state = 'done'))) AS due
         WHERE time_from < time_to",
    )
    .bind(platform)
    .bind(regular.kind)
    .bind(regular.what)
    .bind(regular.every.as_secs_f64())
    .bind(regular.overlap.as_secs_f64())
    .bind(regular.settle.as_secs_f64())
    .bind(regular.depth.map(|depth| depth.as_secs_f64()))
    .execute(connection)
    .await?;
    Ok(done.rows_affected())
}

/// A comparison in hand.
#[derive(Debug, Clone, sqlx::FromRow)]
pub struct Work {
    /// Its number.
    pub id: i64,
    /// The shop.
    pub shop_id: String,
    /// `orders` or `income`.
    pub what: String,
    /// From this time on.
    pub time_from: DateTime<Utc>,
    /// Up to this time.
    pub time_to: DateTime<Utc>,
    /// Everything before was compared.
    pub covered_to: Option<DateTime<Utc>>,
    /// The next page.
    pub cursor: Option<String>,
    /// Failures since the last page.
    pub failures: i32,
}

/// Takes the next comparison of an active shop in hand that nobody has; a shop has one at a time, and those of
/// people go first.
///
/// # Errors
/// When the database refuses.
pub async fn claim(
    connection: &mut PgConnection,
    platform: &str,
    lease: Uuid,
    lease_for: Duration,
) -> Result<Option<Work>, sqlx::Error> {
    sqlx::query_as(
        "UPDATE pushbox.reconciliations SET state = 'running', started_at = coalesce(started_at, now()),
             lease = $2, lease_until = now() + $3 * interval '1 second'
         WHERE id = (
             SELECT r.id FROM pushbox.reconciliations r JOIN pushbox.shops s USING (platform, shop_id)
             WHERE r.platform = $1 AND r.state IN ('asked', 'running')
               AND (r.lease_until IS NULL OR r.lease_until < now())
               AND s.state = 'active' AND s.access_token IS NOT NULL AND NOT EXISTS (
                   SELECT FROM pushbox.reconciliations other
                   WHERE other.platform = r.platform AND other.shop_id = r.shop_id AND other.id <> r.id
                     AND other.state = 'running' AND other.lease IS NOT NULL AND other.lease_until >= now())
             ORDER BY r.kind <> 'manual', r.id LIMIT 1 FOR UPDATE OF r SKIP LOCKED)
         RETURNING id, shop_id, what, time_from, time_to, covered_to, cursor, failures",
    )
    .bind(platform)
    .bind(lease)
    .bind(lease_for.as_secs_f64())
    .fetch_optional(connection)
    .await
}

/// When the next comparison that waits, or was left behind, can be taken in hand; none: there is none.
///
/// # Errors
/// When the database refuses.
pub async fn next_due(
    connection: &mut PgConnection,
    platform: &str,
) -> Result<Option<Duration>, sqlx::Error> {
    let seconds: Option<f64> = sqlx::query_scalar(
        "SELECT extract(epoch FROM min(r.lease_until) - clock_timestamp())::float8
         FROM pushbox.reconciliations r JOIN pushbox.shops s USING (platform, shop_id)
         WHERE r.platform = $1 AND r.state IN ('asked', 'running') AND s.state = 'active'",
    )
    .bind(platform)
    .fetch_one(connection)
    .await?;
    Ok(seconds.map(|seconds| Duration::from_secs_f64(seconds.max(0.05))))
}

/// What a page came to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Page {
    /// Everything before was compared.
    pub covered_to: Option<DateTime<Utc>>,
    /// The next page of the part that is under way; none: the part is done.
    pub cursor: Option<String>,
    /// Orders on the page.
    pub listed: i32,
    /// Changes that we had not heard of.
    pub found: i32,
    /// Orders to be read again.
    pub refreshed: i32,
    /// Orders that were as we had them.
    pub known: i32,
}

/// Writes a page down and extends the lease, in the transaction of what came of the page. False: somebody else
/// has the comparison now; roll back.
///
/// # Errors
/// When the database refuses.
pub async fn note_page(
    connection: &mut PgConnection,
    id: i64,
    lease: Uuid,
    lease_for: Duration,
    page: &Page,
) -> Result<bool, sqlx::Error> {
    let done = sqlx::query(
        "UPDATE pushbox.reconciliations SET covered_to = $4, cursor = $5, listed = listed + $6,
             found = found + $7, refreshed = refreshed + $8, known = known + $9, failures = 0, error = NULL,
             lease_until = now() + $3 * interval '1 second'
         WHERE id = $1 AND lease = $2",
    )
    .bind(id)
    .bind(lease)
    .bind(lease_for.as_secs_f64())
    .bind(page.covered_to)
    .bind(&page.cursor)
    .bind(page.listed)
    .bind(page.found)
    .bind(page.refreshed)
    .bind(page.known)
    .execute(connection)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Ends a comparison, well or with the reason why it cannot be done.
///
/// # Errors
/// When the database refuses.
pub async fn finish(
    connection: &mut PgConnection,
    id: i64,
    lease: Uuid,
    error: Option<&str>,
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "UPDATE pushbox.reconciliations SET finished_at = now(), lease = NULL, lease_until = NULL, cursor = NULL,
             state = CASE WHEN $3::text IS NULL THEN 'done' ELSE 'failed' END, error = $3
         WHERE id = $1 AND lease = $2",
    )
    .bind(id)
    .bind(lease)
    .bind(error)
    .execute(connection)
    .await?;
    Ok(())
}

/// Gives a comparison back after a failure, to be gone on with after a while. `from_start`: the page it stopped
/// at cannot be had any more, so the part that is under way begins again.
///
/// # Errors
/// When the database refuses.
pub async fn put_off(
    connection: &mut PgConnection,
    id: i64,
    lease: Uuid,
    error: &str,
    after: Duration,
    from_start: bool,
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "UPDATE pushbox.reconciliations SET lease = NULL, lease_until = now() + $4 * interval '1 second',
             failures = failures + 1, error = $3, cursor = CASE WHEN $5 THEN NULL ELSE cursor END
         WHERE id = $1 AND lease = $2",
    )
    .bind(id)
    .bind(lease)
    .bind(error)
    .bind(after.as_secs_f64())
    .bind(from_start)
    .execute(connection)
    .await?;
    Ok(())
}

/// Forgets what ended more than `days` ago, but for the newest of each shop and kind: the next begins there.
///
/// # Errors
/// When the database refuses.
pub async fn prune(connection: &mut PgConnection, days: i32) -> Result<u64, sqlx::Error> {
    let done = sqlx::query(
        "DELETE FROM pushbox.reconciliations r
         WHERE state IN ('done', 'failed') AND finished_at < now() - $1 * interval '1 day'
           AND (state = 'failed' OR EXISTS (
               SELECT FROM pushbox.reconciliations newer
               WHERE newer.platform = r.platform AND newer.shop_id = r.shop_id AND newer.kind = r.kind
                 AND newer.state = 'done' AND newer.time_to > r.time_to))",
    )
    .bind(days)
    .execute(connection)
    .await?;
    Ok(done.rows_affected())
}

/// What we know of an order.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct OrderKnown {
    /// Its number.
    pub order_sn: String,
    /// The status it is stored with.
    pub stored_status: Option<String>,
    /// The clock it is stored with.
    pub stored_time: Option<DateTime<Utc>>,
    /// The status of the newest event about its status, by the order's clock.
    pub heard_status: Option<String>,
    /// The clock of that event.
    pub heard_time: Option<DateTime<Utc>>,
}

/// What we know of these orders, each once; of events only those of the last 30 days.
///
/// # Errors
/// When the database refuses.
pub async fn orders_known(
    connection: &mut PgConnection,
    platform: &str,
    shop_id: &str,
    status_code: &str,
    order_sns: &[&str],
) -> Result<Vec<OrderKnown>, sqlx::Error> {
    sqlx::query_as(
        "SELECT asked.order_sn, o.status AS stored_status, o.update_time AS stored_time,
                heard.status AS heard_status, heard.occurred_at AS heard_time
         FROM (SELECT DISTINCT unnest($4::text[]) AS order_sn) AS asked
         LEFT JOIN pushbox.orders o ON o.platform = $1 AND o.shop_id = $2 AND o.order_sn = asked.order_sn
         LEFT JOIN LATERAL (
             SELECT e.payload->'data'->>'status' AS status, e.occurred_at FROM pushbox.events e
             WHERE e.subject = asked.order_sn AND e.source = $1 AND e.account = $2 AND e.code = $3
               AND e.received_at > now() - interval '30 days'
             ORDER BY e.occurred_at DESC NULLS LAST, e.received_at DESC LIMIT 1) AS heard ON true",
    )
    .bind(platform)
    .bind(shop_id)
    .bind(status_code)
    .bind(order_sns)
    .fetch_all(connection)
    .await
}

/// Those of the orders that are stored, with when their income was read.
///
/// # Errors
/// When the database refuses.
pub async fn incomes_known(
    connection: &mut PgConnection,
    platform: &str,
    shop_id: &str,
    order_sns: &[&str],
) -> Result<Vec<(String, Option<DateTime<Utc>>)>, sqlx::Error> {
    sqlx::query_as(
        "SELECT o.order_sn, i.fetched_at FROM pushbox.orders o
         LEFT JOIN pushbox.order_income i USING (platform, shop_id, order_sn)
         WHERE o.platform = $1 AND o.shop_id = $2 AND o.order_sn = ANY ($3)",
    )
    .bind(platform)
    .bind(shop_id)
    .bind(order_sns)
    .fetch_all(connection)
    .await
}
