//! Holds down those who send proofs that do not match. Every push is verified first, so that a valid one is
//! never held down, whoever shares its address; what is saved is the work of explaining, and the log.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::{Mutex, PoisonError};

use axum::http::HeaderMap;
use chrono::{DateTime, Utc};
use ipnet::IpNet;

/// Addresses that are told apart; what comes on top shares one budget.
const ADDRESSES: usize = 10_000;
/// Refusals that are looked into and get a line of their own in the log, per minute and over all addresses.
const LINES: u32 = 30;
/// Of these, those of one address: who only guesses cannot use up what others are explained with.
const LINES_OF_ONE: u32 = 10;

/// What to do about a proof that did not match.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Refuse it, and say why in the log; so many refusals before it got no line.
    Explain {
        /// How many.
        untold: u64,
    },
    /// Refuse it.
    Refuse,
    /// Refuse it as one of too many.
    TooMany,
}

/// Counts failed proofs by address.
#[derive(Debug)]
pub struct Throttle {
    per_minute: u32,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    budgets: HashMap<IpAddr, OfAddress>,
    lines: Budget,
    untold: u64,
}

#[derive(Debug, Clone, Copy)]
struct OfAddress {
    failures: Budget,
    lines: Budget,
}

/// So many at once, and again so many each minute.
#[derive(Debug, Clone, Copy)]
pub(super) struct Budget {
    left: f64,
    at: DateTime<Utc>,
}

impl Budget {
    pub(super) fn full(per_minute: u32, at: DateTime<Utc>) -> Self {
        Self { left: f64::from(per_minute), at }
    }

    fn refill(&mut self, per_minute: u32, now: DateTime<Utc>) {
        let passed = (now - self.at).to_std().unwrap_or_default().as_secs_f64();
        let most = f64::from(per_minute);
        self.left = most.min(self.left + passed * most / 60.0);
        self.at = now;
    }

    pub(super) fn take(&mut self, per_minute: u32, now: DateTime<Utc>) -> bool {
        self.refill(per_minute, now);
        let there = self.left >= 1.0;
        if there {
            self.left -= 1.0;
        }
        there
    }
}

impl Throttle {
    /// Lets so many failures of one address pass in a minute before the answer becomes 429.
    pub fn new(per_minute: u32, now: DateTime<Utc>) -> Self {
        let state = State { budgets: HashMap::new(), lines: Budget::full(LINES, now), untold: 0 };
        Self { per_minute, state: Mutex::new(state) }
    }

    /// A proof from this address did not match.
    pub fn failed(&self, address: IpAddr, now: DateTime<Utc>) -> Verdict {
        let per_minute = self.per_minute;
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.budgets.len() >= ADDRESSES {
            state.budgets.retain(|_, budget| {
                budget.failures.refill(per_minute, now);
                budget.failures.left < f64::from(per_minute)
            });
        }
        let known = group(address);
        let full = state.budgets.len() >= ADDRESSES && !state.budgets.contains_key(&known);
        let known = if full { IpAddr::V4(Ipv4Addr::UNSPECIFIED) } else { known };
        let fresh =
            || OfAddress { failures: Budget::full(per_minute, now), lines: Budget::full(LINES_OF_ONE, now) };
        let budget = state.budgets.entry(known).or_insert_with(fresh);
        if !budget.failures.take(per_minute, now) {
            state.untold += 1;
            return Verdict::TooMany;
        }
        if !budget.lines.take(LINES_OF_ONE, now) || !state.lines.take(LINES, now) {
            state.untold += 1;
            return Verdict::Refuse;
        }
        Verdict::Explain { untold: std::mem::take(&mut state.untold) }
    }
}

/// Who has one IPv6 address has at least a /64 of them.
fn group(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => {
            let [a, b, c, d, ..] = v6.segments();
            IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
        }
        v4 @ IpAddr::V4(_) => v4,
    }
}

/// The address that counts: the peer's; of a trusted proxy, the last in `X-Forwarded-For` that is none.
pub fn client_address(peer: IpAddr, headers: &HeaderMap, trusted: &[IpNet]) -> IpAddr {
    let is_trusted = |address: IpAddr| trusted.iter().any(|net| net.contains(&address));
    let peer = peer.to_canonical();
    if !is_trusted(peer) {
        return peer;
    }
    let mut named = Vec::new();
    for value in headers.get_all("x-forwarded-for") {
        let Ok(value) = value.to_str() else { return peer };
        named.extend(value.split(',').map(str::trim));
    }
    let mut last = peer;
    for text in named.into_iter().rev() {
        // What is before something unreadable was written by anybody.
        let Ok(address) = text.parse::<IpAddr>() else { return last };
        last = address.to_canonical();
        if !is_trusted(last) {
            return last;
        }
    }
    last
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;

    use super::*;

    fn at(second: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(1_790_000_000, 0).expect("a time") + TimeDelta::seconds(second)
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    #[test]
    fn an_address_has_its_budget_and_gets_it_back() {
        let throttle = Throttle::new(2, at(0));
        let failed = |address: &str, second| throttle.failed(ip(address), at(second));
        for _ in 0..2 {
            assert_ne!(failed("192.0.2.1", 0), Verdict::TooMany);
        }
        assert_eq!(failed("192.0.2.1", 0), Verdict::TooMany);
        assert_eq!(failed("192.0.2.2", 0), Verdict::Explain { untold: 1 }, "another address");
        assert_ne!(failed("192.0.2.1", 30), Verdict::TooMany);
        assert_eq!(failed("192.0.2.1", 30), Verdict::TooMany);
        assert_ne!(failed("2001:db8::1", 30), Verdict::TooMany);
        assert_ne!(failed("2001:db8::2", 30), Verdict::TooMany);
        assert_eq!(failed("2001:db8::3", 30), Verdict::TooMany, "one network");
    }

    #[test]
    fn a_flood_from_everywhere_gets_few_lines_and_little_memory() {
        let throttle = Throttle::new(5, at(0));
        let verdicts =
            (0..30_000_u32).map(|n| throttle.failed(Ipv4Addr::from(0x0A00_0000 + n).into(), at(0)));
        let lines = verdicts.filter(|verdict| matches!(verdict, Verdict::Explain { .. })).count();
        assert_eq!(lines, 30);
        assert!(throttle.state.lock().expect("sound").budgets.len() <= ADDRESSES + 1);
        assert_eq!(throttle.failed(ip("198.51.100.7"), at(120)), Verdict::Explain { untold: 29_970 });
    }

    #[test]
    fn only_a_trusted_proxy_may_name_the_client() {
        let trusted: Vec<IpNet> = ["10.0.0.0/8".parse().expect("a network")].into();
        let of = |peer: &str, forwarded: &[&str]| {
            let mut headers = HeaderMap::new();
            for value in forwarded {
                headers.append("x-forwarded-for", value.parse().expect("a value"));
            }
            client_address(ip(peer), &headers, &trusted).to_string()
        };
        assert_eq!(of("192.0.2.9", &["203.0.113.5"]), "192.0.2.9");
        assert_eq!(of("10.0.0.1", &["203.0.113.5"]), "203.0.113.5");
        assert_eq!(of("::ffff:10.0.0.1", &["198.51.100.1, 203.0.113.5", "10.0.0.2"]), "203.0.113.5");
        assert_eq!(of("10.0.0.1", &["203.0.113.5, unknown, 10.0.0.2"]), "10.0.0.2");
        assert_eq!(of("10.0.0.1", &[]), "10.0.0.1");
    }
}
