//! The buttons of the pages, who may press them, and the numbers that the charts show.

use axum::http::{Request, StatusCode};
use pushbox::admin::AdminState;
use pushbox::queue::bulk;
use serde_json::{Value, json};

use crate::admin::{
    Answer, FULL_TOKEN, READ_TOKEN, count, get, online_state, post, store_event, store_job, visit,
};
use crate::support::app::{SHOP, TestApp, order, status_push};

const FORM: &str = "application/x-www-form-urlencoded";

/// Signs in and returns the cookie.
pub(crate) async fn sign_in(state: &AdminState, token: &str) -> String {
    let form = Request::post("/dashboard/sign-in").header("content-type", FORM);
    let answer = visit(state, form, &format!("token={token}")).await;
    let set = answer.headers["set-cookie"].to_str().expect("a cookie");
    set.split(';').next().expect("a value").to_owned()
}

pub(crate) async fn press(state: &AdminState, cookie: &str, path: &str, body: &str) -> Answer {
    let form = Request::post(path).header("content-type", FORM).header("cookie", cookie);
    visit(state, form.header("sec-fetch-site", "same-origin"), body).await
}

pub(crate) async fn page(state: &AdminState, cookie: &str, path: &str) -> String {
    let answer = visit(state, Request::get(path).header("cookie", cookie), "").await;
    assert_eq!(answer.status, StatusCode::OK, "{path}: {}", answer.body);
    answer.body
}

/// What the hidden fields of the only form with this action hold, as a form's body.
pub(crate) fn hidden_fields(page: &str, action: &str) -> String {
    let form = page.split(&format!("action=\"{action}\"")).nth(1).expect("the form");
    let form = form.split("</form>").next().expect("its end");
    let mut body = url::form_urlencoded::Serializer::new(String::new());
    for input in form.split("<input type=\"hidden\" name=\"").skip(1) {
        let (name, rest) = input.split_once("\" value=\"").expect("a value");
        body.append_pair(name, rest.split('"').next().expect("its end"));
    }
    body.finish()
}

#[tokio::test]
async fn a_group_of_dead_jobs_is_retried_from_its_page() {
    let state = online_state().await;
    for n in 0..3 {
        let event = store_event(&state, n, "1001", Some(json!({}))).await;
        store_job(&state, event, "notify", "dead", Some(&format!("chat {n} was not found"))).await;
    }
    let cookie = sign_in(&state, FULL_TOKEN).await;
    let jobs = page(&state, &cookie, "/dashboard/jobs?state=dead").await;
    let preview = "/dashboard/bulk/preview?action=retry&queue=notify&kind=notify_kind&error_group=chat+%23+was+not+found";
    assert!(jobs.contains(&preview.replace('&', "&amp;")), "{jobs}");
    let preview = page(&state, &cookie, preview).await;
    assert!(preview.contains("Retry 3 jobs?"), "{preview}");
    let fields = hidden_fields(&preview, "/dashboard/bulk");
    // A second click is the same operation.
    let first = press(&state, &cookie, "/dashboard/bulk", &fields).await;
    let second = press(&state, &cookie, "/dashboard/bulk", &fields).await;
    assert_eq!(
        (first.status, &first.headers["location"]),
        (StatusCode::SEE_OTHER, &second.headers["location"])
    );
    while bulk::advance(&state.pool).await.expect("a step") {}
    let shown = page(&state, &cookie, first.headers["location"].to_str().expect("an address")).await;
    assert!(shown.contains("<b>3</b> of 3 jobs changed"), "{shown}");
    assert_eq!(
        get(&state, "/api/v1/jobs?state=ready").await.json()["jobs"].as_array().map(Vec::len),
        Some(3)
    );
    let actions = get(&state, "/api/v1/admin-actions").await.json();
    assert_eq!(actions["actions"].as_array().map(Vec::len), Some(1), "{actions}");
    assert_eq!(actions["actions"][0]["actor"], "ADMIN_TOKEN, dashboard");
}

