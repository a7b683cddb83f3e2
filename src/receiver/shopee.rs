//! Verifies Shopee's signature. What is accepted is only what is configured; what else would have matched
//! explains a mismatch in the log and never more.

use secrecy::{ExposeSecret, SecretString};

use crate::config::{ShopeeSettings, ShopeeSignature};
use crate::domain::shopee::signature;

/// Verifies pushes of one Shopee app.
#[derive(Debug, Clone)]
pub struct ShopeeVerifier {
    push_keys: Vec<SecretString>,
    api_key: Option<SecretString>,
    callback_url: String,
    accepted: Vec<ShopeeSignature>,
}

impl ShopeeVerifier {
    /// A verifier for these settings.
    pub fn new(settings: &ShopeeSettings) -> Self {
        Self {
            push_keys: settings.push_keys.clone(),
            api_key: settings.partner_key.clone(),
            callback_url: settings.callback_url.clone().unwrap_or_default(),
            accepted: settings.signatures.clone(),
        }
    }

    /// Whether the value of the `Authorization` header proves that a holder of a push key sent this body.
    pub fn accepts(&self, header: &str, body: &[u8]) -> bool {
        self.push_keys
            .iter()
            .any(|key| self.accepted.iter().any(|form| self.proves(*form, key.expose_secret(), header, body)))
    }

    fn proves(&self, form: ShopeeSignature, key: &str, header: &str, body: &[u8]) -> bool {
        match form {
            ShopeeSignature::UrlBody => {
                signature::matches(header, &signature::url_body(key, &self.callback_url, body))
            }
            ShopeeSignature::Body => {
                let bare = header.strip_prefix("SHA256 ").unwrap_or(header);
                signature::matches(bare, &signature::body_only(key, body))
            }
        }
    }

    /// Says in words what is wrong with a header that was not accepted. Holds no secret and no digest.
    pub fn explain(&self, header: Option<&str>, body: &[u8]) -> String {
        let Some(header) = header else {
            return "there is no Authorization header; was it stripped by a proxy?".to_owned();
        };
        for (key, name) in self.candidates() {
            let key = key.expose_secret();
            if let Some(form) = self.other_form(key, header, body) {
                return format!("it matches {form} with {name}");
            }
        }
        if header.len() != 64 {
            return format!("a signature has 64 hexadecimal digits, this has {} characters", header.len());
        }
        "no known key and no known form of the callback URL matches; is WEBHOOK_PARTNER_KEY the Live Push Partner Key \
         and CALLBACK_URL exactly the one in the console?"
            .to_owned()
    }

    fn candidates(&self) -> impl Iterator<Item = (&SecretString, &'static str)> {
        let push = self.push_keys.iter().map(|key| (key, "WEBHOOK_PARTNER_KEY"));
        let api = self
            .api_key
            .iter()
            .map(|key| (key, "PARTNER_KEY (Shopee signs pushes with the push key, not the API key)"));
        push.chain(api)
    }

    fn other_form(&self, key: &str, header: &str, body: &[u8]) -> Option<String> {
        let url = &self.callback_url;
        let swapped = url
            .strip_prefix("https://")
            .map(|rest| format!("http://{rest}"))
            .or_else(|| url.strip_prefix("http://").map(|rest| format!("https://{rest}")));
        let slashed = url.strip_suffix('/').map_or_else(|| format!("{url}/"), str::to_owned);
        let urls = [Some(url.clone()), Some(slashed), swapped];
        for candidate in urls.into_iter().flatten() {
            if signature::matches(header, &signature::url_body(key, &candidate, body)) {
                return Some(format!("callback URL {candidate:?} and body"));
            }
        }
        let bare = header.strip_prefix("SHA256 ").unwrap_or(header);
        signature::matches(bare, &signature::body_only(key, body))
            .then(|| "the body alone (SHOPEE_SIGNATURE=body would accept it)".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const URL: &str = "https://hooks.example.com/shopee";

    fn verifier(accepted: &[ShopeeSignature]) -> ShopeeVerifier {
        ShopeeVerifier {
            push_keys: vec!["new-key".into(), "old-key".into()],
            api_key: Some("api-key".into()),
            callback_url: URL.into(),
            accepted: accepted.to_vec(),
        }
    }

    fn sign(key: &str, url: &str) -> String {
        hex::encode(signature::url_body(key, url, b"{}"))
    }

    #[test]
    fn accepts_every_configured_key_and_nothing_else() {
        let verifier = verifier(&[ShopeeSignature::UrlBody]);
        assert!(verifier.accepts(&sign("new-key", URL), b"{}"));
        assert!(verifier.accepts(&sign("old-key", URL), b"{}"));
        assert!(!verifier.accepts(&sign("new-key", URL), b"{} "));
        assert!(!verifier.accepts(&sign("api-key", URL), b"{}"));
        assert!(!verifier.accepts(&sign("new-key", "https://hooks.example.com/shopee/"), b"{}"));
        assert!(!verifier.accepts(&hex::encode(signature::body_only("new-key", b"{}")), b"{}"));
        assert!(!verifier.accepts("", b"{}"));
    }

    #[test]
    fn accepts_the_body_form_only_when_asked_to() {
        let verifier = verifier(&[ShopeeSignature::Body]);
        let digest = hex::encode(signature::body_only("new-key", b"{}"));
        assert!(verifier.accepts(&digest, b"{}"));
        assert!(verifier.accepts(&format!("SHA256 {digest}"), b"{}"));
        assert!(!verifier.accepts(&sign("new-key", URL), b"{}"));
    }

    #[test]
    fn explains_what_would_have_matched() {
        let verifier = verifier(&[ShopeeSignature::UrlBody]);
        let explain = |header: &str| verifier.explain(Some(header), b"{}");
        assert!(explain(&sign("api-key", URL)).contains("PARTNER_KEY (Shopee signs"));
        assert!(explain(&sign("new-key", "https://hooks.example.com/shopee/")).contains("shopee/\""));
        assert!(explain(&sign("old-key", "http://hooks.example.com/shopee")).contains("http://"));
        assert!(explain(&hex::encode(signature::body_only("new-key", b"{}"))).contains("body alone"));
        assert!(explain("Bearer x").contains("64 hexadecimal digits"));
        assert!(explain(&"0".repeat(64)).contains("no known key"));
        assert!(verifier.explain(None, b"{}").contains("no Authorization header"));
    }
}
