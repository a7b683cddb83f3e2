//! How Shopee delivers the pushes of each app, and changing that: what would change first, then the change.

use axum::extract::State;
use axum::response::{Html, Redirect};
use axum::{Extension, Json};
use futures_util::future::join_all;
use maud::{Markup, html};
use serde::Deserialize;

use super::layout::{self, Look, Place, badge};
use crate::admin::AdminState;
use crate::admin::api::shopee::{
    AppQuery, PushConfigRequest, PushConfigView, get_push_config, partner_ids, set_push_config, title,
};
use crate::admin::auth::Access;
use crate::admin::error::ApiError;
use crate::admin::extract::{Form, Json as Body, Query, said};
use crate::admin::frame::RequestId;

/// The codes that can be switched outside of Shopee's console.
const SWITCHABLE: std::ops::RangeInclusive<i64> = 1..=13;

pub(super) async fn show(
    State(state): State<AdminState>,
    Extension(access): Extension<Access>,
) -> Result<Html<String>, ApiError> {
    let apps = partner_ids(&state);
    let answers = join_all(apps.iter().map(|app| settings_of(&state, *app))).await;
    // Still: following what happens would ask Shopee each time.
    let look = Look::still(&state, access);
    let body = html! {
        @if apps.is_empty() {
            section.card {
                h1 { "Push settings at Shopee" }
                p { "No app is configured: set PARTNER_ID and PARTNER_KEY, then its settings are shown here." }
            }
        }
        @for (app, answer) in apps.iter().zip(&answers) {
            section.card {
                h1 { "Push settings of app " span.id { (app) } }
                @match answer {
                    Ok(settings) => { (facts(settings)) }
                    Err(error) => {
                        p.fault { (error.message) }
                        p.quiet { "Look again when Shopee answers; pushes that arrive are taken all the same." }
                    }
                }
            }
            @if let (Access::Full, Ok(settings)) = (access, answer) { (change_form(*app, settings)) }
        }
    };
    Ok(layout::page("Push settings at Shopee", Place::Shopee, &look, &body))
}

async fn settings_of(state: &AdminState, app: i64) -> Result<PushConfigView, ApiError> {
    let asked = get_push_config(State(state.clone()), Query(AppQuery { partner_id: Some(app) })).await;
    asked.map(|Json(answer)| answer.push_config)
}

fn facts(settings: &PushConfigView) -> Markup {
    let codes = |codes: &[i64]| {
        html! {
            @if codes.is_empty() { span.quiet { "none" } } @else { ul.codes { @for code in codes { li { span.id { (code) } " " (title(*code)) } } } }
        }
    };
    html! {
        @for finding in &settings.findings { p.fault { (finding) } }
        @if settings.findings.is_empty() { p.quiet { "As our own settings want them." } }
        dl {
            dt { "Delivery" } dd {
                (badge(&settings.status.to_lowercase()))
                @match settings.status.to_lowercase().as_str() {
                    "warning" => { " under 70 % of the pushes succeed" }
                    "suspended" => { " nothing is delivered: repair what answers, then save the callback URL anew" }
                    _ => {}
                }
            }
            dt { "Callback URL" } dd.id { @if settings.callback_url.is_empty() { "none" } @else { (settings.callback_url) } }
            dt { "On" } dd { (codes(&settings.on)) }
            dt { "Off" } dd { (codes(&settings.off)) }
            dt { "Blocked shops" } dd.id {
                @if settings.blocked_shop_ids.is_empty() { "none" } @else { (list(&settings.blocked_shop_ids)) }
            }
        }
    }
}

