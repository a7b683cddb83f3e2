//! What was last written to each spreadsheet for each order.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;

use crate::domain::order::OrderRef;
use crate::domain::route::SpreadsheetRoute;

/// What a spreadsheet shows of an order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SheetRow {
    /// Which order.
    pub order: OrderRef,
    /// Status that its row shows.
    pub status: String,
    /// The order's clock of the state that its row shows.
    pub update_time: DateTime<Utc>,
    /// Its rows in the tab of items.
    pub item_rows: i32,
    /// Hash of its cells.
    pub content_sha256: Vec<u8>,
}

#[derive(sqlx::FromRow)]
struct Row {
    platform: String,
    shop_id: String,
    order_sn: String,
    status: String,
    update_time: DateTime<Utc>,
    item_rows: i32,
    content_sha256: Vec<u8>,
}

impl Row {
    fn into_sheet_row(self) -> SheetRow {
        SheetRow {
            order: OrderRef { platform: self.platform, shop_id: self.shop_id, order_sn: self.order_sn },
            status: self.status,
            update_time: self.update_time,
            item_rows: self.item_rows,
            content_sha256: self.content_sha256,
        }
    }
}

/// What a spreadsheet shows of these orders; those without rows are left out.
///
/// # Errors
/// When the database refuses.
pub async fn list_sheet_rows(
    connection: &mut PgConnection,
    spreadsheet_id: &str,
    orders: &[OrderRef],
) -> Result<Vec<SheetRow>, sqlx::Error> {
    let (platforms, shops, numbers) = columns(orders.iter());
    let rows: Vec<Row> = sqlx::query_as(
        "SELECT platform, shop_id, order_sn, status, update_time, item_rows, content_sha256
         FROM pushbox.sheet_rows JOIN unnest($2::text[], $3::text[], $4::text[]) AS t(platform, shop_id, order_sn)
              USING (platform, shop_id, order_sn)
         WHERE spreadsheet_id = $1",
    )
    .bind(spreadsheet_id)
    .bind(platforms)
    .bind(shops)
    .bind(numbers)
    .fetch_all(connection)
    .await?;
    Ok(rows.into_iter().map(Row::into_sheet_row).collect())
}

/// Notes what was written, unless a newer state was written since. Each order once.
///
/// # Errors
/// When the database refuses.
pub async fn upsert_sheet_rows(
    connection: &mut PgConnection,
    spreadsheet_id: &str,
    rows: &[SheetRow],
    written_at: DateTime<Utc>,
) -> Result<(), sqlx::Error> {
    let (platforms, shops, numbers) = columns(rows.iter().map(|row| &row.order));
    sqlx::query(
        "INSERT INTO pushbox.sheet_rows AS known
             (spreadsheet_id, platform, shop_id, order_sn, status, update_time, item_rows, content_sha256, written_at)
         SELECT $1, platform, shop_id, order_sn, status, update_time, item_rows, content_sha256, $9
         FROM unnest($2::text[], $3::text[], $4::text[], $5::text[], $6::timestamptz[], $7::integer[], $8::bytea[])
              AS t(platform, shop_id, order_sn, status, update_time, item_rows, content_sha256)
         -- Two writers that lock in the same order cannot deadlock.
         ORDER BY platform, shop_id, order_sn
         ON CONFLICT (spreadsheet_id, platform, shop_id, order_sn) DO UPDATE SET
             status = excluded.status, update_time = excluded.update_time, item_rows = excluded.item_rows,
             content_sha256 = excluded.content_sha256, written_at = excluded.written_at
         WHERE known.update_time <= excluded.update_time",
    )
    .bind(spreadsheet_id)
    .bind(platforms)
    .bind(shops)
    .bind(numbers)
    .bind(rows.iter().map(|row| row.status.as_str()).collect::<Vec<_>>())
    .bind(rows.iter().map(|row| row.update_time).collect::<Vec<_>>())
    .bind(rows.iter().map(|row| row.item_rows).collect::<Vec<_>>())
    .bind(rows.iter().map(|row| row.content_sha256.as_slice()).collect::<Vec<_>>())
    .bind(written_at)
    .execute(connection)
    .await?;
    Ok(())
}

