//! Is everything all right, and what came in last.

use axum::extract::State;
use axum::response::Html;
use chrono::{DateTime, Utc};
use maud::{Markup, html};

use super::layout::{self, Place, badge, number};
use super::{events, time};
use crate::admin::AdminState;
use crate::admin::api::events::{EventQuery, EventView};
use crate::admin::api::queues::QueueView;
use crate::admin::api::stats::{self, StatsView};
use crate::admin::error::ApiError;

/// A queue whose oldest due job has waited longer than this is behind.
const BEHIND_SECONDS: i64 = 120;

pub(super) async fn show(State(state): State<AdminState>) -> Result<Html<String>, ApiError> {
    let numbers = stats::read(&state).await?;
    let latest = crate::admin::api::events::list(&state, EventQuery::default()).await?;
    Ok(Html(page(&numbers, &latest.events, state.clock.now()).into_string()))
}

fn page(stats: &StatsView, latest: &[EventView], now: DateTime<Utc>) -> Markup {
    let body = html! {
        (verdict(&stats.queues))
        (tiles(stats))
        div.columns {
            section.card { h2 { "Queues" } (queues(&stats.queues)) }
            section.card { h2 { "From push to done " small.quiet { "last hour" } } (latency(stats)) }
            section.card { h2 { "By code " small.quiet { "last 24 hours" } } (codes(stats)) }
        }
        section.card {
            h2 { "Latest events" }
            (events::table(latest, now))
        }
    };
    layout::page("Overview", Place::Overview, true, now, &body)
}

/// What a person should look at, worst first.
fn troubles(queues: &[QueueView]) -> Vec<(String, Option<String>)> {
    let mut found = Vec::new();
    for queue in queues.iter().filter(|queue| queue.dead > 0) {
        let jobs = if queue.dead == 1 { "job of" } else { "jobs of" };
        found.push((
            format!("{} {jobs} {} given up", number(queue.dead), queue.queue),
            Some(format!("/dashboard/jobs?state=dead&queue={}", queue.queue)),
        ));
    }
    for queue in queues.iter().filter(|queue| queue.paused) {
        found.push((format!("{} is paused", queue.queue), None));
    }
    for queue in queues {
        if let Some(age) = queue.oldest_ready_s.filter(|age| *age > BEHIND_SECONDS && !queue.paused) {
            found.push((format!("{} is {} behind", queue.queue, time::seconds(age)), None));
        }
    }
    for queue in queues.iter().filter(|queue| queue.waiting > 0) {
        found.push((
            format!("{} of {} wait for their destination", number(queue.waiting), queue.queue),
            Some(format!("/dashboard/jobs?state=ready&queue={}", queue.queue)),
        ));
    }
    found
}

fn verdict(queues: &[QueueView]) -> Markup {
    let troubles = troubles(queues);
    let tone = if troubles.is_empty() {
        "good"
    } else if queues.iter().any(|queue| queue.dead > 0) {
        "bad"
    } else {
        "busy"
    };
    html! {
        section.card.verdict.(tone) {
            h1 { @if troubles.is_empty() { "All is well" } @else { "Needs a look" } }
            @if troubles.is_empty() {
                p { "Everything that came in is done or on its way." }
            } @else {
                ul {
                    @for (words, link) in &troubles {
                        li { @if let Some(link) = link { a href=(link) { (words) } } @else { (words) } }
                    }
                }
            }
        }
    }
}

fn tiles(stats: &StatsView) -> Markup {
    let sum = |of: fn(&QueueView) -> i64| stats.queues.iter().map(of).sum::<i64>();
    let tiles = [
        (stats.totals.last_hour, "events, last hour"),
        (stats.totals.last_day, "events, last 24 h"),
        (stats.totals.redeliveries_last_day, "duplicates absorbed, 24 h"),
        (sum(|queue| queue.ready + queue.scheduled + queue.waiting), "jobs waiting"),
        (sum(|queue| queue.running), "jobs running"),
        (sum(|queue| queue.dead), "dead jobs"),
    ];
    html! {
        div.tiles {
            @for (value, name) in tiles {
                div.tile.alarm[value > 0 && name == "dead jobs"] { b { (number(value)) } span { (name) } }
            }
        }
    }
}

