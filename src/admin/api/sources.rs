//! Who may push: what each source verifies, with which keys, how late it is, what was refused.

use axum::Json;
use axum::extract::State;
use chrono::{DateTime, Utc};
use serde::Serialize;
use utoipa::ToSchema;

use crate::admin::AdminState;
use crate::admin::error::{ApiError, Refusals};
use crate::domain::sources::{PayloadKind, Source};
use crate::store::sources::{self, KeyUse, SourceCount, SourceTraffic};

/// A key of a source.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct KeyView {
    /// How it is called.
    pub label: String,
    /// Tells keys apart without telling them.
    pub fingerprint: String,
    /// After this it proves nothing.
    pub not_after: Option<DateTime<Utc>>,
    /// When it last proved a push, to the minute; none: never since pushbox keeps note of it.
    pub last_used_at: Option<DateTime<Utc>>,
}

/// A source of pushes.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct SourceView {
    /// Its name.
    pub name: String,
    /// Whose rules and orders these are.
    pub platform: String,
    /// Where it pushes to, on the public listener.
    pub path: String,
    /// The callback URL as configured at the platform, where it is part of what is signed.
    pub url: Option<String>,
    /// What is verified.
    pub verifies: String,
    /// Its keys, in the order of the configuration.
    pub keys: Vec<KeyView>,
    /// Where its pushes may come from; empty: from anywhere.
    pub networks: Vec<String>,
    /// Whether the proof covers what a push is known by. If not, a captured push can come again under another id.
    pub id_is_signed: bool,
    /// Whether a payload holds the whole object (`full`), or says that something changed (`thin`).
    pub payload: String,
    /// For how long the platform tries again, in seconds.
    pub tries_again_for_s: Option<i64>,
    /// How long the platform waits for an answer, in milliseconds.
    pub waits_ms: Option<u64>,
    /// Pushes stored in the last hour.
    pub events_last_hour: i64,
    /// Seconds from what happened to its receipt, of the last hour; half of them were faster.
    pub late_p50_s: Option<f64>,
    /// 95 of 100 were faster.
    pub late_p95_s: Option<f64>,
    /// The latest.
    pub late_max_s: Option<f64>,
    /// Pushes refused in the last day that are kept and not accepted.
    pub refused_last_day: i64,
    /// Pushes of the last day with the body of an earlier one under another id.
    pub possible_replays_last_day: i64,
}

/// All sources.
#[derive(Debug, Serialize, ToSchema)]
pub struct SourceList {
    /// In the order of the configuration.
    pub sources: Vec<SourceView>,
}

/// List the sources
#[utoipa::path(
    get, path = "/sources", operation_id = "list_sources", tag = "sources",
    responses(
        (status = 200, description = "The sources", body = SourceList, example = json!({"sources": [{
            "name": "shopee", "platform": "shopee", "path": "/webhook/shopee",
            "url": "https://hooks.example.com/webhook/shopee",
            "verifies": "HMAC-SHA256 of callback URL + \"|\" + body in authorization, hex",
            "keys": [{"label": "WEBHOOK_PARTNER_KEY", "fingerprint": "0a1b2c3d", "not_after": null,
                "last_used_at": "2026-11-21T05:00:00Z"}],
            "networks": [], "id_is_signed": true, "payload": "thin", "tries_again_for_s": 12900,
            "waits_ms": 3000, "events_last_hour": 412, "late_p50_s": 1.2, "late_p95_s": 3.9,
            "late_max_s": 1802.0, "refused_last_day": 0, "possible_replays_last_day": 0}]})),
        Refusals,
    ),
)]
pub async fn list_sources(State(state): State<AdminState>) -> Result<Json<SourceList>, ApiError> {
    let keys = sources::list_keys(&state.pool).await?;
    let traffic = sources::last_hour(&state.pool).await?;
    let refused = sources::count_rejections(&state.pool).await?;
    let replays = sources::count_replays(&state.pool).await?;
    let view = |source: &Source| {
        let lately = traffic.iter().find(|one| one.source == source.name);
        let count = |list: &[SourceCount]| {
            list.iter().find(|one| one.source == source.name).map_or(0, |one| one.count)
        };
        let view = view(source, &keys, lately);
        SourceView { refused_last_day: count(&refused), possible_replays_last_day: count(&replays), ..view }
    };
    Ok(Json(SourceList { sources: state.sources.iter().map(view).collect() }))
}

fn view(source: &Source, noted: &[KeyUse], lately: Option<&SourceTraffic>) -> SourceView {
    let keys = source.auth.secrets.iter().map(|secret| {
        let fingerprint = secret.fingerprint();
        let found = noted.iter().find(|one| one.source == source.name && one.fingerprint == fingerprint);
        KeyView {
            label: secret.label.clone(),
            last_used_at: found.map(|one| one.last_used_at),
            not_after: secret.not_after,
            fingerprint,
        }
    });
    SourceView {
        name: source.name.clone(),
        platform: source.platform.clone(),
        path: format!("/webhook/{}", source.name),
        url: source.url.clone(),
        verifies: source.auth.described(),
        keys: keys.collect(),
        networks: source.networks.iter().map(ToString::to_string).collect(),
        id_is_signed: source.signs_its_id(),
        payload: if source.payload == PayloadKind::Full { "full" } else { "thin" }.to_owned(),
        tries_again_for_s: source.horizon.map(|horizon| horizon.num_seconds()),
        waits_ms: source.deadline.map(|wait| u64::try_from(wait.as_millis()).unwrap_or(u64::MAX)),
        events_last_hour: lately.map_or(0, |one| one.events),
        late_p50_s: lately.and_then(|one| one.late_p50_s),
        late_p95_s: lately.and_then(|one| one.late_p95_s),
        late_max_s: lately.and_then(|one| one.late_max_s),
        refused_last_day: 0,
        possible_replays_last_day: 0,
    }
}
