//! Many seeds, and planted bugs that they must find.

use std::panic::{AssertUnwindSafe, catch_unwind};

use runtime::sim::FaultCounts;

use super::harness::run_seed;
use crate::tree::Canary;

#[test]
fn seeds_of_the_tree_hold_exactly_what_its_marks_say_after_any_crash() {
    let more = std::env::var("TORC_SEEDS").ok().map(|count| count.parse().expect("TORC_SEEDS is a number"));
    let seeds = more.unwrap_or(SEEDS);
    let total = on_all_cores(seeds);
    let kinds: Vec<String> = total
        .by_kind()
        .iter()
        .filter(|(_, count)| *count > 0)
        .map(|(kind, count)| format!("{count} {kind}"))
        .collect();
    println!("tree: {seeds} seeds; faults: {}", kinds.join(", "));
    // A run in which these never happen tests nothing. Errors, rot and full disks: `faults`, and `tests/engine`.
    let needed =
        [total.crashes, total.crash_lost, total.crash_torn, total.crash_reordered, total.crash_names_lost];
    assert!(needed.iter().all(|count| *count > seeds / 100), "{total:?}");
}

/// What the disks of all seeds did; the first seed that fails ends it.
fn on_all_cores(seeds: u64) -> FaultCounts {
    let cores = std::thread::available_parallelism().map_or(1, |cores| cores.get() as u64);
    let share = |core: u64| {
        let mut total = FaultCounts::default();
        for seed in (core..seeds).step_by(cores as usize) {
            let _named = Named(seed);
            match run_seed(seed, Canary::None) {
                Ok(counts) => total.add(&counts),
                Err(what) => panic!("seed {seed}: {what}"),
            }
        }
        total
    };
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..cores).map(|core| scope.spawn(move || share(core))).collect();
        let mut total = FaultCounts::default();
        threads.into_iter().for_each(|thread| total.add(&thread.join().expect("a seed failed")));
        total
    })
}

/// Says which seed it was when something in it panics.
struct Named(u64);

impl Drop for Named {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("seed {}", self.0);
        }
    }
}

/// Tried in every test run; the environment's `TORC_SEEDS` says another number.
const SEEDS: u64 = 2000;

/// The seeds within which each planted bug must show.
const CANARY_SEEDS: u64 = 150;

fn check_caught(canary: Canary) {
    let caught = (0..CANARY_SEEDS).find(|&seed| {
        // Some bugs end in an assertion of the tree itself: caught as well.
        let run = catch_unwind(AssertUnwindSafe(|| run_seed(seed, canary)));
        !matches!(run, Ok(Ok(_)))
    });
    assert!(caught.is_some(), "{canary:?} was not noticed in {CANARY_SEEDS} seeds");
}

#[test]
fn a_missing_table_sync_is_caught() {
    check_caught(Canary::SkipTableSync);
}

#[test]
fn a_missing_directory_sync_is_caught() {
    check_caught(Canary::SkipDirSync);
}

#[test]
fn a_lost_manifest_edit_is_caught() {
    check_caught(Canary::LoseManifestEdit);
}

#[test]
fn a_tombstone_dropped_too_early_is_caught() {
    check_caught(Canary::DropTombstonesEarly);
}

#[test]
fn a_filter_that_denies_a_key_is_caught() {
    check_caught(Canary::FilterFalseNegative);
}
