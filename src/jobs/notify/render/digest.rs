//! Many events of one topic in few messages: a line for each.

use chrono_tz::Tz;
use serde_json::Value;

use super::text::{self, Block, money};
use super::{Look, Subject, pack};

const SHORT: usize = 40;

/// A digest message and how many subjects, from the first, it holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Digest {
    /// The message.
    pub html: String,
    /// How many events it announces.
    pub events: usize,
}

/// One message with a line for each of the first subjects, as many as fit. They are of one topic, in order of
/// receipt; at least one.
pub fn digest(topic: &str, subjects: &[Subject<'_>], look: Look) -> Digest {
    let shops = subjects.iter().any(|one| one.event.account != subjects[0].event.account);
    let mut pieces = vec![pack::Piece { block: heading(topic, subjects, look.zone), begins_section: false }];
    let lines = subjects.iter().map(|subject| line(subject, look.zone, shops));
    pieces.extend(lines.map(|block| pack::Piece { block, begins_section: false }));
    let events = (pack::fitting(&pieces) - 1).max(1);
    // The heading names what is in the message, so it is made again for those that fit.
    let heading = heading(topic, &subjects[..events], look.zone);
    let lines = pieces[1..=events].iter().map(|piece| piece.block.html());
    let html = std::iter::once(heading.html()).chain(lines).collect::<Vec<_>>().join("\n");
    Digest { html, events }
}

fn heading(topic: &str, subjects: &[Subject<'_>], zone: Tz) -> Block {
    let time = |subject: Option<&Subject<'_>>| {
        subject.map(|one| text::clock_time(one.event.received_at, zone)).unwrap_or_default()
    };
    let (first, last) = (time(subjects.first()), time(subjects.last()));
    let span = if first == last { first } else { format!("{first}–{last}") };
    let summary = format!("× {} · {span}", subjects.len());
    Block::new().markup("🗂 ").bold(topic, 128).markup(" ").text(&summary, SHORT)
}

fn line(subject: &Subject<'_>, zone: Tz, with_shop: bool) -> Block {
    let time = text::clock_time(subject.event.received_at, zone);
    let mut block = Block::new().text(&time, SHORT);
    let mut add = |value: &str, is_code: bool| {
        if !value.is_empty() {
            let start = std::mem::take(&mut block).markup(" ");
            block = if is_code { start.code(value, SHORT) } else { start.text(value, SHORT) };
        }
    };
    add(subject.number().unwrap_or_default(), true);
    let status = subject.event.payload.as_ref().and_then(status);
    add(status.or(subject.order.map(|stored| stored.order.status.as_str())).unwrap_or_default(), false);
    if let Some(stored) = subject.order
        && let Some(amount) = stored.order.total_amount
    {
        add(&money(&stored.order.currency, amount), false);
    }
    if with_shop {
        add(subject.event.account.as_deref().unwrap_or_default(), false);
    }
    block
}

/// What the push itself says the state is: the order may have moved on since.
fn status(payload: &Value) -> Option<&str> {
    let data = payload.get("data").unwrap_or(payload);
    let names =
        ["status", "order_status", "return_status", "fulfillment_status", "tracking_no", "booking_status"];
    names.iter().find_map(|name| data.get(name)?.as_str()).filter(|text| !text.is_empty())
}
