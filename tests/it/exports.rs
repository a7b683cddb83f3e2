//! Files of orders, by command and by API, opened again as their readers open them.

use std::collections::BTreeMap;

use reqwest::{RequestBuilder, StatusCode};
use serde_json::{Value, json};

use crate::support::app::{SHOP, TestApp, order, status_push};
use crate::support::database::directory;
use crate::support::workbook::{Cell, Workbook};

const AT: i64 = 1_790_000_200;
/// 2026-09-21 00:00:00 in Singapore.
const MIDNIGHT: i64 = 1_789_920_000;
const XLSX: &str = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet";

/// What buyers and sellers write to have a spreadsheet program compute it.
const HOSTILE: [&str; 8] =
    ["=HYPERLINK(\"http://x\",\"y\")", "+1", "-1", "@SUM(1)", "\tx", "\rx", "  =1+1", "＝1"];

/// One order of the 21st per hostile text, one a second before that day and one a second after.
async fn with_orders() -> TestApp {
    let app = TestApp::start().await;
    let last = MIDNIGHT + 86_400;
    let hostile = HOSTILE.iter().enumerate().map(|(n, text)| (format!("H{n}"), MIDNIGHT, *text));
    let around = [("BEFORE", MIDNIGHT - 1), ("LAST", last - 1), ("AFTER", last)];
    let around = around.map(|(order_sn, placed)| (order_sn.to_owned(), placed, "hello"));
    for (order_sn, placed, text) in hostile.chain(around) {
        let (mut detail, mut escrow) = order(&order_sn, "READY_TO_SHIP", AT);
        for name in ["message_to_seller", "note"] {
            detail.insert(name.into(), json!(text));
        }
        detail.insert("create_time".into(), json!(placed));
        for name in ["item_name", "model_name", "model_sku"] {
            detail["item_list"][0][name] = json!(text);
        }
        if order_sn == "LAST" {
            detail.insert("currency".into(), json!("IDR"));
            detail.insert("total_amount".into(), json!(1_234_567));
        }
        escrow["order_income"]["escrow_amount"] = json!(-7.01);
        app.simulator.put_order(SHOP, detail, escrow);
        app.push(&status_push(&order_sn, "READY_TO_SHIP", AT)).await;
    }
    app.drain().await;
    app
}

impl TestApp {
    fn export(&self, query: &str) -> RequestBuilder {
        let url = format!("http://{}/api/v1/exports/orders{query}", self.app.admin_address());
        reqwest::Client::builder().no_proxy().build().expect("a client").get(url)
    }

    fn order_export(&self, body: &Value) -> RequestBuilder {
        let url = format!("http://{}/api/v1/exports/orders", self.app.admin_address());
        reqwest::Client::builder().no_proxy().build().expect("a client").post(url).json(body)
    }

    /// The file that the command writes under this name.
    async fn export_to(&self, name: &str, arguments: &[&str]) -> Vec<u8> {
        let directory = directory();
        let path = directory.path().join(name);
        let out = ["--out", path.to_str().expect("a path")];
        let output = self.output(&[&["export"], arguments, &out].concat()).await;
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        std::fs::read(&path).expect("a file")
    }
}

/// Rows by the names of their columns.
type Rows = Vec<BTreeMap<String, String>>;

fn csv_rows(text: &[u8]) -> Rows {
    let mut reader = csv::Reader::from_reader(text);
    reader.deserialize().map(|row| row.expect("a row of as many cells as columns")).collect()
}

fn column<'a>(rows: &'a Rows, name: &str) -> Vec<&'a str> {
    rows.iter().map(|row| row[name].as_str()).collect()
}

#[tokio::test]
async fn a_csv_file_holds_the_period_and_nothing_that_computes() {
    let app = with_orders().await;
    let day = ["export", "--from", "2026-09-21", "--to", "2026-09-21", "--unmasked"];
    let text = app.command(&day).await;
    let rows = csv_rows(text.as_bytes());
    let mut numbers = column(&rows, "Order");
    numbers.sort_unstable();
    assert_eq!(numbers, ["H0", "H1", "H2", "H3", "H4", "H5", "H6", "H7", "LAST"], "{text}");
    assert!(text.ends_with("\r\n") && text.starts_with("Order,Platform,Shop,Status,Created,"), "{text}");
    let items = csv_rows(app.command(&[&day[..], &["--rows", "items"]].concat()).await.as_bytes());
    assert_eq!(items.len(), 2 * rows.len());
    for (n, hostile) in HOSTILE.iter().enumerate() {
        let is_of = |row: &&BTreeMap<String, String>| row["Order"] == format!("H{n}");
        let guarded = format!("'{hostile}");
        let row = rows.iter().find(is_of).expect("a row");
        assert_eq!((&row["Message"], &row["Seller note"]), (&guarded, &guarded));
        let row = items.iter().find(|row| is_of(row) && row["Line"] == "1").expect("a row");
        assert_eq!((&row["SKU"], &row["Item"], &row["Variation"]), (&guarded, &guarded, &guarded));
    }
    let first = &rows[0];
    assert_eq!(
        (first["Created"].as_str(), first["Updated"].as_str()),
        ("2026-09-21 00:00:00", "2026-09-21 22:16:40")
    );
    assert_eq!(
        (first["Total"].as_str(), first["Net"].as_str()),
        ("30.50", "-7.01"),
        "a number is no formula"
    );
    let last = rows.iter().find(|row| row["Order"] == "LAST").expect("a row");
    assert_eq!((last["Created"].as_str(), last["Total"].as_str()), ("2026-09-21 23:59:59", "1234567"));
    app.finish().await;
}

