//! Setting the scene, and the questions that tests ask of it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::{Map, Value, json};

use crate::simulator::google::{render, token};
use crate::simulator::shopee::tokens;
use crate::simulator::state::forward::{ForwardChange, Post};
use crate::simulator::state::google::{GoogleChange, Sheet};
use crate::simulator::state::shopee::{
    App, AuthorizationCode, MainAccount, OrderTruth, ShopeeChange, TokenPair,
};
use crate::simulator::state::telegram::{Bot, ChatKind, Message, Rights, TelegramChange, Topic};
use crate::simulator::{Simulator, shopee};

const YEAR_SECONDS: i64 = 365 * 86_400;
const CODE_SECONDS: u32 = 600;

impl Simulator {
    /// Adds an app, or replaces its keys and callback.
    pub fn add_app(&self, partner_id: i64, partner_key: &str, push_key: &str, callback_url: &str) {
        self.change(ShopeeChange::AppPut(App {
            partner_id,
            partner_key: partner_key.to_owned(),
            push_key: push_key.to_owned(),
            callback_url: callback_url.to_owned(),
            push_on: [1, 2, 3, 4, 5, 12].into(),
            blocked_shops: BTreeSet::new(),
            live_push_status: "Normal".to_owned(),
        }));
    }

    /// Adds a shop that authorized the app for a year, and issues its tokens. A shop that is there keeps
    /// its orders, and the tokens it has if they still work.
    pub fn add_shop(&self, partner_id: i64, shop_id: i64, region: &str) -> TokenPair {
        self.shared().update(|tx| {
            if let Some(pair) = current_pair(tx, shop_id) {
                return pair;
            }
            let auth_time = tx.now();
            tx.record(ShopeeChange::ShopAdded {
                shop_id,
                partner_id,
                region: region.to_owned(),
                name: format!("Shop {shop_id}"),
                auth_time,
                expire_time: auth_time + YEAR_SECONDS,
            });
            tokens::issue(tx, shop_id, None)
        })
    }

    /// The tokens of a shop, as they are now; none if they do not work any more.
    pub fn shop_tokens(&self, shop_id: i64) -> Option<TokenPair> {
        self.shared().update(|tx| current_pair(tx, shop_id))
    }

    /// A code as the authorization page hands it out: one use, ten minutes.
    pub fn issue_code(&self, partner_id: i64, shop_id: i64) -> String {
        self.shared().update(|tx| {
            let code = tx.token(16);
            let until_ms = tx.now_ms + tx.shared.scaled_ms(CODE_SECONDS);
            let issued = AuthorizationCode { shop_id, partner_id, until_ms, main_account: None };
            tx.record(ShopeeChange::CodeIssued { code: code.clone(), issued });
            code
        })
    }

    /// The same of a main account, for shops that are there.
    pub fn issue_main_code(&self, partner_id: i64, id: i64, shops: &[i64]) -> String {
        self.shared().update(|tx| {
            let code = tx.token(16);
            let until_ms = tx.now_ms + tx.shared.scaled_ms(CODE_SECONDS);
            let main_account = Some(MainAccount { id, shops: shops.to_vec() });
            let issued = AuthorizationCode { shop_id: 0, partner_id, until_ms, main_account };
            tx.record(ShopeeChange::CodeIssued { code: code.clone(), issued });
            code
        })
    }

    /// Ends every access token of a shop; its refresh token still works.
    pub fn revoke_access(&self, shop_id: i64) {
        self.change(ShopeeChange::AccessRevoked { shop_id });
    }

    /// Ends the refresh token of a shop.
    pub fn revoke_refresh(&self, shop_id: i64) {
        self.change(ShopeeChange::RefreshRevoked { shop_id });
    }

    /// Takes the authorization of a shop back.
    pub fn unlink_shop(&self, shop_id: i64) {
        self.change(ShopeeChange::ShopUnlinked { shop_id });
    }

    /// Makes an order be as given: `detail` with every field that can be asked for, `escrow` as one answer
    /// of `get_escrow_detail`.
    pub fn put_order(&self, shop_id: i64, detail: Map<String, Value>, escrow: Value) {
        let order = OrderTruth { detail, escrow, released_at: None };
        self.change(ShopeeChange::OrderPut { shop_id, order });
    }

    /// Moves an order to a status.
    pub fn set_order_status(&self, shop_id: i64, order_sn: &str, status: &str, update_time: i64) {
        self.change(ShopeeChange::OrderMoved {
            shop_id,
            order_sn: order_sn.to_owned(),
            status: status.to_owned(),
            update_time,
            patch: Map::new(),
        });
    }

