//! The app's push settings and its queue of lost pushes. These are calls of the app, without a shop's token.

use chrono::{DateTime, Utc};
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::clients::error::ClientError;
use crate::clients::shopee::{Ask, ShopeeClient, lenient, response};

const GET_LOST: &str = "/api/v2/push/get_lost_push_message";
const CONFIRM_LOST: &str = "/api/v2/push/confirm_consumed_lost_push_message";
const SET_CONFIG: &str = "/api/v2/push/set_app_push_config";
const GET_CONFIG: &str = "/api/v2/push/get_app_push_config";

/// The oldest pushes of the last three days that Shopee could not deliver and nobody has confirmed; up to 100.
#[derive(Debug, Clone)]
pub struct LostPage {
    /// The pushes, oldest first.
    pub pushes: Vec<LostPush>,
    /// Whether there is more behind this page, to be had only by confirming it.
    pub has_next_page: bool,
    /// Confirms the whole page; none where the page is empty.
    pub last_message_id: Option<i64>,
}

/// A push that Shopee gave up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LostPush {
    /// When it was given up, not when it happened.
    pub lost_at: Option<DateTime<Utc>>,
    /// The whole original push, as text; in an entry that we cannot read, the entry itself.
    pub envelope: String,
}

/// How Shopee delivers the app's pushes.
#[derive(Debug, Clone, Deserialize)]
pub struct PushConfig {
    /// Where pushes go.
    #[serde(default, deserialize_with = "lenient::text")]
    pub callback_url: String,
    /// `Normal`, `Warning` or `Suspended`, in any case.
    #[serde(default, deserialize_with = "lenient::text")]
    pub live_push_status: String,
    /// Since when it is suspended, Unix seconds; none or 0 if it is not.
    #[serde(default, deserialize_with = "lenient::int")]
    pub suspended_time: Option<i64>,
    /// Codes that are delivered.
    #[serde(default, deserialize_with = "lenient::or_default")]
    pub push_config_on_list: Vec<i64>,
    /// Codes that are not.
    #[serde(default, deserialize_with = "lenient::or_default")]
    pub push_config_off_list: Vec<i64>,
    /// Shops whose pushes are not delivered.
    #[serde(default, rename = "blocked_shop_id", deserialize_with = "lenient::or_default")]
    pub blocked_shop_ids: Vec<i64>,
}

impl PushConfig {
    /// Whether Shopee has warned that too many pushes fail.
    pub fn is_warned(&self) -> bool {
        self.live_push_status.eq_ignore_ascii_case("warning")
    }

    /// Whether Shopee has stopped delivering.
    pub fn is_suspended(&self) -> bool {
        self.live_push_status.eq_ignore_ascii_case("suspended")
    }

    /// What is different after a change, a line each; empty: nothing.
    pub fn difference(&self, change: &PushChange) -> Vec<String> {
        let mut lines = Vec::new();
        if let Some(url) = change.callback_url.as_ref().filter(|url| **url != self.callback_url) {
            lines.push(format!("callback URL  {} -> {url}", self.callback_url));
        }
        let on = |code: &i64| self.push_config_on_list.contains(code);
        lines.extend(change.on.iter().filter(|code| !on(code)).map(|code| format!("code {code}  off -> on")));
        lines.extend(change.off.iter().filter(|code| on(code)).map(|code| format!("code {code}  on -> off")));
        if let Some(shops) = &change.blocked_shop_ids {
            let blocked = |shop: &i64| self.blocked_shop_ids.contains(shop);
            let more = shops.iter().filter(|shop| !blocked(shop));
            lines.extend(more.map(|shop| format!("shop {shop}  delivered -> blocked")));
            let fewer = self.blocked_shop_ids.iter().filter(|shop| !shops.contains(shop));
            lines.extend(fewer.map(|shop| format!("shop {shop}  blocked -> delivered")));
        }
        lines
    }
}

impl ShopeeClient {
    /// The first page of the lost queue. The only way to the next is to store everything of this one and then
    /// [confirm](Self::confirm_lost) it.
    pub async fn lost_pushes(&self) -> Result<LostPage, ClientError> {
        #[derive(Deserialize)]
        struct Answer {
            #[serde(default, deserialize_with = "lenient::or_default")]
            push_message_list: Vec<Box<RawValue>>,
            #[serde(default, deserialize_with = "lenient::flag")]
            has_next_page: bool,
            #[serde(default, deserialize_with = "lenient::int")]
            last_message_id: Option<i64>,
        }
        let body = self.call(GET_LOST, None, Ask::Get(&[])).await?;
        let page: Answer = response(&body)?;
        let last_message_id = page.last_message_id.filter(|_| !page.push_message_list.is_empty());
        if last_message_id.is_none() && !page.push_message_list.is_empty() {
            return Err(ClientError::malformed("lost pushes without last_message_id", &body));
        }
        Ok(LostPage {
            pushes: page.push_message_list.iter().map(|raw| lost_push(raw)).collect(),
            has_next_page: page.has_next_page,
            last_message_id,
        })
    }

