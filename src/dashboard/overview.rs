//! Is everything all right, and what came in last.

use axum::Extension;
use axum::extract::State;
use axum::response::Html;
use chrono::{DateTime, Utc};
use maud::{Markup, html};
use serde::Deserialize;

use super::chart::{Series, chart};
use super::layout::{self, Look, Place, number};
use super::{events, queues, time};
use crate::admin::AdminState;
use crate::admin::api::alerts::{self, AlertQuery, AlertView};
use crate::admin::api::destinations::{self, DestinationView};
use crate::admin::api::events::EventQuery;
use crate::admin::api::queues::QueueView;
use crate::admin::api::series::{self, PointView, SeriesView, Window};
use crate::admin::api::stats::{self, StatsView};
use crate::admin::auth::Access;
use crate::admin::error::ApiError;
use crate::admin::extract::Query;

/// A queue whose oldest due job has waited longer than this is behind.
const BEHIND_SECONDS: i64 = 120;

/// How far back the charts go.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Shown {
    #[serde(default)]
    window: Window,
}

pub(super) async fn show(
    State(state): State<AdminState>,
    Extension(access): Extension<Access>,
    Query(shown): Query<Shown>,
) -> Result<Html<String>, ApiError> {
    let numbers = stats::read(&state).await?;
    let series = series::read(&state, shown.window).await?;
    let open = AlertQuery { open: true, ..AlertQuery::default() };
    let alerts = alerts::list(&state, open).await?.alerts;
    let destinations = destinations::read(&state).await?;
    let latest = EventQuery { limit: Some(20), ..EventQuery::default() };
    let latest = crate::admin::api::events::list(&state, latest).await?.events;
    let look = Look::live(&state, access);
    let body = html! {
        (verdict(&numbers.queues, &alerts, &destinations, look.now))
        (tiles(&numbers))
        (charts(&series, shown.window))
        div.columns {
            section.card { h2 { a href="/dashboard/queues" { "Queues" } } (queues::table(&numbers.queues)) }
            section.card { h2 { "From push to done " small.quiet { "last hour" } } (latency(&numbers)) }
            section.card { h2 { "By code " small.quiet { "last 24 hours" } } (codes(&numbers)) }
            section.card { h2 { a href="/dashboard/destinations" { "Destinations and shops" } } (places(&destinations)) }
        }
        section.card {
            h2 { a href="/dashboard/events" { "Latest events" } }
            (events::table(&latest, look.now))
        }
    };
    Ok(layout::page("Overview", Place::Overview, &look, &body))
}

