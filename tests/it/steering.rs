//! Steering by the admin API: many jobs at once, one job, what is found by what people ask, and the record.

use std::time::{Duration, Instant};

use axum::http::{Method, StatusCode};
use pushbox::admin::AdminState;
use pushbox::queue::bulk;
use serde_json::{Value, json};

use crate::admin::{Answer, get, online_state, post, send_as, store_event, store_job};
use crate::support::app::{CHAT, SHOP, TestApp, order, status_push};

/// Runs bulk operations until none is under way; says in how many steps.
async fn run_bulk(state: &AdminState) -> usize {
    let mut steps = 0;
    while bulk::advance(&state.pool).await.expect("a step") {
        steps += 1;
    }
    steps
}

async fn count(state: &AdminState, sql: &'static str) -> i64 {
    sqlx::query_scalar(sql).fetch_one(&state.pool).await.expect(sql)
}

#[tokio::test]
async fn a_group_of_dead_jobs_is_counted_then_retried_in_the_background() {
    let state = online_state().await;
    for n in 0..250 {
        let event = store_event(&state, n, "1001", Some(json!({}))).await;
        store_job(&state, event, "notify", "dead", Some(&format!("chat {n} was not found"))).await;
    }
    let event = store_event(&state, 500, "1001", Some(json!({}))).await;
    store_job(&state, event, "notify", "dead", Some("another reason")).await;

    let groups = get(&state, "/api/v1/dead-groups").await.json();
    assert_eq!(groups["groups"][0]["error"], "chat # was not found");
    assert_eq!((&groups["groups"][0]["jobs"], &groups["groups"][1]["jobs"]), (&json!(250), &json!(1)));

    let filter = json!({"queue": "notify", "error_group": "chat # was not found"});
    let request = |dry_run: bool| {
        json!({"action": "retry", "filter": filter, "dry_run": dry_run,
        "id": "0198c2f0-5d3e-4c37-9f0e-0a7d3c1b2e4f"})
    };
    let counted = post(&state, "/api/v1/bulk-operations", request(true)).await;
    assert_eq!((counted.status, &counted.json()["operation"]["matched"]), (StatusCode::OK, &json!(250)));
    assert_eq!(run_bulk(&state).await, 0, "counting changes nothing");

    for _ in 0..2 {
        let asked = post(&state, "/api/v1/bulk-operations", request(false)).await;
        assert_eq!(asked.status, StatusCode::ACCEPTED, "{}", asked.body);
    }
    // Died after the request: not meant.
    let event = store_event(&state, 501, "1001", Some(json!({}))).await;
    store_job(&state, event, "notify", "dead", Some("chat 77 was not found")).await;
    assert_eq!(run_bulk(&state).await, 4, "three parts, and the end; the second request changed nothing");
    let uri = "/api/v1/bulk-operations/0198c2f0-5d3e-4c37-9f0e-0a7d3c1b2e4f";
    let operation = &get(&state, uri).await.json()["operation"];
    assert_eq!((&operation["state"], &operation["changed"]), (&json!("done"), &json!(250)), "{operation}");
    assert_eq!(count(&state, "select count(*) from pushbox.jobs where state = 'ready'").await, 250);
    assert_eq!(count(&state, "select count(*) from pushbox.jobs where state = 'dead'").await, 2);
    assert_eq!(count(&state, "select count(*) from pushbox.admin_actions").await, 1);
    let late = post(&state, &format!("{uri}/cancel"), json!({})).await;
    assert_eq!(late.status, StatusCode::CONFLICT, "{}", late.body);
}

