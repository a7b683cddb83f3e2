//! The one shape of an error on the admin listener, and which statuses there are.
//!
//! A handler answers with an [`ApiError`]; `frame` writes the envelope, because only it knows the request's
//! id. What went wrong inside (SQL, paths, other people's texts) goes to the log under that id, never into
//! the answer.

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use utoipa::{IntoResponses, ToSchema};

use super::operations::OperationError;

/// An error on its way to the client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiError {
    /// The HTTP status.
    pub status: StatusCode,
    /// A stable word that programs can match.
    pub code: &'static str,
    /// One sentence for people, without internals.
    pub message: String,
}

impl ApiError {
    /// An error with all of its parts.
    pub fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self { status, code, message: message.into() }
    }

    /// 400: the request cannot be understood; `message` says what is wrong with it.
    pub fn bad_request(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "bad_request", message)
    }

    /// 401: no token, or none that we know.
    pub fn unauthorized() -> Self {
        Self::new(
            StatusCode::UNAUTHORIZED,
            "unauthorized",
            "send ADMIN_TOKEN or ADMIN_READ_TOKEN as `Authorization: Bearer <token>`",
        )
    }

    /// 403: known, but not for this.
    pub fn forbidden(message: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, "forbidden", message)
    }

    /// 404: there is no such `thing`.
    pub fn not_found(thing: &str) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not_found", format!("there is no such {thing}"))
    }

    /// 409: it is there, but not in a state that allows this.
    pub fn conflict(message: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, "conflict", message)
    }

    /// 500: our fault; the cause is in the log.
    pub fn internal() -> Self {
        Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "internal",
            "something went wrong here; the log has the cause under this request id",
        )
    }

    /// 503: the database does not answer.
    pub fn database_unavailable() -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "database_unavailable", "the database does not answer")
    }
}

/// What was asked of an outside service and not done: 400 when it cannot be done so, 502 when the service failed.
impl From<OperationError> for ApiError {
    fn from(error: OperationError) -> Self {
        match error {
            OperationError::Unusable(message) => Self::bad_request(message),
            OperationError::Missing(what) => Self::not_found(what),
            OperationError::Failed(message) => Self::new(StatusCode::BAD_GATEWAY, "outside", message),
        }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let mut response = self.status.into_response();
        response.extensions_mut().insert(self);
        response
    }
}

/// A database that cannot be reached is temporary and not the client's doing: 503. Anything else that SQL
/// says is a fault of ours: 500.
impl From<sqlx::Error> for ApiError {
    fn from(error: sqlx::Error) -> Self {
        let unreachable = matches!(
            error,
            sqlx::Error::Io(_) | sqlx::Error::Tls(_) | sqlx::Error::PoolTimedOut | sqlx::Error::PoolClosed
        );
        // Times before 4713 BC, which we can write and Postgres cannot keep; texts with a NUL.
        let code = error.as_database_error().and_then(sqlx::error::DatabaseError::code);
        if code.is_some_and(|code| ["22008", "22021"].contains(&code.as_ref())) {
            return Self::bad_request("a value is one that the database cannot keep");
        }
        tracing::error!(error = &error as &dyn std::error::Error, "the database failed an admin request");
        if unreachable { Self::database_unavailable() } else { Self::internal() }
    }
}

/// The envelope of every error.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct ErrorEnvelope {
    /// What went wrong.
    pub error: ErrorBody,
}

/// What went wrong.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct ErrorBody {
    /// A stable word that programs can match.
    #[schema(example = "not_found")]
    pub code: String,
    /// One sentence for people.
    #[schema(example = "there is no such event")]
    pub message: String,
    /// Also in the header `X-Request-Id`; the log has more under it.
    #[schema(example = "0198c2f0-5d3e-4c37-9f0e-0a7d3c1b2e4f")]
    pub request_id: String,
}

/// What every guarded operation may answer besides success.
#[derive(IntoResponses)]
pub enum Refusals {
    /// No token, or an unknown one.
    #[response(status = 401, example = json!({"error": {"code": "unauthorized",
        "message": "send ADMIN_TOKEN or ADMIN_READ_TOKEN as `Authorization: Bearer <token>`",
        "request_id": "3f0a2f6e-6a54-4d0e-8f5c-2f1a0f9b7c11"}}))]
    Unauthorized(ErrorEnvelope),
    /// The database does not answer.
    #[response(status = 503, example = json!({"error": {"code": "database_unavailable",
        "message": "the database does not answer",
        "request_id": "3f0a2f6e-6a54-4d0e-8f5c-2f1a0f9b7c11"}}))]
    Unavailable(ErrorEnvelope),
}

/// What an operation with parameters may answer besides.
#[derive(IntoResponses)]
pub enum Unusable {
    /// A parameter cannot be understood.
    #[response(status = 400, example = json!({"error": {"code": "bad_request",
        "message": "limit: must be from 1 to 500",
        "request_id": "3f0a2f6e-6a54-4d0e-8f5c-2f1a0f9b7c11"}}))]
    BadRequest(ErrorEnvelope),
}

/// What an operation on one thing may answer besides.
#[derive(IntoResponses)]
pub enum Missing {
    /// There is no such thing, or its retention is over.
    #[response(status = 404, example = json!({"error": {"code": "not_found",
        "message": "there is no such event",
        "request_id": "3f0a2f6e-6a54-4d0e-8f5c-2f1a0f9b7c11"}}))]
    NotFound(ErrorEnvelope),
}

/// What an operation that needs a certain state may answer besides.
#[derive(IntoResponses)]
pub enum Conflicts {
    /// It is there, but not in a state that allows this.
    #[response(status = 409, example = json!({"error": {"code": "conflict",
        "message": "only a dead job can be retried; this one is running",
        "request_id": "3f0a2f6e-6a54-4d0e-8f5c-2f1a0f9b7c11"}}))]
    Conflict(ErrorEnvelope),
}

/// What an operation that calls an outside service may answer besides.
#[derive(IntoResponses)]
pub enum Outside {
    /// The service is not configured.
    #[response(status = 409, example = json!({"error": {"code": "conflict",
        "message": "Shopee is not configured: set PARTNER_ID and PARTNER_KEY",
        "request_id": "3f0a2f6e-6a54-4d0e-8f5c-2f1a0f9b7c11"}}))]
    NotConfigured(ErrorEnvelope),
    /// The service refused, or did not answer.
    #[response(status = 502, example = json!({"error": {"code": "outside",
        "message": "Shopee: the service did not do it: HTTP 502 without Shopee's JSON",
        "request_id": "3f0a2f6e-6a54-4d0e-8f5c-2f1a0f9b7c11"}}))]
    Failed(ErrorEnvelope),
}

/// What an operation that changes something may answer besides.
#[derive(IntoResponses)]
pub enum ChangeRefusals {
    /// The token may only read, or the request comes from another site.
    #[response(status = 403, example = json!({"error": {"code": "forbidden",
        "message": "this token may only read",
        "request_id": "3f0a2f6e-6a54-4d0e-8f5c-2f1a0f9b7c11"}}))]
    Forbidden(ErrorEnvelope),
}
