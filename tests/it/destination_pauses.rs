//! A person's pause of a destination: nobody calls it, nothing is lost, nothing but a resume ends it.

use std::time::Duration;

use pushbox::store::breakers::{self, Admission, Prober};
use pushbox::store::destination_lists::{list, pause_by_hand, resume};
use pushbox::store::destinations::{find_pause, pause, take_budget};
use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::support::app::{CHAT, SHOP, SPREADSHEET, TestApp, order, status_push};
use crate::support::database::database;

const AT: i64 = 1_790_000_200;
const FORWARDING: &[(&str, &str)] = &[
    ("FORWARD_URL", "{forward}hook"),
    ("FORWARD_SECRET", "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="),
    ("FORWARD_ALLOW_PRIVATE", "true"),
];

impl TestApp {
    async fn order_comes(&self, number: &str) {
        let (detail, escrow) = order(number, "READY_TO_SHIP", AT);
        self.simulator.put_order(SHOP, detail, escrow);
        self.push(&status_push(number, "READY_TO_SHIP", AT)).await;
    }

    /// What has arrived at the destination so far.
    async fn arrived(&self, kind: &str) -> usize {
        match kind {
            "shopee" => {
                usize::try_from(self.count("SELECT count(*) FROM pushbox.orders").await).expect("a count")
            }
            "sheet" => self.simulator.sheet_rows(SPREADSHEET, "Orders").len(),
            "telegram" => self.simulator.messages(CHAT).len(),
            _ => self.simulator.forwarded().len(),
        }
    }

    async fn steer(&self, kind: &str, name: &str, verb: &str) -> Value {
        let body = (verb == "pause").then(|| json!({"reason": "it moves"}));
        let (status, answer) =
            self.api("POST", &format!("/destinations/{kind}/{name}/{verb}"), body.as_ref()).await;
        assert_eq!(status, StatusCode::OK, "{verb} {kind} {name}: {answer}");
        answer
    }

    /// Everything that waits looks again, and waits again.
    async fn look_again(&self) {
        sqlx::query("UPDATE pushbox.jobs SET run_at = now() WHERE waiting_on IS NOT NULL")
            .execute(&self.pool)
            .await
            .expect("time passes");
        self.app.wake();
        self.until(
            "SELECT (count(*) = 0)::int::bigint FROM pushbox.jobs WHERE run_at <= now() OR state = 'running'",
        )
        .await;
    }
}

#[tokio::test]
async fn a_paused_destination_is_called_by_nobody_until_it_is_resumed() {
    let (shop, chat) = (SHOP.to_string(), CHAT.to_string());
    for (kind, name) in [
        ("shopee", shop.as_str()),
        ("sheet", SPREADSHEET),
        ("telegram", chat.as_str()),
        ("forward", "default"),
    ] {
        let app = TestApp::start_with(FORWARDING).await;
        let replica = app.replica().await;
        // It was never used, and can be paused all the same.
        let paused = app.steer(kind, name, "pause").await;
        assert_eq!(paused["destination"]["paused_reason"], "it moves", "{paused}");
        let pushes = async {
            for number in ["A1", "A2", "A3"] {
                app.order_comes(number).await;
            }
        };
        pushes.await;
        app.until("SELECT (count(*) = 3)::int::bigint FROM pushbox.jobs WHERE waiting_on = 'paused by a person: it moves'")
            .await;
        app.look_again().await;

        // A breaker that opened before would be tried by now; a reset closes it; neither ends the pause.
        sqlx::query("UPDATE pushbox.destinations SET state = 'open', paused_until = now() WHERE paused_at IS NOT NULL")
            .execute(&app.pool)
            .await
            .expect("a breaker");
        app.look_again().await;
        app.steer(kind, name, "reset").await;
        app.look_again().await;
        assert_eq!(app.arrived(kind).await, 0, "{kind}");
        assert_eq!(app.count("SELECT max(attempt)::bigint FROM pushbox.jobs").await, 0, "{kind}");
        let shown = app.admin("/destinations").await["destinations"][0].clone();
        assert_eq!((&shown["kind"], &shown["name"]), (&json!(kind), &json!(name)), "first: {shown}");
        assert_eq!((&shown["waiting_jobs"], &shown["state"]), (&json!(3), &json!("closed")), "{shown}");
        let told = "SELECT count(*) FROM pushbox.alerts WHERE key LIKE 'destination_pause:%' AND resolved_at IS NULL";
        assert_eq!(app.count(told).await, 1);

        app.steer(kind, name, "pause").await;
        let resumed = app.steer(kind, name, "resume").await;
        assert!(resumed["destination"]["paused_at"].is_null(), "{resumed}");
        app.steer(kind, name, "resume").await;
        app.drain().await;
        assert!(app.arrived(kind).await > 0, "{kind}");
        assert_eq!(app.count("SELECT max(attempt)::bigint FROM pushbox.job_history").await, 1, "{kind}");
        assert_eq!(app.count(told).await, 0, "it is over");
        assert_eq!(
            app.count("SELECT count(*) FROM pushbox.alerts WHERE key LIKE 'destination_pause:%'").await,
            1
        );
        let record: Vec<(String, String, Value)> =
            sqlx::query_as("SELECT action, subject, detail FROM pushbox.admin_actions ORDER BY id")
                .fetch_all(&app.pool)
                .await
                .expect("the record");
        let actions: Vec<&str> = record.iter().map(|(action, ..)| action.as_str()).collect();
        assert_eq!(actions, ["pause_destination", "reset_destination", "resume_destination"], "each once");
        assert!(record.iter().all(|(_, subject, _)| *subject == format!("{kind} {name}")), "{record:?}");
        assert_eq!((&record[0].2, &record[2].2), (&json!({"reason": "it moves"}), &json!({"jobs": 3})));
        replica.stop().await;
        app.finish().await;
    }
}

