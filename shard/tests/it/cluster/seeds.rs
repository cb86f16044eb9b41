//! Seeds: clients under crashes, cuts, pauses and losses, and what must hold then and after all has healed.

use super::world::*;
use model::ring::VnodeId;
use runtime::sync::{Either, join_all, select};
use shard::ShardOptions;
use std::rc::Rc;
use std::time::Duration;

/// What a run did.
#[derive(Debug, Default, Clone, Copy)]
pub struct Counts {
    pub writes: u64,
    pub reads: u64,
    pub eventual: u64,
    pub unknown: u64,
    pub crashes: u64,
    pub elections: u64,
    pub moves: u64,
    pub images: u64,
    /// Replicas that were seen asleep, every 50 ms.
    pub asleep: u64,
}

/// What happens to the cluster, again and again.
async fn nemesis(cluster: &Cluster, crashes: &std::cell::Cell<u64>) {
    let world = cluster.world();
    let draw = |name: &str, n: u64, most: u64| world.draw(name, n) % most;
    for n in 0.. {
        world.sleep(Duration::from_millis(20 + draw("calm", n, 300))).await;
        let node = draw("whom", n, u64::from(NODES)) as u16;
        let other = (node + 1 + draw("other", n, 2) as u16) % NODES;
        let while_ms = Duration::from_millis(10 + draw("while", n, 600));
        let vnode = VnodeId(1 + draw("vnode", n, u64::from(VNODES)) as u32);
        match draw("fault", n, 12) {
            9 => {
                // All power fails, and comes back bit by bit.
                for node in (0..NODES).filter(|node| cluster.is_up(*node)) {
                    cluster.crash(node);
                    crashes.set(crashes.get() + 1);
                }
                for node in (0..NODES).map(|next| (node + next) % NODES) {
                    world.sleep(while_ms / 4).await;
                    cluster.start(node);
                }
            }
            10 | 11 => {
                // Who leads is cut off, and its power fails before it can tell anybody what it has.
                let Some(leader) = cluster.leader(vnode).filter(|leader| *leader < NODES) else { continue };
                cluster.cut_off(leader);
                world.sleep(while_ms).await;
                if draw("also", n, 2) == 0 && cluster.is_up(leader) {
                    cluster.crash(leader);
                    crashes.set(crashes.get() + 1);
                    cluster.inner.cuts.borrow_mut().clear();
                    world.sleep(while_ms).await;
                    cluster.start(leader);
                }
                cluster.inner.cuts.borrow_mut().clear();
            }
            0 | 1 => {
                if cluster.is_up(node) {
                    cluster.crash(node);
                    crashes.set(crashes.get() + 1);
                    world.sleep(while_ms).await;
                    cluster.start(node);
                }
            }
            2 => {
                let both = [(node, other), (other, node)];
                cluster.inner.cuts.borrow_mut().extend(both);
                world.sleep(while_ms).await;
                cluster.inner.cuts.borrow_mut().clear();
            }
            3 => {
                cluster.inner.cuts.borrow_mut().insert((node, other));
                world.sleep(while_ms).await;
                cluster.inner.cuts.borrow_mut().clear();
            }
            4 => {
                world.pause(cluster.inner.ids[usize::from(node)]);
                world.sleep(while_ms).await;
                world.resume(cluster.inner.ids[usize::from(node)]);
            }
            5 => {
                let to = cluster.inner.map.borrow().replicas(vnode).map(|seats| seats.first().peer);
                for shard in (0..=SPARE).filter_map(|node| cluster.shard(node)) {
                    to.map(|to| shard.hand_over(vnode, to));
                }
            }
            6 => {
                let homes = cluster.nodes_of(vnode);
                // Of one that is on its way already, all four nodes have something.
                if let Some(away) = (0..=SPARE).find(|node| !homes.contains(node)) {
                    cluster.begin_move(vnode, homes[draw("home", n, 3) as usize], away);
                }
            }
            7 => cluster.abandon_move(vnode),
            _ => {
                cluster.inner.lose_per_mille.set(draw("losses", n, 200));
                cluster.inner.delay_max_us.set(500 + draw("slow", n, 20_000));
                world.sleep(while_ms).await;
                cluster.inner.lose_per_mille.set(0);
                cluster.inner.delay_max_us.set(500);
            }
        }
    }
}

/// Ends moves whose groups have got there.
async fn catalog(cluster: &Cluster, moves: &std::cell::Cell<u64>) {
    loop {
        cluster.world().sleep(Duration::from_millis(30)).await;
        moves.set(moves.get() + cluster.finish_moves() as u64);
    }
}

/// Counts who sleeps.
async fn watch(cluster: &Cluster, asleep: &std::cell::Cell<u64>) {
    loop {
        cluster.world().sleep(Duration::from_millis(50)).await;
        asleep.set(asleep.get() + cluster.asleep() as u64);
    }
}

