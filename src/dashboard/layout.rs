//! What all pages have in common.

use axum::response::Html;
use chrono::{DateTime, Utc};
use maud::{DOCTYPE, Markup, html};
use serde::Serialize;

use super::time;
use crate::admin::AdminState;
use crate::admin::api::events::{EventState, EventView};
use crate::admin::auth::Access;
use crate::admin::error::ApiError;

/// A page's place in the navigation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    Overview,
    Events,
    Orders,
    Jobs,
    Replays,
    Queues,
    Destinations,
    Shops,
    Shopee,
    Reconciliations,
    Schedules,
    Rejections,
    Actions,
    Settings,
}

/// How a page is looked at.
#[derive(Debug, Clone, Copy)]
pub(super) struct Look {
    /// What whoever looks may do.
    pub(super) access: Access,
    /// When it was made.
    pub(super) now: DateTime<Utc>,
    /// Whether it follows what happens.
    live: bool,
}

impl Look {
    /// At a page that follows what happens.
    pub(super) fn live(state: &AdminState, access: Access) -> Self {
        Self { access, now: state.clock.now(), live: true }
    }

    /// At a page that is read in peace.
    pub(super) fn still(state: &AdminState, access: Access) -> Self {
        Self { access, now: state.clock.now(), live: false }
    }
}

/// Every asset's address carries the version, so that a new binary is not shown with an old style.
fn asset(name: &str) -> String {
    format!("/dashboard/{name}?v={}", env!("CARGO_PKG_VERSION"))
}

fn head(title: &str) -> Markup {
    html! {
        meta charset="utf-8";
        meta name="viewport" content="width=device-width, initial-scale=1";
        meta name="color-scheme" content="light dark";
        title { (title) " · pushbox" }
        link rel="icon" type="image/svg+xml" href=(asset("icon.svg"));
        link rel="stylesheet" href=(asset("style.css"));
    }
}

pub(super) fn logo() -> Markup {
    html! { img.logo src=(asset("icon.svg")) alt="" width="28" height="28"; }
}

/// A page without navigation.
pub(super) fn bare(title: &str, body: &Markup) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" { head { (head(title)) } body.bare { main { (body) } } }
    }
}

/// A page in its frame.
pub(super) fn page(title: &str, place: Place, look: &Look, body: &Markup) -> Html<String> {
    let places = [
        (Place::Overview, "/dashboard", "Overview"),
        (Place::Events, "/dashboard/events", "Events"),
        (Place::Orders, "/dashboard/orders", "Orders"),
        (Place::Jobs, "/dashboard/jobs?state=dead", "Jobs"),
        (Place::Replays, "/dashboard/replays", "Replays"),
        (Place::Queues, "/dashboard/queues", "Queues"),
        (Place::Destinations, "/dashboard/destinations", "Destinations"),
        (Place::Shops, "/dashboard/shops", "Shops"),
        (Place::Shopee, "/dashboard/shopee", "Shopee"),
        (Place::Reconciliations, "/dashboard/reconciliations", "Comparisons"),
        (Place::Schedules, "/dashboard/schedules", "Schedules"),
        (Place::Rejections, "/dashboard/rejections", "Refused"),
        (Place::Settings, "/dashboard/settings", "Settings"),
        (Place::Actions, "/dashboard/actions", "Actions"),
    ];
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                (head(title))
                script defer src=(asset("live.js")) {}
            }
            body data-live=[look.live.then_some("")] {
                a.skip href="#page" { "To the content" }
                header.top {
                    a.brand href="/dashboard" { (logo()) "pushbox" }
                    nav aria-label="Pages" {
                        @for (one, href, name) in places {
                            a href=(href) aria-current=[(one == place).then_some("page")] { (name) }
                        }
                        a href="/docs/" { "API" }
                    }
                    @if look.access == Access::Read { span.badge.plain { "read only" } }
                    form method="post" action="/dashboard/sign-out" { button.plain type="submit" { "Sign out" } }
                }
                main #page tabindex="-1" { (body) }
                footer.quiet {
                    "pushbox " (env!("CARGO_PKG_VERSION")) " · as of "
                    span #as-of { (time::full(look.now)) }
                    " · keys: / search, o e r j p q d h y c s t f a pages"
                }
            }
        }
    };
    Html(page.into_string())
}

/// What people see of an error.
pub(super) fn error(error: &ApiError, request_id: &str, look: &Look) -> Html<String> {
    let body = html! {
        section.card.verdict.bad {
            h1 { (error.status.canonical_reason().unwrap_or("Error")) }
            p { (error.message) }
            p.quiet { "Request " code { (request_id) } }
        }
    };
    page("Error", Place::Overview, look, &body)
}

/// What a filter lets through: its parts that are set, a line each.
pub(super) fn restrictions(filter: &impl Serialize) -> Markup {
    let filter = serde_json::to_value(filter).unwrap_or_default();
    html! {
        dl {
            @for (name, value) in filter.as_object().into_iter().flatten() {
                dt { (name.replace('_', " ")) }
                dd.id { @match value.as_str() { Some(text) => (text), None => (value.to_string()) } }
            }
        }
    }
}

/// A word with a colour that says how good it is.
pub(super) fn badge(word: &str) -> Markup {
    let tone = match word {
        "done" | "running" | "alive" | "sent" | "closed" | "accepted" | "active" | "normal" => "good",
        "dead" | "failed" | "open" | "silent" | "reauthorize" | "suspended" => "bad",
        "pending" | "ready" | "waiting" | "paused" | "intended" | "uncertain" | "half_open" | "near_miss"
        | "asked" | "warning" => "busy",
        _ => "plain",
    };
    // A breaker's state, in words of people.
    let said = match word {
        "closed" => "in use".to_owned(),
        "open" => "out of use".to_owned(),
        "half_open" => "being tried".to_owned(),
        "reauthorize" => "to be authorized again".to_owned(),
        other => other.replace('_', " "),
    };
    html! { span.badge.(tone) { (said) } }
}

/// Where an event's work stands.
pub(super) fn event_badge(event: &EventView) -> Markup {
    badge(match event.state {
        EventState::Done => "done",
        EventState::Pending => "pending",
        EventState::Dead => "dead",
    })
}

/// A number with thin spaces between the thousands.
pub(super) fn number(value: i64) -> String {
    let digits = value.unsigned_abs().to_string();
    let mut text = if value < 0 { "-".to_owned() } else { String::new() };
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push('\u{202f}');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped() {
        assert_eq!(number(0), "0");
        assert_eq!(number(999), "999");
        assert_eq!(number(-1_234_567), "-1\u{202f}234\u{202f}567");
    }

    #[test]
    fn what_others_wrote_is_text_and_not_markup() {
        let name = r#"<b>&"'"#;
        let page = bare(name, &html! { a href=(name) title=(name) { (name) } }).into_string();
        assert!(!page.contains("<b>"), "{page}");
        assert!(page.contains(r#"<a href="&lt;b&gt;&amp;&quot;'" title="&lt;b&gt;&amp;&quot;'">"#), "{page}");
    }
}
