//! What the forms of the settings send.

use axum::Extension;
use axum::extract::State;
use axum::response::{IntoResponse as _, Redirect, Response};

use super::{HERE, Notice, page};
use crate::admin::AdminState;
use crate::admin::api::settings::{
    ChatEntry, ForwardEntry, OriginView, SettingsChange, SettingsView, SpreadsheetEntry, change, read,
};
use crate::admin::auth::Access;
use crate::admin::error::ApiError;
use crate::admin::extract::Form;
use crate::admin::frame::RequestId;

type Pairs = Vec<(String, String)>;

/// Saves a section or a list, or takes a change back.
pub(in crate::dashboard) async fn save(
    State(state): State<AdminState>,
    Extension(access): Extension<Access>,
    Extension(request_id): Extension<RequestId>,
    Form(pairs): Form<Pairs>,
) -> Result<Response, ApiError> {
    let before = read(&state).await?;
    let saved = match asked(&pairs, &before) {
        Ok(asked) => change(&state, &request_id, asked).await,
        Err(error) => Err(error),
    };
    match saved {
        Ok(saved) => Ok(Redirect::to(&format!("{HERE}?saved={}", saved.version)).into_response()),
        Err(error) if error.status.is_client_error() => {
            let notice =
                Notice::Bad { title: "Nothing was saved", text: error.message.clone(), typed: pairs };
            Ok((error.status, page(&state, access, Some(&notice)).await?).into_response())
        }
        Err(error) => Err(error),
    }
}

fn asked(pairs: &Pairs, before: &SettingsView) -> Result<SettingsChange, ApiError> {
    let value = |field: &str| pairs.iter().find(|(name, _)| name == field).map(|(_, value)| value.as_str());
    if let Some(name) = value("reset") {
        return Ok(SettingsChange { reset: vec![name.to_owned()], ..SettingsChange::default() });
    }
    match value("list") {
        None => Ok(values(pairs, before)),
        Some("chats") => {
            let entries = rows(pairs, &["chat_id", "sources", "shops", "codes"]);
            let entries: Result<Vec<_>, _> = entries.iter().map(|row| chat(row)).collect();
            Ok(SettingsChange { chats: Some(entries?), ..SettingsChange::default() })
        }
        Some("spreadsheets") => {
            let entries = rows(pairs, &["spreadsheet_id", "sources", "shops", "months"]);
            let entries = entries.iter().map(|row| SpreadsheetEntry {
                spreadsheet_id: row[0].to_owned(),
                sources: items(row[1]),
                shops: items(row[2]),
                months: items(row[3]),
            });
            Ok(SettingsChange { spreadsheets: Some(entries.collect()), ..SettingsChange::default() })
        }
        Some("forwards") => {
            let entries = rows(pairs, &["url", "name", "secret", "sources", "shops", "codes"]);
            let entries = entries.iter().map(|row| ForwardEntry {
                url: Some(row[0].to_owned()),
                name: Some(row[1].to_owned()),
                secret: Some(row[2].to_owned()),
                sources: items(row[3]),
                shops: items(row[4]),
                codes: items(row[5]),
            });
            Ok(SettingsChange { forwards: Some(entries.collect()), ..SettingsChange::default() })
        }
        Some(_) => Err(ApiError::not_found("list")),
    }
}

fn chat(row: &[&str]) -> Result<ChatEntry, ApiError> {
    let chat_id = row[0].parse();
    let chat_id =
        chat_id.map_err(|_| ApiError::bad_request(format!("chats: `{}` is not a chat's number", row[0])))?;
    Ok(ChatEntry { chat_id, sources: items(row[1]), shops: items(row[2]), codes: items(row[3]) })
}

fn items(text: &str) -> Vec<String> {
    text.split([',', ' ']).map(str::trim).filter(|item| !item.is_empty()).map(str::to_owned).collect()
}

/// The rows of a list: the n-th of each field together. Those without their first field are left
/// out.
fn rows<'a>(pairs: &'a Pairs, fields: &[&str]) -> Vec<Vec<&'a str>> {
    let column = |field: &&str| -> Vec<&'a str> {
        pairs.iter().filter(|(name, _)| name == field).map(|(_, value)| value.trim()).collect()
    };
    let columns: Vec<Vec<&str>> = fields.iter().map(column).collect();
    let count = columns.iter().map(Vec::len).min().unwrap_or_default();
    let row = |at: usize| columns.iter().map(|column| column[at]).collect::<Vec<_>>();
    (0..count).map(row).filter(|row| !row[0].is_empty()).collect()
}

/// What differs from before. A field that was emptied takes its change back.
fn values(pairs: &Pairs, before: &SettingsView) -> SettingsChange {
    let mut asked = SettingsChange::default();
    for one in before.settings.iter().filter(|one| one.changeable) {
        let field = format!("v.{}", one.name);
        let Some((_, text)) = pairs.iter().find(|(name, _)| *name == field) else { continue };
        let text = text.trim();
        if text == one.value.as_deref().unwrap_or_default() || (one.secret && text.is_empty()) {
            continue;
        }
        if text.is_empty() && one.origin == OriginView::Changed {
            asked.reset.push(one.name.clone());
        } else {
            asked.values.insert(one.name.clone(), text.to_owned());
        }
    }
    asked
}
