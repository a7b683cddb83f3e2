//! Files of orders: what the sheet shows, to take along.

use axum::Extension;
use axum::body::Body;
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use chrono::NaiveDate;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::admin::AdminState;
use crate::admin::error::{ApiError, ChangeRefusals, Refusals, Unusable};
use crate::admin::exports::{FileKind, NoFile, WantedFile};
use crate::admin::extract::{Json, said};
use crate::admin::frame::RequestId;
use crate::store::admin_actions::{AdminAction, insert_admin_action};

/// Which orders to export, and as what.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"from": "2026-04-01", "to": "2026-04-30", "format": "xlsx"}))]
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

/// Export orders of a period
///
/// The columns of the sheet, as Postgres has the orders now, oldest first. It names buyers, so it needs the full
/// token and is kept in the record of actions. In CSV, text that a spreadsheet program would take for a formula
/// has an apostrophe in front. The file comes as it is made: a connection that breaks off means that it is not
/// complete.
#[utoipa::path(
    post, path = "/exports/orders", operation_id = "export_orders", tag = "orders",
    request_body(content = ExportOrder, example = json!({"from": "2026-04-01", "to": "2026-04-30", "format": "csv"})),
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
    let (kind, media, ending) = match (order.format, order.rows) {
        (ExportFormat::Xlsx, _) => {
            (FileKind::Xlsx, "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", "xlsx")
        }
        (ExportFormat::Csv, ExportRows::Orders) => (FileKind::CsvOrders, "text/csv; charset=utf-8", "csv"),
        (ExportFormat::Csv, ExportRows::Items) => (FileKind::CsvItems, "text/csv; charset=utf-8", "csv"),
    };
    let detail = serde_json::to_value(&order).unwrap_or_default();
    let wanted = WantedFile { from: order.from, to: order.to, shop_id: said(order.shop), kind };
    let pieces = state.exports.begin(wanted).await.map_err(|error| match error {
        NoFile::Unusable(why) => ApiError::bad_request(why),
        NoFile::Failed => ApiError::internal(),
    })?;
    let action =
        AdminAction { request_id: &request_id.0, action: "export_orders", subject: "orders", detail };
    insert_admin_action(&state.pool, &action).await?;
    let name = format!("attachment; filename=\"orders-{}.{ending}\"", order.from);
    let headers = [(header::CONTENT_TYPE, media.to_owned()), (header::CONTENT_DISPOSITION, name)];
    Ok((headers, Body::from_stream(pieces)).into_response())
}
