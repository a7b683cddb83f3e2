//! Google over HTTP, and with the library that pushbox uses.

use std::time::Duration;

use serde_json::json;

use super::{SPREADSHEET, world};
use crate::simulator::state::google::CellValue;

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

#[tokio::test]
async fn values_are_written_raw_or_as_typed() {
    let world = world().await;
    let token = world.google_token(|_| ()).await.unwrap();
    let path = |call: &str| format!("{SPREADSHEET}/values{call}");
    let body = json!({"valueInputOption": "RAW", "data": [
        {"range": "Sheet1!A1:C2", "values": [["sn", "note", "sum"], ["A1", "=1+1", 2.5]]}]});
    let (_, written) = world.google(&token, &path(":batchUpdate"), Some(body)).await;
    assert_eq!(written["totalUpdatedCells"], 6);
    let append = "/Sheet1!A1:C1:append?valueInputOption=USER_ENTERED&insertDataOption=INSERT_ROWS";
    let body = json!({"values": [["A2", "=1+1", null], ["A3", "'x", "12"]]});
    let (_, appended) = world.google(&token, &path(append), Some(body)).await;
    assert_eq!(appended["updates"]["updatedRange"], "Sheet1!A3:C4");
    let (_, read) =
        world.google(&token, &path("/Sheet1!A2:C?valueRenderOption=UNFORMATTED_VALUE"), None).await;
    assert_eq!(read["values"], json!([["A1", "=1+1", 2.5], ["A2", "=1+1"], ["A3", "x", 12]]));
    let sheet = world.sim.sheet(SPREADSHEET, "Sheet1").unwrap();
    assert_eq!(sheet.cell(1, 1).unwrap().value, Some(CellValue::Text("=1+1".to_owned())));
    assert_eq!(sheet.cell(2, 1).unwrap().value, Some(CellValue::Formula("=1+1".to_owned())));
    let body =
        json!({"valueInputOption": "RAW", "data": [{"range": "Sheet1!A1:B1", "values": [["a", "b", "c"]]}]});
    assert_eq!(world.google(&token, &path(":batchUpdate"), Some(body)).await.0, 400, "beyond the range");
    let (_, cleared) = world.google(&token, &path("/Sheet1!A2:C9:clear"), Some(json!({}))).await;
    assert_eq!(cleared["clearedRange"], "Sheet1!A2:C9");
    assert!(world.sim.sheet_rows(SPREADSHEET, "Sheet1").is_empty());
}

#[tokio::test]
async fn rows_are_inserted_deleted_sorted_and_protected() {
    let world = world().await;
    let token = world.google_token(|_| ()).await.unwrap();
    let batch = async |requests: serde_json::Value| {
        world.google(&token, &format!("{SPREADSHEET}:batchUpdate"), Some(json!({"requests": requests}))).await
    };
    let row = |text: &str| json!({"values": [{"userEnteredValue": {"stringValue": text}}]});
    let rows = |start: i64, end: i64| json!({"sheetId": 0, "dimension": "ROWS", "startIndex": start, "endIndex": end});
    let (status, _) = batch(json!([
        {"appendCells": {"sheetId": 0, "fields": "*", "rows": [row("sn"), row("B"), row("C"), row("A")]}},
        {"updateSheetProperties": {"properties": {"sheetId": 0, "gridProperties": {"frozenRowCount": 1}},
            "fields": "gridProperties.frozenRowCount"}},
        {"setBasicFilter": {"filter": {"range": {"sheetId": 0}}}},
        {"sortRange": {"range": {"sheetId": 0, "startRowIndex": 1}, "sortSpecs": [{"dimensionIndex": 0}]}},
        {"insertDimension": {"range": rows(1, 2)}},
        {"deleteDimension": {"range": rows(2, 3)}},
        {"autoResizeDimensions": {"dimensions": rows(0, 1)}},
    ]))
    .await;
    assert_eq!(status, 200);
    let named = |text: &str| [("sn".to_owned(), text.to_owned())].into();
    assert_eq!(world.sim.sheet_rows(SPREADSHEET, "Sheet1"), [named("B"), named("C")]);
    let sheet = world.sim.sheet(SPREADSHEET, "Sheet1").unwrap();
    assert_eq!((sheet.row_count, sheet.frozen_row_count), (1000, 1));

    let protect = json!([{"addProtectedRange": {"protectedRange": {"range": {"sheetId": 0}}}}]);
    assert_eq!(batch(protect.clone()).await.0, 200);
    let again = batch(protect).await.1["error"]["message"].as_str().unwrap().to_owned();
    assert!(again.contains("already has sheet protection"), "{again}");
    let full = json!([{"appendDimension": {"sheetId": 0, "dimension": "ROWS", "length": 400_000}}]);
    let full = batch(full).await.1["error"]["message"].as_str().unwrap().to_owned();
    assert!(full.contains("above the limit of 10000000 cells"), "{full}");
    let cells = json!([{"updateCells": {"rows": [row("x")], "start": {"sheetId": 0}}}]);
    assert_eq!(batch(cells).await.0, 400, "without fields");
    batch(json!([{"addSheet": {"properties": {"title": "Mine", "sheetId": 7}}}])).await;
    world.sim.protect_tab(SPREADSHEET, "Mine");
    let cells = json!([{"updateCells": {"rows": [row("x")], "start": {"sheetId": 7}, "fields": "*"}}]);
    let refused = batch(cells).await.1["error"]["message"].as_str().unwrap().to_owned();
    assert!(refused.contains("You are trying to edit a protected cell or object"), "{refused}");
}
