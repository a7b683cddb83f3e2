//! What people changed.

use axum::Extension;
use axum::extract::State;
use axum::response::Html;
use chrono::{DateTime, Utc};
use maud::{Markup, html};

use super::layout::{self, Look, Place};
use super::time;
use crate::admin::AdminState;
use crate::admin::api::admin_actions::{ActionQuery, ActionView, list};
use crate::admin::auth::Access;
use crate::admin::error::ApiError;
use crate::admin::extract::Query;

pub(super) async fn show(
    State(state): State<AdminState>,
    Extension(access): Extension<Access>,
    Query(query): Query<ActionQuery>,
) -> Result<Html<String>, ApiError> {
    let page = list(&state, query.clone()).await?;
    let look = Look::live(&state, access);
    let body = html! {
        section.card {
            h1 { "What people changed" }
            p.quiet { "Each line is chained to the one before; " code { "pushbox audit" } " finds any that was altered or taken away." }
            (search(&query))
            @if page.actions.is_empty() { p.quiet { "Nothing so far." } } @else { (table(&page.actions, look.now)) }
            @if let Some(next) = page.next { p { a.button href=(following(&query, &next)) { "Older" } } }
        }
    };
    Ok(layout::page("Actions", Place::Actions, &look, &body))
}

fn search(query: &ActionQuery) -> Markup {
    let fields = [
        ("actor", "Who", &query.actor),
        ("action", "What", &query.action),
        ("subject", "To what", &query.subject),
    ];
    html! {
        form.search method="get" action="/dashboard/actions" role="search" {
            @for (name, label, value) in fields {
                label { (label) input type="search" name=(name) value=(value.as_deref().unwrap_or_default()); }
            }
            button type="submit" { "Search" }
        }
    }
}

fn following(query: &ActionQuery, next: &str) -> String {
    let mut address = url::form_urlencoded::Serializer::new(String::new());
    for (name, value) in [("actor", &query.actor), ("action", &query.action), ("subject", &query.subject)] {
        if let Some(value) = value.as_deref().filter(|value| !value.is_empty()) {
            address.append_pair(name, value);
        }
    }
    format!("/dashboard/actions?{}", address.append_pair("cursor", next).finish())
}

fn table(actions: &[ActionView], now: DateTime<Utc>) -> Markup {
    html! {
        table.stack {
            thead { tr { th { "When" } th { "Who" } th { "What" } th { "To what" } th { "Detail" } } }
            tbody { @for one in actions { tr {
                td { (time::ago(one.at, now)) }
                td { (one.actor) @if let Some(origin) = &one.origin { " " span.quiet.id { (origin) } } }
                td { (one.action.replace('_', " ")) }
                td.id { (one.subject) }
                td.error.id { @if one.detail.as_object().is_some_and(|detail| !detail.is_empty()) { (one.detail.to_string()) } }
            } } }
        }
    }
}
