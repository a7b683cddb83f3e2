//! Doing work again: how much it would be first, then how it goes on.

use axum::Extension;
use axum::extract::State;
use axum::response::Html;
use chrono::{DateTime, TimeDelta, Utc};
use maud::{Markup, html};
use serde::Deserialize;
use uuid::Uuid;

use super::layout::{self, Look, Place, badge, number, restrictions};
use super::time;
use crate::admin::AdminState;
use crate::admin::api::event_replays;
use crate::admin::api::replays::{
    self, HIGHEST_RATE, ReplayFilter, ReplayQuery, ReplayRequest, ReplayView, Target, USUAL_RATE,
};
use crate::admin::auth::Access;
use crate::admin::error::ApiError;
use crate::admin::extract::{Path, Query, said};
use crate::admin::frame::RequestId;

/// How far back, in words and hours.
const REACHES: [(&str, i64); 5] = [
    ("the last hour", 1),
    ("the last day", 24),
    ("the last 3 days", 72),
    ("the last week", 168),
    ("ever", 0),
];

/// Which events or jobs, as the forms of the pages carry it.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct ReplayForm {
    target: Target,
    /// Chosen with the preview, so that a second click does nothing twice.
    id: Option<Uuid>,
    source: Option<String>,
    code: Option<String>,
    account: Option<String>,
    subject: Option<String>,
    queue: Option<String>,
    kind: Option<String>,
    error: Option<String>,
    /// Not longer ago than so many hours; 0 is ever.
    hours: Option<i64>,
    /// What `hours` meant when the preview counted.
    since: Option<DateTime<Utc>>,
    per_second: Option<i32>,
}

impl ReplayForm {
    pub(super) fn request(self, dry_run: bool) -> ReplayRequest {
        let filter = ReplayFilter {
            source: said(self.source),
            code: said(self.code),
            account: said(self.account),
            subject: said(self.subject),
            queue: said(self.queue),
            kind: said(self.kind),
            error: said(self.error),
            since: self.since,
            ..ReplayFilter::default()
        };
        // A form says "ever" on purpose.
        let all = filter.is_empty() && self.hours == Some(0);
        ReplayRequest { target: self.target, filter, all, dry_run, per_second: self.per_second, id: self.id }
    }

    /// With `hours` turned into a time.
    fn fixed(mut self, now: DateTime<Utc>) -> Result<Self, ApiError> {
        if let Some(hours) = self.hours.filter(|hours| *hours != 0) {
            let ago = TimeDelta::try_hours(hours).filter(|ago| *ago > TimeDelta::zero());
            let since = ago.and_then(|ago| now.checked_sub_signed(ago));
            self.since =
                Some(since.ok_or_else(|| ApiError::bad_request("hours: must be a number of hours"))?);
        }
        Ok(self)
    }

    fn fields(&self) -> Vec<(&'static str, String)> {
        let rate = self.per_second.map(|rate| rate.to_string());
        let since = self.since.map(|since| since.to_rfc3339());
        let texts = [
            ("source", &self.source),
            ("code", &self.code),
            ("account", &self.account),
            ("subject", &self.subject),
            ("queue", &self.queue),
            ("kind", &self.kind),
            ("error", &self.error),
            ("since", &since),
            ("per_second", &rate),
        ];
        let said = |(name, value): (&'static str, &Option<String>)| {
            Some((name, value.clone().filter(|text| !text.is_empty())?))
        };
        let mut fields = vec![("target", word(self.target).to_owned()), ("id", Uuid::new_v4().to_string())];
        fields.extend(texts.into_iter().filter_map(said));
        if self.hours == Some(0) {
            fields.push(("hours", "0".to_owned()));
        }
        fields
    }
}

fn word(target: Target) -> &'static str {
    match target {
        Target::Events => "events",
        Target::DeadJobs => "dead_jobs",
        Target::FinishedJobs => "finished_jobs",
    }
}

/// What it is called, and what happens.
fn words(target: Target) -> (&'static str, &'static str) {
    match target {
        Target::Events => (
            "events",
            "The jobs that they lead to today are asked for again. Orders and rows are written over with what is \
             true now; what was announced is not announced twice; your own service gets the same webhook-id.",
        ),
        Target::DeadJobs => ("dead jobs", "They become ready again with all of their attempts."),
        Target::FinishedJobs => ("finished jobs", "They run again, done or cancelled as they are."),
    }
}

/// All replays, and the form for a new one.
pub(super) async fn list(
    State(state): State<AdminState>,
    Extension(access): Extension<Access>,
    Query(query): Query<ReplayQuery>,
) -> Result<Html<String>, ApiError> {
    let page = replays::list(&state, query).await?;
    let look = Look::live(&state, access);
    let body = html! {
        @if access == Access::Full { section.card { h1 { "Replay" } (forms()) } }
        section.card {
            h2 { "Replays so far" }
            @if page.replays.is_empty() {
                p.quiet { "None yet. Replay events when something was configured wrong while they were worked at." }
            } @else { (table(&page.replays, look.now)) }
            @if let Some(next) = page.next { p { a.button href={ "/dashboard/replays?cursor=" (next) } { "Older" } } }
        }
    };
    Ok(layout::page("Replays", Place::Replays, &look, &body))
}

