//! Orders: their state, their history, and what the sheet and Telegram have of them.

use axum::extract::State;
use axum::{Extension, Json};
use chrono::{DateTime, Utc};
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use super::events::{EventQuery, EventView};
use super::jobs::{JobQuery, JobView};
use super::order_views::{
    BuyerView, OrderIncomeView, OrderItemView, OrderMessageView, SheetRowView, StatusView, history, lines,
    sheet_rows,
};
use crate::admin::AdminState;
use crate::admin::error::{ApiError, ChangeRefusals, Missing, Refusals, Unusable};
use crate::admin::extract::{Path, Query, said};
use crate::admin::frame::RequestId;
use crate::admin::page::Window;
pub use crate::domain::order::OrderRef;
use crate::store::admin_actions::{AdminAction, insert_admin_action};
use crate::store::order_lists::{self, OrderFilter, OrderPlace, OrderSummary};
use crate::store::order_reads::{self, StoredOrder};

/// Events and jobs that are shown with an order.
const SHOWN: u16 = 200;

/// Which orders to list; what is left out does not restrict.
#[derive(Debug, Default, Clone, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct OrderQuery {
    /// The order's number.
    #[param(example = "250101ABCDEF01")]
    pub order_sn: Option<String>,
    /// The platform.
    #[param(example = "shopee")]
    pub platform: Option<String>,
    /// The shop.
    #[param(example = "1001")]
    pub shop: Option<String>,
    /// The platform's status.
    #[param(example = "READY_TO_SHIP")]
    pub status: Option<String>,
    /// Changed then or later, by the platform's clock.
    pub since: Option<DateTime<Utc>>,
    /// Changed before.
    pub until: Option<DateTime<Utc>>,
    /// `next` of the page before.
    #[param(pattern = r"^([0-9]{1,16}-[!-~]+)?$")]
    pub cursor: Option<String>,
    /// How many at most, 1 to 500; 50 when left out.
    #[param(minimum = 1, maximum = 500)]
    pub limit: Option<u16>,
}

/// An order in a list. Amounts are decimal numbers as text, in units of `currency`.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct OrderView {
    /// The platform.
    pub platform: String,
    /// The shop.
    pub shop_id: String,
    /// The order's number.
    pub order_sn: String,
    /// The platform's status.
    pub status: String,
    /// When it last changed, by the platform's clock.
    pub update_time: DateTime<Utc>,
    /// When it was placed.
    pub create_time: DateTime<Utc>,
    /// When we last read it.
    pub fetched_at: DateTime<Utc>,
    /// Currency of the amounts.
    pub currency: String,
    /// What the buyer pays.
    #[schema(value_type = Option<String>, example = "30.50")]
    pub total_amount: Option<Decimal>,
    /// What the seller gets, where it is known.
    #[schema(value_type = Option<String>, example = "25.01")]
    pub escrow_amount: Option<Decimal>,
    /// How many lines it has.
    pub items: i64,
    /// When the data of its buyer was erased for good.
    pub erased_at: Option<DateTime<Utc>>,
}

impl From<OrderSummary> for OrderView {
    fn from(order: OrderSummary) -> Self {
        Self {
            platform: order.platform,
            shop_id: order.shop_id,
            order_sn: order.order_sn,
            status: order.status,
            update_time: order.update_time,
            create_time: order.create_time,
            fetched_at: order.fetched_at,
            currency: order.currency,
            total_amount: order.total_amount,
            escrow_amount: order.escrow_amount,
            items: order.items,
            erased_at: order.erased_at,
        }
    }
}

/// A page of orders.
#[derive(Debug, Serialize, ToSchema)]
pub struct OrderList {
    /// The orders, last changed first.
    pub orders: Vec<OrderView>,
    /// What to pass as `cursor` for the next page; none on the last.
    pub next: Option<String>,
}

/// An order with everything that is known of it.
#[derive(Debug, Serialize, ToSchema)]
pub struct OrderDetail {
    /// The order.
    #[serde(flatten)]
    pub order: OrderView,
    /// When it was paid.
    pub pay_time: Option<DateTime<Utc>>,
    /// The seller's shipping deadline.
    pub ship_by: Option<DateTime<Utc>>,
    /// The carrier.
    pub shipping_carrier: Option<String>,
    /// Why it was cancelled.
    pub cancel_reason: Option<String>,
    /// Who bought it.
    pub buyer: BuyerView,
    /// Its lines.
    pub lines: Vec<OrderItemView>,
    /// What the seller earns; none while it is not known.
    pub income: Option<OrderIncomeView>,
    /// The states it was seen in, newest first.
    pub history: Vec<StatusView>,
    /// What the spreadsheets show.
    pub sheet_rows: Vec<SheetRowView>,
    /// What Telegram was told.
    pub announcements: Vec<OrderMessageView>,
    /// The newest events about it.
    pub events: Vec<EventView>,
    /// Jobs about it that are alive.
    pub jobs: Vec<JobView>,
}

