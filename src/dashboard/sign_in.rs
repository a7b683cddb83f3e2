//! Signing in with a token, and out.

use axum::Form;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{Html, IntoResponse, Redirect, Response};
use maud::{Markup, html};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;

use super::{layout, session};
use crate::admin::AdminState;
use crate::admin::auth;
use crate::admin::error::ApiError;
use crate::admin::extract::Query;

/// Where to go afterwards.
#[derive(Debug, Deserialize)]
pub(super) struct Destination {
    next: Option<String>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Credentials {
    token: SecretString,
    next: Option<String>,
}

/// Only our own pages: a link to the sign-in page must not send people elsewhere.
pub(super) fn destination(next: Option<String>) -> String {
    let ours = |next: &String| {
        next == "/dashboard" || next.starts_with("/dashboard?") || next.starts_with("/dashboard/")
    };
    next.filter(ours).unwrap_or_else(|| "/dashboard".to_owned())
}

pub(super) async fn show(Query(query): Query<Destination>) -> Html<String> {
    Html(form(&destination(query.next), None).into_string())
}

pub(super) async fn submit(
    State(state): State<AdminState>,
    headers: HeaderMap,
    Form(credentials): Form<Credentials>,
) -> Result<Response, ApiError> {
    if auth::is_cross_site(&headers) {
        return Err(ApiError::forbidden("sign in on this page, not through another site"));
    }
    let next = destination(credentials.next);
    let access = auth::access_of_token(&state.settings, credentials.token.expose_secret().trim());
    let cookie = access.and_then(|access| session::begin(&state, access, &headers));
    if let Some(cookie) = cookie {
        return Ok(([(header::SET_COOKIE, cookie)], Redirect::to(&next)).into_response());
    }
    tracing::warn!("sign-in to the dashboard with an unknown token");
    let page = form(&next, Some("This is neither ADMIN_TOKEN nor ADMIN_READ_TOKEN."));
    Ok((StatusCode::UNAUTHORIZED, Html(page.into_string())).into_response())
}

pub(super) async fn sign_out(headers: HeaderMap) -> Result<Response, ApiError> {
    if auth::is_cross_site(&headers) {
        return Err(ApiError::forbidden("sign out on this page, not through another site"));
    }
    let cookie = session::end().map(|cookie| [(header::SET_COOKIE, cookie)]);
    Ok((cookie, Redirect::to("/dashboard/sign-in")).into_response())
}

fn form(next: &str, fault: Option<&str>) -> Markup {
    layout::bare(
        "Sign in",
        &html! {
            form.card.sign-in method="post" action="/dashboard/sign-in" {
                h1 { (layout::logo()) "pushbox" }
                @if let Some(fault) = fault { p.fault role="alert" { (fault) } }
                label for="token" { "Admin token" }
                input #token type="password" name="token" autocomplete="current-password" required autofocus;
                input type="hidden" name="next" value=(next);
                button type="submit" { "Sign in" }
                p.quiet { "ADMIN_TOKEN or ADMIN_READ_TOKEN of this installation." }
            }
        },
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_leads_to_our_own_pages_only() {
        let lead = |next: &str| destination(Some(next.to_owned()));
        assert_eq!(lead("/dashboard/jobs?state=dead"), "/dashboard/jobs?state=dead");
        for strange in
            ["https://elsewhere.example/", "//elsewhere.example", "/dashboard.elsewhere", "/api", ""]
        {
            assert_eq!(lead(strange), "/dashboard", "{strange}");
        }
        assert_eq!(destination(None), "/dashboard");
    }
}
