//! The servers from outside, over HTTP, and with the libraries that pushbox uses.

use std::sync::Mutex;

use axum::body::Bytes;
use axum::http::HeaderMap;
use axum::routing::post;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE;
use ring::rand::SystemRandom;
use ring::signature::{RSA_PKCS1_SHA256, RsaKeyPair};
use serde_json::{Value, json};

use super::google::token::CLIENT_EMAIL;
use super::shopee::sign_call;
use super::state::telegram::Rights;
use super::traffic::{Expectation, Progress, Traffic, TrafficOptions, scenario};
use super::*;

const PARTNER: i64 = 2_000_001;
const SHOP: i64 = 10_000_001;
const BOT: &str = "4242:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
const CHAT: i64 = -1_001_234;
const SPREADSHEET: &str = "sheet-1";

struct World {
    sim: Simulator,
    http: reqwest::Client,
    tokens: TokenPair,
}

async fn world_with(options: SimulatorOptions) -> World {
    let sim = Simulator::start(options).await.unwrap();
    sim.add_app(PARTNER, "partner key", "push key", "https://hooks.example.com/shopee");
    let tokens = sim.add_shop(PARTNER, SHOP, "SG");
    sim.add_bot(BOT, "pushbox_bot");
    sim.add_forum(CHAT, "Orders");
    sim.add_spreadsheet(SPREADSHEET, "Orders");
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    World { sim, http, tokens }
}

async fn world() -> World {
    world_with(SimulatorOptions::default()).await
}

impl World {
    fn now(&self) -> i64 {
        self.sim.shared().now_ms() / 1000
    }

    fn signed(&self, path: &str, token: Option<&str>, query: &str) -> String {
        let now = self.now();
        let sign = sign_call("partner key", PARTNER, path, now, token.map(|token| (token, SHOP)));
        let shop = token.map_or(String::new(), |token| format!("&access_token={token}&shop_id={SHOP}"));
        let root = self.sim.shopee_url();
        format!("{root}{}?partner_id={PARTNER}&timestamp={now}&sign={sign}{shop}&{query}", &path[1..])
    }

    async fn get(&self, url: &str) -> Value {
        self.http.get(url).send().await.unwrap().json().await.unwrap()
    }

    async fn shop_get(&self, path: &str, query: &str) -> Value {
        self.get(&self.signed(path, Some(&self.tokens.access_token), query)).await
    }

    async fn public_post(&self, path: &str, body: Value) -> Value {
        let url = self.signed(path, None, "");
        self.http.post(url).json(&body).send().await.unwrap().json().await.unwrap()
    }

    async fn refresh(&self, token: &str) -> Value {
        let body = json!({"refresh_token": token, "partner_id": PARTNER, "shop_id": SHOP});
        self.public_post("/api/v2/auth/access_token/get", body).await
    }

    async fn telegram(&self, method: &str, body: Value) -> (u16, Value) {
        let url = format!("{}bot{BOT}/{method}", self.sim.telegram_url());
        let answer = self.http.post(url).json(&body).send().await.unwrap();
        (answer.status().as_u16(), answer.json().await.unwrap())
    }

