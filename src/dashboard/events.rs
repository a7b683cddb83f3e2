//! The list of events, to search in.

use axum::Extension;
use axum::extract::State;
use axum::response::Html;
use chrono::{DateTime, Utc};
use maud::{Markup, html};

use super::layout::{self, Look, Place, event_badge};
use super::time;
use crate::admin::AdminState;
use crate::admin::api::events::{EventQuery, EventView, list};
use crate::admin::auth::Access;
use crate::admin::error::ApiError;
use crate::admin::extract::Query;

pub(super) async fn show(
    State(state): State<AdminState>,
    Extension(access): Extension<Access>,
    Query(query): Query<EventQuery>,
) -> Result<Html<String>, ApiError> {
    let page = list(&state, query.clone()).await?;
    let look = Look::live(&state, access);
    let body = html! {
        section.card {
            h1 { "Events" }
            (search(&query))
            (table(&page.events, look.now))
            @if let Some(next) = page.next { p { a.button href=(following(&query, &next)) { "Older" } } }
        }
    };
    Ok(layout::page("Events", Place::Events, &look, &body))
}

fn search(query: &EventQuery) -> Markup {
    let fields = [
        ("subject", "Order or subject", &query.subject),
        ("account", "Shop", &query.account),
        ("code", "Code", &query.code),
        ("source", "Source", &query.source),
        ("error", "Error contains", &query.error),
    ];
    let state = query.state.as_deref().unwrap_or_default();
    html! {
        form.search method="get" action="/dashboard/events" role="search" {
            @for (name, label, value) in fields {
                label { (label) input type="search" name=(name) value=(value.as_deref().unwrap_or_default()); }
            }
            label { "State" select name="state" { @for one in ["", "pending", "dead", "done"] {
                option value=(one) selected[one == state] { (if one.is_empty() { "any" } else { one }) }
            } } }
            button type="submit" { "Search" }
        }
    }
}

/// The address of the next page of the same search.
fn following(query: &EventQuery, next: &str) -> String {
    let mut address = url::form_urlencoded::Serializer::new(String::new());
    let since = query.since.map(|since| since.to_rfc3339());
    let until = query.until.map(|until| until.to_rfc3339());
    let limit = query.limit.map(|limit| limit.to_string());
    let parts = [
        ("subject", &query.subject),
        ("account", &query.account),
        ("code", &query.code),
        ("source", &query.source),
        ("via", &query.via),
        ("state", &query.state),
        ("error", &query.error),
        ("since", &since),
        ("until", &until),
        ("limit", &limit),
    ];
    for (name, value) in parts {
        if let Some(value) = value.as_deref().filter(|value| !value.is_empty()) {
            address.append_pair(name, value);
        }
    }
    format!("/dashboard/events?{}", address.append_pair("cursor", next).finish())
}

/// Events as a table; on a narrow screen each row becomes a block.
pub(super) fn table(events: &[EventView], now: DateTime<Utc>) -> Markup {
    html! {
        @if events.is_empty() {
            p.quiet { "No such events. " code { "pushbox send" } " posts a signed push to try it out." }
         } @else {
            table.stack {
                thead { tr {
                    th { "Received" } th { "Event" } th { "About" } th { "Shop" } th { "Source" } th { "State" }
                } }
                tbody { @for event in events { tr {
                    td { a href={ "/dashboard/events/" (event.id) } { (time::ago(event.received_at, now)) } }
                    td { (event.kind) " " span.quiet { (event.code) } }
                    td.id { (event.subject.as_deref().unwrap_or("–")) }
                    td.id { (event.account.as_deref().unwrap_or("–")) }
                    td {
                        (event.source)
                        @if event.via != "push" { " " span.badge.plain { (event.via) } }
                        @if event.redeliveries > 0 {
                            " " span.badge.plain title="came again" { "×" (event.redeliveries + 1) }
                        }
                    }
                    td { (event_badge(event)) }
                } } }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_page_keeps_the_search() {
        let query = EventQuery {
            subject: Some("A&B=1".to_owned()),
            account: Some(String::new()),
            limit: Some(10),
            ..EventQuery::default()
        };
        assert_eq!(following(&query, "1-2"), "/dashboard/events?subject=A%26B%3D1&limit=10&cursor=1-2");
    }
}
