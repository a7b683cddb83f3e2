//! A whole pushbox beside a simulated world, in this process.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use pushbox::app::App;
use pushbox::config::{Config, Inputs, Roles};
use pushbox::simulator::{Simulator, SimulatorOptions};
use reqwest::{Response, StatusCode};
use serde_json::{Map, Value, json};
use sqlx::PgPool;

use super::database::{TestDatabase, database};

pub(crate) const PARTNER: i64 = 2_000_001;
pub(crate) const PUSH_KEY: &str = "push-key-of-the-tests";
pub(crate) const CALLBACK: &str = "https://hooks.example.com/webhook/shopee";
pub(crate) const SHOP: i64 = 10_000_001;
pub(crate) const CHAT: i64 = -1_001_000_000_001;
pub(crate) const SPREADSHEET: &str = "sheet-of-the-tests";
const BOT_TOKEN: &str = "123456:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

/// What a test may want different, by the name of the setting. An empty value removes the setting.
pub(crate) type Overrides<'a> = &'a [(&'a str, &'a str)];

/// Kind, state, attempt, last error, and what it waits for.
type LeftJob = (String, String, i32, Option<String>, Option<String>);

/// A running system.
pub(crate) struct TestApp {
    pub(crate) simulator: Simulator,
    pub(crate) app: App,
    pub(crate) pool: PgPool,
    http: reqwest::Client,
    database: TestDatabase,
    settings: BTreeMap<String, String>,
    toml: String,
}

impl TestApp {
    /// All roles, one shop, one forum, one spreadsheet.
    pub(crate) async fn start() -> Self {
        Self::start_with(&[]).await
    }

    pub(crate) async fn start_with(overrides: Overrides<'_>) -> Self {
        Self::start_with_toml(overrides, "").await
    }

    /// With a `pushbox.toml` as well. `{forward}` stands for the address of the seller's own service.
    pub(crate) async fn start_with_toml(overrides: Overrides<'_>, toml: &str) -> Self {
        let database = database().await;
        let url = database.url.clone();
        Self::start_on(database, &url, overrides, toml).await
    }

    /// Reaches the database by another way than the test does.
    pub(crate) async fn start_on(
        database: TestDatabase,
        url: &str,
        overrides: Overrides<'_>,
        toml: &str,
    ) -> Self {
        let simulator = simulated_world(SimulatorOptions::default()).await;
        let service = simulator.forward_url().to_string();
        let mut settings = settings(&simulator, url);
        for (name, value) in overrides {
            settings.insert((*name).to_owned(), value.replace("{forward}", &service));
        }
        settings.retain(|_, value| !value.is_empty());
        let toml = toml.replace("{forward}", &service);
        let app = start_app(&settings, &toml).await;
        let http = reqwest::Client::builder().no_proxy().build().expect("an HTTP client");
        Self { simulator, app, pool: database.pool.clone(), http, database, settings, toml }
    }

    /// Stops the app and starts another one over the same database and the same world.
    pub(crate) async fn restart(self) -> Self {
        let Self { simulator, app, pool, http, database, settings, toml } = self;
        app.stop().await;
        Self { app: start_app(&settings, &toml).await, simulator, pool, http, database, settings, toml }
    }

    /// The same with other settings.
    pub(crate) async fn restart_with(mut self, overrides: Overrides<'_>) -> Self {
        for (name, value) in overrides {
            self.settings.insert((*name).to_owned(), (*value).to_owned());
        }
        self.settings.retain(|_, value| !value.is_empty());
        self.restart().await
    }

    /// Runs a command of the program with this app's settings; what it printed, of a success.
    pub(crate) async fn command(&self, arguments: &[&str]) -> String {
        let (done, text) = self.try_command(arguments).await;
        assert!(done, "{arguments:?}: {text}");
        text
    }

    /// The same, and whether it succeeded.
    pub(crate) async fn try_command(&self, arguments: &[&str]) -> (bool, String) {
        let output = self.output(arguments).await;
        (output.status.success(), String::from_utf8(output.stdout).expect("text"))
    }

    /// The same, with everything that it said.
    pub(crate) async fn output(&self, arguments: &[&str]) -> std::process::Output {
        let directory = tempfile::tempdir().expect("an empty working directory");
        tokio::process::Command::new(env!("CARGO_BIN_EXE_pushbox"))
            .args(arguments)
            .current_dir(directory.path())
            .env_clear()
            .envs(&self.settings)
            .output()
            .await
            .expect("run pushbox")
    }

