//! The commands that look at a system and steer it, as a person or a script meets them: over a database that an
//! app works on, and over the private Postgres of a pushbox that runs.

use std::io::{BufRead as _, BufReader};
use std::process::{Command, Output, Stdio};

use serde_json::Value;

use crate::support::app::{SHOP, TestApp, order, status_push};
use crate::support::database::directory;

/// A command with these settings, in a directory of its own.
fn command(arguments: &[&str], settings: &[(&str, &str)]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_pushbox"));
    command.args(arguments).current_dir("/").env_clear().envs(settings.iter().copied()).stdin(Stdio::null());
    command
}

/// Runs a command beside an app that goes on working.
async fn run(url: &str, arguments: &[&str]) -> Output {
    let mut command = command(arguments, &[("DATABASE_URL", url)]);
    tokio::task::spawn_blocking(move || command.output().expect("run pushbox")).await.expect("join")
}

/// What it said; fails unless it ended with `code`.
fn said(output: &Output, code: i32) -> String {
    let text =
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.status.code(), Some(code), "{text}");
    text
}

fn json(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {}", said(output, 0)))
}

async fn app_with_an_order() -> TestApp {
    let app = TestApp::start().await;
    let (detail, escrow) = order("C1", "READY_TO_SHIP", 1_790_000_200);
    app.simulator.put_order(SHOP, detail, escrow);
    for _ in 0..2 {
        app.push(&status_push("C1", "READY_TO_SHIP", 1_790_000_200)).await;
    }
    app.drain().await;
    app
}

#[tokio::test(flavor = "multi_thread")]
async fn explain_tells_the_whole_life_and_what_comes_next() {
    let app = app_with_an_order().await;
    let url = app.url();
    let told = said(&run(url, &["explain", "C1"]).await, 0);
    for word in [
        "order C1",
        "came by push",
        "repeated",
        "enrich_order",
        "as READY_TO_SHIP",
        "upsert_sheet_row: appended",
        "part 1 of 1 in chat",
        "spreadsheet sheet-of-the-tests shows READY_TO_SHIP",
        "nothing: all that was asked for is done",
    ] {
        assert!(told.contains(word), "{word} is not told:\n{told}");
    }
    assert!(!told.contains("jolly_buyer"), "{told}");

    let life = json(&run(url, &["explain", "C1", "--json"]).await);
    assert_eq!((&life["kind"], &life["next"]), (&Value::from("order"), &Value::Array(Vec::new())));
    let event = life["timeline"]
        .as_array()
        .expect("steps")
        .iter()
        .find_map(|step| step["event_id"].as_str())
        .expect("an event");
    assert!(said(&run(url, &["explain", event]).await, 0).contains(&format!("event {event}")));
    let job = life["timeline"]
        .as_array()
        .expect("steps")
        .iter()
        .find_map(|step| step["job_id"].as_i64())
        .expect("a job");
    assert!(said(&run(url, &["explain", &job.to_string()]).await, 0).contains(&format!("event {event}")));
    assert!(
        said(&run(url, &["explain", "NO-SUCH-ORDER"]).await, 3).contains("nothing is known of NO-SUCH-ORDER")
    );

    // What is dead says so, with what to do.
    let dead = dead_job(&app, "the tab 4711 is protected").await;
    let told = said(&run(url, &["explain", "C1"]).await, 0);
    assert!(told.contains(&format!("`pushbox jobs retry {dead}` tries again")), "{told}");
    app.app.stop().await;
}

/// A job of the order C1 that was given up.
async fn dead_job(app: &TestApp, error: &str) -> i64 {
    sqlx::query_scalar(
        "INSERT INTO pushbox.jobs (queue, kind, key, batch_key, payload, state, attempt, max_attempts, event_id, last_error, errors)
         SELECT h.queue, h.kind, h.key, h.batch_key, h.payload, 'dead', 20, 20, e.id, $1,
                jsonb_build_array(jsonb_build_object('attempt', 20, 'at', now(), 'error', $1::text))
         FROM pushbox.events e JOIN pushbox.job_history h ON h.kind = 'upsert_sheet_row'
         WHERE e.subject = 'C1' LIMIT 1 RETURNING id",
    )
    .bind(error)
    .fetch_one(&app.pool)
    .await
    .expect("a dead job")
}

