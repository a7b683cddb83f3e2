//! What is worth an alert. Pure: numbers in, findings out.

use std::time::Duration;

use crate::config::AlertSettings;
use crate::store::alerts::Severity;
use crate::store::push_rhythms::{Answered, Rhythm};
use crate::store::stats::QueueDepth;

/// A shop and code with fewer pushes has no rhythm yet.
const ENOUGH_EVENTS: i64 = 30;
/// Nor has one that is so young: its nights and weekends are not known.
const ENOUGH_DAYS: f64 = 3.0;
/// How much longer than ever a silence must be.
const MARGIN: f64 = 1.5;
/// What comes as rarely as this is not missed by its rhythm.
const TOO_RARE: f64 = 24.0 * 3600.0;
/// Fewer answers in an hour say nothing.
const ENOUGH_ANSWERS: i64 = 20;
/// Half of what Shopee wants to see before it judges (600 in six hours): time to act.
const ENOUGH_FOR_SHOPEE: i64 = 300;
/// Shopee warns below.
const SHOPEE_WARNS: i64 = 70;

/// Something that a person should know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Finding {
    /// Names it among the findings.
    pub(super) key: String,
    /// None: not bad enough to be raised, nor good enough to be over.
    pub(super) severity: Option<Severity>,
    /// What is wrong.
    pub(super) title: String,
    /// What a person can do.
    pub(super) remedy: String,
}

/// Silences that are longer than they ever were. A source as a whole is judged from its first push on; when it is
/// silent, its shops are, and are not told of one by one.
pub(super) fn silences(rhythms: &[Rhythm], settings: &AlertSettings) -> Vec<Finding> {
    let Some(plain) = settings.silence else { return Vec::new() };
    let limit = |rhythm: &Rhythm| plain.as_secs_f64().max(rhythm.longest_gap_s.unwrap_or(0.0) * MARGIN);
    let silent = |rhythm: &&Rhythm| rhythm.silent_s > limit(rhythm);
    let whole: Vec<&Rhythm> = rhythms.iter().filter(|one| one.account.is_empty()).filter(silent).collect();
    let source_is_silent = |source: &str| whole.iter().any(|one| one.source == source);
    let mut found: Vec<Finding> = whole.iter().map(|one| silence_of_source(one)).collect();
    let shops = rhythms.iter().filter(|one| {
        !one.account.is_empty()
            && one.events >= ENOUGH_EVENTS
            && one.age_days >= ENOUGH_DAYS
            && one.longest_gap_s.is_some_and(|gap| gap < TOO_RARE)
            && !source_is_silent(&one.source)
    });
    found.extend(shops.filter(silent).map(silence_of_shop));
    found
}

fn silence_of_source(rhythm: &Rhythm) -> Finding {
    let Rhythm { source, .. } = rhythm;
    Finding {
        key: format!("silence:{source}"),
        severity: Some(Severity::Critical),
        title: format!("No push of {source} for {}, {}", span(rhythm.silent_s), usual(rhythm)),
        remedy:
            "Is the address reachable from outside, and what does the platform say about the app's pushes? \
                 pushbox doctor"
                .to_owned(),
    }
}

fn silence_of_shop(rhythm: &Rhythm) -> Finding {
    let Rhythm { source, account, code, .. } = rhythm;
    Finding {
        key: format!("silence:{source}:{account}:{code}"),
        severity: Some(Severity::Warning),
        title: format!(
            "No push of code {code} of shop {account} ({source}) for {}, {}",
            span(rhythm.silent_s),
            usual(rhythm)
        ),
        remedy: "Is the shop closed or on holiday? Else look whether it is still authorized and the code is \
                 switched on: pushbox doctor"
            .to_owned(),
    }
}

fn usual(rhythm: &Rhythm) -> String {
    match rhythm.longest_gap_s {
        Some(gap) => format!("the longest wait of the last two weeks was {}", span(gap)),
        None => "and only one ever came".to_owned(),
    }
}