    /// Tells Shopee that a page is safely ours; it will never be shown again. `last_message_id` is the page's.
    pub async fn confirm_lost(&self, last_message_id: i64) -> Result<(), ClientError> {
        let ask = Ask::Post(serde_json::json!({ "last_message_id": last_message_id }));
        self.call(CONFIRM_LOST, None, ask).await.map(|_| ())
    }

    /// The app's push settings and whether its pushes are delivered.
    pub async fn push_config(&self) -> Result<PushConfig, ClientError> {
        response(&self.call(GET_CONFIG, None, Ask::Get(&[])).await?)
    }
}

impl ShopeeClient {
    /// Changes the app's push settings; what is left out stays. A new callback URL is probed by Shopee before it
    /// is saved. Only codes up to 13 are known to be switchable here; the others are in the console.
    pub async fn set_push_config(&self, change: &PushChange) -> Result<(), ClientError> {
        let body = serde_json::to_value(change)
            .map_err(|error| ClientError::malformed(error.to_string(), b"a change of the push settings"))?;
        self.call(SET_CONFIG, None, Ask::Post(body)).await.map(|_| ())
    }
}

/// What is to be different about the app's push settings; what is none or empty stays as it is.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize)]
pub struct PushChange {
    /// Where pushes go.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub callback_url: Option<String>,
    /// Codes to deliver.
    #[serde(rename = "set_push_config_on", skip_serializing_if = "Vec::is_empty")]
    pub on: Vec<i64>,
    /// Codes not to deliver.
    #[serde(rename = "set_push_config_off", skip_serializing_if = "Vec::is_empty")]
    pub off: Vec<i64>,
    /// Shops whose pushes are not delivered, all of them; at most 500.
    #[serde(rename = "blocked_shop_id_list", skip_serializing_if = "Option::is_none")]
    pub blocked_shop_ids: Option<Vec<i64>>,
}

/// `data` is the original push as JSON text; should it come as an object, its text is as good.
fn lost_push(raw: &RawValue) -> LostPush {
    #[derive(Deserialize)]
    struct Entry {
        #[serde(default, deserialize_with = "lenient::int")]
        timestamp: Option<i64>,
        data: Box<RawValue>,
    }
    match serde_json::from_str::<Entry>(raw.get()) {
        Ok(entry) => LostPush {
            lost_at: lenient::time(entry.timestamp),
            envelope: serde_json::from_str(entry.data.get()).unwrap_or_else(|_| entry.data.get().to_owned()),
        },
        Err(_) => LostPush { lost_at: None, envelope: raw.get().to_owned() },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> LostPush {
        lost_push(&RawValue::from_string(json.to_owned()).unwrap())
    }

    #[test]
    fn only_what_changes_is_shown() {
        let before: PushConfig = serde_json::from_str(
            r#"{"callback_url": "https://a", "push_config_on_list": [3, 4], "blocked_shop_id": [7]}"#,
        )
        .unwrap();
        let change = PushChange {
            callback_url: Some("https://b".into()),
            on: vec![3, 5],
            off: vec![4, 9],
            blocked_shop_ids: Some(vec![8]),
        };
        let expected = [
            "callback URL  https://a -> https://b",
            "code 5  off -> on",
            "code 4  on -> off",
            "shop 8  delivered -> blocked",
            "shop 7  blocked -> delivered",
        ];
        assert_eq!(before.difference(&change), expected);
        let same =
            PushChange { callback_url: Some("https://a".into()), on: vec![3], ..PushChange::default() };
        assert_eq!(before.difference(&same), Vec::<String>::new());
    }

    #[test]
    fn a_lost_push_is_the_text_inside() {
        let push = read(r#"{"shop_id": 1, "code": 3, "timestamp": 1790012345, "data": "{\"code\":3}"}"#);
        assert_eq!(push.envelope, r#"{"code":3}"#);
        assert_eq!(push.lost_at.unwrap().timestamp(), 1_790_012_345);
    }

    #[test]
    fn nothing_in_the_queue_is_dropped_for_its_shape() {
        assert_eq!(read(r#"{"data": {"code":3}}"#).envelope, r#"{"code":3}"#);
        assert_eq!(read(r#"{"strange": true}"#).envelope, r#"{"strange": true}"#);
    }
}
