//! The settings in force, where each comes from, and changing those that may change while pushbox runs.

mod lists;
mod save;

use axum::Extension;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{Html, IntoResponse as _, Redirect, Response};
use maud::{Markup, html};
use serde::Deserialize;

use super::layout::{self, Look, Place, badge};
use super::time;
use crate::admin::AdminState;
use crate::admin::api::settings::{OriginView, SettingView, SettingsView, read};
use crate::admin::api::trials::{MessageTrial, PushTrial, RowTrial, try_message, try_push, try_row};
use crate::admin::api::workers;
use crate::admin::auth::Access;
use crate::admin::error::ApiError;
use crate::admin::extract::{Form, Json as Body, Path, Query, said};
use crate::admin::frame::RequestId;

pub(super) use save::save;

/// The place of the page.
const HERE: &str = "/dashboard/settings";

/// What the page says on top.
pub(super) enum Notice {
    /// It was done.
    Good(String),
    /// It was not; what was typed is shown again.
    Bad { title: &'static str, text: String, typed: Vec<(String, String)> },
}

/// What was done just now.
#[derive(Debug, Deserialize)]
pub(super) struct Done {
    saved: Option<i64>,
}

pub(super) async fn show(
    State(state): State<AdminState>,
    Extension(access): Extension<Access>,
    Query(done): Query<Done>,
) -> Result<Html<String>, ApiError> {
    let notice = done.saved.map(|version| {
        Notice::Good(format!("Saved as version {version}. It is in force in every process within seconds."))
    });
    page(&state, access, notice.as_ref()).await
}

/// The page with something to say.
pub(super) async fn page(
    state: &AdminState,
    access: Access,
    notice: Option<&Notice>,
) -> Result<Html<String>, ApiError> {
    let settings = read(state).await?;
    let look = Look::still(state, access);
    let form = Forms { settings: &settings, look: &look, notice };
    let body = html! {
        @match notice {
            Some(Notice::Good(text)) => section.card.verdict role="status" { p { (text) } },
            Some(Notice::Bad { title, text, .. }) => section.card.verdict.bad role="alert" {
                h1 { (title) }
                @for line in text.lines().filter(|line| !line.trim().is_empty()) { p { (line) } }
            },
            None => {}
        }
        section.card {
            h1 { "Settings" }
            p.quiet {
                "The environment wins over what is changed here, and that over pushbox.toml. What is changed here is "
                "checked as a whole, written to the " a href="/dashboard/actions" { "record of actions" }
                ", and in force in every process within seconds."
            }
            (in_force(state, &settings).await?)
            nav.tabs aria-label="Sections" {
                @for section in form.sections() { a href={ "#" (anchor(section)) } { (short(section)) } }
            }
        }
        @if access == Access::Full { (trials(state)) }
        @for section in form.sections() { (form.section(section)) }
    };
    Ok(layout::page("Settings", Place::Settings, &look, &body))
}

/// Which processes work with the newest settings.
async fn in_force(state: &AdminState, settings: &SettingsView) -> Result<Markup, ApiError> {
    let workers = workers::read(state).await?;
    let alive: Vec<_> = workers.iter().filter(|one| one.alive).collect();
    let current = |one: &&&workers::WorkerView| {
        one.settings_version == Some(settings.version) && one.settings_error.is_none()
    };
    let count = alive.iter().filter(current).count();
    Ok(html! {
        p {
            "Version " (settings.version) ", in force in " (count) " of " (alive.len())
            @if alive.len() == 1 { " process." } @else { " processes." }
        }
        @for one in alive.iter().filter(|one| one.settings_error.is_some()) {
            p.fault { "Process " (one.name) " goes on with the settings of before: " (one.settings_error.as_deref().unwrap_or_default()) }
        }
    })
}

fn anchor(title: &str) -> String {
    title.chars().map(|c| if c.is_alphanumeric() { c.to_ascii_lowercase() } else { '-' }).collect()
}

/// A heading without its remark.
fn short(title: &str) -> &str {
    title.split(" (").next().unwrap_or(title)
}

struct Forms<'a> {
    settings: &'a SettingsView,
    look: &'a Look,
    notice: Option<&'a Notice>,
}

