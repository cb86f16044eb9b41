//! What seeds draw holds; and together they do enough for that to mean something.

use sim::swarm;

/// Seeds of an ordinary test run; `TORC_SIM_SEEDS` asks for more, from `TORC_SIM_SEED` on.
const SEEDS: u64 = 50;

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().expect("a number"))
}

#[test]
fn clusters_keep_what_they_acknowledged_whatever_happens() {
    let first = number("TORC_SIM_SEED").unwrap_or(0);
    let seeds = number("TORC_SIM_SEEDS").unwrap_or(SEEDS);
    let (summary, failed) = swarm::run(first..first + seeds, |_| ());
    if let Some((_, failure)) = failed {
        panic!("{failure}");
    }
    println!("{}", summary.text(std::time::Duration::ZERO));
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
