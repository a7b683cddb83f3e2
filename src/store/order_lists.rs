//! Orders as people look for them, and what the sheet and Telegram have of one. Nothing here locks or changes
//! anything.

use chrono::{DateTime, Utc};
use rust_decimal::Decimal;
use sqlx::{PgExecutor, Postgres, QueryBuilder};
use uuid::Uuid;

use crate::domain::order::OrderRef;

/// Which orders; every part that is set must hold.
#[derive(Debug, Clone, Default)]
pub struct OrderFilter {
    /// The order's number.
    pub order_sn: Option<String>,
    /// The platform.
    pub platform: Option<String>,
    /// The shop.
    pub shop: Option<String>,
    /// The platform's status.
    pub status: Option<String>,
    /// Changed then or later, by the platform's clock.
    pub since: Option<DateTime<Utc>>,
    /// Changed before.
    pub until: Option<DateTime<Utc>>,
}

/// The place of an order in the list: what comes after it changed earlier.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OrderPlace {
    /// When it changed.
    pub update_time: DateTime<Utc>,
    /// Its number.
    pub order_sn: String,
}

/// An order in a list.
#[derive(Debug, Clone, sqlx::FromRow)]
pub struct OrderSummary {
    /// The platform.
    pub platform: String,
    /// The shop.
    pub shop_id: String,
    /// The order's number.
    pub order_sn: String,
    /// The platform's status.
    pub status: String,
    /// When it last changed, by the platform's clock.
    pub update_time: DateTime<Utc>,
    /// When it was placed.
    pub create_time: DateTime<Utc>,
    /// When we last read it.
    pub fetched_at: DateTime<Utc>,
    /// Currency of the amounts.
    pub currency: String,
    /// What the buyer pays.
    pub total_amount: Option<Decimal>,
    /// What the seller gets, where it is known.
    pub escrow_amount: Option<Decimal>,
    /// How many lines it has.
    pub items: i64,
    /// When the data of its buyer was erased.
    pub erased_at: Option<DateTime<Utc>>,
}

/// At most `limit` orders that pass, last changed first, after `after`.
///
/// A number has an index of its own; all else is read along `update_time`.
pub async fn list_orders(
    executor: impl PgExecutor<'_>,
    filter: &OrderFilter,
    after: Option<&OrderPlace>,
    limit: u16,
) -> sqlx::Result<Vec<OrderSummary>> {
    let mut query = QueryBuilder::<Postgres>::new("with page as (select * from pushbox.orders where true");
    let equals = [
        (" and order_sn = ", &filter.order_sn),
        (" and platform = ", &filter.platform),
        (" and shop_id = ", &filter.shop),
        (" and status = ", &filter.status),
    ];
    for (condition, value) in equals {
        if let Some(value) = value {
            query.push(condition).push_bind(value.as_str());
        }
    }
    if let Some(since) = filter.since {
        query.push(" and update_time >= ").push_bind(since);
    }
    if let Some(until) = filter.until {
        query.push(" and update_time < ").push_bind(until);
    }
    if let Some(OrderPlace { update_time, order_sn }) = after {
        query.push(" and (update_time, order_sn) < (").push_bind(*update_time);
        query.push(", ").push_bind(order_sn.as_str()).push(")");
    }
    query.push(" order by update_time desc, order_sn desc limit ").push_bind(i64::from(limit));
    query.push(
        ") select o.platform, o.shop_id, o.order_sn, o.status, o.update_time, o.create_time, o.fetched_at, o.currency,
                  o.total_amount, o.erased_at, i.escrow_amount,
                  (select count(*) from pushbox.order_items l
                    where (l.platform, l.shop_id, l.order_sn) = (o.platform, o.shop_id, o.order_sn)) as items
             from page o
             left join pushbox.order_income i using (platform, shop_id, order_sn)
            order by o.update_time desc, o.order_sn desc",
    );
    query.build_query_as().fetch_all(executor).await
}