impl Forms<'_> {
    /// The sections, in order.
    fn sections(&self) -> Vec<&str> {
        let mut sections: Vec<&str> = self.settings.settings.iter().map(|one| one.section.as_str()).collect();
        sections.dedup();
        sections
    }

    fn may_change(&self) -> bool {
        self.look.access == Access::Full
    }

    /// What was typed for a field the last time, when that was not saved.
    fn typed(&self, field: &str) -> Option<&str> {
        let Some(Notice::Bad { typed, .. }) = self.notice else { return None };
        typed.iter().find(|(name, _)| name == field).map(|(_, value)| value.as_str())
    }

    fn section(&self, title: &str) -> Markup {
        let of_it: Vec<&SettingView> =
            self.settings.settings.iter().filter(|one| one.section == title).collect();
        let open = self.may_change() && of_it.iter().any(|one| one.changeable);
        html! {
            section.card id=(anchor(title)) {
                h2 { (title) }
                @if open {
                    form method="post" action=(HERE) {
                        @for one in &of_it { (self.setting(one)) }
                        p { button type="submit" { "Save " (short(title)) } }
                    }
                } @else {
                    @for one in &of_it { (self.setting(one)) }
                }
                (lists::of_section(title, self.settings, self.look))
            }
        }
    }

    fn setting(&self, one: &SettingView) -> Markup {
        html! {
            div.setting {
                @if one.changeable && self.may_change() {
                    label for=(one.name) { code { (one.name) } (origin(one)) }
                    (self.input(one))
                    @if one.origin == OriginView::Changed {
                        button.small.plain type="submit" name="reset" value=(one.name) aria-label={ "Take back " (one.name) } { "Take back" }
                    }
                } @else {
                    div { code { (one.name) } (origin(one)) }
                    div.id {
                        @match (&one.value, one.is_set) {
                            (Some(value), _) => (value),
                            (None, true) => { span.quiet { "set, not shown" } }
                            (None, false) => { span.quiet { "not set" } }
                        }
                    }
                }
                (remark(one, self.look))
            }
        }
    }

    fn input(&self, one: &SettingView) -> Markup {
        let field = format!("v.{}", one.name);
        let value = self.typed(&field).or(one.value.as_deref()).unwrap_or_default();
        let words = ["true", "false"];
        let is_switch = one.default.as_deref().is_some_and(|default| words.contains(&default));
        html! {
            @if is_switch {
                select id=(one.name) name=(field) {
                    @for word in words { option value=(word) selected[word == value] { (if word == "true" { "yes" } else { "no" }) } }
                }
            } @else if one.secret {
                input id=(one.name) name=(field) type="password" autocomplete="off" spellcheck="false"
                    placeholder=(match (&one.value, one.is_set) {
                        (Some(shown), _) => shown.as_str(),
                        (None, true) => "set; leave empty to keep it",
                        (None, false) => "not set",
                    });
            } @else {
                input id=(one.name) name=(field) value=(value) autocomplete="off" spellcheck="false"
                    placeholder=(one.default.as_deref().unwrap_or("not set"));
            }
        }
    }
}

/// Where a value comes from.
fn origin(one: &SettingView) -> Markup {
    html! {
        " "
        @match one.origin {
            OriginView::Environment => {
                span.badge.plain title={ "set by the variable " (one.variable.as_deref().unwrap_or_default()) } { "pinned by the environment" }
            }
            OriginView::Changed => (badge("changed here")),
            OriginView::File => (badge("pushbox.toml")),
            OriginView::Default => { span.quiet { "default" } }
            OriginView::Unset => {}
        }
    }
}

fn remark(one: &SettingView, look: &Look) -> Markup {
    html! {
        p.quiet {
            (marked(&one.doc))
            @if let (Some(at), Some(by)) = (one.changed_at, &one.changed_by) { " Changed " (time::ago(at, look.now)) " by " (by) "." }
            @else if let (OriginView::File, Some(default)) = (one.origin, &one.default) { " Default: " code { (default) } "." }
            @if !one.changeable && one.variable.is_none() && one.is_set { " A change takes a restart." }
        }
    }
}

