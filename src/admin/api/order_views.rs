//! The parts of an order, as the API shows them.

use chrono::{DateTime, Utc};
use rust_decimal::Decimal;
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::domain::order::{Order, OrderIncome, OrderItem};
use crate::domain::privacy::{MASK, mask_name};
use crate::store::order_lists;

/// One line of an order.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct OrderItemView {
    /// The platform's item id.
    pub item_id: i64,
    /// The platform's variation id; 0 where the item has none.
    pub model_id: i64,
    /// The SKU.
    pub sku: String,
    /// The item's title.
    pub name: String,
    /// The variation's title.
    pub variation: String,
    /// Pieces bought.
    pub quantity: i32,
    /// Price of one piece after discounts.
    #[schema(value_type = String, example = "10.50")]
    pub unit_price: Decimal,
    /// The payout's share of this line, where it is known.
    #[schema(value_type = Option<String>, example = "8.61")]
    pub net_income: Option<Decimal>,
}

/// Who bought an order, and to whom it goes. While `masked`, names keep their ends and all else is `***`.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct BuyerView {
    /// The account's name.
    pub username: Option<String>,
    /// Name of the recipient.
    pub recipient: Option<String>,
    /// Telephone number of the recipient.
    pub phone: Option<String>,
    /// The recipient's address.
    pub address: Option<String>,
    /// What the buyer wrote.
    pub message: Option<String>,
    /// What the seller noted.
    pub note: Option<String>,
    /// Whether it is hidden; `POST …/unmask` shows it.
    pub masked: bool,
}

impl BuyerView {
    pub(super) fn of(order: &Order) -> Self {
        let recipient = order.recipient.clone();
        Self {
            username: order.buyer_username.clone(),
            recipient: recipient.as_ref().map(|one| one.name.clone()),
            phone: recipient.as_ref().map(|one| one.phone.clone()),
            address: recipient.map(|one| one.full_address),
            message: order.message_to_seller.clone(),
            note: order.note.clone(),
            masked: false,
        }
    }

    pub(super) fn masked(self) -> Self {
        let name = |text: Option<String>| text.map(|text| mask_name(&text));
        let hide =
            |text: Option<String>| text.map(|text| if text.is_empty() { text } else { MASK.to_owned() });
        Self {
            username: name(self.username),
            recipient: name(self.recipient),
            phone: hide(self.phone),
            address: hide(self.address),
            message: hide(self.message),
            note: hide(self.note),
            masked: true,
        }
    }

    pub(super) fn example() -> serde_json::Value {
        serde_json::json!({
            "username": "t***w", "recipient": "T***w", "phone": "***", "address": "***", "message": "",
            "note": null, "masked": true,
        })
    }
}

/// What the seller earns with an order.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct OrderIncomeView {
    /// The expected or final payout.
    #[schema(value_type = String, example = "25.01")]
    pub escrow_amount: Decimal,
    /// What the buyer paid in total.
    #[schema(value_type = String, example = "30.50")]
    pub buyer_total_amount: Decimal,
    /// The platform's commission.
    #[schema(value_type = String, example = "2.00")]
    pub commission_fee: Decimal,
    /// The platform's service fee.
    #[schema(value_type = String, example = "1.49")]
    pub service_fee: Decimal,
    /// The seller's share of payment costs.
    #[schema(value_type = String, example = "2.00")]
    pub transaction_fee: Decimal,
}

impl From<OrderIncome> for OrderIncomeView {
    fn from(income: OrderIncome) -> Self {
        Self {
            escrow_amount: income.escrow_amount,
            buyer_total_amount: income.buyer_total_amount,
            commission_fee: income.commission_fee,
            service_fee: income.service_fee,
            transaction_fee: income.transaction_fee,
        }
    }
}

/// A state that an order was seen in.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = OrderStatusView)]
pub struct StatusView {
    /// The platform's status.
    pub status: String,
    /// When it was so, by the platform's clock.
    pub update_time: DateTime<Utc>,
    /// When we read it.
    pub seen_at: DateTime<Utc>,
    /// The event that made us look.
    pub event_id: Option<Uuid>,
}

/// What one spreadsheet shows of an order.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct SheetRowView {
    /// The spreadsheet.
    pub spreadsheet_id: String,
    /// Status that its row shows.
    pub status: String,
    /// The order's clock of the state that its row shows.
    pub update_time: DateTime<Utc>,
    /// Rows in the tab of items.
    pub item_rows: i32,
    /// When it was last written.
    pub written_at: DateTime<Utc>,
}

/// One message about an order.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct OrderMessageView {
    /// The event that was announced.
    pub event_id: Uuid,
    /// The chat.
    pub chat_id: i64,
    /// `intended`, `sent`, or `uncertain` when nobody knows.
    pub state: String,
    /// The message in the chat.
    pub message_id: Option<i32>,
    /// The forum topic.
    pub thread_id: Option<i32>,
    /// When it was sent.
    pub sent_at: Option<DateTime<Utc>>,
}

/// The lines, each with its share.
pub(super) fn lines(items: Vec<OrderItem>, net_income: &[Option<Decimal>]) -> Vec<OrderItemView> {
    let shares = net_income.iter().copied().chain(std::iter::repeat(None));
    items
        .into_iter()
        .zip(shares)
        .map(|(item, net_income)| OrderItemView {
            item_id: item.item_id,
            model_id: item.model_id,
            sku: item.sku,
            name: item.name,
            variation: item.variation,
            quantity: item.quantity,
            unit_price: item.unit_price,
            net_income,
        })
        .collect()
}

/// The states, as the API shows them.
pub(super) fn history(rows: Vec<order_lists::StatusSeen>) -> Vec<StatusView> {
    let view = |order_lists::StatusSeen { status, update_time, seen_at, event_id }| StatusView {
        status,
        update_time,
        seen_at,
        event_id,
    };
    rows.into_iter().map(view).collect()
}

/// The rows, as the API shows them.
pub(super) fn sheet_rows(rows: Vec<order_lists::RowInSheet>) -> Vec<SheetRowView> {
    let view = |row: order_lists::RowInSheet| SheetRowView {
        spreadsheet_id: row.spreadsheet_id,
        status: row.status,
        update_time: row.update_time,
        item_rows: row.item_rows,
        written_at: row.written_at,
    };
    rows.into_iter().map(view).collect()
}

impl From<order_lists::Announcement> for OrderMessageView {
    fn from(row: order_lists::Announcement) -> Self {
        let order_lists::Announcement { event_id, chat_id, state, message_id, thread_id, sent_at } = row;
        Self { event_id, chat_id, state, message_id, thread_id, sent_at }
    }
}
