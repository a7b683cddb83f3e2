//! Reads the settings of Shopee and of its shops.

use std::collections::BTreeSet;

use secrecy::{ExposeSecret, SecretString};
use url::Url;

use crate::config::fault::Refusal;
use crate::config::lookup::Lookup;
use crate::config::roles::{Role, Roles};
use crate::config::settings as set;
use crate::config::{ShopImport, ShopeeApp, ShopeeSettings, ShopeeSignature, parse, sources};
use crate::domain::sources::{BasePart, Form, Source};

/// Receiving from Shopee and calling its API.
pub(super) fn shopee(lookup: &mut Lookup<'_>, roles: &Roles) -> ShopeeSettings {
    let api_url = api_url(lookup);
    let auth_url = lookup.http_url(&set::SHOPEE_AUTH_URL).unwrap_or_else(|| auth_url(&api_url));
    let partner_id = lookup.optional(&set::PARTNER_ID, |text| parse::number(text, 1, i64::MAX));
    let (further_apps, further_keys) = further_apps(lookup, partner_id);
    let mut settings = ShopeeSettings {
        partner_id,
        partner_key: lookup.optional(&set::PARTNER_KEY, key),
        push_keys: lookup.optional(&set::WEBHOOK_PARTNER_KEY, keys).unwrap_or_default(),
        callback_url: lookup.optional(&set::CALLBACK_URL, parse::callback_url),
        signatures: lookup.value(&set::SHOPEE_SIGNATURE, parse::signatures),
        networks: lookup.value(&set::SHOPEE_NETWORKS, parse::networks),
        shops: shops(lookup, partner_id, &further_apps),
        further_apps,
        api_url,
        auth_url,
        redirect_url: lookup.http_url(&set::SHOPEE_REDIRECT_URL),
        calls_per_second: lookup.value(&set::SHOPEE_CALLS_PER_SECOND, |text| parse::number(text, 1, 10_000)),
        shop_concurrency: lookup.value(&set::SHOPEE_SHOP_CONCURRENCY, |text| parse::number(text, 1, 100)),
    };
    settings.push_keys.extend(further_keys);
    // Who declares other sources need not have Shopee.
    let any = lookup.file.sources.is_empty() || is_set(lookup);
    if roles.has(Role::Receiver) && any {
        lookup.require(
            &set::WEBHOOK_PARTNER_KEY,
            "the receiver checks signatures with it",
            "Copy the Live Push Partner Key from the console: Push Mechanism > Set Push.",
        );
        if settings.signatures.contains(&ShopeeSignature::UrlBody) {
            lookup.require(
                &set::CALLBACK_URL,
                "it is part of what Shopee signs",
                "Copy the callback URL from the console, byte for byte.",
            );
        }
    }
    let api = [&set::PARTNER_ID, &set::PARTNER_KEY];
    let works = roles.has(Role::Worker) || roles.has(Role::Scheduler);
    let further = !settings.further_apps.is_empty();
    if (works && any) || further || api.iter().any(|one| lookup.is_given(one)) {
        for setting in api {
            lookup.require(
                setting,
                "calls to Shopee's API are signed with it",
                "Copy it from the app's page in the console.",
            );
        }
    }
    shopee_notes(lookup, &settings, roles);
    settings
}

/// Whether anything says that there is Shopee.
fn is_set(lookup: &Lookup<'_>) -> bool {
    let settings =
        [&set::WEBHOOK_PARTNER_KEY, &set::CALLBACK_URL, &set::PARTNER_ID, &set::PARTNER_KEY, &set::SHOP_ID];
    settings.iter().any(|one| lookup.is_given(one))
}

/// Shopee as a source, where it is set.
pub(super) fn source(lookup: &Lookup<'_>, settings: &ShopeeSettings) -> Option<Source> {
    (lookup.file.sources.is_empty() || is_set(lookup)).then(|| settings.source())
}