    /// Puts a push into the lost queue.
    pub fn lose_push(&self, partner_id: i64, shop_id: Option<i64>, code: i32, body: &str) {
        self.shared().update(|tx| {
            let (lost_at, body) = (tx.now(), body.to_owned());
            tx.record(ShopeeChange::PushLost { partner_id, shop_id, code, lost_at, body, action: None });
        });
    }

    /// How many pushes wait in the lost queue.
    pub fn lost_pushes(&self) -> usize {
        self.read(|world| world.shopee.lost.len())
    }

    /// The signature of a push of this app; none if there is no such app.
    pub fn sign_push(&self, partner_id: i64, body: &[u8]) -> Option<String> {
        self.read(|world| {
            let app = world.shopee.apps.get(&partner_id)?;
            Some(shopee::push::sign_push(&app.push_key, &app.callback_url, body))
        })
    }

    /// Adds a bot; its token is `<id>:<secret>`.
    pub fn add_bot(&self, token: &str, username: &str) {
        let id = token.split(':').next().and_then(|id| id.parse().ok()).unwrap_or(0);
        let bot = Bot { id, username: username.to_owned() };
        self.change(TelegramChange::BotAdded { token: token.to_owned(), bot });
    }

    /// Adds a supergroup with topics in which bots have every right they need.
    pub fn add_forum(&self, chat_id: i64, title: &str) {
        self.add_chat(chat_id, ChatKind::Supergroup, title, true);
    }

    /// Adds a supergroup without topics.
    pub fn add_group(&self, chat_id: i64, title: &str) {
        self.add_chat(chat_id, ChatKind::Supergroup, title, false);
    }

    /// Adds a channel.
    pub fn add_channel(&self, chat_id: i64, title: &str) {
        self.add_chat(chat_id, ChatKind::Channel, title, false);
    }

    /// Adds a chat of any kind.
    pub fn add_chat(&self, id: i64, kind: ChatKind, title: &str, is_forum: bool) {
        let title = title.to_owned();
        self.change(TelegramChange::ChatAdded { id, kind, title, is_forum, rights: Rights::FULL });
    }

    /// Changes what bots may do in a chat.
    pub fn set_rights(&self, chat_id: i64, rights: Rights) {
        self.change(TelegramChange::RightsChanged { chat_id, rights });
    }

    /// Deletes a topic with its messages.
    pub fn delete_topic(&self, chat_id: i64, name: &str) {
        if let Some((thread_id, _)) = self.topic(chat_id, name) {
            self.change(TelegramChange::TopicDeleted { chat_id, thread_id });
        }
    }

    /// Closes a topic or opens it again.
    pub fn set_topic_closed(&self, chat_id: i64, name: &str, closed: bool) {
        if let Some((thread_id, _)) = self.topic(chat_id, name) {
            self.change(TelegramChange::TopicClosed { chat_id, thread_id, closed });
        }
    }

    /// Turns a basic group into the supergroup `to`, which must be there.
    pub fn migrate_chat(&self, chat_id: i64, to: i64) {
        self.change(TelegramChange::ChatMigrated { chat_id, to });
    }

    /// The topic of this name that was created last.
    pub fn topic(&self, chat_id: i64, name: &str) -> Option<(i64, Topic)> {
        self.read(|world| {
            let chat = world.telegram.chats.get(&chat_id)?;
            let found = chat.topics.iter().rev().find(|(_, topic)| topic.name == name)?;
            Some((*found.0, found.1.clone()))
        })
    }

    /// The names of a chat's topics, in the order they were created.
    pub fn topic_names(&self, chat_id: i64) -> Vec<String> {
        self.read(|world| {
            let chat = world.telegram.chats.get(&chat_id);
            chat.into_iter().flat_map(|chat| chat.topics.values()).map(|topic| topic.name.clone()).collect()
        })
    }

    /// The messages in every topic of this name that were not deleted, in the order they were sent.
    pub fn messages_in_topic(&self, chat_id: i64, name: &str) -> Vec<Message> {
        self.read(|world| {
            let Some(chat) = world.telegram.chats.get(&chat_id) else { return Vec::new() };
            let inside = |message: &&Message| {
                let topic = message.thread_id.and_then(|id| chat.topics.get(&id));
                !message.deleted && topic.is_some_and(|topic| topic.name == name)
            };
            chat.messages.iter().filter(inside).cloned().collect()
        })
    }

