//! One event: what it carried and everything that came of it.

use axum::extract::State;
use axum::response::Html;
use chrono::{DateTime, Utc};
use maud::{Markup, html};
use uuid::Uuid;

use super::layout::{self, Place, badge, event_badge};
use super::time;
use crate::admin::AdminState;
use crate::admin::api::events::{EventDetail, EventState, read};
use crate::admin::api::jobs::JobView;
use crate::admin::error::ApiError;
use crate::admin::extract::Path;

pub(super) async fn show(
    State(state): State<AdminState>,
    Path(id): Path<Uuid>,
) -> Result<Html<String>, ApiError> {
    let event = read(&state, id).await?;
    let now = state.clock.now();
    // A page that is read in peace once nothing will change any more.
    let live = event.event.state == EventState::Pending;
    Ok(Html(layout::page(&title(&event), Place::Events, live, now, &page(&event, now)).into_string()))
}

fn title(event: &EventDetail) -> String {
    match &event.event.subject {
        Some(subject) => format!("{} {subject}", event.event.kind),
        None => event.event.kind.clone(),
    }
}

fn page(detail: &EventDetail, now: DateTime<Utc>) -> Markup {
    html! {
        section.card { h1 { (title(detail)) " " (event_badge(&detail.event)) } (facts(detail, now)) }
        section.card {
            h2 { "What came of it" }
            (timeline(&detail.jobs, detail.event.received_at))
        }
        section.card {
            h2 { "As sent" }
            @if let Some(fault) = &detail.parse_error { p.fault { "Kept as bytes: " (fault) } }
            @if let Some(payload) = &detail.payload { pre { (format!("{payload:#}")) } }
            @if let Some(body) = &detail.body_base64 { pre.wrap { (body) } }
            details { summary { "Headers and hash" } pre { (format!("{:#}", detail.headers)) }
                p.id { "SHA-256 " (detail.body_sha256) } }
        }
    }
}

fn facts(detail: &EventDetail, now: DateTime<Utc>) -> Markup {
    let event = &detail.event;
    html! {
        dl {
            dt { "Received" } dd { (time::stamp(event.received_at)) " · " (time::ago(event.received_at, now)) }
            @if let Some(occurred_at) = event.occurred_at {
                dt { "Happened" } dd {
                    (time::stamp(occurred_at)) " · " (time::duration(event.received_at - occurred_at)) " before"
                }
            }
            dt { "Source" } dd { (event.source) ", code " (event.code) ", by " (event.via) }
            dt { "Shop" } dd.id { (event.account.as_deref().unwrap_or("–")) }
            dt { "About" } dd.id {
                @if let Some(subject) = &event.subject {
                    a href=(same_subject(subject)) { (subject) }
                } @else { "–" }
            }
            dt { "Came again" } dd {
                (event.redeliveries) "×"
                @if let Some(last) = detail.last_seen_at { ", last " (time::ago(last, now)) }
            }
            dt { "Id" } dd.id { (event.id) }
        }
    }
}

fn same_subject(subject: &str) -> String {
    let query = url::form_urlencoded::Serializer::new(String::new()).append_pair("subject", subject).finish();
    format!("/dashboard/events?{query}")
}

/// The jobs in order, each with its moments counted from the event's receipt.
fn timeline(jobs: &[JobView], received_at: DateTime<Utc>) -> Markup {
    let after = |at: DateTime<Utc>| format!("+{}", time::duration(at - received_at));
    html! {
        @if jobs.is_empty() { p.quiet { "No jobs: it asked for none, or their retention is over." } }
        ol.timeline { @for job in jobs {
            li.(job.state) {
                p { b { (job.kind) } " " (badge(&job.state)) " " span.quiet { "#" (job.id) " · " (job.queue) } }
                p.quiet {
                    "asked for " (after(job.created_at))
                    @if let Some(at) = job.started_at { " · begun " (after(at)) }
                    @if let Some(at) = job.finished_at { " · ended " b { (after(at)) } }
                    @else if job.state == "ready" {
                        @if let Some(at) = job.run_at { " · due " (after(at)) }
                    }
                    " · attempt " (job.attempt) @if let Some(most) = job.max_attempts { " of " (most) }
                }
                @if let Some(what) = &job.waiting_on { p { "Waits for " (what) } }
                @if let Some(note) = &job.note { p { (note) } }
                @if let Some(error) = &job.last_error { p.fault { (error) } }
                @if job.errors.as_array().is_some_and(|errors| errors.len() > 1) {
                    details { summary { "All failures" } pre.wrap { (format!("{:#}", job.errors)) } }
                }
            }
        } }
    }
}
