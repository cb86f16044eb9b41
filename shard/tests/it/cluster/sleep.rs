//! Groups that sleep: who wakes when, and that nothing old is read of them.

use super::world::*;
use model::ring::VnodeId;
use runtime::sync::{join_all, select};
use shard::Canary;
use std::rc::Rc;
use std::time::Duration;

const ALL: usize = NODES as usize * VNODES as usize;

/// A cluster in which all groups sleep.
fn asleep(seed: u64, canary: Canary) -> (Cluster, Caller) {
    let cluster = Cluster::new(seed, planted(canary));
    assert!(cluster.settle(Duration::from_secs(20)), "nobody leads: {:?}", cluster.inner.failures.borrow());
    let caller = Caller::new(&cluster, &Rc::default(), 1);
    cluster.world().block_on(async {
        for sort in 0..KEYS {
            assert!(caller.write(sort).await);
        }
    });
    // Leadership goes to whom the map names first, before anybody sleeps.
    assert!(cluster.world().run_until(Duration::from_secs(20), || cluster.asleep() == ALL), "all sleep");
    (cluster, caller)
}

#[test]
fn consistent_reads_wake_nobody_and_writes_wake_their_group() {
    let (cluster, caller) = asleep(1, Canary::None);
    cluster.world().block_on(async {
        for _ in 0..20 {
            for sort in 0..KEYS {
                assert!(caller.read(sort).await);
            }
            cluster.world().sleep(Duration::from_millis(200)).await;
        }
        assert_eq!(cluster.asleep(), ALL);
        assert!(caller.write(1).await && caller.read(1).await);
        cluster.world().sleep(Duration::from_millis(100)).await;
        assert_eq!(cluster.asleep(), ALL - usize::from(NODES));
        cluster.world().sleep(Duration::from_secs(1)).await;
        assert_eq!(cluster.asleep(), ALL, "and it goes back to sleep");
    });
}

/// An answer that takes longer than the time between two heartbeats: as on a long way, or on a machine that has little time for 10,000 groups.
#[test]
fn late_answers_keep_nobody_awake() {
    let (cluster, caller) = asleep(3, Canary::None);
    cluster.inner.delay_min_us.set(45_000);
    cluster.world().block_on(async {
        for sort in 0..KEYS {
            assert!(caller.write(sort).await);
        }
        assert!(cluster.asleep() < ALL);
        cluster.world().sleep(Duration::from_secs(2)).await;
        assert_eq!(cluster.asleep(), ALL, "asked once");
    });
}

#[test]
fn groups_sleep_on_with_a_majority() {
    let (cluster, caller) = asleep(2, Canary::None);
    let led = |node: u16| (1..=VNODES).filter(|vnode| cluster.leader(VnodeId(*vnode)) == Some(node)).count();
    let others = usize::from(NODES - 1) * (VNODES as usize - led(2));
    cluster.crash(2);
    cluster.world().run_for(Duration::from_millis(200));
    assert!(cluster.asleep() >= others, "{} asleep", cluster.asleep());
    cluster.start(2);
    cluster.world().block_on(async {
        cluster.world().sleep(Duration::from_secs(8)).await;
        for sort in 0..KEYS {
            assert!(caller.write(sort).await && caller.read(sort).await);
        }
    });
    assert!(
        cluster.world().run_until(Duration::from_secs(20), || cluster.asleep() == ALL),
        "all sleep again"
    );
}

#[test]
fn a_sleeping_group_has_a_new_leader_within_a_second() {
    for seed in 0..20 {
        let (cluster, caller) = asleep(30 + seed, Canary::None);
        let leader = cluster.leader(VnodeId(caller.at(1).vnode)).expect("it is asleep, not gone");
        cluster.world().block_on(async {
            cluster.crash(leader);
            let before = cluster.world().elapsed();
            let mut tries = Vec::new();
            while !caller.write(1).await {
                let vnode = VnodeId(caller.at(1).vnode);
                tries.push((cluster.world().elapsed() - before, cluster.leader(vnode)));
            }
            let gap = cluster.world().elapsed() - before;
            assert!(gap < Duration::from_secs(1), "seed {seed}: {gap:?} without a leader, {tries:?}");
            cluster.start(leader);
            cluster.world().sleep(Duration::from_secs(3)).await;
            for sort in 0..KEYS {
                assert!(caller.write(sort).await && caller.read(sort).await);
            }
        });
    }
}

/// One writes to the new leader while others read from the old one, or wherever that sends them.
async fn write_among_readers(cluster: &Cluster, caller: &Caller, old: u16, new: u16) {
    let vnode = VnodeId(caller.at(1).vnode);
    let readers: Vec<Caller> =
        (0..4).map(|number| Caller::new(cluster, &caller.knowledge, 10 + number)).collect();
    let reading = join_all(readers.iter().map(|reader| async {
        loop {
            reader.aim(vnode, old);
            reader.read(1).await;
        }
    }));
    let writing = async {
        let mut written = 0;
        while written < 20 {
            caller.aim(vnode, new);
            written += usize::from(caller.write(1).await);
        }
    };
    select(writing, reading).await;
}

/// Another one than this node leads, within a second.
fn is_led_by_another(cluster: &Cluster, vnode: VnodeId, old: u16) -> bool {
    let by_another = || cluster.leader(vnode).is_some_and(|leader| leader != old);
    cluster.world().run_until(Duration::from_secs(1), by_another)
}

/// Who leads in its sleep is cut off, and asked all the while.
pub fn cut_off_while_asleep(seed: u64, canary: Canary) {
    let (cluster, caller) = asleep(50 + seed, canary);
    let vnode = VnodeId(caller.at(1).vnode);
    let old = cluster.leader(vnode).expect("it is asleep, not gone");
    cluster.cut_off(old);
    assert!(is_led_by_another(&cluster, vnode, old));
    let new = cluster.leader(vnode).expect("one leads");
    cluster.world().block_on(write_among_readers(&cluster, &caller, old, new));
}

/// One follower does not hear its leader's pulses for so long that it does not stand by its oath any more. Then it hears them again, and the other follower
/// does not: now it may vote for that one, and what it has sworn must not count.
pub fn forgotten_oath(seed: u64, canary: Canary) {
    let (cluster, caller) = asleep(80 + seed, canary);
    let vnode = VnodeId(caller.at(1).vnode);
    let old = cluster.leader(vnode).expect("it is asleep, not gone");
    let [one, other] = [(old + 1) % NODES, (old + 2) % NODES];
    *cluster.inner.cuts.borrow_mut() = [(old, one), (one, old)].into();
    cluster.world().run_for(Duration::from_millis(250));
    *cluster.inner.cuts.borrow_mut() = [(old, other), (other, old)].into();
    // Or the old one has noticed, and leads on with the first one's help.
    let new = match is_led_by_another(&cluster, vnode, old) {
        true => cluster.leader(vnode).expect("one leads"),
        false => old,
    };
    cluster.world().block_on(write_among_readers(&cluster, &caller, old, new));
}

#[test]
fn a_sleeping_leader_that_is_cut_off_answers_nothing_old() {
    (0..20).for_each(|seed| cut_off_while_asleep(seed, Canary::None));
}

#[test]
fn an_oath_that_has_ended_does_not_count() {
    (0..40).for_each(|seed| forgotten_oath(seed, Canary::None));
}
