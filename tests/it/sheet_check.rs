//! `pushbox sheet check` and `pushbox sheet rebuild`, run as a person runs them, beside a pushbox at work; a spreadsheet
//! per month.

use pushbox::simulator::state::google::GoogleChange;
use serde_json::{Value, json, value::to_raw_value};

use crate::support::app::{SHOP, SPREADSHEET, TestApp, order, status_push};

const AT: i64 = 1_790_000_200;

impl TestApp {
    async fn differences(&self, arguments: &[&str]) -> (Option<i32>, Vec<String>, Value) {
        let output = self.output(&[&["sheet", "check", "--json"], arguments].concat()).await;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let found: Value = serde_json::from_str(&text)
            .unwrap_or_else(|error| panic!("{error}: {text} {}", String::from_utf8_lossy(&output.stderr)));
        let sheet = found["spreadsheets"][0].clone();
        let lines = sheet["differences"].as_array().expect("a list").iter().map(|one| {
            let text = |name: &str| one[name].as_str().unwrap_or_default().to_owned();
            format!("{} {} {}", text("tab"), text("order_sn"), text("problem"))
        });
        (output.status.code(), lines.collect(), sheet)
    }

    /// A person types into cells, named in A1 notation.
    fn types(&self, cells: &[(&str, &str)]) {
        let data: Vec<Value> =
            cells.iter().map(|(range, value)| json!({"range": range, "values": [[value]]})).collect();
        self.simulator.change(GoogleChange::ValuesWritten {
            id: SPREADSHEET.to_owned(),
            user: "person@example.com".to_owned(),
            data: to_raw_value(&data).expect("JSON"),
            entered: true,
        });
    }

    fn delete_row(&self, tab: &str, index: usize) {
        let sheet_id = self.simulator.sheet(SPREADSHEET, tab).expect("a tab").sheet_id;
        let range =
            json!({"sheetId": sheet_id, "dimension": "ROWS", "startIndex": index, "endIndex": index + 1});
        self.simulator.change(GoogleChange::Batch {
            id: SPREADSHEET.to_owned(),
            user: "person@example.com".to_owned(),
            requests: to_raw_value(&json!([{"deleteDimension": {"range": range}}])).expect("JSON"),
            salt: 1,
        });
    }
}

async fn with_orders() -> TestApp {
    let app = TestApp::start().await;
    for order_sn in ["A1", "A2", "A3"] {
        let (detail, escrow) = order(order_sn, "READY_TO_SHIP", AT);
        app.simulator.put_order(SHOP, detail, escrow);
        app.push(&status_push(order_sn, "READY_TO_SHIP", AT)).await;
        app.drain().await;
    }
    app
}

#[tokio::test]
async fn what_people_broke_is_found_and_repaired() {
    let app = with_orders().await;
    let (code, lines, sheet) = app.differences(&[]).await;
    assert_eq!((code, lines), (Some(0), Vec::new()));
    assert_eq!((&sheet["orders"], &sheet["strangers"]), (&json!(3), &json!(0)));

    // A status overwritten, an order's row gone, a line renamed, and somebody's own order added; a note is theirs.
    app.types(&[
        ("'Orders'!D2", "SENT"),
        ("'Orders'!K2", "31"),
        ("'Orders'!AB2", "call the buyer"),
        ("'Items'!F3", "Something else"),
        ("'Orders'!A9", "OWN-1"),
    ]);
    app.delete_row("Orders", 3);
    app.delete_row("Items", 3);
    let (code, lines, sheet) = app.differences(&[]).await;
    assert_eq!(code, Some(1));
    assert_eq!(
        lines,
        [
            "Orders A1 row 2: Status, Total differ",
            "Items A1 row 3: Item differ",
            "Items A2 line 1 has no row",
            "Orders A3 has no row",
        ]
    );
    assert_eq!(sheet["strangers"], 1);

    let (code, _, sheet) = app.differences(&["--repair"]).await;
    assert_eq!((code, &sheet["repaired_orders"]), (Some(0), &json!(3)));
    app.drain().await;
    let (code, lines, _) = app.differences(&[]).await;
    assert_eq!((code, lines), (Some(0), Vec::new()));
    let rows = app.simulator.sheet_rows(SPREADSHEET, "Orders");
    let noted = rows.iter().find(|row| row["Order"] == "A1").expect("a row");
    assert_eq!((noted["Notes"].as_str(), noted["Status"].as_str()), ("call the buyer", "READY_TO_SHIP"));

    // The same order twice is for a person to sort out: nobody else knows which row they work with.
    app.types(&[("'Orders'!A8", "A1"), ("'Orders'!B8", "shopee"), ("'Orders'!C8", &SHOP.to_string())]);
    let (code, lines, _) = app.differences(&["--repair"]).await;
    assert_eq!(
        (code, lines),
        (Some(1), vec!["Orders A1 has more than one row; remove row 8 by hand".to_owned()])
    );
    app.finish().await;
}

