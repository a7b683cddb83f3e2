//! Sharing out amounts, so that parts always add up to the whole.

use std::collections::HashMap;

use rust_decimal::Decimal;

use crate::domain::order::{Order, OrderIncome};

/// Currencies whose amounts have no decimals on the platforms: whole units is what they charge and pay.
const WHOLE_UNITS: [&str; 7] = ["CLP", "COP", "IDR", "JPY", "KRW", "TWD", "VND"];

/// How many decimals amounts of a currency have.
pub fn decimals(currency: &str) -> u32 {
    if WHOLE_UNITS.iter().any(|whole| whole.eq_ignore_ascii_case(currency)) { 0 } else { 2 }
}

/// Shares `total` out in proportion to the weights, each share in units of `decimals` decimals (or as many
/// as `total` itself has). What rounding down leaves goes unit by unit to the largest remainders, the
/// earlier one where they are equal. The shares add up to `total` exactly; a share of weight 0 is 0. Weights
/// below 0 count as 0; when all are 0, the shares are equal.
pub fn share_out(total: Decimal, weights: &[Decimal], decimals: u32) -> Vec<Decimal> {
    if weights.is_empty() {
        return Vec::new();
    }
    let mut total = total.normalize();
    // Near the limits of the type it cannot have more decimals; then its own are the unit.
    total.rescale(decimals.max(total.scale()));
    let units = total.mantissa();
    let weights = integers(weights, 126 - bits(units.abs()));
    let sum: i128 = weights.iter().sum();

    let mut shares: Vec<i128> = weights.iter().map(|weight| units.abs() * weight / sum).collect();
    let mut order: Vec<usize> = (0..shares.len()).collect();
    order.sort_by_key(|&at| std::cmp::Reverse(units.abs() * weights[at] % sum));
    let mut left = units.abs() - shares.iter().sum::<i128>();
    for at in order {
        let unit = left.min(1);
        shares[at] += unit;
        left -= unit;
    }
    shares
        .into_iter()
        .map(|share| Decimal::from_i128_with_scale(share * units.signum(), total.scale()))
        .collect()
}

/// The weights as integers in the same proportions, none longer than `limit` bits; all 1 when all are 0.
fn integers(weights: &[Decimal], limit: u32) -> Vec<i128> {
    let mut weights: Vec<Decimal> =
        weights.iter().map(|weight| weight.max(&Decimal::ZERO).normalize()).collect();
    let scale = weights.iter().map(Decimal::scale).max().unwrap_or(0);
    for weight in &mut weights {
        weight.rescale(scale);
    }
    // A weight near the limits of the type keeps fewer decimals; then all do.
    let scale = weights.iter().map(Decimal::scale).min().unwrap_or(0);
    for weight in &mut weights {
        weight.rescale(scale);
    }
    let longest = weights.iter().map(|weight| bits(weight.mantissa())).max().unwrap_or(0);
    let excess = longest.saturating_sub(limit);
    let integers: Vec<i128> = weights.iter().map(|weight| weight.mantissa() >> excess).collect();
    if integers.iter().all(|weight| *weight == 0) { vec![1; integers.len()] } else { integers }
}

fn bits(number: i128) -> u32 {
    i128::BITS - number.leading_zeros()
}

