//! Reads from a leader that has not applied what was acknowledged before.
//!
//! Who wins an election has every acknowledged entry, but does not know yet which of them are committed, and has not applied them. Until it has applied one of its own term
//! its tree is of the past. Leadership changes all the time here, and clients read as soon as somebody leads.

use std::time::Duration;

use runtime::sim::{DiskFaults, Span};

use super::{Scenario, busy, every, group, play};
use crate::plan::{Kind, Plan, Whom};

pub const SCENARIO: Scenario = Scenario {
    name: "unapplied-leader",
    story: "leadership changes all the time, and clients read from whoever has just won",
    plan,
    run: play,
    bugs: &[group(shard::GroupCanary::LeaseUnapplied)],
    seeds_max: 20,
};

fn plan(seed: u64) -> Plan {
    let plan = Plan {
        routers: 0,
        clients: 16,
        readers: 8,
        keys: 2,
        vnodes: 2,
        patience: Duration::from_millis(150),
        disk: DiskFaults { write: Span::micros(500, 8_000), ..DiskFaults::default() },
        length: Duration::from_secs(15),
        ..busy(seed)
    };
    let faults = every(&plan, Duration::from_millis(400), Duration::from_millis(300), |turn| {
        let vnode = 1 + (turn % 2) as u32;
        match turn % 4 {
            0 => Kind::Crash(Whom::Leader(vnode)),
            _ => Kind::Transfer(vnode, (turn % 3) as usize),
        }
    });
    Plan { faults, ..plan }
}
