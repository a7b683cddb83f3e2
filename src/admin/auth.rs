//! Who may do what on the admin listener.
//!
//! Two bearer tokens: one reads, one may do everything. Without any token the API is open to this machine
//! alone: a connection from loopback to a loopback listener that also *names* loopback as its host (a web
//! page cannot fake that by DNS rebinding), carries no sign of a proxy (whose clients may be anybody), and,
//! for changes, does not come from a page of another site.

use std::net::{IpAddr, SocketAddr};

use axum::extract::{ConnectInfo, Request, State};
use axum::http::{HeaderMap, Method, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use hmac::{Hmac, KeyInit, Mac};
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use super::AdminState;
use super::error::ApiError;
use crate::config::AdminSettings;
pub use crate::store::admin_actions::{Actor, acting};

/// What somebody may do. A later one includes the earlier.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Access {
    /// Look.
    Read,
    /// Look and change.
    Full,
}

impl Access {
    /// What a request of this method needs.
    pub fn needed_for(method: &Method) -> Self {
        if method.is_safe() { Self::Read } else { Self::Full }
    }
}

/// What the token gives; none for a token that is not ours. Takes the same time for every wrong token.
pub fn access_of_token(settings: &AdminSettings, presented: &str) -> Option<Access> {
    let is = |token: &Option<SecretString>| {
        token.as_ref().is_some_and(|token| {
            // Digests have one length, so that not even the length of the token can be measured.
            let (ours, theirs) = (Sha256::digest(token.expose_secret()), Sha256::digest(presented));
            bool::from(ours.as_slice().ct_eq(theirs.as_slice()))
        })
    };
    let (full, read) = (is(&settings.token), is(&settings.read_token));
    if full {
        Some(Access::Full)
    } else if read {
        Some(Access::Read)
    } else {
        None
    }
}

/// Proves, with the key of whoever has this access, that we wrote `message`; none without such a token.
pub fn seal(settings: &AdminSettings, access: Access, message: &[u8]) -> Option<[u8; 32]> {
    let token = match access {
        Access::Full => settings.token.as_ref(),
        Access::Read => settings.read_token.as_ref(),
    }?;
    let mut mac = Hmac::<Sha256>::new_from_slice(token.expose_secret().as_bytes()).ok()?;
    mac.update(b"pushbox seal\0");
    mac.update(message);
    Some(mac.finalize().into_bytes().into())
}

/// Whether no token is needed by a request from `peer` with these headers.
pub fn is_open_to(settings: &AdminSettings, peer: Option<SocketAddr>, headers: &HeaderMap) -> bool {
    let proxied = ["forwarded", "x-forwarded-for", "x-real-ip", "via"];
    settings.token.is_none()
        && settings.read_token.is_none()
        && settings.listen.ip().is_loopback()
        && peer.is_some_and(|peer| peer.ip().to_canonical().is_loopback())
        && headers.get(header::HOST).and_then(|host| host.to_str().ok()).is_some_and(names_loopback)
        && !proxied.iter().any(|name| headers.contains_key(*name))
}

