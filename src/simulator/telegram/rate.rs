//! How fast one chat may be written to. Messages, edits and new topics share one budget.

use super::Refusal;
use crate::simulator::shared::Tx;
use crate::simulator::state::telegram::{Chat, ChatKind};

/// Messages at once that are tolerated before "one per second" counts.
const BURST: i64 = 4;
/// Messages per minute in a group.
const PER_MINUTE: usize = 20;

/// Refuses what comes too fast.
pub(super) fn check(chat: &Chat, tx: &Tx<'_>) -> Result<(), Refusal> {
    let wait_ms = wait_ms(chat, tx.now_ms, tx.shared.quota_ms(1), tx.shared.quota_ms(60));
    if wait_ms <= 0 {
        return Ok(());
    }
    Err(Refusal::TooMany(u32::try_from((wait_ms + 999) / 1000).unwrap_or(u32::MAX)))
}

/// Milliseconds until the next message may be sent; not above 0: now.
fn wait_ms(chat: &Chat, now_ms: i64, second_ms: i64, minute_ms: i64) -> i64 {
    // Each message fills the bucket by a second's worth, and it drains with time.
    let full_at = chat.recent_ms.iter().fold(i64::MIN, |full, at| full.max(*at) + second_ms);
    let burst = full_at.saturating_sub(now_ms).saturating_sub((BURST - 1) * second_ms);
    let group = chat.kind != ChatKind::Private;
    let minute = match chat.recent_ms.iter().rev().nth(PER_MINUTE - 1) {
        Some(at) if group => at + minute_ms - now_ms,
        _ => 0,
    };
    burst.max(minute)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::simulator::state::telegram::Rights;

    fn chat(recent_ms: Vec<i64>) -> Chat {
        Chat {
            id: -1,
            kind: ChatKind::Supergroup,
            title: "shop".to_owned(),
            is_forum: true,
            rights: Rights::FULL,
            migrated_to: None,
            topics: BTreeMap::new(),
            messages: Vec::new(),
            last_message_id: 1,
            recent_ms,
        }
    }

    #[test]
    fn a_small_burst_passes_and_then_one_per_second() {
        assert!(wait_ms(&chat(vec![]), 0, 1000, 60_000) <= 0);
        assert!(wait_ms(&chat(vec![0, 0, 0]), 0, 1000, 60_000) <= 0);
        assert_eq!(wait_ms(&chat(vec![0, 0, 0, 0]), 0, 1000, 60_000), 1000);
        assert_eq!(wait_ms(&chat(vec![0, 0, 0, 0]), 400, 1000, 60_000), 600);
        assert!(wait_ms(&chat(vec![0, 0, 0, 0]), 1000, 1000, 60_000) <= 0);
    }

    #[test]
    fn twenty_a_minute_and_then_none() {
        let recent: Vec<i64> = (0..20).map(|n| n * 2000).collect();
        assert_eq!(wait_ms(&chat(recent.clone()), 40_000, 1000, 60_000), 20_000);
        assert!(wait_ms(&chat(recent), 60_000, 1000, 60_000) <= 0);
    }
}
