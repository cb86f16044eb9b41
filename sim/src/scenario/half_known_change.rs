//! A change of members that is over, and the one who could tell is dead.
//!
//! ```text
//! a replica moves from x to w     the map says so, x forgets it     all lose their power     who led does not come back
//! ```
//!
//! The old three are x, y and z, the new ones y, z and w. y led, applied the end of the change, and told the catalog. z and w have that end in their logs, and have forgotten that it was
//! committed, because that is not written down with every entry: they still ask both the old three and the new ones for their votes. x is none any more, and y is lost for good. What they have forgotten, the map
//! knows: it would name x otherwise.

use std::time::Duration;

use super::{Scenario, busy, play, replication};
use crate::plan::{Fault, Kind, Lie, Plan, Whom};

pub const SCENARIO: Scenario = Scenario {
    name: "half-known-change",
    story: "replicas have moved, all lose their power, and one node does not come back",
    plan,
    run: play,
    bugs: &[replication(shard::Canary::StayJoint)],
    seeds_max: 10,
};

fn plan(seed: u64) -> Plan {
    let at = |millis, lasts, kind| Fault {
        at: Duration::from_millis(millis),
        lasts: Duration::from_millis(lasts),
        kind,
    };
    let place = |step: u64| ((seed + step) % 4) as usize;
    let (lost, from, to) = (place(0), place(1), place(2));
    let mut faults: Vec<Fault> = (1..=8).map(|vnode| at(2_000, 0, Kind::Move(vnode, from, to))).collect();
    // Its disk cannot be trusted, so it is taken away in the end, and is down until then.
    faults.push(at(4_990, 0, Kind::LyingDisk(lost, Lie::Rot)));
    faults.push(at(5_000, 10_000, Kind::Crash(Whom::Node(lost))));
    faults.push(at(5_000, 400, Kind::Blackout));
    Plan { nodes: 4, zones: 4, vnodes: 8, faults, length: Duration::from_secs(8), ..busy(seed) }
}
