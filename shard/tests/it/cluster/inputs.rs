//! What no sane cluster does, and what is answered: nothing is lost by it.

use super::world::*;
use crate::harness::{Answer, read_answer};
use model::ring::VnodeId;
use net::message::{Get, Operation, Request};
use std::path::PathBuf;
use std::rc::Rc;
use std::time::Duration;

fn settled(seed: u64) -> (Cluster, Caller) {
    let cluster = Cluster::new(seed, |_| ());
    assert!(cluster.settle(Duration::from_secs(20)), "nobody leads: {:?}", cluster.inner.failures.borrow());
    let caller = Caller::new(&cluster, &Rc::default(), 1);
    (cluster, caller)
}

/// All files of a node that is down.
fn copy_of(cluster: &Cluster, node: u16) -> Vec<(PathBuf, Vec<u8>)> {
    let disk = cluster.world().disk(cluster.inner.ids[usize::from(node)]);
    let whole = |(path, _)| {
        let bytes = disk.read_file(&path).expect("it is on the list");
        (path, bytes)
    };
    disk.files().into_iter().map(whole).collect()
}

fn put_back(cluster: &Cluster, node: u16, files: &[(PathBuf, Vec<u8>)]) {
    let disk = cluster.world().disk(cluster.inner.ids[usize::from(node)]);
    disk.wipe();
    files.iter().for_each(|(path, bytes)| disk.write_file(path, bytes));
}

/// A leader and a follower have acknowledged writes; then the follower's disk is an old copy, and the leader goes away. The follower and a third one that
/// was away would be a majority without these writes.
#[test]
fn a_node_on_an_old_copy_of_its_disk_takes_no_part() {
    let mut noticed = 0;
    for seed in 0..8 {
        let (cluster, caller) = settled(500 + seed);
        let vnode = VnodeId(caller.at(1).vnode);
        let leader = cluster.leader(vnode).unwrap();
        let (old, away) = ((leader + 1) % NODES, (leader + 2) % NODES);
        let lead = |caller: Caller| async move { while !caller.write(1).await {} };
        cluster.world().block_on(lead(caller.clone()));
        cluster.crash(old);
        let copy = copy_of(&cluster, old);
        cluster.start(old);
        cluster.world().run_for(Duration::from_secs(2));
        cluster.crash(away);
        cluster.world().block_on(async {
            for _ in 0..20 {
                lead(caller.clone()).await;
            }
        });
        let Some(leader) = cluster.leader(vnode).filter(|now| *now == leader) else { continue };
        cluster.crash(old);
        put_back(&cluster, old, &copy);
        cluster.start(old);
        cluster.world().run_for(Duration::from_millis(500));
        let words = format!("the replica of vnode {} lacks what it had acknowledged", vnode.0);
        if !cluster.inner.reports.borrow().iter().any(|line| line.contains(&words)) {
            // The leader had stood for election again before it was heard: then it sends what is missing.
            continue;
        }
        noticed += 1;
        cluster.crash(leader);
        cluster.start(away);
        cluster.world().run_for(Duration::from_secs(3));
        assert_eq!(
            cluster.leader(vnode),
            None,
            "seed {seed}: those two do not know all that was acknowledged"
        );
        cluster.world().block_on(async {
            caller.read(1).await;
            cluster.start(leader);
            // Who reads checks that nothing is missing.
            let mut tries = 0;
            while !caller.read(1).await || !caller.write(1).await {
                tries += 1;
                let (failures, reports) = (&cluster.inner.failures, &cluster.inner.reports);
                assert!(tries < 100, "seed {seed}: {:?} {:?}", failures.borrow(), reports.borrow());
                cluster.world().sleep(Duration::from_millis(100)).await;
            }
        });
        assert!(cluster.inner.failures.borrow().is_empty(), "{:?}", cluster.inner.failures.borrow());
    }
    assert!(noticed >= 4, "{noticed} of 8");
}

/// Wall clocks go back and forth by hours, and run at different speeds within what leases allow for.
#[test]
fn clocks_that_jump_change_nothing() {
    for seed in 0..6 {
        let (cluster, caller) = settled(520 + seed);
        let world = cluster.world();
        for round in 0..12 {
            let node = cluster.inner.ids[(world.draw("node", round) % u64::from(NODES)) as usize];
            let hours = world.draw("hours", round) as i64 % 48;
            let sign = if world.draw("sign", round).is_multiple_of(2) { 1 } else { -1 };
            world.jump_wall(node, sign * hours * 3_600_000_000);
            world.set_clock_rate(node, (world.draw("rate", round) % 80_000) as i32 - 40_000);
            world.block_on(async {
                for sort in 0..KEYS {
                    while !caller.write(sort).await {}
                    while !caller.read(sort).await {}
                }
            });
            if round % 4 == 3 {
                let node = (round % u64::from(NODES)) as u16;
                cluster.crash(node);
                cluster.start(node);
            }
        }
        assert!(cluster.inner.failures.borrow().is_empty(), "{:?}", cluster.inner.failures.borrow());
    }
}

/// Who leads serves, whichever epoch the request names; who does not sends on, and says which epoch it has.
#[test]
fn requests_of_older_and_newer_epochs_are_served_by_who_leads_and_sent_on_by_others() {
    let (cluster, caller) = settled(530);
    let at = caller.at(1);
    let leader = cluster.leader(VnodeId(at.vnode)).unwrap();
    cluster.world().block_on(async {
        assert!(caller.write(1).await);
        for epoch in [0, 1, 7, u64::MAX] {
            for node in 0..NODES {
                let get = Get { at: at.clone(), consistent: true, projection: None };
                let request = Request { epoch, operation: Operation::Get(get) }.encode();
                match read_answer(&cluster.ask(node, request).await.unwrap()) {
                    Answer::Item(Some(_), _) => assert_eq!(node, leader, "epoch {epoch}"),
                    Answer::Moved { node: to, .. } => {
                        assert!(node != leader && to == leader, "epoch {epoch}: node {node} sends to {to}");
                    }
                    other => panic!("epoch {epoch}, node {node}: {other:?}"),
                }
            }
        }
    });
}
