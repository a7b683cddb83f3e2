//! Pushes that were refused: why, whether the configuration of now would take them, and a button that does.

use axum::extract::State;
use axum::response::{Html, Redirect};
use axum::{Extension, Json};
use chrono::{DateTime, Utc};
use maud::{Markup, html};

use super::layout::{self, Look, Place, badge, number};
use super::time;
use crate::admin::AdminState;
use crate::admin::api::rejections::{
    RejectionDetail, RejectionQuery, RejectionView, accept_rejection, get_rejection, list_rejections,
};
use crate::admin::auth::Access;
use crate::admin::error::ApiError;
use crate::admin::extract::{Path, Query};
use crate::admin::frame::RequestId;

pub(super) async fn list(
    State(state): State<AdminState>,
    Extension(access): Extension<Access>,
    Query(query): Query<RejectionQuery>,
) -> Result<Html<String>, ApiError> {
    let near = query.near_miss == Some(true);
    let Json(page) = list_rejections(State(state.clone()), Query(query)).await?;
    let look = Look::live(&state, access);
    let body = html! {
        section.card {
            h1 { "Refused pushes" }
            p.quiet { "A sample of them. A near miss was made with a key that is known here: then the configuration is more likely wrong than the sender." }
            nav.tabs aria-label="Which" {
                a href="/dashboard/rejections" aria-current=[(!near).then_some("page")] { "all" }
                a href="/dashboard/rejections?near_miss=true" aria-current=[near.then_some("page")] { "near misses" }
            }
            @if page.rejections.is_empty() { p.quiet { "None. Every push that came was signed as it should be." } }
            @else { (table(&page.rejections, look.now)) }
            @if let Some(next) = page.next {
                p { a.button href={ "/dashboard/rejections?cursor=" (next) @if near { "&near_miss=true" } } { "Older" } }
            }
        }
    };
    Ok(layout::page("Refused pushes", Place::Rejections, &look, &body))
}

/// What it is: accepted, nearly right, or refused.
fn word(one: &RejectionView) -> &'static str {
    match (one.accepted_at, one.near_miss) {
        (Some(_), _) => "accepted",
        (None, true) => "near_miss",
        (None, false) => "refused",
    }
}

fn table(rejections: &[RejectionView], now: DateTime<Utc>) -> Markup {
    html! {
        table.stack {
            thead { tr { th { "Refused" } th { "Source" } th { "From" } th.number { "Times" } th { "Why" } th { "State" } } }
            tbody { @for one in rejections { tr {
                td { a href={ "/dashboard/rejections/" (one.id) } { (time::ago(one.last_seen_at, now)) } }
                td { (one.source) }
                td.id { (one.address.as_deref().unwrap_or("–")) }
                td.number data-label="times" { (number(one.times.into())) }
                td.error { (one.cause.replace('_', " ")) @if let Some(reason) = &one.reason { p.quiet { (reason) } } }
                td { (badge(word(one))) }
            } } }
        }
    }
}

pub(super) async fn show(
    State(state): State<AdminState>,
    Extension(access): Extension<Access>,
    Path(id): Path<i64>,
) -> Result<Html<String>, ApiError> {
    let Json(detail) = get_rejection(State(state.clone()), Path(id)).await?;
    let look = Look::still(&state, access);
    let body = html! {
        section.card {
            h1 { "Refused push " (id) " " (badge(word(&detail.rejection))) }
            (facts(&detail, look.now))
            @if detail.acceptable {
                p { "The configuration of now accepts it." }
                @if access == Access::Full {
                    form method="post" action={ "/dashboard/rejections/" (id) "/accept" } { button type="submit" { "Accept it now" } }
                }
            } @else if let Some(why) = &detail.why_not { p.fault { "Not acceptable now: " (why) } }
        }
        section.card { h2 { "Headers that are kept" } pre tabindex="0" { (format!("{:#}", detail.headers)) } p.id { "SHA-256 " (detail.body_sha256) } }
    };
    Ok(layout::page("Refused push", Place::Rejections, &look, &body))
}

fn facts(detail: &RejectionDetail, now: DateTime<Utc>) -> Markup {
    let one = &detail.rejection;
    html! {
        dl {
            dt { "Why" } dd { (one.cause.replace('_', " ")) @if let Some(reason) = &one.reason { ": " (reason) } }
            dt { "Source" } dd { (one.source) @if let Some(account) = &one.account { ", account " span.id { (account) } } }
            dt { "From" } dd.id { (one.address.as_deref().unwrap_or("–")) }
            dt { "Refused" } dd { (time::full(one.refused_at)) " · " (number(one.times.into())) "×, last " (time::ago(one.last_seen_at, now)) }
            dt { "Length" } dd { (number(one.body_bytes.into())) " bytes" }
            @if let Some(until) = one.kept_until { dt { "Kept until" } dd { (time::full(until)) } }
            @if let Some(at) = one.accepted_at { dt { "Accepted" } dd { (time::ago(at, now)) } }
            @if let Some(event) = one.event_id { dt { "Event" } dd.id { a href={ "/dashboard/events/" (event) } { (event) } } }
        }
    }
}

/// Stores it and shows the event that it became.
pub(super) async fn accept(
    State(state): State<AdminState>,
    Extension(request_id): Extension<RequestId>,
    Path(id): Path<i64>,
) -> Result<Redirect, ApiError> {
    let Json(accepted) = accept_rejection(State(state), Extension(request_id), Path(id)).await?;
    Ok(Redirect::to(&format!("/dashboard/events/{}", accepted.event_id)))
}