/// An order under its name.
#[derive(Debug, Serialize, ToSchema)]
pub struct OrderEnvelope {
    /// The order.
    pub order: OrderDetail,
}

/// List orders
#[utoipa::path(
    get, path = "/orders", operation_id = "list_orders", tag = "orders", params(OrderQuery),
    responses(
        (status = 200, description = "A page of orders, last changed first", body = OrderList,
            example = json!({"orders": [example()], "next": null})),
        Unusable, Refusals,
    ),
)]
pub async fn list_orders(
    State(state): State<AdminState>,
    Query(query): Query<OrderQuery>,
) -> Result<Json<OrderList>, ApiError> {
    list(&state, query).await.map(Json)
}

/// The page of orders that `query` asks for.
pub async fn list(state: &AdminState, query: OrderQuery) -> Result<OrderList, ApiError> {
    let window = Window::<(DateTime<Utc>, String)>::new(query.limit, query.cursor)?;
    let after = window.after.clone().map(|(update_time, order_sn)| OrderPlace { update_time, order_sn });
    let filter = OrderFilter {
        order_sn: said(query.order_sn),
        platform: said(query.platform),
        shop: said(query.shop),
        status: said(query.status),
        since: query.since,
        until: query.until,
    };
    let found = order_lists::list_orders(&state.pool, &filter, after.as_ref(), window.fetch()).await?;
    let (orders, next) = window.cut(found, |order| (order.update_time, order.order_sn.clone()));
    Ok(OrderList { orders, next })
}

/// Get an order with its history, and what the sheet and Telegram have of it
#[utoipa::path(
    get, path = "/orders/{platform}/{shop_id}/{order_sn}", operation_id = "get_order", tag = "orders",
    params(
        ("platform" = String, Path, description = "The platform, for example `shopee`"),
        ("shop_id" = String, Path, description = "The shop"),
        ("order_sn" = String, Path, description = "The order's number"),
    ),
    responses(
        (status = 200, description = "The order", body = OrderEnvelope, example = json!({"order": detail_example()})),
        Missing, Refusals,
    ),
)]
pub async fn get_order(
    State(state): State<AdminState>,
    Path((platform, shop_id, order_sn)): Path<(String, String, String)>,
) -> Result<Json<OrderEnvelope>, ApiError> {
    let order = read(&state, &OrderRef { platform, shop_id, order_sn }).await?;
    Ok(Json(OrderEnvelope { order }))
}

/// Show an order with the data of its buyer
///
/// Name, address, number and message are shown as the platform told them. That they were shown, and to whom, is put
/// on record in `admin-actions` before the answer.
#[utoipa::path(
    post, path = "/orders/{platform}/{shop_id}/{order_sn}/unmask", operation_id = "unmask_order", tag = "orders",
    params(
        ("platform" = String, Path, description = "The platform, for example `shopee`"),
        ("shop_id" = String, Path, description = "The shop"),
        ("order_sn" = String, Path, description = "The order's number"),
    ),
    responses(
        (status = 200, description = "The order, with its buyer", body = OrderEnvelope,
            example = json!({"order": detail_example()})),
        Missing, ChangeRefusals, Refusals,
    ),
)]
pub async fn unmask_order(
    State(state): State<AdminState>,
    Extension(request_id): Extension<RequestId>,
    Path((platform, shop_id, order_sn)): Path<(String, String, String)>,
) -> Result<Json<OrderEnvelope>, ApiError> {
    let reference = OrderRef { platform, shop_id, order_sn };
    unmask(&state, &request_id, &reference).await.map(|order| Json(OrderEnvelope { order }))
}

/// The order with its buyer; puts that on record.
pub async fn unmask(
    state: &AdminState,
    request_id: &RequestId,
    reference: &OrderRef,
) -> Result<OrderDetail, ApiError> {
    let detail = in_full(state, reference).await?;
    let subject = format!("order {reference}");
    let action = AdminAction {
        request_id: &request_id.0,
        action: "unmask_order",
        subject: &subject,
        detail: json!({}),
    };
    insert_admin_action(&state.pool, &action).await?;
    Ok(detail)
}

