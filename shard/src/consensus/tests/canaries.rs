//! Each planted bug is found by some seed: else the checkers or the faults are too weak to be believed.

use super::Canary;
use super::world::{MS, World};

/// Seeds within which the bug must show.
const SEEDS_MAX: u64 = 1500;

fn is_found(canary: Canary) {
    let quiet = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {}));
    let run = |seed: &u64| {
        let world = std::panic::AssertUnwindSafe(|| World::new(*seed, Some(canary)).run(10_000 * MS));
        std::panic::catch_unwind(world).is_err()
    };
    let found = (1..=SEEDS_MAX).find(run);
    std::panic::set_hook(quiet);
    println!("{canary:?}: seed {found:?}");
    assert!(found.is_some(), "{canary:?} was not found in {SEEDS_MAX} seeds");
}

#[test]
fn an_answer_before_it_is_durable_is_found() {
    is_found(Canary::AnswerBeforeDurable);
}

#[test]
fn a_leader_that_counts_itself_early_is_found() {
    is_found(Canary::CountItselfEarly);
}

#[test]
fn a_vote_that_is_not_written_is_found() {
    is_found(Canary::VoteNotPersisted);
}

#[test]
fn a_lost_tail_is_found() {
    is_found(Canary::TailLost);
}

#[test]
fn a_vote_right_after_a_start_is_found() {
    is_found(Canary::NoQuarantine);
}

#[test]
fn a_lease_from_the_receipt_is_found() {
    is_found(Canary::LeaseFromReceipt);
}

#[test]
fn ticks_that_are_made_up_for_are_found() {
    is_found(Canary::TickDebt);
}

#[test]
fn a_lease_that_outlives_a_transfer_is_found() {
    is_found(Canary::LeaseInTransfer);
}
