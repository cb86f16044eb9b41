//! The same seed is the same world: twice in one process, and in another process.

use sim::plan::Plan;
use sim::story::{self, Report};
use std::process::Command;

/// Tells the other process to print hashes.
const ASKED: &str = "TORC_SIM_PRINT_HASHES";

const SEEDS: std::ops::Range<u64> = 3..6;

fn run(seed: u64) -> Report {
    story::run(&Plan::drawn(seed)).unwrap_or_else(|failure| panic!("{failure}"))
}

fn line(report: &Report) -> String {
    format!(
        "hash {} {:032x} {} {:?}",
        report.seed, report.trace_hash, report.summary.polls, report.summary.elapsed
    )
}

#[test]
fn a_seed_is_the_same_twice_and_another_seed_is_not() {
    let (one, two) = (run(1), run(1));
    assert_eq!(line(&one), line(&two));
    assert_eq!(one.summary.counts, two.summary.counts);
    assert_ne!(one.trace_hash, run(2).trace_hash);
}

#[test]
fn prints_hashes_when_asked() {
    if std::env::var(ASKED).is_ok() {
        SEEDS.map(run).for_each(|report| println!("{}", line(&report)));
    }
}

#[test]
fn a_seed_is_the_same_in_another_process() {
    let here: Vec<String> = SEEDS.map(|seed| line(&run(seed))).collect();
    let program = std::env::current_exe().unwrap();
    let there = Command::new(program)
        .args(["--exact", "determinism::prints_hashes_when_asked", "--nocapture"])
        .env(ASKED, "1")
        .output()
        .unwrap();
    let text = String::from_utf8(there.stdout).unwrap();
    for line in &here {
        assert!(text.contains(line), "{line} is not what the other process says:\n{text}");
    }
}
