//! A change of members that was committed, and a replica that comes back from before it.
//!
//! ```text
//! node x is away     a replica moves from y to w     y loses power     x and y come back, and hear nobody else
//! ```
//!
//! The old three are x, y and z, the new ones x, z and w. y has the change in its log, and also the entry that ended it; but not that it was committed, because that is not written
//! down with every entry. Were y to take itself for one of three, as before, it and x would be a majority, and so are z and w. What y has tells it better: the second entry was
//! proposed when the first was committed.

use std::time::Duration;

use super::{Scenario, busy, play, replication};
use crate::plan::{Dice, Fault, Kind, Plan, Whom};

pub const SCENARIO: Scenario = Scenario {
    name: "unsettled-change",
    story: "replicas move while a node is away, and who they moved from loses power and comes back with it",
    plan,
    run: play,
    bugs: &[replication(shard::Canary::UnsettledChange)],
    seeds_max: 30,
};

/// Nodes are away, and back, once in this time.
const TURN_MILLIS: u64 = 6_000;

fn plan(seed: u64) -> Plan {
    let dice = Dice::new(seed);
    let plan = Plan {
        nodes: 4,
        zones: 4,
        vnodes: 8,
        routers: 0,
        clients: 10,
        length: Duration::from_secs(20),
        ..busy(seed)
    };
    let mut faults = Vec::new();
    for turn in 0..3_u64 {
        let begin = 1_000 + TURN_MILLIS * turn;
        let back = begin + 3_000;
        let mut fault = |at: u64, until: u64, kind| {
            let (at, lasts) = (Duration::from_millis(at), Duration::from_millis(until - at));
            faults.push(Fault { at, lasts, kind });
        };
        let place = |step: usize| (dice.below("first", turn, 4) as usize + step) % 4;
        let (away, from, to, stays) = (place(0), place(1), place(2), place(3));
        fault(begin, back, Kind::Crash(Whom::Node(away)));
        for vnode in 1..=8 {
            fault(begin + 100, begin + 100, Kind::Move(vnode, from, to));
        }
        fault(begin + 200 + dice.below("crash", turn, 1_500), back, Kind::Crash(Whom::Node(from)));
        for one in [away, from] {
            for other in [to, stays] {
                fault(back - 50, back + 1_500, Kind::Cut(one, other, true));
            }
        }
    }
    faults.sort_by_key(|fault| fault.at);
    Plan { faults, ..plan }
}
