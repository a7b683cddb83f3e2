//! What must hold after the storm.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use pushbox::simulator::traffic::expectation::meaning;
use pushbox::simulator::traffic::{Expectation, Plan};
use pushbox::store::audit::balances;
use sha2::{Digest, Sha256};
use sqlx::PgPool;

use super::chaos::Deeds;
use super::load::Sent;
use super::town::{CHAT, SPREADSHEET, Town};

/// Statuses without a row of their own: the default of `SHEET_IGNORE_STATUSES`.
const IGNORED: &[&str] = &["UNPAID"];
/// How long the work that is left may stand still.
const STILL: Duration = Duration::from_mins(1);

/// Kind, state, attempt, last error, and what it waits for.
type LeftJob = (String, String, i32, Option<String>, Option<String>);

pub(super) struct Findings {
    pub(super) summary: String,
    pub(super) problems: Vec<String>,
}

/// Lets everything come to rest, and looks.
pub(super) async fn check(town: &mut Town, plan: &Plan, sent: &Sent, deeds: &Deeds) -> Findings {
    let mut problems = sent.strange.clone();
    if let Some(problem) = drain(town).await {
        problems.push(problem);
    }
    problems.extend(town.audit());
    let expected = Expectation::of(plan);
    stored(&town.pool, plan, sent, &expected, &mut problems).await;
    settled(&town.pool, &mut problems).await;
    sheet(town, &expected, &mut problems);
    let telegram = telegram(town, deeds, &mut problems).await;
    problems.extend(town.simulator.unknown_calls().into_iter().map(|call| format!("unknown call: {call}")));
    let again: Vec<(String, i64)> = sqlx::query_as(
        "SELECT kind, count(*) FROM pushbox.job_history WHERE crashes > 0 GROUP BY kind ORDER BY kind",
    )
    .fetch_all(&town.pool)
    .await
    .expect("the history");
    let events = town.count("SELECT count(*) FROM pushbox.events").await;
    let found = town.count("SELECT count(*) FROM pushbox.events WHERE via = 'reconcile'").await;
    let absorbed = town.count("SELECT sum(redeliveries)::bigint FROM pushbox.event_keys").await;
    let summary = format!(
        "{events} events, {found} of them found by comparing, {absorbed} redeliveries absorbed, {} orders expected; {telegram}; jobs done although a worker \
         vanished with them: {again:?}",
        expected.orders.len()
    );
    Findings { summary, problems }
}

