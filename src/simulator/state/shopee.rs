//! Shopee's side: apps, shops with their tokens, the truth about orders, the lost queue.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// Shopee's Open Platform.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ShopeeWorld {
    /// Apps by partner id.
    pub apps: BTreeMap<i64, App>,
    /// Shops by shop id.
    pub shops: BTreeMap<i64, Shop>,
    /// Authorization codes that were not exchanged yet.
    pub codes: BTreeMap<String, AuthorizationCode>,
    /// Pushes that were given up, oldest first.
    pub lost: Vec<LostPush>,
    /// The id that the last lost push got.
    pub last_lost_id: i64,
}

/// One app of a partner.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct App {
    /// The partner id.
    pub partner_id: i64,
    /// Signs API calls.
    pub partner_key: String,
    /// Signs pushes.
    pub push_key: String,
    /// Where pushes go; empty: not configured.
    pub callback_url: String,
    /// Codes that are switched on.
    pub push_on: BTreeSet<i32>,
    /// Shops whose pushes are not sent.
    pub blocked_shops: BTreeSet<i64>,
    /// `Normal`, `Warning` or `Suspended`.
    pub live_push_status: String,
}

/// One shop that authorized an app.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Shop {
    /// The shop id.
    pub shop_id: i64,
    /// The app it authorized.
    pub partner_id: i64,
    /// Market, for example `SG`.
    pub region: String,
    /// The shop's name.
    pub name: String,
    /// Since when it is authorized, unix seconds.
    pub auth_time: i64,
    /// Until when, unix seconds.
    pub expire_time: i64,
    /// Access tokens that may still be valid, oldest first.
    pub access: Vec<Token>,
    /// The refresh token that works.
    pub refresh: Option<Token>,
    /// The refresh token spent last, and until when the platform would still honour it.
    pub spent: Option<Token>,
    /// The truth about its orders.
    pub orders: BTreeMap<String, OrderTruth>,
}

/// A secret with an end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Token {
    /// The secret.
    pub token: String,
    /// Unix milliseconds; valid before.
    pub until_ms: i64,
}

/// What the seller's browser brings back from the authorization page.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuthorizationCode {
    /// For which shop.
    pub shop_id: i64,
    /// For which app.
    pub partner_id: i64,
    /// Unix milliseconds; valid before.
    pub until_ms: i64,
    /// Who authorized, when it was a main account.
    #[serde(default)]
    pub main_account: Option<MainAccount>,
}

/// A main account with the shops that it authorizes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MainAccount {
    /// Its id.
    pub id: i64,
    /// Its shops.
    pub shops: Vec<i64>,
}

/// One order as the platform knows it now.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct OrderTruth {
    /// Every field that `get_order_detail` can return.
    pub detail: Map<String, Value>,
    /// One answer of `get_escrow_detail`.
    pub escrow: Value,
    /// When the money was released, unix seconds.
    pub released_at: Option<i64>,
}

impl OrderTruth {
    /// The order number.
    pub fn order_sn(&self) -> &str {
        self.text("order_sn")
    }

    /// The status.
    pub fn status(&self) -> &str {
        self.text("order_status")
    }

    /// A time or another integer of the detail; 0 if absent.
    pub fn integer(&self, field: &str) -> i64 {
        self.detail.get(field).and_then(Value::as_i64).unwrap_or(0)
    }

    fn text(&self, field: &str) -> &str {
        self.detail.get(field).and_then(Value::as_str).unwrap_or_default()
    }
}

/// One push in the lost queue.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LostPush {
    /// Grows with every lost push.
    pub id: i64,
    /// Whose app.
    pub partner_id: i64,
    /// The shop; none for partner-level pushes.
    pub shop_id: Option<i64>,
    /// The push code.
    pub code: i32,
    /// When it was lost, unix seconds.
    pub lost_at: i64,
    /// The whole envelope as it would have been sent.
    pub body: String,
}

/// A pair of tokens, as the platform hands it out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenPair {
    /// The access token.
    pub access_token: String,
    /// The refresh token.
    pub refresh_token: String,
    /// How long the access token lives, seconds.
    pub expire_in: i64,
}

/// Ways in which Shopee changes.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the fields are those of the types above")]
pub enum ShopeeChange {
    /// An app exists, or its keys and callback are replaced.
    AppPut(App),
    /// A shop authorized an app.
    ShopAdded {
        shop_id: i64,
        partner_id: i64,
        region: String,
        name: String,
        auth_time: i64,
        expire_time: i64,
    },
    /// A shop took its authorization back.
    ShopUnlinked { shop_id: i64 },
    /// The authorization page issued a code.
    CodeIssued { code: String, issued: AuthorizationCode },
    /// A new pair of tokens; the old access token keeps a little time.
    TokensIssued {
        shop_id: i64,
        access: Token,
        refresh: Token,
        old_access_until_ms: i64,
        spent_until_ms: i64,
        code: Option<String>,
    },
    /// Every access token of a shop ended before its time.
    AccessRevoked { shop_id: i64 },
    /// The refresh tokens of a shop ended before their time.
    RefreshRevoked { shop_id: i64 },
    /// An order is as given.
    OrderPut { shop_id: i64, order: OrderTruth },
    /// An order went to another status; `patch` replaces fields of its detail.
    OrderMoved { shop_id: i64, order_sn: String, status: String, update_time: i64, patch: Map<String, Value> },
    /// A push was given up.
    PushLost {
        partner_id: i64,
        shop_id: Option<i64>,
        code: i32,
        lost_at: i64,
        body: String,
        action: Option<u32>,
    },
    /// Lost pushes up to an id were confirmed.
    LostConfirmed { partner_id: i64, last_message_id: i64 },
    /// The push configuration changed.
    PushConfigured {
        partner_id: i64,
        callback_url: Option<String>,
        on: Vec<i32>,
        off: Vec<i32>,
        blocked_shops: Option<BTreeSet<i64>>,
    },
    /// The health of the pushes changed.
    PushStatus { partner_id: i64, status: String },
}

