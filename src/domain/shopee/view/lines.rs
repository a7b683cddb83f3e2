//! What a person wants to read of a push.

use chrono::DateTime;

use super::{Change, Item, View};

/// Name and value of what a person wants to read; times in Unix seconds under names that say so.
pub type Lines = Vec<(String, String)>;

impl View {
    /// What a person wants to read of it; empty where nobody knows the fields.
    pub fn lines(&self) -> Lines {
        let mut lines = self.all_lines();
        lines.retain(|(_, value)| !value.is_empty());
        lines
    }

    fn all_lines(&self) -> Lines {
        let line = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let list = |name: &str, values: &[String]| (name.to_owned(), values.join(", "));
        match self {
            Self::Authorization(one) => vec![
                line("why", &one.reason),
                list("shops", &one.shop_ids),
                list("merchants", &one.merchant_ids),
                list("main account", &one.main_account_ids),
                line("note", &one.note),
            ],
            Self::Order { status, scenario, .. } => vec![line("status", status), line("scenario", scenario)],
            Self::Parcel { package_number, tracking_number, status, .. } => vec![
                line("status", status),
                line("package", package_number),
                line("tracking number", tracking_number),
            ],
            Self::Notices(notices) => notices
                .iter()
                .flat_map(|one| [line("", &one.title), line("", &one.content), line("", &one.url)])
                .collect(),
            Self::Promotion { item, promotion_type, promotion_id, action, reserved_stock } => {
                let mut lines = item.lines();
                let promotion = format!("{promotion_type} {promotion_id}");
                lines.extend([line("action", action), line("promotion", promotion.trim())]);
                lines.push(line("reserved stock", reserved_stock));
                lines
            }
            Self::Changes { of, changes } => {
                let of = of.iter().map(|(name, value)| line(name, value));
                of.chain(changes.iter().map(Change::line)).collect()
            }
            Self::Chat { kind, from, message_type, text, about, conversation_id } => vec![
                line(kind, message_type),
                line("from user_name", from),
                line("text", text),
                line("about", about),
                line("conversation", conversation_id),
            ],
            Self::Video { upload_id, status, reason } => {
                vec![line("status", status), line("reason", reason), line("upload", upload_id)]
            }
            Self::Expiry(one) => vec![
                list("shops", &one.shop_ids),
                list("merchants", &one.merchant_ids),
                list("users", &one.user_ids),
                (
                    "expire before".to_owned(),
                    one.before.map_or(String::new(), |before| before.timestamp().to_string()),
                ),
                ("page".to_owned(), pages(&one.page, &one.pages)),
            ],
            other => other.further_lines(),
        }
    }

    fn further_lines(&self) -> Lines {
        let line = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        match self {
            Self::Brand { name, result, reason } => {
                vec![line("brand", name), line("result", result), line("reason", reason)]
            }
            Self::Violation { item, status, details } => {
                let mut lines = item.lines();
                lines.push(line("status", status));
                for one in details {
                    lines.extend([line("rule", &one.kind), line("reason", &one.reason)]);
                    lines.extend([line("to do", &one.suggestion), line("deadline", &one.deadline)]);
                }
                lines
            }
            Self::Status { what, number, status, reason } => {
                vec![line(what, number), line("status", status), line("reason", reason)]
            }
            Self::PublishFailed { item, scheduled } => {
                let mut lines = item.lines();
                lines.push(line("scheduled time", scheduled));
                lines
            }
            Self::Penalty { action, amount, reason } => vec![line(action, amount), line("reason", reason)],
            Self::Invoice { order_sn, document, failure, deadline } => vec![
                line("order", order_sn),
                line("invoice", document),
                line("failed", failure),
                line("deadline", deadline),
            ],
            Self::Blocked { what } => vec![line("blocked", what)],
            Self::SellableStock(list) => list.iter().map(|(sku, count)| line(sku, count)).collect(),
            _ => Vec::new(),
        }
    }
}

impl Item {
    fn lines(&self) -> Lines {
        let line = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        vec![line("", &self.name), line("item", &self.item_id), line("variation", &self.model_id)]
    }
}

impl Change {
    fn line(&self) -> (String, String) {
        let time = |text: &str| {
            let named = ["time", "date", "deadline"].iter().any(|part| self.name.contains(part));
            let seconds = text.parse().ok().filter(|seconds| named && *seconds > 1_000_000_000);
            let at = seconds.and_then(|seconds| DateTime::from_timestamp(seconds, 0));
            at.map_or_else(|| text.to_owned(), |at| at.format("%Y-%m-%d %H:%M UTC").to_string())
        };
        let told = !(self.before.is_empty() && self.after.is_empty());
        let both = || format!("{} → {}", time(&self.before), time(&self.after));
        (self.name.clone(), told.then(both).unwrap_or_default())
    }
}

fn pages(page: &str, pages: &str) -> String {
    if page.is_empty() { String::new() } else { format!("{page} of {pages}") }
}
