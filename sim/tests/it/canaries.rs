//! Planted bugs that drawn seeds must find, without a scenario that looks for them.

use sim::plan::{Plan, Planted};
use sim::story;

/// The first of so many seeds in which somebody notices.
fn found(planted: Planted, seeds: u64) -> Option<u64> {
    (0..seeds).find(|seed| story::run(&Plan { planted, ..Plan::drawn(*seed) }).is_err())
}

fn replication(canary: shard::Canary) -> Planted {
    Planted { replication: canary, ..Planted::NOTHING }
}

#[test]
fn reads_without_a_lease_are_found() {
    assert!(found(replication(shard::Canary::ReadWithoutLease), 100).is_some());
}

#[test]
fn entries_that_are_applied_twice_are_found() {
    assert!(found(replication(shard::Canary::ApplyTwice), 5).is_some());
}