#[tokio::test]
async fn a_bulk_operation_stops_where_it_stands() {
    let state = online_state().await;
    for n in 0..150 {
        let event = store_event(&state, n, "1001", Some(json!({}))).await;
        store_job(&state, event, "sheet", "ready", None).await;
    }
    let everything = json!({"action": "cancel"});
    let refused = post(&state, "/api/v1/bulk-operations", everything).await;
    assert_eq!(refused.status, StatusCode::BAD_REQUEST, "{}", refused.body);
    let asked =
        post(&state, "/api/v1/bulk-operations", json!({"action": "cancel", "all": true})).await.json();
    let id = asked["operation"]["id"].as_str().unwrap();
    assert!(bulk::advance(&state.pool).await.unwrap());
    let stopped = post(&state, &format!("/api/v1/bulk-operations/{id}/cancel"), json!({})).await.json();
    assert_eq!(stopped["operation"]["changed"], 100);
    assert!(!bulk::advance(&state.pool).await.unwrap());
    assert_eq!(count(&state, "select count(*) from pushbox.jobs where state = 'ready'").await, 50);
    let cancelled =
        "select count(*) from pushbox.job_history where outcome = 'cancelled' and note is not null";
    assert_eq!(count(&state, cancelled).await, 100);
    let list = get(&state, "/api/v1/bulk-operations?limit=1").await.json();
    assert_eq!((&list["operations"][0]["state"], &list["next"]), (&json!("cancelled"), &Value::Null));
}

#[tokio::test]
async fn one_job_is_cancelled_or_deleted_only_in_its_state() {
    let state = online_state().await;
    let event = store_event(&state, 10, "1001", Some(json!({}))).await;
    store_job(&state, event, "sheet", "ready", None).await;
    store_job(&state, event, "notify", "dead", Some("chat not found")).await;
    store_job(&state, event, "enrich", "running", None).await;
    let delete = async |id: u8| send_as(&state, Method::DELETE, &format!("/api/v1/jobs/{id}")).await;
    let cancel = async |id: u8| post(&state, &format!("/api/v1/jobs/{id}/cancel"), json!({})).await;
    for refused in [delete(1).await, cancel(2).await, delete(3).await, cancel(3).await] {
        assert_eq!(refused.status, StatusCode::CONFLICT, "{}", refused.body);
    }
    for done in [cancel(1).await, delete(2).await] {
        assert_eq!((done.status, &done.json()["job"]["state"]), (StatusCode::OK, &json!("cancelled")));
    }
    assert_eq!(delete(99).await.status, StatusCode::NOT_FOUND);
    let actions = get(&state, "/api/v1/admin-actions").await.json();
    let names: Vec<_> = actions["actions"].as_array().unwrap().iter().map(|one| &one["action"]).collect();
    assert_eq!(names, ["delete_job", "cancel_job"]);
}

#[tokio::test]
async fn the_record_says_who_and_pages_by_number() {
    let state = online_state().await;
    for reason in ["one", "two", "three"] {
        post(&state, "/api/v1/queues/sheet/pause", json!({"reason": reason})).await;
        post(&state, "/api/v1/queues/sheet/resume", json!({})).await;
    }
    let pauses = get(&state, "/api/v1/admin-actions?action=pause_queue&limit=2").await.json();
    let newest = &pauses["actions"][0];
    assert_eq!((&newest["actor"], &newest["detail"]["reason"]), (&json!("ADMIN_TOKEN"), &json!("three")));
    let next = pauses["next"].as_str().expect("a next page");
    let rest = get(&state, &format!("/api/v1/admin-actions?action=pause_queue&cursor={next}")).await.json();
    assert_eq!(rest["actions"][0]["detail"]["reason"], "one");
    assert_eq!(rest["next"], Value::Null);
    let nobody = get(&state, "/api/v1/admin-actions?actor=somebody&subject=queue%20sheet").await.json();
    assert_eq!(nobody["actions"], json!([]));
}

fn subjects(answer: &Answer) -> Vec<String> {
    let list = answer.json();
    let events = list["events"].as_array().unwrap_or_else(|| panic!("{list}"));
    events.iter().map(|event| event["subject"].as_str().expect("a subject").to_owned()).collect()
}

