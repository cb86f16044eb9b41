//! Planted bugs that drawn seeds must find, without a scenario that looks for them.

use sim::plan::{Fault, Kind, Lie, Mix, Plan, Planted};
use sim::story;
use std::time::Duration;

/// The first of so many seeds in which somebody notices.
fn found(planted: Planted, seeds: u64) -> Option<u64> {
    (0..seeds).find(|seed| story::run(&Plan { planted, ..Plan::drawn(*seed) }).is_err())
}

fn replication(canary: shard::Canary) -> Planted {
    Planted { replication: canary, ..Planted::NOTHING }
}

#[test]
fn reads_without_a_lease_are_found() {
    assert!(found(replication(shard::Canary::ReadWithoutLease), 100).is_some());
}

#[test]
fn entries_that_are_applied_twice_are_found() {
    assert!(found(replication(shard::Canary::ApplyTwice), 5).is_some());
}

#[test]
fn bytes_that_nobody_checks_are_found_where_disks_lie() {
    let scenario = sim::scenario::ALL.iter().find(|scenario| scenario.name == "tombstones").unwrap();
    let run = |seed: u64, tree: lsm::tree::Canary| {
        let plan = (scenario.plan)(seed);
        let lies = (0..3).map(|node| Fault {
            at: Duration::from_secs(1),
            lasts: plan.length,
            kind: Kind::LyingDisk(node, Lie::RotOnRead),
        });
        let planted = Planted { tree, ..Planted::NOTHING };
        story::run(&Plan { is_beyond: true, planted, faults: lies.collect(), ..plan })
    };
    assert!((0..10).any(|seed| run(seed, lsm::tree::Canary::TrustBlocks).is_err()));
    (0..2).for_each(|seed| drop(run(seed, lsm::tree::Canary::None).unwrap()));
}

/// Without any client that reads strongly nobody but the checker of leases can notice.
#[test]
fn two_leases_at_once_are_found_without_a_reader() {
    let planted = Planted { group: Some(shard::GroupCanary::LeaseInTransfer), ..Planted::NOTHING };
    let scenario = sim::scenario::ALL.iter().find(|scenario| scenario.name == "transferred-lease").unwrap();
    let found = (0..20).find_map(|seed| {
        let plan = (scenario.plan)(seed);
        let mix = Mix { read: 0, swap: 0, chain: 0, batch: 0, scan: 0, ..plan.mix };
        story::run(&Plan { planted, mix, readers: 0, ..plan }).err()
    });
    let found = found.expect("it is found").what;
    assert!(found.contains("hold the lease of vnode"), "{found}");
}
