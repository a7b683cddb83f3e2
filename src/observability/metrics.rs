//! Metrics: every name once, with its meaning and unit, and a typed function for each observation.
//!
//! One recorder serves the whole process ([`install`] may be called any number of times and gives the same
//! handle), because the `metrics` macros have one global destination. Several apps in one process, as in
//! tests, therefore share their numbers: a test asserts that a name is there, or asks the database.
//!
//! Labels come from short fixed lists (sources, queues, kinds, endpoints, outcomes), never from what a
//! stranger sends: a label value per shop or order would grow the process without bound.

use std::sync::OnceLock;
use std::time::{Duration, Instant};

use metrics::{Unit, counter, gauge, histogram};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use tracing::Instrument as _;

use super::trace;

/// What kind of number a metric is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// Only grows.
    Counter,
    /// Goes up and down.
    Gauge,
    /// A distribution.
    Histogram,
}

/// The declaration of one metric.
#[derive(Debug, Clone, Copy)]
pub struct Metric {
    /// The name in `/metrics`.
    pub name: &'static str,
    /// The names of its labels.
    pub labels: &'static [&'static str],
    /// What kind of number it is.
    pub shape: Shape,
    /// The unit of its value.
    pub unit: Unit,
    /// What it means.
    pub help: &'static str,
}

macro_rules! declare {
    ($($constant:ident = $shape:ident $name:literal [$($label:literal),*], $unit:ident, $help:literal;)*) => {
        $(const $constant: &str = $name;)*
        /// Every metric there is.
        pub const ALL: &[Metric] = &[
            $(Metric { name: $name, labels: &[$($label),*], shape: Shape::$shape, unit: Unit::$unit, help: $help },)*
        ];
    };
}

declare! {
    PUSHES = Counter "pushbox_pushes_total" ["source", "outcome"], Count,
        "Requests to the webhook, by source and outcome";
    COMMIT_SECONDS = Histogram "pushbox_commit_seconds" [], Seconds, "Time that one group commit of pushes took";
    COMMIT_PUSHES = Histogram "pushbox_commit_pushes" [], Count, "Pushes in one group commit";
    JOBS = Counter "pushbox_jobs_total" ["queue", "outcome"], Count,
        "Moves of jobs by queue and outcome: claimed, completed, retried, waiting, dead";
    JOB_SECONDS = Histogram "pushbox_job_seconds" ["queue", "kind"], Seconds,
        "Time that one job or batch ran, by queue and kind";
    QUEUE_JOBS = Gauge "pushbox_queue_jobs" ["queue", "state"], Count,
        "Jobs alive by queue and state, over all processes; as of the scrape";
    QUEUE_OLDEST_SECONDS = Gauge "pushbox_queue_oldest_ready_seconds" ["queue"], Seconds,
        "How long the oldest due job of a queue has been due; as of the scrape";
    DATABASE_UP = Gauge "pushbox_database_up" [], Count, "1 when the database answered at the scrape, else 0";
    CLIENT_CALLS = Counter "pushbox_client_calls_total" ["service", "endpoint", "outcome"], Count,
        "Calls to outside services by service, endpoint and outcome";
    CLIENT_SECONDS = Histogram "pushbox_client_call_seconds" ["service", "endpoint"], Seconds,
        "Time that one call to an outside service took, by service and endpoint";
    SHEET_ROWS = Counter "pushbox_sheet_rows_written_total" ["tab"], Count, "Spreadsheet rows written, by tab";
    DELIVERY_SECONDS = Histogram "pushbox_delivery_seconds" ["destination"], Seconds,
        "Time from the receipt of an event until it had reached a destination: sheet, telegram or forward";
    TELEGRAM_MESSAGES = Counter "pushbox_telegram_messages_total" ["outcome"], Count,
        "Telegram messages sent, by outcome";
    DESTINATIONS = Gauge "pushbox_destinations" ["kind", "state"], Count,
        "Shops, spreadsheets, chats and services by the state of their breaker; as of the scrape";
    ALERTS = Gauge "pushbox_open_alerts" ["severity"], Count,
        "Alerts that are not over, by severity; as of the scrape";
    CONNECTIONS = Gauge "pushbox_database_connections" ["state"], Count,
        "Database connections of this process, busy and idle; as of the scrape";
    SCHEDULE_RUNS = Counter "pushbox_schedule_runs_total" ["task", "outcome"], Count,
        "Runs of scheduled tasks by task and outcome: ok, failed, taken_over";
    SCHEDULE_SECONDS = Histogram "pushbox_schedule_run_seconds" ["task"], Seconds,
        "Time that one run of a scheduled task took";
    HTTP_REQUESTS = Counter "pushbox_admin_requests_total" ["status"], Count,
        "Requests to the admin listener by status class";
}

