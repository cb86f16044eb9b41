//! A map that is older than what a node has done.
//!
//! ```text
//! a disk is full     the map gives a replica away     who had it forgets it, and says so in its log     power fails     it starts with the map that it kept, which is older
//! ```
//!
//! Replicas move away from a node that has no room to keep the newest map, and then its power fails. The map that it starts with still asks for replicas which it has given up in
//! good order. That is no loss: nothing has to be said of it, and above all nothing begun.

use std::time::Duration;

use super::{Scenario, busy, play, replication};
use crate::plan::{Fault, Kind, Plan, Whom};

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
        let from = turn as usize % 4;
        let mut fault = |at: u64, lasts: u64, kind| {
            let at = Duration::from_millis(1_500 + 2_000 * turn + at);
            faults.push(Fault { at, lasts: Duration::from_millis(lasts), kind });
        };
        let moment = 700 + 100 * ((seed + turn) % 6);
        fault(0, moment - 10, Kind::FullDisk(from));
        for vnode in 1..=4_u32 {
            for to in (0..4).filter(|to| *to != from) {
                // The catalog refuses what makes no sense.
                fault(20, 0, Kind::Move(vnode, from, to));
            }
        }
        fault(moment, 80, Kind::Crash(Whom::Node(from)));
    }
    Plan { faults, ..plan }
}
