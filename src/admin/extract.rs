//! axum's extractors with our error envelope, and the page parameters that all lists share.

use axum::extract::rejection::{FormRejection, JsonRejection, PathRejection, QueryRejection};
use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::StatusCode;
use axum::http::request::Parts;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::error::ApiError;

/// Parameters in the path.
pub struct Path<T>(pub T);

/// Parameters in the query string.
pub struct Query<T>(pub T);

/// A body that a form of our pages sends.
#[derive(FromRequest)]
#[from_request(via(axum::Form), rejection(ApiError))]
pub struct Form<T>(pub T);

impl From<FormRejection> for ApiError {
    fn from(rejection: FormRejection) -> Self {
        Self { status: rejection.status(), ..Self::bad_request(rejection.body_text()) }
    }
}

/// A JSON body.
pub struct Json<T>(pub T);

/// Postgres keeps no text with this character, and no text of ours has one.
fn nul() -> ApiError {
    ApiError::bad_request("the character NUL is in no text")
}

impl<T, S> FromRequestParts<S> for Path<T>
where
    T: DeserializeOwned + Send,
    S: Send + Sync,
{
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        if parts.uri.path().contains("%00") {
            return Err(nul());
        }
        let axum::extract::Path(value) = axum::extract::Path::from_request_parts(parts, state).await?;
        Ok(Self(value))
    }
}

impl<T, S> FromRequestParts<S> for Query<T>
where
    T: DeserializeOwned,
    S: Send + Sync,
{
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        if parts.uri.query().is_some_and(|query| query.contains("%00")) {
            return Err(nul());
        }
        let axum::extract::Query(value) = axum::extract::Query::from_request_parts(parts, state).await?;
        Ok(Self(value))
    }
}

impl<T, S> FromRequest<S> for Json<T>
where
    T: DeserializeOwned,
    S: Send + Sync,
{
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> Result<Self, ApiError> {
        let axum::Json(body) = axum::Json::<Value>::from_request(request, state).await?;
        if has_nul(&body) {
            return Err(nul());
        }
        serde_json::from_value(body)
            .map(Self)
            .map_err(|error| ApiError::bad_request(format!("the body: {error}")))
    }
}

fn has_nul(value: &Value) -> bool {
    match value {
        Value::String(text) => text.contains('\0'),
        Value::Array(values) => values.iter().any(has_nul),
        Value::Object(fields) => fields.iter().any(|(name, value)| name.contains('\0') || has_nul(value)),
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}

impl From<PathRejection> for ApiError {
    fn from(rejection: PathRejection) -> Self {
        Self { status: rejection.status(), ..Self::bad_request(rejection.body_text()) }
    }
}

impl From<QueryRejection> for ApiError {
    fn from(rejection: QueryRejection) -> Self {
        Self { status: rejection.status(), ..Self::bad_request(rejection.body_text()) }
    }
}

impl From<JsonRejection> for ApiError {
    fn from(rejection: JsonRejection) -> Self {
        match rejection.status() {
            StatusCode::PAYLOAD_TOO_LARGE => {
                Self::new(StatusCode::PAYLOAD_TOO_LARGE, "payload_too_large", "the body is too long")
            }
            _ => Self::bad_request(rejection.body_text()),
        }
    }
}

/// How many things a page of a list holds when nobody says.
pub const DEFAULT_PAGE: u16 = 50;

/// The most things that a page of a list holds.
pub const LARGEST_PAGE: u16 = 500;

/// The size of a page, checked.
pub fn page_size(limit: Option<u16>) -> Result<u16, ApiError> {
    match limit.unwrap_or(DEFAULT_PAGE) {
        limit @ 1..=LARGEST_PAGE => Ok(limit),
        _ => Err(ApiError::bad_request(format!("limit: must be from 1 to {LARGEST_PAGE}"))),
    }
}

/// A parameter that says something: forms send the fields that were left empty too.
pub fn said(parameter: Option<String>) -> Option<String> {
    parameter.filter(|text| !text.is_empty())
}
