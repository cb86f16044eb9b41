//! A map that is older than what a node has done.
//!
//! ```text
//! the map gives a replica away     who had it forgets it, and says so on its disk     power fails     it starts with the map that it kept, which is older
//! ```
//!
//! Replicas move, and power fails everywhere before nodes have kept the newest map. The one that they start with still asks for replicas which they have given up in good order.
//! That is no loss: nothing has to be said of it, and above all nothing begun.

use std::time::Duration;

use super::{Scenario, busy, play, replication};
use crate::plan::{Fault, Kind, Plan};

pub const SCENARIO: Scenario = Scenario {
    name: "older-map",
    story: "nodes start with a map that still asks for replicas which they have given up",
    plan,
    run: play,
    bugs: &[replication(shard::Canary::MissGivenUp)],
    seeds_max: 10,
};

fn plan(seed: u64) -> Plan {
    let plan = Plan { nodes: 4, zones: 4, vnodes: 4, length: Duration::from_secs(14), ..busy(seed) };
    let mut faults = Vec::new();
    for turn in 0..6_u64 {
        let at = |millis: u64| Duration::from_millis(1_500 + 2_000 * turn + millis);
        for vnode in 1..=4_u32 {
            for from in 0..4 {
                // The catalog refuses what makes no sense.
                let kind = Kind::Move(vnode, from, (from + 1 + (turn + u64::from(vnode)) as usize % 3) % 4);
                faults.push(Fault { at: at(0), lasts: Duration::ZERO, kind });
            }
        }
        let moment = 150 + 100 * ((seed + turn) % 6);
        faults.push(Fault { at: at(moment), lasts: Duration::from_millis(80), kind: Kind::Blackout });
    }
    Plan { faults, ..plan }
}