/// Whether a `Host` is `localhost` or a loopback address, with or without a port.
fn names_loopback(host: &str) -> bool {
    let bare = match host.strip_prefix('[') {
        Some(v6) => v6.split(']').next().unwrap_or_default(),
        None => host.split(':').next().unwrap_or_default(),
    };
    bare.eq_ignore_ascii_case("localhost")
        || bare.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// Whether a browser sent this on behalf of a page of another site. Programs send neither header.
pub fn is_cross_site(headers: &HeaderMap) -> bool {
    let text = |name| headers.get(name).and_then(|value: &header::HeaderValue| value.to_str().ok());
    if let Some(site) = text(header::HeaderName::from_static("sec-fetch-site")) {
        return !matches!(site, "same-origin" | "none");
    }
    let origin = text(header::ORIGIN).and_then(|origin| origin.split_once("://"));
    headers.contains_key(header::ORIGIN) && origin.map(|(_, authority)| authority) != text(header::HOST)
}

/// The address of the other side, where the server was told to remember it.
pub fn peer_of(request: &Request) -> Option<SocketAddr> {
    request.extensions().get::<ConnectInfo<SocketAddr>>().map(|ConnectInfo(peer)| *peer)
}

/// Decides by the token alone, never by a cookie: a page of another site cannot send one.
fn decide(settings: &AdminSettings, request: &Request) -> Result<Access, ApiError> {
    let headers = request.headers();
    let needed = Access::needed_for(request.method());
    let bearer = headers.get(header::AUTHORIZATION).map(|value| {
        let (scheme, token) = value.to_str().unwrap_or_default().split_once(' ').unwrap_or_default();
        if scheme.eq_ignore_ascii_case("bearer") { token.trim() } else { "" }
    });
    match bearer.and_then(|token| access_of_token(settings, token)) {
        Some(access) if access >= needed => Ok(access),
        Some(_) => Err(ApiError::forbidden("this token may only read")),
        None if !is_open_to(settings, peer_of(request), headers) => Err(ApiError::unauthorized()),
        None if needed == Access::Full && is_cross_site(headers) => {
            Err(ApiError::forbidden("changes are not accepted from a page of another site"))
        }
        None => Ok(Access::Full),
    }
}

/// Who acts with this access, for the record. Whoever needs no token has no name.
pub fn actor(settings: &AdminSettings, access: Access, request: &Request) -> Actor {
    let name = match access {
        Access::Full if settings.token.is_some() => "ADMIN_TOKEN",
        Access::Read if settings.read_token.is_some() => "ADMIN_READ_TOKEN",
        Access::Full | Access::Read => "this machine, without a token",
    };
    let peer = peer_of(request).map(|peer| peer.ip().to_canonical().to_string());
    // What a proxy says of its client is kept beside its own address, because anybody may say it.
    let client = request.headers().get("x-forwarded-for").and_then(|value| value.to_str().ok());
    let client = client.map(|client| client.chars().take(100).collect::<String>());
    let origin = match (peer, client) {
        (Some(peer), Some(client)) => Some(format!("{peer}, which says it asks for {client}")),
        (peer, _) => peer,
    };
    Actor { name: name.to_owned(), origin }
}

/// Lets a request through that may do what it asks for, with its [`Access`] as an extension; what it changes
/// is recorded as done by its token.
pub async fn require(State(state): State<AdminState>, mut request: Request, next: Next) -> Response {
    match decide(&state.settings, &request) {
        Ok(access) => {
            let actor = actor(&state.settings, access, &request);
            request.extensions_mut().insert(access);
            acting(actor, next.run(request)).await
        }
        Err(error) => {
            let mut response = error.into_response();
            response.headers_mut().insert(
                header::WWW_AUTHENTICATE,
                header::HeaderValue::from_static("Bearer realm=\"pushbox\""),
            );
            response
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Headers<'a> = &'a [(&'static str, &'a str)];

    fn settings(listen: &str, token: Option<&str>, read_token: Option<&str>) -> AdminSettings {
        AdminSettings {
            listen: listen.parse().unwrap(),
            token: token.map(Into::into),
            read_token: read_token.map(Into::into),
        }
    }

    fn request(method: Method, peer: &str, headers: Headers) -> Request {
        let mut request = Request::builder().method(method).uri("/api/v1/stats");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let mut request = request.body(axum::body::Body::empty()).unwrap();
        request.extensions_mut().insert(ConnectInfo::<SocketAddr>(peer.parse().unwrap()));
        request
    }

    fn status(settings: &AdminSettings, request: &Request) -> u16 {
        decide(settings, request).map_or_else(|error| error.status.as_u16(), |_| 200)
    }

    #[test]
    fn tokens_give_what_they_are_for() {
        let settings = settings("0.0.0.0:9000", Some("full"), Some("read"));
        let cases = [
            (Method::GET, "Bearer full", 200),
            (Method::GET, "bearer read", 200),
            (Method::HEAD, "Bearer read", 200),
            (Method::POST, "Bearer full", 200),
            (Method::POST, "Bearer read", 403),
            (Method::DELETE, "Bearer read", 403),
            (Method::GET, "Bearer wrong", 401),
            (Method::GET, "Bearer ", 401),
            (Method::GET, "Bearer", 401),
            (Method::GET, "Basic full", 401),
            (Method::GET, "full", 401),
        ];
        for (method, authorization, expected) in cases {
            let request = request(method.clone(), "192.0.2.7:1", &[("authorization", authorization)]);
            assert_eq!(status(&settings, &request), expected, "{method} {authorization}");
        }
        assert_eq!(status(&settings, &request(Method::GET, "127.0.0.1:1", &[("host", "localhost")])), 401);
    }

    #[test]
    fn an_absent_token_matches_nothing() {
        let settings = settings("127.0.0.1:9000", None, Some("read"));
        assert_eq!(access_of_token(&settings, ""), None);
        assert_eq!(access_of_token(&settings, "read"), Some(Access::Read));
        assert_eq!(seal(&settings, Access::Full, b"x"), None);
    }

    #[test]
    fn without_tokens_it_is_open_to_this_machine_alone() {
        let open = settings("127.0.0.1:9000", None, None);
        let cases: [(&str, Headers, u16); 10] = [
            ("127.0.0.1:1", &[("host", "127.0.0.1:9000")], 200),
            ("127.0.0.1:1", &[("host", "localhost:9000")], 200),
            ("[::1]:1", &[("host", "[::1]:9000")], 200),
            ("[::ffff:127.0.0.1]:1", &[("host", "LOCALHOST")], 200),
            ("127.0.0.1:1", &[], 401),
            ("127.0.0.1:1", &[("host", "rebound.example:9000")], 401),
            ("127.0.0.1:1", &[("host", "localhost.example")], 401),
            ("127.0.0.1:1", &[("host", "localhost"), ("x-forwarded-for", "192.0.2.7")], 401),
            ("192.0.2.7:1", &[("host", "localhost")], 401),
            ("127.0.0.1:1", &[("host", "localhost"), ("authorization", "Bearer x")], 200),
        ];
        for (peer, headers, expected) in cases {
            assert_eq!(status(&open, &request(Method::GET, peer, headers)), expected, "{peer} {headers:?}");
        }
        let anywhere = settings("0.0.0.0:9000", None, None);
        assert_eq!(status(&anywhere, &request(Method::GET, "127.0.0.1:1", &[("host", "localhost")])), 401);
    }

    #[test]
    fn an_unknown_peer_is_a_stranger() {
        let open = settings("127.0.0.1:9000", None, None);
        let mut request = request(Method::GET, "127.0.0.1:1", &[("host", "localhost")]);
        request.extensions_mut().clear();
        assert_eq!(status(&open, &request), 401);
    }

    #[test]
    fn an_open_listener_takes_no_changes_from_other_sites() {
        let open = settings("127.0.0.1:9000", None, None);
        let cases: [(Headers, u16); 6] = [
            (&[], 200),
            (&[("sec-fetch-site", "same-origin")], 200),
            (&[("sec-fetch-site", "cross-site")], 403),
            (&[("sec-fetch-site", "same-site")], 403),
            (&[("origin", "http://localhost:9000")], 200),
            (&[("origin", "http://localhost:3000")], 403),
        ];
        for (headers, expected) in cases {
            let headers: Vec<_> = [("host", "localhost:9000")].into_iter().chain(headers.to_vec()).collect();
            assert_eq!(
                status(&open, &request(Method::POST, "127.0.0.1:1", &headers)),
                expected,
                "{headers:?}"
            );
        }
    }
}