/// Notes that nobody knows what the rows of these orders show: the next upsert writes them, changed or not.
///
/// # Errors
/// When the database refuses.
pub async fn forget_contents(
    connection: &mut PgConnection,
    spreadsheet_id: &str,
    orders: &[OrderRef],
) -> Result<(), sqlx::Error> {
    let (platforms, shops, numbers) = columns(orders.iter());
    sqlx::query(
        "UPDATE pushbox.sheet_rows known SET content_sha256 = ''::bytea
         FROM unnest($2::text[], $3::text[], $4::text[]) AS t(platform, shop_id, order_sn)
         WHERE known.spreadsheet_id = $1 AND known.platform = t.platform AND known.shop_id = t.shop_id
               AND known.order_sn = t.order_sn",
    )
    .bind(spreadsheet_id)
    .bind(platforms)
    .bind(shops)
    .bind(numbers)
    .execute(connection)
    .await?;
    Ok(())
}

/// How often the tabs of a spreadsheet were replaced.
///
/// # Errors
/// When the database refuses.
pub async fn find_generation(
    connection: &mut PgConnection,
    spreadsheet_id: &str,
) -> Result<i64, sqlx::Error> {
    let found = sqlx::query_scalar("SELECT generation FROM pushbox.spreadsheets WHERE spreadsheet_id = $1")
        .bind(spreadsheet_id)
        .fetch_optional(connection)
        .await?;
    Ok(found.unwrap_or(0))
}

/// Notes that the tabs of a spreadsheet are being replaced: whatever anybody knew of them is void.
///
/// # Errors
/// When the database refuses.
pub async fn bump_generation(connection: &mut PgConnection, spreadsheet_id: &str) -> Result<(), sqlx::Error> {
    sqlx::query(
        "INSERT INTO pushbox.spreadsheets AS s (spreadsheet_id, generation, rebuilt_at) VALUES ($1, 1, now())
         ON CONFLICT (spreadsheet_id) DO UPDATE SET generation = s.generation + 1, rebuilt_at = now()",
    )
    .bind(spreadsheet_id)
    .execute(connection)
    .await?;
    Ok(())
}

/// The orders that must have a row in a spreadsheet: those that pass its filter, without those whose status gets
/// no row, unless they have one, and without orders of ours for trying a sheet out.
///
/// # Errors
/// When the database refuses.
pub async fn list_expected(
    connection: &mut PgConnection,
    route: &SpreadsheetRoute,
    ignored_statuses: &[String],
) -> Result<Vec<OrderRef>, sqlx::Error> {
    let found: Vec<(String, String, String)> = sqlx::query_as(
        "SELECT platform, shop_id, order_sn FROM pushbox.orders o
         WHERE platform <> 'pushbox'
           AND (cardinality($2::text[]) = 0 OR platform = ANY ($2))
           AND (cardinality($3::text[]) = 0 OR shop_id = ANY ($3))
           AND (cardinality($5::timestamptz[]) = 0 OR EXISTS (
                SELECT FROM unnest($5::timestamptz[], $6::timestamptz[]) AS month(begins, ends)
                WHERE create_time >= begins AND create_time < ends))
           AND (status <> ALL ($4) OR EXISTS (
                SELECT FROM pushbox.sheet_rows r
                WHERE r.spreadsheet_id = $1 AND r.platform = o.platform AND r.shop_id = o.shop_id
                  AND r.order_sn = o.order_sn))
         ORDER BY platform, shop_id, order_sn",
    )
    .bind(&route.spreadsheet_id)
    .bind(&route.filter.sources)
    .bind(&route.filter.shops)
    .bind(ignored_statuses)
    .bind(route.months.iter().map(|month| month.from).collect::<Vec<_>>())
    .bind(route.months.iter().map(|month| month.until).collect::<Vec<_>>())
    .fetch_all(connection)
    .await?;
    Ok(found
        .into_iter()
        .map(|(platform, shop_id, order_sn)| OrderRef { platform, shop_id, order_sn })
        .collect())
}

fn columns<'a>(orders: impl Iterator<Item = &'a OrderRef>) -> (Vec<&'a str>, Vec<&'a str>, Vec<&'a str>) {
    let mut columns = (Vec::new(), Vec::new(), Vec::new());
    for order in orders {
        columns.0.push(order.platform.as_str());
        columns.1.push(order.shop_id.as_str());
        columns.2.push(order.order_sn.as_str());
    }
    columns
}