#[tokio::test]
async fn events_are_found_by_state_and_by_the_text_of_the_error() {
    let state = online_state().await;
    for n in 0..6 {
        let event = store_event(&state, n, "1001", Some(json!({}))).await;
        match n % 3 {
            0 => store_job(&state, event, "notify", "dead", Some("Chat not found")).await,
            1 => store_job(&state, event, "sheet", "ready", Some("quota")).await,
            _ => store_job(&state, event, "enrich", "done", None).await,
        }
    }
    for (query, expected) in [
        ("state=dead", vec!["SN0", "SN3"]),
        ("state=pending", vec!["SN1", "SN4"]),
        ("state=done", vec!["SN2", "SN5"]),
        ("error=chat%20NOT", vec!["SN0", "SN3"]),
        ("error=quota&state=pending", vec!["SN1", "SN4"]),
        ("error=quota&state=dead", vec![]),
        ("state=dead&subject=SN3", vec!["SN3"]),
    ] {
        assert_eq!(subjects(&get(&state, &format!("/api/v1/events?{query}")).await), expected, "{query}");
    }
    let first = get(&state, "/api/v1/events?state=dead&limit=1").await;
    assert_eq!(subjects(&first), ["SN0"]);
    let next = first.json()["next"].as_str().unwrap().to_owned();
    let second = get(&state, &format!("/api/v1/events?state=dead&limit=1&cursor={next}")).await;
    assert_eq!((subjects(&second), &second.json()["next"]), (vec!["SN3".to_owned()], &Value::Null));

    let event = first.json()["events"][0]["id"].as_str().unwrap().to_owned();
    for (query, expected) in [
        (format!("event_id={event}"), 1),
        ("error=not%20found&queue=notify".to_owned(), 2),
        ("error_group=quota".to_owned(), 2),
        ("since=2100-01-01T00:00:00Z".to_owned(), 0),
        ("shop=1001".to_owned(), 0),
    ] {
        let jobs = get(&state, &format!("/api/v1/jobs?{query}")).await.json();
        assert_eq!(jobs["jobs"].as_array().unwrap().len(), expected, "{query}");
    }
}

#[tokio::test]
async fn an_order_shows_what_the_sheet_and_telegram_have_of_it() {
    let app = TestApp::start().await;
    for (sn, at) in [("A1", 1_790_000_200), ("A2", 1_790_000_300)] {
        let (detail, escrow) = order(sn, "READY_TO_SHIP", at);
        app.simulator.put_order(SHOP, detail, escrow);
        app.push(&status_push(sn, "READY_TO_SHIP", at)).await;
    }
    app.drain().await;
    let list = app.admin("/orders?limit=1").await;
    assert_eq!(list["orders"][0]["order_sn"], "A2");
    let next = list["next"].as_str().expect("a second page");
    let list = app.admin(&format!("/orders?limit=1&cursor={next}")).await;
    assert_eq!((&list["orders"][0]["order_sn"], &list["next"]), (&json!("A1"), &Value::Null));
    let found = app.admin("/orders?order_sn=A1&status=READY_TO_SHIP&platform=shopee").await;
    assert_eq!(found["orders"].as_array().unwrap().len(), 1);

    let shown = app.admin(&format!("/orders/shopee/{SHOP}/A1")).await;
    let shown = &shown["order"];
    assert_eq!((&shown["items"], &shown["escrow_amount"]), (&json!(2), &json!("25.01")));
    assert_eq!(shown["lines"][0]["name"], "Tea pot");
    assert_eq!(shown["history"][0]["status"], "READY_TO_SHIP");
    assert_eq!(shown["sheet_rows"][0]["status"], "READY_TO_SHIP");
    assert_eq!(
        (&shown["announcements"][0]["chat_id"], &shown["announcements"][0]["state"]),
        (&json!(CHAT), &json!("sent"))
    );
    assert_eq!(shown["events"][0]["subject"], "A1");
    assert!(!shown.to_string().contains("jolly_buyer"), "buyers are nobody's business here: {shown}");

    // It says that it runs soon after its start.
    let begun = Instant::now();
    let workers = loop {
        let workers = app.admin("/workers").await;
        if workers["workers"][0]["alive"] == true {
            break workers;
        }
        assert!(begun.elapsed() < Duration::from_secs(20), "{workers}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    assert_eq!(workers["workers"][0]["roles"].as_array().unwrap().len(), 4);
    app.finish().await;
}