fn queues(queues: &[QueueView]) -> Markup {
    html! {
        div.scroll { table {
            thead { tr {
                th { "Queue" } th.number { "Ready" } th.number { "Later" } th.number { "Waiting" }
                th.number { "Running" } th.number { "Dead" } th.number { "Oldest" }
            } }
            tbody { @for queue in queues { tr {
                td { (queue.queue) @if queue.paused { " " (badge("paused")) } }
                @for value in [queue.ready, queue.scheduled, queue.waiting, queue.running] {
                    td.number.zero[value == 0] { (number(value)) }
                }
                td.number.zero[queue.dead == 0] {
                    @if queue.dead > 0 {
                        a.alarm href={ "/dashboard/jobs?state=dead&queue=" (queue.queue) } { (number(queue.dead)) }
                    } @else { "0" }
                }
                td.number { @if let Some(age) = queue.oldest_ready_s { (time::seconds(age)) } @else { "–" } }
            } } }
        } }
    }
}

fn latency(stats: &StatsView) -> Markup {
    html! {
        @if stats.latency.is_empty() { p.quiet { "Nothing was finished." } } @else {
            div.scroll { table {
                thead { tr {
                    th { "Job" } th.number { "Done" } th.number { "p50" } th.number { "p95" } th.number { "p99" }
                } }
                tbody { @for one in &stats.latency { tr {
                    td { (one.kind) }
                    td.number { (number(one.jobs)) }
                    @for value in [one.p50_ms, one.p95_ms, one.p99_ms] { td.number { (milliseconds(value)) } }
                } } }
            } }
        }
    }
}

#[expect(clippy::cast_possible_truncation, reason = "a delay in ms fits by far")]
fn milliseconds(value: f64) -> String {
    time::duration(chrono::TimeDelta::milliseconds(value.round() as i64))
}

fn codes(stats: &StatsView) -> Markup {
    html! {
        @if stats.events.is_empty() { p.quiet { "Nothing came in." } } @else {
            div.scroll { table {
                thead { tr { th { "Event" } th.number { "1 h" } th.number { "24 h" } } }
                tbody { @for one in stats.events.iter().take(12) { tr {
                    td { (one.kind) " " span.quiet { (one.source) " " (one.code) } }
                    td.number.zero[one.last_hour == 0] { (number(one.last_hour)) }
                    td.number { (number(one.last_day)) }
                } } }
            } }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn queue(name: &str) -> QueueView {
        QueueView {
            queue: name.to_owned(),
            paused: false,
            ready: 3,
            scheduled: 0,
            waiting: 0,
            running: 1,
            dead: 0,
            oldest_ready_s: Some(4),
        }
    }

    fn words(queues: &[QueueView]) -> Vec<String> {
        troubles(queues).into_iter().map(|(words, _)| words).collect()
    }

    #[test]
    fn work_under_way_is_no_trouble() {
        assert!(troubles(&[queue("enrich"), queue("sheet")]).is_empty());
        assert!(verdict(&[queue("enrich")]).into_string().contains("All is well"));
    }

    #[test]
    fn troubles_come_worst_first() {
        let behind = QueueView { oldest_ready_s: Some(600), ..queue("enrich") };
        let paused = QueueView { paused: true, oldest_ready_s: Some(600), ..queue("sheet") };
        let dead = QueueView { dead: 1, ..queue("notify") };
        let waiting = QueueView { waiting: 2, ..queue("forward") };
        assert_eq!(
            words(&[waiting, behind, paused, dead]),
            [
                "1 job of notify given up",
                "sheet is paused",
                "enrich is 10 min behind",
                "2 of forward wait for their destination"
            ]
        );
    }
}
