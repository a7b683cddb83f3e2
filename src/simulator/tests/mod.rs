//! The servers from outside.

mod google;
mod play;
mod shopee;
mod telegram;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE;
use ring::rand::SystemRandom;
use ring::signature::{RSA_PKCS1_SHA256, RsaKeyPair};
use serde_json::{Value, json};

use crate::simulator::google::token::CLIENT_EMAIL;
use crate::simulator::shopee::sign_call;
use crate::simulator::{Simulator, SimulatorOptions, TokenPair};

const PARTNER: i64 = 2_000_001;
const SHOP: i64 = 10_000_001;
const BOT: &str = "4242:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
const CHAT: i64 = -1_001_234;
const SPREADSHEET: &str = "sheet-1";

/// A started simulator with one of everything.
struct Scene {
    sim: Simulator,
    http: reqwest::Client,
    tokens: TokenPair,
}

async fn world_with(options: SimulatorOptions) -> Scene {
    let sim = Simulator::start(options).await.unwrap();
    sim.add_app(PARTNER, "partner key", "push key", "https://hooks.example.com/shopee");
    let tokens = sim.add_shop(PARTNER, SHOP, "SG");
    sim.add_bot(BOT, "pushbox_bot");
    sim.add_forum(CHAT, "Orders");
    sim.add_spreadsheet(SPREADSHEET, "Orders");
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    Scene { sim, http, tokens }
}

async fn world() -> Scene {
    world_with(SimulatorOptions::default()).await
}

impl Scene {
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
