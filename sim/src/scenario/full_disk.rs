//! Moves to and from a node that has no room.
//!
//! ```text
//! the disk of a node is full     the map gives it replicas, and takes others away     its log has no room to say so     there is room again
//! ```
//!
//! A full disk is no reason for a shard to end: it does what the map asks when its log has room, and until then the rest of it goes on.

use std::time::Duration;

use super::{Scenario, busy, play, replication};
use crate::plan::{Fault, Kind, Plan};

pub const SCENARIO: Scenario = Scenario {
    name: "full-disk",
    story: "replicas move to and from nodes whose disks are full",
    plan,
    run: play,
    bugs: &[replication(shard::Canary::EndWhenFull)],
    seeds_max: 20,
};

fn plan(seed: u64) -> Plan {
    let plan = Plan {
        nodes: 4,
        zones: 4,
        vnodes: 8,
        filler_bytes_max: 8_000,
        length: Duration::from_secs(18),
        ..busy(seed)
    };
    let mut faults = Vec::new();
    for turn in 0..8_u64 {
        let node = turn as usize % 4;
        let mut fault = |at: u64, lasts: u64, kind| {
            let at = Duration::from_millis(1_500 + 2_000 * turn + at);
            faults.push(Fault { at, lasts: Duration::from_millis(lasts), kind });
        };
        fault(0, 1_400, Kind::FullDisk(node));
        for vnode in 1..=8_u32 {
            for other in (0..4).filter(|other| *other != node) {
                // The catalog refuses what makes no sense.
                let (from, to) = if vnode % 2 == 0 { (node, other) } else { (other, node) };
                fault(20 + 60 * u64::from(vnode), 0, Kind::Move(vnode, from, to));
            }
        }
    }
    faults.sort_by_key(|fault| fault.at);
    Plan { faults, ..plan }
}
