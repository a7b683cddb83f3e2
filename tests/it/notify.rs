//! Announcements, from jobs in Postgres to messages in the simulated Telegram.

use std::sync::Arc;
use std::time::{Duration, Instant};

use chrono::{DateTime, TimeDelta, Utc};
use chrono_tz::Asia::Singapore;
use pushbox::clients::telegram::TelegramClient;
use pushbox::config::{AnnouncementSettings, QueueSettings, TelegramSettings};
use pushbox::domain::event::{NewEvent, Payload, Via, new_event_id};
use pushbox::domain::job::NotifyEvent;
use pushbox::domain::order::{Order, OrderItem, OrderRef};
use pushbox::jobs::notify::NotifyHandler;
use pushbox::queue::control::retry_dead;
use pushbox::queue::{Intake, NewJob, QueueSpec, Runtime, Waker, enqueue, intake};
use pushbox::simulator::state::telegram::{ChatKind, Rights};
use pushbox::simulator::{Action, Fault, Service, Simulator, SimulatorOptions};
use pushbox::store::destinations::take_budget;
use pushbox::store::orders::upsert_order;
use rust_decimal::Decimal;
use serde_json::json;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::support::database::{TestDatabase, database};

const BOT: &str = "4242:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
const CHAT: i64 = -1_001_234;
const TOPIC: &str = "Order status (3)";

/// A chat, a bot, a database, and workers that can be stopped.
struct Scene {
    db: TestDatabase,
    sim: Simulator,
    first: DateTime<Utc>,
    telegram: TelegramSettings,
    workers: Vec<(CancellationToken, JoinHandle<()>)>,
}

fn queue_settings() -> QueueSettings {
    QueueSettings {
        max_attempts: 5,
        concurrency: 4,
        lease: Duration::from_secs(10),
        poll_interval: Duration::from_millis(20),
        retry_base: Duration::from_millis(10),
        retry_max: Duration::from_millis(50),
        shutdown_timeout: Duration::from_secs(10),
    }
}

/// As fast as can be set, in front of a Telegram that never finds it too fast.
async fn scene() -> Scene {
    scene_at(30, 30_000).await
}

/// The budget runs so many times faster than it really does, and so do Telegram's limits.
async fn scene_at(budget: u32, limits: u32) -> Scene {
    let db = database().await;
    let options = SimulatorOptions { quota_scale: limits.into(), ..SimulatorOptions::default() };
    let sim = Simulator::start(options).await.expect("start the simulator");
    sim.add_bot(BOT, "pushbox_bot");
    let first = DateTime::from_timestamp(1_711_971_200, 0).expect("a time");
    let telegram = TelegramSettings {
        ops_chat_id: None,
        bot_token: BOT.into(),
        api_url: sim.telegram_url(),
        chat_per_second: budget,
        chat_per_minute: 18 * budget,
        announcements: AnnouncementSettings::default(),
    };
    Scene { db, sim, first, telegram, workers: Vec::new() }
}

/// With a forum as its chat.
async fn forum() -> Scene {
    let scene = scene().await;
    scene.sim.add_forum(CHAT, "Shop");
    scene
}

impl Scene {
    /// Starts a process's workers.
    fn work_with(&mut self, change: impl FnOnce(QueueSpec) -> QueueSpec, batch: usize) {
        let client = TelegramClient::new(&self.telegram).expect("a client");
        let handler = NotifyHandler::new(self.db.pool.clone(), client, &self.telegram, Singapore);
        let spec = QueueSpec::new::<NotifyEvent>(Arc::new(handler), batch, 4, Duration::from_mins(1));
        let name = format!("worker-{}", self.workers.len());
        let runtime = Runtime::new(
            self.db.pool.clone(),
            &queue_settings(),
            &name,
            Waker::default(),
            vec![change(spec)],
        );
        let stop = CancellationToken::new();
        self.workers.push((stop.clone(), tokio::spawn(runtime.run(stop))));
    }

    fn work(&mut self) {
        self.work_with(QueueSpec::exclusive, 500);
    }

    async fn stop(&mut self) {
        for (stop, worker) in self.workers.drain(..) {
            stop.cancel();
            worker.await.expect("the workers end");
        }
    }

