//! Planted bugs: the seeds must find each of them, or they are too weak to be believed.

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
fn answers_before_what_they_promise_is_durable_are_found() {
    assert!(found(replication(shard::Canary::AnswerBeforeDurable), 100).is_some());
}

#[test]
fn reads_without_a_lease_are_found() {
    assert!(found(replication(shard::Canary::ReadWithoutLease), 100).is_some());
}

#[test]
fn entries_that_are_applied_twice_are_found() {
    assert!(found(replication(shard::Canary::ApplyTwice), 5).is_some());
}