/// The order; the data of its buyer is masked.
pub async fn read(state: &AdminState, reference: &OrderRef) -> Result<OrderDetail, ApiError> {
    let detail = in_full(state, reference).await?;
    Ok(OrderDetail { buyer: detail.buyer.masked(), ..detail })
}

async fn in_full(state: &AdminState, reference: &OrderRef) -> Result<OrderDetail, ApiError> {
    let missing = || ApiError::not_found("order");
    let filter = OrderFilter {
        order_sn: Some(reference.order_sn.clone()),
        platform: Some(reference.platform.clone()),
        shop: Some(reference.shop_id.clone()),
        ..OrderFilter::default()
    };
    let summary = order_lists::list_orders(&state.pool, &filter, None, 1).await?.pop().ok_or_else(missing)?;
    let mut connection = state.pool.acquire().await?;
    let stored = order_reads::list_orders(&mut connection, std::slice::from_ref(reference)).await?;
    drop(connection);
    let StoredOrder { order, income, net_income } = stored.into_iter().next().ok_or_else(missing)?;
    let buyer = BuyerView::of(&order);
    let events = EventQuery {
        subject: Some(reference.order_sn.clone()),
        account: Some(reference.shop_id.clone()),
        limit: Some(SHOWN),
        ..EventQuery::default()
    };
    let events = super::events::list(state, events).await?.events;
    let jobs = JobQuery {
        order_sn: Some(reference.order_sn.clone()),
        shop: Some(reference.shop_id.clone()),
        limit: Some(SHOWN),
        ..JobQuery::default()
    };
    let ids: Vec<Uuid> = events.iter().map(|event| event.id).collect();
    let announcements = order_lists::list_announcements(&state.pool, &ids).await?;
    Ok(OrderDetail {
        order: summary.into(),
        pay_time: order.pay_time,
        ship_by: order.ship_by,
        shipping_carrier: order.shipping_carrier,
        cancel_reason: order.cancel_reason,
        buyer,
        lines: lines(order.items, &net_income),
        income: income.map(OrderIncomeView::from),
        history: history(order_lists::list_history(&state.pool, reference).await?),
        sheet_rows: sheet_rows(order_lists::list_sheet_rows(&state.pool, reference).await?),
        announcements: announcements.into_iter().map(OrderMessageView::from).collect(),
        events,
        jobs: super::jobs::list(state, jobs).await?.jobs,
    })
}

fn example() -> serde_json::Value {
    json!({
        "platform": "shopee", "shop_id": "1001", "order_sn": "250101ABCDEF01", "status": "READY_TO_SHIP",
        "update_time": "2026-11-21T05:00:00Z", "create_time": "2026-11-21T04:50:00Z",
        "fetched_at": "2026-11-21T05:00:02Z", "currency": "SGD", "total_amount": "30.50",
        "escrow_amount": "25.01", "items": 2, "erased_at": null,
    })
}

fn detail_example() -> serde_json::Value {
    let mut detail = example();
    let more = json!({
        "pay_time": "2026-11-21T04:51:00Z", "ship_by": "2026-11-23T04:50:00Z", "shipping_carrier": "SPX",
        "cancel_reason": null, "buyer": BuyerView::example(),
        "lines": [{"item_id": 501, "model_id": 601, "sku": "TP-R", "name": "Tea pot", "variation": "Red",
            "quantity": 1, "unit_price": "10.50", "net_income": "8.61"}],
        "income": {"escrow_amount": "25.01", "buyer_total_amount": "30.50", "commission_fee": "2.00",
            "service_fee": "1.49", "transaction_fee": "2.00"},
        "history": [{"status": "READY_TO_SHIP", "update_time": "2026-11-21T05:00:00Z",
            "seen_at": "2026-11-21T05:00:02Z", "event_id": null}],
        "sheet_rows": [{"spreadsheet_id": "1AbC", "status": "READY_TO_SHIP",
            "update_time": "2026-11-21T05:00:00Z", "item_rows": 1, "written_at": "2026-11-21T05:00:04Z"}],
        "announcements": [], "events": [], "jobs": [JobView::example()],
    });
    if let (Some(detail), serde_json::Value::Object(more)) = (detail.as_object_mut(), more) {
        detail.extend(more);
    }
    detail
}
