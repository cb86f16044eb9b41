//! A membership change with two majorities.
//!
//! Of three replicas one is replaced: the old three and the new three have two in common, so one old and the one that stays are a majority of the one, the other old and
//! the new one of the other. Between the two memberships both majorities have to agree. Here all vnodes move at once over slow links, and the cluster is cut in halves meanwhile.

use std::time::Duration;

use runtime::sim::{NetworkFaults, Span};

use super::{Scenario, busy, group, play};
use crate::plan::{Dice, Fault, Kind, Plan, Way, Whom};

pub const SCENARIO: Scenario = Scenario {
    name: "two-majorities",
    story: "replicas move over slow links, and the cluster is cut in halves meanwhile",
    plan,
    run: play,
    bugs: &[group(shard::GroupCanary::TwoMajorities)],
    seeds_max: 200,
};

fn plan(seed: u64) -> Plan {
    let dice = Dice::new(seed);
    let network = NetworkFaults { delay: Span::millis(2, 30), ..NetworkFaults::default() };
    let plan = Plan {
        nodes: 4,
        zones: 4,
        vnodes: 8,
        routers: 0,
        clients: 10,
        network,
        length: Duration::from_secs(20),
        ..busy(seed)
    };
    let mut faults = Vec::new();
    for turn in 0..9_u64 {
        let at = Duration::from_millis(1_000 + 2_000 * turn);
        for vnode in 1..=8_u32 {
            let from = dice.below("from", turn << 8 | u64::from(vnode), 4) as usize;
            let to = (from + 1 + dice.below("to", turn << 8 | u64::from(vnode), 3) as usize) % 4;
            faults.push(Fault { at, lasts: Duration::ZERO, kind: Kind::Move(vnode, from, to) });
        }
        // Two nodes here, two there, from some moment of the change on.
        let at = at + Duration::from_millis(100 + dice.below("cut", turn, 1_000));
        let other = 1 + dice.below("other", turn, 3) as usize;
        let halves = [0, other];
        let lasts = Duration::from_millis(1_000);
        for one in halves {
            for away in (0..4).filter(|node| !halves.contains(node)) {
                faults.push(Fault { at, lasts, kind: Kind::Cut(one, away, true) });
            }
        }
        if turn % 3 == 2 {
            faults.push(Fault { at, lasts, kind: Kind::Isolate(Whom::Node(other), Way::Both) });
        }
    }
    faults.sort_by_key(|fault| fault.at);
    Plan { faults, ..plan }
}
