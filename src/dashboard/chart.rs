//! Charts as inline SVG: bars and lines over time, without a script.

use std::fmt::Write as _;

use chrono::{DateTime, Utc};
use maud::{Markup, html};

use super::time;

const WIDTH: f64 = 600.0;
const HEIGHT: f64 = 120.0;

/// One line, or the bars, of a chart: a value per point; none leaves a gap.
pub(super) struct Series<'a> {
    /// What it shows.
    pub(super) name: &'a str,
    /// How it is drawn: a class of the style sheet.
    pub(super) class: &'static str,
    /// One per point of time.
    pub(super) values: Vec<Option<f64>>,
}

/// A chart under its title. `unit` makes words of a value.
pub(super) fn chart(
    title: &str,
    times: &[DateTime<Utc>],
    bars: bool,
    series: &[Series<'_>],
    unit: fn(f64) -> String,
) -> Markup {
    let values = || series.iter().flat_map(|one| one.values.iter().copied().flatten());
    let most = values().fold(0.0, f64::max);
    let top = if most > 0.0 { most } else { 1.0 };
    let last = |one: &Series| one.values.iter().rev().copied().flatten().next();
    let summary: Vec<String> = series
        .iter()
        .map(|one| format!("{}: {}", one.name, last(one).map_or_else(|| "nothing".to_owned(), unit)))
        .collect();
    html! {
        figure.chart {
            figcaption {
                b { (title) }
                @for one in series {
                    span.key.(one.class) { (one.name) " " b { (last(one).map_or_else(|| "–".to_owned(), unit)) } }
                }
            }
            @if values().next().is_none() {
                p.quiet.empty { "Nothing in this time." }
            } @else {
                svg viewBox=(format!("0 0 {WIDTH} {HEIGHT}")) preserveAspectRatio="none" role="img"
                    aria-label=(format!("{title}, last value of {}; at most {}", summary.join(", "), unit(most))) {
                    line.grid x1="0" x2=(WIDTH) y1="0.5" y2="0.5" {}
                    line.grid x1="0" x2=(WIDTH) y1=(HEIGHT / 2.0) y2=(HEIGHT / 2.0) {}
                    line.axis x1="0" x2=(WIDTH) y1=(HEIGHT) y2=(HEIGHT) {}
                    @for one in series { @if bars { (columns(one, times, top, unit)) } @else { (lines(one, top)) } }
                }
                p.scale.quiet {
                    span { @if let Some(first) = times.first() { (time::clock(*first)) } }
                    span { "at most " (unit(most)) }
                    span { "now" }
                }
            }
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "points are few")]
fn step(points: usize) -> f64 {
    WIDTH / points.max(1) as f64
}

#[expect(clippy::cast_precision_loss, reason = "points are few")]
fn place(index: usize, points: usize) -> f64 {
    step(points) * index as f64
}

fn columns(series: &Series<'_>, times: &[DateTime<Utc>], top: f64, unit: fn(f64) -> String) -> Markup {
    let points = series.values.len();
    let width = format!("{:.2}", (step(points) * 0.8).max(0.5));
    html! {
        @for (index, value) in series.values.iter().enumerate() {
            @if let Some(value) = value.filter(|value| *value > 0.0) {
                rect.(series.class) x=(format!("{:.2}", place(index, points))) width=(width)
                    y=(format!("{:.2}", HEIGHT - value / top * HEIGHT)) height=(format!("{:.2}", value / top * HEIGHT)) {
                    title { @if let Some(at) = times.get(index) { (time::stamp(*at)) ": " } (unit(value)) }
                }
            }
        }
    }
}

/// A line with gaps where there is no value; a value between two gaps is a dot.
fn lines(series: &Series<'_>, top: f64) -> Markup {
    let points = series.values.len();
    let (mut path, mut dots) = (String::new(), String::new());
    let mut drawing = false;
    for (index, value) in series.values.iter().enumerate() {
        let Some(value) = value else {
            drawing = false;
            continue;
        };
        let (x, y) = (place(index, points) + step(points) / 2.0, HEIGHT - 2.0 - value / top * (HEIGHT - 4.0));
        let alone = !drawing && series.values.get(index + 1).copied().flatten().is_none();
        if alone {
            let _ = write!(dots, "M{x:.2} {y:.2}h0.1");
        } else {
            let _ = write!(path, "{}{x:.2} {y:.2}", if drawing { "L" } else { "M" });
        }
        drawing = true;
    }
    html! {
        @if !path.is_empty() { path.line.(series.class) d=(path) {} }
        @if !dots.is_empty() { path.line.dot.(series.class) d=(dots) {} }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drawn(bars: bool, values: &[Option<f64>]) -> String {
        let times = vec![DateTime::UNIX_EPOCH; values.len()];
        let series = Series { name: "a<b", class: "one", values: values.to_vec() };
        chart("Test", &times, bars, &[series], |value| format!("{value:.0}")).into_string()
    }

    #[test]
    fn nothing_is_said_and_not_drawn() {
        let empty = drawn(true, &[None, None]);
        assert!(empty.contains("Nothing in this time") && !empty.contains("<svg"), "{empty}");
    }

    #[test]
    fn bars_fill_the_height_and_lines_have_gaps() {
        let bars = drawn(true, &[Some(5.0), Some(10.0), Some(0.0)]);
        assert_eq!(bars.matches("<rect").count(), 2, "{bars}");
        assert!(bars.contains("height=\"120.00\"") && bars.contains("height=\"60.00\""), "{bars}");
        assert!(bars.contains("a&lt;b"), "{bars}");
        let line = drawn(false, &[Some(1.0), Some(2.0), None, Some(1.0)]);
        assert_eq!((line.matches('M').count(), line.matches("h0.1").count()), (2, 1), "{line}");
    }
}