/// Upper bounds in seconds: from a commit on a fast disk to a slow API call.
const SECONDS: [f64; 14] =
    [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0];

/// Upper bounds in seconds for what goes through queues and waits for destinations: up to a day.
const LONG_SECONDS: [f64; 16] = [
    0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 900.0, 3600.0, 10_800.0, 43_200.0,
    86_400.0,
];

/// Upper bounds for sizes of batches.
const SIZES: [f64; 10] = [1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1000.0];

/// How often collected samples are folded into their buckets when nobody scrapes; without it they pile up.
const UPKEEP: Duration = Duration::from_secs(5);

/// Reads the metrics of this process.
#[derive(Clone)]
pub struct MetricsHandle(PrometheusHandle);

impl MetricsHandle {
    /// Everything recorded so far, in Prometheus's text format.
    pub fn render(&self) -> String {
        self.0.render()
    }
}

impl std::fmt::Debug for MetricsHandle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("MetricsHandle")
    }
}

/// The recorder of this process, installed at the first call.
pub fn install() -> MetricsHandle {
    static HANDLE: OnceLock<MetricsHandle> = OnceLock::new();
    HANDLE
        .get_or_init(|| {
            let recorder = PrometheusBuilder::new()
                .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &SECONDS)
                .and_then(|builder| {
                    builder.set_buckets_for_metric(Matcher::Full(DELIVERY_SECONDS.to_owned()), &LONG_SECONDS)
                })
                .and_then(|builder| {
                    builder.set_buckets_for_metric(Matcher::Full(COMMIT_PUSHES.to_owned()), &SIZES)
                })
                .expect("the lists of buckets are not empty")
                .build_recorder();
            let handle = recorder.handle();
            if metrics::set_global_recorder(recorder).is_err() {
                tracing::warn!("another recorder is installed; metrics stay empty");
            }
            describe();
            keep_up(handle.clone());
            MetricsHandle(handle)
        })
        .clone()
}

fn describe() {
    for metric in ALL {
        match metric.shape {
            Shape::Counter => metrics::describe_counter!(metric.name, metric.unit, metric.help),
            Shape::Gauge => metrics::describe_gauge!(metric.name, metric.unit, metric.help),
            Shape::Histogram => metrics::describe_histogram!(metric.name, metric.unit, metric.help),
        }
    }
}

/// A thread and not a task: the handle outlives every runtime that tests start.
fn keep_up(handle: PrometheusHandle) {
    let upkeep = move || {
        loop {
            std::thread::sleep(UPKEEP);
            handle.run_upkeep();
        }
    };
    if let Err(error) = std::thread::Builder::new().name("metrics-upkeep".to_owned()).spawn(upkeep) {
        tracing::warn!(%error, "no thread for metrics upkeep; histograms grow until they are scraped");
    }
}

/// What became of a request to the webhook.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PushOutcome {
    /// Committed now.
    Stored,
    /// Committed before: a redelivery.
    Duplicate,
    /// The platform's verification probe.
    Probe,
    /// Signature missing or wrong.
    Unauthorized,
    /// Unusable request.
    BadRequest,
    /// Unknown source, or not POST.
    NotFound,
    /// Body over the cap.
    TooLarge,
    /// Too many failed signatures from this address.
    Throttled,
    /// Not committed in time; the sender tries again.
    Unavailable,
}

