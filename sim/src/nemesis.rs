//! The hand that does harm, and takes it back: each fault of the plan is a task of its own.
//!
//! Harm is counted, so that two faults of the same kind at once do not end each other: a node that two want down comes up when both are done.

use std::time::Duration;

use model::ring::VnodeId;
use net::message::{Cluster as Change, MoveReplica};
use runtime::sim::{Chance, NodeId, Span};
use runtime::sync::{Either, join_all, select};

use crate::cluster::Cluster;
use crate::operator::Operator;
use crate::plan::{Fault, Kind, Lie, Way, Whom};
use crate::said::Harm;

/// A node that stops cleanly has so long for it.
const STOP_TIME_MAX: Duration = Duration::from_secs(20);

/// How often a log is looked at by who waits for it to recycle a segment.
const LOOK_PERIOD: Duration = Duration::from_millis(4);

/// The same, for who waits for an image.
const IMAGE_LOOK_PERIOD: Duration = Duration::from_millis(10);

/// Does all the harm of a plan; returns when the last of it is over.
pub async fn work(cluster: &Cluster, operator: &Operator) {
    let faults = cluster.plan().faults.clone();
    join_all(faults.into_iter().map(|fault| harm(cluster, operator, fault))).await;
}

/// One fault, from its time on.
async fn harm(cluster: &Cluster, operator: &Operator, fault: Fault) {
    let world = cluster.world();
    world.sleep(fault.at.saturating_sub(world.elapsed())).await;
    cluster.journal().note(format!("fault: {:?} for {:?}", fault.kind, fault.lasts));
    cluster.journal().count(fault.kind.name());
    let lasts = fault.lasts;
    match fault.kind {
        Kind::Crash(whom) => {
            if let Some(node) = find(cluster, whom, lasts).await {
                crash(cluster, node, lasts).await;
            }
        }
        Kind::CrashTwice(whom, again) => {
            if let Some(node) = find(cluster, whom, lasts).await {
                crash(cluster, node, lasts).await;
                world.sleep(again).await;
                crash(cluster, node, lasts / 2).await;
            }
        }
        Kind::Blackout => blackout(cluster, lasts).await,
        Kind::LoseShards(node) => {
            cluster.crash(node);
            cluster.lose_shards(node);
            world.sleep(lasts).await;
            cluster.release(node);
        }
        Kind::Restart(whom) => {
            if let Some(node) = find(cluster, whom, lasts).await {
                cluster.stop(node, STOP_TIME_MAX).await;
                world.sleep(lasts).await;
                cluster.release(node);
            }
        }
        Kind::Pause(whom) => {
            if let Some(node) = find(cluster, whom, lasts).await {
                cluster.pause(node);
                world.sleep(lasts).await;
                cluster.resume(node);
            }
        }
        Kind::Isolate(whom, way) => {
            if let Some(node) = find(cluster, whom, lasts).await {
                isolate(cluster, node, way, lasts).await;
            }
        }
        Kind::IsolateThenCrash(whom) => {
            if let Some(node) = find(cluster, whom, lasts).await {
                cut_then_crash(cluster, node, &ways(cluster, node, Way::Both), lasts).await;
            }
        }
        Kind::DeposeThenCrash(whom) => {
            if let Some(node) = find(cluster, whom, lasts).await {
                cut_then_crash(cluster, node, &ways_to_nodes(cluster, node), lasts).await;
            }
        }
        Kind::Depose(whom) => {
            if let Some(node) = find(cluster, whom, lasts).await {
                depose(cluster, node, lasts).await;
            }
        }
        Kind::Cut(one, other, both) => {
            let (one, other) = (cluster.machine(one), cluster.machine(other));
            let ways = [(one, other), (other, one)];
            cut_for(cluster, &ways[..if both { 2 } else { 1 }], lasts).await;
        }
        Kind::CutRouter(router, whom) => {
            if let Some(node) = find(cluster, whom, lasts).await {
                let (router, node) = (cluster.router(router), cluster.machine(node));
                cut_for(cluster, &[(router, node), (node, router)], lasts).await;
            }
        }
        Kind::SlowLink(from, to, by) => {
            let (from, to) = (cluster.machine(from), cluster.machine(to));
            world.slow_link(from, to, by);
            world.sleep(lasts).await;
            world.slow_link(from, to, Duration::ZERO);
        }
        Kind::SlowNetwork(delay) => {
            let mut faults = cluster.plan().network.clone();
            faults.delay = Span { least: delay / 2, most: delay };
            world.set_network_faults(faults);
            world.sleep(lasts).await;
            world.set_network_faults(cluster.plan().network.clone());
        }
        Kind::Resets(chance) => {
            let mut faults = cluster.plan().network.clone();
            (faults.reset, faults.refuse) = (chance, Chance::percent(20));
            world.set_network_faults(faults);
            world.sleep(lasts).await;
            world.set_network_faults(cluster.plan().network.clone());
        }
        Kind::Drift(node, ppm) => {
            world.set_clock_rate(cluster.machine(node), ppm);
            world.sleep(lasts * 4).await;
            world.set_clock_rate(cluster.machine(node), 0);
        }
        Kind::Jump(node, by_us) => {
            world.jump_wall(cluster.machine(node), by_us);
            world.sleep(lasts).await;
        }
        Kind::SlowDisk(whom) => {
            if let Some(node) = find(cluster, whom, lasts).await {
                let disk = || world.disk(cluster.machine(node));
                disk().change_faults(|faults| {
                    (faults.stall, faults.stall_time) = (Chance::percent(10), Span::millis(1, 400));
                });
                world.sleep(lasts).await;
                disk().set_faults(cluster.plan().disk.clone());
            }
        }
        Kind::FailingDisk(whom) => {
            if let Some(node) = find(cluster, whom, lasts).await {
                cluster.harm(node, Harm::Failing);
                let disk = || world.disk(cluster.machine(node));
                disk().change_faults(|faults| {
                    (faults.write_error, faults.sync_error) = (Chance::percent(2), Chance::percent(5));
                });
                world.sleep(lasts).await;
                disk().set_faults(cluster.plan().disk.clone());
            }
        }
        Kind::FullDisk(node) => {
            cluster.harm(node, Harm::Full);
            let disk = || world.disk(cluster.machine(node));
            let used = disk().bytes_used();
            disk().change_faults(|faults| faults.bytes_max = used);
            world.sleep(lasts).await;
            disk().set_faults(cluster.plan().disk.clone());
        }
        Kind::LyingDisk(node, lie) => {
            cluster.harm(node, Harm::Lying);
            let disk = || world.disk(cluster.machine(node));
            disk().change_faults(|faults| match lie {
                Lie::Rot => faults.rot_at_rest = Chance::percent(20),
                Lie::RotOnRead => faults.rot_on_read = Chance::percent(5),
                Lie::Lost => faults.lost_write = Chance::percent(3),
                Lie::Misdirected => faults.misdirected_write = Chance::percent(3),
                Lie::Unreadable => faults.read_error = Chance::percent(5),
            });
            world.sleep(lasts).await;
            disk().set_faults(cluster.plan().disk.clone());
        }
        Kind::Transfer(vnode, to) => {
            cluster.hand_over(VnodeId(vnode), to, &operator.map().get());
        }
        Kind::TransferThenCut(vnode, to) => {
            let old = cluster.leader(VnodeId(vnode));
            if cluster.hand_over(VnodeId(vnode), to, &operator.map().get())
                && let Some(old) = old
            {
                isolate(cluster, old, Way::Both, lasts).await;
            }
        }
        Kind::TransferThenDepose(vnode, to) => {
            let old = cluster.leader(VnodeId(vnode));
            if cluster.hand_over(VnodeId(vnode), to, &operator.map().get())
                && let Some(old) = old
            {
                // The word for it has to leave.
                world.sleep(Duration::from_micros(300)).await;
                depose(cluster, old, lasts).await;
            }
        }
        Kind::Move(vnode, from, to) => move_replica(cluster, operator, vnode, from, to).await,
        Kind::Join(node) => operator.join(cluster, node).await,
        Kind::Drain(node) => drain(cluster, operator, node, lasts).await,
    }
}