/// `3 h 20 min`.
fn span(seconds: f64) -> String {
    #[expect(clippy::cast_possible_truncation, reason = "a number of minutes")]
    let minutes = (seconds / 60.0).round() as i64;
    match (minutes / 60, minutes % 60) {
        (0, minutes) => format!("{minutes} min"),
        (hours, 0) => format!("{hours} h"),
        (hours, minutes) => format!("{hours} h {minutes} min"),
    }
}

/// How many of a hundred pushes were answered as they should be.
fn percent(answered: &Answered) -> i64 {
    let all = answered.accepted + answered.refused + answered.failed;
    answered.accepted * 100 / all.max(1)
}

/// Pushes that were not answered 200, of the last hour and of the six that Shopee judges by.
pub(super) fn answers(hour: &[Answered], six_hours: &[Answered], settings: &AlertSettings) -> Vec<Finding> {
    let limit = i64::from(settings.success_percent);
    let mut found = Vec::new();
    for one in hour {
        let Answered { source, accepted, refused, failed } = one;
        let all = accepted + refused + failed;
        let rate = percent(one);
        // Between the two limits, and on too few answers, an alert stays as it is.
        if rate >= (limit + 2).min(100) && all >= ENOUGH_ANSWERS || refused + failed == 0 {
            continue;
        }
        let bad = all >= ENOUGH_ANSWERS && rate < limit;
        found.push(Finding {
            key: format!("answers:{source}"),
            severity: bad.then_some(Severity::Warning),
            title: format!(
                "Only {rate} % of the pushes of {source} succeed: in the last hour {refused} of {all} were refused \
                 (4xx), {failed} could not be stored in time (5xx)"
            ),
            remedy: "Refused: the log says which key or URL would have fitted. Not stored: look at the database's \
                     disk, load and connections."
                .to_owned(),
        });
    }
    let near = six_hours.iter().filter(|one| {
        one.source == crate::domain::shopee::push::PLATFORM
            && one.accepted + one.refused + one.failed >= ENOUGH_FOR_SHOPEE
            && percent(one) < SHOPEE_WARNS
    });
    found.extend(near.map(|one| Finding {
        key: "suspension:shopee".to_owned(),
        severity: Some(Severity::Critical),
        title: format!(
            "{} % of Shopee's pushes of the last six hours succeed: Shopee warns below 70 % and suspends all pushes \
             below 30 %",
            percent(one)
        ),
        remedy: "Mend it now: what is pushed during a suspension does not come later. The log says why pushes fail."
            .to_owned(),
    }));
    found
}