fn list(numbers: &[i64]) -> String {
    numbers.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

fn change_form(app: i64, settings: &PushConfigView) -> Markup {
    let mut codes: Vec<(i64, bool)> = settings.on.iter().map(|code| (*code, true)).collect();
    codes.extend(settings.off.iter().map(|code| (*code, false)));
    codes.retain(|(code, _)| SWITCHABLE.contains(code));
    codes.sort_unstable();
    html! {
        section.card {
            details {
                summary { h2.inline { "Change the settings of app " span.id { (app) } } }
                form.search method="get" action="/dashboard/shopee/preview" {
                    input type="hidden" name="partner_id" value=(app);
                    label.whole { "Callback URL; Shopee probes it first"
                        input type="url" name="callback_url" value=(settings.callback_url); }
                    fieldset.whole.checks {
                        legend { "Codes that are delivered; the others are in Shopee's console alone" }
                        @for (code, on) in codes { label.check {
                            input type="checkbox" name="code" value=(code) checked[on]; " " (code) " " (title(code))
                        } }
                    }
                    label.whole { "Blocked shops: ids of all whose pushes are not delivered"
                        textarea name="blocked" rows="2" { (list(&settings.blocked_shop_ids)) } }
                    button type="submit" { "Show what would change …" }
                }
            }
        }
    }
}

/// What is to change, from the form and on to the button of the preview.
#[derive(Debug, Default, Clone, PartialEq, Eq, Deserialize)]
pub(super) struct Change {
    partner_id: Option<i64>,
    callback_url: Option<String>,
    on: Option<String>,
    off: Option<String>,
    /// Absent: they stay; empty: none is blocked.
    blocked: Option<String>,
}

/// Numbers with commas or blanks between.
fn numbers(name: &str, text: &str) -> Result<Vec<i64>, ApiError> {
    let parts = text.split(|c: char| c == ',' || c.is_whitespace()).filter(|part| !part.is_empty());
    parts
        .map(|part| {
            part.parse().map_err(|_| ApiError::bad_request(format!("{name}: {part} is not a number")))
        })
        .collect()
}

impl Change {
    /// What differs between a form and the settings as they are.
    fn between(form: &[(String, String)], now: &PushConfigView) -> Result<Self, ApiError> {
        let of = |wanted: &str| form.iter().find(|(name, _)| name == wanted).map(|(_, value)| value.trim());
        let checked: Vec<i64> = form
            .iter()
            .filter(|(name, _)| name == "code")
            .map(|(_, code)| numbers("code", code))
            .collect::<Result<Vec<_>, _>>()?
            .concat();
        let switched = |codes: &[i64], to: bool| {
            let those = codes.iter().filter(|code| SWITCHABLE.contains(code) && checked.contains(code) == to);
            Some(list(&those.copied().collect::<Vec<_>>())).filter(|codes| !codes.is_empty())
        };
        let blocked = numbers("blocked", of("blocked").unwrap_or_default())?;
        let same = blocked.len() == now.blocked_shop_ids.len()
            && blocked.iter().all(|shop| now.blocked_shop_ids.contains(shop));
        Ok(Self {
            partner_id: partner_id(form)?,
            callback_url: of("callback_url")
                .filter(|url| !url.is_empty() && *url != now.callback_url)
                .map(Into::into),
            on: switched(&now.off, true),
            off: switched(&now.on, false),
            blocked: (!same).then(|| list(&blocked)),
        })
    }

    fn fields(&self) -> impl Iterator<Item = (&'static str, String)> {
        let app = self.partner_id.map(|app| app.to_string());
        let parts = [
            ("partner_id", app),
            ("callback_url", self.callback_url.clone()),
            ("on", self.on.clone()),
            ("off", self.off.clone()),
            ("blocked", self.blocked.clone()),
        ];
        parts.into_iter().filter_map(|(name, value)| Some((name, value?)))
    }

    fn request(self, write: bool) -> Result<PushConfigRequest, ApiError> {
        Ok(PushConfigRequest {
            partner_id: self.partner_id,
            callback_url: said(self.callback_url),
            on: numbers("on", &self.on.unwrap_or_default())?,
            off: numbers("off", &self.off.unwrap_or_default())?,
            blocked_shop_ids: self.blocked.map(|shops| numbers("blocked", &shops)).transpose()?,
            write,
        })
    }
}

fn partner_id(form: &[(String, String)]) -> Result<Option<i64>, ApiError> {
    let app = form.iter().find(|(name, _)| name == "partner_id").map(|(_, app)| app.parse());
    app.transpose().map_err(|_| ApiError::bad_request("partner_id: must be a number"))
}

/// What would change, and a button that changes it.
pub(super) async fn preview(
    State(state): State<AdminState>,
    Extension(access): Extension<Access>,
    Extension(request_id): Extension<RequestId>,
    Query(form): Query<Vec<(String, String)>>,
) -> Result<Html<String>, ApiError> {
    let app = AppQuery { partner_id: partner_id(&form)? };
    let Json(now) = get_push_config(State(state.clone()), Query(app)).await?;
    let change = Change::between(&form, &now.push_config)?;
    let asked = Body(change.clone().request(false)?);
    let Json(answer) = set_push_config(State(state.clone()), Extension(request_id), asked).await?;
    let body = html! {
        section.card {
            @if answer.difference.is_empty() {
                h1 { "Nothing would change" }
                p { a.button href="/dashboard/shopee" { "Back" } }
            } @else {
                h1 { "Change the push settings at Shopee?" }
                ul.plain-list { @for line in &answer.difference { li.id { (line) } } }
                p.quiet { "Shopee uses them at once. A callback URL that does not answer its probe is refused." }
                @if access < Access::Full { p.quiet { "Your token may only read." } } @else {
                    form method="post" action="/dashboard/shopee" {
                        @for (name, value) in change.fields() { input type="hidden" name=(name) value=(value); }
                        p.buttons {
                            button type="submit" { "Change them" }
                            a.button.plain href="/dashboard/shopee" { "Leave them" }
                        }
                    }
                }
            }
        }
    };
    Ok(layout::page("Push settings at Shopee", Place::Shopee, &Look::still(&state, access), &body))
}

/// Changes them.
pub(super) async fn change(
    State(state): State<AdminState>,
    Extension(request_id): Extension<RequestId>,
    Form(change): Form<Change>,
) -> Result<Redirect, ApiError> {
    let _answer = set_push_config(State(state), Extension(request_id), Body(change.request(true)?)).await?;
    Ok(Redirect::to("/dashboard/shopee"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn form(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn a_form_that_was_not_touched_changes_nothing() {
        let now = PushConfigView {
            callback_url: "https://a.example/hook".to_owned(),
            status: "Normal".to_owned(),
            on: vec![3, 4, 15],
            off: vec![9],
            blocked_shop_ids: vec![7, 8],
            findings: Vec::new(),
        };
        let untouched =
            [("callback_url", "https://a.example/hook"), ("code", "3"), ("code", "4"), ("blocked", "8 7")];
        assert_eq!(Change::between(&form(&untouched), &now).unwrap(), Change::default());
        let touched =
            [("partner_id", "5"), ("callback_url", ""), ("code", "3"), ("code", "9"), ("blocked", "")];
        let change = Change::between(&form(&touched), &now).unwrap();
        let request = change.request(true).unwrap();
        assert_eq!((request.on, request.off, request.callback_url), (vec![9], vec![4], None));
        assert_eq!((request.partner_id, request.blocked_shop_ids), (Some(5), Some(Vec::new())));
        assert!(Change::between(&form(&[("blocked", "1, x")]), &now).is_err());
    }
}
