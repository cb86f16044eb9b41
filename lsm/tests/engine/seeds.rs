//! Thousands of worlds, and planted bugs that they must find.

use std::panic::{AssertUnwindSafe, catch_unwind};

use lsm::{log, tree};

use crate::world::{Canaries, Outcome, run};

/// Seeds in the normal run; the environment's `TORC_SEEDS` asks for another number.
const SEEDS: u64 = 2000;
/// Seeds within which each planted bug has to be found.
const CANARY_SEEDS: u64 = 400;
/// In so many of them at least: what only one seed finds, the next change of the engine's timing hides.
const NOTICED_MIN: usize = 3;
/// After so many the rest is not looked at.
const NOTICED_ENOUGH: usize = 20;

#[test]
fn seeds_of_log_and_tree_together_lose_nothing_and_invent_nothing() {
    let seeds = std::env::var("TORC_SEEDS").map_or(SEEDS, |n| n.parse().expect("a number of seeds"));
    let total = on_all_cores(seeds);
    println!(
        "engine: {seeds} seeds, {} records acknowledged, {} lives ended by a failed write, {} worlds with damage that was named, {} records taken by disks that lie",
        total.acknowledged, total.poisoned, total.detected, total.taken
    );
    let kinds: Vec<String> =
        total.faults.by_kind().iter().map(|(kind, count)| format!("{count} {kind}")).collect();
    println!("engine: faults: {}", kinds.join(", "));
    // A run in which these never happen tests nothing.
    if seeds >= SEEDS {
        for (kind, count) in total.faults.by_kind() {
            assert!(count > seeds / 100, "{count} times {kind} in {seeds} seeds");
        }
        assert!(
            total.acknowledged > 20 * seeds && total.poisoned > seeds / 50 && total.detected > seeds / 50
        );
    }
}

/// The sum of all worlds; the first that breaks a promise ends it with its seed.
fn on_all_cores(seeds: u64) -> Outcome {
    let cores = std::thread::available_parallelism().map_or(1, |cores| cores.get() as u64);
    let outcomes = std::thread::scope(|scope| {
        let share = |core: u64| {
            scope.spawn(move || {
                let mut total = Outcome::default();
                for seed in (core..seeds).step_by(cores as usize) {
                    let outcome = catch_unwind(AssertUnwindSafe(|| run(seed, Canaries::NONE)));
                    let outcome = outcome.unwrap_or_else(|_| panic!("seed {seed} panicked"));
                    total.add(&outcome.unwrap_or_else(|what| panic!("seed {seed}: {what}")));
                }
                total
            })
        };
        let threads: Vec<_> = (0..cores).map(share).collect();
        threads.into_iter().map(|thread| thread.join().expect("a seed failed")).collect::<Vec<_>>()
    });
    let mut total = Outcome::default();
    outcomes.iter().for_each(|outcome| total.add(outcome));
    total
}

/// Does not end with the first seed that notices: their number tells whether the worlds aim at the bug or were lucky once.
fn check_caught(canaries: Canaries) {
    let notices = |seed: &u64| {
        // Some bugs end in an assertion of the engine itself: noticed as well.
        !matches!(catch_unwind(AssertUnwindSafe(|| run(*seed, canaries))), Ok(Ok(_)))
    };
    let seeds: Vec<u64> = (0..CANARY_SEEDS).filter(notices).take(NOTICED_ENOUGH).collect();
    let looked_at = if seeds.len() < NOTICED_ENOUGH { CANARY_SEEDS } else { seeds[NOTICED_ENOUGH - 1] + 1 };
    println!("engine: {canaries:?}: noticed in {} of {looked_at} seeds", seeds.len());
    assert!(
        seeds.len() >= NOTICED_MIN,
        "{canaries:?} was noticed in the seeds {seeds:?} only, of {looked_at}"
    );
}

fn in_log(canary: log::Canary) {
    check_caught(Canaries { log: canary, ..Canaries::NONE });
}

fn in_tree(canary: tree::Canary) {
    check_caught(Canaries { tree: canary, ..Canaries::NONE });
}

#[test]
fn a_replay_past_a_torn_record_is_caught() {
    in_log(log::Canary::ReplayPastTorn);
}

#[test]
fn a_stale_recycled_segment_is_caught() {
    in_log(log::Canary::AcceptStale);
}

#[test]
fn a_missing_directory_sync_of_the_log_is_caught() {
    in_log(log::Canary::SkipDirSync);
}

#[test]
fn a_log_write_that_is_not_synced_is_caught() {
    in_log(log::Canary::SkipSync);
}

#[test]
fn a_log_that_ignores_a_failed_write_is_caught() {
    in_log(log::Canary::IgnoreWriteError);
}

#[test]
fn a_log_that_acknowledges_out_of_order_is_caught() {
    in_log(log::Canary::AckOutOfOrder);
}

#[test]
fn a_segment_released_too_early_is_caught() {
    in_log(log::Canary::ReleaseUncovered);
}

#[test]
fn a_missing_sync_of_an_sstable_is_caught() {
    in_tree(tree::Canary::SkipTableSync);
}

#[test]
fn a_missing_directory_sync_of_the_tree_is_caught() {
    in_tree(tree::Canary::SkipDirSync);
}

#[test]
fn a_tree_that_ignores_a_failed_sync_is_caught() {
    in_tree(tree::Canary::IgnoreSyncError);
}

#[test]
fn a_lost_manifest_edit_is_caught() {
    in_tree(tree::Canary::LoseManifestEdit);
}

#[test]
fn a_tombstone_dropped_too_early_is_caught() {
    in_tree(tree::Canary::DropTombstonesEarly);
}

#[test]
fn a_filter_that_denies_a_key_is_caught() {
    in_tree(tree::Canary::FilterFalseNegative);
}
