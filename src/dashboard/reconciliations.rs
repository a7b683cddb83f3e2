//! Comparisons with what the platform says: what they came to, and asking for one by hand.

use axum::extract::State;
use axum::response::{Html, Redirect};
use axum::{Extension, Json};
use chrono::{DateTime, NaiveDateTime, TimeDelta, Utc};
use maud::{Markup, html};
use serde::Deserialize;
use url::form_urlencoded::Serializer;

use super::layout::{self, Look, Place, badge, number};
use super::time;
use crate::admin::AdminState;
use crate::admin::api::reconciliations::{
    ReconciliationQuery, ReconciliationRequest, ReconciliationView, get_reconciliation, list_reconciliations,
    start_reconciliation,
};
use crate::admin::api::shops::{ShopView, list_shops};
use crate::admin::auth::Access;
use crate::admin::error::ApiError;
use crate::admin::extract::{Form, Json as Body, Path, Query, said};
use crate::admin::frame::RequestId;

/// As a browser writes a time; here it is in UTC.
const TIME: &str = "%Y-%m-%dT%H:%M";

/// The states to choose from.
const STATES: [&str; 5] = ["", "asked", "running", "done", "failed"];
/// The kinds to choose from.
const KINDS: [&str; 5] = ["", "orders", "deep", "income", "manual"];

pub(super) async fn list(
    State(state): State<AdminState>,
    Extension(access): Extension<Access>,
    Query(query): Query<ReconciliationQuery>,
) -> Result<Html<String>, ApiError> {
    let Json(page) = list_reconciliations(State(state.clone()), Query(query.clone())).await?;
    let Json(shops) = list_shops(State(state.clone())).await?;
    let active: Vec<&ShopView> = shops.shops.iter().filter(|shop| shop.state == "active").collect();
    let look = Look::live(&state, access);
    let body = html! {
        section.card {
            h1 { "Comparisons with the platform" }
            p.quiet { "Shopee is asked which orders changed; what no push told of becomes an event. It happens by itself, over each stretch of time." }
            @if access == Access::Full && !active.is_empty() { (form(&active, look.now)) }
            (search(&query))
            @if page.reconciliations.is_empty() {
                p { "None. " @if active.is_empty() { "Authorize a " a href="/dashboard/shops" { "shop" } " first; then it begins by itself." }
                    @else { "A process with the role scheduler begins the first one by itself." } }
            } @else { (table(&page.reconciliations, look.now)) }
            @if let Some(next) = page.next { p { a.button href=(following(&query, &next)) { "Older" } } }
        }
    };
    Ok(layout::page("Comparisons", Place::Reconciliations, &look, &body))
}

fn search(query: &ReconciliationQuery) -> Markup {
    let choice = |name: &str, label: &str, words: &[&str], chosen: &Option<String>| {
        html! {
            label { (label) select name=(name) { @for word in words {
                option value=(word) selected[chosen.as_deref().unwrap_or_default() == *word] {
                    @if word.is_empty() { "any" } @else { (word) }
                }
            } } }
        }
    };
    html! {
        form.search method="get" action="/dashboard/reconciliations" role="search" {
            label { "Shop" input type="search" name="shop_id" value=(query.shop_id.as_deref().unwrap_or_default()); }
            (choice("state", "State", &STATES, &query.state))
            (choice("kind", "Kind", &KINDS, &query.kind))
            button type="submit" { "Search" }
        }
    }
}

fn following(query: &ReconciliationQuery, next: &str) -> String {
    let mut address = Serializer::new(String::new());
    for (name, value) in [("shop_id", &query.shop_id), ("state", &query.state), ("kind", &query.kind)] {
        if let Some(value) = value.as_deref().filter(|value| !value.is_empty()) {
            address.append_pair(name, value);
        }
    }
    format!("/dashboard/reconciliations?{}", address.append_pair("cursor", next).finish())
}

fn table(reconciliations: &[ReconciliationView], now: DateTime<Utc>) -> Markup {
    html! {
        table.stack {
            thead { tr {
                th { "Asked for" } th { "Shop" } th { "What" } th { "Range" }
                th.number { "Listed" } th.number { "Found" } th.number { "Refreshed" } th { "State" }
            } }
            tbody { @for one in reconciliations { tr {
                td { a href={ "/dashboard/reconciliations/" (one.id) } { (time::ago(one.asked_at, now)) } }
                td.id { (one.shop_id) }
                td { (one.kind) @if one.what != one.kind { " " span.quiet { (one.what) } } }
                td { (time::seconds((one.to - one.from).num_seconds())) " until " (time::ago(one.to, now)) }
                td.number.zero[one.listed == 0] data-label="listed" { (number(one.listed.into())) }
                td.number.zero[one.found == 0] data-label="found" { (number(one.found.into())) }
                td.number.zero[one.refreshed == 0] data-label="refreshed" { (number(one.refreshed.into())) }
                td.error { (badge(&one.state)) @if let Some(error) = &one.error { p.fault { (error) } } }
            } } }
        }
    }
}