/// A state that an order was seen in.
#[derive(Debug, Clone, sqlx::FromRow)]
pub struct StatusSeen {
    /// The platform's status.
    pub status: String,
    /// When it was so, by the platform's clock.
    pub update_time: DateTime<Utc>,
    /// When we read it.
    pub seen_at: DateTime<Utc>,
    /// The event that made us look.
    pub event_id: Option<Uuid>,
}

/// The states of an order, newest first, at most 200.
pub async fn list_history(executor: impl PgExecutor<'_>, order: &OrderRef) -> sqlx::Result<Vec<StatusSeen>> {
    sqlx::query_as(
        "select status, update_time, seen_at, event_id from pushbox.order_status_history
          where platform = $1 and shop_id = $2 and order_sn = $3
          order by update_time desc, seen_at desc limit 200",
    )
    .bind(&order.platform)
    .bind(&order.shop_id)
    .bind(&order.order_sn)
    .fetch_all(executor)
    .await
}

/// What one spreadsheet shows of an order.
#[derive(Debug, Clone, sqlx::FromRow)]
pub struct RowInSheet {
    /// The spreadsheet.
    pub spreadsheet_id: String,
    /// Status that its row shows.
    pub status: String,
    /// The order's clock of the state that its row shows.
    pub update_time: DateTime<Utc>,
    /// Rows in the tab of items.
    pub item_rows: i32,
    /// When it was last written.
    pub written_at: DateTime<Utc>,
}

/// What the spreadsheets show of an order.
pub async fn list_sheet_rows(
    executor: impl PgExecutor<'_>,
    order: &OrderRef,
) -> sqlx::Result<Vec<RowInSheet>> {
    sqlx::query_as(
        // Hops from one spreadsheet to the next: the key begins with it.
        "with recursive sheets as (
             (select spreadsheet_id from pushbox.sheet_rows order by spreadsheet_id limit 1)
             union all
             select (select r.spreadsheet_id from pushbox.sheet_rows r
                      where r.spreadsheet_id > s.spreadsheet_id order by r.spreadsheet_id limit 1)
               from sheets s where s.spreadsheet_id is not null)
         select r.spreadsheet_id, r.status, r.update_time, r.item_rows, r.written_at
           from sheets join pushbox.sheet_rows r using (spreadsheet_id)
          where r.platform = $1 and r.shop_id = $2 and r.order_sn = $3
          order by r.spreadsheet_id",
    )
    .bind(&order.platform)
    .bind(&order.shop_id)
    .bind(&order.order_sn)
    .fetch_all(executor)
    .await
}

/// One announcement of an event about an order.
#[derive(Debug, Clone, sqlx::FromRow)]
pub struct Announcement {
    /// The event.
    pub event_id: Uuid,
    /// The chat.
    pub chat_id: i64,
    /// `intended`, `sent` or `uncertain`.
    pub state: String,
    /// The message in the chat.
    pub message_id: Option<i32>,
    /// The forum topic.
    pub thread_id: Option<i32>,
    /// When it was sent.
    pub sent_at: Option<DateTime<Utc>>,
}

/// What Telegram was told about these events, newest first.
pub async fn list_announcements(
    executor: impl PgExecutor<'_>,
    events: &[Uuid],
) -> sqlx::Result<Vec<Announcement>> {
    sqlx::query_as(
        // Hops from one chat to the next: the key begins with it.
        "with recursive chats as (
             (select chat_id from pushbox.telegram_messages order by chat_id limit 1)
             union all
             select (select m.chat_id from pushbox.telegram_messages m
                      where m.chat_id > c.chat_id order by m.chat_id limit 1)
               from chats c where c.chat_id is not null)
         select m.event_id, m.chat_id, m.state, m.message_id, m.thread_id, m.sent_at
           from chats join pushbox.telegram_messages m using (chat_id)
          where m.event_id = any ($1)
          order by m.event_id desc, m.chat_id, m.part limit 500",
    )
    .bind(events)
    .fetch_all(executor)
    .await
}