#[tokio::test]
async fn buttons_do_what_they_say_and_lead_back() {
    let state = online_state().await;
    let event = store_event(&state, 1, "1001", Some(json!({}))).await;
    store_job(&state, event, "notify", "dead", Some("chat not found")).await;
    store_job(&state, event, "sheet", "ready", None).await;
    let cookie = sign_in(&state, FULL_TOKEN).await;
    for (path, body, back) in [
        ("/dashboard/queues/sheet/pause", "reason=new+sheet&next=/dashboard/queues", "/dashboard/queues"),
        ("/dashboard/queues/notify/pause", "reason=x&next=https://elsewhere.example", "/dashboard"),
        ("/dashboard/queues/notify/resume", "", "/dashboard"),
        ("/dashboard/jobs/1/retry", "next=/dashboard/jobs?state%3Ddead", "/dashboard/jobs?state=dead"),
        ("/dashboard/jobs/2/cancel", "next=/dashboard/jobs/2", "/dashboard/jobs/2"),
    ] {
        let done = press(&state, &cookie, path, body).await;
        assert_eq!(done.status, StatusCode::SEE_OTHER, "{path}: {}", done.body);
        assert_eq!(done.headers["location"], back, "{path}");
    }
    let queues = page(&state, &cookie, "/dashboard/queues").await;
    assert!(queues.contains("Resume sheet") && queues.contains("Pause notify"), "{queues}");
    for (path, status) in [
        ("/dashboard/replays", StatusCode::UNPROCESSABLE_ENTITY),
        ("/dashboard/jobs/1/delete", StatusCode::CONFLICT),
        ("/dashboard/jobs/1/explode", StatusCode::NOT_FOUND),
        ("/dashboard/jobs/77/retry", StatusCode::NOT_FOUND),
        ("/dashboard/schedules/nothing/run", StatusCode::NOT_FOUND),
        ("/dashboard/rejections/77/accept", StatusCode::NOT_FOUND),
        ("/dashboard/bulk/0198c2f0-5d3e-4c37-9f0e-0a7d3c1b2e4f/cancel", StatusCode::NOT_FOUND),
    ] {
        let refused = press(&state, &cookie, path, "").await;
        assert_eq!(refused.status, status, "{path}: {}", refused.body);
        assert!(refused.body.contains("<html"), "people get a page: {}", refused.body);
    }
}

#[tokio::test]
async fn who_may_only_read_sees_no_buttons_and_changes_nothing() {
    let state = online_state().await;
    let event = store_event(&state, 1, "1001", Some(json!({}))).await;
    store_job(&state, event, "notify", "dead", Some("chat not found")).await;
    let cookie = sign_in(&state, READ_TOKEN).await;
    for path in
        ["/dashboard/jobs?state=dead", "/dashboard/jobs/1", "/dashboard/queues", "/dashboard/settings"]
    {
        let shown = page(&state, &cookie, path).await;
        assert!(shown.contains("read only"), "{path}");
        let forms = shown.matches("method=\"post\"").count();
        assert_eq!(forms, 1, "only the sign-out: {path}: {shown}");
    }
    for path in ["/dashboard/jobs/1/retry", "/dashboard/queues/sheet/pause", "/dashboard/bulk"] {
        let refused = press(&state, &cookie, path, "reason=x&action=retry&all=true").await;
        assert_eq!(refused.status, StatusCode::FORBIDDEN, "{path}: {}", refused.body);
    }
    let full = sign_in(&state, FULL_TOKEN).await;
    let foreign =
        Request::post("/dashboard/jobs/1/retry").header("content-type", FORM).header("cookie", &full);
    let refused = visit(&state, foreign.header("sec-fetch-site", "cross-site"), "").await;
    assert_eq!(refused.status, StatusCode::FORBIDDEN, "a page of another site presses no buttons");
    let stranger = Request::post("/dashboard/jobs/1/retry").header("content-type", FORM);
    let sent_away = visit(&state, stranger, "").await;
    assert_eq!(sent_away.headers["location"], "/dashboard/sign-in?next=%2Fdashboard");
    let actions = get(&state, "/api/v1/admin-actions").await.json();
    assert_eq!(actions["actions"], json!([]));
}

#[tokio::test]
async fn charts_are_drawn_from_counts_that_settle() {
    let state = online_state().await;
    for n in [1, 2, 3, 7_000] {
        let event = store_event(&state, n, "1001", Some(json!({}))).await;
        store_job(&state, event, "sheet", "done", None).await;
    }
    sqlx::query("update pushbox.job_history set kind = 'upsert_sheet_row', attempt = 2")
        .execute(&state.pool)
        .await
        .expect("kinds");
    count(&state).await;
    // What commits late is counted when it is there.
    let late = store_event(&state, 4, "1001", Some(json!({}))).await;
    store_job(&state, late, "notify", "done", None).await;
    count(&state).await;
    count(&state).await;
    let sum = |series: &Value, name: &str| -> i64 {
        series["points"].as_array().expect("points").iter().filter_map(|point| point[name].as_i64()).sum()
    };
    for (window, points, events) in [("hour", 60, 4), ("day", 96, 5), ("week", 84, 5)] {
        let series = get(&state, &format!("/api/v1/stats/series?window={window}")).await.json();
        assert_eq!(series["points"].as_array().map(Vec::len), Some(points), "{window}");
        assert_eq!(sum(&series, "events"), events, "{window}: {series}");
        assert_eq!((sum(&series, "done"), sum(&series, "attempts")), (5, 9), "{window}");
    }
    let unknown = get(&state, "/api/v1/stats/series?window=year").await;
    assert_eq!(unknown.status, StatusCode::BAD_REQUEST, "{}", unknown.body);
    let cookie = sign_in(&state, FULL_TOKEN).await;
    let overview = page(&state, &cookie, "/dashboard?window=day").await;
    assert!(overview.contains("<rect") && overview.contains("Pushes per minute"), "{overview}");
}

