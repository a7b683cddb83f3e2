//! Pages for people: is all well, what came in, what became of it.
//!
//! Rendered on the server from the views of [`crate::admin`], so that a page never shows what the API could
//! not be asked for. Everything a page needs comes from this binary, and the content policy lets it load
//! nothing else. Pages only show; what changes something goes through the API.

mod event;
mod events;
mod jobs;
mod layout;
mod overview;
mod session;
mod sign_in;
mod time;

use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{HeaderName, HeaderValue, header};
use axum::middleware::{Next, from_fn_with_state, map_response};
use axum::response::{Html, IntoResponse, Redirect, Response};
use axum::routing::{get, post};

use crate::admin::AdminState;
use crate::admin::error::ApiError;
use crate::admin::frame::RequestId;

/// Pages load from this server alone and run nothing inline.
const POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
     form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
);

/// The pages, to stand beside the API in its router.
pub fn router(state: AdminState) -> Router {
    let guarded = Router::new()
        .route("/dashboard", get(overview::show))
        .route("/dashboard/events", get(events::show))
        .route("/dashboard/events/{id}", get(event::show))
        .route("/dashboard/jobs", get(jobs::show))
        .layer(from_fn_with_state(Arc::clone(&state), session::require));
    let open = Router::new()
        .route("/", get(async || Redirect::to("/dashboard")))
        .route("/dashboard/", get(async || Redirect::permanent("/dashboard")))
        .route("/dashboard/sign-in", get(sign_in::show).post(sign_in::submit))
        .route("/dashboard/sign-out", post(sign_in::sign_out));
    guarded
        .merge(open)
        .layer(from_fn_with_state(Arc::clone(&state), errors_as_pages))
        .merge(assets())
        .layer(map_response(with_policy))
        .with_state(state)
}

async fn with_policy(mut response: Response) -> Response {
    response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, POLICY);
    response
}

/// Shows people a page where programs get the envelope.
async fn errors_as_pages(State(state): State<AdminState>, request: Request, next: Next) -> Response {
    let id = request.extensions().get::<RequestId>().map(|RequestId(id)| id.clone()).unwrap_or_default();
    let mut response = next.run(request).await;
    let Some(error) = response.extensions_mut().remove::<ApiError>() else { return response };
    let page = layout::error(&error, &id, state.clock.now());
    (error.status, Html(page.into_string())).into_response()
}

fn assets() -> Router<AdminState> {
    let asset = |media: &'static str, text: &'static str| {
        get(async move || {
            let headers: [(HeaderName, &str); 2] =
                [(header::CONTENT_TYPE, media), (header::CACHE_CONTROL, "max-age=3600")];
            (headers, text)
        })
    };
    Router::new()
        .route("/dashboard/style.css", asset("text/css; charset=utf-8", include_str!("assets/style.css")))
        .route(
            "/dashboard/refresh.js",
            asset("text/javascript; charset=utf-8", include_str!("assets/refresh.js")),
        )
        .route("/dashboard/icon.svg", asset("image/svg+xml", include_str!("assets/icon.svg")))
}
