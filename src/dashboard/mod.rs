//! Pages for people: is all well, what came in, what became of it.
//!
//! Rendered on the server from the views of [`crate::admin`], so that a page never shows what the API could
//! not be asked for; a button does what an operation of the API does. Everything a page needs comes from this
//! binary, and the content policy lets it load nothing else.

mod act;
mod actions;
mod bulk;
mod chart;
mod destinations;
mod event;
mod events;
mod job;
mod jobs;
mod layout;
mod live;
mod order;
mod orders;
mod overview;
mod queues;
mod reconciliations;
mod rejections;
mod replays;
mod schedules;
mod session;
mod settings;
mod shopee;
mod shops;
mod sign_in;
mod time;

use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{HeaderName, HeaderValue, header};
use axum::middleware::{Next, from_fn_with_state, map_response};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{get, post};

use crate::admin::AdminState;
use crate::admin::auth::Access;
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
        .route("/dashboard/events/{id}/replay", get(replays::preview_event).post(act::replay_event))
        .route("/dashboard/replays", get(replays::list).post(act::start_replay))
        .route("/dashboard/replays/preview", get(replays::preview))
        .route("/dashboard/replays/{id}", get(replays::show))
        .route("/dashboard/replays/{id}/cancel", post(act::cancel_replay))
        .route("/dashboard/orders", get(orders::show))
        .route("/dashboard/orders/{platform}/{shop_id}/{order_sn}", get(order::show))
        .route("/dashboard/jobs", get(jobs::show))
        .route("/dashboard/jobs/{id}", get(job::show))
        .route("/dashboard/jobs/{id}/{action}", post(act::job))
        .route("/dashboard/bulk", get(bulk::list).post(act::start_bulk))
        .route("/dashboard/bulk/preview", get(bulk::preview))
        .route("/dashboard/bulk/{id}", get(bulk::show))
        .route("/dashboard/bulk/{id}/cancel", post(act::cancel_bulk))
        .route("/dashboard/queues", get(queues::show))
        .route("/dashboard/queues/{queue}/{action}", post(act::queue))
        .route("/dashboard/destinations", get(destinations::show))
        .route("/dashboard/destinations/{action}", post(destinations::act))
        .route("/dashboard/shops", get(shops::show))
        .route("/dashboard/shops/authorization-link", post(shops::link))
        .route("/dashboard/shops/exchange", post(shops::exchange))
        .route("/dashboard/shops/{action}", post(shops::act))
        .route("/dashboard/shopee", get(shopee::show).post(shopee::change))
        .route("/dashboard/shopee/preview", get(shopee::preview))
        .route("/dashboard/reconciliations", get(reconciliations::list).post(reconciliations::ask))
        .route("/dashboard/reconciliations/{id}", get(reconciliations::show))
        .route("/dashboard/schedules", get(schedules::show))
        .route("/dashboard/schedules/{name}/{action}", post(act::schedule))
        .route("/dashboard/rejections", get(rejections::list))
        .route("/dashboard/rejections/{id}", get(rejections::show))
        .route("/dashboard/rejections/{id}/accept", post(rejections::accept))
        .route("/dashboard/settings", get(settings::show).post(settings::save))
        .route("/dashboard/settings/try/{what}", post(settings::attempt))
        .route("/dashboard/actions", get(actions::show))
        .route("/dashboard/live", get(live::stream))
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
    // Who looks may not be known here; an error page has nothing to press anyway.
    let page = layout::error(&error, &id, &layout::Look::still(&state, Access::Full));
    (error.status, page).into_response()
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
        .route("/dashboard/live.js", asset("text/javascript; charset=utf-8", include_str!("assets/live.js")))
        .route("/dashboard/icon.svg", asset("image/svg+xml", include_str!("assets/icon.svg")))
}