#[tokio::test]
async fn a_replay_is_counted_before_it_begins_and_begins_once() {
    let state = online_state().await;
    for n in 0..3 {
        store_event(
            &state,
            n,
            "1001",
            Some(json!({"code": 3, "shop_id": 1001, "timestamp": 1_790_000_200,
            "data": {"ordersn": "A1", "status": "UNPAID", "update_time": 1_790_000_200 + n}})),
        )
        .await;
    }
    let cookie = sign_in(&state, FULL_TOKEN).await;
    let asked = "/dashboard/replays/preview?target=events&source=shopee&account=&hours=24&per_second=7";
    let preview = page(&state, &cookie, asked).await;
    assert!(preview.contains("Replay 3 events?"), "{preview}");
    let fields = hidden_fields(&preview, "/dashboard/replays");
    assert!(fields.contains("since=") && fields.contains("per_second=7"), "{fields}");
    let first = press(&state, &cookie, "/dashboard/replays", &fields).await;
    let second = press(&state, &cookie, "/dashboard/replays", &fields).await;
    assert_eq!(first.status, StatusCode::SEE_OTHER, "{}", first.body);
    assert_eq!(first.headers["location"], second.headers["location"]);
    let place = first.headers["location"].to_str().expect("an address");
    assert!(page(&state, &cookie, place).await.contains("waiting"), "no worker is there");
    let stop = format!("{place}/cancel");
    assert_eq!(press(&state, &cookie, &stop, "").await.status, StatusCode::SEE_OTHER);
    assert_eq!(press(&state, &cookie, &stop, "").await.status, StatusCode::CONFLICT);
    let list = page(&state, &cookie, "/dashboard/replays").await;
    assert!(list.contains("cancelled") && list.contains("<form"), "{list}");
    let read_only = page(&state, &sign_in(&state, READ_TOKEN).await, "/dashboard/replays").await;
    assert!(!read_only.contains("/dashboard/replays/preview"), "{read_only}");
}

#[tokio::test]
async fn one_event_is_replayed_from_its_page() {
    let state = online_state().await;
    let push = json!({"code": 3, "shop_id": 1001, "timestamp": 1_790_000_200,
        "data": {"ordersn": "A1", "status": "UNPAID", "update_time": 1_790_000_200}});
    let event = store_event(&state, 1, "1001", Some(push)).await;
    let cookie = sign_in(&state, FULL_TOKEN).await;
    let place = format!("/dashboard/events/{event}");
    assert!(page(&state, &cookie, &place).await.contains(&format!("{place}/replay")));
    let preview = page(&state, &cookie, &format!("{place}/replay")).await;
    assert!(preview.contains("Replay this event?"), "{preview}");
    let done = press(&state, &cookie, &format!("{place}/replay"), "").await;
    assert_eq!(
        (done.status, &done.headers["location"]),
        (StatusCode::SEE_OTHER, &place.parse().expect("it"))
    );
    let actions = get(&state, "/api/v1/admin-actions").await.json();
    assert_eq!(actions["actions"][0]["action"], "replay_event");
}

#[tokio::test]
async fn a_replay_refuses_what_it_would_not_look_at() {
    let state = online_state().await;
    for (body, word) in [
        (json!({"target": "events"}), "all"),
        (json!({"target": "events", "filter": {"queue": "sheet"}}), "filter.queue"),
        (json!({"target": "dead_jobs", "filter": {"subject": "A1"}}), "filter.subject"),
        (json!({"target": "events", "all": true, "per_second": 0}), "per_second"),
        (json!({"target": "events", "filter": {"shop": "1"}}), "shop"),
        (json!({"target": "everything", "all": true}), "everything"),
        (json!({"target": "dead_jobs", "filter": {"error": "a\0b"}}), "NUL"),
    ] {
        let answer = post(&state, "/api/v1/replays", body.clone()).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{body}: {}", answer.body);
        assert!(answer.body.contains(word), "{body}: {}", answer.body);
    }
    let id = "0198c2f0-5d3e-4c37-9f0e-0a7d3c1b2e4f";
    let asked = json!({"target": "dead_jobs", "all": true, "id": id});
    let first = post(&state, "/api/v1/replays", asked.clone()).await;
    assert_eq!(first.status, StatusCode::ACCEPTED, "{}", first.body);
    assert_eq!(
        post(&state, "/api/v1/replays", asked.clone()).await.json()["replay"]["id"],
        first.json()["replay"]["id"]
    );
    let listed = get(&state, "/api/v1/replays").await.json();
    assert_eq!(listed["replays"].as_array().map(Vec::len), Some(1), "{listed}");
}

async fn hear(stream: &mut reqwest::Response, word: &str) {
    let mut heard = String::new();
    while !heard.contains(word) {
        let chunk = stream.chunk().await.expect("a chunk").expect("it goes on");
        heard.push_str(&String::from_utf8_lossy(&chunk));
    }
}

#[tokio::test]
async fn an_open_page_hears_of_a_push() {
    let app = TestApp::start().await;
    let mut stream = app.live().await;
    hear(&mut stream, "event: ready").await;
    let (detail, escrow) = order("A1", "READY_TO_SHIP", 1_790_000_200);
    app.simulator.put_order(SHOP, detail, escrow);
    app.push(&status_push("A1", "READY_TO_SHIP", 1_790_000_200)).await;
    hear(&mut stream, "event: changed").await;
    drop(stream);
    app.finish().await;
}
