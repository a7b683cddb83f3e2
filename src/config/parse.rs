//! Texts into values. Pure; a refusal says what is wrong and what to write instead.

use std::net::SocketAddr;
use std::str::FromStr;
use std::time::Duration;

use chrono_tz::Tz;
use url::Url;

use crate::config::ShopeeSignature;
use crate::config::fault::Refusal;
use crate::domain::calendar;
use crate::domain::route::Period;

/// The text a person most likely meant, if one is near.
pub(super) fn nearest<'a>(text: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let limit = if text.len() < 8 { 1 } else { 2 };
    candidates
        .into_iter()
        .map(|candidate| (strsim::damerau_levenshtein(text, candidate), candidate))
        .filter(|(distance, candidate)| (1..=limit).contains(distance) && candidate.len() > 4)
        .min()
        .map(|(_, candidate)| candidate)
}

/// `90s`, `15m`, `1h`, at least one second.
pub(super) fn duration(text: &str) -> Result<Duration, Refusal> {
    match any_duration(text)? {
        short if short < Duration::from_secs(1) => {
            Err(Refusal::new(format!("`{text}` is too short"), "Write at least 1s."))
        }
        duration => Ok(duration),
    }
}

/// As [`duration`], or `500ms`, at least ten milliseconds.
pub(super) fn short_duration(text: &str) -> Result<Duration, Refusal> {
    let duration = match text.strip_suffix("ms") {
        Some(digits) => digits.parse().map(Duration::from_millis).map_err(|_| no_duration(text))?,
        None => any_duration(text)?,
    };
    if duration < Duration::from_millis(10) {
        return Err(Refusal::new(format!("`{text}` is too short"), "Write at least 10ms."));
    }
    Ok(duration)
}

fn any_duration(text: &str) -> Result<Duration, Refusal> {
    let (digits, unit) = text.split_at(text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len()));
    let seconds = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 60 * 60,
        _ => return Err(no_duration(text)),
    };
    let count: u64 = digits.parse().map_err(|_| no_duration(text))?;
    // A year is longer than anything here can mean, and keeps sums with instants from overflowing.
    match count.checked_mul(seconds) {
        Some(total) if total <= 365 * 24 * 60 * 60 => Ok(Duration::from_secs(total)),
        _ => Err(Refusal::new(format!("`{text}` is too long"), "Write at most 8760h.")),
    }
}

fn no_duration(text: &str) -> Refusal {
    Refusal::new(format!("`{text}` is not a duration"), "Write a whole number with s, m or h: 90s, 15m, 1h.")
}

/// A whole number in a range.
pub(super) fn number<T>(text: &str, least: T, most: T) -> Result<T, Refusal>
where
    T: Copy + FromStr + PartialOrd + std::fmt::Display,
{
    match text.parse::<T>() {
        Ok(number) if number >= least && number <= most => Ok(number),
        _ => Err(Refusal::new(
            format!("`{text}` is not a whole number from {least} to {most}"),
            format!("Write a number from {least} to {most}."),
        )),
    }
}

/// A number of bytes: plain, `KiB` or `MiB`; from 1 KiB to 64 MiB.
pub(super) fn bytes(text: &str) -> Result<usize, Refusal> {
    let (digits, factor) = [("KiB", 1024), ("MiB", 1024 * 1024)]
        .into_iter()
        .find_map(|(unit, factor)| Some((text.strip_suffix(unit)?.trim_end(), factor)))
        .unwrap_or((text, 1));
    match digits.parse::<usize>().ok().and_then(|count| count.checked_mul(factor)) {
        Some(bytes) if (1024..=64 * 1024 * 1024).contains(&bytes) => Ok(bytes),
        _ => Err(Refusal::new(
            format!("`{text}` is not a size from 1KiB to 64MiB"),
            "Write bytes, or a number with KiB or MiB: 1MiB.",
        )),
    }
}

/// The items of a list, separated by commas; `none` is the empty list.
pub(super) fn items(text: &str) -> Vec<&str> {
    if text.eq_ignore_ascii_case("none") {
        return Vec::new();
    }
    text.split(',').map(str::trim).filter(|item| !item.is_empty()).collect()
}