    async fn google_token(&self, change: impl FnOnce(&mut Value)) -> Result<String, Value> {
        let root = self.sim.google_url();
        let now = self.now();
        let mut claims = json!({"iss": CLIENT_EMAIL, "aud": format!("{root}token"), "iat": now,
            "exp": now + 3595, "scope": "https://www.googleapis.com/auth/spreadsheets", "sub": null});
        change(&mut claims);
        let key: Value = serde_json::from_str(&self.sim.google_credentials_json()).unwrap();
        let pem: String =
            key["private_key"].as_str().unwrap().lines().filter(|line| !line.starts_with('-')).collect();
        let der = base64::engine::general_purpose::STANDARD.decode(pem).unwrap();
        let pair = RsaKeyPair::from_pkcs8(&der).unwrap();
        let mut assertion = URL_SAFE.encode(r#"{"alg":"RS256","typ":"JWT"}"#);
        assertion = format!("{assertion}.{}", URL_SAFE.encode(claims.to_string()));
        let mut signature = vec![0; pair.public().modulus_len()];
        pair.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), assertion.as_bytes(), &mut signature).unwrap();
        let assertion = format!("{assertion}.{}", URL_SAFE.encode(signature));
        let form = [("grant_type", "urn:ietf:params:oauth:grant-type:jwt-bearer"), ("assertion", &assertion)];
        let answer = self.http.post(format!("{root}token")).form(&form).send().await.unwrap();
        let answer: Value = answer.json().await.unwrap();
        answer["access_token"].as_str().map(str::to_owned).ok_or(answer)
    }

    async fn google(&self, token: &str, path: &str, body: Option<Value>) -> (u16, Value) {
        let url = format!("{}v4/spreadsheets/{path}", self.sim.google_url());
        let request = match body {
            Some(body) => self.http.post(url).json(&body),
            None => self.http.get(url),
        };
        let answer = request.bearer_auth(token).send().await.unwrap();
        (answer.status().as_u16(), answer.json().await.unwrap())
    }

    fn put_orders(&self, count: i64) {
        for at in 0..count {
            let detail = json!({"order_sn": format!("SN{at:03}"), "order_status": "UNPAID", "region": "SG",
                "currency": "SGD", "create_time": 1_000, "update_time": 1_000 + at, "item_list": [],
                "total_amount": 12.5});
            let Value::Object(detail) = detail else { panic!() };
            self.sim.put_order(SHOP, detail, json!({"order_sn": format!("SN{at:03}")}));
        }
    }
}

#[tokio::test]
async fn shopee_checks_signature_clock_and_token() {
    let world = world().await;
    world.put_orders(1);
    let path = "/api/v2/order/get_order_detail";
    let right = world.signed(path, Some(&world.tokens.access_token), "order_sn_list=SN000");
    let answer = world.get(&right).await;
    assert_eq!(answer["error"], "");
    let order = &answer["response"]["order_list"][0];
    assert_eq!(order["order_sn"], "SN000");
    assert!(order.get("total_amount").is_none(), "not asked, not returned");

    let wrong = async |url: String| world.get(&url).await["error"].as_str().unwrap().to_owned();
    assert_eq!(wrong(right.replace("&sign=", "&sign=0")).await, "error_sign");
    assert_eq!(wrong(right.replace("&timestamp=", "&timestamp=9")).await, "error_param");
    assert_eq!(wrong(right.replace("access_token=", "other=")).await, "error_param");
    assert_eq!(wrong(right.replace("partner_id=2", "partner_id=3")).await, "invalid_partner_id");
    let other_token = world.signed(path, Some("guess"), "order_sn_list=SN000");
    assert_eq!(wrong(other_token).await, "invalid_acceess_token");
    let public = world.signed("/api/v2/public/get_shops_by_partner", None, "page_size=10&page_no=1");
    assert_eq!(world.get(&public).await["authed_shop_list"][0]["shop_id"], SHOP);
    assert!(world.sim.unknown_calls().is_empty());
    world.get(&world.signed("/api/v2/order/cancel_everything", None, "")).await;
    assert_eq!(world.sim.unknown_calls().len(), 1);
}

#[tokio::test]
async fn a_refresh_token_works_once_and_the_old_access_token_five_minutes() {
    let world = world().await;
    let next = world.refresh(&world.tokens.refresh_token).await;
    assert_eq!(next["error"], "");
    assert_eq!(next["expire_in"], 14_400);
    let spent = world.refresh(&world.tokens.refresh_token).await;
    assert_eq!(
        (spent["error"].as_str(), spent["message"].as_str()),
        (Some("error_auth"), Some("Invalid refresh_token."))
    );
    let path = "/api/v2/shop/get_shop_info";
    assert_eq!(world.shop_get(path, "").await["region"], "SG");
    world.sim.advance(Duration::from_secs(301));
    assert_eq!(world.shop_get(path, "").await["error"], "invalid_acceess_token");
    let new = world.signed(path, next["access_token"].as_str(), "");
    assert_eq!(world.get(&new).await["error"], "");
    let code = world.sim.issue_code(PARTNER, SHOP);
    let body = json!({"code": code, "partner_id": PARTNER, "shop_id": SHOP});
    assert_eq!(world.public_post("/api/v2/auth/token/get", body.clone()).await["error"], "");
    assert_eq!(world.public_post("/api/v2/auth/token/get", body).await["error"], "invalid_code");
}

