//! A failed write or sync that is ignored.
//!
//! A node's disk fails writes and syncs for a while: what was not synced then counts as clean, and is not there. The process has to stop at the first failure, and what it
//! has answered before has to be there when it comes back.

use std::time::Duration;

use super::{Scenario, busy, log, play, tree};
use crate::plan::{Fault, Kind, Plan, Whom};

pub const SCENARIO: Scenario = Scenario {
    name: "failing-disk",
    story: "disks fail writes and syncs, one node after the other, then power fails",
    plan,
    run: play,
    bugs: &[log(lsm::log::Canary::IgnoreWriteError), tree(lsm::tree::Canary::IgnoreSyncError)],
    seeds_max: 40,
};

fn plan(seed: u64) -> Plan {
    let plan = Plan {
        filler_bytes_max: 4_000,
        memtable_bytes: 16 << 10,
        length: Duration::from_secs(16),
        ..busy(seed)
    };
    let mut faults = Vec::new();
    for turn in 0..6_u64 {
        let at = Duration::from_millis(1_500 + turn * 2_400);
        let kind = Kind::FailingDisk(Whom::Node((turn % 3) as usize));
        faults.push(Fault { at, lasts: Duration::from_millis(900), kind });
        let at = at + Duration::from_millis(1_000);
        faults.push(Fault { at, lasts: Duration::from_millis(100), kind: Kind::Blackout });
    }
    Plan { faults, ..plan }
}
