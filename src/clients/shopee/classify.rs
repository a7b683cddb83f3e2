//! What an answer that is not a success means: one table.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

use crate::clients::error::{ClientError, Concern, Outcome, RateScope};

/// Provider texts longer than this say nothing more.
const MESSAGE_LIMIT: usize = 300;

const AUTHORIZE: &str = "the seller has to authorize the shop again: pushbox shopee authorize";
const APP_STATUS: &str =
    "look at PARTNER_ID and at the app's status and API permissions in the Shopee console";

/// What `error` and `message` of an answer mean. `status` decides only where the code is unknown: Shopee
/// reports most failures with 200. The same code means different things (`error_auth`), so the message
/// counts too. A code we do not know is taken for a passing trouble; the job's attempts bound it.
pub fn classify(status: u16, code: &str, message: &str) -> ClientError {
    let text = message.to_lowercase();
    let message: String = message.chars().filter(|c| !c.is_control()).take(MESSAGE_LIMIT).collect();
    let said = || if message.is_empty() { code.to_owned() } else { format!("{code}: {message}") };
    let full_code = code.to_lowercase();
    let code = full_code.rsplit('.').next().unwrap_or_default();

    if full_code.contains("rate_limit")
        || full_code.contains("too_many_request")
        || full_code == "logistics.error_limit"
    {
        return ClientError::RateLimited { retry_after: None, scope: RateScope::Burst };
    }
    if let Some((concern, remedy)) = for_a_person(code, &text) {
        return ClientError::configuration(concern, said(), remedy);
    }
    match code {
        "error_limit" => ClientError::RateLimited { retry_after: None, scope: RateScope::Daily },
        "error_auth" => auth(&text, said()),
        "invalid_acceess_token" | "invalid_access_token" => ClientError::Unauthorized { message: said() },
        "error_param" if text.contains("access_token") => ClientError::Unauthorized { message: said() },
        "error_not_found" | "order_not_found" | "invalid_error" | "package_not_exist" => {
            ClientError::NotFound { message: said() }
        }
        "error_data" if text.contains("not exist") => ClientError::NotFound { message: said() },
        "error_param"
        | "error_permission"
        | "invalid_code"
        | "invalid_shop_id"
        | "invalid_main_acount_id"
        | "invalid_main_account_id"
        | "order_list_invalid_time" => ClientError::Rejected { code: code.to_owned(), message },
        "error_system_busy" => ClientError::Unavailable { message: said(), outcome: Outcome::NotSent },
        "" => by_status(status),
        _ if status == 429 => by_status(status),
        _ => ClientError::Unavailable { message: said(), outcome: Outcome::Unknown },
    }
}

/// The codes that only a person can put right, with what there is to do.
fn for_a_person(code: &str, text: &str) -> Option<(Concern, &'static str)> {
    let found = match code {
        "refresh_token_expired"
        | "shop_access_expired"
        | "merchant_access_expired"
        | "supplier_access_expired"
        | "shop_no_linked"
        | "merchant_no_linked"
        | "supplier_no_linked"
        | "partner_shop_no_link"
        | "error_shop_refresh_token"
        | "error_merchant_refresh_token" => (Concern::Authorization, AUTHORIZE),
        "shop_banned" | "error_kyc_auth" => {
            (Concern::Account, "the shop has to settle this with Shopee; its work waits")
        }
        "error_sign" => (Concern::App, "check PARTNER_KEY: the API key of this app, not the push key"),
        "invalid_partner_id" => {
            (Concern::App, "check PARTNER_ID and SHOPEE_API_URL: live and test apps have different hosts")
        }
        "error_partner_key_expired" => {
            (Concern::App, "make a new API key in the Shopee console and set PARTNER_KEY")
        }
        "source_ip_undeclared" => {
            (Concern::App, "declare this server's address in the app's IP whitelist in the Shopee console")
        }
        "partner_frozen"
        | "error_api_call_restricted"
        | "error_api_permission"
        | "error_ashop_api_permission"
        | "api_suspended" => (Concern::App, APP_STATUS),
        "error_param" if text.contains("timestamp") => {
            (Concern::App, "set this machine's clock right (NTP); Shopee accepts five minutes of difference")
        }
        _ => return None,
    };
    Some(found)
}

/// `error_auth` has many meanings; only its message tells them apart. `text` is the message in lower case.
fn auth(text: &str, message: String) -> ClientError {
    let says = |words: &str| text.contains(words);
    if says("try again later") || says("system error") {
        ClientError::Unavailable { message, outcome: Outcome::Unknown }
    } else if says("refresh_token") {
        ClientError::configuration(Concern::Authorization, message, AUTHORIZE)
    } else if says("invalid code") {
        ClientError::Rejected { code: "error_auth".to_owned(), message }
    } else if says("access_token") || says("shopid") || says("shop_id") {
        ClientError::Unauthorized { message }
    } else if says("partner") || says("permission") || says("deleted") || says("restricted") {
        ClientError::configuration(Concern::App, message, APP_STATUS)
    } else {
        ClientError::Unauthorized { message }
    }
}

/// What a status means where the body says nothing: answers of the edge, not of the API.
pub fn by_status(status: u16) -> ClientError {
    let message = format!("HTTP {status} without Shopee's JSON");
    match status {
        429 => ClientError::RateLimited { retry_after: None, scope: RateScope::Burst },
        300..=399 | 404 | 405 => ClientError::Rejected {
            code: format!("http_{status}"),
            message: "no such API at this address".to_owned(),
        },
        401 | 403 => ClientError::configuration(
            Concern::App,
            message,
            "check SHOPEE_API_URL and the IP whitelist of the app in the Shopee console",
        ),
        400..=499 => ClientError::Rejected { code: format!("http_{status}"), message },
        _ => ClientError::Unavailable { message, outcome: Outcome::Unknown },
    }
}

