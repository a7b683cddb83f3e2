//! What is sent, and what is made of whole answers.

use std::sync::atomic::{AtomicUsize, Ordering};

use base64::Engine as _;
use serde_json::json;

use super::*;
use crate::clients::stub::{Said, Seen, Stub, ok};

const ID: &str = "1aB-c_D";

/// Answers the token endpoint, and the rest with `answer`.
async fn google(answer: impl Fn(&Seen) -> Said + Send + Sync + 'static) -> (Stub, SheetsClient) {
    let tokens = AtomicUsize::new(0);
    let stub = Stub::start(move |seen| match seen.path.as_str() {
        "/token" => {
            let number = tokens.fetch_add(1, Ordering::Relaxed);
            ok(json!({"access_token": format!("token-{number}"), "expires_in": 3600, "token_type": "Bearer"}))
        }
        _ => answer(seen),
    })
    .await;
    let client = client(&stub).await;
    (stub, client)
}

async fn client(stub: &Stub) -> SheetsClient {
    SheetsClient::new(&settings(stub)).await.unwrap()
}

/// The key was made for these tests and opens nothing.
fn settings(stub: &Stub) -> SheetsSettings {
    let key = json!({
        "type": "service_account",
        "client_email": "bot@project.iam",
        "private_key": include_str!("test_key.pem"),
        "token_uri": stub.url.join("token").unwrap(),
        "universe_domain": "googleapis.com",
    });
    SheetsSettings {
        credentials: key.to_string().into(),
        api_url: Some(stub.url.clone()),
        calls_per_minute: 48,
    }
}

fn refusal(code: u16, status: &str, message: &str) -> Said {
    (code, None, json!({"error": {"code": code, "status": status, "message": message}}).to_string())
}

fn write() -> Vec<SheetRequest> {
    vec![SheetRequest::AppendRows { sheet_id: 0, rows: vec![vec![Cell::Text("A".into())]] }]
}

fn calls(stub: &Stub) -> Vec<Seen> {
    stub.seen().into_iter().filter(|seen| seen.path != "/token").collect()
}

#[tokio::test]
async fn rows_keep_their_columns_and_text_stays_text() {
    let (stub, client) = google(|_| ok(json!({"spreadsheetId": ID, "replies": [{}]}))).await;
    let rows = vec![vec![Cell::Text("=X".into()), Cell::Empty, Cell::Bool(true), Cell::Number(5.into())]];
    let update = SheetRequest::UpdateCells { sheet_id: 7, row: 3, column: 0, rows };
    client.batch_update(ID, vec![update]).await.unwrap();
    let seen = &calls(&stub)[0];
    assert_eq!(seen.path, format!("/v4/spreadsheets/{ID}:batchUpdate"));
    assert_eq!(seen.authorization, "Bearer token-0");
    assert_eq!(
        seen.json(),
        json!({"requests": [{"updateCells": {
            "start": {"sheetId": 7, "rowIndex": 3, "columnIndex": 0},
            "fields": "userEnteredValue",
            "rows": [{"values": [
                {"userEnteredValue": {"stringValue": "=X"}},
                {},
                {"userEnteredValue": {"boolValue": true}},
                {"userEnteredValue": {"numberValue": 5.0}},
            ]}],
        }}]})
    );
    let assertion = url::form_urlencoded::parse(stub.seen()[0].body.as_bytes())
        .find(|(name, _)| name == "assertion")
        .map(|(_, value)| value.into_owned())
        .unwrap();
    let claims =
        base64::engine::general_purpose::URL_SAFE.decode(assertion.split('.').nth(1).unwrap()).unwrap();
    let claims: serde_json::Value = serde_json::from_slice(&claims).unwrap();
    assert_eq!(claims["scope"], "https://www.googleapis.com/auth/spreadsheets");
}

