//! Trying out what is configured: a message, a row, a push, each for real and marked as a test.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, OnceLock};

use async_trait::async_trait;
use chrono::{DateTime, SubsecRound as _, Utc};
use rust_decimal::Decimal;
use serde_json::json;
use sqlx::PgPool;
use url::Url;
use uuid::Uuid;

use crate::admin::operations::{OperationError, TrialOperations, TriedPush};
use crate::clients::push::PushPoster;
use crate::clients::telegram::TelegramClient;
use crate::clock::SharedClock;
use crate::config::{Config, SharedConfig};
use crate::domain::order::{Order, OrderItem, OrderRef};
use crate::domain::shopee::push::PLATFORM;
use crate::domain::sources::Source;
use crate::queue::{Waker, enqueue, plan as jobs_plan};
use crate::simulator::platforms::{OrderMoment, PlatformPush, order_push};
use crate::store;
use crate::store::destinations::take_budget;
use crate::store::order_lists::{OrderFilter, list_orders};
use crate::store::orders::upsert_order;
use crate::store::sheet_rows::forget_contents;
use crate::store::telegram::current_chat;

/// The kind of chats among the destinations.
const CHAT: &str = "telegram";

/// See the module.
#[derive(Debug)]
pub(super) struct Trials {
    pub(super) pool: PgPool,
    pub(super) clock: SharedClock,
    pub(super) config: SharedConfig,
    /// Where this process receives pushes.
    pub(super) receiver: Arc<OnceLock<SocketAddr>>,
    pub(super) waker: Waker,
}

fn unusable(text: impl Into<String>) -> OperationError {
    OperationError::Unusable(text.into())
}

fn failed(error: &sqlx::Error) -> OperationError {
    tracing::error!(error = error as &dyn std::error::Error, "the database failed a trial");
    OperationError::Failed("the database does not answer".to_owned())
}

#[async_trait]
impl TrialOperations for Trials {
    async fn message(&self, chat_id: Option<i64>) -> Result<(i64, i32), OperationError> {
        let config = self.config.load_full();
        let telegram = config.telegram.as_ref();
        let telegram = telegram
            .ok_or_else(|| unusable("Telegram is off: set TELEGRAM_BOT_TOKEN and TELEGRAM_CHAT_ID"))?;
        let chats: Vec<i64> =
            config.routes.chats.iter().map(|chat| chat.chat_id).chain(telegram.ops_chat_id).collect();
        let chat_id = match chat_id {
            Some(id) if !chats.contains(&id) => {
                return Err(unusable(format!("chat_id: {id} is not configured")));
            }
            Some(id) => id,
            None => *chats
                .first()
                .ok_or_else(|| unusable("no chat is configured, or TELEGRAM_ENABLED is false"))?,
        };
        let mut connection = self.pool.acquire().await.map_err(|error| failed(&error))?;
        let chat_id = current_chat(&mut connection, chat_id).await.map_err(|error| failed(&error))?;
        let interval = telegram.message_interval();
        let name = chat_id.to_string();
        let wait = take_budget(&mut connection, CHAT, &name, interval, 1).await;
        if let Some(wait) = wait.map_err(|error| failed(&error))? {
            let seconds = wait.as_secs_f64().ceil();
            let text = format!("other messages go to this chat just now; try again in {seconds} s");
            return Err(OperationError::Failed(text));
        }
        drop(connection);
        let client =
            TelegramClient::new(telegram).map_err(|error| OperationError::Failed(error.to_string()))?;
        let html = "🔔 <b>pushbox</b>\nThis is a test message: events will be announced here.";
        let sent = client.send(chat_id, None, html, true).await;
        let sent = sent.map_err(|error| OperationError::Failed(format!("Telegram: {error}")))?;
        Ok((chat_id, sent.message_id))
    }

