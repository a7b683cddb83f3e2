//! The OpenAPI document and the pages that show it, all from this binary.

use axum::Router;
use axum::http::{HeaderValue, header};
use axum::middleware::map_response;
use axum::response::Response;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::{Modify, OpenApi};
use utoipa_swagger_ui::SwaggerUi;

/// Swagger UI styles itself with inline attributes and draws with data images; it may load nothing else.
const POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; \
     connect-src 'self'; form-action 'none'; base-uri 'none'; frame-ancestors 'none'",
);

#[derive(OpenApi)]
#[openapi(
    info(
        title = "pushbox admin API",
        description = "What pushbox received, what became of it, and the levers to change that.\n\n\
            Times are RFC 3339 in UTC. Lists are newest first and come in pages: pass `next` of one page as \
            `cursor` to get the following; its absence marks the last. Every answer has an `X-Request-Id`, \
            and errors repeat it.",
    ),
    tags(
        (name = "stats", description = "Counts and delays"),
        (name = "events", description = "What came in"),
        (name = "jobs", description = "What is done about it"),
        (name = "replays", description = "Doing work again"),
        (name = "queues", description = "Where jobs wait, and who works at them"),
        (name = "orders", description = "What the work is about"),
        (name = "admin-actions", description = "What people changed"),
        (name = "sources", description = "Who may push, and what was refused"),
        (name = "alerts", description = "What a person should know"),
        (name = "schedules", description = "What is done every so often"),
        (name = "shops", description = "Whose orders they are, and whether we may ask for them"),
        (name = "shopee", description = "How Shopee delivers pushes"),
        (name = "reconciliations", description = "Comparisons with what the platform says"),
        (name = "destinations", description = "Where effects go, and what came of them"),
        (name = "settings", description = "What is in force, and changing it while pushbox runs"),
        (name = "trials", description = "Trying out what is configured"),
        (name = "health", description = "Is it alive, is it well"),
    ),
    security(("bearer" = [])),
    modifiers(&Bearer),
)]
struct Preamble;

/// Declares the bearer token.
struct Bearer;

impl Modify for Bearer {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        let scheme = HttpBuilder::new()
            .scheme(HttpAuthScheme::Bearer)
            .description(Some("`ADMIN_TOKEN` for everything, `ADMIN_READ_TOKEN` for reading"))
            .build();
        document
            .components
            .get_or_insert_default()
            .add_security_scheme("bearer", SecurityScheme::Http(scheme));
    }
}

/// The document before any route is in it.
pub(super) fn preamble() -> utoipa::openapi::OpenApi {
    Preamble::openapi()
}

/// `/openapi.json` and `/docs`.
pub(super) fn router(document: utoipa::openapi::OpenApi) -> Router {
    Router::from(SwaggerUi::new("/docs").url("/openapi.json", document)).layer(map_response(
        async |mut response: Response| {
            response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, POLICY);
            response
        },
    ))
}