    /// All messages of a chat that were not deleted, in the order they were sent.
    pub fn messages(&self, chat_id: i64) -> Vec<Message> {
        self.read(|world| {
            let chat = world.telegram.chats.get(&chat_id);
            let messages = chat.into_iter().flat_map(|chat| &chat.messages);
            messages.filter(|message| !message.deleted).cloned().collect()
        })
    }

    /// Adds a spreadsheet with one empty tab, shared with the service account as editor.
    pub fn add_spreadsheet(&self, id: &str, title: &str) {
        self.change(GoogleChange::SpreadsheetAdded {
            id: id.to_owned(),
            title: title.to_owned(),
            sheet_id: 0,
            time_zone: "Asia/Singapore".to_owned(),
        });
        self.share_spreadsheet(id, token::CLIENT_EMAIL, true);
    }

    /// Gives an account access to a spreadsheet, as editor or as reader.
    pub fn share_spreadsheet(&self, id: &str, email: &str, writer: bool) {
        self.change(GoogleChange::Shared { id: id.to_owned(), email: email.to_owned(), writer });
    }

    /// Takes the service account's access to a spreadsheet away.
    pub fn unshare_spreadsheet(&self, id: &str) {
        let email = token::CLIENT_EMAIL.to_owned();
        self.change(GoogleChange::Unshared { id: id.to_owned(), email });
    }

    /// Protects a tab so that only its owner may edit it.
    pub fn protect_tab(&self, id: &str, tab: &str) {
        let Some(sheet) = self.sheet(id, tab) else { return };
        let range =
            json!([{"addProtectedRange": {"protectedRange": {"range": {"sheetId": sheet.sheet_id}}}}]);
        let requests = serde_json::value::to_raw_value(&range).expect("a value of the macro is JSON");
        let (id, user) = (id.to_owned(), "owner@example.com".to_owned());
        self.change(GoogleChange::Batch { id, user, requests, salt: 0 });
    }

    /// Sets the keys that the seller's own service accepts.
    pub fn set_forward_secrets(&self, secrets: &[&str]) {
        let secrets = secrets.iter().map(|secret| (*secret).to_owned()).collect();
        self.change(ForwardChange::SecretsSet { secrets });
    }

    /// Everything the seller's own service was sent, accepted or not.
    pub fn forwarded(&self) -> Vec<Post> {
        self.read(|world| world.forward.received.clone())
    }

    /// Ends every Google token that was issued.
    pub fn revoke_google_tokens(&self) {
        self.change(GoogleChange::TokensRevoked);
    }

    /// The rows of a tab below its header, as shown, by the header's names. Rows without any value are
    /// left out; empty if there is no such tab.
    pub fn sheet_rows(&self, spreadsheet_id: &str, tab: &str) -> Vec<BTreeMap<String, String>> {
        let Some(sheet) = self.sheet(spreadsheet_id, tab) else { return Vec::new() };
        let shown = |row: usize| -> Vec<String> {
            sheet.rows.get(row).map(|row| row.iter().map(render::text).collect()).unwrap_or_default()
        };
        let header = shown(0);
        (1..sheet.used_rows())
            .map(shown)
            .filter(|row| row.iter().any(|cell| !cell.is_empty()))
            .map(|row| {
                let named =
                    header.iter().cloned().zip(row.into_iter().chain(std::iter::repeat(String::new())));
                named.filter(|(name, _)| !name.is_empty()).collect()
            })
            .collect()
    }

    /// A tab as it is; cheap: its rows are shared.
    pub fn sheet(&self, spreadsheet_id: &str, tab: &str) -> Option<Arc<Sheet>> {
        self.read(|world| {
            let spreadsheet = world.google.spreadsheets.get(spreadsheet_id)?;
            spreadsheet.sheet(tab).cloned().map(Arc::new)
        })
    }
}

/// The pair of a shop that still works.
fn current_pair(tx: &crate::simulator::shared::Tx<'_>, shop_id: i64) -> Option<TokenPair> {
    let shop = tx.shopee.shops.get(&shop_id).filter(|shop| shop.expire_time > tx.now())?;
    let refresh = shop.refresh.as_ref().filter(|refresh| tx.now_ms < refresh.until_ms)?;
    let access = shop.access.last()?;
    Some(TokenPair {
        access_token: access.token.clone(),
        refresh_token: refresh.token.clone(),
        expire_in: ((access.until_ms - tx.now_ms) / 1000).max(0),
    })
}