/// Markdown as the settings use it: words between backticks are code.
fn marked(text: &str) -> Markup {
    html! {
        @for (at, part) in text.split('`').enumerate() { @if at % 2 == 1 { code { (part) } } @else { (part) } }
    }
}

/// Buttons that try out what is configured.
fn trials(state: &AdminState) -> Markup {
    let config = state.config.load();
    let ops = config.telegram.as_ref().and_then(|one| one.ops_chat_id);
    let chats: Vec<i64> = config.routes.chats.iter().map(|chat| chat.chat_id).chain(ops).collect();
    let sheets = &config.routes.spreadsheets;
    let attempt = |what: &str, word: &str, field: Markup| {
        html! {
            form.steer method="post" action={ (HERE) "/try/" (what) } { (field) button type="submit" { (word) } }
        }
    };
    html! {
        section.card {
            h2 { "Try it out" }
            p.quiet { "For real, and marked as a test." }
            @if !chats.is_empty() {
                (attempt("message", "Send a test message", html! {
                    label { "Chat " select name="which" { @for chat in &chats { option value=(chat) { (chat) } } } }
                }))
            }
            @if config.sheets.is_some() && !sheets.is_empty() {
                (attempt("row", "Write a test row", html! {
                    label { "Spreadsheet " select name="which" {
                        @for sheet in sheets { option value=(sheet.spreadsheet_id) { (sheet.spreadsheet_id) } }
                    } }
                }))
            }
            (attempt("push", "Send a test push", html! {
                label { "Source " select name="which" { @for source in &state.sources { option value=(source.name) { (source.name) } } } }
            }))
        }
    }
}

/// Which chat, spreadsheet or source.
#[derive(Debug, Deserialize)]
pub(super) struct Which {
    which: Option<String>,
}

/// Tries something out and says what came of it, or shows where that is to be seen.
pub(super) async fn attempt(
    State(state): State<AdminState>,
    Extension(access): Extension<Access>,
    Extension(request_id): Extension<RequestId>,
    Path(what): Path<String>,
    Form(which): Form<Which>,
) -> Result<Response, ApiError> {
    let which = said(which.which);
    let tried = match what.as_str() {
        "message" => message(&state, request_id, which).await,
        "row" => {
            let trial = RowTrial { spreadsheet_id: which };
            let done = try_row(State(state.clone()), Extension(request_id), Body(trial)).await;
            done.map(|_| Redirect::to("/dashboard/orders/pushbox/test/TEST").into_response())
        }
        "push" => push(&state, access, request_id, which).await,
        _ => return Err(ApiError::not_found("trial")),
    };
    match tried {
        Ok(response) => Ok(response),
        Err(error) => {
            let notice =
                Notice::Bad { title: "It did not work", text: error.message.clone(), typed: Vec::new() };
            Ok((error.status, page(&state, access, Some(&notice)).await?).into_response())
        }
    }
}

async fn message(
    state: &AdminState,
    request_id: RequestId,
    which: Option<String>,
) -> Result<Response, ApiError> {
    let chat_id =
        which.map(|text| text.parse().map_err(|_| ApiError::bad_request("chat_id: is not a number")));
    let trial = MessageTrial { chat_id: chat_id.transpose()? };
    let axum::Json(sent) = try_message(State(state.clone()), Extension(request_id), Body(trial)).await?;
    let text = format!("Message {} is in chat {}.", sent.message_id, sent.chat_id);
    Ok(page(state, Access::Full, Some(&Notice::Good(text))).await?.into_response())
}

async fn push(
    state: &AdminState,
    access: Access,
    request_id: RequestId,
    source: Option<String>,
) -> Result<Response, ApiError> {
    let trial = PushTrial { source, order_sn: None };
    let axum::Json(tried) = try_push(State(state.clone()), Extension(request_id), Body(trial)).await?;
    if let Some(id) = tried.event_id {
        return Ok(Redirect::to(&format!("/dashboard/events/{id}")).into_response());
    }
    let text = format!(
        "The receiver at {} answered {}: the push was not stored. Refused pushes tell why.",
        tried.url, tried.status
    );
    let notice = Notice::Bad { title: "The push was not accepted", text, typed: Vec::new() };
    Ok((StatusCode::BAD_GATEWAY, page(state, access, Some(&notice)).await?).into_response())
}
