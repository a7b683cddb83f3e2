//! What goes where: a spreadsheet per shop, chats with filters; and what the rows of one order add up to.

use pushbox::simulator::state::telegram::ChatKind;
use reqwest::{Method, StatusCode};
use rust_decimal::Decimal;
use serde_json::{Value, json};

use crate::support::app::{CHAT, PARTNER, SHOP, SPREADSHEET, TestApp, order, status_push};
use crate::support::database::directory;

const AT: i64 = 1_790_000_200;
const OTHER_SHOP: i64 = 10_000_002;
const OTHER_SHEET: &str = "sheet-of-the-other-shop";
const CHANNEL: i64 = -1_001_000_000_002;
const GROUP: i64 = -777;

impl TestApp {
    /// A second shop authorizes the app.
    async fn add_other_shop(&self) {
        self.simulator.add_shop(PARTNER, OTHER_SHOP, "MY");
        let code = self.simulator.issue_code(PARTNER, OTHER_SHOP);
        let request = json!({"code": code, "shop_id": OTHER_SHOP});
        let (status, answer) = self.api("POST", "/shops/exchange", Some(&request)).await;
        assert_eq!(status, StatusCode::OK, "{answer}");
    }

    /// An order of a shop reaches a state at Shopee, which tells us.
    async fn moves(&self, shop: i64, order_sn: &str, status: &str, at: i64) {
        let (detail, escrow) = order(order_sn, status, at);
        self.simulator.put_order(shop, detail, escrow);
        let mut push = status_push(order_sn, status, at);
        push["shop_id"] = shop.into();
        self.push(&push).await;
    }

    /// One column of a tab of a spreadsheet, row by row.
    fn cells(&self, spreadsheet: &str, tab: &str, header: &str) -> Vec<String> {
        let rows = self.simulator.sheet_rows(spreadsheet, tab);
        rows.iter().map(|row| row.get(header).cloned().unwrap_or_default()).collect()
    }

    fn texts(&self, chat: i64) -> Vec<String> {
        self.simulator.messages(chat).into_iter().map(|message| message.text).collect()
    }
}

fn spreadsheet_per_shop() -> String {
    format!(
        "[[spreadsheets]]\nspreadsheet_id = '{SPREADSHEET}'\nshops = [{SHOP}]\n\
         [[spreadsheets]]\nspreadsheet_id = '{OTHER_SHEET}'\nshops = ['{OTHER_SHOP}']\n"
    )
}

