//! Jobs that are alive; the dead ones by what they died of.

use axum::Extension;
use axum::extract::State;
use axum::response::Html;
use chrono::{DateTime, Utc};
use maud::{Markup, html};
use url::form_urlencoded::Serializer;

use super::job::buttons;
use super::layout::{self, Look, Place, badge, number};
use super::time;
use crate::admin::AdminState;
use crate::admin::api::dead_groups::{self, DeadGroupView};
use crate::admin::api::jobs::{JobQuery, JobView, list};
use crate::admin::auth::Access;
use crate::admin::error::ApiError;
use crate::admin::extract::Query;

const STATES: [&str; 3] = ["dead", "ready", "running"];

pub(super) async fn show(
    State(state): State<AdminState>,
    Extension(access): Extension<Access>,
    Query(query): Query<JobQuery>,
) -> Result<Html<String>, ApiError> {
    let page = list(&state, query.clone()).await?;
    let shown = query.state.as_deref().unwrap_or_default();
    let whole = address(&JobQuery { state: None, ..query.clone() }) == "/dashboard/jobs?";
    let groups = if shown == "dead" && whole { dead_groups::read(&state).await? } else { Vec::new() };
    let look = Look::live(&state, access);
    let body = html! {
        section.card {
            h1 { "Jobs" }
            nav.tabs aria-label="States" { @for one in STATES {
                a href={ "/dashboard/jobs?state=" (one) } aria-current=[(one == shown).then_some("page")] { (one) }
            } }
            @if !groups.is_empty() { (group_table(&groups, &look)) h2 { "One by one" } }
            (search(&query))
            (table(&page.jobs, shown, &address(&query), &look))
            @if !page.jobs.is_empty() && shown != "running" && access == Access::Full { (all_of_them(&query, shown)) }
            @if let Some(next) = page.next { p { a.button href={ (address(&query)) "&cursor=" (next) } { "Older" } } }
        }
        p { a href="/dashboard/bulk" { "Bulk operations" } }
    };
    Ok(layout::page("Jobs", Place::Jobs, &look, &body))
}

/// The parts of a search that are said.
fn parts(query: &JobQuery) -> Vec<(&'static str, String)> {
    let event = query.event_id.map(|event| event.to_string());
    let texts = [
        ("queue", &query.queue),
        ("kind", &query.kind),
        ("key", &query.key),
        ("shop", &query.shop),
        ("order_sn", &query.order_sn),
        ("event_id", &event),
        ("error", &query.error),
        ("error_group", &query.error_group),
    ];
    let said = |(name, value): (&'static str, &Option<String>)| {
        Some((name, value.clone().filter(|text| !text.is_empty())?))
    };
    texts.into_iter().filter_map(said).collect()
}

/// The address of this list, without the place in it.
fn address(query: &JobQuery) -> String {
    let mut address = Serializer::new(String::new());
    if let Some(state) = query.state.as_deref().filter(|state| !state.is_empty()) {
        address.append_pair("state", state);
    }
    address.extend_pairs(parts(query));
    format!("/dashboard/jobs?{}", address.finish())
}

fn search(query: &JobQuery) -> Markup {
    let fields = [
        ("order_sn", "Order", &query.order_sn),
        ("shop", "Shop", &query.shop),
        ("queue", "Queue", &query.queue),
        ("error", "Error contains", &query.error),
    ];
    html! {
        form.search method="get" action="/dashboard/jobs" role="search" {
            @if let Some(state) = &query.state { input type="hidden" name="state" value=(state); }
            @for (name, label, value) in fields {
                label { (label) input type="search" name=(name) value=(value.as_deref().unwrap_or_default()); }
            }
            button type="submit" { "Search" }
        }
    }
}

/// Links that change every job of this list, after a count.
fn all_of_them(query: &JobQuery, shown: &str) -> Markup {
    let actions: &[(&str, &str)] = match shown {
        "dead" => &[("retry", "Retry all of these …"), ("delete", "Delete all of these …")],
        "ready" => &[("cancel", "Cancel all of these …")],
        _ => &[],
    };
    // What a bulk operation cannot be told must not be left out silently.
    let tellable =
        query.key.is_none() && query.event_id.is_none() && query.since.is_none() && query.until.is_none();
    html! {
        @if tellable { p.buttons { @for (action, words) in actions {
            a.button.plain href=(bulk_address(action, &parts(query))) { (words) }
        } } }
    }
}

