//! Every refusal that Google Sheets and Telegram are known for, from a push at HTTP to what a person sees of it in the
//! end: which destination is out of use, with which remedy, and what arrives once the cause is mended.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use pushbox::simulator::{Action, Fault, Service};
use serde_json::{Value, json};

use crate::support::app::{CHAT, SHOP, SPREADSHEET, TestApp, order, status_push};

const AT: i64 = 1_790_000_200;

/// What comes of a refusal.
#[derive(Debug, Clone, Copy)]
enum Then<'a> {
    /// Nobody notices: it is mended or tried again, and everything arrives once.
    Heals,
    /// The destination is out of use until a person has done this.
    Paused(&'a str),
    /// It arrives, possibly twice, and is marked as uncertain.
    MayDouble,
    /// The job is dead with these words.
    Dead(&'a str),
}

/// A call, the status and words of its refusal, how often it strikes, and what comes of it.
type Row<'a> = (&'a str, u16, &'a str, u32, Then<'a>);

fn google(code: u16, text: &str) -> Action {
    let status = match code {
        401 => "UNAUTHENTICATED",
        403 => "PERMISSION_DENIED",
        404 => "NOT_FOUND",
        429 => "RESOURCE_EXHAUSTED",
        500 => "INTERNAL",
        503 => "UNAVAILABLE",
        _ => "INVALID_ARGUMENT",
    };
    let body = json!({"error": {"code": code, "message": text, "status": status}});
    Action::Status { code, body: body.to_string() }
}

fn telegram(code: u16, text: &str) -> Action {
    let body = json!({"ok": false, "error_code": code, "description": text});
    Action::Status { code, body: body.to_string() }
}

impl TestApp {
    async fn push_order(&self, order_sn: &str) {
        let (detail, escrow) = order(order_sn, "READY_TO_SHIP", AT);
        self.simulator.put_order(SHOP, detail, escrow);
        self.push(&status_push(order_sn, "READY_TO_SHIP", AT)).await;
    }

