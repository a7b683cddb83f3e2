//! Shops: whether we may call the platform for them, how long still, and letting sellers authorize the app.

use axum::extract::State;
use axum::response::{Html, Redirect};
use axum::{Extension, Json};
use chrono::{DateTime, Utc};
use maud::{Markup, html};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use url::Url;

use super::layout::{self, Look, Place, badge, number};
use super::time;
use crate::admin::AdminState;
use crate::admin::api::queues::PauseRequest;
use crate::admin::api::shopee::partner_ids;
use crate::admin::api::shops::{
    ExchangeAnswer, ExchangeRequest, LinkAnswer, LinkRequest, ShopView, disable_shop, enable_shop,
    exchange_code, list_shops, make_authorization_link, refresh_shop,
};
use crate::admin::auth::Access;
use crate::admin::error::ApiError;
use crate::admin::extract::{Form, Json as Body, Path, said};
use crate::admin::frame::RequestId;

/// The platform whose tokens are steered here.
const SHOPEE: &str = "shopee";

pub(super) async fn show(
    State(state): State<AdminState>,
    Extension(access): Extension<Access>,
) -> Result<Html<String>, ApiError> {
    let Json(list) = list_shops(State(state.clone())).await?;
    let look = Look::live(&state, access);
    let apps = partner_ids(&state);
    let body = html! {
        section.card {
            h1 { "Shops" }
            @if list.shops.is_empty() {
                p.quiet { "None yet. "
                    @if apps.is_empty() { "Set PARTNER_ID and PARTNER_KEY, then authorize a shop here." }
                    @else if access == Access::Full { "Make the link below, let the seller open it, and exchange the code that comes back." }
                    @else { "Whoever has ADMIN_TOKEN can authorize one here." }
                }
            } @else { (table(&list.shops, &apps, &look)) }
        }
        @if access == Access::Full && !apps.is_empty() { (authorize(&apps)) }
    };
    Ok(layout::page("Shops", Place::Shops, &look, &body))
}

fn table(shops: &[ShopView], apps: &[i64], look: &Look) -> Markup {
    html! {
        table.stack {
            thead { tr {
                th { "Shop" } th { "State" } th { "Access token" } th { "Authorization" } th { "Refreshed" }
                th.number { "Waiting" } th { span.unseen { "Do" } }
            } }
            tbody { @for one in shops { tr {
                td {
                    span.quiet { (one.platform) } " " span.id { (one.shop_id) }
                    @if let Some(region) = &one.region { " " span.badge.plain { (region) } }
                    @if let Some(app) = one.partner_id.or(apps.first().copied()) { " " span.quiet { "app " span.id { (app) } } }
                }
                td.error {
                    (badge(&one.state))
                    @if let Some(reason) = &one.state_reason { p.quiet { (reason) } }
                }
                td data-label="token" { (token(one, look.now)) }
                td data-label="authorized" { (authorization(one, look.now)) }
                td.error data-label="refreshed" { (refreshed(one, look.now)) }
                td.number.zero[one.waiting_jobs == 0] data-label="waiting" {
                    @if one.waiting_jobs > 0 {
                        a href="/dashboard/jobs?state=ready&queue=enrich" { (number(one.waiting_jobs)) }
                    } @else { "0" }
                }
                td { @if look.access == Access::Full && one.platform == SHOPEE { (buttons(one)) } }
            } } }
        }
    }
}

/// A time that something ends at, in words: `in 3 h`, or that it has ended.
fn ends(at: DateTime<Utc>, now: DateTime<Utc>) -> Markup {
    html! {
        @if at <= now { span.badge.bad { "ended" } " " (time::ago(at, now)) } @else { "ends " (time::ago(at, now)) }
    }
}

fn token(one: &ShopView, now: DateTime<Utc>) -> Markup {
    html! {
        @if one.tokens == "none" { span.quiet { "none" } }
        @else if let Some(at) = one.access_expires_at { (ends(at, now)) }
        @else { span.quiet { "not known, refreshed at once" } }
        @if one.tokens == "plain" { " " span.badge.busy title="ENCRYPTION_KEY is not set" { "not sealed" } }
    }
}

fn authorization(one: &ShopView, now: DateTime<Utc>) -> Markup {
    html! {
        @if let Some(at) = one.authorization_expires_at { (ends(at, now)) } @else { span.quiet { "end not known" } }
        @if let Some(at) = one.authorized_at { " " span.quiet { "given " (time::ago(at, now)) } }
    }
}