fn charts(series: &SeriesView, window: Window) -> Markup {
    let points = &series.points;
    let times: Vec<_> = points.iter().map(|point| point.at).collect();
    let of = |value: fn(&PointView) -> Option<f64>| points.iter().map(value).collect::<Vec<_>>();
    let line = |name, class, value: fn(&PointView) -> Option<f64>| Series { name, class, values: of(value) };
    let minutes = f64::from(series.step_s) / 60.0;
    let pushes = points.iter().map(|point| Some(float(point.events) / minutes)).collect();
    let windows = [
        (Window::Hour, "hour", "last hour"),
        (Window::Day, "day", "last day"),
        (Window::Week, "week", "last week"),
    ];
    html! {
        section.card {
            nav.tabs aria-label="Time of the charts" { @for (one, name, words) in windows {
                a href={ "/dashboard?window=" (name) } aria-current=[(one == window).then_some("page")] { (words) }
            } }
            div.charts {
                (chart("Pushes per minute", &times, true, &[Series { name: "pushes", class: "one", values: pushes }], few))
                (chart("From push to sheet", &times, false, &[
                    line("p50", "one", |point| point.sheet_p50_ms), line("p95", "two", |point| point.sheet_p95_ms)], milliseconds))
                (chart("From push to Telegram", &times, false, &[
                    line("p50", "one", |point| point.telegram_p50_ms), line("p95", "two", |point| point.telegram_p95_ms)], milliseconds))
                (chart("Attempts that succeed", &times, false, &[line("of all", "one", |point| {
                    (point.attempts > 0).then(|| float(point.done) / float(point.attempts) * 100.0) })], percent))
                (chart("Jobs that wait", &times, true, &[line("jobs", "one", |point| point.waiting.map(float))], few))
                (chart("Oldest due job", &times, true, &[line("age", "one", |point| point.oldest_s.map(|age| float(age) * 1000.0))], milliseconds))
            }
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
fn float(count: i64) -> f64 {
    count as f64
}

fn few(value: f64) -> String {
    if value < 10.0 && value.fract() > 0.0 { format!("{value:.1}") } else { format!("{value:.0}") }
}

fn percent(value: f64) -> String {
    format!("{value:.1} %")
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
        found.push((format!("{} is paused", queue.queue), Some("/dashboard/queues".to_owned())));
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

/// Every destination and shop with its state, those that need a look first.
fn places(destinations: &[DestinationView]) -> Markup {
    const SHOWN: usize = 12;
    let mut sorted: Vec<_> = destinations.iter().collect();
    sorted.sort_by_key(|one| one.state == "closed" && one.paused_at.is_none());
    html! {
        @if sorted.is_empty() { p.quiet { "None was called so far." } }
        ul.plain-list { @for one in sorted.iter().take(SHOWN) { li {
            (super::destinations::state(one)) " " span.quiet { (one.kind) } " " span.id { (one.name) }
        } } }
        @if sorted.len() > SHOWN { p { a href="/dashboard/destinations" { "all " (sorted.len()) } } }
    }
}

/// Destinations that are out of use now.
fn shut(destinations: &[DestinationView], now: DateTime<Utc>) -> impl Iterator<Item = &DestinationView> {
    let shut = move |one: &&DestinationView| {
        one.state == "open" && one.paused_until.is_some_and(|until| until > now)
    };
    destinations.iter().filter(shut)
}

fn verdict(
    queues: &[QueueView],
    alerts: &[AlertView],
    destinations: &[DestinationView],
    now: DateTime<Utc>,
) -> Markup {
    let troubles = troubles(queues);
    let well = troubles.is_empty() && alerts.is_empty() && shut(destinations, now).next().is_none();
    let bad =
        queues.iter().any(|queue| queue.dead > 0) || alerts.iter().any(|alert| alert.severity == "critical");
    let tone = if well {
        "good"
    } else if bad {
        "bad"
    } else {
        "busy"
    };
    html! {
        section.card.verdict.(tone) {
            h1 { @if well { "All is well" } @else { "Needs a look" } }
            @if well { p { "Everything that came in is done or on its way." } } @else {
                ul {
                    @for alert in alerts { li {
                        b { (alert.title) } " " span.quiet { (time::ago(alert.raised_at, now)) }
                        p.quiet { (alert.remedy) }
                    } }
                    @for one in shut(destinations, now) { li {
                        a href="/dashboard/destinations" { (one.kind) " " span.id { (one.name) } " is out of use" }
                        @if let Some(reason) = &one.reason { p.quiet { (reason) } }
                    } }
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
    let jobs = |state: &str| format!("/dashboard/jobs?state={state}");
    let events = || "/dashboard/events".to_owned();
    let tiles = [
        (stats.totals.last_hour, "events, last hour", events()),
        (stats.totals.last_day, "events, last 24 h", events()),
        (stats.totals.redeliveries_last_day, "duplicates absorbed, 24 h", events()),
        (sum(|queue| queue.ready + queue.scheduled + queue.waiting), "jobs waiting", jobs("ready")),
        (sum(|queue| queue.running), "jobs running", jobs("running")),
        (sum(|queue| queue.dead), "dead jobs", jobs("dead")),
    ];
    html! {
        div.tiles {
            @for (value, name, page) in tiles {
                a.tile.alarm[value > 0 && name == "dead jobs"] href=(page) { b { (number(value)) } span { (name) } }
            }
        }
    }
}

fn latency(stats: &StatsView) -> Markup {
    html! {
        @if stats.latency.is_empty() { p.quiet { "Nothing was finished." } } @else {
            div.scroll tabindex="0" role="region" aria-label="From push to done" { table {
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
            div.scroll tabindex="0" role="region" aria-label="By code" { table {
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
        assert!(
            verdict(&[queue("enrich")], &[], &[], DateTime::UNIX_EPOCH).into_string().contains("All is well")
        );
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