/// Until no job is alive and no push is lost. Says what stands still, if something does.
async fn drain(town: &mut Town) -> Option<String> {
    let mut moved_at = Instant::now();
    let mut mark = (0, 0);
    loop {
        town.revive();
        let left = town.count("SELECT count(*) FROM pushbox.jobs WHERE state <> 'dead'").await;
        let lost = town.simulator.lost_pushes();
        if left == 0 && lost == 0 {
            return None;
        }
        if (left, lost) != mark {
            (mark, moved_at) = ((left, lost), Instant::now());
        }
        if moved_at.elapsed() > STILL {
            let jobs: Vec<LeftJob> = sqlx::query_as(
                "SELECT kind, state, attempt, last_error, waiting_on FROM pushbox.jobs LIMIT 5",
            )
            .fetch_all(&town.pool)
            .await
            .expect("jobs");
            return Some(format!(
                "{left} jobs and {lost} lost pushes are left: {jobs:?}{}",
                town.last_words()
            ));
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// Accepted = stored: every push that was answered 200 or lost is an event, and there is no other, but for what was
/// found by comparing before its push got through: orders here have another clock than their pushes, so that the two
/// do not become one.
async fn stored(pool: &PgPool, plan: &Plan, sent: &Sent, expected: &Expectation, problems: &mut Vec<String>) {
    let hashes: Vec<Vec<u8>> =
        sqlx::query_scalar("SELECT body_sha256 FROM pushbox.events WHERE via <> 'reconcile'")
            .fetch_all(pool)
            .await
            .expect("events");
    let stored: BTreeSet<Vec<u8>> = hashes.iter().cloned().collect();
    if stored.len() != hashes.len() {
        problems.push(format!("{} events, but {} bodies", hashes.len(), stored.len()));
    }
    // Pushes that say the same are one event, stored as the one that came first.
    let mut by_meaning: BTreeMap<String, bool> = BTreeMap::new();
    for (push, (body, _)) in &sent.accepted {
        let one = &plan.pushes[*push];
        let is_there = stored.contains(&Sha256::digest(body.as_bytes()).to_vec());
        *by_meaning.entry(meaning(one.shop_id, one.at, &one.kind)).or_default() |= is_there;
    }
    for push in &sent.lost {
        let one = &plan.pushes[*push];
        by_meaning.entry(meaning(one.shop_id, one.at, &one.kind)).or_insert(true);
    }
    let missing = by_meaning.iter().filter(|(_, is_there)| !**is_there);
    problems.extend(missing.map(|(what, _)| format!("was answered 200 and is not stored: {what}")));
    for (what, wanted) in [("accepted", by_meaning.len()), ("planned", expected.events)] {
        if hashes.len() != wanted {
            problems.push(format!("{} events, but {wanted} were {what}", hashes.len()));
        }
    }
}

/// Per kind of job, everything is done and nothing is dead; per event code, nothing is missing.
async fn settled(pool: &PgPool, problems: &mut Vec<String>) {
    let dead: Vec<(String, Option<String>, Option<String>)> =
        sqlx::query_as("SELECT kind, key, last_error FROM pushbox.jobs WHERE state = 'dead' LIMIT 5")
            .fetch_all(pool)
            .await
            .expect("jobs");
    problems.extend(dead.iter().map(|job| format!("dead: {job:?}")));
    for balance in balances(pool).await.expect("balances") {
        let sum = balance.done + balance.ready + balance.running + balance.dead + balance.cancelled;
        if sum != balance.events || balance.done != balance.events {
            problems.push(format!("not everything is done: {balance:?}"));
        }
    }
}

/// One row per order with its last status, one per line of an order.
fn sheet(town: &Town, expected: &Expectation, problems: &mut Vec<String>) {
    let rows = town.simulator.sheet_rows(SPREADSHEET, "Orders");
    problems.extend(expected.problems(&rows, "Order", "Status", IGNORED));
    let mut lines: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for row in town.simulator.sheet_rows(SPREADSHEET, "Items") {
        let text = |column: &str| row.get(column).cloned().unwrap_or_default();
        if !lines.entry(text("Order")).or_default().insert(text("Line")) {
            problems.push(format!("line {} of order {} has more than one row", text("Line"), text("Order")));
        }
    }
    for (order_sn, order) in expected.rows(IGNORED) {
        let found = lines.remove(order_sn).unwrap_or_default().len();
        if found != order.items {
            problems.push(format!("order {order_sn} has {} lines, but {found} rows", order.items));
        }
    }
    problems.extend(lines.into_keys().map(|order_sn| format!("order {order_sn} has lines for no reason")));
}

/// Every event is announced. A message that the ledger does not know is a double: there are no more of them than
/// deeds that could cause one, and the ledger shows each as uncertain or tried again.
async fn telegram(town: &Town, deeds: &Deeds, problems: &mut Vec<String>) -> String {
    let (announced, known, unclear): (i64, i64, i64) = sqlx::query_as(
        "SELECT count(DISTINCT event_id) FILTER (WHERE state <> 'intended'), count(DISTINCT message_id),
                count(*) FILTER (WHERE state = 'uncertain' OR attempts > 1 OR message_id IS NULL)
         FROM pushbox.telegram_messages",
    )
    .fetch_one(&town.pool)
    .await
    .expect("the ledger");
    let events = town.count("SELECT count(*) FROM pushbox.events").await;
    if announced != events {
        problems.push(format!("{events} events, {announced} announced"));
    }
    let sent = i64::try_from(town.simulator.messages(CHAT).len()).expect("few");
    let unknown = sent - known;
    if unknown > i64::from(deeds.that_may_double()) {
        problems.push(format!("{unknown} messages that nobody knows of, after {deeds}"));
    }
    if unknown > unclear {
        problems.push(format!("{unknown} messages that nobody knows of, but only {unclear} are marked"));
    }
    format!(
        "{sent} messages, {unknown} of them not in the ledger, {unclear} parts marked as unclear or tried again"
    )
}
