//! Income of an order: Shopee's escrow fields to ours.

use rust_decimal::Decimal;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::clients::shopee::lenient;
use crate::clients::shopee::reference;
use crate::domain::order::{IncomeItem, OrderIncome};

#[derive(Deserialize)]
struct WireEscrow {
    order_sn: String,
    order_income: WireIncome,
}

#[derive(Deserialize)]
struct WireIncome {
    #[serde(default, deserialize_with = "lenient::money")]
    escrow_amount: Option<Decimal>,
    #[serde(default, deserialize_with = "lenient::money")]
    buyer_total_amount: Option<Decimal>,
    #[serde(default, deserialize_with = "lenient::money")]
    commission_fee: Option<Decimal>,
    #[serde(default, deserialize_with = "lenient::money")]
    service_fee: Option<Decimal>,
    #[serde(default, deserialize_with = "lenient::money")]
    seller_transaction_fee: Option<Decimal>,
    #[serde(default, deserialize_with = "lenient::money")]
    buyer_paid_shipping_fee: Option<Decimal>,
    #[serde(default, deserialize_with = "lenient::money")]
    actual_shipping_fee: Option<Decimal>,
    #[serde(default, deserialize_with = "lenient::money")]
    voucher_from_seller: Option<Decimal>,
    #[serde(default, deserialize_with = "lenient::money")]
    voucher_from_shopee: Option<Decimal>,
    #[serde(default, deserialize_with = "lenient::or_default")]
    items: Vec<WireIncomeItem>,
}

#[derive(Deserialize)]
struct WireIncomeItem {
    #[serde(default, deserialize_with = "lenient::int")]
    item_id: Option<i64>,
    #[serde(default, deserialize_with = "lenient::int")]
    model_id: Option<i64>,
    #[serde(default, deserialize_with = "lenient::int")]
    quantity_purchased: Option<i64>,
    #[serde(default, deserialize_with = "lenient::money")]
    discounted_price: Option<Decimal>,
}

/// Takes an element of the batch answer out of its `escrow_detail` wrapper, if it has one.
pub fn unwrap_detail(raw: &RawValue) -> Box<RawValue> {
    #[derive(Deserialize)]
    struct Wrapped {
        escrow_detail: Box<RawValue>,
    }
    serde_json::from_str::<Wrapped>(raw.get())
        .map_or_else(|_| raw.to_owned(), |wrapped| wrapped.escrow_detail)
}

/// One order's escrow as income; else what of it cannot be read.
pub fn parse(shop_id: i64, raw: &RawValue) -> Result<OrderIncome, String> {
    let wire: WireEscrow = serde_json::from_str(raw.get()).map_err(|error| lenient::fault(&error))?;
    let income = wire.order_income;
    let items: Result<Vec<_>, String> = income.items.into_iter().map(WireIncomeItem::into_item).collect();
    Ok(OrderIncome {
        reference: reference(shop_id, wire.order_sn),
        escrow_amount: income.escrow_amount.ok_or("no escrow_amount")?,
        buyer_total_amount: income.buyer_total_amount.unwrap_or_default(),
        commission_fee: income.commission_fee.unwrap_or_default(),
        service_fee: income.service_fee.unwrap_or_default(),
        transaction_fee: income.seller_transaction_fee.unwrap_or_default(),
        buyer_paid_shipping_fee: income.buyer_paid_shipping_fee.unwrap_or_default(),
        actual_shipping_fee: income.actual_shipping_fee.unwrap_or_default(),
        voucher_from_seller: income.voucher_from_seller.unwrap_or_default(),
        voucher_from_platform: income.voucher_from_shopee.unwrap_or_default(),
        items: items?,
        snapshot: lenient::snapshot(raw).map_err(|error| lenient::fault(&error))?,
    })
}

impl WireIncomeItem {
    fn into_item(self) -> Result<IncomeItem, String> {
        Ok(IncomeItem {
            item_id: self.item_id.ok_or("an income line without item_id")?,
            model_id: self.model_id.unwrap_or(0),
            quantity: i32::try_from(self.quantity_purchased.unwrap_or(0))
                .map_err(|_| "an income line's quantity beyond 31 bits")?,
            discounted_price: self.discounted_price.unwrap_or_default(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn income_is_read_with_and_without_the_wrapper() {
        let detail = r#"{"order_sn": "A", "order_income": {"escrow_amount": 100.10, "commission_fee": 5,
            "seller_transaction_fee": null, "final_shipping_fee": -3,
            "items": [{"item_id": 1, "model_id": 2, "quantity_purchased": 3, "discounted_price": 30.30}]}}"#;
        let wrapped = format!(r#"{{"escrow_detail": {detail}}}"#);
        for json in [detail, &wrapped] {
            let raw = RawValue::from_string(json.to_owned()).unwrap();
            let income = parse(7, &unwrap_detail(&raw)).unwrap();
            assert_eq!(income.escrow_amount, "100.10".parse().unwrap());
            assert_eq!((income.commission_fee, income.transaction_fee), (5.into(), Decimal::ZERO));
            assert_eq!(income.items[0].discounted_price, "30.30".parse().unwrap());
        }
    }

    #[test]
    fn income_without_a_payout_is_not_zero() {
        let raw = RawValue::from_string(r#"{"order_sn": "A", "order_income": {}}"#.to_owned()).unwrap();
        assert_eq!(parse(7, &raw).unwrap_err(), "no escrow_amount");
    }
}
