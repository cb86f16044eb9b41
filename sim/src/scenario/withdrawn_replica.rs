//! A replica that is called off before its node hears that it should have one.
//!
//! ```text
//! the map: a replica joins on node 3     node 3 is drained: the replica leaves again     node 3 hears of both at once
//! ```
//!
//! The map keeps it as one that leaves until its group says that it is out, because it may be in. All that the node sees, which hears everything late, is a replica on its way out
//! of which it has nothing. That is no loss: nothing has to be said of it, and above all nothing begun.

use std::time::Duration;

use super::{Scenario, busy, play, replication};
use crate::plan::{Dice, Fault, Kind, Plan};

pub const SCENARIO: Scenario = Scenario {
    name: "withdrawn-replica",
    story: "replicas are called off before the node that should have them hears of them",
    plan,
    run: play,
    bugs: &[replication(shard::Canary::MissWithdrawn)],
    seeds_max: 5,
};

fn plan(seed: u64) -> Plan {
    let dice = Dice::new(seed);
    let plan = Plan { nodes: 4, zones: 4, vnodes: 8, length: Duration::from_secs(16), ..busy(seed) };
    let mut faults = Vec::new();
    for turn in 0..10_u64 {
        let begin = 1_500 + 1_400 * turn;
        let to = turn as usize % 4;
        let mut fault = |at: u64, lasts: u64, kind| {
            let (at, lasts) = (Duration::from_millis(at), Duration::from_millis(lasts));
            faults.push(Fault { at, lasts, kind });
        };
        let late = Duration::from_millis(20 + dice.below("late", turn, 80));
        for other in (0..4).filter(|other| *other != to) {
            fault(begin, 500, Kind::SlowLink(other, to, late));
        }
        for vnode in 1..=8_u32 {
            // The catalog refuses what makes no sense.
            (0..4).for_each(|from| fault(begin + 10, 0, Kind::Move(vnode, from, to)));
        }
        fault(begin + 11 + dice.below("drain", turn, 6), 500, Kind::Drain(to));
    }
    Plan { faults, ..plan }
}
