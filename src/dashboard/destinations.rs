//! Every outside destination: whether it is used, what waits for it, and pausing it by hand.

use axum::Extension;
use axum::extract::State;
use axum::response::{Html, Redirect};
use maud::{Markup, html};
use serde::Deserialize;

use super::layout::{self, Look, Place, badge, number};
use super::sign_in;
use super::time;
use crate::admin::AdminState;
use crate::admin::api::destination_pauses::{pause_destination, resume_destination};
use crate::admin::api::destinations::{DestinationView, read, reset_destination};
use crate::admin::api::queues::PauseRequest;
use crate::admin::auth::Access;
use crate::admin::error::ApiError;
use crate::admin::extract::{Form, Json as Body, Path};
use crate::admin::frame::RequestId;

pub(super) async fn show(
    State(state): State<AdminState>,
    Extension(access): Extension<Access>,
) -> Result<Html<String>, ApiError> {
    let look = Look::live(&state, access);
    let destinations = read(&state).await?;
    let body = html! {
        section.card {
            h1 { "Destinations" }
            p.quiet {
                "Where effects go: a shop's API, a spreadsheet, a chat, a service of your own. One that fails is left \
                 alone and tried again by itself. One that you pause is left alone by every process until you resume \
                 it; what waits for it loses no attempts."
            }
            @if destinations.is_empty() {
                p { "None yet: set SHOP_ID, SPREADSHEET_ID, TELEGRAM_CHAT_ID or FORWARD_URL, or authorize a "
                    a href="/dashboard/shops" { "shop" } "." }
            } @else { (table(&destinations, &look, "/dashboard/destinations")) }
        }
    };
    Ok(layout::page("Destinations", Place::Destinations, &look, &body))
}

/// The destinations; `next` is the page that the buttons lead back to.
pub(super) fn table(destinations: &[DestinationView], look: &Look, next: &str) -> Markup {
    html! {
        table.stack {
            thead { tr {
                th { "Destination" } th { "State" } th { "Why" } th.number { "Waiting" } th { "Budget" } th { span.unseen { "Do" } }
            } }
            tbody { @for one in destinations { tr {
                td { span.quiet { (one.kind) } " " span.id { (one.name) } }
                td { (state(one)) }
                td.error { (why(one, look)) }
                td.number.zero[one.waiting_jobs == 0] data-label="waiting" {
                    @if one.waiting_jobs > 0 { a href=(jobs_of(&one.kind)) { (number(one.waiting_jobs)) } } @else { "0" }
                }
                td { (budget(one, look)) }
                td { @if look.access == Access::Full { (buttons(one, look, next)) } }
            } } }
        }
    }
}

/// What a person wants to know first: paused by one, or what the breaker says.
pub(super) fn state(one: &DestinationView) -> Markup {
    html! {
        @if one.paused_at.is_some() {
            (badge("paused"))
            @if one.state != "closed" { " " (badge(&one.state)) }
        } @else { (badge(&one.state)) }
    }
}

fn why(one: &DestinationView, look: &Look) -> Markup {
    html! {
        @if let Some(at) = one.paused_at {
            p { "paused " (time::ago(at, look.now)) ": " (one.paused_reason.as_deref().unwrap_or_default()) }
        }
        @if let Some(reason) = &one.reason { p.fault { (reason) } }
        @else if let Some(error) = &one.last_error {
            p.quiet { "last failure" @if let Some(at) = one.last_failure_at { " " (time::ago(at, look.now)) } ": " (error) }
        }
        @if let Some(until) = one.paused_until.filter(|until| *until > look.now && one.paused_at.is_none()) {
            p.quiet { "tried again " (time::ago(until, look.now)) }
        }
    }
}

fn budget(one: &DestinationView, look: &Look) -> Markup {
    let spent = one.spent_until.filter(|until| *until > look.now);
    html! {
        @if let Some(until) = spent { span.quiet { "spent, more " (time::ago(until, look.now)) } }
        @else { span.quiet { "free" } }
        @if one.pace > 1.0 { " " span.badge.busy { (format!("{:.1}× slower", one.pace)) } }
    }
}

/// The page of the jobs that may wait for it.
fn jobs_of(kind: &str) -> String {
    let queue = match kind {
        "sheet" | "forward" => kind,
        "telegram" => "notify",
        _ => "enrich",
    };
    format!("/dashboard/jobs?state=ready&queue={queue}")
}

fn buttons(one: &DestinationView, look: &Look, next: &str) -> Markup {
    let out_of_use = one.state != "closed" || one.paused_until.is_some_and(|until| until > look.now);
    let hidden = html! {
        input type="hidden" name="kind" value=(one.kind);
        input type="hidden" name="name" value=(one.name);
        input type="hidden" name="next" value=(next);
    };
    let label = |verb: &str| format!("{verb} {} {}", one.kind, one.name);
    html! {
        div.buttons {
            @if one.paused_at.is_some() {
                form method="post" action="/dashboard/destinations/resume" {
                    (hidden) button.small type="submit" aria-label=(label("Resume")) { "Resume" }
                }
            } @else {
                @if out_of_use {
                    form method="post" action="/dashboard/destinations/reset" {
                        (hidden) button.small type="submit" aria-label=(label("Use again")) { "Use again" }
                    }
                }
                details.ask {
                    summary.button.small.plain aria-label=(label("Pause")) { "Pause …" }
                    form method="post" action="/dashboard/destinations/pause" {
                        (hidden)
                        label { "Why" input name="reason" required maxlength="200"
                            placeholder="for whoever finds it paused"; }
                        button.small type="submit" { "Pause it" }
                    }
                }
            }
        }
    }
}

/// Which destination, and why. Its name is in the form, because it may be a URL.
#[derive(Debug, Deserialize)]
pub(super) struct Steered {
    kind: String,
    name: String,
    #[serde(default)]
    reason: String,
    next: Option<String>,
}

/// `pause`, `resume` or `reset` of a destination.
pub(super) async fn act(
    State(state): State<AdminState>,
    Extension(request_id): Extension<RequestId>,
    Path(action): Path<String>,
    Form(steered): Form<Steered>,
) -> Result<Redirect, ApiError> {
    let Steered { kind, name, reason, next } = steered;
    let (state, request_id, place) = (State(state), Extension(request_id), Path((kind, name)));
    match action.as_str() {
        "pause" => drop(pause_destination(state, request_id, place, Body(PauseRequest { reason })).await?),
        "resume" => drop(resume_destination(state, request_id, place).await?),
        "reset" => drop(reset_destination(state, request_id, place).await?),
        _ => return Err(ApiError::not_found("action")),
    }
    Ok(Redirect::to(&sign_in::destination(next)))
}
