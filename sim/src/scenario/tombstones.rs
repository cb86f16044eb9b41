//! A tombstone that is dropped before it has reached every level.
//!
//! Clients put and delete their own keys, and large writes of others have memtables flushed and SSTables compacted all the time. What was deleted stays so.

use std::time::Duration;

use super::{Scenario, busy, every, play, tree};
use crate::plan::{Kind, Mix, Plan, Whom};

pub const SCENARIO: Scenario = Scenario {
    name: "tombstones",
    story: "clients delete, and everything is compacted all the time",
    plan,
    run: play,
    bugs: &[tree(lsm::tree::Canary::DropTombstonesEarly)],
    seeds_max: 10,
};

fn plan(seed: u64) -> Plan {
    let plan = Plan {
        keys: 24,
        filler_bytes_max: 8_000,
        memtable_bytes: 16 << 10,
        mix: Mix { count: 2, read: 1, eventual: 0, put: 4, swap: 0, batch: 2, chain: 8, scan: 0 },
        length: Duration::from_secs(20),
        ..busy(seed)
    };
    let faults = every(&plan, Duration::from_secs(6), Duration::from_millis(300), |turn| {
        Kind::Crash(Whom::Node((turn % 3) as usize))
    });
    Plan { faults, ..plan }
}
