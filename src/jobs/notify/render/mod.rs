//! What an announcement looks like. Pure: values in, Telegram's HTML out.
//!
//! An announcement is a list of complete blocks in two sections, the push and the order, packed into as few
//! messages as possible. Values from outside are cut before they are escaped, and messages are split only
//! between blocks, so that no markup is ever cut. Words are few, so that it reads in any language.

mod digest;
mod fields;
mod order;
mod pack;
mod text;

use chrono_tz::Tz;

use self::fields::FieldStyle;
use self::pack::Piece;
use self::text::Block;
use crate::domain::shopee::{View, codes};
use crate::store::order_reads::StoredOrder;
use crate::store::telegram::AnnouncedEvent;

pub use self::digest::{Digest, digest};
pub use self::text::without_markup;

/// Messages per announcement; items that would need more are counted.
const MAX_PARTS: usize = 3;

const SHORT: usize = 60;

/// How announcements look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Look {
    /// The reader's time zone.
    pub zone: Tz,
    /// Whether names of buyers are shown in full.
    pub show_buyer: bool,
}

/// What is announced: an event, with its order where there is one.
#[derive(Debug, Clone, Copy)]
pub struct Subject<'a> {
    /// The event.
    pub event: &'a AnnouncedEvent,
    /// Its order as it stands now.
    pub order: Option<&'a StoredOrder>,
}

impl Subject<'_> {
    /// The number that people know it by.
    fn number(&self) -> Option<&str> {
        let of_order = self.order.map(|stored| stored.order.reference.order_sn.as_str());
        of_order.or(self.event.subject.as_deref())
    }
}

/// What people read for the code of an event.
pub fn title(event: &AnnouncedEvent) -> String {
    match event.code.parse() {
        Ok(code) if event.source == "shopee" => codes::title(code),
        _ => format!("{} {}", event.source, event.kind.replace('_', " ")),
    }
}

/// The announcement of one event as messages, in order; at least one.
pub fn announcement(subject: &Subject<'_>, look: Look) -> Vec<String> {
    let mut head = section(push(subject, look));
    let mut items = Vec::new();
    if let Some(stored) = subject.order {
        head.extend(section(order::head(stored, look)));
        head.extend(section(order::income(stored)));
        items = section(order::items(stored));
    }
    let heading = match subject.number() {
        Some(number) => Block::new().code(number, SHORT),
        None => Block::new().text(&title(subject.event), SHORT),
    };
    let with = |shown: usize| {
        let mut pieces = head.clone();
        pieces.extend_from_slice(&items[..shown]);
        if shown < items.len() {
            let more = Block::new().text(&format!("… and {} more items", items.len() - shown), SHORT);
            pieces.push(Piece { block: more, begins_section: false });
        }
        pack::pack(&heading, &pieces)
    };
    let all = with(items.len());
    if all.len() <= MAX_PARTS || items.is_empty() {
        return all;
    }
    // The most items that fit: more items never make fewer messages.
    let (mut fits, mut too_many) = (0, items.len());
    while fits + 1 < too_many {
        let middle = usize::midpoint(fits, too_many);
        if with(middle).len() <= MAX_PARTS {
            fits = middle;
        } else {
            too_many = middle;
        }
    }
    with(fits)
}

/// Lines as pieces of one section.
fn section(lines: Vec<Block>) -> Vec<Piece> {
    let piece = |(at, block)| Piece { block, begins_section: at == 0 };
    lines.into_iter().enumerate().map(piece).collect()
}

fn push(subject: &Subject<'_>, look: Look) -> Vec<Block> {
    let event = subject.event;
    let mut about = Block::new().markup("🏪 ").text(event.account.as_deref().unwrap_or("–"), SHORT);
    if let Some(number) = subject.number() {
        about = about.markup(" · ").code(number, SHORT);
    }
    let received = text::time(event.received_at, look.zone);
    let mut times = Block::new().markup("🕒 ");
    times = match event.occurred_at.map(|at| text::time(at, look.zone)) {
        Some(occurred) if occurred != received => {
            times.text(&occurred, SHORT).markup(" → ").text(&received, SHORT)
        }
        _ => times.text(&received, SHORT),
    };
    if event.via != "push" {
        times = times.markup(" · ").text(&event.via, SHORT);
    }
    let headline = Block::new().markup("🔔 ").bold(&title(event), 128);
    let headline = headline.markup(" · ").text(&event.code, SHORT);
    let mut lines = vec![headline, about, times];
    match &event.payload {
        Some(payload) => {
            let style =
                FieldStyle { zone: look.zone, show_personal: look.show_buyer, subject: subject.number() };
            lines.extend(match typed(event, payload) {
                Some(typed) => fields::of_pairs(typed, style),
                // The order below says it better.
                None if event.source != "shopee" && subject.order.is_some() => Vec::new(),
                None => fields::lines(payload, style),
            });
        }
        None => lines
            .push(Block::new().markup("⚠️ ").text(event.parse_error.as_deref().unwrap_or("no JSON"), 200)),
    }
    lines
}

/// What the code's own view says. What pushes of orders say, stands in the order below or is short anyway.
fn typed(event: &AnnouncedEvent, payload: &serde_json::Value) -> Option<Vec<(String, String)>> {
    let shown = event.source == "shopee" && !["3", "4", "30"].contains(&event.code.as_str());
    let lines = shown.then(|| View::of(&event.code, payload).lines())?;
    (!lines.is_empty()).then_some(lines)
}

#[cfg(test)]
mod tests;
