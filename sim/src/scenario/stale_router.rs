//! A router that goes by an old map, and writes to who owned the keys once.
//!
//! Replicas move while routers are cut off from who leads the catalog: they hear of a new map seconds late, and go on sending writes to where the old one says. Who has no
//! replica any more must not take them, not even for a moment.

use std::time::Duration;

use super::{Scenario, busy, play, replication};
use crate::plan::{Fault, Kind, Mix, Plan, Whom};

pub const SCENARIO: Scenario = Scenario {
    name: "stale-router",
    story: "replicas move while routers are cut off from the catalog, and write to former owners",
    plan,
    run: play,
    bugs: &[replication(shard::Canary::WriteForOthers)],
    seeds_max: 200,
};

fn plan(seed: u64) -> Plan {
    let mix = Mix { count: 1, read: 5, eventual: 0, put: 10, swap: 0, batch: 0, chain: 0, scan: 0 };
    // Clients work for three seconds, then rest for two: a router that is asked nothing does not hear of new leaders either.
    let (rest, length) = (Duration::from_secs(2), Duration::from_secs(21));
    let plan =
        Plan { nodes: 4, zones: 4, vnodes: 4, routers: 2, clients: 10, mix, rest, length, ..busy(seed) };
    let mut faults = Vec::new();
    for turn in 0..4_u64 {
        let at = |millis: u64| Duration::from_millis(5_000 * turn + millis);
        for vnode in 1..=4_u32 {
            for step in 0..4 {
                // The catalog refuses what makes no sense, and takes one of them.
                let from = (step + turn as usize + vnode as usize) % 4;
                let moves = (1..4).map(|by| Kind::Move(vnode, from, (from + by) % 4));
                faults.extend(moves.map(|kind| Fault { at: at(3_100), lasts: Duration::ZERO, kind }));
            }
        }
        for router in 0..2 {
            let kind = Kind::CutRouter(router, Whom::Leader(0));
            faults.push(Fault { at: at(3_700), lasts: Duration::from_millis(2_500), kind });
        }
    }
    Plan { faults, ..plan }
}