    /// A second process over the same database and the same world.
    pub(crate) async fn replica(&self) -> App {
        start_app(&self.settings, &self.toml).await
    }

    /// The settings, as another process would have them.
    pub(crate) fn settings(&self) -> &BTreeMap<String, String> {
        &self.settings
    }

    fn public(&self) -> SocketAddr {
        self.app.public_address().expect("a receiver")
    }

    /// The database, for a program beside the app.
    pub(crate) fn url(&self) -> &str {
        &self.database.url
    }

    /// A request to the webhook, to be changed and sent.
    pub(crate) fn webhook(&self) -> reqwest::RequestBuilder {
        self.http.post(format!("http://{}/webhook/shopee", self.public()))
    }

    pub(crate) fn request(&self, method: reqwest::Method, path: &str) -> reqwest::RequestBuilder {
        self.http.request(method, format!("http://{}{path}", self.public()))
    }

    /// What the admin API says; from this machine nobody needs a token.
    pub(crate) async fn admin(&self, path: &str) -> Value {
        let (status, answer) = self.api("GET", path, None).await;
        assert_eq!(status, StatusCode::OK, "{path}: {answer}");
        answer
    }

    /// Sends a body signed as Shopee signs it.
    pub(crate) async fn push_bytes(&self, body: impl Into<Vec<u8>>) -> Response {
        let body = body.into();
        let signature = self.simulator.sign_push(PARTNER, &body).expect("the app is known");
        self.webhook().header("authorization", signature).body(body).send().await.expect("an answer")
    }

    /// Sends a push and insists on the answer that Shopee wants: 200 without a body.
    pub(crate) async fn push(&self, push: &Value) {
        let answer = self.push_bytes(push.to_string()).await;
        assert_eq!(answer.status(), StatusCode::OK, "{push}");
        assert_eq!(answer.text().await.expect("a body"), "");
    }