async fn crash(cluster: &Cluster, node: usize, lasts: Duration) {
    cluster.crash(node);
    cluster.world().sleep(lasts).await;
    cluster.release(node);
}

/// All lose power at once, and get it back one after the other.
async fn blackout(cluster: &Cluster, lasts: Duration) {
    let nodes = 0..cluster.plan().nodes;
    nodes.clone().for_each(|node| cluster.crash(node));
    for node in nodes {
        cluster.world().sleep(lasts / cluster.plan().nodes as u32).await;
        cluster.release(node);
    }
}

async fn isolate(cluster: &Cluster, node: usize, way: Way, lasts: Duration) {
    cut_for(cluster, &ways(cluster, node, way), lasts).await;
}

/// Cuts a node off from the other nodes, and from nobody else.
async fn depose(cluster: &Cluster, node: usize, lasts: Duration) {
    cut_for(cluster, &ways_to_nodes(cluster, node), lasts).await;
}

/// The ways between a node and the other nodes.
fn ways_to_nodes(cluster: &Cluster, node: usize) -> Vec<(NodeId, NodeId)> {
    let nodes: Vec<NodeId> = (0..cluster.plan().machines()).map(|other| cluster.machine(other)).collect();
    let mut ways = ways(cluster, node, Way::Both);
    ways.retain(|(from, to)| nodes.contains(from) && nodes.contains(to));
    ways
}

