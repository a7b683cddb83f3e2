//! The record of what people changed.

use sqlx::PgExecutor;

/// One change.
#[derive(Debug)]
pub struct AdminAction<'a> {
    /// Under which id the log knows the request.
    pub request_id: &'a str,
    /// The operation's id, for example `retry_job`.
    pub action: &'static str,
    /// What it was done to.
    pub subject: &'a str,
    /// What was asked for besides.
    pub detail: serde_json::Value,
}

/// Keeps the record; call it in the transaction of the change.
pub async fn insert_admin_action(
    executor: impl PgExecutor<'_>,
    action: &AdminAction<'_>,
) -> sqlx::Result<()> {
    sqlx::query(
        "insert into pushbox.admin_actions (request_id, action, subject, detail) values ($1, $2, $3, $4)",
    )
    .bind(action.request_id)
    .bind(action.action)
    .bind(action.subject)
    .bind(&action.detail)
    .execute(executor)
    .await?;
    Ok(())
}
