//! The lists of chats, spreadsheets and services: a row each, and an empty one to add another.

use maud::{Markup, html};

use super::HERE;
use crate::admin::api::settings::{ListView, OriginView, SettingsView, section_of};
use crate::admin::auth::Access;
use crate::dashboard::layout::{Look, badge};
use crate::dashboard::time;

/// A list as a table: its name, its columns as field and heading, its rows.
struct Table {
    name: &'static str,
    heading: &'static str,
    about: &'static str,
    columns: &'static [(&'static str, &'static str)],
    rows: Vec<Vec<String>>,
    origin: OriginView,
    changed: Markup,
}

fn table<T>(
    list: &ListView<T>,
    look: &Look,
    name: &'static str,
    (heading, about): (&'static str, &'static str),
    columns: &'static [(&'static str, &'static str)],
    row: impl Fn(&T) -> Vec<String>,
) -> Table {
    let changed = html! {
        @if let (Some(at), Some(by)) = (list.changed_at, &list.changed_by) { " Changed " (time::ago(at, look.now)) " by " (by) "." }
    };
    Table {
        name,
        heading,
        about,
        columns,
        rows: list.entries.iter().map(row).collect(),
        origin: list.origin,
        changed,
    }
}

/// The list that belongs to a section, if there is one.
pub(super) fn of_section(title: &str, settings: &SettingsView, look: &Look) -> Markup {
    let lists = [("chats", chats as Reader), ("spreadsheets", spreadsheets), ("forwards", forwards)];
    let Some((_, read)) = lists.into_iter().find(|(list, _)| section_of(list) == title) else {
        return html! {};
    };
    let table = read(settings, look);
    let open = look.access == Access::Full;
    html! {
        h3 { (table.heading) " " @match table.origin { OriginView::Changed => (badge("changed here")), OriginView::File => (badge("pushbox.toml")), _ => {} } }
        p.quiet { (table.about) (table.changed) }
        @if open { (editable(&table)) } @else if table.rows.is_empty() { p.quiet { "None." } } @else { (readable(&table)) }
    }
}

type Reader = fn(&SettingsView, &Look) -> Table;

fn chats(settings: &SettingsView, look: &Look) -> Table {
    table(
        &settings.chats,
        look,
        "chats",
        ("More chats", "Each hears of what passes its filter; empty lets everything pass."),
        &[("chat_id", "Chat id"), ("sources", "Sources"), ("shops", "Shops"), ("codes", "Codes")],
        |one| {
            vec![one.chat_id.to_string(), one.sources.join(", "), one.shops.join(", "), one.codes.join(", ")]
        },
    )
}

fn spreadsheets(settings: &SettingsView, look: &Look) -> Table {
    table(
        &settings.spreadsheets,
        look,
        "spreadsheets",
        ("More spreadsheets", "Each holds the orders that pass its filter; months as 2026-11."),
        &[
            ("spreadsheet_id", "Id or address"),
            ("sources", "Sources"),
            ("shops", "Shops"),
            ("months", "Months"),
        ],
        |one| {
            vec![
                one.spreadsheet_id.clone(),
                one.sources.join(", "),
                one.shops.join(", "),
                one.months.join(", "),
            ]
        },
    )
}

fn forwards(settings: &SettingsView, look: &Look) -> Table {
    table(
        &settings.forwards,
        look,
        "forwards",
        (
            "More services",
            "Addresses are shown without their query, secrets not at all; what is left as it is stays.",
        ),
        &[
            ("url", "Address"),
            ("name", "Name"),
            ("secret", "Secret"),
            ("sources", "Sources"),
            ("shops", "Shops"),
            ("codes", "Codes"),
        ],
        |one| {
            let filter = [one.sources.join(", "), one.shops.join(", "), one.codes.join(", ")];
            let own = if one.has_secret { "own" } else { "FORWARD_SECRET" };
            [one.url.clone(), one.name.clone(), own.to_owned()].into_iter().chain(filter).collect()
        },
    )
}

fn readable(table: &Table) -> Markup {
    html! {
        table.stack {
            thead { tr { @for (_, heading) in table.columns { th { (heading) } } } }
            tbody { @for row in &table.rows { tr { @for cell in row { td.id { @if cell.is_empty() { span.quiet { "all" } } @else { (cell) } } } } } }
        }
    }
}

fn editable(table: &Table) -> Markup {
    let empty = vec![String::new(); table.columns.len()];
    html! {
        form.rows method="post" action=(HERE) {
            input type="hidden" name="list" value=(table.name);
            @for (at, row) in table.rows.iter().chain([&empty]).enumerate() {
                fieldset {
                    legend.unseen { @if at < table.rows.len() { (table.heading) " " (at + 1) } @else { "Add one" } }
                    @for ((field, heading), cell) in table.columns.iter().zip(row) { (cell_input(field, heading, cell, at < table.rows.len())) }
                }
            }
            p.buttons {
                button type="submit" { "Save " (table.heading.to_lowercase()) }
                @if table.origin == OriginView::Changed { button.plain type="submit" name="reset" value=(table.name) { "Take back" } }
            }
            p.quiet { "Emptying the first field of a row removes it." }
        }
    }
}

fn cell_input(field: &str, heading: &str, cell: &str, known: bool) -> Markup {
    html! {
        label {
            (heading)
            @if field == "secret" {
                input name=(field) type="password" autocomplete="off" placeholder=(if known && cell == "own" { "stays" } else { "FORWARD_SECRET signs" });
            } @else {
                input name=(field) value=(cell) autocomplete="off" spellcheck="false"
                    placeholder=[["sources", "shops", "codes", "months"].contains(&field).then_some("all")];
            }
        }
    }
}