impl PushOutcome {
    fn label(self) -> &'static str {
        match self {
            Self::Stored => "stored",
            Self::Duplicate => "duplicate",
            Self::Probe => "probe",
            Self::Unauthorized => "unauthorized",
            Self::BadRequest => "bad_request",
            Self::NotFound => "not_found",
            Self::TooLarge => "too_large",
            Self::Throttled => "throttled",
            Self::Unavailable => "unavailable",
        }
    }
}

/// A request to the webhook was answered. `source` is a configured name; pass `unknown` for any other.
pub fn push_answered(source: &str, outcome: PushOutcome) {
    counter!(PUSHES, "source" => source.to_owned(), "outcome" => outcome.label()).increment(1);
}

/// One group commit of `pushes` took `duration`.
#[expect(clippy::cast_precision_loss, reason = "a batch is far smaller than 2^52")]
pub fn pushes_committed(pushes: usize, duration: Duration) {
    histogram!(COMMIT_SECONDS).record(duration.as_secs_f64());
    histogram!(COMMIT_PUSHES).record(pushes as f64);
}

/// What happened to a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JobMove {
    /// A worker took it.
    Claimed,
    /// Done.
    Completed,
    /// Failed; runs again later.
    Retried,
    /// Not tried, because its destination has to wait.
    Waiting,
    /// Given up.
    Dead,
}

impl JobMove {
    fn label(self) -> &'static str {
        match self {
            Self::Claimed => "claimed",
            Self::Completed => "completed",
            Self::Retried => "retried",
            Self::Waiting => "waiting",
            Self::Dead => "dead",
        }
    }
}

/// `count` jobs of `queue` made this move.
pub fn jobs_moved(queue: &str, outcome: JobMove, count: usize) {
    counter!(JOBS, "queue" => queue.to_owned(), "outcome" => outcome.label()).increment(count as u64);
}

/// A job, or a batch of them, ran for `duration`.
pub fn job_ran(queue: &'static str, kind: &'static str, duration: Duration) {
    histogram!(JOB_SECONDS, "queue" => queue, "kind" => kind).record(duration.as_secs_f64());
}

/// How many jobs of a queue are alive in this state.
#[expect(clippy::cast_precision_loss, reason = "fewer than 2^52 jobs")]
pub fn queue_jobs(queue: &str, state: &'static str, jobs: i64) {
    gauge!(QUEUE_JOBS, "queue" => queue.to_owned(), "state" => state).set(jobs as f64);
}

/// How long the oldest due job of a queue has been due; zero when none is.
pub fn queue_oldest_ready(queue: &str, age: Duration) {
    gauge!(QUEUE_OLDEST_SECONDS, "queue" => queue.to_owned()).set(age.as_secs_f64());
}

/// Whether the database answered.
pub fn database_up(up: bool) {
    gauge!(DATABASE_UP).set(if up { 1.0 } else { 0.0 });
}

/// A call to an outside service ended. `endpoint` is a path without ids; `outcome` is `ok` or the class of
/// the error.
pub fn client_called(
    service: &'static str,
    endpoint: &'static str,
    outcome: &'static str,
    duration: Duration,
) {
    counter!(CLIENT_CALLS, "service" => service, "endpoint" => endpoint, "outcome" => outcome).increment(1);
    histogram!(CLIENT_SECONDS, "service" => service, "endpoint" => endpoint).record(duration.as_secs_f64());
}

/// Makes a call to an outside service and tells [`client_called`] how it ended; `class` names the class of an
/// error. What a client asks again in parts counts as the one call that it was asked for.
pub async fn timed_call<T, E>(
    service: &'static str,
    endpoint: &'static str,
    class: impl FnOnce(&E) -> &'static str,
    call: impl Future<Output = Result<T, E>>,
) -> Result<T, E> {
    let begun = Instant::now();
    let result = call.instrument(trace::call(service, endpoint)).await;
    let outcome = result.as_ref().map_or_else(class, |_| "ok");
    client_called(service, endpoint, outcome, begun.elapsed());
    result
}

/// Rows were written to a tab of a spreadsheet.
pub fn sheet_rows_written(tab: &'static str, rows: u64) {
    counter!(SHEET_ROWS, "tab" => tab).increment(rows);
}