#[tokio::test]
async fn a_spent_refresh_token_is_honoured_where_the_world_says_so() {
    let world = world_with(SimulatorOptions { refresh_grace: true, ..SimulatorOptions::default() }).await;
    let first = world.refresh(&world.tokens.refresh_token).await;
    let again = world.refresh(&world.tokens.refresh_token).await;
    assert_eq!(first["refresh_token"], again["refresh_token"]);
    world.refresh(first["refresh_token"].as_str().unwrap()).await;
    assert_eq!(world.refresh(&world.tokens.refresh_token).await["error"], "error_auth");
}

#[tokio::test]
async fn orders_are_listed_in_pages_and_windows() {
    let world = world().await;
    world.put_orders(25);
    let (mut cursor, mut seen) = (String::new(), Vec::new());
    loop {
        let query =
            format!("time_range_field=update_time&time_from=1000&time_to=1019&page_size=8&cursor={cursor}");
        let answer = world.shop_get("/api/v2/order/get_order_list", &query).await;
        let list = answer["response"]["order_list"].as_array().unwrap();
        seen.extend(list.iter().map(|one| one["order_sn"].as_str().unwrap().to_owned()));
        cursor = answer["response"]["next_cursor"].as_str().unwrap().to_owned();
        if answer["response"]["more"] == false {
            break;
        }
    }
    assert_eq!(seen.len(), 20);
    let wide = "time_range_field=update_time&time_from=0&time_to=1296001&page_size=8";
    let answer = world.shop_get("/api/v2/order/get_order_list", wide).await;
    assert_eq!(answer["error"], "order.order_list_invalid_time");
    let query = "order_sn_list=SN001,NONE&response_optional_fields=item_list,total_amount";
    let answer = world.shop_get("/api/v2/order/get_order_detail", query).await;
    assert_eq!(answer["response"]["order_list"][0]["total_amount"], 12.5);
    assert!(answer["warning"][0].as_str().unwrap().contains("NONE"));
    let answer = world.shop_get("/api/v2/order/get_order_detail", "order_sn_list=NONE").await;
    assert_eq!(answer["error"], "error_not_found");
    let url = world.signed("/api/v2/payment/get_escrow_detail_batch", Some(&world.tokens.access_token), "");
    let body = json!({"order_sn_list": ["SN000", "NONE", "SN002"]});
    let answer: Value = world.http.post(url).json(&body).send().await.unwrap().json().await.unwrap();
    assert_eq!(answer["response"].as_array().unwrap().len(), 2);
    assert_eq!(answer["response"][1]["escrow_detail"]["order_sn"], "SN002");
}

