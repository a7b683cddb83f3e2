//! The numbers over time: what charts are drawn from.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::State;
use chrono::{DateTime, DurationRound, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::admin::AdminState;
use crate::admin::error::{ApiError, Refusals, Unusable};
use crate::admin::extract::Query;
use crate::store::series::{self, Delays};

/// How far back.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Window {
    /// 60 points of a minute.
    #[default]
    Hour,
    /// 96 points of a quarter of an hour.
    Day,
    /// 84 points of two hours.
    Week,
}

impl Window {
    /// Width of the counts that are read, width of a point, points.
    fn shape(self) -> (i32, i32, i32) {
        match self {
            Self::Hour => (60, 60, 60),
            Self::Day => (900, 900, 96),
            Self::Week => (900, 7200, 84),
        }
    }
}

/// Which series.
#[derive(Debug, Default, Clone, Copy, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct SeriesQuery {
    /// `hour`, `day` or `week`; the last hour when left out.
    #[serde(default)]
    #[param(inline)]
    pub window: Window,
}

/// The numbers of one span.
#[derive(Debug, Clone, Default, Serialize, ToSchema)]
pub struct PointView {
    /// When the span begins.
    pub at: DateTime<Utc>,
    /// Events received.
    pub events: i64,
    /// Jobs done.
    pub done: i64,
    /// Attempts that these jobs took; more than `done` when some failed on the way.
    pub attempts: i64,
    /// Half of the sheet's rows were written so many milliseconds after their push; none when none was.
    pub sheet_p50_ms: Option<f64>,
    /// 95 of 100 were.
    pub sheet_p95_ms: Option<f64>,
    /// Half of the announcements were sent so many milliseconds after their push.
    pub telegram_p50_ms: Option<f64>,
    /// 95 of 100 were.
    pub telegram_p95_ms: Option<f64>,
    /// The most jobs that waited at once; none when nobody looked.
    pub waiting: Option<i64>,
    /// The longest that a due job had waited, in seconds.
    pub oldest_s: Option<i64>,
    /// The most dead jobs at once.
    pub dead: Option<i64>,
}

/// The numbers over time.
#[derive(Debug, Serialize, ToSchema)]
pub struct SeriesView {
    /// Seconds from one point to the next.
    pub step_s: i32,
    /// Oldest first, without gaps; the last is not over yet.
    pub points: Vec<PointView>,
}

/// Get the numbers over time
///
/// Counted every few seconds; delays are right within a fifth.
#[utoipa::path(
    get, path = "/stats/series", operation_id = "get_series", tag = "stats", params(SeriesQuery),
    responses(
        (status = 200, description = "The points", body = SeriesView, example = json!({"step_s": 60, "points": [
            {"at": "2026-11-21T05:00:00Z", "events": 12, "done": 24, "attempts": 25, "sheet_p50_ms": 1450.0,
             "sheet_p95_ms": 2900.0, "telegram_p50_ms": 900.0, "telegram_p95_ms": 1800.0, "waiting": 3,
             "oldest_s": 1, "dead": 0}]})),
        Unusable, Refusals,
    ),
)]
pub async fn get_series(
    State(state): State<AdminState>,
    Query(query): Query<SeriesQuery>,
) -> Result<Json<SeriesView>, ApiError> {
    read(&state, query.window).await.map(Json)
}

#[derive(Default)]
struct Point {
    view: PointView,
    sheet: Delays,
    telegram: Delays,
}

/// The points of a window that ends now.
pub async fn read(state: &AdminState, window: Window) -> Result<SeriesView, ApiError> {
    let (width_s, step_s, count) = window.shape();
    let step = TimeDelta::seconds(step_s.into());
    let last = state.clock.now().duration_trunc(step).map_err(|_| ApiError::internal())?;
    let first = last - step * (count - 1);
    let span = f64::from(step_s);
    let mut points: BTreeMap<DateTime<Utc>, Point> = (0..count)
        .map(|n| {
            let at = first + step * n;
            (at, Point { view: PointView { at, ..PointView::default() }, ..Point::default() })
        })
        .collect();
    for one in series::list_event_spans(&state.pool, first, width_s, span).await? {
        if let Some(point) = points.get_mut(&one.at) {
            point.view.events = one.events;
        }
    }
    for one in series::list_job_buckets(&state.pool, first, width_s, span).await? {
        let Some(point) = points.get_mut(&one.at) else { continue };
        point.view.done += one.jobs;
        point.view.attempts += one.attempts;
        match one.kind.as_str() {
            "upsert_sheet_row" => point.sheet.add(one.bucket, one.jobs),
            "notify_event" => point.telegram.add(one.bucket, one.jobs),
            _ => {}
        }
    }
    for one in series::list_queue_spans(&state.pool, first, span).await? {
        if let Some(point) = points.get_mut(&one.at) {
            (point.view.waiting, point.view.oldest_s) = (Some(one.waiting), Some(one.oldest_s));
            point.view.dead = Some(one.dead);
        }
    }
    Ok(SeriesView { step_s, points: points.into_values().map(finished).collect() })
}

fn finished(point: Point) -> PointView {
    let Point { mut view, sheet, telegram } = point;
    let of = |delays: &Delays, share| (delays.jobs() > 0).then(|| delays.percentile(share));
    (view.sheet_p50_ms, view.sheet_p95_ms) = (of(&sheet, 0.5), of(&sheet, 0.95));
    (view.telegram_p50_ms, view.telegram_p95_ms) = (of(&telegram, 0.5), of(&telegram, 0.95));
    view
}