#[tokio::test]
async fn what_is_not_there_cannot_be_paused_and_nobody_pauses_without_a_reason() {
    let app = TestApp::start().await;
    let pause = |place: &'static str, reason: &str| {
        let body = json!({ "reason": reason });
        let app = &app;
        async move { app.api("POST", &format!("/destinations/{place}/pause"), Some(&body)).await.0 }
    };
    assert_eq!(pause("sheet/another", "x").await, StatusCode::NOT_FOUND);
    assert_eq!(pause("sheet/sheet-of-the-tests", "  ").await, StatusCode::BAD_REQUEST);
    assert_eq!(pause("sheet/sheet-of-the-tests", &"x".repeat(201)).await, StatusCode::BAD_REQUEST);
    let (status, _) = app.api("POST", "/destinations/sheet/another/resume", None).await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    assert_eq!(app.count("SELECT count(*) FROM pushbox.admin_actions").await, 0);
    app.finish().await;
}

#[tokio::test]
async fn a_pause_stands_above_breaker_budget_and_automatic_pauses() {
    let db = database().await;
    let mut connection = db.pool.acquire().await.expect("a connection");
    let nobody = Prober { job_id: 0, claim_id: uuid::Uuid::nil() };
    let second = Duration::from_secs(1);
    assert!(pause_by_hand(&mut connection, "sheet", "s", "it moves").await.expect("paused"));
    assert!(
        !pause_by_hand(&mut connection, "sheet", "s", "again").await.expect("paused"),
        "the first reason stays"
    );
    let refused = async |connection: &mut sqlx::PgConnection| {
        let Ok(Admission::Paused(paused)) = breakers::admit(connection, "sheet", "s", nobody).await else {
            panic!("admitted");
        };
        assert_eq!(paused.reason, "paused by a person: it moves");
        assert_eq!(find_pause(connection, "sheet", "s").await.expect("a pause"), Some(paused.clone()));
        let wait = take_budget(connection, "sheet", "s", second, 5).await.expect("the budget");
        assert_eq!(wait, Some(paused.remaining), "nothing is taken");
    };
    refused(&mut connection).await;
    breakers::succeed(&db.pool, "sheet", "s").await.expect("noted");
    refused(&mut connection).await;
    for _ in 0..6 {
        let mut transaction = db.pool.begin().await.expect("begin");
        breakers::fail(&mut transaction, "sheet", "s", "HTTP 503").await.expect("noted");
        transaction.commit().await.expect("commit");
    }
    refused(&mut connection).await;
    sqlx::query("UPDATE pushbox.destinations SET paused_until = now()")
        .execute(&db.pool)
        .await
        .expect("time");
    refused(&mut connection).await;
    breakers::succeed(&db.pool, "sheet", "s").await.expect("noted");
    pause(&mut connection, "sheet", "s", second, "too many").await.expect("paused");
    refused(&mut connection).await;
    let mut transaction = db.pool.begin().await.expect("begin");
    breakers::reset(&mut transaction, "sheet", "s").await.expect("reset");
    transaction.commit().await.expect("commit");
    refused(&mut connection).await;

    assert!(resume(&mut connection, "sheet", "s").await.expect("resumed"));
    assert!(!resume(&mut connection, "sheet", "s").await.expect("resumed"), "once");
    let admitted = breakers::admit(&mut connection, "sheet", "s", nobody).await.expect("an answer");
    assert_eq!(admitted, Admission::Free);
    assert_eq!(take_budget(&mut connection, "sheet", "s", second, 5).await.expect("the budget"), None);
}

#[tokio::test]
async fn every_destination_is_listed_once_under_the_name_it_is_used_by() {
    let db = database().await;
    for sql in [
        "INSERT INTO pushbox.shops (platform, shop_id, state) VALUES ('shopee', '1', 'active'), ('shopee', '2', 'disabled')",
        "INSERT INTO pushbox.telegram_chats (chat_id, migrated_to) VALUES (-5, -1005)",
        "INSERT INTO pushbox.destinations (kind, name) VALUES ('shopee', '1'), ('telegram', '-1005')",
    ] {
        sqlx::query(sql).execute(&db.pool).await.expect(sql);
    }
    let configured =
        [("telegram", "-5"), ("sheet", "s")].map(|(kind, name)| (kind.to_owned(), name.to_owned()));
    let found = list(&db.pool, &configured, None).await.expect("a list");
    let places: Vec<(&str, &str)> = found.iter().map(|one| (one.kind.as_str(), one.name.as_str())).collect();
    assert_eq!(places, [("sheet", "s"), ("shopee", "1"), ("telegram", "-1005")]);
    let one = list(&db.pool, &configured, Some(("sheet", "s"))).await.expect("a list");
    assert_eq!(one.len(), 1);
}