/// Shopee's push codes. 0 is the verification probe and no event.
pub(super) fn codes(text: &str) -> Result<Vec<i32>, Refusal> {
    let mut codes = Vec::new();
    for item in items(text) {
        let code = number(item, 1, 9999).map_err(|_| {
            Refusal::new(
                format!("`{item}` is not a push code"),
                "List codes from 1 on, for example 3,4; or write none.",
            )
        })?;
        if !codes.contains(&code) {
            codes.push(code);
        }
    }
    Ok(codes)
}

/// Order statuses as Shopee spells them: upper case with underscores.
pub(super) fn statuses(text: &str) -> Result<Vec<String>, Refusal> {
    let mut statuses = Vec::new();
    for item in items(text) {
        let status = item.to_ascii_uppercase();
        if !status.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'_') {
            return Err(Refusal::new(
                format!("`{item}` is not an order status"),
                "List statuses such as UNPAID,CANCELLED; or write none.",
            ));
        }
        if !statuses.contains(&status) {
            statuses.push(status);
        }
    }
    Ok(statuses)
}

/// What signatures cover; at least one way.
pub(super) fn signatures(text: &str) -> Result<Vec<ShopeeSignature>, Refusal> {
    let mut ways = Vec::new();
    for item in items(text) {
        let way = match item {
            "url_body" => ShopeeSignature::UrlBody,
            "body" => ShopeeSignature::Body,
            _ => {
                return Err(Refusal::new(
                    format!("`{item}` is unknown"),
                    "Write url_body, body, or url_body,body.",
                ));
            }
        };
        if !ways.contains(&way) {
            ways.push(way);
        }
    }
    if ways.is_empty() {
        return Err(Refusal::new("nothing would be accepted", "Write url_body, body, or url_body,body."));
    }
    Ok(ways)
}

/// Addresses and networks.
pub(super) fn networks(text: &str) -> Result<Vec<ipnet::IpNet>, Refusal> {
    let network = |item: &str| {
        let address = item.parse::<std::net::IpAddr>().map(ipnet::IpNet::from);
        item.parse::<ipnet::IpNet>().or(address).map_err(|_| {
            Refusal::new(
                format!("`{item}` is neither an address nor a network"),
                "List addresses and networks such as 10.0.0.0/8,fd00::/8; or write none.",
            )
        })
    };
    items(text).into_iter().map(network).collect()
}

/// An address to listen on.
pub(super) fn socket(text: &str) -> Result<SocketAddr, Refusal> {
    // `localhost` is what people write; resolving names at load time is not this module's business.
    text.replacen("localhost:", "127.0.0.1:", 1).parse().map_err(|_| {
        Refusal::new(
            format!("`{text}` is not an address with a port"),
            "Write for example 127.0.0.1:9000 or [::1]:9000.",
        )
    })
}

/// A time zone by its name.
pub(super) fn timezone(text: &str) -> Result<Tz, Refusal> {
    text.parse().map_err(|_| {
        let hint = nearest(text, chrono_tz::TZ_VARIANTS.iter().map(|zone| zone.name()));
        Refusal::new(
            format!("`{text}` is not a time zone"),
            hint.map_or_else(
                || "Write a name of the IANA database, for example Asia/Singapore.".to_owned(),
                |name| format!("Did you mean {name}?"),
            ),
        )
    })
}

/// The base address of an HTTP API: a host, perhaps with a path, and nothing else.
pub(super) fn base_url(text: &str) -> Result<Url, Refusal> {
    let remedy = "Write scheme and host, for example https://api.example.com.";
    let url = Url::parse(text).map_err(|error| Refusal::new(format!("is not a URL: {error}"), remedy))?;
    if !matches!(url.scheme(), "http" | "https") || url.host().is_none() {
        return Err(Refusal::new("is not an http or https URL", remedy));
    }
    if !url.username().is_empty()
        || url.password().is_some()
        || url.query().is_some()
        || url.fragment().is_some()
    {
        return Err(Refusal::new("carries a user, a query or a fragment", remedy));
    }
    Ok(url)
}

