//! A lease across a jump of the clock.
//!
//! A node is cut off from the other nodes, and at the same moment its wall clock is put back by minutes or hours, as a bad time server does it. A lease that is counted on
//! that clock would last for as long; promises are counted on a clock that nobody sets.

use std::time::Duration;

use super::{Scenario, busy, play, replication};
use crate::plan::{Dice, Fault, Kind, Plan, Whom};

pub const SCENARIO: Scenario = Scenario {
    name: "jumping-clock",
    story: "clocks are put back while their nodes lead, and are cut off from the others",
    plan,
    run: play,
    bugs: &[replication(shard::Canary::LeaseByWall)],
    seeds_max: 10,
};

fn plan(seed: u64) -> Plan {
    let dice = Dice::new(seed);
    let plan = Plan {
        routers: 0,
        clients: 12,
        readers: 6,
        patience: Duration::from_millis(150),
        length: Duration::from_secs(15),
        ..busy(seed)
    };
    let mut faults = Vec::new();
    for turn in 0..6 {
        let at = Duration::from_millis(1_500 + 2_200 * turn);
        let lasts = Duration::from_millis(1_500);
        let node = (turn % 3) as usize;
        faults.push(Fault { at, lasts, kind: Kind::Depose(Whom::Node(node)) });
        let jump = -(60_000_000 + dice.below("jump", turn, 3_600_000_000) as i64);
        faults.push(Fault { at, lasts, kind: Kind::Jump(node, jump) });
    }
    Plan { faults, ..plan }
}
