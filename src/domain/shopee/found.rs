//! A change of status that no push told of, in the words of the push that did not come. So it goes through the
//! same rules, has the same key, and a push that comes late after all is known already.

use chrono::{DateTime, Utc};
use serde_json::json;

use super::codes::ORDER_STATUS;

/// The push of code 3 that tells of this status at this instant of the order's clock.
pub fn status_push(shop_id: i64, order_sn: &str, status: &str, update_time: DateTime<Utc>) -> String {
    let at = update_time.timestamp();
    json!({
        "code": ORDER_STATUS, "shop_id": shop_id, "timestamp": at,
        "data": {"ordersn": order_sn, "status": status, "completed_scenario": "", "update_time": at},
    })
    .to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::shopee::{ShopeeBody, read};

    #[test]
    fn it_has_the_key_of_the_push_that_did_not_come() {
        let at = DateTime::from_timestamp(1_790_000_000, 0).unwrap();
        let found = status_push(10_000_001, "2609150ABCDEF1", "COMPLETED", at);
        let live = r#"{"msg_id":"0123","data":{"completed_scenario":"NORMAL","items":[],"ordersn":"2609150ABCDEF1",
            "status":"COMPLETED","update_time":1790000000},"shop_id":10000001,"code":3,"timestamp":1790000001}"#;
        let [ShopeeBody::Push(found), ShopeeBody::Push(live)] =
            [read(found.as_bytes()), read(live.as_bytes())]
        else {
            panic!("a probe")
        };
        assert_eq!(found.key, live.key);
        assert_eq!((found.order, found.occurred_at), (live.order, Some(at)));
    }
}
