//! The API of a shop system of the web, as Shoplazza's and Shopery's are documented: subscriptions and orders. Refuses
//! what they refuse: a wrong token, a topic without its scope.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Context as _;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::routing::{delete, get, post};
use axum::{Json, Router};
use chrono::{DateTime, Utc};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use url::Url;

use super::platforms::{PlatformPush, Signer, prove};

/// Shoplazza tries so often, over two days, and then deletes the subscription.
const ATTEMPTS: usize = 19;

/// What the shop holds.
#[derive(Debug, Default)]
pub struct ShopWorld {
    /// Subscriptions, as topic and address.
    pub subscriptions: Vec<(String, String)>,
    /// Orders, as they are listed.
    pub orders: Vec<Value>,
    /// Topics that the app holds no scope for.
    pub refused_topics: Vec<String>,
    /// The next calls are answered with this status.
    pub broken: Option<u16>,
    /// Calls so far.
    pub calls: usize,
    /// The next calls find the budget used up.
    pub exhausted: usize,
    /// Where the addresses of subscriptions really are; who is not here does not answer.
    pub places: BTreeMap<String, Url>,
}

/// A running shop.
#[derive(Debug, Clone)]
pub struct Shop {
    /// Where its API is.
    pub url: Url,
    token: String,
    world: Arc<Mutex<ShopWorld>>,
}

type Answer = (StatusCode, Json<Value>);

#[derive(Deserialize)]
struct Listing {
    updated_at_min: Option<DateTime<Utc>>,
    updated_at_max: Option<DateTime<Utc>>,
    page_size: Option<usize>,
    cursor: Option<String>,
}

impl Shop {
    /// Listens on a free port of this machine.
    ///
    /// # Errors
    /// When there is none.
    pub async fn start(token: &str) -> anyhow::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.context("listening")?;
        let url = format!("http://{}/", listener.local_addr()?).parse()?;
        let shop = Self { url, token: token.to_owned(), world: Arc::default() };
        let router = Router::new()
            .route("/openapi/{version}/webhooks", get(webhooks).post(subscribe))
            .route("/openapi/{version}/webhooks/{id}", delete(unsubscribe))
            .route("/openapi/{version}/orders", get(orders))
            .route("/company/webhooks", post(subscribe_company))
            .with_state(shop.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        Ok(shop)
    }

    /// Pushes a change to every subscriber of the topic, as often as Shoplazza does and without its pauses. One that
    /// never answered 2xx is deleted. Answers of the last attempts; none: there was no connection.
    pub async fn push(&self, secret: &str, topic: &str, id: &str, body: &Value) -> Vec<Option<u16>> {
        let headers = [
            ("x-shoplazza-topic", topic),
            ("x-shoplazza-shop-domain", "demo-a.myshoplaza.com"),
            ("x-shoplazza-api-version", "2026-01"),
            ("x-shoplazza-deduplication-id", id),
        ];
        let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let push = PlatformPush { headers, body: body.to_string().into_bytes() };
        let signer = Signer { secret, app_key: "", url: "" };
        let Some((header, proof)) = prove("shoplazza", "", signer, &push) else { return Vec::new() };
        let subscribed = self.with(|world| world.subscriptions.clone());
        let mut answers = Vec::new();
        for (_, address) in subscribed.iter().filter(|(one, _)| one == topic) {
            let mut answer = None;
            for _ in 0..ATTEMPTS {
                answer = self.post(address, &push, (&header, &proof)).await;
                if answer.is_some_and(|status| (200..300).contains(&status)) {
                    break;
                }
            }
            if !answer.is_some_and(|status| (200..300).contains(&status)) {
                self.with(|world| {
                    world.subscriptions.retain(|one| *one != (topic.to_owned(), address.clone()));
                });
            }
            answers.push(answer);
        }
        answers
    }

    async fn post(&self, address: &str, push: &PlatformPush, proof: (&str, &str)) -> Option<u16> {
        let place = self.with(|world| world.places.get(address).cloned())?;
        let client = reqwest::Client::builder().no_proxy().build().ok()?;
        let mut request = client.post(place).header(proof.0, proof.1).body(push.body.clone());
        for (name, value) in &push.headers {
            request = request.header(name, value);
        }
        Some(request.send().await.ok()?.status().as_u16())
    }

