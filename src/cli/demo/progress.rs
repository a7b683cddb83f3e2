//! The progress of a demo: a few lines that are redrawn on a terminal, a line now and then elsewhere.

use std::io::IsTerminal as _;
use std::time::{Duration, Instant};

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::numbers::Numbers;
use super::say;
use super::summary::count;
use crate::store::totals::JobTotals;

/// How often a line is written where nothing can be redrawn.
const LINE_EVERY: Duration = Duration::from_secs(2);

/// Shows numbers as they come.
pub(super) struct View {
    begun: Instant,
    /// Pushes that will be sent.
    deliveries: u64,
    screen: Screen,
}

enum Screen {
    Terminal { all: MultiProgress, bar: ProgressBar, lines: [ProgressBar; 4] },
    Plain { last: Option<Instant> },
}

impl View {
    /// On the terminal, if standard output is one.
    pub(super) fn new(begun: Instant, deliveries: u64) -> Self {
        let screen =
            if std::io::stdout().is_terminal() { terminal(deliveries) } else { Screen::Plain { last: None } };
        Self { begun, deliveries, screen }
    }

    /// Shows the numbers of now; `streamed` is how long pushes were sent, once all are.
    pub(super) fn show(&mut self, numbers: &Numbers, streamed: Option<Duration>) {
        let elapsed = self.begun.elapsed();
        let (doing, streamed) = streamed.map_or(("sending", elapsed), |streamed| ("finishing", streamed));
        match &mut self.screen {
            Screen::Terminal { bar, lines, .. } => {
                bar.set_position(numbers.answered());
                bar.set_message(format!("{doing}, {} s", elapsed.as_secs()));
                for (line, text) in lines.iter().zip(describe(numbers, streamed)) {
                    line.set_message(text);
                }
            }
            Screen::Plain { last } => {
                if last.is_none_or(|last| last.elapsed() >= LINE_EVERY) {
                    *last = Some(Instant::now());
                    say(line(numbers, elapsed, streamed, self.deliveries));
                }
            }
        }
    }

    /// Removes what was drawn, so that other text can follow.
    pub(super) fn clear(self) {
        if let Screen::Terminal { all, bar, lines } = self.screen {
            bar.finish();
            for line in lines {
                line.finish();
            }
            // A terminal that cannot be cleared shows the last numbers once more.
            let _ = all.clear();
        }
    }
}

fn terminal(deliveries: u64) -> Screen {
    let style = |template: &str| ProgressStyle::with_template(template).expect("the templates are constants");
    let all = MultiProgress::with_draw_target(ProgressDrawTarget::stdout());
    let bar = all.add(ProgressBar::new(deliveries));
    bar.set_style(style("pushes    [{bar:40}] {pos} of {len}  {msg}").progress_chars("=> "));
    let lines = std::array::from_fn(|_| {
        let line = all.add(ProgressBar::new_spinner());
        line.set_style(style("{wide_msg}"));
        line
    });
    Screen::Terminal { all, bar, lines }
}

/// Four lines: the pushes, what is stored, the jobs, the outside.
fn describe(numbers: &Numbers, streamed: Duration) -> [String; 4] {
    let Numbers { traffic, events, .. } = numbers;
    let queues: Vec<String> = numbers
        .jobs
        .iter()
        .map(|queue| {
            let JobTotals { queue, ready, running, dead, done } = queue;
            let dead = if *dead == 0 { String::new() } else { format!(" and {dead} dead") };
            format!("{queue} {ready}/{running}/{done}{dead}")
        })
        .collect();
    [
        format!(
            "          {} accepted, {} repeated, {} forged refused; {}",
            count(traffic.accepted),
            count(traffic.repeated),
            count(traffic.forged_refused),
            speed(numbers, streamed)
        ),
        format!(
            "Postgres  {} events, {} duplicates absorbed, {} lost recovered, {} to come",
            events.events, events.redeliveries, events.recovered, numbers.lost_waiting
        ),
        format!("jobs      ready/running/done: {}", queues.join("  ")),
        format!(
            "outside   sheet: {} orders, {} items; Telegram: {} messages in {} topics",
            numbers.order_rows, numbers.item_rows, numbers.messages, numbers.topics
        ),
    ]
}

fn line(numbers: &Numbers, elapsed: Duration, streamed: Duration, deliveries: u64) -> String {
    format!(
        "{:>4} s  pushes {} of {deliveries} ({}); events {}, recovered {}; jobs left {}, done {}, dead {}; \
         sheet rows {}; messages {}",
        elapsed.as_secs(),
        numbers.answered(),
        speed(numbers, streamed),
        numbers.events.events,
        numbers.events.recovered,
        numbers.alive(),
        numbers.done(),
        numbers.dead(),
        numbers.order_rows,
        numbers.messages,
    )
}

fn speed(numbers: &Numbers, streamed: Duration) -> String {
    if numbers.traffic.sent == 0 {
        return "none by this run yet".to_owned();
    }
    let millis = streamed.as_millis().max(1);
    let rate = u128::from(numbers.traffic.sent) * 1000 / millis;
    format!("{rate}/s, p50 {:.1?}, p99 {:.1?}", numbers.traffic.p50, numbers.traffic.p99)
}
