//! The queues, who works at them, and the destinations they work for.

use axum::Extension;
use axum::extract::State;
use axum::response::Html;
use maud::{Markup, html};

use super::destinations as pages;
use super::layout::{self, Look, Place, badge, number};
use super::time;
use crate::admin::AdminState;
use crate::admin::api::destinations::{self, DestinationView};
use crate::admin::api::queues::{self, QueueView};
use crate::admin::api::workers::{self, WorkerView};
use crate::admin::auth::Access;
use crate::admin::error::ApiError;

pub(super) async fn show(
    State(state): State<AdminState>,
    Extension(access): Extension<Access>,
) -> Result<Html<String>, ApiError> {
    let look = Look::live(&state, access);
    let (queues, workers) = (queues::read(&state).await?, workers::read(&state).await?);
    let destinations = troubled(destinations::read(&state).await?);
    let body = html! {
        section.card {
            h1 { "Queues" }
            (table(&queues))
            @if access == Access::Full {
                @for queue in &queues { (steer(queue)) }
            }
        }
        section.card {
            h2 { a href="/dashboard/destinations" { "Destinations" } }
            @if destinations.is_empty() {
                p.quiet { "All are in use, and nothing waits for one. " a href="/dashboard/destinations" { "All destinations" } }
            } @else { (pages::table(&destinations, &look, "/dashboard/queues")) }
        }
        section.card { h2 { "Processes" } (worker_table(&workers, &look)) }
    };
    Ok(layout::page("Queues", Place::Queues, &look, &body))
}

/// The queues with links to their jobs.
pub(super) fn table(queues: &[QueueView]) -> Markup {
    let jobs = |queue: &QueueView, state: &str, count: i64| {
        html! {
            td.number.zero[count == 0] {
                @if count > 0 {
                    a.alarm[state == "dead"] href={ "/dashboard/jobs?state=" (state) "&queue=" (queue.queue) } { (number(count)) }
                } @else { "0" }
            }
        }
    };
    html! {
        div.scroll tabindex="0" role="region" aria-label="Queues" { table {
            thead { tr {
                th { "Queue" } th.number { "Ready" } th.number { "Later" } th.number { "Waiting" }
                th.number { "Running" } th.number { "Dead" } th.number { "Oldest" }
            } }
            tbody { @for queue in queues { tr {
                td { (queue.queue) @if queue.paused { " " (badge("paused")) } }
                (jobs(queue, "ready", queue.ready))
                @for value in [queue.scheduled, queue.waiting] { td.number.zero[value == 0] { (number(value)) } }
                (jobs(queue, "running", queue.running))
                (jobs(queue, "dead", queue.dead))
                td.number { @if let Some(age) = queue.oldest_ready_s { (time::seconds(age)) } @else { "–" } }
            } } }
        } }
    }
}

fn steer(queue: &QueueView) -> Markup {
    let action = if queue.paused { "resume" } else { "pause" };
    html! {
        form.steer method="post" action={ "/dashboard/queues/" (queue.queue) "/" (action) } {
            input type="hidden" name="next" value="/dashboard/queues";
            b { (queue.queue) }
            @if queue.paused {
                button type="submit" { "Resume " (queue.queue) }
            } @else {
                label { span.unseen { "Why " (queue.queue) " is paused" }
                    input name="reason" required maxlength="200" placeholder="why, for whoever finds it paused"; }
                button.plain type="submit" { "Pause " (queue.queue) }
            }
        }
    }
}

/// Those that are not used as usual; all are on a page of their own.
fn troubled(destinations: Vec<DestinationView>) -> Vec<DestinationView> {
    let troubled = |one: &DestinationView| {
        one.paused_at.is_some() || one.paused_until.is_some() || one.state != "closed" || one.waiting_jobs > 0
    };
    destinations.into_iter().filter(troubled).collect()
}

fn worker_table(workers: &[WorkerView], look: &Look) -> Markup {
    html! {
        @if workers.is_empty() { p.quiet { "No process has said a word yet." } } @else {
            table.stack {
                thead { tr { th { "Process" } th { "Roles" } th.number { "Jobs" } th { "Started" } th { "State" } } }
                tbody { @for one in workers { tr {
                    td.id { (one.name) }
                    td { (one.roles.join(", ")) " " span.quiet { (one.version) } }
                    td.number data-label="jobs" { (number(one.running)) }
                    td { (time::ago(one.started_at, look.now)) }
                    td { @if one.alive { (badge("alive")) } @else { (badge("silent")) " " (time::ago(one.last_seen_at, look.now)) } }
                } } }
            }
        }
    }
}
