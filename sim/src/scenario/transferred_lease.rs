//! A lease that is kept while leadership is handed over.
//!
//! Leadership is handed over again and again while clients read, and the old leader is cut off from the other nodes right then. A transfer's votes do not wait for anybody's
//! promise, so the old leader's lease is worth nothing from the moment on at which the transfer has left.

use std::time::Duration;

use super::{Scenario, busy, every, group, play};
use crate::plan::{Dice, Kind, Plan};

pub const SCENARIO: Scenario = Scenario {
    name: "transferred-lease",
    story: "leadership is handed over while clients read, and the old leader is cut off",
    plan,
    run: play,
    bugs: &[group(shard::GroupCanary::LeaseInTransfer)],
    seeds_max: 20,
};

fn plan(seed: u64) -> Plan {
    let plan = Plan {
        routers: 0,
        clients: 12,
        readers: 6,
        patience: Duration::from_millis(150),
        vnodes: 2,
        length: Duration::from_secs(15),
        ..busy(seed)
    };
    let node = |turn| Dice::new(seed).below("node", turn, 3) as usize;
    let faults = every(&plan, Duration::from_millis(900), Duration::from_millis(500), |turn| {
        Kind::TransferThenDepose(1 + (turn % 2) as u32, node(turn))
    });
    Plan { faults, ..plan }
}