impl ShopeeSettings {
    /// The source that these settings describe.
    pub fn source(&self) -> Source {
        let form = |signature: &ShopeeSignature| match signature {
            ShopeeSignature::UrlBody => Form {
                strip_prefix: String::new(),
                base: vec![BasePart::Url, BasePart::Text("|".into()), BasePart::Body],
            },
            ShopeeSignature::Body => Form { strip_prefix: "SHA256 ".into(), base: vec![BasePart::Body] },
        };
        sources::shopee_source(
            &self.push_keys,
            self.partner_key.as_ref(),
            self.callback_url.as_deref(),
            self.signatures.iter().map(form).collect(),
            &self.networks,
        )
    }
}

fn shopee_notes(lookup: &mut Lookup<'_>, settings: &ShopeeSettings, roles: &Roles) {
    let api_key = settings.partner_key.as_ref().map(ExposeSecret::expose_secret);
    let looks_wrong =
        |key: &SecretString| Some(key.expose_secret()) == api_key || key.expose_secret().starts_with("shpk");
    if settings.push_keys.iter().any(looks_wrong) {
        lookup.note(
            "WEBHOOK_PARTNER_KEY looks like the API key. Live pushes are signed with the Live Push Partner Key \
             of the Push Mechanism page; with the wrong key every push is answered 401",
        );
    }
    let path = settings
        .callback_url
        .as_deref()
        .and_then(|url| Url::parse(url).ok())
        .map(|url| url.path().to_owned());
    if path.is_some_and(|path| !path.starts_with("/webhook/shopee")) {
        lookup.note("CALLBACK_URL does not end in /webhook/shopee: your proxy must map its path to that one");
    }
    if roles.has(Role::Worker) && settings.shops.iter().any(|shop| shop.refresh_token.is_none()) {
        lookup.note("a shop is given without refresh token: its access token ends within four hours");
    }
}

fn api_url(lookup: &mut Lookup<'_>) -> Url {
    let mut url = lookup.http_url(&set::SHOPEE_API_URL).unwrap_or_else(|| {
        Url::parse(set::SHOPEE_API_URL.default.unwrap_or_default()).expect("the declared default is a URL")
    });
    // Other integrations keep the version in the host's setting; our paths begin with it.
    if let Some(prefix) = url.path().trim_end_matches('/').strip_suffix("/api/v2").map(str::to_owned) {
        url.set_path(&prefix);
    }
    url
}

/// Sellers authorize at another host than the API's, one for each environment. An API that is none of
/// Shopee's (a simulator, a relay) is taken to have the page, too.
fn auth_url(api_url: &Url) -> Url {
    let page = match api_url.host_str().unwrap_or_default() {
        "partner.shopeemobile.com" => "https://open.shopee.com/auth",
        "openplatform.shopee.cn" => "https://open.shopee.cn/auth",
        "openplatform.shopee.com.br" => "https://open.shopee.com.br/auth",
        "openplatform.sandbox.test-stable.shopee.sg" | "partner.test-stable.shopeemobile.com" => {
            "https://open.sandbox.test-stable.shopee.com/auth"
        }
        "openplatform.sandbox.test-stable.shopee.cn" => "https://open.sandbox.test-stable.shopee.cn/auth",
        _ => return api_url.join("/auth").unwrap_or_else(|_| api_url.clone()),
    };
    Url::parse(page).expect("the pages of the table are URLs")
}

fn key(text: &str) -> Result<SecretString, Refusal> {
    if text.contains(char::is_whitespace) {
        return Err(Refusal::new("has white space inside", "Copy the key again, in one piece."));
    }
    Ok(SecretString::from(text))
}

fn keys(text: &str) -> Result<Vec<SecretString>, Refusal> {
    let keys: Vec<_> = parse::items(text).into_iter().map(key).collect::<Result<_, _>>()?;
    if keys.is_empty() {
        return Err(Refusal::new("holds no key", "Copy the Live Push Partner Key from the console."));
    }
    Ok(keys)
}

