//! Changing many jobs: how many first, then how it goes on.

use axum::Extension;
use axum::extract::State;
use axum::response::Html;
use chrono::{DateTime, Utc};
use maud::{Markup, html};
use uuid::Uuid;

use super::act::BulkForm;
use super::layout::{self, Look, Place, badge, number, restrictions};
use super::time;
use crate::admin::AdminState;
use crate::admin::api::bulk_operations::{self, BulkAction, BulkQuery, BulkView};
use crate::admin::auth::Access;
use crate::admin::error::ApiError;
use crate::admin::extract::{Path, Query};
use crate::admin::frame::RequestId;

/// What would be changed, and a button that does it.
pub(super) async fn preview(
    State(state): State<AdminState>,
    Extension(access): Extension<Access>,
    Extension(request_id): Extension<RequestId>,
    Query(form): Query<BulkForm>,
) -> Result<Html<String>, ApiError> {
    let counted = bulk_operations::start(&state, &request_id, form.clone().request(true)).await?;
    let (verb, effect) = words(form.action);
    let body = html! {
        section.card {
            h1 { (verb) " " (number(counted.matched)) " " (if counted.matched == 1 { "job" } else { "jobs" }) "?" }
            p { (effect) }
            (restrictions(&counted.filter))
            @if counted.matched == 0 {
                p.quiet { "No job matches any more." }
                p { a.button href="/dashboard/jobs?state=dead" { "Back to the jobs" } }
            } @else if access < Access::Full {
                p.quiet { "Your token may only read." }
            } @else {
                form method="post" action="/dashboard/bulk" {
                    @for (name, value) in fields(&form) { input type="hidden" name=(name) value=(value); }
                    p.buttons {
                        button.danger[form.action != BulkAction::Retry] type="submit" { (verb) " " (number(counted.matched)) }
                        a.button.plain href="/dashboard/jobs?state=dead" { "Leave it" }
                    }
                }
            }
        }
    };
    Ok(layout::page("Many jobs", Place::Jobs, &Look::still(&state, access), &body))
}

fn words(action: BulkAction) -> (&'static str, &'static str) {
    match action {
        BulkAction::Retry => ("Retry", "They become ready again with all of their attempts."),
        BulkAction::Cancel => ("Cancel", "They end without being done. The history keeps them as cancelled."),
        BulkAction::Delete => (
            "Delete",
            "They are given up for good. The history keeps them as cancelled until its retention is over.",
        ),
    }
}

fn fields(form: &BulkForm) -> Vec<(&'static str, String)> {
    let action = match form.action {
        BulkAction::Retry => "retry",
        BulkAction::Cancel => "cancel",
        BulkAction::Delete => "delete",
    };
    let texts = [
        ("queue", &form.queue),
        ("kind", &form.kind),
        ("shop", &form.shop),
        ("order_sn", &form.order_sn),
        ("error", &form.error),
        ("error_group", &form.error_group),
    ];
    let said = texts
        .into_iter()
        .filter_map(|(name, value)| Some((name, value.clone().filter(|text| !text.is_empty())?)));
    let mut fields = vec![("action", action.to_owned()), ("id", Uuid::new_v4().to_string())];
    fields.extend(said);
    if form.all {
        fields.push(("all", "true".to_owned()));
    }
    fields
}

/// One operation and how far it is.
pub(super) async fn show(
    State(state): State<AdminState>,
    Extension(access): Extension<Access>,
    Path(id): Path<Uuid>,
) -> Result<Html<String>, ApiError> {
    let operation = bulk_operations::read(&state, id).await?;
    let open = matches!(operation.state.as_str(), "waiting" | "running");
    let look = if open { Look::live(&state, access) } else { Look::still(&state, access) };
    let body = html! {
        section.card {
            h1 { "Bulk " (operation.action) " " (badge(&operation.state)) }
            p { b { (number(operation.changed)) } " of " (number(operation.matched)) " jobs changed" }
            progress max=(operation.matched.max(1)) value=(operation.changed) aria-label="jobs changed" {}
            @if let Some(error) = &operation.error { p.fault { (error) } }
            (restrictions(&operation.filter))
            p.quiet { "asked for by " (operation.requested_by) " " (time::ago(operation.requested_at, look.now)) }
            @if open && access == Access::Full {
                form method="post" action={ "/dashboard/bulk/" (id) "/cancel" } { button.plain type="submit" { "Stop" } }
            }
            p { a href="/dashboard/jobs?state=dead" { "Dead jobs" } " · " a href="/dashboard/bulk" { "All bulk operations" } }
        }
    };
    Ok(layout::page("Bulk operation", Place::Jobs, &look, &body))
}

/// All operations.
pub(super) async fn list(
    State(state): State<AdminState>,
    Extension(access): Extension<Access>,
    Query(query): Query<BulkQuery>,
) -> Result<Html<String>, ApiError> {
    let page = bulk_operations::list(&state, query).await?;
    let look = Look::live(&state, access);
    let body = html! {
        section.card {
            h1 { "Bulk operations" }
            @if page.operations.is_empty() {
                p.quiet { "None yet. Groups of dead jobs are retried from " a href="/dashboard/jobs?state=dead" { "the jobs" } "." }
            } @else { (table(&page.operations, look.now)) }
            @if let Some(next) = page.next { p { a.button href={ "/dashboard/bulk?cursor=" (next) } { "Older" } } }
        }
    };
    Ok(layout::page("Bulk operations", Place::Jobs, &look, &body))
}

fn table(operations: &[BulkView], now: DateTime<Utc>) -> Markup {
    html! {
        table.stack {
            thead { tr { th { "Asked for" } th { "By" } th { "What" } th.number { "Changed" } th { "State" } } }
            tbody { @for one in operations { tr {
                td { @if let Some(id) = one.id { a href={ "/dashboard/bulk/" (id) } { (time::ago(one.requested_at, now)) } } }
                td { (one.requested_by) }
                td { (one.action) " " span.quiet.id { (one.filter.to_string()) } }
                td.number { (number(one.changed)) " of " (number(one.matched)) }
                td { (badge(&one.state)) }
            } } }
        }
    }
}
