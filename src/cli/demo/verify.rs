//! Compares what is there with what the plan leads to.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;

use uuid::Uuid;

use super::numbers::Numbers;
use super::stage::Stage;
use crate::cli::scene;
use crate::domain::shopee::codes;
use crate::simulator::state::telegram::Message;
use crate::simulator::traffic::Expectation;
use crate::store::audit::INVARIANTS;
use crate::store::totals::{Announcement, count_codes, list_announcements, list_dead};

/// Statuses without a row of their own: the default of `SHEET_IGNORE_STATUSES`.
const IGNORED: &[&str] = &["UNPAID"];
/// Dead jobs, and breaks of one promise of the audit, that are named.
const NAMED: i64 = 5;

/// What was found.
pub(super) struct Findings {
    pub(super) numbers: Numbers,
    /// What is not as it should be; empty: all is well.
    pub(super) problems: Vec<String>,
    /// Pushes that were forged, and pushes that were lost, in the plan.
    pub(super) forged: usize,
    pub(super) lost: usize,
    /// Orders that are known, and those that must have a row.
    pub(super) orders: usize,
    pub(super) orders_with_row: usize,
    pub(super) announced: usize,
    /// Messages that announce several events.
    pub(super) digests: usize,
    /// Faults that struck in this run.
    pub(super) faults: u64,
    /// How long pushes were sent.
    pub(super) streamed: Duration,
    pub(super) elapsed: Duration,
}

/// Checks everything. `numbers` are those after everything came to rest.
pub(super) async fn check(
    stage: &Stage,
    expected: &Expectation,
    numbers: Numbers,
) -> anyhow::Result<Findings> {
    let mut problems = Vec::new();
    received(&numbers, expected, &mut problems);
    codes_of(&count_codes(stage.pool()).await?, expected, &mut problems);
    for job in list_dead(stage.pool(), NAMED).await? {
        let (key, error) = (job.key.unwrap_or_default(), job.last_error.unwrap_or_default());
        problems.push(format!("{} {key} was given up: {error}", job.kind));
    }
    for invariant in INVARIANTS {
        let breaks = invariant.breaks(stage.pool(), NAMED).await?;
        problems.extend(breaks.iter().map(|one| format!("{} is broken: {one}", invariant.name)));
    }
    sheet(stage, expected, &mut problems);
    let announcements = list_announcements(stage.pool(), scene::CHAT_ID).await?;
    let announced = telegram(stage, &announcements, &mut problems);
    forwarded(stage, expected, &mut problems);
    problems.extend(stage.sim.unknown_calls().into_iter().map(|call| format!("unknown call: {call}")));
    Ok(Findings {
        numbers,
        problems,
        forged: expected.forged,
        lost: expected.lost,
        orders: expected.orders.len(),
        orders_with_row: expected.rows(IGNORED).count(),
        announced,
        digests: digests(&announcements),
        faults: stage.sim.faults_fired().values().sum(),
        streamed: Duration::ZERO,
        elapsed: Duration::ZERO,
    })
}

/// Receiving: everything came in once, nothing that was forged did, nothing is left to do.
fn received(numbers: &Numbers, expected: &Expectation, problems: &mut Vec<String>) {
    let traffic = numbers.traffic;
    let mut equal = |what: &str, found: u64, wanted: usize| {
        if found != wanted as u64 {
            problems.push(format!("{what}: {found} instead of {wanted}"));
        }
    };
    equal("forged pushes that were refused", traffic.forged_refused, expected.forged);
    equal("forged pushes that were accepted", traffic.forged_accepted, 0);
    equal("pushes that were refused although their signature is good", traffic.given_up, 0);
    equal("pushes left in the lost queue", numbers.lost_waiting as u64, 0);
    equal("jobs left", numbers.alive().unsigned_abs(), 0);
    let absorbed = numbers.events.redeliveries.unsigned_abs();
    if absorbed < expected.repeated as u64 {
        problems.push(format!("only {absorbed} of {} repeated pushes were absorbed", expected.repeated));
    }
}

/// Every event reached the seller's own service, with a signature that it accepts.
fn forwarded(stage: &Stage, expected: &Expectation, problems: &mut Vec<String>) {
    let posts = stage.sim.forwarded();
    let refused = posts.iter().filter(|post| post.valid == 0).count();
    if refused > 0 {
        problems.push(format!("forwarded with a signature that is wrong: {refused}"));
    }
    let events: BTreeSet<&str> = posts.iter().map(|post| post.id.as_str()).collect();
    if events.len() != expected.events {
        problems.push(format!("events forwarded: {} instead of {}", events.len(), expected.events));
    }
}