    /// Stores the event of the n-th second, with its job.
    async fn event(&self, chat_id: i64, n: i64, order: Option<&OrderRef>) -> Uuid {
        self.events(chat_id, &[(n, order.cloned())]).await[0]
    }

    async fn events(&self, chat_id: i64, which: &[(i64, Option<OrderRef>)]) -> Vec<Uuid> {
        let mut connection = self.db.pool.acquire().await.expect("connection");
        let mut ids = Vec::new();
        let mut intakes = Vec::new();
        for (n, order) in which {
            let event = new_event(self.first + TimeDelta::seconds(*n), *n);
            let payload = NotifyEvent { chat_id, event_id: event.id, order: order.clone(), urgent: false };
            ids.push(event.id);
            let job = NewJob::new(&payload, 5)
                .key(format!("{chat_id}:{}", event.id))
                .batch_key(chat_id.to_string())
                .run_at(event.received_at)
                .events(vec![event.id]);
            intakes.push((Intake { event, jobs: Vec::new() }, job));
        }
        let (intakes, jobs): (Vec<_>, Vec<_>) = intakes.into_iter().unzip();
        intake::accept(&mut connection, &intakes).await.expect("store the events");
        enqueue(&mut connection, jobs).await.expect("enqueue");
        ids
    }

    /// The announcements of these events need action.
    async fn urgent(&self, events: &[Uuid]) {
        let done = sqlx::query(
            "UPDATE pushbox.jobs SET priority = -10, payload = payload || '{\"urgent\": true}'
             WHERE event_id = ANY ($1)",
        )
        .bind(events)
        .execute(&self.db.pool)
        .await
        .expect("mark as urgent");
        assert_eq!(usize::try_from(done.rows_affected()), Ok(events.len()));
    }

    async fn order(&self, order: &Order) {
        let mut connection = self.db.pool.acquire().await.expect("connection");
        upsert_order(&mut connection, order, &[], None).await.expect("store the order");
    }

    async fn number(&self, sql: &'static str) -> i64 {
        sqlx::query_scalar(sql).fetch_one(&self.db.pool).await.expect(sql)
    }

    async fn text(&self, sql: &'static str) -> Option<String> {
        sqlx::query_scalar(sql).fetch_optional(&self.db.pool).await.expect(sql)
    }