#[tokio::test(flavor = "multi_thread")]
async fn dead_jobs_are_seen_and_retried_with_care() {
    let app = app_with_an_order().await;
    let url = app.url();
    // Paused, so that a job that was retried stays where the test can see it.
    assert!(
        said(&run(url, &["queues", "pause", "sheet", "--reason", "the test looks"]).await, 0).contains("yes")
    );
    let ids =
        [dead_job(&app, "the tab 1 is protected").await, dead_job(&app, "the tab 2 is protected").await];
    let other = dead_job(&app, "another reason").await;

    let groups = json(&run(url, &["jobs", "dead", "--json"]).await);
    assert_eq!(groups["groups"][0]["jobs"], 2);
    assert_eq!(groups["groups"][0]["error"], "the tab # is protected");
    assert!(
        said(&run(url, &["jobs", "--state", "dead", "--queue", "sheet"]).await, 0).contains("another reason")
    );
    assert!(
        said(&run(url, &["jobs", "show", &ids[0].to_string()]).await, 0).contains("the tab 1 is protected")
    );
    said(&run(url, &["jobs", "show", "999999999"]).await, 3);

    // Nothing happens without a filter, without a yes, and for what does not match.
    said(&run(url, &["jobs", "retry"]).await, 2);
    assert!(
        said(&run(url, &["jobs", "retry", "--error", "PROTECTED"]).await, 2).contains("Retry 2 dead jobs?")
    );
    said(&run(url, &["jobs", "retry", "--error", "no such error", "--yes"]).await, 3);
    let still: i64 = app.count("SELECT count(*) FROM pushbox.jobs WHERE state = 'dead'").await;
    assert_eq!(still, 3);

    let done = json(&run(url, &["jobs", "retry", "--error", "PROTECTED", "--yes", "--json"]).await);
    assert_eq!(done["retried"].as_array().map(Vec::len), Some(2), "{done}");
    assert!(said(&run(url, &["jobs", "retry", &other.to_string()]).await, 0).contains("1 of 1"));
    said(&run(url, &["jobs", "retry", &other.to_string()]).await, 3);
    let recorded = app.count("SELECT count(*) FROM pushbox.admin_actions WHERE action = 'retry_job'").await;
    assert_eq!(recorded, 3);
    assert!(said(&run(url, &["queues", "resume", "sheet"]).await, 0).contains("sheet"));
    said(&run(url, &["queues", "pause", "../stats", "--reason", "x"]).await, 3);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn events_are_listed_and_shown_without_their_people() {
    let app = app_with_an_order().await;
    let url = app.url();
    let mut push = status_push("C2", "UNPAID", 1_790_000_300);
    push["data"]["buyer_username"] = "jolly_buyer".into();
    push["code"] = 10.into();
    app.push(&push).await;
    app.drain().await;
    let listed = json(&run(url, &["events", "--about", "C2", "--since", "1h", "--json"]).await);
    let id = listed["events"][0]["id"].as_str().expect("the event");
    assert!(said(&run(url, &["events", "--code", "3"]).await, 0).contains("order_status"));
    assert!(
        said(&run(url, &["events", "--until", "2001-01-01T00:00:00Z"]).await, 0).contains("no event matches")
    );
    said(&run(url, &["events", "--since", "yesterday"]).await, 2);

    for arguments in [vec!["events", "show", id], vec!["events", "show", id, "--json"]] {
        let shown = said(&run(url, &arguments).await, 0);
        assert!(shown.contains("buyer_username") && !shown.contains("jolly_buyer"), "{shown}");
    }
    assert_eq!(app.count("SELECT count(*) FROM pushbox.admin_actions").await, 0);
    assert!(said(&run(url, &["events", "show", id, "--unmask"]).await, 0).contains("jolly_buyer"));
    assert_eq!(
        app.count("SELECT count(*) FROM pushbox.admin_actions WHERE action = 'unmask_event'").await,
        1
    );
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn figures_and_tasks_are_shown_once_or_again_and_again() {
    let app = app_with_an_order().await;
    let url = app.url();
    // Statistics are counted every few seconds.
    app.until("SELECT count(*) FROM pushbox.job_counts WHERE kind = 'upsert_sheet_row'").await;
    let stats = said(&run(url, &["stats"]).await, 0);
    assert!(stats.contains("1 events in the last hour") && stats.contains("upsert_sheet_row"), "{stats}");
    assert!(said(&run(url, &["schedules"]).await, 0).contains("maintain"));
    assert!(said(&run(url, &["schedules", "show", "maintain"]).await, 0).contains("STARTED"));
    said(&run(url, &["schedules", "run", "maintain"]).await, 0);
    said(&run(url, &["schedules", "run", "sleep"]).await, 3);

    // With --watch each line is a document; the pipe's end stops it.
    let mut watching = command(&["queues", "--json", "--watch", "1"], &[("DATABASE_URL", url)])
        .stdout(Stdio::piped())
        .spawn()
        .expect("watch");
    let lines = BufReader::new(watching.stdout.take().expect("its output"));
    let read = tokio::task::spawn_blocking(move || {
        lines.lines().take(2).collect::<Result<Vec<_>, _>>().expect("lines")
    });
    for line in read.await.expect("join") {
        let document: Value = serde_json::from_str(&line).expect("a document");
        assert!(document["queues"].as_array().is_some_and(|queues| queues.len() >= 4), "{line}");
    }
    watching.kill().expect("stop watching");
    watching.wait().expect("wait");
    app.finish().await;
}

#[test]
fn shells_can_complete() {
    for shell in ["bash", "zsh", "fish"] {
        let script = said(&command(&["completions", shell], &[]).output().expect("run"), 0);
        assert!(script.contains("explain"), "{shell}");
    }
}

/// The private Postgres serves the commands while the process that owns it works, and without it.
#[test]
fn commands_reach_the_private_postgres_of_a_running_pushbox() {
    let directory = directory();
    let data_dir = directory.path().join("data");
    let data_dir = data_dir.to_str().expect("a plain path");
    let settings = [("DATA_DIR", data_dir), ("ADMIN_LISTEN", "127.0.0.1:0"), ("LOG_FORMAT", "json")];
    let mut serving = command(&["serve", "--roles", "admin"], &settings)
        .stderr(Stdio::piped())
        .spawn()
        .expect("start serve");
    let log = BufReader::new(serving.stderr.take().expect("its log"));
    let mut log = log.lines().map_while(Result::ok);
    assert!(log.any(|line| line.contains("runs as admin")), "serve did not start");

    let beside =
        command(&["queues", "pause", "sheet", "--reason", "beside"], &settings).output().expect("run");
    assert!(said(&beside, 0).contains("yes"));
    assert!(said(&command(&["audit"], &settings).output().expect("run"), 0).contains("ok"));
    serving.kill().expect("stop serve");
    serving.wait().expect("wait");
    drop(log);

    let alone = command(&["queues", "--json"], &settings).output().expect("run");
    let queues = json(&alone);
    let sheet = queues["queues"].as_array().expect("queues").iter().find(|queue| queue["queue"] == "sheet");
    assert_eq!(sheet.expect("the queue")["paused"], true);
}

#[tokio::test(flavor = "multi_thread")]
async fn orders_are_listed_and_shown() {
    let app = app_with_an_order().await;
    let url = app.url();
    let listed = said(&run(url, &["orders", "--status", "READY_TO_SHIP", "--since", "3650d"]).await, 0);
    assert!(listed.contains("C1") && listed.contains("PAYOUT"), "{listed}");
    assert!(said(&run(url, &["orders", "--status", "UNPAID"]).await, 0).contains("no order matches"));
    let shown = said(&run(url, &["orders", "show", "C1"]).await, 0);
    for word in ["READY_TO_SHIP", "PIECES", "income:", "sheet-of-the-tests"] {
        assert!(shown.contains(word), "{word} is not shown:\n{shown}");
    }
    assert!(!shown.contains("jolly_buyer"), "{shown}");
    let document = json(&run(url, &["orders", "show", "C1", "--json"]).await);
    assert_eq!(document["order"]["order_sn"], "C1");
    said(&run(url, &["orders", "show", "NO-SUCH"]).await, 3);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn replays_are_counted_confirmed_followed_and_stopped() {
    let app = app_with_an_order().await;
    let url = app.url();
    let counted = json(&run(url, &["replay", "events", "--code", "3", "--dry-run", "--json"]).await);
    assert_eq!((&counted["replay"]["total"], &counted["replay"]["id"]), (&1.into(), &Value::Null));
    said(&run(url, &["replay", "events"]).await, 2);
    let asked = said(&run(url, &["replay", "events", "--code", "3"]).await, 2);
    assert!(asked.contains("Replay 1 events?"), "{asked}");
    said(&run(url, &["replay", "events", "--code", "9999", "--yes"]).await, 3);
    assert_eq!(app.count("SELECT count(*) FROM pushbox.replays").await, 0, "nothing happened so far");

    let done = json(&run(url, &["replay", "events", "--code", "3", "--yes", "--json"]).await);
    assert_eq!((&done["replay"]["state"], &done["replay"]["seen"]), (&"done".into(), &1.into()), "{done}");
    app.drain().await;
    let fetched = "SELECT count(*) FROM pushbox.job_history WHERE kind = 'enrich_order' AND outcome = 'done'";
    assert!(app.count(fetched).await >= 2, "the order was fetched again");
    let id = done["replay"]["id"].to_string();
    assert!(said(&run(url, &["replay"]).await, 0).contains("done"));
    assert!(said(&run(url, &["replay", "show", &id]).await, 0).contains("command line"));
    assert!(said(&run(url, &["replay", "cancel", &id]).await, 1).contains("not under way"));
    said(&run(url, &["replay", "cancel", "999"]).await, 3);

    let event: String = sqlx::query_scalar("SELECT id::text FROM pushbox.events LIMIT 1")
        .fetch_one(&app.pool)
        .await
        .expect("the event");
    let told = said(&run(url, &["replay", "event", &event, "--dry-run"]).await, 0);
    assert!(told.contains("enrich_order"), "{told}");
    said(&run(url, &["replay", "event", &event]).await, 0);
    let recorded =
        "SELECT count(*) FROM pushbox.admin_actions WHERE action IN ('start_replay', 'replay_event')";
    assert_eq!(app.count(recorded).await, 2);
    app.drain().await;
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn jobs_that_wait_are_cancelled_with_care() {
    let app = app_with_an_order().await;
    let url = app.url();
    said(&run(url, &["queues", "pause", "sheet", "--reason", "the test looks"]).await, 0);
    let id = dead_job(&app, "the tab 1 is protected").await;
    said(&run(url, &["jobs", "retry", &id.to_string()]).await, 0);
    let asked = said(&run(url, &["jobs", "cancel", "--queue", "sheet"]).await, 2);
    assert!(asked.contains("Cancel 1 ready jobs?"), "{asked}");
    let done = json(&run(url, &["jobs", "cancel", "--queue", "sheet", "--yes", "--json"]).await);
    assert_eq!(done["cancelled"].as_array().map(Vec::len), Some(1), "{done}");
    said(&run(url, &["jobs", "cancel", &id.to_string()]).await, 3);
    said(&run(url, &["queues", "resume", "sheet"]).await, 0);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn shops_and_destinations_are_steered_from_a_terminal() {
    let app = TestApp::start().await;
    app.until("SELECT count(*) FROM pushbox.shops WHERE access_expires_at > now()").await;
    let listed = app.command(&["shops"]).await;
    assert!(listed.contains("10000001") && listed.contains("active"), "{listed}");
    let one: Value =
        serde_json::from_str(&app.command(&["shops", "show", "10000001", "--json"]).await).expect("JSON");
    assert_eq!((&one["shop"]["state"], &one["shop"]["tokens"]), (&"active".into(), &"sealed".into()));
    said(&app.output(&["shops", "show", "77"]).await, 3);
    // Nobody is there to be asked.
    let asked = said(&app.output(&["shops", "disable", "10000001", "--reason", "sold"]).await, 2);
    assert!(asked.contains("Call Shopee no more for shop 10000001?"), "{asked}");
    said(&app.output(&["shops", "disable", "77", "--reason", "sold", "--yes"]).await, 3);
    let off = app.command(&["shops", "disable", "10000001", "--reason", "sold", "--yes"]).await;
    assert!(off.contains("disabled") && off.contains("sold"), "{off}");
    said(&app.output(&["shops", "refresh", "10000001"]).await, 1);
    assert!(app.command(&["shops", "enable", "10000001"]).await.contains("active"));
    let refreshed: Value =
        serde_json::from_str(&app.command(&["shops", "refresh", "10000001", "--json"]).await).expect("JSON");
    assert_eq!(refreshed["shop"]["shop_id"], "10000001");
    let link = app
        .command(&["shops", "link", "--redirect", "https://hooks.example.com/done", "--state", "s1"])
        .await;
    assert!(link.starts_with("http") && link.contains("state=s1") && link.lines().count() == 1, "{link}");
    said(&app.output(&["shops", "link", "--redirect", "javascript:1"]).await, 2);

    let chat = crate::support::app::CHAT.to_string();
    let listed = app.command(&["destinations"]).await;
    assert!(listed.contains(&chat) && listed.contains("sheet-of-the-tests"), "{listed}");
    let paused = app.command(&["destinations", "pause", "telegram", &chat, "--reason", "it is night"]).await;
    assert!(paused.contains("it is night"), "{paused}");
    said(&app.output(&["destinations", "pause", "telegram", &chat]).await, 2);
    said(&app.output(&["destinations", "pause", "telegram", "-5", "--reason", "x"]).await, 3);
    let doctor = said(&app.output(&["doctor"]).await, 0);
    assert!(doctor.contains("is paused by a person: it is night"), "{doctor}");
    let resumed = app.command(&["destinations", "resume", "telegram", &chat, "--json"]).await;
    let resumed: Value = serde_json::from_str(&resumed).expect("JSON");
    assert!(resumed["destinations"].as_array().expect("a list").iter().all(|one| one["paused_at"].is_null()));
    app.command(&["destinations", "reset", "telegram", &chat]).await;
    said(&app.output(&["destinations", "reset", "sheet", "none"]).await, 3);
    let recorded = app.count("SELECT count(DISTINCT action) FROM pushbox.admin_actions").await;
    assert_eq!(recorded, 6);
    app.finish().await;
}
