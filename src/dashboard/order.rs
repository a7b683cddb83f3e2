//! One order: its state and history, its lines and income, and what the sheet and Telegram have of it.

use axum::Extension;
use axum::extract::State;
use axum::response::Html;
use chrono::{DateTime, Utc};
use maud::{Markup, html};

use super::layout::{self, Look, Place, badge};
use super::orders::money;
use super::{events, time};
use crate::admin::AdminState;
use crate::admin::api::orders::{OrderDetail, OrderRef, read};
use crate::admin::auth::Access;
use crate::admin::error::ApiError;
use crate::admin::extract::Path;

pub(super) async fn show(
    State(state): State<AdminState>,
    Extension(access): Extension<Access>,
    Path((platform, shop_id, order_sn)): Path<(String, String, String)>,
) -> Result<Html<String>, ApiError> {
    let order = read(&state, &OrderRef { platform, shop_id, order_sn }).await?;
    let look = Look::live(&state, access);
    let body = html! {
        section.card { h1 { "Order " span.id { (order.order.order_sn) } " " (badge(&order.order.status)) } (facts(&order, look.now)) }
        div.columns {
            section.card { h2 { "Lines" } (lines(&order)) }
            section.card { h2 { "Income" } (income(&order)) }
        }
        div.columns {
            section.card { h2 { "In the sheet" } (sheet(&order, look.now)) }
            section.card { h2 { "On Telegram" } (telegram(&order, look.now)) }
        }
        section.card { h2 { "States it was seen in" } (history(&order, look.now)) }
        @if !order.jobs.is_empty() {
            section.card { h2 { "Work that is not done" } ul { @for job in &order.jobs { li {
                a href={ "/dashboard/jobs/" (job.id) } { (job.kind) " #" (job.id) } " " (badge(&job.state))
                @if let Some(error) = &job.last_error { p.fault { (error) } }
            } } } }
        }
        section.card { h2 { "Events" } (events::table(&order.events, look.now)) }
    };
    Ok(layout::page(&format!("Order {}", order.order.order_sn), Place::Orders, &look, &body))
}

fn facts(detail: &OrderDetail, now: DateTime<Utc>) -> Markup {
    let order = &detail.order;
    html! {
        dl {
            dt { "Shop" } dd { (order.platform) " " span.id { (order.shop_id) } }
            dt { "Total" } dd { (money(order.total_amount, &order.currency)) }
            dt { "Placed" } dd { (time::full(order.create_time)) }
            @if let Some(at) = detail.pay_time { dt { "Paid" } dd { (time::full(at)) } }
            @if let Some(at) = detail.ship_by { dt { "Ship by" } dd { (time::full(at)) } }
            @if let Some(carrier) = &detail.shipping_carrier { dt { "Carrier" } dd { (carrier) } }
            @if let Some(reason) = &detail.cancel_reason { dt { "Cancelled" } dd { (reason) } }
            dt { "Changed" } dd { (time::full(order.update_time)) " · " (time::ago(order.update_time, now)) }
            dt { "Last read" } dd { (time::ago(order.fetched_at, now)) }
        }
    }
}

fn lines(detail: &OrderDetail) -> Markup {
    let currency = &detail.order.currency;
    html! {
        @if detail.lines.is_empty() { p.quiet { "None." } } @else {
            table.stack {
                thead { tr { th { "Item" } th.number { "Pieces" } th.number { "Price" } th.number { "Payout" } } }
                tbody { @for line in &detail.lines { tr {
                    td { (line.name) @if !line.variation.is_empty() { ", " (line.variation) } " " span.quiet.id { (line.sku) } }
                    td.number data-label="pieces" { (line.quantity) }
                    td.number data-label="each" { (money(Some(line.unit_price), currency)) }
                    td.number data-label="payout" { (money(line.net_income, currency)) }
                } } }
            }
        }
    }
}

fn income(detail: &OrderDetail) -> Markup {
    let currency = &detail.order.currency;
    html! {
        @if let Some(income) = &detail.income {
            dl {
                dt { "Buyer pays" } dd.number { (money(Some(income.buyer_total_amount), currency)) }
                dt { "Commission" } dd.number { (money(Some(-income.commission_fee), currency)) }
                dt { "Service fee" } dd.number { (money(Some(-income.service_fee), currency)) }
                dt { "Payment costs" } dd.number { (money(Some(-income.transaction_fee), currency)) }
                dt { "Payout" } dd.number { b { (money(Some(income.escrow_amount), currency)) } }
            }
        } @else { p.quiet { "Not known yet: the platform tells it some time after the order." } }
    }
}

fn sheet(detail: &OrderDetail, now: DateTime<Utc>) -> Markup {
    html! {
        @if detail.sheet_rows.is_empty() { p.quiet { "No row of it was written." } }
        @for row in &detail.sheet_rows {
            p {
                (badge(&row.status))
                @if row.update_time < detail.order.update_time { " " span.badge.busy { "behind" } }
                @else { " " span.badge.good { "up to date" } }
                " written " (time::ago(row.written_at, now))
            }
            p.quiet.id { (row.spreadsheet_id) ", " (row.item_rows) " item rows" }
        }
    }
}

fn telegram(detail: &OrderDetail, now: DateTime<Utc>) -> Markup {
    html! {
        @if detail.announcements.is_empty() { p.quiet { "Nothing was said about it." } }
        ul.plain-list { @for one in &detail.announcements { li {
            (badge(&one.state)) " " span.id { (one.chat_id) }
            @if let Some(message) = one.message_id { " message " (message) }
            @if let Some(at) = one.sent_at { " " (time::ago(at, now)) }
            " " a href={ "/dashboard/events/" (one.event_id) } { "event" }
        } } }
    }
}

fn history(detail: &OrderDetail, now: DateTime<Utc>) -> Markup {
    html! {
        ol.timeline { @for one in &detail.history {
            li.done {
                p { b { (one.status) } " " (time::full(one.update_time)) }
                p.quiet { "read " (time::ago(one.seen_at, now))
                    @if let Some(event) = one.event_id { " because of " a href={ "/dashboard/events/" (event) } { "an event" } } }
            }
        } }
    }
}
