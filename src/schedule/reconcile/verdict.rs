//! What an order that the platform lists as changed means to us.

use chrono::{DateTime, Utc};

use crate::clients::shopee::OrderState;
use crate::store::reconciliations::OrderKnown;

/// What is to be done about a listed order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Nothing: it is as we have it, or we know of something newer.
    Known,
    /// Read it again: its status is the one that we heard of, its details are newer than ours.
    Refresh,
    /// It came to a status that we never heard of.
    Found,
}

/// Compares what is with what we heard and what we have. A change of status has been heard of when the newest
/// event about the order's status says the same; where there is no such event any more, what is stored counts.
pub(super) fn verdict(is: &OrderState, ours: Option<&OrderKnown>) -> Verdict {
    let pair = |status: Option<&String>, time: Option<DateTime<Utc>>| status.cloned().zip(time);
    let heard = ours.and_then(|ours| pair(ours.heard_status.as_ref(), ours.heard_time));
    let stored = ours.and_then(|ours| pair(ours.stored_status.as_ref(), ours.stored_time));
    let newer =
        |one: &Option<(String, DateTime<Utc>)>| one.as_ref().is_some_and(|one| one.1 > is.update_time);
    if newer(&heard) || newer(&stored) {
        return Verdict::Known;
    }
    let told = heard.as_ref().or(stored.as_ref()).is_some_and(|(status, _)| *status == is.status);
    let shown = stored.is_some_and(|(status, time)| status == is.status && time == is.update_time);
    match (told, shown) {
        (false, _) => Verdict::Found,
        (true, false) => Verdict::Refresh,
        (true, true) => Verdict::Known,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const AT: i64 = 1_790_000_000;

    #[test]
    fn only_a_status_nobody_heard_of_is_news() {
        let cases = [
            // stored, heard, and what it means that it is SHIPPED of second 10
            (None, None, Verdict::Found),
            (Some(("READY_TO_SHIP", 5)), None, Verdict::Found),
            (Some(("READY_TO_SHIP", 5)), Some(("READY_TO_SHIP", 5)), Verdict::Found),
            // The push is stored and its order is about to be read.
            (None, Some(("SHIPPED", 10)), Verdict::Refresh),
            (Some(("READY_TO_SHIP", 5)), Some(("SHIPPED", 10)), Verdict::Refresh),
            (Some(("SHIPPED", 10)), Some(("SHIPPED", 10)), Verdict::Known),
            // Only its details changed.
            (Some(("SHIPPED", 8)), Some(("SHIPPED", 8)), Verdict::Refresh),
            (Some(("SHIPPED", 8)), None, Verdict::Refresh),
            (Some(("SHIPPED", 10)), None, Verdict::Known),
            // Read after a push of another code, and never announced.
            (Some(("SHIPPED", 10)), Some(("READY_TO_SHIP", 5)), Verdict::Found),
            // Back to a status of before.
            (Some(("PROCESSED", 9)), Some(("PROCESSED", 9)), Verdict::Found),
            // It went on since it was listed.
            (Some(("COMPLETED", 11)), Some(("READY_TO_SHIP", 5)), Verdict::Known),
            (Some(("READY_TO_SHIP", 5)), Some(("COMPLETED", 11)), Verdict::Known),
        ];
        let time = |second: i64| DateTime::from_timestamp(AT + second, 0).unwrap();
        let is = OrderState { order_sn: "A".into(), status: "SHIPPED".into(), update_time: time(10) };
        for (stored, heard, expected) in cases {
            let ours = OrderKnown {
                order_sn: "A".into(),
                stored_status: stored.map(|one| one.0.to_owned()),
                stored_time: stored.map(|one| time(one.1)),
                heard_status: heard.map(|one| one.0.to_owned()),
                heard_time: heard.map(|one| time(one.1)),
            };
            assert_eq!(verdict(&is, Some(&ours)), expected, "{stored:?} {heard:?}");
        }
        assert_eq!(verdict(&is, None), Verdict::Found);
    }
}
