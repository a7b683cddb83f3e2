//! One job: what it is to do, its moments, and every failure in full.

use axum::Extension;
use axum::extract::State;
use axum::response::Html;
use chrono::{DateTime, Utc};
use maud::{Markup, html};

use super::layout::{self, Look, Place, badge};
use super::time;
use crate::admin::AdminState;
use crate::admin::api::jobs::{JobView, read};
use crate::admin::auth::Access;
use crate::admin::error::ApiError;
use crate::admin::extract::Path;

pub(super) async fn show(
    State(state): State<AdminState>,
    Extension(access): Extension<Access>,
    Path(id): Path<i64>,
) -> Result<Html<String>, ApiError> {
    let job = read(&state, id).await?;
    let look =
        if job.finished_at.is_none() { Look::live(&state, access) } else { Look::still(&state, access) };
    let body = html! {
        section.card {
            h1 { (job.kind) " #" (job.id) " " (badge(&job.state)) }
            (facts(&job, look.now))
            (buttons(&job, &format!("/dashboard/jobs/{id}"), access))
        }
        section.card { h2 { "Failures" } (failures(&job)) }
        section.card { h2 { "What it is asked to do" } pre.wrap { (format!("{:#}", job.payload)) } }
    };
    Ok(layout::page(&format!("Job {id}"), Place::Jobs, &look, &body))
}

fn facts(job: &JobView, now: DateTime<Utc>) -> Markup {
    html! {
        dl {
            dt { "Queue" } dd { (job.queue) }
            dt { "Key" } dd.id { (job.key.as_deref().unwrap_or("–")) }
            dt { "Attempts" } dd { (job.attempt) @if let Some(most) = job.max_attempts { " of " (most) } }
            dt { "Asked for" } dd { (time::full(job.created_at)) " · " (time::ago(job.created_at, now)) }
            @if let Some(at) = job.started_at { dt { "Last begun" } dd { (time::full(at)) } }
            @if let Some(at) = job.finished_at { dt { "Ended" } dd { (time::full(at)) } }
            @if job.state == "ready" { @if let Some(at) = job.run_at { dt { "Next attempt" } dd { (time::ago(at, now)) } } }
            @if let Some(what) = &job.waiting_on { dt { "Waits for" } dd { (what) } }
            @if let Some(worker) = &job.worker { dt { "Worker" } dd.id { (worker) } }
            @if let Some(note) = &job.note { dt { "Note" } dd { (note) } }
            @if let Some(event) = job.event_id { dt { "Event" } dd.id { a href={ "/dashboard/events/" (event) } { (event) } } }
        }
    }
}

/// What can be done about it, for whoever may.
pub(super) fn buttons(job: &JobView, next: &str, access: Access) -> Markup {
    let actions: &[(&str, &str)] = match job.state.as_str() {
        "dead" => &[("retry", "Retry"), ("delete", "Delete")],
        "ready" => &[("cancel", "Cancel")],
        _ => &[],
    };
    html! {
        @if access == Access::Full && !actions.is_empty() {
            div.buttons { @for (action, word) in actions {
                form method="post" action={ "/dashboard/jobs/" (job.id) "/" (action) } {
                    input type="hidden" name="next" value=(next);
                    button.small.plain[*action != "retry"] type="submit" aria-label={ (word) " job " (job.id) } { (word) }
                }
            } }
        }
    }
}

/// All failures, newest first.
pub(super) fn failures(job: &JobView) -> Markup {
    let errors = job.errors.as_array().map(Vec::as_slice).unwrap_or_default();
    html! {
        @if errors.is_empty() { p.quiet { "None so far." } }
        ol.attempts { @for error in errors.iter().rev() {
            li {
                p.quiet {
                    "attempt " (error["attempt"])
                    @if let Some(at) = error["at"].as_str().and_then(|at| at.parse::<DateTime<Utc>>().ok()) {
                        " · " (time::full(at))
                    }
                }
                p.fault { (error["error"].as_str().unwrap_or("no error was kept")) }
            }
        } }
    }
}