fn refreshed(one: &ShopView, now: DateTime<Utc>) -> Markup {
    html! {
        @if let Some(at) = one.refreshed_at { (time::ago(at, now)) } @else { span.quiet { "never" } }
        @if one.refresh_failures > 0 {
            p.fault { "failed " (number(one.refresh_failures.into())) "× since"
                @if let Some(error) = &one.refresh_error { ": " (error) } }
        }
    }
}

fn buttons(one: &ShopView) -> Markup {
    let hidden = html! { input type="hidden" name="shop_id" value=(one.shop_id); };
    let label = |verb: &str| format!("{verb} shop {}", one.shop_id);
    html! {
        div.buttons {
            @if one.state == "active" {
                form method="post" action="/dashboard/shops/refresh" {
                    (hidden) button.small type="submit" aria-label=(label("Refresh now")) { "Refresh now" }
                }
            }
            @if one.state == "disabled" {
                form method="post" action="/dashboard/shops/enable" {
                    (hidden) button.small type="submit" aria-label=(label("Enable")) { "Enable" }
                }
            } @else {
                details.ask {
                    summary.button.small.plain aria-label=(label("Disable")) { "Disable …" }
                    form method="post" action="/dashboard/shops/disable" {
                        (hidden)
                        p.quiet { "Shopee is not called for it any more; its pushes are still stored, and its jobs wait." }
                        label { "Why" input name="reason" required maxlength="200" placeholder="for whoever finds it disabled"; }
                        button.small.danger type="submit" { "Disable it" }
                    }
                }
            }
        }
    }
}

/// The choice of an app, where there is one.
fn app_choice(apps: &[i64], chosen: Option<i64>) -> Markup {
    html! {
        @if apps.len() > 1 {
            label { "App (partner id)" select name="partner_id" {
                @for app in apps { option value=(app) selected[chosen == Some(*app)] { (app) } }
            } }
        }
    }
}

fn authorize(apps: &[i64]) -> Markup {
    html! {
        div.columns {
            section.card {
                h2 { "1. A link for the seller" }
                p.quiet { "The seller opens it, signs in at Shopee and agrees; Shopee then sends the seller on to your address, with a code." }
                form.search method="post" action="/dashboard/shops/authorization-link" {
                    (app_choice(apps, None))
                    label.whole { "Where Shopee sends the seller on"
                        input type="url" name="redirect_url" placeholder="SHOPEE_REDIRECT_URL"; }
                    label { "Comes back with the seller" input name="state" maxlength="200" placeholder="optional"; }
                    label.check { input type="checkbox" name="legacy" value="true"; " the older, signed form, for five minutes" }
                    button type="submit" { "Make the link" }
                }
            }
            section.card {
                h2 { "2. The code that came back" }
                p.quiet { "It works once, for ten minutes. Paste the whole address that the seller was sent to, or the code and its shop." }
                form.search method="post" action="/dashboard/shops/exchange" {
                    (app_choice(apps, None))
                    label.whole { "Address or code" input name="code" required autocomplete="off"; }
                    label { "Shop id" input name="shop_id" inputmode="numeric" pattern="[0-9]*" placeholder="if not in the address"; }
                    label { "or main account id" input name="main_account_id" inputmode="numeric" pattern="[0-9]*"
                        placeholder="for all its shops"; }
                    button type="submit" { "Exchange it" }
                }
            }
        }
    }
}

/// Which shop, and why.
#[derive(Debug, Deserialize)]
pub(super) struct Steered {
    shop_id: String,
    #[serde(default)]
    reason: String,
}

/// `refresh`, `disable` or `enable` of a shop.
pub(super) async fn act(
    State(state): State<AdminState>,
    Extension(request_id): Extension<RequestId>,
    Path(action): Path<String>,
    Form(Steered { shop_id, reason }): Form<Steered>,
) -> Result<Redirect, ApiError> {
    let (state, request_id, shop) = (State(state), Extension(request_id), Path(shop_id));
    match action.as_str() {
        "refresh" => drop(refresh_shop(state, request_id, shop).await?),
        "disable" => drop(disable_shop(state, request_id, shop, Body(PauseRequest { reason })).await?),
        "enable" => drop(enable_shop(state, request_id, shop).await?),
        _ => return Err(ApiError::not_found("action")),
    }
    Ok(Redirect::to("/dashboard/shops"))
}

/// What the form for a link says.
#[derive(Debug, Deserialize)]
pub(super) struct LinkForm {
    partner_id: Option<i64>,
    redirect_url: Option<String>,
    state: Option<String>,
    #[serde(default)]
    legacy: bool,
}