    /// Waits until no job is ready or running.
    pub(crate) async fn drain(&self) {
        let sql = "SELECT count(*) FROM pushbox.jobs WHERE state <> 'dead'";
        let begun = Instant::now();
        while self.count(sql).await > 0 {
            if begun.elapsed() > Duration::from_secs(30) {
                let left: Vec<LeftJob> =
                    sqlx::query_as("SELECT kind, state, attempt, last_error, waiting_on FROM pushbox.jobs")
                        .fetch_all(&self.pool)
                        .await
                        .expect("jobs");
                panic!("jobs are left: {left:?}");
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    pub(crate) async fn count(&self, sql: &'static str) -> i64 {
        sqlx::query_scalar(sql).fetch_one(&self.pool).await.expect(sql)
    }

    /// Waits until a count is not 0.
    pub(crate) async fn until(&self, sql: &'static str) {
        let reached = async {
            while self.count(sql).await == 0 {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(Duration::from_mins(1), reached)
            .await
            .unwrap_or_else(|_| panic!("never: {sql}"));
    }

    /// Calls the admin API; `path` begins behind `/api/v1`.
    pub(crate) async fn api(&self, method: &str, path: &str, body: Option<&Value>) -> (StatusCode, Value) {
        let url = format!("http://{}/api/v1{path}", self.app.admin_address());
        let request = self.http.request(method.parse().expect("a method"), url);
        let request = match body {
            Some(body) => request.json(body),
            None => request,
        };
        let answer = request.send().await.expect("an answer");
        (answer.status(), answer.json().await.unwrap_or(Value::Null))
    }

    /// A page of the dashboard; from this machine nobody needs to sign in.
    pub(crate) async fn page(&self, path: &str) -> (StatusCode, String) {
        let url = format!("http://{}/dashboard{path}", self.app.admin_address());
        let answer = self.http.get(url).send().await.expect("an answer");
        (answer.status(), answer.text().await.expect("a page"))
    }

    /// Sends a form of the dashboard, and follows where it leads.
    pub(crate) async fn press(&self, path: &str, form: &[(&str, &str)]) -> (StatusCode, String) {
        let url = format!("http://{}/dashboard{path}", self.app.admin_address());
        let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
        let request = self.http.post(url).header("content-type", "application/x-www-form-urlencoded");
        let answer =
            request.header("sec-fetch-site", "same-origin").body(body).send().await.expect("an answer");
        (answer.status(), answer.text().await.expect("a page"))
    }

    /// The stream that tells an open page of changes; from this machine nobody needs to sign in.
    pub(crate) async fn live(&self) -> Response {
        let url = format!("http://{}/dashboard/live", self.app.admin_address());
        self.http.get(url).send().await.expect("a stream")
    }

    /// Runs a scheduled task by hand, as a person would, and waits for its end.
    pub(crate) async fn run_schedule(&self, name: &str) -> Value {
        let path = format!("/schedules/{name}");
        let runs = |detail: &Value| {
            let ended = |run: &&Value| !run["finished_at"].is_null() && run["asked"] == true;
            detail["runs"].as_array().into_iter().flatten().find(ended).map(|run| run["id"].clone())
        };
        let begun = Instant::now();
        let before = loop {
            let (status, before) = self.api("GET", &path, None).await;
            if status == StatusCode::OK {
                break before;
            }
            assert!(begun.elapsed() < Duration::from_secs(30), "there is no schedule {name}: {before}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        };
        let (status, answer) = self.api("POST", &format!("{path}/run"), None).await;
        assert_eq!(status, StatusCode::ACCEPTED, "{answer}");
        let begun = Instant::now();
        loop {
            let (_, now) = self.api("GET", &path, None).await;
            if runs(&now).is_some() && runs(&now) != runs(&before) {
                // The task and its runs are read one after the other: what is read now belongs together.
                return self.api("GET", &path, None).await.1;
            }
            assert!(begun.elapsed() < Duration::from_secs(30), "{name} never ran: {now}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Ends the test: nothing may be left over, and no call may have been one that the world does not know.
    pub(crate) async fn finish(self) {
        self.drain().await;
        let dead: Vec<(String, Option<String>)> = sqlx::query_as("SELECT kind, last_error FROM pushbox.jobs")
            .fetch_all(&self.pool)
            .await
            .expect("jobs");
        assert!(dead.is_empty(), "dead jobs: {dead:?}");
        assert_eq!(self.simulator.unknown_calls(), Vec::<String>::new());
        self.app.stop().await;
        self.simulator.shutdown().await;
    }
}

async fn start_app(settings: &BTreeMap<String, String>, toml: &str) -> App {
    App::start(load(settings, toml), &Roles::all(), true).await.expect("start pushbox")
}

fn load(settings: &BTreeMap<String, String>, toml: &str) -> Config {
    let toml = Some(("pushbox.toml".into(), toml.to_owned()));
    let inputs = Inputs { environment: settings.clone(), toml, ..Inputs::default() };
    Config::load(&inputs, &Roles::all()).unwrap_or_else(|faults| panic!("{faults}")).config
}

/// The configuration of a process in this world.
pub(crate) fn config(simulator: &Simulator, database_url: &str) -> Config {
    load(&settings(simulator, database_url), "")
}

/// An app, a shop, a bot with a forum, a spreadsheet.
pub(crate) async fn simulated_world(options: SimulatorOptions) -> Simulator {
    // Quotas and budgets run a hundred times faster than the real ones, and so do the settings below.
    let options = SimulatorOptions { quota_scale: 100.0, ..options };
    let simulator = Simulator::start(options).await.expect("start the simulator");
    simulator.add_app(PARTNER, "api-key-of-the-tests", PUSH_KEY, CALLBACK);
    simulator.add_shop(PARTNER, SHOP, "SG");
    simulator.add_bot(BOT_TOKEN, "pushbox_test_bot");
    simulator.add_forum(CHAT, "Orders of the tests");
    simulator.add_spreadsheet(SPREADSHEET, "Orders of the tests");
    simulator
}

pub(crate) fn settings(simulator: &Simulator, database_url: &str) -> BTreeMap<String, String> {
    let tokens = simulator.shop_tokens(SHOP).expect("the shop has tokens");
    let pairs = [
        ("DATABASE_URL", database_url.to_owned()),
        ("LISTEN", "127.0.0.1:0".to_owned()),
        ("ADMIN_LISTEN", "127.0.0.1:0".to_owned()),
        ("PARTNER_ID", PARTNER.to_string()),
        ("PARTNER_KEY", "api-key-of-the-tests".to_owned()),
        ("WEBHOOK_PARTNER_KEY", PUSH_KEY.to_owned()),
        ("CALLBACK_URL", CALLBACK.to_owned()),
        ("SHOP_ID", SHOP.to_string()),
        ("ACCESS_TOKEN", tokens.access_token.clone()),
        ("REFRESH_TOKEN", tokens.refresh_token.clone()),
        ("SHOPEE_API_URL", simulator.shopee_url().to_string()),
        ("SHOPEE_CALLS_PER_SECOND", "1000".to_owned()),
        ("TELEGRAM_BOT_TOKEN", BOT_TOKEN.to_owned()),
        ("TELEGRAM_CHAT_ID", CHAT.to_string()),
        ("TELEGRAM_API_URL", simulator.telegram_url().to_string()),
        ("TELEGRAM_CHAT_PER_SECOND", "100".to_owned()),
        ("TELEGRAM_CHAT_PER_MINUTE", "1800".to_owned()),
        ("GOOGLE_CREDENTIALS_JSON", simulator.google_credentials_json()),
        ("SPREADSHEET_ID", SPREADSHEET.to_owned()),
        ("GOOGLE_SHEETS_URL", simulator.google_url().to_string()),
        ("SHEETS_CALLS_PER_MINUTE", "4800".to_owned()),
        ("ENCRYPTION_KEY", "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=".to_owned()),
        ("POLL_INTERVAL", "50ms".to_owned()),
        ("RETRY_BASE", "50ms".to_owned()),
        ("DATABASE_MAX_CONNECTIONS", "8".to_owned()),
    ];
    pairs.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

/// An order of two items as Shopee's detail shows it, and its income.
pub(crate) fn order(order_sn: &str, status: &str, update_time: i64) -> (Map<String, Value>, Value) {
    let detail = json!({
        "order_sn": order_sn, "region": "SG", "currency": "SGD", "cod": false, "order_status": status,
        "message_to_seller": "please hurry", "create_time": 1_790_000_000, "update_time": update_time,
        "days_to_ship": 2, "ship_by_date": 1_790_172_800, "pay_time": 1_790_000_100, "total_amount": 30.5,
        "buyer_user_id": 77, "buyer_username": "jolly_buyer", "payment_method": "Credit Card",
        "shipping_carrier": "SPX", "item_list": [
            {"item_id": 501, "item_name": "Tea pot", "item_sku": "TP", "model_id": 601, "model_name": "Red",
             "model_sku": "TP-R", "model_quantity_purchased": 1, "model_original_price": 12.0,
             "model_discounted_price": 10.5},
            {"item_id": 502, "item_name": "Cup", "item_sku": "CUP", "model_id": 0, "model_name": "",
             "model_sku": "", "model_quantity_purchased": 2, "model_original_price": 10.0,
             "model_discounted_price": 10.0}],
        "package_list": [{"package_number": "OFG1", "logistics_status": "LOGISTICS_READY", "shipping_carrier": "SPX"}],
        "recipient_address": {"name": "P******n", "phone": "****", "full_address": "****"},
    });
    let escrow = json!({
        "order_sn": order_sn, "buyer_user_name": "jolly_buyer", "return_order_sn_list": [],
        "order_income": {
            "escrow_amount": 25.01, "buyer_total_amount": 30.5, "commission_fee": 2.0, "service_fee": 1.49,
            "seller_transaction_fee": 2.0, "buyer_paid_shipping_fee": 0, "actual_shipping_fee": 0,
            "voucher_from_seller": 0, "voucher_from_shopee": 0,
            "items": [
                {"item_id": 501, "model_id": 601, "quantity_purchased": 1, "discounted_price": 10.5},
                {"item_id": 502, "model_id": 0, "quantity_purchased": 2, "discounted_price": 20.0}],
        },
    });
    let Value::Object(detail) = detail else { unreachable!("an object") };
    (detail, escrow)
}

/// The push of a change of status, in the shape that was observed live.
pub(crate) fn status_push(order_sn: &str, status: &str, update_time: i64) -> Value {
    json!({"msg_id": "0123456789abcdef0123456789abcdef",
           "data": {"completed_scenario": "", "items": [], "ordersn": order_sn, "status": status,
                    "update_time": update_time},
           "shop_id": SHOP, "code": 3, "timestamp": update_time + 1})
}