fn bulk_address(action: &str, parts: &[(&'static str, String)]) -> String {
    let mut address = Serializer::new(String::new());
    address.append_pair("action", action).extend_pairs(parts);
    if parts.is_empty() {
        address.append_pair("all", "true");
    }
    format!("/dashboard/bulk/preview?{}", address.finish())
}

fn group_table(groups: &[DeadGroupView], look: &Look) -> Markup {
    let parts = |group: &DeadGroupView| {
        vec![
            ("queue", group.queue.clone()),
            ("kind", group.kind.clone()),
            ("error_group", group.error.clone()),
        ]
    };
    let list = |group: &DeadGroupView| {
        let pairs =
            Serializer::new(String::new()).append_pair("state", "dead").extend_pairs(parts(group)).finish();
        format!("/dashboard/jobs?{pairs}")
    };
    html! {
        h2 { "What they died of" }
        table.stack {
            thead { tr { th.number { "Jobs" } th { "Kind" } th { "Error" } th { "Oldest" } th { span.unseen { "Do" } } } }
            tbody { @for group in groups { tr {
                td.number { a href=(list(group)) { b { (number(group.jobs)) } } }
                td { (group.kind) }
                td.error { (group.error) }
                td { (time::ago(group.oldest_created_at, look.now)) }
                td { @if look.access == Access::Full { div.buttons {
                    a.button.small href=(bulk_address("retry", &parts(group))) { "Retry …" }
                    a.button.small.plain href=(bulk_address("delete", &parts(group))) { "Delete …" }
                } } }
            } } }
        }
    }
}

fn table(jobs: &[JobView], shown: &str, next: &str, look: &Look) -> Markup {
    html! {
        @if jobs.is_empty() { (nothing(shown)) } @else {
            table.stack {
                thead { tr {
                    th { "Job" } th { "Kind" } th { "Key" } th.number { "Attempt" } th { "Asked for" } th { "State" }
                    th { span.unseen { "Do" } }
                } }
                tbody { @for job in jobs { tr { (row(job, look.now)) td { (buttons(job, next, look.access)) } } } }
            }
        }
    }
}

fn nothing(shown: &str) -> Markup {
    html! {
        p.quiet {
            @match shown {
                "dead" => "No job was given up. Jobs that fail every attempt end up here.",
                "running" => "Nothing runs at this moment.",
                _ => "No such jobs. Jobs that ended are found with their event or their order.",
            }
        }
    }
}

fn row(job: &JobView, now: DateTime<Utc>) -> Markup {
    html! {
        td { a href={ "/dashboard/jobs/" (job.id) } { "#" (job.id) } }
        td { (job.kind) }
        td.id { (job.key.as_deref().unwrap_or("–")) }
        td.number data-label="attempt" { (job.attempt) @if let Some(most) = job.max_attempts { "/" (most) } }
        td { (time::ago(job.created_at, now)) }
        td.error {
            (badge(&job.state))
            @if let Some(what) = &job.waiting_on { " waits for " (what) }
            @if job.state == "ready" && job.attempt > 0 {
                @if let Some(at) = job.run_at { span.quiet { " next attempt " (time::ago(at, now)) } }
            }
            @if let Some(error) = &job.last_error { p.fault { (error) } }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_keep_the_search() {
        let query = JobQuery {
            state: Some("dead".to_owned()),
            error: Some("a&b #1".to_owned()),
            shop: Some(String::new()),
            ..JobQuery::default()
        };
        assert_eq!(address(&query), "/dashboard/jobs?state=dead&error=a%26b+%231");
        assert_eq!(
            bulk_address("retry", &parts(&query)),
            "/dashboard/bulk/preview?action=retry&error=a%26b+%231"
        );
        assert_eq!(bulk_address("retry", &[]), "/dashboard/bulk/preview?action=retry&all=true");
    }
}