#[tokio::test]
async fn each_shop_has_its_spreadsheet_and_neither_waits_for_the_other() {
    let app = TestApp::start_with_toml(&[("SPREADSHEET_ID", "")], &spreadsheet_per_shop()).await;
    app.simulator.add_spreadsheet(OTHER_SHEET, "The other shop");
    app.add_other_shop().await;
    app.moves(SHOP, "A1", "READY_TO_SHIP", AT).await;
    app.moves(OTHER_SHOP, "B1", "READY_TO_SHIP", AT).await;
    app.drain().await;
    for (spreadsheet, order_sn, shop) in [(SPREADSHEET, "A1", SHOP), (OTHER_SHEET, "B1", OTHER_SHOP)] {
        for (tab, rows) in [("Orders", 1), ("Items", 2)] {
            assert_eq!(app.cells(spreadsheet, tab, "Order"), vec![order_sn; rows], "{spreadsheet} {tab}");
            assert_eq!(app.cells(spreadsheet, tab, "Shop"), vec![shop.to_string(); rows]);
        }
    }

    // One is taken back. Its rows wait, those of the other are written as ever.
    app.simulator.unshare_spreadsheet(OTHER_SHEET);
    app.moves(OTHER_SHOP, "B1", "SHIPPED", AT + 100).await;
    app.until("SELECT count(*) FROM pushbox.destinations WHERE kind = 'sheet' AND state = 'open'").await;
    for n in 0..20 {
        app.moves(OTHER_SHOP, &format!("C{n}"), "READY_TO_SHIP", AT).await;
        app.moves(SHOP, &format!("D{n}"), "READY_TO_SHIP", AT).await;
    }
    app.moves(SHOP, "A1", "SHIPPED", AT + 100).await;
    app.until("SELECT (count(*) = 22)::int::bigint FROM pushbox.job_history WHERE kind = 'upsert_sheet_row' AND batch_key = 'sheet-of-the-tests'").await;
    assert_eq!(app.cells(SPREADSHEET, "Orders", "Order").len(), 21);
    assert_eq!(app.cells(SPREADSHEET, "Orders", "Status")[0], "SHIPPED");
    app.until(
        "SELECT (count(*) = 21)::int::bigint FROM pushbox.jobs WHERE batch_key = 'sheet-of-the-other-shop'",
    )
    .await;
    let charged = "SELECT count(*) FROM pushbox.jobs WHERE attempt > 0 OR state = 'dead'";
    assert_eq!(app.count(charged).await, 0, "waiting burns no attempts");
    let found = app.admin("/destinations").await;
    let sheets =
        found["destinations"].as_array().expect("a list").iter().filter(|one| one["kind"] == "sheet");
    let open: Vec<&Value> = sheets.filter(|one| one["state"] != "closed").map(|one| &one["name"]).collect();
    assert_eq!(open, [OTHER_SHEET], "{found}");

    // Nor does it keep a person from looking at the other.
    let directory = directory();
    let config = directory.path().join("pushbox.toml");
    std::fs::write(&config, spreadsheet_per_shop()).expect("a file");
    let config = config.to_str().expect("a path");
    let output = app.output(&["sheet", "check", "--json", "--config", config]).await;
    let found: Value = serde_json::from_slice(&output.stdout).expect("a document");
    let [good, sick] = [&found["spreadsheets"][0], &found["spreadsheets"][1]];
    assert_eq!((&good["orders"], &good["differences"]), (&json!(21), &json!([])), "{found}");
    assert!(
        sick["error"].as_str().is_some_and(|error| error.contains("share the spreadsheet with")),
        "{found}"
    );
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.code() == Some(1) && said.contains(OTHER_SHEET), "{said}");

    let credentials: Value =
        serde_json::from_str(&app.simulator.google_credentials_json()).expect("credentials");
    let account = credentials["client_email"].as_str().expect("an address");
    app.simulator.share_spreadsheet(OTHER_SHEET, account, true);
    app.api("POST", &format!("/destinations/sheet/{OTHER_SHEET}/reset"), None).await;
    app.drain().await;
    assert_eq!(app.cells(OTHER_SHEET, "Orders", "Order").len(), 21);
    assert_eq!(app.cells(OTHER_SHEET, "Orders", "Status")[0], "SHIPPED");
    assert!(app.cells(OTHER_SHEET, "Orders", "Shop").iter().all(|shop| *shop == OTHER_SHOP.to_string()));
    assert!(app.cells(SPREADSHEET, "Orders", "Shop").iter().all(|shop| *shop == SHOP.to_string()));
    app.finish().await;
}

/// The forum hears of orders and messages, the channel of returns, the group of everything about the other shop,
/// and another group of another platform.
const CHATS: &str = r#"
[[sources]]
preset = "shopery"
auth.secrets = ["shy-endpoint-secret"]
[[chats]]
chat_id = -1001000000001
sources = ["shopee"]
codes = [3, 10]
[[chats]]
chat_id = -1001000000002
codes = ["29"]
[[chats]]
chat_id = -777
shops = [10000002]
[[chats]]
chat_id = -1001000000004
sources = ["shopery"]
"#;

