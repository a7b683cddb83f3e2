//! Pushes: the configuration, the probe of a callback, the lost queue.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::{Value, json};

use super::access::hmac_hex;
use super::{Answer, Call, Outcome, Refusal};
use crate::simulator::shared::{Shared, Tx};
use crate::simulator::state::shopee::ShopeeChange;

/// Where the configuration is set.
pub(super) const SET_CONFIG: &str = "/api/v2/push/set_app_push_config";

/// How long the platform waits for the answer to a push.
pub const PUSH_TIMEOUT: Duration = Duration::from_secs(3);

/// Lost pushes of one page.
const LOST_PAGE: usize = 100;
/// Seconds that a lost push is kept.
const LOST_SECONDS: i64 = 3 * 86_400;
/// The codes that this API can switch.
const SWITCHABLE: std::ops::RangeInclusive<i64> = 1..=13;

/// The signature of a push: the push key over the callback URL, a bar and the body as sent; lower-case
/// hexadecimal digits, sent bare in `Authorization`.
pub fn sign_push(push_key: &str, callback_url: &str, body: &[u8]) -> String {
    let mut message = Vec::with_capacity(callback_url.len() + 1 + body.len());
    message.extend_from_slice(callback_url.as_bytes());
    message.push(b'|');
    message.extend_from_slice(body);
    hmac_hex(push_key, &message)
}

/// The body of the push that tests a callback URL.
pub const PROBE_BODY: &str = concat!(
    r#"{"code":0,"data":{"verify_info":"This is a Verification message."#,
    r#" Please respond in the certain format."}}"#
);

/// Sends the probe to a callback URL, as the platform does before it saves one.
pub(super) async fn verify_callback(shared: &Shared, partner_id: i64, url: &Value) -> Result<(), Refusal> {
    let url = url.as_str().filter(|url| url.starts_with("http"));
    let url = url.ok_or_else(|| Refusal::param("invalid callback_url"))?;
    let key = shared.read(|world| world.shopee.apps.get(&partner_id).map(|app| app.push_key.clone()));
    let signature = sign_push(&key.unwrap_or_default(), url, PROBE_BODY.as_bytes());
    let client = reqwest::Client::builder()
        .timeout(PUSH_TIMEOUT)
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .build()
        .map_err(|error| Refusal::new("error_server", error.to_string()))?;
    let answer = client
        .post(url)
        .header("authorization", signature)
        .header("content-type", "application/json")
        .body(PROBE_BODY)
        .send()
        .await;
    match answer {
        Ok(answer) if answer.status().is_success() => Ok(()),
        Ok(_) => Err(Refusal::param("The callback_url did not answer the test push with a 2xx status.")),
        Err(_) => Err(Refusal::param("The callback_url did not answer the test push within 3 seconds.")),
    }
}

/// `POST /api/v2/push/set_app_push_config`; the callback was probed before.
pub(super) fn set_config(call: &Call, tx: &mut Tx<'_>) -> Outcome {
    let codes = |name: &str| -> Result<Vec<i32>, Refusal> {
        let list = call.body[name].as_array().map(Vec::as_slice).unwrap_or_default();
        let code = |one: &Value| one.as_i64().filter(|code| SWITCHABLE.contains(code));
        let code = |one| code(one).and_then(|code| i32::try_from(code).ok());
        let codes: Option<Vec<i32>> = list.iter().map(code).collect();
        codes.ok_or_else(|| Refusal::param(format!("Invalid parameter: {name}.")))
    };
    let callback_url = call.body["callback_url"].as_str().map(str::to_owned);
    let configured = tx.shopee.apps.get(&call.partner_id).is_some_and(|app| !app.callback_url.is_empty());
    if callback_url.is_none() && !configured {
        return Err(Refusal::param("callback_url is empty"));
    }
    let blocked = call.body["blocked_shop_id_list"].as_array();
    let blocked_shops: Option<BTreeSet<i64>> =
        blocked.map(|list| list.iter().filter_map(Value::as_i64).collect());
    if blocked_shops.as_ref().is_some_and(|shops| shops.len() > 500) {
        return Err(Refusal::param("Invalid parameter: blocked_shop_id_list takes at most 500 shops."));
    }
    let change = ShopeeChange::PushConfigured {
        partner_id: call.partner_id,
        callback_url,
        on: codes("set_push_config_on")?,
        off: codes("set_push_config_off")?,
        blocked_shops,
    };
    tx.record(change);
    Ok(Answer::Wrapped(json!({"result": "success"})))
}

/// `GET /api/v2/push/get_app_push_config`
pub(super) fn config(call: &Call, tx: &mut Tx<'_>) -> Outcome {
    let app = tx.shopee.apps.get(&call.partner_id);
    let app = app.ok_or_else(|| Refusal::new("error_data", "data not exist"))?;
    let off: Vec<i32> = (1..=13).filter(|code| !app.push_on.contains(code)).collect();
    Ok(Answer::Wrapped(json!({
        "callback_url": app.callback_url,
        "live_push_status": app.live_push_status,
        "blocked_shop_id": app.blocked_shops,
        "push_config_on_list": app.push_on,
        "push_config_off_list": off,
    })))
}

/// `GET /api/v2/push/get_lost_push_message`: the earliest of the last 3 days.
#[expect(clippy::unnecessary_wraps, reason = "all handlers have one shape")]
pub(super) fn lost(call: &Call, tx: &mut Tx<'_>) -> Outcome {
    let oldest = tx.now() - LOST_SECONDS;
    let mut waiting =
        tx.shopee.lost.iter().filter(|lost| lost.partner_id == call.partner_id && lost.lost_at >= oldest);
    let page: Vec<_> = waiting.by_ref().take(LOST_PAGE).collect();
    let more = waiting.next().is_some();
    let list: Vec<Value> = page
        .iter()
        .map(|lost| {
            let mut entry = json!({"code": lost.code, "timestamp": lost.lost_at, "data": lost.body});
            if let Some(shop_id) = lost.shop_id {
                entry["shop_id"] = shop_id.into();
            }
            entry
        })
        .collect();
    let watermark = page.last().map_or(0, |lost| lost.id);
    Ok(Answer::Wrapped(
        json!({"push_message_list": list, "has_next_page": more, "last_message_id": watermark}),
    ))
}

/// `POST /api/v2/push/confirm_consumed_lost_push_message`: everything up to that id.
pub(super) fn confirm(call: &Call, tx: &mut Tx<'_>) -> Outcome {
    let last = call.body["last_message_id"].as_i64();
    let last_message_id =
        last.ok_or_else(|| Refusal::param("Missing required parameter: last_message_id."))?;
    // A page confirmed twice is fine; one that was never handed out is not.
    let known = (1..=tx.shopee.last_lost_id).contains(&last_message_id);
    if !known {
        return Err(Refusal::new("error_data", "data not exist"));
    }
    tx.record(ShopeeChange::LostConfirmed { partner_id: call.partner_id, last_message_id });
    Ok(Answer::Flat(serde_json::Map::new()))
}
