//! Two who serve the same keys after the map has changed.
//!
//! Replicas move from node to node all the time, also away from who leads, while clients ask the nodes themselves and are told of the new map late. Whoever lost its
//! replica has to send everybody on, from the moment at which the map says so, whatever it still has on its disk.

use std::time::Duration;

use super::{Scenario, busy, play, replication};
use crate::plan::{Fault, Kind, Plan, Whom};

pub const SCENARIO: Scenario = Scenario {
    name: "former-owner",
    story: "replicas move while clients read, and who had them is still asked",
    plan,
    run: play,
    bugs: &[replication(shard::Canary::ReadForOthers)],
    seeds_max: 10,
};

fn plan(seed: u64) -> Plan {
    moving(Plan { routers: 0, clients: 10, readers: 5, ..busy(seed) }, |turn| {
        Kind::Cut((turn % 4) as usize, ((turn + 1) % 4) as usize, true)
    })
}

/// Four nodes, and each replica moves to the one that does not have it, one after the other; beside that what `beside` says.
fn moving(plan: Plan, beside: impl Fn(u64) -> Kind) -> Plan {
    let plan = Plan { nodes: 4, zones: 4, vnodes: 2, length: Duration::from_secs(14), ..plan };
    let mut faults = Vec::new();
    for turn in 0..12_u64 {
        let at = Duration::from_millis(1_000 + 1_000 * turn);
        let vnode = 1 + (turn % 2) as u32;
        for from in 0..4 {
            // The catalog refuses what makes no sense: one of them is the move of the leader's replica.
            let kind = Kind::Move(vnode, from, (from + 1 + turn as usize % 3) % 4);
            faults.push(Fault { at, lasts: Duration::ZERO, kind });
        }
        let lasts = Duration::from_millis(700);
        faults.push(Fault { at: at - Duration::from_millis(20), lasts, kind: beside(turn) });
        if turn % 4 == 3 {
            let kind = Kind::Crash(Whom::Leader(vnode));
            faults.push(Fault { at, lasts: Duration::from_millis(100), kind });
        }
    }
    faults.sort_by_key(|fault| fault.at);
    Plan { faults, ..plan }
}