/// The apps besides that of `PARTNER_ID`, and their push keys.
fn further_apps(lookup: &mut Lookup<'_>, first: Option<i64>) -> (Vec<ShopeeApp>, Vec<SecretString>) {
    let (mut apps, mut push_keys): (Vec<ShopeeApp>, Vec<_>) = (Vec::new(), Vec::new());
    for entry in std::mem::take(&mut lookup.file.partners) {
        let id = lookup
            .required(&entry, "partner_id")
            .and_then(|found| lookup.parsed(found, |text| parse::number(text, 1, i64::MAX)));
        let before = lookup.faults.len();
        let api_key = lookup.in_entry(&entry, "partner_key", true);
        let api_key = api_key.and_then(|found| lookup.parsed(found, key));
        if api_key.is_none() && lookup.faults.len() == before {
            lookup.missing(&entry, "partner_key");
        }
        if let Some(found) = lookup.in_entry(&entry, "webhook_partner_key", true) {
            push_keys.extend(lookup.parsed(found, keys).unwrap_or_default());
        }
        let (Some(partner_id), Some(partner_key)) = (id, api_key) else { continue };
        if Some(partner_id) == first || apps.iter().any(|app| app.partner_id == partner_id) {
            lookup.twice(&entry);
        } else {
            apps.push(ShopeeApp { partner_id, partner_key });
        }
    }
    (apps, push_keys)
}

/// The shop of the environment, then those of the file; the environment wins for a shop that is in both.
fn shops(lookup: &mut Lookup<'_>, first: Option<i64>, further: &[ShopeeApp]) -> Vec<ShopImport> {
    let mut shops = Vec::new();
    let shop_id = lookup.optional(&set::SHOP_ID, |text| parse::number(text, 1, i64::MAX));
    let access_token = lookup.optional(&set::ACCESS_TOKEN, key);
    let refresh_token = lookup.optional(&set::REFRESH_TOKEN, key);
    let given =
        [&set::SHOP_ID, &set::ACCESS_TOKEN, &set::REFRESH_TOKEN].iter().any(|one| lookup.is_given(one));
    if given {
        for setting in [&set::SHOP_ID, &set::ACCESS_TOKEN] {
            lookup.require(
                setting,
                "a shop is imported with both",
                "Set SHOP_ID and ACCESS_TOKEN, or neither.",
            );
        }
    }
    if let (Some(shop_id), Some(access_token)) = (shop_id, access_token) {
        shops.push(ShopImport { partner_id: None, shop_id, access_token, refresh_token });
    }
    let partner = |text: &str| {
        let id = parse::number(text, 1, i64::MAX)?;
        let known = first == Some(id) || further.iter().any(|app| app.partner_id == id);
        known.then_some(id).ok_or_else(|| {
            Refusal::new(format!("there is no app {id}"), "Name PARTNER_ID or that of a [[partners]] table.")
        })
    };
    let mut seen = BTreeSet::new();
    for entry in std::mem::take(&mut lookup.file.shops) {
        let id = lookup
            .required(&entry, "shop_id")
            .and_then(|found| lookup.parsed(found, |text| parse::number(text, 1, i64::MAX)));
        let partner_id = lookup.in_entry(&entry, "partner_id", false);
        let partner_id = partner_id.and_then(|found| lookup.parsed(found, partner));
        let before = lookup.faults.len();
        let mut token = |name: &str| {
            let found = lookup.in_entry(&entry, name, true)?;
            lookup.parsed(found, key)
        };
        let (access_token, refresh_token) = (token("access_token"), token("refresh_token"));
        if access_token.is_none() && lookup.faults.len() == before {
            lookup.missing(&entry, "access_token");
        }
        let (Some(shop_id), Some(access_token)) = (id, access_token) else { continue };
        if !seen.insert(shop_id) {
            lookup.twice(&entry);
        } else if shops.iter().all(|shop| shop.shop_id != shop_id) {
            shops.push(ShopImport { partner_id, shop_id, access_token, refresh_token });
        }
    }
    shops
}
