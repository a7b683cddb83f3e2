//! Who is looking: a cookie that proves a sign-in without holding the token.
//!
//! The cookie says what its bearer may do and until when, sealed with the token itself: no table of
//! sessions, valid over restarts and in every replica, and void as soon as the token is changed.

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Redirect, Response};
use chrono::{DateTime, TimeDelta, Utc};
use subtle::ConstantTimeEq;

use crate::admin::AdminSettings;
use crate::admin::AdminState;
use crate::admin::auth::{self, Access, acting};
use crate::admin::error::ApiError;

const NAME: &str = "pushbox_session";

/// How long a sign-in lasts.
const LIFE: TimeDelta = TimeDelta::hours(12);

fn word(access: Access) -> &'static str {
    match access {
        Access::Read => "read",
        Access::Full => "full",
    }
}

/// The value of the cookie: access, end, seal.
fn ticket(settings: &AdminSettings, access: Access, until: DateTime<Utc>) -> Option<String> {
    let claim = format!("{}.{}", word(access), until.timestamp());
    let seal = auth::seal(settings, access, claim.as_bytes())?;
    Some(format!("{claim}.{}", hex::encode(seal)))
}

/// What a ticket still gives at `now`.
fn access_of_ticket(settings: &AdminSettings, ticket: &str, now: DateTime<Utc>) -> Option<Access> {
    let (claim, seal) = ticket.rsplit_once('.')?;
    let (access, until) = claim.split_once('.')?;
    let access = [Access::Read, Access::Full].into_iter().find(|one| word(*one) == access)?;
    let ours = auth::seal(settings, access, claim.as_bytes())?;
    let sealed = bool::from(ours.as_slice().ct_eq(hex::decode(seal).ok()?.as_slice()));
    (sealed && now.timestamp() < until.parse().ok()?).then_some(access)
}

/// The header that begins a session.
pub(super) fn begin(state: &AdminState, access: Access, headers: &HeaderMap) -> Option<HeaderValue> {
    let ticket = ticket(&state.settings, access, state.clock.now() + LIFE)?;
    // Behind a proxy that ends TLS the cookie must never travel in the clear.
    let secure = headers.get("x-forwarded-proto").is_some_and(|proto| proto == "https");
    cookie(&ticket, LIFE, secure)
}

/// The header that ends one.
pub(super) fn end() -> Option<HeaderValue> {
    cookie("", TimeDelta::zero(), false)
}

fn cookie(value: &str, life: TimeDelta, secure: bool) -> Option<HeaderValue> {
    let secure = if secure { "; Secure" } else { "" };
    let age = life.num_seconds();
    let cookie = format!("{NAME}={value}; Path=/dashboard; Max-Age={age}; HttpOnly; SameSite=Strict{secure}");
    HeaderValue::from_str(&cookie).ok()
}

/// What the request's cookie gives.
fn access(settings: &AdminSettings, headers: &HeaderMap, now: DateTime<Utc>) -> Option<Access> {
    headers
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|line| line.to_str().ok())
        .flat_map(|line| line.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .filter(|(name, _)| *name == NAME)
        .find_map(|(_, ticket)| access_of_ticket(settings, ticket, now))
}

/// Lets whoever is signed in through, and everybody of this machine where no token is set; sends others to
/// sign in. What changes something needs full access and has to come from a page of ours; it is recorded as
/// done by the token that was signed in with.
pub(super) async fn require(State(state): State<AdminState>, mut request: Request, next: Next) -> Response {
    let headers = request.headers();
    let open = auth::is_open_to(&state.settings, auth::peer_of(&request), headers);
    let access = access(&state.settings, headers, state.clock.now()).or(open.then_some(Access::Full));
    let Some(access) = access else {
        // What was to be changed is forgotten: after the sign-in people see the page and decide again.
        let wanted = request.uri().path_and_query().map_or("/dashboard", |wanted| wanted.as_str());
        let wanted = if request.method().is_safe() { wanted } else { "/dashboard" };
        let query = url::form_urlencoded::Serializer::new(String::new()).append_pair("next", wanted).finish();
        return Redirect::to(&format!("/dashboard/sign-in?{query}")).into_response();
    };
    if Access::needed_for(request.method()) == Access::Full {
        if auth::is_cross_site(headers) {
            return ApiError::forbidden("changes are not accepted from a page of another site")
                .into_response();
        }
        if access < Access::Full {
            return ApiError::forbidden("this token may only read").into_response();
        }
    }
    let mut actor = auth::actor(&state.settings, access, &request);
    actor.name.push_str(", dashboard");
    request.extensions_mut().insert(access);
    acting(actor, next.run(request)).await
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(token: &str) -> AdminSettings {
        AdminSettings {
            listen: "127.0.0.1:9000".parse().unwrap(),
            token: Some(token.into()),
            read_token: Some("read".into()),
        }
    }

    fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(seconds, 0).unwrap()
    }

    #[test]
    fn a_ticket_lasts_until_its_end_or_a_change_of_token() {
        let (ours, changed) = (settings("one"), settings("two"));
        let full = ticket(&ours, Access::Full, at(1000)).unwrap();
        assert!(!full.contains("one"));
        assert_eq!(access_of_ticket(&ours, &full, at(999)), Some(Access::Full));
        assert_eq!(access_of_ticket(&ours, &full, at(1000)), None);
        assert_eq!(access_of_ticket(&changed, &full, at(999)), None);
    }

    #[test]
    fn a_ticket_cannot_be_altered() {
        let ours = settings("one");
        let read = ticket(&ours, Access::Read, at(1000)).unwrap();
        assert_eq!(access_of_ticket(&ours, &read, at(1)), Some(Access::Read));
        for forged in [
            read.replace("read", "full"),
            read.replace("1000", "9000"),
            read[..read.len() - 2].to_owned(),
            read.replace("read", "root"),
            String::new(),
            "full.1000.".to_owned(),
        ] {
            assert_eq!(access_of_ticket(&ours, &forged, at(1)), None, "{forged}");
        }
    }

    #[test]
    fn it_is_found_among_other_cookies() {
        let ours = settings("one");
        let ticket = ticket(&ours, Access::Full, at(1000)).unwrap();
        let mut headers = HeaderMap::new();
        let line = format!("a=b; {NAME}=stale; {NAME}={ticket}; c");
        headers.insert(header::COOKIE, HeaderValue::from_str(&line).unwrap());
        assert_eq!(access(&ours, &headers, at(1)), Some(Access::Full));
    }
}