/// An event that was received so long ago has reached a destination: `sheet`, `telegram` or `forward`.
pub fn delivered(destination: &'static str, after: Duration) {
    histogram!(DELIVERY_SECONDS, "destination" => destination).record(after.as_secs_f64());
}

/// How many destinations of a kind have a breaker in this state.
#[expect(clippy::cast_precision_loss, reason = "fewer than 2^52 destinations")]
pub fn destinations(kind: &str, state: &str, count: i64) {
    gauge!(DESTINATIONS, "kind" => kind.to_owned(), "state" => state.to_owned()).set(count as f64);
}

/// How many alerts of this severity are not over.
#[expect(clippy::cast_precision_loss, reason = "fewer than 2^52 alerts")]
pub fn open_alerts(severity: &str, count: i64) {
    gauge!(ALERTS, "severity" => severity.to_owned()).set(count as f64);
}

/// How many database connections this process has, and how many of them have nothing to do.
pub fn database_connections(all: u32, idle: u32) {
    gauge!(CONNECTIONS, "state" => "busy").set(f64::from(all.saturating_sub(idle)));
    gauge!(CONNECTIONS, "state" => "idle").set(f64::from(idle));
}

/// A Telegram message was sent (`ok`), refused, or its fate is unknown (`uncertain`).
pub fn telegram_message(outcome: &'static str) {
    counter!(TELEGRAM_MESSAGES, "outcome" => outcome).increment(1);
}

/// The admin listener answered with this status.
pub fn admin_request(status: u16) {
    let class = match status {
        0..300 => "2xx",
        300..400 => "3xx",
        400..500 => "4xx",
        _ => "5xx",
    };
    counter!(HTTP_REQUESTS, "status" => class).increment(1);
}

/// A run of a scheduled task ended: `ok`, `failed`, or `taken_over` by another process.
pub fn schedule_ran(task: &'static str, outcome: &'static str, duration: Duration) {
    counter!(SCHEDULE_RUNS, "task" => task, "outcome" => outcome).increment(1);
    histogram!(SCHEDULE_SECONDS, "task" => task).record(duration.as_secs_f64());
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn names_are_unique_and_say_their_unit() {
        let mut seen = HashSet::new();
        for metric in ALL {
            assert!(seen.insert(metric.name), "{} is declared twice", metric.name);
            assert!(metric.name.starts_with("pushbox_"), "{}", metric.name);
            assert_eq!(metric.shape == Shape::Counter, metric.name.ends_with("_total"), "{}", metric.name);
            assert_eq!(metric.unit == Unit::Seconds, metric.name.ends_with("_seconds"), "{}", metric.name);
        }
    }

    #[test]
    fn every_metric_can_be_observed_and_is_described() {
        let handle = install();
        push_answered("shopee", PushOutcome::Stored);
        pushes_committed(3, Duration::from_millis(4));
        jobs_moved("enrich", JobMove::Completed, 2);
        job_ran("enrich", "enrich_order", Duration::from_millis(80));
        queue_jobs("enrich", "ready", 5);
        queue_oldest_ready("enrich", Duration::from_secs(1));
        database_up(true);
        client_called("shopee", "order/get_order_detail", "ok", Duration::from_millis(70));
        sheet_rows_written("Orders", 1);
        telegram_message("ok");
        delivered("sheet", Duration::from_secs(90));
        destinations("telegram", "open", 1);
        open_alerts("warning", 2);
        database_connections(5, 3);
        schedule_ran("maintain", "ok", Duration::from_millis(30));
        admin_request(200);

        let text = install().render();
        assert_eq!(handle.render().is_empty(), text.is_empty(), "one recorder for all");
        for metric in ALL {
            assert!(text.contains(&format!("# HELP {} {}", metric.name, metric.help)), "{text}");
        }
        assert!(text.contains(r#"pushbox_job_seconds_bucket{queue="enrich",kind="enrich_order",le="0.1"}"#));
        assert!(text.contains(r#"pushbox_commit_pushes_bucket{le="5"}"#), "{text}");
        assert!(text.contains(r#"pushbox_delivery_seconds_bucket{destination="sheet",le="120"}"#), "{text}");
    }
}
