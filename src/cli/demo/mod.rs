//! `pushbox demo`.
//!
//! [`home`] is the directory and whether a run goes on, [`stage`] everything that runs, [`numbers`] and
//! [`progress`] what is seen meanwhile, [`verify`] and [`summary`] the end.

mod home;
mod numbers;
mod progress;
mod stage;
mod summary;
mod verify;

use std::fmt::Display;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use tokio_util::sync::CancellationToken;

use self::home::{Home, Parameters};
use self::numbers::{Look, Numbers};
use self::progress::View;
use self::stage::Stage;
use self::verify::Findings;
use crate::cli::{FaultLevel, Outcome, block_on, keygen, scene, shutdown};
use crate::config::LogSettings;
use crate::domain::push::sha256;
use crate::observability::logging;
use crate::simulator::FaultProfile;
use crate::simulator::traffic::{Expectation, Plan, Progress, Traffic, TrafficOptions, scenario};
use crate::store;

/// Show the whole system at work on this machine, without any account
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Starts a private Postgres, a simulator in the place of Shopee, Telegram and Google, and pushbox
itself with all roles, then sends a realistic stream of pushes: duplicates, disorder, bad
signatures, lost pushes, faults. Shows progress, checks at the end that everything is where it
belongs, and keeps the dashboard up until Ctrl-C. Reads none of your settings and reaches nothing
outside this machine, except to download Postgres when none is installed.

A demo that was stopped or killed in the middle goes on when it is started again in the same way.

Examples:
  pushbox demo
  pushbox demo --pushes 20000 --shops 50 --faults harsh
  pushbox demo --rate 0            as fast as they are answered
  pushbox demo --seed 7 --exit     stop after the summary; exit code 1 if anything is missing")]
pub(super) struct Arguments {
    /// How many different pushes there are; some are sent more than once
    #[arg(long, value_name = "N", default_value_t = 2000, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pushes: u32,

    /// How many shops they come from
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=500))]
    shops: u32,

    /// What is random repeats with the same seed
    #[arg(long, value_name = "S", default_value_t = 1)]
    seed: u64,

    /// How much goes wrong
    #[arg(long, value_name = "LEVEL", value_enum, default_value_t = FaultLevel::Realistic)]
    faults: FaultLevel,

    /// Pushes per second; 0: as fast as they are answered [default: all within about 20 seconds]
    #[arg(long, value_name = "R", value_parser = clap::value_parser!(u32).range(0..=100_000))]
    rate: Option<u32>,

    /// Stop after the summary
    #[arg(long)]
    exit: bool,

    /// Directory of the demo: its Postgres, its simulated world, its log
    #[arg(long, value_name = "PATH", default_value = ".pushbox/demo")]
    data_dir: PathBuf,
}

/// Pushes under way at once.
const IN_FLIGHT: usize = 64;
/// How long the stream lasts if nothing else is said; and the least number of pushes per second.
const STREAM_SECONDS: u32 = 20;
const LEAST_RATE: u32 = 100;
/// How often the numbers are looked at.
const LOOK_EVERY: Duration = Duration::from_millis(300);
/// When nothing moves for so long, waiting is over and what is missing is named.
const PATIENCE: Duration = Duration::from_secs(90);

pub(super) fn run(arguments: &Arguments) -> Outcome {
    block_on(demo(arguments))
}

/// Says something to the person at the terminal.
#[expect(clippy::print_stdout, reason = "the demo is there to be read")]
fn say(text: impl Display) {
    println!("{text}");
}

async fn demo(arguments: &Arguments) -> Outcome {
    let stop = shutdown::on_signal().context("watching for stop signals")?;
    let faults = FaultProfile::from(arguments.faults);
    let parameters = Parameters {
        pushes: arguments.pushes,
        shops: arguments.shops,
        seed: arguments.seed,
        faults: faults.to_string(),
        program: program(),
    };
    let mut home = Home::open(&arguments.data_dir, parameters, keygen::key())?;
    let settings = LogSettings { filter: "info".to_owned(), json: false, otlp: None };
    logging::init_file(&settings, home.open_log()?).context("setting up the log")?;

    let plan = Arc::new(scenario(arguments.seed, arguments.pushes as usize, arguments.shops as usize));
    introduce(arguments, &home);
    let started = tokio::select! {
        started = Stage::start(&mut home, &plan, arguments.seed) => started,
        () = stop.cancelled() => return Err(interrupted().into()),
    };
    let stage =
        started.with_context(|| format!("the demo did not start; its log is {}", home.log().display()))?;
    announce(&stage);

    let played = tokio::select! {
        played = play(&stage, &plan, arguments, faults) => played,
        () = stop.cancelled() => Err(interrupted()),
    };
    let ended = match played {
        Ok(findings) => end(&stage, &mut home, &findings, arguments, &stop).await,
        Err(error) => Err(error),
    };
    stage.stop().await;
    Ok(ended?)
}