async fn cut_then_crash(cluster: &Cluster, node: usize, ways: &[(NodeId, NodeId)], lasts: Duration) {
    ways.iter().for_each(|(from, to)| cluster.cut(*from, *to));
    cluster.world().sleep(lasts).await;
    cluster.crash(node);
    ways.iter().for_each(|(from, to)| cluster.mend(*from, *to));
    cluster.world().sleep(lasts).await;
    cluster.release(node);
}

async fn cut_for(cluster: &Cluster, ways: &[(NodeId, NodeId)], lasts: Duration) {
    ways.iter().for_each(|(from, to)| cluster.cut(*from, *to));
    cluster.world().sleep(lasts).await;
    ways.iter().for_each(|(from, to)| cluster.mend(*from, *to));
}

/// The ways between a node and all others.
fn ways(cluster: &Cluster, node: usize, way: Way) -> Vec<(NodeId, NodeId)> {
    let own = cluster.machine(node);
    let others = cluster.others(node);
    let out = others.iter().map(|other| (own, *other)).filter(|_| way != Way::In);
    let back = others.iter().map(|other| (*other, own)).filter(|_| way != Way::Out);
    out.chain(back).collect()
}

/// Whom a fault hits, once that is known; none when it does not come to be in time.
async fn find(cluster: &Cluster, whom: Whom, patience: Duration) -> Option<usize> {
    let world = cluster.world();
    match whom {
        Whom::Node(node) => Some(node),
        Whom::Leader(vnode) => cluster.leader(VnodeId(vnode)),
        Whom::Elected(after) => {
            let elected = cluster.watch().elected.notified();
            let patience = patience.max(Duration::from_secs(3));
            match select(elected, world.sleep(patience)).await {
                Either::First(()) => {
                    let node = cluster.watch().last_elected.get();
                    world.sleep(after).await;
                    Some(node)
                }
                Either::Second(()) => None,
            }
        }
        Whom::Recycling(after) => {
            let free = |node: usize| -> usize {
                cluster.shards(node).iter().map(|shard| shard.stats().log.segments_free).sum()
            };
            let nodes = 0..cluster.plan().nodes;
            let mut before: Vec<usize> = nodes.clone().map(free).collect();
            let until = world.elapsed() + patience.max(Duration::from_secs(3));
            while world.elapsed() < until {
                world.sleep(LOOK_PERIOD).await;
                let now: Vec<usize> = nodes.clone().map(free).collect();
                if let Some(node) = nodes.clone().find(|node| now[*node] > before[*node]) {
                    world.sleep(after / 10).await;
                    return Some(node);
                }
                before = now;
            }
            None
        }
        Whom::Offering(after) => {
            let until = world.elapsed() + patience.max(Duration::from_secs(3));
            while world.elapsed() < until {
                if let Some((vnode, node)) = cluster.offering() {
                    cluster.journal().note(format!("node {node} offers an image of vnode {}", vnode.0));
                    world.sleep(after).await;
                    return Some(node);
                }
                world.sleep(IMAGE_LOOK_PERIOD).await;
            }
            None
        }
    }
}

async fn move_replica(cluster: &Cluster, operator: &Operator, vnode: u32, from: usize, to: usize) {
    let map = operator.map().get();
    let numbers = (cluster.number_of(from, &map), cluster.number_of(to, &map));
    let (Some(from), Some(to)) = numbers else { return };
    let change = MoveReplica { vnode, from: from.0, to: to.0, shard: None };
    operator.ask(Change::Move(change)).await;
}

/// Everything goes away from a node; then it keeps vnodes again.
async fn drain(cluster: &Cluster, operator: &Operator, node: usize, lasts: Duration) {
    let Some(number) = cluster.number_of(node, &operator.map().get()) else { return };
    operator.ask(Change::Drain(number.0)).await;
    cluster.world().sleep(lasts).await;
    operator.insist(Change::Activate(number.0)).await;
}