/// One seed, from its first moment to the last check.
pub fn run(seed: u64, change: impl Fn(&mut ShardOptions) + 'static) -> Counts {
    let cluster = Cluster::new(seed, change);
    let world = cluster.world();
    assert!(cluster.settle(Duration::from_secs(20)), "nobody leads: {:?}", cluster.inner.failures.borrow());
    let knowledge: Rc<Knowledge> = Rc::default();
    let clients = 4 + (world.draw("clients", 0) % 5) as i64;
    let mut callers: Vec<Caller> =
        (0..clients).map(|number| Caller::new(&cluster, &knowledge, number + 1)).collect();
    // In a quarter of the seeds so little is asked that groups go to sleep.
    let pauses_us = [12_000, 12_000, 12_000, 1_500_000][(world.draw("pauses", 0) % 4) as usize];
    callers.iter_mut().for_each(|caller| caller.pause_max_us = pauses_us);
    let asleep = std::cell::Cell::new(0);
    let (crashes, moves) = (std::cell::Cell::new(0), std::cell::Cell::new(0));
    cluster.start(SPARE);
    let busy = join_all(callers.iter().map(Caller::work));
    world.block_on_for(Duration::from_secs(3), async {
        let others = select(catalog(&cluster, &moves), watch(&cluster, &asleep));
        match select(busy, select(nemesis(&cluster, &crashes), others)).await {
            Either::First(_) | Either::Second(_) => unreachable!("they work for ever"),
        }
    });
    heal(&cluster);
    assert!(cluster.settle(Duration::from_secs(20)), "nobody leads: {:?}", cluster.inner.reports.borrow());
    world
        .block_on_for(Duration::from_secs(60), async {
            match select(check_recovered(&cluster, &knowledge), catalog(&cluster, &moves)).await {
                Either::First(()) => {}
                Either::Second(()) => unreachable!("it works for ever"),
            }
        })
        .expect("all is checked in time");
    assert!(cluster.inner.failures.borrow().is_empty(), "{:?}", cluster.inner.failures.borrow());
    let shards = || (0..=SPARE).filter_map(|node| cluster.shard(node));
    Counts {
        writes: knowledge.writes.get(),
        reads: knowledge.reads.get(),
        eventual: knowledge.eventual.get(),
        unknown: knowledge.unknown.get(),
        crashes: crashes.get(),
        asleep: asleep.get(),
        elections: shards().map(|shard| shard.stats().replication.elections).sum(),
        moves: moves.get(),
        images: shards().map(|shard| shard.stats().replication.images).sum(),
    }
}

fn heal(cluster: &Cluster) {
    cluster.inner.cuts.borrow_mut().clear();
    cluster.inner.lose_per_mille.set(0);
    cluster.inner.delay_max_us.set(500);
    for node in 0..=SPARE {
        cluster.world().resume(cluster.inner.ids[usize::from(node)]);
        if !cluster.world().is_up(cluster.inner.ids[usize::from(node)]) {
            cluster.start(node);
        }
    }
}

/// Everything works again, nothing is lost, and all replicas are the same.
async fn check_recovered(cluster: &Cluster, knowledge: &Rc<Knowledge>) {
    let mut caller = Caller::new(cluster, knowledge, 99);
    caller.patience = Duration::from_secs(10);
    for sort in 0..KEYS {
        // Who led before it was cut off may still think so, for a moment.
        let mut tries = 0;
        while !caller.read(sort).await || !caller.write(sort).await {
            tries += 1;
            assert!(tries < 5, "key {sort} cannot be read and written");
        }
    }
    // Followers hear of the last commits with the next heartbeats.
    cluster.world().sleep(Duration::from_secs(3)).await;
    for sort in 0..KEYS {
        let last = knowledge.keys.borrow()[&sort].floor;
        for node in cluster.nodes_of(VnodeId(caller.at(sort).vnode)) {
            let seen = caller.read_any(sort, node).await;
            let why = || cluster.inner.reports.borrow().clone();
            assert_eq!(
                seen,
                Some(last),
                "key {sort} of vnode {} on node {node}: {:?}",
                caller.at(sort).vnode,
                why()
            );
        }
    }
    for vnode in 1..=VNODES {
        assert!(cluster.leader(VnodeId(vnode)).is_some());
    }
}

#[test]
fn nothing_acknowledged_is_lost_and_no_consistent_read_is_old() {
    let number = |name: &str| std::env::var(name).ok().and_then(|number| number.parse().ok());
    let first = number("TORC_CLUSTER_SEED").unwrap_or(0);
    let seeds: u64 = number("TORC_CLUSTER_SEEDS").unwrap_or(100);
    let mut all = Counts::default();
    for seed in first..first + seeds {
        let counts = std::panic::catch_unwind(|| run(seed, |_| ()));
        let counts = counts.unwrap_or_else(|why| {
            eprintln!("seed {seed}");
            std::panic::resume_unwind(why)
        });
        all.writes += counts.writes;
        all.reads += counts.reads;
        all.eventual += counts.eventual;
        all.unknown += counts.unknown;
        all.crashes += counts.crashes;
        all.elections += counts.elections;
        all.moves += counts.moves;
        all.images += counts.images;
        all.asleep += counts.asleep;
    }
    println!("{seeds} seeds: {all:?}");
    assert!(all.writes > seeds * 50 && all.reads > seeds * 25, "{all:?}");
    assert!(all.crashes > seeds && all.elections > seeds && all.unknown > 0, "{all:?}");
    assert!(all.moves > seeds / 4 && all.images > seeds / 4, "{all:?}");
    assert!(all.asleep > seeds * 10, "{all:?}");
}
