//! Which shops have authorized the app, and until when. A call of the app, without a shop's token.

use std::borrow::Cow;

use chrono::{DateTime, Utc};
use serde::Deserialize;

use crate::clients::error::ClientError;
use crate::clients::shopee::{Ask, ShopeeClient, flat, lenient};

const BY_PARTNER: &str = "/api/v2/public/get_shops_by_partner";
const NETWORKS: &str = "/api/v2/public/get_shopee_ip_ranges";

/// One page of the list of authorized shops.
#[derive(Debug, Clone)]
pub struct ShopPage {
    /// The shops.
    pub shops: Vec<AuthorizedShop>,
    /// Whether another page follows.
    pub more: bool,
}

/// A shop that has authorized the app.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuthorizedShop {
    /// The shop.
    pub shop_id: i64,
    /// Its market.
    pub region: Option<String>,
    /// Since when it is authorized.
    pub authorized_at: Option<DateTime<Utc>>,
    /// Until when.
    pub expires_at: Option<DateTime<Utc>>,
}

impl ShopeeClient {
    /// The networks that Shopee pushes from, of the environment that is asked: as CIDR, in its order.
    pub async fn networks(&self) -> Result<Vec<String>, ClientError> {
        #[derive(Deserialize)]
        struct Answer {
            #[serde(default, deserialize_with = "lenient::or_default")]
            ip_list: Vec<String>,
        }
        let answer: Answer = flat(&self.call(NETWORKS, None, Ask::Get(&[])).await?)?;
        Ok(answer.ip_list)
    }

    /// A page of the shops that have authorized the app; `page` counts from 1, of at most 100 shops.
    pub async fn authorized_shops(&self, page: u32) -> Result<ShopPage, ClientError> {
        #[derive(Deserialize)]
        struct Answer {
            #[serde(default, deserialize_with = "lenient::or_default")]
            authed_shop_list: Vec<Entry>,
            #[serde(default, deserialize_with = "lenient::flag")]
            more: bool,
        }
        #[derive(Deserialize)]
        struct Entry {
            shop_id: i64,
            #[serde(default, deserialize_with = "lenient::text")]
            region: String,
            #[serde(default, deserialize_with = "lenient::int")]
            auth_time: Option<i64>,
            #[serde(default, deserialize_with = "lenient::int")]
            expire_time: Option<i64>,
        }
        let parameters = [("page_no", Cow::Owned(page.to_string())), ("page_size", Cow::Borrowed("100"))];
        let answer: Answer = flat(&self.call(BY_PARTNER, None, Ask::Get(&parameters)).await?)?;
        let shops = answer.authed_shop_list.into_iter().map(|entry| AuthorizedShop {
            shop_id: entry.shop_id,
            region: Some(entry.region).filter(|region| !region.is_empty()),
            authorized_at: lenient::time(entry.auth_time),
            expires_at: lenient::time(entry.expire_time),
        });
        Ok(ShopPage { shops: shops.collect(), more: answer.more })
    }
}