fn codes_of(stored: &[(String, i64)], expected: &Expectation, problems: &mut Vec<String>) {
    let stored: BTreeMap<&str, i64> = stored.iter().map(|(code, count)| (code.as_str(), *count)).collect();
    for (code, wanted) in &expected.events_per_code {
        let found = stored.get(code.to_string().as_str()).copied().unwrap_or(0);
        if usize::try_from(found) != Ok(*wanted) {
            problems.push(format!("events of code {code}: {found} instead of {wanted}"));
        }
    }
    let total: i64 = stored.values().sum();
    if usize::try_from(total) != Ok(expected.events) {
        problems.push(format!("events: {total} instead of {}", expected.events));
    }
}

/// One row per order with its last status, and one row per line of these orders.
fn sheet(stage: &Stage, expected: &Expectation, problems: &mut Vec<String>) {
    let rows = stage.sim.sheet_rows(scene::SPREADSHEET_ID, "Orders");
    problems.extend(expected.problems(&rows, "Order", "Status", IGNORED));
    let (mut lines, mut seen) = (BTreeMap::<String, usize>::new(), BTreeSet::new());
    for row in stage.sim.sheet_rows(scene::SPREADSHEET_ID, "Items") {
        let text = |column: &str| row.get(column).cloned().unwrap_or_default();
        let (order_sn, line) = (text("Order"), text("Line"));
        *lines.entry(order_sn.clone()).or_default() += 1;
        if !seen.insert((order_sn.clone(), line.clone())) {
            problems.push(format!("line {line} of order {order_sn} has more than one row"));
        }
    }
    for (order_sn, order) in expected.rows(IGNORED) {
        let found = lines.remove(order_sn).unwrap_or(0);
        if found != order.items {
            problems.push(format!("order {order_sn} has {} lines, but {found} rows in Items", order.items));
        }
    }
    problems
        .extend(lines.into_keys().map(|order| format!("order {order:?} has rows in Items for no reason")));
}

/// Every event was announced, completely and in the topic of its code; returns how many were.
fn telegram(stage: &Stage, announcements: &[Announcement], problems: &mut Vec<String>) -> usize {
    let messages = stage.sim.messages(scene::CHAT_ID);
    let chat = Chat {
        by_id: messages.iter().map(|message| (message.message_id, message)).collect(),
        topics: stage.sim.read(|world| {
            let chat = world.telegram.chats.get(&scene::CHAT_ID);
            let topics = chat.into_iter().flat_map(|chat| &chat.topics);
            topics.map(|(thread, topic)| (*thread, topic.name.clone())).collect()
        }),
    };
    let mut announced = 0;
    for parts in announcements.chunk_by(|one, next| one.id == next.id) {
        match chat.fault(parts) {
            None => announced += 1,
            Some(fault) => {
                let subject = parts[0].subject.as_deref().unwrap_or("no subject");
                problems.push(format!("event {} (code {}, {subject}): {fault}", parts[0].id, parts[0].code));
            }
        }
    }
    announced
}

struct Chat<'a> {
    by_id: HashMap<i64, &'a Message>,
    topics: BTreeMap<i64, String>,
}

impl Chat<'_> {
    /// What is wrong with the announcement of one event.
    fn fault(&self, parts: &[Announcement]) -> Option<String> {
        let wanted = parts[0].parts.unwrap_or(1);
        let found = parts.iter().filter(|one| one.part.is_some()).count();
        if usize::try_from(wanted) != Ok(found) {
            return Some(format!("{found} of {wanted} parts of its announcement are known"));
        }
        parts.iter().find_map(|part| self.fault_of_part(part))
    }

    fn fault_of_part(&self, part: &Announcement) -> Option<String> {
        if !part.state.as_deref().is_some_and(|state| state == "sent" || state == "uncertain") {
            return Some("its announcement was not sent".to_owned());
        }
        let thread = part.thread_id.map(i64::from);
        let topic = thread.and_then(|thread| self.topics.get(&thread));
        let wanted = format!("{} ({})", codes::title(part.code.parse().unwrap_or(-1)), part.code);
        if topic != Some(&wanted) {
            return Some(format!("it was announced in topic {topic:?} instead of {wanted:?}"));
        }
        // Only the first part has to name what it is about.
        let subject = part.subject.as_deref().filter(|_| part.part == Some(0)).unwrap_or_default();
        let tells = |message: &&Message| message.thread_id == thread && message.text.contains(subject);
        let there = match part.message_id {
            Some(id) => self.by_id.get(&i64::from(id)).is_some_and(tells),
            // The answer was lost, and with it the id: the text has to be somewhere in the topic.
            None => self.by_id.values().any(tells),
        };
        (!there).then(|| format!("no message in topic {wanted:?} tells of it"))
    }
}

/// Messages that stand for more than one event.
fn digests(announcements: &[Announcement]) -> usize {
    let mut events: HashMap<i32, BTreeSet<Uuid>> = HashMap::new();
    for part in announcements {
        if let Some(id) = part.message_id {
            events.entry(id).or_default().insert(part.id);
        }
    }
    events.values().filter(|events| events.len() > 1).count()
}
