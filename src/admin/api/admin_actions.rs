//! What people changed.

use axum::Json;
use axum::extract::State;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::admin::AdminState;
use crate::admin::error::{ApiError, Refusals, Unusable};
use crate::admin::extract::{Query, said};
use crate::admin::page::Window;
use crate::store::admin_actions::{self, ActionFilter, ActionRow};

/// Which actions to list; what is left out does not restrict.
#[derive(Debug, Default, Clone, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ActionQuery {
    /// The operation's id.
    #[param(example = "pause_queue")]
    pub action: Option<String>,
    /// What it was done to.
    #[param(example = "queue sheet")]
    pub subject: Option<String>,
    /// Who; the beginning is enough.
    #[param(example = "ADMIN_TOKEN")]
    pub actor: Option<String>,
    /// Done then or later.
    pub since: Option<DateTime<Utc>>,
    /// Done before.
    pub until: Option<DateTime<Utc>>,
    /// `next` of the page before.
    #[param(pattern = r"^([0-9]{1,18})?$")]
    pub cursor: Option<String>,
    /// How many at most, 1 to 500; 50 when left out.
    #[param(minimum = 1, maximum = 500)]
    pub limit: Option<u16>,
}

/// Something a person changed.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct ActionView {
    /// Its number.
    pub id: i64,
    /// When.
    pub at: DateTime<Utc>,
    /// Who: the name of the token, and `dashboard` when it was a page.
    pub actor: String,
    /// From which address.
    pub origin: Option<String>,
    /// The operation's id.
    pub action: String,
    /// What it was done to.
    pub subject: String,
    /// What was asked for besides; `before` and `after` where something had a value.
    pub detail: serde_json::Value,
    /// The log has more under it.
    pub request_id: String,
    /// Its link in the chain that `pushbox audit` checks, in hex.
    pub hash: String,
}

impl From<ActionRow> for ActionView {
    fn from(row: ActionRow) -> Self {
        let ActionRow { id, at, actor, origin, action, subject, detail, request_id, hash } = row;
        Self { id, at, actor, origin, action, subject, detail, request_id, hash: hex::encode(hash) }
    }
}

/// A page of actions.
#[derive(Debug, Serialize, ToSchema)]
pub struct ActionList {
    /// The actions, newest first.
    pub actions: Vec<ActionView>,
    /// What to pass as `cursor` for the next page; none on the last.
    pub next: Option<String>,
}

/// List what people changed
#[utoipa::path(
    get, path = "/admin-actions", operation_id = "list_admin_actions", tag = "admin-actions",
    params(ActionQuery),
    responses(
        (status = 200, description = "A page of actions, newest first", body = ActionList, example = json!({
            "actions": [{"id": 7, "at": "2026-11-21T05:00:00Z", "actor": "ADMIN_TOKEN", "origin": "192.0.2.7",
                "action": "pause_queue", "subject": "queue sheet", "detail": {"reason": "new sheet"},
                "request_id": "3f0a2f6e-6a54-4d0e-8f5c-2f1a0f9b7c11",
                "hash": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"}],
            "next": null})),
        Unusable, Refusals,
    ),
)]
pub async fn list_admin_actions(
    State(state): State<AdminState>,
    Query(query): Query<ActionQuery>,
) -> Result<Json<ActionList>, ApiError> {
    list(&state, query).await.map(Json)
}

/// The page of actions that `query` asks for.
pub async fn list(state: &AdminState, query: ActionQuery) -> Result<ActionList, ApiError> {
    let window = Window::<i64>::new(query.limit, query.cursor)?;
    let filter = ActionFilter {
        action: said(query.action),
        subject: said(query.subject),
        actor: said(query.actor),
        since: query.since,
        until: query.until,
    };
    let found = admin_actions::list_actions(&state.pool, &filter, window.after, window.fetch()).await?;
    let (actions, next) = window.cut(found, |action| action.id);
    Ok(ActionList { actions, next })
}