    /// Looks at the shop, or changes it.
    pub fn with<R>(&self, look: impl FnOnce(&mut ShopWorld) -> R) -> R {
        look(&mut self.world.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// None when the call may go on.
    fn refusal(&self, headers: &HeaderMap) -> Option<Answer> {
        let broken = self.with(|world| {
            world.calls += 1;
            let exhausted = (world.exhausted > 0).then_some(429);
            world.exhausted = world.exhausted.saturating_sub(1);
            world.broken.or(exhausted)
        });
        if let Some(status) = broken {
            let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
            return Some((status, Json(json!({"message": "something went wrong"}))));
        }
        let bearer = format!("Bearer {}", self.token);
        let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        let known = text("access-token") == Some(&self.token) || text("authorization") == Some(&bearer);
        (!known).then(|| (StatusCode::UNAUTHORIZED, Json(json!({"message": "invalid access token"}))))
    }

    fn add(&self, topic: &str, address: &str) -> Answer {
        if self.with(|world| world.refused_topics.iter().any(|refused| refused == topic)) {
            return (StatusCode::UNPROCESSABLE_ENTITY, Json(json!({"message": "the app lacks the scope"})));
        }
        let id = self.with(|world| {
            world.subscriptions.push((topic.to_owned(), address.to_owned()));
            world.subscriptions.len()
        });
        (StatusCode::CREATED, Json(one(id, topic, address)))
    }
}

fn one(id: usize, topic: &str, address: &str) -> Value {
    json!({"id": format!("wbh_{id}"), "topic": topic, "address": address, "format": "json"})
}

async fn webhooks(State(shop): State<Shop>, headers: HeaderMap) -> Answer {
    if let Some(refusal) = shop.refusal(&headers) {
        return refusal;
    }
    let list: Vec<Value> = shop.with(|world| {
        world
            .subscriptions
            .iter()
            .enumerate()
            .map(|(id, (topic, address))| one(id + 1, topic, address))
            .collect()
    });
    (StatusCode::OK, Json(json!({"webhooks": list, "cursor": "", "has_more": false})))
}

async fn subscribe(
    State(shop): State<Shop>,
    Path(version): Path<String>,
    headers: HeaderMap,
    Json(body): Json<Value>,
) -> Answer {
    if let Some(refusal) = shop.refusal(&headers) {
        return refusal;
    }
    let wanted = if version.as_str() < "2025" { &body } else { &body["webhook"] };
    let (Some(topic), Some(address)) = (wanted["topic"].as_str(), wanted["address"].as_str()) else {
        return (StatusCode::BAD_REQUEST, Json(json!({"message": "topic and address are needed"})));
    };
    let (status, Json(made)) = shop.add(topic, address);
    (status, Json(if status.is_success() { json!({ "webhook": made }) } else { made }))
}

async fn unsubscribe(
    State(shop): State<Shop>,
    Path((_, id)): Path<(String, String)>,
    headers: HeaderMap,
) -> Answer {
    if let Some(refusal) = shop.refusal(&headers) {
        return refusal;
    }
    let number = id.strip_prefix("wbh_").and_then(|id| id.parse::<usize>().ok());
    let gone = shop.with(|world| {
        let at = number.filter(|number| (1..=world.subscriptions.len()).contains(number))? - 1;
        Some(world.subscriptions.remove(at))
    });
    match gone {
        Some(_) => (StatusCode::OK, Json(json!({}))),
        None => (StatusCode::NOT_FOUND, Json(json!({"message": "no such webhook"}))),
    }
}

async fn subscribe_company(State(shop): State<Shop>, headers: HeaderMap, Json(body): Json<Value>) -> Answer {
    if let Some(refusal) = shop.refusal(&headers) {
        return refusal;
    }
    if !headers.contains_key("x-tenant-id") {
        return (StatusCode::BAD_REQUEST, Json(json!({"message": "X-tenant-ID is missing"})));
    }
    let (topic, url) = (body["events"][0].as_str(), body["url"].as_str());
    shop.add(topic.unwrap_or_default(), url.unwrap_or_default())
}

async fn orders(State(shop): State<Shop>, Query(listing): Query<Listing>, headers: HeaderMap) -> Answer {
    if let Some(refusal) = shop.refusal(&headers) {
        return refusal;
    }
    // Small pages, so that there are several.
    let size = listing.page_size.unwrap_or(10).min(2);
    let from: usize = listing.cursor.and_then(|cursor| cursor.parse().ok()).unwrap_or(0);
    let inside = |order: &&Value| {
        let at = order["updated_at"].as_str().and_then(|text| text.parse::<DateTime<Utc>>().ok());
        at.is_some_and(|at| {
            listing.updated_at_min.is_none_or(|min| min <= at)
                && listing.updated_at_max.is_none_or(|max| at <= max)
        })
    };
    let all: Vec<Value> = shop.with(|world| world.orders.iter().filter(inside).cloned().collect());
    let page: Vec<&Value> = all.iter().skip(from).take(size).collect();
    let more = from + page.len() < all.len();
    (
        StatusCode::OK,
        Json(json!({"orders": page, "cursor": (from + page.len()).to_string(), "has_more": more})),
    )
}
