//! The demo as a newcomer runs it: the built program, its exit code, its words. Also killed in the middle.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};

use crate::support::database::directory;

const VERDICT: &str = "Everything is where it belongs.";

fn start(data_dir: &Path, arguments: &[&str]) -> (Child, BufReader<ChildStdout>) {
    let mut child = Command::new(env!("CARGO_BIN_EXE_pushbox"))
        .args(["demo", "--exit", "--data-dir"])
        .arg(data_dir)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .expect("start the demo");
    let output = BufReader::new(child.stdout.take().expect("the pipe that was asked for"));
    (child, output)
}

/// Runs to the end; what it said. Fails with all of it unless everything was where it belongs.
fn run(data_dir: &Path, arguments: &[&str]) -> String {
    let (mut child, output) = start(data_dir, arguments);
    let text: Vec<String> = output.lines().map_while(Result::ok).collect();
    let text = text.join("\n");
    let status = child.wait().expect("wait for the demo");
    if !status.success() || !text.contains(VERDICT) {
        let log = std::fs::read_to_string(data_dir.join("demo.log")).unwrap_or_default();
        panic!("{status}\n{text}\n\n{log}");
    }
    text
}

/// How many pushes a line of progress says were answered.
fn answered(line: &str) -> Option<u32> {
    line.split("  pushes ").nth(1)?.split(' ').next()?.parse().ok()
}

/// The number in a row of the summary.
fn row(text: &str, name: &str) -> u64 {
    let line = text.lines().find_map(|line| line.trim().strip_prefix(name)).expect(name);
    let number = line.split_whitespace().next().expect("a number");
    number.replace(',', "").parse().expect(number)
}

#[test]
fn ends_with_everything_where_it_belongs() {
    let directory = directory();
    let data_dir = directory.path().join("demo");
    let text = run(&data_dir, &["--pushes", "150", "--shops", "3"]);
    assert_eq!(row(&text, "events in Postgres"), 150, "{text}");
    assert_eq!(row(&text, "jobs dead"), 0, "{text}");
    assert!(row(&text, "duplicates absorbed") > 0, "{text}");
    assert!(row(&text, "bad signatures refused") > 0, "{text}");
    assert!(row(&text, "lost, then recovered") > 0, "{text}");
    assert!(row(&text, "rows in the sheet") > 0, "{text}");
    // The log and the words of a demo tell nothing of its buyers, nor of what opens anything.
    let written = std::fs::read_to_string(data_dir.join("demo.log")).expect("its log") + &text;
    for told in ["buyer_1", "buyer_2", "Ana <O'Neil>", "0987612345", "access-", "refresh-", "PRIVATE KEY"] {
        let line = written.lines().find(|line| line.contains(told)).unwrap_or_default();
        assert!(line.is_empty(), "{told}: {line}");
    }
}

#[test]
fn goes_on_after_a_kill_and_loses_nothing() {
    let directory = directory();
    let data_dir = directory.path().join("demo");
    let with_rate = |rate| ["--pushes", "600", "--shops", "3", "--seed", "2", "--rate", rate];
    // Slow enough that the stream is long from its end when the line with a third of it comes.
    let (mut child, output) = start(&data_dir, &with_rate("30"));
    let third = output
        .lines()
        .map_while(Result::ok)
        .find(|line| answered(line).is_some_and(|answered| answered >= 200))
        .expect("a line of progress before the end");
    assert!(answered(&third) < Some(500), "too late to be the middle: {third}");
    child.kill().expect("kill the demo");
    child.wait().expect("wait for the killed demo");

    let text = run(&data_dir, &with_rate("0"));
    assert!(text.contains("going on where it stopped"), "{text}");
    assert_eq!(row(&text, "events in Postgres"), 600, "{text}");
}

#[test]
fn leaves_a_directory_alone_that_is_not_its_own() {
    let directory = directory();
    std::fs::write(directory.path().join("thesis.txt"), "years of work").expect("write a file");
    let (mut child, _output) = start(directory.path(), &[]);
    assert_eq!(child.wait().expect("wait for the demo").code(), Some(1));
    let left: Vec<_> = std::fs::read_dir(directory.path()).expect("read the directory").collect();
    assert_eq!(left.len(), 1);
}
