//! Acknowledged writes in a torn tail of the log.
//!
//! All nodes lose power at once, again and again, while clients write. What was not synced is lost, or torn in the middle. Who answered before it was
//! durable on a majority is caught: no node remembers what a client was told.

use std::time::Duration;

use runtime::sim::{Chance, DiskFaults, Span};

use super::{Scenario, busy, every, log, play, replication};
use crate::plan::{Kind, Plan};

pub const SCENARIO: Scenario = Scenario {
    name: "torn-tail",
    story: "all nodes lose power at once while clients write",
    plan,
    run: play,
    bugs: &[replication(shard::Canary::AnswerBeforeDurable), log(lsm::log::Canary::SkipSync)],
    seeds_max: 20,
};

fn plan(seed: u64) -> Plan {
    let disk = DiskFaults {
        write: Span::micros(100, 8000),
        crash_keeps: Chance::percent(10),
        ..DiskFaults::default()
    };
    let plan = Plan { disk, ..busy(seed) };
    let faults = every(&plan, Duration::from_millis(2_300), Duration::from_millis(60), |_| Kind::Blackout);
    Plan { faults, ..plan }
}
