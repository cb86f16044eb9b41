//! Entries that were never committed.
//!
//! The leader is cut off while clients write to it, and loses power before anybody hears of what it has. When it comes back others lead, and what lies at the end
//! of its log never happened.

use std::time::Duration;

use super::{Scenario, busy, every, play, replication};
use crate::plan::{Kind, Plan, Whom};

pub const SCENARIO: Scenario = Scenario {
    name: "uncommitted-tail",
    story: "the leader is cut off while clients write to it, and loses power",
    plan,
    run: play,
    bugs: &[replication(shard::Canary::ApplyUncommitted)],
    seeds_max: 20,
};

fn plan(seed: u64) -> Plan {
    let patience = Duration::from_millis(150);
    let plan = Plan { routers: 0, clients: 12, readers: 0, patience, ..busy(seed) };
    let faults = every(&plan, Duration::from_millis(1_700), Duration::from_millis(600), |turn| {
        let leader = Whom::Leader(1 + (turn % 4) as u32);
        if turn % 3 == 0 { Kind::IsolateThenCrash(leader) } else { Kind::DeposeThenCrash(leader) }
    });
    Plan { faults, ..plan }
}
