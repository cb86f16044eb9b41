//! A gap in the log, met by a follower that is slow.
//!
//! Leaders keep next to nothing of their logs, and followers fall behind: they are away, or the way to them is slow. What a follower needs next was let go then. It has to
//! get an image; a log with something else in the place of what is not there any more would do harm for ever.

use std::time::Duration;

use super::{Scenario, busy, every, group, play};
use crate::plan::{Kind, Plan, Way, Whom};

pub const SCENARIO: Scenario = Scenario {
    name: "filled-gap",
    story: "followers fall behind so far that the leader has let go what they need",
    plan,
    run: play,
    bugs: &[group(shard::GroupCanary::FillGap)],
    seeds_max: 10,
};

fn plan(seed: u64) -> Plan {
    let plan = Plan { tail_bytes_max: 0, filler_bytes_max: 1_000, memtable_bytes: 16 << 10, ..busy(seed) };
    let faults =
        every(&plan, Duration::from_millis(1_500), Duration::from_millis(900), |turn| match turn % 3 {
            0 => Kind::Isolate(Whom::Node(1), Way::Both),
            1 => Kind::SlowLink(0, 2, Duration::from_millis(200)),
            _ => Kind::Crash(Whom::Node(2)),
        });
    Plan { faults, ..plan }
}
