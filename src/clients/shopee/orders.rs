//! Reading orders and their income.

use std::borrow::Cow;
use std::sync::atomic::Ordering;

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::clients::error::ClientError;
use crate::clients::shopee::order_list::OrderState;
use crate::clients::shopee::{Ask, Credentials, ShopeeClient, income, lenient, order, part, response};
use crate::domain::order::{Order, OrderIncome};

const ORDER_DETAIL: &str = "/api/v2/order/get_order_detail";
const ESCROW_BATCH: &str = "/api/v2/payment/get_escrow_detail_batch";
const ESCROW_SINGLE: &str = "/api/v2/payment/get_escrow_detail";

/// How many orders one call may ask for. Shopee recommends at most 20 for the income.
pub const MAX_ORDERS: usize = 50;

/// Answers to a question about several orders: each order that was asked for is in exactly one of the lists.
#[derive(Debug)]
pub struct Answers<T> {
    /// What was found.
    pub found: Vec<T>,
    /// The others, each with its own reason; an order that Shopee left out is `NotFound`.
    pub failed: Vec<(String, ClientError)>,
}

impl<T> Default for Answers<T> {
    fn default() -> Self {
        Self { found: Vec::new(), failed: Vec::new() }
    }
}

impl<T> Answers<T> {
    fn add(&mut self, order_sn: &str, result: Result<T, ClientError>) {
        match result {
            Ok(found) => self.found.push(found),
            Err(error) => self.failed.push((order_sn.to_owned(), error)),
        }
    }

    fn fail(&mut self, orders: &[&str], error: &ClientError) {
        self.failed.extend(orders.iter().map(|order_sn| ((*order_sn).to_owned(), error.clone())));
    }
}

impl ShopeeClient {
    /// Full orders of one shop, at most [`MAX_ORDERS`] of them.
    ///
    /// An order that cannot be read, or because of which Shopee refuses the batch, fails alone. The error of
    /// the call as a whole means that none was answered.
    pub async fn order_detail(
        &self,
        credentials: &Credentials,
        order_sns: &[&str],
    ) -> Result<Answers<Order>, ClientError> {
        let read = |raw: &RawValue| part(raw, order::parse(credentials.shop_id, raw));
        self.in_parts(credentials, order_sns, Some(order::OPTIONAL_FIELDS), read).await
    }

    /// Status and clock of orders of one shop, at most [`MAX_ORDERS`] of them; failures as in
    /// [`Self::order_detail`].
    pub async fn order_states(
        &self,
        credentials: &Credentials,
        order_sns: &[&str],
    ) -> Result<Answers<OrderState>, ClientError> {
        self.in_parts(credentials, order_sns, None, OrderState::parse).await
    }

    /// A batch that is refused as a whole is asked for in parts.
    async fn in_parts<T>(
        &self,
        credentials: &Credentials,
        order_sns: &[&str],
        fields: Option<&str>,
        read: impl Fn(&RawValue) -> Result<T, ClientError>,
    ) -> Result<Answers<T>, ClientError> {
        let mut answers = Answers::default();
        let mut parts = vec![order_sns];
        while let Some(orders) = parts.pop().filter(|orders| !orders.is_empty()) {
            match self.order_list(credentials, orders, fields).await {
                Ok(list) => sort_out(orders, &list, order::order_sn, &mut answers, &read),
                Err(error) if error.is_refusal() && orders.len() > 1 => {
                    let (left, right) = orders.split_at(orders.len() / 2);
                    parts.extend([right, left]);
                }
                Err(error) if error.is_refusal() => answers.fail(orders, &error),
                Err(error) if answers.found.is_empty() => return Err(error),
                Err(error) => {
                    answers.fail(orders, &error);
                    parts.drain(..).for_each(|rest| answers.fail(rest, &error));
                }
            }
        }
        Ok(answers)
    }

    async fn order_list(
        &self,
        credentials: &Credentials,
        order_sns: &[&str],
        fields: Option<&str>,
    ) -> Result<Vec<Box<RawValue>>, ClientError> {
        #[derive(Deserialize)]
        struct List {
            #[serde(default, deserialize_with = "lenient::or_default")]
            order_list: Vec<Box<RawValue>>,
        }
        let mut parameters = vec![
            ("order_sn_list", Cow::Owned(order_sns.join(","))),
            // Without it Shopee hides PENDING behind an older status.
            ("request_order_status_pending", Cow::Borrowed("true")),
        ];
        parameters.extend(fields.map(|fields| ("response_optional_fields", Cow::Borrowed(fields))));
        let body = self.call(ORDER_DETAIL, Some(credentials), Ask::Get(&parameters)).await?;
        response::<List>(&body).map(|list| list.order_list)
    }

