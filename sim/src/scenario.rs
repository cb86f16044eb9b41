//! Known killers, each in a file of its own with its story: a small cluster, what goes wrong in it, and the planted bugs that it must find.
//!
//! A scenario is a plan with a name: what the seed draws in it is only the order of events, and the moments.

mod deposed_leader;
mod double_apply;
mod empty_replica;
mod failing_disk;
mod filled_gap;
mod former_owner;
mod full_disk;
mod half_image;
mod half_known_change;
mod image_over_old;
mod jumping_clock;
mod lost_first;
mod older_map;
mod orphaned_image;
mod paused_leader;
mod recycled_segment;
mod released_states;
mod stale_router;
mod tombstones;
mod torn_tail;
mod transferred_lease;
mod two_majorities;
mod unapplied_leader;
mod uncommitted_tail;
mod unsettled_change;
mod withdrawn_replica;

use std::time::Duration;

use crate::Failure;
use crate::plan::{Fault, Kind, Plan, Planted};
use crate::story::{self, Report};

/// A scenario.
pub struct Scenario {
    /// Its name.
    pub name: &'static str,
    /// Its story, in one line.
    pub story: &'static str,
    /// The cluster that it plays in, and what goes wrong.
    pub plan: fn(u64) -> Plan,
    /// Plays it.
    pub run: fn(&Plan) -> Result<Report, Failure>,
    /// The bugs that it must find.
    pub bugs: &'static [Planted],
    /// Within so many seeds.
    pub seeds_max: u64,
}

/// All of them.
pub const ALL: &[Scenario] = &[
    torn_tail::SCENARIO,
    recycled_segment::SCENARIO,
    deposed_leader::SCENARIO,
    paused_leader::SCENARIO,
    released_states::SCENARIO,
    uncommitted_tail::SCENARIO,
    half_image::SCENARIO,
    double_apply::SCENARIO,
    tombstones::SCENARIO,
    failing_disk::SCENARIO,
    transferred_lease::SCENARIO,
    empty_replica::SCENARIO,
    filled_gap::SCENARIO,
    image_over_old::SCENARIO,
    former_owner::SCENARIO,
    stale_router::SCENARIO,
    unapplied_leader::SCENARIO,
    two_majorities::SCENARIO,
    unsettled_change::SCENARIO,
    half_known_change::SCENARIO,
    lost_first::SCENARIO,
    jumping_clock::SCENARIO,
    orphaned_image::SCENARIO,
    older_map::SCENARIO,
    withdrawn_replica::SCENARIO,
    full_disk::SCENARIO,
];

/// What most of them begin with: a cluster of three nodes, and clients in a hurry.
fn busy(seed: u64) -> Plan {
    Plan { clients: 6, keys: 4, think: runtime::sim::Span::millis(1, 12), ..Plan::calm(seed) }
}

/// The same, with large writes: logs go round their segments all the time.
fn going_round(seed: u64) -> Plan {
    Plan {
        filler_bytes_max: 24_000,
        memtable_bytes: 32 << 10,
        tail_bytes_max: 0,
        length: Duration::from_secs(15),
        ..busy(seed)
    }
}

/// The same fault every so often, until the plan ends.
fn every(plan: &Plan, period: Duration, lasts: Duration, kind: impl Fn(u64) -> Kind) -> Vec<Fault> {
    let count = (plan.length.as_millis() / period.as_millis()).saturating_sub(1) as u32;
    (1..=count).map(|turn| Fault { at: period * turn, lasts, kind: kind(u64::from(turn)) }).collect()
}

const fn replication(canary: shard::Canary) -> Planted {
    Planted { replication: canary, ..Planted::NOTHING }
}

const fn log(canary: lsm::log::Canary) -> Planted {
    Planted { log: canary, ..Planted::NOTHING }
}

const fn tree(canary: lsm::tree::Canary) -> Planted {
    Planted { tree: canary, ..Planted::NOTHING }
}

const fn group(canary: shard::GroupCanary) -> Planted {
    Planted { group: Some(canary), ..Planted::NOTHING }
}

fn play(plan: &Plan) -> Result<Report, Failure> {
    story::run(plan)
}