#[tokio::test]
async fn orders_go_to_the_spreadsheet_of_their_month() {
    let toml = format!(
        "[[spreadsheets]]\nspreadsheet_id = '{SPREADSHEET}'\nmonths = ['2026-09', '2026-08']\n\
         [[spreadsheets]]\nspreadsheet_id = 'october'\nmonths = ['2026-10']\n"
    );
    let app = TestApp::start_with_toml(&[("SPREADSHEET_ID", "")], &toml).await;
    app.simulator.add_spreadsheet("october", "October");
    // One second before midnight in Singapore, and midnight.
    for (order_sn, placed) in [("SEP", 1_790_783_999_i64), ("OCT", 1_790_784_000)] {
        let (mut detail, escrow) = order(order_sn, "READY_TO_SHIP", AT);
        detail.insert("create_time".into(), json!(placed));
        app.simulator.put_order(SHOP, detail, escrow);
        app.push(&status_push(order_sn, "READY_TO_SHIP", AT)).await;
    }
    app.drain().await;
    for (spreadsheet, order_sn) in [(SPREADSHEET, "SEP"), ("october", "OCT")] {
        let rows = app.simulator.sheet_rows(spreadsheet, "Orders");
        let found: Vec<&str> = rows.iter().map(|row| row["Order"].as_str()).collect();
        assert_eq!(found, [order_sn]);
    }
    app.finish().await;
}

/// People have made a mess of the tabs, orders go on changing, and a rebuild before was killed halfway.
#[tokio::test]
#[expect(clippy::too_many_lines, reason = "one story")]
async fn tabs_are_made_anew_while_orders_change_and_nothing_of_people_is_lost() {
    let app = with_orders().await;
    app.types(&[
        ("'Orders'!D2", "SENT"),
        ("'Orders'!AB2", "call the buyer"),
        ("'Orders'!AB3", "gift"),
        ("'Orders'!A8", "A1"),
        ("'Orders'!B8", "shopee"),
        ("'Orders'!C8", &SHOP.to_string()),
        ("'Orders'!A9", "OWN-1"),
    ]);
    app.delete_row("Orders", 3);
    let mut killed = tokio::process::Command::new(env!("CARGO_BIN_EXE_pushbox"))
        .args(["sheet", "rebuild"])
        .env_clear()
        .envs(app.settings())
        .spawn()
        .expect("run pushbox");
    while app.simulator.sheet(SPREADSHEET, "Orders (rebuild)").is_none() {
        assert!(killed.try_wait().expect("a process").is_none(), "it was too fast to be killed");
        tokio::time::sleep(std::time::Duration::from_millis(1)).await;
    }
    killed.kill().await.expect("killed");
    assert!(app.simulator.sheet(SPREADSHEET, "Orders").is_some());
    let (done, _) = app.try_command(&["sheet", "rebuild"]).await;
    assert!(!done, "whether the other still runs, nobody knows for a while");
    sqlx::query("UPDATE pushbox.batch_holds SET held_until = now()").execute(&app.pool).await.expect("time");

    let pushes = async {
        for step in 1..=20_i64 {
            let at = AT + step;
            for order_sn in ["A1", "A2", "B1"] {
                let status = if step == 20 { "COMPLETED" } else { "SHIPPED" };
                let (mut detail, escrow) = order(order_sn, status, at);
                detail.insert("note".into(), json!(format!("step {step}")));
                app.simulator.put_order(SHOP, detail, escrow);
                app.push(&status_push(order_sn, status, at)).await;
            }
        }
    };
    let (said, ()) = tokio::join!(app.command(&["sheet", "rebuild", "--json"]), pushes);
    app.drain().await;
    let said: Value = serde_json::from_str(&said).expect("JSON");
    let kept: Vec<&str> = said["spreadsheets"][0]["kept"]
        .as_array()
        .expect("a list")
        .iter()
        .filter_map(Value::as_str)
        .collect();
    assert!(kept.len() == 2 && kept[0].starts_with("Orders until 20"), "{said}");
    for old in kept {
        assert!(app.simulator.sheet(SPREADSHEET, old).is_some(), "{old}");
    }
    assert!(app.simulator.sheet(SPREADSHEET, "Orders (rebuild)").is_none());

    let rows = app.simulator.sheet_rows(SPREADSHEET, "Orders");
    let shown = |order_sn: &str| {
        let found: Vec<_> = rows.iter().filter(|row| row["Order"] == order_sn).collect();
        assert_eq!(found.len(), 1, "{order_sn}: {rows:?}");
        (found[0]["Status"].clone(), found[0].get("Notes").cloned().unwrap_or_default())
    };
    assert_eq!(shown("A1"), ("COMPLETED".into(), "call the buyer".into()));
    assert_eq!(shown("A2"), ("COMPLETED".into(), "gift".into()));
    assert_eq!(shown("A3").0, "READY_TO_SHIP", "it was deleted by hand");
    assert_eq!(shown("B1").0, "COMPLETED");
    assert!(rows.iter().any(|row| row["Order"] == "OWN-1"), "somebody's own row");
    let (code, lines, _) = app.differences(&[]).await;
    assert_eq!((code, lines), (Some(0), Vec::new()));
    app.finish().await;
}

#[tokio::test]
async fn tabs_in_which_nobody_can_tell_the_rows_apart_are_made_from_nothing() {
    let app = with_orders().await;
    app.types(&[("'Orders'!A1", "Bestellung")]);
    app.command(&["sheet", "rebuild"]).await;
    let rows = app.simulator.sheet_rows(SPREADSHEET, "Orders");
    assert_eq!(rows.iter().map(|row| row["Order"].as_str()).collect::<Vec<_>>(), ["A1", "A2", "A3"]);
    assert_eq!(app.simulator.sheet_rows(SPREADSHEET, "Items").len(), 6);
    app.finish().await;
}