    /// Until a destination of this kind is out of use; its name and the reason that people read.
    async fn out_of_use(&self, kind: &str) -> (String, String) {
        let begun = Instant::now();
        loop {
            let found = self.admin("/destinations").await;
            let mut list = found["destinations"].as_array().into_iter().flatten();
            if let Some(one) = list.find(|one| one["kind"] == kind && one["state"] == "open") {
                let text = |name: &str| one[name].as_str().unwrap_or_default().to_owned();
                return (text("name"), text("reason"));
            }
            assert!(begun.elapsed() < Duration::from_secs(20), "never out of use: {found}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// A person has mended the cause and does not want to wait.
    async fn mended(&self, kind: &str, name: &str) {
        let path = format!("/destinations/{kind}/{name}/reset");
        let (status, answer) = self.api("POST", &path, None).await;
        assert!(status.is_success(), "{answer}");
    }

    /// Titles and remedies of the alerts that are open.
    async fn open_alerts(&self) -> Vec<String> {
        let found = self.admin("/alerts").await;
        let list = found["alerts"].as_array().expect("alerts").iter();
        let open = list.filter(|one| one["resolved_at"].is_null());
        open.map(|one| format!("{} {}", one["title"], one["remedy"])).collect()
    }

    /// In how many messages an order is announced.
    fn announced(&self, order_sn: &str) -> usize {
        self.simulator.messages(CHAT).iter().filter(|message| message.text.contains(order_sn)).count()
    }

    /// Whatever waits has waited long enough, over and over, until nothing is left.
    async fn in_time(&self) {
        let begun = Instant::now();
        while self.count("SELECT count(*) FROM pushbox.jobs WHERE state <> 'dead'").await > 0 {
            for sql in [
                "UPDATE pushbox.destinations SET paused_until = NULL WHERE state = 'closed'",
                "UPDATE pushbox.jobs SET run_at = now() WHERE state = 'ready' AND run_at > now()",
            ] {
                sqlx::query(sql).execute(&self.pool).await.expect(sql);
            }
            assert!(begun.elapsed() < Duration::from_secs(30), "jobs are left");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// One fault of a destination, seen through to its end.
    async fn live_through(&self, kind: &str, order_sn: &str, then: Then<'_>, about: &str) {
        self.push_order(order_sn).await;
        if let Then::Paused(remedy) = then {
            let (name, reason) = self.out_of_use(kind).await;
            assert!(reason.contains(remedy), "{about}: {reason}");
            // Whoever sees the open breaker sees the alert of it.
            let alerts = self.open_alerts().await;
            assert!(alerts.iter().any(|alert| alert.contains(remedy)), "{about}: {alerts:?}");
            assert_eq!(
                self.count("SELECT coalesce(max(attempt), 0)::bigint FROM pushbox.jobs").await,
                0,
                "{about}: waiting burns no attempts"
            );
            // What struck may strike as often as it is tried meanwhile.
            while !self.simulator.faults_waiting().is_empty() {
                self.mended(kind, &name).await;
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            self.mended(kind, &name).await;
        }
        self.in_time().await;
        assert!(self.simulator.faults_waiting().is_empty(), "{about}: it never struck");
        if let Then::Dead(words) = then {
            let error: String = sqlx::query_scalar("DELETE FROM pushbox.jobs RETURNING last_error")
                .fetch_one(&self.pool)
                .await
                .unwrap_or_else(|error| panic!("{about}: no dead job: {error}"));
            assert!(error.contains(words), "{about}: {error}");
        }
        assert_eq!(self.count("SELECT count(*) FROM pushbox.jobs").await, 0, "{about}");
        let still = self.open_alerts().await;
        assert!(still.is_empty(), "{about}: {still:?}");
    }
}

#[tokio::test]
#[expect(clippy::too_many_lines, reason = "a table, a line for each refusal")]
async fn every_refusal_of_google_ends_in_a_row_or_in_a_remedy() {
    const WRITE: &str = ":batchUpdate";
    const READ: &str = "values:batchGet";
    let full =
        "This action would increase the number of cells in the workbook above the limit of 10000000 cells.";
    let rows: [Row<'_>; 18] = [
        (READ, 400, "Unable to parse range: 'Orders'!A1:A", 1, Then::Heals),
        (WRITE, 400, "Invalid requests[0].updateCells: No grid with id: 7", 1, Then::Heals),
        (
            READ,
            400,
            "Range ('Orders'!A2000) exceeds grid limits. Max rows: 1000, max columns: 26",
            1,
            Then::Heals,
        ),
        (
            WRITE,
            400,
            "Attempting to write column: 26, beyond the last requested column of: 25",
            1,
            Then::Heals,
        ),
        (WRITE, 400, full, 1, Then::Paused("start a new one and set SPREADSHEET_ID")),
        (
            WRITE,
            400,
            "You are trying to edit a protected cell or object.",
            1,
            Then::Paused("to edit the protected cells"),
        ),
        (
            READ,
            400,
            "This operation is not supported for this document",
            1,
            Then::Paused("save it as Google Sheets"),
        ),
        (WRITE, 401, "Request had invalid authentication credentials.", 1, Then::Heals),
        (
            WRITE,
            401,
            "Request had invalid authentication credentials.",
            2,
            Then::Paused("GOOGLE_CREDENTIALS_JSON"),
        ),
        (WRITE, 403, "The caller does not have permission", 1, Then::Paused("as Editor")),
        (READ, 403, "The caller does not have permission", 1, Then::Paused("as Editor")),
        (
            READ,
            403,
            "Google Sheets API has not been used in project 1 before or it is disabled.",
            1,
            Then::Paused("enable the Google Sheets API"),
        ),
        (READ, 403, "Request had insufficient authentication scopes.", 1, Then::Paused("may not use Sheets")),
        (READ, 404, "Requested entity was not found.", 1, Then::Paused("check SPREADSHEET_ID")),
        (WRITE, 429, "Quota exceeded for quota metric 'Write requests'", 1, Then::Heals),
        (READ, 429, "Quota exceeded for quota metric 'Read requests'", 1, Then::Heals),
        (WRITE, 500, "Internal error encountered.", 1, Then::Heals),
        (WRITE, 503, "The service is currently unavailable.", 1, Then::Heals),
    ];
    let app = TestApp::start().await;
    app.push_order("FIRST").await;
    app.in_time().await;
    for (n, (call, code, text, times, then)) in rows.into_iter().enumerate() {
        app.simulator.script(Fault::once(Service::Google, call, google(code, text)).times(times));
        app.live_through("sheet", &format!("G{n:02}"), then, text).await;
        assert_eq!(app.simulator.sheet_rows(SPREADSHEET, "Orders").len(), n + 2, "{text}: one row more");
        assert_eq!(app.simulator.sheet_rows(SPREADSHEET, "Items").len(), 2 * (n + 2), "{text}");
    }

    // Written, and no answer: whatever comes instead of it.
    for (n, action) in [
        google(503, "The service is currently unavailable."),
        Action::Html(502),
        Action::Cut,
        Action::Hang(Duration::from_millis(200)),
    ]
    .into_iter()
    .enumerate()
    {
        let about = format!("{action:?}");
        app.simulator.script(Fault::once(Service::Google, WRITE, action).after());
        app.live_through("sheet", &format!("L{n}"), Then::Heals, &about).await;
    }
    // The key was deleted: no token any more.
    app.simulator.revoke_google_tokens();
    let body = json!({"error": "invalid_grant", "error_description": "Invalid JWT Signature."}).to_string();
    app.simulator.script(Fault::once(Service::Google, "token", Action::Status { code: 400, body }));
    app.live_through("sheet", "TOKEN", Then::Paused("GOOGLE_CREDENTIALS_JSON"), "invalid_grant").await;
    let numbers: BTreeSet<String> =
        app.simulator.sheet_rows(SPREADSHEET, "Orders").iter().map(|row| row["Order"].clone()).collect();
    assert_eq!(app.simulator.sheet_rows(SPREADSHEET, "Orders").len(), numbers.len(), "no row is there twice");
    assert_eq!(numbers.len(), 24);
    app.finish().await;
}

#[tokio::test]
#[expect(clippy::too_many_lines, reason = "a table, a line for each refusal")]
async fn every_refusal_of_telegram_ends_in_a_message_or_in_a_remedy() {
    const SEND: &str = "sendmessage";
    let rows: [Row<'_>; 24] = [
        (
            "createforumtopic",
            400,
            "Bad Request: not enough rights to create a topic",
            1,
            Then::Paused("Manage Topics"),
        ),
        (SEND, 400, "Bad Request: message thread not found", 1, Then::Heals),
        (SEND, 400, "Bad Request: TOPIC_DELETED", 1, Then::Heals),
        (SEND, 400, "Bad Request: TOPIC_ID_INVALID", 1, Then::Heals),
        (SEND, 400, "Bad Request: TOPIC_CLOSED", 1, Then::Heals),
        (SEND, 400, "Bad Request: can't parse entities: unsupported start tag", 1, Then::Heals),
        (SEND, 400, "Bad Request: chat not found", 1, Then::Paused("check TELEGRAM_CHAT_ID")),
        (SEND, 400, "Bad Request: PEER_ID_INVALID", 1, Then::Paused("check TELEGRAM_CHAT_ID")),
        (
            SEND,
            400,
            "Bad Request: not enough rights to send text messages to the chat",
            1,
            Then::Paused("allow the bot to send messages"),
        ),
        (
            SEND,
            400,
            "Bad Request: have no rights to send a message",
            1,
            Then::Paused("allow the bot to send messages"),
        ),
        (
            SEND,
            400,
            "Bad Request: need administrator rights in the channel chat",
            1,
            Then::Paused("administrator of the chat"),
        ),
        (SEND, 403, "Forbidden: bot was blocked by the user", 1, Then::Paused("add the bot to the chat")),
        (
            SEND,
            403,
            "Forbidden: bot was kicked from the supergroup chat",
            1,
            Then::Paused("add the bot to the chat"),
        ),
        (
            SEND,
            403,
            "Forbidden: bot is not a member of the supergroup chat",
            1,
            Then::Paused("add the bot to the chat"),
        ),
        (
            SEND,
            403,
            "Forbidden: the group chat was deactivated",
            1,
            Then::Paused("set another TELEGRAM_CHAT_ID"),
        ),
        (SEND, 401, "Unauthorized", 1, Then::Paused("TELEGRAM_BOT_TOKEN")),
        (SEND, 404, "Not Found", 1, Then::Paused("TELEGRAM_BOT_TOKEN")),
        (SEND, 400, "Bad Request: message is too long", 1, Then::Dead("too long")),
        (SEND, 400, "Bad Request: text is too long", 1, Then::Dead("too long")),
        (SEND, 400, "Bad Request: BUTTON_DATA_INVALID", 1, Then::Dead("BUTTON_DATA_INVALID")),
        (SEND, 429, "Too Many Requests: retry after 1", 1, Then::Heals),
        (SEND, 500, "Internal Server Error", 1, Then::MayDouble),
        (SEND, 502, "Bad Gateway", 1, Then::MayDouble),
        ("createforumtopic", 400, "Bad Request: the chat is not a forum", 1, Then::Heals),
    ];
    let app = TestApp::start().await;
    for (n, (call, code, text, times, then)) in rows.into_iter().enumerate() {
        if call == "createforumtopic" {
            sqlx::query("DELETE FROM pushbox.telegram_topics")
                .execute(&app.pool)
                .await
                .expect("forget topics");
        }
        app.simulator.script(Fault::once(Service::Telegram, call, telegram(code, text)).times(times));
        let order_sn = format!("T{n:02}");
        app.live_through("telegram", &order_sn, then, text).await;
        let expected = usize::from(!matches!(then, Then::Dead(_)));
        assert_eq!(app.announced(&order_sn), expected, "{text}");
    }
    app.finish().await;
}

#[tokio::test]
async fn a_message_whose_answer_was_lost_is_there_once_more_at_most() {
    let app = TestApp::start().await;
    app.push_order("FIRST").await;
    app.in_time().await;
    let deleted = "Internal Server Error: sent message was immediately deleted and can't be returned";
    for (n, (action, most)) in [
        (telegram(500, deleted), 1),
        (telegram(500, "Internal Server Error"), 2),
        (Action::Html(502), 2),
        (Action::Cut, 2),
        (Action::Hang(Duration::from_millis(200)), 2),
    ]
    .into_iter()
    .enumerate()
    {
        let about = format!("{action:?}");
        app.simulator.script(Fault::once(Service::Telegram, "sendmessage", action).after());
        let order_sn = format!("U{n}");
        app.live_through("telegram", &order_sn, Then::MayDouble, &about).await;
        let found = app.announced(&order_sn);
        assert!((1..=most).contains(&found), "{about}: {found} times");
    }
    app.finish().await;
}

#[tokio::test]
async fn an_edit_that_is_refused_leaves_the_newest_state_in_the_chat() {
    let app = TestApp::start_with(&[("TELEGRAM_MODE", "edit")]).await;
    app.push_order("E").await;
    app.in_time().await;
    for (step, (code, text)) in (1_i64..).zip([
        (400, "Bad Request: message is not modified"),
        (400, "Bad Request: message to edit not found"),
        (400, "Bad Request: message can't be edited"),
        (400, "Bad Request: MESSAGE_ID_INVALID"),
        (400, "Bad Request: MESSAGE_TOO_LONG"),
        (400, "Bad Request: can't parse entities: x"),
        (429, "Too Many Requests: retry after 1"),
        (500, "Internal Server Error"),
    ]) {
        app.simulator.script(Fault::once(Service::Telegram, "editmessagetext", telegram(code, text)));
        let status = if step % 2 == 0 { "PROCESSED" } else { "SHIPPED" };
        let (mut detail, escrow) = order("E", status, AT + step * 10);
        detail.insert("message_to_seller".into(), json!(format!("step {step}")));
        app.simulator.put_order(SHOP, detail, escrow);
        app.push(&status_push("E", status, AT + step * 10)).await;
        app.in_time().await;
        assert!(app.simulator.faults_waiting().is_empty(), "{text}: it never struck");
        if !text.contains("not modified") {
            let messages = app.simulator.messages(CHAT);
            let newest = messages.last().expect("a message");
            assert!(newest.text.contains(status), "{text}: {}", newest.text);
        }
    }
    app.finish().await;
}

#[tokio::test]
async fn hostile_orders_are_shown_as_they_are() {
    let app = TestApp::start_with(&[("TELEGRAM_SHOW_BUYER", "true")]).await;
    let texts = [
        "<b>&\"'</b>",
        "=HYPERLINK(\"http://x\",\"y\")",
        "+1",
        "@here",
        "👨‍👩‍👧 🇸🇬",
        "שלום مرحبا",
        "a\u{202e}b\tc",
    ];
    let item = |n: usize| {
        json!({"item_id": n, "item_name": format!("{} {n}", texts[n % texts.len()]), "item_sku": "=1+1", "model_id": n,
               "model_name": texts[(n + 1) % texts.len()], "model_sku": "+1", "model_quantity_purchased": 1,
               "model_original_price": 1.5, "model_discounted_price": 1.5})
    };
    let (mut detail, mut escrow) = order("HOSTILE", "READY_TO_SHIP", AT);
    detail.insert("item_list".into(), (1..=60).map(item).collect());
    detail.insert("buyer_username".into(), json!("=cmd|' /C calc'!A0 <i>"));
    detail.insert("message_to_seller".into(), json!("<b>& note 🙂 ".repeat(1000)));
    escrow["order_income"]["items"] = Value::Array(Vec::new());
    app.simulator.put_order(SHOP, detail, escrow);
    app.push(&status_push("HOSTILE", "READY_TO_SHIP", AT)).await;
    app.drain().await;

    let items = app.simulator.sheet_rows(SPREADSHEET, "Items");
    assert_eq!(items.len(), 60);
    for (n, row) in (1..).zip(&items) {
        let shown = row["Item"].replace(char::is_whitespace, "");
        let name = format!("{} {n}", texts[n % texts.len()]).replace(char::is_whitespace, "");
        assert_eq!(shown, name, "as text, whatever it begins with");
        assert_eq!((row["SKU"].as_str(), row["Line"].as_str()), ("+1", n.to_string().as_str()));
    }
    let orders = app.simulator.sheet_rows(SPREADSHEET, "Orders");
    assert_eq!(orders[0]["Buyer"], "=cmd|' /C calc'!A0 <i>");
    assert!(orders[0]["Message"].starts_with("<b>& note 🙂 <b>&") && orders[0]["Message"].len() > 10_000);

    let messages = app.simulator.messages(CHAT);
    let whole: String = messages.iter().map(|message| message.text.as_str()).collect();
    assert!(messages.len() <= 4 && whole.contains("=cmd|' /C calc'!A0 <i>"), "{whole}");
    assert!(messages.iter().all(|message| message.text.chars().count() <= 4096));
    app.finish().await;
}
