//! An image on top of entries that it does not know of.
//!
//! A replica that gets an image has content of its own: keys that the others have deleted since, and entries that were never committed. All of that goes before the
//! first part of the image is laid down. Clients put and delete while replicas are away for so long that nobody keeps what they missed.

use std::time::Duration;

use super::{Scenario, busy, every, play, replication};
use crate::plan::{Kind, Mix, Plan, Whom};

pub const SCENARIO: Scenario = Scenario {
    name: "image-over-old",
    story: "clients delete while replicas are away, and what those still have comes under an image",
    plan,
    run: play,
    bugs: &[replication(shard::Canary::ImageOverOld)],
    seeds_max: 20,
};

fn plan(seed: u64) -> Plan {
    let plan = Plan {
        vnodes: 2,
        filler_bytes_max: 2_000,
        memtable_bytes: 16 << 10,
        tail_bytes_max: 0,
        image_part_bytes: 2_000,
        mix: Mix { count: 1, read: 1, eventual: 0, put: 2, swap: 0, batch: 0, chain: 12, scan: 0 },
        length: Duration::from_secs(12),
        ..busy(seed)
    };
    let faults = every(&plan, Duration::from_millis(2_000), Duration::from_millis(1_200), |turn| {
        let node = Whom::Node((turn % 3) as usize);
        if turn % 2 == 0 { Kind::DeposeThenCrash(node) } else { Kind::Crash(node) }
    });
    Plan { faults, ..plan }
}
