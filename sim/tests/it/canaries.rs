//! Planted bugs that drawn seeds must find, without a scenario that looks for them.

use sim::plan::{Fault, Kind, Lie, Mix, Plan, Planted, Whom};
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

/// Clients only write, and all know the newest map: nobody else asks who lost its replica and still answers strong reads.
#[test]
fn a_vnode_that_two_shards_serve_is_found_although_nobody_asks_the_second() {
    let plan = |seed: u64, planted: Planted| {
        let moves = (0..4).flat_map(|from| (0..4).map(move |to| (from, to))).filter(|(from, to)| from != to);
        let faults = moves.map(|(from, to)| Fault {
            at: Duration::from_secs(3),
            lasts: Duration::ZERO,
            // The catalog refuses what makes no sense.
            kind: Kind::Move(1, from, to),
        });
        let mix = Mix { count: 1, read: 0, eventual: 0, put: 1, swap: 0, batch: 0, chain: 0, scan: 0 };
        Plan { nodes: 4, zones: 4, readers: 0, mix, planted, faults: faults.collect(), ..Plan::calm(seed) }
    };
    for seed in 0..3 {
        let failure = story::run(&plan(seed, replication(shard::Canary::ReadForOthers))).unwrap_err().what;
        assert!(failure.contains("is served by [("), "{failure}");
        drop(story::run(&plan(seed, Planted::NOTHING)).unwrap());
    }
}

/// A shard that is asked nonsense says so, and in these worlds nobody asks such things.
#[test]
fn a_line_that_no_fault_explains_is_a_failure() {
    let faults = vec![Fault {
        at: Duration::from_secs(2),
        lasts: Duration::from_millis(300),
        kind: Kind::Crash(Whom::Node(1)),
    }];
    let plan = Plan { faults, ..Plan::calm(1) };
    let nonsense = async |stage: &story::Stage| drop(stage.cluster.ask(0, 0, b"nonsense".to_vec()).await);
    let failure = story::run_with(&plan, nonsense).unwrap_err().what;
    assert!(failure.contains("node 0 says, and no fault explains it"), "{failure}");
}