impl ShopeeWorld {
    pub(super) fn apply(&mut self, change: &ShopeeChange) {
        match change {
            ShopeeChange::AppPut(app) => {
                self.apps.insert(app.partner_id, app.clone());
            }
            ShopeeChange::ShopAdded { .. } => self.add_shop(change),
            ShopeeChange::ShopUnlinked { shop_id } => {
                if let Some(shop) = self.shops.get_mut(shop_id) {
                    shop.expire_time = 0;
                }
            }
            ShopeeChange::CodeIssued { code, issued } => {
                self.codes.insert(code.clone(), issued.clone());
            }
            ShopeeChange::TokensIssued { .. } => self.issue_tokens(change),
            ShopeeChange::AccessRevoked { shop_id } => {
                if let Some(shop) = self.shops.get_mut(shop_id) {
                    shop.access.clear();
                }
            }
            ShopeeChange::RefreshRevoked { shop_id } => {
                if let Some(shop) = self.shops.get_mut(shop_id) {
                    (shop.refresh, shop.spent) = (None, None);
                }
            }
            ShopeeChange::OrderPut { shop_id, order } => {
                if let Some(shop) = self.shops.get_mut(shop_id) {
                    shop.orders.insert(order.order_sn().to_owned(), order.clone());
                }
            }
            ShopeeChange::OrderMoved { .. } => self.move_order(change),
            ShopeeChange::PushLost { .. } | ShopeeChange::LostConfirmed { .. } => self.change_lost(change),
            ShopeeChange::PushConfigured { .. } | ShopeeChange::PushStatus { .. } => {
                self.configure_push(change);
            }
        }
    }

    fn add_shop(&mut self, change: &ShopeeChange) {
        let ShopeeChange::ShopAdded { shop_id, partner_id, region, name, auth_time, expire_time } = change
        else {
            return;
        };
        let shop = self.shops.entry(*shop_id).or_insert_with(|| Shop {
            shop_id: *shop_id,
            partner_id: *partner_id,
            region: region.clone(),
            name: name.clone(),
            auth_time: *auth_time,
            expire_time: *expire_time,
            access: Vec::new(),
            refresh: None,
            spent: None,
            orders: BTreeMap::new(),
        });
        (shop.auth_time, shop.expire_time) = (*auth_time, *expire_time);
    }

    fn issue_tokens(&mut self, change: &ShopeeChange) {
        let ShopeeChange::TokensIssued {
            shop_id,
            access,
            refresh,
            old_access_until_ms,
            spent_until_ms,
            code,
        } = change
        else {
            return;
        };
        if let Some(code) = code {
            self.codes.remove(code);
        }
        let Some(shop) = self.shops.get_mut(shop_id) else { return };
        // Only the newest access token keeps its grace; what was older is gone.
        shop.access = shop.access.pop().into_iter().collect();
        for old in &mut shop.access {
            old.until_ms = old.until_ms.min(*old_access_until_ms);
        }
        shop.access.push(access.clone());
        shop.spent = shop
            .refresh
            .replace(refresh.clone())
            .map(|old| Token { token: old.token, until_ms: *spent_until_ms });
    }

    fn move_order(&mut self, change: &ShopeeChange) {
        let ShopeeChange::OrderMoved { shop_id, order_sn, status, update_time, patch } = change else {
            return;
        };
        let Some(order) = self.shops.get_mut(shop_id).and_then(|shop| shop.orders.get_mut(order_sn)) else {
            return;
        };
        order.detail.extend(patch.clone());
        order.detail.insert("order_status".into(), status.clone().into());
        order.detail.insert("update_time".into(), (*update_time).into());
        if status == "COMPLETED" {
            order.released_at = Some(*update_time);
        }
    }

    fn change_lost(&mut self, change: &ShopeeChange) {
        match change {
            ShopeeChange::PushLost { partner_id, shop_id, code, lost_at, body, action: _ } => {
                self.last_lost_id += 1;
                self.lost.push(LostPush {
                    id: self.last_lost_id,
                    partner_id: *partner_id,
                    shop_id: *shop_id,
                    code: *code,
                    lost_at: *lost_at,
                    body: body.clone(),
                });
            }
            ShopeeChange::LostConfirmed { partner_id, last_message_id } => {
                self.lost.retain(|lost| lost.partner_id != *partner_id || lost.id > *last_message_id);
            }
            _ => {}
        }
    }

    fn configure_push(&mut self, change: &ShopeeChange) {
        match change {
            ShopeeChange::PushConfigured { partner_id, callback_url, on, off, blocked_shops } => {
                let Some(app) = self.apps.get_mut(partner_id) else { return };
                if let Some(url) = callback_url {
                    app.callback_url.clone_from(url);
                }
                app.push_on.extend(on);
                app.push_on.retain(|code| !off.contains(code));
                if let Some(blocked) = blocked_shops {
                    app.blocked_shops.clone_from(blocked);
                }
            }
            ShopeeChange::PushStatus { partner_id, status } => {
                if let Some(app) = self.apps.get_mut(partner_id) {
                    app.live_push_status.clone_from(status);
                }
            }
            _ => {}
        }
    }
}
