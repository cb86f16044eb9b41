//! Planted bugs: the seeds must find each of them.

use super::rules;
use super::seeds::run;
use super::sleep;
use super::world::planted;
use shard::Canary;

/// The first of so many seeds in which somebody notices.
fn found(canary: Canary, seeds: u64) -> Option<u64> {
    (0..seeds).find(|seed| std::panic::catch_unwind(|| run(*seed, planted(canary))).is_err())
}

#[test]
fn answers_before_what_they_promise_is_durable_are_found() {
    assert!(found(Canary::AnswerBeforeDurable, 200).is_some());
}

#[test]
fn reads_without_a_lease_are_found() {
    assert!(found(Canary::ReadWithoutLease, 120).is_some());
}

#[test]
fn a_restart_that_takes_all_of_its_log_as_committed_is_found() {
    assert!(found(Canary::ApplyUncommitted, 120).is_some());
}

#[test]
fn states_that_the_log_lets_go_too_early_are_found() {
    assert!(found(Canary::ReleaseStatesEarly, 120).is_some());
}

#[test]
fn images_of_which_only_a_part_came_are_found() {
    assert!(found(Canary::HalfImage, 120).is_some());
}

/// A scene in which somebody must notice, in one of so many seeds.
fn is_noticed(scene: fn(u64, Canary), canary: Canary) -> bool {
    (0..40).any(|seed| std::panic::catch_unwind(|| scene(seed, canary)).is_err())
}

#[test]
fn sleeping_leaders_that_answer_without_a_lease_are_found() {
    assert!(is_noticed(sleep::cut_off_while_asleep, Canary::ReadAsleep));
}

#[test]
fn oaths_that_end_in_silence_are_found() {
    assert!(is_noticed(sleep::forgotten_oath, Canary::KeepLoyalty));
}

#[test]
fn changes_whose_end_was_not_heard_of_are_found() {
    assert!(is_noticed(rules::half_known_change, Canary::StayJoint));
}

#[test]
fn entries_that_are_applied_twice_are_found() {
    assert!(found(Canary::ApplyTwice, 5).is_some());
}
