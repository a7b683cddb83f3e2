//! Alerts: what a person should know.

use axum::Json;
use axum::extract::State;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::{IntoParams, ToSchema};

use crate::admin::AdminState;
use crate::admin::error::{ApiError, Refusals, Unusable};
use crate::admin::extract::Query;
use crate::admin::page::Window;
use crate::store::alerts::{self, AlertRow};

/// Which alerts to list.
#[derive(Debug, Default, Clone, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct AlertQuery {
    /// Only those that are not over; left out: all.
    #[serde(default)]
    pub open: bool,
    /// `next` of the page before.
    #[param(pattern = r"^([0-9]{1,18})?$")]
    pub cursor: Option<String>,
    /// How many at most, 1 to 500; 50 when left out.
    #[param(minimum = 1, maximum = 500)]
    pub limit: Option<u16>,
}

/// Something a person should know.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct AlertView {
    /// Its number.
    pub id: i64,
    /// What it is about; at most one alert of a key is open.
    pub key: String,
    /// `warning` or `critical`.
    pub severity: String,
    /// What is wrong.
    pub title: String,
    /// What a person can do.
    pub remedy: String,
    /// When it was raised.
    pub raised_at: DateTime<Utc>,
    /// When it was last found to be so.
    pub last_seen_at: DateTime<Utc>,
    /// When it was over; none: it is open.
    pub resolved_at: Option<DateTime<Utc>>,
    /// When the ops chat was told; none: not yet, there is none, or it was over before.
    pub told_at: Option<DateTime<Utc>>,
}

impl From<AlertRow> for AlertView {
    fn from(row: AlertRow) -> Self {
        let AlertRow { id, key, severity, title, remedy, raised_at, last_seen_at, resolved_at, .. } = row;
        let told_at = row.raised_told_at;
        Self { id, key, severity, title, remedy, raised_at, last_seen_at, resolved_at, told_at }
    }
}

/// A page of alerts.
#[derive(Debug, Serialize, ToSchema)]
pub struct AlertList {
    /// The alerts, newest first.
    pub alerts: Vec<AlertView>,
    /// What to pass as `cursor` for the next page; none on the last.
    pub next: Option<String>,
}

/// List alerts
#[utoipa::path(
    get, path = "/alerts", operation_id = "list_alerts", tag = "alerts", params(AlertQuery),
    responses(
        (status = 200, description = "A page of alerts, newest first", body = AlertList,
            example = json!({"alerts": [example()], "next": null})),
        Unusable, Refusals,
    ),
)]
pub async fn list_alerts(
    State(state): State<AdminState>,
    Query(query): Query<AlertQuery>,
) -> Result<Json<AlertList>, ApiError> {
    list(&state, query).await.map(Json)
}

/// The page of alerts that `query` asks for.
pub async fn list(state: &AdminState, query: AlertQuery) -> Result<AlertList, ApiError> {
    let window = Window::<i64>::new(query.limit, query.cursor)?;
    let found = alerts::list_alerts(&state.pool, query.open, window.after, window.fetch()).await?;
    let (alerts, next) = window.cut(found, |alert| alert.id);
    Ok(AlertList { alerts, next })
}

fn example() -> serde_json::Value {
    json!({
        "id": 12, "key": "shop:shopee:10000001:authorization", "severity": "critical",
        "title": "Shop 10000001 has to be authorized again",
        "remedy": "Open the link that `pushbox shopee authorize` prints as the seller",
        "raised_at": "2026-11-21T05:00:00Z", "last_seen_at": "2026-11-21T05:10:00Z",
        "resolved_at": null, "told_at": "2026-11-21T05:00:04Z",
    })
}
