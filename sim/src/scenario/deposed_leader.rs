//! A strong read from a deposed leader.
//!
//! Who leads is cut off from the other nodes, but clients still reach it. The others elect somebody, who takes writes, while the old one thinks that it leads. It
//! may answer strong reads as long as its lease lasts, and not a moment longer.

use std::time::Duration;

use super::{Scenario, busy, every, play, replication};
use crate::plan::{Kind, Plan, Whom};

pub const SCENARIO: Scenario = Scenario {
    name: "deposed-leader",
    story: "who leads is cut off from the other nodes, and not from clients",
    plan,
    run: play,
    bugs: &[replication(shard::Canary::ReadWithoutLease)],
    seeds_max: 10,
};

fn plan(seed: u64) -> Plan {
    // Clients ask the nodes themselves.
    let plan =
        Plan { routers: 0, clients: 12, readers: 6, patience: Duration::from_millis(150), ..busy(seed) };
    let faults = every(&plan, Duration::from_millis(1_900), Duration::from_millis(1_200), |turn| {
        Kind::Depose(Whom::Leader(1 + (turn % 4) as u32))
    });
    Plan { faults, ..plan }
}