#[tokio::test]
async fn a_workbook_holds_the_period_typed() {
    let app = with_orders().await;
    let period = ["--from", "2026-09-21", "--to", "2026-09-21", "--unmasked"];
    let book = Workbook::open(&app.export_to("day.XLSX", &period).await);
    assert_eq!(book.sheets(), ["Orders", "Items"]);
    let (orders, items) = (book.rows("Orders"), book.rows("Items"));
    assert_eq!((orders.len(), items.len()), (9, 18));
    let of = |rows: &[BTreeMap<String, Cell>], order_sn: &str| {
        rows.iter().find(|row| row["Order"].value == order_sn).expect("a row").clone()
    };
    for (n, hostile) in HOSTILE.iter().enumerate() {
        let (row, line) = (of(&orders, &format!("H{n}")), of(&items, &format!("H{n}")));
        for cell in [&row["Message"], &row["Seller note"], &line["SKU"], &line["Item"], &line["Variation"]] {
            assert_eq!(
                (cell.is_text, cell.value.as_str()),
                (true, *hostile),
                "text is text, as it was written"
            );
        }
    }
    let number = |cell: &Cell| -> f64 { cell.value.parse().expect("a number") };
    let (first, last) = (of(&orders, "H0"), of(&orders, "LAST"));
    for (cell, pattern, value) in [
        // 2026-09-21 is day 46,286 of spreadsheets.
        (&first["Created"], "yyyy-mm-dd hh:mm", 46_286.0),
        (&last["Created"], "yyyy-mm-dd hh:mm", 46_286.0 + 86_399.0 / 86_400.0),
        (&first["Total"], "#,##0.00", 30.5),
        (&first["Net"], "#,##0.00", -7.01),
        (&last["Total"], "#,##0", 1_234_567.0),
        (&first["Items"], "0", 2.0),
        (&of(&items, "H0")["Unit price"], "#,##0.00", 10.5),
        (&of(&items, "H0")["Quantity"], "0", 1.0),
    ] {
        assert_eq!((cell.is_text, cell.pattern.as_str()), (false, pattern), "{cell:?}");
        assert!((number(cell) - value).abs() < 1e-8, "{cell:?} is not {value}");
    }
    for name in ["Order", "Shop"] {
        assert!(first[name].is_text, "{name} is no number to compute with");
    }

    let answer = app.export("?from=2026-09-21&to=2026-09-21&format=xlsx").send().await.expect("an answer");
    assert_eq!(answer.headers()["content-type"], XLSX);
    let book = Workbook::open(&answer.bytes().await.expect("bytes"));
    assert_eq!((book.rows("Orders").len(), book.rows("Items").len()), (9, 18));
    app.finish().await;
}

#[tokio::test]
async fn a_period_without_orders_or_the_wrong_way_round_is_said() {
    let app = with_orders().await;
    let header = |text: &[u8]| String::from_utf8_lossy(text).lines().count();
    let output = app.output(&["export", "--from", "2026-09-30", "--to", "2026-09-30"]).await;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!((output.status.code(), header(&output.stdout)), (Some(0), 1), "{said}");
    assert!(said.contains("no order was placed in these days"), "{said}");
    assert!(
        Workbook::open(&app.export_to("none.xlsx", &["--from", "2020-01-01", "--to", "2020-01-31"]).await)
            .rows("Orders")
            .is_empty()
    );
    let answer = app.export("?from=2026-09-30&to=2026-09-30").send().await.expect("an answer");
    assert_eq!(answer.status(), StatusCode::OK);
    assert_eq!(header(&answer.bytes().await.expect("bytes")), 1);

    for (arguments, query, command, api) in [
        (
            &["--from", "2026-09-22", "--to", "2026-09-21"][..],
            "?from=2026-09-22&to=2026-09-21",
            "--to is before --from",
            "to: must not be before from",
        ),
        (&["--from", "2126-01-01"], "?from=2126-01-01", "--from is after today", "from: is after today"),
        (&["--from", "2026-02-30"], "?from=2026-02-30", "--from <DATE>", "from"),
        (&["--from", "yesterday"], "?from=yesterday", "--from <DATE>", "from"),
        (&[], "", "--from <DATE>", "from"),
    ] {
        let output = app.output(&[&["export"], arguments].concat()).await;
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!((output.status.code(), output.stdout.len()), (Some(2), 0), "{arguments:?}: {said}");
        assert!(said.contains(command), "{arguments:?}: {said}");
        let answer = app.export(query).send().await.expect("an answer");
        assert_eq!(answer.status(), StatusCode::BAD_REQUEST, "{query}");
        let said = answer.text().await.expect("text");
        assert!(said.contains(api), "{query}: {said}");
    }
    for wrong in
        [json!({}), json!({"from": "2026-09-02", "format": "pdf"}), json!({"from": "2026-09-02", "rows": 1})]
    {
        let answer = app.order_export(&wrong).send().await.expect("an answer");
        assert!(answer.status().is_client_error(), "{wrong}: {}", answer.status());
    }
    assert_eq!(
        app.count("SELECT count(*) FROM pushbox.admin_actions").await,
        0,
        "nobody took anything along"
    );
    app.finish().await;
}