    /// Income of orders of one shop, at most [`MAX_ORDERS`] of them.
    ///
    /// The documentation changed the verb of the batch endpoint in 2026. If it refuses our batch or answers in
    /// another form, the orders are asked for one by one; if they are all fine then, it was not their fault and
    /// the batch endpoint is left alone until the next start.
    pub async fn escrow_batch(
        &self,
        credentials: &Credentials,
        order_sns: &[&str],
    ) -> Result<Answers<OrderIncome>, ClientError> {
        if order_sns.is_empty() {
            return Ok(Answers::default());
        }
        if self.escrow_one_by_one.load(Ordering::Relaxed) {
            return self.escrow_singles(credentials, order_sns).await;
        }
        let refusal = match self.escrow_list(credentials, order_sns).await {
            Ok(list) => {
                let mut answers = Answers::default();
                sort_out(order_sns, &list, order::order_sn, &mut answers, |raw| {
                    part(raw, income::parse(credentials.shop_id, raw))
                });
                return Ok(answers);
            }
            Err(error) if error.is_refusal() || matches!(error, ClientError::Malformed { .. }) => error,
            Err(error) => return Err(error),
        };
        let answers = self.escrow_singles(credentials, order_sns).await?;
        if answers.failed.is_empty() {
            tracing::warn!(error = %refusal, "Shopee refuses the batch call for income; asking order by order");
            self.escrow_one_by_one.store(true, Ordering::Relaxed);
        }
        Ok(answers)
    }

    async fn escrow_list(
        &self,
        credentials: &Credentials,
        order_sns: &[&str],
    ) -> Result<Vec<Box<RawValue>>, ClientError> {
        let ask = Ask::Post(serde_json::json!({ "order_sn_list": order_sns }));
        let body = self.try_call(ESCROW_BATCH, Some(credentials), ask).await?;
        let list: Vec<Box<RawValue>> = response(&body)?;
        Ok(list.iter().map(|raw| income::unwrap_detail(raw)).collect())
    }

    async fn escrow_singles(
        &self,
        credentials: &Credentials,
        order_sns: &[&str],
    ) -> Result<Answers<OrderIncome>, ClientError> {
        let mut answers = Answers::default();
        for (position, order_sn) in order_sns.iter().enumerate() {
            let parameters = [("order_sn", Cow::Borrowed(*order_sn))];
            let result = self.call(ESCROW_SINGLE, Some(credentials), Ask::Get(&parameters)).await;
            match result.and_then(|body| response::<Box<RawValue>>(&body)) {
                Ok(raw) => answers.add(order_sn, part(&raw, income::parse(credentials.shop_id, &raw))),
                Err(error) if error.is_refusal() || matches!(error, ClientError::Malformed { .. }) => {
                    answers.add(order_sn, Err(error));
                }
                // A trouble of the whole: the orders that were answered count all the same.
                Err(error) if position == 0 => return Err(error),
                Err(error) => {
                    answers.fail(&order_sns[position..], &error);
                    break;
                }
            }
        }
        Ok(answers)
    }
}

/// Gives each order that was asked for its element of the answer. Elements that were not asked for are ignored.
fn sort_out<T>(
    asked: &[&str],
    list: &[Box<RawValue>],
    name: impl Fn(&RawValue) -> Option<String>,
    answers: &mut Answers<T>,
    read: impl Fn(&RawValue) -> Result<T, ClientError>,
) {
    let named: Vec<Option<String>> = list.iter().map(|raw| name(raw)).collect();
    let nameless = named.iter().position(Option::is_none).map(|index| &list[index]);
    for order_sn in asked {
        let element =
            named.iter().position(|name| name.as_deref() == Some(*order_sn)).map(|index| &list[index]);
        let result = match (element, nameless) {
            (Some(raw), _) => read(raw),
            // It may be this one: not a reason to believe that the order does not exist.
            (None, Some(raw)) => {
                Err(ClientError::malformed("an element without order_sn", raw.get().as_bytes()))
            }
            (None, None) => Err(ClientError::NotFound {
                message: format!("Shopee left order {order_sn} out of its answer"),
            }),
        };
        answers.add(order_sn, result);
    }
}
