//! Which orders of a shop have changed in a range of time.

use std::borrow::Cow;

use chrono::{DateTime, TimeDelta, Utc};
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::clients::error::ClientError;
use crate::clients::shopee::{Ask, Credentials, ShopeeClient, lenient, part, response};

const ORDER_LIST: &str = "/api/v2/order/get_order_list";

/// The longest range that may be asked for at once.
pub const LONGEST_RANGE: TimeDelta = TimeDelta::days(15);

/// One page of the list.
#[derive(Debug, Clone)]
pub struct OrderPage {
    /// The orders; Shopee does not say when they changed.
    pub orders: Vec<ListedOrder>,
    /// Where the next page begins; none: this was the last.
    pub next_cursor: Option<String>,
}

/// An order of the list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedOrder {
    /// Its number.
    pub order_sn: String,
    /// Its status now.
    pub status: Option<String>,
}

/// Where an order stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OrderState {
    /// Its number.
    pub order_sn: String,
    /// Its status.
    pub status: String,
    /// The order's clock: when anything of it last changed.
    pub update_time: DateTime<Utc>,
}

impl OrderState {
    pub(super) fn parse(raw: &RawValue) -> Result<Self, ClientError> {
        #[derive(Deserialize)]
        struct Wire {
            #[serde(default, deserialize_with = "lenient::text")]
            order_sn: String,
            #[serde(default, deserialize_with = "lenient::text")]
            order_status: String,
            #[serde(default, deserialize_with = "lenient::int")]
            update_time: Option<i64>,
        }
        let read = || {
            let wire: Wire = serde_json::from_str(raw.get()).map_err(|error| lenient::fault(&error))?;
            let update_time = lenient::time(wire.update_time).ok_or("an order without update_time")?;
            if wire.order_status.is_empty() {
                return Err("an order without order_status".to_owned());
            }
            Ok(Self { order_sn: wire.order_sn, status: wire.order_status, update_time })
        };
        part(raw, read())
    }
}

impl ShopeeClient {
    /// A page of the orders that changed from `from` to `to`, both included; at most [`LONGEST_RANGE`] apart.
    /// A range is covered only when its last page was read.
    pub async fn changed_orders(
        &self,
        credentials: &Credentials,
        from: DateTime<Utc>,
        to: DateTime<Utc>,
        cursor: Option<&str>,
    ) -> Result<OrderPage, ClientError> {
        #[derive(Deserialize)]
        struct Answer {
            #[serde(default, deserialize_with = "lenient::flag")]
            more: bool,
            #[serde(default, deserialize_with = "lenient::text")]
            next_cursor: String,
            #[serde(default, deserialize_with = "lenient::or_default")]
            order_list: Vec<Entry>,
        }
        #[derive(Deserialize)]
        struct Entry {
            #[serde(default, deserialize_with = "lenient::text")]
            order_sn: String,
            #[serde(default, deserialize_with = "lenient::text")]
            order_status: String,
        }
        let parameters = [
            ("time_range_field", Cow::Borrowed("update_time")),
            ("time_from", Cow::Owned(from.timestamp().to_string())),
            ("time_to", Cow::Owned(to.timestamp().to_string())),
            ("page_size", Cow::Borrowed("100")),
            ("cursor", Cow::Owned(cursor.unwrap_or_default().to_owned())),
            ("response_optional_fields", Cow::Borrowed("order_status")),
            // Without it Shopee hides PENDING behind an older status.
            ("request_order_status_pending", Cow::Borrowed("true")),
        ];
        let body = self.call(ORDER_LIST, Some(credentials), Ask::Get(&parameters)).await?;
        let answer: Answer = response(&body)?;
        if answer.more && answer.next_cursor.is_empty() {
            return Err(ClientError::malformed("more orders without next_cursor", &body));
        }
        let named = answer.order_list.into_iter().filter(|entry| !entry.order_sn.is_empty());
        let orders = named.map(|entry| ListedOrder {
            order_sn: entry.order_sn,
            status: Some(entry.order_status).filter(|status| !status.is_empty()),
        });
        Ok(OrderPage { orders: orders.collect(), next_cursor: answer.more.then_some(answer.next_cursor) })
    }
}