/// Whether a [`ClientError::Rejected`] with this code says that there is no such API at the address.
pub fn is_no_api(code: &str) -> bool {
    code.strip_prefix("http_")
        .is_some_and(|status| status.starts_with('3') || matches!(status, "404" | "405"))
}

/// How long the day's quota stays used up: until midnight at UTC+8.
pub fn until_quota_reset(now: DateTime<Utc>) -> Duration {
    const DAY: i64 = 24 * 3600;
    let into_day = (now + TimeDelta::hours(8)).timestamp().rem_euclid(DAY);
    Duration::from_secs(u64::try_from(DAY - into_day).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The class in one word, to keep the table readable.
    fn class(error: &ClientError) -> &'static str {
        match error {
            ClientError::Unauthorized { .. } => "token",
            ClientError::RateLimited { scope: RateScope::Burst, .. } => "burst",
            ClientError::RateLimited { scope: RateScope::Daily, .. } => "daily",
            ClientError::Rejected { .. } => "rejected",
            ClientError::NotFound { .. } => "missing",
            ClientError::Configuration { concern: Concern::Authorization, .. } => "authorize",
            ClientError::Configuration { concern: Concern::Account, .. } => "account",
            ClientError::Configuration { concern: Concern::App, .. } => "app",
            ClientError::Unavailable { .. } => "later",
            ClientError::NotAsked { .. } => "not_asked",
            ClientError::Malformed { .. } => "malformed",
        }
    }

    #[test]
    fn every_documented_failure_has_its_class() {
        for (status, code, message, expected) in [
            (200, "error_server", "Something wrong", "later"),
            (200, "error_network", "Inner http call failed", "later"),
            (200, "error_inner", "", "later"),
            (200, "error_system_busy", "", "later"),
            (200, "common.error_server", "", "later"),
            (200, "error_auth", "System error, please try again later.", "later"),
            (200, "a_code_of_tomorrow", "", "later"),
            (200, "error_rate_limit", "Too many requests", "burst"),
            (200, "ads.rate_limit.exceed_shop", "", "burst"),
            (200, "error_too_many_request", "", "burst"),
            (200, "logistics.error_limit", "", "burst"),
            (429, "a_code_of_tomorrow", "", "burst"),
            (200, "error_limit", "", "daily"),
            (200, "error_auth", "Invalid access_token.", "token"),
            (403, "error_auth", "Invalid access_token.", "token"),
            (200, "error_auth", "Invalid partner_id or shopid.", "token"),
            (200, "invalid_acceess_token", "Invalid access_token.", "token"),
            (200, "common.invalid_access_token", "", "token"),
            (200, "error_param", "There is no access_token in query.", "token"),
            (200, "error_auth", "Invalid refresh_token.", "authorize"),
            (200, "refresh_token_expired", "", "authorize"),
            (200, "shop_access_expired", "", "authorize"),
            (200, "shop_no_linked", "", "authorize"),
            (200, "partner_shop_no_link", "", "authorize"),
            (200, "error_shop_refresh_token", "", "authorize"),
            (200, "shop_banned", "", "account"),
            (200, "error_kyc_auth", "", "account"),
            (200, "partner_frozen", "", "app"),
            (200, "error_api_call_restricted", "", "app"),
            (200, "error_partner_key_expired", "", "app"),
            (200, "source_ip_undeclared", "", "app"),
            (200, "error_api_permission", "", "app"),
            (200, "error_ashop_api_permission", "", "app"),
            (200, "api_suspended", "", "app"),
            (403, "error_sign", "Wrong sign.", "app"),
            (200, "invalid_partner_id", "", "app"),
            (200, "error_auth", "Invalid partner_id.", "app"),
            (200, "error_auth", "Your app has no permission to the API.", "app"),
            (200, "error_param", "Timestamp is expired.", "app"),
            (200, "error_param", "Missing order_sn.", "rejected"),
            (200, "error_permission", "", "rejected"),
            (200, "error_auth", "Invalid code", "rejected"),
            (200, "invalid_code", "", "rejected"),
            (200, "order.order_list_invalid_time", "", "rejected"),
            (200, "error_not_found", "the order is not found", "missing"),
            (200, "common.error_not_found", "", "missing"),
            (200, "order_not_found", "", "missing"),
            (200, "logistics.invalid_error", "", "missing"),
            (200, "logistics.package_not_exist", "", "missing"),
            (200, "error_data", "data not exist", "missing"),
        ] {
            assert_eq!(class(&classify(status, code, message)), expected, "{status} {code} {message}");
        }
    }

    #[test]
    fn answers_of_the_edge_go_by_status() {
        for (status, expected) in [
            (500, "later"),
            (502, "later"),
            (429, "burst"),
            (403, "app"),
            (404, "rejected"),
            (302, "rejected"),
        ] {
            assert_eq!(class(&by_status(status)), expected, "{status}");
        }
    }

    #[test]
    fn the_quota_returns_at_midnight_in_singapore() {
        let at = |text: &str| text.parse::<DateTime<Utc>>().unwrap();
        assert_eq!(until_quota_reset(at("2026-11-21T15:59:00Z")), Duration::from_mins(1));
        assert_eq!(until_quota_reset(at("2026-11-21T16:00:00Z")), Duration::from_hours(24));
    }
}
