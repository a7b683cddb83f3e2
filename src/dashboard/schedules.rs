//! Scheduled tasks: when they ran, when they run next, and running them by hand.

use axum::Extension;
use axum::extract::State;
use axum::response::Html;
use maud::{Markup, html};

use super::layout::{self, Look, Place, badge};
use super::time;
use crate::admin::AdminState;
use crate::admin::api::schedules::{ScheduleView, read};
use crate::admin::auth::Access;
use crate::admin::error::ApiError;

pub(super) async fn show(
    State(state): State<AdminState>,
    Extension(access): Extension<Access>,
) -> Result<Html<String>, ApiError> {
    let schedules = read(&state).await?;
    let look = Look::live(&state, access);
    let body = html! {
        section.card {
            h1 { "Schedules" }
            @if schedules.is_empty() {
                p.quiet { "None yet: a process with the role scheduler lists its tasks when it starts." }
            } @else { (table(&schedules, &look)) }
        }
    };
    Ok(layout::page("Schedules", Place::Schedules, &look, &body))
}

fn table(schedules: &[ScheduleView], look: &Look) -> Markup {
    html! {
        table.stack {
            thead { tr {
                th { "Task" } th { "Every" } th { "Last ended well" } th { "Next" } th { "State" } th { span.unseen { "Do" } }
            } }
            tbody { @for one in schedules { tr {
                td { (one.name.replace('_', " ")) }
                td { (time::seconds(one.every_s.into())) }
                td { @if let Some(at) = one.last_success_at { (time::ago(at, look.now)) } @else { span.quiet { "never" } } }
                td { @if one.paused { "–" } @else { (time::ago(one.next_run_at, look.now)) } }
                td.error {
                    @if one.running { (badge("running")) } @else if one.paused { (badge("paused")) }
                    @else if one.last_error.is_some() { (badge("failed")) } @else { (badge("waiting for its time")) }
                    @if let Some(reason) = &one.paused_reason { p.quiet { (reason) } }
                    @if let Some(error) = &one.last_error { p.fault { (error) } }
                    @else if let Some(result) = &one.last_result { p.quiet.id { (counts(result)) } }
                }
                td { @if look.access == Access::Full { (buttons(one)) } }
            } } }
        }
    }
}

/// `found 3, recovered 2`
fn counts(result: &serde_json::Value) -> String {
    let pairs = result.as_object().into_iter().flatten();
    pairs.map(|(name, value)| format!("{} {value}", name.replace('_', " "))).collect::<Vec<_>>().join(", ")
}

fn buttons(one: &ScheduleView) -> Markup {
    let form = |action: &str, word: &str, plain: bool| {
        html! {
            form method="post" action={ "/dashboard/schedules/" (one.name) "/" (action) } {
                input type="hidden" name="next" value="/dashboard/schedules";
                @if action == "pause" { input type="hidden" name="reason" value="paused on the dashboard"; }
                button.small.plain[plain] type="submit" aria-label={ (word) " " (one.name) } { (word) }
            }
        }
    };
    html! {
        div.buttons {
            (form("run", "Run now", false))
            @if one.paused { (form("resume", "Resume", true)) } @else { (form("pause", "Pause", true)) }
        }
    }
}
