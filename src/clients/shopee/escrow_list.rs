//! Which orders of a shop were paid out in a range of time.

use std::borrow::Cow;

use chrono::{DateTime, Utc};
use serde::Deserialize;

use crate::clients::error::ClientError;
use crate::clients::shopee::{Ask, Credentials, ShopeeClient, lenient, response};

const ESCROW_LIST: &str = "/api/v2/payment/get_escrow_list";

/// One page of the list.
#[derive(Debug, Clone)]
pub struct ReleasePage {
    /// The orders that were paid out.
    pub released: Vec<Released>,
    /// Whether another page follows.
    pub more: bool,
}

/// An order whose income was released.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Released {
    /// Its number.
    pub order_sn: String,
    /// When the money was released.
    pub released_at: Option<DateTime<Utc>>,
}

impl ShopeeClient {
    /// A page of the orders whose income was released from `from` to `to`; `page` counts from 1.
    pub async fn released_income(
        &self,
        credentials: &Credentials,
        from: DateTime<Utc>,
        to: DateTime<Utc>,
        page: u32,
    ) -> Result<ReleasePage, ClientError> {
        #[derive(Deserialize)]
        struct Answer {
            #[serde(default, deserialize_with = "lenient::or_default")]
            escrow_list: Vec<Entry>,
            #[serde(default, deserialize_with = "lenient::flag")]
            more: bool,
        }
        #[derive(Deserialize)]
        struct Entry {
            #[serde(default, deserialize_with = "lenient::text")]
            order_sn: String,
            #[serde(default, deserialize_with = "lenient::int")]
            escrow_release_time: Option<i64>,
        }
        let parameters = [
            ("release_time_from", Cow::Owned(from.timestamp().to_string())),
            ("release_time_to", Cow::Owned(to.timestamp().to_string())),
            ("page_size", Cow::Borrowed("100")),
            ("page_no", Cow::Owned(page.to_string())),
        ];
        let body = self.call(ESCROW_LIST, Some(credentials), Ask::Get(&parameters)).await?;
        let answer: Answer = response(&body)?;
        let named = answer.escrow_list.into_iter().filter(|entry| !entry.order_sn.is_empty());
        let released = named.map(|entry| Released {
            order_sn: entry.order_sn,
            released_at: lenient::time(entry.escrow_release_time),
        });
        Ok(ReleasePage { released: released.collect(), more: answer.more })
    }
}
