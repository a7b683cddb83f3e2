//! Jobs that are alive; the dead ones by what they died of.

use axum::extract::State;
use axum::response::Html;
use chrono::{DateTime, Utc};
use maud::{Markup, html};

use super::layout::{self, Place, badge, number};
use super::time;
use crate::admin::AdminState;
use crate::admin::api::dead_groups::{self, DeadGroupView};
use crate::admin::api::jobs::{JobQuery, JobView, list};
use crate::admin::error::ApiError;
use crate::admin::extract::Query;

const STATES: [&str; 3] = ["dead", "ready", "running"];

pub(super) async fn show(
    State(state): State<AdminState>,
    Query(query): Query<JobQuery>,
) -> Result<Html<String>, ApiError> {
    let page = list(&state, query.clone()).await?;
    let shown = query.state.as_deref().unwrap_or_default();
    let groups = if shown == "dead" { dead_groups::read(&state).await? } else { Vec::new() };
    let now = state.clock.now();
    let body = html! {
        section.card {
            h1 { "Jobs" }
            nav.tabs { @for one in STATES {
                a href={ "/dashboard/jobs?state=" (one) } aria-current=[(one == shown).then_some("page")] { (one) }
            } }
            @if !groups.is_empty() { (group_table(&groups, now)) }
            (table(&page.jobs, now))
            @if let Some(next) = page.next { p { a.button href=(following(&query, &next)) { "Older" } } }
        }
    };
    Ok(Html(layout::page("Jobs", Place::Jobs, false, now, &body).into_string()))
}

/// The address of the next page of the same list.
fn following(query: &JobQuery, next: &str) -> String {
    let mut address = url::form_urlencoded::Serializer::new(String::new());
    let parts =
        [("state", &query.state), ("queue", &query.queue), ("kind", &query.kind), ("key", &query.key)];
    for (name, value) in parts {
        if let Some(value) = value.as_deref().filter(|value| !value.is_empty()) {
            address.append_pair(name, value);
        }
    }
    format!("/dashboard/jobs?{}", address.append_pair("cursor", next).finish())
}

fn group_table(groups: &[DeadGroupView], now: DateTime<Utc>) -> Markup {
    html! {
        h2 { "What they died of" }
        table.stack {
            thead { tr { th.number { "Jobs" } th { "Kind" } th { "Error" } th { "Oldest" } } }
            tbody { @for group in groups { tr {
                td.number { b { (number(group.jobs)) } }
                td {
                    a href={ "/dashboard/jobs?state=dead&queue=" (group.queue) "&kind=" (group.kind) } { (group.kind) }
                }
                td.error { (group.error) }
                td { (time::ago(group.oldest_created_at, now)) }
            } } }
        }
        h2 { "One by one" }
    }
}

fn table(jobs: &[JobView], now: DateTime<Utc>) -> Markup {
    html! {
        @if jobs.is_empty() { p.quiet { "No such jobs." } } @else {
            table.stack {
                thead { tr {
                    th { "Job" } th { "Kind" } th { "Key" } th.number { "Attempt" } th { "Asked for" } th { "State" }
                } }
                tbody { @for job in jobs { tr {
                    td {
                        @if let Some(event) = job.event_id { a href={ "/dashboard/events/" (event) } { "#" (job.id) } }
                        @else { "#" (job.id) }
                    }
                    td { (job.kind) }
                    td.id { (job.key.as_deref().unwrap_or("–")) }
                    td.number { (job.attempt) @if let Some(most) = job.max_attempts { "/" (most) } }
                    td { (time::ago(job.created_at, now)) }
                    td {
                        (badge(&job.state))
                        @if let Some(what) = &job.waiting_on { " waits for " (what) }
                        @if let Some(error) = &job.last_error { p.fault { (error) } }
                    }
                } } }
            }
        }
    }
}
