//! The list of orders, to search in.

use axum::Extension;
use axum::extract::State;
use axum::response::Html;
use chrono::{DateTime, Utc};
use maud::{Markup, html};
use rust_decimal::Decimal;
use url::form_urlencoded::Serializer;

use super::layout::{self, Look, Place, badge};
use super::time;
use crate::admin::AdminState;
use crate::admin::api::orders::{OrderQuery, OrderView, list};
use crate::admin::auth::Access;
use crate::admin::error::ApiError;
use crate::admin::extract::Query;

pub(super) async fn show(
    State(state): State<AdminState>,
    Extension(access): Extension<Access>,
    Query(query): Query<OrderQuery>,
) -> Result<Html<String>, ApiError> {
    let page = list(&state, query.clone()).await?;
    let look = Look::live(&state, access);
    let body = html! {
        section.card {
            h1 { "Orders" }
            (search(&query))
            @if page.orders.is_empty() {
                p.quiet { "No such orders. An order is here as soon as a push about it was worked at." }
            } @else { (table(&page.orders, look.now)) }
            @if let Some(next) = page.next { p { a.button href=(following(&query, &next)) { "Older" } } }
        }
    };
    Ok(layout::page("Orders", Place::Orders, &look, &body))
}

fn fields(query: &OrderQuery) -> [(&'static str, &'static str, &Option<String>); 4] {
    [
        ("order_sn", "Order", &query.order_sn),
        ("shop", "Shop", &query.shop),
        ("status", "Status", &query.status),
        ("platform", "Platform", &query.platform),
    ]
}

fn search(query: &OrderQuery) -> Markup {
    html! {
        form.search method="get" action="/dashboard/orders" role="search" {
            @for (name, label, value) in fields(query) {
                label { (label) input type="search" name=(name) value=(value.as_deref().unwrap_or_default()); }
            }
            button type="submit" { "Search" }
        }
    }
}

fn following(query: &OrderQuery, next: &str) -> String {
    let mut address = Serializer::new(String::new());
    for (name, _, value) in fields(query) {
        if let Some(value) = value.as_deref().filter(|value| !value.is_empty()) {
            address.append_pair(name, value);
        }
    }
    format!("/dashboard/orders?{}", address.append_pair("cursor", next).finish())
}

/// The address of an order's page. Its parts are a platform's own words, so they are encoded.
pub(super) fn address(platform: &str, shop_id: &str, order_sn: &str) -> String {
    let mut url = url::Url::parse("http://x/dashboard/orders").expect("a constant");
    if let Ok(mut path) = url.path_segments_mut() {
        path.extend([platform, shop_id, order_sn]);
    }
    url.path().to_owned()
}

/// An amount with its currency.
pub(super) fn money(amount: Option<Decimal>, currency: &str) -> String {
    amount.map_or_else(|| "–".to_owned(), |amount| format!("{amount:.2} {currency}"))
}

fn table(orders: &[OrderView], now: DateTime<Utc>) -> Markup {
    html! {
        table.stack {
            thead { tr {
                th { "Order" } th { "Shop" } th { "Status" } th.number { "Items" } th.number { "Total" }
                th.number { "Payout" } th { "Changed" }
            } }
            tbody { @for one in orders { tr {
                td.id { a href=(address(&one.platform, &one.shop_id, &one.order_sn)) { (one.order_sn) } }
                td { span.quiet { (one.platform) } " " span.id { (one.shop_id) } }
                td { (badge(&one.status)) }
                td.number data-label="items" { (one.items) }
                td.number data-label="total" { (money(one.total_amount, &one.currency)) }
                td.number data-label="payout" { (money(one.escrow_amount, &one.currency)) }
                td { (time::ago(one.update_time, now)) }
            } } }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_survives_strange_numbers() {
        assert_eq!(address("shopee", "1", "A B/C?"), "/dashboard/orders/shopee/1/A%20B%2FC%3F");
    }
}