    async fn until(&self, sql: &'static str) {
        let begun = Instant::now();
        while self.number(sql).await == 0 {
            if begun.elapsed() > Duration::from_mins(2) {
                let jobs: Vec<(String, Option<String>, Option<String>)> =
                    sqlx::query_as("SELECT state, waiting_on, last_error FROM pushbox.jobs LIMIT 5")
                        .fetch_all(&self.db.pool)
                        .await
                        .expect("jobs");
                panic!("still not: {sql}; jobs: {jobs:?}; messages: {:?}", self.texts());
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Until every job has ended.
    async fn drained(&self) {
        self.until("SELECT (count(*) = 0)::int::bigint FROM pushbox.jobs WHERE state <> 'dead'").await;
    }

    /// Until a job waits for more than the budget; returns for what.
    async fn waits(&self) -> String {
        self.until("SELECT count(*) FROM pushbox.jobs WHERE waiting_on IS NOT NULL AND run_at > now() + interval '2 s'")
            .await;
        self.text("SELECT waiting_on FROM pushbox.jobs WHERE waiting_on IS NOT NULL ORDER BY run_at DESC")
            .await
            .expect("a job that waits")
    }

    /// Whatever waits or is paused has waited long enough.
    async fn time_passes(&self) {
        for sql in [
            "UPDATE pushbox.destinations SET paused_until = NULL",
            "UPDATE pushbox.jobs SET run_at = run_at - interval '10 minutes' WHERE state = 'ready'",
        ] {
            sqlx::query(sql).execute(&self.db.pool).await.expect(sql);
        }
    }

    fn texts(&self) -> Vec<String> {
        self.sim.messages(CHAT).into_iter().map(|message| message.text).collect()
    }

    async fn states(&self) -> Vec<(String, i16)> {
        sqlx::query_as("SELECT state, attempts FROM pushbox.telegram_messages ORDER BY event_id, part")
            .fetch_all(&self.db.pool)
            .await
            .expect("the ledger")
    }
}

fn new_event(received_at: DateTime<Utc>, n: i64) -> NewEvent {
    let order_sn = format!("SN{n:04}");
    let body = json!({"code": 3, "shop_id": 1, "data": {"ordersn": order_sn, "status": "READY_TO_SHIP"}});
    NewEvent {
        id: new_event_id(received_at),
        source: "shopee".into(),
        key: order_sn.clone(),
        key_expires_at: received_at + TimeDelta::days(30),
        account: Some("1".into()),
        code: "3".into(),
        kind: "order_status".into(),
        subject: Some(order_sn),
        payload: Payload::Json(body.to_string()),
        body_sha256: [0; 32],
        headers: json!({}),
        occurred_at: None,
        received_at,
        via: Via::Push,
    }
}

fn reference() -> OrderRef {
    OrderRef { platform: "shopee".into(), shop_id: "1".into(), order_sn: "SN0000".into() }
}

fn order(items: usize, name: &str, note: &str) -> Order {
    let at = DateTime::from_timestamp(1_711_971_200, 0).expect("a time");
    let item = |n: usize| OrderItem {
        line_no: i32::try_from(n).expect("few"),
        item_id: 1,
        model_id: 2,
        sku: format!("SKU{n}"),
        name: format!("{n} {name}"),
        variation: name.into(),
        quantity: 1,
        unit_price: Decimal::ONE,
    };
    Order {
        reference: reference(),
        status: "READY_TO_SHIP".into(),
        currency: "SGD".into(),
        region: "SG".into(),
        create_time: at,
        update_time: at,
        pay_time: None,
        ship_by: None,
        total_amount: Some(Decimal::TEN),
        buyer_username: Some(name.into()),
        payment_method: Some(name.into()),
        cod: false,
        shipping_carrier: Some(name.into()),
        packages: Vec::new(),
        recipient: None,
        message_to_seller: Some(note.into()),
        note: None,
        cancel_by: None,
        cancel_reason: None,
        items: (0..items).map(item).collect(),
        snapshot: json!({}),
    }
}

#[tokio::test]
async fn a_topic_is_opened_once_by_handlers_that_run_at_once() {
    let mut scene = forum().await;
    scene.events(CHAT, &(0..4).map(|n| (n, None)).collect::<Vec<_>>()).await;
    // Not exclusive: four batches of this chat at a time, in two processes.
    scene.work_with(|spec| spec, 1);
    scene.work_with(|spec| spec, 1);
    scene.drained().await;
    assert_eq!(scene.sim.topic_names(CHAT), [TOPIC]);
    assert_eq!(scene.sim.messages_in_topic(CHAT, TOPIC).len(), 4);
    assert_eq!(scene.number("SELECT count(*) FROM pushbox.telegram_messages WHERE state = 'sent'").await, 4);
    scene.stop().await;
}

#[tokio::test]
async fn sixty_hostile_items_arrive_in_parts_in_order() {
    let mut scene = forum().await;
    let name = "<b>&\"' =HYPERLINK(\"x\") +1 👨‍👩‍👧 שלום مرحبا </code>";
    scene.order(&order(60, name, &"<i>&note ".repeat(1200))).await;
    scene.event(CHAT, 0, Some(&reference())).await;
    scene.event(CHAT, 1, None).await;
    scene.work();
    scene.drained().await;
    let texts: Vec<String> =
        scene.sim.messages_in_topic(CHAT, TOPIC).into_iter().map(|message| message.text).collect();
    assert_eq!(texts.len(), 4, "{texts:?}");
    assert!(texts[0].starts_with("🔔 Order status · 3\n🏪 1 · SN0000"), "{}", texts[0]);
    assert!(texts[0].contains("<b>&\"' =HYPERLINK(\"x\") +1"), "{}", texts[0]);
    assert!(texts[1].starts_with("SN0000 2/3"), "{}", texts[1]);
    assert!(texts[2].starts_with("SN0000 3/3"), "{}", texts[2]);
    let items = texts.concat().matches("▫️").count();
    assert!(items == 60 || texts[2].ends_with(&format!("… and {} more items", 60 - items)), "{}", texts[2]);
    assert!(texts[3].contains("SN0001"));
    assert_eq!(scene.states().await, vec![("sent".to_owned(), 1); 4]);
    scene.stop().await;
}

#[tokio::test]
async fn a_deleted_topic_is_opened_again_and_a_closed_one_reopened() {
    let mut scene = forum().await;
    scene.work();
    scene.event(CHAT, 0, None).await;
    scene.drained().await;
    scene.sim.delete_topic(CHAT, TOPIC);
    scene.event(CHAT, 1, None).await;
    scene.drained().await;
    assert_eq!(scene.sim.messages_in_topic(CHAT, TOPIC).len(), 1, "the first went with its topic");
    scene.sim.set_topic_closed(CHAT, TOPIC, true);
    scene.event(CHAT, 2, None).await;
    scene.drained().await;
    assert_eq!(scene.sim.messages_in_topic(CHAT, TOPIC).len(), 2);
    assert_eq!(scene.sim.topic_names(CHAT), [TOPIC]);
    assert_eq!(scene.states().await, vec![("sent".to_owned(), 1); 3]);
    scene.stop().await;
}

#[tokio::test]
async fn a_topic_that_may_not_be_reopened_waits_with_the_remedy() {
    let mut scene = forum().await;
    scene.work();
    scene.event(CHAT, 0, None).await;
    scene.drained().await;
    scene.sim.set_topic_closed(CHAT, TOPIC, true);
    scene.sim.set_rights(CHAT, Rights { can_manage_topics: false, ..Rights::FULL });
    scene.event(CHAT, 1, None).await;
    assert!(scene.waits().await.contains("reopen it"));
    scene.sim.set_topic_closed(CHAT, TOPIC, false);
    scene.time_passes().await;
    scene.drained().await;
    assert_eq!(scene.sim.messages_in_topic(CHAT, TOPIC).len(), 2);
    scene.stop().await;
}

#[tokio::test]
async fn chats_without_topics_get_plain_messages() {
    let mut scene = scene().await;
    scene.sim.add_group(CHAT, "Plain");
    scene.work();
    scene.event(CHAT, 0, None).await;
    scene.drained().await;
    assert_eq!(scene.sim.messages(CHAT).len(), 1);
    assert_eq!(scene.sim.messages(CHAT)[0].thread_id, None);
    assert!(scene.sim.topic_names(CHAT).is_empty());
    scene.stop().await;
}

#[tokio::test]
async fn without_rights_nothing_is_lost_and_the_remedy_is_named() {
    let mut scene = forum().await;
    scene.sim.set_rights(CHAT, Rights { can_manage_topics: false, ..Rights::FULL });
    scene.work();
    scene.event(CHAT, 0, None).await;
    let on = scene.waits().await;
    assert!(on.contains("Manage Topics"), "{on}");
    scene.sim.set_rights(CHAT, Rights { member: false, ..Rights::FULL });
    scene.time_passes().await;
    scene.until("SELECT count(*) FROM pushbox.jobs WHERE waiting_on LIKE '%kicked%'").await;
    assert_eq!(scene.number("SELECT count(*) FROM pushbox.jobs WHERE attempt > 0").await, 0);
    let reason = scene.text("SELECT reason FROM pushbox.destinations WHERE paused_until > now()").await;
    assert!(reason.expect("a reason").contains("add the bot to the chat"));
    scene.sim.set_rights(CHAT, Rights::FULL);
    scene.time_passes().await;
    scene.drained().await;
    assert_eq!(scene.sim.messages_in_topic(CHAT, TOPIC).len(), 1);
    scene.stop().await;
}

#[tokio::test]
async fn too_many_requests_hold_the_chat_and_keep_the_order() {
    let mut scene = forum().await;
    scene.sim.script(Fault::once(Service::Telegram, "sendmessage", Action::RetryAfter(20)));
    scene.events(CHAT, &(0..3).map(|n| (n, None)).collect::<Vec<_>>()).await;
    scene.work();
    assert!(scene.waits().await.contains("too many messages"));
    assert_eq!(scene.states().await, [], "what was not sent is not in the ledger");
    scene.event(CHAT, 3, None).await;
    scene.until("SELECT (count(*) = 4)::int::bigint FROM pushbox.jobs WHERE waiting_on IS NOT NULL").await;
    scene.time_passes().await;
    scene.drained().await;
    let texts = scene.texts();
    let order: Vec<bool> =
        (0..4).map(|n| texts.get(n).is_some_and(|text| text.contains(&format!("SN{n:04}")))).collect();
    assert_eq!(order, [true; 4], "{texts:?}");
    assert_eq!(scene.number("SELECT sum(attempt)::bigint FROM pushbox.job_history").await, 4);
    scene.stop().await;
}

#[tokio::test]
async fn a_lost_answer_is_uncertain_and_repeated_once() {
    let mut scene = forum().await;
    scene.sim.script(Fault::once(Service::Telegram, "sendmessage", Action::Html(502)).after());
    scene.event(CHAT, 0, None).await;
    scene.work();
    scene.until("SELECT count(*) FROM pushbox.jobs WHERE attempt = 1 AND state = 'ready'").await;
    assert_eq!(scene.states().await, [("uncertain".to_owned(), 1)]);
    assert_eq!(scene.sim.messages(CHAT).len(), 1);
    scene.time_passes().await;
    scene.drained().await;
    assert_eq!(scene.sim.messages(CHAT).len(), 2, "one duplicate at most");
    assert_eq!(scene.states().await, [("sent".to_owned(), 2)]);

    scene.sim.script(Fault::once(Service::Telegram, "sendmessage", Action::Html(502)).after().times(9));
    scene.event(CHAT, 1, None).await;
    scene.until("SELECT count(*) FROM pushbox.jobs WHERE attempt = 1 AND state = 'ready'").await;
    scene.time_passes().await;
    scene.drained().await;
    assert_eq!(scene.sim.messages(CHAT).len(), 4);
    assert_eq!(scene.states().await[1], ("uncertain".to_owned(), 2));
    let note = scene.text("SELECT note FROM pushbox.job_history ORDER BY finished_at DESC").await;
    assert_eq!(note.as_deref(), Some("uncertain"));
    scene.stop().await;
}

#[tokio::test]
async fn what_a_vanished_worker_meant_to_send_is_sent_once_more() {
    let mut scene = forum().await;
    let [known, given_up] = [scene.event(CHAT, 0, None).await, scene.event(CHAT, 1, None).await];
    for (event, state, attempts) in [(known, "intended", 1_i16), (given_up, "intended", 2)] {
        sqlx::query(
            "INSERT INTO pushbox.telegram_messages (chat_id, event_id, part, parts, state, attempts)
             VALUES ($1, $2, 0, 1, $3, $4)",
        )
        .bind(CHAT)
        .bind(event)
        .bind(state)
        .bind(attempts)
        .execute(&scene.db.pool)
        .await
        .expect("a ledger row");
    }
    scene.work();
    scene.drained().await;
    assert_eq!(scene.sim.messages(CHAT).len(), 1);
    assert_eq!(scene.states().await, [("sent".to_owned(), 2), ("uncertain".to_owned(), 2)]);
    scene.stop().await;
}

#[tokio::test]
async fn a_migrated_group_is_followed() {
    let mut scene = scene().await;
    scene.sim.add_chat(-5, ChatKind::Group, "Old", false);
    scene.sim.add_forum(CHAT, "New");
    scene.sim.migrate_chat(-5, CHAT);
    scene.event(-5, 0, None).await;
    scene.work();
    scene.drained().await;
    assert_eq!(scene.sim.messages_in_topic(CHAT, TOPIC).len(), 1);
    scene.stop().await;
}

#[tokio::test]
async fn refused_markup_is_sent_as_plain_text_and_a_refused_message_is_dead() {
    let mut scene = forum().await;
    let refusal = |text: &str| {
        let body = json!({"ok": false, "error_code": 400, "description": format!("Bad Request: {text}")});
        Action::Status { code: 400, body: body.to_string() }
    };
    scene.sim.script(Fault::once(Service::Telegram, "sendmessage", refusal("can't parse entities: x")));
    scene.event(CHAT, 0, None).await;
    scene.work();
    scene.drained().await;
    let message = &scene.sim.messages(CHAT)[0];
    assert_eq!(message.text, message.source);
    scene.sim.script(Fault::once(Service::Telegram, "sendmessage", refusal("something new")));
    scene.event(CHAT, 1, None).await;
    scene.event(CHAT, 2, None).await;
    scene.drained().await;
    assert_eq!(scene.sim.messages(CHAT).len(), 2);
    let error = scene.text("SELECT last_error FROM pushbox.jobs WHERE state = 'dead'").await;
    assert!(error.expect("a dead job").contains("something new"));
    scene.stop().await;
}

#[tokio::test]
async fn a_backlog_arrives_in_digests_complete_and_in_order() {
    let mut scene = forum().await;
    scene.order(&order(1, "T-Shirt", "")).await;
    let events: Vec<_> = (0..300).map(|n| (n, (n == 0).then(reference))).collect();
    scene.events(CHAT, &events[..250]).await;
    scene.work();
    // Some come while the first are on their way.
    scene.events(CHAT, &events[250..]).await;
    scene.drained().await;
    let texts = scene.texts();
    assert!(texts.len() < 25, "{} messages", texts.len());
    assert!(texts[0].lines().nth(1).is_some_and(|line| line.contains("SN0000 READY_TO_SHIP SGD 10.00")));
    let words = texts.iter().flat_map(|text| text.split_whitespace());
    let announced: Vec<&str> = words.filter(|word| word.starts_with("SN")).collect();
    let mut once = announced.clone();
    once.dedup();
    let expected: Vec<String> = (0..300).map(|n| format!("SN{n:04}")).collect();
    assert_eq!(once, expected, "each event, in order");
    let ledger = scene.number(
        "SELECT count(*) FROM pushbox.telegram_messages
         WHERE state = 'sent' AND message_id IS NOT NULL AND attempts = 1",
    );
    assert_eq!(ledger.await, 300);
    assert_eq!(
        scene.number("SELECT count(DISTINCT message_id) FROM pushbox.telegram_messages").await,
        i64::try_from(texts.len()).unwrap()
    );
    scene.stop().await;
}

#[tokio::test]
async fn a_thousand_orders_in_a_minute_go_out_in_few_messages() {
    let mut scene = scene_at(15, 15).await;
    scene.sim.add_forum(CHAT, "Shop");
    scene.events(CHAT, &(0..1000).map(|n| (n, None)).collect::<Vec<_>>()).await;
    scene.work();
    scene.work();
    scene.drained().await;
    // A machine that stalls between budget and call may bunch calls up, and then Telegram says 429. That costs
    // time, but no announcement and not the order.
    let messages = scene.texts().len();
    assert!(messages < 30, "{messages} messages are more than the budget of 90 seconds");
    let text = scene.texts().join("\n");
    let announced: Vec<&str> = text.split_whitespace().filter(|word| word.starts_with("SN")).collect();
    let expected: Vec<String> = (0..1000).map(|n| format!("SN{n:04}")).collect();
    assert_eq!(announced, expected, "each once, in order");
    let sent = "SELECT count(*) FROM pushbox.telegram_messages WHERE state = 'sent' AND attempts = 1";
    assert_eq!(scene.number(sent).await, 1000);
    scene.stop().await;
}

#[tokio::test]
async fn all_processes_share_the_budget_of_a_chat() {
    let db = database().await;
    let hour = Duration::from_hours(1);
    let take = || async {
        let mut connection = db.pool.acquire().await.expect("connection");
        take_budget(&mut connection, "telegram", "1", hour, 2).await.expect("the budget")
    };
    let taken = futures_util::future::join_all((0..10).map(|_| take())).await;
    assert_eq!(taken.iter().filter(|wait| wait.is_none()).count(), 2, "a burst of two");
    assert!(taken.into_iter().flatten().all(|wait| wait <= hour), "one an hour");
    sqlx::query("UPDATE pushbox.destinations SET next_free_at = next_free_at - interval '1 hour'")
        .execute(&db.pool)
        .await
        .expect("an hour passes");
    let taken = futures_util::future::join_all((0..10).map(|_| take())).await;
    assert_eq!(taken.iter().filter(|wait| wait.is_none()).count(), 1, "one an hour");
}

#[tokio::test]
async fn an_event_that_retention_has_dropped_ends_with_a_note() {
    let mut scene = forum().await;
    scene.event(CHAT, 0, None).await;
    sqlx::query("DELETE FROM pushbox.events").execute(&scene.db.pool).await.expect("drop the event");
    scene.work();
    scene.drained().await;
    let note = scene.text("SELECT note FROM pushbox.job_history").await;
    assert!(note.expect("a note").contains("EVENT_RETENTION_DAYS"));
    assert!(scene.sim.messages(CHAT).is_empty());
    scene.stop().await;
}

#[tokio::test]
async fn in_edit_mode_an_order_has_one_message_and_what_needs_action_a_new_one() {
    let mut scene = forum().await;
    scene.telegram.announcements.edit = true;
    let mut changing = order(1, "T-Shirt", "");
    scene.order(&changing).await;
    scene.event(CHAT, 0, Some(&reference())).await;
    scene.work();
    scene.drained().await;
    for (n, status) in [(1, "PROCESSED"), (2, "SHIPPED")] {
        changing.status = status.into();
        changing.update_time += TimeDelta::minutes(1);
        scene.order(&changing).await;
        scene.event(CHAT, n, Some(&reference())).await;
        scene.drained().await;
    }
    let messages = scene.sim.messages(CHAT);
    assert_eq!(messages.len(), 1, "{:?}", scene.texts());
    assert!(messages[0].text.contains("SHIPPED") && messages[0].edits.len() == 2);
    assert_eq!(scene.states().await, vec![("sent".to_owned(), 1); 3], "each event is in the ledger");

    // An edit whose answer is lost is made again and changes nothing.
    scene.sim.script(Fault::once(Service::Telegram, "editmessagetext", Action::Html(502)).after());
    changing.status = "TO_CONFIRM_RECEIVE".into();
    changing.update_time += TimeDelta::minutes(1);
    scene.order(&changing).await;
    scene.event(CHAT, 3, Some(&reference())).await;
    scene.until("SELECT count(*) FROM pushbox.jobs WHERE attempt = 1 AND state = 'ready'").await;
    scene.time_passes().await;
    scene.drained().await;
    assert_eq!(scene.sim.messages(CHAT)[0].edits.len(), 3);

    let cancelled = scene.event(CHAT, 4, Some(&reference())).await;
    scene.urgent(&[cancelled]).await;
    scene.drained().await;
    assert_eq!(scene.sim.messages(CHAT).len(), 2, "people are told of what needs action");

    // The message is gone: the next state is a new one.
    scene.sim.delete_topic(CHAT, TOPIC);
    changing.status = "COMPLETED".into();
    changing.update_time += TimeDelta::minutes(1);
    scene.order(&changing).await;
    scene.event(CHAT, 5, Some(&reference())).await;
    scene.drained().await;
    let left = scene.sim.messages_in_topic(CHAT, TOPIC);
    assert_eq!(left.len(), 1);
    assert!(left[0].text.contains("COMPLETED"));
    scene.stop().await;
}

#[tokio::test]
async fn what_is_uncertain_can_be_left_to_a_person() {
    let mut scene = forum().await;
    scene.telegram.announcements.hold_uncertain = true;
    scene.sim.script(Fault::once(Service::Telegram, "sendmessage", Action::Html(502)).after());
    scene.event(CHAT, 0, None).await;
    scene.event(CHAT, 1, None).await;
    scene.work();
    scene.drained().await;
    assert_eq!(scene.states().await, [("uncertain".to_owned(), 1), ("sent".to_owned(), 1)]);
    let error = scene.text("SELECT last_error FROM pushbox.jobs WHERE state = 'dead'").await;
    assert!(error.expect("a dead job").contains("retry the job to send it again"));
    assert_eq!(scene.sim.messages(CHAT).len(), 2, "nothing is sent twice unasked");

    // A worker that vanished leaves the same question.
    let vanished = scene.event(CHAT, 2, None).await;
    scene.stop().await;
    sqlx::query(
        "INSERT INTO pushbox.telegram_messages (chat_id, event_id, part, parts, state)
         VALUES ($1, $2, 0, 1, 'intended') ON CONFLICT DO NOTHING",
    )
    .bind(CHAT)
    .bind(vanished)
    .execute(&scene.db.pool)
    .await
    .expect("a ledger row");
    scene.work();
    scene.drained().await;

    let mut connection = scene.db.pool.acquire().await.expect("a connection");
    let first: i64 = scene.number("SELECT min(id) FROM pushbox.jobs WHERE state = 'dead'").await;
    assert!(retry_dead(&mut connection, first).await.expect("retried"));
    scene.drained().await;
    assert_eq!(scene.states().await[0], ("sent".to_owned(), 2), "a person had it sent again");
    scene.stop().await;
}

#[tokio::test]
async fn under_a_backlog_what_needs_action_goes_first() {
    let mut scene = scene_at(15, 15).await;
    scene.sim.add_forum(CHAT, "Shop");
    let events = scene.events(CHAT, &(0..400).map(|n| (n, None)).collect::<Vec<_>>()).await;
    scene.urgent(&events[397..399]).await;
    scene.work();
    scene.drained().await;
    let texts = scene.texts();
    assert!(texts[0].contains("SN0397") && texts[0].contains("SN0398"), "{}", texts[0]);
    assert!(!texts[0].contains("SN0000"), "it is not hidden among the others");
    let words = texts.join("\n");
    let announced: Vec<&str> = words.split_whitespace().filter(|word| word.starts_with("SN")).collect();
    assert_eq!(announced.len(), 400, "each once");
    assert_eq!(announced[2], "SN0000");
    scene.stop().await;
}

#[tokio::test]
async fn buyers_are_masked_unless_the_setting_says_otherwise() {
    for (show_buyer, shown) in [(false, "jo***"), (true, "johanna_doe")] {
        let mut scene = scene().await;
        scene.sim.add_channel(CHAT, "A channel has no topics");
        scene.telegram.announcements.show_buyer = show_buyer;
        let order = Order { buyer_username: Some("johanna_doe".into()), ..order(1, "T-Shirt", "") };
        scene.order(&order).await;
        scene.event(CHAT, 0, Some(&reference())).await;
        scene.work();
        scene.drained().await;
        let message = &scene.sim.messages(CHAT)[0];
        assert_eq!(message.thread_id, None);
        assert!(message.text.contains(shown), "{}", message.text);
        assert_eq!(message.text.contains("johanna_doe"), show_buyer);
        scene.stop().await;
    }
}

/// What has waited out a pause has a later time than what has just come; it is not passed for that, and jobs do not
/// go round in circles over it.
#[tokio::test]
async fn a_disturbed_backlog_is_put_in_order_and_does_not_crawl() {
    let mut scene = scene_at(15, 15).await;
    scene.sim.add_forum(CHAT, "Shop");
    scene.events(CHAT, &(0..600).map(|n| (n, None)).collect::<Vec<_>>()).await;
    sqlx::query(
        "UPDATE pushbox.jobs SET waiting_on = 'a pause', run_at = now() - id * interval '1 millisecond'
         WHERE id % 3 = 0",
    )
    .execute(&scene.db.pool)
    .await
    .expect("disturb");
    scene.work_with(QueueSpec::exclusive, 50);
    scene.work_with(QueueSpec::exclusive, 50);
    let begun = Instant::now();
    scene.drained().await;
    let texts = scene.texts().join("\n");
    let announced: Vec<&str> = texts.split_whitespace().filter(|word| word.starts_with("SN")).collect();
    let expected: Vec<String> = (0..600).map(|n| format!("SN{n:04}")).collect();
    assert_eq!(announced, expected, "each once, in order");
    assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
    scene.stop().await;
}