/// Each order line's share of the payout, in the order of the lines; they add up to it.
///
/// The weight of a line is what the income statement says it was sold for: its line of the same item and
/// variation. Where several lines of the order share one, they share it by quantity. A line that the
/// statement does not name weighs its price times its quantity. If nothing has a price, quantities decide.
pub fn net_income(order: &Order, income: &OrderIncome) -> Vec<Decimal> {
    let mut sold: HashMap<(i64, i64), Decimal> = HashMap::new();
    for line in &income.items {
        *sold.entry((line.item_id, line.model_id)).or_default() += line.discounted_price;
    }
    let mut pieces: HashMap<(i64, i64), i64> = HashMap::new();
    for line in &order.items {
        *pieces.entry((line.item_id, line.model_id)).or_default() += i64::from(line.quantity);
    }
    let quantities: Vec<Decimal> = order.items.iter().map(|line| line.quantity.into()).collect();
    let mut weights: Vec<Decimal> = order
        .items
        .iter()
        .zip(&quantities)
        .map(|(line, quantity)| {
            let of = (line.item_id, line.model_id);
            let pieces = pieces.get(&of).copied().unwrap_or_default();
            match sold.get(&of) {
                Some(price) if pieces == i64::from(line.quantity) => *price,
                Some(price) if pieces != 0 => *price * *quantity / Decimal::from(pieces),
                _ => line.unit_price * *quantity,
            }
        })
        .collect();
    if weights.iter().all(|weight| *weight <= Decimal::ZERO) {
        weights = quantities;
    }
    share_out(income.escrow_amount, &weights, decimals(&order.currency))
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;
    use proptest::prelude::*;

    use super::*;
    use crate::domain::order::{IncomeItem, OrderItem, OrderRef};

    fn amounts(texts: &[&str]) -> Vec<Decimal> {
        texts.iter().map(|text| text.parse().expect("an amount")).collect()
    }

    fn shares(total: &str, weights: &[&str], decimals: u32) -> Vec<String> {
        let shares = share_out(total.parse().expect("an amount"), &amounts(weights), decimals);
        shares.iter().map(Decimal::to_string).collect()
    }

    #[test]
    fn the_largest_remainders_get_what_rounding_leaves() {
        assert_eq!(shares("10.00", &["1", "1", "1"], 2), ["3.34", "3.33", "3.33"]);
        assert_eq!(shares("-10", &["1", "1", "1"], 2), ["-3.34", "-3.33", "-3.33"]);
        assert_eq!(shares("100", &["10.5", "0", "20"], 2), ["34.43", "0.00", "65.57"]);
        assert_eq!(shares("100000", &["1", "2"], 0), ["33333", "66667"]);
        assert_eq!(shares("5", &["0", "-3"], 0), ["3", "2"]);
        assert_eq!(shares("0", &["1", "2"], 2), ["0.00", "0.00"]);
        assert!(shares("5", &[], 2).is_empty());
    }

    #[test]
    fn an_amount_finer_than_its_currency_loses_nothing() {
        assert_eq!(shares("1000.5", &["1", "1"], 0), ["500.3", "500.2"]);
    }

    #[test]
    fn currencies_without_decimals() {
        assert_eq!((decimals("VND"), decimals("vnd"), decimals("SGD"), decimals("")), (0, 0, 2, 2));
    }

    fn order(currency: &str, lines: &[(i64, i64, i32, &str)]) -> Order {
        let line = |(at, (item_id, model_id, quantity, price)): (usize, &(i64, i64, i32, &str))| OrderItem {
            line_no: i32::try_from(at).expect("few lines"),
            item_id: *item_id,
            model_id: *model_id,
            sku: String::new(),
            name: String::new(),
            variation: String::new(),
            quantity: *quantity,
            unit_price: price.parse().expect("a price"),
        };
        Order {
            reference: OrderRef { platform: "shopee".into(), shop_id: "1".into(), order_sn: "A".into() },
            status: "COMPLETED".into(),
            currency: currency.into(),
            region: "SG".into(),
            create_time: DateTime::UNIX_EPOCH,
            update_time: DateTime::UNIX_EPOCH,
            pay_time: None,
            ship_by: None,
            total_amount: None,
            buyer_username: None,
            payment_method: None,
            cod: false,
            shipping_carrier: None,
            packages: Vec::new(),
            recipient: None,
            message_to_seller: None,
            note: None,
            cancel_by: None,
            cancel_reason: None,
            items: lines.iter().enumerate().map(line).collect(),
            snapshot: serde_json::Value::Null,
        }
    }

    fn income(escrow: &str, lines: &[(i64, i64, i32, &str)]) -> OrderIncome {
        let zero = Decimal::ZERO;
        let line = |(item_id, model_id, quantity, price): &(i64, i64, i32, &str)| IncomeItem {
            item_id: *item_id,
            model_id: *model_id,
            quantity: *quantity,
            discounted_price: price.parse().expect("a price"),
        };
        OrderIncome {
            reference: OrderRef { platform: "shopee".into(), shop_id: "1".into(), order_sn: "A".into() },
            escrow_amount: escrow.parse().expect("an amount"),
            buyer_total_amount: zero,
            commission_fee: zero,
            service_fee: zero,
            transaction_fee: zero,
            buyer_paid_shipping_fee: zero,
            actual_shipping_fee: zero,
            voucher_from_seller: zero,
            voucher_from_platform: zero,
            items: lines.iter().map(line).collect(),
            snapshot: serde_json::Value::Null,
        }
    }

    fn net(order: &Order, income: &OrderIncome) -> Vec<String> {
        net_income(order, income).iter().map(Decimal::to_string).collect()
    }

    #[test]
    fn the_income_statement_decides_and_not_the_list_price() {
        // A bundle: the order says its pieces cost nothing, the statement knows better.
        let order = order("SGD", &[(1, 10, 1, "0"), (2, 0, 2, "5.00")]);
        assert_eq!(
            net(&order, &income("27.00", &[(1, 10, 1, "20.00"), (2, 0, 2, "10.00")])),
            ["18.00", "9.00"]
        );
    }

    #[test]
    fn equal_lines_share_their_statement_by_quantity() {
        let order = order("SGD", &[(1, 10, 1, "5"), (1, 10, 3, "5"), (2, 0, 1, "20")]);
        let statement = income("36.00", &[(1, 10, 2, "10"), (1, 10, 2, "10"), (2, 0, 1, "20")]);
        assert_eq!(net(&order, &statement), ["4.50", "13.50", "18.00"]);
    }

    #[test]
    fn without_a_statement_prices_decide_and_without_prices_quantities() {
        let priced = order("VND", &[(1, 0, 1, "10000"), (2, 0, 2, "10000")]);
        assert_eq!(net(&priced, &income("25000", &[])), ["8333", "16667"]);
        let free = order("SGD", &[(1, 0, 1, "0"), (2, 0, 3, "0")]);
        assert_eq!(net(&free, &income("-4.00", &[])), ["-1.00", "-3.00"]);
        assert!(net_income(&order("SGD", &[]), &income("1", &[])).is_empty());
    }

    fn amount() -> impl Strategy<Value = Decimal> {
        (-1_000_000_000_000_i64..1_000_000_000_000, 0..4_u32)
            .prop_map(|(number, scale)| Decimal::new(number, scale))
    }

    fn extreme() -> impl Strategy<Value = Decimal> {
        (any::<i64>(), any::<i64>(), 0..28_u32).prop_map(|(high, low, scale)| {
            let mantissa = (i128::from(high) << 32) | i128::from(low & 0xffff_ffff);
            Decimal::from_i128_with_scale(mantissa, scale)
        })
    }

    proptest! {
        #[test]
        fn shares_always_add_up(total in amount(), weights in prop::collection::vec(amount(), 1..70), decimals in 0..3_u32) {
            let shares = share_out(total, &weights, decimals);
            prop_assert_eq!(shares.len(), weights.len());
            prop_assert_eq!(shares.iter().sum::<Decimal>(), total);
        }

        #[test]
        fn no_share_is_further_from_its_due_than_one_unit(
            total in amount(), weights in prop::collection::vec(0..1_000_000_i64, 1..70)
        ) {
            let weights: Vec<Decimal> = weights.into_iter().map(|weight| Decimal::new(weight, 2)).collect();
            let sum: Decimal = weights.iter().sum();
            prop_assume!(sum > Decimal::ZERO);
            let unit = Decimal::new(1, 2.max(total.normalize().scale()));
            for (share, weight) in share_out(total, &weights, 2).into_iter().zip(&weights) {
                prop_assert!((share - total * *weight / sum).abs() < unit);
                prop_assert!(!weight.is_zero() || share.is_zero());
            }
        }

        #[test]
        fn absurd_amounts_do_not_break_it(total in extreme(), weights in prop::collection::vec(extreme(), 1..9)) {
            let shares = share_out(total, &weights, 2);
            let units: i128 = shares.iter().map(Decimal::mantissa).sum();
            let scale = shares[0].scale();
            prop_assert_eq!(Decimal::from_i128_with_scale(units, scale), total);
        }
    }
}
