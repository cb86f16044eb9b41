//! A replica that was away for so long that nobody keeps what it missed.
//!
//! It gets an image of everything, in small parts, while clients write and while nodes lose power. A replica that counts as complete before it is, or on top of newer
//! entries, is not the same as the others.

use std::time::Duration;

use super::{Scenario, busy, every, play, replication};
use crate::plan::{Kind, Plan, Whom};

pub const SCENARIO: Scenario = Scenario {
    name: "half-image",
    story: "replicas that were away for long get images, and lose power meanwhile",
    plan,
    run: play,
    bugs: &[replication(shard::Canary::HalfImage)],
    seeds_max: 20,
};

fn plan(seed: u64) -> Plan {
    let plan = Plan {
        keys: 12,
        filler_bytes_max: 4_000,
        memtable_bytes: 16 << 10,
        tail_bytes_max: 0,
        image_part_bytes: 700,
        vnodes: 2,
        length: Duration::from_secs(15),
        ..busy(seed)
    };
    let faults = every(&plan, Duration::from_millis(2_000), Duration::from_millis(1_500), |turn| {
        let node = Whom::Node((turn % 3) as usize);
        if turn % 2 == 0 { Kind::Crash(node) } else { Kind::CrashTwice(node, Duration::from_millis(50)) }
    });
    Plan { faults, ..plan }
}
