//! What seeds draw holds; and together they do enough for that to mean something.

use sim::plan::Plan;
use sim::summary::Summary;
use sim::swarm;

/// Seeds of an ordinary test run; `TORC_SIM_SEEDS` asks for more, from `TORC_SIM_SEED` on.
const SEEDS: u64 = 50;

/// The same, of those that go beyond what is promised.
const BEYOND_SEEDS: u64 = 10;

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().expect("a number"))
}

/// The seeds that fail; each says how.
fn run(seeds: std::ops::Range<u64>, draw: fn(u64) -> Plan, summary: &mut Summary) -> Vec<u64> {
    let fails = |seed: &u64| {
        let failed = swarm::run_one(draw(*seed), summary);
        failed.iter().for_each(|(_, failure)| println!("{failure}"));
        failed.is_some()
    };
    seeds.filter(fails).collect()
}

#[test]
fn clusters_whose_disks_lie_make_nothing_up() {
    let first = number("TORC_SIM_SEED").unwrap_or(0);
    let seeds = number("TORC_SIM_BEYOND_SEEDS").unwrap_or(BEYOND_SEEDS);
    let mut summary = Summary::default();
    let failed = run(first..first + seeds, Plan::beyond, &mut summary);
    assert!(failed.is_empty(), "these seeds failed: {failed:?}");
    println!("{}", summary.text(std::time::Duration::ZERO, 1));
    let lies = summary.disks.rot_at_rest + summary.disks.lost_writes + summary.disks.misdirected_writes;
    assert!(lies > seeds, "{lies} lies of disks in {seeds} seeds test nothing");
}

#[test]
fn clusters_keep_what_they_acknowledged_whatever_happens() {
    let first = number("TORC_SIM_SEED").unwrap_or(0);
    let seeds = number("TORC_SIM_SEEDS").unwrap_or(SEEDS);
    let mut summary = Summary::default();
    let failed = run(first..first + seeds, Plan::drawn, &mut summary);
    assert!(failed.is_empty(), "these seeds failed: {failed:?}");
    println!("{}", summary.text(std::time::Duration::ZERO, 1));
    assert_eq!(summary.seeds, seeds);
    if seeds < SEEDS {
        return; // Somebody looks at single ones.
    }
    assert!(summary.elections > seeds * 5, "{} elections", summary.elections);
    for (what, least) in [("crashes", 2), ("calls answered", 100), ("counts acknowledged", 20)] {
        let count = summary.count(what);
        assert!(count > seeds * least, "{count} {what} in {seeds} seeds test nothing");
    }
}
