//! The order: what a person wants to see of it without opening the seller centre.

use rust_decimal::Decimal;

use super::Look;
use super::text::{self, Block, money};
use crate::domain::order::{Order, OrderIncome, OrderItem, Package};
use crate::store::order_reads::StoredOrder;

const SHORT: usize = 60;
const NAME: usize = 200;
const NOTE: usize = 700;
/// Parcels that are listed; further ones are counted.
const PACKAGES: usize = 5;

/// Everything but the items, a line each.
pub(super) fn head(stored: &StoredOrder, look: Look) -> Vec<Block> {
    let order = &stored.order;
    let mut lines = vec![headline(order), money_line(order)];
    lines.extend(buyer(order, look));
    lines.push(shipping(order, look));
    lines.extend(order.packages.iter().take(PACKAGES).map(package));
    if order.packages.len() > PACKAGES {
        lines.push(
            Block::new().markup("    ").text(&format!("… +{}", order.packages.len() - PACKAGES), SHORT),
        );
    }
    lines.extend(remark("💬 ", order.message_to_seller.as_deref()));
    lines.extend(remark("📝 ", order.note.as_deref()));
    lines.extend(cancellation(order));
    lines.retain(|line| !line.is_empty());
    lines
}

/// What the seller earns; empty while it is not known.
pub(super) fn income(stored: &StoredOrder) -> Vec<Block> {
    let Some(income) = &stored.income else { return Vec::new() };
    let currency = stored.order.currency.as_str();
    let amount = |label: &'static str, amount: Decimal| {
        Block::new().markup(label).text(&money(currency, amount), SHORT)
    };
    let OrderIncome { commission_fee, service_fee, transaction_fee, .. } = income;
    vec![
        Block::new().markup("🧾 Escrow (net) ").bold(&money(currency, income.escrow_amount), SHORT),
        amount("Buyer paid ", income.buyer_total_amount),
        amount("Commission ", *commission_fee)
            .then(&amount(" · Service ", *service_fee))
            .then(&amount(" · Transaction ", *transaction_fee)),
        amount("Shipping paid ", income.buyer_paid_shipping_fee)
            .then(&amount(" · actual ", income.actual_shipping_fee)),
        amount("Vouchers seller ", income.voucher_from_seller)
            .then(&amount(" · platform ", income.voucher_from_platform)),
    ]
}

/// One block per line of the order.
pub(super) fn items(stored: &StoredOrder) -> Vec<Block> {
    let net = stored.net_income.iter().copied().chain(std::iter::repeat(None));
    stored.order.items.iter().zip(net).map(|(line, net)| item(line, net, &stored.order.currency)).collect()
}

fn headline(order: &Order) -> Block {
    let block = Block::new().markup("📦 ").code(&order.reference.order_sn, SHORT);
    block.markup(" · ").bold(&order.status, SHORT)
}

fn money_line(order: &Order) -> Block {
    let mut block = Block::new().markup("💰 ");
    block = match order.total_amount {
        Some(amount) => block.bold(&money(&order.currency, amount), SHORT),
        None => block.text(&order.currency, SHORT).markup(" ?"),
    };
    if let Some(method) = filled(order.payment_method.as_deref()) {
        block = block.markup(" · ").text(method, SHORT);
    }
    if order.cod { block.markup(" · COD") } else { block }
}

fn buyer(order: &Order, look: Look) -> Option<Block> {
    let name = filled(order.buyer_username.as_deref())?;
    let shown = if look.show_buyer { name.to_owned() } else { text::masked(name) };
    let block = Block::new().markup("👤 ").text(&shown, SHORT);
    Some(if order.region.is_empty() { block } else { block.markup(" · ").text(&order.region, SHORT) })
}

fn shipping(order: &Order, look: Look) -> Block {
    let mut block = Block::new();
    if let Some(carrier) = filled(order.shipping_carrier.as_deref()) {
        block = block.markup("🚚 ").text(carrier, SHORT);
    }
    if let Some(deadline) = order.ship_by {
        let separator = if block.is_empty() { "⏰ " } else { " · ⏰ " };
        block = block.markup(separator).text(&text::time(deadline, look.zone), SHORT);
    }
    block
}

fn package(package: &Package) -> Block {
    let block = Block::new().markup("    ").code(&package.package_number, SHORT);
    let further = [package.logistics_status.as_deref(), package.shipping_carrier.as_deref()];
    further.into_iter().filter_map(filled).fold(block, |block, value| block.markup(" · ").text(value, SHORT))
}

fn remark(icon: &'static str, value: Option<&str>) -> Option<Block> {
    let value = filled(value)?;
    Some(Block::new().markup(icon).markup("<i>").text(value, NOTE).markup("</i>"))
}

fn cancellation(order: &Order) -> Option<Block> {
    let by = filled(order.cancel_by.as_deref());
    let reason = filled(order.cancel_reason.as_deref());
    let mut values = [by, reason].into_iter().flatten();
    let first = Block::new().markup("❌ ").text(values.next()?, NAME);
    Some(values.fold(first, |block, value| block.markup(" · ").text(value, NAME)))
}

fn item(item: &OrderItem, net: Option<Decimal>, currency: &str) -> Block {
    let quantity = format!("{} ×", item.quantity);
    let mut block =
        Block::new().markup("▫️ ").text(&quantity, SHORT).markup(" ").bold(&item.name, NAME).markup("\n    ");
    if let Some(variation) = filled(Some(&item.variation)) {
        block = block.text(variation, NAME).markup(" · ");
    }
    if let Some(sku) = filled(Some(&item.sku)) {
        block = block.code(sku, SHORT).markup(" · ");
    }
    block = block.text(&money(currency, item.unit_price), SHORT);
    match net {
        Some(net) => block.markup(" · net ").text(&money(currency, net), SHORT),
        None => block,
    }
}

fn filled(value: Option<&str>) -> Option<&str> {
    value.map(str::trim).filter(|value| !value.is_empty())
}