    async fn row(&self, spreadsheet_id: Option<&str>) -> Result<String, OperationError> {
        let config = self.config.load_full();
        if config.sheets.is_none() {
            return Err(unusable("Google Sheets is off: set GOOGLE_CREDENTIALS_JSON and SPREADSHEET_ID"));
        }
        let mut routes = config.routes.spreadsheets.iter();
        let route = match spreadsheet_id {
            Some(id) => routes
                .find(|route| route.spreadsheet_id == id)
                .ok_or_else(|| unusable(format!("spreadsheet_id: {id} is not configured")))?,
            None => routes
                .next()
                .ok_or_else(|| unusable("no spreadsheet is configured, or SHEETS_ENABLED is false"))?,
        };
        let order = test_order(self.clock.now());
        let job = jobs_plan::sheet_row(&route.spreadsheet_id, &order.reference, config.queue.max_attempts);
        let stored = async {
            let mut transaction = store::begin(&self.pool).await?;
            upsert_order(&mut transaction, &order, &[], None).await?;
            forget_contents(&mut transaction, &route.spreadsheet_id, std::slice::from_ref(&order.reference))
                .await?;
            enqueue(&mut transaction, vec![job]).await?;
            transaction.commit().await
        };
        stored.await.map_err(|error: sqlx::Error| failed(&error))?;
        self.waker.wake();
        Ok(route.spreadsheet_id.clone())
    }

    async fn push(&self, source: Option<&str>, order_sn: Option<&str>) -> Result<TriedPush, OperationError> {
        let config = self.config.load_full();
        let source = signing(&config, source)?;
        let Made { mut push, code, order_sn } = self.made(&config, source, order_sn).await?;
        let proof = source.sign(&push.headers, &push.body);
        let proof =
            proof.ok_or_else(|| unusable(format!("source: {} cannot be signed here", source.name)))?;
        push.headers.insert(source.auth.header.clone(), proof);
        let url = self.receiver_url(&config, source)?;
        let poster = PushPoster::new().map_err(|error| OperationError::Failed(error.to_string()))?;
        let sha256 = crate::domain::push::sha256(&push.body);
        let answer = poster.post(&url, &push.headers, push.body).await.map_err(|error| {
            OperationError::Failed(format!("{url} does not answer: {}", error.without_url()))
        })?;
        let event_id = store::event_reads::find_by_body(&self.pool, &source.name, &sha256).await;
        Ok(TriedPush {
            url: url.to_string(),
            source: source.name.clone(),
            code,
            order_sn,
            status: answer.status,
            elapsed_ms: u64::try_from(answer.elapsed.as_millis()).unwrap_or(u64::MAX),
            event_id: event_id.map_err(|error| failed(&error))?,
        })
    }
}

/// The source that is asked for, or the first that can be signed for, Shopee before others.
fn signing<'a>(config: &'a Config, asked: Option<&str>) -> Result<&'a Source, OperationError> {
    let can = |source: &&Source| {
        !source.auth.secrets.is_empty() && (source.platform != PLATFORM || source.url.is_some())
    };
    match asked {
        Some(name) => {
            let source = config.sources.iter().find(|source| source.name == name);
            let source = source.ok_or_else(|| unusable(format!("source: there is no source {name}")))?;
            Some(source).filter(can).ok_or_else(|| unusable(format!("source: {name} has no secret here to sign with")))
        }
        None => config.sources.iter().find(can).ok_or_else(|| {
            unusable("no source can be signed for here: set WEBHOOK_PARTNER_KEY and CALLBACK_URL, or list [[sources]]")
        }),
    }
}

/// A push to send.
struct Made {
    push: PlatformPush,
    code: String,
    order_sn: Option<String>,
}

impl Trials {
    async fn made(
        &self,
        config: &Config,
        source: &Source,
        order_sn: Option<&str>,
    ) -> Result<Made, OperationError> {
        let now = self.clock.now();
        if source.platform == PLATFORM {
            return self.made_of_shopee(config, order_sn).await;
        }
        let number = order_sn.map_or_else(|| format!("TEST-{}", now.format("%y%m%d%H%M%S")), str::to_owned);
        let moment = OrderMoment { number: &number, account: "test", step: 1, at: now.timestamp() };
        let push = order_push(&source.platform, moment);
        let push =
            push.ok_or_else(|| unusable(format!("source: no push of {} is known here", source.platform)))?;
        Ok(Made { push, code: "order".to_owned(), order_sn: Some(number) })
    }

