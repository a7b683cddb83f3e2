//! Tokens: exchanging a code, refreshing.
//!
//! A refresh token works once. Whoever calls [`ShopeeClient::refresh_token`] holds the shop's lease, stores
//! the new pair before using it, and treats an error that
//! [may have happened](ClientError::may_have_happened) as a token that may be spent.

use chrono::{DateTime, TimeDelta, Utc};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde_json::json;
use url::Url;

use crate::clients::error::{ClientError, Concern};
use crate::clients::shopee::{Ask, ShopeeClient, flat, lenient};

const GET: &str = "/api/v2/auth/token/get";
const REFRESH: &str = "/api/v2/auth/access_token/get";
const AUTHORIZE: &str = "/api/v2/shop/auth_partner";

/// An `expire_in` beyond this is no duration but an instant: one of Shopee's samples shows it so.
const LONGEST_DURATION: i64 = 1_000_000_000;

/// Who gave the authorization.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Account {
    /// One shop.
    Shop(i64),
    /// A main account, for its shops.
    Main(i64),
}

/// An access token with the refresh token that follows it.
#[derive(Debug, Clone)]
pub struct TokenPair {
    /// For calls, about four hours.
    pub access_token: SecretString,
    /// For the next refresh; works once.
    pub refresh_token: SecretString,
    /// When the access token ends.
    pub expires_at: DateTime<Utc>,
}

/// What an authorization code was worth.
#[derive(Debug, Clone)]
pub struct Authorized {
    /// The tokens; for a main account all its shops share this first pair.
    pub tokens: TokenPair,
    /// The shops they are for.
    pub shop_ids: Vec<i64>,
}

#[derive(Deserialize)]
struct WireTokens {
    access_token: String,
    refresh_token: String,
    #[serde(default, deserialize_with = "lenient::int")]
    expire_in: Option<i64>,
    #[serde(default, deserialize_with = "lenient::or_default")]
    shop_id_list: Vec<i64>,
}

impl ShopeeClient {
    /// A new pair for the refresh token. `Configuration` about the authorization: the seller has to authorize
    /// again, or this token was spent by someone else in the meantime.
    pub async fn refresh_token(
        &self,
        shop_id: i64,
        refresh_token: &SecretString,
    ) -> Result<TokenPair, ClientError> {
        let ask = Ask::Post(json!({
            "refresh_token": refresh_token.expose_secret(),
            "partner_id": self.partner_id,
            "shop_id": shop_id,
        }));
        let body = self.call(REFRESH, None, ask).await.map_err(|error| match error {
            // There is no access token in this call that a refresh could replace.
            ClientError::Unauthorized { message } => ClientError::configuration(
                Concern::Authorization,
                message,
                "the seller has to authorize the shop again: pushbox shopee authorize",
            ),
            error => error,
        })?;
        Ok(self.pair(flat(&body)?))
    }

    /// Tokens for the code of an authorization, which works once and for ten minutes.
    pub async fn exchange_code(
        &self,
        code: &SecretString,
        account: Account,
    ) -> Result<Authorized, ClientError> {
        let (subject, id) = match account {
            Account::Shop(id) => ("shop_id", id),
            Account::Main(id) => ("main_account_id", id),
        };
        let ask = Ask::Post(json!({
            "code": code.expose_secret(),
            "partner_id": self.partner_id,
            subject: id,
        }));
        let body = self.call(GET, None, ask).await.map_err(|error| match error {
            ClientError::Unauthorized { message } => {
                ClientError::Rejected { code: "error_auth".to_owned(), message }
            }
            error => error,
        })?;
        let wire: WireTokens = flat(&body)?;
        let shop_ids = match account {
            Account::Shop(id) => vec![id],
            Account::Main(_) => wire.shop_id_list.clone(),
        };
        Ok(Authorized { tokens: self.pair(wire), shop_ids })
    }

    /// The link at which a seller authorizes the app, as Shopee documents it since 2026; it does not end.
    /// Shopee sends the seller on to `redirect` with `code` and `shop_id` or `main_account_id`, and with `state`.
    pub fn authorization_link(&self, redirect: &Url, state: Option<&str>) -> Url {
        let mut url = self.auth_url.clone();
        url.query_pairs_mut()
            .append_pair("partner_id", &self.partner_id.to_string())
            .append_pair("auth_type", "seller")
            .append_pair("redirect_uri", redirect.as_str())
            .append_pair("response_type", "code")
            .extend_pairs(state.map(|state| ("state", state)));
        url
    }

    /// The older form of the link; it is signed now and ends after five minutes.
    pub fn signed_authorization_link(&self, redirect: &Url) -> Url {
        let mut url = self.signed_url(AUTHORIZE, None);
        url.query_pairs_mut().append_pair("redirect", redirect.as_str());
        url
    }

    /// What a person does about a shop that has to be authorized again, with the link where it is known.
    pub fn authorization_remedy(&self) -> String {
        match &self.redirect_url {
            Some(redirect) => format!(
                "As the seller open {} and authorize, then exchange the code that Shopee sends you on with: \
                 pushbox shopee authorize --code CODE --shop-id SHOP",
                self.authorization_link(redirect, None)
            ),
            None => {
                "As the seller open the link that `pushbox shopee authorize` prints, then exchange the code \
                     with: pushbox shopee authorize --code CODE --shop-id SHOP"
                    .to_owned()
            }
        }
    }

    fn pair(&self, wire: WireTokens) -> TokenPair {
        TokenPair {
            access_token: wire.access_token.into(),
            refresh_token: wire.refresh_token.into(),
            expires_at: expiry(self.clock.now(), wire.expire_in),
        }
    }
}

/// When a token given out at `now` ends; without a statement, at once.
fn expiry(now: DateTime<Utc>, expire_in: Option<i64>) -> DateTime<Utc> {
    match expire_in.unwrap_or(0).max(0) {
        instant if instant > LONGEST_DURATION => DateTime::from_timestamp(instant, 0).unwrap_or(now),
        seconds => now + TimeDelta::seconds(seconds),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expiry_is_a_duration_or_an_instant() {
        let now = DateTime::from_timestamp(1_790_000_000, 0).unwrap();
        assert_eq!(expiry(now, Some(14_400)).timestamp(), 1_790_014_400);
        assert_eq!(expiry(now, Some(1_790_014_400)).timestamp(), 1_790_014_400);
        assert_eq!(expiry(now, None), now);
    }
}
