//! axum's extractors with our error envelope, and the page parameters that all lists share.

use axum::extract::rejection::{JsonRejection, PathRejection, QueryRejection};
use axum::extract::{FromRequest, FromRequestParts};
use axum::http::StatusCode;

use super::error::ApiError;

/// Parameters in the path.
#[derive(FromRequestParts)]
#[from_request(via(axum::extract::Path), rejection(ApiError))]
pub struct Path<T>(pub T);

/// Parameters in the query string.
#[derive(FromRequestParts)]
#[from_request(via(axum::extract::Query), rejection(ApiError))]
pub struct Query<T>(pub T);

/// A JSON body.
#[derive(FromRequest)]
#[from_request(via(axum::Json), rejection(ApiError))]
pub struct Json<T>(pub T);

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