#[tokio::test]
async fn lost_pushes_come_a_page_at_a_time_until_confirmed() {
    let world = world().await;
    for at in 0..130 {
        world.sim.lose_push(PARTNER, Some(SHOP), 3, &format!(r#"{{"code":3,"n":{at}}}"#));
    }
    let url = || world.signed("/api/v2/push/get_lost_push_message", None, "");
    let page = world.get(&url()).await["response"].clone();
    assert_eq!(page["push_message_list"].as_array().unwrap().len(), 100);
    assert_eq!(page["has_next_page"], true);
    assert_eq!(page, world.get(&url()).await["response"], "unconfirmed pages stay");
    let confirm = json!({"last_message_id": page["last_message_id"]});
    let path = "/api/v2/push/confirm_consumed_lost_push_message";
    assert_eq!(world.public_post(path, confirm).await["error"], "");
    let page = world.get(&url()).await["response"].clone();
    assert_eq!(page["push_message_list"][0]["data"], r#"{"code":3,"n":100}"#);
    assert_eq!(
        (page["push_message_list"].as_array().unwrap().len(), &page["has_next_page"]),
        (30, &json!(false))
    );
}

#[tokio::test]
async fn telegram_keeps_its_rules() {
    let world = world().await;
    let (_, topic) =
        world.telegram("CreateForumTopic", json!({"chat_id": CHAT, "name": "Order status"})).await;
    let thread = topic["result"]["message_thread_id"].as_i64().unwrap();
    let text = "<b>A</b> &lt;x&gt;";
    let send = |thread: Value, text: &str| json!({"chat_id": CHAT, "message_thread_id": thread, "text": text, "parse_mode": "HTML"});
    let (status, first) = world.telegram("sendMessage", send(json!(thread), text)).await;
    assert_eq!((status, &first["result"]["message_thread_id"]), (200, &json!(thread)));
    assert_eq!(world.sim.messages_in_topic(CHAT, "Order status")[0].text, "A <x>");

    let refused = async |body: Value| world.telegram("sendMessage", body).await.1["description"].clone();
    let says = |text: &str| json!(format!("Bad Request: {text}"));
    assert_eq!(refused(send(json!(999), text)).await, says("message thread not found"));
    assert_eq!(refused(send(json!(1), text)).await, says("message thread not found"));
    assert_eq!(
        refused(send(json!(thread), "1 <2>")).await,
        says("can't parse entities: Unsupported start tag \"2\" at byte offset 2")
    );
    assert_eq!(refused(send(json!(thread), &"x".repeat(4097))).await, says("message is too long"));
    assert_eq!(refused(send(json!(thread), &"\u{1F600}".repeat(4097))).await, says("message is too long"));
    world.sim.set_topic_closed(CHAT, "Order status", true);
    assert_eq!(refused(send(json!(thread), text)).await, says("TOPIC_CLOSED"));
    let edit = json!({"chat_id": CHAT, "message_id": first["result"]["message_id"], "text": text, "parse_mode": "HTML"});
    let (_, same) = world.telegram("editMessageText", edit).await;
    assert!(same["description"].as_str().unwrap().starts_with("Bad Request: message is not modified"));
    assert!(same.get("parameters").is_none());
    world.sim.set_rights(CHAT, Rights { can_manage_topics: false, ..Rights::FULL });
    let (_, answer) = world.telegram("createForumTopic", json!({"chat_id": CHAT, "name": "x"})).await;
    assert_eq!(answer["description"], "Bad Request: not enough rights to create a topic");
    assert_eq!(world.telegram("sendRocket", json!({})).await.0, 404);
    assert_eq!(world.sim.unknown_calls(), ["telegram sendrocket"]);
}

#[tokio::test]
async fn telegram_slows_a_burst_down() {
    let world = world().await;
    world.sim.add_group(-7, "Plain");
    let mut last = (0, Value::Null, None);
    for _ in 0..5 {
        let url = format!("{}bot{BOT}/sendMessage", world.sim.telegram_url());
        let body = json!({"chat_id": -7, "text": "hello"});
        let answer = world.http.post(url).json(&body).send().await.unwrap();
        let header = answer.headers().get("retry-after").cloned();
        last = (answer.status().as_u16(), answer.json().await.unwrap(), header);
    }
    assert_eq!(last.0, 429);
    assert_eq!(last.1["parameters"]["retry_after"], 1);
    assert_eq!(last.2.unwrap(), "1");
    assert_eq!(world.sim.messages(-7).len(), 4);
}

#[tokio::test]
async fn google_checks_the_assertion() {
    let world = world().await;
    world.google_token(|_| ()).await.unwrap();
    let audience =
        world.google_token(|claims| claims["aud"] = "https://oauth2.googleapis.com/token".into()).await;
    assert_eq!(audience.unwrap_err()["error"], "invalid_grant");
    let late = world.google_token(|claims| claims["exp"] = 1.into()).await;
    assert_eq!(late.unwrap_err()["error"], "invalid_grant");
    let scope = world.google_token(|claims| {
        claims["scope"] = "https://www.googleapis.com/auth/spreadsheets.readonly".into();
    });
    let reader = scope.await.unwrap();
    assert_eq!(world.google(&reader, SPREADSHEET, None).await.0, 200);
    let batch = format!("{SPREADSHEET}:batchUpdate");
    assert_eq!(world.google(&reader, &batch, Some(json!({"requests": []}))).await.0, 403);
    assert_eq!(world.google("guess", SPREADSHEET, None).await.0, 401);
}

#[tokio::test]
async fn a_batch_changes_the_grid_wholly_or_not_at_all() {
    let world = world().await;
    let token = world.google_token(|_| ()).await.unwrap();
    let batch = format!("{SPREADSHEET}:batchUpdate");
    let text = |text: &str| json!({"userEnteredValue": {"stringValue": text}});
    let requests = json!({"requests": [
        {"addSheet": {"properties": {"title": "Orders", "gridProperties": {"rowCount": 2, "columnCount": 3}}}},
    ]});
    let (_, added) = world.google(&token, &batch, Some(requests)).await;
    let id = added["replies"][0]["addSheet"]["properties"]["sheetId"].clone();
    let date = json!({"userEnteredValue": {"numberValue": 45658.5},
        "userEnteredFormat": {"numberFormat": {"type": "DATE_TIME", "pattern": "yyyy-mm-dd hh:mm"}}});
    let requests = json!({"requests": [
        {"updateCells": {"start": {"sheetId": id, "rowIndex": 0, "columnIndex": 0}, "fields": "userEnteredValue",
            "rows": [{"values": [text("sn"), text("time"), text("note")]}]}},
        {"appendCells": {"sheetId": id, "fields": "userEnteredValue,userEnteredFormat.numberFormat", "rows": [
            {"values": [text("A1"), date.clone(), text("=1+1")]}, {"values": [text("A2"), date, {}]}]}},
    ]});
    assert_eq!(world.google(&token, &batch, Some(requests)).await.0, 200);
    let rows = world.sim.sheet_rows(SPREADSHEET, "Orders");
    assert_eq!(rows.len(), 2);
    assert_eq!((rows[0]["time"].as_str(), rows[0]["note"].as_str()), ("2025-01-01 12:00", "=1+1"));

    let before = world.sim.sheet(SPREADSHEET, "Orders");
    let requests = json!({"requests": [
        {"updateCells": {"start": {"sheetId": id, "rowIndex": 1}, "fields": "userEnteredValue", "rows": [{"values": [{}]}]}},
        {"appendCells": {"sheetId": id, "fields": "userEnteredValue", "rows": [{"values": [{}, {}, {}, text("D")]}]}},
    ]});
    let (status, answer) = world.google(&token, &batch, Some(requests)).await;
    assert_eq!(
        (status, answer["error"]["message"].as_str().unwrap()),
        (
            400,
            "Invalid requests[1].appendCells: Attempting to write column: 3, beyond the last requested column of: 2"
        )
    );
    assert_eq!(world.sim.sheet(SPREADSHEET, "Orders"), before);

    let query = "values:batchGet?ranges='Orders'!1:1&ranges='Orders'!A2:A&majorDimension=COLUMNS&valueRenderOption=UNFORMATTED_VALUE";
    let (_, values) = world.google(&token, &format!("{SPREADSHEET}/{query}"), None).await;
    assert_eq!(values["valueRanges"][0]["values"], json!([["sn"], ["time"], ["note"]]));
    assert_eq!(values["valueRanges"][1]["values"], json!([["A1", "A2"]]));
    let (status, _) = world.google(&token, &format!("{SPREADSHEET}/values/Orders!A9"), None).await;
    assert_eq!(status, 400, "beyond the grid");
    let (_, meta) = world
        .google(
            &token,
            &format!("{SPREADSHEET}?fields=properties(locale,timeZone),sheets.properties(sheetId,title)"),
            None,
        )
        .await;
    assert_eq!(meta["sheets"][1], json!({"properties": {"sheetId": id, "title": "Orders"}}));
    let (status, _) = world.google(&token, &batch, Some(json!({"requests": [{"paintRainbow": {}}]}))).await;
    assert_eq!((status, world.sim.unknown_calls().len()), (400, 1));
    assert_eq!(world.google(&token, "none", None).await.0, 404);
    world.sim.unshare_spreadsheet(SPREADSHEET);
    assert_eq!(world.google(&token, SPREADSHEET, None).await.0, 403);
}

#[tokio::test]
async fn google_counts_reads_and_writes() {
    let world = world().await;
    let token = world.google_token(|_| ()).await.unwrap();
    // A full minute may begin in between, once.
    let mut answers = Vec::new();
    for _ in 0..121 {
        answers.push(world.google(&token, SPREADSHEET, None).await.0);
    }
    assert!(answers[..60].iter().all(|status| *status == 200));
    assert!(answers.contains(&429));
    world.sim.advance(Duration::from_mins(1));
    assert_eq!(world.google(&token, SPREADSHEET, None).await.0, 200);
}

#[tokio::test]
async fn a_journal_brings_the_same_world_back() {
    let folder = tempfile::tempdir().unwrap();
    let journal = folder.path().join("journal.jsonl");
    let options = SimulatorOptions { journal: Some(journal.clone()), ..SimulatorOptions::default() };
    let world = world_with(options.clone()).await;
    world.put_orders(2);
    world.refresh(&world.tokens.refresh_token).await;
    world.telegram("createForumTopic", json!({"chat_id": CHAT, "name": "T"})).await;
    world.telegram("sendMessage", json!({"chat_id": CHAT, "text": "x"})).await;
    let token = world.google_token(|_| ()).await.unwrap();
    let requests = json!({"requests": [{"addSheet": {"properties": {"title": "Orders"}}},
        {"appendCells": {"sheetId": 0, "fields": "*", "rows": [{"values": [
            {"userEnteredValue": {"numberValue": 46_347.123_456_789_01}}]}]}}]});
    world.google(&token, &format!("{SPREADSHEET}:batchUpdate"), Some(requests)).await;
    world.google(&token, "none", None).await;
    let before = world.sim.read(Clone::clone);
    world.sim.clone().shutdown().await;

    let mut torn = std::fs::read(&journal).unwrap();
    torn.extend_from_slice(b"{\"telegram\":{\"mess");
    std::fs::write(&journal, torn).unwrap();
    let again = Simulator::start(options).await.unwrap();
    assert!(again.read(Clone::clone) == before, "the replayed world differs");
    assert!(std::fs::read(&journal).unwrap().ends_with(b"\n"));
    again.add_bot("1:x", "other");
    assert!(std::fs::read_to_string(&journal).unwrap().lines().last().unwrap().contains("bot_added"));
}

#[tokio::test]
async fn faults_strike_before_or_after_and_are_counted() {
    let world = world().await;
    let message = || json!({"chat_id": CHAT, "text": "x"});
    let url = format!("{}bot{BOT}/sendMessage", world.sim.telegram_url());
    world.sim.script(Fault::once(Service::Telegram, "sendMessage", Action::RetryAfter(3)).skip(1));
    assert_eq!(world.telegram("sendMessage", message()).await.0, 200);
    assert_eq!(world.telegram("sendMessage", message()).await.1["parameters"]["retry_after"], 3);
    assert_eq!(world.sim.messages(CHAT).len(), 1);
    world.sim.script(Fault::once(Service::Telegram, "sendMessage", Action::Cut).after());
    let answer = world.http.post(&url).json(&message()).send().await;
    let body = match answer {
        Ok(answer) => answer.bytes().await.map(|_| ()),
        Err(error) => Err(error),
    };
    assert!(body.is_err(), "the connection is cut");
    assert_eq!(world.sim.messages(CHAT).len(), 2, "but the message is there");
    let error = Action::ShopeeError { error: "error_server".to_owned(), message: "later".to_owned() };
    world.sim.script(Fault::once(Service::Shopee, "get_shop_info", error).times(2));
    for expected in ["error_server", "error_server", ""] {
        assert_eq!(world.shop_get("/api/v2/shop/get_shop_info", "").await["error"], expected);
    }
    assert!(world.sim.faults_waiting().is_empty());
    assert_eq!(world.sim.faults_fired()["telegram sendmessage: cut (after)"], 1);
    assert_eq!(world.sim.faults_fired()["shopee GET /api/v2/shop/get_shop_info: error_server (before)"], 2);
}

/// A receiver that checks signatures and keeps what it accepted.
async fn receiver(accepted: &Arc<Mutex<Vec<String>>>) -> Url {
    let accepted = Arc::clone(accepted);
    let handler = move |headers: HeaderMap, body: Bytes| async move {
        let callback = "https://hooks.example.com/shopee";
        let right = shopee::push::sign_push("push key", callback, &body);
        if headers["authorization"] != right.as_str() {
            return axum::http::StatusCode::UNAUTHORIZED;
        }
        let mut accepted = accepted.lock().unwrap();
        accepted.push(String::from_utf8(body.to_vec()).unwrap());
        // Every tenth time it is "down" once: the platform comes again.
        if accepted.len() % 10 == 9 {
            accepted.pop();
            accepted.insert(0, String::new());
            return axum::http::StatusCode::SERVICE_UNAVAILABLE;
        }
        axum::http::StatusCode::OK
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = base_url(listener.local_addr().unwrap());
    let router = Router::new().fallback(post(handler));
    tokio::spawn(async move { axum::serve(listener, router).await });
    url
}

#[tokio::test]
async fn a_plan_is_played_once_and_goes_on_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let journal = Some(folder.path().join("journal.jsonl"));
    let options = SimulatorOptions { journal, ..SimulatorOptions::default() };
    let world = world_with(options.clone()).await;
    let plan = Arc::new(scenario(11, 200, 3));
    let expected = Expectation::of(&plan);
    Traffic::install(&world.sim, &plan, PARTNER);
    let accepted = Arc::new(Mutex::new(Vec::new()));
    let traffic = TrafficOptions {
        partner_id: PARTNER,
        deliver_to: Some(receiver(&accepted).await),
        rate: 0,
        faults: FaultProfile::None,
        concurrency: 8,
    };
    let progress = Arc::new(Progress::default());
    Traffic::run(&world.sim, &plan, &traffic, &progress).await.unwrap();
    let counted = progress.snapshot();
    assert_eq!(counted.done, counted.total);
    assert_eq!(counted.accepted + counted.lost, expected.events as u64);
    assert_eq!(
        (counted.repeated, counted.forged_refused),
        (expected.repeated as u64, expected.forged as u64)
    );
    assert_eq!((counted.forged_accepted, counted.given_up), (0, 0));
    assert!(counted.retries > 0 && counted.p99 >= counted.p50);
    assert_eq!(world.sim.lost_pushes(), expected.lost);
    for (order_sn, order) in &expected.orders {
        let truth =
            world.sim.read(|world| world.shopee.shops[&order.shop_id].orders[order_sn].status().to_owned());
        assert_eq!(truth, order.status);
    }
    world.sim.clone().shutdown().await;

    let again = Simulator::start(options).await.unwrap();
    let progress = Arc::new(Progress::default());
    Traffic::run(&again, &plan, &traffic, &progress).await.unwrap();
    assert_eq!(progress.snapshot().sent, 0, "nothing is left to be sent");
    assert_eq!(progress.snapshot().accepted, counted.accepted);
}

#[tokio::test]
async fn a_callback_is_saved_only_if_it_answers_the_probe() {
    let world = world().await;
    let body = |url: &str| json!({"callback_url": url, "set_push_config_on": [3, 4]});
    let path = "/api/v2/push/set_app_push_config";
    let nobody = world.public_post(path, body("http://127.0.0.1:1/")).await;
    assert_eq!(nobody["error"], "error_param");
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = base_url(listener.local_addr().unwrap());
    let router = Router::new().fallback(post(|body: Bytes| async move {
        let probe: Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(probe["code"], 0);
    }));
    tokio::spawn(async move { axum::serve(listener, router).await });
    assert_eq!(world.public_post(path, body(url.as_str())).await["response"]["result"], "success");
    let config = world.get(&world.signed("/api/v2/push/get_app_push_config", None, "")).await;
    assert_eq!(config["response"]["callback_url"], url.as_str());
}

#[tokio::test]
async fn the_telegram_library_understands_the_answers() {
    use teloxide_core::payloads::{EditMessageTextSetters, SendMessageSetters};
    use teloxide_core::prelude::Requester;
    use teloxide_core::types::{ChatId, ParseMode};

    let world = world().await;
    let bot = teloxide_core::Bot::with_client(BOT, world.http.clone()).set_api_url(world.sim.telegram_url());
    let me = bot.get_me().await.unwrap();
    assert_eq!(me.id.0, 4242);
    assert!(bot.get_chat(ChatId(CHAT)).await.unwrap().is_supergroup());
    let member = bot.get_chat_member(ChatId(CHAT), me.id).await.unwrap();
    assert!(member.is_administrator());
    let topic = bot.create_forum_topic(ChatId(CHAT), "Returns").await.unwrap();
    let text = "<b>R</b>";
    let request = bot.send_message(ChatId(CHAT), text).message_thread_id(topic.thread_id);
    let sent = request.parse_mode(ParseMode::Html).await.unwrap();
    assert_eq!(sent.thread_id, Some(topic.thread_id));
    let edited = bot.edit_message_text(ChatId(CHAT), sent.id, "<i>S</i>").parse_mode(ParseMode::Html).await;
    assert_eq!(edited.unwrap().text(), Some("S"));
    bot.close_forum_topic(ChatId(CHAT), topic.thread_id).await.unwrap();
    let closed = bot.send_message(ChatId(CHAT), "x").message_thread_id(topic.thread_id).await;
    assert!(closed.unwrap_err().to_string().contains("TOPIC_CLOSED"));
    world.sim.script(Fault::once(Service::Telegram, "", Action::RetryAfter(2)));
    let limited = bot.send_message(ChatId(CHAT), "x").await.unwrap_err();
    assert!(matches!(limited, teloxide_core::RequestError::RetryAfter(wait) if wait.seconds() == 2));
    world.sim.add_chat(-5, state::telegram::ChatKind::Group, "Old", false);
    world.sim.migrate_chat(-5, CHAT);
    let moved = bot.send_message(ChatId(-5), "x").await.unwrap_err();
    assert!(matches!(moved, teloxide_core::RequestError::MigrateToChatId(id) if id == ChatId(CHAT)));
    assert!(world.sim.unknown_calls().is_empty());
}

#[tokio::test]
async fn the_google_library_understands_the_answers() {
    use google_sheets4::api::{AddSheetRequest, BatchUpdateSpreadsheetRequest, Request, SheetProperties};

    let world = world().await;
    let connector = hyper_rustls::HttpsConnectorBuilder::new()
        .with_provider_and_webpki_roots(rustls::crypto::ring::default_provider())
        .unwrap()
        .https_or_http()
        .enable_http1()
        .build();
    let executor = hyper_util::rt::TokioExecutor::new;
    let for_tokens = hyper_util::client::legacy::Client::builder(executor()).build(connector.clone());
    let key = yup_oauth2::parse_service_account_key(world.sim.google_credentials_json()).unwrap();
    let authenticator = yup_oauth2::ServiceAccountAuthenticator::with_client(
        key,
        yup_oauth2::CustomHyperClientBuilder::from(for_tokens),
    );
    let authenticator = authenticator.build().await.unwrap();
    let client = hyper_util::client::legacy::Client::builder(executor()).build(connector);
    let mut hub = google_sheets4::Sheets::new(client, authenticator);
    hub.base_url(world.sim.google_url().into());
    hub.root_url(world.sim.google_url().into());
    let properties = SheetProperties { title: Some("Orders #1".to_owned()), ..SheetProperties::default() };
    let add = AddSheetRequest { properties: Some(properties) };
    let requests = vec![Request { add_sheet: Some(add), ..Request::default() }];
    let batch = BatchUpdateSpreadsheetRequest { requests: Some(requests), ..Default::default() };
    let scope = google_sheets4::api::Scope::Spreadsheet;
    let call = hub.spreadsheets().batch_update(batch.clone(), SPREADSHEET).add_scope(scope);
    let (_, done) = call.doit().await.unwrap();
    let reply = done.replies.unwrap().remove(0).add_sheet.unwrap().properties.unwrap();
    assert_eq!(reply.title.as_deref(), Some("Orders #1"));
    let again = hub.spreadsheets().batch_update(batch, SPREADSHEET).add_scope(scope).doit().await;
    let google_sheets4::Error::BadRequest(error) = again.unwrap_err() else {
        panic!("not an answer of the API")
    };
    assert!(
        error["error"]["message"]
            .as_str()
            .unwrap()
            .contains("A sheet with the name \"Orders #1\" already exists")
    );
    let get =
        hub.spreadsheets().values_batch_get(SPREADSHEET).add_ranges("'Orders #1'!A1:C").add_scope(scope);
    assert!(get.doit().await.unwrap().1.value_ranges.unwrap()[0].values.is_none());
    assert!(world.sim.unknown_calls().is_empty());
}