/// A callback URL, unchanged: it is signed byte for byte as it is written.
pub(super) fn callback_url(text: &str) -> Result<String, Refusal> {
    let remedy = "Copy it from the console's Push Mechanism page, for example https://hooks.example.com/webhook/shopee.";
    let url = Url::parse(text).map_err(|error| Refusal::new(format!("is not a URL: {error}"), remedy))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(Refusal::new("is not an http or https URL", remedy));
    }
    Ok(text.to_owned())
}

/// A spreadsheet's id, or the address in the browser that contains it.
pub(super) fn spreadsheet_id(text: &str) -> Result<String, Refusal> {
    let id = text
        .split_once("/spreadsheets/d/")
        .map_or(text, |(_, rest)| rest.split(['/', '?', '#']).next().unwrap_or(rest));
    if id.is_empty() || !id.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_')) {
        return Err(Refusal::new(
            "is not a spreadsheet's id",
            "Copy the part between /spreadsheets/d/ and the next slash from the browser's address.",
        ));
    }
    Ok(id.to_owned())
}

/// Months of the calendar, for example `2026-04`.
pub(super) fn months(text: &str, zone: Tz) -> Result<Vec<Period>, Refusal> {
    let month = |item: &str| {
        calendar::month(item, zone)
            .ok_or_else(|| Refusal::new(format!("`{item}` is not a month"), "Write year and month: 2026-04."))
    };
    items(text).into_iter().map(month).collect()
}

/// A chat's number.
pub(super) fn chat_id(text: &str) -> Result<i64, Refusal> {
    text.parse().ok().filter(|id| *id != 0).ok_or_else(|| {
        Refusal::new(
            format!("`{text}` is not a chat's number"),
            "Write the number, not a name or a link; a supergroup's begins with -100.",
        )
    })
}

/// `true` or `false`.
pub(super) fn boolean(text: &str) -> Result<bool, Refusal> {
    match text.to_ascii_lowercase().as_str() {
        "true" | "yes" | "1" => Ok(true),
        "false" | "no" | "0" => Ok(false),
        _ => Err(Refusal::new(format!("`{text}` is unknown"), "Write true or false.")),
    }
}

/// One of two words; whether it is the second.
pub(super) fn one_of(text: &str, first: &str, second: &str) -> Result<bool, Refusal> {
    match text {
        _ if text.eq_ignore_ascii_case(first) => Ok(false),
        _ if text.eq_ignore_ascii_case(second) => Ok(true),
        _ => Err(Refusal::new(format!("`{text}` is unknown"), format!("Write {first} or {second}."))),
    }
}

/// `json` or not.
pub(super) fn log_json(text: &str) -> Result<bool, Refusal> {
    match text {
        "json" => Ok(true),
        "pretty" => Ok(false),
        _ => Err(Refusal::new(format!("`{text}` is unknown"), "Write pretty or json.")),
    }
}

