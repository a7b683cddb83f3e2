//! One event: what it carried and everything that came of it.

use axum::Extension;
use axum::extract::State;
use axum::response::Html;
use chrono::{DateTime, Utc};
use maud::{Markup, html};
use uuid::Uuid;

use super::job::{buttons, failures};
use super::layout::{self, Look, Place, badge, event_badge};
use super::time;
use crate::admin::AdminState;
use crate::admin::api::events::{EventDetail, EventState, read};
use crate::admin::api::jobs::JobView;
use crate::admin::auth::Access;
use crate::admin::error::ApiError;
use crate::admin::extract::Path;

pub(super) async fn show(
    State(state): State<AdminState>,
    Extension(access): Extension<Access>,
    Path(id): Path<Uuid>,
) -> Result<Html<String>, ApiError> {
    let event = read(&state, id).await?;
    // A page that is read in peace once nothing will change any more.
    let settled = event.event.state == EventState::Done;
    let look = if settled { Look::still(&state, access) } else { Look::live(&state, access) };
    Ok(layout::page(&title(&event), Place::Events, &look, &page(&event, &look)))
}

fn title(event: &EventDetail) -> String {
    match &event.event.subject {
        Some(subject) => format!("{} {subject}", event.event.kind),
        None => event.event.kind.clone(),
    }
}

fn page(detail: &EventDetail, look: &Look) -> Markup {
    html! {
        section.card { h1 { (title(detail)) " " (event_badge(&detail.event)) } (facts(detail, look.now))
            @if look.access == Access::Full { p { a.button.plain.small href={ "/dashboard/events/" (detail.event.id) "/replay" } { "Replay …" } } }
        }
        section.card { h2 { "Its way" } (waterfall(detail, look.now)) }
        section.card {
            h2 { "What came of it" }
            (timeline(&detail.jobs, detail, look))
        }
        section.card {
            h2 { "As sent" }
            @if let Some(fault) = &detail.parse_error { p.fault { "Kept as bytes: " (fault) } }
            @if let Some(payload) = &detail.payload { pre tabindex="0" { (format!("{payload:#}")) } }
            @if let Some(body) = &detail.body_base64 { pre.wrap { (body) } }
            details { summary { "Headers and hash" } pre tabindex="0" { (format!("{:#}", detail.headers)) }
                p.id { "SHA-256 " (detail.body_sha256) } }
        }
    }
}

fn facts(detail: &EventDetail, now: DateTime<Utc>) -> Markup {
    let event = &detail.event;
    html! {
        dl {
            dt { "Received" } dd { (time::full(event.received_at)) " · " (time::ago(event.received_at, now)) }
            @if let Some(occurred_at) = event.occurred_at {
                dt { "Happened" } dd {
                    (time::full(occurred_at)) " · " (time::duration(event.received_at - occurred_at)) " before"
                }
            }
            dt { "Source" } dd { (event.source) ", code " (event.code) ", by " (event.via) }
            dt { "Shop" } dd.id { (event.account.as_deref().unwrap_or("–")) }
            dt { "About" } dd.id {
                @if let Some(subject) = &event.subject {
                    a href=(same_subject(subject)) { (subject) }
                    " · " a href={ "/dashboard/orders?order_sn=" (url_encoded(subject)) } { "the order" }
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

fn url_encoded(text: &str) -> String {
    url::form_urlencoded::byte_serialize(text.as_bytes()).collect()
}

fn same_subject(subject: &str) -> String {
    let query = url::form_urlencoded::Serializer::new(String::new()).append_pair("subject", subject).finish();
    format!("/dashboard/events?{query}")
}

/// A bar per job on one scale: from when it was asked for until it ended, or now; the dark part is its last run.
fn waterfall(detail: &EventDetail, now: DateTime<Utc>) -> Markup {
    const WIDTH: f64 = 600.0;
    let start = detail.event.received_at;
    let end_of = |job: &JobView| job.finished_at.unwrap_or(now).max(job.created_at);
    let end = detail.jobs.iter().map(end_of).max().unwrap_or(start);
    let whole = (end - start).as_seconds_f64().max(0.001);
    let x = |at: DateTime<Utc>| ((at - start).as_seconds_f64() / whole * WIDTH).clamp(0.0, WIDTH);
    html! {
        @if detail.jobs.is_empty() { p.quiet { "No work came of it." } }
        ol.waterfall { @for job in &detail.jobs {
            @let (asked, begun, ended) = (x(job.created_at), job.started_at.map(x), x(end_of(job)));
            li {
                span { (job.kind) }
                svg viewBox=(format!("0 0 {WIDTH} 12")) preserveAspectRatio="none" aria-hidden="true" {
                    rect.wait x=(format!("{asked:.1}")) y="3" height="6" width=(format!("{:.1}", (ended - asked).max(2.0))) {}
                    @if let Some(begun) = begun {
                        rect.run.(job.state) x=(format!("{begun:.1}")) y="0" height="12" width=(format!("{:.1}", (ended - begun).max(2.0))) {}
                    }
                }
                span.number { (time::duration(end_of(job) - start)) }
            }
        } }
        p.quiet { "received and committed at 0; light: waits, dark: its last attempt" }
    }
}

/// The jobs in order, each with its moments counted from the event's receipt.
fn timeline(jobs: &[JobView], detail: &EventDetail, look: &Look) -> Markup {
    let received_at = detail.event.received_at;
    let after = |at: DateTime<Utc>| format!("+{}", time::duration(at - received_at));
    let here = format!("/dashboard/events/{}", detail.event.id);
    html! {
        @if jobs.is_empty() { p.quiet { "No jobs: it asked for none, or their retention is over." } }
        ol.timeline { @for job in jobs {
            li.(job.state) {
                p { b { (job.kind) } " " (badge(&job.state)) " " a href={ "/dashboard/jobs/" (job.id) } { "#" (job.id) } " " span.quiet { (job.queue) } }
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
                    details { summary { "All failures" } (failures(job)) }
                }
                (buttons(job, &here, look.access))
            }
        } }
    }
}