const FULL: &str = "full-token-of-the-export";
const READ: &str = "read-token-of-the-export";

#[tokio::test]
async fn buyers_are_in_a_file_only_for_who_may_see_them_and_that_is_on_record() {
    let app = TestApp::start_with(&[("ADMIN_TOKEN", FULL), ("ADMIN_READ_TOKEN", READ)]).await;
    let (detail, escrow) = order("P1", "READY_TO_SHIP", AT);
    app.simulator.put_order(SHOP, detail, escrow);
    app.push(&status_push("P1", "READY_TO_SHIP", AT)).await;
    app.drain().await;
    let shown = ["jolly_buyer", "please hurry"];
    let hidden = |text: &str| shown.iter().all(|one| !text.contains(one)) && text.contains("j***r");
    let recorded = "SELECT count(*) FROM pushbox.admin_actions WHERE action = 'unmask_export'";

    let masked = app.command(&["export", "--from", "2026-09-01"]).await;
    assert!(hidden(&masked), "{masked}");
    for (query, token, status) in [
        ("?from=2026-09-01", None, StatusCode::UNAUTHORIZED),
        ("?from=2026-09-01", Some(READ), StatusCode::OK),
        ("?from=2026-09-01", Some(FULL), StatusCode::OK),
        ("?from=2026-09-01&unmasked=true", Some(READ), StatusCode::BAD_REQUEST),
        ("?from=2026-09-01&unmasked=true", Some(FULL), StatusCode::BAD_REQUEST),
    ] {
        let request = app.export(query);
        let request = if let Some(token) = token { request.bearer_auth(token) } else { request };
        let answer = request.send().await.expect("an answer");
        assert_eq!(answer.status(), status, "{query} {token:?}");
        let text = answer.text().await.expect("text");
        assert!(if status == StatusCode::OK { text == masked } else { !text.contains("P1") }, "{text}");
    }
    let unmasked = json!({"from": "2026-09-01", "unmasked": true});
    for token in [READ, "guessed"] {
        let refused = app.order_export(&unmasked).bearer_auth(token).send().await.expect("an answer");
        assert!([StatusCode::FORBIDDEN, StatusCode::UNAUTHORIZED].contains(&refused.status()));
    }
    assert_eq!(
        app.count("SELECT count(*) FROM pushbox.admin_actions").await,
        0,
        "nobody has seen a buyer yet"
    );

    let plain =
        app.order_export(&json!({"from": "2026-09-01"})).bearer_auth(FULL).send().await.expect("an answer");
    assert_eq!(plain.text().await.expect("text"), masked, "masked unless it is asked for");
    assert_eq!(app.count(recorded).await, 0);
    let answer = app.order_export(&unmasked).bearer_auth(FULL).send().await.expect("an answer");
    assert_eq!(answer.headers()["content-disposition"], "attachment; filename=\"orders-2026-09-01.csv\"");
    let text = answer.text().await.expect("text");
    assert!(shown.iter().all(|one| text.contains(one)), "{text}");
    assert_eq!(app.count(recorded).await, 1);
    assert_eq!(app.command(&["export", "--from", "2026-09-01", "--unmasked"]).await, text);
    assert_eq!(app.count(recorded).await, 2);
    let actors: Vec<String> = sqlx::query_scalar(
        "SELECT actor FROM pushbox.admin_actions WHERE action = 'unmask_export' ORDER BY id",
    )
    .fetch_all(&app.pool)
    .await
    .expect("actors");
    assert_eq!(actors, ["ADMIN_TOKEN", "command line"]);

    let book = Workbook::open(&app.export_to("masked.xlsx", &["--from", "2026-09-01"]).await);
    assert_eq!(book.rows("Orders")[0]["Buyer"].value, "j***r");
    assert!(!book.has("jolly_buyer") && !book.has("please hurry"), "nowhere in the file");
    app.finish().await;
}