/// A filter that tracing understands.
pub(super) fn log_filter(text: &str) -> Result<String, Refusal> {
    tracing_subscriber::EnvFilter::try_new(text).map(|_| text.to_owned()).map_err(|error| {
        Refusal::new(
            format!("`{text}` is not a filter: {error}"),
            "Write a level, or a list such as info,pushbox=debug.",
        )
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn durations() {
        for (text, seconds) in [("1s", 1), ("90s", 90), ("15m", 900), ("1h", 3600), ("8760h", 31_536_000)] {
            assert_eq!(duration(text), Ok(Duration::from_secs(seconds)), "{text}");
        }
        for text in [
            "",
            "0s",
            "15",
            "1.5h",
            "1h30m",
            "-1s",
            "1 s",
            "s",
            "1d",
            "500ms",
            "8761h",
            "99999999999999999999s",
        ] {
            assert!(duration(text).is_err(), "{text}");
        }
        assert_eq!(short_duration("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(short_duration("2s"), Ok(Duration::from_secs(2)));
        assert!(short_duration("9ms").is_err());
        assert!(short_duration("ms").is_err());
    }

    #[test]
    fn sizes() {
        assert_eq!(bytes("1MiB"), Ok(1 << 20));
        assert_eq!(bytes("512 KiB"), Ok(512 * 1024));
        assert_eq!(bytes("2048"), Ok(2048));
        for text in ["", "1", "1MB", "65MiB", "-1KiB", "99999999999999999999MiB"] {
            assert!(bytes(text).is_err(), "{text}");
        }
    }

    #[test]
    fn lists() {
        assert_eq!(codes(" 3, 4,3,"), Ok(vec![3, 4]));
        assert_eq!(codes("none"), Ok(vec![]));
        assert!(codes("0").is_err());
        assert!(codes("3;4").is_err());
        assert_eq!(statuses("unpaid, IN_CANCEL"), Ok(vec!["UNPAID".to_owned(), "IN_CANCEL".to_owned()]));
        assert!(statuses("READY TO SHIP").is_err());
        assert_eq!(signatures("body,url_body"), Ok(vec![ShopeeSignature::Body, ShopeeSignature::UrlBody]));
        assert!(signatures("none").is_err());
    }

    #[test]
    fn addresses() {
        assert_eq!(
            socket("localhost:9000").map(|address| address.to_string()).as_deref(),
            Ok("127.0.0.1:9000")
        );
        assert!(socket("9000").is_err());
        assert!(base_url("https://partner.shopeemobile.com").is_ok());
        for text in ["partner.shopeemobile.com", "ftp://x", "https://user@host", "https://host/?a=b"] {
            assert!(base_url(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_callback_url_stays_as_written() {
        for text in ["HTTPS://Hooks.Example.com:443/webhook/shopee", "https://h.example/a/../b?x=%2f"] {
            assert_eq!(callback_url(text).as_deref(), Ok(text));
        }
        assert!(callback_url("hooks.example.com/webhook/shopee").is_err());
    }

    #[test]
    fn a_spreadsheet_may_be_its_address() {
        let address = "https://docs.google.com/spreadsheets/d/1AbC-d_E/edit?gid=0#gid=0";
        assert_eq!(spreadsheet_id(address).as_deref(), Ok("1AbC-d_E"));
        assert_eq!(spreadsheet_id("1AbC-d_E").as_deref(), Ok("1AbC-d_E"));
        assert!(spreadsheet_id("My orders").is_err());
    }

    #[test]
    fn misspellings_are_recognised() {
        assert_eq!(timezone("Asia/Singapor").unwrap_err().remedy, "Did you mean Asia/Singapore?");
        assert_eq!(nearest("SHOPEE_APIURL", ["LISTEN", "SHOPEE_API_URL"]), Some("SHOPEE_API_URL"));
        assert_eq!(nearest("PATH", ["LEASE"]), None);
    }

    proptest! {
        #[test]
        fn a_duration_reads_as_what_it_says(count in 1_u64..=8760, unit in prop_oneof![Just(("s", 1)), Just(("m", 60)), Just(("h", 3600))]) {
            prop_assert_eq!(duration(&format!("{count}{}", unit.0)), Ok(Duration::from_secs(count * unit.1)));
        }

        #[test]
        fn no_text_makes_a_parser_panic(text in "\\PC{0,12}") {
            let _ = (duration(&text), short_duration(&text), bytes(&text), codes(&text), statuses(&text));
            let _ = (signatures(&text), socket(&text), timezone(&text), base_url(&text), spreadsheet_id(&text));
        }

        #[test]
        fn a_list_is_read_whatever_the_spaces(list in proptest::collection::hash_set(1_i32..=9999, 0..8), gap in " {0,3}") {
            let written: Vec<_> = list.iter().map(|code| format!("{gap}{code}{gap}")).collect();
            let read = codes(&written.join(",")).expect("codes in range");
            prop_assert_eq!(read, list.into_iter().collect::<Vec<_>>());
        }
    }
}