/// Makes the link and shows it.
pub(super) async fn link(
    State(state): State<AdminState>,
    Extension(access): Extension<Access>,
    Form(form): Form<LinkForm>,
) -> Result<Html<String>, ApiError> {
    let LinkForm { partner_id, redirect_url, state: returned, legacy } = form;
    let request = LinkRequest { partner_id, redirect_url, state: returned, legacy };
    let Json(LinkAnswer { link, expires_at }) =
        make_authorization_link(State(state.clone()), Body(request)).await?;
    let look = Look::still(&state, access);
    let body = html! {
        section.card {
            h1 { "A link for the seller" }
            p { "For the seller alone to open"
                @if let Some(at) = expires_at { ", " (time::ago(at, look.now)) " it ends" } ":" }
            label { span.unseen { "The link" } textarea readonly rows="4" { (link) } }
            p.quiet { "When the seller comes back, exchange the code on " a href="/dashboard/shops" { "the page of the shops" } "." }
        }
    };
    Ok(layout::page("A link for the seller", Place::Shops, &look, &body))
}

/// What the form for a code says.
#[derive(Deserialize)]
pub(super) struct CodeForm {
    partner_id: Option<i64>,
    code: SecretString,
    shop_id: Option<String>,
    main_account_id: Option<String>,
}

impl CodeForm {
    /// The address that the seller was sent to has everything in it.
    fn request(self) -> Result<ExchangeRequest, ApiError> {
        let Self { partner_id, mut code, shop_id, main_account_id } = self;
        let (mut shop_id, mut main_account_id) = (said(shop_id), said(main_account_id));
        if let Ok(address) = Url::parse(code.expose_secret().trim()) {
            let of = |name: &str| {
                address.query_pairs().find(|(one, _)| one == name).map(|(_, value)| value.into_owned())
            };
            let came =
                of("code").ok_or_else(|| ApiError::bad_request("code: there is none in this address"))?;
            (shop_id, main_account_id) =
                (shop_id.or(of("shop_id")), main_account_id.or(of("main_account_id")));
            code = came.into();
        } else {
            code = code.expose_secret().trim().into();
        }
        let id = |name: &str, text: Option<String>| {
            let number = text.map(|text| text.trim().parse::<i64>()).transpose();
            number.map_err(|_| ApiError::bad_request(format!("{name}: must be a number")))
        };
        Ok(ExchangeRequest {
            partner_id,
            code,
            shop_id: id("shop_id", shop_id)?,
            main_account_id: id("main_account_id", main_account_id)?,
        })
    }
}

/// Exchanges a code and says for which shops.
pub(super) async fn exchange(
    State(state): State<AdminState>,
    Extension(access): Extension<Access>,
    Extension(request_id): Extension<RequestId>,
    Form(form): Form<CodeForm>,
) -> Result<Html<String>, ApiError> {
    let answer = exchange_code(State(state.clone()), Extension(request_id), Body(form.request()?)).await?;
    let Json(ExchangeAnswer { shop_ids }) = answer;
    let look = Look::still(&state, access);
    let body = html! {
        section.card.verdict {
            h1 { "Authorized" }
            ul { @for id in &shop_ids { li { "shop " span.id { (id) } } } }
            p { "Their tokens are kept, and jobs that waited for them go on. " a href="/dashboard/shops" { "All shops" } }
        }
    };
    Ok(layout::page("Authorized", Place::Shops, &look, &body))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn form(code: &str, shop_id: &str) -> CodeForm {
        CodeForm {
            partner_id: None,
            code: code.into(),
            shop_id: Some(shop_id.to_owned()),
            main_account_id: None,
        }
    }

    #[test]
    fn a_pasted_address_has_the_code_and_the_shop() {
        let asked = form("https://hooks.example.com/done?code=5a4f&shop_id=77", "").request().unwrap();
        assert_eq!(
            (asked.code.expose_secret(), asked.shop_id, asked.main_account_id),
            ("5a4f", Some(77), None)
        );
        let asked = form("https://hooks.example.com/done?code=5a4f&main_account_id=8", "").request().unwrap();
        assert_eq!((asked.shop_id, asked.main_account_id), (None, Some(8)));
        let asked = form(" 5a4f ", "77").request().unwrap();
        assert_eq!((asked.code.expose_secret(), asked.shop_id), ("5a4f", Some(77)));
        assert!(form("https://hooks.example.com/done?shop_id=77", "").request().is_err());
        assert!(form("5a4f", "seven").request().is_err());
    }
}