fn form(shops: &[&ShopView], now: DateTime<Utc>) -> Markup {
    let day_ago = (now - TimeDelta::days(1)).format(TIME).to_string();
    html! {
        details.fold {
            summary { h2.inline { "Compare by hand" } }
            p.quiet { "After an outage, or when an order is missing. What was compared before may be compared again: only what nobody heard of becomes an event." }
            form.search method="post" action="/dashboard/reconciliations" {
                label { "From (UTC)" input type="datetime-local" name="from" required value=(day_ago); }
                label { "Until (UTC); empty is now" input type="datetime-local" name="to"; }
                label { "Shop" select name="shop_id" {
                    option value="" { "every active shop" }
                    @for shop in shops { option value=(shop.shop_id) { (shop.shop_id) } }
                } }
                label { "What" select name="what" {
                    option value="orders" { "orders that changed" }
                    option value="income" { "income that was released" }
                } }
                button type="submit" { "Compare" }
            }
        }
    }
}

/// What the form says.
#[derive(Debug, Deserialize)]
pub(super) struct Asked {
    from: String,
    to: Option<String>,
    shop_id: Option<String>,
    what: Option<String>,
}

/// A time as a browser sends it, with seconds or without.
fn instant(name: &str, text: &str) -> Result<DateTime<Utc>, ApiError> {
    let read = NaiveDateTime::parse_from_str(text, TIME)
        .or_else(|_| NaiveDateTime::parse_from_str(text, "%Y-%m-%dT%H:%M:%S"));
    read.map(|time| time.and_utc())
        .map_err(|_| ApiError::bad_request(format!("{name}: must be a time such as 2026-11-21T05:00")))
}

/// Asks for a comparison and shows it.
pub(super) async fn ask(
    State(state): State<AdminState>,
    Extension(request_id): Extension<RequestId>,
    Form(asked): Form<Asked>,
) -> Result<Redirect, ApiError> {
    let request = ReconciliationRequest {
        from: instant("from", &asked.from)?,
        to: said(asked.to).map(|to| instant("to", &to)).transpose()?,
        shop_id: asked.shop_id,
        what: asked.what,
    };
    let (_, Json(begun)) = start_reconciliation(State(state), Extension(request_id), Body(request)).await?;
    Ok(Redirect::to(&match begun.reconciliations.as_slice() {
        [one] => format!("/dashboard/reconciliations/{}", one.id),
        _ => "/dashboard/reconciliations?kind=manual".to_owned(),
    }))
}

pub(super) async fn show(
    State(state): State<AdminState>,
    Extension(access): Extension<Access>,
    Path(id): Path<i64>,
) -> Result<Html<String>, ApiError> {
    let Json(found) = get_reconciliation(State(state.clone()), Path(id)).await?;
    let one = found.reconciliation;
    let open = matches!(one.state.as_str(), "asked" | "running");
    let look = if open { Look::live(&state, access) } else { Look::still(&state, access) };
    let body = html! {
        section.card {
            h1 { "Comparison " (id) " " (badge(&one.state)) }
            @if let Some(error) = &one.error { p.fault { (error) } }
            (covered(&one))
            (facts(&one, look.now))
            p {
                @if one.found > 0 {
                    a href={ "/dashboard/events?via=reconcile&account=" (encoded(&one.shop_id)) } { "Events that comparisons found for this shop" } " · "
                }
                a href="/dashboard/reconciliations" { "All comparisons" }
            }
        }
    };
    Ok(layout::page(&format!("Comparison {id}"), Place::Reconciliations, &look, &body))
}

fn encoded(text: &str) -> String {
    url::form_urlencoded::byte_serialize(text.as_bytes()).collect()
}

/// How far it is, in time.
fn covered(one: &ReconciliationView) -> Markup {
    let all = (one.to - one.from).num_seconds().max(1);
    let done = one.covered_to.map_or(0, |to| (to - one.from).num_seconds().clamp(0, all));
    html! {
        p { b { (time::seconds(done)) } " of " (time::seconds(all)) " compared" }
        progress max=(all) value=(done) aria-label="time that is compared" {}
    }
}

fn facts(one: &ReconciliationView, now: DateTime<Utc>) -> Markup {
    let count = |count: i32| number(count.into());
    html! {
        dl {
            dt { "Shop" } dd.id { (one.shop_id) }
            dt { "Kind" } dd { (one.kind) ", " @if one.what == "income" { "income that was released" } @else { "orders that changed" } }
            dt { "From" } dd { (time::full(one.from)) }
            dt { "To" } dd { (time::full(one.to)) }
            dt { "Listed" } dd { (count(one.listed)) " orders" }
            dt { "Found" } dd { (count(one.found)) " changes that nobody had heard of; each is an event" }
            dt { "Refreshed" } dd { (count(one.refreshed)) " orders read again: newer details, or released income" }
            dt { "Known" } dd { (count(one.known)) " orders were as we had them" }
            dt { "Asked for" } dd { (time::full(one.asked_at)) " · " (time::ago(one.asked_at, now)) }
            @if let Some(at) = one.started_at { dt { "Begun" } dd { (time::full(at)) } }
            @if let Some(at) = one.finished_at { dt { "Ended" } dd { (time::full(at)) } }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_as_browsers_write_them() {
        assert_eq!(instant("from", "2026-11-21T05:00").unwrap().to_rfc3339(), "2026-11-21T05:00:00+00:00");
        assert_eq!(instant("from", "2026-11-21T05:00:07").unwrap().timestamp() % 60, 7);
        assert!(instant("from", "yesterday").is_err());
    }

    #[test]
    fn the_next_page_keeps_the_search() {
        let query = ReconciliationQuery { shop_id: Some("A&B".to_owned()), ..ReconciliationQuery::default() };
        assert_eq!(following(&query, "42"), "/dashboard/reconciliations?shop_id=A%26B&cursor=42");
    }
}
