//! The token endpoint: a signed assertion of a service account for an access token.

use std::sync::LazyLock;

use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use ring::signature::{KeyPair, RSA_PKCS1_2048_8192_SHA256, RsaKeyPair, UnparsedPublicKey};
use serde::Deserialize;
use serde_json::{Value, json};
use url::Url;

use crate::simulator::shared::Tx;
use crate::simulator::state::google::{GoogleChange, GoogleToken};

/// The account whose key we hand out.
pub const CLIENT_EMAIL: &str = "pushbox@simulator.iam.gserviceaccount.com";

/// What every scope begins with.
pub(super) const SCOPE_ROOT: &str = "https://www.googleapis.com/auth/";

/// The key of that account. It is published with this source and guards nothing: it opens only simulated
/// spreadsheets.
const PRIVATE_KEY_PEM: &str = include_str!("test_key.pem");

const TOKEN_SECONDS: u32 = 3600;
const GRANT_TYPE: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";

static PUBLIC_KEY: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let digits: String = PRIVATE_KEY_PEM.lines().filter(|line| !line.starts_with("-----")).collect();
    let der = STANDARD.decode(digits).expect("the shipped key is base64");
    let pair = RsaKeyPair::from_pkcs8(&der).expect("the shipped key is an RSA key in PKCS#8");
    pair.public_key().as_ref().to_vec()
});

/// The key file of the service account; its token endpoint is under `root`.
pub fn credentials_json(root: &Url) -> String {
    json!({
        "type": "service_account",
        "project_id": "simulator",
        "private_key_id": "0",
        "private_key": PRIVATE_KEY_PEM,
        "client_email": CLIENT_EMAIL,
        "client_id": "1",
        "auth_uri": format!("{root}auth"),
        "token_uri": format!("{root}token"),
        "universe_domain": "googleapis.com",
    })
    .to_string()
}

#[derive(Debug, Deserialize)]
struct Claims {
    iss: String,
    aud: String,
    scope: String,
    iat: i64,
    exp: i64,
}

/// `POST /token`
pub(super) fn issue(tx: &mut Tx<'_>, headers: &HeaderMap, body: &[u8]) -> Response {
    let form: Vec<(String, String)> = url::form_urlencoded::parse(body).into_owned().collect();
    let field = |name: &str| form.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str());
    if field("grant_type") != Some(GRANT_TYPE) {
        return refuse("unsupported_grant_type", "Invalid grant_type");
    }
    let host = headers.get(header::HOST).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let audience = format!("http://{host}/token");
    let claims = match verified(field("assertion").unwrap_or_default(), &audience, tx.now()) {
        Ok(claims) => claims,
        Err(reason) => return refuse("invalid_grant", reason),
    };
    if claims.scope.is_empty() || !claims.scope.split(' ').all(|scope| scope.starts_with(SCOPE_ROOT)) {
        return refuse("invalid_scope", "Invalid OAuth scope or ID token audience provided.");
    }
    let token = format!("ya29.{}", tx.token(24));
    let lifetime_ms = tx.shared.scaled_ms(TOKEN_SECONDS);
    let until_ms = tx.now_ms + lifetime_ms;
    let issued = GoogleToken { email: claims.iss, scope: claims.scope, until_ms };
    tx.record(GoogleChange::TokenIssued { token: token.clone(), issued });
    let answer =
        json!({"access_token": token, "expires_in": (lifetime_ms / 1000).max(1), "token_type": "Bearer"});
    axum::Json(answer).into_response()
}

fn refuse(error: &str, description: &str) -> Response {
    let body = json!({"error": error, "error_description": description});
    (StatusCode::BAD_REQUEST, axum::Json(body)).into_response()
}

fn verified(assertion: &str, audience: &str, now: i64) -> Result<Claims, &'static str> {
    const BROKEN: &str = "Invalid JWT: Token must be a valid JWT.";
    let (signed, signature) = assertion.rsplit_once('.').ok_or(BROKEN)?;
    let (head, payload) = signed.split_once('.').ok_or(BROKEN)?;
    let decode = |part: &str| URL_SAFE_NO_PAD.decode(part.trim_end_matches('=')).map_err(|_| BROKEN);
    let head: Value = serde_json::from_slice(&decode(head)?).map_err(|_| BROKEN)?;
    if head["alg"] != "RS256" {
        return Err("Invalid JWT: the algorithm must be RS256.");
    }
    let claims: Claims = serde_json::from_slice(&decode(payload)?).map_err(|_| BROKEN)?;
    if claims.iss != CLIENT_EMAIL {
        return Err("Invalid grant: account not found");
    }
    UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, PUBLIC_KEY.as_slice())
        .verify(signed.as_bytes(), &decode(signature)?)
        .map_err(|_| "Invalid JWT Signature.")?;
    if claims.aud != audience {
        return Err("Invalid JWT: Failed audience check.");
    }
    if claims.iat > now + 300 || claims.exp < now - 10 || claims.exp - claims.iat > 3600 {
        return Err(
            "Invalid JWT: Token must be a short-lived token (60 minutes) and in a reasonable timeframe. \
             Check your iat and exp values in the JWT claim.",
        );
    }
    Ok(claims)
}