/// Queues that are late, and jobs that were given up.
pub(super) fn queues(queues: &[QueueDepth], settings: &AlertSettings) -> Vec<Finding> {
    let mut found = Vec::new();
    for QueueDepth { queue, paused, dead, oldest_ready_s, .. } in queues {
        if *dead >= i64::from(settings.dead_jobs) {
            found.push(Finding {
                key: format!("dead:{queue}"),
                severity: Some(Severity::Warning),
                title: format!("{dead} jobs of queue {queue} were given up"),
                remedy: format!(
                    "pushbox jobs dead, and once the cause is repaired: pushbox jobs retry --queue {queue}"
                ),
            });
        }
        let age = oldest_ready_s.map_or(Duration::ZERO, |age| Duration::from_secs(age.max(0).unsigned_abs()));
        if age >= settings.queue_age && !paused {
            found.push(Finding {
                key: format!("late:{queue}"),
                severity: Some(Severity::Warning),
                title: format!("Queue {queue} is late: a job has been due for {}", span(age.as_secs_f64())),
                remedy: "Does a process with the role worker run? pushbox queues; more workers, or a higher \
                         WORKER_CONCURRENCY, if it is only much."
                    .to_owned(),
            });
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: f64 = 3600.0;

    fn settings() -> AlertSettings {
        AlertSettings {
            silence: Some(Duration::from_hours(1)),
            success_percent: 95,
            dead_jobs: 1,
            queue_age: Duration::from_mins(10),
            authorization_days: 7,
        }
    }

    fn rhythm(account: &str, silent_s: f64, longest_gap_s: Option<f64>) -> Rhythm {
        let code = if account.is_empty() { String::new() } else { "3".to_owned() };
        let (source, account) = ("shopee".to_owned(), account.to_owned());
        Rhythm { source, account, code, events: 100, age_days: 9.0, silent_s, longest_gap_s }
    }

    fn keys(found: &[Finding]) -> Vec<&str> {
        found.iter().map(|one| one.key.as_str()).collect()
    }

    #[test]
    fn silence_is_judged_by_the_own_rhythm_and_never_below_the_plain_limit() {
        for (silent, gap, expected) in [
            (0.9 * HOUR, Some(60.0), 0),
            (1.1 * HOUR, Some(60.0), 1),
            // Ten hours of every night are quiet.
            (11.0 * HOUR, Some(10.0 * HOUR), 0),
            (15.5 * HOUR, Some(10.0 * HOUR), 1),
            // Comes every other day.
            (90.0 * HOUR, Some(50.0 * HOUR), 0),
        ] {
            let found = silences(&[rhythm("1", silent, gap)], &settings());
            assert_eq!(found.len(), expected, "{silent} {gap:?}");
        }
        let young = Rhythm { age_days: 1.0, ..rhythm("1", 9.0 * HOUR, Some(60.0)) };
        let few = Rhythm { events: 3, ..rhythm("1", 9.0 * HOUR, Some(60.0)) };
        assert_eq!(silences(&[young, few], &settings()), []);
        let off = AlertSettings { silence: None, ..settings() };
        assert_eq!(silences(&[rhythm("", 9.0 * HOUR, None)], &off), []);
    }

    #[test]
    fn a_source_that_is_silent_is_told_of_instead_of_its_shops() {
        let all = [rhythm("", 2.0 * HOUR, None), rhythm("1", 2.0 * HOUR, Some(60.0))];
        let found = silences(&all, &settings());
        assert_eq!(keys(&found), ["silence:shopee"]);
        assert!(found[0].title.contains("for 2 h, and only one ever came"), "{}", found[0].title);
        let mut first = rhythm("", 2.0 * HOUR, Some(90.0));
        (first.events, first.age_days) = (2, 0.1);
        assert_eq!(keys(&silences(&[first], &settings())), ["silence:shopee"], "none in 60 minutes");
    }

    #[test]
    fn answers_have_two_limits_and_shopees_own() {
        let of =
            |accepted, refused, failed| [Answered { source: "shopee".into(), accepted, refused, failed }];
        let judged = |answered: &[Answered]| {
            let found = answers(answered, &[], &settings());
            found.first().map(|one| one.severity)
        };
        assert_eq!(judged(&of(94, 0, 6)), Some(Some(Severity::Warning)));
        assert_eq!(judged(&of(96, 4, 0)), Some(None), "stays as it is");
        assert_eq!(judged(&of(98, 1, 1)), None);
        assert_eq!(judged(&of(5, 5, 0)), Some(None), "too few to say");
        assert_eq!(judged(&of(5, 0, 0)), None);
        assert_eq!(keys(&answers(&[], &of(200, 120, 0), &settings())), ["suspension:shopee"]);
        assert_eq!(keys(&answers(&[], &of(20, 12, 0), &settings())), Vec::<&str>::new());
    }

    #[test]
    fn queues_that_are_late_and_dead_jobs_are_told_of_but_not_a_pause() {
        let queue = |paused, dead, oldest_ready_s| QueueDepth {
            queue: "sheet".into(),
            paused,
            ready: 1,
            scheduled: 0,
            waiting: 0,
            running: 0,
            dead,
            oldest_ready_s,
        };
        let of = |one| keys(&queues(&[one], &settings())).join(" ");
        assert_eq!(of(queue(false, 0, Some(599))), "");
        assert_eq!(of(queue(false, 0, Some(600))), "late:sheet");
        assert_eq!(of(queue(true, 2, Some(6_000))), "dead:sheet");
    }
}