    /// About an order that Shopee has: a tracking number, which says nothing about the order's own clock. Without one
    /// a notice, which is only announced.
    async fn made_of_shopee(&self, config: &Config, order_sn: Option<&str>) -> Result<Made, OperationError> {
        let now = self.clock.now().timestamp();
        let filter = OrderFilter {
            order_sn: order_sn.map(str::to_owned),
            platform: Some(PLATFORM.to_owned()),
            ..OrderFilter::default()
        };
        let known = list_orders(&self.pool, &filter, None, 1).await.map_err(|error| failed(&error))?;
        let order = known.into_iter().next();
        if let (Some(number), None) = (order_sn, &order) {
            return Err(unusable(format!("order_sn: no order {number} of Shopee is known here")));
        }
        let (code, shop_id, data) = match &order {
            Some(order) if config.routes.order_event_codes.contains(&4) => {
                let tracking = format!("TEST{:08X}", rand::random::<u32>());
                (
                    4,
                    order.shop_id.clone(),
                    json!({
                    "ordersn": order.order_sn, "package_number": tracking, "tracking_no": tracking}),
                )
            }
            _ => {
                let shop = match &order {
                    Some(order) => order.shop_id.clone(),
                    None => config
                        .shopee
                        .shops
                        .first()
                        .map_or_else(|| "0".to_owned(), |shop| shop.shop_id.to_string()),
                };
                let notice = json!({"title": "Test push of pushbox", "url": "", "update_time": now,
                    "content": "Received, verified, stored and announced."});
                (5, shop, json!({ "actions": [notice] }))
            }
        };
        let shop_id: i64 = shop_id.parse().unwrap_or_default();
        let body = json!({"msg_id": Uuid::new_v4().simple().to_string(), "data": data, "shop_id": shop_id,
            "code": code, "timestamp": now});
        let headers: BTreeMap<_, _> = [("content-type".to_owned(), "application/json".to_owned())].into();
        let push = PlatformPush { headers, body: body.to_string().into_bytes() };
        Ok(Made {
            push,
            code: code.to_string(),
            order_sn: order.filter(|_| code == 4).map(|order| order.order_sn),
        })
    }

    /// The receiver of this process; without one the callback URL, which also tries the way from outside.
    fn receiver_url(&self, config: &Config, source: &Source) -> Result<Url, OperationError> {
        if let Some(mut address) = self.receiver.get().copied() {
            if address.ip().is_unspecified() {
                address.set_ip(match address {
                    SocketAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
                    SocketAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
                });
            }
            let url = format!("http://{address}/webhook/{}", source.name).parse();
            return url.map_err(|_| unusable("source: its name makes no address"));
        }
        let url = source.url.as_deref().or(config.shopee.callback_url.as_deref());
        url.and_then(|url| url.parse().ok()).ok_or_else(|| {
            unusable("this process does not receive pushes (role receiver), and the source has no URL")
        })
    }
}

/// An order that nobody placed. Its number is always the same, so that there is one row of it at most.
fn test_order(now: DateTime<Utc>) -> Order {
    let now = now.trunc_subsecs(0);
    let reference =
        OrderRef { platform: "pushbox".to_owned(), shop_id: "test".to_owned(), order_sn: "TEST".to_owned() };
    Order {
        reference,
        status: "TEST".to_owned(),
        currency: "USD".to_owned(),
        region: String::new(),
        create_time: now,
        update_time: now,
        pay_time: None,
        ship_by: None,
        total_amount: Some(Decimal::ONE),
        buyer_username: None,
        payment_method: None,
        cod: false,
        shipping_carrier: None,
        packages: Vec::new(),
        recipient: None,
        message_to_seller: None,
        note: Some("A test row of pushbox: delete it when you have seen it.".to_owned()),
        cancel_by: None,
        cancel_reason: None,
        items: vec![OrderItem {
            line_no: 0,
            item_id: 0,
            model_id: 0,
            sku: "TEST".to_owned(),
            name: "Test item".to_owned(),
            variation: String::new(),
            quantity: 1,
            unit_price: Decimal::ONE,
        }],
        snapshot: json!({}),
    }
}
