use meter::ledger::{Follower, Ledger};
use meter::stage::Stage;
use model::ring::NodeId;
use runtime::Ticks;

use super::Times;

fn entered(times: &Times) -> [u64; 3] {
    let ledger = Ledger::default();
    ledger.begin(Ticks(100));
    times.enter(&ledger, Ticks(1_000));
    assert_eq!(ledger.total(), 900);
    [Stage::Durable, Stage::Replicate, Stage::Apply].map(|stage| ledger.here(stage))
}

#[test]
fn the_time_of_a_write_lies_between_its_moments() {
    assert_eq!(entered(&Times::alone(Ticks(700))), [600, 0, 300]);
    let mut times = Times::replicated(Ticks(100));
    assert!(times.note_durable(Ticks(400)));
    assert!(!times.note_durable(Ticks(500)));
    times.note_committed(Ticks(650));
    assert_eq!(entered(&times), [300, 250, 350]);
    // The followers were faster.
    let mut times = Times::replicated(Ticks(100));
    times.note_committed(Ticks(650));
    assert_eq!(entered(&times), [550, 0, 350]);
    times.note_durable(Ticks(800));
    assert_eq!(entered(&times), [550, 0, 350]);
}

#[test]
fn each_follower_is_heard_once() {
    let mut times = Times::replicated(Ticks(100));
    assert!(times.note_follower(NodeId(3), Ticks(350)));
    assert!(!times.note_follower(NodeId(3), Ticks(400)));
    assert!(times.note_follower(NodeId(2), Ticks(500)));
    times.note_committed(Ticks(600));
    let ledger = Ledger::default();
    ledger.begin(Ticks(0));
    times.enter(&ledger, Ticks(700));
    let followers: Vec<Follower> = ledger.followers().collect();
    assert_eq!(followers, [Follower { node: 3, nanos: 250 }, Follower { node: 2, nanos: 400 }]);
    assert!(!Times::alone(Ticks(1)).note_follower(NodeId(2), Ticks(2)));
}
