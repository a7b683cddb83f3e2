//! Delivery under load and under kills: what arrives, with how many calls, and how often twice.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use futures_util::StreamExt as _;
use pushbox::simulator::{Action, Fault, Service};

use crate::support::app::{CHAT, SHOP, SPREADSHEET, TestApp, order, status_push};
use crate::support::knob;

const AT: i64 = 1_790_000_200;
const KILLS: usize = 4;
/// Pushes that are sent side by side.
const AT_ONCE: usize = 16;
const STATUSES: [&str; 10] = [
    "UNPAID",
    "READY_TO_SHIP",
    "PROCESSED",
    "RETRY_SHIP",
    "PROCESSED",
    "SHIPPED",
    "SHIPPED",
    "TO_CONFIRM_RECEIVE",
    "TO_CONFIRM_RECEIVE",
    "COMPLETED",
];

impl TestApp {
    fn google_calls(&self, part: &str) -> u64 {
        let is_it = |call: &str| call.starts_with("google") && call.contains(part);
        self.simulator.read(|world| world.calls.iter().filter(|(call, _)| is_it(call)).map(|(_, n)| n).sum())
    }

    /// Until nothing is left to do, however long that takes.
    async fn comes_to_rest(&self, limit: Duration) {
        let begun = Instant::now();
        while self.count("SELECT count(*) FROM pushbox.jobs WHERE state <> 'dead'").await > 0 {
            assert!(begun.elapsed() < limit, "jobs are left");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

/// `PUSHBOX_UPDATES=20000` is the full form: ten updates of each of two thousand orders. Quotas of Google and
/// Telegram are the real ones, a hundred times as fast, and the budgets are those of the defaults.
#[tokio::test]
async fn many_updates_of_many_orders_arrive_within_the_quotas() {
    let updates = usize::try_from(knob("PUSHBOX_UPDATES").unwrap_or(600)).expect("a number");
    let orders = updates / STATUSES.len();
    let app = TestApp::start().await;
    let begun = Instant::now();
    for (step, status) in (0_i64..).zip(STATUSES) {
        let pushes = (0..orders).map(async |n| {
            let order_sn = format!("L{n:05}");
            let at = AT + step * 100;
            let (detail, escrow) = order(&order_sn, status, at);
            app.simulator.put_order(SHOP, detail, escrow);
            app.push(&status_push(&order_sn, status, at)).await;
        });
        futures_util::stream::iter(pushes).for_each_concurrent(AT_ONCE, |push| push).await;
    }
    let sent = begun.elapsed();
    app.comes_to_rest(Duration::from_mins(30)).await;
    let elapsed = begun.elapsed();

    let rows = app.simulator.sheet_rows(SPREADSHEET, "Orders");
    let shown: BTreeMap<&str, &str> =
        rows.iter().map(|row| (row["Order"].as_str(), row["Status"].as_str())).collect();
    assert_eq!((rows.len(), shown.len()), (orders, orders), "one row per order");
    assert!(shown.values().all(|status| *status == "COMPLETED"), "the last state of each");
    assert_eq!(app.simulator.sheet_rows(SPREADSHEET, "Items").len(), 2 * orders);

    let events = app.count("SELECT count(*) FROM pushbox.events").await;
    assert_eq!(usize::try_from(events), Ok(orders * STATUSES.len()));
    let announced = app
        .count("SELECT count(DISTINCT event_id) FROM pushbox.telegram_messages WHERE state = 'sent'")
        .await;
    assert_eq!(announced, events, "each event is announced");
    let twice = app.count("SELECT count(*) FROM pushbox.telegram_messages WHERE attempts > 1").await;
    assert_eq!(twice, 0, "and none twice");
    let messages = app.simulator.messages(CHAT).len();
    let (reads, writes) = (app.google_calls("values:batchGet"), app.google_calls(":batchUpdate"));
    // Per minute of the quotas' clock, which runs a hundred times as fast.
    let minutes = elapsed.as_secs_f64() * 100.0 / 60.0;
    println!(
        "{events} updates of {orders} orders: sent in {sent:.1?}, at rest after {elapsed:.1?} \
         ({minutes:.0} minutes of the quotas); Google {reads} reads, {writes} writes; \
         Telegram {messages} messages for {announced} events"
    );
    assert!(writes < events.unsigned_abs() / 2, "{writes} writes for {events} updates");
    assert!(i64::try_from(messages).is_ok_and(|messages| messages < events), "{messages} messages");
    app.finish().await;
}

/// The process is stopped in the hardest way that a process can do to itself: its tasks are dropped in the middle
/// of calls that were carried out and not answered.
#[tokio::test]
async fn kills_between_send_and_receipt_lose_nothing_and_double_at_most_one_message_each() {
    let forwarding = [
        ("FORWARD_URL", "{forward}"),
        ("FORWARD_SECRET", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"),
        ("FORWARD_ALLOW_PRIVATE", "true"),
        ("LEASE", "1s"),
        ("SHUTDOWN_TIMEOUT", "1s"),
    ];
    let mut app = TestApp::start_with(&forwarding).await;
    for kill in 0..KILLS {
        // What is sent from here on arrives, and its answer does not.
        for (service, call) in
            [(Service::Telegram, "sendmessage"), (Service::Google, ":batchUpdate"), (Service::Forward, "/")]
        {
            app.simulator.script(Fault::once(service, call, Action::Hang(Duration::from_secs(3))).after());
        }
        for n in 0..5 {
            let order_sn = format!("K{kill}{n}");
            let (detail, escrow) = order(&order_sn, "READY_TO_SHIP", AT);
            app.simulator.put_order(SHOP, detail, escrow);
            app.push(&status_push(&order_sn, "READY_TO_SHIP", AT)).await;
        }
        app.until("SELECT count(*) FROM pushbox.telegram_messages WHERE state = 'intended'").await;
        app = app.restart().await;
    }
    for sql in [
        "UPDATE pushbox.destinations SET paused_until = NULL",
        "UPDATE pushbox.jobs SET run_at = now() WHERE state = 'ready'",
    ] {
        sqlx::query(sql).execute(&app.pool).await.expect(sql);
    }
    app.comes_to_rest(Duration::from_mins(2)).await;
    let orders = KILLS * 5;
    assert_eq!(app.simulator.sheet_rows(SPREADSHEET, "Orders").len(), orders, "a row each, none twice");
    assert_eq!(app.simulator.sheet_rows(SPREADSHEET, "Items").len(), 2 * orders);

    let texts: Vec<String> = app.simulator.messages(CHAT).into_iter().map(|message| message.text).collect();
    let mentions = |order_sn: &str| texts.iter().filter(|text| text.contains(order_sn)).count();
    let mut doubled = 0;
    for (kill, n) in (0..KILLS).flat_map(|kill| (0..5).map(move |n| (kill, n))) {
        let found = mentions(&format!("K{kill}{n}"));
        assert!((1..=2).contains(&found), "K{kill}{n} is announced {found} times");
        doubled += usize::from(found == 2);
    }
    let sent_again = app
        .count("SELECT count(DISTINCT message_id) FROM pushbox.telegram_messages WHERE attempts > 1")
        .await;
    assert!(
        usize::try_from(sent_again).is_ok_and(|again| again <= KILLS),
        "{sent_again} messages were sent again"
    );
    let posts = app.simulator.forwarded();
    let ids: BTreeSet<&str> = posts.iter().map(|post| post.id.as_str()).collect();
    assert_eq!(ids.len(), orders, "every event was forwarded");
    println!(
        "{KILLS} kills: {doubled} of {orders} orders announced twice in {sent_again} messages, \
         {} posts of {orders} events",
        posts.len()
    );
    app.finish().await;
}
