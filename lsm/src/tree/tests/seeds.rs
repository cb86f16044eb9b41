//! Many seeds, and planted bugs that they must find.

use std::panic::{AssertUnwindSafe, catch_unwind};

use super::harness::run_seed;
use crate::tree::Canary;

#[test]
fn the_tree_holds_exactly_what_its_marks_say_after_any_crash() {
    let more = std::env::var("TORC_SEEDS").ok().map(|count| count.parse().expect("TORC_SEEDS is a number"));
    for seed in 0..more.unwrap_or(SEEDS) {
        let _named = Named(seed);
        if let Err(what) = run_seed(seed, Canary::None) {
            panic!("seed {seed}: {what}");
        }
    }
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
const SEEDS: u64 = 1500;

/// The seeds within which each planted bug must show.
const CANARY_SEEDS: u64 = 150;

fn check_caught(canary: Canary) {
    let caught = (0..CANARY_SEEDS).find(|&seed| {
        // Some bugs end in an assertion of the tree itself: caught as well.
        let run = catch_unwind(AssertUnwindSafe(|| run_seed(seed, canary)));
        !matches!(run, Ok(Ok(())))
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
