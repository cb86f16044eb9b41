//! A replica that comes back empty under its old name, and votes.
//!
//! ```text
//! node 1 is cut off     nodes 0 and 2 acknowledge     node 2 loses its shards, node 0 its power     node 1 is back
//! ```
//!
//! What was acknowledged is on node 0 alone then, and that is down. Node 2 knows who it is, and nothing else. If it began anew it would vote for node 1, which
//! never heard of what clients were told. It has to know that it was there before.

use std::time::Duration;

use super::{Scenario, busy, play, replication};
use crate::plan::{Fault, Kind, Plan, Whom};

pub const SCENARIO: Scenario = Scenario {
    name: "empty-replica",
    story: "a node loses what its shards had, when only one other node has what was acknowledged",
    plan,
    run: play,
    bugs: &[replication(shard::Canary::BeginEmpty)],
    seeds_max: 5,
};

fn plan(seed: u64) -> Plan {
    let at = |millis, lasts, kind| Fault {
        at: Duration::from_millis(millis),
        lasts: Duration::from_millis(lasts),
        kind,
    };
    let faults = vec![
        at(4_000, 3_000, Kind::Depose(Whom::Node(1))),
        at(6_990, 5_000, Kind::Crash(Whom::Node(0))),
        at(6_991, 30, Kind::LoseShards(2)),
    ];
    Plan { faults, length: Duration::from_secs(13), ..busy(seed) }
}