fn forms() -> Markup {
    let events =
        [("source", "Source"), ("code", "Code"), ("account", "Shop"), ("subject", "Order or subject")];
    let jobs = [("queue", "Queue"), ("kind", "Kind"), ("error", "Error contains")];
    let form = |target: Target, fields: &[(&str, &str)]| {
        let (name, effect) = words(target);
        html! {
            details open[target == Target::Events] {
                summary { h2.inline { "Of " (name) } }
                p.quiet { (effect) }
                form.search method="get" action="/dashboard/replays/preview" {
                    input type="hidden" name="target" value=(word(target));
                    @for (name, label) in fields { label { (label) input type="search" name=(name); } }
                    label { "Of" select name="hours" { @for (words, hours) in REACHES {
                        option value=(hours) selected[hours == 24] { (words) }
                    } } }
                    label { "Per second at most"
                        input type="number" name="per_second" min="1" max=(HIGHEST_RATE) value=(USUAL_RATE); }
                    button type="submit" { "Count …" }
                }
            }
        }
    };
    html! {
        (form(Target::Events, &events))
        (form(Target::DeadJobs, &jobs))
        (form(Target::FinishedJobs, &jobs))
    }
}

/// How many it would go through, and a button that does it.
pub(super) async fn preview(
    State(state): State<AdminState>,
    Extension(access): Extension<Access>,
    Extension(request_id): Extension<RequestId>,
    Query(form): Query<ReplayForm>,
) -> Result<Html<String>, ApiError> {
    let form = form.fixed(state.clock.now())?;
    let counted = replays::start(&state, &request_id, form.clone().request(true)).await?;
    let (name, effect) = words(form.target);
    let total = counted.total.unwrap_or(0);
    let body = html! {
        section.card {
            h1 { "Replay " (number(total)) " " (name) "?" }
            p { (effect) }
            (restrictions(&counted.filter))
            p.quiet { "At most " (counted.per_second) " per second, behind live pushes: "
                (time::seconds(total / i64::from(counted.per_second.max(1)))) " at least." }
            @if total == 0 {
                p { a.button href="/dashboard/replays" { "Back" } }
            } @else if access < Access::Full {
                p.quiet { "Your token may only read." }
            } @else {
                form method="post" action="/dashboard/replays" {
                    @for (name, value) in form.fields() { input type="hidden" name=(name) value=(value); }
                    p.buttons {
                        button type="submit" { "Replay " (number(total)) }
                        a.button.plain href="/dashboard/replays" { "Leave it" }
                    }
                }
            }
        }
    };
    Ok(layout::page("Replay", Place::Replays, &Look::still(&state, access), &body))
}

/// One replay and how far it is.
pub(super) async fn show(
    State(state): State<AdminState>,
    Extension(access): Extension<Access>,
    Path(id): Path<i64>,
) -> Result<Html<String>, ApiError> {
    let replay = replays::read(&state, id).await?;
    let look = if replay.is_open() { Look::live(&state, access) } else { Look::still(&state, access) };
    let body = html! {
        section.card {
            h1 { "Replay " (id) " of " (replay.target.replace('_', " ")) " " (badge(&replay.state)) }
            p { b { (number(replay.seen)) }
                @if let Some(total) = replay.total { " of " (number(total)) } " gone through, "
                (number(replay.enqueued)) " jobs asked for, " (number(replay.skipped)) " skipped" }
            progress max=(replay.total.unwrap_or(1).max(1)) value=(replay.seen) aria-label="gone through" {}
            @if let Some(error) = &replay.last_error { p.fault { (error) } }
            @if replay.state == "waiting" { p.quiet { "A process with the role worker takes it in hand." } }
            (restrictions(&replay.filter))
            p.quiet { "at most " (replay.per_second) " per second; asked for by " (replay.requested_by) " "
                (time::ago(replay.created_at, look.now)) }
            @if replay.is_open() && access == Access::Full {
                form method="post" action={ "/dashboard/replays/" (id) "/cancel" } { button.plain type="submit" { "Stop" } }
            }
            p { a href="/dashboard/replays" { "All replays" } }
        }
    };
    Ok(layout::page("Replay", Place::Replays, &look, &body))
}

fn table(replays: &[ReplayView], now: DateTime<Utc>) -> Markup {
    html! {
        table.stack {
            thead { tr { th { "Asked for" } th { "By" } th { "What" } th.number { "Gone through" } th { "State" } } }
            tbody { @for one in replays { tr {
                td { @if let Some(id) = one.id { a href={ "/dashboard/replays/" (id) } { (time::ago(one.created_at, now)) } } }
                td { (one.requested_by) }
                td.error { (one.target.replace('_', " ")) " " span.quiet.id { (serde_json::to_string(&one.filter).unwrap_or_default()) } }
                td.number { (number(one.seen)) @if let Some(total) = one.total { " of " (number(total)) } }
                td { (badge(&one.state)) }
            } } }
        }
    }
}

/// What replaying one event would do, and a button that does it.
pub(super) async fn preview_event(
    State(state): State<AdminState>,
    Extension(access): Extension<Access>,
    Path(id): Path<Uuid>,
) -> Result<Html<String>, ApiError> {
    let jobs = event_replays::preview(&state, id).await?;
    let body = html! {
        section.card {
            h1 { "Replay this event?" }
            p { (words(Target::Events).1) }
            @if jobs.is_empty() { p { "With today's routes and codes it asks for nothing." } } @else {
                p { "First it asks for:" }
                ul { @for job in &jobs { li { (job.kind) " " span.quiet { (job.queue) } " "
                    span.id { (job.key.as_deref().unwrap_or_default()) } } } }
            }
            p.buttons {
                @if access == Access::Full && !jobs.is_empty() {
                    form method="post" action={ "/dashboard/events/" (id) "/replay" } { button type="submit" { "Replay" } }
                }
                a.button.plain href={ "/dashboard/events/" (id) } { "Leave it" }
            }
        }
    };
    Ok(layout::page("Replay", Place::Replays, &Look::still(&state, access), &body))
}
