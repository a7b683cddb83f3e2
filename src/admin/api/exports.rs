//! Files of orders: what the sheet shows, to take along.

use axum::Extension;
use axum::body::Body;
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use chrono::NaiveDate;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::admin::AdminState;
use crate::admin::error::{ApiError, ChangeRefusals, Refusals, Unusable};
use crate::admin::exports::{FileKind, NoFile, WantedFile};
use crate::admin::extract::{Json, Query, said};
use crate::admin::frame::RequestId;
use crate::store::admin_actions::{AdminAction, insert_admin_action};

/// Which orders to export, and as what.
#[derive(Debug, Clone, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ExportQuery {
    /// First day on which the orders were placed, in `DISPLAY_TIMEZONE`.
    #[param(example = "2026-04-01")]
    pub from: NaiveDate,
    /// Last day; today when left out.
    #[param(example = "2026-04-30")]
    pub to: Option<NaiveDate>,
    /// Only orders of this shop.
    #[param(example = "1001")]
    pub shop: Option<String>,
    /// `csv` or `xlsx`.
    #[serde(default)]
    #[param(inline)]
    pub format: ExportFormat,
    /// What a row of a CSV file is; an XLSX file has both tables.
    #[serde(default)]
    #[param(inline)]
    pub rows: ExportRows,
}

/// Which orders to export, as what, and whether with their buyers.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"from": "2026-04-01", "to": "2026-04-30", "format": "xlsx", "unmasked": true}))]
pub struct ExportOrder {
    /// First day on which the orders were placed, in `DISPLAY_TIMEZONE`.
    pub from: NaiveDate,
    /// Last day; today when left out.
    pub to: Option<NaiveDate>,
    /// Only orders of this shop.
    pub shop: Option<String>,
    /// `csv` or `xlsx`.
    #[serde(default)]
    pub format: ExportFormat,
    /// What a row of a CSV file is; an XLSX file has both tables.
    #[serde(default)]
    pub rows: ExportRows,
    /// Whether the names and messages of buyers are shown.
    #[serde(default)]
    pub unmasked: bool,
}

/// The kind of a file.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum ExportFormat {
    /// Comma-separated values in UTF-8.
    #[default]
    Csv,
    /// A workbook.
    Xlsx,
}

/// What a row is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum ExportRows {
    /// An order.
    #[default]
    Orders,
    /// An item of an order.
    Items,
}

/// Get orders of a period as a file
///
/// The columns of the sheet, as Postgres has the orders now, oldest first. The data of buyers is masked; `POST` shows
/// it. In CSV, text that a spreadsheet program would take for a formula has an apostrophe in front. The file comes as
/// it is made: a connection that breaks off means that it is not complete.
#[utoipa::path(
    get, path = "/exports/orders", operation_id = "get_export", tag = "orders", params(ExportQuery),
    responses(
        (status = 200, description = "The file", content(
            (String = "text/csv", example = json!("Order,Platform,Shop,Status\r\n250101ABCDEF01,shopee,1001,SHIPPED\r\n")),
            (Vec<u8> = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", example = json!("PK...")),
        )),
        Unusable, Refusals,
    ),
)]
pub async fn get_export(
    State(state): State<AdminState>,
    Query(query): Query<ExportQuery>,
) -> Result<Response, ApiError> {
    let ExportQuery { from, to, shop, format, rows } = query;
    begin(&state, ExportOrder { from, to, shop, format, rows, unmasked: false }).await
}

/// Export orders of a period, with their buyers if asked for
///
/// The same file as with `GET`. With `unmasked` the names and messages of buyers are in it. Either is put on record in
/// `admin-actions` before the answer: as `unmask_export` with buyers, else as `export_orders`.
#[utoipa::path(
    post, path = "/exports/orders", operation_id = "export_orders", tag = "orders",
    request_body(content = ExportOrder, example = json!({"from": "2026-04-01", "to": "2026-04-30", "format": "csv", "unmasked": true})),
    responses(
        (status = 200, description = "The file", content(
            (String = "text/csv", example = json!("Order,Platform,Shop,Status\r\n250101ABCDEF01,shopee,1001,SHIPPED\r\n")),
            (Vec<u8> = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", example = json!("PK...")),
        )),
        Unusable, ChangeRefusals, Refusals,
    ),
)]
pub async fn export_orders(
    State(state): State<AdminState>,
    Extension(request_id): Extension<RequestId>,
    Json(order): Json<ExportOrder>,
) -> Result<Response, ApiError> {
    let action = if order.unmasked { "unmask_export" } else { "export_orders" };
    let detail = serde_json::to_value(&order).unwrap_or_default();
    let file = begin(&state, order).await?;
    let action = AdminAction { request_id: &request_id.0, action, subject: "orders", detail };
    insert_admin_action(&state.pool, &action).await?;
    Ok(file)
}

/// The answer with the file, whose first piece is there.
async fn begin(state: &AdminState, order: ExportOrder) -> Result<Response, ApiError> {
    let (kind, media, ending) = match (order.format, order.rows) {
        (ExportFormat::Xlsx, _) => {
            (FileKind::Xlsx, "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", "xlsx")
        }
        (ExportFormat::Csv, ExportRows::Orders) => (FileKind::CsvOrders, "text/csv; charset=utf-8", "csv"),
        (ExportFormat::Csv, ExportRows::Items) => (FileKind::CsvItems, "text/csv; charset=utf-8", "csv"),
    };
    let ExportOrder { from, to, shop, unmasked, .. } = order;
    let wanted = WantedFile { from, to, shop_id: said(shop), unmasked, kind };
    let pieces = state.exports.begin(wanted).await.map_err(|error| match error {
        NoFile::Unusable(why) => ApiError::bad_request(why),
        NoFile::Failed => ApiError::internal(),
    })?;
    let name = format!("attachment; filename=\"orders-{from}.{ending}\"");
    let headers = [(header::CONTENT_TYPE, media.to_owned()), (header::CONTENT_DISPOSITION, name)];
    Ok((headers, Body::from_stream(pieces)).into_response())
}
