//! A write that is applied twice.
//!
//! Connections break and leaders change while clients count, so that whoever sits between a client and the log does not know what came of a request. A count
//! that is done twice shows in the versions.

use std::time::Duration;

use runtime::sim::Chance;

use super::{Scenario, busy, every, play, replication};
use crate::plan::{Kind, Mix, Plan, Planted, Whom};

pub const SCENARIO: Scenario = Scenario {
    name: "double-apply",
    story: "connections break and leaders change while clients count",
    plan,
    run: play,
    bugs: &[replication(shard::Canary::ApplyTwice), Planted { router_repeats: true, ..Planted::NOTHING }],
    seeds_max: 20,
};

fn plan(seed: u64) -> Plan {
    let plan = busy(seed);
    let plan = Plan { mix: Mix { count: 12, ..plan.mix }, ..plan };
    let faults =
        every(&plan, Duration::from_millis(900), Duration::from_millis(500), |turn| match turn % 3 {
            0 => Kind::Resets(Chance::percent(3)),
            1 => Kind::Crash(Whom::Leader(1 + (turn % 4) as u32)),
            _ => Kind::Transfer(1 + (turn % 4) as u32, (turn % 3) as usize),
        });
    Plan { faults, ..plan }
}