#[tokio::test]
async fn a_tab_is_prepared_in_one_call() {
    let (stub, client) = google(|_| {
        let properties = json!({"sheetId": 9, "title": "Orders", "gridProperties": {"rowCount": 1000}});
        ok(json!({"replies": [{"addSheet": {"properties": properties}}, {}]}))
    })
    .await;
    let requests = vec![
        SheetRequest::AddTab { title: "Orders".into(), columns: 12 },
        SheetRequest::FreezeRows { sheet_id: 9, count: 1 },
        SheetRequest::SetBasicFilter { sheet_id: 9, columns: 12 },
        SheetRequest::AppendColumns { sheet_id: 9, count: 2 },
        SheetRequest::ColumnFormat {
            sheet_id: 9,
            column: 3,
            kind: FormatKind::DateTime,
            pattern: "yyyy-mm-dd hh:mm".into(),
        },
    ];
    let added = client.batch_update(ID, requests).await.unwrap();
    assert_eq!((added[0].sheet_id, added[0].row_count), (9, 1000));
    assert_eq!(
        calls(&stub)[0].json()["requests"],
        json!([
            {"addSheet": {"properties": {
                "title": "Orders", "gridProperties": {"rowCount": 1000, "columnCount": 12}}}},
            {"updateSheetProperties": {
                "properties": {"sheetId": 9, "gridProperties": {"frozenRowCount": 1}},
                "fields": "gridProperties.frozenRowCount"}},
            {"setBasicFilter": {"filter": {"range": {
                "sheetId": 9, "startRowIndex": 0, "startColumnIndex": 0, "endColumnIndex": 12}}}},
            {"appendDimension": {"sheetId": 9, "dimension": "COLUMNS", "length": 2}},
            {"repeatCell": {
                "range": {"sheetId": 9, "startRowIndex": 1, "startColumnIndex": 3, "endColumnIndex": 4},
                "cell": {"userEnteredFormat": {"numberFormat": {"type": "DATE_TIME", "pattern": "yyyy-mm-dd hh:mm"}}},
                "fields": "userEnteredFormat.numberFormat"}},
        ])
    );
}

#[tokio::test]
async fn ranges_are_read_whatever_the_tab_is_called() {
    let (stub, client) = google(|_| {
        ok(json!({"valueRanges": [
            {"range": "x", "majorDimension": "COLUMNS", "values": [["A", "", 5, true]]},
            {"range": "y", "majorDimension": "COLUMNS"},
        ]}))
    })
    .await;
    let ranges = [a1_range("Tom's #1/2?", "A2:A"), a1_range("Tom's #1/2?", "B2:B")];
    let columns = client.read_columns(ID, &ranges).await.unwrap();
    assert_eq!(
        columns,
        [
            vec![
                CellValue::Text("A".into()),
                CellValue::Empty,
                CellValue::Number(5.0),
                CellValue::Bool(true)
            ],
            vec![]
        ]
    );
    let seen = &calls(&stub)[0];
    assert_eq!(seen.path, format!("/v4/spreadsheets/{ID}/values:batchGet"));
    assert_eq!(seen.query["majorDimension"], "COLUMNS");
    assert_eq!(seen.query["valueRenderOption"], "UNFORMATTED_VALUE");
    assert_eq!(seen.query["ranges"], "'Tom''s #1/2?'!B2:B");
}

#[test]
fn a_header_read_by_columns_keeps_its_gaps() {
    let text = |text: &str| CellValue::Text(text.into());
    let columns = [vec![text("Order")], vec![], vec![text("Status")]];
    assert_eq!(first_row(&columns), [text("Order"), CellValue::Empty, text("Status")]);
}

#[tokio::test]
async fn calls_can_be_spawned() {
    fn spawnable<T: Send>(_: &T) {}
    let (_stub, client) = google(|_| ok("")).await;
    spawnable(&client.batch_update(ID, write()));
    spawnable(&client.read_columns(ID, &[]));
    spawnable(&client.spreadsheet(ID));
    let write = tokio::spawn(async move { client.batch_update(ID, Vec::new()).await });
    assert_eq!(write.await.unwrap(), Ok(Vec::new()));
}

#[tokio::test]
async fn the_spreadsheet_shows_its_tabs() {
    let (stub, client) = google(|_| {
        ok(json!({
            "properties": {"title": "Shop", "locale": "en_US", "timeZone": "Asia/Singapore"},
            "sheets": [{"properties": {"sheetId": 0, "title": "Orders", "gridProperties":
                {"rowCount": 1000, "columnCount": 26, "frozenRowCount": 1}}}],
        }))
    })
    .await;
    let info = client.spreadsheet(ID).await.unwrap();
    assert_eq!((info.time_zone.as_str(), info.tabs[0].column_count), ("Asia/Singapore", 26));
    assert_eq!(calls(&stub)[0].query["fields"], INFO_FIELDS);
}

#[tokio::test]
async fn a_refused_token_is_replaced_once() {
    let (stub, client) = google(|seen| match seen.authorization.as_str() {
        "Bearer token-0" => refusal(401, "UNAUTHENTICATED", "invalid credentials"),
        _ => ok(json!({"replies": []})),
    })
    .await;
    client.batch_update(ID, write()).await.unwrap();
    assert_eq!(calls(&stub).len(), 2);
    let (stub, client) = google(|_| refusal(401, "UNAUTHENTICATED", "invalid credentials")).await;
    assert!(client.batch_update(ID, write()).await.unwrap_err().needs_a_person());
    assert_eq!(calls(&stub).len(), 2);
}