#[tokio::test]
async fn chats_hear_what_they_are_for_with_topics_and_without() {
    const SUPERGROUP: i64 = -1_001_000_000_004;
    let app = TestApp::start_with_toml(&[("TELEGRAM_CHAT_ID", "")], CHATS).await;
    app.simulator.add_channel(CHANNEL, "Returns");
    app.simulator.add_chat(GROUP, ChatKind::Group, "The other shop", false);
    app.simulator.add_group(SUPERGROUP, "The other platform");
    app.add_other_shop().await;

    let returned = |shop: i64, return_sn: &str| {
        json!({"code": 29, "shop_id": shop, "timestamp": AT, "data": {
            "order_sn": "A1", "return_sn": return_sn, "updated_values": [{"update_field": "return_status",
            "old_value": "REQUESTED", "new_value": "PROCESSING", "update_time": AT}]}})
    };
    app.moves(SHOP, "A1", "READY_TO_SHIP", AT).await;
    app.moves(OTHER_SHOP, "B1", "READY_TO_SHIP", AT).await;
    app.push(&returned(SHOP, "R1")).await;
    app.push(&returned(OTHER_SHOP, "R2")).await;
    app.push(&json!({"code": 15, "shop_id": SHOP, "timestamp": AT, "data": {"ordersn": "A1",
        "package_number": "OFG1", "status": "READY"}}))
        .await;
    let order = json!({"id": "ord_01J", "status": "CREATED"}).to_string();
    let pushed = app
        .request(Method::POST, "/webhook/shopery/tenant-3")
        .header("x-shopery-secret", "shy-endpoint-secret");
    assert_eq!(pushed.body(order).send().await.expect("an answer").status(), StatusCode::OK);
    app.drain().await;

    // In each chat what it is for, and nothing else.
    for (chat, heard) in [
        (CHAT, &["A1", "B1"][..]),
        (CHANNEL, &["R1", "R2"]),
        (GROUP, &["B1", "R2"]),
        (SUPERGROUP, &["ord_01J"]),
    ] {
        let mut texts = app.texts(chat);
        texts.sort_by_key(|text| heard.iter().position(|word| text.contains(word)));
        assert_eq!(texts.len(), heard.len(), "{chat}: {texts:?}");
        for (text, word) in texts.iter().zip(heard) {
            assert!(text.contains(word), "{chat}: {word} is not in {text}");
        }
    }
    assert_eq!(app.simulator.topic_names(CHAT), ["Order status (3)"], "the forum has its topic");
    for chat in [CHANNEL, GROUP, SUPERGROUP] {
        assert!(app.simulator.messages(chat).iter().all(|message| message.thread_id.is_none()), "{chat}");
        assert!(app.simulator.topic_names(chat).is_empty(), "{chat}");
    }
    // What no chat wants is stored all the same.
    assert_eq!(app.count("SELECT count(*) FROM pushbox.events WHERE code = '15'").await, 1);
    assert_eq!(app.count("SELECT count(*) FROM pushbox.events").await, 6);
    app.finish().await;
}

/// Item and variation, quantity, price of a piece as the order says it, and what the income statement says that they
/// were sold for.
type Line = (i64, i64, i64, f64, f64);

/// Puts an order of these lines into the world: placed, paid out with `net`.
async fn sold(app: &TestApp, order_sn: &str, currency: &str, net: f64, lines: &[Line]) {
    let (mut detail, mut escrow) = order(order_sn, "COMPLETED", AT);
    let items = lines.iter().map(|(item, model, quantity, price, _)| {
        json!({"item_id": item, "item_name": format!("Item {item}"), "item_sku": "", "model_id": model,
               "model_name": format!("Variation {model}"), "model_sku": "", "model_quantity_purchased": quantity,
               "model_original_price": price + 5.0, "model_discounted_price": price})
    });
    detail.insert("item_list".into(), items.collect());
    detail.insert("currency".into(), currency.into());
    let sold = lines.iter().map(|(item, model, quantity, _, sold)| {
        json!({"item_id": item, "model_id": model, "quantity_purchased": quantity, "discounted_price": sold})
    });
    escrow["order_income"]["items"] = sold.collect();
    escrow["order_income"]["escrow_amount"] = json!(net);
    app.simulator.put_order(SHOP, detail, escrow);
    app.push(&status_push(order_sn, "COMPLETED", AT)).await;
}