/// Shows the stream and what comes of it, until everything came to rest, and checks it.
async fn play(
    stage: &Stage,
    plan: &Arc<Plan>,
    arguments: &Arguments,
    faults: FaultProfile,
) -> anyhow::Result<Findings> {
    let expectation = Expectation::of(plan);
    let progress = Arc::new(Progress::default());
    let look = Look { pool: stage.pool(), sim: &stage.sim, progress: &progress };
    let deliveries = expectation.events + expectation.repeated + expectation.forged - expectation.lost;
    let spread = u32::try_from(deliveries).unwrap_or(u32::MAX) / STREAM_SECONDS;
    let options = TrafficOptions {
        partner_id: scene::PARTNER_ID,
        deliver_to: Some(stage.receiver.clone()),
        rate: arguments.rate.unwrap_or(spread.max(LEAST_RATE)),
        faults,
        concurrency: IN_FLIGHT,
    };
    let begun = Instant::now();
    let mut view = View::new(begun, deliveries as u64);
    let streamed = tokio::select! {
        streamed = Traffic::run(&stage.sim, plan, &options, &progress) => streamed,
        never = keep_showing(&look, &mut view) => never.map(|never| match never {}),
    };
    streamed.context("sending the pushes")?;
    let streamed = begun.elapsed();
    let numbers = settle(&look, &mut view, streamed, expectation.events).await?;
    view.clear();
    let mut findings = verify::check(stage, &expectation, numbers).await?;
    findings.streamed = streamed;
    findings.elapsed = begun.elapsed();
    Ok(findings)
}

async fn keep_showing(look: &Look<'_>, view: &mut View) -> anyhow::Result<std::convert::Infallible> {
    loop {
        let begun = Instant::now();
        view.show(&look.now().await?, None);
        // Looking costs more the more there is: it takes a tenth of the time at most.
        tokio::time::sleep(LOOK_EVERY.max(begun.elapsed() * 9)).await;
    }
}

/// Waits until the lost queue is drained and no job is left, or until nothing moves any more.
async fn settle(
    look: &Look<'_>,
    view: &mut View,
    streamed: Duration,
    events: usize,
) -> anyhow::Result<Numbers> {
    let mut moved = (Instant::now(), None);
    loop {
        let begun = Instant::now();
        let numbers = look.now().await?;
        view.show(&numbers, Some(streamed));
        let all_there = usize::try_from(numbers.events.events).is_ok_and(|stored| stored >= events);
        if all_there && numbers.lost_waiting == 0 && numbers.alive() == 0 {
            return Ok(numbers);
        }
        let mark = Some(numbers.mark());
        if moved.1 != mark {
            moved = (Instant::now(), mark);
        } else if moved.0.elapsed() > PATIENCE {
            return Ok(numbers);
        }
        tokio::time::sleep(LOOK_EVERY.max(begun.elapsed() * 9)).await;
    }
}

/// The last words, and the wait for Ctrl-C.
async fn end(
    stage: &Stage,
    home: &mut Home,
    findings: &Findings,
    arguments: &Arguments,
    stop: &CancellationToken,
) -> anyhow::Result<()> {
    say(summary::table(findings));
    say(summary::verdict(findings, &home.log()));
    home.finish()?;
    if arguments.exit {
        anyhow::ensure!(findings.problems.is_empty(), "not everything is where it belongs");
        return Ok(());
    }
    say(format_args!(
        "\nStill up, for you to look around; Ctrl-C ends it:\n  \
         dashboard       http://{admin}/dashboard\n  \
         API             http://{admin}/docs\n  \
         metrics         http://{admin}/metrics\n  \
         log             {log}\n\n\
         Next: `pushbox keygen >> .env`, fill in .env after .env.example, then `pushbox serve`.\n\
         README says how to go live with Shopee, step by step. `pushbox simulate` is this simulator alone.",
        admin = stage.admin,
        log = home.log().display(),
    ));
    stop.cancelled().await;
    Ok(())
}

/// What tells this program's tables and world from those of another one.
fn program() -> String {
    let schema: String = store::migrations().into_iter().map(|(_, _, sql)| sql).collect();
    let digest = hex::encode(sha256(schema.as_bytes()));
    format!("{} {digest}", env!("CARGO_PKG_VERSION"))
}

fn introduce(arguments: &Arguments, home: &Home) {
    let Arguments { pushes, shops, .. } = arguments;
    if home.unfinished {
        say("pushbox demo: the run before this one did not finish; going on where it stopped.\n");
    } else {
        say("pushbox demo: the whole system on this machine, with invented data and no account.\n");
    }
    say(format_args!(
        "A simulator plays Shopee, Telegram and Google. It sends {} different pushes from {}, as on\n\
         {}: some twice, some late,\n\
         some with a bad signature, some never (they wait in Shopee's lost queue).\n\
         pushbox stores each once in Postgres, fetches the orders, fills a Google Sheet, writes to Telegram.",
        summary::count(u64::from(*pushes)),
        if *shops == 1 { "one shop".to_owned() } else { format!("{shops} shops") },
        match arguments.faults {
            FaultLevel::None => "a perfect day on which no call fails",
            FaultLevel::Realistic => "a usual day on which calls fail now and then",
            FaultLevel::Harsh => "a bad day on which many calls fail",
        },
    ));
    say(format_args!(
        "Telegram's and Google's quotas fill up {} times as fast as in reality, so that you need not wait.\n\n\
         Starting Postgres ...",
        stage::QUOTA_SCALE
    ));
}

fn announce(stage: &Stage) {
    if stage.admin.port() != stage::ADMIN_PORT {
        say(format_args!("Port {} is taken; the dashboard is elsewhere this time.", stage::ADMIN_PORT));
    }
    say(format_args!("Dashboard: http://{}/dashboard\n", stage.admin));
}

fn interrupted() -> anyhow::Error {
    anyhow::anyhow!("stopped before the end; the same command goes on where it stopped")
}