#[tokio::test]
async fn cold_calls_share_one_token() {
    let (stub, client) = google(|_| ok(json!({"replies": []}))).await;
    let results = futures_util::future::join_all((0..5).map(|_| client.batch_update(ID, write()))).await;
    assert!(results.iter().all(Result::is_ok));
    assert_eq!(stub.seen().iter().filter(|seen| seen.path == "/token").count(), 1);
}

#[tokio::test]
async fn only_writes_are_unclear() {
    for said in [(503, None, "<html>".to_owned()), refusal(500, "INTERNAL", "x"), ok("{\"repl"), ok("")] {
        let (_stub, client) = google(move |_| said.clone()).await;
        let error = client.batch_update(ID, write()).await.unwrap_err();
        assert!(error.may_have_happened(), "{error}");
        let error = client.spreadsheet(ID).await.unwrap_err();
        assert!(error.is_transient() && !error.may_have_happened(), "{error}");
    }
}

#[tokio::test]
async fn a_write_whose_reply_is_lost_is_unclear() {
    let (stub, _) = google(|_| ok("")).await;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut settings = settings(&stub);
    settings.api_url = Some(format!("http://{}", listener.local_addr().unwrap()).parse().unwrap());
    tokio::spawn(async move {
        use tokio::io::AsyncReadExt as _;
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut buffer = [0; 4096];
            let _ = stream.read(&mut buffer).await;
        }
    });
    let client = SheetsClient::new(&settings).await.unwrap();
    let error = client.batch_update(ID, write()).await.unwrap_err();
    assert!(error.may_have_happened(), "{error}");
}

#[tokio::test]
async fn a_refused_connection_is_surely_not_written() {
    let (stub, _) = google(|_| ok("")).await;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut settings = settings(&stub);
    settings.api_url = Some(format!("http://{}", listener.local_addr().unwrap()).parse().unwrap());
    drop(listener);
    let error = SheetsClient::new(&settings).await.unwrap().batch_update(ID, write()).await.unwrap_err();
    assert!(matches!(error, SheetsError::Unavailable { .. }), "{error:?}");
}

#[tokio::test]
async fn refusals_keep_their_words_and_waits() {
    let (_stub, client) =
        google(|_| refusal(403, "PERMISSION_DENIED", "The caller does not have permission")).await;
    let error = client.batch_update(ID, write()).await.unwrap_err().to_string();
    assert!(error.contains("share the spreadsheet with bot@project.iam"), "{error}");
    let (_stub, client) = google(|_| (429, Some(8), "{}".to_owned())).await;
    let error = client.batch_update(ID, write()).await.unwrap_err();
    assert_eq!(error.retry_after(), Some(Duration::from_secs(8)));
}

#[tokio::test]
async fn a_token_that_is_not_given_says_why() {
    for (said, person) in [
        (
            (
                400,
                None,
                json!({"error": "invalid_grant", "error_description": "Invalid JWT Signature."}).to_string(),
            ),
            true,
        ),
        ((502, None, "<html>".to_owned()), false),
        ((500, None, json!({"error": "internal_failure"}).to_string()), false),
    ] {
        let stub = Stub::start(move |_| said.clone()).await;
        let error = client(&stub).await.batch_update(ID, write()).await.unwrap_err();
        assert_eq!((error.needs_a_person(), error.may_have_happened()), (person, false), "{error}");
        assert!(calls(&stub).is_empty());
    }
}

#[tokio::test]
async fn a_bad_key_is_told_without_showing_it() {
    let stub = Stub::start(|_| ok("")).await;
    let good = settings(&stub);
    for key in [
        "not json".to_owned(),
        json!({"client_email": "a", "private_key": "hush", "token_uri": "https://x/token"}).to_string(),
        json!({"client_email": "a", "private_key": "hush", "token_uri": "no address"}).to_string(),
    ] {
        let settings = SheetsSettings { credentials: key.into(), ..good.clone() };
        let error = SheetsClient::new(&settings).await.unwrap_err();
        assert!(error.needs_a_person() && !format!("{error:?}").contains("hush"), "{error}");
    }
}

#[tokio::test]
async fn an_id_that_would_break_the_path_is_refused_here() {
    let (stub, client) = google(|_| ok("")).await;
    for id in ["", "a/b", "https://docs.google.com/spreadsheets/d/x", "a#b"] {
        assert!(client.spreadsheet(id).await.unwrap_err().needs_a_person());
    }
    assert!(stub.seen().is_empty());
}