fn amount(text: &str) -> Decimal {
    text.replace(',', "").parse().unwrap_or_else(|error| panic!("{text:?}: {error}"))
}

#[tokio::test]
async fn the_rows_of_an_order_add_up_to_its_net_income() {
    let app = TestApp::start().await;
    let thirds: &[Line] = &[(1, 1, 1, 9.99, 9.99), (2, 1, 1, 9.99, 9.99), (3, 1, 1, 9.99, 9.99)];
    let mixed: &[Line] = &[
        (1, 1, 3, 19.9, 59.7),
        (2, 0, 1, 0.0, 0.0),
        (3, 7, 7, 1.11, 7.77),
        (3, 8, 2, 1.11, 2.22),
        (4, 0, 11, 33.33, 300.0),
        (5, 0, 1, 0.01, 0.01),
    ];
    let seventy: Vec<Line> = (1..=70).map(|n| (n, 0, 1, 0.13, 0.13)).collect();
    let free: &[Line] = &[(1, 1, 1, 0.0, 0.0), (2, 1, 3, 0.0, 0.0)];
    for (order_sn, currency, net, lines, expected) in [
        ("THIRDS", "SGD", 10.0, thirds, &["3.34", "3.33", "3.33"][..]),
        ("LOSS", "SGD", -10.0, thirds, &["-3.34", "-3.33", "-3.33"]),
        ("NOTHING", "SGD", 0.0, thirds, &["0", "0", "0"]),
        ("MIXED", "MYR", 311.17, mixed, &["50.25", "0", "6.54", "1.87", "252.50", "0.01"]),
        ("CENT", "SGD", 0.01, mixed, &["0", "0", "0", "0", "0.01", "0"]),
        ("MANY", "SGD", 100.0, &seventy, &[]),
        ("FREE", "SGD", -4.0, free, &["-1", "-3"]),
        ("RUPIAH", "IDR", 100_001.0, thirds, &["33334", "33334", "33333"]),
        ("DONG", "VND", -100_000.0, thirds, &["-33334", "-33333", "-33333"]),
    ] {
        sold(&app, order_sn, currency, net, lines).await;
        app.drain().await;
        let orders = app.simulator.sheet_rows(SPREADSHEET, "Orders");
        let shown = orders.iter().find(|row| row["Order"] == order_sn).expect("a row");
        let total = amount(&json!(net).to_string());
        assert_eq!((amount(&shown["Net"]), amount(&shown["Escrow"])), (total, total), "{order_sn}");
        let items = app.simulator.sheet_rows(SPREADSHEET, "Items");
        let rows = items.iter().filter(|row| row["Order"] == order_sn);
        let shares: Vec<Decimal> = rows.clone().map(|row| amount(&row["Net income"])).collect();
        assert_eq!(shares.len(), lines.len(), "{order_sn}");
        assert_eq!(shares.iter().sum::<Decimal>(), total, "{order_sn}: {shares:?}");
        let decimals = if ["IDR", "VND"].contains(&currency) { 0 } else { 2 };
        assert!(shares.iter().all(|share| share.round_dp(decimals) == *share), "{order_sn}: {shares:?}");
        if !expected.is_empty() {
            assert_eq!(shares, expected.iter().map(|text| amount(text)).collect::<Vec<_>>(), "{order_sn}");
        }
        // Of the same weight, none is further from another than the smallest unit.
        let even = lines.iter().all(|line| line.4.to_bits() == lines[0].4.to_bits() && line.2 == lines[0].2);
        let spread = shares.iter().max().zip(shares.iter().min()).map(|(most, least)| most - least);
        assert!(!even || spread <= Some(Decimal::new(1, decimals)), "{order_sn}: {shares:?}");
    }
    let audited = app.command(&["audit"]).await;
    assert!(!audited.contains("BROKEN"), "{audited}");
    app.finish().await;
}
